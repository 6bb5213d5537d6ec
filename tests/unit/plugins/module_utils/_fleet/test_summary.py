# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan told of: capacity, losses, and who goes where."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import planned_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import DRAINING
from ansible_collections.numa.virt.plugins.module_utils._fleet.summary import (
    capacity_as_result,
    losses_as_result,
    who_goes_where,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import a_host, guest
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB

HOSTS = [a_host("h1", guest("a", 2)), a_host("h2", guest("b", 2)), a_host("h3")]
SHAPES = [Request("one", 1, GIB), Request("all", 4, GIB)]


def test_capacity_is_that_after_the_plan():
    empty = planned_fleet([a_host("h1"), a_host("h2")], [])
    planned = planned_fleet([a_host("h1"), a_host("h2")], [guest("n", 2)])
    before, after = (capacity_as_result(each, SHAPES) for each in (empty, planned))
    assert [each["name"] for each in after] == ["one", "all"]
    assert before[0]["fits"] - after[0]["fits"] == 2
    assert after[0] == {
        "name": "one",
        "fits": sum(each["fits"] for each in after[0]["hosts"]),
        "at_most": after[0]["fits"],
        "hosts": [{"host": name, "fits": fits, "at_most": fits} for name, fits in _fits(after[0])],
    }
    assert capacity_as_result(planned, []) == []


def _fits(one):
    return [(each["host"], each["fits"]) for each in one["hosts"]]


def test_losses_of_the_hosts_that_were_named():
    planned = planned_fleet(HOSTS, [])
    assert losses_as_result(planned, ["h1", "h3"], []) == [
        {"host": "h1", "placed": 1, "homeless": [], "capacity": []},
        {"host": "h3", "placed": 0, "homeless": [], "capacity": []},
    ]
    one, _two = losses_as_result(planned, ["h1", "h3"], SHAPES)
    assert [each["name"] for each in one["capacity"]] == ["one", "all"]
    now = capacity_as_result(planned, SHAPES)[0]["fits"]
    assert 0 < one["capacity"][0]["fits"] < now
    assert losses_as_result(planned, [], SHAPES) == []
    (only,) = losses_as_result(planned_fleet(HOSTS[:1], []), ["h1"], [])
    assert (only["placed"], only["homeless"]) == (0, ["a"])


def test_who_goes_where():
    hosts = [replace(HOSTS[0], state=DRAINING), *HOSTS[1:]]
    requests = [guest("n"), guest("b", 2), guest("wide", 99), guest("still", 4, how="never")]
    plan = planned_fleet(hosts, requests).answer()
    before, after = who_goes_where(plan)
    assert before.splitlines()[:2] == ["a: h1", "n: nowhere"]
    assert after.splitlines()[0].startswith("a: h") and "cell" in after
    assert "b: " not in before
    assert before.splitlines()[-1] == "wide: nowhere"
    assert after.splitlines()[-1].startswith("wide: nearest is host") and after.endswith("(no place)\n")
    assert who_goes_where(planned_fleet(HOSTS, []).answer()) == ("", "")


def test_who_has_to_leave_and_cannot():
    only = [replace(HOSTS[0], state=DRAINING)]
    before, after = who_goes_where(planned_fleet(only, []).answer())
    assert before == "a: h1\n" and after.startswith("a: no host")
