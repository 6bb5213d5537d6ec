# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many guests on the cells: bigger ones first, then repair. Bounded work: about n log n in the number of guests.

By class of priority, from the highest on. Within one: those worth most where not all can be placed, the widest and
most constrained first, then the bigger. A guest that finds no room is then tried again by
1. moving guests of this plan that sit where it could be to other cells, so that it need not be split;
2. splitting it over the fewest and nearest cells that hold it;
3. taking the place of a smaller guest of its class.
Guests that have a valid place are not in this game (rebalance.py).
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import UNIT, Guest, bits, count
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import (
    best,
    best_mirror,
    best_single,
    best_wide,
    preference_of_group,
)

# Guests of one cell that are looked at for one that has no room.
_WINDOW = 48


class Search:
    """One attempt at guests on a board. ``placed`` are those that this plan may move again; ``rank``: who goes first;
    ``widths``: on how many cells each would be if it came first."""

    def __init__(
        self, board: Board, rank: Mapping[Guest, tuple[float, str]], widths: Mapping[Guest, int], looks: int
    ) -> None:
        self.board = board
        self.placed: dict[Guest, Spot] = {}
        self.on: list[dict[Guest, None]] = [{} for _cell in board.capacity.ids]
        self.rank, self.widths, self.looks = rank, widths, looks
        #: Whether a guest that no cell holds is split at once, before it is tried to make room for it.
        self.eager = False
        #: Guests of the class at hand that have no place, when a step of repair begins
        self.left: list[Guest] = []

    def put(self, guest: Guest, spot: Spot) -> None:
        self.board.take(guest, spot)
        self.placed[guest] = spot
        for cell in bits(spot.cells):
            self.on[cell][guest] = None

    def lift(self, guest: Guest) -> Spot:
        spot = self.placed.pop(guest)
        self.board.take(guest, spot, -1)
        for cell in bits(spot.cells):
            del self.on[cell][guest]
        return spot

    def place_class(self, guests: Sequence[Guest], chosen: set[Guest], at_most: int) -> None:
        """Place what can be placed of one class of priority; ``chosen`` first, and no more vCPUs than ``at_most``."""
        order = sorted(
            guests,
            key=lambda each: (each not in chosen, -self.widths[each], count(each.allowed), self.rank[each]),
        )
        groups = _groups(order)
        order = _grouped(order, groups)
        for guest in order:
            if guest in self.placed:
                continue
            if guest.request.together is not None:
                self._place_group(guest, groups[guest.request.together])
                continue
            spot = self._first(guest)
            if spot is not None:
                self.put(guest, spot)
        for step in (self.make_room, self._split, self._replace, self._split):
            missing = at_most - sum(guest.vcpus for guest in guests if guest in self.placed)
            if missing > 0:
                self._retry([guest for guest in order if guest not in self.placed], step, missing)

    def _first(self, guest: Guest) -> Spot | None:
        if self.widths[guest] == 1 and not self.eager:
            return best_single(self.board, guest) if not guest.mirrored else best_mirror(self.board, guest)
        return best(self.board, guest)

    def _retry(self, left: list[Guest], step: Callable[[Guest], bool], missing: int) -> None:
        """Try each that has no place yet, until so many vCPUs have one that no plan could place more."""
        # One like another that just failed is not tried again.
        failed: set[tuple[object, ...]] = set()
        self.left = [each for each in left if each.request.together is None]
        for guest in left:
            like = alike(guest)
            if missing <= 0 or like in failed or guest in self.placed:
                continue
            spot = (best_mirror if guest.mirrored else best_single)(self.board, guest)
            if spot is not None:
                self.put(guest, spot)
            elif not step(guest):
                failed.add(like)
            if guest in self.placed:
                missing -= guest.vcpus

    def _holds(self, guest: Guest) -> bool:
        """Whether all cells together have room for it: others may go where it may not."""
        board, cells = self.board, range(len(self.board.capacity.ids))
        cpu = sum(max(0, board.room(cell, guest.kind)) for cell in cells)
        return cpu >= guest.need and board.lacking(guest, cells) is None

    def _place_group(self, guest: Guest, members: list[Guest]) -> None:
        """Place the members of a group that shares one cell on a cell that holds most of it: of these the best."""
        best_key: tuple[int, ...] = ()
        found: dict[Guest, Spot] = {}
        for cell in bits(guest.allowed):
            trial, spots = self.board.copy(), {}
            for member in members:
                spot = best_single(trial, member, 1 << cell)
                if spot is not None and member not in self.placed:
                    trial.take(member, spot)
                    spots[member] = spot
            if spots:
                vcpus = sum(member.vcpus for member in spots)
                key = (-vcpus, *preference_of_group(self.board, list(spots), cell))
                if not best_key or key < best_key:
                    best_key, found = key, spots
        for member, spot in found.items():
            self.put(member, spot)

    # Steps of repair

    def make_room(self, guest: Guest) -> bool:
        """Move others so that it fits one cell."""
        if guest.mirrored or self.looks <= 0 or not self._holds(guest):
            return False
        board = self.board
        cells = bits(board.open_to(guest) & (guest.must or -1))
        for cell in sorted(cells, key=lambda each: (self._lacking(guest, each), each)):
            if count(guest.must) < 2 and self._clear(guest, cell):
                return True
        return False

    def _lacking(self, guest: Guest, cell: int) -> int:
        """How much is missing on a cell, in millionths of what the guest needs of each."""
        cpu = max(0, guest.need - self.board.room_for(guest, cell)) * UNIT // max(1, guest.need)
        return cpu + sum(
            max(0, amount - self.board.memory(guest, pool)[cell]) * UNIT // max(1, amount)
            for pool, amount in guest.memory
        )

    def _clear(self, guest: Guest, cell: int) -> bool:
        """Move one guest off the cell, or as many of the largest as it takes."""
        board = self.board
        here = [each for each in self.on[cell] if self._movable(each)]
        here.sort(key=lambda each: self.rank[each])
        window = here[-_WINDOW:][::-1]
        for other in window:  # the smallest that is enough
            self.looks -= 1
            # Where it could go does not depend on who takes its place.
            if best_single(board, other, ~(1 << cell)) is not None and self._swap(guest, cell, [other]):
                return True
        gone: list[Guest] = []
        trial = board.copy()
        for other in here[:_WINDOW]:
            self.looks -= 1
            gone.append(other)
            trial.take(other, self.placed[other], -1)
            if best_single(trial, guest, 1 << cell) is not None:
                return self._swap(guest, cell, gone)
        return False

    def _movable(self, guest: Guest) -> bool:
        return guest.request.together is None and self.placed[guest].width == 1

    def _swap(self, guest: Guest, cell: int, others: list[Guest]) -> bool:
        """The guest takes the cell, the others find another; or nothing changes."""
        before = [(other, self.lift(other)) for other in others]
        spot = best_single(self.board, guest, 1 << cell)
        new: list[Guest] = []
        if spot is not None:
            self.put(guest, spot)
            for other in others:
                other_spot = best_single(self.board, other, ~(1 << cell))
                if other_spot is None:
                    break
                self.put(other, other_spot)
                new.append(other)
            if len(new) == len(others):
                return True
            self.lift(guest)
        for other in new:
            self.lift(other)
        for other, old in before:
            self.put(other, old)
        return False

    def _split(self, guest: Guest) -> bool:
        spot = (best_mirror if guest.mirrored else best_wide)(self.board, guest)
        if spot is None:
            return False
        self.put(guest, spot)
        return True

    def _replace(self, guest: Guest) -> bool:
        """Take the place of a guest of the same class, if that and what is then free for others make more vCPUs."""
        near = {
            other: None
            for cell in bits(guest.allowed if self.looks > 0 else 0)
            for other in self.on[cell]
            if other.request.priority == guest.request.priority and other.request.together is None
        }
        closest = sorted(
            near, key=lambda each: (each.vcpus >= guest.vcpus, abs(each.vcpus - guest.vcpus), self.rank[each])
        )
        for other in closest[:_WINDOW]:
            self.looks -= 1
            old = self.lift(other)
            spot = best(self.board, guest)
            come = [] if spot is None else self._fill(guest, spot, other)
            if sum(each.vcpus for each in come) > other.vcpus:
                return True
            for each in come:
                self.lift(each)
            self.put(other, old)
        return False

    def _fill(self, guest: Guest, spot: Spot, other: Guest) -> list[Guest]:
        """Put a guest there, and then of those that have no place what still fits."""
        self.put(guest, spot)
        come = [guest]
        if other.vcpus < guest.vcpus:
            waiting = [other]
        else:
            waiting = [each for each in self.left if each not in self.placed][:_WINDOW]
        for each in waiting:
            again = (best_mirror if each.mirrored else best_single)(self.board, each)
            if again is not None:
                self.put(each, again)
                come.append(each)
        return come


def alike(guest: Guest) -> tuple[object, ...]:
    """Equal for guests that any cell holds equally."""
    request = guest.request
    return (
        *(guest.kind, guest.need, guest.mem, guest.pool, guest.allowed, guest.must, guest.devices, guest.home),
        *(guest.others, guest.confined, request.threads),
        *(request.policy, request.together, request.apart, request.priority, request.vcpus),
        *(request.guest_cells, request.width),
    )


def _groups(order: list[Guest]) -> dict[str, list[Guest]]:
    """The members of each group that shares one cell, in the order given."""
    groups: dict[str, list[Guest]] = {}
    for guest in order:
        if guest.request.together is not None:
            groups.setdefault(guest.request.together, []).append(guest)
    return groups


def _grouped(order: list[Guest], groups: dict[str, list[Guest]]) -> list[Guest]:
    """Members of a group that shares one cell follow its first member."""
    result: dict[Guest, None] = {}
    for guest in order:
        for each in groups.get(str(guest.request.together), [guest]) if guest.request.together else [guest]:
            result[each] = None
    return list(result)
