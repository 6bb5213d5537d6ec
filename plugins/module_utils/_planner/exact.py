# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A few guests on a few cells: every way to place them, where the attempts may have missed the best.

Branch and bound within a fixed number of steps: exact for some five guests on three cells, else the best that was met.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Part, Spot, spot_of
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import PREFER, SHARED, UNIT, Guest, bits
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best_single, preference, split
from ansible_collections.numa.virt.plugins.module_utils._planner.score import Score, score

# Beyond these the search would not get far.
GUESTS, CELLS = 8, 4
STEPS = 4000


class Exact:
    """Depth first over guests, those of the highest class and the biggest first.

    Guests on one cell, and the parts of mirrored ones, are counted in on the way; guests split over cells when all
    others are, since their parts can be cut to what is left.
    """

    def __init__(
        self, board: Board, classes: Sequence[Sequence[Guest]], widths: Mapping[Guest, int], found: Mapping[Guest, Spot]
    ) -> None:
        self.board, self.classes, self.widths = board.copy(), classes, widths
        self.found, self.best = dict(found), score(classes, found)
        self.order = [g for members in classes for g in sorted(members, key=lambda g: (-widths[g], -g.vcpus, g.name))]
        self.spots: dict[Guest, Spot] = {}
        self.wide: list[tuple[Guest, int]] = []
        self.steps = STEPS

    def run(self) -> dict[Guest, Spot]:
        self._descend(0)
        return self.found

    def _descend(self, at: int) -> None:
        self.steps -= 1
        if self.steps <= 0 or self._hope(at) <= self.best:
            return
        if at == len(self.order):
            self._finish()
            return
        guest = self.order[at]
        for spot in self._spots(guest):
            if self.board.admits(guest, spot):
                self.board.take(guest, spot)
                self.spots[guest] = spot
                self._descend(at + 1)
                del self.spots[guest]
                self.board.take(guest, spot, -1)
        for mask in self._masks(guest):
            self.wide.append((guest, mask))
            self._descend(at + 1)
            self.wide.pop()
        self._descend(at + 1)

    def _hope(self, at: int) -> Score:
        """The best score that this branch can still reach."""
        seated = {**self.spots, **{guest: Spot((), mask, 0) for guest, mask in self.wide}}
        reached = set(seated) | set(self.order[at:])
        vcpus = tuple(sum(guest.vcpus for guest in members if guest in reached) for members in self.classes)
        away = sum(1 for guest, spot in seated.items() if guest.home and spot.cells != guest.home)
        cells = sum(bin(spot.cells).count("1") for spot in seated.values())
        return (*vcpus, -away, -cells - sum(self.widths[guest] for guest in self.order[at:] if guest in reached), 0)

    def _spots(self, guest: Guest) -> Iterator[Spot]:
        """One cell, the policy's favourite first; or every way to lay the cells of a mirrored guest."""
        board, capacity = self.board, self.board.capacity
        open_cells = [cell for cell in bits(board.open_to(guest)) if capacity.with_cpus >> cell & 1]
        if not guest.mirrored:
            open_cells.sort(key=lambda cell: preference(board, guest, cell, guest.need, guest.mem))
            for cell in open_cells:
                spot = best_single(board, guest, 1 << cell)
                if spot is not None:
                    yield spot
            return
        for width in guest.widths(len(open_cells)):
            if width > 1 and guest.request.together is not None:
                return
            parts = guest.parts(width)
            ways = combinations if len(set(parts)) == 1 else permutations
            for cells in ways(open_cells, width):
                spot = board.spot(guest, [Part(cell, *part) for cell, part in zip(cells, parts)])
                if not guest.must & ~spot.cells:
                    yield spot

    def _masks(self, guest: Guest) -> Iterator[int]:
        """Sets of cells to split a guest over."""
        if guest.mirrored or guest.request.together is not None:
            return
        cells = list(bits(self.board.open_to(guest)))
        for size in range(2, len(cells) + 1):
            for chosen in combinations(cells, size):
                mask = sum(1 << cell for cell in chosen)
                if not guest.must & ~mask:
                    yield mask

    def _finish(self) -> None:
        """Cut the wide guests to what is left, one after the other or all at once; keep the whole if it is better."""
        spots = self._seat(None) or self._seat(carve_all(self.board, self.wide))
        if spots is not None:
            value = score(self.classes, spots)
            if value > self.best:
                self.best, self.found = value, spots

    def _seat(self, carved: Sequence[Spot] | None) -> dict[Guest, Spot] | None:
        """All spots with those of the wide guests, carved before or cut in turn; None if one does not fit."""
        board, done = self.board, dict(self.spots)
        for at, (guest, mask) in enumerate(self.wide):
            spot = None
            if carved is not None:
                spot = carved[at] if carved else None
            elif not mask & ~board.open_to(guest):
                parts = split(board, guest, mask)
                spot = None if parts is None else board.spot(guest, parts)
            if spot is None or not board.admits(guest, spot):
                break
            board.take(guest, spot)
            done[guest] = spot
        for guest, _mask in self.wide:
            if guest in done:
                board.take(guest, done[guest], -1)
        return done if all(guest in done for guest, _mask in self.wide) else None


def carve_all(board: Board, wide: Sequence[tuple[Guest, int]]) -> list[Spot]:
    """Spots for guests that overlap so that one after the other would not fit; none if they cannot be found.

    Guests for whole cores or one cache are left to luck, and so are those for single CPUs beside odd shares of shared
    ones.
    """
    kinds = {guest.kind for guest, _mask in wide}
    if not kinds <= {SHARED, PREFER} or any(guest.confined for guest, _mask in wide):
        return []
    # In 1/UNIT of a CPU where there are both: they then use the same CPUs, or different ones and are rare together.
    unit = {guest: UNIT if len(kinds) > 1 and guest.kind == PREFER else 1 for guest, _mask in wide}
    room = [max(0, board.room(cell, min(kinds))) for cell in range(len(board.capacity.ids))]
    cpu = carve(room, [(mask, guest.need * unit[guest]) for guest, mask in wide])
    mem: dict[tuple[Guest, int], dict[int, int]] = {}
    for pool, amounts in enumerate(board.mem):
        needs = [(guest, mask, need) for guest, mask in wide for at, need in guest.memory if at == pool]
        shares = carve([max(0, amount) for amount in amounts], [(mask, need) for _guest, mask, need in needs])
        mem.update({(guest, pool): share for (guest, _mask, _need), share in zip(needs, shares)})
    found = []
    for (guest, mask), own in zip(wide, cpu):
        bare = [cell for cell in bits(mask) if not own[cell]]
        if (
            any((guest, pool) not in mem for pool, _need in guest.memory)
            or any(amount % unit[guest] for amount in own.values())
            or (guest.kind != SHARED and len(own) - len(bare) > guest.vcpus)
            or any(guest.must >> cell & 1 for cell in bare)
            or (guest.request.early and any(mem[guest, pool][cell] for pool, _need in guest.memory for cell in bare))
        ):
            return []
        parts = []
        for cell in bits(mask):
            others = tuple((pool, mem[guest, pool][cell]) for pool, _need in guest.others)
            parts.append(Part(cell, own[cell] // unit[guest], mem[guest, guest.pool][cell], others))
        found.append(spot_of(board.capacity, guest, parts))
    return found


def carve(room: Sequence[int], needs: Sequence[tuple[int, int]]) -> list[dict[int, int]]:
    """Shares by cell for needs (cells, amount) that may overlap; empty if they cannot all be met.

    They can if no set of cells is asked for more than it has (Hall). Cell by cell each need takes as much as leaves
    that true. For a few cells only: it looks at every set of them.
    """
    subsets = range(1, 1 << len(room))
    slack = {some: sum(room[cell] for cell in bits(some)) for some in subsets}
    for mask, need in needs:
        for some in subsets:
            slack[some] -= 0 if mask & ~some else need
    if min(slack.values()) < 0:
        return []
    result = []
    for mask, need in needs:
        shares = {}
        for cell in bits(mask):
            # What goes to this cell now weighs on the sets that hold it, and not all that the need could use.
            rest = mask & ~((1 << cell) - 1)
            here = [some for some in subsets if some >> cell & 1 and rest & ~some]
            shares[cell] = taken = min([need, *(slack[some] for some in here)])
            for some in here:
                slack[some] -= taken
            need -= taken
            after = rest & ~(1 << cell)
            for some in subsets:
                slack[some] -= need if rest & ~some and not after & ~some else 0
        result.append(shares)
    return result
