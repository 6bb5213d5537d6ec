# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each host offers guests of one kind, the best first: kept while hosts fill up, for the kinds that came last.

This file must not import ansible, libvirt or lxml, and must know nothing of what a host is.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Spot

T = TypeVar("T")


class Offer(NamedTuple):
    """A spot for a guest on a host; of two hosts the one with the smaller ``key`` is the better."""

    key: tuple[int, ...]
    spot: Spot


class Offers(Generic[T]):
    """Of one kind of guest. ``ask``: what a host offers now, its key and what it is; None where it has nothing."""

    def __init__(self, hosts: Iterable[int], ask: Callable[[int], tuple[tuple[int, ...], T] | None]) -> None:
        self._ask = ask
        self._of = {number: offer for number in hosts for offer in (ask(number),) if offer is not None}
        self._order = sorted((offer[0], number) for number, offer in self._of.items())
        #: Hosts that have changed since they were asked
        self.stale: set[int] = set()

    def best_first(self) -> Iterator[tuple[int, tuple[tuple[int, ...], T]]]:
        """Pairs (host, offer); ties go to the first host."""
        for number in self.stale:
            before = self._of.pop(number, None)
            if before is not None:
                del self._order[bisect_left(self._order, (before[0], number))]
            now = self._ask(number)
            if now is not None:
                self._of[number] = now
                insort(self._order, (now[0], number))
        self.stale.clear()
        for _key, number in self._order:
            yield number, self._of[number]
