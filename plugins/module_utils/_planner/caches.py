# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Last-level caches of a cell: what each has free, and which of them a guest gets.

Guests that have to stay in one cache are seated in it when they get their cell. All others are counted by cell, and
get what these leave: it decides no admission where they are put. A cache is named by its number on its cell, as in
Capacity.caches.
This file must not import ansible, libvirt or lxml, and must know nothing of guests.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import ISOLATE, PREFER, Capacity, bits, count


class Cache(NamedTuple):
    """What a cache has for guests that have to stay in it.

    ``whole``: free cores; ``loose``: free threads of other cores; ``asked``: CPUs that guests without a wish for whole
    cores are to get, of loose ones as far as they go. What they break up is told from all of these together, so that it
    makes no difference in what order they came.
    """

    whole: int
    loose: int
    asked: int = 0

    def broken(self, threads: int) -> int:
        """Whole cores that have to be broken up for what is asked."""
        return max(0, -(-(self.asked - self.loose) // threads))

    def room(self, kind: int, threads: int, whole: int) -> int:
        """The largest need that it can meet, in the unit of the kind; ``whole`` are the cell's whole cores."""
        cores = self.whole - self.broken(threads)
        if kind == ISOLATE:
            return cores
        if kind == PREFER:
            loose = self.loose - self.asked + threads * (self.whole - cores)
            return loose + threads * max(0, min(cores, whole))
        return cores * threads if threads > 1 else 0


class Seat(NamedTuple):
    """What a guest takes of one cache: CPUs, or cores where it wants whole ones."""

    cell: int
    cache: int
    amount: int


def caches_of(capacity: Capacity, cell: int, free: int) -> tuple[Cache, ...]:
    """The caches of a cell with these CPUs free; CPUs that no cache has are of no use here."""
    named, threads = capacity.named_caches[cell], capacity.threads[cell]
    whole = [0] * len(capacity.caches[cell])
    for core in capacity.cores[cell] if named else ():
        whole[capacity.cache_of[core]] += not core & ~free and count(core) == threads
    rest = [count(mask & free) - threads * cores for mask, cores in zip(capacity.caches[cell], whole)]
    return tuple(Cache(*pair) for pair in zip(whole[:named], rest))


def cache_seats(capacity: Capacity, kind: int, cpus: int) -> tuple[Seat, ...]:
    """What a guest with these CPUs alone has of each cache."""
    found: dict[tuple[int, int], int] = {}
    for cell, named in enumerate(capacity.named_caches):
        here = cpus & capacity.online[cell] if named else 0
        for core in {capacity.core_of[cpu] for cpu in bits(here)}:
            cache = capacity.cache_of[core]
            if cache < named:
                found[cell, cache] = found.get((cell, cache), 0) + (count(core & here) if kind == PREFER else 1)
    return tuple(Seat(*key, amount) for key, amount in sorted(found.items()))


def caches_used(capacity: Capacity, cpus: int) -> list[list[int]]:
    """The CPUs that these are of each cache, by cell."""
    return [[mask & cpus for mask in masks if mask & cpus] for masks in capacity.caches]


def fewest(rooms: Sequence[int], need: int) -> list[int]:
    """The fewest caches with so much room together, of these the ones with the least, so that large ones stay whole.

    The roomiest comes first. All that have any room, where that is not enough.
    """
    order = sorted((cache for cache, room in enumerate(rooms) if room > 0), key=lambda cache: (-rooms[cache], -cache))
    sums = [0, *accumulate(rooms[cache] for cache in order)]
    size = next((size for size, total in enumerate(sums) if total >= need), 0)
    together = [(sums[start + size] - sums[start], -start) for start in range(len(sums) - size)]
    enough = [each for each in together if each[0] >= need]
    if enough:
        start = -min(enough)[1]
        order = order[start : start + size]
    return sorted(order, key=lambda cache: (-rooms[cache], cache))
