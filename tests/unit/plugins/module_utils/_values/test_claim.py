# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Claims and the state of a host: one written form, and nothing else is believed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._values import stored_json
from ansible_collections.numa.virt.plugins.module_utils._values.claim import (
    Claim,
    HostState,
    Moment,
    claim_as_result,
    claim_from_json,
    claim_to_json,
    instant,
    is_uuid,
    state_as_result,
    state_from_json,
    state_to_json,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import StoredTextError

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
CLAIM = Claim(
    uuid=UUID,
    name="db1",
    cells=CpuSet([0, 1]),
    cpus=CpuSet([0, 1, 8]),
    owned=True,
    vcpus=3,
    memory=((0, None, 1024), (1, 2048, 4096)),
    made_by="ops@deploy1",
    made=1767268800,
    ends=1767272400,
    boot="b1",
    until=4600,
    cpu_ratio=2.5,
)
STATE = HostState("draining", "ops@deploy1", "a fan", 1767268800)


@pytest.mark.parametrize(
    "claim",
    [
        CLAIM,
        replace(CLAIM, cpu_ratio=None, owned=False, memory=(), made_by="", boot=""),
        replace(CLAIM, name="an odd\nname ü"),
    ],
)
def test_a_claim_comes_back_as_it_was_written(claim):
    text = claim_to_json(claim)
    assert text.count("\n") == 1
    assert claim_from_json(text) == claim
    assert claim_to_json(claim_from_json(text)) == text


def test_a_state_comes_back_as_it_was_written():
    text = state_to_json(STATE)
    assert state_from_json(text) == STATE
    assert str(STATE) == "this host is draining, says ops@deploy1 since 2026-01-01T12:00:00Z: a fan"
    assert str(HostState("out", "", "", 0)) == "this host is out, says somebody since 1970-01-01T00:00:00Z"
    assert [HostState(each, "", "", 0).takes_guests for each in ("in", "draining", "out")] == [True, False, False]


def changed(text, **parts):
    values = {**json.loads(text), **parts}
    return json.dumps({name: value for name, value in values.items() if value != "gone"})


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"format": 2}, "it is of a newer release (format 2)"),
        ({"format": 0}, "it is not of the right form"),
        ({"format": True}, "it is not of the right form"),
        ({"format": "1"}, "it is not of the right form"),
        ({"format": "gone"}, "it is not of the right form"),
        ({"more": 1}, "it is not of the right form"),
        ({"boot": "gone"}, "it is not of the right form"),
        ({"uuid": "x"}, "its uuid is none"),
        ({"uuid": UUID.upper()}, "its uuid is none"),
        ({"uuid": 7}, "its uuid is none"),
        ({"cells": ""}, "its cells are no set"),
        ({"cells": "0-"}, "its cells are no set"),
        ({"cells": [0]}, "its cells are no set"),
        ({"cpus": "1,0"}, "its cpus are no set"),
        ({"cpus": "0-99999999999"}, "its cpus are no set"),
        ({"owned": 1}, "its owned is neither true nor false"),
        ({"vcpus": 0}, "its vcpus is no such number"),
        ({"vcpus": True}, "its vcpus is no such number"),
        ({"vcpus": 1.5}, "its vcpus is no such number"),
        ({"vcpus": 1 << 20}, "its vcpus is no such number"),
        ({"cpu_ratio": 0}, "its cpu_ratio is none"),
        ({"cpu_ratio": True}, "its cpu_ratio is none"),
        ({"cpu_ratio": "4"}, "its cpu_ratio is none"),
        ({"name": ""}, "its name is no text of one line"),
        ({"name": "x" * 2000}, "its name is no text of one line"),
        ({"made_by": "a\nb"}, "its made_by is no text of one line"),
        ({"made_by": None}, "its made_by is no text of one line"),
        ({"memory": {}}, "its memory is no list"),
        ({"memory": [[0, None, 1]] * 1100}, "its memory is no list"),
        ({"memory": [[0, None]]}, "its memory is no list of cell, page and amount"),
        ({"memory": [0]}, "its memory is no list of cell, page and amount"),
        ({"memory": [[0, 0, 5]]}, "its memory is no such number"),
        ({"memory": [[0, None, 0]]}, "its memory is no such number"),
        ({"memory": [[-1, None, 5]]}, "its memory is no such number"),
        ({"memory": [[0, None, 5], [0, None, 6]]}, "its memory names a cell twice"),
        ({"memory": [[5, None, 5]]}, "its memory is on a cell that it does not name"),
        ({"made": -1}, "its made is no such number"),
        ({"ends": 1 << 60}, "its ends is no such number"),
        ({"until": 1.0}, "its until is no such number"),
    ],
)
def test_what_is_no_claim_is_named(parts, problem):
    with pytest.raises(StoredTextError) as error:
        claim_from_json(changed(claim_to_json(CLAIM), **parts))
    assert str(error.value) == problem


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"state": "drained"}, "its state is none"),
        ({"state": None}, "its state is none"),
        ({"who": "x" * 201}, "its who is no text of one line"),
        ({"why": 5}, "its why is no text of one line"),
        ({"when": "now"}, "its when is no such number"),
        ({"format": 9}, "it is of a newer release (format 9)"),
    ],
)
def test_what_is_no_state_is_named(parts, problem):
    with pytest.raises(StoredTextError) as error:
        state_from_json(changed(state_to_json(STATE), **parts))
    assert str(error.value) == problem


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "null", '"in"', "[" * 99, " " * (stored_json.MAX_TEXT + 1), '{"format": 1, "format": 1}']
)
def test_other_texts(text):
    for read in (claim_from_json, state_from_json):
        with pytest.raises(StoredTextError):
            read(text)


def test_when_it_is_none_any_more():
    now = Moment("b1", 4000, 1767268800)
    assert CLAIM.stale(now) is None
    assert CLAIM.left(now) == 600
    # Whatever somebody sets the clock to.
    assert CLAIM.stale(replace(now, wall=0)) is None
    assert CLAIM.stale(replace(now, wall=1 << 40)) is None
    assert CLAIM.stale(replace(now, seconds=4600)) == "it has ended at 2026-01-01T13:00:00Z"
    assert CLAIM.left(replace(now, seconds=9000)) == 0
    assert CLAIM.stale(replace(now, boot="b2", seconds=5)) == "it was made before the host was started"


def test_what_is_shown():
    assert claim_as_result(CLAIM) == {
        "uuid": UUID,
        "name": "db1",
        "cells": [0, 1],
        "cpuset": "0-1,8",
        "owned": True,
        "vcpus": 3,
        "cpu_ratio": 2.5,
        "memory": [
            {"cell": 0, "page_size": None, "memory": 1024},
            {"cell": 1, "page_size": 2048, "memory": 4096},
        ],
        "made_by": "ops@deploy1",
        "made": "2026-01-01T12:00:00Z",
        "ends": "2026-01-01T13:00:00Z",
    }
    assert state_as_result(None) == {"state": "in", "who": None, "reason": None, "since": None}
    assert state_as_result(STATE)["since"] == instant(STATE.when) == "2026-01-01T12:00:00Z"
    assert CLAIM.place == replace(CLAIM, memory=CLAIM.memory[::-1], made_by="x", ends=5).place
    assert CLAIM.place != replace(CLAIM, vcpus=4).place
    assert is_uuid(UUID) and not is_uuid(None)
