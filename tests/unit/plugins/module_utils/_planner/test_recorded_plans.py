# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The planner plans the workloads of the benchmarks as it did: a plan that changes is a change that somebody has meant.

fixtures/plans/workloads.json has each plan in short: how many guests and vCPUs have a place, how many move and are
refused, and a digest of each part, so that a failure says which. ``NUMA_VIRT_REGENERATE=1`` writes it anew; look at
what changed before you commit it, and at benchmarks/planner/run.py, which says how good plans are.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.numa.virt.benchmarks.planner.workloads import BOUNDS, SHAPES, USES, Workload, workload
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan, plan_as_result
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, applied, there

FILE = Path(__file__).resolve().parents[3] / "fixtures" / "plans" / "workloads.json"
REGENERATE = os.environ.get("NUMA_VIRT_REGENERATE") == "1"
PARTIAL = Options(partial=True)
MOVES = Options(partial=True, rebalance=True, max_moves=4)
#: Every host, use and bound once, as `run.py --quick` plans them.
SEEDS = range(len(SHAPES) * len(USES) * len(BOUNDS))
# CPUs of a host up to which each of them is planned, and of larger ones a few: that takes time.
LARGE = 128


@cache
def at_once(load: Workload) -> Plan:
    return plan(load.host, load.requests, rules=load.rules)


def one_by_one(load: Workload) -> Plan:
    """Every guest is asked for when those before it are there. The plan for all of them at the end."""
    guests: list[Existing] = []
    for request in load.requests:
        made = plan(load.host, [request], guests, load.rules, PARTIAL)
        guests += [there(request, each) for each in made.placements]
    return plan(load.host, load.requests, guests, load.rules, PARTIAL)


def a_third_comes(load: Workload) -> Plan:
    """Once others have their places."""
    return plan(load.host, load.requests, _two_thirds(load), load.rules, PARTIAL)


def moved(load: Workload) -> Plan:
    """The same, where guests may be moved for it."""
    return plan(load.host, load.requests, _two_thirds(load), load.rules, MOVES)


def _two_thirds(load: Workload) -> list[Existing]:
    return [each for at, each in enumerate(applied(load.requests, at_once(load))) if at % 3]


def all_sorts(load: Workload) -> Plan:
    """Guests with groups, priorities, emulators, cells and policies of their own; a CPU and memory are kept back."""
    chance = random.Random(load.seed)
    requests = [_other(each, at, load, chance.randrange(8)) for at, each in enumerate(load.requests)]
    rules = Rules(reserved_cpus=CpuSet([0, 1]), reserved_memory=((0, GIB),))
    return plan(load.host, requests, rules=rules, options=PARTIAL)


def _other(request: Request, at: int, load: Workload, which: int) -> Request:
    own = request.policy == "dedicated"
    changes: list[dict[str, Any]] = [
        {},
        {"together": f"pair-{at // 8}"},
        {"apart": f"pair-{at // 6}"},
        {"priority": at % 3},
        {"policy": "mirror", "smt": "prefer", "own_cpus": own, "width": min(2, request.vcpus)},
        {"emulator": "isolate"} if own else {},
        {"cells": CpuSet([at % load.shape[0]])},
        {"binds_early": True},
    ]
    return replace(request, **changes[which])


WAYS: dict[str, Callable[[Workload], Plan]] = {
    each.__name__: each for each in (at_once, one_by_one, a_third_comes, moved, all_sorts)
}
#: What else is planned on which hosts
ALSO = {
    (2, 8): ("one_by_one", "a_third_comes"),
    (2, 16): ("moved", "all_sorts"),
    (4, 8): ("one_by_one", "moved", "all_sorts"),
}


def ways_of(seed: int) -> list[str]:
    shape = SHAPES[seed % len(SHAPES)]
    planned = shape[0] * shape[1] <= LARGE or seed < len(SHAPES)
    return [*(["at_once"] if planned else []), *ALSO.get(shape, ())]


CASES = [(seed, way) for seed in SEEDS for way in ways_of(seed)]


def in_short(made: Plan) -> dict[str, Any]:
    """How many, and a digest of each part."""
    result = plan_as_result(made)
    placed = result["placements"]

    def digest(*names: str) -> str:
        return _digest([[each["name"], *(each[name] for name in names)] for each in placed])

    return {
        "guests": len(placed),
        "vcpus": made.vcpus,
        "moves": len(made.moves),
        "refused": len(result["rejections"]),
        "bound": made.bound.vcpus,
        "actions": digest("action"),
        "cells": digest("cells", "memory_cells", "guest_cells", "distance"),
        "cpus": digest("cpuset", "vcpu_pins", "emulator_cpuset"),
        "memory": digest("memory"),
        "use": _digest([result["before"], result["after"]]),
        "refusals": _digest([{**each, "message": ""} for each in result["rejections"]]),
        "words": _digest([digest("reason"), result["notes"], [each["message"] for each in result["rejections"]]]),
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def name_of(seed: int, way: str) -> str:
    load = workload(seed)
    cells, cpus = load.shape
    return f"{seed}: {cells} cells x {cpus} CPUs, {load.use}, bound by {load.bound}, {way}"


@pytest.fixture(name="recorded", scope="module")
def _recorded() -> dict[str, dict[str, Any]]:
    if REGENERATE:
        made = {name_of(seed, way): in_short(WAYS[way](workload(seed))) for seed, way in CASES}
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(short)}" for name, short in made.items())
        FILE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def test_all_that_is_recorded_is_planned(recorded: dict[str, dict[str, Any]]) -> None:
    assert list(recorded) == [name_of(seed, way) for seed, way in CASES]


@pytest.mark.parametrize("way", WAYS)
def test_plans_are_as_they_were(recorded: dict[str, dict[str, Any]], way: str) -> None:
    changed = {}
    for seed in (seed for seed, each in CASES if each == way):
        name = name_of(seed, way)
        was, now = recorded[name], in_short(WAYS[way](workload(seed)))
        if was != now:
            changed[name] = {part: (was[part], now[part]) for part in now if was[part] != now[part]}
    assert changed == {}
