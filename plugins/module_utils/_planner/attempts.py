# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The best of several attempts: other orders and other choices of cells, where the first left something to wish for.

Bounded work: about n log n in the number of guests, with fewer attempts the more there are.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Part, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.bound import most_vcpus, select
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import SHARED, Guest
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best
from ansible_collections.numa.virt.plugins.module_utils._planner.exact import CELLS, GUESTS, Exact
from ansible_collections.numa.virt.plugins.module_utils._planner.score import Score, by_class, score
from ansible_collections.numa.virt.plugins.module_utils._planner.search import Search, alike

# Guests that all attempts together place about, and attempts at least and at most.
_EFFORT = 4000
_FEWEST, _MOST = 2, 24
# Attempts before all ways are tried.
_FEW = 32
# Looks at a guest that might make room, in an attempt: at least, and for each guest.
_LOOKS, _LOOKS_EACH = 2000, 20

_ORDERS: tuple[Callable[[float, float], float], ...] = (
    max,
    lambda cpu, mem: cpu + mem,
    lambda cpu, mem: cpu + mem / 1000,
    lambda cpu, mem: mem + cpu / 1000,
)


def solve(board: Board, guests: Sequence[Guest]) -> dict[Guest, Spot]:
    """Spots for as many as can be placed. The board is left as it was."""
    classes = by_class(guests)
    alone = spots_alone(board, guests)
    widths = {guest: spot.width for guest, spot in alone.items()}
    # What no plan can beat: all vCPUs that the bound allows, each guest where it would be if it came first.
    hope = tuple(most_vcpus(board, members) for members in classes)
    found: dict[Guest, Spot] = {}
    most: Score = ()
    attempts = max(_FEWEST, min(_MOST, _EFFORT // max(1, len(guests))))
    small = len(guests) <= GUESTS and len(board.capacity.ids) <= CELLS
    ranks = _ranks(board, guests)
    chosen = select(board, classes[0]) if classes else set()
    for _attempt in range(_FEW if small else attempts):
        rank, balanced, eager = next(ranks)
        search = Search(board.copy(), rank, widths, _LOOKS + _LOOKS_EACH * len(guests))
        search.board.balanced, search.eager = balanced, eager
        if classes:
            search.place_class(classes[0], set() if eager else chosen, hope[0])
        for members in classes[1:]:
            search.place_class(members, select(search.board, members), most_vcpus(search.board, members))
        value = score(classes, search.placed)
        if value > most:
            found, most = search.placed, value
        least = score(classes, {guest: alone[guest] for guest in found})
        if most[: len(hope)] >= hope and most >= least:
            return found
    return Exact(board, classes, widths, found).run() if small else found


def spots_alone(board: Board, guests: Sequence[Guest]) -> dict[Guest, Spot]:
    """Where each would be if it came first; nowhere, on more cells than there are, if it could not be."""
    found: dict[Guest, Spot] = {}
    known: dict[tuple[object, ...], Spot] = {}
    nowhere = Spot((Part(0, 0, 0),) * (len(board.capacity.ids) + 1), 0, 0)
    for guest in guests:
        like = alike(guest)
        if like not in known:
            known[like] = best(board, guest, steps=0) or nowhere
        found[guest] = known[like]
    return found


def _ranks(board: Board, guests: Sequence[Guest]) -> Iterator[tuple[dict[Guest, tuple[float, str]], bool, bool]]:
    """Who goes first, whether cells are chosen for balance, and whether guests are split at once.

    First the policies' own orders, then these disturbed at random, by turns with orders that are random altogether.

    The numbers are drawn from a fixed seed: the same guests always give the same plan.
    """
    shares = {guest: _shares(board, guest) for guest in guests}
    for order in _ORDERS:
        for balanced in (False, True):
            yield {guest: (-order(*shares[guest]), guest.name) for guest in guests}, balanced, False
    chance = random.Random(0)  # noqa: S311
    while True:
        for least, most in ((0.5, 1.5), (0.0, 1.0)):
            sizes = {guest: max(shares[guest]) if least else 1.0 for guest in guests}
            rank = {guest: (-sizes[guest] * chance.uniform(least, most), guest.name) for guest in guests}
            yield rank, chance.random() < 0.5, chance.random() < 0.5


def _shares(board: Board, guest: Guest) -> tuple[float, float]:
    """What a guest needs of all CPUs and of all memory of the host."""
    capacity = board.capacity
    need = guest.need
    if guest.kind != SHARED:
        need = max(board.cpus(cell, guest.kind, need)[0] for cell in range(len(capacity.ids)))
    totals = capacity.shared_total if guest.kind == SHARED else capacity.own_total
    return need / sum(totals), max(amount / max(1, sum(capacity.memory[pool])) for pool, amount in guest.memory)
