# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl's cpus means on a host of four cells. xl's own word is in test_config.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._xl.affinity import read_affinity
from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import XlConfigError, merged, parse_document

EVERYTHING = CpuSet(range(8))
CELLS = {cell: CpuSet([2 * cell, 2 * cell + 1]) for cell in range(4)}


def read(value, vcpus=1, cells=CELLS, everything=EVERYTHING):
    statement = merged(parse_document(f"\ncpus={value}", "x.cfg").statements, "x.cfg").get("cpus")
    return read_affinity(statement, vcpus, cells, everything, "x.cfg")


SETS = {
    "2-3": "2-3",
    "0-3,5,^1": "0,2-3,5",
    "^1,0-3": "0-3",  # an exclusion removes only what stands before it
    "all": None,
    "all,all": None,
    "nodes:all": None,
    "all,^99": None,  # nothing is taken away
    "all,^1": "0,2-7",
    "all,^1,1": "0-7",
    "0-7": "0-7",  # every CPU by number is a set like others
    "1,all": None,
    "node:1": "2-3",
    "nodes:0-1,6": "0-3,6",
    "nodes:0-3,^node:2": "0-3,6-7",
    "0-7,^nodes:1-2": "0-1,6-7",
    "nodes:2-9": "4-7",  # what the host has not got is passed over
    "2,99": "2",
    "6-2147483647": "6-7",
    ",,2,,3,": "2-3",
    " 2, +3": "2-3",
    "node: 1,^ 3": "2",
    "2- 3": "2-3",
    "002": "2",
    "0" * 30 + "2": "2",
}


@pytest.mark.parametrize("text", SETS)
def test_a_set(text):
    expected = SETS[text]
    assert read(f"'{text}'", 2) == (None if expected is None else CpuSet.parse(expected),) * 2


WRONG = {
    "x": "'x' is no set of CPUs; xl takes CPUs such as",
    "2 ": "'2 ' is no set of CPUs",
    "2 -3": "'2 -3' is no set of CPUs",
    "2.5": "is no set of CPUs",
    "-1": "is no set of CPUs",
    "1--2": "is no set of CPUs",
    "1-2-3": "is no set of CPUs",
    "0x2": "is no set of CPUs",
    "^all": "'^all' is no set of CPUs",
    "^nodes:all": "'^nodes:all' is no set of CPUs",
    "nodes:^1": "is no set of CPUs",
    "^^1": "is no set of CPUs",
    " ^1": "is no set of CPUs",
    "Node:1": "is no set of CPUs",
    " all": "is no set of CPUs",
    "٣": "is no set of CPUs",
    "0,3-2": "'3-2' ends before it starts",
    "4294967298": "'4294967298': no CPU has such a number",
    "0-" + "9" * 400: "no CPU has such a number",
    "": "'' leaves no CPU of this host",
    ",": "',' leaves no CPU of this host",
    "^1": "'^1' leaves no CPU of this host",
    "1,^1": "'1,^1' leaves no CPU of this host",
    "8": "'8' leaves no CPU of this host",
    "node:4": "'node:4' leaves no CPU of this host",
    "x" * 300: "'" + "x" * 57 + "...' is no set of CPUs",
}


@pytest.mark.parametrize("text", WRONG)
def test_no_set(text):
    with pytest.raises(XlConfigError) as error:
        read(f"'{text}'")
    assert str(error.value).startswith("x.cfg: line 2: cpus: ") and WRONG[text] in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_one_number_and_none_at_all():
    assert read("5", 3) == (CpuSet([5]),) * 3
    assert read_affinity(None, 3, CELLS, EVERYTHING, "x") == (None,) * 3


def test_a_list_is_by_vcpu():
    assert read("[2,'3','2-3']", 3) == (CpuSet([2]), CpuSet([3]), CpuSet([2, 3]))
    assert read("['all','node:3']", 2) == (None, CpuSet([6, 7]))


def test_beyond_the_end_of_a_list_every_cpu():
    assert read("['2']", 3) == (CpuSet([2]), None, None)
    assert read("[]", 2) == (None, None)


def test_beyond_the_last_vcpu_nothing_is_read():
    assert read("['2','3','rubbish',['4']]", 2) == (CpuSet([2]), CpuSet([3]))
    with pytest.raises(XlConfigError, match=r"line 2: cpus: 'rubbish' is no set"):
        read("['2','3','rubbish']", 3)


def test_the_line_is_that_of_the_element():
    with pytest.raises(XlConfigError, match=r"x\.cfg: line 4: cpus: '9' leaves no CPU of this host"):
        read("['2',\n # x\n '9']", 2)


def test_a_list_in_the_list():
    with pytest.raises(XlConfigError, match=r"line 2: cpus holds a list inside a list; write one string for each vCPU"):
        read("['2',['3']]", 2)


def test_another_host():
    cells, everything = {0: CpuSet([0]), 4: CpuSet([3])}, CpuSet([0, 3])
    assert read("'0-3'", 1, cells, everything) == (CpuSet([0, 3]),)
    assert read("'nodes:0-4'", 1, cells, everything) == (CpuSet([0, 3]),)
    # CPU 7 is offline and therefore in no cell, and yet it is one of the host's
    assert read("'nodes:3'", 1, {3: CpuSet([6])}, EVERYTHING) == (CpuSet([6]),)
    assert read("'6-7'", 1, {3: CpuSet([6])}, EVERYTHING) == (CpuSet([6, 7]),)


@given(st.sets(st.integers(0, 7), min_size=1))
def test_our_own_words_are_understood(cpus):
    assert read(f"'{CpuSet(cpus)}'") == (CpuSet(cpus),)


@given(st.text(alphabet="0123456789-^,:nodeslal +\t", max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        (found,) = read("'" + text + "'")
    except XlConfigError:
        return
    assert found is None or (found and found <= EVERYTHING)
