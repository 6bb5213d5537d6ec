# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on another cell than it should be: memory, helpers, devices, and guests on more cells than they need.

Only guests that are held to some CPUs are looked at: one that may run everywhere has no cell to be off.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import asked_parts
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import INFO, LIVE, REDEFINE, RESTART
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import (
    Finding,
    cells_text,
    cpus_text,
    finding,
)
from ansible_collections.numa.virt.plugins.module_utils._findings.mending import memory_remedy
from ansible_collections.numa.virt.plugins.module_utils._findings.room import Room
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View, helper_sets
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.observation import own_memory
from ansible_collections.numa.virt.plugins.module_utils._values.placement import BINDING_MODES, Intent


def find_distance(view: View) -> Iterator[Finding]:
    room = Room(view)
    for seen in view.guests:
        if seen.settled:
            yield from _memory(view, seen)
            yield from _helpers(view, seen)
            yield from _devices(view, seen, room)
            yield from _spans(view, seen, room)


def asked_cells(view: View, intent: Intent | None) -> CpuSet:
    """The cells that a user, or a policy, named for a guest and its memory, or by their CPUs."""
    if intent is None:
        return EMPTY
    cells = [intent.cells or EMPTY, *(each for _cell, each in intent.memnodes or ())]
    if intent.memory is not None and intent.memory.cells is not None:
        cells.append(intent.memory.cells)
    if intent.cpuset is not None:
        cells.append(view.host.cells_touched(intent.cpuset))
    return union(cells)


def _memory(view: View, seen: Seen) -> Iterator[Finding]:
    """Where it was seen; where it cannot be, bound to cells of which none is the guest's."""
    own, intent = seen.cells, seen.facts.intent
    asked = asked_cells(view, intent) | (asked_parts(intent).cells if intent is not None else EMPTY)
    binding = seen.said.placement.memory if view.driver.numatune else None
    nodeset = seen.nodeset if view.driver.numatune else EMPTY
    near = own | view.memory_near(seen, own) | asked
    if nodeset & near:
        # Nobody runs on a cell without CPUs: who names one means it. And who interleaves means all of it.
        bare = CpuSet(cell.id for cell in view.host.cells if not cell.cpus)
        gentle = binding is not None and binding.mode not in BINDING_MODES
        near = near | (nodeset if gentle else nodeset & bare)
    lies = seen.memory_on
    if lies is None:
        away = nodeset - near
        if not away or nodeset & near or nodeset - view.host.cell_ids:
            return
        numbers = {"kib": seen.said.shape.memory, "total_kib": seen.said.shape.memory}
        bound = "is bound to" if binding is None or binding.mode in BINDING_MODES else "is preferred on"
        message = f"its memory ({seen.said.shape.memory} KiB) {bound} {cells_text(away)}, and its vCPUs run on {own}"
    else:
        # A host that reports no cells may have some all the same.
        known = EMPTY if view.host.implied_cell else view.host.cell_ids
        off = {cell: kib for cell, kib in sorted(lies.items()) if kib and cell in known - near}
        kib, away = sum(off.values()), CpuSet(off)
        # What is bound there, and nowhere near, is the guest's.
        tolerated = own_memory(seen.facts.observation, away, seen.said.shape.memory)
        if kib <= (0 if nodeset and not nodeset & near else tolerated):
            return
        numbers = {"kib": kib, "total_kib": sum(lies.values())}
        message = (
            f"{kib} of {sum(lies.values())} KiB of its memory {'lie' if kib > 1 else 'lies'} on {cells_text(away)}, "
            f"and its vCPUs run on {own}"
        )
    fix = view.memory_fix(seen)
    remedy, refused = memory_remedy(view, seen, away, fix)
    yield finding(
        "memory_remote", seen.name, message, remedy,
        cells=away, numbers={**numbers, **refused}, fix=fix,
    )  # fmt: skip


def _helpers(view: View, seen: Seen) -> Iterator[Finding]:
    intent = seen.facts.intent
    meant = set() if intent is None else {intent.emulator, *(cpus for _thread, cpus in intent.iothread_pins or ())}
    asked = asked_cells(view, intent)
    if not view.driver.emulator:
        return
    for who, cpus in helper_sets(seen.said):
        there = cpus & view.host.online
        away = view.host.cells_touched(there) - seen.meant_cells - asked
        if cpus in meant or not away or view.host.online <= there:
            continue
        wholly = not view.host.cells_touched(there) & seen.meant_cells
        verb = "runs" if who.startswith("IO") else "run"
        message = (
            f"{who} {verb if wholly else 'may run'} on {cells_text(away)} ({cpus_text(there)}), "
            f"and its vCPUs on {cells_text(seen.meant_cells)}"
        )
        option = "iothreads" if who.startswith("IO") else "emulator"
        live = seen.running and (view.driver.pin_flags or option == "emulator")
        yield finding(
            "helper_off_cells", seen.name, message,
            f"pin it to CPUs of {cells_text(seen.meant_cells)} with vcpu_pin ({option})",
            cells=away, cpus=view.host.cpus_of(away) & there, numbers={"cells": len(away)},
            severity=None if wholly else INFO,
            fix=LIVE if live else RESTART if seen.running else REDEFINE,
        )  # fmt: skip


def _devices(view: View, seen: Seen, room: Room) -> Iterator[Finding]:
    """Devices of other cells. Where a policy preferred theirs it knew of no room there: silent while that is so."""
    wish = seen.wish
    if wish is not None and wish.device_rule == "ignore":
        return
    near = seen.cells
    away: dict[str, int] = {}
    for address in seen.said.needs.devices:
        cell = room.device_cells.get(address)
        if cell is not None and cell not in near and view.host.cpus_of([cell]):
            away[address] = cell
    if wish is not None and wish.device_rule == "prefer":
        # Where a group has to be, or must not, is for the planner to say.
        alone = not wish.placed_by.mirrors and wish.together is None and wish.apart is None
        free = room.fitting(seen) if away and alone else EMPTY
        away = {address: cell for address, cell in away.items() if cell in free}
    if not away:
        return
    cells = CpuSet(away.values())
    first, *others = away
    rest = f" (and {len(others)} more of its devices)" if others else ""
    message = f"its device {first}{rest} {'is' if not rest else 'are'} on {cells_text(cells)}, and its vCPUs on {near}"
    fix = view.memory_fix(seen)
    where = f"{cells_text(cells)}"
    remedy = (
        f"move it to {where}: run numa_placement for it with devices=require"
        f"{' and restart=allowed' if fix == RESTART else ''}, or give it a device of its own cell"
    )
    yield finding(
        "device_remote", seen.name, message, remedy,
        cells=cells, numbers={"devices": len(away), "distance": _farthest(view, near, cells)}, fix=fix,
    )  # fmt: skip


def _farthest(view: View, near: CpuSet, far: CpuSet) -> int:
    """The largest of the distances from each far cell to the nearest of the guest's."""
    capacity = view.capacity
    ours = [capacity.index[cell] for cell in near]
    return max(min(capacity.distance[one][capacity.index[cell]] for one in ours) for cell in far)


def _spans(view: View, seen: Seen, room: Room) -> Iterator[Finding]:
    cells = seen.meant_cells
    if len(cells) < 2 or not spanning_matters(view, seen):
        return
    fitting = room.fitting(seen)
    if not fitting:
        return
    best = min(fitting & cells or fitting)
    shape = seen.said.shape
    fix = view.memory_fix(seen)
    message = (
        f"its {shape.vcpus} vCPUs may run on {cells_text(cells)} ({cpus_text(view.cpus_of(seen.meant))}), and it would "
        f"fit cell {best} with its {shape.memory} KiB"
    )
    restart = " and restart=allowed" if fix == RESTART else ""
    remedy = (
        f"run numa_placement for it with rebalance=true{restart}"
        if seen.wish is not None
        else f"run numa_placement for it with policy=pack{restart}, or numa_domain with cells=[{best}]"
    )
    numbers: Mapping[str, int] = {"cells": len(cells), "vcpus": shape.vcpus, "kib": shape.memory}
    yield finding(
        "spans_needlessly", seen.name, message, remedy,
        cells=cells, cpus=view.cpus_of(seen.meant), numbers=numbers,
        severity=None if seen.wish is None and seen.running else INFO, fix=fix,
    )  # fmt: skip


def spanning_matters(view: View, seen: Seen) -> bool:
    """Whether nobody meant the guest to be on several cells: no user, no numad, no cells of its own, no group."""
    wish, intent, said = seen.wish, seen.facts.intent, seen.said
    if said.placement.automatic or len(said.needs.guest_cells) > 1 or len(said.placement.memnodes) > 1:
        return False
    if wish is not None:
        return not wish.placed_by.mirrors and wish.together is None and wish.apart is None
    if intent is None:
        return True
    asked = asked_cells(view, intent) | view.host.cells_touched(union(cpus for _vcpu, cpus in intent.vcpu_pins or ()))
    return len(asked) < 2
