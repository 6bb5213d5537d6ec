# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError, InputError
from ansible_collections.numa.virt.plugins.module_utils._intent.placement_options import (
    entries_of,
    options_of,
    rules_of,
    rules_with_ratio,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.sizes import size_in_kib
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def test_names_and_dictionaries() -> None:
    full = {"name": "db1", "policy": "dedicated", "cells": [1]}
    assert entries_of(["web1", full, {"xml": "<domain/>"}]) == [{"name": "web1"}, full, {"xml": "<domain/>"}]
    assert entries_of(None) is None


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ([], "domains: is empty; name at least one domain, or use select"),
        (["web1", 7], "domains[1]: is neither a name nor a dictionary; write web1 or {name: web1, cells: [1]}"),
        ([None], "domains[0]: is neither a name nor a dictionary"),
        ([["web1"]], "domains[0]: is neither a name nor a dictionary"),
        ([""], "domains[0]: is empty"),
        ([{}], "domains[0]: has neither name nor xml; give one of them"),
        ([{"name": "", "xml": None}], "domains[0]: has neither name nor xml"),
        ([{"name": 5}], "domains[0].name: is no text; put it in quotes"),
        ([{"xml": b"<domain/>"}], "domains[0].xml: is no text"),
        ([{"xml": {"domain": "s3cret"}}], "domains[0].xml: is no text"),
        (
            [{"name": "x", "polcy": "pack", "zell": 1}],
            "domains[0].polcy: is no option; choose among name, xml, policy, cells,",
        ),
        ([{"name": "x", 1: 2}], "domains[0].1: is no option"),
        ([{"<a b='s3cret'/>": 1}], "domains[0].(not shown: 15 characters): is no option"),
    ],
)
def test_entries_that_are_wrong(option: list[Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        entries_of(option)
    assert said in str(error.value)
    assert "s3cret" not in repr(error.value.as_result())


def test_rules() -> None:
    names = ("reserved_cpus", "reserved_memory", "reserved_cells", "shared_cpus", "dedicated_cpus")
    assert (
        rules_of({})
        == rules_of(dict.fromkeys(names))
        == rules_of(dict.fromkeys(names[::2], ""))
        == Rules(reserves=True)
    )
    assert rules_of(
        {"reserved_cpus": 0, "reserved_memory": {"1": "1GiB", 0: 512}, "shared_cpus": "1-3", "dedicated_cpus": [4, 5]}
    ) == Rules(
        reserved_cpus=cpus("0"),
        reserved_memory=((0, 512), (1, 1048576)),
        shared_cpus=cpus("1-3"),
        dedicated_cpus=cpus("4-5"),
        reserves=True,
    )
    assert rules_of({"reserved_memory": {"0-1,3": "2M"}}).reserved_memory == ((0, 2048), (1, 2048), (3, 2048))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reserved_cells": "8-"}, "reserved_cells: '8-': "),
        ({"reserved_cells": {"8": 1}}, "reserved_cells: "),
        ({"reserved_cpus": "0-"}, "reserved_cpus: '0-': a CPU number is missing at character 3"),
        ({"shared_cpus": {"a": 1}}, "shared_cpus: {'a': 1}: is not a CPU set"),
        ({"dedicated_cpus": False}, "dedicated_cpus: False: False is not a CPU number"),
        ({"reserved_memory": {"x": "1G"}}, "reserved_memory key: 'x': unexpected 'x'"),
        ({"reserved_memory": {"0": "much"}}, "reserved_memory[0]: 'much': is no size; write 4GiB, 512MiB, or a number"),
        ({"reserved_memory": {"0": -1}}, "reserved_memory[0]: -1: is no size"),
        ({"reserved_memory": {"0": True}}, "reserved_memory[0]: True: is no size"),
        ({"reserved_memory": {"0": None}}, "reserved_memory[0]: is no size"),
        ({"reserved_memory": {"0": 1.5}}, "reserved_memory[0]: 1.5: is no size"),
        ({"reserved_memory": {"0": "1M", "0-1": "2M"}}, "reserved_memory: cell 0 is given twice; give each cell once"),
    ],
)
def test_rules_that_are_none(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        rules_of(options)
    assert said in str(error.value)


def test_a_position_in_a_set_is_told() -> None:
    with pytest.raises(CpuSetSyntaxError) as error:
        rules_of({"reserved_cpus": "0-3,x"})
    assert error.value.fields["position"] == 4


@given(
    st.integers(0, 10**9),
    st.sampled_from([("K", 0), ("M", 10), ("G", 20), ("T", 30)]),
    st.sampled_from(["", "B", "iB", "i", "ib", "b"]),
    st.sampled_from(["", " "]),
    st.booleans(),
)
def test_sizes(number: int, unit: tuple[str, int], rest: str, space: str, small: bool) -> None:
    text = f"{number}{space}{unit[0].lower() if small else unit[0]}{rest}"
    assert size_in_kib(text, "x") == number << unit[1]
    assert size_in_kib(number, "x") == size_in_kib(str(number), "x") == number


def test_options() -> None:
    assert options_of({}) == options_of({"rebalance": False, "max_moves": None}) == Options()
    assert options_of({"rebalance": True, "max_moves": 2, "even_out": True}) == Options(True, 2)
    assert options_of({"rebalance": True, "even_out": False}) == Options(True, None, even_out=False)


def test_rules_with_a_ratio() -> None:
    rules = Rules(reserved_cpus=cpus("0"), cpu_ratio=4.0, reserves=True)
    assert rules_with_ratio({"reserved_cpus": "0", "cpu_ratio": 4.0}) == rules
    assert rules_with_ratio({"cpu_ratio": None}) == Rules(reserves=True)


def test_cells_kept_out() -> None:
    assert rules_of({"reserved_cells": [8, 252]}).reserved_cells == cpus("8,252")
    assert rules_of({"reserved_cells": "8"}) == rules_of({"reserved_cells": 8})
