# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on another cell than it should be. The host: cells 0 to 3 with 8 CPUs and 16 GiB each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Facts, GuestFacts
from ansible_collections.numa.virt.plugins.module_utils._findings.find import concerning, wants_free
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.observation import PROC
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, MemoryIntent
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, GuestDevice, Host, PagePool
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import (
    GIB,
    codes,
    found,
    guest,
    host,
    only,
    policy,
)

HOST = host(4)
MIB = 1024


def memory_only(it: Host, memory: int = 16) -> Host:
    """The host with one more cell, which has memory and no CPU."""
    cells = tuple(replace(cell, distances=(*cell.distances, (4, 40))) for cell in it.cells)
    distances = tuple((each, 10 if each == 4 else 40) for each in range(5))
    return replace(it, cells=(*cells, Cell(4, CpuSet(), memory * GIB, distances=distances)))


def free(it: Host, *gib: float) -> Host:
    return replace(it, cells=tuple(replace(cell, free=int(each * GIB)) for cell, each in zip(it.cells, gib)))


# --- memory_remote ---------------------------------------------------------------------------------------------------


def test_memory_that_lies_elsewhere() -> None:
    one = only(HOST, guest("a", source="hypervisor", cpuset="0-7", memory="strict 0", kib={0: 1000, 1: 40, 3: 8}))
    assert one == {
        "code": "memory_remote",
        "severity": "warning",
        "domain": "a",
        "others": [],
        "cells": [1, 3],
        "cpus": None,
        "numbers": {"kib": 48, "total_kib": 1048},
        "message": "48 of 1048 KiB of its memory lie on cells 1,3, and its vCPUs run on 0",
        "fix": "restart",
        "remedy": "run numa_domain for it with restart=allowed: memory does not move while it runs",
    }


@pytest.mark.parametrize(
    ("memory", "driver", "fix"),
    [
        ("strict 0", "qemu", "restart"),
        ("restrictive 0", "qemu", "live"),
        ("preferred 0", "qemu", "restart"),
        (None, "qemu", "restart"),
        (None, "xen", "restart"),
        (None, "xl", "restart"),
    ],
)
def test_what_it_takes_to_bring_memory_back(memory: str | None, driver: str, fix: str) -> None:
    pins = ["0-3", "4-7"]
    one = only(HOST, guest("a", source="hypervisor", pins=pins, memory=memory, kib={1: GIB}), driver=driver)
    assert (one["code"], one["fix"]) == ("memory_remote", fix)


def test_qemus_own_memory_is_not_the_guests() -> None:
    """It lies where QEMU ran first, unless a cgroup keeps all of QEMU to the cells."""
    parts = {"source": PROC, "cpuset": "0-7"}
    assert codes(HOST, guest("a", kib={0: GIB, 1: 64 * MIB}, **parts)) == []
    assert codes(HOST, guest("a", kib={0: GIB, 1: 64 * MIB + 1}, **parts)) == ["memory_remote"]
    assert codes(HOST, guest("a", gib=8, kib={0: 8 * GIB, 1: GIB // 4}, **parts)) == []
    assert codes(HOST, guest("a", gib=8, kib={0: 8 * GIB, 1: GIB // 4 + 1}, **parts)) == ["memory_remote"]
    assert codes(HOST, guest("a", kib={1: 4}, memory="strict 1", **parts)) == ["memory_remote"]
    bound = {**parts, "memory": "strict 0"}
    assert codes(HOST, guest("a", mems="0", kib={0: GIB, 1: 4}, **bound)) == ["memory_remote"]
    assert codes(HOST, guest("a", mems="0-3", kib={0: GIB, 1: 4}, **bound)) == []


@pytest.mark.parametrize(
    ("parts", "kib"),
    [
        ({"cpuset": "0-7", "memory": "strict 0"}, {0: GIB}),
        ({"cpuset": "0-7", "memory": "strict 0"}, {0: GIB, 1: 0}),
        ({"cpuset": "0-7", "memory": "interleave 0-1"}, {0: GIB, 1: GIB}),
        ({"cpuset": "0-7", "memory": "preferred 0-1"}, {0: GIB, 1: GIB}),
        ({}, {0: GIB, 1: GIB}),  # it may run everywhere
        ({"cpuset": "0-31"}, {0: GIB, 1: GIB}),
        ({"automatic": True, "real": {0: "0-7", 1: "0-7"}, "memory": "strict auto"}, {0: GIB}),
    ],
)
def test_memory_where_it_should_be(parts: dict[str, object], kib: dict[int, int]) -> None:
    assert codes(HOST, guest("a", source="hypervisor", kib=kib, **parts)) == []


def test_strict_memory_of_two_cells_beside_vcpus_of_one() -> None:
    one = only(HOST, guest("a", source="hypervisor", cpuset="0-7", memory="strict 0-1", kib={0: GIB, 1: GIB}))
    assert (one["cells"], one["numbers"]["kib"]) == ([1], GIB)


def test_where_numad_put_a_guest() -> None:
    parts = {"automatic": True, "memory": "strict auto", "source": "hypervisor", "real": {0: "0-7", 1: "0-7"}}
    assert only(HOST, guest("a", kib={1: GIB}, **parts))["fix"] == "restart"


@pytest.mark.parametrize(
    "intent",
    [
        Intent(cells=CpuSet([0]), memory=MemoryIntent("strict", CpuSet([0, 1]))),
        Intent(cells=CpuSet([0]), memory=MemoryIntent("strict", CpuSet([1]))),
    ],
)
def test_memory_that_was_asked_for_there(intent: Intent) -> None:
    nodeset = str(intent.memory.cells) if intent.memory else ""
    parts = {"cpuset": "0-7", "memory": f"strict {nodeset}", "intent": intent}
    assert codes(HOST, guest("a", source="hypervisor", kib={1: GIB}, **parts)) == []
    assert codes(HOST, guest("a", running=False, **parts)) == []


def test_memory_that_is_bound_elsewhere() -> None:
    """Nobody can see where it lies: where the guest does not run, or far away."""
    parts = {"cpuset": "0-7", "memory": "strict 1"}
    one = only(HOST, guest("a", running=False, **parts))
    assert (one["cells"], one["numbers"], one["fix"]) == ([1], {"kib": GIB, "total_kib": GIB}, "redefine")
    assert one["message"] == "its memory (1048576 KiB) is bound to cell 1, and its vCPUs run on 0"
    assert only(HOST, guest("a", **parts), driver="test")["fix"] == "live"
    assert only(HOST, guest("a", source="hypervisor", **parts))["fix"] == "restart"
    one = only(HOST, guest("a", running=False, cpuset="0-7", memory="preferred 1"))
    assert one["message"].startswith("its memory (1048576 KiB) is preferred on cell 1,")
    one = only(HOST, guest("a", running=False, cpuset="0-7", memnodes={0: "strict 1"}, guest_cells=1))
    assert one["cells"] == [1]


@pytest.mark.parametrize(
    "parts",
    [
        {"cpuset": "0-7", "memory": "strict 0-1"},  # nobody knows how much of it
        {"cpuset": "0-7"},
        {"memory": "strict 1"},
        {"automatic": True, "memory": "strict auto"},
        {"automatic": True, "memory": "strict 1"},
    ],
)
def test_memory_of_which_nothing_is_known(parts: dict[str, object]) -> None:
    assert codes(HOST, guest("a", running=False, **parts)) == []


def test_a_numatune_on_xen_says_nothing() -> None:
    assert codes(HOST, guest("a", running=False, pins=["0", "1"], memory="strict 1"), driver="xen") == []


def test_a_cell_without_cpus_is_meant_by_who_names_it() -> None:
    it = memory_only(HOST)
    parts = {"source": "hypervisor", "cpuset": "0-7"}
    assert codes(it, guest("a", memory="strict 0,4", kib={0: GIB, 4: GIB}, **parts)) == []
    assert codes(it, guest("a", memory="strict 0", kib={0: GIB, 4: GIB}, **parts)) == ["memory_remote"]
    assert codes(it, guest("a", kib={0: GIB, 4: GIB}, **parts)) == ["memory_remote"]


def bare_of_memory(*cells: int, pages: tuple[int, ...] = ()) -> Host:
    """Where these cells have CPUs and no memory."""
    it = host(4, pages=pages) if pages else HOST
    return replace(it, cells=tuple(replace(cell, memory=0) if cell.id in cells else cell for cell in it.cells))


def test_vcpus_on_a_cell_without_memory() -> None:
    """Memory on the nearest that has some is as near as it can be; what is farther is told, with where it should be."""
    it = bare_of_memory(0, 3)
    near, distant = (str(cell) for cell in sorted((1, 2), key=lambda cell: it.cells[0].distances[cell]))
    assert codes(it, guest("a", running=False, cpuset="0-3", memory=f"strict {near}")) == []
    assert codes(it, guest("a", source="hypervisor", cpuset="0-3", kib={int(near): GIB})) == []
    one = only(it, guest("a", running=False, cpuset="0-3", memory=f"strict {distant}"))
    assert (one["code"], one["cells"]) == ("memory_remote", [int(distant)])
    assert one["remedy"] == (
        f"run numa_domain for it with cpuset=0-3, memory.cells=[{near}]: it gets its place at its next start"
    )
    assert "memory_remote" in codes(it, guest("a", source="hypervisor", cpuset="0-15", memory="strict 2", kib={2: GIB}))


def test_memory_that_one_cell_cannot_hold() -> None:
    """Where else it lies is no news; the nearest of the others are meant."""
    parts = {"source": "hypervisor", "cpuset": "0-7", "gib": 20}
    assert codes(HOST, guest("a", memory="strict 0-1", kib={0: 16 * GIB, 1: 4 * GIB}, **parts)) == []
    assert codes(HOST, guest("a", memory="strict 0-3", kib={0: 16 * GIB, 3: 4 * GIB}, **parts)) == ["memory_remote"]


def test_huge_pages_that_its_cell_has_not() -> None:
    it = host(4, pages=(0, 2, 2, 2))
    assert "memory_remote" not in codes(it, guest("a", running=False, cpuset="0-7", memory="strict 1", page=GIB))


def test_the_memory_of_a_device_that_is_meant_elsewhere() -> None:
    parts: dict[str, Any] = {"cpuset": "0-7", "memory": "strict 0", "guest_cells": 1, "nodemask": {0: "1"}}
    meant = Intent(cells=CpuSet([0]), knobs=(("nodemask", ((0, CpuSet([1])),)),))
    lies = {"source": "hypervisor", "kib": {0: GIB, 1: GIB}, **parts}
    assert "memory_remote" not in codes(HOST, guest("a", intent=meant, **lies))
    assert "memory_remote" in codes(HOST, guest("a", **lies))


def remedy(it: Host, **parts: Any) -> str:
    """Of its remote memory, beside whatever else is found."""
    (one,) = [each for each in found(it, guest("a", **parts)) if each.code == "memory_remote"]
    return one.remedy


def test_a_remedy_is_what_changes_something() -> None:
    parts: dict[str, Any] = {"running": False, "cpuset": "0-7"}
    start = ": it gets its place at its next start"
    assert remedy(HOST, memory="strict 1", **parts) == f"run numa_domain for it with cpuset=0-7{start}"
    own = f"run numa_domain for it with cpuset=0-7, memory.mode=restrictive{start}"
    assert remedy(HOST, memory="restrictive 1", **parts) == own
    asked = Intent(cells=CpuSet([0]))
    assert remedy(HOST, memory="strict 1", intent=asked, **parts) == f"run numa_domain for it{start}"
    planned = replace(policy("pack"), cpuset=CpuSet(range(8)), memory=MemoryIntent("strict", CpuSet([0])))
    assert remedy(HOST, memory="strict 1", intent=planned, **parts) == f"run numa_placement for it{start}"
    gone = replace(policy("pack"), cpuset=CpuSet([0, 90]))
    again = f"run numa_placement for it with rebalance=true{start}"
    assert remedy(HOST, memory="strict 1", intent=gone, **parts) == again


def test_where_no_task_is_a_remedy() -> None:
    """Of no cell the host has memory enough, or it refuses something else of the guest."""
    parts = {"cpuset": "0-7", "memory": "strict 1", "gib": 99, "running": False}
    small = replace(HOST, cells=tuple(replace(cell, memory=cell.memory if cell.id < 2 else 0) for cell in HOST.cells))
    assert codes(small, guest("a", **parts)) == []
    pinned = {"source": "hypervisor", "pins": ["0"], "vcpus": 3, "current": 1, "kib": {1: GIB}}
    (one,) = [each for each in found(HOST, guest("a", **pinned), driver="xen") if each.code == "memory_remote"]
    assert one.remedy == "give it cells that have CPUs and memory enough with numa_domain (cells, memory.cells)"
    refused = found(HOST, guest("a", running=False, cpuset="0-7", memory="strict 1", emulator="90"))
    assert [each.remedy for each in refused if each.code == "memory_remote"] == [one.remedy]


def test_memory_that_can_move_and_is_bound_already() -> None:
    one = only(HOST, guest("a", source="hypervisor", cpuset="0-7", memory="restrictive 0", kib={1: GIB}))
    assert one["fix"] == "live" and one["remedy"].startswith(
        "move it with migratepages, or run numa_domain for it with"
    )
    asked = Intent(cells=CpuSet([0]), memory=MemoryIntent("restrictive"))
    parts = {"source": "hypervisor", "cpuset": "0-7", "memory": "restrictive 1", "intent": asked, "kib": {1: GIB}}
    (one_more,) = [each for each in found(HOST, guest("a", **parts)) if each.code == "memory_remote"]
    assert one_more.remedy == "run numa_domain for it: its memory can move while it runs"


# --- helper_off_cells ------------------------------------------------------------------------------------------------


def test_an_emulator_elsewhere() -> None:
    one = only(HOST, guest("a", cpuset="8-15", emulator="0-1"))
    assert (one["code"], one["severity"], one["fix"]) == ("helper_off_cells", "warning", "live")
    assert (one["cells"], one["cpus"]) == ([0], "0-1")
    assert one["message"] == "the emulator's threads run on cell 0 (CPUs 0-1), and its vCPUs on cell 1"
    assert one["remedy"] == "pin it to CPUs of cell 1 with vcpu_pin (emulator)"
    assert only(HOST, guest("a", cpuset="8-15", emulator="0", running=False))["fix"] == "redefine"


def test_one_that_may_be_elsewhere() -> None:
    one = only(HOST, guest("a", cpuset="8-15", emulator="7-8"))
    assert (one["severity"], one["cells"], one["cpus"]) == ("info", [0], "7")
    assert "may run on cell 0" in one["message"]
    # By its CPU set, where its vCPUs are pinned to a part of that.
    assert only(HOST, guest("a", cpuset="0-15", pins=["8", "9"]))["severity"] == "info"


def test_an_io_thread_elsewhere() -> None:
    parts = {"cpuset": "8-15", "iothreads": {1: "9", 2: "0"}}
    one = only(HOST, guest("a", **parts))
    assert (one["message"], one["fix"]) == (
        "IO thread 2 runs on cell 0 (CPU 0), and its vCPUs on cell 1",
        "live",
    )
    assert only(HOST, guest("a", **parts), driver="test")["fix"] == "restart"
    assert only(HOST, guest("a", running=False, **parts), driver="test")["fix"] == "redefine"


@pytest.mark.parametrize(
    "parts",
    [
        {"cpuset": "8-15"},
        {"cpuset": "8-15", "emulator": "8", "iothreads": {1: ""}},
        {"cpuset": "8-15", "emulator": "8", "source": "hypervisor", "real": {0: "0", 1: "8"}},  # a vCPU is astray
        {"pins": ["8", "9"]},  # nothing holds it: it is not off
        {"pins": ["8", "9"], "emulator": "0-31"},
        {"emulator": "0"},  # nor has an unrestricted guest cells
        {"cpuset": "8-15", "emulator": "0", "intent": Intent(emulator=CpuSet([0]))},
        {"cpuset": "0-15", "pins": ["8", "9"], "memory": "strict 0-1", "intent": Intent(cells=CpuSet([0, 1]))},
        {"cpuset": "8-15", "iothreads": {1: "0"}, "intent": Intent(iothread_pins=((1, CpuSet([0])),))},
    ],
)
def test_helpers_where_they_should_be(parts: dict[str, object]) -> None:
    assert "helper_off_cells" not in codes(HOST, guest("a", **parts))


def test_an_intent_for_another_thread_does_not_count() -> None:
    intent = Intent(emulator=CpuSet([1]))
    assert codes(HOST, guest("a", cpuset="8-15", emulator="0", intent=intent)) == ["helper_off_cells", "intent_differs"]


def test_xen_has_no_helpers() -> None:
    assert codes(HOST, guest("a", pins=["8", "9"], emulator="0"), driver="xen") == []


# --- device_remote ---------------------------------------------------------------------------------------------------

GPUS = host(4, devices=[(1, "gpu"), (1, "nic"), (3, "disk")])


def test_a_part_of_a_remote_device_and_one_of_no_known_cell() -> None:
    it = replace(GPUS, guest_devices=(GuestDevice("mdev 1", 1), GuestDevice("network pool", None, "it may be any")))
    one = only(it, guest("a", cpuset="0-7", devices=("network pool", "mdev 1")))
    assert (one["code"], one["cells"]) == ("device_remote", [1])
    assert one["message"] == "its device mdev 1 is on cell 1, and its vCPUs on 0"
    assert codes(it, guest("a", cpuset="0-7", devices=("network pool", "vdpa /dev/x"))) == []


def test_a_device_on_another_cell() -> None:
    one = only(GPUS, guest("a", cpuset="0-7", memory="strict 0", devices=("gpu.0",)))
    assert (one["code"], one["severity"], one["cells"], one["fix"]) == ("device_remote", "warning", [1], "restart")
    assert one["numbers"] == {"devices": 1, "distance": 21}
    assert one["message"] == "its device gpu.0 is on cell 1, and its vCPUs on 0"
    one = only(GPUS, guest("a", cpuset="0-7", devices=("gpu.0", "nic.0", "disk.0")))
    assert (one["cells"], one["numbers"]) == ([1, 3], {"devices": 3, "distance": 41})
    assert "gpu.0 (and 2 more of its devices) are on cells 1,3" in one["message"]


@pytest.mark.parametrize(
    "parts",
    [
        {"cpuset": "8-15"},
        {"cpuset": "0-15", "intent": Intent(cells=CpuSet([0, 1])), "memory": "strict 0-1"},
        {},
        {"cpuset": "0-7", "intent": policy("pack", devices="ignore")},
    ],
)
def test_a_device_where_it_should_be(parts: dict[str, object]) -> None:
    assert codes(GPUS, guest("a", devices=("gpu.0",), **parts)) == []


def test_a_device_of_which_the_host_says_nothing() -> None:
    assert codes(GPUS, guest("a", cpuset="0-7", devices=("0000:00:00.0",))) == []


def test_a_device_of_a_cell_without_cpus() -> None:
    it = memory_only(HOST)
    device = GPUS.cells[1].devices[0]
    it = replace(it, cells=(*it.cells[:4], replace(it.cells[4], devices=(device,))))
    assert codes(it, guest("a", cpuset="0-7", devices=("gpu.0",))) == []


def test_a_policy_that_preferred_the_cell() -> None:
    """And found no room there; once there is, it is said."""
    one = guest("a", cpuset="0-7", devices=("gpu.0",), intent=policy("pack"))
    full = guest("b", cpuset="8-15", vcpus=8)
    assert codes(GPUS, one, full) == []
    assert codes(GPUS, one) == ["device_remote"]
    required = guest("a", cpuset="0-7", devices=("gpu.0",), intent=policy("pack", devices="require"))
    assert codes(GPUS, required, full) == ["device_remote"]
    mirror = guest("a", cpuset="0-7", devices=("gpu.0",), intent=policy("mirror"))
    assert codes(GPUS, mirror) == []


def test_a_device_of_a_cell_where_no_cache_has_room() -> None:
    """The policy was to keep the guest within one, and the cell has room in two."""
    it = host(2, devices=((1, "gpu"),), caches=2)
    others = [guest(name, pins=cpus.split(), vcpus=2) for name, cpus in (("x", "8 9"), ("y", "12 13"))]
    for smt in ("prefer", "require", "isolate"):
        pins = ["0", "1", "2", "3"] if smt != "isolate" else ["0", "2"]
        parts = {"pins": pins, "vcpus": len(pins), "devices": ("gpu.0",), "cpuset": "0-7"}
        near = guest("a", intent=policy(smt=smt, cache="prefer"), **parts)
        assert "device_remote" in codes(it, near, *others)
        bound = guest("a", intent=policy(smt=smt, cache="require"), **parts)
        assert "device_remote" not in codes(it, bound, *others)
        assert "device_remote" in codes(it, bound)


# --- spans_needlessly ------------------------------------------------------------------------------------------------


def test_a_guest_on_two_cells_that_fits_one() -> None:
    one = only(HOST, guest("a", cpuset="6-9"))
    assert (one["code"], one["severity"], one["cells"], one["cpus"]) == ("spans_needlessly", "warning", [0, 1], "6-9")
    assert (one["numbers"], one["fix"]) == ({"cells": 2, "vcpus": 2, "kib": GIB}, "restart")
    assert one["message"] == (
        "its 2 vCPUs may run on cells 0-1 (CPUs 6-9), and it would fit cell 0 with its 1048576 KiB"
    )
    assert one["remedy"].endswith("numa_domain with cells=[0]")
    one = only(HOST, guest("a", cpuset="6-9", running=False))
    assert (one["severity"], one["fix"]) == ("info", "redefine")
    assert only(HOST, guest("a", pins=["6", "8"]))["code"] == "spans_needlessly"


@pytest.mark.parametrize(
    "parts",
    [
        {"cpuset": "0-7"},
        {},
        {"cpuset": "0-31"},
        {"automatic": True, "source": "hypervisor", "real": {0: "0-15", 1: "0-15"}},
        {"cpuset": "0-15", "vcpus": 9},
        {"cpuset": "0-15", "gib": 17},
        {"cpuset": "0-15", "guest_cells": 2},
        {"cpuset": "0-15", "memnodes": {0: "strict 0", 1: "strict 1"}},
        {"cpuset": "0-15", "intent": policy("mirror")},
        {"cpuset": "0-15", "intent": policy("pack", together="t")},
        {"cpuset": "0-15", "intent": policy("pack", apart="t")},
        {"cpuset": "0-15", "memory": "strict 0-1", "intent": Intent(cells=CpuSet([0, 1]))},
        {"cpuset": "6-9", "memory": "strict 0-1", "intent": Intent(cpuset=CpuSet.parse("6-9"))},
        {"pins": ["6", "8"], "intent": Intent(vcpu_pins=((0, CpuSet([6])), (1, CpuSet([8]))))},
        {"cpuset": "0-15", "page": 2048},
    ],
)
def test_guests_that_do_not_span_or_mean_it(parts: dict[str, object]) -> None:
    assert codes(HOST, guest("a", **parts)) == []


def test_a_vcpu_that_strays_makes_no_wide_guest() -> None:
    parts = {"source": "hypervisor", "real": {0: "0", 1: "9"}}
    assert codes(HOST, guest("a", cpuset="0-7", **parts)) == ["threads_differ"]


def test_a_policy_that_had_no_better_place() -> None:
    one = guest("a", cpuset="0-15", vcpus=4, intent=policy("pack"))
    full = [guest(f"b{cell}", cpuset=f"{8 * cell}-{8 * cell + 7}", vcpus=6) for cell in range(4)]
    assert codes(HOST, one, *full) == []
    only_one = only(HOST, one, *full[:3])
    assert (only_one["severity"], only_one["code"]) == ("info", "spans_needlessly")
    assert "it would fit cell 3" in only_one["message"]
    assert only_one["remedy"] == "run numa_placement for it with rebalance=true and restart=allowed"
    held = guest("a", cpuset="0-15", vcpus=4, intent=policy("pack", cells=CpuSet([0, 1, 2])))
    assert codes(HOST, held, *full[:3]) == []


def test_room_for_vcpus_depends_on_the_ratio() -> None:
    full = guest("b", cpuset="0-31", vcpus=1, intent=Intent(cells=CpuSet(range(4))), memory="strict 0-3")
    sixteen = guest("a", cpuset="0-15", vcpus=16)
    assert codes(HOST, sixteen) == []
    assert codes(HOST, sixteen, rules=Rules(cpu_ratio=2.0)) == ["spans_needlessly"]
    assert codes(HOST, sixteen, full, rules=Rules(cpu_ratio=2.0)) == []
    reserved = Rules(cpu_ratio=2.0, reserved_cpus=CpuSet([0, 8, 16, 24]))
    assert codes(HOST, sixteen, rules=reserved) == []
    own = guest("a", cpuset="0-15", vcpus=16, intent=policy("pack", cpu_ratio=2.0))
    assert codes(HOST, own) == ["spans_needlessly"]


def test_a_cell_that_guests_are_kept_out_of_is_no_room() -> None:
    """It would be the only one."""
    full = [guest(f"b{cell}", cpuset=f"{8 * cell}-{8 * cell + 7}", vcpus=7) for cell in range(3)]
    wide = guest("a", cpuset="6-9", intent=policy("pack"))
    assert codes(HOST, wide, *full) == ["spans_needlessly"]
    assert codes(HOST, wide, *full, rules=Rules(reserved_cells=CpuSet([3]))) == []
    asked = guest("a", cpuset="6-9", intent=policy("pack", cells=CpuSet([0, 1, 3])))
    assert codes(HOST, asked, *full, rules=Rules(reserved_cells=CpuSet([3]))) == ["spans_needlessly"]


@pytest.fixture
def _guests_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hypervisor that takes nothing beside them."""
    monkeypatch.setattr("ansible_collections.numa.virt.plugins.module_utils._values.drivers.Overhead.of", lambda *_: 0)


def test_room_for_what_the_hypervisor_needs() -> None:
    own = (64 << 10) + 4 * (8 << 10) + (15 * GIB) // 256
    parts: dict[str, Any] = {"cpuset": "6-9", "vcpus": 4, "gib": 15}
    for kept, there in ((GIB - own, ["spans_needlessly"]), (GIB - own + 1, [])):
        rules = Rules(reserved_memory=tuple((cell, kept) for cell in range(4)))
        assert codes(HOST, guest("a", **parts), rules=rules) == there
    said = guest("a", intent=policy("pack", memory_overhead=GIB + 1), **parts)
    assert "spans_needlessly" not in codes(HOST, said)
    others = [guest(f"b{cell}", cpuset=f"{8 * cell}-{8 * cell + 7}", gib=1) for cell in range(4)]
    assert codes(HOST, guest("a", **parts), *others) == []


@pytest.mark.usefixtures("_guests_alone")
def test_room_for_memory() -> None:
    big = guest("a", cpuset="6-9", gib=10)
    assert codes(HOST, big) == ["spans_needlessly"]
    others = [guest(f"b{cell}", cpuset=f"{8 * cell}-{8 * cell + 7}", gib=7) for cell in range(4)]
    assert codes(HOST, big, *others) == []
    # Free memory decides where it is known, together with what the guest has there itself.
    assert codes(free(HOST, 9, 9, 9, 9), big) == []
    assert codes(free(HOST, 9, 10, 9, 9), big) == ["spans_needlessly"]
    parts = {"source": "hypervisor", "cpuset": "6-9", "gib": 10}
    assert codes(free(HOST, 7, 4, 4, 4), guest("a", kib={0: 3 * GIB, 1: 7 * GIB}, **parts)) == ["spans_needlessly"]
    assert codes(free(HOST, 6, 2, 4, 4), guest("a", kib={0: 3 * GIB, 1: 7 * GIB}, **parts)) == []
    rules = Rules(reserved_memory=tuple((cell, 7 * GIB) for cell in range(4)))
    assert codes(HOST, big, rules=rules) == []


@pytest.mark.usefixtures("_guests_alone")
def test_memory_of_others_that_was_seen() -> None:
    others = [guest(f"b{cell}", source="hypervisor", kib={cell: 7 * GIB}, gib=7) for cell in range(4)]
    assert codes(HOST, guest("a", cpuset="6-9", gib=10), *others) == []
    assert codes(HOST, guest("a", cpuset="6-9", gib=9), *others) == ["spans_needlessly"]


def test_room_in_huge_pages() -> None:
    it = host(4, pages=(2, 2, 2, 4))
    parts = {"cpuset": "6-9", "page": GIB, "gib": 3}
    assert codes(it, guest("a", **parts)) == ["spans_needlessly"]
    assert "cell 3" in only(it, guest("a", **parts))["message"]
    taken = guest("b", cpuset="24-31", page=GIB, gib=2)
    assert codes(it, guest("a", **parts), taken) == []
    assert codes(it, guest("a", **{**parts, "page": 0})) == ["spans_needlessly"]
    cells = tuple(replace(cell, pools=(PagePool(4, 0), PagePool(GIB, cell.pools[1].total, 2))) for cell in it.cells)
    assert codes(replace(it, cells=cells), guest("a", **parts)) == []


@pytest.mark.usefixtures("_guests_alone")
def test_room_in_pages_of_every_size() -> None:
    """4 GiB in pages of 1 GiB has cell 1; 2 GiB of them and a DIMM of 2 GiB in ordinary memory has cell 2."""
    it = host(4, memory=4, pages=(0, 4, 2, 1))
    asked = guest("a", cpuset="6-9", page=GIB, gib=4, running=False, guest_cells=1)
    assert only(it, asked)["message"].endswith("it would fit cell 1 with its 4194304 KiB")

    def with_dimm(facts: GuestFacts, size: int | None = None) -> GuestFacts:
        (cell,) = facts.config.needs.guest_cells  # type: ignore[union-attr]
        cells = (replace(cell, memory=2 * GIB, other_pages=((size, 2 * GIB),)),)
        config = replace(facts.config, needs=replace(facts.config.needs, guest_cells=cells))  # type: ignore
        return replace(facts, config=config)

    assert only(it, with_dimm(asked))["message"].endswith("it would fit cell 2 with its 4194304 KiB")
    # Of what others take each pool counts.
    other = guest("b", cpuset="16-23", gib=4, page=GIB, running=False, guest_cells=1)
    assert codes(it, with_dimm(asked), with_dimm(other)) == []
    assert "spans_needlessly" not in codes(it, with_dimm(asked, 2048))


def test_room_for_dedicated_cpus() -> None:
    pair = {"pins": ["7", "8"], "vcpus": 2}
    free_core = host(2, cores=4)
    assert codes(free_core, guest("a", intent=policy(), **pair)) == ["spans_needlessly"]
    full = [guest(f"b{cell}", cpuset=f"{8 * cell + 1 - cell}-{8 * cell + 6}", vcpus=2) for cell in range(2)]
    # Left are 0, 7 and 15, and 8, which is its own.
    results = codes(free_core, guest("a", intent=policy(), **pair), full[0])
    assert results == ["spans_needlessly"]
    busy = [guest("b", cpuset="0-6", vcpus=2), guest("c", cpuset="9-15", vcpus=2)]
    assert codes(free_core, guest("a", intent=policy(), **pair), *busy) == []
    # Without whole cores there is no room for those who ask for them.
    cores = [guest("b", cpuset="0,2,4,6", vcpus=2, memory="strict 0"), guest("c", cpuset="9,11,13,15", vcpus=2)]
    assert codes(free_core, guest("a", intent=policy(), **pair), *cores) == ["spans_needlessly"]
    for smt in ("require", "isolate"):
        assert codes(free_core, guest("a", intent=policy(smt=smt), **pair), *cores) == ["sibling_shared"]
        assert codes(free_core, guest("a", intent=policy(smt=smt), **pair)) == ["spans_needlessly"]


def test_helpers_of_others_are_in_the_way_of_dedicated_cpus() -> None:
    it = host(2, cores=1)
    pair = guest("a", pins=["0", "2"])
    assert codes(it, pair) == ["spans_needlessly"]
    assert codes(it, pair, guest("b", emulator="1"), guest("c", emulator="3")) == [
        "unrestricted_beside_dedicated",
        "unrestricted_beside_dedicated",
    ]


def test_devices_decide_where_a_guest_fits() -> None:
    parts = {"cpuset": "6-9", "devices": ("disk.0",)}
    one = [each for each in found(GPUS, guest("a", **parts)) if each.code == "spans_needlessly"]
    assert "it would fit cell 3" in one[0].message
    both = {"cpuset": "6-9", "devices": ("gpu.0", "disk.0")}
    assert "spans_needlessly" not in codes(GPUS, guest("a", **both))
    assert codes(GPUS, guest("a", intent=policy("pack", devices="ignore"), **both)) == ["spans_needlessly"]


# --- what has to be read for it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ({"cpuset": "6-9"}, True),
        ({"cpuset": "0-7"}, False),
        ({"cpuset": "0-7", "devices": ("gpu.0",)}, True),
        ({"devices": ("gpu.0",)}, False),
        ({"cpuset": "6-9", "intent": policy("mirror")}, False),
    ],
)
def test_who_wants_to_know_what_is_free(parts: dict[str, object], wanted: bool) -> None:
    assert wants_free(Facts(HOST, driver_named("qemu"), (guest("a", **parts),))) is wanted  # type: ignore[arg-type]


def test_findings_that_concern_a_guest() -> None:
    results = found(HOST, guest("a", pins=["2", "3"]), guest("b", pins=["3", "4"]), guest("c", cpuset="6-9"))
    assert [each.code for each in concerning(results, ["b"])] == ["cpu_dedicated_twice"]
    assert [each.code for each in concerning(results, ["c", "x"])] == ["spans_needlessly"]
    assert concerning(results, []) == ()
