# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_change, intent_text
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import placement_changes
from ansible_collections.numa.virt.plugins.module_utils._values.changes import (
    BOTH,
    CONFIG,
    LIVE,
    Change,
    Restart,
    changes_as_result,
    mark_restarts,
    merge,
    pin_element,
    restarts_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    MemoryIntent,
    Placement,
    pins_of,
)

SETS = st.sets(st.integers(0, 3), min_size=1).map(CpuSet)
PINS = st.dictionaries(st.integers(0, 2), SETS, max_size=2).map(pins_of)
BINDINGS = st.builds(MemoryBinding, st.sampled_from(["strict", "preferred"]), SETS)
PLACEMENTS = st.builds(
    Placement,
    cpuset=st.none() | SETS,
    vcpu_pins=PINS,
    emulator=st.none() | SETS,
    iothread_pins=PINS,
    memory=st.none() | BINDINGS,
    memnodes=st.dictionaries(st.integers(0, 2), BINDINGS, max_size=2).map(lambda nodes: tuple(sorted(nodes.items()))),
    automatic=st.booleans(),
)


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


@given(PLACEMENTS, PLACEMENTS)
def test_no_change_means_equal_and_equal_means_no_change(one: Placement, other: Placement) -> None:
    assert placement_changes(one, one) == []
    assert (placement_changes(one, other) == []) == (one == other)


@given(PLACEMENTS, PLACEMENTS)
def test_the_way_back_is_the_mirror_image(one: Placement, other: Placement) -> None:
    back = [replace(each, before=each.after, after=each.before) for each in placement_changes(other, one)]
    assert placement_changes(one, other) == back


@given(PLACEMENTS, PLACEMENTS)
def test_each_element_changes_once(one: Placement, other: Placement) -> None:
    elements = [change.element for change in placement_changes(one, other)]
    assert len(elements) == len(set(elements))


def test_changes_stand_in_document_order() -> None:
    strict = MemoryBinding("strict", cpus("1"))
    before = Placement(None, ((1, cpus("1")),), automatic=True, memnodes=((0, strict),))
    after = Placement(
        cpus("4-7"),
        ((0, cpus("4")), (1, cpus("5"))),
        cpus("6"),
        ((1, cpus("7")),),
        strict,
        ((1, MemoryBinding("preferred", cpus("0"))),),
    )
    assert placement_changes(before, after) == [
        Change("vcpu/@placement", "auto", "static"),
        Change("vcpu/@cpuset", None, "4-7"),
        Change("cputune/vcpupin[@vcpu='0']", None, "4"),
        Change("cputune/vcpupin[@vcpu='1']", "1", "5"),
        Change("cputune/emulatorpin", None, "6"),
        Change("cputune/iothreadpin[@iothread='1']", None, "7"),
        Change("numatune/memory", None, "strict on 1"),
        Change("numatune/memnode[@cellid='0']", "strict on 1", None),
        Change("numatune/memnode[@cellid='1']", None, "preferred on 0"),
    ]


def test_an_element_that_goes_has_no_after() -> None:
    assert placement_changes(Placement(emulator=cpus("1")), Placement()) == [Change("cputune/emulatorpin", "1", None)]


@pytest.mark.parametrize(
    ("intent", "text"),
    [
        (Intent(), "nothing"),
        (Intent(cells=cpus("0-1")), "cells 0-1"),
        (Intent(vcpu_pins=(), iothread_pins=()), "nothing"),
        (
            Intent(
                cells=cpus("0"),
                cpuset=cpus("0-1"),
                memory=MemoryIntent("strict", cpus("2")),
                vcpu_pins=((0, cpus("0")), (1, cpus("1"))),
                emulator=cpus("3"),
                iothread_pins=((1, cpus("3")),),
            ),
            "cells 0, cpuset 0-1, memory strict on 2, vcpu 0 on 0, vcpu 1 on 1, iothread 1 on 3, emulator on 3",
        ),
        (Intent(memory=MemoryIntent("none")), "memory none"),
    ],
)
def test_intent_text(intent: Intent, text: str) -> None:
    assert intent_text(intent) == text


def test_intent_change() -> None:
    one, other = Intent(cells=cpus("0")), Intent(cells=cpus("1"))
    assert intent_change(one, one) == []
    assert intent_change(None, one) == [Change("metadata/intent", None, "cells 0")]
    assert intent_change(one, other) == [Change("metadata/intent", "cells 0", "cells 1")]


def change(element: str, after: str | None, applied: str = CONFIG, before: str | None = None) -> Change:
    return Change(element, before, after, applied)


@pytest.mark.parametrize(
    ("config", "live", "merged"),
    [
        ([], [], []),
        ([change("a", "1")], [], [change("a", "1")]),
        ([], [change("a", "1", LIVE)], [change("a", "1", LIVE)]),
        ([change("a", "1")], [change("a", "1", LIVE)], [change("a", "1", BOTH)]),
        # From different beginnings to one end: the definition's beginning is told.
        ([change("a", "1", before="0")], [change("a", "1", LIVE, before="7")], [change("a", "1", BOTH, before="0")]),
        ([change("a", "1")], [change("a", "2", LIVE)], [change("a", "1"), change("a", "2", LIVE)]),
        (
            [change("a", "1"), change("b", None)],
            [change("b", None, LIVE), change("c", "3", LIVE)],
            [change("a", "1"), change("b", None, BOTH), change("c", "3", LIVE)],
        ),
        # One change of the definition answers one live change.
        (
            [change("a", "1")],
            [change("a", "1", LIVE), change("a", "1", LIVE)],
            [change("a", "1", BOTH), change("a", "1", LIVE)],
        ),
    ],
)
def test_merge(config: list[Change], live: list[Change], merged: list[Change]) -> None:
    assert merge(config, live) == merged


def test_only_what_the_definition_alone_has_waits_for_a_restart() -> None:
    changes = [change("a", "1"), change("a", "1", LIVE), change("b", "1", BOTH), change("c", "1")]
    marked = mark_restarts(changes, [Restart("a", "why"), Restart("b", "why")])
    assert [each.needs_restart for each in marked] == [True, False, False, False]
    assert [replace(each, needs_restart=False) for each in marked] == changes


def test_results_are_plain_data() -> None:
    results: list[dict[str, Any]] = [
        *changes_as_result([Change("a", None, "1", BOTH, needs_restart=True)]),
        *restarts_as_result([Restart("a", "why")]),
    ]
    assert json.loads(json.dumps(results)) == [
        {"element": "a", "before": None, "after": "1", "applied": "both", "needs_restart": True},
        {"element": "a", "reason": "why"},
    ]


def test_pin_element() -> None:
    assert pin_element("iothread", 3) == "cputune/iothreadpin[@iothread='3']"
