# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many vCPUs of the guests that need a place any plan could place at most.

Every cell of the fleet is one, and guests may be cut: for each resource, and for CPUs and memory taken together by the
shares that are free of them, those with the most vCPUs for what they take. Real cells and whole guests make it less.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.host import moved
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import SHARED, UNIT, Capacity, Guest, bits
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request


class Room:
    """What is free in the fleet when this is made, and what it takes of that to place a guest.

    A resource is "joint" or "free", CPUs as the planner of one host has them, or the size of pages.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.room: dict[object, int] = {"joint": 0, "free": 0}
        #: Whether CPUs that one guest gets alone are always missing among the shared ones
        self.derived = all(host.capacity.derived for host in fleet.boards.values())
        for host in fleet.boards.values():
            board, capacity = host.board, host.capacity
            for cell in bits(capacity.everywhere):
                self.room["joint"] += max(0, board.joint[cell])
                self.room["free"] += max(0, board.free[cell])
                for size, row in zip((None, *capacity.sizes), board.mem):
                    self.room[size] = self.room.get(size, 0) + max(0, row[cell])
        #: A host of each kind
        self._models = {id(host.capacity): number for number, host in fleet.boards.items()}.values()
        self._cells = max((len(host.capacity.ids) for host in fleet.boards.values()), default=0)
        self._needs: dict[Request, dict[object, int] | None] = {}

    def needs(self, request: Request) -> dict[object, int] | None:
        """The least that it takes of each resource on any host; None where no host has what it takes, even empty."""
        wish = replace(moved(request), name="", priority=0)
        if wish not in self._needs:
            self._needs[wish] = self._least(wish)
        return self._needs[wish]

    def _least(self, wish: Request) -> dict[object, int] | None:
        fleet = self.fleet
        boards = [fleet.boards[at] for at in self._models if fleet.possible(at, wish)]
        guests = [guest for board in boards for guest in (board.guest(wish),) if _large_enough(board.capacity, guest)]
        if not guests:
            return None
        need = min(guest.need for guest in guests)
        amounts = zip(*([amount for _pool, amount in guest.memory] for guest in guests))
        mem: dict[object, int] = {size: min(each) for size, each in zip(wish.taken, amounts)}
        if not wish.owns_cpus:
            # The parts of a mirrored guest are each rounded down.
            slack = self._cells if wish.placed_by.mirrors else 0
            return {"joint": max(0, need - slack), **mem}
        whole: dict[object, int] = {"free": need, **mem}
        if self.derived:
            whole["joint"] = need * UNIT
        return whole


def _large_enough(capacity: Capacity, guest: Guest) -> bool:
    """Whether the host's cells together hold it when they are empty."""
    cells = list(bits(capacity.everywhere))
    total = capacity.shared_total if guest.kind == SHARED else capacity.own_total
    enough = all(sum(capacity.memory[pool]) >= amount for pool, amount in guest.memory)
    return sum(total[cell] for cell in cells) >= guest.need and enough


def most_vcpus(room: Room, requests: Iterable[FleetRequest]) -> int:
    """Of these guests; ``room`` is that before any of them has a place."""
    kinds = [(each.guest.vcpus, needs) for each in requests for needs in (room.needs(each.guest),) if needs is not None]
    total = sum(vcpus for vcpus, _needs in kinds)
    short = _short(room, [needs for _vcpus, needs in kinds])
    bounds = [float(total), *(_fill(kinds, room, (resource,)) for resource in short)]
    if len(short) > 1:
        bounds.append(_fill(kinds, room, short))
    return int(min(bounds) + 1e-6)


def worth_most(room: Room, requests: Sequence[FleetRequest]) -> frozenset[str]:
    """The names of those to place first where not all can be: the most vCPUs for what they take of what is short."""
    kinds = [(each, needs) for each in requests for needs in (room.needs(each.guest),) if needs is not None]
    short = _short(room, [needs for _each, needs in kinds])
    left, found = float(len(short)), []
    priced = sorted(
        (_cost(room, needs, short) / each.guest.vcpus, each.name, each.guest.vcpus) for each, needs in kinds
    )
    for price, name, vcpus in priced:
        left -= price * vcpus
        if left < 0:
            break
        found.append(name)
    return frozenset(found)


def _short(room: Room, needs: Sequence[dict[object, int]]) -> list[object]:
    """Resources of which there is not enough for all."""
    return [name for name, amount in room.room.items() if sum(each.get(name, 0) for each in needs) > amount]


def _cost(room: Room, needs: dict[object, int], resources: Sequence[object]) -> float:
    """The sum of the shares of what is free that it takes."""
    return sum(needs.get(each, 0) / max(1, room.room[each]) for each in resources)


def _fill(kinds: Sequence[tuple[int, dict[object, int]]], room: Room, resources: Sequence[object]) -> float:
    """vCPUs that fit in the sum of the shares of these resources, best first, the last one cut."""
    left, found = float(len(resources)), 0.0
    priced = []
    for vcpus, needs in kinds:
        cost = _cost(room, needs, resources)
        priced.append((vcpus / cost if cost else float("inf"), vcpus, cost))
    for _worth, vcpus, cost in sorted(priced, reverse=True):
        taken = 1.0 if cost <= left else left / cost
        found += vcpus * taken
        left -= cost * taken
    return found
