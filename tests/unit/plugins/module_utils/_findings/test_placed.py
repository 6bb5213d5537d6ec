# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests that were placed on purpose are in no finding: whatever was asked for, on whatever host."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Facts
from ansible_collections.numa.virt.plugins.module_utils._findings.find import find, wants_free
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import (
    GIB,
    all_carried_out,
    found,
    host,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import applied
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.test_properties import Case, cases

EXAMPLES = settings(max_examples=60)


def said_of(result: tuple[Finding, ...]) -> list[tuple[str, str | None, str]]:
    return [(each.code, each.domain, each.message) for each in result]


@EXAMPLES
@given(cases(), st.booleans())
def test_a_host_that_was_just_planned_has_no_findings(case: Case, running: bool) -> None:
    it, requests, rules = case
    guests = all_carried_out(requests, plan(it, requests, rules=rules), running=running)
    assert said_of(found(it, *guests, rules=rules)) == []


@EXAMPLES
@given(cases())
def test_nor_has_one_whose_guests_were_asked_for_one_after_the_other(case: Case) -> None:
    it, requests, rules = case
    first, rest = requests[: len(requests) // 2], requests[len(requests) // 2 :]
    before = plan(it, first, rules=rules)
    after = plan(it, rest, applied(first, before), rules)
    guests = all_carried_out(first, before) + all_carried_out(rest, after)
    assert said_of(found(it, *guests, rules=rules)) == []


@EXAMPLES
@given(cases(), st.data())
def test_the_order_of_guests_changes_nothing(case: Case, data: st.DataObject) -> None:
    it, requests, rules = case
    guests = all_carried_out(requests, plan(it, requests, rules=rules))
    shuffled = data.draw(st.permutations(guests))
    assert found(it, *shuffled) == found(it, *guests)


@pytest.mark.parametrize("driver", ["qemu", "xen", "xl", "test"])
@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"policy": "pack"},
        {"policy": "spread"},
        {"policy": "dedicated"},
        {"policy": "dedicated", "smt": "require"},
        {"policy": "dedicated", "smt": "isolate"},
        {"policy": "dedicated", "emulator": "isolate"},
        {"policy": "dedicated", "smt": "isolate", "emulator": "isolate"},
        {"policy": "mirror"},
        {"policy": "mirror", "own_cpus": True, "smt": "require", "emulator": "isolate"},
    ],
    ids=str,
)
def test_every_policy_on_every_driver(driver: str, running: bool, options: dict[str, object]) -> None:
    it = host(4, cores=8)
    if driver in ("xen", "xl") and (options["policy"] == "mirror" or "emulator" in options):
        options = {**options, "policy": "dedicated", "emulator": None, "own_cpus": False}
    requests = [Request(f"g{number}", 3, 2 * GIB, **options) for number in range(6)]  # type: ignore[arg-type]
    made = plan(it, requests)
    assert not made.rejections
    guests = all_carried_out(requests, made, driver, running)
    facts = Facts(it, driver_named(driver), tuple(guests))
    assert said_of(find(facts)) == []
    assert not wants_free(facts)


def placed_on(it: Host, requests: list[Request]) -> Plan:
    """Carry a plan out, see that nothing is found, and return it."""
    made = plan(it, requests)
    assert not made.rejections
    assert said_of(found(it, *all_carried_out(requests, made))) == []
    assert said_of(found(it, *all_carried_out(requests, made, running=False))) == []
    return made


def test_a_cell_that_lends_memory() -> None:
    it = host(2, memory=4)
    it = replace(it, cells=(*it.cells, Cell(2, EMPTY, 8 * GIB, distances=((0, 17), (1, 28), (2, 10)))))
    (one,) = placed_on(it, [Request("a", 1, 10 * GIB)]).placements
    assert one.memory_cells - one.cells == CpuSet([2])


def test_guests_that_share_the_only_cpu_of_a_cell() -> None:
    it = host(2, cores=1, threads=1)
    made = placed_on(it, [Request(name, 1, GIB, cpu_ratio=4.0) for name in "abc"])
    assert len({each.cpuset for each in made.placements}) == 1


def test_dedicated_guests_that_share_a_core() -> None:
    it = host(1, cores=4)
    made = placed_on(it, [Request(name, vcpus, GIB, "dedicated") for name, vcpus in (("a", 3), ("b", 3), ("c", 2))])
    halves = [core for core in it.cells[0].cores if sum(bool(core.cpus & each.cpuset) for each in made.placements) == 2]
    assert len(halves) == 1


def test_a_guest_that_keeps_apart_is_as_wide_as_it_has_to_be() -> None:
    it = host(3, memory=8)
    made = placed_on(it, [Request("a", 2, GIB, apart="t"), Request("b", 9, GIB, apart="t")])
    assert max(len(each.cells) for each in made.placements) == 2
