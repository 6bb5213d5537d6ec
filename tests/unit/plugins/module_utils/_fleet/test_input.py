# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes in: states, claims, where guests may be, and input that no plan could mend."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.check import check_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    APART,
    DRAINING,
    IN,
    OUT,
    TOGETHER,
    UNKNOWN,
    Claim,
    FleetHost,
    FleetOptions,
    FleetRequest,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.states import guests_of, state_of
from ansible_collections.numa.virt.plugins.module_utils._fleet.where import Where
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host, pinned

IT = host()
NONE = FleetOptions()


def wanted(name="a", **more):
    return FleetRequest(Request(name, 1, GIB), **more)


@pytest.mark.parametrize(
    ("entry", "options", "state", "why"),
    [
        (FleetHost("a", IT), NONE, IN, ""),
        (FleetHost("a", IT, state=DRAINING, why="new fans"), NONE, DRAINING, "new fans"),
        (FleetHost("a", IT, state=OUT), NONE, OUT, ""),
        (FleetHost("a", None, state=OUT), NONE, UNKNOWN, "never said"),
        (FleetHost("a", IT, state=DRAINING, answered=False), NONE, UNKNOWN, "did not answer"),
        (FleetHost("a", IT), FleetOptions(now=100, max_age=10), UNKNOWN, "how old"),
        (FleetHost("a", IT, told=80), FleetOptions(now=100, max_age=10), UNKNOWN, "20 s old, and 10 s"),
        (FleetHost("a", IT, told=90), FleetOptions(now=100, max_age=10), IN, ""),
        (FleetHost("a", IT, told=1), FleetOptions(now=100), IN, ""),
    ],
)
def test_what_a_host_counts_as(entry, options, state, why):
    found = state_of(entry, options)
    assert found[0] == state and why in found[1]


def test_a_claim_counts_until_it_ends_or_the_guest_is_there():
    a, b, c, d = (pinned(name, 1, "0") for name in "abcd")
    at_home = pinned("a", 1, "1")
    entry = FleetHost("h", IT, (at_home,), (Claim(a), Claim(d, ends=9), Claim(b, ends=11), Claim(c)))
    assert guests_of(entry, 10) == {"a": at_home, "b": b, "c": c}
    assert set(guests_of(entry, None)) == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("hosts", "requests", "options", "said"),
    [
        ([FleetHost("a", IT), FleetHost("a", IT)], [], NONE, "hosts: 'a': is named twice"),
        ([FleetHost("a", IT)], [wanted(), wanted()], NONE, "domains: 'a': is named twice"),
        ([FleetHost("a", IT, (pinned("x", 1, "0"),) * 2)], [], NONE, "guests of a: 'x': is named twice"),
        ([FleetHost("a", IT, state="away")], [], NONE, "choose among in, draining, out"),
        ([FleetHost("a", IT, labels=(("x", "1"), ("x", "2")))], [], NONE, "labels: 'x': is named twice"),
        ([FleetHost("a", IT, labels=(("host", "1"),))], [], NONE, "give the label another name"),
        ([], [wanted(how="fast")], NONE, "choose among live, restart, never"),
        ([], [wanted(at="z")], NONE, "the fleet has no such host"),
        ([], [wanted(groups=(Group("g", "near"),))], NONE, "choose among together, apart"),
        ([], [wanted(groups=(Group("g", APART),)), wanted("b", groups=(Group("g", TOGETHER),))], NONE, "another group"),
        ([], [], FleetOptions(max_moves=-1), "max_moves: -1: is less than 0"),
        ([], [], FleetOptions(at_once_host=0), "at_once_host: 0: is less than 1"),
        ([], [], FleetOptions(spare_hosts=2), "spare.hosts: 2: only the loss of one host"),
        ([], [], FleetOptions(max_age=2), "say what time it is"),
    ],
)
def test_what_no_plan_could_mend(hosts, requests, options, said):
    with pytest.raises(InputError) as caught:
        check_fleet(hosts, requests, options)
    assert said in str(caught.value)


def test_what_is_right_is_let_through():
    group = Group("g", APART, "rack")
    requests = [wanted(groups=(group,), at="a"), wanted("b", groups=(group,))]
    check_fleet([FleetHost("a", IT, labels=(("rack", "1"),))], requests, FleetOptions(now=1, max_age=1, spare_hosts=1))


RACKS = (("n1", "r1"), ("n2", "r1"), ("n3", "r2"), ("x1", None))


def where():
    return Where([FleetHost(name, IT, labels=(("rack", rack),) if rack else ()) for name, rack in RACKS])


@pytest.mark.parametrize(
    ("request_", "numbers"),
    [
        (wanted(), None),
        (wanted(hosts=("n*",)), {0, 1, 2}),
        (wanted(hosts=("n1", "x?")), {0, 3}),
        (wanted(labels=(("rack", "r2"),)), {2}),
        (wanted(hosts=("n[13]",), labels=(("rack", "r1"),)), {0}),
        (wanted(groups=(Group("g", APART),)), None),
        (wanted(groups=(Group("g", APART, "rack"),)), {0, 1, 2}),
        (wanted(groups=(Group("g", TOGETHER),)), {0, 1, 2, 3}),
        (wanted(groups=(Group("g", TOGETHER, "rack"),)), {0, 1, 2}),
        (wanted(groups=(Group("g", TOGETHER, "room"),)), set()),
    ],
)
def test_the_hosts_that_a_guest_may_be_on(request_, numbers):
    it = where()
    for _again in range(2):
        assert it.open_to(request_) == numbers


@pytest.mark.parametrize(
    ("kind", "within", "numbers"),
    [
        (APART, "host", {1, 2, 3}),
        (APART, "rack", {2}),
        (TOGETHER, "host", {0}),
        (TOGETHER, "rack", {0, 1}),
    ],
)
def test_a_member_keeps_others_off_or_draws_them_near(kind, within, numbers):
    it, group = where(), Group("g", kind, within)
    before = it.open_to(wanted(groups=(group,)))
    it.join((group,), 0)
    assert it.open_to(wanted(groups=(group,))) == numbers
    assert [it.forbidden_by(wanted(groups=(group,)), number) is None for number in range(4)] == [
        number in numbers for number in range(4)
    ]
    it.join((group,), 0, -1)
    assert it.open_to(wanted(groups=(group,))) == before


def test_a_host_without_the_label_has_no_members():
    it, group = where(), Group("g", APART, "rack")
    it.join((group,), 3)
    assert it.members == {}
    assert it.forbidden_by(wanted(groups=(group,)), 3) == group
    assert it.forbidden_by(wanted(groups=(Group("h", APART),)), 3) is None
