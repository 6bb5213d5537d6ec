# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which requested guests have a valid place already.

A guest keeps its place where that is what the request asks for, however good another might be: the CPUs exist, nobody
else owns them, and the policy's rules hold. A cell that is overcommitted already does not make places on it invalid.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ansible_collections.numa.virt.plugins.module_utils._cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._planner.board import Part, Spot, spot_of
from ansible_collections.numa.virt.plugins.module_utils._planner.ground import (
    ISOLATE,
    REQUIRE,
    SHARED,
    UNIT,
    Ground,
    Guest,
    bits,
    count,
    proportional,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import (
    Occupancy,
    helpers_of,
    memory_parts,
    own_cpus,
    union,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request


@dataclass(frozen=True)
class Kept:
    """A guest that stays: its spot, the CPUs it owns, and those that its threads may use beside them."""

    guest: Guest
    existing: Existing
    spot: Spot
    owned: int
    used: int
    grown: bool

    @property
    def loose(self) -> bool:
        """Whether what it takes of each cell is not told by its pins: pour() says it."""
        return self.spot.width > 1 and not self.guest.mirrored


def judge(occupancy: Occupancy, guest: Guest, each: Existing) -> Kept | str:
    """The guest where it is, or why that is no valid place for this request."""
    ground, request = occupancy.ground, guest.request
    sets = [0 if cpus is None else cpus.mask for cpus in each.vcpu_cpus]
    if not all(sets):
        return "it may run on every CPU"
    if not request.owns_cpus and not guest.mirrored:
        sets = sets[: request.vcpus]  # others it will no longer have
    where = union(sets)
    if where & ~ground.all_online:
        return f"CPUs {_text(where & ~ground.all_online)} are offline or do not exist"
    if where & ~ground.all_usable:
        return f"CPUs {_text(where & ~ground.all_usable)} are reserved for the host"
    cells = ground.cells_of(where)
    # Cells that lend memory belong to the place; a nodeset elsewhere is no place at all.
    lenders = 0
    if each.nodeset is not None:
        nodes = ground.indices(each.nodeset)
        if nodes & ~cells & ground.with_cpus and each.wish is None:
            return f"its memory is bound to cell {ground.cell_ids(nodes & ~cells)}, where none of its vCPUs runs"
        lenders = nodes & ~cells
    if (cells | lenders) & ~guest.allowed:
        return f"it is on cell {ground.cell_ids((cells | lenders) & ~guest.allowed)}, and may use {request.cells}"
    if guest.must & ~cells:
        return f"it is not on its device's cell {ground.cell_ids(guest.must & ~cells)}"
    if request.owns_cpus:
        wrong = _own_problem(occupancy, guest, each, sets)
        owned = own_cpus(ground, each, request) or 0
    else:
        wrong, owned = _shared_problem(occupancy, guest, each, where), 0
    if wrong is not None:
        return wrong
    placed_before = each.wish is not None and each.wish.policy == request.policy
    if not guest.mirrored and not placed_before and count(cells) > 1:
        empty = Occupancy(ground).board()
        if any(empty.room(i, guest.kind) >= guest.need and empty.mem[guest.pool][i] >= guest.mem for i in bits(cells)):
            return f"it is spread over cells {ground.cell_ids(cells)}, and one cell can hold it"
    grown = len(sets) < guest.vcpus or each.memory < request.memory or each.page_size != request.page_size
    parts = _parts(occupancy, guest, each, sets, cells | lenders)
    if isinstance(parts, str):
        return parts
    spot = spot_of(ground, guest, parts)
    used = (where | helpers_of(ground, each)) & ~owned
    if used & occupancy.owned:
        return f"its emulator or IO threads may run on CPUs {_text(used & occupancy.owned)}, which belong to others"
    return Kept(guest, each, spot, owned, used, grown)


def _own_problem(occupancy: Occupancy, guest: Guest, each: Existing, sets: list[int]) -> str | None:
    ground, request = occupancy.ground, guest.request
    owned = own_cpus(ground, each, request)
    if owned is None or len(sets) != request.vcpus:
        return "its vCPUs do not each have a CPU of their own"
    cpus = union(sets)
    if isinstance(request.emulator, CpuSet) and (each.emulator is None or each.emulator.mask != request.emulator.mask):
        return "its emulator threads are not on the CPUs asked for"
    if request.emulator == "isolate" and each.emulator is not None:
        cpus |= each.emulator.mask
    if owned & ~ground.all_own:
        return f"CPUs {_text(owned & ~ground.all_own)} are not for guests with CPUs of their own"
    taken = owned & (occupancy.owned | occupancy.busy)
    if taken:
        return f"CPUs {_text(taken)} are used by other guests"
    if guest.kind == ISOLATE and any(count(core & cpus) > 1 for core in {ground.core_of[cpu] for cpu in bits(cpus)}):
        return "two of its threads share a core"
    if guest.kind == REQUIRE and not _fills_cores(ground, cpus):
        return "its vCPUs do not fill whole cores"
    return None


def _fills_cores(ground: Ground, cpus: int) -> bool:
    """Whether the CPUs are whole cores of two threads or more, but for the last one of each cell."""
    for cell, online in enumerate(ground.online):
        here = cpus & online
        spare = count(ground.siblings(here) & ~here)
        if here and (spare >= ground.threads[cell] or any(count(ground.core_of[cpu]) < 2 for cpu in bits(here))):
            return False
    return True


def _shared_problem(occupancy: Occupancy, guest: Guest, each: Existing, where: int) -> str | None:
    ground, request = occupancy.ground, guest.request
    if where & ~ground.all_shared:
        return f"CPUs {_text(where & ~ground.all_shared)} are not for shared guests"
    if where & occupancy.owned:
        owners = sorted({occupancy.owner[cpu] for cpu in bits(where & occupancy.owned)})
        return f"CPUs {_text(where & occupancy.owned)} belong to {', '.join(owners)}"
    if isinstance(request.emulator, CpuSet) and (each.emulator is None or each.emulator.mask != request.emulator.mask):
        return "its emulator threads are not on the CPUs asked for"
    return None


def _parts(occupancy: Occupancy, guest: Guest, each: Existing, sets: list[int], cells: int) -> list[Part] | str:
    """What it takes of each cell, by its pins; for a mirrored guest in the order of its cells."""
    ground = occupancy.ground
    memory = dict(memory_parts(occupancy, _resized(each, guest.request), cells))
    if not guest.mirrored:
        parts = []
        where = union(sets)
        for cell in sorted({*bits(cells), *memory}):
            here = where & ground.online[cell]
            if guest.kind == SHARED:
                cpu = guest.need * count(here) // count(where)
            else:
                cpu = sum(1 for mask in sets if mask & here)
                if guest.request.emulator == "isolate" and each.emulator is not None:
                    cpu += bool(each.emulator.mask & ground.online[cell])
            parts.append(Part(cell, cpu, memory.get(cell, 0)))
        return parts
    width = count(cells)
    if width not in guest.widths(len(ground.ids)):
        return f"it lies on {width} cells"
    vcpus = vcpus_of(guest, width)
    wanted = guest.parts(width)
    seats = []
    for numbers in vcpus:
        if any(number >= len(sets) for number in numbers):
            return "its number of vCPUs has changed"
        cell = ground.cells_of(union([sets[number] for number in numbers]))
        if count(cell) != 1:
            return "the vCPUs of one of its cells run on several"
        seats.append(cell.bit_length() - 1)
    if len(set(seats)) < width:
        return "two of its cells lie on one"
    if each.memnodes and dict(each.memnodes) != {number: ground.ids[cell] for number, cell in enumerate(seats)}:
        return "its memory does not follow its vCPUs"
    return [Part(cell, *part) for cell, part in zip(seats, wanted)]


def pour(occupancy: Occupancy, loose: Sequence[Kept]) -> list[Kept]:
    """Guests on several cells with what they take of each, so that it fits as well as it can.

    By turns in proportion to the room; then from cells that have too much to those that have room.
    """
    ground = occupancy.ground
    joint = [UNIT * count(mask & ~occupancy.owned) - load for mask, load in zip(ground.shared, occupancy.load)]
    mem = [[total - used for total, used in zip(*pools)] for pools in zip(ground.memory, occupancy.mem)]
    cuts: list[tuple[list[int], list[int], list[int]]] = []
    taken: list[tuple[list[int], list[int], list[int]]] = []
    for kept in loose:
        cells, cpu, amounts = (list(column) for column in zip(*kept.spot.parts))
        if kept.guest.kind == SHARED:
            cpu = _cut(joint, cells, kept.guest.need, [max(0, joint[cell]) for cell in cells])
            cuts.append((joint, cells, cpu))
        if not kept.existing.memory_on:
            amounts = _cut(mem[kept.guest.pool], cells, kept.guest.mem, cpu)
            cuts.append((mem[kept.guest.pool], cells, amounts))
        taken.append((cells, cpu, amounts))
    for room, cells, amounts in cuts + cuts:
        for at, cell in enumerate(cells):
            for to, other in enumerate(cells):
                more = max(0, min(-room[cell], amounts[at], room[other]))
                amounts[at], amounts[to] = amounts[at] - more, amounts[to] + more
                room[cell], room[other] = room[cell] + more, room[other] - more
    return [
        replace(kept, spot=kept.spot._replace(parts=tuple(map(Part, *columns)))) for kept, columns in zip(loose, taken)
    ]


def _cut(room: list[int], cells: list[int], total: int, weights: list[int]) -> list[int]:
    """Shares of a total that are taken off the room; what does not fit is the first cell's."""
    shares = proportional(total, [max(0, room[cell]) for cell in cells], weights)
    shares[0] += total - sum(shares)
    for cell, amount in zip(cells, shares):
        room[cell] -= amount
    return shares


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


def _resized(each: Existing, request: Request) -> Existing:
    """The guest with the memory that it shall have; what was measured counts only while that is the same."""
    same = each.memory == request.memory and each.page_size == request.page_size
    return replace(each, memory=request.memory, page_size=request.page_size, memory_on=each.memory_on if same else ())


def _text(mask: int) -> str:
    return str(CpuSet.from_mask(mask))
