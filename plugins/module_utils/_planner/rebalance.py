# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moves of guests that have a valid place, where the user asked for them: as few as needed, never more than allowed.

First those that make room for guests that have none. Then, as long as moves are left: off cells that hold more than
they have; to fewer or nearer cells; off the fullest cell for ``spread``; off the emptiest one for ``pack``, where all
its guests find room on cells that are in use. Members of a group that shares one cell, and mirrored guests, stay.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import UNIT, Guest, bits
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best, best_single
from ansible_collections.numa.virt.plugins.module_utils._planner.search import Search

# What a move for ``spread`` must take off the fullest cell to be worth it: a twentieth of a cell.
_WORTH = UNIT // 20
# Looks at a guest that might make room, for each that has none.
_LOOKS = 2000


class Rebalance:
    """``search`` holds the guests that stay and those that were just placed; ``stay``: the former, with their spots."""

    def __init__(self, board: Board, stay: Mapping[Guest, Spot], placed: Mapping[Guest, Spot]) -> None:
        everyone = sorted([*stay, *placed], key=lambda guest: guest.name)
        rank = {guest: (float(-guest.vcpus), guest.name) for guest in everyone}
        self.search = Search(board.copy(), rank, dict.fromkeys(everyone, 1), 0)
        self.stay = dict(stay)
        for guest, spot in {**stay, **placed}.items():
            # The guests that stay are counted in already.
            self.search.placed[guest] = spot
            for cell in bits(spot.cells):
                self.search.on[cell][guest] = None
            if guest in placed:
                self.search.board.take(guest, spot)

    @property
    def moved(self) -> list[Guest]:
        return [guest for guest, spot in self.stay.items() if self.search.placed[guest].cells != spot.cells]

    def make_room(self, left: Sequence[Guest]) -> None:
        """Place guests that have no place, bigger ones first, by moving others."""
        search = self.search
        for guest in sorted(left, key=lambda each: (-each.request.priority, -each.vcpus, each.name)):
            search.rank = {**search.rank, guest: (float(-guest.vcpus), guest.name)}
            search.looks = _LOOKS
            search.make_room(guest)

    def improve(self, moves: int, even_out: bool = True) -> None:
        """Make the placement better, as long as no more than so many guests are off their cells."""
        for _step in range(2 * len(self.stay)):
            if not any(self._accept(trial, moves) for trial in self._better(even_out)):
                return

    def _accept(self, trial: list[tuple[Guest, Spot]], moves: int) -> bool:
        before = [(guest, self.search.lift(guest)) for guest, _spot in trial]
        for guest, spot in trial:
            self.search.put(guest, spot)
        if len(self.moved) <= moves:
            return True
        for guest, spot in before:
            self.search.lift(guest)
            self.search.put(guest, spot)
        return False

    def _better(self, even_out: bool) -> Iterator[list[tuple[Guest, Spot]]]:
        yield from self._relieve()
        yield from self._nearer()
        if even_out:
            yield from self._level()
            yield from self._empty()

    def _mine(self, cell: int) -> list[Guest]:
        """The guests of a cell that may move, the smallest first."""
        here = [each for each in self.search.on[cell] if each in self.stay and self._free(each)]
        return sorted(here, key=lambda each: (each.vcpus, each.mem, each.name))

    @staticmethod
    def _free(guest: Guest) -> bool:
        return guest.request.together is None and not guest.mirrored

    def _without(self, guest: Guest) -> Board:
        board = self.search.board.copy()
        board.take(guest, self.search.placed[guest], -1)
        return board

    def _relieve(self) -> Iterator[list[tuple[Guest, Spot]]]:
        """Off a cell that holds more than it has: the smallest guest that is enough, else the largest."""
        for cell in range(len(self.search.board.capacity.ids)):
            if _over(self.search.board, cell):
                found: list[tuple[Guest, Spot]] = []
                for guest in self._mine(cell):
                    board = self._without(guest)
                    spot = best_single(board, guest, ~(1 << cell))
                    if spot is not None:
                        found = [(guest, spot)]
                        if not _over(board, cell):
                            break
                if found:
                    yield found

    def _nearer(self) -> Iterator[list[tuple[Guest, Spot]]]:
        """To fewer cells, or to nearer ones."""
        for guest in sorted(self.stay, key=lambda each: (-each.vcpus, each.name)):
            old = self.search.placed[guest]
            if self._free(guest) and (old.width > 1 or old.distance):
                board = self._without(guest)
                spot = best(board, _homeless(guest))
                if spot is not None and (spot.width, spot.distance) < (old.width, old.distance):
                    yield [(guest, spot)]

    def _level(self) -> Iterator[list[tuple[Guest, Spot]]]:
        """Off the fullest cell, for guests that are to be spread: the move that leaves the lower peak."""
        board = self.search.board
        peak = max(range(len(board.capacity.ids)), key=lambda cell: (board.load(cell), -cell))
        choices = []
        for guest in self._mine(peak):
            if guest.request.placed_by.levels and self.search.placed[guest].width == 1:
                trial = self._without(guest)
                spot = best_single(trial, _homeless(guest), ~(1 << peak))
                if spot is not None and spot.distance <= self.search.placed[guest].distance:
                    trial.take(guest, spot)
                    height = max(trial.load(peak), trial.load(spot.parts[0].cell))
                    choices.append((height, guest.vcpus, guest.name, guest, spot))
        if choices:
            height, _vcpus, _name, guest, spot = min(choices, key=lambda each: each[:3])
            if height + _WORTH <= board.load(peak):
                yield [(guest, spot)]

    def _empty(self) -> Iterator[list[tuple[Guest, Spot]]]:
        """All guests off a cell, for those that are to be packed, onto cells in use."""
        board = self.search.board
        used = [cell for cell in range(len(board.capacity.ids)) if board.guests[cell]]
        for cell in sorted(used, key=lambda cell: (board.guests[cell], board.load(cell), cell)):
            mine = [each for each in self._mine(cell) if each.request.placed_by.empties]
            if len(mine) != board.guests[cell]:
                continue
            trial, found = board.copy(), []
            others = sum(1 << other for other in used if other != cell)
            for guest in reversed(mine):
                old = self.search.placed[guest]
                spot = best_single(trial, _homeless(guest), others)
                if spot is None or old.width > 1 or spot.distance > old.distance:
                    break
                trial.take(guest, old, -1)
                trial.take(guest, spot)
                found.append((guest, spot))
            if len(found) == len(mine):
                yield found


def _over(board: Board, cell: int) -> bool:
    return board.joint[cell] < 0 or any(pool[cell] < 0 for pool in board.mem)


def _homeless(guest: Guest) -> Guest:
    """The guest as one that has no reason to stay."""
    return guest if not guest.home else replace(guest, home=0)
