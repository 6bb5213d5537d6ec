# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest leaves and what it gets, from what was read and what was planned, for _engine.order.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._engine.order import Move, Pool
from ansible_collections.numa.virt.plugins.module_utils._engine.plan import Plan as OnePlan
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed, Plan
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


def move_of(
    session: Session,
    asked: Request,
    placed: Placed,
    known: Known | None,
    existing: Existing | None,
    plan: OnePlan,
) -> Move:
    """``existing`` is what the planner was told of the guest, None where it is new."""
    after = placed.cpuset | (placed.emulator or EMPTY) if session.driver.emulator else placed.cpuset
    after_own = placed.owned if asked.owns_cpus else EMPTY
    memory_after: dict[Pool, int] = {(cell, size): kib for cell, size, kib in placed.memory_by_page}
    if known is None or existing is None:
        return Move(asked.name, after=after, after_own=after_own, new=after, memory_after=memory_after)
    everything = session.host.online
    real = _real(session, known, plan)
    before = real | _said(session, known.config.placement, known.config.shape.vcpus)
    anywhere = everything <= before
    # One that may run everywhere is kept off nothing, and nothing can wait for it.
    before = EMPTY if anywhere else before
    wish = existing.wish
    own = _with_idle_threads(session.host, before, wish) if wish is not None and wish.owns_cpus else EMPTY
    runs = known.live is not None
    there = real if runs else (EMPTY if plan.starts else before)
    memory_before = _memory_before(session, existing)
    return Move(
        asked.name,
        before=before,
        before_own=own,
        after=after,
        after_own=after_own,
        new=after - there,
        memory_before=memory_before,
        memory_after=memory_after,
        memory_stays=runs and not plan.restarts_now and not _memory_moves(plan),
        runs=runs,
        anywhere=anywhere and runs,
    )


def stays_behind(move: Move, plan: OnePlan, actual: Mapping[str, Any] | None) -> CpuSet:
    """CPUs of its old place that a guest still has after it was moved. ``actual``: where it was seen then."""
    left = move.before - move.after
    if plan.restarts_now or plan.live is None:
        return EMPTY
    if any(restart.element.startswith("cputune") for restart in plan.restarts):
        return left
    return left & union(CpuSet.parse(cpus) for cpus in (actual or {}).get("vcpus", {}).values())


def room_of(made: Plan) -> dict[Pool, int]:
    """KiB that each pool has left before anybody moves."""
    room: dict[Pool, int] = {}
    for each in made.before:
        used, total = each.memory
        room[each.cell, None] = total - used
        for size, pages, most in each.pages:
            room[each.cell, size] = (most - pages) * size
    return room


def _real(session: Session, known: Known, plan: OnePlan) -> CpuSet:
    """CPUs that a guest which runs may use now."""
    if known.live is None:
        return EMPTY
    said = _said(session, known.live.placement, known.live.shape.vcpus)
    if plan.live is None:
        return said
    return union(cpus for _vcpu, cpus in plan.live.observation.vcpus) & session.host.online


def _said(session: Session, placement: Placement, vcpus: int) -> CpuSet:
    """CPUs that a guest may use by a definition; all where it says nothing of one of its vCPUs."""
    everything = session.host.online
    decoded = session.driver.decode(placement)
    sets = [decoded.of_vcpu(vcpu) for vcpu in range(vcpus)]
    if session.driver.emulator and decoded.emulator is not None:
        sets.append(decoded.emulator)
    return union(everything if cpus is None else cpus & everything for cpus in sets)


def _with_idle_threads(host: Host, cpus: CpuSet, wish: Request) -> CpuSet:
    """CPUs of its own, with the threads of their cores that it keeps idle."""
    if wish.smt == "prefer":
        return cpus
    return cpus | union(core.cpus for cell in host.cells for core in cell.cores if core.cpus & cpus)


def _memory_moves(plan: OnePlan) -> bool:
    return plan.live is not None and any(step.change.element.startswith("numatune") for step in plan.live.steps)


def _memory_before(session: Session, existing: Existing) -> dict[Pool, int]:
    """Where it was measured, else in equal parts on the cells that it is bound to."""
    lots = existing.memory_on or [(existing.nodeset or EMPTY, size, kib) for size, kib in existing.by_page.items()]
    found: Counter[Pool] = Counter()
    for cells, size, kib in lots:
        found.update({(cell, _page(session, size)): kib // len(cells) for cell in cells})
    return found


def _page(session: Session, size: int | None) -> int | None:
    """Pages that the host does not have are ordinary memory to the planner."""
    return size if any(pool.size == size for cell in session.host.cells for pool in cell.huge_pools) else None
