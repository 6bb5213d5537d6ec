# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a map shows: signs, order, parts of memory, load."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._map.model import host_map, load, memory_parts, tag_of
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.builders import (
    GIB,
    cell,
    finding,
    guest,
    large,
    result,
    small,
)


def one_cell(*guests, total=64 * GIB, free=None, cpus=4):
    return host_map("h", {"cells": [cell(0, range(cpus), total=total, free=free)]}, list(guests))


def parts(host):
    return [
        (part.kind, part.guest.name if part.guest else None, part.kib // GIB)
        for part in memory_parts(host, host.cells[0])
    ]


def test_signs_follow_names():
    host = host_map("h", *small())
    assert [(each.tag, each.name, each.hue, each.pattern) for each in host.guests] == [
        ("A", "build", 0, 0),
        ("B", "db1", 1, 0),
        ("C", "web1", 2, 0),
        ("D", "web2", 3, 0),
    ]
    assert [(each.number, each.info.code) for each in host.findings] == [
        (1, "cpu_dedicated_twice"),
        (2, "memory_remote"),
        (3, "huge_pages_missing"),
    ]
    assert (host.count("error"), host.count("info")) == (1, 1)


def test_no_two_of_many_guests_look_alike():
    host = host_map("h", *large())
    signs = [(each.hue, each.pattern) for each in host.guests]
    assert len(set(signs[:32])) == 32 and len({each.tag for each in host.guests}) == 500


def test_tags():
    assert [tag_of(each) for each in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


def test_who_is_where():
    host = host_map("h", *small())
    assert [each.name for each in host.guests_of(host.cells[0])] == ["build", "db1", "web1"]
    assert [each.name for each in host.guests_of(host.cells[1])] == ["build", "web1", "web2"]
    assert [each.number for each in host.findings_at(host.cells[0])] == [1]
    assert [each.number for each in host.findings_of(host.guests[1])] == [1]
    assert host.roaming == () and host.everything == CpuSet(range(16))


def test_findings_by_their_cpus():
    host = host_map("h", small()[0], [], [finding("cpu_offline", "error", cpus="9")])
    assert [len(host.findings_at(each)) for each in host.cells] == [0, 1]


def test_memory_that_lies_there_and_what_others_have():
    host = one_cell(guest("b", "0", lies={0: 8 * GIB}), guest("a", "0", lies={0: 4 * GIB, 1: GIB}), free=40 * GIB)
    assert parts(host) == [("real", "a", 4), ("real", "b", 8), ("other", None, 12), ("free", None, 40)]


def test_memory_that_is_only_defined():
    running, off = guest("a", "0", cells=[0]), guest("b", "0", cells=[0, 1], state="shut off")
    assert parts(one_cell(running, off, free=50 * GIB)) == [
        ("defined", "a", 8),
        ("defined", "b", 4),
        ("other", None, 6),
        ("free", None, 46),
    ]
    assert parts(one_cell(running)) == [("defined", "a", 8), ("free", None, 56)]
    assert parts(one_cell(guest("a", "0"))) == [("free", None, 64)]
    assert parts(one_cell(guest("a", "0", lies={1: GIB}))) == [("free", None, 64)]


def test_more_memory_than_there_is():
    assert parts(one_cell(running := guest("a", "0", kib=99 * GIB, cells=[0]), free=0)) == [("defined", "a", 99)]
    assert running["name"] == "a"


def test_load_counts_shares_of_vcpus():
    host = host_map("h", *small())
    assert [load(host, each) for each in host.cells] == [6.0, 4.0]
    host = host_map("h", small()[0], [guest("a"), guest("b", "0,8", 3), guest("c", "99"), guest("d", state="shut off")])
    assert [load(host, each) for each in host.cells] == [2.5, 2.5]


def test_findings_given_go_before_those_of_the_result():
    host, guests = small()
    assert host_map("h", host, guests, []).findings == ()
    assert len(host_map("h", host, guests["domains"]).findings) == 0
    assert host_map("h", {**host, "notes": ["n"]}, guests).notes == ("n",)


@pytest.mark.parametrize(
    ("cells", "guests", "message"),
    [
        ([cell(1, [0]), cell(1, [1])], [], "map: 1: there are two cells of this name; give the results of one host"),
        ([cell(1, [0])], [guest("a"), guest("a")], "map: 'a': there are two domains of this name; give the results of"),
    ],
)
def test_twins_are_refused(cells, guests, message):
    with pytest.raises(InputError) as refused:
        host_map("h", {"cells": cells}, result(guests))
    assert str(refused.value).startswith(message)
