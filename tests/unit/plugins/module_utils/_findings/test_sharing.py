# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests in each other's way. The host: cells 0 and 1 with CPUs 0-7 and 8-15, threads 0-1, 2-3, …"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._findings.facts import GuestFacts
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import finding_as_result
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent
from ansible_collections.numa.virt.plugins.module_utils._values.topology import CpuPool, KernelCpus
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import (
    codes,
    cpus,
    found,
    guest,
    host,
    only,
    policy,
)

HOST = host()
SMT4 = host(2, cores=2, threads=4)


def dedicated(name: str, *pins: str, running: bool = True, **options: object) -> GuestFacts:
    """One that the policy placed; what it was asked for is kept, its region is not."""
    emulator = options.pop("pinned_emulator", None)
    parts = {"vcpus": len(pins), "pins": pins, "emulator": emulator, "running": running}
    return guest(name, intent=policy("dedicated", **options), **parts)


# --- cpu_dedicated_twice ---------------------------------------------------------------------------------------------


def test_one_cpu_for_two() -> None:
    one = only(HOST, dedicated("b", "2", "3"), dedicated("a", "3", "4"))
    assert one == {
        "code": "cpu_dedicated_twice",
        "severity": "error",
        "domain": "a",
        "others": ["b"],
        "cells": [0],
        "cpus": "3",
        "numbers": {"cpus": 1, "guests": 2, "running": 2},
        "message": "CPU 3 belongs to this guest alone, and to b as well",
        "fix": "live",
        "remedy": one["remedy"],
    }
    assert "numa_placement" in one["remedy"] and "vcpu_pin" in one["remedy"]


def test_guests_with_the_same_cpus_are_found_once() -> None:
    first, second = found(HOST, *(dedicated(name, "2", "3") for name in "cab"), dedicated("d", "2", "5"))
    assert (first.domain, first.others, str(first.cpus)) == ("a", ("b", "c"), "3")
    assert (second.domain, second.others, str(second.cpus)) == ("a", ("b", "c", "d"), "2")


def test_guests_that_do_not_run_at_once() -> None:
    one = only(HOST, dedicated("a", "2"), dedicated("b", "2", running=False))
    assert (one["severity"], one["numbers"]["running"]) == ("warning", 1)
    assert one["message"].endswith("; they do not run at once now")
    off = [dedicated(name, "2", running=False) for name in "ab"]
    assert only(HOST, *off)["fix"] == "redefine"


def test_pins_by_hand_dedicate_too() -> None:
    assert codes(HOST, guest("a", pins=["2", "3"]), guest("b", pins=["3", "4"])) == ["cpu_dedicated_twice"]
    assert codes(HOST, guest("a", pins=["2", "3"]), dedicated("b", "3")) == ["cpu_dedicated_twice"]


@pytest.mark.parametrize(
    "parts",
    [
        {"pins": ["2", "2"]},  # two vCPUs on one CPU
        {"pins": ["2", "3-4"]},
        {"pins": ["2"]},  # one vCPU may run anywhere
        {"pins": ["2"], "cpuset": "3"},  # the other is on a CPU set that has one CPU
        {"vcpus": 1, "cpuset": "2"},  # a CPU set is no pin
        {"vcpus": 1, "cpuset": "2", "intent": policy("pack")},
        {"vcpus": 1, "pins": ["2"], "intent": policy("pack")},  # the policy gave it to all
        {"automatic": True, "running": False},
    ],
)
def test_what_is_not_dedicated(parts: dict[str, object]) -> None:
    guests = [guest(name, gib=1, **parts) for name in "ab"]
    assert "cpu_dedicated_twice" not in codes(HOST, *guests)


def test_other_cpus_are_nobodys_business() -> None:
    assert codes(HOST, dedicated("a", "2", "3"), dedicated("b", "4", "5"), guest("c", pins=["6", "7"])) == []


def test_where_the_threads_are_decides() -> None:
    moved = guest("b", pins=["3"], vcpus=1, source="hypervisor", real={0: "5"})
    assert codes(HOST, dedicated("a", "3"), moved) == ["threads_differ"]
    there = guest("b", pins=["5"], vcpus=1, source="hypervisor", real={0: "3"})
    assert codes(HOST, dedicated("a", "3"), there) == ["cpu_dedicated_twice", "threads_differ"]


def test_on_xen_a_pin_that_repeats_the_cpu_set_is_none() -> None:
    one = guest("a", vcpus=1, cpuset="2", pins=["2"])
    assert codes(HOST, one, guest("b", vcpus=1, pins=["2"]), driver="xen") == []
    assert codes(HOST, *(guest(name, vcpus=1, pins=["2"]) for name in "ab"), driver="xen") == ["cpu_dedicated_twice"]


def test_an_isolated_emulator_has_its_cpu_alone() -> None:
    one = dedicated("a", "2", "3", emulator="isolate", pinned_emulator="4")
    assert only(HOST, one, dedicated("b", "4", "5"))["cpus"] == "4"
    # It is not isolated any more: then it is a guest like others.
    shared = dedicated("a", "2", "3", emulator="isolate", pinned_emulator="2")
    assert codes(HOST, shared, dedicated("b", "4", "5")) == []
    assert codes(HOST, shared, dedicated("b", "3")) == ["dedicated_shared"]


def test_xens_own_domain_is_no_guest() -> None:
    control = guest("Domain-0", pins=["2", "3"])
    assert codes(HOST, control, dedicated("a", "3"), driver="xen") == []
    assert codes(HOST, control, dedicated("a", "3"), driver="xl") == []
    assert codes(HOST, control, dedicated("a", "3"), driver="qemu") == ["cpu_dedicated_twice"]


# --- sibling_shared --------------------------------------------------------------------------------------------------


def test_a_sibling_that_was_to_stay_idle() -> None:
    one = only(HOST, dedicated("a", "2", smt="isolate"), guest("b", cpuset="3,5"), guest("c", cpuset="3-4"))
    assert (one["code"], one["severity"], one["domain"], one["others"]) == (
        "sibling_shared",
        "warning",
        "a",
        ["b", "c"],
    )
    assert (one["cells"], one["cpus"], one["numbers"]) == ([0], "3", {"cpus": 1, "guests": 2})
    assert one["message"] == "CPU 3 is a sibling of CPUs that this guest has alone, and b, c may run there"


@pytest.mark.parametrize("smt", ["require", "isolate"])
def test_a_sibling_that_another_has_alone(smt: str) -> None:
    one = only(HOST, dedicated("b", "2", smt=smt), dedicated("a", "3"))
    assert (one["domain"], one["others"], one["cpus"]) == ("b", ["a"], "3")


def test_a_policy_that_agreed_to_share_cores() -> None:
    assert codes(HOST, dedicated("a", "2"), dedicated("b", "3"), guest("c", cpuset="4-7")) == []
    assert codes(HOST, dedicated("a", "2"), guest("c", cpuset="3-7")) == []


def test_pins_by_hand_on_one_core() -> None:
    """A list of CPUs that was taken for one of cores."""
    one = only(HOST, guest("a", pins=["0", "2"]), guest("b", pins=["1", "3"]))
    assert (one["domain"], one["others"], one["cpus"]) == ("a", ["b"], "1,3")
    assert "are siblings" in one["message"]
    # Who shares is nobody's rival: pins alone promise nothing.
    assert codes(HOST, guest("a", pins=["0", "2"]), guest("b", cpuset="0-7")) == []


def test_cpus_that_are_given_twice_are_said_once() -> None:
    assert codes(HOST, guest("a", pins=["0", "2"]), guest("b", pins=["0", "2"])) == ["cpu_dedicated_twice"]


def test_threads_of_ones_own_core() -> None:
    assert codes(HOST, dedicated("a", "0", "1", smt="require"), dedicated("b", "2", "3", smt="require")) == []
    assert codes(HOST, guest("a", pins=["0", "1"])) == []


def test_four_threads() -> None:
    one = only(SMT4, dedicated("a", "0", "1", "2", smt="require"), guest("b", cpuset="3-7"))
    assert (one["code"], one["cpus"]) == ("sibling_shared", "3")
    by_hand = [guest("a", pins=["0"], vcpus=1), guest("d", pins=["5"], vcpus=1)]
    first, second = found(SMT4, *by_hand, dedicated("b", "1"), dedicated("c", "4"))
    assert (first.domain, first.others, second.domain, second.others) == ("a", ("b",), "d", ("c",))


def test_an_offline_sibling_disturbs_nobody() -> None:
    it = HOST.with_cpu_map([cpu != 3 for cpu in range(16)])
    assert codes(it, dedicated("a", "2", smt="isolate"), guest("b", cpuset="3,5")) == ["cpu_offline"]


def test_siblings_of_guests_that_do_not_run() -> None:
    off = guest("b", cpuset="3,5", running=False)
    assert only(HOST, dedicated("a", "2", smt="isolate"), off)["severity"] == "info"


# --- dedicated_shared ------------------------------------------------------------------------------------------------


def test_a_dedicated_cpu_that_others_may_use() -> None:
    one = only(HOST, dedicated("a", "2", "3"), guest("b", cpuset="3-7"), guest("c", cpuset="2-7"))
    assert (one["code"], one["severity"], one["domain"], one["others"]) == (
        "dedicated_shared",
        "error",
        "a",
        ["b", "c"],
    )
    assert (one["cells"], one["cpus"], one["fix"]) == ([0], "2-3", "live")
    assert one["message"] == "CPUs 2-3 belong to this guest alone, and b, c may run there"
    off = guest("b", cpuset="3-7", running=False)
    one = only(HOST, dedicated("a", "2", "3"), off)
    assert (one["severity"], one["fix"]) == ("warning", "redefine")


def test_pins_by_hand_promise_nothing() -> None:
    assert codes(HOST, guest("a", pins=["2", "3"]), guest("b", cpuset="0-7")) == []
    assert codes(HOST, dedicated("a", "2", "3"), guest("b", cpuset="4-7")) == []


# --- dedicated_on_reserved -------------------------------------------------------------------------------------------


def test_dedicated_on_reserved() -> None:
    rules = Rules(reserved_cpus=CpuSet([0, 1]))
    one = only(HOST, dedicated("a", "1", "2"), rules=rules)
    assert (one["code"], one["severity"], one["cpus"], one["fix"]) == ("dedicated_on_reserved", "warning", "1", "live")
    assert only(HOST, guest("a", pins=["1", "2"], running=False), rules=rules)["fix"] == "redefine"
    assert codes(HOST, dedicated("a", "2", "3"), guest("b", cpuset="0-1"), rules=rules) == []
    assert codes(HOST, dedicated("a", "1", "2")) == []


# --- unrestricted_beside_dedicated -----------------------------------------------------------------------------------


def test_a_guest_that_may_run_on_dedicated_cpus() -> None:
    one = only(HOST, dedicated("a", "2", "3"), guest("free"))
    assert (one["code"], one["severity"], one["domain"], one["others"]) == (
        "unrestricted_beside_dedicated",
        "warning",
        "free",
        ["a"],
    )
    assert (one["cpus"], one["cells"], one["fix"]) == ("2-3", [0], "live")
    assert one["message"] == "nothing in its definition keeps it off CPUs 2-3, which a has alone"
    assert only(HOST, dedicated("a", "2"), guest("b", running=False))["severity"] == "info"
    assert only(HOST, guest("a", pins=["2", "3"]), guest("b"))["severity"] == "info"  # nothing was promised


@pytest.mark.parametrize(
    "parts",
    [
        {"cpuset": "8-15"},
        {"source": "hypervisor", "real": {0: "4-15", 1: "4-15"}},  # a slice keeps it off
        {"automatic": True},
    ],
)
def test_guests_that_do_not(parts: dict[str, object]) -> None:
    assert codes(HOST, dedicated("a", "2", "3"), guest("b", **parts)) == []


def test_a_slice_is_no_place() -> None:
    """machine.slice keeps all guests off the host's own CPUs, and nobody has placed this one for that."""
    sliced = {"source": "hypervisor", "real": {0: "1-15", 1: "1-15"}}
    assert codes(HOST, guest("b", **sliced)) == []
    assert codes(HOST, dedicated("a", "2"), guest("b", **sliced)) == ["unrestricted_beside_dedicated"]


def test_a_cpu_set_of_everything_is_no_restriction() -> None:
    assert codes(HOST, dedicated("a", "2"), guest("b", cpuset="0-15")) == ["unrestricted_beside_dedicated"]
    assert codes(HOST, dedicated("a", "2"), guest("b", pins=["8"])) == ["unrestricted_beside_dedicated"]
    assert codes(HOST, guest("a", cpuset="2-3"), guest("b")) == []


def test_a_dedicated_guest_may_have_all_cpus() -> None:
    small = host(1, cores=2)
    assert codes(small, dedicated("a", "0", "1", "2", "3")) == []
    everything = {"cpuset": "0-3", "memory": "strict 0", "intent": Intent(cpuset=cpus("0-3"))}
    assert codes(small, dedicated("a", "0"), guest("b", **everything)) == ["dedicated_shared"]


def test_a_cpupool_of_its_own() -> None:
    pools = [CpuPool("Pool-0", CpuSet(range(8))), CpuPool("p1", CpuSet(range(8, 16)))]
    it = HOST.with_pools(pools)
    ours = guest("a", pins=["2", "3"], pool="Pool-0")
    assert codes(it, ours, guest("b", pool="p1"), driver="xl") == []
    one = only(it, ours, guest("b", pool="Pool-0"), guest("c", pins=["9", "10"], pool="p1"), driver="xl")
    assert (one["domain"], one["others"]) == ("b", ["a"])


# --- cell_overcommitted ----------------------------------------------------------------------------------------------


def test_too_many_for_a_cell() -> None:
    one = only(HOST, guest("a", vcpus=5, cpuset="0-7"), guest("b", vcpus=4, cpuset="0-3"))
    assert (one["code"], one["severity"], one["domain"], one["others"]) == (
        "cell_overcommitted",
        "warning",
        None,
        ["a", "b"],
    )
    assert (one["cells"], one["cpus"], one["fix"]) == ([0], "0-7", "restart")
    assert one["numbers"] == {"vcpus": 9, "cpus": 8, "cpus_due": 9.0}
    assert one["message"] == (
        "cell 0 has 8 CPUs for guests that share, and 9 vCPUs that may run nowhere else, for which 9 are due"
    )
    assert only(HOST, guest("a", vcpus=9, cpuset="0-7"), driver="test")["fix"] == "live"


def test_as_many_as_there_are() -> None:
    assert codes(HOST, guest("a", vcpus=4, cpuset="0-7"), guest("b", vcpus=4, cpuset="0-3")) == []


def test_the_ratio() -> None:
    full = guest("a", vcpus=16, cpuset="0-7")
    assert codes(HOST, full, rules=Rules(cpu_ratio=2.0)) == []
    assert codes(HOST, full, guest("b", vcpus=1, cpuset="0-7"), rules=Rules(cpu_ratio=2.0)) == ["cell_overcommitted"]
    own = guest("a", vcpus=16, cpuset="0-7", intent=policy("pack", cpu_ratio=2.0))
    assert codes(HOST, own) == []


@pytest.mark.parametrize(
    "parts",
    [
        {"running": False, "cpuset": "0-7"},
        {},
        {"cpuset": "0-7,15"},  # it may be elsewhere
        {"automatic": True},
        {"vcpus": 9, "current": 8, "cpuset": "0-7"},  # one is not there
    ],
)
def test_who_does_not_count(parts: dict[str, object]) -> None:
    results = codes(HOST, guest("a", **{"vcpus": 9, **parts}))
    assert "cell_overcommitted" not in results


def test_dedicated_cpus_are_not_for_sharing() -> None:
    four = dedicated("d", "0", "1", "2", "3")
    assert codes(HOST, four, guest("a", vcpus=4, cpuset="4-7")) == []
    assert codes(HOST, four, guest("a", vcpus=5, cpuset="4-7")) == ["cell_overcommitted"]
    rules = Rules(reserved_cpus=CpuSet([7]))
    assert codes(HOST, four, guest("a", vcpus=4, cpuset="4-7"), rules=rules) == ["cell_overcommitted"]


def test_a_host_with_one_cell_is_overcommitted_by_those_that_were_placed() -> None:
    one = host(1, cores=2)
    assert codes(one, *(guest(f"g{number}", vcpus=4) for number in range(3))) == []
    assert codes(one, guest("a", vcpus=5, cpuset="0-3")) == []  # the whole host
    assert codes(one, guest("a", vcpus=5, cpuset="0-2")) == ["cell_overcommitted"]


def test_names_stay_in_their_line() -> None:
    guests = [guest(f"we\nb{number}", pins=["2"], vcpus=1) for number in range(6)]
    one = only(HOST, *guests)
    assert one["message"] == "CPU 2 belongs to this guest alone, and to we\\nb1, we\\nb2, we\\nb3 and 2 more as well"
    assert len(one["others"]) == 5


def test_a_guest_without_any_definition_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="has no definition at all"):
        found(HOST, GuestFacts("a", None))


def test_many_guests_at_once_are_not_compared_in_pairs() -> None:
    it = host(4, cores=32)
    guests = [guest(f"g{number:04}", vcpus=1, pins=[str(number % 256)]) for number in range(512)]
    results = [finding_as_result(each) for each in found(it, *guests)]
    assert [each["code"] for each in results if each["severity"] == "error"] == ["cpu_dedicated_twice"] * 256


# --- isolated_shared -------------------------------------------------------------------------------------------------


ISOLATED = replace(HOST, kernel=KernelCpus(isolated=CpuSet(range(4, 8))))


def test_guests_that_share_isolated_cpus() -> None:
    one = only(ISOLATED, guest("a", cpuset="2-5"))
    assert one == {
        "code": "isolated_shared",
        "severity": "warning",
        "domain": "a",
        "others": [],
        "cells": [0],
        "cpus": "4-5",
        "numbers": {"cpus": 2},
        "message": (
            "its vCPUs run on CPUs 2-5, of which 4-5 are isolated: the kernel moves no thread between those by itself"
        ),
        "fix": "live",
        "remedy": one["remedy"],
    }
    assert "numa_placement" in one["remedy"] and "vcpu_pin" in one["remedy"]
    off = only(ISOLATED, guest("a", cpuset="2-5", running=False))
    assert (off["severity"], off["fix"]) == ("info", "redefine")


def test_one_vcpu_or_helper_is_enough() -> None:
    assert codes(ISOLATED, guest("a", cpuset="0-3", pins={1: "3-4"})) == ["isolated_shared"]
    emulator = only(ISOLATED, guest("a", cpuset="0-3", emulator="6-7"))
    assert emulator["message"].startswith("the emulator's threads run on CPUs 6-7, of which 6-7 are isolated")
    thread = only(ISOLATED, guest("a", cpuset="0-3", iothreads={1: "3-4"}))
    assert thread["message"].startswith("IO thread 1 runs on CPUs 3-4, of which 4 is isolated")
    # A guest that nothing holds, but for its emulator.
    assert codes(ISOLATED, guest("a", emulator="4-5")) == ["isolated_shared"]


@pytest.mark.parametrize(
    "guests",
    [
        [guest("a", cpuset="0-3")],
        [guest("a")],
        [guest("a", cpuset="0-3", pins={1: "4"})],
        [guest("a", cpuset="4")],
        [dedicated("a", "4", "5")],
        [guest("a", pins=["4", "5"])],
        [dedicated("a", "4", "5", pinned_emulator="6-7")],
        [guest("a", automatic=True, running=False)],
        [guest("a", cpuset="3,20")],
    ],
    ids=["beside", "free", "one vCPU on one", "one CPU", "dedicated", "by pins", "its emulator", "numad's", "missing"],
)
def test_guests_that_need_no_balance(guests: list[GuestFacts]) -> None:
    assert "isolated_shared" not in codes(ISOLATED, *guests)


def test_isolated_cpus_that_are_shared_on_purpose() -> None:
    assert codes(ISOLATED, guest("a", cpuset="4-7"), rules=Rules(shared_cpus=CpuSet(range(8)))) == []
    assert codes(ISOLATED, guest("a", cpuset="3-6"), rules=Rules(shared_cpus=CpuSet(range(6)))) == ["isolated_shared"]
    assert codes(HOST, guest("a", cpuset="4-7")) == []


def test_isolated_cpus_are_no_room_for_guests_that_share() -> None:
    assert codes(ISOLATED, guest("a", vcpus=5, cpuset="0-3")) == ["cell_overcommitted"]
    assert codes(ISOLATED, guest("a", vcpus=4, cpuset="0-3"), guest("rt", vcpus=4, pins=["4", "5", "6", "7"])) == []
    # Who may use them has them.
    assert codes(ISOLATED, guest("a", vcpus=8, cpuset="0-7")) == ["isolated_shared"]
