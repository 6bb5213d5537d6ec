# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts as hardly anybody has them, and guests for them, to draw from.

Cells have ids with gaps, some memory or CPUs only; cores have one to four threads, on one cell of several kinds; CPUs
are numbered in turn over cells, siblings far from each other, and some offline; pools of huge pages may be empty, or on
one cell alone; the kernel isolates CPUs, and control groups have some for themselves.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.topology import (
    Cell,
    Core,
    Host,
    KernelCpus,
    PagePool,
    Partition,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, placeable

OddCase = tuple[Host, list[Request], Rules]
# Ids as they are found: gap-less, POWER's chips and its GPUs', and whatever.
_IDS = ((0, 1, 2, 3), (0, 8, 252, 255), (0, 8, 250, 251), (2, 3, 5, 7), (1, 4, 16, 64))


def some(draw: st.DrawFn, of: CpuSet, most: int) -> CpuSet:
    return CpuSet(draw(st.sets(st.sampled_from(list(of)), max_size=most))) if of else EMPTY


@st.composite
def odd_hosts(draw: st.DrawFn) -> Host:
    number = draw(st.integers(1, 4))
    ids = draw(st.sampled_from(_IDS))[:number]
    # Of each cell the threads of its cores; one cell at least has CPUs, and the first has memory.
    cores = [draw(st.lists(st.sampled_from((1, 1, 2, 2, 4)), max_size=5)) for _cell in ids]
    cores[0] = cores[0] or [2, 1]
    owners = [(at, core, thread) for at, each in enumerate(cores) for core, n in enumerate(each) for thread in range(n)]
    order = draw(st.sampled_from(("cells", "threads", "turns", "any")))
    if order == "threads":  # first threads first, their siblings behind all of them
        owners.sort(key=lambda each: (each[2], each[0], each[1]))
    elif order == "turns":
        owners.sort(key=lambda each: (each[1], each[2], each[0]))
    elif order == "any":
        owners = draw(st.permutations(owners))
    where: dict[tuple[int, int], list[int]] = {}
    for cpu, (at, core, _thread) in enumerate(owners):
        where.setdefault((at, core), []).append(cpu)
    present = CpuSet(range(len(owners)))
    offline = some(draw, present, 3) if draw(st.booleans()) else EMPTY
    online = present - offline or present
    huge = draw(st.sampled_from((None, None, 0, 4)))
    cells = []
    for at, cell_id in enumerate(ids):
        memory = draw(st.sampled_from((8, 16, 0, 2, 6))) or (4 if at == 0 else 0)
        pages = min(draw(st.sampled_from((0, huge or 0))), memory // 2)
        small = draw(st.sampled_from((0, 0, memory // 4))) if huge else 0
        pools = (
            (PagePool(4, 0), PagePool(2048, 512 * small), PagePool(GIB, pages)) if huge is not None and memory else ()
        )
        own = [CpuSet(where[at, core]) & online for core in range(len(cores[at]))]
        cells.append(
            Cell(
                id=cell_id,
                cpus=CpuSet(cpu for cpu, owner in enumerate(owners) if owner[0] == at) & online,
                memory=memory * GIB,
                # Some report no cores at all: each CPU is one of its own then.
                cores=tuple(Core(at, 0, core, cpus) for core, cpus in enumerate(own) if cpus),
                pools=pools,
                distances=tuple((to, 10 if to == cell_id else draw(st.sampled_from((12, 20, 80)))) for to in ids),
            )
        )
    kernel = None
    if draw(st.booleans()):
        isolated, held = some(draw, present, 4), some(draw, present, 2)
        kernel = KernelCpus(isolated, isolated, (Partition("rt.slice", held),) if held else ())
    it = Host("qemu", tuple(cells), present, online, kernel=kernel)
    return it if it.cells_with_cpus else Host("qemu", tuple(cells), present, online)


@st.composite
def memory_in_pages(draw: st.DrawFn, it: Host, vcpus: int, memory: int, mirrors: bool) -> dict[str, Any]:
    """What of a Request says in which pages its memory is, mostly of one size. One that ``mirrors`` has a cell for each
    size, where it has vCPUs for them."""
    sizes = [None, *sorted({pool.size for cell in it.cells for pool in cell.huge_pools if pool.total})]
    first, *others = draw(st.permutations(sizes))
    others = others[: draw(st.sampled_from((0, 0, 1, 1, 2)))]
    if mirrors and len(others) >= vcpus:
        others = []
    more = tuple((size, draw(st.sampled_from((1, 512, 1024))) << 10) for size in others)
    cells: tuple[GuestCell, ...] = ()
    if mirrors and more:
        last = CpuSet(range(len(more), vcpus))
        cells = tuple(GuestCell(CpuSet([at]), kib, size) for at, (size, kib) in enumerate(more))
        cells = (*cells, GuestCell(last, memory, first))
    return {"page_size": first, "other_pages": more, "guest_cells": cells}


@st.composite
def odd_rules(draw: st.DrawFn, it: Host) -> Rules:
    reserved = some(draw, it.present, 2) if draw(st.booleans()) else EMPTY
    rest = list(it.present - reserved)
    shared = dedicated = None
    if rest and draw(st.integers(0, 2)) == 0:
        sets = CpuSet(rest[: draw(st.integers(0, len(rest)))])
        shared, dedicated = draw(st.sampled_from(((sets, None), (None, sets))))
    out = some(draw, it.cell_ids, 2) if draw(st.booleans()) else EMPTY
    if it.cells_with_cpus <= out:
        out = EMPTY
    ratio = draw(st.sampled_from((1.0, 2.0)))
    return Rules(reserved, (), (), shared, dedicated, ratio, out)


@st.composite
def odd_request(draw: st.DrawFn, name: str, it: Host) -> Request:
    policy = draw(st.sampled_from(("pack", "spread", "dedicated", "dedicated", "mirror")))
    own = policy == "dedicated" or (policy == "mirror" and draw(st.booleans()))
    vcpus, memory = draw(st.integers(1, 6)), draw(st.sampled_from((1, 1, 1, 2, 5))) * GIB
    return Request(
        name,
        vcpus,
        memory,
        policy,
        cells=(some(draw, it.cell_ids, 3) or None) if draw(st.integers(0, 3)) == 0 else None,
        **draw(memory_in_pages(it, vcpus, memory, policy == "mirror")),
        binds_early=draw(st.booleans()),
        smt=draw(st.sampled_from(("prefer", "prefer", "require", "isolate"))) if own else "prefer",
        emulator=draw(st.sampled_from(("share", "isolate"))) if own else "share",
        own_cpus=own and policy == "mirror",
        apart=draw(st.sampled_from((None, None, "a"))),
        overhead=draw(st.sampled_from((0, 0, 0, 100_000))),
    )


@st.composite
def odd_cases(draw: st.DrawFn, most: int = 6) -> OddCase:
    """A host, and requests of which each could be placed if it were alone."""
    it = draw(odd_hosts())
    rules = draw(odd_rules(it))
    requests = [draw(odd_request(f"g{number}", it)) for number in range(draw(st.integers(2, most)))]
    return it, placeable(it, rules, requests), rules
