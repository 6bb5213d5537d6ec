# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The free shares of the cells of many hosts, sorted: where a guest that one cell holds costs the least.

One market has the cells of hosts where the same is counted: CPUs of one kind, pages of one size, one ratio. The answer
is exact: the rest of the cells is passed over only where no cell of it could be better.
This file must not import ansible, libvirt or lxml, and must know nothing of hosts but their numbers.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._fleet.offers import Offers
from ansible_collections.numa.virt.plugins.module_utils._fleet.worth import PARTS, WIDE, parts, worth

# Needs of which it is remembered what each host would lose.
_REMEMBERED = 32


class Row(NamedTuple):
    """A cell: its share, host and number; its free CPUs and memory as parts of the rod; its share to the power of 1.5,
    and the largest share of the host's other cells."""

    share: float
    host: int
    cell: int
    cpu: float
    mem: float
    power: float
    beside: float


class Market:
    """``rows``: of cells that are shorter of CPUs than of memory, and of the others; ascending by their shares."""

    def __init__(self, hosts: Iterable[tuple[int, Sequence[tuple[int, float, float]]]] = ()) -> None:
        """``hosts``: pairs (host, its cells), as set() has them."""
        self._of = {host: rows_of(host, cells) for host, cells in hosts}
        both: tuple[list[Row], list[Row]] = ([], [])
        for rows in self._of.values():
            for row in rows:
                both[row.cpu > row.mem].append(row)
        self.rows = (sorted(both[0]), sorted(both[1]))
        #: By needs that were asked for: None the first time, then what each host loses by such a guest, and where
        self._asked: dict[tuple[float, float], Offers[int] | None] = {}

    def set(self, host: int, cells: Sequence[tuple[int, float, float]]) -> None:
        """The cells of a host as they are now: triples (cell, free CPUs, free memory), parts of the rod."""
        for row in self._of.pop(host, ()):
            rows = self.rows[row.cpu > row.mem]
            del rows[bisect_left(rows, row)]
        self._of[host] = found = rows_of(host, cells)
        for row in found:
            insort(self.rows[row.cpu > row.mem], row)
        for offers in self._asked.values():
            if offers is not None:
                offers.stale.add(host)

    def best(
        self, cpu: float, mem: float, admits: Callable[[int, int], bool], often: bool = False
    ) -> tuple[int, int, int] | None:
        """(loss, host, cell) where a guest that needs so much costs the least; then the lowest host, the lowest cell.

        ``admits`` says of a host and a cell whether it may be there. ``often``: it pays to remember what each host
        would lose by such a guest, from the second on.
        """
        needs = (cpu, mem)
        known = needs in self._asked
        offers = self._asked.pop(needs, None)
        if offers is None and often and known:
            offers = Offers(self._of, partial(self._best_of, cpu, mem))
        if offers is not None or often:
            self._asked[needs] = offers
            if len(self._asked) > _REMEMBERED:
                del self._asked[next(iter(self._asked))]
        if offers is None:
            return self._scan(cpu, mem, admits)
        for host, ((lost,), cell) in offers.best_first():
            if admits(host, cell):
                return lost, host, cell
        return None

    def _best_of(self, cpu: float, mem: float, host: int) -> tuple[tuple[int], int] | None:
        """What a host loses by such a guest, and the cell where that is least."""
        costs = [(_cost(row, cpu, mem), row.cell) for row in self._of[host] if row.cpu >= cpu and row.mem >= mem]
        if not costs:
            return None
        lost, cell = min(costs)
        return (lost,), cell

    def _scan(self, cpu: float, mem: float, admits: Callable[[int, int], bool]) -> tuple[int, int, int] | None:
        found: tuple[int, int, int] | None = None
        most = float("inf")
        # What is short is what a guest takes at least of the share.
        for rows, least in zip(self.rows, (cpu, mem)):
            for at in range(bisect_left(rows, Row(least, -1, 0, 0.0, 0.0, 0.0, 0.0)), len(rows)):
                row = rows[at]
                if row.cpu < cpu or row.mem < mem:
                    continue
                # Shares ascend and the power is convex: once the least that is lost is too much, it stays so.
                if row.power - (row.share - least) ** 1.5 > most:
                    break
                key = (_cost(row, cpu, mem), row.host, row.cell)
                if (found is None or key < found) and admits(row.host, row.cell):
                    found, most = key, (key[0] + 1) / PARTS
        return found


def _cost(row: Row, cpu: float, mem: float) -> int:
    """What the host loses by a guest on that cell: the difference of worth() before and after."""
    left = min(row.cpu - cpu, row.mem - mem)
    before, after = min(row.beside, row.share), min(row.beside, left)
    return parts(row.power - left**1.5 + WIDE * (before * before - after * after))


def rows_of(host: int, cells: Sequence[tuple[int, float, float]]) -> list[Row]:
    shares = [max(0.0, min(cpu, mem)) for _cell, cpu, mem in cells]
    order = sorted(shares, reverse=True)[:2]
    rows = []
    for share, (cell, cpu, mem) in zip(shares, cells):
        beside = 0.0 if len(order) < 2 else order[1] if share == order[0] else order[0]
        rows.append(Row(share, host, cell, cpu, mem, share**1.5, beside))
    return rows


def loss(before: Sequence[float], after: Sequence[float]) -> int:
    """What a host loses by a guest, by the free shares of its cells."""
    return parts(worth(before) - worth(after)) if before else 0
