# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is worth knowing of a plan and prevents nothing.

This file must not import ansible, libvirt or lxml, and must not decide anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from ansible_collections.numa.virt.plugins.module_utils._errors import one_line
from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import Capacity, Guest
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Note, Placed
from ansible_collections.numa.virt.plugins.module_utils._planner.siblings import broken_cores, keeps_cores
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


def notes_of(
    board: Board, placements: Sequence[Placed], guests: Mapping[str, Guest], others: Iterable[Note]
) -> tuple[Note, ...]:
    """``board`` is the host as it will be, ``guests`` are those that have a place, ``others`` notes of those there."""
    capacity = board.capacity
    return (
        *_not_for_all(capacity),
        *others,
        *_overcommitted(capacity, board),
        *_of_no_cell(capacity.host, guests.values()),
        *(note for each in placements for note in _apart(capacity, guests[each.name], each)),
    )


def _not_for_all(capacity: Capacity) -> list[Note]:
    """CPUs with which the kernel has something else in mind than the rules say."""
    notes = []
    for each in capacity.host.partitions:
        mask = each.cpus.mask & capacity.all_online
        if mask:
            who = one_line(each.name) or "a control group"
            notes.append(Note("held", None, None, f"{_cpus(mask, 'belong')} to {who}: no guest gets them"))
    shared = capacity.isolated & capacity.all_shared
    if shared:
        text = f"{_cpus(shared, 'are')} isolated: the kernel does not balance the guests that share them"
        notes.append(Note("isolated_shared", None, None, f"shared_cpus: {text}"))
    idle = capacity.isolated & ~capacity.all_shared & ~capacity.all_own
    if idle:
        text = f"{_cpus(idle, 'are')} isolated, and not in dedicated_cpus: no guest gets them"
        notes.append(Note("isolated_idle", None, None, f"{text} unless shared_cpus names them"))
    return notes


def _cpus(mask: int, verb: str) -> str:
    """ "CPU 3 belongs", "CPUs 3-4 belong"."""
    one = not mask & (mask - 1)
    said = {"are": "is"}.get(verb, f"{verb}s") if one else verb
    return f"CPU{'' if one else 's'} {CpuSet.from_mask(mask)} {said}"


def _overcommitted(capacity: Capacity, board: Board) -> list[Note]:
    notes = []
    for cell, cell_id in enumerate(capacity.ids):
        if board.joint[cell] < 0:
            text = f"cell {cell_id} has more shared vCPUs than its CPUs and ratio allow"
            notes.append(Note("overcommitted", None, cell_id, text))
        for pool in (pool for pool, free in enumerate(board.mem) if free[cell] < 0):
            more = capacity.unit(pool) if pool else "memory"
            text = f"guests of cell {cell_id} have more {more} than it"
            notes.append(Note("memory_overcommitted", None, cell_id, text))
    return notes


def _of_no_cell(host: Host, guests: Iterable[Guest]) -> list[Note]:
    """Devices that a guest shall be near, and of which nobody knows where they are."""
    notes = []
    for guest in guests:
        unknown = [each for each in guest.request.devices if each not in host.device_cells]
        if unknown and guest.request.device_rule != "ignore":
            more = f" (and {len(unknown) - 1} more of its devices)" if len(unknown) > 1 else ""
            text = f"{guest.name}: device {unknown[0]}{more} did not count: {host.why_no_cell(unknown[0])}"
            notes.append(Note("device_without_cell", guest.name, None, text))
    return notes


def _apart(capacity: Capacity, guest: Guest, placed: Placed) -> list[Note]:
    """Cores of a guest that could not be kept together."""
    if not keeps_cores(guest):
        return []
    cpus = {vcpu: next(iter(own)) for vcpu, own in placed.vcpu_pins}
    broken, _least = broken_cores(capacity, cpus, guest.request.threads, guest.mirrored)
    if not broken:
        return []
    text = (
        f"{guest.name}: vCPUs {CpuSet(chain(*broken))} are threads of {len(broken)} of its cores, each of which lies "
        "on several cores of the host"
    )
    return [Note("guest_threads_apart", guest.name, None, text)]
