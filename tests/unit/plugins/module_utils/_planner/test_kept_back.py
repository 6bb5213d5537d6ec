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
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host

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
