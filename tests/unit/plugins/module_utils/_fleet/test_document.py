# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets as JSON: read back they are what was written, and what is wrong is one line."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet import document as codecs
from ansible_collections.numa.virt.plugins.module_utils._fleet.document import (
    Document,
    fleet_as_data,
    fleet_from_data,
    plan_as_data,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import plan_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.records import (
    CPUS,
    NUMBER,
    WHOLE,
    many,
    maybe,
    row,
    runs,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetHost, FleetOptions
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import a_host, guest
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.odd_fleets import odd_fleet, odd_fleet_request
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

EXAMPLES = settings(max_examples=examples(60))


def again(value):
    return json.loads(json.dumps(value))


@EXAMPLES
@given(st.data())
def test_a_fleet_that_is_written_and_read_is_the_same(data):
    hosts = data.draw(odd_fleet())
    requests = tuple(data.draw(odd_fleet_request(f"n{at}", hosts)) for at in range(2))
    options = FleetOptions(max_moves=data.draw(st.sampled_from((None, 3))), now=data.draw(st.sampled_from((None, 1.5))))
    document = Document(hosts, requests, options)
    assert fleet_from_data(again(fleet_as_data(document))) == document
    assert plan_fleet(hosts, requests) == plan_fleet(*fleet_from_data(again(fleet_as_data(document)))[:2])


def test_hosts_that_are_alike_are_written_once_and_are_one():
    document = Document((a_host("a"), a_host("b"), FleetHost("c", None)))
    data = fleet_as_data(document)
    assert len(data["models"]) == len(data["rules"]) == 1
    found = fleet_from_data(again(data))
    assert found.hosts[0].host is found.hosts[1].host and found.hosts[2].host is None


def test_what_is_as_usual_is_not_written():
    assert fleet_as_data(Document((FleetHost("c", None),)))["hosts"] == [{"name": "c", "host": None}]
    cells = (GuestCell(CpuSet([0]), GIB, None, ((2048, GIB),)),)
    request = Request(
        "a", 1, GIB, "mirror", guest_cells=cells, emulator=CpuSet([1]), overhead=7, other_pages=((2048, GIB),)
    )
    written = codecs.REQUEST.write(request)
    assert written["emulator"] == "1" and "smt" not in written
    assert codecs.REQUEST.read("x", again(written)) == request
    there = Existing(
        "a", (None,), GIB, memory_on=((CpuSet([0, 1]), 2048, 4), (CpuSet([1]), None, 5)), held=((0, None, 5),)
    )
    assert codecs.GUEST.read("x", again(codecs.GUEST.write(there))) == there
    shared = replace(request, emulator=None)
    assert codecs.REQUEST.read("x", again(codecs.REQUEST.write(shared))) == shared
    assert (
        codecs.REQUEST.read("x", again(codecs.REQUEST.write(replace(request, emulator="isolate")))).emulator
        == "isolate"
    )


@pytest.mark.parametrize(
    ("kind", "codec", "without"),
    [
        (Request, codecs.REQUEST, set()),
        (Existing, codecs.GUEST, set()),
        (Rules, codecs.RULES, set()),
        # What a plan does not look at.
        (Host, codecs.HOST, {"pools", "pool", "bandwidth"}),
        (FleetOptions, codecs.OPTIONS, set()),
    ],
)
def test_no_field_is_forgotten(kind, codec, without):
    with pytest.raises(InputError) as caught:
        codec.read("x", {"no such field": 1})
    known = set(str(caught.value.fields["expected"]).replace("known are ", "").split(", "))
    assert known == {each.name for each in fields(kind)} - without


def test_a_plan_is_plain_data_with_a_version():
    made = plan_fleet([a_host("h1")], [guest("a")])
    data = again(plan_as_data(made))
    assert data["version"] == 1 and data["placements"][0]["host"] == "h1"


GOOD = fleet_as_data(Document((FleetHost("h", host(1, 1, 1)),), (guest("a", labels=(("rack", "1"),)),)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: [], "is no document of version 1"),
        (lambda data: {**data, "version": 2}, "is no document of version 1"),
        (lambda data: {**data, "more": 1}, "fleet: 'more': is not known"),
        (lambda data: {**data, "hosts": {}}, "hosts: {}: is not a list"),
        (lambda data: {**data, "hosts": [1]}, "hosts[0]: 1: is not an object"),
        (lambda data: {**data, "hosts": [{"name": 1}]}, "hosts[0].name: 1: is not str"),
        (lambda data: {**data, "hosts": [{"name": None, "host": 0}]}, "hosts[0].name: is not str"),
        (lambda data: {**data, "hosts": [{"host": 0}]}, "hosts[0].name: is missing"),
        (lambda data: {**data, "hosts": [{"name": "a", "host": 7}]}, "hosts[0].host: 7: is not one of the 1"),
        (lambda data: {**data, "hosts": [{"name": "a", "host": True}]}, "is not one of the 1"),
        (
            lambda data: {**data, "hosts": [{"name": "a", "host": 0, "labels": []}]},
            "hosts[0].labels: []: is not an object",
        ),
        (
            lambda data: {**data, "hosts": [{"name": "a", "host": 0, "labels": {"rack": 1}}]},
            "labels: 1: rack is not str",
        ),
        (lambda data: {**data, "options": {"max_moves": 1.5}}, "options.max_moves: 1.5: is not int"),
        (lambda data: {**data, "options": {"now": True}}, "options.now: True: is not int or float"),
        (lambda data: {**data, "options": {"moves": 1}}, "options.moves: is not known; known are max_moves"),
    ],
)
def test_what_is_wrong_is_one_line(change, said):
    assert fleet_from_data(GOOD).requests[0].labels == (("rack", "1"),)
    with pytest.raises(InputError) as caught:
        fleet_from_data(change(GOOD))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("codec", "data", "said"),
    [
        (CPUS, 3, "is not str"),
        (CPUS, "3-x", "x: '3-x'"),
        (row(WHOLE, NUMBER), [1], "is not a list of 2"),
        (runs(CPUS), [["1", -1]], "how often"),
        (runs(CPUS), [["1", 1 << 20]], "how often"),
        (runs(CPUS), ["1"], "how often"),
        (runs(CPUS), [["1", True]], "how often"),
        (many(WHOLE), "ab", "is not a list"),
        (many(WHOLE), [1, None], "x[1]: is not int"),
        (runs(CPUS), [[None, 1]], "is not str"),
    ],
)
def test_a_value_that_is_none(codec, data, said):
    with pytest.raises(InputError) as caught:
        codec.read("x", data)
    assert said in str(caught.value)


def test_equal_values_that_follow_each_other_are_counted():
    sets = (CpuSet([1]), CpuSet([1]), None, CpuSet([1]))
    assert runs(maybe(CPUS)).write(sets) == [["1", 2], [None, 1], ["1", 1]]
    assert runs(maybe(CPUS)).read("x", [["1", 2], [None, 1], ["1", 1]]) == sets
    assert row(WHOLE, NUMBER).read("x", row(WHOLE, NUMBER).write((1, 0.5))) == (1, 0.5)
