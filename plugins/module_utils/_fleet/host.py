# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host of a fleet as it fills up: what is free, who is there, and where on it one more guest would be.

This file must not import ansible, libvirt or lxml, and must know nothing of other hosts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from math import comb
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, required
from ansible_collections.numa.virt.plugins.module_utils._fleet.count import board_of, several_sizes
from ansible_collections.numa.virt.plugins.module_utils._fleet.market import loss
from ansible_collections.numa.virt.plugins.module_utils._fleet.offers import Offer
from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Part, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    ISOLATE,
    SHARED,
    UNKNOWN,
    Capacity,
    Guest,
    bits,
    guest_of,
    weight,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.check import check_request
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best, best_single, preference
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet

# Choices of cells for a guest with several cells that are all looked at.
_CHOICES = 32


class Rod(NamedTuple):
    """What shares are measured with: the CPUs (in the unit of their kind) and the memory (KiB, or pages) of the largest
    cells of the fleet."""

    cpu: int
    mem: int


class Gone(NamedTuple):
    """A guest that has left: what was there from the start, or the guest and the spot that it was given."""

    existing: Existing | None
    guest: Guest | None
    spot: Spot | None


class HostBoard:
    """``existing`` are guests by name that were there from the start, ``placed`` those that came by put().
    ``distances`` remembers those of sets of cells, for all hosts of this capacity."""

    def __init__(self, name: str, capacity: Capacity, existing: dict[str, Existing], distances: dict[int, int]) -> None:
        self.name, self.capacity, self.distances = name, capacity, distances
        self.existing = dict(existing)
        self.placed: dict[str, tuple[Guest, Spot]] = {}
        self.board = self._count()

    def _count(self) -> Board:
        board = board_of(self.capacity, self.existing.values())
        for guest, spot in self.placed.values():
            board.take(guest, spot)
        return board

    def __contains__(self, name: str) -> bool:
        return name in self.existing or name in self.placed

    def put(self, guest: Guest, spot: Spot) -> None:
        self.board.take(guest, spot)
        self.placed[guest.name] = (guest, spot)

    def lift(self, name: str) -> Gone:
        """A guest leaves. One that came by put() is just counted out; else all that is left is counted anew."""
        if name in self.placed:
            guest, spot = self.placed.pop(name)
            self.board.take(guest, spot, -1)
            return Gone(None, guest, spot)
        gone = Gone(self.existing.pop(name), None, None)
        self.board = self._count()
        return gone

    def back(self, gone: Gone) -> None:
        """Undo a lift()."""
        if gone.existing is not None:
            self.replace([gone.existing])
        else:
            self.put(required(gone.guest), required(gone.spot))

    def replace(self, guests: Iterable[Existing]) -> None:
        """Guests that are there from the start are now like this."""
        self.existing.update((each.name, each) for each in guests)
        self.board = self._count()

    def could_hold(self, request: Request) -> bool:
        """Whether the host has what such a guest needs at all, whatever its size and whatever is there."""
        try:
            check_request(self.capacity.host, request)
        except InputError:
            return False
        return not guest_of(self.capacity, request).must & ~self.capacity.open or request.cells is not None

    def too_full(self, request: Request) -> bool:
        """Whether all cells together have too little for it: told faster than what it would get."""
        board, cells = self.board, len(self.capacity.ids)
        if request.owns_cpus:
            need, rooms = request.vcpus, board.free
        else:
            # The parts of a mirrored guest are each rounded down.
            need, rooms = weight(request.vcpus, request.cpu_ratio or self.capacity.rules.cpu_ratio) - cells, board.joint
        if sum([room for room in rooms if room > 0]) < need:
            return True
        return (
            request.page_size is None
            and sum([size for size in board.mem[0] if size > 0]) < request.memory + request.overhead
        )

    def guest(self, request: Request) -> Guest:
        """The request in this host's numbers. It is one that the host could hold."""
        return guest_of(self.capacity, request)

    # Shares

    def free(self, kind: int, page_size: int | None, rod: Rod) -> list[tuple[int, float, float]]:
        """Triples (cell, free CPUs, free memory), as parts of the rod, of cells that guests may have CPUs of."""
        capacity, board = self.capacity, self.board
        mem = board.mem[capacity.pool(page_size)]
        return [
            (cell, board.room(cell, kind) / rod.cpu, min(1.0, mem[cell] / rod.mem))
            for cell in bits(capacity.open & capacity.with_cpus)
        ]

    # Offers

    def offer(self, guest: Guest, rod: Rod) -> Offer | None:
        """The best spot on this host: one cell before several, then as the planner of one host has it (distance from
        devices, no core shared), then what the fleet loses least by. ``spread`` takes the least loaded cell instead."""
        free = self.free(guest.kind, guest.request.page_size, rod)
        before = shares_of(free, rod)
        found: Offer | None = None
        for spot, first in self._spots(guest):
            if guest.request.placed_by.levels:
                cost = max(self.board.load(part.cell, guest, part.mem, part.cpu) for part in spot.parts)
            else:
                cost = loss(before, shares_of(free, rod, spot.parts))
            each = Offer((*first, cost), spot)
            if found is None or each.key < found.key:
                found = each
        return found

    def _spots(self, guest: Guest) -> Iterable[tuple[Spot, tuple[int, ...]]]:
        """Spots to choose from, each with what counts before its cost: (cells, distance, whether a core is shared)."""
        board = self.board
        if not guest.mirrored:
            mem = board.memory(guest)
            singles = []
            for cell in bits(board.open_to(guest)):
                if mem[cell] < guest.mem or board.room(cell, guest.kind) < guest.need:
                    continue
                spot = best_single(board, guest, 1 << cell)
                if spot is not None:
                    _away, far, shared = preference(board, guest, cell, guest.need, guest.mem)[:3]
                    singles.append((spot, (1, far, shared)))
            if singles:
                return singles
            room = sum(max(0, board.room(cell, guest.kind)) for cell in range(len(mem)))
            if room < guest.need or sum(max(0, amount) for amount in mem) < guest.mem:
                return ()
        even = self._even_spots(guest) if guest.mirrored else None
        if even is not None:
            return even
        wide = best(board, guest)
        return () if wide is None else [(wide, (len(wide.parts), wide.distance, 0))]

    def _even_spots(self, guest: Guest) -> list[tuple[Spot, tuple[int, ...]]] | None:
        """Of a guest whose cells are alike, every choice of the nearest cells; None where that is not all there is to
        it, or these are many."""
        board, capacity, request = self.board, self.capacity, guest.request
        if request.width is None or request.guest_cells or guest.devices or guest.confined or several_sizes(request):
            return None
        parts = guest.parts(request.width)
        part, mem = parts[0], board.memory(guest)
        cells = [
            cell
            for cell in bits(board.open_to(guest) & capacity.with_cpus)
            if board.room(cell, guest.kind) >= part[0] and mem[cell] >= part[1]
        ]
        if parts.count(part) < len(parts) or comb(len(cells), len(parts)) > _CHOICES:
            return None
        found = []
        for chosen in combinations(cells, len(parts)):
            mask = sum([1 << cell for cell in chosen])
            if mask not in self.distances:
                self.distances[mask] = capacity.distance_of(mask)
            found.append((self.distances[mask], chosen, mask))
        nearest = min(found)[0] if found else 0
        return [
            (Spot(tuple([Part(cell, *part) for cell in chosen]), mask, distance), (len(parts), distance, 0))
            for distance, chosen, mask in found
            if distance == nearest
        ]


def shares_of(free: Iterable[tuple[int, float, float]], rod: Rod, taken: Iterable[Part] = ()) -> list[float]:
    """The free share of each cell, 0 for one that is overcommitted; once such parts are ``taken``."""
    less = {part.cell: part for part in taken}
    found = []
    for cell, cpu, mem in free:
        if cell in less:
            cpu, mem = cpu - less[cell].cpu / rod.cpu, mem - less[cell].mem / rod.mem
        found.append(max(0.0, min(cpu, mem)))
    return found


def rod_of(capacities: Iterable[Capacity], kind: int, page_size: int | None) -> Rod:
    """The rod for CPUs of a kind and pages of a size."""
    cpu = mem = 1
    for capacity in capacities:
        for cell in bits(capacity.open & capacity.with_cpus):
            if kind == SHARED:
                cpu = max(cpu, capacity.shared_total[cell])
            else:
                cpu = max(cpu, capacity.own_total[cell] // (capacity.threads[cell] if kind == ISOLATE else 1))
            if page_size is None or page_size in capacity.sizes:
                amount = capacity.memory[capacity.pool(page_size)][cell]
                mem = max(mem, amount if amount < UNKNOWN else 1)
    return Rod(cpu, mem)


def moved(request: Request) -> Request:
    """What is asked of another host: pins to CPUs are those of the host that it leaves."""
    return replace(request, emulator_pin=None, iothread_pins=EMPTY, pinned_by_user=False)


def one_cell_anywhere(request: Request) -> bool:
    """Whether one cell is like another to the guest, but for what is free of it: nothing but room decides."""
    return not (
        (request.placed_by.mirrors and (request.width != 1 or request.guest_cells))
        or request.placed_by.levels
        or request.cells is not None
        or request.devices
        or request.together is not None
        or request.apart is not None
        or request.cache == "require"
        or isinstance(request.emulator, CpuSet)
        or request.iothreads is not None
        or several_sizes(request)
    )
