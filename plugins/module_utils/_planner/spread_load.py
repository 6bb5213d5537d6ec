# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What guests on several cells take of each, where their pins do not say it: so that all fits, if it can at all.

The answer depends on the guests alone and not on how they came there: a plan counts its guests as the next run will.
This file must not import ansible, libvirt or lxml, and must not choose cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    UNIT,
    Capacity,
    bits,
    count,
    proportional,
)


class Piece(NamedTuple):
    """An amount that lies anywhere on some cells (ascending indices).

    ``weights``: in what proportion, however full the cells are; by what is free where it is None. ``caps``: the most
    for each cell. ``least``: what each cell has of it at least, if there is so much.
    """

    cells: tuple[int, ...]
    total: int
    weights: tuple[int, ...] | None = None
    caps: tuple[int, ...] | None = None
    least: int = 0


@dataclass(frozen=True)
class Loose:
    """A guest on several cells. ``cpu`` in 1/UNIT of shared CPUs; ``mem`` are pairs (pool, piece).

    ``own``: how many CPUs of its own it has on each cell. Memory goes where the CPUs are if ``follows``.
    """

    name: str
    cpu: tuple[Piece, ...]
    mem: tuple[tuple[int, Piece], ...]
    own: Mapping[int, int] = field(default_factory=dict)
    follows: bool = True


class SpreadLoad(NamedTuple):
    """What a guest takes: cell -> amount of CPU, (pool, cell) -> amount of memory."""

    cpu: dict[int, int]
    mem: dict[tuple[int, int], int]


def pieces_of(capacity: Capacity, masks: Mapping[int, int], need: int, bound: bool) -> tuple[Piece, ...]:
    """The vCPUs of a guest: ``masks`` are sets of CPUs and how many vCPUs are pinned to each, ``need`` of all.

    ``bound``: pins of somebody who has not planned: in proportion to the CPUs, whatever else is there.
    """
    found, rest, left = [], need, sum(masks.values())
    for mask, vcpus in sorted(masks.items()):
        total = rest * vcpus // left
        rest, left = rest - total, left - vcpus
        cells = tuple(bits(capacity.cells_of(mask)))
        cpus = tuple(count(mask & capacity.online[cell]) for cell in cells)
        even = [total * each // sum(cpus) for each in cpus]
        caps = tuple(max(UNIT * each, -(-total * each // sum(cpus))) for each in cpus)
        weights = None
        if bound:
            even[0] += total - sum(even)
            weights = tuple(even)
        found.append(Piece(cells, total, weights, caps))
    return tuple(found)


def spread_loads(joint: list[int], mem: list[list[int]], loose: Iterable[Loose]) -> dict[str, SpreadLoad]:
    """All of them by name; what they take is taken off the rooms, which may become negative."""
    guests = sorted(loose, key=lambda each: each.name)
    found = {each.name: SpreadLoad({}, {}) for each in guests}
    pieces = [(each, piece) for each in guests for piece in each.cpu]
    for (each, piece), shares in zip(pieces, spread_load(joint, [piece for _each, piece in pieces])):
        for cell, share in zip(piece.cells, shares):
            found[each.name].cpu[cell] = found[each.name].cpu.get(cell, 0) + share
    for pool, room in enumerate(mem):
        pieces = []
        for each in guests:
            cpus = found[each.name].cpu or each.own
            for piece in (piece for at, piece in each.mem if at == pool):
                if each.follows and any(cpus.get(cell) for cell in piece.cells):
                    piece = piece._replace(weights=tuple(cpus.get(cell, 0) for cell in piece.cells))
                pieces.append((each, piece))
        for (each, piece), shares in zip(pieces, spread_load(room, [piece for _each, piece in pieces], by_room=True)):
            for cell, share in zip(piece.cells, shares):
                found[each.name].mem[pool, cell] = found[each.name].mem.get((pool, cell), 0) + share
    return found


def spread_load(room: list[int], pieces: Sequence[Piece], by_room: bool = False) -> list[list[int]]:
    """Shares of each piece by its cells. ``by_room``: weights are a wish, and nothing goes where there is no room.

    First by turns; then from cells that have too much to those that have room, by way of others if need be.
    """
    free = list(room)
    shares = _level(free, pieces, _by_turns(free, pieces, by_room, False), False)
    if any(share > cap for each, piece in zip(shares, pieces) for share, cap in zip(each, piece.caps or ())):
        free = list(room)
        shares = _level(free, pieces, _by_turns(free, pieces, by_room, True), True)
    room[:] = free
    return shares


def _by_turns(room: list[int], pieces: Sequence[Piece], by_room: bool, capped: bool) -> list[list[int]]:
    found = []
    for piece in pieces:
        least = [min(piece.least, max(0, room[cell])) if piece.total >= len(piece.cells) else 0 for cell in piece.cells]
        _take(room, piece.cells, least)
        found.append(least)
    for piece, shares in zip(pieces, found):
        total = piece.total - sum(shares)
        if piece.weights is not None and not by_room:
            more = list(piece.weights)
        else:
            rooms = [max(0, room[cell]) for cell in piece.cells]
            if capped and piece.caps is not None:
                rooms = [min(pair) for pair in zip(rooms, piece.caps)]
            more = proportional(total, rooms, piece.weights if piece.weights is not None else rooms)
            for at in range(len(more)):  # more than there is
                rest = total - sum(more)
                cap = piece.caps[at] - more[at] if capped and piece.caps is not None else rest
                more[at] += max(0, min(rest, cap))
        _take(room, piece.cells, more)
        for at, amount in enumerate(more):
            shares[at] += amount
    return found


def _take(room: list[int], cells: Sequence[int], amounts: Sequence[int]) -> None:
    for cell, amount in zip(cells, amounts):
        room[cell] -= amount


def _level(room: list[int], pieces: Sequence[Piece], shares: list[list[int]], capped: bool) -> list[list[int]]:
    """Shortest ways from a cell that has too much to one that has room, until there is none (Edmonds and Karp)."""
    wide = [at for at, piece in enumerate(pieces) if len(piece.cells) > 1]
    while wide and min(room) < 0:
        came: dict[int, tuple[int, int, int, int] | None] = {cell: None for cell, free in enumerate(room) if free < 0}
        waiting, end = list(came), -1
        while waiting and end < 0:
            cell = waiting.pop(0)
            for at in wide:
                piece = pieces[at]
                if cell not in piece.cells:
                    continue
                here = piece.cells.index(cell)
                spare = shares[at][here] - min(piece.least, shares[at][here])
                for to, other in enumerate(piece.cells):
                    more = spare
                    if capped and piece.caps is not None:
                        more = min(spare, piece.caps[to] - shares[at][to])
                    if more > 0 and other not in came:
                        came[other] = (at, here, to, more)
                        waiting.append(other)
                        if room[other] > 0 and end < 0:
                            end = other
        if end < 0:
            break
        way, cell = [], end
        step = came[cell]
        while step is not None:
            way.append(step)
            cell = pieces[step[0]].cells[step[1]]
            step = came[cell]
        amount = min([-room[cell], room[end], *(more for _at, _here, _to, more in way)])
        for at, here, to, _more in way:
            shares[at][here] -= amount
            shares[at][to] += amount
        room[cell] += amount
        room[end] -= amount
    return shares
