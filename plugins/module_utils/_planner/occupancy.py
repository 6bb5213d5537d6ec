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
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Part, group_keys
from ansible_collections.numa.virt.plugins.module_utils._planner.ground import (
    UNIT,
    Ground,
    bits,
    count,
    guest_of,
    weight,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.pour import Loose, Piece, Poured, pieces_of, pour_all
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Note
from ansible_collections.numa.virt.plugins.module_utils._planner.seats import seats_of


@dataclass
class Occupancy:
    """What is on the host. Masks of CPUs; ``load`` and ``soft`` by cell in 1/UNIT CPU; ``mem`` by pool and cell."""

    ground: Ground
    owned: int = 0
    busy: int = 0
    load: list[int] = field(default_factory=list)
    soft: list[int] = field(default_factory=list)
    mem: list[list[int]] = field(default_factory=list)
    guests: list[list[str]] = field(default_factory=list)
    members: list[tuple[tuple[str, str], int]] = field(default_factory=list)
    owner: dict[int, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    #: Guests on several cells, and what each takes of them since pour() was called last: counted in ``load``, ``mem``
    loose: dict[str, Loose] = field(default_factory=dict)
    poured: dict[str, Poured] = field(default_factory=dict)
    #: What guests hold where they shall not be: triples (pool, cell, amount), counted in ``mem``
    holdings: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cells = len(self.ground.ids)
        self.load, self.soft = [0] * cells, [0] * cells
        self.mem = [[0] * cells for _pool in self.ground.memory]
        self.guests = [[] for _cell in range(cells)]

    def own(self, name: str, cpus: int) -> None:
        self.owned |= cpus
        for cpu in bits(cpus):
            self.owner[cpu] = name

    def pour(self) -> None:
        """Count in the guests on several cells, all of them anew."""
        for name in list(self.poured):
            self._add(self.poured.pop(name), -1)
        joint = [UNIT * count(mask & ~self.owned) - load for mask, load in zip(self.ground.shared, self.load)]
        mem = [[total - used for total, used in zip(*pools)] for pools in zip(self.ground.memory, self.mem)]
        self.poured = pour_all(joint, mem, self.loose.values())
        for amounts in self.poured.values():
            self._add(amounts, 1)

    def hold(self, each: Existing, but: int) -> None:
        """Count in the memory that a guest still has, but not on the cells where it counts anyhow."""
        for pool, cell, amount in self.holdings.pop(each.name, ()):
            self.mem[pool][cell] -= amount
        pool = _pool(self.ground, each)[0]
        if each.held:
            self.holdings[each.name] = [(pool, *pair) for pair in held_of(self.ground, each) if not but >> pair[0] & 1]
        for pool, cell, amount in self.holdings.get(each.name, ()):
            self.mem[pool][cell] += amount

    def drop(self, name: str) -> None:
        """Forget a guest on several cells."""
        self._add(self.poured.pop(name), -1)
        del self.loose[name]

    def _add(self, amounts: Poured, sign: int) -> None:
        for cell, cpu in amounts.cpu.items():
            self.load[cell] += sign * cpu
        for cell, mem in amounts.mem.items():
            self.mem[amounts.pool][cell] += sign * mem

    def board(self) -> Board:
        """What is left."""
        ground = self.ground
        joint, free, whole = [], [], []
        for cell in range(len(ground.ids)):
            joint.append(UNIT * count(ground.shared[cell] & ~self.owned) - self.load[cell])
            mine = ground.own[cell] & ~self.owned & ~self.busy
            free.append(count(mine))
            threads = ground.threads[cell]
            whole.append(sum(1 for core in ground.cores[cell] if not core & ~mine and count(core) == threads))
        mem = [[total - used for total, used in zip(*pools)] for pools in zip(ground.memory, self.mem)]
        board = Board(ground, joint, free, whole, mem, self.soft, [len(names) for names in self.guests])
        for key, cells in self.members:
            board.join(key, cells)
        return board


def owned_by(ground: Ground, request: Request, cpus: int) -> int:
    """What a guest that has these CPUs alone owns: with ``require`` and ``isolate`` every thread of their cores."""
    return cpus if request.smt == "prefer" else ground.siblings(cpus) & ground.all_online


def union(sets: Sequence[int]) -> int:
    mask = 0
    for each in sets:
        mask |= each
    return mask


def own_cpus(ground: Ground, existing: Existing, request: Request) -> int | None:
    """The CPUs that belong to a guest which was placed with CPUs of its own; None where its pins no longer say so."""
    sets = [0 if cpus is None else cpus.mask for cpus in existing.vcpu_cpus]
    if not sets or any(not mask or mask & (mask - 1) for mask in sets) or len(set(sets)) < len(sets):
        return None
    cpus = union(sets)
    if request.emulator == "isolate":
        emulator = existing.emulator.mask if existing.emulator is not None else 0
        if not emulator or emulator & (emulator - 1) or emulator & cpus:
            return None
        cpus |= emulator
    return owned_by(ground, request, cpus)


def add_fixed(occupancy: Occupancy, each: Existing) -> None:
    """Count in a guest that nobody asked about."""
    ground, wish = occupancy.ground, each.wish
    masks = Counter(_mask(ground, cpus) for cpus in each.vcpu_cpus)
    where = union(list(masks))
    # A guest that was placed may lawfully have all CPUs of a host with one cell.
    restricted = wish is not None or bool(ground.all_online & ~where)
    owned = own_cpus(ground, each, wish) if wish is not None and wish.owns_cpus else None
    cells = ground.cells_of(where)
    own: dict[int, int] = {}
    cpu: tuple[Piece, ...] = ()
    if wish is not None and owned is not None:
        occupancy.own(each.name, owned)
        own = own_by_cell(ground, each, wish)
    else:
        anywhere = 0 if wish is not None else masks.pop(ground.all_online, 0)
        ratio = wish.cpu_ratio if wish is not None and wish.cpu_ratio is not None else ground.rules.cpu_ratio
        if anywhere:
            _weigh(occupancy, weight(anywhere, ratio))
        if masks:
            occupancy.busy |= union(list(masks))
            cpu = pieces_of(ground, masks, weight(sum(masks.values()), ratio), wish is None)
    occupancy.busy |= helpers_of(ground, each) & ~(owned or 0)
    if not restricted:
        text = f"{each.name} may run on every CPU of the host: no plan can keep it off the CPUs of others"
        occupancy.notes.append(Note("unrestricted", each.name, None, text))
    pool = _pool(ground, each)[0]
    memory = memory_pieces(ground, each, cells)
    mirrored = _mirrored_parts(ground, each, cells) if wish is not None and wish.owns_cpus == bool(own) else []
    if mirrored:
        cpu = () if own else tuple(Piece((part.cell,), part.cpu) for part in mirrored)
        memory = tuple(Piece((part.cell,), part.mem) for part in mirrored)
    settle(occupancy, Loose(each.name, cpu, pool, memory, own, wish is not None))
    occupancy.hold(each, sum(1 << cell for cell in {cell for piece in memory for cell in piece.cells}))
    if restricted:
        for cell in bits(cells):
            occupancy.guests[cell].append(each.name)
        for key in () if wish is None else group_keys(wish):
            occupancy.members.append((key, cells))


def settle(occupancy: Occupancy, loose: Loose) -> None:
    """Count a guest in: at once where its amounts have one cell each, else when pour() is called."""
    if all(len(piece.cells) == 1 for piece in (*loose.cpu, *loose.mem)):
        for piece in loose.cpu:
            occupancy.load[piece.cells[0]] += piece.total
        for piece in loose.mem:
            occupancy.mem[loose.pool][piece.cells[0]] += piece.total
    else:
        occupancy.loose[loose.name] = loose


def own_by_cell(ground: Ground, each: Existing, request: Request) -> dict[int, int]:
    """How many CPUs of its own it has on each cell, that of an isolated emulator included."""
    sets = [cpus for cpus in each.vcpu_cpus if cpus is not None]
    if request.emulator == "isolate" and each.emulator is not None:
        sets.append(each.emulator)
    return {
        cell: number for cell, online in enumerate(ground.online) if (number := sum(1 for s in sets if s.mask & online))
    }


def _mirrored_parts(ground: Ground, each: Existing, cells: int) -> list[Part]:
    """What a mirrored guest takes of each cell; empty for others, and where its pins no longer say so."""
    wish = each.wish
    if wish is None or wish.policy != "mirror" or wish.page_size not in (None, *ground.sizes):
        return []
    guest = guest_of(ground, wish)
    sets = [0 if cpus is None else cpus.mask & ground.all_online for cpus in each.vcpu_cpus]
    width = count(cells)
    if len(sets) != guest.vcpus or not all(sets) or each.memory != wish.memory or each.page_size != wish.page_size:
        return []
    seats = seats_of(ground, guest, sets, each.memnodes, width)
    return [] if isinstance(seats, str) else [Part(cell, *part) for cell, part in zip(seats, guest.parts(width))]


def _weigh(occupancy: Occupancy, load: int) -> None:
    """vCPUs that may run anywhere weigh without taking anything."""
    spread = [count(online) for online in occupancy.ground.online]
    for cell, cpus in enumerate(spread):
        occupancy.soft[cell] += load * cpus // max(1, sum(spread))


def _mask(ground: Ground, cpus: object) -> int:
    """A vCPU's CPUs without those that are offline; where nothing is left it may run anywhere."""
    mask = getattr(cpus, "mask", 0) & ground.all_online
    return mask or ground.all_online


def helpers_of(ground: Ground, each: Existing) -> int:
    """Where its emulator and IO threads may run. Threads that may run anywhere are kept off nothing."""
    used = 0
    for cpus in (each.emulator, each.helpers):
        mask = cpus.mask & ground.all_online if cpus is not None else 0
        used |= mask if ground.all_online & ~mask else 0
    return used


def _pool(ground: Ground, each: Existing) -> tuple[int, int]:
    """The pool of its memory, and the KiB of a unit there. Pages that the host does not have count as ordinary."""
    if each.page_size is None or each.page_size not in ground.sizes:
        return 0, 1
    return ground.pool(each.page_size), each.page_size


def held_of(ground: Ground, each: Existing) -> list[tuple[int, int]]:
    """Pairs (cell, KiB or pages) of the memory that it has until it ends."""
    size = _pool(ground, each)[1]
    return [(ground.index[cell], -(-kib // size)) for cell, kib in each.held if cell in ground.index]


def memory_pieces(ground: Ground, each: Existing, cells: int) -> tuple[Piece, ...]:
    """Where its memory is taken to be: where it was seen, else anywhere it is bound to, else on these cells."""
    size = _pool(ground, each)[1]
    if each.memory_on:
        return tuple(
            Piece((ground.index[cell],), -(-kib // size)) for cell, kib in each.memory_on if cell in ground.index
        )
    if each.nodeset is not None and ground.indices(each.nodeset):
        cells = ground.indices(each.nodeset)
    return (Piece(tuple(bits(cells)), -(-each.memory // size), least=1),)
