# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests that are there: what they take, and what is left of the host.

A guest that nobody asked about is a load and never moves:
- CPUs that it owns (it was placed with CPUs of its own) go to nobody else;
- CPUs that it is pinned to are no longer given to one guest alone; its vCPUs weigh on them as shared ones do;
- one that may run anywhere cannot be kept off anything: it makes cells look fuller, prevents nothing, and is noted.
Memory counts where it was seen, else where it is bound, else where the guest may run.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Part, group_keys
from ansible_collections.numa.virt.plugins.module_utils._planner.caches import caches_of
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    UNIT,
    Capacity,
    bits,
    count,
    either,
    guest_of,
    weight,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Note
from ansible_collections.numa.virt.plugins.module_utils._planner.seats import seats_of
from ansible_collections.numa.virt.plugins.module_utils._planner.spread_load import (
    Loose,
    Piece,
    SpreadLoad,
    pieces_of,
    spread_loads,
)


@dataclass
class Occupancy:
    """What is on the host. Masks of CPUs; ``load`` and ``soft`` by cell in 1/UNIT CPU; ``mem`` by pool and cell."""

    capacity: Capacity
    owned: int = 0
    busy: int = 0
    load: list[int] = field(default_factory=list)
    soft: list[int] = field(default_factory=list)
    mem: list[list[int]] = field(default_factory=list)
    guests: list[list[str]] = field(default_factory=list)
    members: list[tuple[tuple[str, str], int]] = field(default_factory=list)
    owner: dict[int, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    #: Guests on several cells, and what each takes of them since spread_load() was called: in ``load``, ``mem``
    loose: dict[str, Loose] = field(default_factory=dict)
    spread: dict[str, SpreadLoad] = field(default_factory=dict)
    #: What guests hold where they shall not be: triples (pool, cell, amount), counted in ``mem``
    holdings: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cells = len(self.capacity.ids)
        self.load, self.soft = [0] * cells, [0] * cells
        self.mem = [[0] * cells for _pool in self.capacity.memory]
        self.guests = [[] for _cell in range(cells)]

    def own(self, name: str, cpus: int) -> None:
        self.owned |= cpus
        for cpu in bits(cpus):
            self.owner[cpu] = name

    def spread_load(self) -> None:
        """Count in the guests on several cells, all of them anew."""
        for name in list(self.spread):
            self._add(self.spread.pop(name), -1)
        joint = [UNIT * count(mask & ~self.owned) - load for mask, load in zip(self.capacity.shared, self.load)]
        mem = [[total - used for total, used in zip(*pools)] for pools in zip(self.capacity.memory, self.mem)]
        self.spread = spread_loads(joint, mem, self.loose.values())
        for amounts in self.spread.values():
            self._add(amounts, 1)

    def hold(self, each: Existing, but: Container[tuple[int, int]]) -> None:
        """Count in the memory that a guest still has, but not of a pool and cell where it counts anyhow."""
        for pool, cell, amount in self.holdings.pop(each.name, ()):
            self.mem[pool][cell] -= amount
        if each.held:
            self.holdings[each.name] = [own for own in held_of(self.capacity, each) if own[:2] not in but]
        for pool, cell, amount in self.holdings.get(each.name, ()):
            self.mem[pool][cell] += amount

    def drop(self, name: str) -> None:
        """Forget a guest on several cells."""
        self._add(self.spread.pop(name), -1)
        del self.loose[name]

    def _add(self, amounts: SpreadLoad, sign: int) -> None:
        for cell, cpu in amounts.cpu.items():
            self.load[cell] += sign * cpu
        for (pool, cell), mem in amounts.mem.items():
            self.mem[pool][cell] += sign * mem

    def board(self) -> Board:
        """What is left."""
        capacity = self.capacity
        joint, free, whole, caches = [], [], [], []
        for cell in range(len(capacity.ids)):
            joint.append(UNIT * count(capacity.shared[cell] & ~self.owned) - self.load[cell])
            mine = capacity.own[cell] & ~self.owned & ~self.busy
            free.append(count(mine))
            threads = capacity.threads[cell]
            whole.append(sum(1 for core in capacity.cores[cell] if not core & ~mine and count(core) == threads))
            caches.append(caches_of(capacity, cell, mine))
        mem = [[total - used for total, used in zip(*pools)] for pools in zip(capacity.memory, self.mem)]
        board = Board(capacity, joint, free, whole, mem, self.soft, [len(names) for names in self.guests], caches)
        for key, cells in self.members:
            board.join(key, cells)
        return board


def owned_by(capacity: Capacity, request: Request, cpus: int) -> int:
    """What a guest that has these CPUs alone owns: with ``require`` and ``isolate`` every thread of their cores."""
    return cpus if request.smt == "prefer" else capacity.siblings(cpus) & capacity.all_online


def own_cpus(capacity: Capacity, existing: Existing, request: Request) -> int | None:
    """The CPUs that belong to a guest which was placed with CPUs of its own; None where its pins no longer say so."""
    sets = [0 if cpus is None else cpus.mask for cpus in existing.vcpu_cpus]
    if not sets or any(not mask or mask & (mask - 1) for mask in sets) or len(set(sets)) < len(sets):
        return None
    cpus = either(sets)
    if request.emulator == "isolate":
        emulator = existing.emulator.mask if existing.emulator is not None else 0
        if not emulator or emulator & (emulator - 1) or emulator & cpus:
            return None
        cpus |= emulator
    return owned_by(capacity, request, cpus)


def add_fixed(occupancy: Occupancy, each: Existing) -> None:
    """Count in a guest that nobody asked about."""
    capacity, wish = occupancy.capacity, each.wish
    masks = Counter(_mask(capacity, cpus) for cpus in each.vcpu_cpus)
    where = either(masks)
    # A guest that was placed may lawfully have all CPUs of a host with one cell.
    restricted = wish is not None or bool(capacity.all_online & ~where)
    owned = own_cpus(capacity, each, wish) if wish is not None and wish.owns_cpus else None
    cells = capacity.cells_of(where)
    own: dict[int, int] = {}
    cpu: tuple[Piece, ...] = ()
    if wish is not None and owned is not None:
        occupancy.own(each.name, owned)
        own = own_by_cell(capacity, each, wish)
    else:
        anywhere = 0 if wish is not None else masks.pop(capacity.all_online, 0)
        ratio = wish.cpu_ratio if wish is not None and wish.cpu_ratio is not None else capacity.rules.cpu_ratio
        if anywhere:
            _weigh(occupancy, weight(anywhere, ratio))
        if masks:
            occupancy.busy |= either(masks)
            # Who can use none of the CPUs that are shared takes nothing of them.
            masks = Counter({m: n for m, n in masks.items() if capacity.derived or m & capacity.all_shared})
            cpu = pieces_of(capacity, masks, weight(sum(masks.values()), ratio), wish is None)
    occupancy.busy |= helpers_of(capacity, each) & ~(owned or 0)
    if not restricted:
        text = f"{each.name} may run on every CPU of the host: no plan can keep it off the CPUs of others"
        occupancy.notes.append(Note("unrestricted", each.name, None, text))
    memory = memory_pieces(capacity, each, cells)
    mirrored = _mirrored_parts(capacity, each, cells) if wish is not None and wish.owns_cpus == bool(own) else []
    if mirrored:
        cpu = () if own else tuple(Piece((part.cell,), part.cpu) for part in mirrored)
        first = capacity.pool(each.page_size)
        memory = tuple((pool, Piece((part.cell,), n)) for part in mirrored for pool, n in part.memory(first) if n)
    settle(occupancy, Loose(each.name, cpu, memory, own, wish is not None))
    occupancy.hold(each, {(pool, cell) for pool, piece in memory for cell in piece.cells})
    if restricted:
        for cell in bits(cells):
            occupancy.guests[cell].append(each.name)
        for key in () if wish is None else group_keys(wish):
            occupancy.members.append((key, cells))


def settle(occupancy: Occupancy, loose: Loose) -> None:
    """Count a guest in: at once where its amounts have one cell each, else when spread_load() is called."""
    if all(len(piece.cells) == 1 for piece in (*loose.cpu, *(piece for _pool, piece in loose.mem))):
        for piece in loose.cpu:
            occupancy.load[piece.cells[0]] += piece.total
        for pool, piece in loose.mem:
            occupancy.mem[pool][piece.cells[0]] += piece.total
    else:
        occupancy.loose[loose.name] = loose


def own_by_cell(capacity: Capacity, each: Existing, request: Request) -> dict[int, int]:
    """How many CPUs of its own it has on each cell, that of an isolated emulator included."""
    sets = [cpus for cpus in each.vcpu_cpus if cpus is not None]
    if request.emulator == "isolate" and each.emulator is not None:
        sets.append(each.emulator)
    return {
        cell: number
        for cell, online in enumerate(capacity.online)
        if (number := sum(1 for s in sets if s.mask & online))
    }


def _mirrored_parts(capacity: Capacity, each: Existing, cells: int) -> list[Part]:
    """What a mirrored guest takes of each cell; empty for others, and where its pins no longer say so."""
    wish = each.wish
    if wish is None or not wish.placed_by.mirrors:
        return []
    guest = guest_of(capacity, wish)
    sets = [0 if cpus is None else cpus.mask & capacity.all_online for cpus in each.vcpu_cpus]
    width = count(cells)
    if len(sets) != guest.vcpus or not all(sets) or each.memory_fields != wish.memory_fields:
        return []
    seats = seats_of(capacity, guest, sets, each.memnodes, width)
    return [] if isinstance(seats, str) else [Part(cell, *part) for cell, part in zip(seats, guest.parts(width))]


def _weigh(occupancy: Occupancy, load: int) -> None:
    """vCPUs that may run anywhere weigh without taking anything."""
    spread = [count(online) for online in occupancy.capacity.online]
    for cell, cpus in enumerate(spread):
        occupancy.soft[cell] += load * cpus // max(1, sum(spread))


def _mask(capacity: Capacity, cpus: object) -> int:
    """A vCPU's CPUs without those that are offline; where nothing is left it may run anywhere."""
    mask = getattr(cpus, "mask", 0) & capacity.all_online
    return mask or capacity.all_online


def helpers_of(capacity: Capacity, each: Existing) -> int:
    """Where its emulator and IO threads may run. Threads that may run anywhere are kept off nothing."""
    used = 0
    for cpus in (each.emulator, each.helpers):
        mask = cpus.mask & capacity.all_online if cpus is not None else 0
        used |= mask if capacity.all_online & ~mask else 0
    return used


def held_of(capacity: Capacity, each: Existing) -> list[tuple[int, int, int]]:
    """Triples (pool, cell, amount) of the memory that it has until it ends."""
    found: Counter[tuple[int, int]] = Counter()
    for cell, size, kib in each.held:
        if cell in capacity.index:
            pool = capacity.pool(size)
            found[pool, capacity.index[cell]] += capacity.amount(pool, kib)
    return [(*where, amount) for where, amount in found.items()]


def memory_pieces(capacity: Capacity, each: Existing, cells: int) -> tuple[tuple[int, Piece], ...]:
    """Pairs (pool, piece) of where its memory is taken to be: where it was seen, else anywhere it is bound to, else on
    these cells."""
    if each.memory_on:
        lots = [(capacity.indices(where), [(size, kib)]) for where, size, kib in each.memory_on]
    else:
        where = capacity.indices(each.nodeset) if each.nodeset is not None else 0
        lots = [(where or cells, list(each.taken.items()))]
    found = []
    for where, memory in lots:
        at = tuple(bits(where))
        found += [(pool, Piece(at, amount, least=1)) for pool, amount in capacity.in_pools(memory) if at]
    return tuple(found)
