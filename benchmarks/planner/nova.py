# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One guest at a time, as OpenStack Nova does it: a model of its fitter, on counters of its own.

A guest with pinned CPUs and no wish for several cells gets one cell: the first in the strategy's order that has enough
CPUs and memory; where none has, it is refused. With the thread policy "prefer" siblings are taken together where
that is possible, which never refuses anybody. Source: Nova's documentation ("CPU topologies", release notes of 23.0 and
26.0 on ``packing_host_numa_cells_allocation_strategy``).
"""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

# free CPUs and KiB of a cell -> cells with less of it come first
Key = Callable[[int, int], tuple[int, ...]]
STRATEGIES: dict[str, Key] = {
    "linear": lambda _cpus, _kib: (),  # as it was before the option
    "pack": lambda cpus, kib: (cpus, kib),
    "spread": lambda cpus, kib: (-cpus, -kib),  # what it does by default now
}


class Nova:
    def __init__(self, host: Host, strategy: str) -> None:
        self.key = STRATEGIES[strategy]
        self.free = [[len(cell.cpus), cell.memory] for cell in host.cells]
        self.where: dict[str, tuple[int, int, int]] = {}

    def arrive(self, request: Request) -> bool:
        """Whether it is placed."""
        order = sorted(range(len(self.free)), key=lambda cell: self.key(*self.free[cell]))
        for cell in order:
            if self.free[cell][0] >= request.vcpus and self.free[cell][1] >= request.memory:
                self._take(cell, request.vcpus, request.memory)
                self.where[request.name] = (cell, request.vcpus, request.memory)
                return True
        return False

    def leave(self, name: str) -> None:
        if name in self.where:
            cell, cpus, kib = self.where.pop(name)
            self._take(cell, -cpus, -kib)

    def _take(self, cell: int, cpus: int, kib: int) -> None:
        self.free[cell][0] -= cpus
        self.free[cell][1] -= kib
