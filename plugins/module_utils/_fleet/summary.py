# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan told of: how many more fit then, what the loss of a host would mean, and who goes where, as plain data.

This file must not import ansible, libvirt or lxml, and must not decide anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._fleet.loss import losses
from ansible_collections.numa.virt.plugins.module_utils._fleet.more import More, how_many, total
from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import Planned
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import KEEP, STUCK, FleetPlaced, FleetPlan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request


def capacity_as_result(planned: Planned, shapes: Sequence[Request]) -> list[dict[str, Any]]:
    """How many more of each shape fit once all of the plan is done, on each host that is planned on to."""
    found = []
    for shape in shapes:
        counts = how_many(planned.fleet, shape)
        on_hosts = [
            {"host": planned.fleet.hosts[number].name, **_more(each)} for number, each in sorted(counts.items())
        ]
        found.append({"name": shape.name, **_more(total(list(counts.values()))), "hosts": on_hosts})
    return found


def losses_as_result(planned: Planned, hosts: Sequence[str], shapes: Sequence[Request]) -> list[dict[str, Any]]:
    """What if each of these hosts were lost once all of the plan is done, and how many more would fit then."""
    fleet = planned.fleet
    numbers = frozenset(fleet.number[name] for name in hosts)
    found: dict[str, dict[str, Any]] = {}
    for shape in shapes or (None,):
        for each in losses(fleet, planned.table.requests, shape, numbers):
            one: dict[str, Any] = {"host": each.host, "placed": each.placed, "homeless": list(each.homeless)}
            one = found.setdefault(each.host, {**one, "capacity": []})
            if shape is not None and each.more is not None:
                one["capacity"].append({"name": shape.name, **_more(each.more)})
    return list(found.values())


def who_goes_where(plan: FleetPlan) -> tuple[str, str]:
    """Two texts, before and after: a line for each guest that gets another place, or has none."""
    going = [each for each in plan.placements if each.action not in (KEEP, STUCK)]
    before = [f"{each.name}: {'nowhere' if each.at is None else each.at}" for each in going]
    after = [f"{each.name}: {_place(each)}" for each in going]
    refused = [f"{each.name}: {'nowhere' if each.at is None else each.at}" for each in plan.rejections]
    return _lines(before + refused), _lines(after + [f"{each.message} (no place)" for each in plan.rejections])


def _place(each: FleetPlaced) -> str:
    return f"{each.host}, {'cell' if len(each.cells) == 1 else 'cells'} {each.cells}"


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{each}\n" for each in lines)


def _more(more: More) -> dict[str, int]:
    return {"fits": more.fits, "at_most": more.at_most}
