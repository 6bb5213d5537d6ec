# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines that few have: what is told of them, where guests of each policy go, and the map of all that.

Each is a folder in fixtures/odd: ``capabilities.xml`` as libvirt prints it, ``machine.json`` with what else is known
(``online`` and ``present`` CPUs, what the kernel was told, cells kept out), and what has to come out: ``facts.json``,
``plan.json`` and ``map.txt``. ``NUMA_VIRT_REGENERATE=1`` writes these anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lxml.etree", reason="needs lxml to read documents")

from ansible_collections.numa.virt.plugins.module_utils._engine.cells import facts_of
from ansible_collections.numa.virt.plugins.module_utils._libvirt.capabilities_xml import parse_host
from ansible_collections.numa.virt.plugins.module_utils._map.model import host_map
from ansible_collections.numa.virt.plugins.module_utils._map.page import host_page
from ansible_collections.numa.virt.plugins.module_utils._map.text import text_map
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan, plan_as_result
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host, KernelCpus, Partition
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import all_carried_out, found
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.builders import guest
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, actions, applied

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "odd"
MACHINES = sorted(path.name for path in FOLDER.iterdir())
REGENERATE = os.environ.get("NUMA_VIRT_REGENERATE") == "1"
PARTIAL = Options(partial=True)


def cpus(text: str | None) -> CpuSet:
    return CpuSet.parse(text) if text else EMPTY


def about(machine: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((FOLDER / machine / "machine.json").read_text(encoding="utf-8"))
    return said


def host_of(machine: str) -> Host:
    said = about(machine)
    online = cpus(said["online"])
    there = online.to_map(said.get("present", online.mask.bit_length()))
    it = parse_host((FOLDER / machine / "capabilities.xml").read_text(encoding="utf-8"), there)
    groups = tuple(Partition(name, cpus(text)) for name, text in said.get("slices", {}).items())
    kernel = KernelCpus(cpus(said.get("isolated")), cpus(said.get("nohz_full")), groups)
    return replace(it, kernel=kernel)


def rules_of(machine: str) -> Rules:
    return Rules(reserved_cells=cpus(about(machine).get("reserved_cells")))


def requests_for(it: Host) -> list[Request]:
    """Some of each policy, one in the largest huge pages there are, and one that no cell with CPUs holds."""
    sizes = [pool.size for cell in it.cells for pool in cell.huge_pools if pool.total]
    most = max(cell.memory for cell in it.cells if cell.cpus)
    return [
        Request("batch", 4, 2 * GIB),
        Request("db", 3, 4 * GIB, "dedicated"),
        Request("numa", 4, 4 * GIB, "mirror", width=2),
        Request("pages", 2, 2 * GIB, page_size=max(sizes, default=None)),
        Request("rt", 2, GIB, "dedicated", smt="isolate", emulator="isolate"),
        Request("web", 2, GIB, "spread", cpu_ratio=2.0),
        Request("whole", 2, GIB, "dedicated", smt="require"),
        Request("wide", 1, most + GIB if most else GIB),
    ]


@cache
def planned(machine: str) -> tuple[Host, list[Request], Rules, Plan]:
    it = host_of(machine)
    requests, rules = requests_for(it), rules_of(machine)
    return it, requests, rules, plan(it, requests, rules=rules, options=PARTIAL)


def domains_of(requests: list[Request], made: Plan) -> list[dict[str, Any]]:
    """What numa_domain_info would say of the guests, once they are defined."""
    placed = {each.name: each for each in made.placements}
    return [
        guest(
            each.name,
            cpuset=str(placed[each.name].cpuset),
            vcpus=each.vcpus,
            kib=each.memory,
            state="shut off",
            pins={str(vcpu): str(where) for vcpu, where in placed[each.name].vcpu_pins},
            cells=list(placed[each.name].memory_cells),
            policy=each.policy,
        )
        for each in requests
        if each.name in placed
    ]


def drawn(machine: str) -> list[str]:
    it, requests, rules, made = planned(machine)
    return text_map(facts_of(it), domains_of(requests, made), reserved_cells=list(rules.reserved_cells))


def shorter(facts: dict[str, Any]) -> dict[str, Any]:
    """Sets instead of lists of CPUs: the same, to be read by people."""
    for cell in facts["cells"]:
        assert cell.pop("cpus") == list(cpus(cell["cpuset"]))
        cell["cores"] = " ".join(str(CpuSet(core)) for core in cell["cores"])
    return facts


def compare(machine: str, name: str, text: str) -> None:
    path = FOLDER / machine / name
    if REGENERATE:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def as_text(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_told_of_it(machine: str) -> None:
    compare(machine, "facts.json", as_text(shorter(facts_of(planned(machine)[0]))))


@pytest.mark.parametrize("machine", MACHINES)
def test_where_guests_go(machine: str) -> None:
    made = plan_as_result(planned(machine)[3])
    compare(machine, "plan.json", as_text({name: part for name, part in made.items() if name != "before"}))


@pytest.mark.parametrize("machine", MACHINES)
def test_its_map(machine: str) -> None:
    compare(machine, "map.txt", "\n".join(drawn(machine)) + "\n")


@pytest.mark.parametrize("machine", MACHINES)
def test_its_page_can_be_drawn(machine: str) -> None:
    it, requests, rules, made = planned(machine)
    guests = {"domains": domains_of(requests, made), "reserved_cells": list(rules.reserved_cells)}
    page = host_page(host_map(machine, facts_of(it), guests), "Odd machines")
    assert all(f"Cell {cell.id}" in page for cell in it.cells)


@pytest.mark.parametrize("machine", MACHINES)
def test_what_holds_on_any_machine(machine: str) -> None:
    """No CPU twice, or that is not there or not for guests; memory where there is some; a second run moves nobody."""
    it, requests, rules, made = planned(machine)
    held = cpus(",".join(str(each.cpus) for each in it.partitions))
    owned: set[int] = set()
    for each in made.placements:
        assert owned.isdisjoint(each.owned)
        owned.update(each.owned)
    for each in made.placements:
        assert each.cpuset <= it.online - held
        assert each.owned or owned.isdisjoint(each.cpuset)
        assert each.memory_cells <= it.cells_with_memory or it.implied_cell
        assert not (each.cells | each.memory_cells) & rules.reserved_cells
    again = plan(it, requests, applied(requests, made), rules, PARTIAL)
    assert not again.changes, actions(again)
    assert [each.code for each in found(it, *all_carried_out(requests, made), rules=rules)] == []
