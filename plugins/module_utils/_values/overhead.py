# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a hypervisor takes on a guest's cells beside the guest's own memory.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._values.placement import Shape


@dataclass(frozen=True)
class Overhead:
    """``fixed`` KiB, ``each`` KiB for every thread, and one KiB for ``part`` KiB of memory in the smallest pages.

    It is an estimate, and ordinary memory whatever pages the guest has.
    """

    fixed: int = 0
    each: int = 0
    part: int = 0

    def of(self, shape: Shape, small: int = 0) -> int:
        """KiB for such a guest with ``small`` KiB of its memory in the smallest pages."""
        threads = len(shape.present) + len(shape.iothreads)
        return self.fixed + self.each * threads + (-(-small // self.part) if self.part else 0)


# An idle QEMU 7.2 has 25 to 40 MiB that no other process shares; one with disks, a display and migrations has more.
# Page tables, the process's and the guest's, are 16 bytes for a page of 4 KiB, and next to nothing for huge pages.
QEMU = Overhead(fixed=64 << 10, each=8 << 10, part=256)

# What libxl sets aside for the tables of a guest: 1 MiB for a vCPU and 8 KiB for each MiB (libxl_utils.c, 4.17).
XEN = Overhead(each=1 << 10, part=128)

NONE = Overhead()
