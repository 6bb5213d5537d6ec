# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One guest more, one less, on odd fleets: by another route than the counters that are kept."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._fleet.count import board_of
from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet, kind_and_size
from ansible_collections.numa.virt.plugins.module_utils._fleet.host import moved, one_cell_anywhere
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    APART,
    DRAINING,
    IN,
    TOGETHER,
    Claim,
    FleetHost,
    FleetOptions,
    FleetRequest,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import ISOLATE, SHARED, Capacity
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import Occupancy, add_fixed
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.odd_fleets import odd_fleet, odd_fleet_request
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host, pinned, there
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

EXAMPLES = settings(max_examples=examples(60))


def guest(name, vcpus=1, memory=1, groups=(), **more):
    return FleetRequest(Request(name, vcpus, memory * GIB, **more), groups=groups)


def numbers(board):
    return (board.joint, board.free, board.whole, board.unshared, board.mem, board.guests, board.caches)


def fits(board):
    """Whether nothing is given twice."""
    return all(amount >= 0 for row in (board.joint, board.free, *board.mem) for amount in row)


@EXAMPLES
@given(st.data())
def test_guests_come_and_go_and_the_count_stays_right(data):
    hosts = data.draw(odd_fleet())
    fleet = Fleet(hosts)
    empty = {at: numbers(it.board.copy()) for at, it in fleet.boards.items()}
    crowded = {at for at, it in fleet.boards.items() if not fits(it.board)}
    here = {}
    for at in range(data.draw(st.integers(1, 8))):
        if here and data.draw(st.integers(0, 3)) == 0:
            name = data.draw(st.sampled_from(sorted(here)))
            fleet.leave(name, here.pop(name).host)
            continue
        request = data.draw(odd_fleet_request(f"n{at}", hosts))
        allowed = fleet.where.open_to(request)
        place = fleet.arrive(request)
        if place is not None:
            assert allowed is None or place.host in allowed
            assert hosts[place.host].state == IN and hosts[place.host].answered
            here[request.name] = place
            assert {at for at, it in fleet.boards.items() if not fits(it.board)} <= crowded
            again = fleet.boards[place.host]
            assert again.placed[request.name][1] == place.spot
    for name, place in here.items():
        fleet.leave(name, place.host)
    assert {at: numbers(it.board) for at, it in fleet.boards.items()} == empty
    assert not any(number for members in fleet.where.members.values() for number in members.values())


@EXAMPLES
@given(st.data())
def test_a_place_is_one_that_the_planner_of_the_host_can_make_good(data):
    """What a fleet gives a guest its host's planner gives it too, with the cells named."""
    hosts = data.draw(odd_fleet((IN,)))
    fleet = Fleet(hosts)
    request = data.draw(odd_fleet_request("new", hosts))
    place = fleet.arrive(request)
    if place is None:
        return
    it = hosts[place.host]
    capacity = fleet.boards[place.host].capacity
    cells = capacity.cell_ids(place.spot.cells)
    asked = replace(request.guest, cells=cells)
    found = plan(it.host, [asked], fleet.boards[place.host].existing.values(), it.rules, Options(partial=True))
    assert not found.rejections, found.rejections
    assert found.placements[0].cells | found.placements[0].memory_cells <= cells


@EXAMPLES
@given(st.data())
def test_the_sorted_cells_and_the_offers_of_hosts_say_the_same(data):
    hosts = data.draw(odd_fleet((IN,)))
    fleet = Fleet(hosts)
    for at in range(4):
        request = data.draw(odd_fleet_request(f"n{at}", hosts))
        wish = moved(request.guest)
        if not one_cell_anywhere(wish) or wish.owns_cpus:
            continue
        place = fleet.find(request)
        open_to = fleet.where.open_to(request)
        offers = {number: offer for number, offer in fleet.offers(wish) if open_to is None or number in open_to}
        best = min((offer.key for offer in offers.values()), default=None)
        assert (place is None) == (best is None)
        if place is not None:
            assert offers[place.host].key[:3] == best[:3]
            assert abs(offers[place.host].key[3] - best[3]) <= 1
        fleet.arrive(request)


def fleet_of(number=2, it=None, **more):
    return Fleet([FleetHost(f"h{at}", it or host(), **more) for at in range(number)])


def test_a_guest_for_one_cell_is_not_put_on_two():
    fleet = fleet_of(1)
    assert fleet.arrive(guest("a", 10, policy="mirror", width=1)) is None
    assert fleet.arrive(guest("b", 10)).spot.width == 2
    assert fleet.arrive(guest("c", 3, policy="mirror", width=1)).spot.width == 1


def test_a_host_has_no_two_guests_of_one_name():
    fleet = Fleet([FleetHost("h0", host(), (pinned("a", 1, "0"),)), FleetHost("h1", host())])
    assert fleet.find(guest("a")).host == 1
    assert fleet.find(guest("a", policy="spread")).host == 1
    assert fleet.find(guest("b", policy="spread")).host == 0
    fleet.arrive(guest("a"))
    assert fleet.find(guest("a")) is None and fleet.find(guest("a", policy="spread")) is None
    fleet.leave("a", 1)
    assert fleet.named["a"] == (0,)
    fleet.leave("a", 0)
    assert "a" not in fleet.named


def test_a_guest_that_was_there_leaves_its_room():
    request = Request("a", 4, 4 * GIB, "dedicated")
    placed = plan(host(), [request]).placements[0]
    fleet = Fleet([FleetHost("h0", host(), (there(request, placed),))])
    assert "a" in fleet.boards[0] and "b" not in fleet.boards[0]
    before = fleet.boards[0].board.free
    fleet.leave("a", 0)
    assert sum(fleet.boards[0].board.free) == sum(before) + 4


def test_what_is_left_is_counted_anew_with_those_that_came():
    fleet = Fleet([FleetHost("h0", host(), (pinned("a", 2, "0-7"),))])
    fleet.arrive(guest("b", 3))
    fleet.leave("a", 0)
    left = numbers(fleet.boards[0].board)
    other = fleet_of(1)
    other.put(guest("b", 3), other.find(guest("b", 3))._replace(spot=fleet.boards[0].placed["b"][1]))
    assert left == numbers(other.boards[0].board)
    fleet.replace(0, [pinned("c", 8, "8-15")])
    assert sorted(fleet.boards[0].board.joint) in ([-3_000_000, 8_000_000], [0, 5_000_000])


def test_hosts_with_ratios_of_their_own_are_compared():
    fleet = Fleet(
        [FleetHost("h0", host(), rules=Rules(cpu_ratio=1)), FleetHost("h1", host(), rules=Rules(cpu_ratio=4))]
    )
    assert fleet.arrive(guest("a", 8)).host == 1
    assert fleet.arrive(guest("b", 8, cpu_ratio=8.0)) is not None
    assert fleet.arrive(guest("c", 12, policy="mirror", width=1)).host == 1


def test_pages_are_only_where_there_are_some():
    fleet = Fleet([FleetHost("h0", host()), FleetHost("h1", host(pages=4)), FleetHost("h2", host(pages=2))])
    big = [fleet.arrive(guest(f"a{at}", 1, 4, page_size=GIB, policy="mirror", width=1)) for at in range(3)]
    assert [each and each.host for each in big] == [1, 1, None]
    assert fleet.arrive(guest("d", 2, 2, page_size=GIB, policy="mirror")).host == 2
    assert fleet.arrive(replace(guest("e", 1, 1), hosts=("h0",))).host == 0


def test_the_cell_of_a_device_and_the_least_loaded_one():
    fleet = Fleet([FleetHost("h0", host()), FleetHost("h1", host(devices=((1, "nic"),)))])
    near = fleet.arrive(guest("a", devices=("nic",), device_rule="require"))
    assert (near.host, near.spot.cells) == (1, 2)
    assert fleet.arrive(guest("b", policy="spread")).host == 0


def test_isolated_guests_are_measured_in_cores():
    fleet = fleet_of(1)
    assert fleet.rod(ISOLATE, None).cpu == 4 and fleet.rod(SHARED, None).cpu == 8_000_000
    assert fleet.rod(SHARED, GIB) == (8_000_000, 1)
    assert fleet.arrive(guest("a", 4, policy="dedicated", smt="isolate")).spot.width == 1
    assert kind_and_size(guest("a", policy="dedicated", smt="require", page_size=4).guest) == (2, 4)


def test_groups_of_hosts_and_racks():
    fleet = Fleet([FleetHost(f"h{at}", host(), labels=(("rack", f"r{at // 2}"),)) for at in range(4)])
    apart, near = Group("a", APART, "rack"), Group("b", TOGETHER, "rack")
    assert {fleet.arrive(guest(name, groups=(apart,))).host // 2 for name in "ab"} == {0, 1}
    assert fleet.arrive(guest("c", groups=(apart,))) is None
    assert len({fleet.arrive(guest(name, 9, groups=(near,))).host // 2 for name in "de"}) == 1
    fleet.leave("a", 0)
    assert fleet.arrive(guest("c", groups=(apart,))).host < 2


def test_what_is_remembered_is_bounded():
    fleet = fleet_of(1)
    for vcpus in range(1, 80):
        fleet.find(guest("a", vcpus, policy="spread"))
    assert len(fleet._offers) == 64


def test_a_claim_is_a_guest_and_cells_may_be_closed():
    claim = Claim(pinned("c", 16, "0-15", 16))
    fleet = Fleet(
        [FleetHost("h0", host(), claims=(claim,)), FleetHost("h1", host(), rules=Rules(reserved_cells=CpuSet([0])))]
    )
    assert (found := fleet.arrive(guest("a"))).host == 1 and found.spot.cells == 2
    near = guest("b", policy="mirror", devices=("x",))
    assert fleet.arrive(near).host == 1
    late = Fleet([FleetHost("h0", host(), claims=(replace(claim, ends=1),))], FleetOptions(now=2))
    assert late.arrive(guest("a")).host == 0


@EXAMPLES
@given(st.data())
def test_most_guests_are_counted_faster_and_not_otherwise(data):
    (it,) = data.draw(odd_fleet((IN,), most=1))
    capacity = Capacity(it.host, it.rules)
    sets = [None, *(cell.cpus for cell in it.host.cells), it.host.present, CpuSet([0]), CpuSet([0, 999])]
    guests = list(it.existing)
    for at in range(5):
        where = data.draw(st.sampled_from(sets))
        each = Existing(
            f"e{at}",
            (where,) * data.draw(st.integers(0, 3)) + (None,) * data.draw(st.sampled_from((0, 0, 0, 1))),
            GIB,
            data.draw(st.sampled_from((where, None, CpuSet([1])))),
            nodeset=data.draw(st.sampled_from((None, None, CpuSet([0]), CpuSet([0, 1]), CpuSet([99])))),
        )
        wish = Request(each.name, 1, GIB, data.draw(st.sampled_from(("pack", "spread", "dedicated"))))
        wish = replace(wish, cpu_ratio=data.draw(st.sampled_from((None, 3.0))))
        guests.append(replace(each, wish=data.draw(st.sampled_from((wish, wish, wish, None)))))
    occupancy = Occupancy(capacity)
    for each in guests:
        add_fixed(occupancy, each)
    occupancy.spread_load()
    assert numbers(board_of(capacity, guests)) == numbers(occupancy.board())


def test_what_has_left_can_come_back():
    a, group = guest("a"), Group("g", APART)
    hosts = [FleetHost("h0", host()), FleetHost("h1", host(), (pinned("b", 1, "0"),), state=DRAINING)]
    fleet = Fleet(hosts)
    fleet.arrive(replace(a, groups=(group,)))
    before = numbers(fleet.boards[0].board.copy())
    for left in (fleet.leave("a", 0), fleet.leave("b", 1)):
        fleet.back(left)
    assert numbers(fleet.boards[0].board) == before and fleet.named == {"a": (0,), "b": (1,)}
    assert fleet.where.members[group] == {"h0": 1}
    assert fleet.unjoin("b", 1) is None


def test_a_guest_that_can_use_none_of_the_shared_cpus_takes_nothing_of_them():
    it, (a,) = host(1, 4, 1), (pinned("a", 2, "0-1", wish=Request("a", 2, GIB)),)
    rules = Rules(shared_cpus=CpuSet([2, 3]))
    assert Fleet([FleetHost("h", it, (a,), rules=rules)]).boards[0].board.joint == [2_000_000]
    assert Fleet([FleetHost("h", it, (a,))]).boards[0].board.joint == [2_000_000]


@EXAMPLES
@given(st.data())
def test_a_host_that_is_told_to_be_too_full_offers_nothing(data):
    hosts = data.draw(odd_fleet((IN,)))
    fleet = Fleet(hosts)
    wish = moved(data.draw(odd_fleet_request("new", hosts)).guest)
    for number, board in fleet.boards.items():
        if board.too_full(wish) and fleet.possible(number, wish):
            assert board.offer(board.guest(wish), fleet.rod(*kind_and_size(wish))) is None


@EXAMPLES
@given(st.data())
def test_cells_that_are_alike_are_as_near_as_the_planner_of_the_host_has_them(data):
    (it,) = data.draw(odd_fleet((IN,), most=1))
    board = Fleet([it]).boards[0]
    own = data.draw(st.booleans())
    number = data.draw(st.integers(1, 3))
    each = Request("new", number * data.draw(st.integers(1, 2)), number * GIB, "mirror", width=number, own_cpus=own)
    if board.could_hold(each):
        guest_ = board.guest(each)
        even, spot = board._even_spots(guest_), best(board.board, guest_)
        assert even is not None and bool(even) == (spot is not None)
        assert all(board.board.admits(guest_, one) and one.distance == spot.distance for one, _key in even)


def test_many_choices_of_cells_are_left_to_the_planner_of_the_host():
    fleet = fleet_of(1, host(8, 2, 1))
    assert fleet.boards[0]._even_spots(fleet.boards[0].guest(guest("a", 4, policy="mirror", width=4).guest)) is None
    assert fleet.arrive(guest("a", 4, 4, policy="mirror", width=4)).spot.width == 4
    assert fleet.arrive(guest("b", 3, 2, policy="mirror", width=2)).spot.width == 2


def test_a_guest_for_whole_cores_finds_none_where_only_halves_are_free():
    halves = tuple(pinned(f"p{core}", 1, str(2 * core)) for core in range(8))
    fleet = Fleet([FleetHost("h", host(), halves)])
    wish = guest("a", 2, policy="dedicated", smt="require", cells=CpuSet([0]))
    assert fleet.arrive(wish) is None and not fleet.boards[0].too_full(wish.guest)


def test_hosts_that_are_alike_share_what_is_remembered_of_them():
    it = host()
    fleet = Fleet([FleetHost("h0", it), FleetHost("h1", it), FleetHost("h2", host())])
    assert len({id(board.distances) for board in fleet.boards.values()}) == 1
    places = [fleet.arrive(guest(name, 8, 8, policy="mirror", width=2)) for name in "abc"]
    assert [each.spot.distance for each in places] == [fleet.boards[0].distances[3]] * 3
    assert list(fleet.boards[0].distances) == [3]
