# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many more guests of one shape fit: on each host and in the fleet, without their groups.

Exact for guests that one cell holds and that are not split, and for those with cells of their own that are alike: then
a host holds t of them if its cells, each for t at most, have t times as many slots as the guest has cells. Else it is
counted by placing them, with a bound beside it. Source of the closed form: arXiv 2604.15033.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.host import HostBoard, moved, one_cell_anywhere
from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    ISOLATE,
    PREFER,
    SHARED,
    Guest,
    bits,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request


class More(NamedTuple):
    """So many fit, for they were placed; and no more than so many could."""

    fits: int
    at_most: int


def how_many(fleet: Fleet, request: Request) -> dict[int, More]:
    """By number of the hosts that are planned on to."""
    wish = moved(request)
    return {number: more_on(fleet, number, wish) for number in fleet.boards}


def total(counts: Sequence[More]) -> More:
    return More(sum(each.fits for each in counts), sum(each.at_most for each in counts))


def more_on(fleet: Fleet, number: int, wish: Request) -> More:
    """Of one host."""
    if not fleet.possible(number, wish):
        return More(0, 0)
    host = fleet.boards[number]
    guest = host.guest(wish)
    at_most = _at_most(host.board, guest)
    if _closed(guest):
        return More(at_most, at_most)
    if one_cell_anywhere(wish) and _singles(host.board, guest) >= at_most:
        return More(at_most, at_most)
    return More(_placed(host, guest, at_most), at_most)


def _closed(guest: Guest) -> bool:
    """Whether the bound is what fits: parts are alike, and nothing but room decides."""
    if not guest.mirrored or guest.devices or guest.confined or guest.others:
        return False
    widths = guest.widths(1)
    alone = guest.request.together is None and guest.request.apart is None
    return alone and len(widths) == 1 and len(set(guest.parts(widths[0]))) == 1 and not _rest(guest)


def _singles(board: Board, guest: Guest) -> int:
    """How many fit of which each has one cell."""
    mem = board.memory(guest)
    cells = bits(board.open_to(guest) & board.capacity.with_cpus)
    return sum(slots(board, cell, guest.kind, guest.need, mem[cell], guest.mem) for cell in cells)


def _rest(guest: Guest) -> bool:
    """Whether its number of cells is left open."""
    request = guest.request
    return request.width is None and not request.guest_cells and request.cells is None


def _at_most(board: Board, guest: Guest) -> int:
    cells = list(bits(board.open_to(guest) & board.capacity.with_cpus))
    mem = board.memory(guest)
    beside = [
        sum(max(0, board.memory(guest, pool)[cell]) for cell in bits(board.open_to(guest))) // amount
        for pool, amount in guest.others
    ]
    if guest.mirrored and not _rest(guest):
        width = guest.widths(len(board.capacity.ids))[0]
        parts = guest.parts(width)
        cpu, amount = min(part[0] for part in parts), min(part[1] for part in parts)
        small = _rounds([slots(board, cell, guest.kind, cpu, mem[cell], amount) for cell in cells], width)
        cpu, amount = sum(part[0] for part in parts), sum(part[1] for part in parts)
        rooms = sum(max(0, board.room(cell, guest.kind)) for cell in cells)
        return min([small, rooms // cpu, sum(max(0, mem[cell]) for cell in cells) // amount, *beside])
    # Cut as one likes: a guest that is split lends memory of cells without CPUs too.
    rooms = sum(max(0, board.room(cell, guest.kind)) for cell in cells)
    amounts = sum(max(0, mem[cell]) for cell in bits(board.open_to(guest)))
    # The parts of a mirrored guest on shared CPUs are each rounded down.
    need = max(1, guest.need - len(cells)) if guest.mirrored and guest.kind == SHARED else guest.need
    return min([rooms // need, amounts // guest.mem, *beside])


def slots(board: Board, cell: int, kind: int, cpu: int, free: int, mem: int) -> int:
    """How many guests, or parts of one, that need so much fit on a cell one beside the other."""
    if kind in (SHARED, PREFER):
        room = board.room(cell, kind) // cpu
    else:
        threads = board.capacity.threads[cell]
        cores = cpu if kind == ISOLATE else -(-cpu // threads)
        room = board.room(cell, ISOLATE) // cores if kind == ISOLATE or threads > 1 else 0
    return max(0, min(room, free // mem) if mem else room)


def _rounds(each: Sequence[int], width: int) -> int:
    """The most guests of so many parts, no two parts of one on the same cell."""
    low, high = 0, sum(each) // width
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(number, middle) for number in each) >= width * middle:
            low = middle
        else:
            high = middle - 1
    return low


def _placed(host: HostBoard, guest: Guest, at_most: int) -> int:
    """By placing one after the other."""
    board, fits = host.board.copy(), 0
    while fits < at_most:
        spot = best(board, guest)
        if spot is None:
            break
        board.take(guest, spot)
        fits += 1
    return fits
