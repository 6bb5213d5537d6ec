# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From spots to placements: CPUs, pins, emulator, memory, and the use of each cell.

This file must not import ansible, libvirt or lxml, and must not choose cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Part, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.caches import caches_of
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    SHARED,
    UNIT,
    Capacity,
    Guest,
    bits,
    either,
    proportional,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.cpus import assign_cpus, pools
from ansible_collections.numa.virt.plugins.module_utils._planner.explain import reason
from ansible_collections.numa.virt.plugins.module_utils._planner.keep import Kept, told
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import Occupancy
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing
from ansible_collections.numa.virt.plugins.module_utils._planner.result import KEEP, MOVE, PLACE, REPIN, CellUse, Placed
from ansible_collections.numa.virt.plugins.module_utils._planner.seats import vcpus_of
from ansible_collections.numa.virt.plugins.module_utils._planner.siblings import cores_of, keeps_cores, seat, spare
from ansible_collections.numa.virt.plugins.module_utils._planner.spread_load import (
    Loose,
    Piece,
    SpreadLoad,
    pieces_of,
    spread_loads,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import MappedCell
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Pins, pins_of


class Outcome:
    """Who is where in the end."""

    def __init__(
        self,
        capacity: Capacity,
        occupancy: Occupancy,
        kept: Mapping[str, Kept],
        wrong: Mapping[str, str],
        there: Mapping[str, Existing],
        placed: Mapping[Guest, Spot],
    ) -> None:
        self.capacity, self.occupancy = capacity, occupancy
        self.wrong, self.there = wrong, there
        pairs = sorted(placed.items(), key=lambda pair: pair[0].name)
        self.assignments = assign_cpus(capacity, occupancy.owned | occupancy.busy, pairs)
        self.owned = occupancy.owned
        for assignment in self.assignments.values():
            self.owned |= assignment.owned
        self.board = occupancy.board()
        left = ~(self.owned | occupancy.busy)
        self.load = list(occupancy.load)
        self.kept, self.placed = self._count_in(kept, pairs)
        # Not all guests were counted by cache, and now it is known where they are.
        self.board.caches = [caches_of(capacity, cell, own & left) for cell, own in enumerate(capacity.own)]
        self.pools = pools(capacity, self.owned, self.load)

    def _count_in(
        self, kept: Mapping[str, Kept], placed: list[tuple[Guest, Spot]]
    ) -> tuple[dict[str, Kept], list[tuple[Guest, Spot]]]:
        """Take what all get, with those on several cells as the next run will count them."""
        board, occupancy = self.board, self.occupancy
        loose = dict(occupancy.loose)
        for amounts in occupancy.spread.values():
            self._add_load(amounts, -1)
        for guest, spot in placed:
            parts = spot.parts if guest.held else ()
            at = {(pool, part.cell) for part in parts for pool, amount in part.memory(guest.pool) if amount}
            if spot.width > 1 and not guest.mirrored:
                loose[guest.name] = self._loose(guest, spot)
                shared = guest.kind == SHARED
                spot = spot._replace(parts=tuple(Part(each.cell, 0 if shared else each.cpu, 0) for each in spot.parts))
            for pool, cell, amount in guest.held:
                # Where it stays it has that already.
                board.mem[pool][cell] += amount if (pool, cell) in at else 0
            board.take(replace(guest, held=()) if guest.held else guest, spot)
            for part in spot.parts if guest.kind == SHARED else ():
                self.load[part.cell] += part.cpu
        spread = spread_loads(list(board.joint), [list(pool) for pool in board.mem], loose.values())
        for amounts in spread.values():
            self._add_load(amounts, 1)
        return (
            {
                name: replace(each, spot=told(each.guest, each.spot, spread[name])) if each.loose else each
                for name, each in kept.items()
            },
            [
                (guest, told(guest, spot, spread[guest.name]) if guest.name in spread else spot)
                for guest, spot in placed
            ],
        )

    def _add_load(self, amounts: SpreadLoad, sign: int) -> None:
        for cell, cpu in amounts.cpu.items():
            self.load[cell] += sign * cpu
            self.board.joint[cell] -= sign * cpu
        for (pool, cell), mem in amounts.mem.items():
            self.board.mem[pool][cell] -= sign * mem

    def _loose(self, guest: Guest, spot: Spot) -> Loose:
        """What the pins of a new guest on several cells will not tell."""
        capacity = self.capacity
        cpu: tuple[Piece, ...] = ()
        own = {part.cell: part.cpu for part in spot.parts if guest.kind != SHARED}
        if guest.kind == SHARED:
            mask = either(capacity.shared[cell] & ~self.owned for cell in bits(spot.cells))
            cpu = pieces_of(capacity, {mask: guest.vcpus}, guest.need, False)
        # It is bound to all of them with all of its memory, whatever the sizes of its pages.
        cells = tuple(sorted(part.cell for part in spot.parts if any(n for _pool, n in part.memory(guest.pool))))
        memory = tuple((pool, Piece(cells, amount, least=1)) for pool, amount in guest.memory)
        return Loose(guest.name, cpu, memory, own)


def describe(outcome: Outcome) -> list[Placed]:
    """All placements, in the order of names."""
    found = [_kept(outcome, each) for each in outcome.kept.values()]
    found += [_placed(outcome, guest, spot) for guest, spot in outcome.placed]
    return sorted(found, key=lambda each: each.name)


def _kept(outcome: Outcome, kept: Kept) -> Placed:
    capacity, guest, each = outcome.capacity, kept.guest, kept.existing
    sets = [cpus for cpus in each.vcpu_cpus if cpus is not None][: guest.vcpus]
    where = CpuSet.from_mask(either(cpus.mask for cpus in sets))
    sets += [where] * (guest.vcpus - len(sets))  # vCPUs that it has not yet
    alike = guest.kind == SHARED and all(cpus == where for cpus in sets)
    pins = () if alike else pins_of(dict(enumerate(sets)))
    cells = capacity.cells_of(where.mask)
    there = capacity.cell_ids(cells)
    return Placed(
        name=guest.name,
        policy=guest.request.policy,
        action=KEEP,
        vcpus=guest.vcpus,
        cells=there,
        cpuset=where,
        vcpu_pins=pins,
        emulator=None if each.emulator == where or guest.request.emulator is None else each.emulator,
        memory_cells=each.nodeset if each.nodeset is not None else (there & capacity.host.cells_with_memory) or there,
        memory_by_page=_memory(outcome, guest, kept.spot),
        owned=CpuSet.from_mask(kept.owned),
        guest_cells=_guest_cells(outcome, guest, kept.spot),
        iothreads=guest.request.iothreads,
        iothread_pins=guest.request.iothread_pins,
        distance=kept.spot.distance,
        reason="it has a valid place",
    )


def _placed(outcome: Outcome, guest: Guest, spot: Spot) -> Placed:
    capacity, request = outcome.capacity, guest.request
    own, emulator, own_cpus = None, None, guest.kind != SHARED
    if not own_cpus:
        pins = _shared_pins(outcome, guest, spot)
        cpuset = either(outcome.pools[cell] for cell in bits(spot.cells))
        owned = 0
    else:
        pins, own = _own_pins(outcome, guest, spot)
        cpuset = either(cpus.mask for _vcpu, cpus in pins)
        owned = outcome.assignments[guest].owned
    if isinstance(request.emulator, CpuSet):
        emulator = request.emulator
    elif own is not None:
        emulator = CpuSet([own])
    elif guest.kind != SHARED and request.emulator == "share":
        emulator = request.emulator_pin if request.emulator_pin is not None else _shared_emulator(outcome, spot)
    memory, cells = _memory(outcome, guest, spot), _guest_cells(outcome, guest, spot)
    action, why = PLACE, reason(outcome.board, guest, spot, cpuset if own_cpus else 0)
    if guest.home:
        action = REPIN if guest.home == spot.cells else MOVE
        why = f"{outcome.wrong.get(guest.name, 'rebalanced')}; {why}"
    elif guest.name in outcome.wrong:
        why = f"{outcome.wrong[guest.name]}; {why}"
    found = Placed(
        name=guest.name,
        policy=request.policy,
        action=action,
        vcpus=guest.vcpus,
        cells=capacity.cell_ids(capacity.cells_of(cpuset)),
        cpuset=CpuSet.from_mask(cpuset),
        vcpu_pins=pins,
        emulator=emulator,
        memory_cells=CpuSet(cell for cell, _size, _kib in memory),
        memory_by_page=memory,
        owned=CpuSet.from_mask(owned),
        guest_cells=cells,
        iothreads=request.iothreads,
        iothread_pins=request.iothread_pins,
        distance=spot.distance,
        reason=why,
    )
    return replace(found, action=KEEP) if _same(found, outcome.there.get(guest.name)) else found


def _same(found: Placed, there: Existing | None) -> bool:
    """Whether a guest without a valid place gets the one it has: there is no better one."""
    if there is None or len(there.vcpu_cpus) != found.vcpus or there.nodeset not in (None, found.memory_cells):
        return False
    pins = dict(found.vcpu_pins)
    emulators = (None, found.cpuset) if found.emulator is None else (found.emulator,)
    return there.emulator in emulators and all(
        pins.get(vcpu, found.cpuset) == cpus for vcpu, cpus in enumerate(there.vcpu_cpus)
    )


def _shared_pins(outcome: Outcome, guest: Guest, spot: Spot) -> Pins:
    """Only the vCPUs of a mirrored guest's cells differ."""
    if not guest.mirrored or spot.width == 1:
        return ()
    pins = {}
    for part, vcpus in zip(spot.parts, vcpus_of(guest, spot.width)):
        pins.update({vcpu: CpuSet.from_mask(outcome.pools[part.cell]) for vcpu in vcpus})
    return pins_of(pins)


def _own_pins(outcome: Outcome, guest: Guest, spot: Spot) -> tuple[Pins, int | None]:
    """The CPU of each vCPU, and that of an isolated emulator."""
    assignments, isolated = outcome.assignments[guest].cpus, guest.request.emulator == "isolate"
    own: int | None = None
    if keeps_cores(guest):
        return _own_pins_by_core(outcome, guest, spot)
    if not guest.mirrored:
        if isolated:
            # Where it has most: no cell is left without a vCPU.
            own = max(assignments.values(), key=len)[-1]
        cpus = [cpu for part in spot.parts for cpu in assignments[part.cell] if cpu != own]
        return pins_of({vcpu: CpuSet([cpu]) for vcpu, cpu in enumerate(cpus)}), own
    pins = {}
    for number, (part, vcpus) in enumerate(zip(spot.parts, vcpus_of(guest, spot.width))):
        if isolated and number == 0:
            own = assignments[part.cell][-1]
        pins.update({vcpu: CpuSet([cpu]) for vcpu, cpu in zip(vcpus, assignments[part.cell])})
    return pins_of(pins), own


def _own_pins_by_core(outcome: Outcome, guest: Guest, spot: Spot) -> tuple[Pins, int | None]:
    """The same, with the vCPUs of one core on the threads of one, as far as may be."""
    capacity, threads = outcome.capacity, guest.request.threads
    cells = {part.cell: outcome.assignments[guest].cpus[part.cell] for part in spot.parts}
    own: int | None = None
    if guest.request.emulator == "isolate":
        home = spot.parts[0].cell
        own = spare(capacity, threads, {home: cells[home]} if guest.mirrored else cells)
    lists = [[cpu for cpu in cpus if cpu != own] for cpus in cells.values()]
    vcpus: list[list[int]] = vcpus_of(guest, spot.width) if guest.mirrored else [list(range(guest.vcpus))]
    pins: dict[int, CpuSet] = {}
    for numbers, cpus in zip(vcpus, lists if guest.mirrored else [list(chain(*lists))]):
        found, _left = seat(capacity, cores_of(numbers, threads), cpus)
        pins.update({vcpu: CpuSet([cpu]) for vcpu, cpu in found.items()})
    return pins_of(pins), own


def _shared_emulator(outcome: Outcome, spot: Spot) -> CpuSet | None:
    """The shared CPUs of its cells, else of the nearest that has any; None: on its own CPUs.

    Where the rules name no shared CPUs only those are lent that shared guests use already: others would be lost to
    guests that want them for themselves.
    """
    capacity = outcome.capacity

    def pool(cell: int) -> int:
        return outcome.pools[cell] if not capacity.derived or outcome.load[cell] else 0

    mask = either(pool(cell) for cell in bits(spot.cells))
    if not mask and not capacity.derived:
        home = spot.parts[0].cell
        near = sorted(range(len(capacity.ids)), key=lambda cell: (capacity.distance[home][cell], cell))
        mask = next((pool(cell) for cell in near if pool(cell) and capacity.open >> cell & 1), 0)
    return CpuSet.from_mask(mask) if mask else None


def _own_memory(guest: Guest, spot: Spot) -> list[tuple[int, dict[int, int]]]:
    """Of each part its cell, and the amounts by pool without what the hypervisor takes beside them."""
    found = [(part.cell, dict(part.memory(guest.pool))) for part in spot.parts]
    overhead = guest.request.overhead
    if overhead:
        taken = [memory.get(0, 0) for _cell, memory in found]
        if guest.mirrored:
            own = [max(0, amount - beside) for amount, beside in zip(taken, guest.beside(0, spot.width))]
        else:
            own = proportional(max(0, sum(taken) - overhead), taken, taken)
        for (_cell, memory), amount in zip(found, own):
            memory[0] = amount
    return found


def _memory(outcome: Outcome, guest: Guest, spot: Spot) -> tuple[tuple[int, int | None, int], ...]:
    capacity = outcome.capacity
    found = sorted((cell, *each) for cell, memory in _own_memory(guest, spot) for each in memory.items() if each[1])
    return tuple((capacity.ids[cell], capacity.page_size(pool), capacity.kib(pool, n)) for cell, pool, n in found)


def _guest_cells(outcome: Outcome, guest: Guest, spot: Spot) -> tuple[MappedCell, ...]:
    if not guest.mirrored:
        return ()
    capacity = outcome.capacity
    own, made = guest.request.guest_cells, _own_memory(guest, spot)
    return tuple(
        MappedCell(
            id=number,
            cell=capacity.ids[part.cell],
            vcpus=CpuSet(vcpus),
            memory=own[number].all_memory if own else capacity.kib(guest.pool, made[number][1][guest.pool]),
            distances=tuple((at, capacity.distance[part.cell][other.cell]) for at, other in enumerate(spot.parts)),
        )
        for number, (part, vcpus) in enumerate(zip(spot.parts, vcpus_of(guest, spot.width)))
    )


def cell_use(outcome: Outcome) -> tuple[CellUse, ...]:
    capacity, board = outcome.capacity, outcome.board
    names: list[list[str]] = [list(each) for each in outcome.occupancy.guests]
    for guest, spot in outcome.placed:
        for cell in bits(spot.cells):
            names[cell].append(guest.name)

    def used(pool: int, cell: int) -> int:
        return capacity.memory[pool][cell] - board.mem[pool][cell]

    return tuple(
        CellUse(
            cell=cell_id,
            shared=CpuSet.from_mask(capacity.shared[cell] & ~outcome.owned),
            owned=CpuSet.from_mask(outcome.owned & capacity.online[cell]),
            load=outcome.load[cell] / UNIT,
            memory=(used(0, cell), capacity.memory[0][cell]),
            pages=tuple(
                (size, used(at, cell), capacity.memory[at][cell]) for at, size in enumerate(capacity.sizes, start=1)
            ),
            guests=tuple(sorted(names[cell])),
            kept_out=not capacity.open >> cell & 1,
        )
        for cell, cell_id in enumerate(capacity.ids)
    )
