# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every plan on the oddest of hosts, looked at without the planner's own counters."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import all_carried_out, found
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    actions,
    applied,
    planned_twice,
    verify,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.odd_hosts import OddCase, odd_cases
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

EXAMPLES = settings(max_examples=examples(80))


def check(it: Host, request: Request, each: Placed, rules: Rules) -> None:
    held = union(group.cpus for group in it.partitions)
    used = each.cpuset | each.owned | (each.emulator or EMPTY)
    assert each.cpuset <= it.online
    assert not used & (rules.reserved_cpus | held)
    assert each.memory_cells <= it.cells_with_memory, "memory where there is none"
    assert each.cells == it.cells_touched(each.cpuset)
    if request.cells is None:
        assert not (each.cells | each.memory_cells) & rules.reserved_cells
        if each.emulator is not None:
            assert not it.cells_touched(each.emulator) & rules.reserved_cells
    if not request.owns_cpus and rules.shared_cpus is None:
        assert not each.cpuset & it.isolated


@EXAMPLES
@given(odd_cases())
def test_nobody_gets_what_is_not_there_or_is_another_ones(case: OddCase) -> None:
    it, requests, rules = case
    made = plan(it, requests, rules=rules)
    verify(it, requests, made, rules)
    wanted = {each.name: each for each in requests}
    for each in made.placements:
        check(it, wanted[each.name], each, rules)
    owners = Counter(cpu for each in made.placements for cpu in each.owned)
    assert all(number == 1 for number in owners.values())
    assert not union(each.cpuset for each in made.placements if not each.owned) & CpuSet(owners)


@EXAMPLES
@given(odd_cases())
def test_a_second_run_moves_nobody(case: OddCase) -> None:
    planned_twice(*case)


@EXAMPLES
@given(odd_cases())
def test_one_after_the_other_moves_nobody_either(case: OddCase) -> None:
    it, requests, rules = case
    there: list[Request] = []
    existing = []
    for each in requests:
        made = plan(it, [*there, each], existing, rules, Options(partial=True))
        assert {one.name for one in made.changes} <= {each.name}, actions(made)
        there = [one for one in [*there, each] if one.name in {placed.name for placed in made.placements}]
        existing = applied(there, made)


@EXAMPLES
@given(odd_cases())
def test_nothing_is_wrong_with_what_was_planned(case: OddCase) -> None:
    it, requests, rules = case
    made = plan(it, requests, rules=rules)
    for running in (True, False):
        said = found(it, *all_carried_out(requests, made, running=running), rules=rules)
        assert [(each.code, each.domain, each.message) for each in said] == []
