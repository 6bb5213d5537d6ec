# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests with CPUs of their own, on cells that have several last-level caches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.caches import Cache, caches_used, fewest
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import ISOLATE, PREFER, REQUIRE, Capacity
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan
from ansible_collections.numa.virt.plugins.module_utils._values.topology import CacheBank, Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    applied,
    caches_of_cells,
    cpus,
    host,
    pinned,
    verify,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.test_properties import Case, cases
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

#: One cell of 12 cores of two threads, two L3 of 6 cores each
TWO = host(1, 12, 2, 64, caches=2)
#: Two cells of 8 cores, each of four L3 of 2 cores
EIGHT = host(2, 8, 2, 64, caches=4)
OWN = Request("a", 8, GIB, "dedicated")
NEED = replace(OWN, cache="require")


def sets(found: Plan) -> dict[str, str]:
    return {each.name: str(each.cpuset) for each in found.placements}


def named(request: Request, *sizes: int) -> list[Request]:
    return [replace(request, name=name, vcpus=size) for name, size in zip("abcdefgh", sizes)]


def whys(found: Plan) -> dict[str, str]:
    return {each.name: each.reason for each in found.placements}


def test_guests_stay_within_one_cache_each() -> None:
    for smt in ("prefer", "require"):
        requests = named(replace(OWN, smt=smt), 8, 8)
        found = plan(TWO, requests)
        assert sets(found) == {"a": "0-7", "b": "12-19"}
        assert {why.split(";")[0] for why in whys(found).values()} == {
            "cell 0: the closest fit for CPUs of its own, within one L3"
        }
        assert not plan(TWO, requests, applied(requests, found)).changes
    assert sets(plan(TWO, named(replace(OWN, smt="isolate"), 4, 4))) == {"a": "0,2,4,6", "b": "12,14,16,18"}
    assert sets(plan(TWO, named(replace(OWN, cache="ignore"), 8, 8))) == {"a": "0-7", "b": "8-15"}


def test_a_cache_is_filled_as_closely_as_may_be() -> None:
    """A large one stays whole for a large guest."""
    first = named(OWN, 8)
    there = applied(first, plan(TWO, first))
    requests = [replace(OWN, name="b", vcpus=4), replace(OWN, name="c", vcpus=12)]
    found = plan(TWO, [*first, *requests], there)
    assert sets(found) == {"a": "0-7", "b": "8-11", "c": "12-23"}
    # One vCPU goes where fewest cores are left, too.
    assert sets(plan(TWO, [*first, replace(OWN, name="b", vcpus=1)], there))["b"] == "8"


def test_a_guest_that_no_cache_holds_has_the_fewest() -> None:
    found = plan(EIGHT, named(OWN, 6))
    assert sets(found) == {"a": "0-5"}
    assert whys(found)["a"].split(";")[0].endswith("own, across 2 L3 caches")
    # Three caches have 4 CPUs, one has 2: with that one it would be three.
    busy = [pinned("x", 1, "0-1")]
    assert sets(plan(EIGHT, [replace(OWN, vcpus=8, cells=cpus("0"))], busy)) == {"a": "4-11"}
    assert sets(plan(EIGHT, [replace(OWN, vcpus=6, cells=cpus("0"))], busy)) == {"a": "2-7"}


def test_several_cells() -> None:
    wide = plan(EIGHT, [replace(OWN, vcpus=20)])
    assert whys(wide)["a"] == "cells 0-1: the fewest and nearest that hold it (distance 21), across 6 L3 caches"
    mirror = Request("m", 8, GIB, "mirror", own_cpus=True, width=2, cache="require")
    found = plan(EIGHT, [mirror])
    assert whys(found)["m"].endswith(", one for each of its cells, within one L3 of each")
    verify(EIGHT, [mirror], found)
    assert not plan(EIGHT, [mirror], applied([mirror], found)).changes


def test_the_odd_thread_stays_in_the_cache() -> None:
    """Rather on a core that another guest shares than on one of another cache, where the guest would fit."""
    there = [pinned("x", 1, "0"), pinned("y", 1, "4-11,14-23")]
    found = plan(TWO, [replace(OWN, vcpus=3)], there)
    assert sets(found) == {"a": "1-3"}
    assert sets(plan(TWO, [replace(OWN, vcpus=3, cache="ignore")], there)) == {"a": "2-3,12"}
    # The core that it would like for it is left to it, where others fit elsewhere as well.
    assert sets(plan(host(1, 4, 2, 16, caches=2), named(OWN, 3, 2))) == {"a": "0-2", "b": "4-5"}
    assert sets(plan(host(1, 4, 2, 16, caches=2), named(OWN, 3, 4, 1))) == {"a": "4-6", "b": "0-3", "c": "7"}


def test_whole_cores_come_before_one_cache() -> None:
    """As without caches: a whole core in each of two caches, and no halves of four cores in one."""
    there = [pinned("x", 1, "0,2,4,6,8-11"), pinned("y", 1, "12-21")]
    assert sets(plan(TWO, [replace(OWN, vcpus=4)], there)) == {"a": "1,3,22-23"}
    # No whole core at all: as few caches as may be.
    there = [pinned("x", 1, "0,2,4,5-11"), pinned("y", 1, "12,14,16,18,20,22")]
    assert sets(plan(TWO, [replace(OWN, vcpus=4)], there)) == {"a": "13,15,17,19"}
    assert sets(plan(TWO, [replace(OWN, vcpus=8)], there)) == {"a": "1,3,13,15,17,19,21,23"}
    assert sets(plan(TWO, [replace(OWN, vcpus=4, cache="ignore")], there)) == {"a": "1,3,13,15"}
    # Halves of cores in its own cache first.
    there = [pinned("x", 1, "0,2,4-11"), pinned("y", 1, "12-21")]
    assert sets(plan(TWO, [replace(OWN, vcpus=3)], there)) == {"a": "1,22-23"}


def test_where_it_has_to_be_one_cache_there_is_no_other_place() -> None:
    found = plan(TWO, named(NEED, 8, 8, 8))
    assert sets(found) == {"a": "0-7", "b": "12-19"}
    (rejected,) = found.rejections
    assert (rejected.constraint, rejected.needed, rejected.available, rejected.unit) == ("caches", 8, 4, "CPUs")
    assert rejected.message == (
        "c: needs 8 CPUs in one last-level cache (cache=require), and those of cell 0 have at most 4 left; "
        "4 vCPUs with 1048576 KiB would fit on cell 0"
    )
    assert sets(plan(TWO, [*named(NEED, 8, 8), replace(OWN, name="c")]))["c"] == "8-11,20-23"
    isolated = plan(TWO, named(replace(NEED, smt="isolate"), 6, 5, 2))
    assert [each.unit for each in isolated.rejections] == ["cores"]
    whole = plan(TWO, named(replace(NEED, smt="require"), 10, 9, 3)).rejections[0]
    assert "needs 3 CPUs in whole cores in one last-level cache" in whole.message
    mirror = Request("m", 8, GIB, "mirror", own_cpus=True, width=2, cache="require", priority=-1)
    full = [replace(NEED, name=f"n{at}", vcpus=3) for at in range(8)]
    assert (
        "one last-level cache for each of its cells (cache=require)"
        in plan(EIGHT, [mirror, *full]).rejections[0].message
    )


def test_a_guest_that_no_cache_of_the_host_holds_is_an_error() -> None:
    with pytest.raises(InputError) as caught:
        plan(EIGHT, [NEED])
    assert str(caught.value) == (
        "domains[a].cache: 'require': the last-level caches of cells 0-1 hold at most 4 of its CPUs each; "
        "give cache=prefer, or fewer vCPUs"
    )
    left_out = plan(EIGHT, [NEED], options=Options(partial=True))
    assert left_out.rejections[0].message.endswith("; this host could never hold it")
    with pytest.raises(InputError, match="can give"):
        plan(EIGHT, [replace(NEED, vcpus=100)])


@pytest.mark.parametrize(
    ("request_", "it", "text"),
    [
        (NEED, host(), "the host does not say which CPUs share a cache; give cache=prefer, or leave it out"),
        (Request("a", 2, GIB, cache="require"), TWO, "a guest with policy pack has no CPUs of its own"),
        (replace(OWN, cache="much"), TWO, "is not known; choose among prefer, require, ignore"),
    ],
)
def test_options_that_no_plan_could_mend(request_: Request, it: Host, text: str) -> None:
    with pytest.raises(InputError, match=text):
        plan(it, [request_])
    assert plan(TWO, [Request("a", 2, GIB, cache="ignore")]).placements


def test_a_place_across_caches_is_valid_unless_it_has_to_be_one() -> None:
    across = Existing("a", tuple(cpus(str(cpu)) for cpu in range(8, 16)), GIB)
    assert not plan(TWO, [OWN], [across]).changes
    found = plan(TWO, [NEED], [across])
    assert sets(found) == {"a": "0-7"}
    assert whys(found)["a"].startswith("its CPUs on cell 0 are in 2 last-level caches; ")
    within = Existing("a", tuple(cpus(str(cpu)) for cpu in range(12, 20)), GIB)
    assert not plan(TWO, [NEED], [within]).changes


def test_cpus_that_no_cache_has() -> None:
    """A host that tells of one of two caches."""
    it = replace(TWO, caches=TWO.caches[:1])
    assert sets(plan(it, named(OWN, 8, 8))) == {"a": "0-7", "b": "12-19"}
    assert [each.constraint for each in plan(it, named(NEED, 8, 8)).rejections] == ["caches"]
    there = Existing("a", tuple(cpus(str(cpu)) for cpu in range(12, 20)), GIB)
    found = plan(it, [NEED], [there])
    assert whys(found)["a"].startswith("its CPUs on cell 0 are in no last-level cache; ")
    assert not plan(it, [OWN], [there]).changes
    bare = replace(EIGHT, caches=EIGHT.caches[4:])
    assert str(plan(bare, [replace(NEED, vcpus=4)]).placements[0].cells) == "1"


def test_levels_of_caches() -> None:
    """The highest level that lists a CPU is its last."""
    inner = tuple(CacheBank(at, 2, "both", 1024, cpus(f"{2 * at}-{2 * at + 1}")) for at in range(12))
    it = replace(TWO, caches=(*inner, *TWO.caches))
    assert whys(plan(it, [OWN]))["a"].count("within one L3") == 1
    mixed = replace(TWO, caches=(*inner, TWO.caches[0]))
    assert sets(plan(mixed, [replace(OWN, vcpus=2)])) == {"a": "12-13"}
    assert "within one last-level cache" in whys(plan(mixed, [replace(OWN, vcpus=2)]))["a"]
    assert "across 2 last-level caches" in whys(plan(mixed, [replace(OWN, vcpus=14)]))["a"]
    one = replace(TWO, caches=(CacheBank(0, 4, "both", 1 << 20, cpus("0-23")), *TWO.caches))
    assert "within" not in whys(plan(one, [OWN]))["a"]


def test_rebalancing_makes_room_in_a_cache() -> None:
    """Guests that stay are counted in the caches that they have, so that moving one makes room there."""
    it = host(2, 4, 2, 16, caches=2)
    for smt in ("prefer", "require"):
        small = replace(OWN, vcpus=2, smt=smt)
        there = [
            Existing(name, (cpus(first), cpus(second)), GIB, nodeset=cpus("0"))
            for name, first, second in (("s0", "0", "1"), ("s1", "4", "5"))
        ]
        requests = [replace(small, name="s0"), replace(small, name="s1")]
        big = replace(NEED, name="big", vcpus=4, cells=cpus("0"), smt=smt)
        assert plan(it, [*requests, big], there).rejections
        found = plan(it, [*requests, big], there, options=Options(rebalance=True))
        assert not found.rejections and len(found.moves) == 1
        verify(it, [*requests, big], found)


def test_halves_of_cores_are_enough() -> None:
    """Of a cache whose cores are all broken a guest that takes single CPUs still has what it needs."""
    there = [pinned("x", 1, "0,2,4,6,8,10"), pinned("y", 1, "12-23")]
    need = replace(NEED, vcpus=6)
    assert sets(plan(TWO, [need], there)) == {"a": "1,3,5,7,9,11"}
    # Whole cores are left to those who have to have them.
    four = [replace(NEED, name="n", vcpus=2), replace(OWN, name="w", vcpus=2, smt="require")]
    there = [pinned("x", 1, "0,2"), pinned("y", 1, "6-23")]
    found = plan(TWO, four, there)
    assert sets(found) == {"n": "1,3", "w": "4-5"} and not found.rejections
    # Three in one cache break one core, and it is told from all of them what they leave.
    many = [replace(NEED, name=f"n{at}", vcpus=1) for at in range(3)]
    found = plan(
        TWO, [*many, replace(OWN, name="w", vcpus=2, smt="require")], [pinned("x", 1, "0"), pinned("y", 1, "6-23")]
    )
    assert not found.rejections
    # And one that may be anywhere does not take what a bound one is still to get.
    both = [replace(NEED, name="n", vcpus=3), replace(OWN, name="o", vcpus=2)]
    there = [pinned("x", 1, "0-7"), pinned("y", 1, "12-21,23")]
    found = plan(TWO, both, there)
    assert sets(found) == {"n": "8-10", "o": "11,22"}


def test_fewest() -> None:
    assert fewest([3, 5, 4], 4) == [2]
    assert fewest([3, 5, 4], 9) == [1, 2]
    assert fewest([6, 5, 5], 10) == [1, 2]
    assert fewest([1, 0, 2], 9) == [2, 0]
    assert fewest([1, 2], 0) == []


def test_room_of_a_cache() -> None:
    cache = Cache(2, 1)
    assert [cache.room(kind, 2, 9) for kind in (PREFER, REQUIRE, ISOLATE)] == [5, 4, 2]
    assert cache.room(PREFER, 2, 1) == 3
    assert Cache(2, 0).room(REQUIRE, 1, 9) == 0
    asked = cache._replace(asked=2)
    assert [asked.room(kind, 2, 9) for kind in (PREFER, REQUIRE, ISOLATE)] == [3, 2, 1]


@settings(max_examples=examples(60))
@given(cases())
def test_what_is_preferred_keeps_nobody_out(case: Case) -> None:
    it, requests, rules = case
    requests = [replace(each, cache="ignore") for each in requests]
    without = plan(it, requests, rules=rules)
    found = plan(it, [replace(each, cache="prefer") for each in requests], rules=rules)
    assert [(each.name, each.cells, each.memory) for each in found.placements] == [
        (each.name, each.cells, each.memory) for each in without.placements
    ]
    assert [each.name for each in found.rejections] == [each.name for each in without.rejections]


@settings(max_examples=examples(100))
@given(
    st.integers(1, 3),
    st.integers(1, 8),
    st.sampled_from(("prefer", "require", "isolate")),
    st.sets(st.integers(0, 15), max_size=15),
)
def test_one_guest_has_a_place_where_a_cache_has_room(caches: int, vcpus: int, smt: str, taken: set[int]) -> None:
    it = host(1, 8, 2, 16, caches=caches)
    request = replace(NEED, vcpus=vcpus, smt=smt)
    there = [Existing("x", (cpus(",".join(map(str, taken))),), GIB)] if taken else []
    rooms = []
    for bank in it.caches:
        free = set(bank.cpus) - taken
        whole = sum(set(core.cpus) <= free for core in it.cells[0].cores)
        rooms.append({"prefer": len(free), "require": 2 * whole, "isolate": whole}[smt])
    found = plan(it, [request], there, options=Options(partial=True))
    assert bool(found.placements) == (max(rooms) >= vcpus)
    if found.placements:
        used = found.placements[0].cpuset
        assert caches_of_cells(it, used) == [1] and not set(used) & taken


@settings(max_examples=examples(60))
@given(cases())
def test_no_guest_alone_is_in_more_caches_than_need_be(case: Case) -> None:
    it, requests, rules = case
    capacity = Capacity(it, rules)
    for request in requests:
        if not request.owns_cpus or request.cache != "prefer":
            continue
        found = plan(it, [request], rules=rules, options=Options(partial=True))
        for each in found.placements:
            for cell, used in enumerate(caches_used(capacity, each.owned.mask)):
                cores = [core for core in capacity.cores[cell] if core & each.owned.mask]
                sizes = sorted((_whole(capacity, cell, at) for at in range(len(capacity.caches[cell]))), reverse=True)
                most = next((n for n in range(len(sizes) + 1) if sum(sizes[:n]) >= len(cores)), len(sizes))
                assert len(used) <= max(most, 1) or sum(sizes) < len(cores)


def _whole(capacity: Capacity, cell: int, cache: int) -> int:
    free = capacity.caches[cell][cache] & capacity.own[cell]
    threads = capacity.threads[cell]
    return sum(not core & ~free and bin(core).count("1") == threads for core in capacity.cores[cell] if core & free)


def test_many_caches_are_no_trouble() -> None:
    it = host(2, 128, 2, 1024, caches=16)
    requests = [replace(OWN, name=f"g{at:03}", vcpus=4, cache=("prefer", "require")[at % 2]) for at in range(100)]
    found = plan(it, requests, rules=Rules(reserved_cpus=cpus("0")))
    assert not found.rejections
    assert all(caches_of_cells(it, each.cpuset) == [1] for each in found.placements)
