# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the cells of a host lie on a map: in a grid, near ones next to each other.

The rule. Places are numbered along a snake through the grid, so that neighbours on it touch. The first is for the
cell with the least sum of distances to all; each next one for the cell with the least sum of distances to the
cells that touch the place already. Then pairs of cells are swapped, in order, as long as that makes the sum of
distances between touching cells smaller, or leaves it and makes ids ascend in reading order. Cells of one socket
count as a bit nearer, and the smaller id goes first where all is equal; at the end the picture is mirrored so that
the smallest id of a corner is at the top left.
This file must not import ansible, libvirt or lxml, and must know nothing of markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.numa.virt.plugins.module_utils._map.results import InfoCell

#: What two cells are apart that say nothing of each other.
UNKNOWN = 20

Place = tuple[int, int]


def columns_for(count: int) -> int:
    """How wide a grid for that many cells is: few columns, so that what is written in them stays large.

    >>> [columns_for(count) for count in (1, 2, 8, 9, 18, 19)]
    [1, 2, 2, 3, 3, 4]
    """
    return 1 if count == 1 else 2 if count <= 8 else 3 if count <= 18 else 4


def grid(cells: Sequence[InfoCell], columns: int) -> dict[int, Place]:
    """The (column, row) of each cell, by its id."""
    places = _snake(len(cells), columns)
    touching = {place: [other for other in _around(place) if other in set(places)] for place in places}
    cost = _costs(cells)
    at: dict[Place, int] = {}
    left = sorted(cell.id for cell in cells)
    for place in places:
        near = [at[other] for other in touching[place] if other in at] or left
        best = min(left, key=lambda cell: (sum(cost[cell, other] for other in near), cell))
        left.remove(best)
        at[place] = best
    _improve(at, touching, cost)
    return _turned({cell: place for place, cell in at.items()})


def touching_pairs(places: Mapping[int, Place]) -> list[tuple[int, int]]:
    """Cells that touch, as pairs, the left or upper one first."""
    by_place = {place: cell for cell, place in places.items()}
    found = []
    for (column, row), cell in sorted(by_place.items(), key=lambda item: (item[0][1], item[0][0])):
        beside = ((column + 1, row), (column, row + 1))
        found += [(cell, by_place[other]) for other in beside if other in by_place]
    return found


def blocks(cells: Sequence[InfoCell], places: Mapping[int, Place]) -> dict[int, tuple[Place, Place]]:
    """The corners of each socket whose cells, two or more, fill a rectangle and belong to it alone."""
    members: dict[int, list[int]] = {}
    for cell in cells:
        if len(cell.sockets) == 1:
            members.setdefault(cell.sockets[0], []).append(cell.id)
    found = {}
    for socket, ids in sorted(members.items()):
        first, last = _corners(places[cell] for cell in ids)
        area = (last[0] - first[0] + 1) * (last[1] - first[1] + 1)
        if len(ids) > 1 and area == len(ids):
            found[socket] = (first, last)
    return found


def _snake(count: int, columns: int) -> list[Place]:
    places = []
    for number in range(count):
        row, column = divmod(number, columns)
        last_of_row = min(columns, count - row * columns) - 1
        # A last row that is not full starts at the left, or it would have holes before it.
        full = last_of_row == columns - 1
        places.append((last_of_row - column if row % 2 and full else column, row))
    return places


def _around(place: Place) -> list[Place]:
    column, row = place
    return [(column - 1, row), (column + 1, row), (column, row - 1), (column, row + 1)]


def _costs(cells: Sequence[InfoCell]) -> dict[tuple[int, int], int]:
    """What it costs that two cells touch: their distances, both ways, and a bit for different sockets."""
    cost = {}
    for one in cells:
        for other in cells:
            apart = one.distances.get(other.id, UNKNOWN) + other.distances.get(one.id, UNKNOWN)
            cost[one.id, other.id] = 2 * apart + (one.sockets != other.sockets)
    return cost


def _improve(
    at: dict[Place, int], touching: Mapping[Place, Sequence[Place]], cost: Mapping[tuple[int, int], int]
) -> None:
    """Swap pairs while that makes it better. The sum falls with a swap, or stays and the order improves: it ends."""
    reading = sorted(at, key=lambda place: (place[1], place[0]))

    def around(place: Place) -> int:
        return sum(cost[at[place], at[other]] for other in touching[place])

    better = True
    while better:
        better = False
        for number, one in enumerate(reading):
            for other in reading[number + 1 :]:
                before = around(one) + around(other)
                at[one], at[other] = at[other], at[one]
                after = around(one) + around(other)
                if after < before or (after == before and at[one] < at[other]):
                    better = True
                else:
                    at[one], at[other] = at[other], at[one]


def _turned(places: dict[int, Place]) -> dict[int, Place]:
    """Mirrored, where the grid is full, so that its corner with the smallest id is at the top left."""
    (left, top), (right, bottom) = _corners(places.values())
    if (right - left + 1) * (bottom - top + 1) != len(places):
        return dict(sorted(places.items()))
    corners = [(column, row) for row in (top, bottom) for column in (left, right)]
    first = min(cell for cell, place in places.items() if place in corners)
    column, row = places[first]
    turned = {
        cell: (right - x if column == right and right else x, bottom - y if row == bottom and bottom else y)
        for cell, (x, y) in places.items()
    }
    return dict(sorted(turned.items()))


def _corners(places: Iterable[Place]) -> tuple[Place, Place]:
    listed = list(places)
    columns = [column for column, _row in listed]
    rows = [row for _column, row in listed]
    return (min(columns), min(rows)), (max(columns), max(rows))
