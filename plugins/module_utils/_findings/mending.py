# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would bring a guest's memory to its vCPUs: the first task of this collection that changes anything about it.

Each is resolved as the module would before it is named: one that this host refuses, or that leaves all as it is, is no
remedy.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import named_parts
from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import LIVE, RESTART
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Said
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View
from ansible_collections.numa.virt.plugins.module_utils._intent.resolve import Target
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    BINDING_MODES,
    Intent,
    MemoryIntent,
    Placement,
)

# In the numbers of a finding: to give its guest again what has been asked for would be refused, or not clear it.
REFUSED: Mapping[str, int] = {"refused": 1}

_NOTHING = Intent()
_ELSEWHERE = "give it cells that have CPUs and memory enough with numa_domain (cells, memory.cells)"


def memory_remedy(view: View, seen: Seen, away: CpuSet, fix: str) -> tuple[str, Mapping[str, int]]:
    """What brings memory off the cells ``away``, and REFUSED where that is more than what a user has asked for.

    ``fix`` is what it takes.
    """
    by_hand = seen.facts.intent is not None and seen.wish is None
    more = REFUSED if by_hand else {}
    for options, wish in _tasks(view, seen, away):
        bound = _held_to(view, seen, wish)
        if bound is None or named_parts(bound).cells & away:
            continue
        if fix == LIVE and bound.memory == seen.said.placement.memory:
            return f"move it with migratepages, or {_task(view, seen, options, RESTART)}", more if options else {}
        return _task(view, seen, options, fix), more if options else {}
    return _ELSEWHERE if seen.wish is None else _task(view, seen, "rebalance=true", fix), more


def _task(view: View, seen: Seen, options: str, fix: str) -> str:
    module = "numa_placement" if seen.wish is not None else "numa_domain"
    if fix == RESTART:
        why = "memory does not move while it runs" if view.driver.numatune else "on Xen memory never moves"
        return f"run {module} for it with {options}{' and ' if options else ''}restart=allowed: {why}"
    given = f" with {options}" if options else ""
    if fix == LIVE:
        return f"run {module} for it{given}: its memory can move while it runs"
    return f"run {module} for it{given}: it gets its place at its next start"


def _document(seen: Seen) -> Said:
    """What the modules start from."""
    return seen.facts.config if seen.facts.config is not None else seen.said


def _tasks(view: View, seen: Seen, away: CpuSet) -> Iterator[tuple[str, Intent]]:
    """(options in words, the wish), the one that leaves most as it is first."""
    yield "", _NOTHING
    if seen.wish is not None:
        return
    cpus = view.cpus_of(seen.meant) & seen.host.online
    near = view.memory_near(seen, view.host.cells_touched(cpus)) - away
    both = near & view.host.cells_with_cpus
    binding = _document(seen).placement.memory
    mode = binding.mode if binding is not None and binding.mode in BINDING_MODES else "strict"
    said = "" if mode == "strict" else f", memory.mode={mode}"
    yield f"cpuset={cpus}{said}", Intent(cpuset=cpus, memory=MemoryIntent(mode))
    there = MemoryIntent(mode, near)
    yield f"cpuset={cpus}{said}, memory.cells={list(near)}", Intent(cpuset=cpus, memory=there)
    yield f"cells={list(both)}{said}", Intent(cells=both, memory=MemoryIntent(mode))


def refusal(view: View, seen: Seen, wish: Intent = _NOTHING) -> str | None:
    """Why numa_domain would refuse a wish, or to place the guest by what it has been asked before; None where not."""
    try:
        _target(view, seen, wish)
    except NumaVirtError as error:
        return error.message
    return None


def placed_again(view: View, seen: Seen) -> Placement | None:
    """What its definition would say after a run that asks for nothing new; None where that is refused."""
    try:
        return _target(view, seen, _NOTHING).encoded
    except NumaVirtError:
        return None


def _target(view: View, seen: Seen, wish: Intent) -> Target:
    """Raises NumaVirtError."""
    said = _document(seen)
    now = said.placement
    return view.resolve(wish, seen.facts.intent, now, now.cpuset, seen.host, said.shape)


def _held_to(view: View, seen: Seen, wish: Intent) -> Placement | None:
    """Where the guest would be held to; None where that is refused, or binds no memory."""
    try:
        target = _target(view, seen, wish)
    except NumaVirtError:
        return None
    memory = target.placement.memory
    binds = memory is not None and not memory.automatic and memory.mode in BINDING_MODES
    return target.placement if binds else None
