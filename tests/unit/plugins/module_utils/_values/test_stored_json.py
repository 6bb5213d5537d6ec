# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import (
    MAX_DEPTH,
    MAX_NUMBER,
    MAX_TEXT,
    StoredTextError,
    read_json,
)

scalars = st.none() | st.booleans() | st.integers(-MAX_NUMBER, MAX_NUMBER) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    scalars.filter(lambda value: not isinstance(value, float) or abs(value) != float("inf")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES)
def test_what_was_written_is_read(value: object) -> None:
    assert read_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ('"', "no JSON"),
        ('{"a": 1} x', "no JSON"),
        ("[" * 2000, "nested deeper"),
        ("[" * 900 + "]" * 900, "nested deeper"),
        ('{"a":' * 900 + "1" + "}" * 900, "nested deeper"),
        ("[" * 50000, "nested deeper"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper"),
        (" " * (MAX_TEXT + 1), "longer than"),
        ("9" * 5000, "too large"),
        (f"[{MAX_NUMBER + 1}]", "too large"),
        ("-99999999999999999999", "too large"),
        ("1e999", "too large"),
        ("NaN", "NaN is no number"),
        ('{"cpu_ratio": Infinity}', "Infinity is no number"),
        ("-Infinity", "-Infinity is no number"),
        ('{"a": 1, "a": 2}', "says something twice"),
        ('{"a": "\\ud800"}', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(StoredTextError, match=said):
        read_json(text)


def test_brackets_in_strings_are_no_depth() -> None:
    assert read_json(json.dumps({"a": "[" * 1000 + '"\\' + "{" * 1000})) == {"a": "[" * 1000 + '"\\' + "{" * 1000}
    assert read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert read_json("[-1, 1e-308, 0.5]") == [-1, 1e-308, 0.5]
