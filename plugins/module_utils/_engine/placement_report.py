# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user is shown of a plan that was carried out, or would be.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._engine.plan import Plan as DomainPlan
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Session
from ansible_collections.numa.virt.plugins.module_utils._planner.result import (
    KEEP,
    REPIN,
    CellUse,
    Placed,
    Plan,
    plan_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._values.changes import EVERYWHERE, INTENT, Change

_KEPT = ("name", "uuid", "changed", "state", "placement", "actual", "changes", "restart_required", "restart_reasons")
_KEPT_IF_THERE = ("backup_file", "overwritten")


def acts_as_told(plan: Plan, plans: Mapping[str, DomainPlan]) -> Plan:
    """The plan, with "keep" only for guests of which nothing moves: neither a pin nor memory nor a thread.

    A place may be valid for the planner, which knows no IO threads and not how memory of single guest cells is bound.
    """
    placements = tuple(
        replace(each, action=REPIN) if each.action == KEEP and each.name in plans and _moves(plans[each.name]) else each
        for each in plan.placements
    )
    return replace(plan, placements=placements)


def _moves(plan: DomainPlan) -> bool:
    """Whether a thread or memory that was held somewhere is going to be elsewhere; to be held first is no move."""
    if plan.live is not None and any(_from_somewhere(step.change) for step in plan.live.steps):
        return True
    if plan.before is None:
        return False
    before, after = plan.before.placement, plan.document.placement
    pairs: list[tuple[Any, Any]] = [(before.of_emulator, after.of_emulator), (before.memory, after.memory)]
    pairs += [(before.of_iothread(each), after.of_iothread(each)) for each in plan.document.shape.iothreads]
    pairs += [(binding, dict(after.memnodes).get(cell)) for cell, binding in before.memnodes]
    return before.knobs != after.knobs or any(was is not None and was != shall for was, shall in pairs)


def _from_somewhere(change: Change) -> bool:
    return change.before not in (None, EVERYWHERE) and change.element != INTENT


def result_of(
    session: Session,
    plan: Plan,
    done: Sequence[tuple[Placed, dict[str, Any]]],
    diff: bool,
    warnings: Iterable[str] = (),
) -> dict[str, Any]:
    """What numa_placement documents. ``done`` are placements with numa_domain's result for each, with a diff or not."""
    domains = [
        {
            **{name: result[name] for name in _KEPT},
            **{name: result[name] for name in _KEPT_IF_THERE if name in result},
            "cells": list(placed.cells),
            "reason": placed.reason,
        }
        for placed, result in done
    ]
    changed = any(each["changed"] for each in domains)
    whole = plan_as_result(plan)
    result = {
        "changed": changed,
        "driver": session.driver.name,
        "plan": whole,
        "domains": domains,
        "moves": list(plan.moves),
        "rejections": whole["rejections"],
        "restart_required": any(each["restart_required"] for each in domains),
        "warnings": [
            *warnings,
            *(f"not placed: {each.message}" for each in plan.rejections),
            *(note.message for note in plan.notes),
            *(warning for _placed, result in done for warning in result.get("warnings", ())),
        ],
    }
    if diff:
        result["diff"] = {
            "before": _use_text(plan.before) + _texts(done, "before"),
            "after": _use_text(plan.after) + _texts(done, "after"),
        }
    return result


def _use_text(cells: Sequence[CellUse]) -> str:
    """A line for each cell."""
    return "".join(
        f"cell {each.cell}: {each.load:g} CPUs of load on {each.shared or 'no'} shared CPUs, "
        f"{each.owned or 'no'} dedicated CPUs, {each.memory[0]} of {each.memory[1]} KiB, {len(each.guests)} guests"
        f"{', kept out' if each.kept_out else ''}\n"
        for each in cells
    )


def _texts(done: Sequence[tuple[Placed, dict[str, Any]]], side: str) -> str:
    """The diffs of the domains that change, each under its name."""
    return "".join(
        f"\ndomain {placed.name}:\n{result['diff'][side]}"
        for placed, result in done
        if result["changed"] and result["diff"]["before"] != result["diff"]["after"]
    )
