# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cache and memory bandwidth by number. The host: cells 0 and 1 with 8 CPUs each, and a cache and a node of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.numa.virt.plugins.module_utils._findings.facts import GuestFacts
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.kept import BANDWIDTH, CACHE, Kept
from ansible_collections.numa.virt.plugins.module_utils._values.topology import BandwidthNode, CacheBank
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import codes, guest, host, only

PLAIN = host(2)
HOST = replace(
    PLAIN,
    caches=tuple(CacheBank(cell.id, 3, "both", 32768, cell.cpus) for cell in PLAIN.cells),
    bandwidth=tuple(BandwidthNode(cell.id, cell.cpus) for cell in PLAIN.cells),
)
WHERE = "cputune/cachetune[@vcpus='0-1']/cache[@id='0']"
CACHE_0 = Kept(WHERE, CACHE, CpuSet([0, 1]), 0, 3)
NODE_0 = Kept("cputune/memorytune[@vcpus='0-1']/node[@id='0']", BANDWIDTH, CpuSet([0, 1]), 0)


def given(*kept: Kept, live: tuple[Kept, ...] | None = None, **parts: Any) -> GuestFacts:
    """A guest whose documents name these parts; its live one others, where they are said."""
    one = guest("a", **parts)
    config = replace(one.config, kept=kept) if one.config is not None else None
    running = replace(one.live, kept=kept if live is None else live) if one.live is not None else None
    return replace(one, config=config, live=running)


def test_a_cache_that_stayed_behind() -> None:
    one = only(HOST, given(CACHE_0, cpuset="8-15", memory="strict 1", running=False))
    assert one == {
        "code": "allocation_remote",
        "severity": "warning",
        "domain": "a",
        "others": [],
        "cells": [0],
        "cpus": "0-7",
        "numbers": {"allocations": 1},
        "message": f"{WHERE} is about level 3 cache 0, which serves CPUs 0-7, and vCPUs 0-1 run on CPUs 8-15",
        "fix": "redefine",
        "remedy": "give 1 as its id, or take it out of its definition (virsh edit)",
    }


def test_a_guest_that_runs_has_to_start_anew() -> None:
    one = only(HOST, given(CACHE_0, NODE_0, cpuset="8-15"))
    assert (one["fix"], one["numbers"]) == ("restart", {"allocations": 2})
    assert one["message"].endswith("(and 1 more of its allocations)")
    assert one["remedy"].endswith("(virsh edit) and start it anew")
    mended = given(replace(CACHE_0, id=1), live=(CACHE_0,), cpuset="8-15")
    assert only(HOST, mended)["remedy"] == "start it anew: its definition names others by now"
    transient = replace(given(CACHE_0, cpuset="8-15"), config=None)
    assert only(HOST, transient)["remedy"].endswith("(virsh edit) and start it anew")


def test_one_that_is_held_beside_one_that_is_used() -> None:
    assert only(HOST, given(CACHE_0, replace(CACHE_0, id=1), cpuset="8-15"))["severity"] == "info"


def test_one_that_is_not_there() -> None:
    one = only(HOST, given(replace(CACHE_0, id=5), cpuset="8-15"))
    assert (one["cells"], one["cpus"]) == ([], None) and "which is not there" in one["message"]
    assert only(HOST, given(replace(CACHE_0, id=5)))["code"] == "allocation_remote"


@pytest.mark.parametrize(
    "parts",
    [
        {"cpuset": "0-7"},
        {"cpuset": "6-9", "memory": "strict 0-1", "vcpus": 8},
        {},
        {"cpuset": "8-15", "pins": ["0", "8"], "vcpus": 16, "gib": 20},
        {"automatic": True, "memory": "strict auto", "running": False},
        {"automatic": True, "memory": "strict auto", "source": "hypervisor", "real": {0: "0-7", 1: "0-7"}},
    ],
)
def test_one_that_some_of_its_vcpus_can_use(parts: dict[str, Any]) -> None:
    assert "allocation_remote" not in codes(HOST, given(CACHE_0, NODE_0, **parts))


def test_a_thread_that_has_strayed_is_told_of_alone() -> None:
    parts = {"source": "hypervisor", "real": {0: "8-15", 1: "8-15"}}
    assert codes(HOST, given(CACHE_0, cpuset="0-7", **parts)) == ["threads_differ"]


def test_a_host_that_tells_of_none() -> None:
    assert codes(PLAIN, given(CACHE_0, NODE_0, cpuset="8-15")) == []
