# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The largest guest that would still fit on a host, and the largest that fits when it is empty.

The rule, which is the planner's for one guest on one cell, made short: a vCPU needs a CPU that no guest of the policy
``dedicated`` has for itself; memory is what is free on the cell, less what definitions of other guests bind there. Of
the cells the one counts that takes the largest guest: the greatest of the smaller of its two shares, of the CPUs and
of the memory of the largest cell; then the more CPUs, the more memory, the smaller id.
How far that is below the largest cell is how fragmented, or how full, the host is.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._map.model import HostMap, memory_parts
from ansible_collections.numa.virt.plugins.module_utils._map.results import InfoCell
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union


@dataclass(frozen=True)
class Fit:
    """A guest of ``vcpus`` and ``kib`` fits on ``cell``; an empty cell would take ``most_vcpus`` and ``most_kib``."""

    cell: int
    vcpus: int
    kib: int
    most_vcpus: int
    most_kib: int

    @property
    def share(self) -> float:
        """The scarcer of the two, of what an empty cell would take: 0 to 1."""
        return min(_share(self.vcpus, self.most_vcpus), _share(self.kib, self.most_kib))


def largest_guest(host: HostMap) -> Fit | None:
    """None for a host whose cells have no CPUs."""
    cells = [cell for cell in host.cells if cell.cpus]
    if not cells:
        return None
    most_vcpus = max(len(cell.cpus) for cell in cells)
    most_kib = max(cell.total for cell in cells)
    taken = dedicated_cpus(host)
    fits = [Fit(cell.id, len(cell.cpus - taken), free_memory(host, cell), most_vcpus, most_kib) for cell in cells]
    return max(fits, key=lambda fit: (fit.share, fit.vcpus, fit.kib, -fit.cell))


def free_memory(host: HostMap, cell: InfoCell) -> int:
    """What no guest has or is to have on a cell, in KiB."""
    return sum(part.kib for part in memory_parts(host, cell) if part.kind == "free")


def dedicated_cpus(host: HostMap) -> CpuSet:
    """The CPUs that guests have for themselves."""
    return union(guest.reach for guest in host.placed if guest.info.dedicated)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
