# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest's own cells, one by one: where the vCPUs of each run, and where its memory is bound.

The guest is told that these belong together, and goes by it; taken as a whole it may look well placed.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._findings.codes import INFO, RESTART
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding, cells_text, finding
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union


class _Part(NamedTuple):
    """Memory of one cell of the guest, and where it and that cell's vCPUs are."""

    cell: int
    what: str
    kib: int
    bound: CpuSet
    runs: CpuSet
    own: bool

    @property
    def remote(self) -> bool:
        return not self.bound & self.runs

    @property
    def torn(self) -> bool:
        """Whether it is bound by itself, and the vCPUs may leave it."""
        return self.own and bool(self.runs - self.bound)


def find_guest_cells(view: View) -> Iterator[Finding]:
    for seen in view.guests if view.driver.numatune else ():
        # What lies nowhere near any of its vCPUs is told of the whole guest.
        if not seen.settled or not seen.nodeset & seen.cells:
            continue
        parts = list(_parts(view, seen))
        apart = [each for each in parts if each.remote]
        torn = [] if apart else [each for each in parts if each.torn]
        if apart or torn:
            yield _told(view, seen, apart or torn, bool(apart))


def _parts(view: View, seen: Seen) -> Iterator[_Part]:
    placement, bare = seen.said.placement, view.host.cell_ids - view.host.cells_with_cpus
    devices, named = dict(placement.knob("nodemask") or ()), dict(placement.memnodes)
    single = len(seen.said.needs.guest_cells) < 2
    for number, cell in enumerate(seen.said.needs.guest_cells):
        runs = view.host.cells_touched(view.cpus_of(seen.reach_of(cell.vcpus)))
        if not runs:
            continue
        bound = placement.bound_for(number)
        # Who names a cell without CPUs means it.
        if bound - bare and not bound - view.host.cell_ids:
            yield _Part(number, "its memory", cell.all_memory, bound, runs, number in named and not single)
        for device, owner in enumerate(seen.said.shape.memory_devices):
            cells = devices.get(device, EMPTY)
            if (owner or 0) == number and cells - bare and not cells - view.host.cell_ids:
                yield _Part(number, f"its memory device {device}", 0, cells, runs, False)


def _told(view: View, seen: Seen, parts: list[_Part], apart: bool) -> Finding:
    first, more = parts[0], len(parts) - 1
    runs = f"that cell's vCPUs {'run' if apart else 'may run'} on {cells_text(first.runs)}"
    message = (
        f"of its own cell {first.cell}, {first.what} is bound to {cells_text(first.bound)}, and {runs}"
        f"{f' (and {more} more of the kind)' if more else ''}"
    )
    fix = view.memory_fix(seen)
    policy = "" if seen.wish is not None and seen.wish.placed_by.mirrors else " with policy=mirror"
    restart = f"{' and' if policy else ' with'} restart=allowed" if fix == RESTART else ""
    numbers = {"cells": len({each.cell for each in parts}), "kib": sum(each.kib for each in parts)}
    return finding(
        "guest_cell_remote", seen.name, message,
        f"run numa_placement for it{policy}{restart}, or pin the vCPUs of each of its cells where its memory is",
        cells=union(each.bound for each in parts), numbers=numbers, severity=None if apart else INFO, fix=fix,
    )  # fmt: skip
