# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet's planner answers: a host and cells for each guest, steps in batches, refusals, and a bound.

Sizes are KiB. This file must not import ansible, libvirt or lxml, and must not decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

#: "here": other CPUs or cells of the host that it is on, as that host's planner has it; "stuck": it has to leave and
#: has no other place, and stays where it is.
KEEP, HERE, PLACE, MOVE, STUCK = "keep", "here", "place", "move", "stuck"
#: How a step is done, beside the ways of a move.
START, ON_HOST = "start", "here"


@dataclass(frozen=True)
class FleetPlaced:
    """Where one guest shall be; ``at`` is where it is now, None for a new one. ``cells`` are ids of that host."""

    name: str
    action: str
    host: str
    cells: CpuSet
    vcpus: int
    memory: int
    at: str | None
    reason: str


@dataclass(frozen=True)
class Step:
    """A guest takes its place: from ``source``, None for one that is new. ``how``: "live" or "restart" for a move,
    "start" for a new guest, "here" for one that stays on its host. ``passing``: it goes on from there in a later step.

    When its batch begins there is room for it, while all that move in the same batch or later are still where they
    were.
    """

    name: str
    source: str | None
    host: str
    cells: CpuSet
    how: str
    memory: int
    passing: bool = False

    @property
    def moves(self) -> bool:
        """Whether a guest leaves a host."""
        return self.source is not None and self.source != self.host


@dataclass(frozen=True)
class FleetRejection:
    """Why a guest has no place, or cannot leave the one that it has to leave (``at``).

    ``host`` and ``cell`` come nearest, None where no host is open to it. ``constraint`` is one of the planner of one
    host (which see for ``needed``, ``available``, ``unit``), or "hosts" and "group" (none is open to it), "wish"
    (nobody has said what it needs), "never" (it may not be moved), "limit", "waits" (for others, who cannot leave) or
    "spare".
    """

    name: str
    at: str | None
    constraint: str
    host: str | None
    cell: int | None
    needed: float
    available: float
    unit: str
    message: str


@dataclass(frozen=True)
class FleetPlan:
    """The answer. ``placements`` and ``rejections`` are in the order of names, ``batches`` in that of time.

    ``vcpus_at_most``: of those requested no plan places more. ``unknown``: pairs (host, why) of hosts that are not
    planned with.
    """

    placements: tuple[FleetPlaced, ...]
    batches: tuple[tuple[Step, ...], ...]
    rejections: tuple[FleetRejection, ...]
    vcpus_at_most: int
    unknown: tuple[tuple[str, str], ...]

    @property
    def moves(self) -> tuple[Step, ...]:
        return tuple(step for batch in self.batches for step in batch if step.moves)

    @property
    def memory_moved(self) -> int:
        return sum(step.memory for step in self.moves)

    @property
    def vcpus(self) -> int:
        """vCPUs that have a place which is theirs to keep."""
        return sum(each.vcpus for each in self.placements if each.action != STUCK)


def fleet_plan_as_result(plan: FleetPlan) -> dict[str, Any]:
    """Plain data, as it is shown and stored."""
    return {
        "placements": [
            {
                "name": each.name,
                "action": each.action,
                "host": each.host,
                "cells": list(each.cells),
                "vcpus": each.vcpus,
                "memory": each.memory,
                "at": each.at,
                "reason": each.reason,
            }
            for each in plan.placements
        ],
        "batches": [
            [
                {
                    "name": step.name,
                    "source": step.source,
                    "host": step.host,
                    "cells": list(step.cells),
                    "how": step.how,
                    "memory": step.memory,
                    "passing": step.passing,
                }
                for step in batch
            ]
            for batch in plan.batches
        ],
        "rejections": [
            {
                "name": each.name,
                "at": each.at,
                "constraint": each.constraint,
                "host": each.host,
                "cell": each.cell,
                "needed": each.needed,
                "available": each.available,
                "unit": each.unit,
                "message": each.message,
            }
            for each in plan.rejections
        ],
        "moves": len(plan.moves),
        "memory_moved": plan.memory_moved,
        "vcpus": {"placed": plan.vcpus, "bound": plan.vcpus_at_most},
        "unknown": [{"host": host, "why": why} for host, why in plan.unknown],
    }
