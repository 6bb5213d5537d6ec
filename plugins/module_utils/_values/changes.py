# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run changes, as data: the change set, and what only a restart of the guest would bring about.

This file must not import ansible, libvirt or lxml, and must not know how a change is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, MemoryBinding, Placement

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


def placement_changes(before: Placement, after: Placement) -> list[Change]:
    """The owned elements in which two placements differ, in document order."""
    found = [
        Change("vcpu/@placement", _mode(before), _mode(after)),
        Change("vcpu/@cpuset", _cpus(before.cpuset), _cpus(after.cpuset)),
        *_pin_changes("vcpu", dict(before.vcpu_pins), dict(after.vcpu_pins)),
        Change("cputune/emulatorpin", _cpus(before.emulator), _cpus(after.emulator)),
        *_pin_changes("iothread", dict(before.iothread_pins), dict(after.iothread_pins)),
        Change("numatune/memory", _text(before.memory), _text(after.memory)),
        *_memnode_changes(dict(before.memnodes), dict(after.memnodes)),
    ]
    return [change for change in found if change.before != change.after]


def written_form_change(before: str | None, after: str | None) -> list[Change]:
    """The same placement in another form, where both are written at all and the form makes a difference."""
    if before == after or before is None or after is None:
        return []
    return [Change("cpus", before, after)]


def intent_change(before: Intent | None, after: Intent) -> list[Change]:
    if before == after:
        return []
    return [Change(INTENT, None if before is None else intent_text(before), intent_text(after))]


def release_change(before: Intent | None) -> list[Change]:
    """The intent is taken out."""
    return [] if before is None else [Change(INTENT, intent_text(before), None)]


def intent_text(intent: Intent) -> str:
    """One line, for change sets and diffs."""
    parts = [] if intent.policy is None else [f"policy {json.loads(intent.policy).get('policy', 'unknown')}"]
    if intent.cells is not None:
        parts.append(f"cells {intent.cells}")
    if intent.cpuset is not None:
        parts.append(f"cpuset {intent.cpuset}")
    if intent.memory is not None:
        parts.append(f"memory {intent.memory.mode}" + (f" on {intent.memory.cells}" if intent.memory.cells else ""))
    for name, pins in (("vcpu", intent.vcpu_pins), ("iothread", intent.iothread_pins)):
        parts += [f"{name} {number} on {cpus}" for number, cpus in pins or ()]
    if intent.emulator is not None:
        parts.append(f"emulator on {intent.emulator}")
    return ", ".join(parts) or "nothing"


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
    return [replace(each, needs_restart=each.applied == CONFIG and each.element in waiting) for each in changes]


def changes_as_result(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [asdict(change) for change in changes]


def restarts_as_result(restarts: Iterable[Restart]) -> list[dict[str, Any]]:
    return [asdict(restart) for restart in restarts]


def _pin_changes(kind: str, before: dict[int, CpuSet], after: dict[int, CpuSet]) -> list[Change]:
    return [
        Change(pin_element(kind, number), _cpus(before.get(number)), _cpus(after.get(number)))
        for number in sorted({*before, *after})
    ]


def pin_element(kind: str, number: int) -> str:
    """The path of one pin: ``kind`` is "vcpu" or "iothread"."""
    return f"cputune/{kind}pin[@{kind}='{number}']"


def _memnode_changes(before: dict[int, MemoryBinding], after: dict[int, MemoryBinding]) -> list[Change]:
    return [
        Change(f"numatune/memnode[@cellid='{cell}']", _text(before.get(cell)), _text(after.get(cell)))
        for cell in sorted({*before, *after})
    ]


def _mode(placement: Placement) -> str:
    return "auto" if placement.automatic else "static"


def _cpus(cpus: CpuSet | None) -> str | None:
    return None if cpus is None else str(cpus)


def _text(binding: MemoryBinding | None) -> str | None:
    return None if binding is None else str(binding)
