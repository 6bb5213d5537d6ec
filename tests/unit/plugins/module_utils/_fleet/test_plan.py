# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans of fleets: who goes where, by which steps, and why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import plan_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    APART,
    DRAINING,
    NEVER,
    OUT,
    TOGETHER,
    Claim,
    FleetHost,
    FleetOptions,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import fleet_plan_as_result
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import (
    a_host,
    carried_out,
    guest,
    placed,
    replay,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import host, pinned

SMALL = host(1, 4, 1, 8)


def made(hosts, requests=(), **limits):
    """The plan, looked at the other way too."""
    found = plan_fleet(hosts, requests, FleetOptions(**limits))
    replay(hosts, requests, found)
    carried_out(hosts, requests, found)
    assert found.vcpus <= found.vcpus_at_most
    return found


def actions(found):
    return {each.name: (each.action, each.host) for each in found.placements}


def refused(found):
    return {each.name: each.constraint for each in found.rejections}


def test_new_guests_get_a_host_and_cells_and_move_nobody():
    hosts = [a_host("h1", guest("a", 4)), a_host("h2", guest("b", 4))]
    found = made(hosts, [guest("c", 2), guest("d", 8)])
    assert {each.action for each in found.placements} == {"place"}
    assert [[step.how for step in batch] for batch in found.batches] == [["start", "start"]]
    assert "it is new; host h" in found.placements[0].reason and "cell" in found.placements[0].reason
    assert found.moves == () and found.vcpus == 10 == found.vcpus_at_most


def test_a_second_plan_changes_nothing():
    requests = [guest("a", 4, policy="dedicated"), guest("b", 10), guest("c", 6, policy="mirror"), guest("d", 2)]
    hosts = [a_host("h1"), a_host("h2")]
    after = carried_out(hosts, requests, made(hosts, requests))
    again = made(after, requests)
    assert {each.action for each in again.placements} == {"keep"} and not again.batches


def test_a_drained_host_is_emptied_in_batches():
    guests = [guest(f"g{at}", 1) for at in range(4)]
    hosts = [a_host("h1", *guests, state=DRAINING, why="new fans"), a_host("h2"), a_host("h3")]
    found = made(hosts, [guest("g3", how="restart")], at_once_host=2)
    assert {each.at for each in found.placements} == {"h1"} and len(found.moves) == 4
    assert [len(batch) for batch in found.batches] == [2, 2]
    assert {step.how for step in found.moves if step.name == "g3"} == {"restart"}
    assert "host h1 is drained (new fans)" in found.placements[0].reason
    after = carried_out(hosts, (), found)
    assert after[0].existing == () and not made(after).placements
    assert [len(batch) for batch in made(hosts, at_once_host=None, at_once_fleet=3).batches] == [3, 1]
    assert found.memory_moved == 4 << 20


def test_nothing_is_planned_on_to_a_host_that_is_out_or_unknown_or_off_it():
    guests = [guest("a"), guest("b")]
    hosts = [
        a_host("h1", guests[0], state=OUT),
        replace(a_host("h2", guests[1], state=DRAINING), answered=False),
        FleetHost("h3", None),
    ]
    found = made(hosts, [*guests, guest("c"), guest("d", at="h3")])
    assert actions(found) == {"a": ("keep", "h1"), "b": ("keep", "h2"), "d": ("keep", "h3")}
    assert found.unknown == (("h1", "out"), ("h2", "it did not answer"), ("h3", "it has never said what it is"))
    assert refused(found) == {"c": "hosts"}
    assert found.rejections[0].message == "c: no host of the fleet is planned on to"
    assert str(found.placements[0].cells) == "0"


def test_what_cannot_leave_is_named_and_stays():
    there = (*placed(host(), guest("never"), guest("large", 12)), pinned("foreign", 1, "3"))
    hosts = [a_host("h1", state=DRAINING), a_host("h2", it=SMALL)]
    hosts[0] = replace(hosts[0], existing=there)
    found = made(hosts, [guest("never", how=NEVER)])
    assert actions(found) == dict.fromkeys(("never", "large", "foreign"), ("stuck", "h1"))
    assert refused(found) == {"never": "never", "foreign": "wish", "large": "cpus"}
    large = next(each for each in found.rejections if each.name == "large")
    assert (large.at, large.host) == ("h1", "h2") and "nearest is host h2: needs 12 CPUs" in large.message


def test_a_refusal_names_the_nearest_host_and_cell_and_what_is_missing():
    hosts = [a_host("h1", guest("a", 7, 15)), a_host("h2", guest("b", 6, 15), guest("b2", 8, 16))]
    (why,) = made(hosts, [guest("c", 20)]).rejections
    assert (why.constraint, why.host, why.needed) == ("cpus", "h1", 20)
    found = made(hosts, [guest("c", 2, 4, page_size=1 << 20), guest("d", 8, 16), guest("e", 10, 18)])
    why = {each.name: each for each in found.rejections}
    assert (why["c"].constraint, why["c"].host) == ("host", "h1")
    assert "no host could ever hold it: on host h1 its huge pages of 1048576 KiB are not there" in why["c"].message
    assert actions(found)["d"] == ("place", "h1")
    assert (why["e"].constraint, why["e"].host, why["e"].at) == ("cpus", "h2", None)
    assert "e: nearest is host h2: needs 10 CPUs" in why["e"].message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"hosts": ("z*", "y")}, "the fleet has no host for z*, y"),
        ({"labels": (("rack", "r9"),)}, "the fleet has no host for rack=r9"),
        ({"hosts": ("h2",)}, "no host for h2 is planned on to: h2 is out"),
        ({"groups": (Group("g", APART, "rack"),)}, "group g leaves it no host"),
        ({"hosts": ("h1",), "name": "a"}, "no host is open to it but those that have a guest of that name"),
    ],
)
def test_a_guest_that_no_host_is_open_to(more, said):
    hosts = [a_host("h1", guest("a")), a_host("h2", guest("a"), state=OUT)]
    name = more.pop("name", "c")
    request = guest(name, at="h2" if name == "a" else None, **more)
    hosts = [hosts[0], replace(hosts[1], state=DRAINING if name == "a" else OUT)]
    (why,) = made(hosts, [request]).rejections
    assert why.message == f"{name}: {said}"


def test_a_guest_goes_where_it_may_be():
    guests = [guest("a", hosts=("h2",)), guest("b", labels=(("rack", "r*"),)), guest("c")]
    hosts = [a_host("h1", *guests), a_host("h2", labels=(("rack", "r1"),))]
    found = made(hosts, guests)
    assert actions(found) == {"a": ("move", "h2"), "b": ("move", "h2"), "c": ("keep", "h1")}
    assert "may not be on host h1" in found.placements[0].reason


def test_what_its_own_host_can_put_right_stays_on_it():
    it = host()
    hosts = [FleetHost("h1", it, (pinned("a", 2, "0-15"),)), a_host("h2")]
    found = made(hosts, [guest("a", 2)])
    assert actions(found) == {"a": ("here", "h1")}
    assert [(step.how, step.moves) for step in found.batches[0]] == [("here", False)]
    assert actions(made(carried_out(hosts, [guest("a", 2)], found), [guest("a", 2)])) == {"a": ("keep", "h1")}


def test_a_guest_that_has_grown_out_of_its_host_leaves_it():
    hosts = [a_host("h1", guest("a", 2), guest("b", 2), it=SMALL), a_host("h2")]
    found = made(hosts, [guest("a", 4)])
    assert actions(found) == {"a": ("move", "h2")} and "its place on host h1 is not valid" in found.placements[0].reason
    hosts = [a_host("h1", guest("a"), it=SMALL), a_host("h2", it=host(pages=4))]
    found = made(hosts, [guest("a", page_size=1 << 20)])
    assert actions(found) == {"a": ("move", "h2")} and "h1 has not what it asks for" in found.placements[0].reason


def test_two_guests_change_places_by_a_third():
    a, b = guest("a", 4, hosts=("h2",)), guest("b", 4, hosts=("h1",))
    hosts = [a_host("h1", a, it=SMALL), a_host("h2", b, it=SMALL), a_host("h3", it=SMALL)]
    found = made(hosts, [a, b])
    assert actions(found) == {"a": ("move", "h2"), "b": ("move", "h1")}
    assert [(step.name, step.host, step.passing) for batch in found.batches for step in batch] == [
        ("a", "h3", True),
        ("b", "h1", False),
        ("a", "h2", False),
    ]
    assert len(found.moves) == 3


def test_a_cycle_that_nobody_can_break_is_refused_by_name():
    a, b = guest("a", 4, hosts=("h2",)), guest("b", 4, hosts=("h1",))
    full = [guest("c", 4)]
    hosts = [a_host("h1", a, it=SMALL), a_host("h2", b, it=SMALL), a_host("h3", *full, it=SMALL)]
    found = made(hosts, [a, b])
    assert actions(found) == {"a": ("stuck", "h1"), "b": ("stuck", "h2")} and not found.batches
    assert refused(found) == {"a": "waits", "b": "waits"}
    assert "once b had left" in found.rejections[0].message
    tight = made([*hosts[:2], a_host("h3", it=SMALL)], [a, b], max_moves=1)
    assert refused(tight) == {"a": "waits", "b": "waits"}


def test_a_third_place_that_leads_nowhere_is_given_up_again():
    """Both may only be on the host of a third guest, which nobody moves."""
    a, b = guest("a", 4, hosts=("h3",)), guest("b", 2, hosts=("h3",))
    hosts = [a_host("h1", a, it=SMALL), a_host("h2", b), a_host("h3", guest("c", 4), it=SMALL), a_host("h4")]
    found = made(hosts, [a, b])
    assert not found.batches and refused(found) == {"a": "cpus", "b": "cpus"}
    assert {each.action for each in found.placements} == {"stuck"}


def test_room_that_others_leave_is_used_a_round_later():
    a, b = guest("a", 4, hosts=("h2",)), guest("b", 4, hosts=("h1",))
    hosts = [a_host("h1", a, it=SMALL), a_host("h2")]
    found = made(hosts, [a, b])
    assert [[step.name for step in batch] for batch in found.batches] == [["a"], ["b"]]


def test_moves_are_limited():
    guests = [guest(f"g{at}", 1, 2) for at in range(3)]
    hosts = [a_host("h1", *guests, state=DRAINING), a_host("h2")]
    found = made(hosts, max_moves=2)
    assert len(found.moves) == 2 and refused(found) == {"g2": "limit"}
    assert "no more than 2 moves are allowed" in found.rejections[0].message
    found = made(hosts, [guest("new")], max_memory_moved=5 << 20)
    assert len(found.moves) == 2 and refused(found) == {"g2": "limit"}
    assert actions(found)["new"] == ("place", "h2")
    assert "5242880 KiB are allowed" in found.rejections[0].message


def test_priority_comes_first():
    found = made([a_host("h1", it=SMALL)], [guest("a", 4), guest("b", 2, priority=1)])
    assert actions(found) == {"b": ("place", "h1")} and refused(found) == {"a": "cpus"}


def racked(*racks, it=None):
    return [a_host(f"h{at}", it=it or SMALL, labels=(("rack", rack),)) for at, rack in enumerate(racks)]


def test_groups_share_a_rack_that_holds_all_of_them():
    group = Group("g", TOGETHER, "rack")
    hosts = [a_host("h0", it=SMALL, labels=(("rack", "r1"),)), *racked("r0", "r2", "r2")[1:]]
    requests = [guest(name, 4, groups=(group,)) for name in "ab"]
    assert {each.host for each in made(hosts, requests).placements} == {"h1", "h2"}
    found = made(hosts, [*requests, guest("c", 4, groups=(group,))])
    assert len(found.placements) == 2 and refused(found) == {"c": "cpus"}
    assert refused(made(hosts, [guest("x", 5, groups=(group,))])) == {"x": "cpus"}


def test_groups_keep_apart_and_those_that_do_not_are_moved():
    group = Group("g", APART)
    guests = [guest(name, groups=(group,)) for name in "abc"]
    hosts = [a_host("h1", *guests), a_host("h2"), a_host("h3")]
    found = made(hosts, guests)
    assert sorted(each.action for each in found.placements) == ["keep", "move", "move"]
    assert {each.host for each in found.placements} == {"h1", "h2", "h3"}
    assert "group g keeps it off host h1" in found.placements[1].reason
    found = made(hosts[:2], guests)
    assert refused(found) == {"c": "group"} and actions(found)["c"] == ("stuck", "h1")


def test_the_fewer_go_to_where_the_more_are():
    group = Group("g", TOGETHER)
    guests = [guest(name, groups=(group,)) for name in "abc"]
    hosts = [a_host("h1", guests[0]), a_host("h2", *guests[1:])]
    assert actions(made(hosts, guests)) == {"a": ("move", "h2"), "b": ("keep", "h2"), "c": ("keep", "h2")}


def test_members_that_leave_go_together_and_within_the_limit():
    group = Group("g", TOGETHER)
    guests = [guest(name, groups=(group,)) for name in "ab"]
    hosts = [a_host("h1", *guests, state=DRAINING), a_host("h2"), a_host("h3")]
    assert len({each.host for each in made(hosts, guests).placements}) == 1
    assert refused(made(hosts, guests, max_moves=1)) == {"b": "limit"}


def test_a_claim_is_its_guest_s_place():
    it, a = host(), guest("a", 2)
    (claim,) = placed(it, a)
    hosts = [a_host("h1"), FleetHost("h2", it, claims=(Claim(claim, "x"),))]
    found = made(hosts, [a])
    assert actions(found) == {"a": ("place", "h2")} and found.placements[0].at is None
    assert [(step.how, step.source) for step in found.batches[0]] == [("start", None)]
    # It has grown: the claim is of no use, and is given up for another place.
    found = made([a_host("h1"), replace(hosts[1], host=SMALL, rules=Rules(reserved_cpus=CpuSet([0])))], [guest("a", 8)])
    assert actions(found) == {"a": ("place", "h1")}


def test_a_guest_that_moves_goes_to_the_place_it_has_claimed():
    it, a = host(), guest("a", 2)
    (claim,) = placed(it, a)
    hosts = [
        a_host("h1", a, state=DRAINING),
        a_host("h2"),
        FleetHost("h3", it, claims=(Claim(claim, "x"),)),
    ]
    assert actions(made(hosts, [a])) == {"a": ("move", "h3")} == actions(made(hosts))
    elsewhere = [*hosts[:2], replace(hosts[2], labels=(("rack", "r1"),))]
    assert actions(made(elsewhere, [guest("a", 2, hosts=("h2",))])) == {"a": ("move", "h2")}
    full = replace(hosts[2], existing=placed(it, guest("f", 15)))
    assert actions(made([*hosts[:2], full], [a])) == {"a": ("move", "h2")}


def test_where_a_guest_is_has_to_be_clear():
    hosts = [a_host("h1", guest("a")), a_host("h2", guest("a"))]
    with pytest.raises(InputError, match="h1, h2 have a guest of that name"):
        plan_fleet(hosts, [guest("a")])
    with pytest.raises(InputError, match="no such guest is there"):
        plan_fleet(hosts, [guest("b", at="h1")])
    assert actions(made(hosts, [guest("a", at="h2")])) == {"a": ("keep", "h2")}
    drained = [replace(each, state=DRAINING) for each in hosts]
    assert sorted(each.host for each in made([*drained, a_host("h3"), a_host("h4")]).placements) == ["h3", "h4"]


def test_rules_of_a_host_that_cannot_be_are_named_with_it():
    with pytest.raises(InputError, match=r"hosts\[h1\].reserved_cpus: '99': the host has no CPU 99"):
        plan_fleet([FleetHost("h1", host(), rules=Rules(reserved_cpus=CpuSet([99])))], [])


def test_the_order_of_the_input_does_not_matter():
    guests = [guest(f"g{at}", 1 + at % 3) for at in range(8)]
    hosts = [a_host("h1", *guests[:4], state=DRAINING), a_host("h2"), a_host("h3")]
    one = plan_fleet(hosts, guests)
    assert one == plan_fleet(hosts[::-1], guests[::-1])


def test_the_bound_is_reached_where_only_room_counts():
    found = made([a_host("h1", it=SMALL), a_host("h2", it=SMALL)], [guest(f"g{at}", 2) for at in range(6)])
    assert (found.vcpus, found.vcpus_at_most) == (8, 8)
    guests = [guest(f"g{at}", 2, 3, policy="dedicated") for at in range(6)]
    found = made([a_host("h1", it=SMALL), a_host("h2", it=SMALL)], guests)
    assert found.vcpus == 8 <= found.vcpus_at_most
    divided = Rules(dedicated_cpus=CpuSet([0, 1]))
    hosts = [FleetHost("h1", SMALL, rules=divided)]
    found = made(hosts, [*guests, guest("s", 2, policy="mirror")])
    assert found.vcpus == 4 == found.vcpus_at_most


def test_the_plan_as_plain_data():
    hosts = [a_host("h1", guest("a"), state=DRAINING), a_host("h2"), FleetHost("h3", None)]
    data = fleet_plan_as_result(made(hosts, [guest("b", 99)]))
    assert data["moves"] == 1 and data["memory_moved"] == 1 << 20
    assert data["placements"][0]["host"] == "h2" and data["batches"][0][0]["source"] == "h1"
    assert data["rejections"][0]["name"] == "b" and data["unknown"][0]["host"] == "h3"
    assert data["vcpus"] == {"placed": 1, "bound": 1}


def test_many_guests_at_once():
    requests = [guest(f"g{at:02}", 1 + at % 3, 1) for at in range(60)]
    hosts = [a_host(f"h{at}", it=host(2, 8, 2, 32)) for at in range(5)]
    found = made(hosts, requests)
    assert len(found.placements) == 60 and len({each.host for each in found.placements}) < 5


def test_where_not_all_can_be_placed_those_come_first_that_are_worth_most():
    small = [guest(f"z{at}", 1, 2) for at in range(4)]
    found = made([a_host("h1", it=SMALL)], [guest("hog", 1, 8), *small])
    assert found.vcpus == 4 == found.vcpus_at_most and refused(found) == {"hog": "cpus"}
    found = made([a_host("h1", it=SMALL)], [guest("hog", 1, 8, priority=1), *small])
    assert [each.name for each in found.placements] == ["hog"]
