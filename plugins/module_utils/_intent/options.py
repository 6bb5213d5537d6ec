# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user wrote, read into an Intent. Looks at the words only: no host, no domain.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    MEMORY_MODES,
    Intent,
    MemoryIntent,
    Pins,
    pins_of,
)


def intent_from_options(options: Mapping[str, Any], called: Mapping[str, str] | None = None) -> Intent:
    """Options ``cells``, ``cpuset``, ``memory``, ``vcpu_pins``, ``emulator_cpuset``, ``iothread_pins``.

    One that is missing or None was not said. ``called`` gives the name that a module has for an option, for errors.
    Raises InputError.
    """
    vcpu_pins = (called or {}).get("vcpu_pins", "vcpu_pins")
    return Intent(
        cells=_some(options.get("cells"), "cells", "cell"),
        cpuset=_some(options.get("cpuset"), "cpuset", "CPU"),
        memory=_memory(options.get("memory")),
        vcpu_pins=pins_from_option(options.get("vcpu_pins"), vcpu_pins, "vCPU"),
        emulator=_some(options.get("emulator_cpuset"), "emulator_cpuset", "CPU"),
        iothread_pins=pins_from_option(options.get("iothread_pins"), "iothread_pins", "IO thread"),
    )


def pins_from_option(option: Mapping[Any, Any] | None, name: str, kind: str) -> Pins | None:
    """``{"0": "4", "1-3": "5-7"}`` -> a pin for each number; every number of a range gets the whole set.

    Raises InputError, with the key in the option's name: ``vcpu_pins[1-3]``.
    """
    if option is None:
        return None
    pins: dict[int, CpuSet] = {}
    for key, value in option.items():
        numbers = CpuSet.coerce(key, f"{name} key")
        if not numbers:
            raise InputError(f"{name} key", key, f"names no {kind}", f"give at least one {kind}")
        cpus = _some(value, f"{name}[{key}]", "CPU")
        if cpus is None:
            raise InputError(f"{name}[{key}]", value, "names no CPU", "give a CPU set such as '4-7'")
        for number in numbers:
            if number in pins:
                raise InputError(name, str(key), f"{kind} {number} is given twice", f"name each {kind} once")
            pins[number] = cpus
    return pins_of(pins)


def _some(value: Any, option: str, kind: str) -> CpuSet | None:
    """A set that holds something. An empty one is never what was meant: nothing could run."""
    if value is None:
        return None
    cpus = CpuSet() if value in ("", [], ()) else CpuSet.coerce(value, option)
    if not cpus:
        raise InputError(option, value, f"names no {kind}", f"give at least one {kind}, or leave the option out")
    return cpus


def _memory(option: Mapping[str, Any] | None) -> MemoryIntent | None:
    if option is None:
        return None
    mode = option.get("mode") or "strict"
    if mode not in (*MEMORY_MODES, "none"):
        raise InputError("memory.mode", mode, "is not a memory mode", f"choose one of {', '.join(MEMORY_MODES)}, none")
    cells = _some(option.get("cells"), "memory.cells", "cell")
    if mode == "none" and cells is not None:
        raise InputError("memory.cells", option.get("cells"), "contradicts memory.mode=none", "leave one of them out")
    return MemoryIntent(mode, cells)
