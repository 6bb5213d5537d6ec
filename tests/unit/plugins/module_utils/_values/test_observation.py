# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of misplacement is found and named, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import misplaced
from ansible_collections.numa.virt.plugins.module_utils._node.processes import memory, thread, threads
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.observation import (
    HYPERVISOR,
    PROC,
    Memory,
    Misplaced,
    Observation,
    observation_as_result,
    observation_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MemoryBinding, Placement

RECORDED = str(Path(__file__).resolve().parents[3] / "fixtures" / "proc")


def cpus(text):
    return CpuSet.parse(text)


def on(mode, nodeset):
    return MemoryBinding(mode, cpus(nodeset))


#: A guest of two vCPUs and one IO thread on cell 1 (CPUs 4-7).
PLACEMENT = Placement(cpus("4-7"), ((0, cpus("4")), (1, cpus("5"))), cpus("6"), ((1, cpus("7")),), on("strict", "1"))


def _threads(mems="1", **changes):
    names = {"main": (10, "qemu-system-x86", "6"), "io": (11, "IO iothread1", "7")}
    names.update(vcpu0=(12, "CPU 0/KVM", "4"), vcpu1=(13, "CPU 1/KVM", "5"))
    return [
        thread(tid, name, cpus(changes.get(key, where)), cpus(mems) if mems else CpuSet())
        for key, (tid, name, where) in names.items()
    ]


PAGES = Memory(((1, 32768),), "bind:1")


def test_in_place():
    assert misplaced(PLACEMENT, observation_of(_threads(), PAGES)) == []
    assert misplaced(Placement(), observation_of(_threads("0-3"), Memory(((0, 1), (3, 9)), "default"))) == []


@pytest.mark.parametrize(("pid", "cell", "where"), [(656, "0", "0-1"), (700, "1", "2-3")])
def test_recorded_guests_are_where_they_were_placed_and_not_elsewhere(pid, cell, where):
    seen = observation_of(threads(pid, RECORDED), memory(pid, RECORDED))
    own = Placement(cpus(where), memory=on("strict", cell))
    assert misplaced(own, seen) == []
    other = misplaced(Placement(cpus("6-7"), memory=on("strict", "3")), seen)
    assert len(other) == 6 + 2  # every thread, the policy and the pages of the one cell


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vcpu0": "5"}, "vCPU 0 (thread 12) may use CPUs 5 instead of CPUs 4"),
        ({"vcpu1": "5-6"}, "vCPU 1 (thread 13) may use CPUs 5-6 instead of CPUs 5"),
        ({"main": "4-7"}, "emulator thread 'qemu-system-x86' (thread 10) may use CPUs 4-7 instead of CPUs 6"),
        ({"io": "0"}, "IO thread 1 (thread 11) may use CPUs 0 instead of CPUs 7"),
        ({"mems": "0-3"}, None),  # the process's policy binds it
    ],
)
def test_one_thing_elsewhere(changes, said):
    found = misplaced(PLACEMENT, observation_of(_threads(**changes), PAGES))
    assert [str(each) for each in found] == ([said] if said else [])


def test_threads_without_a_pin_follow_the_cpu_set():
    placement = Placement(cpus("4-7"))
    assert misplaced(placement, observation_of(_threads(), None)) == []
    found = misplaced(placement, observation_of(_threads(vcpu0="3", main="3", io="3"), None))
    assert [(each.expected, each.found) for each in found] == [("CPUs 4-7", "CPUs 3")] * 3
    assert [each.who for each in found] == [
        "vCPU 0 (thread 12)",
        "emulator thread 'qemu-system-x86' (thread 10)",
        "IO thread 1 (thread 11)",
    ]


def test_a_narrower_set_is_inside():
    """An offline CPU, or a cgroup of the administrator."""
    assert misplaced(Placement(cpus("0-15")), observation_of(_threads(), None)) == []


def test_automatic_cpus_are_numads_business_and_pins_are_not():
    automatic = Placement(vcpu_pins=((0, cpus("2")),), automatic=True, memory=MemoryBinding("strict", CpuSet(), True))
    found = misplaced(automatic, observation_of(_threads(mems="0-3"), Memory(((0, 4), (1, 4)), "bind:0-1")))
    assert [str(each) for each in found] == ["vCPU 0 (thread 12) may use CPUs 4 instead of CPUs 2"]


# --- memory

ELSEWHERE = Memory(((0, 8), (1, 32768), (2, 0)), "bind:0-1")


@pytest.mark.parametrize("mode", ["strict", "restrictive"])
def test_memory_that_is_bound_elsewhere(mode):
    placement = replace(PLACEMENT, memory=on(mode, "1"))
    found = misplaced(placement, observation_of(_threads(), ELSEWHERE))
    assert found == [
        Misplaced("the guest's memory", "cells 1", "cells 0-1"),
        Misplaced("the guest's memory", "cells 1", "cell 0 (8 KiB)"),
    ]


@pytest.mark.parametrize("mode", ["preferred", "interleave"])
def test_modes_that_do_not_bind_are_never_misplaced(mode):
    placement = replace(PLACEMENT, memory=on(mode, "1"))
    assert misplaced(placement, observation_of(_threads("0-3"), ELSEWHERE)) == []


def test_memory_that_is_not_bound_at_all():
    placement = replace(PLACEMENT, memory=None)
    assert misplaced(placement, observation_of(_threads("0-3"), ELSEWHERE)) == []


@pytest.mark.parametrize("pages", [None, Memory(((1, 4),), "default"), Memory(((1, 4),), "prefer:1")])
def test_cgroups_alone_bind_where_no_policy_does(pages):
    assert misplaced(PLACEMENT, observation_of(_threads(), pages)) == []
    found = misplaced(PLACEMENT, observation_of(_threads("0-1"), pages))
    assert [str(each) for each in found] == [
        f"thread {name!r} ({tid}) may use memory of cells 0-1 instead of memory of cells 1"
        for tid, name in ((10, "qemu-system-x86"), (11, "IO iothread1"), (12, "CPU 0/KVM"), (13, "CPU 1/KVM"))
    ]


@pytest.mark.parametrize("policy", ["bind:1", "bind=static:1"])
def test_without_cgroups_a_policy_binds_alone(policy):
    """An unprivileged daemon: every thread may take memory anywhere, but for the policy of the process."""
    assert misplaced(PLACEMENT, observation_of(_threads("0-3"), Memory(((1, 4),), policy))) == []
    found = misplaced(PLACEMENT, observation_of(_threads("0-3"), Memory(((3, 4),), policy.replace("1", "3"))))
    assert [each.found for each in found] == ["cells 3", "cell 3 (4 KiB)"]


@pytest.mark.parametrize("policy", ["default", "local", "prefer:3", "interleave:0-3", "bind", "bind:"])
def test_other_policies_bind_nothing(policy):
    found = misplaced(PLACEMENT, observation_of(_threads("0-3"), Memory(((1, 4),), policy)))
    assert len(found) == 4


def test_pages_elsewhere_under_a_policy_that_is_right():
    """Touched before the policy was there."""
    found = misplaced(PLACEMENT, observation_of(_threads(), Memory(((0, 4), (1, 4)), "bind:1")))
    assert [str(each) for each in found] == ["the guest's memory may use cell 0 (4 KiB) instead of cells 1"]


def test_a_kernel_that_says_no_cells():
    assert misplaced(PLACEMENT, observation_of(_threads(""), None)) == []


def test_cells_of_the_guest_add_up():
    placement = replace(PLACEMENT, memory=on("strict", "0"), memnodes=((0, on("strict", "0")), (1, on("strict", "2"))))
    pages = Memory(((0, 4), (2, 4)), "bind:2")
    assert misplaced(placement, observation_of(_threads("0,2"), pages)) == []
    assert len(misplaced(placement, observation_of(_threads("0,2"), replace(pages, kib=((1, 4),))))) == 1


def test_what_xen_says_is_of_vcpus_alone():
    seen = Observation(HYPERVISOR, ((0, cpus("4-7")), (1, cpus("0-15")), (2, cpus("0-15"))))
    placement = Placement(None, ((0, cpus("4-7")), (1, cpus("4-7"))), memory=on("strict", "1"))
    assert [str(each) for each in misplaced(placement, seen)] == ["vCPU 1 may use CPUs 0-15 instead of CPUs 4-7"]


def test_nothing_was_seen():
    assert misplaced(PLACEMENT, Observation(PROC, ())) == []
    assert observation_of((), None) == Observation(PROC, ())


# --- what is returned


def test_as_result():
    assert observation_as_result(None) is None
    assert observation_as_result(observation_of(_threads("0-1"), PAGES)) == {
        "source": "proc",
        "vcpus": {"0": "4", "1": "5"},
        "emulator": "6",
        "iothreads": {"1": "7"},
        "memory_cells": "0-1",
        "memory_policy": "bind:1",
        "memory": {"1": 32768},
    }
    assert observation_as_result(Observation(HYPERVISOR, ((1, cpus("3")), (10, cpus("0-2"))))) == {
        "source": "hypervisor",
        "vcpus": {"1": "3", "10": "0-2"},
        "emulator": None,
        "iothreads": {},
        "memory_cells": None,
        "memory_policy": None,
        "memory": None,
    }


def test_the_emulator_is_all_of_its_threads():
    names = ("qemu", "call_rcu", "kvm-nx-lpage-re")
    several = [thread(tid, name, cpus(str(tid)), cpus("0")) for tid, name in enumerate(names)]
    assert observation_as_result(observation_of(several, None))["emulator"] == "0-1"


@pytest.mark.parametrize("name", ["kvm-nx-lpage-re", "worker", "iou-wrk-11", "vhost-10"])
def test_a_thread_that_another_has_made_is_where_one_of_them_may_be(name):
    """Linux 6.12: a vCPU makes KVM's own thread, which no pin of the emulator reaches."""

    def found(where, placement=PLACEMENT):
        threads = [*_threads(), thread(14, name, cpus(where), cpus("1"))]
        return [str(each) for each in misplaced(placement, observation_of(threads, PAGES))]

    assert [found(where) for where in ("4", "5", "6", "7", "4-7")] == [[]] * 5
    assert found("3-4") == [f"helper thread {name!r} (thread 14) may use CPUs 3-4 instead of CPUs 4-7"]
    pinned = Placement(vcpu_pins=((0, cpus("4")), (1, cpus("5"))))
    assert found("0", pinned) == []


def test_vcpus_are_in_the_order_of_their_numbers():
    seen = observation_of([thread(9 - n, f"CPU {n}/KVM", cpus(str(n)), cpus("0")) for n in (2, 10, 0)], None)
    assert [vcpu for vcpu, _cpus in seen.vcpus] == [0, 2, 10]
