# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run changes, as data: the change set, and what only a restart of the guest would bring about.

This file must not import ansible, libvirt or lxml, and must not know how a change is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

CONFIG = "config"
LIVE = "live"
BOTH = "both"

# The guest's own cells: an element that is ours only where we have made it.
GUEST_CELLS = "cpu/numa"
INTENT = "metadata/intent"
UNREADABLE_INTENT = "a record that cannot be read"

# What stands for "no restriction" in a change.
EVERYWHERE = "all CPUs"


@dataclass(frozen=True)
class Change:
    """One element before and after. ``applied`` is CONFIG, LIVE or BOTH; ``before`` or ``after`` None means absent."""

    element: str
    before: str | None
    after: str | None
    applied: str = CONFIG
    needs_restart: bool = False


@dataclass(frozen=True)
class Restart:
    """Something that holds only after the guest is restarted, and why."""

    element: str
    reason: str


@dataclass(frozen=True)
class Step:
    """One change to a running guest, and the call that makes it: a method of _values.hypervisor.Domain."""

    change: Change
    method: str
    arguments: tuple[Any, ...]

    def apply(self, domain: Any) -> None:
        """Make that call."""
        getattr(domain, self.method)(*self.arguments)


def written_form_change(before: str | None, after: str | None) -> list[Change]:
    """The same placement in another form, where both are written at all and the form makes a difference."""
    if before == after or before is None or after is None:
        return []
    return [Change("cpus", before, after)]


def merge(config: Iterable[Change], live: Iterable[Change]) -> list[Change]:
    """One list: an element changed alike in the definition and in the running guest is one change, applied to BOTH."""
    merged = list(config)
    own = [(rank, each) for rank, each in enumerate(merged) if each.applied == CONFIG]
    ranks = {(each.element, each.after): rank for rank, each in reversed(own)}
    for change in live:
        rank = ranks.pop((change.element, change.after), None)
        if rank is None:
            merged.append(change)
        else:
            merged[rank] = replace(merged[rank], applied=BOTH)
    return merged


def mark_restarts(changes: Iterable[Change], restarts: Iterable[Restart]) -> list[Change]:
    """Say of each change to the definition whether the running guest needs a restart to follow it."""
    waiting = {restart.element for restart in restarts}
    return [
        replace(each, needs_restart=True) if each.applied == CONFIG and each.element in waiting else each
        for each in changes
    ]


def changes_as_result(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [
        {
            "element": each.element,
            "before": each.before,
            "after": each.after,
            "applied": each.applied,
            "needs_restart": each.needs_restart,
        }
        for each in changes
    ]


def restarts_as_result(restarts: Iterable[Restart]) -> list[dict[str, Any]]:
    return [{"element": each.element, "reason": each.reason} for each in restarts]


def pin_element(kind: str, number: int) -> str:
    """The path of one pin: ``kind`` is "vcpu" or "iothread"."""
    return f"cputune/{kind}pin[@{kind}='{number}']"
