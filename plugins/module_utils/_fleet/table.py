# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is where, who stays, and who has to leave: before anybody gets a place.

A guest stays where that is a place for it: by its host's planner, by the hosts it may be on, by its groups. One that
its own host can put right on other CPUs or cells stays on it. Nobody leaves a host that is out, or unknown.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    DRAINING,
    IN,
    TOGETHER,
    FleetRequest,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import HERE
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import KEEP as STAY
from ansible_collections.numa.virt.plugins.module_utils._planner.partial import existing_of, plan_partial
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options
from ansible_collections.numa.virt.plugins.module_utils._planner.result import KEEP, Plan
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union


@dataclass(frozen=True)
class Mover:
    """A guest that needs a place: new where ``at`` is None, else it has to leave that host, and ``why``.

    ``request`` None: nobody has said what it needs. ``claim``: a host where its place is taken already.
    """

    name: str
    request: FleetRequest | None
    at: int | None
    why: str
    memory: int
    claim: int | None = None


class Stayer(NamedTuple):
    """A guest that stays on its host; ``action`` is "keep" or "here"."""

    request: FleetRequest
    at: int
    action: str
    cells: CpuSet
    why: str


class Table:
    """Of the guests that are asked about, and all on hosts that are drained: ``stay`` and ``movers``. A guest that is
    new and claimed its place is in ``claimed``, with that place."""

    def __init__(self, fleet: Fleet, requests: Iterable[FleetRequest]) -> None:
        self.fleet = fleet
        self.requests = {each.name: each for each in sorted(requests, key=lambda each: each.name)}
        self.home: dict[str, int] = {}
        self.stay: list[Stayer] = []
        self.claimed: list[Stayer] = []
        self.movers: list[Mover] = []
        for request in self.requests.values():
            self._find(request)
        self._settle()
        self._drain()

    def _find(self, request: FleetRequest) -> None:
        """Where it is. Raises InputError where that cannot be told."""
        fleet, option = self.fleet, f"domains[{request.name}].at"
        having = fleet.named.get(request.name, ())
        real = [number for number in having if self._is_there(request.name, number)]
        if request.at is not None:
            number = fleet.number[request.at]
            if number not in real and fleet.states[number][0] in (IN, DRAINING):
                raise InputError(option, request.at, "no such guest is there", "look at the hosts again")
            self.home[request.name] = number
        elif len(real) > 1:
            names = ", ".join(fleet.hosts[number].name for number in real)
            raise InputError(option, None, f"{names} have a guest of that name", "say which of them is meant")
        elif having:
            self.home[request.name] = (real or list(having))[0]

    def _is_there(self, name: str, number: int) -> bool:
        """Whether it really is there, and not just claimed."""
        return any(each.name == name for each in self.fleet.hosts[number].existing)

    def _guest(self, name: str, number: int) -> Existing | None:
        return self.fleet.guests[number].get(name)

    def _settle(self) -> None:
        anchors = self._anchors()
        found: dict[int, list[FleetRequest]] = {}
        for request in self.requests.values():
            number = self.home.get(request.name)
            if number is None:
                self._move(request, None, "it is new")
                continue
            state, why = self.fleet.states[number]
            if state == IN:
                found.setdefault(number, []).append(request)
            elif state == DRAINING:
                self._move(request, number, self._drained(number))
            else:
                text = f"its host is {state}{f' ({why})' if why else ''}, and nothing is planned off it"
                self._keep(request, number, STAY, self._cells(request.name, number), text)
        waiting = [(request, number) for number, requests in found.items() for request in requests]
        waiting.sort(key=lambda each: (-self._anchored(anchors, *each), -each[0].guest.priority, each[0].name))
        fine: dict[int, list[FleetRequest]] = {}
        for request, number in waiting:
            wrong = self._misplaced(request, number)
            if wrong is None:
                fine.setdefault(number, []).append(request)
                self.fleet.join(request, number)
            else:
                self._move(request, number, wrong)
        for number, requests in sorted(fine.items()):
            self._ask_host(number, requests)

    def _anchors(self) -> dict[Group, dict[str | None, int]]:
        """Of each group that shares something: how many members are where."""
        found: dict[Group, dict[str | None, int]] = {}
        for name, number in self.home.items():
            for group in self.requests[name].groups:
                value = self.fleet.where.domain(group.within, number)
                members = found.setdefault(group, {})
                members[value] = members.get(value, 0) + (group.kind == TOGETHER)
        return found

    def _anchored(self, anchors: dict[Group, dict[str | None, int]], request: FleetRequest, number: int) -> int:
        where = self.fleet.where
        return max((anchors[group][where.domain(group.within, number)] for group in request.groups), default=0)

    def _misplaced(self, request: FleetRequest, number: int) -> str | None:
        """Why it may not be on that host, whatever is free there."""
        name = self.fleet.hosts[number].name
        named = self.fleet.where.named(request)
        if named is not None and number not in named:
            return f"it may not be on host {name}, by the hosts and labels asked for"
        group = self.fleet.where.forbidden_by(request, number)
        if group is not None:
            return f"group {group.name} keeps it off host {name}"
        if not self.fleet.possible(number, request.guest):
            return f"host {name} has not what it asks for"
        return None

    def _ask_host(self, number: int, requests: list[FleetRequest]) -> None:
        """Who of these stays, by the planner of the host that they are on."""
        fleet, host = self.fleet, self.fleet.hosts[number]
        there = fleet.guests[number]
        made: Plan = plan_partial(
            fleet.boards[number].capacity.host, [each.guest for each in requests], there, there, host.rules, Options()
        )
        asked = {each.name: each for each in requests}
        changed = []
        for placed in made.placements:
            request = asked[placed.name]
            action = STAY if placed.action == KEEP else HERE
            if not self._is_there(placed.name, number):
                self.claimed.append(Stayer(request, number, action, placed.cells, "its place is claimed"))
            else:
                self._keep(request, number, action, placed.cells, placed.reason, joined=True)
            if action == HERE:
                changed.append(existing_of(request.guest, placed, there[placed.name]))
        for rejection in made.rejections:
            request = asked[rejection.name]
            fleet.unjoin(request.name, number)
            self._move(request, number, f"its place on host {host.name} is not valid: {rejection.message}")
        if changed:
            fleet.replace(number, changed)

    def _drain(self) -> None:
        """All others of hosts that are drained."""
        for number, host in enumerate(self.fleet.hosts):
            if self.fleet.states[number][0] != DRAINING:
                continue
            for each in host.existing:
                if self.home.get(each.name) != number:
                    request = None if each.wish is None else FleetRequest(each.wish)
                    why = self._drained(number)
                    self.movers.append(Mover(each.name, request, number, why, each.memory, self._claim(each.name)))

    def _drained(self, number: int) -> str:
        why = self.fleet.states[number][1]
        return f"host {self.fleet.hosts[number].name} is drained{f' ({why})' if why else ''}"

    def _keep(
        self, request: FleetRequest, number: int, action: str, cells: CpuSet, why: str, joined: bool = False
    ) -> None:
        if not joined:
            self.fleet.join(request, number)
        self.stay.append(Stayer(request, number, action, cells, why))

    def _move(self, request: FleetRequest, number: int | None, why: str) -> None:
        guest = None if number is None else self._guest(request.name, number)
        memory = request.guest.memory if guest is None else guest.memory
        if number is not None and not self._is_there(request.name, number):
            # What it has is a claim that is of no use: it is given up for the place that it gets.
            self.movers.append(Mover(request.name, request, None, why, memory, number))
        else:
            self.movers.append(Mover(request.name, request, number, why, memory, self._claim(request.name)))

    def _claim(self, name: str) -> int | None:
        """A host that is planned on to where a place is claimed for a guest that is elsewhere."""
        having = self.fleet.named.get(name, ())
        found = [each for each in having if each in self.fleet.boards and not self._is_there(name, each)]
        return found[0] if found else None

    def _cells(self, name: str, number: int) -> CpuSet:
        guest, host = self._guest(name, number), self.fleet.hosts[number].host
        if guest is None or host is None:
            return EMPTY
        return host.cells_touched(union(cpus for cpus in guest.vcpu_cpus if cpus is not None))
