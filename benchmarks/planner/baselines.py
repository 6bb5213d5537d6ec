# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others do, written on their own counters and not on the planner's: one guest after the other as they come.

Both are generous: CPUs are counted, not cores, so that a guest for whole cores always finds its CPUs together, and a
guest that no cell holds is split over several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

Cells = tuple[int, ...]
# free CPUs and KiB of a set of cells, vCPUs there -> the smaller the better
Order = Callable[["Counters", Cells], tuple[float, ...]]


class Counters:
    def __init__(self, host: Host) -> None:
        self.threads = max(len(core.cpus) for cell in host.cells for core in cell.cores)
        self.cpu = [float(len(cell.cpus)) for cell in host.cells]
        self.vcpus = [0.0 for _cell in host.cells]
        self.pages = [{pool.size: pool.total for pool in cell.huge_pools} for cell in host.cells]
        self.memory = [cell.memory - sum(p.size * p.total for p in cell.huge_pools) for cell in host.cells]

    def needs(self, request: Request) -> tuple[float, int]:
        if request.policy != "dedicated":
            return request.vcpus / (request.cpu_ratio or 1), request.memory
        cores = request.vcpus if request.smt == "isolate" else -(-request.vcpus // self.threads)
        whole = request.smt != "prefer"
        return float(cores * self.threads if whole else request.vcpus), request.memory

    def free(self, cell: int, size: int | None) -> int:
        return self.memory[cell] if size is None else self.pages[cell][size] * size

    def take(self, cells: Cells, request: Request) -> None:
        cpu, memory = self.needs(request)
        for cell in cells:
            part = min(cpu, self.cpu[cell])
            self.cpu[cell] -= part
            self.vcpus[cell] += request.vcpus * (part / max(1e-9, self.needs(request)[0]))
            cpu -= part
            size = request.page_size
            kib = min(memory, self.free(cell, size))
            memory -= kib
            if size is None:
                self.memory[cell] -= kib
            else:
                self.pages[cell][size] -= -(-kib // size)


def one_by_one(host: Host, requests: Sequence[Request], order: Order) -> int:
    """The vCPUs placed: for each guest the fewest cells that hold it, and of those the best by the order."""
    counters = Counters(host)
    placed = 0
    for request in requests:
        cells = _choose(counters, request, order)
        if cells is not None:
            counters.take(cells, request)
            placed += request.vcpus
    return placed


def _choose(counters: Counters, request: Request, order: Order) -> Cells | None:
    cpu, memory = counters.needs(request)
    every = range(len(counters.cpu))
    for width in range(1, len(counters.cpu) + 1):
        if width <= 3:
            options: Sequence[Cells] = list(combinations(every, width))
        else:  # more would take for ever: the emptiest ones
            options = [tuple(sorted(every, key=lambda cell: (-counters.cpu[cell], cell))[:width])]
        fitting = [
            cells
            for cells in options
            if sum(counters.cpu[cell] for cell in cells) >= cpu - 1e-9
            # QEMU cannot take huge pages of a cell where it has no CPU.
            and sum(
                counters.free(cell, request.page_size)
                for cell in cells
                if request.page_size is None or counters.cpu[cell] >= 1e-9
            )
            >= memory
        ]
        if fitting:
            return min(fitting, key=lambda cells: (*order(counters, cells), cells))
    return None


def best_fit(counters: Counters, cells: Cells) -> tuple[float, ...]:
    """First come, first served: the cells that are left with the least free CPU, then memory."""
    return (sum(counters.cpu[cell] for cell in cells), float(sum(counters.memory[cell] for cell in cells)))


def libxl(counters: Counters, cells: Cells) -> tuple[float, ...]:
    """libxl's published rule after "fewest nodes": the fewest vCPUs that run there, then the most free memory.

    Source: xl-numa-placement(7), "Guest Placement in libxl".
    """
    return (sum(counters.vcpus[cell] for cell in cells), -float(sum(counters.memory[cell] for cell in cells)))
