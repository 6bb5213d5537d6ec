# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many vCPUs any plan could place at most, and which guests to try for when not all can be.

The bound is the Lagrangian of the linear relaxation: cells are poured into one, guests may be cut, and every price of a
resource gives a valid bound; the prices are chosen to make it low. What cells and whole guests really cost can only
make a plan smaller. Source: Martello and Toth, Knapsack Problems, 1990, chapter 2 (surrogate and Lagrangian bounds).
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board
from ansible_collections.numa.virt.plugins.module_utils._planner.ground import (
    ISOLATE,
    PREFER,
    REQUIRE,
    SHARED,
    UNIT,
    Ground,
    Guest,
    bits,
    count,
)

# Rounds of the search for a price, and how many kinds of guests are compared for an exchange.
_ROUNDS = 40
_CANDIDATES = 60


class Kind(NamedTuple):
    """Guests that are alike: vCPUs, what each needs of every resource, how many there are."""

    vcpus: int
    needs: tuple[int, ...]
    number: int


def needs_of(ground: Ground, guest: Guest) -> tuple[int, ...]:
    """The least that a guest takes, wherever it is placed: joint, free, whole, then each pool of memory."""
    mem = [0] * len(ground.memory)
    mem[guest.pool] = guest.mem
    if guest.kind == SHARED:
        # The parts of a mirrored guest are each rounded down.
        return (max(0, guest.need - (len(ground.ids) if guest.mirrored else 0)), 0, 0, *mem)
    threads = {ground.threads[cell] for cell in bits(guest.allowed & ground.with_cpus)} or {1}
    cpus, whole = guest.need, 0
    if guest.kind != PREFER:
        whole = -(-guest.need // max(threads)) if guest.kind == REQUIRE else guest.need
    if guest.kind == ISOLATE:
        cpus = guest.need * min(threads)
    elif guest.kind == REQUIRE and len(threads) == 1:
        cpus = whole * max(threads)
    return (cpus * UNIT if ground.derived else 0, cpus, whole, *mem)


def room_of(board: Board, cells: int) -> tuple[int, ...]:
    """What those cells have together."""
    rows = (board.joint, board.free, board.whole, *board.mem)
    return tuple(sum(max(0, row[cell]) for cell in bits(cells)) for row in rows)


def most_vcpus(board: Board, guests: Sequence[Guest]) -> int:
    """No plan places more of these guests' vCPUs into what the board has free."""
    ground = board.ground
    everywhere = _most(ground, guests, room_of(board, ground.everywhere))
    fixed: dict[int, list[Guest]] = {}
    for guest in guests:
        if count(guest.allowed) == 1:
            fixed.setdefault(guest.allowed, []).append(guest)
    if not fixed:
        return everywhere
    free = [guest for guest in guests if count(guest.allowed) > 1]
    apart = _most(ground, free, room_of(board, ground.everywhere))
    apart += sum(_most(ground, own, room_of(board, cell)) for cell, own in fixed.items())
    return min(everywhere, apart)


def _most(ground: Ground, guests: Sequence[Guest], room: tuple[int, ...]) -> int:
    kinds = _kinds((guest.vcpus, needs_of(ground, guest)) for guest in guests)
    prices = _prices(kinds, room)
    value = int(_value(kinds, room, prices) + 1e-6)
    return _reachable(kinds, value)


def _kinds(pairs: Iterable[tuple[int, tuple[int, ...]]]) -> list[Kind]:
    return [Kind(vcpus, needs, number) for (vcpus, needs), number in sorted(Counter(pairs).items())]


def _prices(kinds: list[Kind], room: tuple[int, ...]) -> list[float]:
    """A price for a unit of each resource; 0 for one that is enough for all."""
    prices = [0.0] * len(room)
    contested = [at for at, have in enumerate(room) if sum(kind.needs[at] * kind.number for kind in kinds) > have]
    pairs = [(one, other) for at, one in enumerate(contested) for other in contested[at + 1 :]]
    if len(contested) == 1:
        prices[contested[0]] = _price(kinds, room, prices, contested[0])
    for one, other in pairs * (1 if len(pairs) == 1 else 2):
        low, high = 0.0, max(kind.vcpus / kind.needs[one] for kind in kinds if kind.needs[one])
        for _round in range(_ROUNDS):
            thirds = (low + (high - low) / 3, high - (high - low) / 3)
            values = []
            for third in thirds:
                prices[one] = third
                prices[other] = _price(kinds, room, prices, other)
                values.append(_value(kinds, room, prices))
            if values[0] <= values[1]:
                high = thirds[1]
            else:
                low = thirds[0]
        prices[one] = (low + high) / 2
        prices[other] = _price(kinds, room, prices, other)
    return prices


def _price(kinds: list[Kind], room: tuple[int, ...], prices: list[float], at: int) -> float:
    """The best price of one resource while the others' are fixed: where buyers in order of worth have used it up."""
    rest = [0.0 if other == at else price for other, price in enumerate(prices)]
    worth = [
        (kind.vcpus - sum(map(float.__mul__, rest, map(float, kind.needs))), kind.needs[at], kind.number)
        for kind in kinds
        if kind.needs[at]
    ]
    worth.sort(key=lambda each: each[0] / each[1], reverse=True)
    sold = accumulate(need * number for _value, need, number in worth)
    # There is not enough for all: one of them is the last.
    return next(max(0.0, each[0] / each[1]) for each, sum_ in zip(worth, sold) if sum_ > room[at] or each[0] <= 0)


def _value(kinds: list[Kind], room: tuple[int, ...], prices: list[float]) -> float:
    total = sum(price * have for price, have in zip(prices, room))
    for kind in kinds:
        total += kind.number * max(0.0, kind.vcpus - sum(price * need for price, need in zip(prices, kind.needs)))
    return total


def _reachable(kinds: list[Kind], limit: int) -> int:
    """The largest sum of whole guests' vCPUs that is not above the limit."""
    sums, mask = 1, (1 << (limit + 1)) - 1
    numbers: Counter[int] = Counter()
    for kind in kinds:
        numbers[kind.vcpus] += kind.number
    for vcpus, number in sorted(numbers.items()):
        step = 1
        while number > 0:
            taken = min(step, number)
            sums |= sums << (vcpus * taken) & mask
            number, step = number - taken, step * 2
    return sums.bit_length() - 1


def select(board: Board, guests: Sequence[Guest]) -> set[Guest]:
    """The guests that would fit if cells were one, worth most: whom to place first where not all can be.

    The most vCPUs for the price, larger ones first; then exchanges that fill what is left.
    """
    ground = board.ground
    room = list(room_of(board, ground.everywhere))
    alike: dict[tuple[int, tuple[int, ...]], list[Guest]] = {}
    for guest in guests:
        alike.setdefault((guest.vcpus, needs_of(ground, guest)), []).append(guest)
    kinds = _kinds((vcpus, needs) for (vcpus, needs), like in alike.items() for _each in like)
    prices = _prices(kinds, tuple(room))
    if not any(prices):
        return set(guests)

    def worth(kind: Kind) -> float:
        cost = sum(price * need for price, need in zip(prices, kind.needs))
        return kind.vcpus / cost if cost else float("inf")

    order = sorted(kinds, key=lambda kind: (-round(worth(kind), 9), -kind.vcpus, kind.needs))
    taken = []
    for kind in order:
        number = min([kind.number, *(have // need for need, have in zip(kind.needs, room) if need)])
        number = max(0, number)
        taken.append(number)
        room = [have - number * need for need, have in zip(kind.needs, room)]
    exchange(order, taken, room)
    chosen: set[Guest] = set()
    for kind, number in zip(order, taken):
        chosen.update(alike[kind.vcpus, kind.needs][:number])
    return chosen


def exchange(order: Sequence[Kind], taken: list[int], room: list[int]) -> None:
    """Take one more, or one with more vCPUs for one that is given up, while that helps; a bounded number of times."""
    rounds, best = _CANDIDATES, _best_exchange(order, taken, room)
    while best is not None and rounds:
        for at, sign in zip(best, (1, -1)):
            taken[at] += sign
            room[:] = [free - sign * need for free, need in zip(room, order[at].needs)]
        rounds, best = rounds - 1, _best_exchange(order, taken, room)


def _best_exchange(order: Sequence[Kind], taken: list[int], room: list[int]) -> tuple[int, ...] | None:
    """Which kind comes, and which goes if one must; None if nothing helps."""
    inside = [at for at in range(len(order) - 1, -1, -1) if taken[at]][:_CANDIDATES]
    outside = [at for at in range(len(order)) if taken[at] < order[at].number][:_CANDIDATES]
    best, most = None, 0
    for gone in ((), *((at,) for at in inside)):
        have = list(room)
        lost = 0
        for at in gone:
            have = [free + need for free, need in zip(room, order[at].needs)]
            lost = order[at].vcpus
        for come in outside:
            kind = order[come]
            if kind.vcpus - lost > most and all(need <= free for need, free in zip(kind.needs, have)):
                best, most = (come, *gone), kind.vcpus - lost
    return best
