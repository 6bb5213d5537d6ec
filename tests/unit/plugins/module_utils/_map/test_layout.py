# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cells lie near those that are near; the rule is deterministic, whatever the order they come in."""

from __future__ import annotations

import random

import pytest

from ansible_collections.numa.virt.plugins.module_utils._map.layout import blocks, columns_for, grid, touching_pairs
from ansible_collections.numa.virt.plugins.module_utils._map.results import read_cells
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.builders import cell


def cells(matrix, sockets=None):
    given = [cell(at, [at], None, [sockets[at]] if sockets else [0], distances=row) for at, row in enumerate(matrix)]
    return read_cells({"cells": given})


def groups(count, size, near=12, far=32, shift=0):
    """A matrix in which cells of one group are near."""
    number = [(at + shift) // size if not shift else at % (count // size) for at in range(count)]
    return [[10 if a == b else near if number[a] == number[b] else far for b in range(count)] for a in range(count)]


def test_columns():
    assert [columns_for(each) for each in (1, 2, 8, 9, 18, 19, 64)] == [1, 2, 2, 3, 3, 4, 4]


def test_one_and_two_cells():
    assert grid(cells([[10]]), 1) == {0: (0, 0)}
    assert grid(cells([[10, 21], [21, 10]]), 2) == {0: (0, 0), 1: (1, 0)}


def test_cells_of_one_package_are_beside_each_other():
    assert grid(cells(groups(4, 2)), 2) == {0: (0, 0), 1: (1, 0), 2: (0, 1), 3: (1, 1)}
    # Numbered in turn over two packages: 0 and 2 are near, 1 and 3 are.
    assert grid(cells(groups(4, 2, shift=1)), 2) == {0: (0, 0), 1: (1, 0), 2: (0, 1), 3: (1, 1)}


def test_a_ring_is_laid_round():
    ring = [[10 if a == b else 20 if (a - b) % 4 in (1, 3) else 30 for b in range(4)] for a in range(4)]
    places = grid(cells(ring), 2)
    assert all((a - b) % 4 in (1, 3) for a, b in touching_pairs(places))


def test_sockets_decide_where_distances_do_not():
    flat = [[10 if a == b else 20 for b in range(4)] for a in range(4)]
    found = cells(flat, sockets=[0, 1, 0, 1])
    places = grid(found, 2)
    assert blocks(found, places) == {0: ((0, 0), (0, 1)), 1: ((1, 0), (1, 1))}


def test_a_socket_whose_cells_do_not_fill_a_rectangle_has_no_frame():
    found = cells(groups(3, 3), sockets=[0, 0, 0])
    assert blocks(found, grid(found, 2)) == {}
    found = cells(groups(2, 2), sockets=[0, 1])
    assert blocks(found, grid(found, 2)) == {}


def test_a_last_row_that_is_not_full_starts_at_the_left():
    assert sorted(grid(cells(groups(3, 1)), 2).values()) == [(0, 0), (0, 1), (1, 0)]
    assert sorted(grid(cells(groups(5, 1)), 3).values()) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]


def test_the_corner_with_the_smallest_id_is_turned_to_the_top_left():
    # 0 is in the middle of a line of three, so 1 is the smallest corner.
    line = [[10, 20, 20], [20, 10, 40], [20, 40, 10]]
    assert grid(cells(line), 3) == {0: (1, 0), 1: (0, 0), 2: (2, 0)}
    line = [[10, 40, 20], [40, 10, 20], [20, 20, 10]]
    assert grid(cells(line), 1) == {0: (0, 0), 1: (0, 2), 2: (0, 1)}


def test_cells_that_say_nothing_of_each_other():
    found = read_cells({"cells": [cell(7, [0]), cell(3, [1])]})
    assert grid(found, 2) == {3: (0, 0), 7: (1, 0)}


@pytest.mark.parametrize("count", [3, 8, 16, 32])
def test_order_makes_no_difference_and_every_cell_has_a_place(count):
    dice = random.Random(count)
    matrix = [[10 if a == b else dice.choice([12, 21, 32]) for b in range(count)] for a in range(count)]
    found = cells(matrix)
    places = grid(found, columns_for(count))
    assert len(set(places.values())) == count == len(places)
    dice.shuffle(found)
    assert grid(found, columns_for(count)) == places
