# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest counts in the next run as in the one that placed it, asked about or not."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.spread_load import Piece, spread_load
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    applied,
    cpus,
    host,
    pinned,
    there,
    verify,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.test_properties import Case, cases
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

EXAMPLES = settings(max_examples=examples(100))


def test_a_split_guest_counts_where_the_plan_put_it() -> None:
    """Guests of 3, 1 and 4 vCPUs, and more, asked for one by one: no more than 8 on 8 CPUs."""
    it, guests, placed = host(2, 4, 1), [], 0
    for at, vcpus in enumerate((3, 1, 4, 1, 1)):
        request = Request(f"g{at}", vcpus, GIB, "spread")
        found = plan(it, [request], guests)
        placed += found.vcpus
        guests += applied([request], found)
    assert placed == 8
    assert [use.load for use in plan(it, [], guests).after] == [4, 4]


def test_guests_on_overlapping_cells_are_spread_so_that_all_fit() -> None:
    """By way of a third: a must leave cell 0 for n, and b cell 1 for a."""
    it = host(3, 4, 1)
    wide = [
        pinned(name, vcpus, where, wish=Request(name, vcpus, GIB))
        for name, vcpus, where in (("a", 4, "0-7"), ("b", 4, "4-11"))
    ]
    assert [use.load for use in plan(it, [], [*wide, pinned("n", 4, "0-3")]).after] == [4, 4, 4]
    # Somebody's pins are in proportion to their CPUs while nothing is full, and never more than those CPUs hold.
    assert [use.load for use in plan(it, [], [pinned("m", 6, "0-1,4-7")]).after] == [2, 4, 0]
    assert [use.load for use in plan(it, [], [pinned("m", 6, "2-7"), pinned("n", 4, "0-3")]).after] == [6, 4, 0]


def asked_for_one_by_one(case: Case) -> tuple[list[Request], list[Existing]]:
    it, requests, rules = case
    guests: list[Existing] = []
    done: list[Request] = []
    for request in requests:
        found = plan(it, [request], guests, rules)
        before = {each.cell: each for each in found.after}
        placed = applied([request], found)
        guests += placed
        done += [request] if placed else []
        again = plan(it, [], guests, rules).after
        assert [(each.load, each.memory, each.pages, each.owned) for each in again] == [
            (before[each.cell].load, before[each.cell].memory, before[each.cell].pages, before[each.cell].owned)
            for each in again
        ]
    return done, guests


@EXAMPLES
@given(cases())
def test_one_by_one_no_limit_is_exceeded(case: Case) -> None:
    it, _requests, rules = case
    done, guests = asked_for_one_by_one(case)
    kept = plan(it, done, guests, rules)
    assert not kept.changes and not kept.rejections
    verify(it, done, kept, rules)
    assert not [note for note in kept.notes if note.code not in ("unrestricted", "guest_threads_apart")]


@EXAMPLES
@given(cases(), st.data())
def test_a_plan_counts_as_what_is_read_of_it(case: Case, data: st.DataObject) -> None:
    """Whether the guests are asked about again or not."""
    it, requests, rules = case
    others = []
    for number in range(data.draw(st.integers(0, 2))):
        numbers = sorted(data.draw(st.sets(st.sampled_from(list(it.online)), min_size=1, max_size=4)))
        others.append(pinned(f"other{number}", 2, ",".join(map(str, numbers))))
    found = plan(it, requests, others, rules)
    by_name = {each.name: each for each in found.placements}
    placed = [each for each in requests if each.name in by_name]
    guests = [*others, *(there(each, by_name[each.name]) for each in placed)]
    half = data.draw(st.sets(st.sampled_from(placed))) if placed else set()
    again = plan(it, sorted(half, key=lambda each: each.name), guests, rules)
    for one, other in zip(found.after, again.after):
        assert (one.load, one.memory, one.pages, one.owned, one.guests) == (
            *(other.load, other.memory, other.pages, other.owned, other.guests),
        )


def test_memory_that_still_lies_elsewhere_counts_there() -> None:
    """And only until the guest ends; where the guest stays it counts once."""
    request = Request("big", 2, 10 * GIB, cells=cpus("1"))
    big = pinned("big", 2, "8-15", 10, nodeset=cpus("1"), wish=request, held=((0, None, 10 * GIB), (9, None, 1)))
    new = Request("new", 2, 10 * GIB)
    for requests in ([new], [new, request]):
        found = plan(host(3), requests, [big])
        assert {each.name: str(each.cells) for each in found.placements}["new"] == "2"
        assert [use.memory[0] // GIB for use in found.before] == [10, 10, 0]
    stays = replace(big, held=((1, None, 10 * GIB),))
    assert [use.memory[0] // GIB for use in plan(host(3), [request], [stays]).before] == [0, 10, 0]
    # It leaves cell 0 by this plan, and does not end.
    leaves = pinned("big", 2, "0-7", 10, nodeset=cpus("0"), held=((0, None, 10 * GIB),))
    found = plan(host(3), [request, new], [leaves])
    assert {each.name: str(each.cells) for each in found.placements} == {"big": "1", "new": "2"}
    assert [use.memory[0] // GIB for use in found.after] == [10, 10, 10]
    # It may have its own memory again: other CPUs on its cell, and all of its cells.
    for request, cells in ((Request("big", 2, 10 * GIB, "dedicated"), "0"), (Request("big", 20, 40 * GIB), "0-2")):
        found = plan(host(3), [request], [leaves])
        assert [str(each.cells) for each in found.placements] == [cells]
        assert found.vcpus <= found.bound.vcpus and not found.notes
        again = plan(host(3), [request], [replace(each, held=leaves.held) for each in applied([request], found)])
        assert not again.changes and again.after == found.after
    other_pages = replace(leaves, page_size=GIB, held=((0, GIB, 10 * GIB),))
    assert plan(host(3, pages=4), [replace(request, vcpus=2, memory=GIB)], [other_pages]).after[0].pages[0][1] == 10


def test_of_memory_that_is_held_a_bound_is_a_bound() -> None:
    leaves = pinned("big", 8, "0-7", 16, nodeset=cpus("0"), held=((0, None, 16 * GIB),))
    found = plan(host(1), [Request("big", 8, 16 * GIB, "dedicated")], [leaves])
    assert found.vcpus == found.bound.vcpus == 8


def test_caps_of_pins_hold_where_they_can() -> None:
    """What the plan made of a guest whose pins hold one CPU of cell 0: no more than that counts there."""
    it = host(2, 4, 1)
    wide = pinned("w", 4, "3-7", wish=Request("w", 4, GIB))
    assert [use.load for use in plan(it, [], [wide, pinned("x", 2, "4-7")]).after] == [1, 5]
    assert spread_load([0, 3], [Piece((0, 1), 4, caps=(1, 4))]) == [[1, 3]]
    assert spread_load([4, -1], [Piece((0, 1), 4, caps=(1, 4)), Piece((0,), 1)]) == [[1, 3], [1]]
    assert spread_load([4, 4], [Piece((0, 1), 4), Piece((0,), 4)]) == [[0, 4], [4]]
    assert spread_load([4, 4], [Piece((0, 1), 3, caps=(4, 1)), Piece((0,), 4)]) == [[2, 1], [4]]
    assert spread_load([4, 4, 4], [Piece((0, 1), 4), Piece((1, 2), 4), Piece((0,), 4)]) == [[0, 4], [0, 4], [4]]


def test_a_split_guest_that_grows_beyond_its_cells_is_placed_anew() -> None:
    it = host(3, 4, 1)
    wide = pinned("w", 6, "0-7", wish=Request("w", 6, GIB))
    found = plan(it, [Request("w", 8, GIB)], [wide, pinned("x", 1, "0-3")])
    assert found.moves == ("w",) and "it has grown" in found.placements[0].reason


def test_a_mirrored_guest_counts_by_its_cells_while_its_pins_say_so() -> None:
    wish = Request("m", 4, 3 * GIB, "mirror", width=2)
    whole = Existing(
        "m", tuple(cpus(cpu) for cpu in ("0-7", "0-7", "8-15", "8-15")), 3 * GIB, nodeset=cpus("0-1"), wish=wish
    )
    full = pinned("x", 1, "0-7", 15)
    for guest, memory in (
        (whole, [15 * GIB + 3 * GIB // 2, 3 * GIB // 2]),
        (replace(whole, memory=2 * GIB), [16 * GIB, GIB]),
        (replace(whole, vcpu_cpus=(cpus("0-15"),) * 4), [16 * GIB, 2 * GIB]),
    ):
        assert [use.memory[0] for use in plan(host(), [], [guest, full]).after] == memory
