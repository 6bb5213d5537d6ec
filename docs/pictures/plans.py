# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what the guide asks for to what the planner answers: the same steps as numa_placement takes, without a host.

Also the answer in the shapes of numa_cell_info and numa_domain_info, as they would report it afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scenes import Scene

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_as_result
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import placement_as_result
from ansible_collections.numa.virt.plugins.module_utils._intent.placement_options import (
    FOR_ALL,
    entries_of,
    options_of,
    rules_of,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import (
    PolicyWish,
    request_of,
    wish_of,
    wish_to_json,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import cell_as_result


@dataclass(frozen=True)
class Guest:
    """A guest that was placed: what it was placed for, and where it is."""

    shape: Shape
    wish: PolicyWish
    asked: Request
    placement: Placement
    memory: tuple[tuple[int, int], ...]

    def existing(self) -> Existing:
        return replace(Existing.of(self.shape, self.placement, None, self.asked), overhead=self.asked.overhead)


@dataclass(frozen=True)
class Played:
    """An example that was planned, and all guests of this collection that are on the host afterwards, by name."""

    scene: Scene
    plan: Plan
    guests: Mapping[str, Guest]


def play(scene: Scene, task: Mapping[str, Any], before: Played | None) -> Played:
    """Plan a task of the guide: options of numa_placement. Raises InputError."""
    there = dict(before.guests) if before is not None else {}
    driver = driver_named(scene.host.driver)
    wishes, asked = {}, {}
    for entry in entries_of(task["domains"]) or ():
        name = str(entry["name"])
        stored = wish_to_json(there[name].wish) if name in there else None
        wishes[name] = wish_of(entry, {option: task.get(option) for option in FOR_ALL}, stored, name)
        asked[name] = request_of(wishes[name], scene.shapes[name], GuestNeeds(), scene.host, driver)
    existing = [*(guest.existing() for guest in there.values()), *scene.others]
    made = plan(scene.host, list(asked.values()), existing, rules_of(task), options_of(task))
    for each in made.placements:
        shape = scene.shapes[each.name]
        there[each.name] = Guest(shape, wishes[each.name], asked[each.name], each.placement(), each.memory)
    return Played(scene, made, there)


def host_result(played: Played) -> dict[str, Any]:
    """As numa_cell_info returns it."""
    used = {each.cell: each.memory[0] for each in played.plan.after}
    cells = [replace(cell, free=cell.memory - used[cell.id]) for cell in played.scene.host.cells]
    return {"cells": [cell_as_result(cell, played.scene.host.caches_of(cell)) for cell in cells], "notes": []}


def guests_result(played: Played) -> list[dict[str, Any]]:
    """As numa_domain_info returns them, all running."""
    found = [_domain(guest.shape, guest.placement, dict(guest.memory), guest.wish) for guest in played.guests.values()]
    for each in played.scene.others:
        shape = Shape(each.name, None, "kvm", len(each.vcpu_cpus), (), each.memory)
        cells = each.nodeset or CpuSet()
        memory = dict.fromkeys(cells, each.memory // len(cells)) if cells else {}
        found.append(_domain(shape, Placement(cpuset=each.vcpu_cpus[0]), memory, None))
    return sorted(found, key=lambda each: str(each["name"]))


def _domain(shape: Shape, placement: Placement, memory: Mapping[int, int], wish: PolicyWish | None) -> dict[str, Any]:
    said = placement_as_result(placement)
    vcpus: Sequence[int] = range(shape.vcpus)
    return {
        "name": shape.name,
        "uuid": None,
        "state": "running",
        "persistent": True,
        "managed": wish is not None,
        "vcpus": shape.vcpus,
        "memory": shape.memory,
        "intent": None if wish is None else intent_as_result(Intent(policy=wish_to_json(wish))),
        "configured": said,
        "live": said,
        "actual": {
            "source": "proc",
            "vcpus": {str(vcpu): str(placement.of_vcpu(vcpu)) for vcpu in vcpus},
            "emulator": str(placement.of_emulator),
            "iothreads": {},
            "memory_cells": str(CpuSet(memory)),
            "memory_policy": None,
            "memory": {str(cell): kib for cell, kib in memory.items()},
        },
    }
