# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On the oddest of hosts plans come to rest: the run after one that left guests out, or gave some more, has nothing
to do. And mirrored guests on them have a vCPU in each cell, or are refused in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.partial import existing_of, plan_partial
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    actions,
    applied,
    pinned,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.odd_hosts import (
    OddCase,
    odd_cases,
    odd_hosts,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

EXAMPLES = settings(max_examples=examples(40))


def run(it: Host, requests: Sequence[Request], there: Sequence[Existing], rules: Rules) -> tuple[Plan, list[Existing]]:
    """A plan for as many as can be, and the guests of the host afterwards."""
    known = {each.name: each for each in there}
    made = plan_partial(it, requests, known, known, rules, Options())
    asked = {each.name: each for each in requests}
    done = {each.name: existing_of(asked[each.name], each, known.get(each.name)) for each in made.placements}
    return made, list({**known, **done}.values())


def comes_to_rest(it: Host, requests: Sequence[Request], there: Sequence[Existing], rules: Rules) -> Plan:
    made, after = run(it, requests, there, rules)
    again, _after = run(it, requests, after, rules)
    assert not again.changes, (actions(made), actions(again))
    assert [each.name for each in again.rejections] == [each.name for each in made.rejections]
    return made


@EXAMPLES
@given(odd_cases(8), st.data())
def test_the_run_after_a_partial_one_changes_nothing(case: OddCase, data: st.DataObject) -> None:
    it, requests, rules = case
    there = []
    for name in ["other0", "other1", *(each.name for each in requests[:3])]:
        if data.draw(st.booleans()):
            where = CpuSet(data.draw(st.sets(st.sampled_from(list(it.online)), min_size=1, max_size=4)))
            there.append(pinned(name, data.draw(st.integers(1, 3)), str(where), data.draw(st.integers(1, 3))))
    requests = [*requests, Request("never", 999, GIB)]
    made = comes_to_rest(it, requests, there, rules)
    assert sorted([*(each.name for each in made.placements), *(each.name for each in made.rejections)]) == sorted(
        each.name for each in requests
    )


@EXAMPLES
@given(odd_cases(5), st.integers(0, 3), st.integers(0, 2), st.data())
def test_guests_that_grow_come_to_rest_in_one_run(case: OddCase, vcpus: int, memory: int, data: st.DataObject) -> None:
    it, requests, rules = case
    there = applied(requests, plan(it, requests, rules=rules))
    grow = data.draw(st.sets(st.sampled_from([each.name for each in there]))) if there else set()
    grown = [
        replace(each, vcpus=each.vcpus + vcpus, memory=each.memory + memory * GIB) if each.name in grow else each
        for each in requests
    ]
    comes_to_rest(it, grown, there, rules)


@EXAMPLES
@given(odd_cases(5), st.data())
def test_guests_that_change_their_policy_come_to_rest_in_one_run(case: OddCase, data: st.DataObject) -> None:
    it, requests, rules = case
    there = applied(requests, plan(it, requests, rules=rules))
    others = [
        replace(each, policy=data.draw(st.sampled_from(("pack", "spread", "dedicated"))), own_cpus=False)
        for each in requests
    ]
    # What only guests with CPUs of their own may ask for goes with those.
    others = [each if each.owns_cpus else replace(each, smt="prefer", emulator="share") for each in others]
    comes_to_rest(it, others, there, rules)


@EXAMPLES
@given(odd_hosts(), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_a_mirrored_guest_has_a_vcpu_in_each_cell_or_is_refused_in_words(
    it: Host, vcpus: int, width: int, own: bool
) -> None:
    wide = Request("wide", vcpus, width * GIB, "mirror", width=width, own_cpus=own)
    small = Request("small", 1, GIB, "pack")
    made = plan(it, [wide, small], options=Options(partial=True))
    found = {each.name: each for each in made.placements}
    if width > vcpus:
        with pytest.raises(InputError, match=f"width: {width}: the guest has {vcpus} vCPUs"):
            plan(it, [wide])
        assert "wide" not in found and "wide" in {each.name for each in made.rejections}
    if "wide" in found:
        cells = found["wide"].guest_cells
        assert len({each.cell for each in cells}) == len(cells) == (width if width > 1 else len(cells))
        assert all(each.vcpus for each in cells)
        assert sorted(vcpu for each in cells for vcpu in each.vcpus) == list(range(vcpus if cells else 0))
    if "wide" not in found:
        assert ("small" in found) == bool(plan(it, [small], options=Options(partial=True)).placements)
