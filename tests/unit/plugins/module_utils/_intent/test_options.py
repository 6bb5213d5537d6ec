# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements.words import sets_from_option
from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError, InputError
from ansible_collections.numa.virt.plugins.module_utils._intent.options import intent_from_options
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, MemoryIntent


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def refused(options: dict[str, Any], called: dict[str, str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        intent_from_options(options, called)
    return caught.value.message


def test_what_is_missing_or_none_was_not_said() -> None:
    names = ("cells", "cpuset", "memory", "vcpu_pins", "emulator_cpuset", "iothread_pins")
    assert intent_from_options({}) == intent_from_options(dict.fromkeys(names)) == Intent()


def test_everything_said() -> None:
    assert intent_from_options(
        {
            "cells": [1, 0],
            "cpuset": "0-3,^1",
            "memory": {"mode": "preferred", "cells": [1]},
            "vcpu_pins": {"0": "4", "1-2": [5, 6]},
            "emulator_cpuset": 7,
            "iothread_pins": {1: "0"},
        }
    ) == Intent(
        cells=cpus("0-1"),
        cpuset=cpus("0,2-3"),
        memory=MemoryIntent("preferred", cpus("1")),
        vcpu_pins=((0, cpus("4")), (1, cpus("5-6")), (2, cpus("5-6"))),
        emulator=cpus("7"),
        iothread_pins=((1, cpus("0")),),
    )


def test_two_ways_to_write_a_wish_are_one_wish() -> None:
    one = {"cpuset": "3,1-2", "vcpu_pins": {"0-1": "4", "2": "4"}, "memory": {}}
    other = {"cpuset": [1, 2, 3], "vcpu_pins": {"2,0,1": [4]}, "memory": {"mode": "strict", "cells": None}}
    assert intent_from_options(one) == intent_from_options(other)


def test_no_pins_at_all_is_something_said() -> None:
    assert intent_from_options({"vcpu_pins": {}, "iothread_pins": {}}) == Intent(vcpu_pins=(), iothread_pins=())


@pytest.mark.parametrize(("mode", "expected"), [(None, "strict"), ("interleave", "interleave"), ("none", "none")])
def test_memory_modes(mode: str | None, expected: str) -> None:
    assert intent_from_options({"memory": {"mode": mode}}).memory == MemoryIntent(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": []}, "cells: []: names no cell; give at least one cell, or leave the option out"),
        ({"cells": [-1]}, "cells: [-1]: -1 is not a CPU number; CPU numbers are 0 to 1048575"),
        ({"cpuset": ""}, "cpuset: names no CPU; give at least one CPU, or leave the option out"),
        ({"cpuset": ()}, "cpuset: (): names no CPU; give at least one CPU, or leave the option out"),
        ({"cpuset": "1,^1"}, "cpuset: '1,^1': names no CPU; give at least one CPU, or leave the option out"),
        (
            {"cpuset": "1-"},
            "cpuset: '1-': a CPU number is missing at character 3; a CPU set looks like '0-3,^2,8' or [0, 1, 3, 8]",
        ),
        ({"cpuset": {}}, "cpuset: {}: is not a CPU set; give text such as '0-3,8' or a list of integers"),
        (
            {"emulator_cpuset": "^1"},
            "emulator_cpuset: '^1': names no CPU; give at least one CPU, or leave the option out",
        ),
        (
            {"memory": {"mode": "bind"}},
            "memory.mode: 'bind': is not a memory mode; choose one of strict, preferred, interleave, restrictive, none",
        ),
        (
            {"memory": {"cells": []}},
            "memory.cells: []: names no cell; give at least one cell, or leave the option out",
        ),
        (
            {"memory": {"mode": "none", "cells": [1]}},
            "memory.cells: [1]: contradicts memory.mode=none; leave one of them out",
        ),
        (
            {"vcpu_pins": {"0": "1-2-3"}},
            "vcpu_pins[0]: '1-2-3': unexpected '-' at character 4; a CPU set looks like '0-3,^2,8' or [0, 1, 3, 8]",
        ),
        (
            {"vcpu_pins": {"0": []}},
            "vcpu_pins[0]: []: names no CPU; give at least one CPU, or leave the option out",
        ),
        ({"vcpu_pins": {"1-3": None}}, "vcpu_pins[1-3]: names no CPU; give a CPU set such as '4-7'"),
        (
            {"vcpu_pins": {"a": "1"}},
            "vcpu_pins key: 'a': unexpected 'a' at character 1; a CPU set looks like '0-3,^2,8' or [0, 1, 3, 8]",
        ),
        ({"vcpu_pins": {"^1": "1"}}, "vcpu_pins key: '^1': names no vCPU; give at least one vCPU"),
        (
            {"vcpu_pins": {"0-2": "1", "2": "3"}},
            "vcpu_pins: '2': vCPU 2 is given twice; name each vCPU once",
        ),
        (
            {"vcpu_pins": {"0": "1", 0: "3"}},
            "vcpu_pins: '0': vCPU 0 is given twice; name each vCPU once",
        ),
        (
            {"iothread_pins": {"1": "1", "1,2": "3"}},
            "iothread_pins: '1,2': IO thread 1 is given twice; name each IO thread once",
        ),
    ],
)
def test_bad_words(options: dict[str, Any], message: str) -> None:
    assert refused(options) == message


def test_errors_use_the_modules_own_name_of_an_option() -> None:
    assert refused({"vcpu_pins": {"0": ""}}, {"vcpu_pins": "pins"}).startswith("pins[0]: names no CPU")


def test_position_of_an_error_survives() -> None:
    with pytest.raises(CpuSetSyntaxError) as caught:
        sets_from_option({"0": "4,x"}, "pins", "vCPU")
    assert caught.value.fields["position"] == 2
