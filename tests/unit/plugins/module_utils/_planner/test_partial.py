# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans where not all fit: the others are placed, and the next run has nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._planner import partial
from ansible_collections.numa.virt.plugins.module_utils._planner.partial import existing_of, plan_partial
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan, Rejection
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    actions,
    cpus,
    host,
    pinned,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.test_properties import Case, cases
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

A = Request("a", 2, GIB)
OWN = replace(A, policy="dedicated")


def planned(it: Host, requests: Sequence[Request], there: Sequence[Existing] = (), rules: Rules = Rules()) -> Plan:  # noqa: B008
    known = {each.name: each for each in there}
    return plan_partial(it, requests, known, known, rules, Options())


def afterwards(requests: Sequence[Request], found: Plan, there: Sequence[Existing] = ()) -> list[Existing]:
    asked, known = {each.name: each for each in requests}, {each.name: each for each in there}
    done = {each.name: existing_of(asked[each.name], each, known.get(each.name)) for each in found.placements}
    return list({**known, **done}.values())


def test_a_guest_without_a_place_stays_and_the_others_go_around_it() -> None:
    big = pinned("big", 12, "0-7", 4)
    requests = [Request("big", 20, GIB), Request("new", 8, GIB)]
    found = planned(host(), requests, [big])
    assert [each.name for each in found.rejections] == ["big"]
    assert [(each.name, str(each.cells)) for each in found.placements] == [("new", "1")]
    assert found.bound.by_priority[0][1] == 8 <= found.bound.vcpus
    again = planned(host(), requests, afterwards(requests, found, [big]))
    assert not again.changes and again.after == found.after


def test_a_place_that_becomes_valid_by_the_plan_is_kept_in_the_same_run() -> None:
    """a has no room where it could move while b is on its CPUs; b leaves by the same plan."""
    it = host(2, 4, 1)
    there = [
        Existing("a", tuple(cpus(cpu) for cpu in "0123"), GIB),
        Existing("b", (cpus("0"), cpus("1")), GIB, wish=replace(OWN, name="b")),
    ]
    requests = [replace(OWN, vcpus=4, cells=cpus("0")), replace(OWN, name="b", cells=cpus("1"))]
    found = planned(it, requests, there)
    assert not found.rejections
    assert not planned(it, requests, afterwards(requests, found, there)).changes


@settings(max_examples=examples(80))
@given(cases(10), st.data())
def test_the_run_after_a_partial_one_changes_nothing(case: Case, data: st.DataObject) -> None:
    it, requests, rules = case
    requests = [*requests, Request("never", 999, GIB)]
    there = []
    for number, name in enumerate(["other0", "other1", *(each.name for each in requests[:3])]):
        if data.draw(st.booleans()):
            numbers = data.draw(st.sets(st.sampled_from(list(it.online)), min_size=1, max_size=6))
            wish = data.draw(st.sampled_from((None, requests[min(number, len(requests) - 1)])))
            wish = replace(wish, name=name) if wish is not None and wish.vcpus < 99 else None
            there.append(pinned(name, 2, ",".join(map(str, sorted(numbers))), wish=wish))
    found = planned(it, requests, there, rules)
    assert sorted([e.name for e in found.placements] + [e.name for e in found.rejections]) == sorted(
        each.name for each in requests
    )
    assert found.vcpus <= found.bound.vcpus
    again = planned(it, requests, afterwards(requests, found, there), rules)
    assert not again.changes, actions(again)
    assert [each.name for each in again.rejections] == [each.name for each in found.rejections]


def test_what_one_plan_misses_the_plan_of_its_result_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = partial.plan, []

    def once_blind(*args: Any) -> Plan:
        made = real(*args)
        calls.append(made)
        if len(calls) > 1:
            return made
        missed = Rejection("b", "cpus", None, 2, 0, "CPUs", {}, "b: was not seen")
        return replace(made, placements=made.placements[:1], rejections=(missed,))

    monkeypatch.setattr(partial, "plan", once_blind)
    found = planned(host(), [A, replace(A, name="b")])
    assert [(each.name, each.action) for each in found.placements] == [("a", "place"), ("b", "place")]
    assert not found.rejections and found.bound.by_priority == ((0, 4, 4),)
    assert len(calls) == 2
