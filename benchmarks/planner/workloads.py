# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts and batches of guests from a seed: the same seed always gives the same ones."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Core, Host, PagePool

GIB = 1 << 20  # KiB
#: cells x CPUs of a cell
SHAPES = ((2, 8), (2, 16), (2, 64), (4, 8), (4, 16), (4, 32), (8, 16), (8, 64), (16, 16), (16, 64))
USES = ("dedicated", "shared", "mixed")
BOUNDS = ("cpu", "memory", "both")


@dataclass(frozen=True)
class Workload:
    seed: int
    shape: tuple[int, int]
    use: str
    bound: str
    host: Host
    rules: Rules
    requests: tuple[Request, ...]


def host_of(cells: int, cpus: int, threads: int = 2, memory: int = 4 * GIB, page: int = 0) -> Host:
    """``memory`` is KiB for each CPU, half of it in huge pages if there are any. The cells lie on a ring."""
    found, number = [], 0
    for cell in range(cells):
        cores = []
        for core in range(cpus // threads):
            cores.append(Core(cell, 0, core, CpuSet(range(number, number + threads))))
            number += threads
        steps = [min(abs(cell - other), cells - abs(cell - other)) for other in range(cells)]
        total = memory * cpus
        pools = (PagePool(4, 0), PagePool(page, total // 2 // page)) if page else ()
        found.append(
            Cell(
                id=cell,
                cpus=CpuSet(range(number - cpus, number)),
                memory=total,
                cores=tuple(cores),
                pools=pools,
                distances=tuple((other, 10 if not step else 15 + 6 * min(step, 3)) for other, step in enumerate(steps)),
            )
        )
    everything = CpuSet(range(number))
    return Host("qemu", tuple(found), everything, everything)


def workload(seed: int) -> Workload:
    """Guests arrive in an order that means nothing, as much as 60 to 140 % of what the host has."""
    chance = random.Random(seed)
    shape = SHAPES[seed % len(SHAPES)]
    use = USES[seed // len(SHAPES) % len(USES)]
    bound = BOUNDS[seed // len(SHAPES) // len(USES) % len(BOUNDS)]
    cells, cpus = shape
    threads = chance.choice((1, 2, 2))
    page = chance.choice((0, 0, 2048))
    host = host_of(cells, cpus, threads, page=page)
    ratio = chance.choice((1, 2, 4)) if use != "dedicated" else 1
    target = chance.uniform(0.6, 1.4)
    requests: list[Request] = []
    used_cpu = used_mem = 0.0
    total_cpu, total_mem = cells * cpus, cells * cpus * 4 * GIB
    while max(used_cpu / total_cpu, used_mem / total_mem) < target:
        own = use == "dedicated" or (use == "mixed" and chance.random() < 0.5)
        weight = 1 if own else 1 / ratio
        vcpus = chance.choice((1, 2, 2, 3, 4, 4, 6, 8, 12, 16))
        vcpus = min(vcpus, cpus)
        each = {"cpu": chance.uniform(0.5, 2.5), "memory": chance.uniform(4, 12), "both": chance.uniform(1, 8)}[bound]
        memory = min(int(each * vcpus * weight * 4) * GIB // 4 or GIB // 4, int(cpus * 3.5 * GIB))
        smt = chance.choice(("prefer", "prefer", "prefer", "require", "isolate")) if own and threads > 1 else "prefer"
        huge = page if page and chance.random() < 0.5 else None
        if smt == "isolate":
            vcpus = min(vcpus, cpus // 2)
        if huge or page:
            memory = min(memory, cpus * 3 * GIB // 2)
        requests.append(
            Request(
                name=f"guest-{len(requests):04d}",
                vcpus=vcpus,
                memory=memory,
                policy="dedicated" if own else chance.choice(("pack", "spread")),
                page_size=huge,
                smt=smt,
                cpu_ratio=None if own else ratio,
            )
        )
        used_cpu += vcpus * weight
        used_mem += memory
    chance.shuffle(requests)
    return Workload(seed, shape, use, bound, host, Rules(), tuple(requests))
