# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets for tests, fleets as they are read after a plan was carried out, and a second way to look at its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet, Place
from ansible_collections.numa.virt.plugins.module_utils._fleet.host import moved
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetHost, FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import MOVE, PLACE, FleetPlan
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best
from ansible_collections.numa.virt.plugins.module_utils._planner.partial import existing_of
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host


def guest(name, vcpus=1, memory=1, **more):
    """``memory`` is GiB; what the planner of one host is not told goes to the fleet's."""
    own = {key: more.pop(key) for key in ("hosts", "labels", "groups", "at", "how") if key in more}
    return FleetRequest(Request(name, vcpus, memory * GIB, **more), **own)


def placed(it, *requests: FleetRequest, rules=None) -> tuple[Existing, ...]:
    """The guests as one host's planner places them on an empty host."""
    wishes = [each.guest for each in requests]
    made = plan(it, wishes, **({"rules": rules} if rules else {}))
    at = {each.name: each for each in made.placements}
    return tuple(existing_of(each, at[each.name]) for each in wishes)


def a_host(name, *requests, it=None, **more):
    it = it or host()
    return FleetHost(name, it, placed(it, *requests), **more)


def wishes_of(hosts: Sequence[FleetHost], requests: Sequence[FleetRequest]) -> dict[str, Request]:
    found = {each.name: each.wish for one in hosts for each in one.existing if each.wish is not None}
    return {**found, **{each.name: each.guest for each in requests}}


def replay(hosts: Sequence[FleetHost], requests: Sequence[FleetRequest], made: FleetPlan) -> None:
    """Every step fits when its batch begins, while all of the batch are still where they were, claims of them but."""
    wishes = wishes_of(hosts, requests)
    mine = {step.name for batch in made.batches for step in batch if step.how != "here"}
    kept = [
        replace(each, claims=tuple(claim for claim in each.claims if claim.guest.name not in mine)) for each in hosts
    ]
    fleet = Fleet(kept)
    for batch in made.batches:
        for step in batch:
            if step.how == "here":  # all at once, as the host's own planner has it
                fleet.leave(step.name, fleet.number[step.host])
        for step in batch:
            number = fleet.number[step.host]
            board = fleet.boards[number]
            wish = replace(moved(wishes[step.name]), cells=step.cells)
            spot = best(board.board, board.guest(wish))
            assert spot is not None, f"{step} does not fit"
            assert board.capacity.cell_ids(spot.cells) <= step.cells
            assert step.name not in board
            fleet.put(FleetRequest(replace(wish, name=step.name)), Place(number, spot))
        for step in batch:
            if step.moves:
                fleet.leave(step.name, fleet.number[step.source])


def carried_out(hosts: Sequence[FleetHost], requests: Sequence[FleetRequest], made: FleetPlan) -> list[FleetHost]:
    """The hosts as they are read then, every place by its host's own planner; claims of placed guests are over."""
    wishes = wishes_of(hosts, requests)
    going = {each.name for each in made.placements if each.action in (MOVE, PLACE)}
    found = []
    for each in hosts:
        came = [one for one in made.placements if one.host == each.name and one.action in (MOVE, PLACE)]
        here = [one for one in made.placements if one.host == each.name and one.action == "here"]
        left = {one.name for one in made.placements if one.action == MOVE and one.at == each.name}
        there = [one for one in each.existing if one.name not in left]
        claims = tuple(claim for claim in each.claims if claim.guest.name not in going)
        asked = [replace(moved(wishes[one.name]), cells=one.cells) for one in came]
        asked += [wishes[one.name] for one in here]
        if each.host is not None and asked:
            claimed = [claim.guest for claim in claims if claim.guest.name not in {one.name for one in there}]
            result = plan(each.host, asked, [*there, *claimed], each.rules, Options(partial=True))
            assert not result.rejections, (each.name, result.rejections)
            by_name = {one.name: one for one in there}
            for one in result.placements:
                by_name[one.name] = existing_of(wishes[one.name], one, by_name.get(one.name))
            there = list(by_name.values())
        found.append(replace(each, existing=tuple(there), claims=claims))
    return found
