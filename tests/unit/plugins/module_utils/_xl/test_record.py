# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Intents as a line of JSON: nothing is lost, and nothing foreign is believed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    MEMORY_MODES,
    Intent,
    MemoryIntent,
    pins_of,
)
from ansible_collections.numa.virt.plugins.module_utils._xl.record import intent_from_json, intent_to_json

sets = st.sets(st.integers(0, 200), min_size=1).map(CpuSet)
pins = st.dictionaries(st.integers(0, 64), sets).map(pins_of)
intents = st.builds(
    Intent,
    cells=st.none() | sets,
    cpuset=st.none() | sets,
    memory=st.none() | st.builds(MemoryIntent, st.sampled_from((*MEMORY_MODES, "none")), st.none() | sets),
    vcpu_pins=st.none() | pins,
    emulator=st.none() | sets,
    iothread_pins=st.none() | pins,
)


@given(intents)
def test_what_was_written_is_read(intent):
    text = intent_to_json(intent)
    assert "\n" not in text
    assert intent_from_json(text) == intent


def test_what_was_not_said_is_left_out():
    assert json.loads(intent_to_json(Intent(cells=CpuSet([1, 2])))) == {"version": 1, "cells": "1-2"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        '{"cells": "1"}',
        '{"version": 2, "cells": "1"}',
        '{"version": 1, "cells": 1}',
        '{"version": 1, "cells": "one"}',
        '{"version": 1, "memory": {"cells": "1"}}',
        '{"version": 1, "memory": {"mode": "elastic"}}',
        '{"version": 1, "memory": "strict"}',
        '{"version": 1, "vcpu_pins": {"x": "1"}}',
        '{"version": 1, "vcpu_pins": ["1"]}',
        "[" * 100000,
    ],
)
def test_what_cannot_be_ours_counts_as_absent(text):
    assert intent_from_json(text) is None
