# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans in files: read back they are what was written, and refused where hosts have changed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import plan_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import DRAINING, FleetHost
from ansible_collections.numa.virt.plugins.module_utils._fleet.stored import (
    StoredPlan,
    check_unchanged,
    stored_as_text,
    stored_from_text,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import a_host, guest
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.odd_fleets import odd_fleet, odd_fleet_request
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

HOSTS = [
    a_host("h1", guest("a")),
    a_host("h2"),
    a_host("h3"),
    FleetHost("h4", None),
]
DRAINED = [replace(HOSTS[0], state=DRAINING), *HOSTS[1:]]


def stored():
    return StoredPlan.of(plan_fleet(DRAINED, [guest("n", 99)]), HOSTS, 5.0)


@settings(max_examples=examples(40))
@given(st.data())
def test_a_plan_that_is_written_and_read_is_the_same(data):
    hosts = data.draw(odd_fleet())
    requests = [data.draw(odd_fleet_request(f"n{at}", hosts)) for at in range(2)]
    one = StoredPlan.of(plan_fleet(hosts, requests), hosts, 1.5)
    assert stored_from_text(stored_as_text(one), "apply_from", "f") == one
    assert one.same_as(replace(one, made=2.0))
    check_unchanged(one, {each.name: each for each in hosts}, "apply_from", "f")


def test_it_knows_the_hosts_that_it_names():
    one = stored()
    assert one.hosts == ("h1", "h2", "h3", "h4")
    assert [name for name, _digest in one.inputs] == ["h1", "h2"]
    assert not one.same_as(replace(one, hosts=()))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ([HOSTS[0], a_host("h2", guest("new"))], "apply_from: 'f': h2 is not as when it was made; plan again"),
        ([HOSTS[0]], "apply_from: 'f': h2 is not as when it was made; plan again"),
        ([FleetHost("h1", None)], "apply_from: 'f': h1, h2 are not as when it was made; plan again"),
    ],
)
def test_hosts_that_have_changed_are_named(now, said):
    with pytest.raises(InputError) as told:
        check_unchanged(stored(), {each.name: each for each in now}, "apply_from", "f")
    assert str(told.value) == said


def test_hosts_that_it_does_not_name_may_change():
    now = [HOSTS[0], HOSTS[1], a_host("h3", guest("new"))]
    check_unchanged(stored(), {each.name: each for each in now}, "apply_from", "f")


def changed(**more):
    return json.dumps({**json.loads(stored_as_text(stored())), **more})


def with_plan(**more):
    data = json.loads(stored_as_text(stored()))
    return json.dumps({**data, "plan": {**data["plan"], **more}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no plan of this module; give a file that plan_file has written"),
        ("[]", "is no plan of this module"),
        ('{"kind": "x"}', "is no plan of this module"),
        (changed(version=2), "is no plan of version 1; plan again"),
        (changed(made=None), "cannot be read: made: is not int or float; plan again"),
        (changed(plan=None), "cannot be read: unknown: is not a list; plan again"),
        (changed(inputs={"h1": 5}), "cannot be read: inputs: 5: h1 is not str"),
        (with_plan(vcpus=None), "cannot be read: vcpus.bound: is not int"),
        (with_plan(placements=[{"name": "a"}]), "cannot be read: placements[0].action: is missing"),
        (with_plan(batches=[[{"cells": [-1]}]]), "cannot be read: batches[0][0].cells: [-1]: is not a list of cells"),
        (with_plan(batches=[[{"cells": ["0"]}]]), "cannot be read: batches[0][0].cells[0]: '0': is not int"),
    ],
)
def test_what_is_no_plan_is_one_line(text, said):
    with pytest.raises(InputError) as told:
        stored_from_text(text, "apply_from", "/f")
    assert str(told.value).startswith(f"apply_from: '/f': {said}") and "\n" not in str(told.value)
