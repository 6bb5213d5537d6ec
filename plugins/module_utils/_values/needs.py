# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a guest's definition a policy looks at beside its Shape, and the cells that a plan gives the guest.

CPUs and cells are those of the host unless a name says vCPU or guest cell; sizes are KiB.
This file must not import ansible, libvirt or lxml, and must not decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet


@dataclass(frozen=True)
class GuestCell:
    """A cell that the guest's definition gives it: its vCPUs and its KiB."""

    vcpus: CpuSet
    memory: int


@dataclass(frozen=True)
class GuestNeeds:
    """What of a definition a policy looks at beside its Shape.

    ``page_size`` is KiB, 0 where it asks for huge pages of the host's default size, None for ordinary memory.
    ``devices`` are PCI addresses such as 0000:01:00.0. ``guest_cells`` are the cells that it gives the guest.
    ``threads`` is how many vCPUs of one core it tells the guest of: vCPUs 0 to ``threads`` - 1 are the first one.
    """

    page_size: int | None = None
    devices: tuple[str, ...] = ()
    guest_cells: tuple[GuestCell, ...] = ()
    threads: int = 1


@dataclass(frozen=True)
class MappedCell:
    """A cell of a mirrored guest and the host's cell that it lies on. ``distances`` are those to its other cells."""

    id: int
    cell: int
    vcpus: CpuSet
    memory: int
    distances: tuple[tuple[int, int], ...]
