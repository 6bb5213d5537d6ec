# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a guest's definition a policy looks at beside its Shape, and the cells that a plan gives the guest.

CPUs and cells are those of the host unless a name says vCPU or guest cell; sizes are KiB.
This file must not import ansible, libvirt or lxml, and must not decide anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet


@dataclass(frozen=True)
class GuestCell:
    """A cell that the guest's definition gives it: its vCPUs, its KiB, and its pages as in GuestNeeds.

    ``planned`` is false where a plan counts memory in pages of another size alone.
    """

    vcpus: CpuSet
    memory: int
    page_size: int | None = None
    planned: bool = True

    @property
    def planned_memory(self) -> int:
        """KiB of it in the pages that a plan counts."""
        return self.memory if self.planned else 0


@dataclass(frozen=True)
class GuestNeeds:
    """What of a definition a policy looks at beside its Shape.

    ``page_size`` is KiB, 0 where it asks for huge pages of the host's default size, None for ordinary memory.
    Cells of its own may have pages of their own, and then the size of most of its memory counts for the guest.
    ``devices`` are the host's devices that it gives the guest, as _values.devices names them, each once.
    ``guest_cells`` are the cells that it gives the guest. ``networks`` are those that it has interfaces in: what
    libvirt takes out of one at a start may be a device of the host. ``threads`` is how many vCPUs of one core it tells
    the guest of: vCPUs 0 to ``threads`` - 1 are the first one.
    """

    page_size: int | None = None
    devices: tuple[str, ...] = ()
    guest_cells: tuple[GuestCell, ...] = ()
    networks: tuple[str, ...] = ()
    threads: int = 1

    def memory_by_page(self, memory: int, page: Callable[[int | None], int | None]) -> dict[int | None, int]:
        """KiB of a guest's ``memory`` by the size of its pages as ``page`` (of a Host) tells it, the most first."""
        found: dict[int | None, int] = {}
        if any(cell.page_size != self.page_size for cell in self.guest_cells):
            for cell in self.guest_cells:
                size = page(cell.page_size)
                found[size] = found.get(size, 0) + cell.memory
        else:
            found[page(self.page_size)] = memory
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0] or 0)))

    def most_memory(self, memory: int, page: Callable[[int | None], int | None]) -> tuple[int | None, int]:
        """(size of the pages, KiB) of most of it: what a plan counts."""
        return next(iter(self.memory_by_page(memory, page).items()))


@dataclass(frozen=True)
class MappedCell:
    """A cell of a mirrored guest and the host's cell that it lies on. ``distances`` are those to its other cells."""

    id: int
    cell: int
    vcpus: CpuSet
    memory: int
    distances: tuple[tuple[int, int], ...]
