# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a module's arguments may be shown."""

from __future__ import annotations

import json

import pytest

from ansible_collections.numa.virt.plugins.module_utils._module.arguments import (
    documents,
    known_spec,
    misplaced,
    shown_arguments,
    without_values,
)

SECRET = "hunter2X"
DOCUMENT = f"<domain>\n  <graphics passwd='{SECRET}'/>\n</domain>\n"
SPEC = {
    "uri": {"type": "str"},
    "xml": {"type": "str"},
    "names": {"type": "list", "elements": "str", "aliases": ["name"]},
    "pins": {"type": "raw"},
    "memory": {"type": "dict", "options": {"mode": {}, "cells": {"type": "list"}}},
    "domains": {"type": "list", "elements": "raw"},
}
KNOWN = known_spec(SPEC, {"domains": ("name", "xml", "cells")}, ("xml",))


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"uri": "qemu:///system", "names": ["a", "b"]}, {"uri": "qemu:///system", "names": ["a", "b"]}),
        ({"name": "web1", "xml": None}, {"name": "web1", "xml": None}),
        ({"xml": "web1"}, {"xml": "(not shown: 4 characters)"}),
        ({"xml": DOCUMENT}, {"xml": f"(not shown: {len(DOCUMENT)} characters)"}),
        ({"xml": ["a"]}, {"xml": "(not shown: 1 elements)"}),
        ({"pins": {"0-3": "4", 5: [6]}}, {"pins": {"0-3": "4", 5: [6]}}),
        ({"pins": {"key": SECRET}}, {"pins": {"key": "(not shown: 8 characters)"}}),
        ({"memory": {"mode": "strict", "passwort": SECRET, "x": None, "y": True, "z": 3}},
         {"memory": {"mode": "strict", "passwort": "(not shown: 8 characters)", "x": None, "y": True,
                     "z": "(not shown)"}}),
        ({"domains": ["web1", {"name": "web2", "xml": DOCUMENT, "cells": [1], "xlm": DOCUMENT}]},
         {"domains": ["web1", {"name": "web2", "xml": f"(not shown: {len(DOCUMENT)} characters)", "cells": [1],
                               "xlm": f"(not shown: {len(DOCUMENT)} characters)"}]}),
        ({"unknown": SECRET, DOCUMENT: 0.5}, {"unknown": "(not shown: 8 characters)",
                                              f"(not shown: {len(DOCUMENT)} characters)": "(not shown)"}),
    ],
)  # fmt: skip
def test_what_is_shown(arguments, shown):
    assert shown_arguments(KNOWN, arguments) == shown


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"uri": DOCUMENT}, "uri"),
        ({"names": ["a", DOCUMENT]}, "names[1]"),
        ({"name": DOCUMENT}, "name"),
        ({"pins": {"0": DOCUMENT}}, "pins.0"),
        ({"pins": {DOCUMENT: "0"}}, "pins"),
        ({"memory": DOCUMENT}, "memory"),
        ({"memory": {"cells": [DOCUMENT]}}, "memory.cells[0]"),
        ({"domains": DOCUMENT}, "domains"),
        ({"domains": json.dumps([{"xml": DOCUMENT}])}, "domains"),
        ({"domains": ["web1", {"xml": DOCUMENT, "name": DOCUMENT}]}, "domains[1].name"),
        ({"domains": [[DOCUMENT]]}, "domains[0][0]"),
    ],
)
def test_a_document_where_none_belongs(arguments, where):
    assert misplaced(KNOWN, arguments) == where


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"xml": DOCUMENT}, {"xml": [DOCUMENT]}, {"domains": [{"xml": DOCUMENT}]}, {"names": ["a", "web 1"]},
        {"unknown": DOCUMENT}, {"domains": [{"xlm": DOCUMENT}]}, {"pins": {0: 3}}, {"uri": None},
    ],
)  # fmt: skip
def test_no_document_where_none_belongs(arguments):
    assert misplaced(KNOWN, arguments) is None


def test_what_is_nested_deeper_than_any_option_is_neither_taken_nor_shown():
    deep = SECRET
    for _level in range(2000):
        deep = [deep]
    assert misplaced(KNOWN, {"pins": deep}).startswith("pins[0]")
    assert SECRET not in str(shown_arguments(KNOWN, {"pins": deep}))
    assert without_values("got: a", {"pins": deep}) == "got: a"


def test_messages_lose_values():
    arguments = {"names": f"a,password={SECRET}", "pins": {"x": f"token '{SECRET}'"}, "n": 3, "l": (f"key={SECRET}",)}
    for each in (f"password={SECRET}", f"token '{SECRET}'", f"key={SECRET}"):
        for said in (each, repr(each), str([each]), json.dumps(each), repr(repr(each))):
            assert SECRET not in without_values(f"got: {said}", arguments)
    assert without_values("got: a", arguments) == "got: a"
    assert documents({"a": [DOCUMENT, "x"], "b": {DOCUMENT: 1}}) == [DOCUMENT, DOCUMENT]
