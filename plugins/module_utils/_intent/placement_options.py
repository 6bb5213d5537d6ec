# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of numa_placement, read into what the engine takes. Looks at the words only: no host, no domain.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import knob_arguments, parts_from_options
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._intent.sizes import size_in_kib
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Rules
from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Knobs

# Options of one entry beside those of _intent.policy.PolicyWish.
_OWN = ("name", "xml")
_POLICY = (
    "policy", "cells", "smt", "cache", "emulator", "iothreads", "cpu_ratio", "devices", "together", "apart", "priority",
    "width", "own_cpus", "memory_overhead",
)  # fmt: skip
# Of these a task may say what holds for each domain that says nothing itself.
FOR_ALL = ("policy", "smt", "cache", "emulator", "iothreads", "cpu_ratio", "devices", "memory_overhead")
_KNOBS = tuple(knob_arguments())
ENTRY_OPTIONS = (*_OWN, *_POLICY, *_KNOBS)


def entries_of(option: Sequence[Any] | None) -> list[Mapping[str, Any]] | None:
    """``domains``: names or dictionaries -> dictionaries. Raises InputError; never shows a document."""
    if option is None:
        return None
    if not option:
        raise InputError("domains", None, "is empty", "name at least one domain, or use select")
    return [_entry(number, each) for number, each in enumerate(option)]


def _entry(number: int, entry: Any) -> Mapping[str, Any]:
    called = f"domains[{number}]"
    if isinstance(entry, str) and entry:
        return {"name": entry}
    if not isinstance(entry, Mapping):
        problem = "is empty" if entry == "" else "is neither a name nor a dictionary"
        raise InputError(called, None, problem, "write web1 or {name: web1, cells: [1]}")
    unknown = sorted(str(name) for name in entry if name not in ENTRY_OPTIONS)
    if unknown:
        # A name of its own that is shown: it may be a piece of a document.
        raise InputError(
            f"{called}.{displayable(unknown[0])}", None, "is no option", f"choose among {', '.join(ENTRY_OPTIONS)}"
        )
    if not entry.get("name") and not entry.get("xml"):
        raise InputError(called, None, "has neither name nor xml", "give one of them")
    for name in _OWN:
        if entry.get(name) is not None and not isinstance(entry[name], str):
            raise InputError(f"{called}.{name}", None, "is no text", "put it in quotes")
    return entry


def knobs_of(entry: Mapping[str, Any], called: str) -> Knobs:
    """What an entry says of the elements that no planning depends on. Raises InputError."""
    names = {name: f"{called}.{name}" for name in _KNOBS}
    knobs: Knobs = parts_from_options({name: entry.get(name) for name in _KNOBS}, names)["knobs"]
    return knobs


def rules_of(options: Mapping[str, Any]) -> Rules:
    """The options ``reserved_…``, ``shared_cpus`` and ``dedicated_cpus``. Raises InputError."""
    return Rules(
        reserved_cpus=cpus_of(options, "reserved_cpus") or EMPTY,
        reserved_memory=_memory(options.get("reserved_memory")),
        reserves=True,
        shared_cpus=cpus_of(options, "shared_cpus"),
        dedicated_cpus=cpus_of(options, "dedicated_cpus"),
        reserved_cells=cpus_of(options, "reserved_cells") or EMPTY,
    )


def rules_with_ratio(options: Mapping[str, Any]) -> Rules:
    """The same, with ``cpu_ratio`` for guests that were not placed with one of their own."""
    rules = rules_of(options)
    ratio = options.get("cpu_ratio")
    return rules if ratio is None else replace(rules, cpu_ratio=ratio)


def options_of(options: Mapping[str, Any]) -> Options:
    """``rebalance``, ``max_moves`` and ``even_out``."""
    return Options(
        rebalance=bool(options.get("rebalance")),
        max_moves=options.get("max_moves"),
        even_out=options.get("even_out") is not False,
    )


def cpus_of(options: Mapping[str, Any], name: str) -> CpuSet | None:
    value = options.get(name)
    return None if value is None or value in ("", []) else CpuSet.coerce(value, name)


def _memory(option: Mapping[Any, Any] | None) -> tuple[tuple[int, int], ...]:
    found: dict[int, int] = {}
    for key, value in (option or {}).items():
        for cell in CpuSet.coerce(key, "reserved_memory key"):
            if cell in found:
                raise InputError("reserved_memory", None, f"cell {cell} is given twice", "give each cell once")
            found[cell] = size_in_kib(value, f"reserved_memory[{key}]")
    return tuple(sorted(found.items()))
