# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moves that the user asked for: as few as needed."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, cpus, host, pinned

ALLOWED = Options(rebalance=True)
ON = ("0-7", "8-15", "16-23", "24-31")


def shared(name: str, vcpus: int, cell: int, policy: str = "pack", memory: int = 1) -> tuple[Request, Existing]:
    """A guest on the shared CPUs of a cell."""
    return Request(name, vcpus, memory * GIB, policy), pinned(name, vcpus, ON[cell], memory)


def rebalanced(it: Host, pairs: list[tuple[Request, Existing]], *new: Request, most: int | None = None) -> Plan:
    requests, there = zip(*pairs)
    return plan(it, [*requests, *new], there, options=Options(rebalance=True, max_moves=most))


def test_nothing_moves_unless_asked() -> None:
    requests, there = zip(shared("a", 6, 0, "spread"), shared("b", 2, 0, "spread"))
    assert not plan(host(), requests, there).changes
    assert plan(host(), requests, there, options=ALLOWED).moves == ("b",)


def test_room_is_made_with_one_move() -> None:
    pairs = [shared("a", 4, 0), shared("b", 4, 1), shared("c", 2, 0)]
    new = Request("new", 6, GIB, together="alone")
    found = rebalanced(host(), pairs, new)
    assert len(found.placements) == 4 and len(found.moves) == 1
    assert found.bound.vcpus == 16
    with pytest.raises(InputError, match="max_moves: 0: 1 moves are needed: "):
        rebalanced(host(), pairs, new, most=0)


def test_room_is_made_on_the_cell_asked_for() -> None:
    """That cell alone has too little: the others go where the new guest may not."""
    pairs = [shared("a", 2, 1), shared("b", 2, 1), shared("c", 4, 0)]
    found = rebalanced(host(), pairs, Request("new", 8, GIB, cells=cpus("1")))
    assert found.moves == ("a", "b") and not found.rejections
    assert str(next(each for each in found.placements if each.name == "new").cells) == "1"


def test_a_guest_that_fits_after_another_has_moved_needs_no_move() -> None:
    pairs = [shared("a", 4, 0), shared("b", 4, 1)]
    group = [Request(f"n{i}", 4, GIB, together="g") for i in range(2)]
    found = rebalanced(host(), pairs, *group)
    assert len(found.placements) == 4 and len(found.moves) == 1


def test_overcommitted_cells_are_relieved() -> None:
    pairs = [shared("a", 6, 0), shared("b", 4, 0), shared("c", 1, 0)]
    found = rebalanced(host(), pairs)
    assert found.moves == ("b",) and not found.notes
    # No single guest is enough: the largest go first.
    many = [shared(f"g{i}", 3, 0) for i in range(5)]
    assert len(rebalanced(host(4), many).moves) == 3
    assert len(rebalanced(host(4), many, most=1).moves) == 1
    memory = [shared("a", 1, 0, "pack", 10), shared("b", 1, 0, "pack", 10)]
    assert len(rebalanced(host(), memory).moves) == 1
    stuck = [shared("a", 6, 0), shared("b", 6, 0), shared("c", 6, 1)]
    assert not rebalanced(host(), stuck).moves


def test_only_what_is_wrong_is_mended_where_nothing_is_to_be_evened_out() -> None:
    only = Options(rebalance=True, even_out=False)
    fine, there = zip(shared("a", 6, 0, "spread"), shared("b", 2, 0, "spread"), shared("c", 1, 1))
    assert plan(host(), fine, there, options=ALLOWED).moves
    assert not plan(host(), fine, there, options=only).changes
    full, there = zip(shared("a", 6, 0, "spread"), shared("b", 4, 0, "spread"), shared("c", 1, 0))
    assert plan(host(), full, there, options=only).moves == ("b",)
    wide = Request("w", 4, GIB)
    assert plan(host(), [wide], [pinned("w", 4, "0-3,8-11", wish=wide)], options=only).moves == ("w",)


def test_split_guests_come_together() -> None:
    wide = Request("w", 4, GIB)
    found = plan(host(), [wide], [pinned("w", 4, "0-3,8-11", wish=wide)], options=ALLOWED)
    assert found.moves == ("w",) and len(found.placements[0].cells) == 1
    others = [pinned("x", 6, "0-7"), pinned("y", 6, "8-15")]
    assert not plan(host(), [wide], [pinned("w", 4, "0-3,8-11", wish=wide), *others], options=ALLOWED).moves


def test_guests_come_nearer_to_their_devices() -> None:
    it = host(devices=((1, "gpu"),))
    request = Request("g", 2, GIB, devices=("gpu",))
    assert plan(it, [request], [pinned("g", 2, "0-7")], options=ALLOWED).moves == ("g",)


def test_spread_levels_the_fullest_cell() -> None:
    pairs = [shared(f"g{i}", 2, 0, "spread") for i in range(4)]
    found = rebalanced(host(4), pairs)
    assert len(found.moves) == 3 and max(use.load for use in found.after) == 2
    assert len(rebalanced(host(4), pairs, most=2).moves) == 2
    even = [shared("a", 4, 0, "spread"), shared("b", 3, 1, "spread")]
    assert not rebalanced(host(), even).moves
    packed = [shared("a", 4, 0), shared("b", 3, 0)]
    assert not rebalanced(host(), packed).moves


def test_pack_empties_a_cell_if_all_of_it_fits_elsewhere() -> None:
    pairs = [shared("a", 2, 0), shared("b", 2, 0), shared("c", 2, 1), shared("d", 1, 1)]
    found = rebalanced(host(), pairs)
    assert found.moves == ("c", "d") and not found.after[1].guests
    assert not rebalanced(host(), pairs, most=1).moves
    fewer = [shared("a", 4, 0), shared("b", 1, 1), shared("c", 1, 1)]
    assert rebalanced(host(), fewer).moves == ("a",)
    full = [shared("a", 4, 0), shared("b", 3, 1), shared("c", 3, 1)]
    assert not rebalanced(host(), full).moves
    held = [shared("a", 4, 0), shared("b", 2, 1, "spread")]
    assert not rebalanced(host(), held).moves


def test_groups_and_mirrored_guests_stay() -> None:
    group = Request("g", 2, GIB, together="t")
    mirrored = Request("m", 2, GIB, "mirror", width=2)
    there = [
        pinned("g", 2, "0-7"),
        Existing("m", (pinned("m", 1, "0").vcpu_cpus * 1 + pinned("m", 1, "8").vcpu_cpus), GIB),
    ]
    busy = [pinned("x", 8, "0-7"), pinned("y", 2, "8-15")]
    assert not plan(host(), [group, mirrored], [*there, *busy], options=ALLOWED).moves
