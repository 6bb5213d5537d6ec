# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results of the info modules as values; that the text map reads them alike is test_text's."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._map.results import (
    InfoFinding,
    InfoPool,
    human,
    named,
    read_cells,
    read_findings,
    read_guests,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.builders import (
    GIB,
    cell,
    finding,
    guest,
    small,
)


def test_a_cell():
    host, _guests = small()
    found = read_cells(host)[1]
    assert (found.id, found.sockets, found.total, found.free, found.devices) == (1, (1,), 64 * GIB, 50 * GIB, 2)
    assert found.cpus == CpuSet(range(8, 16))
    assert [str(core) for core in found.cores] == ["8-9", "10-11", "12-13", "14-15"]
    assert found.pools == (InfoPool(2048, 4096, 4096),)
    assert found.distances == {0: 21, 1: 10}
    assert found.neighbours() == [(21, CpuSet([0]))]


def test_cpus_without_a_core_are_cores_of_their_own_and_offline_threads_are_left_out():
    (found,) = read_cells({"cells": [cell(0, [0, 1, 2, 5], [[1, 9], [7]])]})
    assert [str(core) for core in found.cores] == ["0", "1", "2", "5"]


def test_what_an_older_result_does_not_have():
    value = cell(3, [1])
    for key in ("cores", "sockets", "devices"):
        del value[key]
    (found,) = read_cells({"cells": [value]})
    assert (found.cores, found.sockets, found.devices) == ((CpuSet([1]),), (), 0)


def test_a_guest_is_read_where_it_really_is():
    (found,) = read_guests([guest("a", "0-3", 2, pins={"0": "1"}, cells=[0], lies={1: 5}, policy="dedicated")])
    assert found.vcpus == ((0, CpuSet([1])), (1, CpuSet(range(4))))
    assert (found.lies, found.bound, found.mode, found.dedicated) == ({1: 5}, CpuSet([0]), "strict", True)
    assert found.has_memory_on(1) and not found.has_memory_on(0)
    assert found.on(1) == (0, 1) and found.on(2) == (1,)
    assert found.reach(CpuSet(range(8))) == CpuSet(range(4))


def test_a_guest_that_is_not_seen_is_read_from_its_definition():
    (found,) = read_guests([guest("a", None, 2, pins={"1": "7"}, cells=[0, 1], state="shut off")])
    assert found.vcpus == ((0, None), (1, CpuSet([7])))
    assert found.lies is None and not found.dedicated
    assert not found.roams(CpuSet(range(8)))
    assert found.has_memory_on(1)


def test_findings_are_sorted_by_gravity_and_may_lack_what_they_do_not_need():
    shortest = {"code": "c", "severity": "error", "message": "m"}
    found = read_findings([finding("b", "info"), finding("a", "warning"), shortest, finding("a", "error", "x")])
    assert [(each.severity, each.code) for each in found] == [
        *(("error", "a"), ("error", "c"), ("warning", "a"), ("info", "b")),
    ]
    assert found[1] == InfoFinding("c", "error", None, (), (), EMPTY, "m", "", "")
    assert read_findings(None) == []


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (read_cells, {}, "x: there are no cells in it; give the result of numa.virt.numa_cell_info"),
        (read_cells, {"cells": "0"}, "x: this is none of the cells of numa_cell_info (not a list)"),
        (read_cells, {"cells": [{}]}, "x: this is none of the cells of numa_cell_info (KeyError 'cpus')"),
        (read_guests, {"a": 1}, "x: this is none of the domains of numa_domain_info (not a list)"),
        (read_guests, [None], "x: this is none of the domains of numa_domain_info (TypeError "),
        (
            read_findings,
            [{"severity": "bad"}],
            "x: this is none of the findings of numa_domain_info (ValueError severity",
        ),
        (
            read_findings,
            [finding("a", "info", cpus="x")],
            "x: this is none of the findings of numa_domain_info (CpuSetSyntaxError cpuset: 'x'",
        ),
    ],
)
def test_what_is_something_else_is_refused_in_one_line(read, value, message):
    with pytest.raises(InputError) as refused:
        read(value, "x")
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)


def test_words():
    assert (human(0), human(3985000), human(3 << 40)) == ("0 KiB", "3.8 GiB", "3072 TiB")
    assert (named("cell", CpuSet([3])), named("CPU", CpuSet([1, 2]))) == ("cell 3", "CPUs 1-2")
