# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From cells to CPUs: which ones each guest gets, once it is known how many it gets on each cell.

This file must not import ansible, libvirt or lxml, and must not choose cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Part, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.caches import fewest
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
from ansible_collections.numa.virt.plugins.module_utils._planner.siblings import keeps_cores, unit_of


@dataclass
class Assignment:
    """What one guest with CPUs of its own gets: on each cell its CPUs in the order of vCPUs, and all that it owns."""

    cpus: dict[int, list[int]] = field(default_factory=dict)
    owned: int = 0


@dataclass
class _Member:
    """A guest's part on a cell. ``caches``: those that it is to stay in, the first ones first; ``bound``: and in no
    other. ``got`` are its CPUs."""

    guest: Guest
    need: int
    caches: list[int]
    bound: bool
    got: list[int] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return self.need - len(self.got)


def assign_cpus(capacity: Capacity, taken: int, placed: Sequence[tuple[Guest, Spot]]) -> dict[Guest, Assignment]:
    """CPUs for guests that own theirs; ``taken`` belong to others or are in use.

    Whole cores first, siblings together. Bigger guests choose first. A guest whose number of CPUs does not fill cores
    has the rest on a core of its own while there are enough, and else shares one with the rest of another. Where a
    cell has several last-level caches a guest stays in the one that it fits closest, then in the fewest.

    Cores 0-1, 2-3, 4-5, 6-7, guests of 3 and 3 CPUs: 0-1,4 and 2-3,6. With a third of 2 CPUs the rests share a core:
    0-1,6 and 2-3,7 and 4-5.
    """
    assignments = {guest: Assignment() for guest, _spot in placed if guest.kind != SHARED}
    on: dict[int, list[_Member]] = {}
    for guest, spot in placed:
        seats = {seat.cell: seat.cache for seat in spot.seats}
        for part in spot.parts if guest.kind != SHARED else ():
            on.setdefault(part.cell, []).append(_member(guest, part, seats))
    for cell, members in sorted(on.items()):
        members.sort(key=lambda each: (each.guest.kind == PREFER, not each.bound, -each.need, each.guest.name))
        cores = _Cores(capacity, cell, capacity.own[cell] & ~taken)
        _assign_on_cell(cores, members, assignments)
        for each in members:
            assignments[each.guest].cpus[cell] = each.got
    return assignments


def _member(guest: Guest, part: Part, seats: dict[int, int]) -> _Member:
    caches = [seats[part.cell]] if guest.confined and part.cell in seats else []
    return _Member(guest, part.cpu, caches, bool(caches))


class _Cores:
    """What is left of a cell, by cache: whole cores and free threads of others, ascending.

    ``asked``: CPUs that guests bound to a cache are still to get there; ``rests``: cores that others would like there.
    """

    def __init__(self, capacity: Capacity, cell: int, free: int) -> None:
        self.threads = capacity.threads[cell]
        self.cache_of, self.core_of = capacity.cache_of, capacity.core_of
        caches = range(len(capacity.caches[cell]))
        self.all = list(caches)
        self.whole: list[list[int]] = [[] for _cache in caches]
        self.broken: list[list[int]] = [[] for _cache in caches]
        for core in capacity.cores[cell]:
            if not core & ~free and count(core) == self.threads:
                self.whole[capacity.cache_of[core]].append(core)
            elif core & free:
                self.broken[capacity.cache_of[core]].append(core & free)
        self.free = [count(mask & free) for mask in capacity.caches[cell]]
        self.asked = [0 for _cache in caches]
        self.rests = [0 for _cache in caches]

    def room(self, cache: int) -> int:
        """Whole cores that may be taken from there."""
        return min(len(self.whole[cache]), (self.free[cache] - self.asked[cache]) // self.threads)

    def choose(self, cores: int, cpus: int) -> list[int]:
        """The caches for so many whole cores, of so many CPUs: rather fewer caches than a core that nobody shares."""
        rooms = [self.room(cache) for cache in self.all]
        if not any(room > 0 for room in rooms):
            return fewest(self.free, cpus)
        full = -(-cpus // self.threads)
        clean = fewest([room - rests for room, rests in zip(rooms, self.rests)], full)
        if sum(max(0, rooms[cache] - self.rests[cache]) for cache in clean) < full:
            clean = fewest(rooms, full)
        tight = fewest(rooms if cores else self.free, cores or cpus)
        holds = sum(self.free[cache] for cache in tight) >= cpus
        return tight if holds and (len(tight) < len(clean) or sum(rooms[c] for c in clean) < full) else clean

    def take_whole(self, member: _Member, cores: int) -> list[int]:
        """So many whole cores of its caches, or of any, as far as there are."""
        found: list[int] = []
        for cache in member.caches:
            number = min(cores - len(found), len(self.whole[cache]) if member.bound else self.room(cache))
            found += self._cut(cache, number)
        while not member.caches and len(found) < cores:
            open_caches = [cache for cache in self.all if self.room(cache) > 0]
            if not open_caches:
                break
            found += self._cut(min(open_caches, key=lambda cache: self.whole[cache][0]), 1)
        return sorted(found, key=lambda core: core & -core)

    def _cut(self, cache: int, number: int) -> list[int]:
        found = self.whole[cache][:number]
        del self.whole[cache][:number]
        self.free[cache] -= number * self.threads
        return found

    def take_rest(self, member: _Member, unit: int) -> int:
        """Some of the CPUs that it is missing: of a whole core, else of the core that is left with the fewest idle
        threads, or of the fullest where none is enough. ``unit``: as many of one core as a core of the guest has."""
        missing = member.missing
        caches = [cache for cache in member.caches or self.all if self.free[cache]]
        if not caches:
            member.caches = member.caches + self._others(missing)
            return self.take_rest(member, unit)
        open_caches = [cache for cache in caches if self.whole[cache]]
        if open_caches:
            cache = min(open_caches, key=lambda each: self.whole[each][0])
            core, number = self.whole[cache].pop(0), missing
        else:
            cores = ((core, cache) for cache in caches for core in self.broken[cache])
            core, cache, number = self._broken(cores, missing, unit)
            self.broken[cache].remove(core)
        taken = first(core, min(number, count(core)))
        if core & ~taken:
            self.broken[cache].append(core & ~taken)
        self.free[cache] -= count(taken)
        return taken

    @staticmethod
    def _broken(cores: Iterable[tuple[int, int]], missing: int, unit: int) -> tuple[int, int, int]:
        """(its free threads, its cache, how many to take) of the best core that is not whole."""
        listed = list(cores)
        if unit > 1:
            fitting = [
                (-number, count(core) - number, core, cache)
                for core, cache in listed
                for number in [min(missing, count(core)) // unit * unit]
                if number
            ]
            if fitting:
                number, _left, core, cache = min(fitting)
                return core, cache, -number
        _short, _off, core, cache = min(
            (count(core) < missing, abs(count(core) - missing), core, cache) for core, cache in listed
        )
        return core, cache, missing

    def _others(self, missing: int) -> list[int]:
        """More caches: those with whole cores, while there are any."""
        cores = [len(whole) for whole in self.whole]
        return fewest(cores, -(-missing // self.threads)) if any(cores) else fewest(self.free, missing)


def _assign_on_cell(cores: _Cores, members: list[_Member], assignments: dict[Guest, Assignment]) -> None:
    threads = cores.threads
    for each in members:
        if each.bound and each.guest.kind == PREFER:
            cores.asked[each.caches[0]] += each.need
    for each in members:
        isolated = each.guest.kind == ISOLATE
        number = each.need if isolated else each.need // threads
        if each.guest.kind not in (ISOLATE, PREFER):
            number = -(-each.need // threads)
        if not each.bound and each.guest.request.cache != "ignore" and each.need:
            each.caches = cores.choose(number, each.need * threads if isolated else each.need)
        mine = cores.take_whole(each, number)
        each.got = [cpu for core in mine for cpu in bits(first(core, 1) if isolated else core)][: each.need]
        for core in mine:
            assignments[each.guest].owned |= core
        if each.bound and each.guest.kind == PREFER:
            cores.asked[each.caches[0]] -= len(each.got)
        elif each.missing and each.caches:
            cores.rests[each.caches[-1]] += 1
    for each in members:
        unit = unit_of(each.guest.request.threads, threads) if keeps_cores(each.guest) else 1
        while each.missing:
            taken = cores.take_rest(each, unit)
            each.got += bits(taken)
            assignments[each.guest].owned |= taken


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
