# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many more fit, what a lost host takes along, and room that is left for one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.loss import described, homeless, losses
from ansible_collections.numa.virt.plugins.module_utils._fleet.more import More, _rounds, how_many, more_on, total
from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import plan_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    APART,
    DRAINING,
    IN,
    FleetHost,
    FleetOptions,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import bits
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import a_host, guest, placed
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.odd_fleets import odd_fleet, odd_fleet_request
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host, pinned
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

EXAMPLES = settings(max_examples=examples(60))
SMALL = host(1, 4, 1, 8)


@cache
def every_way(slots, width):
    """The most guests, by trying all cells for the next one."""
    most = 0
    for cells in combinations(range(len(slots)), width):
        if all(slots[cell] for cell in cells):
            rest = tuple(number - (cell in cells) for cell, number in enumerate(slots))
            most = max(most, 1 + every_way(tuple(sorted(rest)), width))
    return most


@EXAMPLES
@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(1, 3))
def test_guests_of_several_cells_are_counted_exactly(slots, width):
    assert _rounds(slots, width) == every_way(tuple(sorted(slots)), width)


@EXAMPLES
@given(st.data())
def test_what_is_counted_can_be_placed_and_no_more(data):
    hosts = data.draw(odd_fleet((IN,), most=2))
    fleet = Fleet(hosts)
    wish = data.draw(odd_fleet_request("new", hosts)).guest
    for number, found in how_many(fleet, wish).items():
        board, placed_ = fleet.boards[number].board.copy(), 0
        if fleet.possible(number, wish):
            one = fleet.boards[number].guest(wish)
            while (spot := best(board, one)) is not None:
                board.take(one, spot)
                placed_ += 1
        # A guest that is split, or on cells of its own, may be put so that more fit than when each takes the nearest.
        assert placed_ <= found.at_most and found.fits <= found.at_most
        assert placed_ <= found.fits
        if one_cell_each(wish):
            assert placed_ == found.fits


def test_cells_with_pages_of_other_sizes_have_none_of_most_memory():
    cells = (GuestCell(CpuSet([0]), 2 * GIB, GIB), GuestCell(CpuSet([1]), GIB))
    wish = Request("new", 2, 2 * GIB, "mirror", page_size=GIB, other_pages=((None, GIB),), guest_cells=cells)
    (found,) = how_many(Fleet((FleetHost("h", host(2, memory=8, pages=4)),)), wish).values()
    assert (found.fits, found.at_most) == (4, 4)


def one_cell_each(wish):
    return not wish.placed_by.mirrors


@pytest.mark.parametrize(
    ("request_", "it", "found"),
    [
        (guest("a", 2, 2), host(), More(8, 8)),
        (guest("a", 2, 8), host(), More(4, 4)),
        (guest("a", 5), host(), More(3, 3)),
        (guest("a", 5, policy="mirror", width=1), host(), More(2, 2)),
        (guest("a", 6, policy="mirror", width=2), host(), More(2, 2)),
        (guest("a", 3, policy="mirror", width=2), host(), More(4, 5)),
        (guest("a", 4, policy="mirror"), host(), More(4, 4)),
        (guest("a", 1, 1, page_size=GIB), host(pages=3), More(6, 6)),
        (guest("a", 1, 1, page_size=GIB), host(), More(0, 0)),
        (guest("a", 3, policy="dedicated"), host(), More(5, 5)),
        (guest("a", 3, policy="dedicated", smt="require"), host(), More(4, 5)),
        (guest("a", 4, policy="dedicated", smt="require"), host(), More(4, 4)),
        (guest("a", 2, policy="dedicated", smt="isolate"), host(), More(4, 4)),
        (guest("a", 2, policy="mirror", width=2, own_cpus=True, smt="require"), host(1, 4, 1), More(0, 0)),
        (guest("a", 4, policy="mirror", width=2, own_cpus=True, smt="require"), host(), More(4, 4)),
        (guest("a", 4, policy="mirror", width=2, cells=CpuSet([0, 1])), host(3), More(4, 4)),
        (guest("a", 1, policy="spread"), SMALL, More(4, 4)),
        (guest("a", 1, apart="x"), SMALL, More(1, 4)),
    ],
)
def test_how_many_more_of_a_shape_fit(request_, it, found):
    assert how_many(Fleet([FleetHost("h", it)]), request_.guest) == {0: found}


def test_the_fleet_is_the_sum_of_its_hosts():
    fleet = Fleet([a_host("a", guest("x", 4)), a_host("b"), a_host("c", state=DRAINING)])
    counts = how_many(fleet, guest("n", 4).guest)
    assert counts == {0: (3, 3), 1: (4, 4)} and total(list(counts.values())) == (7, 7)


def test_what_a_lost_host_takes_along():
    group = Group("g", APART)
    asked = {name: guest(name, 4, groups=(group,)) for name in "ab"}
    hosts = [
        a_host("h1", asked["a"], it=SMALL),
        a_host("h2", asked["b"], it=SMALL),
        a_host("h3", it=SMALL),
        FleetHost("h4", host(), (pinned("wild", 6, None), pinned("other", 1, "0")), answered=False),
        FleetHost("h5", None),
    ]
    fleet = Fleet(hosts)
    fleet.join(asked["a"], 0)
    fleet.join(asked["b"], 1)
    found = {each.host: each for each in losses(fleet, asked, guest("n", 2).guest)}
    assert (found["h1"].placed, found["h1"].homeless, found["h1"].more) == (1, (), More(0, 2))
    assert found["h3"].more == More(0, 0) and found["h3"].placed == 0
    # Nobody can have six CPUs, and what is there counts as it is.
    assert (found["h4"].placed, found["h4"].homeless) == (1, ("wild",))
    assert found["h4"].more == More(1, 2) and found["h5"].placed == 0
    assert {where: number for where, number in fleet.where.members[group].items() if number} == {"h1": 1, "h2": 1}
    (only,) = losses(fleet, asked, hosts=frozenset([2]))
    assert only.host == "h3" and only.more is None


def test_groups_count_when_a_host_is_lost():
    group = Group("g", APART)
    asked = {name: guest(name, 1, groups=(group,)) for name in "ab"}
    fleet = Fleet([a_host("h1", asked["a"]), a_host("h2", asked["b"])])
    fleet.join(asked["a"], 0)
    fleet.join(asked["b"], 1)
    assert homeless(fleet, 0, asked) == ("a",)
    assert homeless(fleet, 0, {}) == ()


@EXAMPLES
@given(st.data())
def test_a_loss_that_is_looked_at_changes_nothing(data):
    hosts = data.draw(odd_fleet())
    fleet = Fleet(hosts)
    for at in range(3):
        fleet.arrive(data.draw(odd_fleet_request(f"n{at}", hosts)))
    before = {at: board_numbers(it) for at, it in fleet.boards.items()}
    named = dict(fleet.named)
    for each in losses(fleet, {}, Request("n", 1, GIB)):
        number = fleet.number[each.host]
        there = fleet.guests[number] if number not in fleet.boards else {
            **fleet.boards[number].existing, **fleet.boards[number].placed
        }  # fmt: skip
        assert each.placed + len(each.homeless) == len(there)
        assert each.more.fits <= each.more.at_most
    assert {at: board_numbers(it) for at, it in fleet.boards.items()} == before
    assert fleet.named == named


def board_numbers(it):
    board = it.board
    return (list(board.joint), list(board.free), list(board.whole), [list(row) for row in board.mem], sorted(it.placed))


def test_what_nobody_described_counts_with_what_it_has():
    wild = pinned("w", 3, "0-1", 2, page_size=GIB)
    assert described(wild) == Request("w", 3, 2 * GIB, page_size=GIB)
    assert described(replace(wild, vcpu_cpus=(), memory=0)).vcpus == 1
    (known,) = placed(host(), guest("a", 2))
    assert described(known) is known.wish


def refused(found):
    return {each.name: (each.constraint, each.message) for each in found.rejections}


def test_room_is_left_for_the_guests_of_one_host():
    hosts = [a_host("h1", guest("a", 2), it=SMALL), a_host("h2", guest("b", 2), it=SMALL)]
    requests = [guest("c", 2), guest("d", 2, priority=1)]
    assert len(plan_fleet(hosts, requests).placements) == 2
    found = plan_fleet(hosts, requests, FleetOptions(spare_hosts=1))
    assert not found.placements and {each[0] for each in refused(found).values()} == {"spare"}
    assert "if host h" in refused(found)["d"][1] and "would have no place" in refused(found)["d"][1]
    assert not [step for batch in found.batches for step in batch]
    roomy = [*hosts, a_host("h3", it=SMALL)]
    found = plan_fleet(roomy, [*requests, guest("e", 2)], FleetOptions(spare_hosts=1))
    assert {each.name for each in found.placements} == {"c", "d"} and set(refused(found)) == {"e"}
    assert [step.name for batch in found.batches for step in batch] == ["d", "c"]


def test_what_was_lost_without_the_plan_too_is_not_counted_against_it():
    hosts = [a_host("h1", guest("a", 8)), a_host("h2", it=SMALL), a_host("h3", it=SMALL)]
    found = plan_fleet(hosts, [guest("b", 1)], FleetOptions(spare_hosts=1))
    assert [each.name for each in found.placements] == ["b"]


@settings(max_examples=examples(25))
@given(st.data())
def test_no_loss_is_worse_by_the_new_guests(data):
    hosts = data.draw(odd_fleet((IN,), most=3))
    requests = [data.draw(odd_fleet_request(f"n{at}", hosts)) for at in range(3)]
    made = plan_fleet(hosts, requests, FleetOptions(spare_hosts=1))
    asked = {each.name: each for each in requests}
    without, fleet = Fleet(hosts), Fleet(hosts)
    before = {number: homeless(without, number, asked) for number in without.boards}
    for batch in made.batches:
        for step in batch:
            number = fleet.number[step.host]
            wish = replace(
                asked[step.name], guest=replace(asked[step.name].guest, cells=step.cells), hosts=(), labels=()
            )
            assert fleet.arrive(wish, frozenset([number])) is not None
    for number in fleet.boards:
        assert set(homeless(fleet, number, asked)) <= set(before[number])


def test_cells_are_counted_by_their_numbers():
    fleet = Fleet([FleetHost("h", host(3, 4, 1))])
    assert more_on(fleet, 0, guest("a", 1, cells=CpuSet([2])).guest) == (4, 4)
    assert list(bits(5)) == [0, 2]
