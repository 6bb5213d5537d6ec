# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What free cells are worth to guests that are still to come: the rule by which a host and a cell are chosen.

This file must not import ansible, libvirt or lxml, and must know nothing of hosts.
"""

from __future__ import annotations

from collections.abc import Sequence

# What a place over several cells is worth, of one cell for which it is 1.
WIDE = 8
# Losses are compared in these parts, so that what is equal but for the rounding of floats is equal.
PARTS = 10_000_000_000


def worth(shares: Sequence[float]) -> float:
    """The worth of a host whose cells have these free shares; a guest goes where the fleet loses the least of it.

    A share is the scarcer of a cell's free CPUs and free memory, each as a part of what the largest cell of the fleet
    has in all, so that what is free anywhere is measured with one rod. With the shares in descending order,
    r1 >= r2 >= ... >= rn, the worth is

        r1**1.5 + ... + rn**1.5  +  8 * (r2**2 + ... + rn**2)

    The first sum is what guests of one cell find. It is convex: one large room is worth more than two halves of it, for
    a large guest fits there and so do two small ones. So it fills what is nearly full, as best fit does. In the second
    one rk is the room that a guest over k cells finds on each of them: whoever takes of the roomiest cell loses nothing
    of it, as long as that stays the roomiest. So guests of one cell go beside each other's gaps, cells of a host stay
    level, and hosts stay whole for wide guests. Those are few, but the largest, and it is them that all others would
    wait for: hence the weight. An empty host is opened last, for its wide room is the dearest to lose.

    Worked example, two hosts of two cells: one has (0.5, 0.3) free, the other (0.3, 0.3), and a guest needs 0.2. On the
    roomier cell of the first it costs 0.5**1.5 - 0.3**1.5 = 0.19, for 0.3 is left for a guest over two cells as before.
    On the second it costs 0.3**1.5 - 0.1**1.5 + 8 * (0.3**2 - 0.1**2) = 0.77.
    """
    narrow, squares = 0.0, 0.0
    for share in shares:
        narrow += float(share**1.5)
        squares += share * share
    return narrow + WIDE * (squares - max(shares) ** 2)


def parts(loss: float) -> int:
    """A loss as it is compared with others."""
    return round(loss * PARTS)
