# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests that are told of cores with several threads: these are threads of one core of the host too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import Capacity
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed, Plan
from ansible_collections.numa.virt.plugins.module_utils._planner.siblings import apart, cores_of, seat, unit_of
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    applied,
    cores_apart,
    cpus,
    host,
    pinned,
    verify,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.test_properties import Case, cases
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

TWO = Request("a", 4, GIB, "dedicated", threads=2)
NOTE = "guest_threads_apart"


def pins(found: Plan | Placed) -> str:
    """The CPUs of the vCPUs in their order."""
    placed = found.placements[0] if isinstance(found, Plan) else found
    return " ".join(str(cpu) for _vcpu, cpu in placed.vcpu_pins)


def own(text: str, **more: object) -> Existing:
    return Existing("a", tuple(cpus(cpu) for cpu in text.split()), GIB, **more)  # type: ignore[arg-type]


def codes(found: Plan) -> list[str]:
    return [note.code for note in found.notes]


def test_vcpus_of_a_core_are_on_one_core() -> None:
    it = host(1)
    for smt in ("prefer", "require"):
        found = plan(it, [replace(TWO, smt=smt)])
        assert pins(found) == "0 1 2 3" and not found.notes
    odd = replace(TWO, vcpus=5)
    assert pins(plan(it, [odd])) == "0 1 2 3 4"
    isolated = plan(it, [replace(odd, emulator="isolate")])
    assert (pins(isolated), str(isolated.placements[0].emulator)) == ("0 1 2 3 4", "5")
    even = plan(it, [replace(TWO, emulator="isolate")])
    assert (pins(even), str(even.placements[0].emulator)) == ("0 1 2 3", "4")
    # Cores for themselves have been asked for.
    alone = plan(it, [replace(TWO, smt="isolate")])
    assert pins(alone) == "0 2 4 6" and not alone.notes


def test_cores_that_are_partly_free() -> None:
    """Cores of four threads, of which some are taken: pairs are found on what is left."""
    it = host(1, 4, 4)
    there = [pinned("x", 1, "0,4,8,12-15")]  # 1-3, 5-7, 9-11
    found = plan(it, [TWO], there)
    assert cores_apart(it, TWO, found.placements[0]) == 0 and not found.notes
    six = replace(TWO, vcpus=6)
    found = plan(it, [six], there)
    assert cores_apart(it, six, found.placements[0]) == 0
    # Seven: the last one has what is left.
    assert not plan(it, [replace(TWO, vcpus=7)], there).notes
    eight = replace(TWO, vcpus=8)
    found = plan(it, [eight], there)
    assert cores_apart(it, eight, found.placements[0]) == 1 and codes(found) == [NOTE]


def test_where_no_such_cpus_are_free_it_is_placed_all_the_same() -> None:
    it = host(1)
    there = [pinned("x", 1, "0,2,4,6")]
    found = plan(it, [TWO], there)
    assert pins(found) == "1 3 5 7"
    assert [note.message for note in found.notes] == [
        "a: vCPUs 0-3 are threads of 2 of its cores, each of which lies on several cores of the host"
    ]
    # It stays there, and is told of, until it is asked for more.
    again = plan(it, [TWO], [*there, *applied([TWO], found)])
    assert not again.changes and codes(again) == [NOTE]
    assert not plan(it, [TWO], applied([TWO], found)).changes
    assert plan(it, [replace(TWO, smt="require")], [*there, *applied([TWO], found)]).rejections
    moved = plan(it, [replace(TWO, smt="require")], applied([TWO], found))
    assert pins(moved) == "0 1 2 3" and not moved.notes


def test_a_place_is_valid_with_cores_on_cores() -> None:
    it = host(1)
    for request in (TWO, replace(TWO, smt="require")):
        apart_ = plan(it, [request], [own("0 2 1 3")])
        assert pins(apart_) == "0 1 2 3"
        assert apart_.placements[0].reason.startswith("its vCPUs 0-1 are threads of one core, and run on several; ")
        assert not plan(it, [request], [own("5 4 3 2")]).changes
        # Placed by the policy, and pinned otherwise since: its own CPUs allow more.
        assert plan(it, [request], [own("0 2 1 3", wish=request)]).changes
    assert not plan(it, [replace(TWO, threads=1)], [own("0 2 1 3")]).changes
    assert not plan(it, [replace(TWO, smt="isolate")], [own("0 2 4 6")]).changes
    assert not plan(host(1, 8, 1), [TWO], [own("0 2 1 3")]).changes
    # Not ours, and there is nothing better: it has these CPUs, and stays there.
    full = [pinned("x", 1, "1,3,5,7")]
    found = plan(it, [TWO], [own("0 2 4 6"), *full])
    assert pins(found) == "0 2 4 6" and codes(found) == [NOTE]
    assert not plan(it, [TWO], [*applied([TWO], found), *full]).changes


@pytest.mark.parametrize(("vcpus", "threads"), [(5, 2), (7, 2), (12, 4), (6, 4), (9, 3)])
@pytest.mark.parametrize("smt", ["prefer", "require"])
@pytest.mark.parametrize("emulator", ["share", "isolate"])
def test_spread_over_cells(vcpus: int, threads: int, smt: str, emulator: str) -> None:
    it = host(3, 2, 2)
    request = replace(TWO, vcpus=vcpus, threads=threads, smt=smt, emulator=emulator)
    if vcpus == 12 and emulator == "isolate":
        return
    found = plan(it, [request])
    verify(it, [request], found)
    assert not found.notes and cores_apart(it, request, found.placements[0]) == 0
    again = plan(it, [request], applied([request], found))
    assert not again.changes


def test_spread_over_cells_that_cannot_keep_them_together() -> None:
    """Five CPUs of one cell, three of the other: a core is cut rather than the guest left out."""
    it = host(2, 4, 2)
    there = [pinned("x", 1, "5-7,11-15")]
    found = plan(it, [replace(TWO, vcpus=8)], there)
    assert pins(found).count(" ") == 7 and codes(found) == [NOTE]
    assert cores_apart(it, replace(TWO, vcpus=8), found.placements[0]) == 1


def test_the_emulator_takes_what_no_core_needs() -> None:
    """Two and two CPUs of one cell, two and one of the other."""
    it = host(2, 2, 2)
    request = replace(TWO, vcpus=6, emulator="isolate")
    found = plan(it, [request], [pinned("x", 1, "7")])
    assert (pins(found), str(found.placements[0].emulator)) == ("0 1 2 3 4 5", "6")


def test_guests_that_mirror() -> None:
    it = host(2, 4, 2)
    request = Request("a", 8, GIB, "mirror", own_cpus=True, width=2, threads=2, emulator="isolate")
    found = plan(it, [request])
    assert pins(found) == "0 1 2 3 8 9 10 11" and str(found.placements[0].emulator) == "4"
    assert not plan(it, [request], applied([request], found)).changes
    own_cells = (GuestCell(cpus("0,3-5"), GIB // 2), GuestCell(cpus("1-2,6-7"), GIB // 2))
    # Its own cells cut two of its cores: of each piece all that is there is together.
    cut = replace(request, width=None, guest_cells=own_cells, emulator="share")
    found = plan(it, [cut])
    assert pins(found) == "2 10 11 3 0 1 8 9"
    assert not plan(it, [cut], applied([cut], found)).changes
    wrong = applied([request], plan(it, [replace(request, threads=1)]))
    mixed = tuple(cpus(cpu) for cpu in ["0", "2", "1", "3", "8", "9", "10", "11"])
    assert plan(it, [request], [replace(wrong[0], vcpu_cpus=mixed, wish=request)]).changes


def test_what_a_core_of_the_guest_is_on_a_core_of_the_host() -> None:
    assert [unit_of(*pair) for pair in ((2, 2), (2, 4), (4, 2), (3, 2), (3, 4), (2, 1))] == [2, 2, 2, 1, 1, 1]
    assert cores_of([0, 1, 2, 5, 8], 2) == [[0, 1], [2], [5], [8]]
    capacity = Capacity(host(1), Rules())
    cores = cores_of(range(5), 2)
    found, left = seat(capacity, cores, [7, 6, 1, 5, 3, 2])
    assert (found, left) == ({0: 2, 1: 3, 2: 6, 3: 7, 4: 1}, [5])
    assert apart(capacity, cores, found) == []
    # A core of four threads has two of the host's.
    wide = cores_of(range(4), 4)
    assert apart(capacity, wide, {0: 0, 1: 2, 2: 1, 3: 3}) == []
    assert apart(capacity, wide, {0: 0, 1: 2, 2: 4, 3: 6}) == wide


@settings(max_examples=examples(100))
@given(st.sets(st.integers(0, 15), min_size=1), st.sampled_from((2, 4)), st.sampled_from((1, 2, 4)))
def test_as_many_cores_together_as_may_be(numbers: set[int], threads: int, host_threads: int) -> None:
    it = host(1, 16 // host_threads, host_threads)
    cores = cores_of(range(len(numbers)), threads)
    found, left = seat(Capacity(it, Rules()), cores, numbers)
    assert sorted(found.values()) == sorted(numbers) and sorted(found) == list(range(len(numbers))) and not left
    size = min(threads, host_threads)
    free = [len(numbers & set(core.cpus)) // size for core in it.cells[0].cores]
    together = sum(
        len({found[vcpu] // host_threads for vcpu in core[at : at + size]}) == 1
        for core in cores
        for at in range(0, len(core) - size + 1, size)
    )
    assert together == min(sum(free), len(numbers) // size)


@settings(max_examples=examples(60))
@given(cases())
def test_whole_cores_keep_the_guests_cores(case: Case) -> None:
    """Where whole cores are asked for, cores of two threads never come apart."""
    it, requests, rules = case
    if len(it.cells[0].cores[0].cpus) < 2:
        return
    asked = [replace(each, threads=2, smt="require") if each.policy == "dedicated" else each for each in requests]
    wanted = {each.name: each for each in asked if each.policy == "dedicated"}
    found = plan(it, asked, rules=rules, options=Options(partial=True))
    for each in found.placements:
        if each.name in wanted:
            assert cores_apart(it, wanted[each.name], each) == 0
    assert not [note for note in found.notes if note.code == NOTE and note.name in wanted]
