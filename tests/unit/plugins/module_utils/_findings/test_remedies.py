# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which guests may be placed again for which findings, and what is gone afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import CODES
from ansible_collections.numa.virt.plugins.module_utils._findings.remedies import cleared, finding_lines, remedies

POLICY = {"cells": [1], "policy": {"policy": "pack"}}
BY_HAND = {"cells": [1], "policy": None}
DOMAINS = [
    {"name": "packed", "intent": POLICY},
    {"name": "packed2", "intent": POLICY},
    {"name": "manual", "intent": BY_HAND},
    {"name": "stranger", "intent": None},
]


def found(code: str, domain: str | None = "packed", *others: str, **more: Any) -> dict[str, Any]:
    """A finding as numa_domain_info returns it."""
    about = CODES[code]
    return {
        "code": code,
        "severity": about.severity,
        "domain": domain,
        "others": list(others),
        "cells": [0],
        "cpus": "0-1",
        "numbers": {"differences": 1},
        "message": "it is so",
        "fix": about.fix,
        "remedy": "do this",
        **more,
    }


def names(entries: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in entries]


def test_nothing() -> None:
    assert remedies([], DOMAINS) == {"place": [], "apply": [], "now": [], "left": []}


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_somebody_or_is_left(code: str) -> None:
    """Of guests that policies have placed, only these are for a user or the host."""
    result = remedies([found(code, "packed", "packed2")], DOMAINS)
    nobodys = (
        "allocation_remote", "cpu_offline", "definition_unreadable", "device_remote", "huge_pages_missing",
        "record_unreadable",
    )  # fmt: skip
    assert bool(result["left"]) == (code in nobodys)
    assert bool(result["place"]) != bool(result["left"]) and not result["apply"]


def test_who_may_move() -> None:
    assert names(remedies([found("cpu_dedicated_twice", "packed2", "packed")], DOMAINS)["place"]) == [
        "packed",
        "packed2",
    ]
    assert names(remedies([found("dedicated_shared", "packed2", "packed")], DOMAINS)["place"]) == ["packed"]
    assert names(remedies([found("spans_needlessly", "packed2", "packed")], DOMAINS)["place"]) == ["packed2"]
    assert names(remedies([found("cell_overcommitted", None, "packed2", "manual")], DOMAINS)["place"]) == ["packed2"]


def test_who_does_not_wait() -> None:
    assert remedies([found("dedicated_shared", "packed2", "packed")], DOMAINS)["now"] == ["packed"]
    assert remedies([found("dedicated_shared", "packed2", "packed", fix="redefine")], DOMAINS)["now"] == []
    assert remedies([found("spans_needlessly", fix="live")], DOMAINS)["now"] == []


def test_what_the_host_has_to_mend() -> None:
    offline = found("cpu_missing", fix="host")
    assert remedies([offline], DOMAINS)["left"] == [offline]


def test_by_hand() -> None:
    """Its place is its user's: it is given that again, or left."""
    moved = found("live_differs", "manual")
    assert remedies([moved], DOMAINS)["apply"] == [{"name": "manual", "cpuset": None}]
    spans = found("spans_needlessly", "manual")
    assert remedies([spans], DOMAINS)["left"] == [spans]
    cannot = found("intent_differs", "manual", numbers={})
    assert remedies([cannot], DOMAINS)["left"] == [cannot]
    assert names(remedies([found("intent_differs", "manual")], DOMAINS)["apply"]) == ["manual"]


def test_a_stranger() -> None:
    """Nobody has placed it: only the user can say that it shall be."""
    spans = found("spans_needlessly", "stranger")
    assert remedies([spans], DOMAINS)["left"] == [spans]
    assert remedies([spans], DOMAINS, adopt="pack")["place"] == [{"name": "stranger", "policy": "pack"}]
    pinned = found("sibling_shared", "stranger")
    assert remedies([pinned], DOMAINS, adopt="spread")["left"] == [pinned]
    assert remedies([pinned], DOMAINS, adopt="dedicated")["place"] == [{"name": "stranger", "policy": "dedicated"}]
    gone = found("spans_needlessly", "gone")
    assert remedies([gone], DOMAINS, adopt="pack")["left"] == [gone]


def test_an_ignored_cpu_set_is_made_to_hold() -> None:
    """Whatever else is found of the guest, and in whatever order."""
    ignored = found("cpuset_ignored", "stranger", cpus="2-3")
    both = [ignored, found("live_differs", "stranger")]
    for findings in (both, both[::-1]):
        result = remedies(findings, DOMAINS)
        assert result["apply"] == [{"name": "stranger", "cpuset": "2-3"}] and len(result["left"]) == 1
    again = remedies([found("cpuset_ignored", "manual"), found("threads_differ", "manual")], DOMAINS)
    assert again["apply"] == [{"name": "manual", "cpuset": None}]


def test_how_bad_it_has_to_be() -> None:
    findings = [found("memory_remote"), found("intent_differs", "packed2", severity="info")]
    assert names(remedies(findings, DOMAINS)["place"]) == ["packed", "packed2"]
    assert names(remedies(findings, DOMAINS, "warning")["place"]) == ["packed"]
    assert remedies(findings, DOMAINS, "error")["left"] == findings
    assert remedies(findings, DOMAINS, "never")["left"] == findings


def test_words_that_are_none() -> None:
    with pytest.raises(InputError, match="least: 'bad': is no severity; choose among error, warning, info and never"):
        remedies([], [], "bad")
    with pytest.raises(InputError, match="adopt: 'mirror': is no policy that any guest fits"):
        remedies([], [], adopt="mirror")


def test_cleared() -> None:
    before = [found("memory_remote"), found("live_differs"), found("cell_overcommitted", None, "packed", "packed2")]
    after = [found("memory_remote", message="less"), found("cell_overcommitted", None, "packed")]
    assert cleared(before, after) == [before[1]]
    assert cleared(before, [found("cell_overcommitted", None, cells=[1])]) == before
    assert cleared([], after) == []


def test_lines() -> None:
    findings = [found("cpu_missing"), found("cell_overcommitted", None), found("memory_remote", severity="info")]
    assert finding_lines(findings, "kvm1") == [
        "kvm1: error: cpu_missing: 'packed': it is so; do this",
        "kvm1: warning: cell_overcommitted: it is so; do this",
        "kvm1: info: memory_remote: 'packed': it is so; do this",
    ]
    assert len(finding_lines(findings, "kvm1", "warning")) == 2
    assert finding_lines(findings, "kvm1", "never") == []


def test_a_name_stays_on_its_line() -> None:
    assert finding_lines([found("cpu_missing", "a\nb")], "h") == ["h: error: cpu_missing: 'a\\nb': it is so; do this"]


def test_what_giving_a_place_again_would_not_clear() -> None:
    """A policy plans anew; whoever was placed by hand is left out."""
    for code in ("memory_remote", "live_differs", "threads_differ", "cpuset_ignored"):
        refused = found(code, "manual", numbers={"refused": 1})
        assert remedies([refused], DOMAINS)["left"] == [refused]
        assert names(remedies([found(code, "packed", numbers={"refused": 1})], DOMAINS)["place"]) == ["packed"]
    ignored = found("cpuset_ignored", "stranger", numbers={"refused": 1})
    assert remedies([ignored], DOMAINS)["left"] == [ignored]
    assert names(remedies([ignored], DOMAINS, adopt="pack")["place"]) == ["stranger"]
