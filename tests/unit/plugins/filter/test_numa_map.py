# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter around the map: what it takes, what it refuses. The map itself: _map/test_text."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.numa_map import FilterModule, numa_map

HOST = {
    "cells": [
        {
            "id": 0,
            "cpus": [0, 1],
            "memory": {"total": 2048, "free": None},
            "distances": {"0": 10},
            "huge_pages": [],
        }
    ],
    "notes": [],
}
LINES = ["┌─ cell 0 ── CPUs 0-1 ── 2 MiB", "└  no guest"]


@pytest.mark.parametrize("guests", [{"domains": []}, [], ()])
def test_results_and_lists_of_domains(guests):
    assert numa_map(HOST, guests) == LINES


def test_findings_of_the_result_are_drawn():
    finding = {"code": "cpu_offline", "severity": "error", "cells": [0], "message": "CPU 1 is offline"}
    assert numa_map(HOST, {"domains": [], "findings": [finding]}) == [
        "┌─ cell 0 ── CPUs 0-1 ── 2 MiB",
        "│  no guest",
        "└  findings E1",
        "┌─ findings",
        "└  E1  error cpu_offline - CPU 1 is offline",
    ]
    assert numa_map(HOST, {"domains": [], "findings": None}) == LINES


def test_width():
    assert numa_map(HOST, [], width=60) == LINES
    with pytest.raises(AnsibleFilterError, match=r"^width: 5: is too narrow for a map; give 60 or more$"):
        numa_map(HOST, [], width=5)


@pytest.mark.parametrize(
    ("host", "guests", "message"),
    [
        ({}, [], "numa_map: the input is not a result of numa.virt.numa_cell_info"),
        ([], [], "numa_map: the input is not a result of numa.virt.numa_cell_info"),
        (HOST, {}, "numa_map: guests is not a result of numa.virt.numa_domain_info"),
        (HOST, "web1", "numa_map: guests is not a result of numa.virt.numa_domain_info"),
    ],
)
def test_what_is_no_result(host, guests, message):
    with pytest.raises(AnsibleFilterError, match=message):
        numa_map(host, guests)


def test_ansible_finds_it():
    assert FilterModule().filters() == {"numa_map": numa_map}
