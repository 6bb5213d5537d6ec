# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left of a host by the guests that are there: as the planner of one host counts it, and faster for most.

Most guests of a fleet share CPUs, run on one cell and have ordinary memory there. Of these a few sums are all.
This file must not import ansible, libvirt or lxml, and must not choose anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import Capacity, weight
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import Occupancy, add_fixed, helpers_of
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import InPages


def board_of(capacity: Capacity, guests: Iterable[Existing]) -> Board:
    """What these guests leave."""
    occupancy = Occupancy(capacity)
    cells: dict[CpuSet, tuple[int, int]] = {}
    for each in guests:
        if not _add_plain(occupancy, each, cells):
            add_fixed(occupancy, each)
    occupancy.spread_load()
    return occupancy.board()


def _add_plain(occupancy: Occupancy, each: Existing, cells: dict[CpuSet, tuple[int, int]]) -> bool:
    """Count in a guest of the kind above; whether it is one. ``cells`` remembers the mask, and the cell (-1 for
    several), of sets of CPUs."""
    wish, sets = each.wish, each.vcpu_cpus
    if (
        wish is None
        or wish.policy not in ("pack", "spread")
        or wish.together is not None
        or wish.apart is not None
        or each.page_size is not None
        or each.memory_on
        or each.held
        or several_sizes(each)
        or not sets
        or sets[0] is None
        or sets.count(sets[0]) < len(sets)
    ):
        return False
    capacity, where = occupancy.capacity, sets[0]
    if where not in cells:
        mask = where.mask & capacity.all_online
        on = capacity.cells_of(mask)
        cells[where] = (mask, on.bit_length() - 1 if on and not on & (on - 1) else -1)
    mask, cell = cells[where]
    if cell < 0 or (each.nodeset is not None and capacity.indices(each.nodeset) not in (0, 1 << cell)):
        return False
    if capacity.derived or mask & capacity.all_shared:
        ratio = wish.cpu_ratio if wish.cpu_ratio is not None else capacity.rules.cpu_ratio
        occupancy.load[cell] += weight(len(sets), ratio)
    occupancy.busy |= mask | (mask if each.emulator is where else helpers_of(capacity, each))
    occupancy.mem[0][cell] += each.memory + each.overhead
    occupancy.guests[cell].append(each.name)
    return True


def several_sizes(guest: InPages) -> bool:
    """Whether it takes memory in pages of several sizes."""
    return bool(guest.other_pages or (guest.overhead and guest.page_size is not None))
