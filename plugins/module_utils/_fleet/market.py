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
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._fleet.worth import PARTS, WIDE, parts, worth


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
    def __init__(self, hosts: Iterable[tuple[int, Sequence[tuple[int, float, float]]]] = ()) -> None:
        """``hosts``: pairs (host, its cells), as set() has them."""
        self._of = {host: rows_of(host, cells) for host, cells in hosts}
        self.rows = sorted(row for rows in self._of.values() for row in rows)

    def set(self, host: int, cells: Sequence[tuple[int, float, float]]) -> None:
        """The cells of a host as they are now: triples (cell, free CPUs, free memory), parts of the rod."""
        rows = self.rows
        for row in self._of.pop(host, ()):
            del rows[bisect_left(rows, row)]
        self._of[host] = found = rows_of(host, cells)
        for row in found:
            insort(rows, row)

    def best(self, cpu: float, mem: float, admits: Callable[[int, int], bool]) -> tuple[int, int, int] | None:
        """(loss, host, cell) where a guest that needs so much costs the least; then the lowest host, the lowest cell.

        ``admits`` says of a host and a cell whether it may be there.
        """
        found: tuple[int, int, int] | None = None
        most = float("inf")
        least = min(cpu, mem)
        rows = self.rows
        for at in range(bisect_left(rows, Row(least, -1, 0, 0.0, 0.0, 0.0, 0.0)), len(rows)):
            share, host, cell, has_cpu, has_mem, power, beside = rows[at]
            if has_cpu < cpu or has_mem < mem:
                continue
            left_cpu, left_mem = has_cpu - cpu, has_mem - mem
            left = min(left_mem, left_cpu)
            narrow = power - left**1.5
            if narrow > most:
                # Shares ascend, the power is convex, and at least the smaller need is taken: no later one is better.
                if power - (share - least) ** 1.5 > most:
                    break
                continue
            before = min(share, beside)
            after = min(left, beside)
            key = (parts(narrow + WIDE * (before * before - after * after)), host, cell)
            if (found is None or key < found) and admits(host, cell):
                found, most = key, (key[0] + 1) / PARTS
        return found


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
