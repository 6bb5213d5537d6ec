# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a fleet: who stays, who goes where and by which steps, who is refused, and how good it can be at best.

Whoever has a valid place stays; a new guest moves nobody.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, few
from ansible_collections.numa.virt.plugins.module_utils._fleet.bound import Room, most_vcpus, worth_most
from ansible_collections.numa.virt.plugins.module_utils._fleet.check import check_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.explain import Explain, in_state, waiting
from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.moves import Moves
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetHost, FleetOptions, FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import (
    HERE,
    MOVE,
    ON_HOST,
    PLACE,
    START,
    STUCK,
    FleetPlaced,
    FleetPlan,
    FleetRejection,
    Step,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.spare import keep_spare
from ansible_collections.numa.virt.plugins.module_utils._fleet.table import Mover, Stayer, Table
from ansible_collections.numa.virt.plugins.module_utils._planner.check import check_rules
from ansible_collections.numa.virt.plugins.module_utils._planner.explain import reason
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY

_NO_LIMITS, _ONE_HOST = FleetOptions(), Options()


def plan_fleet(
    hosts: Iterable[FleetHost], requests: Iterable[FleetRequest], options: FleetOptions = _NO_LIMITS
) -> FleetPlan:
    """Host and cells for each requested guest, and for all of hosts that are drained.

    The order of both does not matter. Raises InputError; what does not fit is in ``FleetPlan.rejections``.
    """
    return planned_fleet(hosts, requests, options).answer()


def planned_fleet(
    hosts: Iterable[FleetHost], requests: Iterable[FleetRequest], options: FleetOptions = _NO_LIMITS
) -> Planned:
    """The same, with the fleet as it will be. Raises InputError."""
    hosts, requests = list(hosts), list(requests)
    check_fleet(hosts, requests, options)
    for each in hosts:
        _check_host(each)
    return Planned(Fleet(hosts, options), requests, options)


def _check_host(host: FleetHost) -> None:
    """Raises InputError."""
    if host.host is not None:
        try:
            check_rules(host.host, host.rules, _ONE_HOST)
        except InputError as error:
            option, problem = error.fields["option"], error.fields["problem"]
            raise InputError(
                f"hosts[{host.name}].{option}", error.fields["value"], problem, error.fields["expected"]
            ) from None


class Planned:
    """A plan as it is made; ``fleet`` is then as it will be."""

    def __init__(self, fleet: Fleet, requests: Iterable[FleetRequest], options: FleetOptions) -> None:
        self.fleet, self.options = fleet, options
        self.table = Table(fleet, requests)
        self.moves = Moves(fleet, self.table.movers, options)
        self.room = self._room()
        self.moves.prefer(worth_most(self.room, [each.request for each in self.moves.left.values()]))
        self.moves.run()
        if options.spare_hosts:
            keep_spare(self.moves, self.table.requests)

    def _room(self) -> Room:
        """What is free before anybody gets a place, once all that have to leave have left."""
        fleet = self.fleet
        gone = [fleet.leave(name, number) for (name, _at), number in self.moves.at.items() if number in fleet.boards]
        room = Room(fleet)
        for left in reversed(gone):
            fleet.back(left)
        return room

    def answer(self) -> FleetPlan:
        table, moves = self.table, self.moves
        placed = [self._stayed(each) for each in table.stay]
        placed += [self._claimed(each) for each in table.claimed]
        placed += [self._moved(each) for each in table.movers if each.at is not None or self._got(each)]
        first = [*(self._step(each, ON_HOST) for each in table.stay if each.action == HERE)]
        first += [self._step(each, START) for each in table.claimed]
        batches = [*([first] if first else []), *moves.batches()]
        return FleetPlan(
            placements=tuple(sorted(placed, key=lambda each: (each.name, each.host))),
            batches=tuple(tuple(batch) for batch in batches),
            rejections=tuple(sorted(self._rejections(), key=lambda each: (each.name, each.at or ""))),
            vcpus_at_most=self._bound(),
            unknown=in_state(self.fleet),
        )

    def _got(self, mover: Mover) -> bool:
        return (mover.name, mover.at) in self.moves.places

    def _bound(self) -> int:
        """Those that stay have their place; what they leave is not free before."""
        there = sum(each.request.guest.vcpus for each in (*self.table.stay, *self.table.claimed))
        return there + most_vcpus(self.room, [each.request for each in self.table.movers if each.request is not None])

    def _stayed(self, each: Stayer) -> FleetPlaced:
        host = self.fleet.hosts[each.at].name
        guest = each.request.guest
        return FleetPlaced(guest.name, each.action, host, each.cells, guest.vcpus, guest.memory, host, each.why)

    def _claimed(self, each: Stayer) -> FleetPlaced:
        host, guest = self.fleet.hosts[each.at].name, each.request.guest
        return FleetPlaced(guest.name, PLACE, host, each.cells, guest.vcpus, guest.memory, None, each.why)

    def _step(self, each: Stayer, how: str) -> Step:
        host, guest = self.fleet.hosts[each.at].name, each.request.guest
        return Step(guest.name, host if how == ON_HOST else None, host, each.cells, how, guest.memory)

    def _moved(self, mover: Mover) -> FleetPlaced:
        fleet, key = self.fleet, (mover.name, mover.at)
        at = None if mover.at is None else fleet.hosts[mover.at].name
        vcpus = mover.request.guest.vcpus if mover.request is not None else 0
        place = self.moves.places.get(key)
        if place is None:
            return FleetPlaced(mover.name, STUCK, str(at), EMPTY, vcpus, mover.memory, at, mover.why)
        board = fleet.boards[place.host]
        guest = board.placed[mover.name][0]
        why = f"{mover.why}; host {board.name}: {reason(board.board, guest, place.spot)}"
        action = PLACE if at is None else MOVE
        cells = board.capacity.cell_ids(place.spot.cells)
        return FleetPlaced(mover.name, action, board.name, cells, vcpus, mover.memory, at, why)

    def _rejections(self) -> list[FleetRejection]:
        moves, explain = self.moves, Explain(self.fleet)
        found = [explain.plain(name, at, *why) for (name, at), why in moves.refused.items()]
        waits = waiting(moves)
        for task in moves.left.values():
            name, at = task.key
            if not moves.may(task, 1):
                found.append(explain.plain(name, at, "limit", moves.limit_text()))
            elif task.key in waits:
                text = f"it could go once {few(waits[task.key])} had left, who has no other place either"
                found.append(explain.plain(name, at, "waits", text))
            else:
                found.append(explain.reject(task.request, at))
        return found
