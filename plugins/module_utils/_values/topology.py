# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's cells as values: CPUs, cores, memory, huge pages, distances, devices.

Sizes are KiB, CPUs are physical CPU numbers, distances are those of the ACPI SLIT (10 is local).
This file must not import ansible, libvirt or lxml, and must know nothing of domains.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union

LOCAL_DISTANCE = 10
REMOTE_DISTANCE = 20


@dataclass(frozen=True)
class Core:
    """One core of a socket, and the CPUs that are its hardware threads."""

    socket: int
    die: int
    core: int
    cpus: CpuSet


@dataclass(frozen=True)
class PagePool:
    """Pages of one size on one cell. ``free`` is None where the driver does not say."""

    size: int
    total: int
    free: int | None = None


@dataclass(frozen=True)
class Device:
    """A PCI device with the cell it is nearest to."""

    name: str
    address: str
    label: str


@dataclass(frozen=True)
class Cell:
    """A NUMA node. ``distances`` are pairs (cell, distance), ascending by cell; ``free`` is None where unknown."""

    id: int
    cpus: CpuSet
    memory: int
    free: int | None = None
    cores: tuple[Core, ...] = ()
    pools: tuple[PagePool, ...] = ()
    distances: tuple[tuple[int, int], ...] = ()
    devices: tuple[Device, ...] = ()

    @property
    def huge_pools(self) -> tuple[PagePool, ...]:
        """Pools of pages larger than the smallest size, which is that of ordinary memory."""
        base = min((pool.size for pool in self.pools), default=0)
        return tuple(pool for pool in self.pools if pool.size > base)


@dataclass(frozen=True)
class CacheBank:
    """A cache of the host, and the CPUs that share it. ``type`` is libvirt's: "both", "data" or "code"."""

    id: int
    level: int
    type: str
    size: int
    cpus: CpuSet


@dataclass(frozen=True)
class CpuPool:
    """One of Xen's cpupools: a guest runs on the CPUs of its pool only. CPUs that are offline are in none."""

    name: str
    cpus: CpuSet


@dataclass(frozen=True)
class Host:
    """A hypervisor's host.

    ``present`` are the CPUs that exist, ``online`` those that can run something; a cell lists online CPUs only.
    ``implied_cell`` says that the host reported no cells and cell 0 stands for all of it; ``distances_reported``
    is false where 10 and 20 stand in for distances that the driver does not report. ``pools`` are its cpupools, the
    default one first; ``pool`` is the one that the host was narrowed to. ``caches`` are those that it tells of, with
    all CPUs that it lists for them.
    """

    driver: str
    cells: tuple[Cell, ...]
    present: CpuSet
    online: CpuSet
    implied_cell: bool = False
    distances_reported: bool = True
    pools: tuple[CpuPool, ...] = ()
    pool: CpuPool | None = None
    caches: tuple[CacheBank, ...] = ()

    def with_cpu_map(self, cpu_map: Sequence[bool]) -> Host:
        """The host with what virNodeGetCPUMap() says: an element for each CPU that exists, true where it is online."""
        return self._with_online(CpuSet(range(len(cpu_map))), CpuSet.from_map(cpu_map))

    def with_pools(self, pools: Sequence[CpuPool]) -> Host:
        """The host with what Xen says of its cpupools; a CPU in none of them cannot run a guest."""
        if not pools:
            return self
        host = self._with_online(self.present, union(pool.cpus for pool in pools) & self.present)
        return replace(host, pools=tuple(pools))

    def in_pool(self, name: str | None) -> Host:
        """The host as a guest in that cpupool sees it; None is the default one. Raises InputError."""
        if not self.pools:
            return self
        pool = self.pools[0] if name is None else next((each for each in self.pools if each.name == name), None)
        if pool is None:
            names = ", ".join(each.name for each in self.pools)
            raise InputError("pool of the definition", name, "the host has no such cpupool", f"its pools are {names}")
        if pool.cpus == self.online:
            return self
        return replace(self._with_online(self.present, self.online & pool.cpus), pool=pool)

    def _with_online(self, present: CpuSet, online: CpuSet) -> Host:
        cells = tuple(
            replace(
                cell,
                cpus=online if self.implied_cell else cell.cpus & online,
                cores=tuple(replace(core, cpus=core.cpus & online) for core in cell.cores if core.cpus & online),
            )
            for cell in self.cells
        )
        return replace(self, cells=cells, present=present, online=online)

    @property
    def cell_ids(self) -> CpuSet:
        return CpuSet(cell.id for cell in self.cells)

    def cell(self, cell_id: int) -> Cell | None:
        return next((cell for cell in self.cells if cell.id == cell_id), None)

    def cpus_of(self, cells: Iterable[int]) -> CpuSet:
        """The online CPUs of those cells."""
        wanted = set(cells)
        return union(cell.cpus & self.online for cell in self.cells if cell.id in wanted)

    def cells_touched(self, cpus: CpuSet) -> CpuSet:
        """The cells that hold at least one of the CPUs."""
        return CpuSet(cell.id for cell in self.cells if cell.cpus & cpus)

    @property
    def cells_with_cpus(self) -> CpuSet:
        """Those that have a CPU online."""
        return self.cells_touched(self.online)

    @property
    def cells_with_memory(self) -> CpuSet:
        return CpuSet(cell.id for cell in self.cells if cell.memory > 0)

    @cached_property
    def last_level_caches(self) -> tuple[CacheBank, ...]:
        """The bank with the highest level of each online CPU, with those CPUs only; ascending by CPUs."""
        found, left = [], self.online
        for bank in sorted(self.caches, key=lambda each: (-each.level, each.type == "code", each.id)):
            mine = bank.cpus & left
            if mine:
                found.append(replace(bank, cpus=mine))
                left = left - mine
        return tuple(sorted(found, key=lambda each: next(iter(each.cpus))))

    def caches_of(self, cell: Cell) -> tuple[CacheBank, ...]:
        """The last-level caches of a cell, each with the CPUs of that cell."""
        pairs = ((bank, bank.cpus & cell.cpus) for bank in self.last_level_caches)
        return tuple(replace(bank, cpus=cpus) for bank, cpus in pairs if cpus)

    def memory_of(self, cells: Iterable[int]) -> int:
        """KiB of those cells together."""
        wanted = set(cells)
        return sum(cell.memory for cell in self.cells if cell.id in wanted)


def cell_as_result(cell: Cell, caches: Iterable[CacheBank] = ()) -> dict[str, Any]:
    """What RV(cells[]) of numa_cell_info documents. ``caches`` are those of Host.caches_of()."""
    return {
        "id": cell.id,
        "cpus": list(cell.cpus),
        "cpuset": str(cell.cpus),
        "cores": [list(core.cpus) for core in cell.cores],
        "sockets": sorted({core.socket for core in cell.cores}),
        "caches": [
            {"id": bank.id, "level": bank.level, "size": bank.size, "cpuset": str(bank.cpus)} for bank in caches
        ],
        "memory": {"total": cell.memory, "free": cell.free},
        "huge_pages": [{"size": pool.size, "total": pool.total, "free": pool.free} for pool in cell.huge_pools],
        "distances": {str(other): distance for other, distance in cell.distances},
        "devices": [{"name": each.name, "address": each.address, "label": each.label} for each in cell.devices],
    }
