# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a guest is where it is, and why it is nowhere: in numbers and in one line.

This file must not import ansible, libvirt or lxml, and must not choose anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Part, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.caches import caches_used
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    ISOLATE,
    REQUIRE,
    SHARED,
    UNIT,
    Capacity,
    Guest,
    bits,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Rejection
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

_UNITS = {REQUIRE: "CPUs in whole cores", ISOLATE: "whole cores"}


@dataclass(frozen=True)
class Offer:
    """The nearest thing that fits now: a guest of this kind with ``vcpus`` and ``memory`` KiB, in pages of any of its
    sizes, on ``cell``."""

    cell: int | None
    vcpus: int
    memory: int
    vcpus_at_most: int
    text: str


def _vcpus_in(guest: Guest, room: int) -> int:
    """How many vCPUs of such a guest a room holds."""
    if guest.kind == SHARED:
        return max(0, room) * guest.vcpus // guest.need
    return max(0, room - (guest.need - guest.vcpus))


def offer(board: Board, guest: Guest) -> Offer:
    """What would fit on the one cell that comes nearest: as much of its vCPUs and memory as it has."""
    capacity, request = board.capacity, guest.request
    best: tuple[int, int, tuple[int, ...], int] | None = None
    total = 0
    for cell in bits(board.open_to(guest) & capacity.with_cpus):
        room = board.room_for(guest, cell)
        total += max(0, room)
        vcpus = min(guest.vcpus, _vcpus_in(guest, room))
        amounts = [min(amount, max(0, board.memory(guest, pool)[cell])) for pool, amount in guest.memory]
        # The cell with the largest share of what is asked for, by the scarcest of all.
        shares = [amount * UNIT // need for amount, (_pool, need) in zip(amounts, guest.memory)]
        key = (min([vcpus * UNIT // guest.vcpus, *shares]), vcpus, tuple(amounts), -cell)
        if best is None or key > best:
            best = key
    at_most = _vcpus_in(guest, total)
    if best is None or not best[1] or not all(best[2]):
        return Offer(None, 0, 0, at_most, "nothing of its kind fits there now")
    _share, vcpus, amounts_there, cell = best
    memory = {
        size: min(kib, capacity.kib(pool, amount))
        for (size, kib), (pool, _need), amount in zip(request.taken.items(), guest.memory, amounts_there)
    }
    if request.overhead:
        left = memory.pop(None) - request.overhead
        if left > 0:
            memory = {size: memory.get(size, left) for size in request.by_page}
        elif left < 0 or None in request.by_page:
            return Offer(None, 0, 0, at_most, "nothing of its kind fits there now")
    words = [
        f"{kib} KiB{f' in pages of {size} KiB' if request.other_pages and size else ''}" for size, kib in memory.items()
    ]
    text = f"{vcpus} vCPUs with {' and '.join(words)} would fit on cell {capacity.ids[-cell]}"
    return Offer(capacity.ids[-cell], vcpus, sum(memory.values()), at_most, text)


def for_the_hypervisor(guest: Guest, pool: int) -> str:
    """How much of what a guest needs of a pool is not its own."""
    overhead = guest.request.overhead if pool == 0 else 0
    return f", {overhead} of them for its hypervisor (memory_overhead may say less)" if overhead else ""


def beside_the_host(capacity: Capacity, pool: int, cells: int) -> str:
    """How much ordinary memory of these cells no guest gets."""
    kept = sum(capacity.kept[cell] for cell in bits(cells)) if pool == 0 else 0
    return f" beside {kept} KiB that the host keeps (reserved_memory may say less)" if kept else ""


def of_isolation(capacity: Capacity, guest: Guest) -> str:
    """Which CPUs are for such a guest, where isolated ones decide that and no option does."""
    if not capacity.by_isolation:
        return ""
    isolated = CpuSet.from_mask(capacity.isolated)
    if guest.kind == SHARED:
        return f" beside isolated CPUs {isolated} (shared_cpus may name them)"
    return f" of isolated CPUs {isolated} (dedicated_cpus may name others)"


def _having(names: str, together: str, most: str, ids: Sequence[int], at: int) -> str:
    """What some cells have: "cell 1 has 4", "cells 0-1 have 6, at most 4 on cell 1"."""
    return f"{names} has {together}" if len(ids) == 1 else f"{names} have {together}, at most {most} on cell {at}"


def reject(board: Board, guest: Guest) -> Rejection:
    """What stands in the way of a guest that no repair could place: the scarcest constraint on its cells."""
    capacity, request = board.capacity, guest.request
    near = offer(board, guest)
    nearest = {"cell": near.cell, "vcpus": near.vcpus, "memory": near.memory}
    cells = board.open_to(guest)
    names = capacity.named(cells)

    def result(constraint: str, needed: float, available: float, unit: str, cell: int | None, text: str) -> Rejection:
        message = f"{request.name}: {text}; {near.text}"
        return Rejection(request.name, constraint, cell, needed, available, unit, nearest, message)

    outside = [capacity.ids[cell] for cell in bits(guest.allowed & ~cells) if board.holds(guest, cell)]
    if not cells or outside:
        kind, group = ("together", request.together) if request.together is not None else ("apart", request.apart)
        text = f"group {group} leaves it {names if cells else 'no cell'}"
        if outside:
            text += f", and {capacity.named(capacity.indices(CpuSet(outside)))} would hold it"
        return result(kind, 1, 0, "cells", outside[0] if outside else None, text)
    rooms = [max(0, board.room_for(guest, cell)) for cell in bits(cells)]
    if guest.confined and best(board, replace(guest, confined=False), steps=0) is not None:
        return result(*_cache_constraint(board, guest, rooms))
    unit = _UNITS.get(guest.kind, "CPUs")
    scale = UNIT if guest.kind == SHARED else 1
    ids = [capacity.ids[cell] for cell in bits(cells)]
    if sum(rooms) < guest.need:
        needed, available = guest.need / scale, sum(rooms) / scale
        at = ids[rooms.index(max(rooms))]
        having = _having(names, f"{available:g}", f"{max(rooms) / scale:g}", ids, at)
        text = f"needs {needed:g} {unit}, and {having}{of_isolation(capacity, guest)}"
        constraint = "cores" if guest.kind in (REQUIRE, ISOLATE) else "cpus"
        return result(constraint, needed, available, "cores" if guest.kind == ISOLATE else "CPUs", at, text)
    pool = board.lacking(guest, list(bits(cells)))
    if pool is not None:
        need, free = dict(guest.memory)[pool], [max(0, board.memory(guest, pool)[cell]) for cell in bits(cells)]
        at = ids[free.index(max(free))]
        having = _having(names, str(sum(free)), str(max(free)), ids, at)
        needs = f"needs {need} {capacity.unit(pool)}{for_the_hypervisor(guest, pool)}"
        text = f"{needs}, and {having}{beside_the_host(capacity, pool, cells)}"
        constraint, unit = ("huge_pages", "pages") if pool else ("memory", "KiB")
        return result(constraint, need, sum(free), unit, at, text)
    if request.together is not None:
        text = f"group {request.together} shares one cell, and {names} cannot hold this guest beside it"
        return result("together", guest.need / scale, max(rooms) / scale, "CPUs", near.cell, text)
    held = sum(1 for cell in bits(cells) if board.holds(guest, cell))
    wide = guest.widths(len(capacity.ids))[-1] if guest.mirrored else 1
    text = f"{names} have enough CPUs and enough memory, but not on the same cells{_short_of(board, guest, cells)}"
    if guest.mirrored:
        text = f"needs {wide} cells that each hold one of its cells{_homeless_part(board, guest, wide, cells)}"
    return result("cpus_and_memory", wide, held, "cells", near.cell, text)


def _short_of(board: Board, guest: Guest, cells: int) -> str:
    """Of a guest with pages of several sizes: which cell has too few of which."""
    short = [
        f"{board.capacity.named(1 << cell)} has {max(0, free)} of {amount} {board.capacity.unit(pool)}"
        for cell in bits(cells)
        for pool, amount in guest.memory
        for free in [board.memory(guest, pool)[cell]]
        if guest.others and free < amount
    ]
    return f" ({', '.join(short)})" if short else ""


def _homeless_part(board: Board, guest: Guest, width: int, cells: int) -> str:
    """The first cell of a mirrored guest that needs more huge pages than any cell has."""
    for number, part in enumerate(guest.parts(width)):
        for pool, amount in Part(0, *part).memory(guest.pool):
            free = {cell: board.memory(guest, pool)[cell] for cell in bits(cells & board.capacity.with_cpus)}
            most = max(free, key=lambda cell: (free[cell], -cell))
            if pool and free[most] < amount:
                has = f"at most {max(0, free[most])}, on cell {board.capacity.ids[most]}"
                return f"; its cell {number} needs {amount} {board.capacity.unit(pool)}, and there are {has}"
    return ""


def _cache_constraint(board: Board, guest: Guest, rooms: Sequence[int]) -> tuple[str, float, float, str, int, str]:
    """What result() in reject() takes, for a guest that would have a place if it had not to stay in a cache."""
    capacity = board.capacity
    cells = board.open_to(guest)
    at = list(bits(cells))[rooms.index(max(rooms))]
    width = guest.widths(len(capacity.ids))[-1] if guest.mirrored else 1
    need = max(part[0] for part in guest.parts(width)) if guest.mirrored else guest.need
    each = " for each of its cells" if guest.mirrored else ""
    text = (
        f"needs {need} {_UNITS.get(guest.kind, 'CPUs')} in one last-level cache{each} (cache=require), and those of "
        f"{capacity.named(cells)} have at most {max(rooms)} left"
    )
    return "caches", need, max(rooms), "cores" if guest.kind == ISOLATE else "CPUs", capacity.ids[at], text


def caches_in_words(capacity: Capacity, cpus: int) -> str:
    """Over how many last-level caches these CPUs lie; nothing where their cells have only one each."""
    if not any(len(masks) > 1 and online & cpus for masks, online in zip(capacity.caches, capacity.online)):
        return ""
    used = [len(masks) for masks in caches_used(capacity, cpus) if masks]
    name = capacity.cache_name
    if max(used) == 1:
        return f", within one {name}{' of each' if len(used) > 1 else ''}"
    return f", across {sum(used)} {name}{' caches' if name[0] == 'L' else 's'}"


def reason(board: Board, guest: Guest, spot: Spot, cpus: int = 0) -> str:
    """Why here, with the numbers after the whole plan. ``cpus``: those that it has alone."""
    capacity, request = board.capacity, guest.request
    ids, caches = capacity.cell_ids(spot.cells), caches_in_words(capacity, cpus)
    if spot.width > 1:
        chosen = f"cells {ids}: the fewest and nearest that hold it (distance {spot.distance})"
        if guest.mirrored:
            chosen += ", one for each of its cells"
        return chosen + caches
    cell = spot.parts[0].cell
    after = f"{board.load(cell, guest) // (UNIT // 100)} % of the scarcer of CPU and memory used after"
    why = request.placed_by.why
    if request.cells is not None and len(request.cells) == 1:
        why = "the cell asked for"
    elif request.together is not None:
        why = f"the cell of group {request.together}"
    elif guest.devices and any(device == cell for device in guest.devices):
        why = "its device is there"
    return f"cell {ids}: {why}{caches}; {after}"
