# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests that come, and go, one at a time, from a seed; and the planner, asked for each as it comes."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Optional

import workloads

from ansible_collections.numa.virt.plugins.module_utils._planner.partial import existing_of
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Core, Host

#: cells x CPUs of a cell
SHAPES = ((2, 8), (2, 16), (4, 8), (4, 16), (2, 32))
#: What guests ask for beside CPUs: little memory, as much as there is of both, or more memory than CPUs
USES = ("cpu", "both", "memory")

# A guest that comes, or the name of one that leaves
Event = tuple[Optional[Request], str]


@dataclass(frozen=True)
class Stream:
    host: Host
    use: str
    leaving: bool
    events: tuple[Event, ...]


def stream(seed: int, one_cell: bool = False) -> Stream:
    """Guests of 1 to 16 vCPUs come until they are half as many again as fit; in every other stream some leave.

    ``one_cell``: none of them may be split over several cells, as with Nova.
    """
    chance = random.Random(seed)
    cells, cpus = SHAPES[seed % len(SHAPES)]
    use = USES[seed // len(SHAPES) % len(USES)]
    leaving = bool(seed // len(SHAPES) // len(USES) % 2)
    host = workloads.host_of(cells, cpus, chance.choice((1, 2)))
    events: list[Event] = []
    alive: list[str] = []
    asked = 0.0
    while asked < 1.5 * cells * cpus:
        if leaving and alive and chance.random() < 0.3:
            events.append((None, alive.pop(chance.randrange(len(alive)))))
            continue
        vcpus = min(cpus, chance.choice((1, 2, 2, 4, 4, 4, 8, 8, 16)))
        each = {"cpu": chance.uniform(0.5, 2.5), "both": chance.uniform(1, 8), "memory": chance.uniform(4, 8)}[use]
        memory = min(int(each * vcpus * 4) * workloads.GIB // 4, cpus * 4 * workloads.GIB)
        request = Request(f"guest-{len(events):04d}", vcpus, max(memory, workloads.GIB // 4), "dedicated")
        if one_cell:
            request = replace(request, policy="mirror", own_cpus=True, width=1)
        events.append((request, request.name))
        alive.append(request.name)
        asked += vcpus * (0.6 if leaving else 1.0)
    return Stream(host, use, leaving, tuple(events))


class Planner:
    """The planner, asked for each guest as it comes."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.there: dict[str, Existing] = {}
        #: Guests that had no place although one cell had CPUs and memory for them
        self.refused_with_room: list[str] = []

    def arrive(self, request: Request) -> bool:
        found = plan(self.host, [request], self.there.values(), options=Options(partial=True))
        for placed in found.placements:
            self.there[request.name] = existing_of(request, placed)
        if not found.placements and self._a_cell_holds(request):
            self.refused_with_room.append(request.name)
        return bool(found.placements)

    def _a_cell_holds(self, request: Request) -> bool:
        """CPUs by the pins of all that are there; memory by the planner's account, since it says what lies where of
        guests on several cells."""
        taken = CpuSet(cpu for each in self.there.values() for cpus in each.vcpu_cpus for cpu in cpus or ())
        used = {use.cell: use.memory[0] for use in plan(self.host, [], self.there.values()).after}
        return any(
            len(cell.cpus - taken) >= request.vcpus and cell.memory - used[cell.id] >= request.memory
            for cell in self.host.cells
        )

    def leave(self, name: str) -> None:
        self.there.pop(name, None)


class WholeHost:
    """The host as if it had no cells: the first who comes is served, and whoever has room anywhere is placed.

    No fitter that turns nobody away who has room can place others than these.
    """

    def __init__(self, host: Host) -> None:
        self.cpus, self.kib = len(host.online), sum(cell.memory for cell in host.cells)
        self.there: dict[str, Request] = {}

    def arrive(self, request: Request) -> bool:
        """Whether it is placed."""
        if self.cpus < request.vcpus or self.kib < request.memory:
            return False
        self._take(request)
        self.there[request.name] = request
        return True

    def leave(self, name: str) -> None:
        if name in self.there:
            self._take(self.there.pop(name), -1)

    def _take(self, request: Request, sign: int = 1) -> None:
        self.cpus -= sign * request.vcpus
        self.kib -= sign * request.memory


def odd_host(chance: random.Random) -> Host:
    """Two to four cells whose CPUs and memory are out of proportion."""
    found, number = [], 0
    cells = chance.choice((2, 2, 3, 4))
    for cell in range(cells):
        cpus, memory = chance.choice((4, 8, 16, 24)), chance.choice((8, 16, 32, 64, 96))
        own = range(number, number + cpus)
        number += cpus
        found.append(
            Cell(
                id=cell,
                cpus=CpuSet(own),
                memory=memory * workloads.GIB,
                cores=tuple(Core(cell, 0, core, CpuSet([cpu])) for core, cpu in enumerate(own)),
                distances=tuple((other, 10 if other == cell else 20) for other in range(cells)),
            )
        )
    everything = CpuSet(range(number))
    return Host("qemu", tuple(found), everything, everything)


def odd_stream(seed: int, policy: str) -> Stream:
    """Guests whose memory lies where their CPUs are (preallocation), a fifth more than such a host holds."""
    chance = random.Random(seed)
    host = odd_host(chance)
    cpus, memory = len(host.online), sum(cell.memory for cell in host.cells)
    events: list[Event] = []
    used = [0.0, 0.0]
    while max(used[0] / cpus, used[1] / memory) < 1.2:
        vcpus = chance.choice((1, 1, 2, 2, 4, 4))
        kib = min(int(memory / cpus * vcpus * chance.choice((0.25, 0.5, 1, 1, 2, 4))), memory // 4)
        name = f"guest-{len(events):04d}"
        events.append((Request(name, vcpus, kib, policy, binds_early=True), name))
        used = [used[0] + vcpus, used[1] + kib]
    return Stream(host, policy, False, tuple(events))
