# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPUs, cells and huge pages that are not there. The host: cells 0 and 1 with CPUs 0-7 and 8-15, threads 0-1, 2-3, …"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._findings.facts import GuestFacts
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, MemoryIntent
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host, PagePool
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import (
    GIB,
    codes,
    found,
    guest,
    host,
    only,
    said,
)

HOST = host()


def offline(it: Host, text: str) -> Host:
    return it.with_cpu_map([cpu not in CpuSet.parse(text) for cpu in it.present])


def test_cpus_that_do_not_exist() -> None:
    assert only(HOST, guest("db1", running=False, cpuset="14-17")) == {
        "code": "cpu_missing",
        "severity": "error",
        "domain": "db1",
        "others": [],
        "cells": [],
        "cpus": "16-17",
        "numbers": {"cpus": 2},
        "message": "its definition names CPUs 16-17, and the host has CPUs 0-15",
        "fix": "redefine",
        "remedy": "give it other CPUs with numa_domain or vcpu_pin; online are 0-15",
    }


@pytest.mark.parametrize(
    ("parts", "cpus"),
    [
        ({"pins": ["0", "99"]}, "99"),
        ({"cpuset": "0-7", "emulator": "16"}, "16"),
        ({"cpuset": "0-7", "iothreads": {1: "16,20"}}, "16,20"),
    ],
)
def test_wherever_they_are_named(parts: dict[str, object], cpus: str) -> None:
    it = guest("db1", running=False, **parts)
    assert [each["cpus"] for each in [only(HOST, it)]] == [cpus]


def test_pins_of_what_the_guest_has_not_say_nothing() -> None:
    assert codes(HOST, guest("db1", running=False, cpuset="0-7", pins={0: "0", 5: "99"})) == []


def test_all_layers_that_name_them() -> None:
    intent = Intent(cpuset=CpuSet.parse("17"))
    one = only(HOST, guest("db1", cpuset="16", vcpus=1, intent=intent))
    assert one["cpus"] == "16-17"
    assert one["message"].startswith("its definition and the running guest and what was asked for name CPUs 16-17")


def test_a_transient_guest_has_no_definition() -> None:
    live = said("db1", "0-7", emulator="16")
    one = only(HOST, GuestFacts("db1", None, live))
    assert one["message"].startswith("the running guest names CPU 16,")


def test_cpus_that_are_offline() -> None:
    one = only(offline(HOST, "3"), guest("db1", cpuset="2-3"))
    assert (one["code"], one["severity"], one["cpus"], one["fix"]) == ("cpu_offline", "warning", "3", "host")
    assert one["message"] == "CPU 3 is offline, and its sets have others"
    one = only(offline(HOST, "3"), guest("db1", running=False, pins=["2", "3"]))
    assert (one["severity"], one["numbers"]) == ("error", {"cpus": 1})
    assert one["message"] == "CPU 3 is offline, and one of its sets has no other"


def test_who_may_use_all_that_is_online_misses_nothing() -> None:
    it = offline(HOST, "12-15")
    assert codes(it, guest("db1", cpuset="0-15"), guest("db2"), guest("db3", cpuset="0-7", gib=1)) == []


def test_cells_that_do_not_exist() -> None:
    one = only(HOST, guest("db1", running=False, cpuset="0-7", memory="strict 0,7"))
    assert (one["code"], one["severity"], one["cells"], one["fix"]) == ("cell_missing", "error", [7], "redefine")
    assert one["message"] == "its definition names cell 7, and the host has cells 0-1"
    one = only(HOST, guest("db1", running=False, cpuset="0-7", memnodes={0: "strict 2"}, guest_cells=1))
    assert one["cells"] == [2]


def test_cells_that_were_asked_for() -> None:
    intent = Intent(cells=CpuSet([0, 5]), memory=MemoryIntent("strict", CpuSet([6])))
    one = only(HOST, guest("db1", running=False, cpuset="0-7", memory="strict 0", intent=intent))
    assert (one["code"], one["cells"]) == ("cell_missing", [5, 6])


def test_xen_does_not_look_at_a_numatune() -> None:
    assert codes(HOST, guest("db1", running=False, pins=["0", "1"], memory="strict 7"), driver="xen") == []
    document = said("db1", "0-7")
    vnuma = replace(document, shape=replace(document.shape, memory_cells=CpuSet([3])))
    assert codes(HOST, GuestFacts("db1", vnuma), driver="xl") == ["cell_missing"]


PAGED = host(pages=(0, 4))


def test_huge_pages_where_there_are_none() -> None:
    one = only(PAGED, guest("db1", running=False, cpuset="0-7", memory="strict 0", page=GIB, gib=2))
    assert (one["code"], one["severity"], one["cells"], one["fix"]) == ("huge_pages_missing", "error", [0], "host")
    assert one["numbers"] == {"kib": 2 * GIB, "available_kib": 0, "page_kib": GIB}
    assert one["message"] == "it asks for 2097152 KiB in huge pages of 1048576 KiB, and cell 0 has none"


def test_too_few_for_a_guest_that_is_to_start() -> None:
    parts = {"cpuset": "8-15", "memory": "strict 1", "page": GIB}
    assert codes(PAGED, guest("db1", running=False, gib=4, **parts)) == []
    one = only(PAGED, guest("db1", running=False, gib=5, **parts))
    assert one["message"].endswith("cell 1 has 4194304 KiB of them")
    # One that runs has got what it needed; of one with cells of its own each counts by its pages.
    assert codes(PAGED, guest("db1", gib=5, **parts)) == []
    assert codes(PAGED, guest("db1", running=False, gib=5, guest_cells=2, **parts)) == ["huge_pages_missing"]
    facts = guest("db1", running=False, gib=5, guest_cells=2, **parts)
    assert facts.config is not None
    first, second = facts.config.needs.guest_cells
    needs = replace(facts.config.needs, guest_cells=(first, replace(second, page_size=4)))
    assert codes(PAGED, replace(facts, config=replace(facts.config, needs=needs))) == []


def test_a_running_guest_without_any() -> None:
    one = only(host(pages=(4, 0)), guest("db1", cpuset="8-15", memory="strict 1", page=GIB))
    assert (one["severity"], one["fix"]) == ("info", "redefine")


def test_pages_of_any_cell_where_nothing_binds_memory() -> None:
    assert codes(PAGED, guest("db1", running=False, cpuset="0-7", page=GIB)) == []
    assert codes(PAGED, guest("db1", running=False, cpuset="0-7", page=GIB, memory="preferred 0")) == []
    one = only(PAGED, guest("db1", running=False, cpuset="0-7", page=2048))
    assert one["message"].endswith("the host has none")


def test_pages_of_the_default_size_are_any() -> None:
    assert codes(PAGED, guest("db1", running=False, page=0)) == []
    without = host(pages=0)
    none = replace(without, cells=tuple(replace(each, pools=(PagePool(4, 100),)) for each in without.cells))
    one = only(none, guest("db1", running=False, page=0))
    assert "in huge pages of 2048 KiB, and the host has none" in one["message"]


def test_a_host_that_does_not_tell_of_pages() -> None:
    assert codes(HOST, guest("db1", running=False, page=2048)) == []
    assert codes(PAGED, guest("db1", running=False, page=2048), driver="xen") == []


def test_a_guest_that_names_what_is_not_there_is_found_once() -> None:
    """Its intent cannot be met for that very reason."""
    intent = Intent(cpuset=CpuSet.parse("16"))
    assert [each.code for each in found(HOST, guest("db1", running=False, cpuset="16", intent=intent))] == [
        "cpu_missing"
    ]
