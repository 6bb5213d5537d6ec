# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long guests wait for a place in a small fleet: the task that Huawei published for its cloud of two-cell servers.

    python3 benchmarks/fleet/arrivals.py VMS.csv STARTS.json N...

VMS.csv has the columns vmid, cpu, mem (GB), at, lt (s), in the order of arrival; STARTS.json is a list of indices. For
each number of servers N it prints a line with the mean of the sums of waits (s) without the lowest and the highest
tenth of the episodes, and the mean of all. First come, first served, lifetimes are not known, nobody moves: each guest
gets the place that ``_fleet`` gives it, and waits where there is none. Source of the task: arXiv 2504.14946; its data
is not ours to give. Needs nothing but Python.
"""

from __future__ import annotations

import csv
import heapq
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

import tree

tree.link()

from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet, Place
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetHost, FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host

GB = 1 << 20
CELLS, CPUS, MEMORY = 2, 40, 90
# A guest with more memory (GB) is halved over both cells of one server.
NARROW = 10
# Guests of an episode after the first that had no place at once.
AFTER = 40


class Vm(NamedTuple):
    request: FleetRequest
    at: float
    lifetime: float
    cpu: int
    mem: int

    @property
    def wide(self) -> bool:
        return self.mem > NARROW


def read(path: str) -> list[Vm]:
    with open(path, encoding="utf-8") as lines:
        return [
            Vm(request_of(row["vmid"], int(row["cpu"]), int(row["mem"])), float(row["at"]), float(row["lt"]),
               int(row["cpu"]), int(row["mem"]))
            for row in csv.DictReader(lines)
        ]  # fmt: skip


def request_of(name: str, cpu: int, mem: int) -> FleetRequest:
    return FleetRequest(Request(name, cpu, mem * GB, "mirror", width=CELLS if mem > NARROW else 1))


def servers(number: int) -> list[FleetHost]:
    cells = tuple(Cell(cell, CpuSet(range(cell * CPUS, (cell + 1) * CPUS)), MEMORY * GB) for cell in range(CELLS))
    everything = CpuSet(range(CELLS * CPUS))
    return [FleetHost(f"s{at:04}", Host("qemu", cells, everything, everything)) for at in range(number)]


class FirstFit:
    """Only to tell how long an episode is, as the task has it."""

    def __init__(self, number: int) -> None:
        self.free = [[2 * CPUS, 2 * MEMORY] for _cell in range(CELLS * number)]

    def find(self, vm: Vm) -> list[int]:
        """The cells; everything is counted in halves."""
        if vm.wide:
            for at in range(0, len(self.free), CELLS):
                if all(cpu >= vm.cpu and mem >= vm.mem for cpu, mem in self.free[at : at + CELLS]):
                    return list(range(at, at + CELLS))
            return []
        return next(([at] for at, (c, m) in enumerate(self.free) if c >= 2 * vm.cpu and m >= 2 * vm.mem), [])

    def take(self, vm: Vm, cells: list[int], sign: int = 1) -> None:
        for cell in cells:
            self.free[cell][0] -= sign * 2 * vm.cpu // len(cells)
            self.free[cell][1] -= sign * 2 * vm.mem // len(cells)


def length(vms: list[Vm], start: int, number: int) -> int:
    """Until first fit has no place for one at once, which is seen before those that have ended by then are gone."""
    fit = FirstFit(number)
    running: list[tuple[float, int, list[int]]] = []
    for at in range(start, len(vms)):
        vm = vms[at]
        if not fit.find(vm):
            return at - start + AFTER
        while running and running[0][0] <= vm.at:
            _end, gone, cells = heapq.heappop(running)
            fit.take(vms[gone], cells, -1)
        cells = fit.find(vm)
        fit.take(vm, cells)
        heapq.heappush(running, (vm.at + vm.lifetime, at, cells))
    return len(vms) - start


def episode(vms: list[Vm], start: int, number: int) -> float:
    """The sum of all waits."""
    fleet, waited, now = Fleet(servers(number)), 0.0, 0.0
    running: list[tuple[float, int, Place]] = []
    for at in range(start, min(len(vms), start + length(vms, start, number))):
        vm, place = vms[at], None
        now = max(now, vm.at)
        while place is None:
            while running and running[0][0] <= now:
                _end, gone, where = heapq.heappop(running)
                fleet.leave(vms[gone].request.name, where.host)
            place = fleet.arrive(vm.request)
            if place is None:
                now = running[0][0]
        heapq.heappush(running, (now + vm.lifetime, at, place))
        waited += now - vm.at
    return waited


def trimmed(values: list[float]) -> float:
    """The mean without the lowest and the highest tenth."""
    cut = len(values) // 10
    kept = sorted(values)[cut : len(values) - cut]
    return sum(kept) / len(kept)


def main(arguments: list[str]) -> int:
    if len(arguments) < 3 or not all(each.isdigit() and int(each) > 0 for each in arguments[2:]):
        print(__doc__, file=sys.stderr)
        return 2
    vms = read(arguments[0])
    starts = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
    for number in map(int, arguments[2:]):
        begun = time.monotonic()
        waits = [episode(vms, start, number) for start in starts]
        mean = sum(waits) / len(waits)
        print(
            f"N={number}  trimmed mean {trimmed(waits):.0f}  mean {mean:.0f}  ({time.monotonic() - begun:.0f} s)",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
