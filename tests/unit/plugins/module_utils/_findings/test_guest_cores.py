# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Threads of a guest's core on several cores of the host. The host: a cell of 4 cores, CPUs 0 and 1 are one of them."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._findings.facts import GuestFacts
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import (
    codes,
    guest,
    host,
    only,
    policy,
)

HOST = host(1)
CODE = "guest_threads_apart"


def pinned(pins: str, **parts: object) -> GuestFacts:
    """Cores of two threads; a CPU for each vCPU."""
    listed = pins.split()
    return guest("a", **{"pins": listed, "vcpus": len(listed), "core_threads": 2, **parts})  # type: ignore[arg-type]


def test_threads_of_one_core_on_two() -> None:
    assert only(HOST, pinned("0 2 1 3")) == {
        "code": CODE,
        "severity": "info",
        "domain": "a",
        "others": [],
        "cells": [0],
        "cpus": "0-3",
        "numbers": {"cores": 2, "threads": 2},
        "message": "its vCPUs 0-1 are threads of one core for the guest, and run on CPUs 0,2, which are not threads of "
        "one, and so do those of 1 more of its cores",
        "fix": "live",
        "remedy": "run numa_placement for it with policy=dedicated, pin the vCPUs of each core to siblings with "
        "vcpu_pin, or take threads out of its <topology>",
    }
    one = only(HOST, pinned("0 1 2 4", running=False))
    assert (one["fix"], one["cpus"], one["numbers"]) == ("redefine", "2,4", {"cores": 1, "threads": 2})


def test_what_runs_counts_and_not_what_is_written() -> None:
    """A vCPU that somebody has put elsewhere."""
    assert CODE in codes(HOST, pinned("0 1 2 3", source="hypervisor", real={1: "4"}))


def test_four_threads_on_cores_of_two() -> None:
    assert codes(HOST, pinned("0 2 1 3", core_threads=4)) == []
    assert codes(HOST, pinned("0 2 4 6", core_threads=4)) == [CODE]
    wide = host(1, 4, 4)
    assert codes(wide, pinned("0 1 2 3")) == []
    assert codes(wide, pinned("0 4 1 5")) == [CODE]


@pytest.mark.parametrize(
    ("pins", "parts"),
    [
        ("0 1 2 3", {}),
        ("3 2 7 6", {}),
        ("0 1 2", {}),  # the second core has one thread
        ("0 2 1 3", {"core_threads": 1}),
        ("0 2 2 4", {}),  # not each to another
        ("0-1 2 1 3", {}),
        ("0 2 1 9", {}),  # a CPU that is not there has its own finding
    ],
)
def test_when_nothing_is_said(pins: str, parts: dict[str, object]) -> None:
    assert CODE not in codes(HOST, pinned(pins, **parts))


def test_hosts_without_threads_and_hypervisors_that_do_not_tell() -> None:
    assert codes(host(1, 8, 1), pinned("0 2 1 3")) == []
    assert codes(HOST, pinned("0 2 1 3"), driver="xen") == codes(HOST, pinned("0 2 1 3"), driver="xl") == []
    assert codes(HOST, guest("a", automatic=True, running=False, core_threads=2)) == []


def test_guests_of_policies() -> None:
    """What the policy could do no better is no news; that its CPUs have been mixed up since is."""
    parts = {"intent": policy(), "cpuset": "0-7"}
    assert CODE in codes(HOST, pinned("0 2 1 3", **parts))
    assert CODE not in codes(HOST, pinned("0 2 4 6", **parts))
    isolated = {**parts, "intent": policy(smt="isolate")}
    assert CODE not in codes(HOST, pinned("0 2 4 6", **isolated))
    shared = {**parts, "intent": policy("pack")}
    assert CODE in codes(HOST, pinned("0 2 4 6", **shared))
    mirror = {**parts, "intent": policy("mirror", own_cpus=True), "guest_cells": 2}
    # Its cells cut a core: vCPUs 0 to 2 on cell 0.
    assert CODE not in codes(host(2, 2), pinned("0 1 2 6 4 5", **{**mirror, "cpuset": "0-7"}))
