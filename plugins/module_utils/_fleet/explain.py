# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a guest has no place in a fleet: the host and the cell that come nearest, and what is missing there.

This file must not import ansible, libvirt or lxml, and must not choose anything.
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._errors import few
from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.host import HostBoard, moved
from ansible_collections.numa.virt.plugins.module_utils._fleet.moves import Moves, Task
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import IN, FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import FleetRejection
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import bits
from ansible_collections.numa.virt.plugins.module_utils._planner.check import never
from ansible_collections.numa.virt.plugins.module_utils._planner.explain import reject
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import Occupancy
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request


class Explain:
    """Of a fleet in which nothing changes any more."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._nearest: dict[tuple[object, ...], int | None] = {}

    def plain(self, name: str, at: int | None, constraint: str, text: str) -> FleetRejection:
        host = None if at is None else self.fleet.hosts[at].name
        return FleetRejection(name, host, constraint, None, None, 0, 0, "", f"{name}: {text}")

    def reject(self, request: FleetRequest, at: int | None) -> FleetRejection:
        """A guest that found no room."""
        fleet, name = self.fleet, request.name
        open_to = fleet.where.open_to(request)
        candidates = [each for each in fleet.boards if open_to is None or each in open_to]
        if not candidates:
            return self.plain(name, at, *self._closed(request))
        namesakes = fleet.named.get(name, ())
        candidates = [each for each in candidates if each not in namesakes]
        if not candidates:
            return self.plain(name, at, "hosts", "no host is open to it but those that have a guest of that name")
        wish = replace(moved(request.guest), name="", priority=0)
        key = (wish, open_to, namesakes)
        if key not in self._nearest:
            self._nearest[key] = self._nearest_of(wish, candidates)
        number = self._nearest[key]
        if number is None:
            return self._impossible(request, at, candidates[0])
        board = fleet.boards[number]
        found = reject(board.board, board.guest(moved(request.guest)))
        text = found.message.replace(f"{name}: ", "", 1)
        return FleetRejection(
            name=name,
            at=None if at is None else fleet.hosts[at].name,
            constraint=found.constraint,
            host=board.name,
            cell=found.cell,
            needed=found.needed,
            available=found.available,
            unit=found.unit,
            message=f"{name}: nearest is host {board.name}: {text}",
        )

    def _closed(self, request: FleetRequest) -> tuple[str, str]:
        """(constraint, text) of a guest that no host is open to."""
        fleet, named = self.fleet, self.fleet.where.named(request)
        if not fleet.boards:
            return "hosts", "no host of the fleet is planned on to"
        if named is not None and not named & fleet.boards.keys():
            asked = [*request.hosts, *(f"{label}={value}" for label, value in request.labels)]
            if not named:
                return "hosts", f"the fleet has no host for {few(asked)}"
            states = [f"{fleet.hosts[number].name} is {fleet.states[number][0]}" for number in sorted(named)]
            return "hosts", f"no host for {few(asked)} is planned on to: {few(states)}"
        groups = [group.name for group in request.groups]
        return "group", f"{'group' if len(groups) == 1 else 'groups'} {few(groups)} leaves it no host"

    def _impossible(self, request: FleetRequest, at: int | None, number: int) -> FleetRejection:
        """A guest for which no host that it may be on has what it takes, even empty."""
        board = self.fleet.boards[number]
        why = never(Occupancy(board.capacity).board(), moved(request.guest))
        text = why[1].message.replace(f"{request.name}: ", "", 1) if why is not None else "it has not what it takes"
        found = self.plain(request.name, at, "host", f"no host could ever hold it: on host {board.name} {text}")
        return replace(found, host=board.name)

    def _nearest_of(self, wish: Request, candidates: list[int]) -> int | None:
        """The host with the cell that has the largest share of what the guest needs, by the scarcer resource."""
        found: tuple[float, float, int] | None = None
        for number in candidates:
            if self.fleet.possible(number, wish):
                key = (*_nearness(self.fleet.boards[number], wish), -number)
                found = key if found is None else max(found, key)
        return None if found is None else -found[2]


def _nearness(host: HostBoard, wish: Request) -> tuple[float, float]:
    board, guest = host.board, host.guest(wish)
    mem = board.memory(guest)
    cells = bits(board.open_to(guest) & board.capacity.with_cpus)
    shares = [(board.room_for(guest, cell) / guest.need, mem[cell] / guest.mem) for cell in cells]
    return max(((min(1.0, *pair), sum(pair)) for pair in shares), default=(-1.0, 0.0))


def waiting(moves: Moves) -> dict[tuple[str, int | None], list[str]]:
    """Of guests that found no room: who would have to leave first, where that alone is what is missing."""
    fleet = moves.fleet
    stuck = [task for task in moves.left.values() if moves.at.get(task.key) in fleet.boards]
    gone = [fleet.leave(task.mover.name, moves.at[task.key]) for task in stuck]
    found: dict[tuple[str, int | None], list[str]] = {}
    for task in moves.left.values() if stuck else ():
        place = fleet.find(task.request)
        if place is not None:
            found[task.key] = [each.mover.name for each in stuck if _other(moves, each, task, place.host)]
    for left in reversed(gone):
        fleet.back(left)
    return {key: names for key, names in found.items() if names}


def _other(moves: Moves, each: Task, task: Task, host: int) -> bool:
    return each.key != task.key and moves.at[each.key] == host


def in_state(fleet: Fleet) -> tuple[tuple[str, str], ...]:
    """Hosts that are not planned with, and why, but for those that are in or drained."""
    return tuple(
        (host.name, why or state)
        for host, (state, why) in zip(fleet.hosts, fleet.states)
        if state not in (IN, "draining")
    )
