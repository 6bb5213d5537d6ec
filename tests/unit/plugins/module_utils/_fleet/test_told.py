# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host told as one text, and read again among many."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetHost
from ansible_collections.numa.virt.plugins.module_utils._fleet.told import MAX_TEXT, Told, digest_of, told_as_text
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import a_host, guest
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.odd_fleets import odd_fleet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples


@settings(max_examples=examples(40))
@given(st.data())
def test_a_host_is_what_it_told(data):
    for host in data.draw(odd_fleet()):
        text = told_as_text(host)
        assert "\n" not in text
        for value in (text, {"fleet": text, "changed": False}):
            found = Told().host(host.name, value)
            assert found == host
            assert digest_of(found) == digest_of(host)


def test_hosts_that_are_alike_share_what_they_say():
    reader = Told()
    one, two = (reader.host(name, told_as_text(a_host(name, guest("a"), told=5.0))) for name in ("h1", "h2"))
    assert one.host is two.host and one.rules is two.rules and one.existing[0].wish is two.existing[0].wish
    assert (one.name, two.name, two.told) == ("h1", "h2", 5.0)


@pytest.mark.parametrize(
    "value", [None, {"failed": True, "msg": "no"}, {"unreachable": True}, {"skipped": True}, {"fleet": None}]
)
def test_a_host_that_told_nothing(value):
    assert Told().host("h1", value) == FleetHost("h1", None, answered=False)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5, "hosts[h1]: its variable is no text of a host; register numa_domain_info with fleet=true"),
        ({"domains": []}, "hosts[h1]: its variable is no result with fleet=true; register"),
        ("", "hosts[h1]: what it told cannot be read: it is no JSON; register"),
        ("[" * 50, "hosts[h1]: what it told cannot be read: it is nested deeper than 16"),
        ("{}", "hosts[h1]: what it told cannot be read: fleet: is no document of version 1"),
        ('{"version": 1}', "hosts[h1]: what it told cannot be read: fleet: is no document of one host"),
        (
            '{"version": 1, "rules": [{}], "hosts": [{"name": "", "host": null, "rules": 0, "told": "x"}]}',
            "hosts[h1]: what it told cannot be read: hosts[0].told: 'x': is not int or float",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(value, said):
    with pytest.raises(InputError) as told:
        Told().host("h1", value)
    assert said in str(told.value) and "\n" not in str(told.value)


def test_a_text_is_bounded():
    with pytest.raises(InputError, match="longer than"):
        Told().host("h1", "[" + " " * MAX_TEXT + "]")


def test_a_digest_tells_what_a_plan_depends_on():
    host = a_host("h1", guest("a"), guest("b"), told=1.0)
    assert digest_of(replace(host, told=2.0, existing=host.existing[::-1])) == digest_of(host)
    for change in ({"existing": host.existing[:1]}, {"state": "out"}, {"rules": replace(host.rules, cpu_ratio=2.0)}):
        assert digest_of(replace(host, **change)) != digest_of(host)


def test_a_digest_leaves_out_how_much_was_measured():
    def of(kib, cell, held=7):
        there = Existing(
            "a", (None,), 5, memory_on=((CpuSet([cell]), None, kib),), held=((0, None, held), (1, 2048, 4))
        )
        return digest_of(FleetHost("h", None, (there,)))

    assert of(5, 0) == of(6, 0, held=9)
    assert of(5, 0) != of(5, 1)


def test_a_text_is_json_of_a_version():
    data = json.loads(told_as_text(a_host("h1")))
    assert data["version"] == 1 and data["hosts"][0]["name"] == ""
