# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a policy is asked for one guest: options, the line that is stored with the guest, and the planner's request.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._intent.sizes import size_in_kib
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.registry import POLICIES, OfPolicy
from ansible_collections.numa.virt.plugins.module_utils._planner.request import (
    CACHE_RULES,
    DEVICE_RULES,
    EMULATOR,
    SMT,
    Request,
    check_ratio,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell, GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MAX_CELLS, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import read_json
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

# IO threads run where the emulator's threads may.
WITH_EMULATOR = "emulator"


@dataclass(frozen=True)
class PolicyWish(OfPolicy):
    """A policy and its options, as the planner's Request has them; see there. ``memory_overhead`` is its ``overhead``,
    None for what is usual."""

    policy: str = "pack"
    cells: CpuSet | None = None
    smt: str = "prefer"
    emulator: str | CpuSet = "share"
    iothreads: str | CpuSet = WITH_EMULATOR
    cpu_ratio: float | None = None
    devices: str = "prefer"
    together: str | None = None
    apart: str | None = None
    priority: int = 0
    width: int | None = None
    own_cpus: bool = False
    cache: str = "prefer"
    memory_overhead: int | None = None


_NAMES = tuple(field.name for field in fields(PolicyWish))
# What an option takes, in the order in which it is told of.
CHOICES = {"policy": tuple(POLICIES), "smt": SMT, "devices": DEVICE_RULES, "cache": CACHE_RULES}
_NOTHING = PolicyWish()
_MAX_PRIORITY = 1_000_000_000


def wish_of(entry: Mapping[str, Any], task: Mapping[str, Any], stored: str | None, name: str) -> PolicyWish:
    """The wish for one guest: what its entry says, else what the task says for all.

    Where neither says anything, what was asked for before stays in force. Raises InputError, which names the option.
    """
    said = {}
    for option in _NAMES:
        if entry.get(option) is not None:
            said[option] = _read(option, entry[option], f"domains[{name}].{option}")
        elif task.get(option) is not None:
            said[option] = _read(option, task[option], option)
    before = wish_from_json(stored) if not said and stored is not None else None
    return before if before is not None else PolicyWish(**said)


# The guests of a host were asked for in few ways: each is read, and written, once.
@lru_cache(maxsize=256)
def wish_to_json(wish: PolicyWish) -> str:
    """One line, in one written form; what is as by default is left out, but for the policy."""
    parts = {
        name: str(value) if isinstance(value, CpuSet) else value
        for name in _NAMES
        for value in [getattr(wish, name)]
        if value != getattr(_NOTHING, name) or name == "policy"
    }
    return json.dumps(parts, sort_keys=True)


@lru_cache(maxsize=256)
def wish_from_json(text: str) -> PolicyWish | None:
    """None for text that wish_to_json() cannot have written."""
    try:
        parts = read_json(text)
        if not isinstance(parts, dict) or not set(parts) <= set(_NAMES):
            return None
        return PolicyWish(**{name: _read(name, value, name) for name, value in parts.items()})
    except (TypeError, ValueError, InputError):
        return None


def request_of(wish: PolicyWish, shape: Shape, needs: GuestNeeds, host: Host, driver: Driver) -> Request:
    """The planner's request for a guest.

    Its vCPUs are those that are there, by their rank: result.of_vcpus() tells them by their numbers again.
    """
    by_page = needs.memory_by_page(shape.memory, host.page)
    (page, memory), *others = by_page.items()
    overhead = wish.memory_overhead
    return Request(
        name=shape.name,
        vcpus=len(shape.present),
        memory=memory,
        policy=wish.policy,
        cells=wish.cells,
        page_size=page,
        other_pages=tuple(others),
        binds_early=shape.binds_early is not None,
        devices=needs.devices if wish.devices != "ignore" else (),
        device_rule=wish.devices,
        together=wish.together,
        apart=wish.apart,
        cpu_ratio=wish.cpu_ratio,
        priority=wish.priority,
        smt=wish.smt,
        emulator=wish.emulator if driver.emulator else None,
        iothreads=wish.iothreads if driver.emulator and isinstance(wish.iothreads, CpuSet) else None,
        own_cpus=wish.own_cpus,
        # The cells of a guest that no policy maps are its own business.
        guest_cells=_own_cells(needs, shape, host) if wish.placed_by.mirrors else (),
        width=wish.width,
        cache=wish.cache,
        overhead=overhead if overhead is not None else driver.overhead.of(shape, by_page.get(None, 0)),
        threads=needs.threads if driver.topology and shape.present == tuple(range(len(shape.present))) else 1,
    )


def _own_cells(needs: GuestNeeds, shape: Shape, host: Host) -> tuple[GuestCell, ...]:
    """The guest's own cells, by the ranks of its vCPUs and with the sizes of the host's pages."""
    ranks = {vcpu: rank for rank, vcpu in enumerate(shape.present)}
    return tuple(
        replace(cell.with_pages(host.page), vcpus=CpuSet(ranks[vcpu] for vcpu in cell.vcpus if vcpu in ranks))
        for cell in needs.guest_cells
    )


def _read(option: str, value: Any, called: str) -> Any:
    """A value of an option, or of the stored line. Raises InputError."""
    if option == "cells":
        return _some(value, called, "names no cell", "give at least one cell, or leave the option out")
    if option == "emulator":
        if value in EMULATOR:
            return value
        return _some(value, called, "names no CPU", "give share, isolate or a CPU set")
    if option == "iothreads":
        if value == WITH_EMULATOR:
            return value
        return _some(value, called, "names no CPU", f"give {WITH_EMULATOR} or a CPU set")
    if option in CHOICES:
        if value not in CHOICES[option]:
            raise InputError(called, value, "is not known", f"choose among {', '.join(CHOICES[option])}")
        return value
    if option == "own_cpus":
        return _typed(value, bool, called, "give true or false")
    if option in ("priority", "width"):
        return _count(_typed(value, int, called, "give a whole number"), option, called)
    if option == "memory_overhead":
        return size_in_kib(value, called)
    if option == "cpu_ratio":
        return _ratio(_typed(value, (int, float), called, "give a number above 0, such as 4"), called)
    group = _typed(value, str, called, "give the name of a group")
    if not group:
        raise InputError(called, value, "is empty", "give the name of a group")
    return group


def _some(value: Any, called: str, problem: str, expected: str) -> CpuSet:
    """A set with something in it."""
    numbers = CpuSet() if value == "" else CpuSet.coerce(value, called)
    if not numbers:
        raise InputError(called, value, problem, expected)
    return numbers


def _ratio(value: float, called: str) -> float:
    try:
        ratio = float(value)
    except OverflowError:
        ratio = math.inf
    if not 0 < ratio < math.inf:
        raise InputError(called, value, "is not a ratio", "give a number above 0, such as 4")
    check_ratio(ratio, called)
    return ratio


def _count(value: int, option: str, called: str) -> int:
    most = MAX_CELLS if option == "width" else _MAX_PRIORITY
    if abs(value) > most:
        raise InputError(called, value, "is too large", f"give a number up to {most}")
    return value


def _typed(value: Any, kind: Any, called: str, expected: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(called, value, "is not of the right type", expected)
    return value
