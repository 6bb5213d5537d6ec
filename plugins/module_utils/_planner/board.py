# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is free on each cell, and guests on cells: the numbers that every search of the planner counts with.

This file must not import ansible, libvirt or lxml, and must not choose anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._planner.caches import Cache, Seat, fewest
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    ISOLATE,
    PREFER,
    SHARED,
    UNIT,
    Capacity,
    Guest,
    bits,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request


class Part(NamedTuple):
    """What a guest takes of one cell, in the guest's own units; ``others``: pairs (pool, amount) of its other pools."""

    cell: int
    cpu: int
    mem: int
    others: tuple[tuple[int, int], ...] = ()

    def memory(self, pool: int) -> tuple[tuple[int, int], ...]:
        """Pairs (pool, amount) of all of it, where ``mem`` is of this pool."""
        return ((pool, self.mem), *self.others)


class Spot(NamedTuple):
    """Where a guest is: a part for each cell. For a mirrored guest part N is its cell N. ``cells`` is the mask.

    ``seats``: its caches, for a guest that has to stay in one of each cell, and for one that is on the host already.
    """

    parts: tuple[Part, ...]
    cells: int
    distance: int
    seats: tuple[Seat, ...] = ()

    @property
    def width(self) -> int:
        return len(self.parts)


class Board:
    """Free capacity by cell.

    ``joint``: 1/UNIT of shared CPUs; where the rules do not divide the CPUs a CPU that is given away leaves it too.
    ``free``: CPUs that can be given to one guest; ``whole``: whole cores among them, not counting those that guests
    without a wish for whole cores will break up: that is decided last, and fits wherever both numbers do.
    ``unshared``: whole cores left if no two guests are to share one. ``caches``: what each last-level cache of a cell
    has, where only guests that have to stay in one are counted. ``mem[pool]``: KiB or pages.
    ``guests``: how many there are. ``groups``: (kind, name) -> cells, with how many members on each; copies of the
    board share these, so that they are replaced and never changed.
    """

    def __init__(
        self,
        capacity: Capacity,
        joint: list[int],
        free: list[int],
        whole: list[int],
        mem: list[list[int]],
        soft: list[int],
        guests: list[int],
        caches: list[tuple[Cache, ...]],
    ) -> None:
        self.capacity = capacity
        self.joint, self.free, self.whole, self.mem = joint, free, whole, mem
        self.unshared = list(whole)
        self.soft, self.guests, self.caches = soft, guests, caches
        self.groups: dict[tuple[str, str], dict[int, int]] = {}
        #: Whether cells are chosen to leave CPUs and memory in balance, where the policies' own orders left guests out.
        self.balanced = False

    def copy(self) -> Board:
        new = Board(
            self.capacity,
            list(self.joint),
            list(self.free),
            list(self.whole),
            [list(pool) for pool in self.mem],
            self.soft,
            list(self.guests),
            list(self.caches),
        )
        new.unshared, new.balanced = list(self.unshared), self.balanced
        new.groups = dict(self.groups)
        return new

    def room(self, cell: int, kind: int) -> int:
        """The largest CPU need, in the unit of the kind, that this cell can meet now."""
        if kind == SHARED:
            return self.joint[cell]
        free = self.free[cell]
        if self.capacity.derived:
            free = min(free, self.joint[cell] // UNIT)
        if kind == PREFER:
            return free
        threads = self.capacity.threads[cell]
        cores = min(self.whole[cell], free // threads)
        if kind == ISOLATE:
            return cores
        return cores * threads if threads > 1 else 0

    def room_for(self, guest: Guest, cell: int) -> int:
        """The largest need of this guest that the cell can meet now: in one of its caches, where it has to be."""
        room = self.room(cell, guest.kind)
        if not guest.confined:
            return room
        return min(room, max((self._in_cache(guest, each, cell) for each in self.caches[cell]), default=0))

    def _in_cache(self, guest: Guest, cache: Cache, cell: int) -> int:
        return cache.room(guest.kind, self.capacity.threads[cell], self.whole[cell])

    def cpus(self, cell: int, kind: int, need: int) -> tuple[int, int]:
        """(CPUs, whole cores) that a need takes of this cell."""
        if kind == PREFER:
            return need, 0
        threads = self.capacity.threads[cell]
        cores = need if kind == ISOLATE else -(-need // threads)
        return cores * threads, cores

    def take(self, guest: Guest, spot: Spot, sign: int = 1) -> None:
        """Count a guest in, or out with ``sign`` -1."""
        kind, mem, threads = guest.kind, self.mem[guest.pool], self.capacity.threads
        for cell, cpu, amount, others in spot.parts:
            if kind == SHARED:
                self.joint[cell] -= sign * cpu
            else:
                cpus, cores = self.cpus(cell, kind, cpu)
                self.free[cell] -= sign * cpus
                self.whole[cell] -= sign * cores
                self.unshared[cell] -= sign * (cores or -(-cpus // threads[cell]))
                if self.capacity.derived:
                    self.joint[cell] -= sign * cpus * UNIT
            mem[cell] -= sign * amount
            for pool, more in others:
                self.mem[pool][cell] -= sign * more
            self.guests[cell] += sign
        if guest.held:
            taken = {(pool, part.cell): amount for part in spot.parts for pool, amount in part.memory(guest.pool)}
            for pool, cell, amount in guest.held:
                self.mem[pool][cell] += sign * min(amount, taken.get((pool, cell), 0))
        for seat in spot.seats:
            self._sit(kind, seat, sign)
        for key in group_keys(guest.request):
            self.join(key, spot.cells, sign)

    def _sit(self, kind: int, seat: Seat, sign: int) -> None:
        cell, cache, amount = seat
        caches, threads = list(self.caches[cell]), self.capacity.threads[cell]
        before = caches[cache]
        if kind == PREFER:
            caches[cache] = before._replace(asked=before.asked + sign * amount)
        else:
            caches[cache] = before._replace(whole=before.whole - sign * amount)
        self.caches[cell] = tuple(caches)
        self.whole[cell] -= caches[cache].broken(threads) - before.broken(threads)

    def spot(self, guest: Guest, parts: Sequence[Part]) -> Spot:
        """A spot with these parts, and with caches where the guest has to stay in one: the closest fit of each cell."""
        return self.seated(guest, spot_of(self.capacity, guest, parts))

    def seated(self, guest: Guest, spot: Spot) -> Spot:
        """The same with caches, for a guest that has to stay in one; without where a cell has none with such room."""
        if not guest.confined:
            return spot
        seats = []
        for cell, cpu, _mem, _others in spot.parts:
            rooms = [self._in_cache(guest, each, cell) for each in self.caches[cell]]
            chosen = fewest([room if room >= cpu else 0 for room in rooms], cpu)
            amount = cpu if guest.kind == PREFER else self.cpus(cell, guest.kind, cpu)[1]
            seats += [Seat(cell, cache, amount) for cache in chosen]
        return spot._replace(seats=tuple(seats))

    def join(self, key: tuple[str, str], cells: int, sign: int = 1) -> None:
        members = dict(self.groups.get(key, ()))
        for cell in bits(cells):
            members[cell] = members.get(cell, 0) + sign
            if not members[cell]:
                del members[cell]
        self.groups[key] = members

    def memory(self, guest: Guest, pool: int | None = None) -> list[int]:
        """What is free of a pool on each cell for this guest: what it holds already counts as free for it."""
        free = self.mem[guest.pool if pool is None else pool]
        if guest.held:
            pool = guest.pool if pool is None else pool
            free = list(free)
            for at, cell, amount in guest.held:
                free[cell] += amount if at == pool else 0
        return free

    def lacking(self, guest: Guest, cells: Sequence[int]) -> int | None:
        """The first pool of which these cells together have less than the guest needs."""
        for pool, amount in guest.memory:
            free = self.memory(guest, pool)
            if sum([free[cell] for cell in cells if free[cell] > 0]) < amount:
                return pool
        return None

    def holding_others(self, guest: Guest) -> int:
        """The cells of which each has what the guest needs of its other pools."""
        cells = self.capacity.everywhere
        for pool, amount in guest.others:
            cells &= sum(1 << cell for cell, free in enumerate(self.memory(guest, pool)) if free >= amount)
        return cells

    def holds(self, guest: Guest, cell: int) -> bool:
        """Whether the cell has room for all of the guest."""
        holding = self.memory(guest)[cell] >= guest.mem and self.room_for(guest, cell) >= guest.need
        return holding and (not guest.others or bool(self.holding_others(guest) >> cell & 1))

    def open_to(self, guest: Guest) -> int:
        """The cells that the request and its groups leave."""
        cells = guest.allowed
        request = guest.request
        if request.together is not None and self.groups.get(("together", request.together)):
            cells &= sum(1 << cell for cell in self.groups["together", request.together])
        if request.apart is not None:
            cells &= ~sum(1 << cell for cell in self.groups.get(("apart", request.apart), ()))
        return cells

    def admits(self, guest: Guest, spot: Spot) -> bool:
        """Whether the spot fits now, groups included. For a guest that has to stay in a cache it was made for now."""
        mem = self.memory(guest)
        return not spot.cells & ~self.open_to(guest) and all(
            self.room_for(guest, cell) >= cpu
            and mem[cell] >= amount
            and all(self.memory(guest, pool)[cell] >= more for pool, more in others)
            for cell, cpu, amount, others in spot.parts
        )

    def load(self, cell: int, guest: Guest | None = None, mem: int = 0, cpu: int = 0) -> int:
        """How full a cell is by the scarcer of CPU and memory, in millionths, with such a guest on it: with all that it
        needs of other pools, if it brings any memory."""
        pool = guest.pool if guest is not None else 0
        cpu_total = self.capacity.shared_total[cell]
        used = cpu_total - self.joint[cell] + self.soft[cell]
        if guest is not None and guest.kind != SHARED:
            cpu = self.cpus(cell, guest.kind, cpu)[0]
            if self.capacity.derived:
                cpu *= UNIT
            else:
                cpu_total = self.capacity.own_total[cell]
                used = cpu_total - self.free[cell]
        total = max(1, self.capacity.memory[pool][cell])
        full = max((used + cpu) * UNIT // cpu_total, (total - self.mem[pool][cell] + mem) * UNIT // total)
        if guest is not None and guest.others:
            for pool, amount in guest.others:
                total = max(1, self.capacity.memory[pool][cell])
                full = max(full, (total - self.mem[pool][cell] + (amount if mem else 0)) * UNIT // total)
        return full

    def misfit(self, cell: int, guest: Guest, need: int, mem: int) -> int:
        """By how much more it needs of what is free of one of CPU and memory than of the other, in millionths."""
        free = self.joint[cell]
        if guest.kind != SHARED:
            need, free = self.cpus(cell, guest.kind, need)[0], self.free[cell]
        return abs(need * UNIT // max(1, free) - mem * UNIT // max(1, self.mem[guest.pool][cell]))

    def likeness(self, cell: int, guest: Guest, need: int, mem: int) -> int:
        """How much what the cell has free is like what the guest needs: the product of the two vectors.

        Source: Panigrahy and others, Heuristics for Vector Bin Packing, 2011 ("dot product").
        """
        if guest.kind == SHARED or self.capacity.derived:
            cpu_total, free = self.capacity.shared_total[cell], self.joint[cell]
            need = need if guest.kind == SHARED else UNIT * self.cpus(cell, guest.kind, need)[0]
        else:
            cpu_total, free = self.capacity.own_total[cell], self.free[cell]
            need = self.cpus(cell, guest.kind, need)[0]
        total = max(1, self.capacity.memory[guest.pool][cell])
        cpu = (need * UNIT // cpu_total) * (free * UNIT // cpu_total)
        return cpu + (mem * UNIT // total) * (self.mem[guest.pool][cell] * UNIT // total)


def group_keys(request: Request) -> list[tuple[str, str]]:
    """What Board.groups calls the groups of a request."""
    pairs = (("together", request.together), ("apart", request.apart))
    return [(kind, name) for kind, name in pairs if name is not None]


def spot_of(capacity: Capacity, guest: Guest, parts: Sequence[Part]) -> Spot:
    cells = 0
    for part in parts:
        cells |= 1 << part.cell
    return Spot(tuple(parts), cells, capacity.distance_of(cells, guest.devices))
