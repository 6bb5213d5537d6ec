# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small hosts and a few guests: no way to place them is better than the plan."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host, verify
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

EXAMPLES = settings(max_examples=examples(120))
Score = tuple[int, int, int, int]


def cells_of(mask: int) -> list[int]:
    return [cell for cell in range(mask.bit_length()) if mask >> cell & 1]


def holds(room: list[int], loads: list[tuple[int, int]]) -> bool:
    """Whether pairs (cells as a mask, need) can be spread over the room: no set of cells is too small (Hall)."""
    return all(
        sum(need for mask, need in loads if not mask & ~some) <= sum(room[cell] for cell in cells_of(some))
        for some in range(1 << len(room))
    )


def best_of_all(it: Host, requests: list[Request]) -> Score:
    """vCPUs of priority 1, of all, then how many cells and how much distance, of the best of all ways to place them."""
    cells = len(it.cells)
    distance = [dict(cell.distances) for cell in it.cells]
    best: Score | None = None
    for masks in product(range(1 << cells), repeat=len(requests)):
        placed = [(mask, each) for mask, each in zip(masks, requests) if mask]
        if not all(_allowed(mask, each) for mask, each in placed) or not _grouped(placed):
            continue
        # A mirrored guest has a part of its own on each cell.
        cpu: list[tuple[int, int]] = []
        mem: list[tuple[int, int]] = []
        for mask, each in placed:
            own = cells_of(mask)
            if each.policy == "mirror":
                cpu += [(1 << cell, each.vcpus // len(own)) for cell in own]
                mem += [(1 << cell, each.memory // len(own)) for cell in own]
            else:
                cpu.append((mask, each.vcpus))
                mem.append((mask, each.memory))
        if not holds([len(cell.cpus) for cell in it.cells], cpu) or not holds([cell.memory for cell in it.cells], mem):
            continue
        score = (
            sum(each.vcpus for _mask, each in placed if each.priority),
            sum(each.vcpus for _mask, each in placed),
            -sum(len(cells_of(mask)) for mask, _each in placed),
            -sum(distance[a][b] for mask, _each in placed for a in cells_of(mask) for b in cells_of(mask) if a < b),
        )
        best = score if best is None or score > best else best
    assert best is not None
    return best


def _allowed(mask: int, request: Request) -> bool:
    if request.cells is not None and set(cells_of(mask)) - set(request.cells):
        return False
    if request.policy == "mirror":
        return request.vcpus % len(cells_of(mask)) == 0 and request.memory % len(cells_of(mask)) == 0
    return request.together is None or len(cells_of(mask)) == 1


def _grouped(placed: list[tuple[int, Request]]) -> bool:
    together = {mask for mask, each in placed if each.together}
    apart = [mask for mask, each in placed if each.apart]
    return len(together) < 2 and sum(apart) == sum({1 << cell for mask in apart for cell in cells_of(mask)})


@st.composite
def small(draw: st.DrawFn) -> tuple[Host, list[Request]]:
    """Two cells and up to four guests, or three cells and up to three; each guest fits the host."""
    cells = draw(st.sampled_from((2, 2, 3)))
    cores = draw(st.integers(1, 3))
    it = host(cells, cores, draw(st.sampled_from((1, 2))), draw(st.integers(2, 8)))
    each_cpus, each_mem = len(it.cells[0].cpus), it.cells[0].memory // GIB
    requests = []
    for number in range(draw(st.integers(1, 4 if cells == 2 else 3))):
        policy = draw(st.sampled_from(("pack", "spread", "dedicated", "mirror")))
        # Numbers that every width divides.
        step = {2: 2, 3: 6}[cells] if policy == "mirror" else 1
        if step > min(each_cpus, each_mem):
            policy, step = "pack", 1
        requests.append(
            Request(
                f"g{number}",
                step * draw(st.integers(1, max(1, each_cpus * 3 // 2 // step))),
                step * draw(st.integers(1, max(1, each_mem * 3 // 2 // step))) * GIB,
                policy,
                priority=draw(st.sampled_from((0, 0, 1))),
                apart=draw(st.sampled_from((None, None, None, "a"))),
            )
        )
    return it, requests


def score_of(it: Host, requests: list[Request]) -> Score:
    found = plan(it, requests)
    verify(it, requests, found)
    priority = {each.name: each.priority for each in requests}
    return (
        sum(each.vcpus for each in found.placements if priority[each.name]),
        found.vcpus,
        -sum(len(each.cells | each.memory_cells) for each in found.placements),
        -sum(each.distance for each in found.placements),
    )


@EXAMPLES
@given(small())
def test_no_plan_is_better(case: tuple[Host, list[Request]]) -> None:
    it, requests = case
    assert score_of(it, requests) == best_of_all(it, requests)


@EXAMPLES
@given(
    st.integers(2, 3),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from(("prefer", "require", "isolate"))), min_size=1, max_size=4),
)
def test_as_many_guests_as_cores_allow(cells: int, cores: int, asked: list[tuple[int, str]]) -> None:
    """Whole cores and single threads on cells of two-threaded cores, each guest on one cell."""
    it = host(cells, cores, 2, 64)
    each_core = {"require": lambda n: -(-n // 2), "isolate": lambda n: n, "prefer": lambda n: 0}
    asked = [(n, smt) for n, smt in asked if n <= cores * 2 and each_core[smt](n) <= cores]
    # The group keeps guests whole: members share one cell.
    requests = [Request(f"g{i}", n, GIB, "dedicated", smt=smt, together=f"t{i}") for i, (n, smt) in enumerate(asked)]
    best = 0
    for seats in product(range(-1, cells), repeat=len(asked)):
        fits = True
        for cell in range(cells):
            here = [each for seat, each in zip(seats, asked) if seat == cell]
            whole = sum(each_core[smt](n) for n, smt in here)
            threads = sum(n for n, smt in here if smt == "prefer") + 2 * whole
            fits = fits and whole <= cores and threads <= 2 * cores
        if fits:
            best = max(best, sum(n for seat, (n, _smt) in zip(seats, asked) if seat >= 0))
    found = plan(it, requests)
    verify(it, requests, found)
    assert found.vcpus == best
