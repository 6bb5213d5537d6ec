# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ConnectionFailedError,
    CpuSetSyntaxError,
    DomainNotFoundError,
    InputError,
    LibvirtCallError,
    NumaVirtError,
    PlacementFailedError,
    RestartFailedError,
    UnsupportedError,
    XmlError,
    few,
    few_lines,
    required,
    shown,
)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("cells", "9", "is not there", "its cells are 0-1"), "cells: '9': is not there; its cells are 0-1"),
        (InputError("cells", [9], "is not there"), "cells: [9]: is not there"),
        (InputError("cells", 0, "is not there"), "cells: 0: is not there"),
        (InputError("name", None, "is missing"), "name: is missing"),
        (InputError("name", "", "is missing"), "name: is missing"),
        (
            CpuSetSyntaxError("cpuset", "1,,2", 2, "unexpected ','"),
            "cpuset: '1,,2': unexpected ',' at character 3; a CPU set looks like '0-3,^2,8' or [0, 1, 3, 8]",
        ),
        (XmlError("xml", "has no <name>", "add one"), "xml: has no <name>; add one"),
        (XmlError("xml", "is odd", line=4), "xml: line 4: is odd"),
        (XmlError("xml", "is odd", line=4, column=7), "xml: line 4, column 7: is odd"),
        (UnsupportedError("xen", "pins", "it has none"), "the xen driver cannot do this: it has none"),
        (UnsupportedError("xen", "pins", "it has none", "pins"), "pins: the xen driver cannot do this: it has none"),
        (LibvirtCallError("define it", "no room", 1), "cannot define it: no room"),
    ],
)
def test_message_names_option_value_problem_and_what_is_right(error: NumaVirtError, message: str) -> None:
    assert str(error) == error.message == message


def test_a_value_cannot_break_the_line_or_fill_the_screen() -> None:
    assert "\n" not in InputError("cpuset", "1\n2", "is wrong").message
    long = InputError("cpuset", "1," * 500, "is wrong").message
    assert len(long) < 250
    assert long.endswith("...: is wrong")


def test_no_message_is_longer_than_a_screen_or_moves_the_cursor() -> None:
    for text in ("x" * 10**6, "a\nb\r\x1b[2J\u202e\u2028\ud800" * 1000, "\0" * 5000):
        error = NumaVirtError(f"{text} is wrong; give another")
        assert str(error) == error.message == error.as_result()["msg"]
        assert len(error.message) <= 1000 and error.message.isprintable()
        assert error.message.endswith("is wrong; give another")


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        list(range(10**5)),
        {str(number): number for number in range(10**5)},
        10**400,
        float("nan"),
        object(),
        None,
        ("a", 1),
        True,
        1.5,
    ],
)
def test_a_value_in_a_result_is_bounded(value: object) -> None:
    error = InputError("cpuset", value, "is wrong", "give another")
    assert len(error.message) < 300
    assert len(json.dumps(error.as_result(), allow_nan=False)) < 3000


def test_names_and_lists_in_messages() -> None:
    assert shown("web1") == "web1" and shown(" é") == " é"
    assert shown("a\nb\u202e") == "a\\nb\\u202e"
    assert len(shown("x" * 1000)) == 200 == len(shown("\0" * 1000))
    assert few(["a", "b"]) == "a, b" and few(list("abcde")) == "a, b, c and 2 more"
    assert few_lines(["a\nb", "c"]) == ["a\\nb", "c"]
    assert few_lines(str(number) for number in range(100))[19:] == ["19", "(and 80 more warnings)"]


def test_of_another_option_it_is_the_same_error() -> None:
    error = CpuSetSyntaxError("cpuset", "1,,2", 2, "unexpected ','")
    assert (
        error.for_option("pins[0]").as_result() == CpuSetSyntaxError("pins[0]", "1,,2", 2, "unexpected ','").as_result()
    )


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (NumaVirtError("no"), {"code": "error"}),
        (
            InputError("cells", "9", "is not there", "its cells are 0-1"),
            {
                "code": "invalid_input",
                "option": "cells",
                "value": "9",
                "problem": "is not there",
                "expected": "its cells are 0-1",
            },
        ),
        (
            XmlError("xml", "is odd", line=4, column=7),
            {
                "code": "invalid_xml",
                "option": "xml",
                "value": None,
                "problem": "line 4, column 7: is odd",
                "expected": None,
                "line": 4,
                "column": 7,
            },
        ),
        (
            UnsupportedError("xen", "pins", "it has none", "pins"),
            {
                "code": "unsupported",
                "driver": "xen",
                "feature": "pins",
                "reason": "it has none",
                "option": "pins",
            },
        ),
        (
            LibvirtCallError("define it", "no room", 1),
            {"code": "libvirt", "action": "define it", "reason": "no room", "libvirt_code": 1},
        ),
        (PlacementFailedError("no", threads=[1]), {"code": "placement_failed", "threads": [1]}),
    ],
)
def test_as_result_is_plain_data(error: NumaVirtError, data: dict[str, object]) -> None:
    assert error.as_result() == {"msg": error.message, "changed": False, "error": data}
    assert json.loads(json.dumps(error.as_result())) == error.as_result()


def test_position_is_data_too() -> None:
    assert CpuSetSyntaxError("cpuset", "1,,2", 2, "unexpected ','").as_result()["error"]["position"] == 2


def test_every_kind_has_a_code_of_its_own() -> None:
    kinds = [
        NumaVirtError,
        InputError,
        CpuSetSyntaxError,
        XmlError,
        DomainNotFoundError,
        UnsupportedError,
        ConnectionFailedError,
        LibvirtCallError,
        PlacementFailedError,
        RestartFailedError,
    ]
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_required() -> None:
    assert required(0) == 0
    with pytest.raises(AssertionError):
        required(None)
