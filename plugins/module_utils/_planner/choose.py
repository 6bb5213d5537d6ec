# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One guest, the cells as they are filled now: the spot that its policy likes best.

The order is that of the plan's objective: stay, least distance, no core shared, then the policy's own:
``pack`` opens no cell that it need not and takes the fullest; ``spread`` the one that is least loaded afterwards;
``dedicated`` the one with the fewest CPUs left over; ``mirror`` as ``pack``. Last the cell's id.
Where cells have CPUs and memory out of proportion all but ``spread`` first look for one whose rest is as the guest is,
so that it does not use up the one and leave the other for nobody.
This file must not import ansible, libvirt or lxml, and must not take anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Part, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    REQUIRE,
    SHARED,
    UNIT,
    Guest,
    Need,
    bits,
    count,
    proportional,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.siblings import keeps_cores
from ansible_collections.numa.virt.plugins.module_utils._planner.subsets import STEPS, nearest_subset
from ansible_collections.numa.virt.plugins.module_utils._values.topology import LOCAL_DISTANCE

# Where cells are out of proportion: steps of what a guest needs more of the rest of one resource than of the other.
_STEP = UNIT // 12


def preference(board: Board, guest: Guest, cell: int, need: int, mem: int) -> tuple[int, ...]:
    """The smaller the better, for a guest (or a part of one) that needs this much of the cell."""
    away = 1 if guest.home and not guest.home >> cell & 1 else 0
    far = sum(board.capacity.distance[cell][device] - LOCAL_DISTANCE for device in guest.devices)
    load = board.load(cell, guest, mem, need)
    odd = board.misfit(cell, guest, need, mem) // _STEP if board.capacity.uneven[guest.pool] else 0
    own: tuple[int, ...]
    if guest.kind == SHARED:
        shares = 0
        own = guest.request.placed_by.order(load, odd, bool(board.guests[cell]))
    else:
        cpus, cores = board.cpus(cell, guest.kind, need)
        shares = 1 if (cores or -(-cpus // board.capacity.threads[cell])) > board.unshared[cell] else 0
        own = (odd, board.free[cell] - cpus, -load)
    if board.balanced:
        own = (-board.likeness(cell, guest, need, mem),)
    return (away, far, shares, *own, cell)


def preference_of_group(board: Board, guests: Sequence[Guest], cell: int) -> tuple[int, ...]:
    """The same for guests that go there together: who stays and the distance of all, then the first one's own order
    with what those need that are of its kind."""
    lead = guests[0]
    need = sum(guest.need for guest in guests if guest.kind == lead.kind)
    mem = sum(guest.mem for guest in guests if guest.pool == lead.pool)
    away, far = (
        sum(column) for column in zip(*(preference(board, each, cell, each.need, each.mem)[:2] for each in guests))
    )
    return (away, far, *preference(board, lead, cell, need, mem)[2:])


def best_single(board: Board, guest: Guest, cells: int = -1) -> Spot | None:
    """The best cell of the mask that holds all of the guest."""
    mem, need = board.memory(guest), guest.need
    open_cells = board.open_to(guest) & cells
    if guest.others:
        open_cells &= board.holding_others(guest)
    if guest.must:
        open_cells &= guest.must if count(guest.must) == 1 else 0
    best: tuple[int, ...] = ()
    for cell in bits(open_cells):
        if mem[cell] >= guest.mem and board.room_for(guest, cell) >= need:
            key = preference(board, guest, cell, need, guest.mem)
            if not best or key < best:
                best = key
    if not best:
        return None
    cell = best[-1]
    return board.seated(guest, Spot((Part(cell, need, guest.mem, guest.others),), 1 << cell, best[1]))


def best_wide(board: Board, guest: Guest, steps: int = STEPS) -> Spot | None:
    """The fewest cells, then the nearest, that together hold a guest without cells of its own.

    A cell without free CPUs lends memory only, and only to a guest that does not bind its memory early: QEMU cannot
    bind memory off its CPU set. A group that shares one cell has no wide members. ``steps`` as for nearest_subset().
    """
    capacity, mem = board.capacity, board.memory(guest)
    room = [max(0, board.room_for(guest, cell)) for cell in range(len(capacity.ids))]
    if guest.request.together is not None or not all(room[cell] for cell in bits(guest.must)):
        return None
    free = [max(0, amount) for amount in mem]
    lends = not guest.request.early
    usable = [cell for cell in bits(board.open_to(guest)) if room[cell] or (free[cell] and lends)]
    if sum(room[cell] for cell in usable) < guest.need or board.lacking(guest, usable) is not None:
        return None
    for size in range(2, len(usable) + 1):
        mask = _subset(board, guest, usable, size, (room, free), (guest.need, guest.mem), None, steps)
        if mask is not None:
            return board.spot(guest, split(board, guest, mask) or ())
    return None


def split(board: Board, guest: Guest, cells: int) -> list[Part] | None:
    """A wide guest's parts: CPUs in proportion to the room, memory in proportion to the CPUs where there is room."""
    if guest.confined and _fits_one(board, guest):
        return None  # two caches of two cells are no better than two of one
    chosen = list(bits(cells))
    rooms = [max(0, board.room_for(guest, cell)) for cell in chosen]
    step = 1
    if guest.kind == REQUIRE:
        # Whole cores, or a core would be broken on each cell.
        steps = {board.capacity.threads[cell] for cell, room in zip(chosen, rooms) if room}
        step = steps.pop() if len(steps) == 1 else 1
    if keeps_cores(guest) and guest.request.threads % step == 0:
        # A core of the guest is rather not cut in two either.
        whole = _cut(board, guest, chosen, rooms, guest.request.threads)
        if whole is not None:
            return whole
    return _cut(board, guest, chosen, rooms, step)


def _fits_one(board: Board, guest: Guest) -> bool:
    """Whether one cell could hold the guest if it had it alone and need not stay in a cache."""
    capacity = board.capacity
    return any(
        count(capacity.own[cell]) >= board.cpus(cell, guest.kind, guest.need)[0]
        and all(capacity.memory[pool][cell] >= amount for pool, amount in guest.memory)
        for cell in bits(guest.allowed)
    )


def _cut(board: Board, guest: Guest, chosen: list[int], rooms: list[int], step: int) -> list[Part] | None:
    """The parts, each of so many CPUs at least and multiples of that but for one."""
    cpus = proportional(-(-guest.need // step), [room // step for room in rooms], rooms)
    mem = _shares(board, guest, chosen, cpus, guest.pool, guest.mem)
    others = [(pool, _shares(board, guest, chosen, cpus, pool, amount)) for pool, amount in guest.others]
    if guest.kind != SHARED and sum(1 for cpu in cpus if cpu) > guest.vcpus:
        return None  # an isolated emulator would have a cell for itself
    at_devices = all(cpu or not guest.must >> cell & 1 for cell, cpu in zip(chosen, cpus))
    if sum(cpus) * step < guest.need or sum(mem) < guest.mem or not at_devices:
        return None
    if any(sum(shares) < amount for (_pool, shares), (_same, amount) in zip(others, guest.others)):
        return None
    over = sum(cpus) * step - guest.need
    parts = []
    for at, (cell, cpu, amount) in enumerate(zip(chosen, cpus, mem)):
        more = tuple((pool, shares[at]) for pool, shares in others)
        parts.append(Part(cell, cpu * step - (over if cpu else 0), amount, more))
        over = 0 if cpu else over
    return parts


def _shares(board: Board, guest: Guest, chosen: list[int], cpus: list[int], pool: int, amount: int) -> list[int]:
    """What of a pool comes from each of the cells, where the guest has so many CPUs."""
    mem = board.memory(guest, pool)
    free = [max(0, mem[cell]) for cell in chosen]
    if guest.request.early:
        free = [there if cpu else 0 for cpu, there in zip(cpus, free)]
    return proportional(amount, free, cpus)


def best_mirror(board: Board, guest: Guest, steps: int = STEPS) -> Spot | None:
    """The fewest host cells, then the nearest, with one for each cell of the guest. ``steps`` as in best_wide()."""
    capacity = board.capacity
    open_cells = board.open_to(guest) & capacity.with_cpus
    for width in guest.widths(count(open_cells)):
        if width > 1 and guest.request.together is not None:
            return None
        spot = _mirror(board, guest, open_cells, guest.parts(width), steps)
        if spot is not None:
            return spot
    return None


def _mirror(board: Board, guest: Guest, open_cells: int, parts: list[Need], steps: int) -> Spot | None:
    mem = board.memory(guest)
    cells = range(len(mem))
    room = [max(0, board.room_for(guest, cell)) for cell in cells]
    free = [max(0, amount) for amount in mem]
    holders = [
        [
            cell
            for cell in bits(open_cells)
            if room[cell] >= cpu
            and free[cell] >= amount
            and all(board.memory(guest, pool)[cell] >= more for pool, more in others)
        ]
        for cpu, amount, others in parts
    ]
    usable = sorted({cell for each in holders for cell in each})

    def fits(mask: int) -> bool:
        return _match([[cell for cell in each if mask >> cell & 1] for each in holders]) is not None

    needs = (sum(cpu for cpu, _mem, _others in parts), sum(amount for _cpu, amount, _others in parts))
    # Where every cell holds every part any choice of cells will do.
    free_choice = all(len(each) == len(usable) for each in holders)
    mask = _subset(board, guest, usable, len(parts), (room, free), needs, None if free_choice else fits, steps)
    if mask is None:
        return None
    matched = _match([[cell for cell in each if mask >> cell & 1] for each in holders])
    return board.spot(guest, [Part(cell, *part) for cell, part in zip(matched or (), parts)])


def _match(holders: list[list[int]]) -> list[int] | None:
    """A cell of its own for each part (augmenting paths), ascending as far as may be; None if there is none."""
    owner: dict[int, int] = {}

    def seat(part: int, tried: set[int]) -> bool:
        for cell in holders[part]:
            if cell not in owner:
                owner[cell] = part
                return True
        for cell in holders[part]:
            if cell not in tried:
                tried.add(cell)
                if seat(owner[cell], tried):
                    owner[cell] = part
                    return True
        return False

    for part in range(len(holders)):
        if not seat(part, set()):
            return None
    seats = {part: cell for cell, part in owner.items()}
    return [seats[part] for part in range(len(holders))]


def _subset(
    board: Board,
    guest: Guest,
    usable: list[int],
    size: int,
    rooms: tuple[list[int], list[int]],
    needs: tuple[int, int],
    fits: Callable[[int], bool] | None,
    steps: int,
) -> int | None:
    capacity = board.capacity
    keys = {cell: preference(board, guest, cell, min(rooms[0][cell], needs[0]), 0) for cell in usable}
    order = sorted(usable, key=lambda cell: keys[cell])

    def divides(mask: int) -> bool:
        return split(board, guest, mask) is not None

    def added(mask: int) -> int:
        return capacity.distance_of(mask, guest.devices) - capacity.distance_of(mask)

    return nearest_subset(
        *(order, size, capacity.distance, rooms, needs, guest.must),
        fits=fits if guest.mirrored else divides,
        added=added if guest.devices else None,
        steps=steps,
    )


def best(board: Board, guest: Guest, steps: int = STEPS) -> Spot | None:
    """The best spot of any width."""
    if guest.mirrored:
        return best_mirror(board, guest, steps)
    return best_single(board, guest) or best_wide(board, guest, steps)
