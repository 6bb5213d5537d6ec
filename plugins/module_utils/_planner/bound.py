# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many vCPUs any plan could place at most, and which guests to try for when not all can be.

The bound is the Lagrangian of the linear relaxation: all cells are one, guests may be cut, and every price of a
resource gives a valid bound; the prices are chosen to make it low. What cells and whole guests really cost can only
make a plan smaller. Source: Martello and Toth, Knapsack Problems, 1990, chapter 2 (surrogate and Lagrangian bounds).
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import mul
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    ISOLATE,
    PREFER,
    REQUIRE,
    SHARED,
    UNIT,
    Capacity,
    Guest,
    bits,
    count,
    either,
)

# Rounds of the search for a price, and how many kinds of guests are compared for an exchange.
_ROUNDS = 26
_GOLDEN = 0.6180339887498949
_CANDIDATES = 60


class Kind(NamedTuple):
    """Guests that are alike: vCPUs, what each needs of every resource, how many there are."""

    vcpus: int
    needs: tuple[int, ...]
    number: int


def needs_of(capacity: Capacity, guest: Guest) -> tuple[int, ...]:
    """The least that a guest takes, wherever it is placed: joint, free, whole, then each pool of memory."""
    mem = [0] * len(capacity.memory)
    for pool, amount in guest.memory:
        mem[pool] = max(0, amount - sum(has for at, _cell, has in guest.held if at == pool))
    if guest.kind == SHARED:
        # The parts of a mirrored guest are each rounded down.
        return (max(0, guest.need - (len(capacity.ids) if guest.mirrored else 0)), 0, 0, *mem)
    threads = {capacity.threads[cell] for cell in bits(guest.allowed & capacity.with_cpus)} or {1}
    cpus, whole = guest.need, 0
    if guest.kind != PREFER:
        whole = -(-guest.need // max(threads)) if guest.kind == REQUIRE else guest.need
    if guest.kind == ISOLATE:
        cpus = guest.need * min(threads)
    elif guest.kind == REQUIRE and len(threads) == 1:
        cpus = whole * max(threads)
    return (cpus * UNIT if capacity.derived else 0, cpus, whole, *mem)


def room_of(board: Board, cells: int) -> tuple[int, ...]:
    """What those cells have together."""
    rows = (board.joint, board.free, board.whole, *board.mem)
    return tuple(sum(max(0, row[cell]) for cell in bits(cells)) for row in rows)


def most_vcpus(board: Board, guests: Sequence[Guest]) -> int:
    """No plan places more of these guests' vCPUs into what the board has free."""
    capacity = board.capacity
    everywhere = _most(capacity, guests, room_of(board, either(guest.allowed for guest in guests)))
    fixed: dict[int, list[Guest]] = {}
    for guest in guests:
        if count(guest.allowed) == 1:
            fixed.setdefault(guest.allowed, []).append(guest)
    if not fixed:
        return everywhere
    free = [guest for guest in guests if count(guest.allowed) > 1]
    apart = _most(capacity, free, room_of(board, either(guest.allowed for guest in free)))
    apart += sum(_most(capacity, own, room_of(board, cell)) for cell, own in fixed.items())
    return min(everywhere, apart)


def _most(capacity: Capacity, guests: Sequence[Guest], room: tuple[int, ...]) -> int:
    kinds = _kinds((guest.vcpus, needs_of(capacity, guest)) for guest in guests)
    prices = _prices(kinds, room)
    value = int(_value(kinds, room, prices) + 1e-6)
    return _reachable(kinds, value)


def _kinds(pairs: Iterable[tuple[int, tuple[int, ...]]]) -> list[Kind]:
    return [Kind(vcpus, needs, number) for (vcpus, needs), number in sorted(Counter(pairs).items())]


def _prices(kinds: list[Kind], room: tuple[int, ...]) -> list[float]:
    """A price for a unit of each resource; 0 for one that is enough for all, or enough wherever another one is."""
    prices = [0.0] * len(room)
    contested = _contested(kinds, room)
    have = tuple(room[at] for at in contested)
    less = [kind._replace(needs=tuple(kind.needs[at] for at in contested)) for kind in kinds]
    own = [0.0] * len(have)
    pairs = [(one, other) for one in range(len(have)) for other in range(one + 1, len(have))]
    if len(have) == 1:
        own[0] = _price(less, have, own, 0)
    for one, other in pairs * (1 if len(pairs) == 1 else 2):
        _price_two(less, have, own, one, other)
    for at, price in zip(contested, own):
        prices[at] = price
    return prices


def _contested(kinds: list[Kind], room: tuple[int, ...]) -> list[int]:
    """Resources of which there is not enough for all, without those that another one always limits more."""
    short = [at for at, have in enumerate(room) if sum(kind.needs[at] * kind.number for kind in kinds) > have]
    for at in list(short):
        others = [other for other in short if other != at]
        if any(all(kind.needs[at] * room[by] <= kind.needs[by] * room[at] for kind in kinds) for by in others):
            short.remove(at)
    return short


def _price_two(kinds: list[Kind], room: tuple[int, ...], prices: list[float], one: int, other: int) -> None:
    """The best prices of two resources together: golden section for one, the best of the other for each."""

    def value(price: float) -> float:
        prices[one] = price
        prices[other] = _price(kinds, room, prices, other)
        return _value(kinds, room, prices)

    low, high = 0.0, max(kind.vcpus / kind.needs[one] for kind in kinds if kind.needs[one])
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    values = [value(left), value(right)]
    for _round in range(_ROUNDS):
        if values[0] <= values[1]:
            high, right, left = right, left, right - _GOLDEN * (right - low)
            values = [value(left), values[0]]
        else:
            low, left, right = left, right, left + _GOLDEN * (high - left)
            values = [values[1], value(right)]
    value((low + high) / 2)


def _price(kinds: list[Kind], room: tuple[int, ...], prices: list[float], at: int) -> float:
    """The best price of one resource while the others' are fixed: where buyers in order of worth have used it up."""
    rest = [0.0 if other == at else price for other, price in enumerate(prices)]
    worth = [
        (kind.vcpus - sum(map(mul, rest, kind.needs)), kind.needs[at], kind.number) for kind in kinds if kind.needs[at]
    ]
    worth.sort(key=lambda each: each[0] / each[1], reverse=True)
    sold = accumulate(need * number for _value, need, number in worth)
    # There is not enough for all: one of them is the last.
    price: float = next(
        max(0.0, each[0] / each[1]) for each, sum_ in zip(worth, sold) if sum_ > room[at] or each[0] <= 0
    )
    return price


def _value(kinds: list[Kind], room: tuple[int, ...], prices: list[float]) -> float:
    total: float = sum(map(mul, prices, room))
    for vcpus, needs, number in kinds:
        total += number * max(0.0, vcpus - sum(map(mul, prices, needs)))
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
    capacity = board.capacity
    room = list(room_of(board, either(guest.allowed for guest in guests)))
    alike: dict[tuple[int, tuple[int, ...]], list[Guest]] = {}
    for guest in guests:
        alike.setdefault((guest.vcpus, needs_of(capacity, guest)), []).append(guest)
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
