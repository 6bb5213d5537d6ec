# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a host and of a request the planner counts with: masks and whole numbers.

Cells are numbered from 0 in the order of their ids here ("index"); a set of cells is a mask of indices, a set of CPUs a
mask of CPU numbers. A guest's CPU need is in its own unit: 1/UNIT of a CPU for one on shared CPUs, CPUs for one that
owns them. Its memory need is KiB, or pages where it has huge ones, of each pool. Memory is never promised twice.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request, Rules, usual_reserve
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.topology import LOCAL_DISTANCE, REMOTE_DISTANCE, Host

UNIT = 1_000_000
# How much more memory for each CPU one cell has than another, where cells are out of proportion.
UNEVEN = 2
# Where the host does not say how much memory it has.
UNKNOWN = 1 << 60

SHARED, PREFER, REQUIRE, ISOLATE = range(4)
_KINDS = {"prefer": PREFER, "require": REQUIRE, "isolate": ISOLATE}


def either(masks: Iterable[int]) -> int:
    """What is in any of the masks."""
    found = 0
    for mask in masks:
        found |= mask
    return found


def count(mask: int) -> int:
    """How many bits are set."""
    return bin(mask).count("1")


def bits(mask: int) -> Iterator[int]:
    """The set bits, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def first(mask: int, number: int) -> int:
    """The lowest ``number`` bits of the mask."""
    taken = 0
    for _number in range(number):
        taken |= mask & -mask
        mask &= mask - 1
    return taken


def weight(vcpus: int, ratio: float) -> int:
    """What shared vCPUs weigh; rounded down, so that ``ratio`` of them are never more than one CPU."""
    return max(1, int(vcpus * UNIT / ratio))


#: What a part of a guest needs of one cell: CPU, memory of its pool, pairs (pool, amount) of others
Need = tuple[int, int, tuple[tuple[int, int], ...]]


class Capacity:
    """A host under its rules, without any guest.

    ``usable`` leaves out offline and reserved CPUs, and those that other control groups have for themselves (``held``);
    ``shared`` and ``own`` are the CPUs that shared guests, and guests with CPUs of their own, may get. Where the rules
    name neither (``derived``) both are all usable ones; but isolated CPUs, where there are any (``by_isolation``), are
    then the own ones. Nobody shares isolated CPUs but where ``shared_cpus`` names them. ``threads`` is the largest
    number of threads of a core on each cell; a core with fewer is not a whole one. ``caches`` are the CPUs of each
    last-level cache of each cell, ascending; what no cache has comes last, and there are ``named_caches`` of them
    before. A core is in the cache of its first thread. ``memory[pool]``: pool 0 is ordinary memory (KiB, without what
    huge pages hold), the others are ``sizes`` in ascending order (pages). ``open``: the cells of guests that name none.
    """

    def __init__(self, host: Host, rules: Rules) -> None:
        self.host, self.rules = host, rules
        self.cells = tuple(sorted(host.cells, key=lambda cell: cell.id))
        self.ids = tuple(cell.id for cell in self.cells)
        self.index = {cell_id: index for index, cell_id in enumerate(self.ids)}
        self.everywhere = (1 << len(self.ids)) - 1
        self.open = self.everywhere & ~self.indices(rules.reserved_cells)
        self.online = [cell.cpus.mask & host.online.mask for cell in self.cells]
        self.all_online = host.online.mask
        self.held = union(each.cpus for each in host.partitions).mask & self.all_online
        self.usable = [mask & ~rules.reserved_cpus.mask & ~self.held for mask in self.online]
        self.all_usable = 0
        for mask in self.usable:
            self.all_usable |= mask
        self.isolated = host.isolated.mask & self.all_usable
        told = rules.shared_cpus is not None or rules.dedicated_cpus is not None
        self.by_isolation = bool(self.isolated) and not told
        self.derived = not told and not self.by_isolation
        shared, own = self.all_usable & ~self.isolated, self.all_usable
        if self.by_isolation:
            own = self.isolated
        if rules.shared_cpus is not None:
            shared = rules.shared_cpus.mask
            own = self.all_usable & ~shared
        if rules.dedicated_cpus is not None:
            own = rules.dedicated_cpus.mask
            shared = shared & ~own
        self.all_shared, self.all_own = shared & self.all_usable, own & self.all_usable
        self.shared = [mask & self.all_shared for mask in self.usable]
        self.own = [mask & self.all_own for mask in self.usable]
        #: Of each cell, to divide by: 1/UNIT of shared CPUs, and CPUs that can be given to one guest
        self.shared_total = [max(1, UNIT * count(mask)) for mask in self.shared]
        self.own_total = [max(1, count(mask)) for mask in self.own]
        self.cores = [self._cores(index) for index in range(len(self.cells))]
        self.threads = [max((count(core) for core in cores), default=1) for cores in self.cores]
        self.core_of = {cpu: core for cores in self.cores for core in cores for cpu in bits(core)}
        levels = {bank.level for bank in host.last_level_caches}
        #: What its last-level caches are called
        self.cache_name = f"L{levels.pop()}" if len(levels) == 1 else "last-level cache"
        #: The number of the last-level cache of each core, among those of its cell
        self.cache_of: dict[int, int] = {}
        self.caches, self.named_caches = self._caches()
        self.with_cpus = sum(1 << index for index, mask in enumerate(self.online) if mask)
        self.distance = [[self._distance(here, there) for there in self.ids] for here in self.ids]
        self.sizes = tuple(sorted({pool.size for cell in self.cells for pool in cell.huge_pools}))
        #: KiB of a unit of each pool
        self.units = (1, *self.sizes)
        #: KiB of ordinary memory of each cell that no guest gets
        self.kept = [0] * len(self.ids)
        self.memory = self._memory()
        #: Of each pool: whether cells have so different amounts for each CPU that it matters who goes where
        self.uneven = [self._is_uneven(pool) for pool in self.memory]

    def _cores(self, index: int) -> list[int]:
        cores, seen = [], 0
        for core in self.cells[index].cores:
            mask = core.cpus.mask & self.online[index] & ~seen
            if mask:
                cores.append(mask)
                seen |= mask
        cores += [1 << cpu for cpu in bits(self.online[index] & ~seen)]
        return sorted(cores, key=lambda core: core & -core)

    def _caches(self) -> tuple[list[list[int]], list[int]]:
        """The CPUs of each last-level cache of each cell, and how many of these are caches; fills ``cache_of``."""
        last = {cpu: number for number, bank in enumerate(self.host.last_level_caches) for cpu in bank.cpus}
        found, named = [], []
        for cores in self.cores:
            banks = [last.get((core & -core).bit_length() - 1, -1) for core in cores]
            order = {bank: number for number, bank in enumerate(dict.fromkeys(each for each in banks if each >= 0))}
            named.append(len(order))
            masks = [0] * len(dict.fromkeys(banks))
            for core, bank in zip(cores, banks):
                self.cache_of[core] = number = order.get(bank, len(order))
                masks[number] |= core
            found.append(masks)
        return found, named

    def _distance(self, here: int, there: int) -> int:
        """The larger one where a host reports two."""
        if here == there:
            return LOCAL_DISTANCE
        ways = [dict(self.cells[self.index[one]].distances) for one in (here, there)]
        return max(ways[0].get(there, REMOTE_DISTANCE), ways[1].get(here, REMOTE_DISTANCE))

    def _memory(self) -> list[list[int]]:
        ordinary = []
        pools = [[0] * len(self.ids) for _size in self.sizes]
        for index, cell in enumerate(self.cells):
            huge = 0
            for pool in cell.huge_pools:
                pools[self.sizes.index(pool.size)][index] = pool.total
                huge += pool.total * pool.size
            known = not (self.host.implied_cell and cell.memory == 0)
            ordinary.append(max(0, cell.memory - huge) if known else UNKNOWN)
            if known and self.rules.reserves and self.online[index]:
                self.kept[index] = usual_reserve(ordinary[index])
        for cell_id, size in self.rules.reserved_memory:
            self.kept[self.index[cell_id]] = size
        ordinary = [max(0, amount - kept) for amount, kept in zip(ordinary, self.kept)]
        for cell_id, size, number in self.rules.reserved_pages:
            row = pools[self.sizes.index(size)]
            row[self.index[cell_id]] = max(0, row[self.index[cell_id]] - number)
        return [ordinary, *pools]

    def _is_uneven(self, pool: list[int]) -> bool:
        each = [amount / count(cpus) for amount, cpus in zip(pool, self.usable) if cpus]
        return bool(each) and max(each) > UNEVEN * min(each)

    def pool(self, page_size: int | None) -> int:
        """Pages that the host does not have count as ordinary memory."""
        return 0 if page_size is None or page_size not in self.sizes else 1 + self.sizes.index(page_size)

    def page_size(self, pool: int) -> int | None:
        """KiB of a page, None for ordinary memory."""
        return self.sizes[pool - 1] if pool else None

    def kib(self, pool: int, amount: int) -> int:
        return amount * self.units[pool]

    def amount(self, pool: int, kib: int) -> int:
        """KiB, or pages."""
        return -(-kib // self.units[pool])

    def unit(self, pool: int) -> str:
        """What amounts of a pool are, for a message: "KiB", "pages of 2048 KiB"."""
        return f"pages of {self.page_size(pool)} KiB" if pool else "KiB"

    def in_pools(self, memory: Iterable[tuple[int | None, int]]) -> tuple[tuple[int, int], ...]:
        """Pairs (pool, amount) for pairs (KiB of a page, KiB)."""
        return tuple([(pool, -(-kib // self.units[pool])) for size, kib in memory for pool in (self.pool(size),)])

    def cells_of(self, cpus: int) -> int:
        """The cells that hold at least one of the CPUs."""
        return sum(1 << index for index, mask in enumerate(self.online) if mask & cpus)

    def indices(self, cells: CpuSet) -> int:
        return sum(1 << self.index[cell] for cell in cells if cell in self.index)

    def cell_ids(self, indices: int) -> CpuSet:
        return CpuSet(self.ids[index] for index in bits(indices))

    def named(self, indices: int) -> str:
        """Cells for a message: "cell 1", "cells 0-1"."""
        return f"{'cell' if count(indices) == 1 else 'cells'} {self.cell_ids(indices)}"

    def device_cells(self, request: Request) -> tuple[int, ...]:
        """The cell of each of the request's devices that the host's cells list."""
        where = self.host.device_cells
        return tuple(self.index[where[device]] for device in request.devices if device in where)

    def siblings(self, cpus: int) -> int:
        """All online threads of the cores that these CPUs are threads of."""
        mask = 0
        for cpu in bits(cpus):
            mask |= self.core_of.get(cpu, 1 << cpu)
        return mask

    def distance_of(self, cells: int, devices: tuple[int, ...] = ()) -> int:
        """Of pairs of these cells, and from the nearest of them to each device (0 where it is local)."""
        chosen = list(bits(cells))
        total = sum(self.distance[one][other] for at, one in enumerate(chosen) for other in chosen[at + 1 :])
        return total + sum(min(self.distance[cell][device] for cell in chosen) - LOCAL_DISTANCE for device in devices)


@dataclass(frozen=True, eq=False)
class Guest:
    """A request in the planner's numbers. ``mem`` is what it needs of ``pool``; ``others`` are pairs (pool, amount) of
    what it needs of other pools, mostly none. ``home``: the cells where it is now, 0 where it has no place. ``held``:
    triples (pool, cell, amount) of what it has now and keeps until it ends, wherever it shall be. ``confined``: its
    CPUs of each cell have to share a last-level cache."""

    request: Request
    kind: int
    need: int
    mem: int
    pool: int
    allowed: int
    must: int
    devices: tuple[int, ...]
    home: int = 0
    held: tuple[tuple[int, int, int], ...] = ()
    confined: bool = False
    others: tuple[tuple[int, int], ...] = ()

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def vcpus(self) -> int:
        return self.request.vcpus

    @property
    def mirrored(self) -> bool:
        return self.request.placed_by.mirrors

    @property
    def memory(self) -> tuple[tuple[int, int], ...]:
        """Pairs (pool, amount) of all that it needs."""
        return ((self.pool, self.mem), *self.others)

    def parts(self, width: int) -> list[Need]:
        """What each of ``width`` guest cells needs. The first ones get what does not divide."""
        request = self.request
        if request.guest_cells:
            vcpus = [len(cell.vcpus) for cell in request.guest_cells]
            beside = self.beside(0, len(request.guest_cells))
            memory = [self._memory_of(cell, more) for cell, more in zip(request.guest_cells, beside)]
        else:
            vcpus = share(request.vcpus, width)
            others = zip(
                *([(pool, part) for part in self._shares(pool, amount, width)] for pool, amount in self.others)
            )
            memory = list(zip(self._shares(self.pool, self.mem, width), others if self.others else [()] * width))
        if self.kind == SHARED:
            ratio = self.need / request.vcpus
            cpus = [max(1, int(number * ratio)) for number in vcpus]
        else:
            cpus = [vcpus[0] + request.cpus_needed - request.vcpus, *vcpus[1:]]
        return [(cpu, *each) for cpu, each in zip(cpus, memory)]

    def beside(self, pool: int, width: int) -> list[int]:
        """What its hypervisor takes of a pool, on each of so many cells that are the guest's too."""
        return share(self.request.overhead if pool == 0 else 0, width)

    def _shares(self, pool: int, amount: int, width: int) -> list[int]:
        beside = self.beside(pool, width)
        return [own + more for own, more in zip(share(amount - sum(beside), width), beside)]

    def _memory_of(self, cell: GuestCell, overhead: int) -> tuple[int, tuple[tuple[int, int], ...]]:
        """What one of its cells needs of its pool, and of the others."""
        kib = Counter(cell.by_page) + Counter({None: overhead})
        taken = self.request.taken
        sizes = [(size if pool and size else 1) for size, (pool, _amount) in zip(taken, self.memory)]
        first, *more = [-(-kib[size] // unit) for size, unit in zip(taken, sizes)]
        return first, tuple((pool, amount) for (pool, _all), amount in zip(self.others, more))

    def widths(self, cells: int) -> list[int]:
        """The numbers of guest cells to try, the best first."""
        request = self.request
        if request.guest_cells:
            return [len(request.guest_cells)]
        if request.width is not None:
            return [request.width]
        if request.cells is not None:
            return [len(request.cells)]
        return list(range(1, min(cells, request.vcpus, self.mem - sum(self.beside(self.pool, 1))) + 1))


def share(total: int, ways: int) -> list[int]:
    """The total in parts that differ by one at most, the larger ones first."""
    return [total // ways + (number < total % ways) for number in range(ways)]


def proportional(total: int, rooms: Sequence[int], weights: Sequence[int]) -> list[int]:
    """Shares of a total by weight, none larger than its room; every cell with a weight gets something if it can."""
    whole = max(1, sum(weights))
    shares = [min(room, total * weight // whole) for room, weight in zip(rooms, weights)]
    rest = total - sum(shares)
    for at in sorted(range(len(rooms)), key=lambda each: (not weights[each], shares[each] > 0, each)):
        more = min(rest, rooms[at] - shares[at])
        if weights[at] and not shares[at]:
            more = min(more, 1)
        shares[at] += more
        rest -= more
    for at, room in enumerate(rooms):  # those that were held to one
        more = min(rest, room - shares[at])
        shares[at] += more
        rest -= more
    return shares


def guest_of(capacity: Capacity, request: Request, home: int = 0) -> Guest:
    ratio = request.cpu_ratio if request.cpu_ratio is not None else capacity.rules.cpu_ratio
    kind = _KINDS[request.smt] if request.owns_cpus else SHARED
    devices = capacity.device_cells(request) if request.device_rule != "ignore" else ()
    must = 0
    if request.device_rule == "require":
        for device in devices:
            must |= 1 << device
    (pool, first), *others = capacity.in_pools(request.taken.items())
    return Guest(
        request=request,
        kind=kind,
        need=request.cpus_needed if request.owns_cpus else weight(request.vcpus, ratio),
        mem=first,
        pool=pool,
        allowed=capacity.open if request.cells is None else capacity.indices(request.cells),
        must=must,
        devices=devices,
        home=home,
        confined=request.owns_cpus and request.cache == "require",
        others=tuple(others),
    )
