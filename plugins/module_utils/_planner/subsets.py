# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The set of cells with the least distance among those that hold a need. Bounded work, never factorial.

This file must not import ansible, libvirt or lxml, and must know nothing of guests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

# Steps of the exact search: enough for every choice of 2 cells among 64 and of 4 among 16, a few milliseconds.
STEPS = 3000
# What it costs to ask whether a choice fits, in such steps.
_ASKED = 100

Fits = Optional[Callable[[int], bool]]
Extra = Optional[Callable[[int], int]]


def nearest_subset(
    order: Sequence[int],
    size: int,
    distance: Sequence[Sequence[int]],
    rooms: tuple[Sequence[int], Sequence[int]],
    needs: tuple[int, int],
    must: int = 0,
    fits: Fits = None,
    added: Extra = None,
    steps: int = STEPS,
) -> int | None:
    """A mask of ``size`` cells of ``order`` that includes ``must`` and together has room for both needs, or None.

    The least sum of distances over pairs (and what ``added`` adds for a mask) wins, then what comes first in ``order``.
    First a greedy choice around each cell, then branch and bound, exact while its ``steps`` last; with none of them any
    choice that fits will do.
    """
    search = _Search(order, size, distance, rooms, needs, must, fits, added, steps)
    if search.hopeless():
        return None
    for seed in search.order:
        search.grow(seed)
        if search.best is not None and not steps:
            return search.best
    search.descend(0, search.must, search.within(search.must), *map(search.together, (0, 1)))
    return search.best


class _Search:
    def __init__(
        self,
        order: Sequence[int],
        size: int,
        distance: Sequence[Sequence[int]],
        rooms: tuple[Sequence[int], Sequence[int]],
        needs: tuple[int, int],
        must: int,
        fits: Fits,
        added: Extra,
        steps: int,
    ) -> None:
        self.must = [cell for cell in order if must >> cell & 1]
        self.complete = len(self.must) == bin(must).count("1")
        # With all its places taken by cells that must be there a choice has one candidate: those cells.
        self.order = [cell for cell in order if not must >> cell & 1]
        self.size, self.distance, self.rooms, self.needs = size, distance, rooms, needs
        self.fits, self.added = fits, added
        self.best: int | None = None
        self.least = 0
        self.steps = steps or STEPS
        self.any = not steps
        chosen = [*self.must, *self.order]
        self.shortest = min((distance[a][b] for a in chosen for b in chosen if a != b), default=0)
        # top[which][position][n]: the n largest rooms from that position on, together.
        self.top = [
            [_sums([room[cell] for cell in self.order[at:]]) for at in range(len(self.order) + 1)] for room in rooms
        ]

    def hopeless(self) -> bool:
        missing = self.size - len(self.must)
        return (
            not self.complete
            or missing < 0
            or missing > len(self.order)
            or any(self.together(at) + self.top[at][0][missing] < need for at, need in enumerate(self.needs))
        )

    def together(self, which: int) -> int:
        """The room of the cells that must be there."""
        return sum(self.rooms[which][cell] for cell in self.must)

    def within(self, chosen: list[int]) -> int:
        return sum(self.distance[one][other] for at, one in enumerate(chosen) for other in chosen[at + 1 :])

    def offer(self, chosen: list[int], length: int) -> None:
        """Keep the choice if it holds the needs and is nearer than the best so far."""
        mask = sum(1 << cell for cell in chosen)
        if self.added is not None:
            length += self.added(mask)
        if self.best is not None and length >= self.least:
            return
        if all(sum(room[cell] for cell in chosen) >= need for room, need in zip(self.rooms, self.needs)):
            if self.fits is not None:
                self.steps -= _ASKED
                if not self.fits(mask):
                    return
            self.best, self.least = mask, length

    def grow(self, seed: int) -> None:
        """Greedy: from one cell on always the nearest next one."""
        if len(self.must) == self.size:
            return
        chosen, length = [*self.must, seed], self.within([*self.must, seed])
        reach = {cell: sum(self.distance[cell][one] for one in chosen) for cell in self.order if cell != seed}
        while len(chosen) < self.size:
            cell = min(reach, key=lambda each: reach[each])  # dictionaries keep the order of preference
            length += reach.pop(cell)
            chosen.append(cell)
            for other in reach:
                reach[other] += self.distance[other][cell]
        self.offer(chosen, length)

    def descend(self, at: int, chosen: list[int], length: int, one: int, other: int) -> None:
        """Add cells from a position on to a choice of this length and with these two rooms."""
        self.steps -= 1
        missing = self.size - len(chosen) - 1
        if missing < 0:
            self.offer(chosen, length)
            return
        # The least that the pairs of the cells still to come can add.
        ahead = self.shortest * (missing * (len(chosen) + 1) + missing * (missing - 1) // 2)
        for position in range(at, len(self.order) - missing):
            if self.steps <= 0 or (self.any and self.best is not None):
                return
            cell = self.order[position]
            row = self.distance[cell]
            longer = length + sum([row[each] for each in chosen])
            if self.best is not None and longer + ahead >= self.least:
                continue
            room, more = one + self.rooms[0][cell], other + self.rooms[1][cell]
            tops = (self.top[0][position + 1][missing], self.top[1][position + 1][missing])
            if room + tops[0] >= self.needs[0] and more + tops[1] >= self.needs[1]:
                self.descend(position + 1, [*chosen, cell], longer, room, more)


def _sums(values: list[int]) -> list[int]:
    """Sums of the 0, 1, 2, … largest."""
    sums = [0]
    for value in sorted(values, reverse=True):
        sums.append(sums[-1] + value)
    return sums
