# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real-time vCPUs. The host: cells 0 to 3 with 8 CPUs and 16 GiB each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements.scheduler import Schedulers
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import GuestFacts
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Scheduler
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import codes, guest, host, only

HOST = host(4)


def realtime(policy: str = "fifo", vcpus: tuple[int, ...] = (0, 1), **parts: Any) -> GuestFacts:
    """A guest whose vCPUs 0 and 1 are pinned to CPUs 2 and 3."""
    facts = guest("rt", **{"pins": ("2", "3"), "cpuset": "2-3", "memory": "strict 0", **parts})
    assert facts.config is not None
    schedulers = Schedulers(vcpus=tuple((vcpu, Scheduler(policy, 1)) for vcpu in vcpus))
    placement = facts.config.placement.with_knob("scheduler", schedulers)
    said = replace(facts.config, placement=placement)
    return replace(facts, config=said, live=said if facts.live is not None else None)


@pytest.mark.parametrize("policy", ["fifo", "rr"])
def test_an_emulator_that_gets_no_time(policy: str) -> None:
    one = only(HOST, realtime(policy))
    assert one == {
        "code": "realtime_shared",
        "severity": "error",
        "domain": "rt",
        "others": [],
        "cells": [],
        "cpus": "2-3",
        "numbers": {"threads": 1},
        "message": "its emulator's threads may run on CPUs 2-3 of its real-time vCPUs, and nowhere else: they get no "
        "time there",
        "fix": "live",
        "remedy": "run numa_placement for it with policy=dedicated, or pin these threads to other CPUs with vcpu_pin",
    }


def test_one_that_may_run_elsewhere_too() -> None:
    one = only(HOST, realtime(emulator="0-3", running=False))
    assert (one["severity"], one["fix"], one["cpus"]) == ("warning", "redefine", "2-3")


def test_io_threads_count_as_well() -> None:
    one = only(HOST, realtime(emulator="0-3", iothreads={1: "2", 2: "1"}))
    assert one["severity"] == "error"
    assert one["message"].startswith("its IO thread 1 (and 1 more of its threads) may run on CPU 2 ")
    assert codes(HOST, realtime(emulator="0-1", iothreads={1: "1"})) == []


def test_other_vcpus_count_as_well() -> None:
    one = only(HOST, realtime(vcpus=(0,), pins=("2", "2-3"), emulator="0-1"))
    assert (one["severity"], one["message"]) == ("warning", "its vCPU 1 may run on CPU 2 of its real-time vCPUs")
    assert only(HOST, realtime(vcpus=(0,), pins=("2", "2"), emulator="0-1"))["severity"] == "error"
    assert codes(HOST, realtime(vcpus=(0,), emulator="0-1")) == []


def test_what_is_none() -> None:
    assert codes(HOST, realtime("batch")) == []
    assert codes(HOST, realtime(vcpus=())) == []
    assert codes(HOST, realtime(vcpus=(7,))) == []
    assert "realtime_shared" not in codes(HOST, realtime(pins=(), cpuset=None))
    assert "realtime_shared" not in codes(HOST, realtime(), driver="xen")
