# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests with memory in pages of several sizes: every pool of every cell counts, and what lacks is named."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.partial import existing_of
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    applied,
    cpus,
    host,
    pinned,
    verify,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

SMALL = 2048
#: Each cell: 4 GiB of ordinary memory, 8 GiB in pages of 1 GiB, 4 GiB in pages of 2 MiB
BOTH = host(2, memory=16, pages=8, small_pages=4)
#: Pages of 1 GiB on cell 0 alone, of 2 MiB on cell 1 alone
LOPSIDED = host(2, memory=16, pages=(8, 0), small_pages=(0, 8))
NFV = Request("nfv", 4, 8 * GIB, page_size=GIB, other_pages=((SMALL, 4 * GIB),))
CELLS = (GuestCell(cpus("0-1"), 4 * GIB, SMALL), GuestCell(cpus("2-3"), 8 * GIB, GIB))
MIRROR = replace(NFV, policy="mirror", guest_cells=CELLS)


def used(found: Plan) -> list[dict[int | None, int]]:
    """GiB of each cell by the size of pages, after the plan."""
    return [
        {None: use.memory[0] // GIB, **{size: pages * size // GIB for size, pages, _total in use.pages}}
        for use in found.after
    ]


def refusal(it: Host, *requests: Request) -> str:
    (found,) = plan(it, requests, options=Options(partial=True)).rejections
    return found.message


@pytest.mark.parametrize("policy", ["pack", "spread", "dedicated"])
def test_one_cell_has_to_have_pages_of_all_sizes(policy: str) -> None:
    found = plan(BOTH, [replace(NFV, policy=policy)])
    assert used(found) == [{None: 0, GIB: 8, SMALL: 4}, {None: 0, GIB: 0, SMALL: 0}]
    assert found.placements[0].memory_by_page == ((0, SMALL, 4 * GIB), (0, GIB, 8 * GIB))
    assert found.placements[0].memory == ((0, 12 * GIB),)


def test_what_is_full_of_one_size_is_full() -> None:
    first = Request("a", 1, GIB, page_size=SMALL)
    found = plan(BOTH, [replace(NFV, vcpus=1), first], applied([first], plan(BOTH, [replace(first, cells=cpus("0"))])))
    assert {each.name: str(each.cells) for each in found.placements} == {"a": "0", "nfv": "1"}


def test_a_mirrored_guest_has_its_pages_where_its_cells_are() -> None:
    found = plan(LOPSIDED, [MIRROR])
    assert [(each.cell, each.memory) for each in found.placements[0].guest_cells] == [(1, 4 * GIB), (0, 8 * GIB)]
    assert used(found) == [{None: 0, GIB: 8, SMALL: 0}, {None: 0, GIB: 0, SMALL: 4}]
    assert not plan(LOPSIDED, [MIRROR], applied([MIRROR], found)).changes
    # Nobody asks about it, and it takes the same of the same cells.
    assert used(plan(LOPSIDED, [], applied([MIRROR], found))) == used(found)


def test_memory_devices_count_in_pages_of_their_own() -> None:
    dimm = replace(CELLS[0], other_pages=((None, GIB), (GIB, GIB)))
    asked = replace(MIRROR, memory=9 * GIB, other_pages=((SMALL, 4 * GIB), (None, GIB)), guest_cells=(dimm, CELLS[1]))
    found = plan(BOTH, [asked])
    assert used(found) == [{None: 1, GIB: 1, SMALL: 4}, {None: 0, GIB: 8, SMALL: 0}]
    assert [each.memory for each in found.placements[0].guest_cells] == [6 * GIB, 8 * GIB]
    verify(BOTH, [asked], found)


def test_a_guest_with_cells_to_be_made_has_some_of_each_size_in_each() -> None:
    found = plan(BOTH, [replace(NFV, policy="mirror", width=2)])
    assert used(found) == [{None: 0, GIB: 4, SMALL: 2}] * 2


def test_a_guest_on_several_cells_takes_of_each_what_it_has() -> None:
    found = plan(LOPSIDED, [NFV])
    assert str(found.placements[0].memory_cells) == "0-1"
    assert used(found) == [{None: 0, GIB: 8, SMALL: 0}, {None: 0, GIB: 0, SMALL: 4}]
    again = plan(LOPSIDED, [NFV], applied([NFV], found))
    assert not again.changes and again.after == found.after


def test_huge_pages_of_a_cell_need_a_cpu_there() -> None:
    """With one vCPU it cannot have its large pages of cell 0 and its small ones of cell 1."""
    message = refusal(LOPSIDED, replace(NFV, vcpus=1, policy="dedicated"))
    assert "(cell 0 has 0 of 2048 pages of 2048 KiB, cell 1 has 0 of 8 pages of 1048576 KiB)" in message


def test_guests_that_are_split_at_once_are_cut_by_pool() -> None:
    """Each needs pages that one cell has not: only all together can they be cut to what there is."""
    it = host(3, 4, 1, memory=16, pages=(4, 4, 0), small_pages=(0, 4, 4))
    requests = [
        Request(f"g{number}", 3, 3 * GIB, policy, page_size=GIB, other_pages=((SMALL, 3 * GIB),))
        for number, policy in enumerate(("pack", "dedicated"))
    ]
    found = plan(it, requests)
    assert found.vcpus == 6
    verify(it, requests, found)


NEVER = (
    "4 vCPUs with 8388608 KiB in pages of 1048576 KiB and 4194304 KiB in pages of 2048 KiB would fit on cell 0; this "
    "host could never hold it"
)
MORE = replace(MIRROR, memory=10 * GIB, guest_cells=(CELLS[0], replace(CELLS[1], memory=10 * GIB)))


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (replace(NFV, other_pages=((64, GIB),)), "its huge pages of 64 KiB are not there"),
        (
            replace(NFV, other_pages=((SMALL, 9 * GIB),)),
            f"needs 4608 pages of 2048 KiB, and cells 0-1 have 4096, at most 2048 on cell 0; {NEVER}",
        ),
        (MORE, f"its cell 1 needs 10 pages of 1048576 KiB, and there are at most 8, on cell 0; {NEVER}"),
    ],
)
def test_what_the_host_could_never_hold_is_named(asked: Request, problem: str) -> None:
    assert problem in refusal(BOTH, asked)


def test_an_error_names_the_size_too() -> None:
    with pytest.raises(InputError, match=r"memory: 9437184: 8388608 KiB in pages of 2048 KiB are all that guests can"):
        plan(BOTH, [replace(NFV, other_pages=((SMALL, 9 * GIB),))])
    with pytest.raises(InputError, match=r"its cells have 4194304 KiB in pages of 2048 KiB and the guest 5242880"):
        plan(BOTH, [replace(MIRROR, other_pages=((SMALL, 5 * GIB),))])
    with pytest.raises(InputError, match=r"its cells have 4194304 KiB in pages of 2048 KiB and the guest 0"):
        plan(BOTH, [replace(MIRROR, other_pages=())])


def test_what_lacks_now_is_named_with_its_cell() -> None:
    it = host(2, memory=16, pages=8, small_pages=(4, 4))
    first = [
        Request("a", 1, 4 * GIB, page_size=SMALL, cells=cpus("0")),
        Request("b", 1, 8 * GIB, page_size=GIB, cells=cpus("1")),
    ]
    there = applied(first, plan(it, first))
    # As one of a group it has to be on one cell.
    (found,) = plan(it, [replace(NFV, together="t")], there).rejections
    assert found.message.startswith("nfv: group t shares one cell")
    (found,) = plan(it, [replace(NFV, memory=9 * GIB)], there).rejections
    assert found.constraint == "huge_pages" and found.unit == "pages" and found.cell == 0
    assert found.message.startswith(
        "nfv: needs 9 pages of 1048576 KiB, and cells 0-1 have 8, at most 8 on cell 0; nothing"
    )
    # Enough of all, but the cell with CPUs left has too few of one size.
    busy = pinned("x", 8, "8-15", nodeset=cpus("1"))
    (found,) = plan(it, [replace(NFV, other_pages=((SMALL, 4 * GIB),))], [*there, busy]).rejections
    assert found.message.startswith(
        "nfv: cells 0-1 have enough CPUs and enough memory, but not on the same cells "
        "(cell 0 has 0 of 2048 pages of 2048 KiB, cell 1 has 0 of 8 pages of 1048576 KiB)"
    )
    (found,) = plan(it, [replace(MIRROR, guest_cells=CELLS[::-1], vcpus=4)], [*there, busy]).rejections
    assert "needs 2 cells that each hold one of its cells" in found.message


def test_a_guest_that_grows_in_pages_of_one_size_is_placed_anew() -> None:
    before = replace(NFV, other_pages=((SMALL, GIB),))
    other = Request("a", 1, 3 * GIB, page_size=SMALL)
    there = applied([before, other], plan(BOTH, [before, replace(other, cells=cpus("0"))]))
    found = plan(BOTH, [NFV, other], there)
    assert found.moves == ("nfv",)
    assert found.placements[1].reason.startswith("it has grown, and cell 0 has no pages of 2048 KiB for it")
    # Less of one size, and of another none at all, is no reason.
    assert not plan(BOTH, [replace(NFV, memory=GIB, other_pages=()), other], there).changes


def test_guests_that_are_there_count_in_every_pool() -> None:
    it = replace(BOTH)
    both = pinned("x", 4, "0-7", 8, nodeset=cpus("0"), page_size=GIB, other_pages=((SMALL, GIB), (64, GIB)))
    # Pages that the host does not have count as ordinary memory.
    assert used(plan(it, [], [both])) == [{None: 1, GIB: 8, SMALL: 1}, {None: 0, GIB: 0, SMALL: 0}]
    wide = replace(both, vcpu_cpus=(cpus("0-15"),) * 4, nodeset=cpus("0-1"))
    assert used(plan(it, [], [wide])) == [{None: 0, GIB: 4, SMALL: 0}] * 2  # half a GiB of the others
    by_cell = replace(wide, memory_on=((cpus("0"), SMALL, 4 * GIB), (cpus("1"), GIB, 8 * GIB)))
    assert used(plan(it, [], [by_cell])) == [{None: 0, GIB: 0, SMALL: 4}, {None: 0, GIB: 8, SMALL: 0}]
    over = plan(it, [], [replace(both, other_pages=((SMALL, 5 * GIB),))]).notes
    assert [(each.code, each.message) for each in over] == [
        ("memory_overcommitted", "guests of cell 0 have more pages of 2048 KiB than it")
    ]


def test_memory_that_is_held_is_held_in_its_pages() -> None:
    """The guest moves by this plan and does not end: what it holds is nobody else's, and its own where it goes back."""
    leaves = pinned("nfv", 4, "0-7", 8, nodeset=cpus("0"), page_size=GIB, other_pages=((SMALL, 4 * GIB),))
    leaves = replace(leaves, held=((0, GIB, 8 * GIB), (0, SMALL, 4 * GIB)))
    small = Request("small", 1, GIB, page_size=SMALL, cells=cpus("0"))
    asked = replace(NFV, cells=cpus("1"))
    found = plan(BOTH, [asked, small], [leaves])
    assert [each.name for each in found.rejections] == ["small"]
    assert used(found) == [{None: 0, GIB: 8, SMALL: 4}] * 2
    stays = plan(BOTH, [replace(NFV, policy="dedicated")], [leaves])
    assert used(stays) == [{None: 0, GIB: 8, SMALL: 4}, {None: 0, GIB: 0, SMALL: 0}]
    assert stays.vcpus == stays.bound.vcpus == 4
    done = existing_of(asked, found.placements[0], leaves)
    assert done.held == leaves.held and done.by_page == asked.by_page
    kept = plan(BOTH, [asked], [done])
    assert not kept.changes and existing_of(asked, kept.placements[0], done).by_page == asked.by_page


def test_the_bound_counts_every_pool() -> None:
    """Of three only two have pages of 2 MiB; of the large ones there are enough for all."""
    requests = [replace(NFV, name=f"g{number}", vcpus=1, memory=GIB) for number in range(3)]
    found = plan(BOTH, requests)
    assert (found.vcpus, found.bound.vcpus) == (2, 2)


def test_a_guest_makes_room_for_another_by_its_pages() -> None:
    """The small one is moved off the only cell with large pages."""
    it = host(2, 4, 1, memory=16, pages=(4, 0), small_pages=(4, 4))
    small = Request("small", 1, 4 * GIB, page_size=SMALL)
    there = applied([small], plan(it, [replace(small, cells=cpus("0"))]))
    big = Request("big", 2, 4 * GIB, page_size=GIB, other_pages=((SMALL, 2 * GIB),), together="t")
    assert plan(it, [small, replace(big, together=None)], there, options=Options(rebalance=True)).vcpus == 3
    assert plan(it, [small, big], there).rejections


Place = tuple[int, ...]


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[Host, list[Request]]:
    cells = draw(st.integers(2, 3))

    def amounts(most: int) -> list[int]:
        return draw(st.lists(st.integers(0, most), min_size=cells, max_size=cells))

    large, small = amounts(3), amounts(3)
    ordinary = [each + 1 for each in amounts(2)]
    memory = [sum(each) for each in zip(large, small, ordinary)]
    it = host(cells, draw(st.integers(2, 4)), 1, memory, large, small_pages=small)
    requests = []
    for number in range(draw(st.integers(1, 4 if cells == 2 else 3))):
        sizes = draw(st.permutations((None, SMALL, GIB)))[: draw(st.integers(1, 3))]
        pairs = [(size, draw(st.integers(1, 2)) * GIB) for size in sizes]
        vcpus = draw(st.integers(1, 3))
        (size, kib), *others = pairs
        asked = Request(f"g{number}", vcpus, kib, page_size=size, other_pages=tuple(others), together=f"t{number}")
        if len(pairs) <= min(vcpus, cells) and draw(st.booleans()):
            own = [GuestCell(CpuSet([at]), kib, size) for at, (size, kib) in enumerate(pairs[:-1])]
            last = GuestCell(CpuSet(range(len(pairs) - 1, vcpus)), pairs[-1][1], pairs[-1][0])
            asked = replace(asked, policy="mirror", together=None, guest_cells=(*own, last))
        requests.append(asked)
    return it, requests


def places(it: Host, request: Request) -> list[Place]:
    """Nowhere; a cell; or a cell for each of its own."""
    return [(), *permutations(range(len(it.cells)), len(request.guest_cells) or 1)]


def fits(it: Host, requests: list[Request], where: tuple[Place, ...]) -> bool:
    for at, cell in enumerate(it.cells):
        room: dict[int | None, int] = {pool.size: pool.size * pool.total for pool in cell.huge_pools}
        room[None] = cell.memory - sum(room.values())
        vcpus = 0
        for request, place in zip(requests, where):
            for number, seat in enumerate(place):
                part = request.guest_cells[number] if request.guest_cells else request
                if seat == at:
                    vcpus += len(part.vcpus) if isinstance(part, GuestCell) else part.vcpus
                    for size, kib in part.by_page.items():
                        room[size] = room.get(size, 0) - kib
        if vcpus > len(cell.cpus) or any(kib < 0 for kib in room.values()):
            return False
    return True


@settings(max_examples=examples(120))
@given(small_cases())
def test_no_pool_of_no_cell_is_overfilled_and_no_plan_places_more(case: tuple[Host, list[Request]]) -> None:
    it, requests = case
    best = max(
        sum(request.vcpus for request, place in zip(requests, where) if place)
        for where in product(*(places(it, request) for request in requests))
        if fits(it, requests, where)
    )
    found = plan(it, requests, options=Options(partial=True))
    verify(it, requests, replace(found, bound=replace(found.bound, vcpus=max(found.vcpus, found.bound.vcpus))))
    assert found.vcpus == best
