# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests that are there: what they take, and what is left of the host.

A guest that nobody asked about is a load and never moves:
- CPUs that it owns (it was placed with CPUs of its own) go to nobody else;
- CPUs that it is pinned to are no longer given to one guest alone; its vCPUs weigh on them as shared ones do;
- one that may run anywhere cannot be kept off anything: it makes cells look fuller, prevents nothing, and is noted.
Memory counts where it is bound, else where the guest may run, in proportion to what is free.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, group_keys
from ansible_collections.numa.virt.plugins.module_utils._planner.ground import (
    UNIT,
    Ground,
    bits,
    count,
    weight,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Note


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

    def __post_init__(self) -> None:
        cells = len(self.ground.ids)
        self.load, self.soft = [0] * cells, [0] * cells
        self.mem = [[0] * cells for _pool in self.ground.memory]
        self.guests = [[] for _cell in range(cells)]

    def own(self, name: str, cpus: int) -> None:
        self.owned |= cpus
        for cpu in bits(cpus):
            self.owner[cpu] = name

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
    if owned is not None:
        occupancy.own(each.name, owned)
    else:
        ratio = wish.cpu_ratio if wish is not None and wish.cpu_ratio is not None else ground.rules.cpu_ratio
        for mask, vcpus in sorted(masks.items()):
            _add_load(occupancy, mask, weight(vcpus, ratio), wish is None and not ground.all_online & ~mask)
    occupancy.busy |= helpers_of(ground, each) & ~(owned or 0)
    if not restricted:
        text = f"{each.name} may run on every CPU of the host: no plan can keep it off the CPUs of others"
        occupancy.notes.append(Note("unrestricted", each.name, None, text))
    cells = ground.cells_of(where)
    for cell, amount in memory_parts(occupancy, each, cells):
        occupancy.mem[_pool(ground, each)[0]][cell] += amount
    if restricted:
        for cell in bits(cells):
            occupancy.guests[cell].append(each.name)
        for key in () if wish is None else group_keys(wish):
            occupancy.members.append((key, cells))


def _add_load(occupancy: Occupancy, mask: int, load: int, anywhere: bool) -> None:
    """Spread a load over the CPUs of the mask. One that may run anywhere weighs without taking anything."""
    ground = occupancy.ground
    if not anywhere:
        occupancy.busy |= mask
    kept = occupancy.soft if anywhere else occupancy.load
    spread = [count(mask & online) for online in ground.online]
    for cell, cpus in enumerate(spread):
        kept[cell] += load * cpus // max(1, sum(spread))


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


def memory_parts(occupancy: Occupancy, each: Existing, cells: int) -> list[tuple[int, int]]:
    """Pairs (cell, KiB or pages) of where its memory is taken to be."""
    ground = occupancy.ground
    pool, size = _pool(ground, each)
    if each.memory_on:
        return [(ground.index[cell], -(-kib // size)) for cell, kib in each.memory_on if cell in ground.index]
    if each.nodeset is not None and ground.indices(each.nodeset):
        cells = ground.indices(each.nodeset)
    chosen = list(bits(cells))
    total = -(-each.memory // size)
    free = [max(0, ground.memory[pool][cell] - occupancy.mem[pool][cell]) for cell in chosen]
    weights = free if sum(free) else [1] * len(chosen)
    parts = [total * amount // sum(weights) for amount in weights]
    for at in sorted(range(len(parts)), key=lambda at: (parts[at] - free[at], at)):
        missing = total - sum(parts)
        room = max(0, free[at] - parts[at])
        parts[at] += min(missing, room)
    parts[0] += total - sum(parts)  # more than there is
    return list(zip(chosen, parts))
