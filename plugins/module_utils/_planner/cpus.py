# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From cells to CPUs: which ones each guest gets, once it is known how many it gets on each cell.

This file must not import ansible, libvirt or lxml, and must not choose cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Part, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    ISOLATE,
    PREFER,
    SHARED,
    UNIT,
    Capacity,
    Guest,
    bits,
    count,
    first,
)


@dataclass
class Assignment:
    """What one guest with CPUs of its own gets: on each cell its CPUs in the order of vCPUs, and all that it owns."""

    cpus: dict[int, list[int]] = field(default_factory=dict)
    owned: int = 0


def assign_cpus(capacity: Capacity, taken: int, placed: Sequence[tuple[Guest, Spot]]) -> dict[Guest, Assignment]:
    """CPUs for guests that own theirs; ``taken`` belong to others or are in use.

    Whole cores first, siblings together. Bigger guests choose first. A guest whose number of CPUs does not fill cores
    has the rest on a core of its own while there are enough, and else shares one with the rest of another.

    Cores 0-1, 2-3, 4-5, 6-7, guests of 3 and 3 CPUs: 0-1,4 and 2-3,6. With a third of 2 CPUs the rests share a core:
    0-1,6 and 2-3,7 and 4-5.
    """
    assignments = {guest: Assignment() for guest, _spot in placed if guest.kind != SHARED}
    on: dict[int, list[tuple[Guest, Part]]] = {}
    for guest, spot in placed:
        for part in spot.parts if guest.kind != SHARED else ():
            on.setdefault(part.cell, []).append((guest, part))
    for cell, members in sorted(on.items()):
        members.sort(key=lambda each: (each[0].kind == PREFER, -each[1].cpu, each[0].name))
        _assign_on_cell(capacity, cell, capacity.own[cell] & ~taken, members, assignments)
    return assignments


def _assign_on_cell(
    capacity: Capacity, cell: int, free: int, members: list[tuple[Guest, Part]], assignments: dict[Guest, Assignment]
) -> None:
    threads = capacity.threads[cell]
    whole = [core for core in capacity.cores[cell] if not core & ~free and count(core) == threads]
    broken = [core & free for core in capacity.cores[cell] if core & free and core not in set(whole)]
    for guest, part in members:
        cores = part.cpu if guest.kind == ISOLATE else part.cpu // threads
        if guest.kind not in (ISOLATE, PREFER):
            cores = -(-part.cpu // threads)
        mine, whole = whole[:cores], whole[cores:]
        cpus = [cpu for core in mine for cpu in bits(first(core, 1) if guest.kind == ISOLATE else core)]
        assignments[guest].cpus[cell] = cpus[: part.cpu]
        for core in mine:
            assignments[guest].owned |= core
    for guest, part in members:
        cpus = assignments[guest].cpus[cell]
        while len(cpus) < part.cpu:
            missing = part.cpu - len(cpus)
            if whole:
                core = whole.pop(0)
            else:
                # The core that is left with the fewest idle threads; where none is enough, the fullest.
                core = min(broken, key=lambda each: (count(each) < missing, abs(count(each) - missing), each))
                broken.remove(core)
            taken = first(core, min(missing, count(core)))
            if core & ~taken:
                broken.append(core & ~taken)
            cpus += bits(taken)
            assignments[guest].owned |= taken


def pools(capacity: Capacity, owned: int, load: Sequence[int]) -> list[int]:
    """The CPUs that new shared guests get on each cell; ``load`` is what shared vCPUs weigh there.

    Where the rules do not divide the CPUs they keep off the siblings of CPUs that belong to a guest, while the rest is
    enough for them.
    """
    result = []
    for cell, shared in enumerate(capacity.shared):
        rest = shared & ~owned
        clean = rest & ~capacity.siblings(owned & capacity.online[cell])
        result.append(clean if capacity.derived and clean and count(clean) * UNIT >= load[cell] else rest)
    return result
