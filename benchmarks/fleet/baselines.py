# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others do, on counters of their own: one guest after the other, on the cell that one rule prefers.

"filter and weigh" is OpenStack Nova's way: hosts that cannot hold the guest are filtered out, the others weighed by
what is free of their CPUs and memory, each normalised over the hosts that are left, most free first; on the host the
cell with the most free. Source: Nova's documentation ("Compute schedulers": CPUWeigher, RAMWeigher).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tree

tree.link()

from ansible_collections.numa.virt.plugins.module_utils._fleet.request import IN, FleetHost, FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request

GIB = 1 << 20
Cells = list[list[float]]
# (all hosts, those that hold the guest with the cells it would have on each) -> the one to take
Key = Callable[[Sequence[Cells], list[tuple[int, list[int]]]], tuple[int, list[int]]]


def first_fit(_hosts: Sequence[Cells], fits: list[tuple[int, list[int]]]) -> tuple[int, list[int]]:
    return fits[0]


def best_fit(hosts: Sequence[Cells], fits: list[tuple[int, list[int]]]) -> tuple[int, list[int]]:
    """The least CPUs, then the least memory, left on the cells that it gets."""
    return min(fits, key=lambda each: [sum(hosts[each[0]][cell][at] for cell in each[1]) for at in (0, 1)])


def filter_and_weigh(hosts: Sequence[Cells], fits: list[tuple[int, list[int]]]) -> tuple[int, list[int]]:
    numbers = {number for number, _cells in fits}
    free = {number: [sum(cell[at] for cell in hosts[number]) for at in (0, 1)] for number in numbers}
    weights = dict.fromkeys(free, 0.0)
    for at in (0, 1):
        low, high = min(row[at] for row in free.values()), max(row[at] for row in free.values())
        for number, row in free.items():
            weights[number] += (row[at] - low) / (high - low) if high > low else 0.0
    return max(fits, key=lambda each: (weights[each[0]], -each[0], sum(hosts[each[0]][cell][0] for cell in each[1])))


RULES: dict[str, Key] = {"first fit": first_fit, "best fit": best_fit, "filter and weigh": filter_and_weigh}


class Simple:
    def __init__(self, key: Key) -> None:
        self.key = key
        self.hosts: list[Cells] = []
        self.where: dict[str, tuple[int, list[int], float, float]] = {}

    def on(self, hosts: Sequence[FleetHost]) -> Simple:
        """A fleet as it is, hosts that are not in left out."""
        new = Simple(self.key)
        for each in hosts:
            if each.host is None or each.state != IN:
                continue
            cells = [[len(cell.cpus) * each.rules.cpu_ratio, float(cell.memory)] for cell in each.host.cells]
            for guest in each.existing:
                for cell in guest.nodeset or ():
                    cells[cell][0] -= len(guest.vcpu_cpus)
                    cells[cell][1] -= guest.memory
            new.hosts.append(cells)
        return new

    def arrive(self, request: FleetRequest) -> bool:
        fits = self._fits(request.guest)
        if not fits:
            return False
        number, cells = self.key(self.hosts, fits)
        cpu, mem = request.guest.vcpus / len(cells), request.guest.memory / len(cells)
        self.where[request.name] = (number, cells, cpu, mem)
        self._take(number, cells, cpu, mem)
        return True

    def _fits(self, guest: Request) -> list[tuple[int, list[int]]]:
        """Hosts with the cells that it would have there; a guest over several cells gets those with the most room."""
        width = guest.width or 1
        cpu, mem = guest.vcpus / width, guest.memory / width
        found = []
        for number, cells in enumerate(self.hosts):
            holding = [at for at, (has_cpu, has_mem) in enumerate(cells) if has_cpu >= cpu and has_mem >= mem]
            if width > 1 and len(holding) >= width:
                found.append((number, sorted(holding, key=lambda at: -cells[at][0])[:width]))
            elif width == 1:
                found += [(number, [at]) for at in holding]
        return found

    def _take(self, number: int, cells: list[int], cpu: float, mem: float) -> None:
        for cell in cells:
            self.hosts[number][cell][0] -= cpu
            self.hosts[number][cell][1] -= mem

    def leave(self, name: str) -> None:
        if name in self.where:
            number, cells, cpu, mem = self.where.pop(name)
            self._take(number, cells, -cpu, -mem)

    def batch(self, drained: Sequence[FleetRequest], requests: Sequence[FleetRequest]) -> tuple[int, int]:
        """(vCPUs placed, moves): those of drained hosts first, then the others as they come."""
        vcpus = moves = 0
        for request in drained:
            if self.arrive(request):
                vcpus, moves = vcpus + request.guest.vcpus, moves + 1
        for request in requests:
            vcpus += request.guest.vcpus if self.arrive(request) else 0
        return vcpus, moves
