# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests get their places one after the other, as steps of which each fits.

A round: every guest that has room somewhere now takes it, while all that move are still where they were. Then those
have left, and in the next round others find the room that this made. So all steps of a round may run at once. Where
nobody finds room any more one of those that have to leave goes to a third place for a while (of any host, for those
that it asks for are full), if that lets others go on and itself find its own place in the end.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet, Place, kind_and_size
from ansible_collections.numa.virt.plugins.module_utils._fleet.host import moved
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    APART,
    NEVER,
    TOGETHER,
    FleetOptions,
    FleetRequest,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import START, Step
from ansible_collections.numa.virt.plugins.module_utils._fleet.table import Mover
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import SHARED, UNIT

# Third places that are tried, and hosts or racks that are tried for a group that shares one.
_TRIES = 32
# Guests from which on it pays to remember where each kind of them would go.
_MANY = 50

Key = tuple[str, "int | None"]


class Task(NamedTuple):
    """A guest that can be given a place: what it needs, and the mover that it is."""

    mover: Mover
    request: FleetRequest

    @property
    def key(self) -> Key:
        return self.mover.name, self.mover.at


class Moves:
    """``rounds`` are the steps; ``places`` where each guest got to; ``refused`` and why; ``left`` found no room."""

    def __init__(self, fleet: Fleet, movers: Sequence[Mover], options: FleetOptions) -> None:
        self.fleet, self.options = fleet, options
        self.rounds: list[list[Step]] = []
        self.places: dict[Key, Place] = {}
        self.refused: dict[Key, tuple[str, str]] = {}
        self.at: dict[Key, int] = {}
        self.moves = self.memory = 0
        self._undo: list[Callable[[], object]] = []
        tasks = []
        for mover in movers:
            request = mover.request
            key = (mover.name, mover.at)
            if request is None:
                self.refused[key] = ("wish", "nobody has said what it needs: name it among the domains")
            elif mover.at is not None and request.how == NEVER:
                self.refused[key] = ("never", "it is never to be moved")
            else:
                tasks.append(Task(mover, request))
        self.left = {task.key: task for task in sorted(tasks, key=self._order)}
        for task in self.left.values():
            if task.mover.claim is not None:
                fleet.leave(task.mover.name, task.mover.claim)
            if task.mover.at is not None:
                self.at[task.key] = task.mover.at
                fleet.join(self._holding(task.request), task.mover.at)

    def _order(self, task: Task) -> tuple[object, ...]:
        """By priority; then who leaves before who is new, few hosts before many, large before small."""
        request, named = task.request, self.fleet.where.named(task.request)
        kind, size = kind_and_size(request.guest)
        rod = self.fleet.rod(kind, size)
        cpu = request.guest.vcpus * (UNIT if kind == SHARED else 1) / rod.cpu
        choice = len(self.fleet.hosts) if named is None else len(named)
        share = max(cpu, request.guest.memory / (size or 1) / rod.mem)
        return (-request.guest.priority, task.mover.at is None, choice, -share, request.name, task.mover.at or 0)

    def prefer(self, names: Container[str]) -> None:
        """Of new guests of one priority these come first."""
        order = sorted(
            self.left.values(),
            key=lambda each: (-each.request.guest.priority, each.mover.at is None, each.request.name not in names),
        )
        self.left = {task.key: task for task in order}

    def _holding(self, request: FleetRequest) -> FleetRequest:
        """A guest as long as it has not left: it keeps others off, and draws nobody there."""
        return replace(request, groups=tuple(group for group in request.groups if group.kind == APART))

    def run(self) -> None:
        self.fleet.often = len(self.left) > _MANY
        self._go_on()
        tries = _TRIES
        while tries:
            tries = tries - 1 if self._step_aside() else 0
        self.fleet.often = False

    # Rounds

    def _go_on(self) -> None:
        """Rounds until nobody finds room any more."""
        again = True
        while again:
            steps: list[Step] = []
            gone: list[tuple[Task, int]] = []
            for task in list(self.left.values()):
                if task.key not in self.left:
                    continue  # with the first of its group
                for each, place in self._places(task):
                    before = self.at.get(each.key)
                    steps.append(self._take(each, place))
                    if before is not None:
                        gone.append((each, before))
            for task, number in gone:
                self._vacate(task, number)
            self.rounds += [steps] if steps else []
            again = any(number in self.fleet.boards for _task, number in gone)

    def _places(self, task: Task) -> list[tuple[Task, Place]]:
        """A place for the guest, and for those of its group that it shares one with, while they have none."""
        for group in task.request.groups:
            if group.kind == TOGETHER and not any(self.fleet.where.members.get(group, {}).values()):
                return self._for_group(task, group)
        place = self._find(task) if self.may(task, 1) else None
        if place is None:
            return []
        self._put(task, place)
        return [(task, place)]

    def _for_group(self, task: Task, group: Group) -> list[tuple[Task, Place]]:
        """The first value of what they share that holds all of them; else the one that holds most."""
        members = [each for each in self.left.values() if group in each.request.groups]
        allowed = self.fleet.where.open_to(task.request)
        numbers = (number for number, _offer in self.fleet.offers(moved(task.request.guest)))
        order = [number for number in numbers if allowed is None or number in allowed]
        values = list(dict.fromkeys(str(self.fleet.where.domain(group.within, number)) for number in order))
        best: tuple[int, str] | None = None
        for value in values[:_TRIES]:
            found = self._all_in(members, group, value)
            if len(found) == len(members):
                return found
            self._take_back(found)
            if found and (best is None or len(found) > best[0]):
                best = (len(found), value)
        return self._all_in(members, group, best[1]) if best is not None else []

    def _all_in(self, members: Sequence[Task], group: Group, value: str) -> list[tuple[Task, Place]]:
        """Those that find room among these hosts, each in its place."""
        inside = self.fleet.where.hosts_in(group.within, value)
        found: list[tuple[Task, Place]] = []
        for task in members:
            place = self._find(task, inside) if self.may(task, 1 + len(found)) else None
            if place is not None:
                self._put(task, place)
                found.append((task, place))
        return found

    def _take_back(self, found: Sequence[tuple[Task, Place]]) -> None:
        for _each in found:
            self._undo.pop()()

    # One guest

    def may(self, task: Task, moves: int) -> bool:
        """Whether so many more moves, with the memory of this one, are within the limits."""
        if task.key not in self.at:
            return True
        options, memory = self.options, self.memory + task.mover.memory
        return (options.max_moves is None or self.moves + moves <= options.max_moves) and (
            options.max_memory_moved is None or memory <= options.max_memory_moved
        )

    def limit_text(self) -> str:
        options = self.options
        most = [f"{options.max_moves} moves"] * (options.max_moves is not None)
        most += [f"{options.max_memory_moved} KiB"] * (options.max_memory_moved is not None)
        return f"no more than {' and '.join(most)} are allowed, and others come first"

    def _find(self, task: Task, hosts: frozenset[int] | None = None) -> Place | None:
        """The best place now, where its claim was if that is one; among these hosts."""
        fleet, name, at = self.fleet, task.mover.name, self.at.get(task.key)
        holding = fleet.unjoin(name, at) if at is not None else None
        open_to = fleet.where.open_to(task.request)
        if hosts is not None:
            open_to = hosts if open_to is None else hosts & open_to
        place, claim = None, task.mover.claim
        if claim is not None and (open_to is None or claim in open_to):
            place = fleet.find(task.request, frozenset([claim]))
        if place is None:
            place = fleet.find(task.request, open_to)
        if holding is not None and at is not None:
            fleet.join(holding, at)
        return place

    def _put(self, task: Task, place: Place) -> None:
        self.fleet.put(task.request, place)
        self._undo.append(partial(self.fleet.leave, task.mover.name, place.host))

    def _take(self, task: Task, place: Place, passing: bool = False) -> Step:
        """The step to a place that the guest has been put on."""
        if not passing:
            del self.left[task.key]
            self.places[task.key] = place
        before = self.at.get(task.key)
        if before is not None:
            self.moves += 1
            self.memory += task.mover.memory
        hosts, capacity = self.fleet.hosts, self.fleet.boards[place.host].capacity
        return Step(
            name=task.mover.name,
            source=None if before is None else hosts[before].name,
            host=hosts[place.host].name,
            cells=capacity.cell_ids(place.spot.cells),
            how=START if before is None else task.request.how,
            memory=task.mover.memory,
            passing=passing,
        )

    def _vacate(self, task: Task, number: int) -> None:
        self._undo.append(partial(self.fleet.back, self.fleet.leave(task.mover.name, number)))

    def new(self) -> list[Key]:
        """Guests that got a place and had none, in the order in which they got it."""
        return [key for key in self.places if key[1] is None]

    def withdraw(self, key: Key, constraint: str, text: str) -> None:
        """A new guest gets no place after all; it has been taken off its host already."""
        self.refused[key] = (constraint, text)
        del self.places[key]
        self.rounds = [[step for step in steps if step.source or step.name != key[0]] for steps in self.rounds]

    # A third place

    def _step_aside(self) -> bool:
        """One that has to leave goes to a third place for a while. Whether that has brought it to its own in the end;
        else nothing has changed."""
        for task in list(self.left.values()):
            at = self.at.get(task.key)
            if at is None or at not in self.fleet.boards or not self.may(task, 2):
                continue
            anywhere = replace(task.request, hosts=(), labels=())
            place = self._find(Task(task.mover, anywhere))
            if place is None:
                continue
            before = (dict(self.left), len(self.rounds), dict(self.places), self.moves, self.memory)
            self._undo.clear()
            self._put(Task(task.mover, anywhere), place)
            self.rounds.append([self._take(task, place, passing=True)])
            self._vacate(task, at)
            self.at[task.key] = place.host
            self._go_on()
            if task.key not in self.left:
                return True
            while self._undo:
                self._undo.pop()()
            self.at[task.key] = at
            self.left, rounds, self.places, self.moves, self.memory = before
            del self.rounds[rounds:]
        return False

    def batches(self) -> list[list[Step]]:
        """The rounds in parts of which each may run at once, by the limits."""
        found: list[list[Step]] = []
        for steps in self.rounds:
            rest = steps
            while rest:
                batch, rest = self._batch(rest)
                found.append(batch)
        return found

    def _batch(self, steps: Sequence[Step]) -> tuple[list[Step], list[Step]]:
        busy: dict[str | None, int] = {}
        batch, rest, moves = [], [], 0
        host_limit = self.options.at_once_host or len(steps)
        fleet_limit = self.options.at_once_fleet or len(steps)
        for step in steps:
            ends = {step.source, step.host}
            if step.moves and (moves >= fleet_limit or any(busy.get(end, 0) >= host_limit for end in ends)):
                rest.append(step)
                continue
            batch.append(step)
            for end in ends if step.moves else ():
                busy[end] = busy.get(end, 0) + 1
            moves += step.moves
        return batch, rest
