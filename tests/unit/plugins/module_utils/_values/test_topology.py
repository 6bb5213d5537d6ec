# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import (
    CacheBank,
    Cell,
    Core,
    Device,
    Host,
    KernelCpus,
    PagePool,
    Partition,
    cell_as_result,
)


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def host() -> Host:
    """Two cells of two cores with two threads, a cell of memory, a cell of CPUs. CPU 7 is offline, CPU 12 no more."""
    return Host(
        "qemu",
        (
            Cell(0, cpus("0-3"), 4096, cores=(Core(0, 0, 0, cpus("0-1")), Core(0, 0, 1, cpus("2-3")))),
            Cell(1, cpus("4-6"), 8192, cores=(Core(1, 0, 0, cpus("4-5")), Core(1, 0, 1, cpus("6")))),
            Cell(2, EMPTY, 65536),
            Cell(5, cpus("8-9"), 0),
        ),
        present=cpus("0-11"),
        online=cpus("0-6,8-9"),
    )


def test_questions_about_cells() -> None:
    it = host()
    assert it.cell_ids == cpus("0-2,5")
    assert it.cells_with_memory == cpus("0-2")
    assert it.cell(5) is it.cells[3]
    assert it.cell(3) is None
    assert it.memory_of([0, 2]) == 4096 + 65536
    assert it.memory_of(cpus("3-5")) == 0


def test_cpus_of_cells_are_those_that_are_online() -> None:
    it = host()
    assert it.cpus_of([0, 5]) == cpus("0-3,8-9")
    assert it.cpus_of(cpus("2-3")) == EMPTY
    stale = Host("qemu", (Cell(0, cpus("0-3"), 1),), present=cpus("0-3"), online=cpus("0-2"))
    assert stale.cpus_of([0]) == cpus("0-2")


@given(st.sets(st.integers(0, 15)))
def test_a_cell_is_touched_by_any_of_its_cpus(numbers: set[int]) -> None:
    assert set(host().cells_touched(CpuSet(numbers))) == {
        cell.id for cell in host().cells if any(cpu in cell.cpus for cpu in numbers)
    }


def test_with_cpu_map_leaves_what_is_online() -> None:
    it = host().with_cpu_map([True, True, False, False, True, False, True, False, True, True])
    assert (it.present, it.online) == (cpus("0-9"), cpus("0-1,4,6,8-9"))
    assert [str(cell.cpus) for cell in it.cells] == ["0-1", "4,6", "", "8-9"]
    # A core that lost a thread has one thread; one that lost both is gone.
    assert [[str(core.cpus) for core in cell.cores] for cell in it.cells] == [["0-1"], ["4", "6"], [], []]


def test_with_cpu_map_an_implied_cell_has_every_cpu() -> None:
    implied = Host("qemu", (Cell(0, EMPTY, 0),), EMPTY, EMPTY, implied_cell=True)
    assert implied.with_cpu_map([True, False, True]).cells[0].cpus == cpus("0,2")


def test_huge_pools_are_all_but_the_smallest_pages() -> None:
    small, huge, giant = PagePool(4, 1000), PagePool(2048, 5), PagePool(1048576, 0)
    assert Cell(0, EMPTY, 0, pools=(small, huge, giant)).huge_pools == (huge, giant)
    assert Cell(0, EMPTY, 0, pools=(huge, small)).huge_pools == (huge,)
    arm = (PagePool(64, 1000), PagePool(2048, 7), PagePool(524288, 1))
    assert Cell(0, EMPTY, 0, pools=arm).huge_pools == arm[1:]
    assert Cell(0, EMPTY, 0).huge_pools == ()


def test_cell_as_result() -> None:
    cell = Cell(
        1,
        cpus("4-6"),
        8192,
        free=100,
        cores=(Core(1, 0, 0, cpus("4-5")), Core(0, 0, 1, cpus("6"))),
        pools=(PagePool(4, 2048, 9), PagePool(2048, 2, 1)),
        distances=((0, 21), (1, 10)),
        devices=(Device("pci_0000_3b_00_0", "0000:3b:00.0", "Intel X710"),),
    )
    assert cell_as_result(cell) == {
        "id": 1,
        "cpus": [4, 5, 6],
        "cpuset": "4-6",
        "cores": [[4, 5], [6]],
        "sockets": [0, 1],
        "caches": [],
        "memory": {"total": 8192, "free": 100},
        "huge_pages": [{"size": 2048, "total": 2, "free": 1}],
        "distances": {"0": 21, "1": 10},
        "devices": [{"name": "pci_0000_3b_00_0", "address": "0000:3b:00.0", "label": "Intel X710"}],
    }


def test_last_level_caches() -> None:
    """Of each CPU the highest level; CPU 7 is offline, and nothing tells of 8 and 9."""
    banks = (
        CacheBank(1, 3, "both", 16384, cpus("4-7")),
        CacheBank(0, 3, "both", 16384, cpus("0-3")),
        CacheBank(0, 2, "both", 1024, cpus("0-1")),
        CacheBank(0, 4, "both", 65536, cpus("2-5")),
        CacheBank(9, 3, "code", 1, cpus("0-9")),
        CacheBank(2, 3, "both", 16384, EMPTY),
    )
    it = replace(host(), caches=banks)
    assert [(bank.level, bank.id, str(bank.cpus)) for bank in it.last_level_caches] == [
        (3, 0, "0-1"),
        (4, 0, "2-5"),
        (3, 1, "6"),
        (3, 9, "8-9"),
    ]
    assert [(bank.level, str(bank.cpus)) for bank in it.caches_of(it.cells[0])] == [(3, "0-1"), (4, "2-3")]
    assert cell_as_result(it.cells[1], it.caches_of(it.cells[1]))["caches"] == [
        {"id": 0, "level": 4, "size": 65536, "cpuset": "4-5"},
        {"id": 1, "level": 3, "size": 16384, "cpuset": "6"},
    ]
    assert host().last_level_caches == host().caches_of(it.cells[0]) == ()


def test_a_cell_of_memory_as_result() -> None:
    found = cell_as_result(Cell(2, EMPTY, 65536))
    assert (found["cpus"], found["cpuset"], found["cores"], found["sockets"]) == ([], "", [], [])
    assert found["memory"] == {"total": 65536, "free": None}


def pages(huge_page: int | None = None, **totals: int) -> Host:
    """A host of one cell with pools such as p2048=8."""
    pools = tuple(PagePool(int(size[1:]), total) for size, total in totals.items())
    return Host("qemu", (Cell(0, CpuSet([0]), 1024, pools=pools),), CpuSet([0]), CpuSet([0]), huge_page=huge_page)


@pytest.mark.parametrize(
    ("host", "size", "meant"),
    [
        (pages(p4=1000, p2048=8), None, None),
        (pages(p4=1000, p2048=8), 4, None),  # pages of the smallest size are ordinary memory
        (pages(p4=1000, p2048=8), 2048, 2048),
        (pages(p4=1000, p2048=8), 1048576, 1048576),
        (pages(1048576, p4=1000, p2048=8, p1048576=0), 0, 1048576),  # what the kernel says
        (pages(p4=1000, p2048=0, p1048576=48), 0, 1048576),  # the only one with pages
        (pages(p4=1000, p2048=8, p1048576=48), 0, 2048),
        (pages(p4=1000, p2048=0, p1048576=0), 0, 2048),
        (pages(p64=1000, p2048=0, p524288=64, p16777216=0), 0, 524288),
        (pages(p64=1000, p524288=0, p16777216=0), 0, 524288),
        (pages(p64=1000, p524288=0), 64, None),
        (pages(), 0, 2048),
        (pages(), 4, 4),
    ],
)
def test_the_pages_that_a_guest_means(host: Host, size: int | None, meant: int | None) -> None:
    assert host.page(size) == meant


def test_what_the_kernel_was_told_may_not_be_known() -> None:
    it = host()
    assert (it.isolated, it.partitions) == (EMPTY, ())
    told = replace(it, kernel=KernelCpus(cpus("2,40"), cpus("2"), (Partition("a.slice", cpus("3")),)))
    assert (told.isolated, [each.name for each in told.partitions]) == (cpus("2"), ["a.slice"])
    assert told.in_pool(None).kernel == told.kernel


def far(cell: int, text: str, memory: int, *distances: int, pools: tuple[PagePool, ...] = ()) -> Cell:
    return Cell(cell, cpus(text), memory, distances=tuple(enumerate(distances)), pools=pools)


def test_where_memory_can_be_near() -> None:
    """Cells 0 and 3 have CPUs and no memory."""
    cells = (
        far(0, "0-1", 0, 10, 12, 20, 30),
        far(1, "2-3", 8, 12, 10, 20, 30),
        far(2, "4-5", 16, 20, 20, 10, 12),
        far(3, "6-7", 0, 30, 30, 12, 10),
    )
    it = Host("qemu", cells, cpus("0-7"), cpus("0-7"))
    assert [str(it.memory_near([cell])) for cell in range(4)] == ["1", "1", "2", "2"]
    assert it.memory_near([0, 2]) == cpus("1-2")
    assert it.memory_near([0], 9) == it.memory_near([1], 9) == cpus("1-2")
    assert it.memory_near([2], 99) == cpus("1-2")
    # Two that are as near are both.
    flat = Host("qemu", tuple(far(cell.id, "0", cell.memory, 12, 12, 12, 12) for cell in cells), EMPTY, EMPTY)
    assert flat.memory_near([0]) == cpus("1-2")
    assert flat.memory_near([0, 1]) == cpus("1")


def test_where_memory_can_be_near_that_nobody_tells_of() -> None:
    assert Host("qemu", (far(0, "0-1", 0, 10),), EMPTY, EMPTY).memory_near([0]) == cpus("0")
    bare = Host("qemu", (Cell(0, cpus("0"), 0), Cell(1, cpus("1"), 4)), EMPTY, EMPTY)
    assert bare.memory_near([0]) == cpus("1")


def test_where_huge_pages_can_be_near() -> None:
    small = PagePool(4, 100)
    cells = (
        far(0, "0", 800, 10, 20, pools=(small, PagePool(2048, 0))),
        far(1, "1", 800, 20, 10, pools=(small, PagePool(2048, 2))),
    )
    it = Host("qemu", cells, cpus("0-1"), cpus("0-1"))
    assert it.memory_near([0]) == cpus("0")
    assert it.memory_near([0], page=2048) == it.memory_near([0], page=0) == cpus("1")
    assert it.memory_near([0], page=1048576) == cpus("0")
