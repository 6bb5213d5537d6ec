# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which requested guests have a valid place already.

A guest keeps its place where that is what the request asks for, however good another might be: the CPUs exist, nobody
else owns them, and the policy's rules hold. A cell that is overcommitted already does not make places on it invalid.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Part, Spot, spot_of
from ansible_collections.numa.virt.plugins.module_utils._planner.caches import cache_seats, caches_used
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    ISOLATE,
    REQUIRE,
    SHARED,
    Capacity,
    Guest,
    bits,
    count,
    either,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import (
    Occupancy,
    helpers_of,
    memory_pieces,
    own_by_cell,
    own_cpus,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.seats import seats_of
from ansible_collections.numa.virt.plugins.module_utils._planner.siblings import broken_cores, keeps_cores
from ansible_collections.numa.virt.plugins.module_utils._planner.spread_load import Loose, Piece, SpreadLoad, pieces_of
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet


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
        """Whether what it takes of each cell is not told by its pins: with_spread_load() says it."""
        return self.spot.width > 1 and not self.guest.mirrored


def judge(occupancy: Occupancy, guest: Guest, each: Existing) -> Kept | str:
    """The guest where it is, or why that is no valid place for this request."""
    capacity, request = occupancy.capacity, guest.request
    sets = [0 if cpus is None else cpus.mask for cpus in each.vcpu_cpus]
    if not all(sets):
        return "it may run on every CPU"
    if not request.owns_cpus and not guest.mirrored:
        sets = sets[: request.vcpus]  # others it will no longer have
    where = either(sets)
    if where & ~capacity.all_online:
        return f"CPUs {_text(where & ~capacity.all_online)} are offline or do not exist"
    if where & capacity.held:
        return f"CPUs {_text(where & capacity.held)} belong to another control group of the host"
    if where & ~capacity.all_usable:
        return f"CPUs {_text(where & ~capacity.all_usable)} are reserved for the host"
    cells = capacity.cells_of(where)
    # Cells that lend memory belong to the place; a nodeset elsewhere is no place at all.
    lenders = 0
    if each.nodeset is not None:
        nodes = capacity.indices(each.nodeset)
        if nodes & ~cells & capacity.with_cpus and each.wish is None:
            return f"its memory is bound to cell {capacity.cell_ids(nodes & ~cells)}, where none of its vCPUs runs"
        lenders = nodes & ~cells
    takes_from = capacity.cell_ids(cells) if each.nodeset is None else each.nodeset
    has = capacity.host.memory_of(takes_from)
    if request.all_memory > has and not capacity.host.implied_cell:
        return f"its memory comes from cell {takes_from}, which has {has} KiB for its {request.all_memory}"
    if (cells | lenders) & ~guest.allowed:
        off = capacity.cell_ids((cells | lenders) & ~guest.allowed)
        why = "reserved_cells keeps guests off it" if request.cells is None else f"may use {request.cells}"
        return f"it is on cell {off}, and {why}"
    if guest.must & ~cells:
        return f"it is not on its device's cell {capacity.cell_ids(guest.must & ~cells)}"
    if request.owns_cpus:
        wrong = _own_problem(occupancy, guest, each, sets)
        owned = own_cpus(capacity, each, request) or 0
    else:
        wrong, owned = _shared_problem(occupancy, guest, each, where), 0
    if wrong is not None:
        return wrong
    placed_before = each.wish is not None and each.wish.policy == request.policy
    if not guest.mirrored and not placed_before and count(cells) > 1:
        empty = Occupancy(capacity).board()
        if any(empty.holds(guest, cell) for cell in bits(cells)):
            return f"it is spread over cells {capacity.cell_ids(cells)}, and one cell can hold it"
    grown = len(sets) < guest.vcpus or _needs_more(each, request)
    parts = _parts(occupancy, guest, each, sets, cells | lenders)
    if isinstance(parts, str):
        return parts
    spot = spot_of(capacity, guest, parts)._replace(seats=cache_seats(capacity, guest.kind, owned))
    used = (where | helpers_of(capacity, each)) & ~owned
    if used & occupancy.owned:
        return f"its emulator or IO threads may run on CPUs {_text(used & occupancy.owned)}, which belong to others"
    return Kept(guest, each, spot, owned, used, grown)


def _needs_more(each: Existing, request: Request) -> bool:
    """Whether it shall have more memory in pages of some size."""
    has = each.taken
    return any(has.get(size, 0) < kib for size, kib in request.taken.items())


def _own_problem(occupancy: Occupancy, guest: Guest, each: Existing, sets: list[int]) -> str | None:
    capacity, request = occupancy.capacity, guest.request
    owned = own_cpus(capacity, each, request)
    if owned is None or len(sets) != request.vcpus:
        return "its vCPUs do not each have a CPU of their own"
    cpus = either(sets)
    if isinstance(request.emulator, CpuSet) and (each.emulator is None or each.emulator.mask != request.emulator.mask):
        return "its emulator threads are not on the CPUs asked for"
    if request.emulator == "isolate" and each.emulator is not None:
        cpus |= each.emulator.mask
    # A place from before CPUs were isolated is as good as it was.
    if owned & ~(capacity.all_usable if capacity.by_isolation else capacity.all_own):
        return f"CPUs {_text(owned & ~capacity.all_own)} are not for guests with CPUs of their own"
    taken = owned & (occupancy.owned | occupancy.busy)
    if taken:
        return f"CPUs {_text(taken)} are used by other guests"
    others = (each.emulator.mask if each.emulator is not None else capacity.all_online) | each.helpers.mask
    if request.realtime and others & either(sets):
        return "its emulator or IO threads may run on the CPUs of its real-time vCPUs"
    if guest.kind == ISOLATE and any(count(core & cpus) > 1 for core in {capacity.core_of[cpu] for cpu in bits(cpus)}):
        return "two of its threads share a core"
    if guest.kind == REQUIRE and not _fills_cores(capacity, cpus):
        return "its vCPUs do not fill whole cores"
    if guest.confined:
        wrong = _cache_problem(capacity, cpus)
        if wrong is not None:
            return wrong
    return _core_problem(capacity, guest, each) if keeps_cores(guest) else None


def _cache_problem(capacity: Capacity, cpus: int) -> str | None:
    """What keeps its CPUs of one cell from sharing a last-level cache."""
    for cell, used in enumerate(caches_used(capacity, cpus)):
        if len(used) > 1:
            return f"its CPUs on cell {capacity.ids[cell]} are in {len(used)} last-level caches"
        if used and used[0] & (capacity.caches[cell][capacity.named_caches[cell] :] or [0])[0]:
            return f"its CPUs on cell {capacity.ids[cell]} are in no last-level cache"
    return None


def _core_problem(capacity: Capacity, guest: Guest, each: Existing) -> str | None:
    """Whether vCPUs of one core are on different ones. Where the policy has placed it, only if its own CPUs allow more:
    there were no others, and it is not to lose these."""
    cpus = {vcpu: next(iter(own)) for vcpu, own in enumerate(each.vcpu_cpus) if own is not None}
    broken, least = broken_cores(capacity, cpus, guest.request.threads, guest.mirrored)
    placed_before = each.wish is not None and each.wish.policy == guest.request.policy
    if len(broken) > (least if placed_before else 0):
        return f"its vCPUs {CpuSet(broken[0])} are threads of one core, and run on several"
    return None


def _fills_cores(capacity: Capacity, cpus: int) -> bool:
    """Whether the CPUs are whole cores of two threads or more, but for the last one of each cell."""
    for cell, online in enumerate(capacity.online):
        here = cpus & online
        spare = count(capacity.siblings(here) & ~here)
        if here and (spare >= capacity.threads[cell] or any(count(capacity.core_of[cpu]) < 2 for cpu in bits(here))):
            return False
    return True


def _shared_problem(occupancy: Occupancy, guest: Guest, each: Existing, where: int) -> str | None:
    capacity, request = occupancy.capacity, guest.request
    if where & capacity.isolated & ~capacity.all_shared:
        return f"CPUs {_text(where & capacity.isolated & ~capacity.all_shared)} are isolated, and not for shared guests"
    if where & ~capacity.all_shared:
        return f"CPUs {_text(where & ~capacity.all_shared)} are not for shared guests"
    if where & occupancy.owned:
        owners = sorted({occupancy.owner[cpu] for cpu in bits(where & occupancy.owned)})
        return f"CPUs {_text(where & occupancy.owned)} belong to {', '.join(owners)}"
    if isinstance(request.emulator, CpuSet) and (each.emulator is None or each.emulator.mask != request.emulator.mask):
        return "its emulator threads are not on the CPUs asked for"
    return None


def _parts(occupancy: Occupancy, guest: Guest, each: Existing, sets: list[int], cells: int) -> list[Part] | str:
    """What it takes of each cell, by its pins; for a mirrored guest in the order of its cells. What pins do not tell of
    a guest on several cells is said by with_spread_load()."""
    capacity = occupancy.capacity
    if guest.mirrored:
        width = count(cells)
        seats = seats_of(capacity, guest, sets, each.memnodes, width)
        return seats if isinstance(seats, str) else [Part(cell, *part) for cell, part in zip(seats, guest.parts(width))]
    memory: dict[tuple[int, int], int] = {}
    for pool, piece in memory_pieces(capacity, _resized(each, guest.request), cells):
        for cell in piece.cells:
            memory[pool, cell] = memory.get((pool, cell), 0) + piece.total
    own = own_by_cell(capacity, each, guest.request)
    at = {*bits(cells), *(cell for _pool, cell in memory)}
    return [
        part_of(guest, cell, guest.need if guest.kind == SHARED else own.get(cell, 0), memory) for cell in sorted(at)
    ]


def part_of(guest: Guest, cell: int, cpu: int, memory: Mapping[tuple[int, int], int]) -> Part:
    """What it takes of a cell, where ``memory`` tells that by pool and cell."""
    others = [(pool, amount) for (pool, at), amount in memory.items() if at == cell and pool != guest.pool and amount]
    return Part(cell, cpu, memory.get((guest.pool, cell), 0), tuple(sorted(others)))


def loose_of(capacity: Capacity, kept: Kept) -> Loose:
    """What of a guest on several cells is not told by its pins."""
    guest, each = kept.guest, kept.existing
    cpu: tuple[Piece, ...] = ()
    if guest.kind == SHARED:
        sets = [cpus.mask for cpus in each.vcpu_cpus if cpus is not None][: guest.vcpus]
        sets += [either(sets)] * (guest.vcpus - len(sets))
        cpu = pieces_of(capacity, Counter(sets), guest.need, False)
    cells = capacity.cells_of(either(cpus.mask for cpus in each.vcpu_cpus if cpus is not None))
    memory = memory_pieces(capacity, _resized(each, guest.request), cells)
    own = {} if cpu else {part.cell: part.cpu for part in kept.spot.parts if part.cpu}
    return Loose(guest.name, cpu, memory, own)


def with_spread_load(kept: Kept, amounts: SpreadLoad) -> Kept:
    """The guest with what it takes of each cell."""
    return replace(kept, spot=told(kept.guest, kept.spot, amounts))


def told(guest: Guest, spot: Spot, amounts: SpreadLoad) -> Spot:
    """The spot with its load as it was spread; CPUs of its own are told by its pins."""
    parts = (
        part_of(guest, part.cell, part.cpu if guest.kind != SHARED else amounts.cpu.get(part.cell, 0), amounts.mem)
        for part in spot.parts
    )
    return spot._replace(parts=tuple(parts))


def _resized(each: Existing, request: Request) -> Existing:
    """The guest with the memory that it shall have; what was measured counts only while that is the same."""
    if each.memory_fields == request.memory_fields:
        return each
    return replace(each, **request.memory_fields, memory_on=())


def _text(mask: int) -> str:
    return str(CpuSet.from_mask(mask))
