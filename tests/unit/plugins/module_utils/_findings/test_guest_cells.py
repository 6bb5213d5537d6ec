# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cells of a guest's own, each with one vCPU. The host: cells 0 to 3 with 8 CPUs and 16 GiB each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.numa.virt.plugins.module_utils._findings.facts import GuestFacts
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import (
    GIB,
    codes,
    guest,
    host,
    only,
    policy,
)

HOST = host(4)


def two(
    memnodes: dict[int, str], pins: tuple[str, ...] = ("0", "8"), memory: str = "strict 0-1", **more: Any
) -> GuestFacts:
    return guest("db", pins=pins, memory=memory, memnodes=memnodes, guest_cells=2, gib=2, **more)


def test_each_cell_beside_its_memory_is_fine() -> None:
    assert codes(HOST, two({0: "strict 0", 1: "strict 1"})) == []
    assert codes(HOST, two({})) == []  # bound as a whole


def test_cells_whose_memory_lies_where_the_other_runs() -> None:
    one = only(HOST, two({0: "strict 1", 1: "strict 0"}, cpuset="0-15", emulator="0-15"))
    assert one == {
        "code": "guest_cell_remote",
        "severity": "warning",
        "domain": "db",
        "others": [],
        "cells": [0, 1],
        "cpus": None,
        "numbers": {"cells": 2, "kib": 2 * GIB},
        "message": "of its own cell 0, its memory is bound to cell 1, and that cell's vCPUs run on cell 0 "
        "(and 1 more of the kind)",
        "fix": "restart",
        "remedy": "run numa_placement for it with policy=mirror and restart=allowed, or pin the vCPUs of each of its "
        "cells where its memory is",
    }


def test_one_cell_whose_memory_is_elsewhere() -> None:
    one = only(HOST, two({1: "strict 0"}))
    assert (one["cells"], one["numbers"]) == ([0], {"cells": 1, "kib": GIB})
    stopped = only(HOST, two({1: "strict 0"}, running=False, intent=policy("mirror")))
    assert (stopped["code"], stopped["fix"]) == ("guest_cell_remote", "redefine")
    assert stopped["remedy"].startswith("run numa_placement for it, or")


def test_vcpus_that_may_leave_the_memory_of_their_cell() -> None:
    both = two({0: "strict 0", 1: "strict 1"}, pins=(), cpuset="0-15")
    one = only(HOST, both)
    assert (one["code"], one["severity"]) == ("guest_cell_remote", "info")
    assert "vCPUs may run on cells 0-1" in one["message"]
    assert codes(HOST, two({}, pins=(), cpuset="0-15")) == []


def test_what_is_remote_altogether_is_told_once() -> None:
    assert codes(HOST, two({0: "strict 2", 1: "strict 3"}, memory="strict 2-3")) == ["memory_remote"]


@pytest.mark.parametrize("driver", ["xen", "xl"])
def test_elsewhere_nothing_binds_cells(driver: str) -> None:
    assert "guest_cell_remote" not in codes(HOST, two({0: "strict 1", 1: "strict 0"}), driver=driver)


def test_who_names_a_cell_without_cpus_means_it() -> None:
    it = replace(HOST, cells=(*HOST.cells, Cell(4, CpuSet(), 16 * GIB)))
    assert codes(it, two({0: "strict 0", 1: "strict 4"}, memory="strict 0,4")) == []


def test_cells_without_vcpus_have_no_place() -> None:
    facts = two({0: "strict 0", 1: "strict 0"}, pins=("0", "1"), memory="strict 0")
    assert facts.config is not None
    needs = replace(facts.config.needs, guest_cells=(GuestCell(CpuSet([0, 1]), GIB), GuestCell(CpuSet(), GIB)))
    document = replace(facts.config, needs=needs)
    assert codes(HOST, replace(facts, config=document, live=document)) == []


def test_a_memory_device_that_is_bound_elsewhere() -> None:
    dimm = guest("db", cpuset="0-7", memory="strict 0", guest_cells=1, nodemask={0: "1"}, running=False)
    one = only(HOST, dimm)
    assert one["message"] == (
        "of its own cell 0, its memory device 0 is bound to cell 1, and that cell's vCPUs run on cell 0"
    )
    assert codes(HOST, guest("db", cpuset="0-7", memory="strict 0", guest_cells=1, nodemask={0: "0"})) == []
    missing = only(HOST, guest("db", cpuset="0-7", memory="strict 0", guest_cells=1, nodemask={0: "9"}, running=False))
    assert missing["code"] == "cell_missing"
