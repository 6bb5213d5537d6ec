# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets and guests as clouds have them, drawn from a seed: hosts of two and four cells, mostly small guests, few wide
ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import tree

tree.link()

from ansible_collections.numa.virt.plugins.module_utils._fleet.document import Document
from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import DRAINING, FleetHost, FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Core, Host

GIB = 1 << 20
EACH = 50  # guests of a host
RACK = 40  # hosts of a rack
RATIO = 4.0
_SIZES = ((1, 40), (2, 30), (4, 20), (8, 8), (16, 2))  # vCPUs, weight
_MEMORY = (2, 4, 4, 8)  # GiB for a vCPU


class Stream(NamedTuple):
    """Guests that come (request, name) and go (None, name), in turn."""

    hosts: tuple[FleetHost, ...]
    events: tuple[tuple[FleetRequest | None, str], ...]


class Actor(Protocol):
    def arrive(self, request: FleetRequest) -> bool: ...

    def leave(self, name: str) -> None: ...


class Ours:
    def __init__(self, hosts: Sequence[FleetHost]) -> None:
        self.fleet = Fleet(hosts)
        self.where: dict[str, int] = {}

    def arrive(self, request: FleetRequest) -> bool:
        place = self.fleet.arrive(request)
        if place is not None:
            self.where[request.name] = place.host
        return place is not None

    def leave(self, name: str) -> None:
        if name in self.where:
            self.fleet.leave(name, self.where.pop(name))


def follow(actor: Actor, stream: Stream) -> int:
    """vCPUs placed."""
    placed = 0
    for request, name in stream.events:
        if request is None:
            actor.leave(name)
        elif actor.arrive(request):
            placed += request.guest.vcpus
    return placed


def host(cells: int, cpus: int, memory: int) -> Host:
    """``cpus`` and GiB of each cell."""
    found = []
    for cell in range(cells):
        first = cell * cpus
        cores = tuple(
            Core(cell, 0, core, CpuSet((first + 2 * core, first + 2 * core + 1))) for core in range(cpus // 2)
        )
        distances = tuple((other, 10 if other == cell else 21) for other in range(cells))
        found.append(Cell(cell, CpuSet(range(first, first + cpus)), memory * GIB, cores=cores, distances=distances))
    everything = CpuSet(range(cells * cpus))
    return Host("qemu", tuple(found), everything, everything)


def request(draw: random.Random, name: str, wide: float = 0.03) -> FleetRequest:
    vcpus = draw.choices([size for size, _weight in _SIZES], [weight for _size, weight in _SIZES])[0]
    memory = vcpus * draw.choice(_MEMORY) * GIB
    if draw.random() < wide:
        return FleetRequest(Request(name, 32, 128 * GIB, "mirror", width=2))
    return FleetRequest(Request(name, vcpus, memory, "pack"))


def stream(draw: random.Random, hosts: int = 12, guests: int = 1500) -> Stream:
    """About as many guests at a time as fill the fleet; who comes last is as likely to go as any other."""
    kinds = [host(2, 40, 160)] * 2 + [host(4, 24, 96)]
    fleet = tuple(FleetHost(f"h{at:03}", draw.choice(kinds)) for at in range(hosts))
    room = sum(len(each.host.online) for each in fleet if each.host is not None)
    events: list[tuple[FleetRequest | None, str]] = []
    there: dict[str, int] = {}
    for number in range(guests):
        each = request(draw, f"g{number}")
        while there and sum(there.values()) + each.guest.vcpus > 0.97 * room:
            gone = draw.choice(sorted(there))
            del there[gone]
            events.append((None, gone))
        there[each.name] = each.guest.vcpus
        events.append((each, each.name))
    return Stream(fleet, tuple(events))


def existing(draw: random.Random, name: str, it: Host, free: list[list[int]]) -> Existing | None:
    """A guest on a cell with room; ``free`` are quarters of CPUs, and GiB."""
    asked = request(draw, name, 0.0).guest
    order = list(range(len(free)))
    draw.shuffle(order)
    for cell in order:
        if free[cell][0] >= asked.vcpus and free[cell][1] * GIB >= asked.memory:
            free[cell][0] -= asked.vcpus
            free[cell][1] -= asked.memory // GIB
            cpus = it.cells[cell].cpus
            return Existing(name, (cpus,) * asked.vcpus, asked.memory, cpus, nodeset=CpuSet([cell]), wish=asked)
    return None


def large(draw: random.Random, hosts: int, new: int = 1000) -> Document:
    """Hosts of two models with EACH guests, the hosts of the first rack drained, and new guests."""
    models = [host(2, 64, 384), host(4, 32, 192)]
    rules = Rules(cpu_ratio=RATIO)
    fleet = []
    for number in range(hosts):
        it = models[number // RACK % 2]
        free = [[int(len(cell.cpus) * RATIO), cell.memory // GIB] for cell in it.cells]
        guests = [existing(draw, f"h{number}g{at}", it, free) for at in range(EACH)]
        fleet.append(
            FleetHost(
                f"h{number:05}",
                it,
                tuple(each for each in guests if each is not None),
                rules=rules,
                labels=(("rack", f"r{number // RACK}"),),
                state=DRAINING if number < RACK else "in",
            )
        )
    return Document(tuple(fleet), tuple(request(draw, f"n{at}") for at in range(new)))


def batch(draw: random.Random) -> tuple[list[FleetHost], list[FleetRequest]]:
    """A small fleet that is nearly full, with one rack drained, and more new guests than there is room for."""
    it, rules = host(2, 40, 160), Rules()
    fleet = []
    for number in range(24):
        free = [[len(cell.cpus), cell.memory // GIB] for cell in it.cells]
        guests = [existing(draw, f"h{number}g{at}", it, free) for at in range(draw.randrange(4, 14))]
        there = tuple(each for each in guests if each is not None)
        state = DRAINING if number < 3 else "in"
        fleet.append(FleetHost(f"h{number:03}", it, there, rules=rules, state=state))
    return fleet, [request(draw, f"n{at}") for at in range(400)]


def drained_guests(hosts: Sequence[FleetHost]) -> list[FleetRequest]:
    return [
        FleetRequest(each.wish)
        for one in hosts
        if one.state == DRAINING
        for each in one.existing
        if each.wish is not None
    ]


def one_more() -> Iterator[tuple[str, FleetRequest]]:
    for number in range(3):
        yield "one cell", FleetRequest(Request(f"x{number}", 3, 5 * GIB, "pack"))
    yield "CPUs of its own", FleetRequest(Request("x3", 4, 5 * GIB, "dedicated"))
    for number in (4, 5):
        yield "two cells", FleetRequest(Request(f"x{number}", 6, 12 * GIB, "mirror", width=2))
