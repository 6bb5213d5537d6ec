# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the emulator's and the IO threads of a guest with CPUs of its own go: what its user has pinned stays where
that harms nobody, and no such thread comes onto a CPU of a real-time vCPU, where it would never run.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    Capacity,
    either,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet


def with_free_pins(capacity: Capacity, request: Request, owned: int) -> Request:
    """The request with the pins of its user that can stay in a new place; ``owned`` CPUs belong to guests.

    A real-time guest whose emulator would be left with its own CPUs gets one more for it.
    """
    if not request.owns_cpus:
        return replace(request, emulator_pin=None, iothread_pins=EMPTY)
    open_to_all = capacity.all_online if capacity.derived else capacity.all_shared
    free = open_to_all & capacity.all_usable & ~owned
    pin = request.emulator_pin if request.pinned_by_user else None
    pin = pin if pin is not None and not pin.mask & ~free else None
    emulator = request.emulator
    if request.realtime and emulator == "share" and pin is None and (capacity.derived or not capacity.all_shared):
        emulator = "isolate"
    threads = CpuSet.from_mask(request.iothread_pins.mask & free) if request.pinned_by_user else EMPTY
    return replace(request, emulator=emulator, emulator_pin=pin, iothread_pins=threads)


def lent(request: Request) -> int:
    """The CPUs that its emulator's and IO threads are sent to, which are given to nobody alone."""
    emulator = request.emulator if isinstance(request.emulator, CpuSet) else request.emulator_pin
    sets = (emulator, request.iothreads, request.iothread_pins)
    return either(cpus.mask for cpus in sets if cpus is not None)


def asked_for(request: Request) -> list[tuple[str, CpuSet]]:
    """(option, CPUs) of the sets that were asked for in so many words."""
    pairs = [("emulator", request.emulator), ("iothreads", request.iothreads)]
    return [(option, cpus) for option, cpus in pairs if isinstance(cpus, CpuSet)]
