# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's cells as values: CPUs, cores, memory, huge pages, distances, devices.

Sizes are KiB, CPUs are physical CPU numbers, distances are those of the ACPI SLIT (10 is local).
This file must not import ansible, libvirt or lxml, and must know nothing of domains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union

LOCAL_DISTANCE = 10
REMOTE_DISTANCE = 20
# KiB of a huge page where nothing else is known
_USUAL_PAGE = 2048


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
class GuestDevice:
    """A device by the name that guests have for it, and its cell; None where none is known, and ``why``."""

    name: str
    cell: int | None
    why: str = ""


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
class BandwidthNode:
    """CPUs whose way to memory is limited together (resctrl's MB), by the number that it has there."""

    id: int
    cpus: CpuSet


@dataclass(frozen=True)
class CpuPool:
    """One of Xen's cpupools: a guest runs on the CPUs of its pool only. CPUs that are offline are in none."""

    name: str
    cpus: CpuSet


@dataclass(frozen=True)
class Partition:
    """A control group that holds no guests and has CPUs for itself: no guest can run there. Without a name it is one
    below another."""

    name: str
    cpus: CpuSet


@dataclass(frozen=True)
class KernelCpus:
    """What the kernel of a host was told of its CPUs.

    ``isolated``: it moves no thread between these by itself (isolcpus). ``nohz_full``: without a tick while one thread
    runs there. ``partitions``: in the order of their names.
    """

    isolated: CpuSet = EMPTY
    nohz_full: CpuSet = EMPTY
    partitions: tuple[Partition, ...] = ()


@dataclass(frozen=True)
class Host:
    """A hypervisor's host.

    ``present`` are the CPUs that exist, ``online`` those that can run something; a cell lists online CPUs only.
    ``implied_cell`` says that the host reported no cells and cell 0 stands for all of it; ``distances_reported``
    is false where 10 and 20 stand in for distances that the driver does not report. ``pools`` are its cpupools, the
    default one first; ``pool`` is the one that the host was narrowed to. ``kernel`` is None where its kernel cannot be
    asked, or has no say in where guests run. ``huge_page`` is KiB of the huge pages that are meant where a guest says
    no size, None where this is not known. ``guest_devices`` are devices that guests name, as far as somebody has asked
    for them. ``caches`` are those that the host tells of, with all CPUs that it lists for them;
    ``bandwidth`` is empty where it tells of none.
    """

    driver: str
    cells: tuple[Cell, ...]
    present: CpuSet
    online: CpuSet
    implied_cell: bool = False
    distances_reported: bool = True
    pools: tuple[CpuPool, ...] = ()
    pool: CpuPool | None = None
    kernel: KernelCpus | None = None
    huge_page: int | None = None
    guest_devices: tuple[GuestDevice, ...] = ()
    caches: tuple[CacheBank, ...] = ()
    bandwidth: tuple[BandwidthNode, ...] = ()

    def page(self, size: int | None) -> int | None:
        """KiB of the huge pages that a guest means by a size, 0 being the default one; None for ordinary memory.

        Pages of the smallest size are ordinary memory. Where the default size is not known it is the only one of which
        there are pages, else that of most machines.
        """
        if not size:
            return self._default_page if size == 0 else None
        pools = (pool for cell in self.cells for pool in cell.pools if pool not in cell.huge_pools)
        return size if size > max((pool.size for pool in pools), default=0) else None

    @property
    def _default_page(self) -> int:
        if self.huge_page is not None:
            return self.huge_page
        totals: dict[int, int] = {}
        for pool in (pool for cell in self.cells for pool in cell.huge_pools):
            totals[pool.size] = totals.get(pool.size, 0) + pool.total
        filled = [size for size, total in totals.items() if total]
        if len(filled) == 1:
            return filled[0]
        return min(totals) if totals and _USUAL_PAGE not in totals else _USUAL_PAGE

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
    def isolated(self) -> CpuSet:
        """The CPUs between which its kernel moves no thread; none where that is not known."""
        return self.kernel.isolated & self.present if self.kernel is not None else EMPTY

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The control groups that have some of its CPUs for themselves; none where that is not known."""
        return self.kernel.partitions if self.kernel is not None else ()

    @cached_property
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
        cells = self._touched.get(cpus)
        if cells is None:
            cells = self._touched[cpus] = CpuSet(cell.id for cell in self.cells if cell.cpus & cpus)
        return cells

    @cached_property
    def _touched(self) -> dict[CpuSet, CpuSet]:
        """The answers so far: it is asked of each guest, and most have one of a few sets of CPUs."""
        return {}

    @cached_property
    def cells_with_cpus(self) -> CpuSet:
        """Those that have a CPU online."""
        return self.cells_touched(self.online)

    @cached_property
    def cells_with_memory(self) -> CpuSet:
        return CpuSet(cell.id for cell in self.cells if cell.memory > 0)

    @cached_property
    def device_cells(self) -> Mapping[str, int]:
        """The cell of each device of which it is known, by each of its names."""
        cells = {name: cell.id for cell in self.cells for each in cell.devices for name in (each.name, each.address)}
        cells.update((each.name, each.cell) for each in self.guest_devices if each.cell is not None)
        return cells

    def why_no_cell(self, device: str) -> str:
        """Why ``device_cells`` has no cell of a device, in a few words."""
        why = next((each.why for each in self.guest_devices if each.name == device), "")
        return f"the host names no cell for this device{': ' if why else ''}{why}"

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

    def memory_near(self, cells: Iterable[int], kib: int = 0, page: int | None = None) -> CpuSet:
        """Where memory can be as near to these cells as this host allows: each of them that has some.

        For one without any it is the nearest that have some, of those the others of these; where all of that is less
        than ``kib``, the next nearest too. ``page`` is KiB of huge pages, 0 for any size, None for ordinary memory.
        Where nobody tells of such memory at all, these cells.
        """
        wanted = cells if isinstance(cells, CpuSet) else CpuSet(cells)
        has = {cell.id: amount for cell in self.cells for amount in (_amount(cell, page),) if amount > 0}
        found = wanted & CpuSet(has)
        if found == wanted and sum(has[cell] for cell in wanted) >= kib:
            return wanted
        for cell in wanted - found:
            for nearest in self._rings(CpuSet([cell]), has)[:1]:
                found |= (nearest & wanted) or nearest
        for ring in self._rings(wanted, has):
            if sum(has[cell] for cell in found) >= kib:
                break
            found |= ring
        return found or wanted

    def _rings(self, cells: CpuSet, others: Iterable[int]) -> list[CpuSet]:
        """The others by their distance to the nearest of these cells, the nearest first."""
        rings: dict[int, set[int]] = {}
        for other in others:
            far = [far for cell in self.cells if cell.id in cells for to, far in cell.distances if to == other]
            rings.setdefault(min(far, default=REMOTE_DISTANCE), set()).add(other)
        return [CpuSet(ring) for _distance, ring in sorted(rings.items())]

    def memory_of(self, cells: Iterable[int]) -> int:
        """KiB of those cells together."""
        wanted = set(cells)
        return sum(cell.memory for cell in self.cells if cell.id in wanted)


def _amount(cell: Cell, page: int | None) -> int:
    """KiB of a cell in huge pages of a size, 0 for any; None for all of its memory."""
    if page is None:
        return cell.memory
    return sum(pool.size * pool.total for pool in cell.huge_pools if page in (0, pool.size))


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
