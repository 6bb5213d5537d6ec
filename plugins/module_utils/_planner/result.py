# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the planner answers: placements with reasons, rejections with numbers, use of each cell, and a bound.

CPUs and cells are those of the host unless a name says vCPU or guest cell; sizes are KiB.
This file must not import ansible, libvirt or lxml, and must not decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import MappedCell
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    MemoryIntent,
    Pins,
    Placement,
    as_text,
    pins_as_result,
)

KEEP, PLACE, REPIN, MOVE = "keep", "place", "repin", "move"


@dataclass(frozen=True)
class Placed:
    """Where one guest shall be.

    ``action``: "keep" (its place is valid, nothing moves), "place" (it has none yet), "repin" (other CPUs on its
    cells, or other bindings), "move" (other cells). ``cpuset`` is the union of its vCPUs' CPUs. ``vcpu_pins`` is empty
    where each vCPU may use all of it. ``emulator`` None leaves the emulator where the CPU set is. ``owned``: CPUs that
    no other guest may use, idle siblings included. ``memory_by_page``: triples (cell, KiB of a page, KiB) of the
    planner's account. ``distance``: the sum over pairs of its cells, and from its devices. ``iothreads``: the CPUs of
    its IO threads, None for those of the emulator; one that is pinned to CPUs of ``iothread_pins`` stays there.
    """

    name: str
    policy: str
    action: str
    vcpus: int
    cells: CpuSet
    cpuset: CpuSet
    vcpu_pins: Pins
    emulator: CpuSet | None
    memory_cells: CpuSet
    memory_by_page: tuple[tuple[int, int | None, int], ...]
    owned: CpuSet = EMPTY
    guest_cells: tuple[MappedCell, ...] = ()
    iothreads: CpuSet | None = None
    iothread_pins: CpuSet = EMPTY
    distance: int = 0
    reason: str = ""

    @property
    def memory(self) -> tuple[tuple[int, int], ...]:
        """Pairs (cell, KiB) of it, in pages of any size."""
        found: dict[int, int] = {}
        for cell, _size, kib in self.memory_by_page:
            found[cell] = found.get(cell, 0) + kib
        return tuple(found.items())

    def placement(self, mode: str = "strict") -> Placement:
        """The same for a driver to encode; ``mode`` is the memory's."""
        memnodes = tuple((each.id, MemoryBinding(mode, CpuSet([each.cell]))) for each in self.guest_cells)
        return Placement(
            cpuset=self.cpuset,
            vcpu_pins=self.vcpu_pins,
            emulator=self.emulator,
            memory=MemoryBinding(mode, self.memory_cells),
            memnodes=memnodes,
        )

    def intent(self, mode: str = "strict") -> Intent:
        """The same as an explicit wish, as _intent.resolve takes it."""
        return Intent(
            cpuset=self.cpuset,
            memory=MemoryIntent(mode, self.memory_cells),
            vcpu_pins=self.vcpu_pins or None,
            emulator=self.emulator,
        )


@dataclass(frozen=True)
class Rejection:
    """Why one guest has no place.

    ``constraint``: "cpus", "cores", "caches", "memory", "huge_pages", "cpus_and_memory", "together", "apart", or "host"
    for what this host cannot do at all. ``cell``: the one that comes nearest, None where it is about all cells it may
    use. ``needed`` and ``available`` are in ``unit`` (CPUs, cores, KiB, pages, cells). ``nearest``: what would fit
    there now.
    """

    name: str
    constraint: str
    cell: int | None
    needed: float
    available: float
    unit: str
    nearest: dict[str, Any]
    message: str


@dataclass(frozen=True)
class Note:
    """Worth knowing, and prevents nothing. ``code``: "unrestricted", "overcommitted", "held"…"""

    code: str
    name: str | None
    cell: int | None
    message: str


@dataclass(frozen=True)
class CellUse:
    """What is used of one cell. ``load``: shared vCPUs by weight, in CPUs. ``pages``: (KiB of a page, used, total).

    ``kept_out``: only guests that name the cell are given anything of it.
    """

    cell: int
    shared: CpuSet
    owned: CpuSet
    load: float
    memory: tuple[int, int]
    pages: tuple[tuple[int, int, int], ...]
    guests: tuple[str, ...]
    kept_out: bool = False


@dataclass(frozen=True)
class Bound:
    """How good the plan can be at best. ``vcpus``: no plan places more of the requested ones.

    ``by_priority``: triples (priority, placed, at most), cumulative from the highest priority on; of many priorities
    the first ones and the last.
    """

    vcpus: int
    by_priority: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Plan:
    """The answer. Tuples are in the order of names, cells in that of ids."""

    placements: tuple[Placed, ...]
    rejections: tuple[Rejection, ...]
    notes: tuple[Note, ...]
    bound: Bound
    before: tuple[CellUse, ...]
    after: tuple[CellUse, ...]

    @property
    def changes(self) -> tuple[Placed, ...]:
        """Placements that differ from what is there; none for a host that was planned before."""
        return tuple(each for each in self.placements if each.action != KEEP)

    @property
    def moves(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.placements if each.action == MOVE)

    @property
    def vcpus(self) -> int:
        """How many of the requested vCPUs have a place."""
        return sum(each.vcpus for each in self.placements)

    @property
    def quality(self) -> float:
        """Placed vCPUs over the bound: 1.0 is the best that can be."""
        return self.vcpus / self.bound.vcpus if self.bound.vcpus else 1.0


def of_vcpus(plan: Plan, present: Mapping[str, Sequence[int]]) -> Plan:
    """The plan with the numbers of vCPUs in place of their ranks among those that a guest has."""
    return replace(
        plan,
        placements=tuple(
            replace(
                each,
                vcpu_pins=tuple((present[each.name][rank], cpus) for rank, cpus in each.vcpu_pins),
                guest_cells=tuple(
                    replace(cell, vcpus=CpuSet(present[each.name][rank] for rank in cell.vcpus))
                    for cell in each.guest_cells
                ),
            )
            for each in plan.placements
        ),
    )


def plan_as_result(plan: Plan) -> dict[str, Any]:
    """What RV(plan) documents: plain data."""
    return {
        "placements": [_placed_as_result(each) for each in plan.placements],
        "rejections": [
            {
                "name": each.name,
                "constraint": each.constraint,
                "cell": each.cell,
                "needed": each.needed,
                "available": each.available,
                "unit": each.unit,
                "nearest": each.nearest,
                "message": each.message,
            }
            for each in plan.rejections
        ],
        "notes": [
            {"code": each.code, "name": each.name, "cell": each.cell, "message": each.message} for each in plan.notes
        ],
        "moves": list(plan.moves),
        "vcpus": {"placed": plan.vcpus, "bound": plan.bound.vcpus},
        "before": [_use_as_result(each) for each in plan.before],
        "after": [_use_as_result(each) for each in plan.after],
    }


def _placed_as_result(each: Placed) -> dict[str, Any]:
    return {
        "name": each.name,
        "policy": each.policy,
        "action": each.action,
        "cells": list(each.cells),
        "cpuset": str(each.cpuset),
        "vcpu_pins": pins_as_result(each.vcpu_pins),
        "emulator_cpuset": as_text(each.emulator),
        "memory_cells": list(each.memory_cells),
        "memory": {str(cell): size for cell, size in each.memory},
        "guest_cells": [
            {"id": cell.id, "cell": cell.cell, "vcpus": str(cell.vcpus), "memory": cell.memory}
            for cell in each.guest_cells
        ],
        "distance": each.distance,
        "reason": each.reason,
    }


def _use_as_result(each: CellUse) -> dict[str, Any]:
    return {
        "cell": each.cell,
        "shared_cpus": str(each.shared),
        "dedicated_cpus": str(each.owned),
        "load": each.load,
        "memory": {"used": each.memory[0], "total": each.memory[1]},
        "huge_pages": [{"size": size, "used": used, "total": total} for size, used, total in each.pages],
        "guests": list(each.guests),
        "kept_out": each.kept_out,
    }
