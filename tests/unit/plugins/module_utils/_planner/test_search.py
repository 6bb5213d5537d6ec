# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many guests, and the parts of the search by themselves."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._planner.bound import Kind, exchange
from ansible_collections.numa.virt.plugins.module_utils._planner.exact import carve
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.subsets import nearest_subset
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, cpus, host, verify
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples


@st.composite
def batches(draw: st.DrawFn) -> list[Request]:
    """More guests than are searched whole, about as much as four cells of 8 CPUs and 16 GiB hold."""
    found = []
    for number in range(draw(st.integers(9, 16))):
        own = draw(st.booleans())
        vcpus, memory = draw(st.sampled_from(((1, 1), (1, 9), (2, 6), (3, 3), (4, 1), (5, 12), (6, 2), (7, 5))))
        found.append(
            Request(
                f"g{number:02}",
                vcpus,
                memory * GIB,
                "dedicated" if own else draw(st.sampled_from(("pack", "spread"))),
                smt=draw(st.sampled_from(("prefer", "prefer", "require"))) if own else "prefer",
                priority=draw(st.sampled_from((0, 0, 0, 1))),
                cells=draw(st.sampled_from((None, None, None, None, cpus("1")))),
            )
        )
    return found


def first_fit(requests: list[Request]) -> int:
    """vCPUs that one guest after the other places, each on the fullest cell that holds it."""
    free = [[8, 16 * GIB] for _cell in range(4)]
    placed = 0
    for each in requests:
        need = each.vcpus + each.vcpus % 2 if each.smt == "require" else each.vcpus
        cells = [1] if each.cells is not None else range(4)
        holding = [cell for cell in cells if free[cell][0] >= need and free[cell][1] >= each.memory]
        if holding:
            cell = min(holding, key=lambda cell: free[cell])
            free[cell] = [free[cell][0] - need, free[cell][1] - each.memory]
            placed += each.vcpus
    return placed


@settings(max_examples=examples(30))
@given(batches())
def test_a_batch_is_better_than_one_by_one(requests: list[Request]) -> None:
    found = plan(host(4), requests)
    verify(host(4), requests, found)
    if not any(each.priority for each in requests):
        assert found.vcpus >= first_fit(requests)


@settings(max_examples=examples(20))
@given(batches())
def test_a_batch_on_divided_cpus(requests: list[Request]) -> None:
    rules = Rules(shared_cpus=cpus("0-3,8-11,16-19,24-27"), cpu_ratio=2)
    requests = [replace(each, vcpus=min(each.vcpus, 4), cells=None) for each in requests]
    verify(host(4), requests, plan(host(4), requests, rules=rules), rules)


def test_a_guest_moves_for_another_of_its_batch() -> None:
    """Memory decides where the first ones go; the last finds room only if one of them gives way."""
    requests = [Request(f"a{i}", 3, GIB) for i in range(4)] + [Request(f"b{i}", 2, GIB, "spread") for i in range(4)]
    requests += [Request("c", 4, GIB), Request("d", 8, GIB)]
    found = plan(host(4), requests)
    verify(host(4), requests, found)
    assert found.vcpus == 32


@given(
    st.integers(2, 6),
    st.integers(1, 4),
    st.lists(st.integers(11, 40), min_size=36, max_size=36),
    st.lists(st.integers(0, 5), min_size=12, max_size=12),
    st.integers(0, 12),
    st.integers(0, 63),
)
def test_the_nearest_subset_is_the_nearest(
    cells: int, size: int, numbers: list[int], rooms: list[int], need: int, must: int
) -> None:
    distance = [[10 if a == b else numbers[min(a, b) * 6 + max(a, b)] for b in range(cells)] for a in range(cells)]
    room = (rooms[:cells], rooms[6 : 6 + cells])
    must &= (1 << cells) - 1

    def length(chosen: tuple[int, ...]) -> int:
        return sum(distance[a][b] for a, b in combinations(chosen, 2))

    possible = [
        length(chosen)
        for chosen in combinations(range(cells), size)
        if all(sum(each[cell] for cell in chosen) >= need for each in room)
        and not must & ~sum(1 << cell for cell in chosen)
    ]
    found = nearest_subset(range(cells), size, distance, room, (need, need), must)
    quick = nearest_subset(range(cells), size, distance, room, (need, need), must, steps=0)
    assert (found is None) == (quick is None) == (not possible)
    if found is not None:
        assert length(tuple(cell for cell in range(cells) if found >> cell & 1)) == min(possible)


@given(
    st.lists(st.integers(0, 6), min_size=3, max_size=3),
    st.lists(st.tuples(st.integers(1, 7), st.integers(1, 6)), min_size=1, max_size=4),
)
def test_needs_are_carved_whenever_they_can_be(room: list[int], needs: list[tuple[int, int]]) -> None:
    found = carve(room, needs)
    possible = all(
        sum(need for mask, need in needs if not mask & ~some)
        <= sum(amount for cell, amount in enumerate(room) if some >> cell & 1)
        for some in range(8)
    )
    assert bool(found) == possible
    for (mask, need), shares in zip(needs, found):
        assert sum(shares.values()) == need and all(mask >> cell & 1 for cell in shares)
    for cell, amount in enumerate(room):
        assert sum(shares.get(cell, 0) for shares in found) <= amount


def test_one_guest_is_given_up_for_more() -> None:
    order = [Kind(3, (5,), 1), Kind(4, (3,), 1), Kind(2, (2,), 1), Kind(9, (6,), 1)]
    taken, room = [1, 0, 0, 0], [0]
    exchange(order, taken, room)
    assert (taken, room) == ([0, 1, 1, 0], [0])


def test_a_wide_guest_on_a_large_host() -> None:
    """Too many choices to try them all: 8 of 16 cells, of which the nearest lie beside each other."""
    found = plan(host(16), [Request("w", 64, 64 * GIB, "dedicated")])
    first = next(iter(found.placements[0].cells))
    assert list(found.placements[0].cells) == list(range(first, first + 8))
    split = plan(host(16, memory=[16, 2] * 8), [Request("w", 64, 120 * GIB, "mirror")])
    assert list(split.placements[0].cells) == list(range(0, 16, 2))
