# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layers that disagree. The host: cells 0 and 1 with CPUs 0-7 and 8-15."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements.scheduler import Schedulers
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import GuestFacts
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import finding_as_result
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.observation import DEFINITION, PROC, Scheduler
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, MemoryIntent
from ansible_collections.numa.virt.plugins.module_utils._values.topology import CpuPool
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import (
    codes,
    cpus,
    found,
    guest,
    host,
    observed,
    only,
    policy,
    said,
)

HOST = host()


def drifted(name: str, config: dict[str, object], live: dict[str, object], intent: Intent | None = None) -> GuestFacts:
    return GuestFacts(name, said(name, **config), said(name, **live), intent=intent)  # type: ignore[arg-type]


def place(**parts: object) -> Intent:
    sets = {key: cpus(value) if isinstance(value, str) else value for key, value in parts.items()}
    return Intent(**sets)  # type: ignore[arg-type]


# --- intent_differs --------------------------------------------------------------------------------------------------


def test_a_definition_that_somebody_changed() -> None:
    intent = place(cells="1")
    assert codes(HOST, guest("a", running=False, intent=intent, cpuset="8-15", memory="strict 1")) == []
    # Its memory is where it was asked for; that its vCPUs are not is said once.
    assert codes(HOST, guest("a", running=False, intent=intent, cpuset="0-7", memory="strict 1")) == ["intent_differs"]


def test_cpus_that_were_changed() -> None:
    intent = place(cells="1")
    one = only(HOST, guest("a", running=False, intent=intent, cpuset="8-11", memory="strict 1"))
    assert (one["code"], one["severity"], one["fix"]) == ("intent_differs", "warning", "redefine")
    assert one["message"] == ("asked for was vCPU 0 on 8-15, and the definition says 8-11 (and 2 more differences)")
    assert one["numbers"] == {"differences": 3}


def test_memory_that_was_changed() -> None:
    intent = place(cells="1")
    one = only(HOST, guest("a", running=False, intent=intent, cpuset="8-15"))
    assert one["message"] == "asked for was memory strict on 1, and the definition says not bound"


def test_pins_that_were_changed() -> None:
    intent = place(cpuset="8-15", vcpu_pins=((0, CpuSet([8])),), memory=MemoryIntent("none"))
    assert codes(HOST, guest("a", running=False, intent=intent, cpuset="8-15", pins=["8"])) == []
    one = only(HOST, guest("a", running=False, intent=intent, cpuset="8-15", pins=["9"]))
    assert one["message"] == "asked for was vCPU 0 on 8, and the definition says 9"
    assert one["cpus"] == "9"


def test_pins_alone_say_nothing_of_the_rest() -> None:
    """What vcpu_pin keeps: numa_domain would bind such a guest, and nobody has asked it to."""
    intent = place(vcpu_pins=((0, CpuSet([2])), (1, CpuSet([4]))), emulator="5", iothread_pins=((1, CpuSet([6])),))
    parts = {"pins": ["2", "4"], "emulator": "5", "iothreads": {1: "6"}}
    assert codes(HOST, guest("a", running=False, intent=intent, **parts)) == []
    one = only(HOST, guest("a", running=False, intent=intent, **{**parts, "emulator": "7"}))
    assert one["message"] == "asked for was the emulator on 5, and the definition says 7"
    assert codes(HOST, guest("a", running=False, intent=place(vcpu_pins=((0, CpuSet([2])),)), pins=["2"])) == []


def test_an_intent_that_cannot_be_met_any_more() -> None:
    intent = place(cells="1", memory=MemoryIntent("strict"))
    one = only(HOST, guest("a", running=False, gib=17, intent=intent, cpuset="8-15", memory="strict 1"))
    assert one["message"].startswith("what was asked for cannot be met on this host now: cells: '1': the domain needs")


def test_nobody_asked() -> None:
    assert codes(HOST, guest("a", running=False, cpuset="8-11", memory="strict 1")) == []


def test_a_transient_guest_has_no_definition_that_could_differ() -> None:
    live = said("a", "8-11")
    assert codes(HOST, GuestFacts("a", None, live, intent=place(cells="1"))) == []


def test_what_a_planner_asked_for() -> None:
    intent = replace(place(cpuset="8-11"), policy='{"policy": "pack"}')
    one = only(HOST, guest("a", running=False, intent=intent, cpuset="8-15", memory="strict 1"))
    assert one["remedy"].startswith("run numa_placement for it again")


# --- live_differs ----------------------------------------------------------------------------------------------------


def test_a_running_guest_with_another_scheduler() -> None:
    it = drifted("a", {"cpuset": "8-15"}, {"cpuset": "8-15"})
    assert it.config is not None
    said = Schedulers(vcpus=((0, Scheduler("fifo", 1)),))
    it = replace(it, config=replace(it.config, placement=it.config.placement.with_knob("scheduler", said)))
    (one,) = [finding_as_result(each) for each in found(HOST, it) if each.code == "live_differs"]
    assert one["fix"] == "restart"
    assert one["message"] == ("its definition says vcpusched[@vcpus='0'] fifo 1, and the running guest has none")


def test_a_definition_with_another_scheduler_than_was_asked_for() -> None:
    said = Schedulers(vcpus=((0, Scheduler("fifo", 1)),))
    for asked in (place(cells="1", knobs=(("scheduler", said),)), place(knobs=(("scheduler", said),))):
        it = guest("a", running=False, intent=asked, cpuset="8-15", memory="strict 1")
        (one,) = [finding_as_result(each) for each in found(HOST, it) if each.code == "intent_differs"]
        assert "asked for was vcpusched[@vcpus='0'] fifo 1" in one["message"]


def test_a_running_guest_that_is_elsewhere() -> None:
    one = only(HOST, drifted("a", {"cpuset": "8-15"}, {"cpuset": "0-7"}))
    assert (one["code"], one["severity"], one["fix"]) == ("live_differs", "warning", "live")
    assert one["message"] == (
        "its definition says vCPU 0 on 8-15, and the running guest has 0-7 (and 2 more differences)"
    )
    assert one["cpus"] == "0-7"


@pytest.mark.parametrize(
    ("config", "live"),
    [
        ({"cpuset": "8-15"}, {"cpuset": "8-15", "pins": ["8-15", "8-15"]}),
        ({"cpuset": "8-15", "emulator": "8-15"}, {"cpuset": "8-15"}),
        ({}, {"cpuset": "0-15"}),
        ({}, {"pins": ["0-15"]}),
        ({"automatic": True, "memory": "strict auto"}, {"automatic": True, "memory": "strict auto"}),
        # Another number of vCPUs or IO threads is no other place.
        ({"cpuset": "0-7", "vcpus": 4}, {"cpuset": "0-7", "vcpus": 2}),
        ({"cpuset": "0-7", "vcpus": 4, "current": 1}, {"cpuset": "0-7", "vcpus": 4, "pins": {1: "3"}}),
        ({"cpuset": "0-7", "iothreads": {1: ""}}, {"cpuset": "0-7", "iothreads": {1: "", 2: "3"}}),
    ],
)
def test_two_ways_to_say_one_thing(config: dict[str, object], live: dict[str, object]) -> None:
    assert codes(HOST, drifted("a", config, live)) == []


def test_an_offline_cpu_is_no_difference() -> None:
    it = HOST.with_cpu_map([cpu != 3 for cpu in range(16)])
    assert codes(it, drifted("a", {"cpuset": "0-3"}, {"cpuset": "0-2"})) == ["cpu_offline"]
    assert codes(it, drifted("a", {"pins": ["3", "0"]}, {"pins": ["2", "0"]})) == ["cpu_offline", "live_differs"]


def test_numad_chooses_after_the_next_start() -> None:
    one = only(HOST, drifted("a", {"automatic": True}, {"cpuset": "0-7"}))
    assert one["message"].startswith("its definition says vCPU 0 on CPUs that numad chooses, and the running guest has")


@pytest.mark.parametrize(
    ("config", "live", "driver", "fix"),
    [
        ("strict 1", "strict 0", "qemu", "restart"),
        ("restrictive 1", "restrictive 0", "qemu", "live"),
        ("restrictive 1", "strict 1", "qemu", "restart"),
        ("strict 1", None, "qemu", "restart"),
        ("strict 1", "strict auto", "qemu", "restart"),
        ("strict 1", "strict 0", "test", "live"),
    ],
)
def test_what_it_takes_where_memory_differs(config: str, live: str | None, driver: str, fix: str) -> None:
    drift = drifted("a", {"memory": config}, {"memory": live})
    results = [finding_as_result(each) for each in found(HOST, drift, driver=driver)]
    (one,) = [each for each in results if each["code"] == "live_differs"]
    assert one["fix"] == fix
    assert ("restart=allowed" in one["remedy"]) == (fix == "restart")


def test_cells_of_the_guest() -> None:
    one = only(HOST, drifted("a", {"memnodes": {0: "strict 1"}}, {"memnodes": {1: "strict 0"}}))
    assert one["fix"] == "restart"
    assert one["message"] == (
        "its definition says memory of the guest's cell 0 strict on 1, and the running guest has not bound (and 1 more "
        "difference)"
    )


def test_io_threads() -> None:
    parts = {"cpuset": "0-7"}
    drift = drifted("a", {**parts, "iothreads": {1: "2"}}, {**parts, "iothreads": {1: "3"}})
    one = only(HOST, drift)
    assert (one["fix"], one["message"]) == (
        "live",
        "its definition says IO thread 1 on 2, and the running guest has 3",
    )
    assert only(HOST, drift, driver="test")["fix"] == "restart"


def test_on_xen_only_pins_count() -> None:
    assert codes(HOST, drifted("a", {"cpuset": "0-7", "pins": ["0-7"] * 2}, {"pins": ["0-7"] * 2}), driver="xen") == []
    assert codes(HOST, drifted("a", {"memory": "strict 1"}, {}), driver="xen") == []
    one = only(HOST, drifted("a", {"pins": ["0", "0-7"]}, {"pins": ["1", "0-7"]}), driver="xen")
    assert (one["fix"], one["cpus"]) == ("live", "1")
    one = only(HOST, drifted("a", {"pins": ["0", "0"]}, {"pins": ["8", "8"]}), driver="xen")
    assert one["fix"] == "restart"  # its memory came with the pins


def test_who_mends_a_guest_that_a_policy_placed() -> None:
    intent = replace(place(cpuset="8-15"), policy='{"policy": "pack"}')
    drift = drifted("a", {"cpuset": "8-15", "memory": "strict 1"}, {"cpuset": "8-11", "memory": "strict 1"}, intent)
    assert only(HOST, drift)["remedy"].startswith("run numa_placement for it, which applies")


# --- threads_differ --------------------------------------------------------------------------------------------------


def test_a_thread_that_somebody_moved() -> None:
    one = only(HOST, guest("a", source="hypervisor", real={1: "4"}, cpuset="0-3"))
    assert (one["code"], one["severity"], one["fix"], one["cpus"]) == ("threads_differ", "warning", "live", "4")
    assert one["message"] == "by its live definition it is vCPU 1 on 0-3, and its threads may use 4"
    assert one["numbers"] == {"threads": 1}


def test_a_thread_that_is_held_tighter_than_it_should_be() -> None:
    one = only(HOST, guest("a", source="hypervisor", real={1: "2-3"}, cpuset="0-3"))
    assert (one["code"], one["cpus"]) == ("threads_differ", None)


@pytest.mark.parametrize("source", ["proc", "hypervisor"])
def test_threads_where_they_should_be(source: str) -> None:
    assert codes(HOST, guest("a", source=source, cpuset="0-3", pins=["0"])) == []
    # Nothing holds an unrestricted guest, whatever its cgroup does; nor one that numad places.
    assert codes(HOST, guest("a", source=source, real={0: "0-3", 1: "0-3"})) == []
    assert codes(HOST, guest("a", source=source, real={0: "0-3", 1: "0-3"}, automatic=True)) == []


def test_the_test_driver_knows_no_reality() -> None:
    assert codes(HOST, guest("a", source="definition", real={1: "4"}, cpuset="0-3"), driver="test") == []


def test_an_offline_cpu_is_no_stray() -> None:
    it = HOST.with_cpu_map([cpu != 3 for cpu in range(16)])
    assert codes(it, guest("a", source=PROC, real={0: "0-2", 1: "0-2"}, cpuset="0-3")) == ["cpu_offline"]
    # The kernel lets a thread whose CPUs are all gone run anywhere.
    assert codes(it, guest("a", source=PROC, real={0: "0-2,4-15"}, cpuset="0-7", pins=["3"])) == ["cpu_offline"]


def test_helpers_on_fewer_cpus_are_not_what_vcpu_pin_would_pin() -> None:
    parts = {"source": PROC, "cpuset": "0-7", "emulator": "0-3"}
    for threads, by_hand in (
        ([("qemu-system-x86", "0")], True),
        ([("qemu-system-x86", "0"), ("vnc_worker", "0-4")], False),
        ([("qemu-system-x86", "0-15")], False),
    ):
        one = only(HOST, guest("a", threads=threads, **parts))
        assert ("virsh emulatorpin" in one["remedy"], "vcpu_pin" in one["remedy"]) == (by_hand, not by_hand)


@pytest.mark.parametrize("name", ["qemu-system-x86", "kvm", "call_rcu", "IO mon_iothread", "vnc_worker"])
def test_threads_of_the_emulator(name: str) -> None:
    parts = {"source": PROC, "cpuset": "0-7", "emulator": "0"}
    assert codes(HOST, guest("a", threads=[(name, "0")], **parts)) == []
    one = only(HOST, guest("a", threads=[(name, "1")], **parts))
    assert one["message"] == "by its live definition it is the emulator's thread 200 on 0, and its threads may use 1"


@pytest.mark.parametrize("name", ["worker", "TC tc-ram-node0", "iou-wrk-1234", "kvm-nx-lpage-re", "vhost-1234"])
def test_threads_that_take_the_place_of_their_maker(name: str) -> None:
    parts = {"source": PROC, "cpuset": "0-7", "emulator": "0"}
    assert codes(HOST, guest("a", threads=[(name, "1")], **parts)) == []


def test_threads_for_io() -> None:
    parts = {"source": PROC, "cpuset": "0-7", "iothreads": {1: "2"}}
    assert codes(HOST, guest("a", threads=[("IO iothread1", "2")], **parts)) == []
    one = only(HOST, guest("a", threads=[("IO iothread1", "3")], **parts))
    assert one["message"].startswith("by its live definition it is IO thread 1 on 2,")


# --- cpuset_ignored --------------------------------------------------------------------------------------------------


def test_a_cpu_set_that_xen_ignores() -> None:
    one = only(HOST, guest("a", source="hypervisor", cpuset="8-15", real={0: "0-15", 1: "0-15"}), driver="xen")
    assert (one["code"], one["severity"], one["fix"]) == ("cpuset_ignored", "error", "restart")
    assert (one["cells"], one["cpus"], one["numbers"]) == ([1], "8-15", {"vcpus": 2})
    assert one["message"].startswith("its definition has the CPU set 8-15, which Xen ignores: 2 of 2 vCPUs have no pin")
    assert only(HOST, guest("a", running=False, cpuset="8-15"), driver="xen")["fix"] == "redefine"
    transient = replace(guest("a", source="hypervisor", cpuset="8-15", real={0: "0-15", 1: "0-15"}), config=None)
    assert codes(HOST, transient, driver="xen") == ["cpuset_ignored"]


@pytest.mark.parametrize(
    "parts",
    [
        {"cpuset": "8-15", "pins": ["8-15", "8-15"]},
        {"cpuset": "0-15"},
        {},
        # libxl stores no pin of a vCPU that is not there yet.
        {"cpuset": "8-15", "pins": ["8-15"], "vcpus": 2, "current": 1},
    ],
)
def test_a_cpu_set_that_is_in_force(parts: dict[str, object]) -> None:
    assert codes(HOST, guest("a", running=False, **parts), driver="xen") == []


@pytest.mark.parametrize("driver", ["qemu", "test", "xl"])
def test_other_drivers_obey(driver: str) -> None:
    assert codes(HOST, guest("a", running=False, cpuset="8-15"), driver=driver) == []


def test_a_cpupool_is_no_restriction_of_its_own() -> None:
    it = HOST.with_pools([CpuPool("Pool-0", CpuSet(range(8))), CpuPool("other", CpuSet(range(8, 16)))])
    about = said("a", pool="other")
    real = observed(about, vcpus={0: "8-15", 1: "8-15"})
    assert codes(it, GuestFacts("a", about, about, real), driver="xl") == []
    gone = said("a", pool="gone")
    assert codes(it, GuestFacts("a", gone, gone, real), driver="xl") == []


def test_what_makes_an_ignored_set_hold() -> None:
    """What its policy has planned, the set alone, the set without a promise of memory, or another set."""
    parts: dict[str, object] = {"cpuset": "0-7", "running": False}
    (placed,) = found(HOST, guest("a", intent=policy("pack"), **parts), driver="xen")
    assert placed.remedy == "run numa_placement for it again, which writes a vcpupin for each vCPU"
    alone = only(HOST, guest("a", **parts), driver="xen")
    assert alone["remedy"] == "run numa_domain for it with cpuset=0-7, which writes a vcpupin for each vCPU"
    large = only(HOST, guest("a", gib=17, **parts), driver="xen")
    assert large["remedy"].startswith(
        "run numa_domain for it with cpuset=0-7, memory.mode=none: with its memory, cpuset:"
    )
    assert large["numbers"] == {"vcpus": 2, "refused": 1}
    gone = found(HOST, guest("a", cpuset="0,90", running=False), driver="xen")
    assert [each.remedy for each in gone if each.code == "cpuset_ignored"] == [
        "give it other CPUs with numa_domain: cpuset: '0,90': the host has no CPU 90; its CPUs are 0-15"
    ]


def test_a_definition_that_the_host_refuses() -> None:
    """To have it again is no remedy; where a user has asked for it, the role is told."""
    config, live = said("a", cpuset="0,90", memory="strict 0"), said("a", cpuset="0-7", memory="strict 0")
    seen = observed(live, DEFINITION)
    for intent, refused in ((None, {}), (Intent(vcpu_pins=((0, CpuSet([0])),)), {"refused": 1})):
        results = found(HOST, GuestFacts("a", config, live, seen, intent))
        (one,) = [each for each in results if each.code == "live_differs"]
        assert one.remedy.startswith("give it another place with numa_domain: that of its definition cannot be met")
        assert one.numbers == {"differences": one.numbers["differences"], **refused}


def test_numad_chooses_anew_at_a_start() -> None:
    config, live = said("a"), said("a", automatic=True, memory="strict 0-3")
    results = found(HOST, GuestFacts("a", config, live, observed(live, DEFINITION)))
    assert [(each.code, each.fix) for each in results if each.code == "live_differs"] == [("live_differs", "restart")]


def test_nobody_asks_numad_on_xen() -> None:
    """What libvirt stores of that is no difference, and keeps a guest off nothing."""
    config, live = said("a"), said("a", automatic=True, memory="strict auto")
    assert found(HOST, GuestFacts("a", config, live, observed(live, DEFINITION)), driver="xen") == ()
