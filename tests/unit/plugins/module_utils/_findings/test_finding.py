# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of codes, the guide about them, and the plain form of a finding."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.numa.virt.plugins.module_utils._findings.codes import CODES, FIXES, SEVERITIES
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import (
    cells_text,
    cpus_text,
    few,
    finding,
    finding_as_result,
    in_order,
    shown,
    summary_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

REPO = Path(__file__).resolve().parents[5]
GUIDE = REPO / "docs" / "docsite" / "rst" / "findings.rst"
ROW = re.compile(r"^   \* - ``(\w+)``\n     - \| (\w+).*\n       \| \*(\w+)", re.MULTILINE)


def test_the_guide_tells_of_every_code() -> None:
    if not GUIDE.exists():
        pytest.skip("the guides are not here")
    rows = ROW.findall(GUIDE.read_text(encoding="utf-8"))
    assert [code for code, _severity, _fix in rows] == sorted(CODES)
    assert {code: severity for code, severity, _fix in rows} == {code: each.severity for code, each in CODES.items()}
    assert {code: fix for code, _severity, fix in rows} == {code: each.fix for code, each in CODES.items()}


def test_the_words_are_known() -> None:
    assert {each.severity for each in CODES.values()} <= set(SEVERITIES)
    assert {each.fix for each in CODES.values()} <= set(FIXES)
    assert all(re.fullmatch("[a-z_]+", code) for code in CODES)


def test_plain_data() -> None:
    one = finding(
        "memory_remote", "a", "m", "r", others=("c", "b"), cells=CpuSet([1]), numbers={"kib": 5}, severity="info"
    )
    assert finding_as_result(one) == {
        "code": "memory_remote",
        "severity": "info",
        "domain": "a",
        "others": ["b", "c"],
        "cells": [1],
        "cpus": None,
        "numbers": {"kib": 5},
        "message": "m",
        "fix": "restart",
        "remedy": "r",
    }
    assert finding_as_result(finding("cpu_missing", None, "m", "r", cpus=CpuSet([1, 2])))["cpus"] == "1-2"


def test_the_worst_comes_first() -> None:
    found = [
        finding("memory_remote", "a", "m", "r"),
        finding("memory_remote", None, "m", "r"),
        finding("device_remote", "b", "m", "r", severity="info"),
        finding("cpu_missing", "z", "m", "r", cpus=CpuSet([2])),
        finding("cpu_missing", "z", "m", "r", cpus=CpuSet([1])),
        finding("device_remote", "z", "m", "r"),
    ]
    assert [(each.code, each.domain, str(each.cpus)) for each in in_order(found)] == [
        ("cpu_missing", "z", "1"),
        ("cpu_missing", "z", "2"),
        ("device_remote", "z", ""),
        ("memory_remote", None, ""),
        ("memory_remote", "a", ""),
        ("device_remote", "b", ""),
    ]
    assert summary_of(found) == {"error": 2, "warning": 3, "info": 1}
    assert summary_of([]) == {"error": 0, "warning": 0, "info": 0}


def test_words() -> None:
    assert (cpus_text(CpuSet([3])), cpus_text(CpuSet([3, 4]))) == ("CPU 3", "CPUs 3-4")
    assert (cells_text(CpuSet([3])), cells_text(CpuSet([3, 5]))) == ("cell 3", "cells 3,5")
    assert (few(["a"]), few(list("abc")), few(list("abcde"))) == ("a", "a, b, c", "a, b, c and 2 more")
    assert (shown("déjà vu"), shown("a\nb\x1b")) == ("déjà vu", "a\\nb\\x1b")
