# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which cell of the host each cell of a mirrored guest lies on, by its pins.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    Capacity,
    Guest,
    count,
    either,
)


def vcpus_of(guest: Guest, width: int) -> list[list[int]]:
    """The vCPUs of each cell of a mirrored guest."""
    own = guest.request.guest_cells
    if own:
        return [list(cell.vcpus) for cell in own]
    vcpus, start = [], 0
    for number in range(width):
        size = guest.vcpus // width + (number < guest.vcpus % width)
        vcpus.append(list(range(start, start + size)))
        start += size
    return vcpus


def seats_of(
    capacity: Capacity, guest: Guest, sets: Sequence[int], memnodes: Sequence[tuple[int, int]], width: int
) -> list[int] | str:
    """The host cell (index) of each of ``width`` guest cells, or why there are none. ``sets``: the CPUs of each vCPU;
    ``memnodes``: pairs (guest cell, cell id), empty where nothing is said."""
    if width not in guest.widths(len(capacity.ids)):
        return f"it lies on {width} cells"
    seats = []
    for numbers in vcpus_of(guest, width):
        if any(number >= len(sets) for number in numbers):
            return "its number of vCPUs has changed"
        cell = capacity.cells_of(either(sets[number] for number in numbers))
        if count(cell) != 1:
            return "the vCPUs of one of its cells run on several"
        seats.append(cell.bit_length() - 1)
    if len(set(seats)) < width:
        return "two of its cells lie on one"
    if memnodes and dict(memnodes) != {number: capacity.ids[cell] for number, cell in enumerate(seats)}:
        return "its memory does not follow its vCPUs"
    return seats
