# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_as_result
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import placement_as_result
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    MemoryIntent,
    Pins,
    Placement,
    Shape,
    all_pinned,
    json_line,
    pins_as_result,
    pins_of,
)

ALL = CpuSet(range(8))


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def pins(**each: str) -> Pins:
    """pins(v0="1-2") is a pin of number 0."""
    return pins_of({int(name[1:]): cpus(text) for name, text in each.items()})


SETS = st.sets(st.integers(0, 15), min_size=1, max_size=4).map(CpuSet)
PINS = st.dictionaries(st.integers(0, 3), SETS, max_size=3).map(pins_of)
MEMORIES = st.builds(MemoryIntent, st.sampled_from(["strict", "preferred", "none"]), st.none() | SETS)
INTENTS = st.builds(
    Intent,
    cells=st.none() | SETS,
    cpuset=st.none() | SETS,
    memory=st.none() | MEMORIES,
    vcpu_pins=st.none() | PINS,
    emulator=st.none() | SETS,
    iothread_pins=st.none() | PINS,
)


def test_pins_are_in_order() -> None:
    assert pins_of({3: cpus("1"), 0: cpus("2")}) == ((0, cpus("2")), (3, cpus("1")))
    assert pins_as_result(pins(v3="1", v0="2-4")) == {"0": "2-4", "3": "1"}


def test_who_may_run_where() -> None:
    it = Placement(cpus("0-3"), pins(v1="2"), iothread_pins=pins(v1="3"))
    assert (it.of_vcpu(0), it.of_vcpu(1)) == (cpus("0-3"), cpus("2"))
    assert (it.of_iothread(1), it.of_iothread(2)) == (cpus("3"), cpus("0-3"))
    assert it.of_emulator == cpus("0-3")
    assert Placement(cpus("0-3"), emulator=cpus("7")).of_emulator == cpus("7")
    assert Placement().of_vcpu(0) is Placement().of_iothread(1) is Placement().of_emulator is None


@pytest.mark.parametrize(
    ("placement", "vcpus", "expected"),
    [
        (Placement(), 2, None),
        (Placement(cpus("0-3")), 2, "0-3"),
        (Placement(cpus("0-7")), 2, None),
        (Placement(None, pins(v0="1", v1="3")), 2, "1,3"),
        (Placement(None, pins(v0="1")), 2, None),  # vCPU 1 runs everywhere
        (Placement(cpus("0-3"), pins(v0="5")), 2, "0-3,5"),
        (Placement(None, pins(v0="0-3", v1="4-7")), 2, None),
        (Placement(cpus("0-3"), pins(v5="7")), 2, "0-3"),
        (Placement(cpus("2")), 0, ""),
    ],
)
def test_effective_cpuset(placement: Placement, vcpus: int, expected: str | None) -> None:
    found = placement.effective_cpuset(vcpus, ALL)
    assert (None if found is None else str(found)) == expected


@pytest.mark.parametrize(
    ("given_pins", "count", "expected"),
    [
        (pins(v0="1", v1="3"), 2, "1,3"),
        (pins(v0="1", v1="1"), 2, "1"),
        (pins(v0="1"), 2, None),
        (pins(v1="1", v2="1"), 2, None),
        (pins(v0="1", v1="3", v2="7"), 2, "1,3"),  # there is no vCPU 2 any more
        ((), 2, None),
    ],
)
def test_all_pinned(given_pins: Pins, count: int, expected: str | None) -> None:
    found = all_pinned(given_pins, count)
    assert (None if found is None else str(found)) == expected


@given(INTENTS)
def test_over_nothing_and_nothing_over(wish: Intent) -> None:
    assert wish.over(None) == wish.over(Intent()) == wish
    assert Intent().over(wish) == wish


@given(INTENTS)
def test_saying_it_again_changes_nothing(wish: Intent) -> None:
    assert wish.over(wish) == wish


@given(INTENTS, INTENTS, INTENTS)
def test_over_does_not_depend_on_the_order_of_reckoning(one: Intent, two: Intent, three: Intent) -> None:
    assert one.over(two).over(three) == one.over(two.over(three))


@given(INTENTS, INTENTS)
def test_what_is_said_now_holds(wish: Intent, stored: Intent) -> None:
    result = wish.over(stored)
    for name in ("cells", "cpuset", "memory", "vcpu_pins", "emulator", "iothread_pins"):
        assert getattr(wish, name) in (None, getattr(result, name))


def test_a_new_region_replaces_the_old_one_whole() -> None:
    stored = Intent(cells=cpus("0"), cpuset=cpus("0-1"), memory=MemoryIntent("preferred", cpus("1")))
    assert Intent(cells=cpus("1")).over(stored) == Intent(cells=cpus("1"))
    assert Intent(cpuset=cpus("9")).over(stored) == Intent(cpuset=cpus("9"))


def test_pins_and_memory_alone_leave_the_region() -> None:
    stored = Intent(cells=cpus("0"), memory=MemoryIntent("preferred"), vcpu_pins=pins(v0="1"), emulator=cpus("2"))
    assert Intent(vcpu_pins=()).over(stored) == Intent(
        cells=cpus("0"), memory=MemoryIntent("preferred"), vcpu_pins=(), emulator=cpus("2")
    )
    assert Intent(memory=MemoryIntent("none")).over(stored) == Intent(
        cells=cpus("0"), memory=MemoryIntent("none"), vcpu_pins=pins(v0="1"), emulator=cpus("2")
    )


def test_names_region() -> None:
    assert Intent(cells=cpus("0")).names_region
    assert Intent(cpuset=cpus("0")).names_region
    assert not Intent(memory=MemoryIntent(), vcpu_pins=pins(v0="1"), emulator=cpus("0")).names_region


def test_binding_in_words() -> None:
    assert str(MemoryBinding("strict", cpus("0-1"))) == "strict on 0-1"
    assert str(MemoryBinding("strict", CpuSet(), automatic=True)) == "strict on cells that numad chooses"


def test_placement_as_result() -> None:
    full = Placement(
        cpus("0-3"),
        pins(v0="1"),
        cpus("2"),
        pins(v1="3"),
        MemoryBinding("strict", cpus("0-1")),
        ((0, MemoryBinding("preferred", cpus("1"))),),
    )
    assert placement_as_result(full) == {
        "cpuset": "0-3",
        "automatic": False,
        "vcpu_pins": {"0": "1"},
        "emulator_cpuset": "2",
        "iothread_pins": {"1": "3"},
        "memory": {"mode": "strict", "cells": [0, 1], "automatic": False},
        "memnodes": {"0": {"mode": "preferred", "cells": [1], "automatic": False}},
    }
    assert placement_as_result(Placement(automatic=True)) == {
        "cpuset": None,
        "automatic": True,
        "vcpu_pins": {},
        "emulator_cpuset": None,
        "iothread_pins": {},
        "memory": None,
        "memnodes": {},
    }


def test_intent_as_result() -> None:
    assert intent_as_result(None) is None
    nothing = {
        "cells": None,
        "cpuset": None,
        "memory": None,
        "vcpu_pins": {},
        "emulator_cpuset": None,
        "iothread_pins": {},
        "policy": None,
    }
    assert intent_as_result(Intent()) == nothing
    assert intent_as_result(Intent(policy='{"policy": "pack"}'))["policy"] == {"policy": "pack"}
    assert intent_as_result(Intent(cells=cpus("0-1"), memory=MemoryIntent("none"), vcpu_pins=pins(v0="1"))) == {
        **nothing,
        "cells": [0, 1],
        "memory": {"mode": "none", "cells": None},
        "vcpu_pins": {"0": "1"},
    }
    assert intent_as_result(
        Intent(
            cpuset=cpus("3"), memory=MemoryIntent("strict", cpus("0")), emulator=cpus("1"), iothread_pins=pins(v2="1")
        )
    ) == {
        **nothing,
        "cpuset": "3",
        "memory": {"mode": "strict", "cells": [0]},
        "emulator_cpuset": "1",
        "iothread_pins": {"2": "1"},
    }


@given(INTENTS)
def test_results_are_plain_data(intent: Intent) -> None:
    assert json.loads(json.dumps(intent_as_result(intent))) == intent_as_result(intent)


def test_a_line_of_json_has_one_spelling() -> None:
    assert json_line('{"b": 1, "a": [2]}') == '{"a": [2], "b": 1}'
    assert json_line(None) is json_line("{") is json_line("[1]") is None


@pytest.mark.parametrize(
    ("current", "online", "present"),
    [
        (None, None, (0, 1, 2, 3)),
        (2, None, (0, 1)),
        (9, None, (0, 1, 2, 3)),
        (2, CpuSet([0, 3]), (0, 3)),
        (2, CpuSet([0, 7]), (0,)),
    ],
)
def test_vcpus_that_are_there(current: int | None, online: CpuSet | None, present: tuple[int, ...]) -> None:
    assert Shape("a", None, "kvm", 4, (), 1024, current=current, online=online).present == present
