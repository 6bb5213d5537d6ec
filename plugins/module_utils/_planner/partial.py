# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""As many guests as can be placed, where not all can: and so that planning once more would change nothing.

A guest that is on the host and has no place stays where it is: the others are planned around it. What they leave may be
the place of one that was left out, so that their plan is planned again until nothing is added.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import KEEP, Placed, Plan, Rejection
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


def plan_partial(
    host: Host,
    requests: Sequence[Request],
    there: Mapping[str, Existing],
    left_out: Mapping[str, Existing],
    rules: Rules,
    options: Options,
) -> Plan:
    """The guests of the host by name: ``there`` as ones that are asked about, ``left_out`` as ones that are not.

    Raises InputError. Every request is in ``Plan.placements`` or in ``Plan.rejections``.
    """
    around = partial(_around_those_who_stay, host, requests, rules)
    options = replace(options, partial=True)
    first = made = around(there, left_out, options)
    asked = {request.name: request for request in requests}
    # Each round but the last one places a guest more.
    while made.rejections:
        done = {each.name: each for each in made.placements}
        after = {
            name: existing_of(asked[name], done[name], there.get(name)) if name in done else there[name]
            for name in {**there, **done}
        }
        still = {**left_out, **{name: after[name] for name in done}}
        again = around(after, still, replace(options, rebalance=False))
        new = [each for each in again.placements if each.name not in done]
        if not new:
            break
        placements = sorted([*made.placements, *new], key=lambda each: each.name)
        made = replace(again, placements=tuple(placements))
    rows = tuple(
        (priority, sum(each.vcpus for each in made.placements if asked[each.name].priority >= priority), most)
        for priority, _placed, most in first.bound.by_priority
    )
    return replace(made, before=first.before, bound=replace(first.bound, by_priority=rows))


def _around_those_who_stay(
    host: Host,
    requests: Sequence[Request],
    rules: Rules,
    there: Mapping[str, Existing],
    left_out: Mapping[str, Existing],
    options: Options,
) -> Plan:
    asked = {request.name: request for request in requests}
    rejections: dict[str, Rejection] = {}
    bound = None
    while True:
        guests = [each if name in asked else left_out[name] for name, each in there.items()]
        made = plan(host, list(asked.values()), guests, rules, options)
        bound = bound if bound is not None else made.bound
        rejections = {name: each for name, each in rejections.items() if name not in asked}
        rejections.update({each.name: each for each in made.rejections})
        staying = [name for name in asked if name in rejections and name in there]
        if not staying:
            return replace(made, rejections=tuple(each for _name, each in sorted(rejections.items())), bound=bound)
        for name in staying:
            del asked[name]


def existing_of(request: Request, placed: Placed, before: Existing | None = None) -> Existing:
    """The guest as it will be read once the plan has been applied."""
    placement = placed.placement()
    found = Existing(
        name=request.name,
        vcpu_cpus=tuple(placement.of_vcpu(vcpu) for vcpu in range(request.vcpus)),
        emulator=placement.of_emulator,
        nodeset=placed.memory_cells,
        memnodes=tuple((each.id, each.cell) for each in placed.guest_cells),
        wish=request,
        **request.memory_fields,
    )
    if before is None:
        return found
    if placed.action != KEEP:
        return replace(found, held=before.held)
    return replace(before, vcpu_cpus=found.vcpu_cpus, wish=request, **request.memory_fields)
