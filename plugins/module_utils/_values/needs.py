# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a guest's definition a policy looks at beside its Shape, and the cells that a plan gives the guest.

CPUs and cells are those of the host unless a name says vCPU or guest cell; sizes are KiB.
This file must not import ansible, libvirt or lxml, and must not decide anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet


def with_overhead(by_page: Mapping[int | None, int], overhead: int) -> dict[int | None, int]:
    """KiB by the size of pages, with what a hypervisor needs beside them: ordinary memory."""
    return {**by_page, None: by_page.get(None, 0) + overhead} if overhead else dict(by_page)


class InPages:
    """What has ``memory`` KiB in pages of ``page_size`` KiB, None being ordinary memory.

    ``other_pages`` are pairs (KiB of a page, KiB) of what it has beside that, in pages of other sizes. ``overhead`` is
    KiB of ordinary memory that its hypervisor needs for it.
    """

    memory: int
    page_size: int | None
    other_pages: tuple[tuple[int | None, int], ...]
    overhead: int = 0

    @property
    def by_page(self) -> dict[int | None, int]:
        """KiB by the size of pages, those of ``page_size`` first."""
        return {self.page_size: self.memory, **dict(self.other_pages)}

    @property
    def taken(self) -> dict[int | None, int]:
        """The same with what its hypervisor needs."""
        return with_overhead(self.by_page, self.overhead)

    @property
    def memory_fields(self) -> dict[str, Any]:
        """What it takes, and in which pages, to give another one the same."""
        return {
            "memory": self.memory,
            "page_size": self.page_size,
            "other_pages": self.other_pages,
            "overhead": self.overhead,
        }

    @property
    def all_memory(self) -> int:
        """KiB in pages of any size."""
        return self.memory + sum(kib for _size, kib in self.other_pages)


@dataclass(frozen=True)
class GuestCell(InPages):
    """A cell that the guest's definition gives it: its vCPUs, and its memory with sizes of pages as in GuestNeeds.

    Memory devices may have pages of other sizes than the rest of their cell.
    """

    vcpus: CpuSet
    memory: int
    page_size: int | None = None
    other_pages: tuple[tuple[int | None, int], ...] = ()

    def with_pages(self, page: Callable[[int | None], int | None]) -> GuestCell:
        """The cell with sizes of pages as ``page`` (of a Host) tells them."""
        found = {page(self.page_size): self.memory}
        for size, kib in self.other_pages:
            found[page(size)] = found.get(page(size), 0) + kib
        (own, memory), *others = found.items()
        return replace(self, memory=memory, page_size=own, other_pages=tuple(others))


@dataclass(frozen=True)
class GuestNeeds:
    """What of a definition a policy looks at beside its Shape.

    ``page_size`` is KiB, 0 where it asks for huge pages of the host's default size, None for ordinary memory.
    Cells of its own may have pages of their own.
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
        for cell in self.guest_cells:
            for size, kib in cell.with_pages(page).by_page.items():
                if kib:
                    found[size] = found.get(size, 0) + kib
        if len(found) < 2:
            found = {next(iter(found), page(self.page_size)): memory}
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0] or 0)))


@dataclass(frozen=True)
class MappedCell:
    """A cell of a mirrored guest and the host's cell that it lies on. ``distances`` are those to its other cells."""

    id: int
    cell: int
    vcpus: CpuSet
    memory: int
    distances: tuple[tuple[int, int], ...]
