# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory of a cell that no guest gets: what a rule names, and what is usual where none does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import UNKNOWN, Capacity
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request, Rules, usual_reserve
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, applied, host

USUAL = Rules(reserves=True)


@pytest.mark.parametrize(
    ("ordinary", "kept"),
    [(0, 0), (512 << 10, 16 << 10), (32 * GIB, GIB), (64 * GIB, 2 * GIB), (4096 * GIB, 2 * GIB)],
)
def test_what_is_usual(ordinary: int, kept: int) -> None:
    assert usual_reserve(ordinary) == kept


def test_a_rule_is_for_the_cells_that_it_names() -> None:
    rules = replace(USUAL, reserved_memory=((0, 0), (2, 3 * GIB)))
    assert Capacity(host(3, memory=32), rules).memory[0] == [32 * GIB, 31 * GIB, 29 * GIB]
    assert Capacity(host(2, memory=32), Rules()).memory[0] == [32 * GIB, 32 * GIB]


def test_huge_pages_are_kept_back_by_nobody() -> None:
    assert Capacity(host(1, memory=34, pages=2), USUAL).memory == [[31 * GIB], [2]]


def test_a_cell_without_cpus_is_all_the_guests() -> None:
    it = host(1, memory=32)
    it = replace(it, cells=(*it.cells, Cell(8, EMPTY, 32 * GIB, distances=((0, 80), (8, 10)))))
    assert Capacity(it, USUAL).memory[0] == [31 * GIB, 32 * GIB]


def test_where_memory_is_unknown_nothing_is_kept_of_it() -> None:
    it = host(1)
    it = replace(it, cells=(replace(it.cells[0], memory=0),), implied_cell=True)
    assert Capacity(it, USUAL).memory[0] == [UNKNOWN]


def test_a_guest_as_large_as_its_cell_takes_a_word() -> None:
    guest = Request("db", 2, 16 * GIB)
    with pytest.raises(InputError) as error:
        plan(host(1), [guest], rules=USUAL)
    assert str(error.value) == (
        f"domains[db].memory: {16 * GIB}: {31 * GIB // 2} KiB are all that guests can have on cell 0, beside "
        f"{GIB // 2} KiB that the host keeps (reserved_memory may say less); 2 vCPUs with {31 * GIB // 2} KiB would "
        "fit on cell 0"
    )
    assert plan(host(1), [guest], rules=replace(USUAL, reserved_memory=((0, 0),))).placements


def test_what_is_kept_is_said_where_others_take_the_rest() -> None:
    found = plan(host(1), [Request("a", 2, 8 * GIB), Request("b", 2, 8 * GIB)], rules=USUAL)
    (rejected,) = found.rejections
    assert rejected.message == (
        f"b: needs {8 * GIB} KiB, and cell 0 has {15 * GIB // 2} beside {GIB // 2} KiB that the host keeps "
        f"(reserved_memory may say less); 2 vCPUs with {15 * GIB // 2} KiB would fit on cell 0"
    )


# --- what the hypervisor takes ---------------------------------------------------------------------------------------

MIB = 1 << 10


def memory_of(found: Plan, name: str) -> tuple[dict[int, int], list[int]]:
    """KiB by cell, and those of its own cells."""
    (each,) = (each for each in found.placements if each.name == name)
    return dict(each.memory), [cell.memory for cell in each.guest_cells]


def test_it_is_counted_and_is_not_the_guests() -> None:
    requests = [Request(name, 2, 5 * GIB, overhead=400 * MIB) for name in ("a", "b", "c")]
    found = plan(host(1), requests)
    assert memory_of(found, "a") == ({0: 5 * GIB}, [])
    (use,) = found.after
    assert use.memory[0] == 10 * GIB + 800 * MIB
    (rejected,) = found.rejections
    assert rejected.message == (
        f"c: needs {5 * GIB + 400 * MIB} KiB, {400 * MIB} of them for its hypervisor (memory_overhead may say less), "
        f"and cell 0 has {6 * GIB - 800 * MIB}; 2 vCPUs with {6 * GIB - 1200 * MIB} KiB would fit on cell 0"
    )


def test_of_a_guest_with_huge_pages_it_is_ordinary_memory() -> None:
    it = host(2, memory=16, pages=[14, 12])
    requests = [Request(name, 2, 4 * GIB, page_size=GIB, overhead=GIB) for name in "abcd"]
    found = plan(it, requests)
    assert {each.name: dict(each.memory) for each in found.placements} == {
        "a": {0: 4 * GIB}, "b": {0: 4 * GIB}, "c": {1: 4 * GIB}, "d": {1: 4 * GIB},
    }  # fmt: skip
    (rejected,) = plan(it, [*requests, Request("e", 2, 4 * GIB, page_size=GIB, overhead=3 * GIB)]).rejections
    assert rejected.name == "e"


@pytest.mark.parametrize(("pages", "size"), [(0, None), (12, GIB)])
def test_cells_that_are_made_hold_the_guests_memory_alone(pages: int, size: int | None) -> None:
    found = plan(host(2, pages=pages), [Request("a", 2, 3 * GIB, "mirror", width=2, page_size=size, overhead=MIB + 1)])
    first = 2 * GIB if size else 3 * GIB // 2
    assert memory_of(found, "a") == ({0: first, 1: 3 * GIB - first}, [first, 3 * GIB - first])


def test_its_own_cells_share_it() -> None:
    cells = (GuestCell(CpuSet([0]), 9 * GIB), GuestCell(CpuSet([1]), GIB))
    wide = Request("a", 2, 10 * GIB, "mirror", guest_cells=cells, overhead=2 * GIB + 1)
    found = plan(host(2), [wide])
    assert memory_of(found, "a") == ({0: 9 * GIB, 1: GIB}, [9 * GIB, GIB])
    assert [use.memory[0] for use in found.after] == [10 * GIB + 1, 2 * GIB]


def test_a_guest_that_is_split_has_all_of_its_memory() -> None:
    found = plan(host(2), [Request("a", 12, 20 * GIB, "dedicated", overhead=GIB)])
    memory, _cells = memory_of(found, "a")
    assert sum(memory.values()) == 20 * GIB and sum(use.memory[0] for use in found.after) == 21 * GIB


def test_a_guest_that_shall_have_more_of_it_is_where_that_fits() -> None:
    small, large = (Request("a", 2, 10 * GIB, overhead=kib) for kib in (0, 7 * GIB))
    (there_,) = applied([small], plan(host(2), [small]))
    (same,) = plan(host(2), [replace(small, overhead=6 * GIB)], [there_]).placements
    assert same.action == "keep"
    it = host(2, memory=[16, 18])
    assert [(each.action, each.cells) for each in plan(it, [large], [there_]).placements] == [("move", CpuSet([1]))]


def test_where_it_alone_does_not_fit_nothing_does() -> None:
    guests = [Request("a", 1, GIB, priority=1), Request("b", 1, GIB, page_size=GIB, overhead=1)]
    (rejected,) = plan(host(1, pages=15), guests).rejections
    assert rejected.message == (
        "b: needs 1 KiB, 1 of them for its hypervisor (memory_overhead may say less), and cell 0 has 0; "
        "nothing of its kind fits there now"
    )
    (rejected,) = plan(host(1), [replace(guests[0], memory=15 * GIB), Request("b", 1, GIB, overhead=GIB)]).rejections
    assert rejected.message.endswith("nothing of its kind fits there now")


def test_what_would_fit_is_the_guests_memory() -> None:
    huge = Request("b", 2, 8 * GIB, page_size=GIB, other_pages=((None, 2 * GIB),), overhead=GIB)
    guests = [Request("a", 1, GIB, priority=1), Request("c", 1, GIB, priority=1), huge]
    (rejected,) = plan(host(1, pages=12), guests).rejections
    assert rejected.message == (
        f"b: needs {3 * GIB} KiB, {GIB} of them for its hypervisor (memory_overhead may say less), and cell 0 has "
        f"{2 * GIB}; 2 vCPUs with {8 * GIB} KiB in pages of {GIB} KiB and {GIB} KiB would fit on cell 0"
    )


def test_what_no_cell_has_is_told_with_what_the_hypervisor_takes() -> None:
    with pytest.raises(InputError) as error:
        plan(host(1, pages=12), [Request("b", 2, 13 * GIB, page_size=GIB, overhead=GIB)])
    assert str(error.value) == (
        f"domains[b].memory: {13 * GIB}: {12 * GIB} KiB are all that guests can have on cell 0; "
        f"2 vCPUs with {12 * GIB} KiB would fit on cell 0"
    )
    with pytest.raises(InputError) as error:
        plan(host(1), [Request("b", 2, 16 * GIB, overhead=GIB)])
    assert str(error.value) == (
        f"domains[b].memory: {16 * GIB}: needs {17 * GIB} KiB, {GIB} of them for its hypervisor (memory_overhead may "
        f"say less), and {16 * GIB} KiB are all that guests can have on cell 0; 2 vCPUs with {15 * GIB} KiB would fit "
        "on cell 0"
    )
