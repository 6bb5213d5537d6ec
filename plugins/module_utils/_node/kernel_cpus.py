# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine's kernel was told of CPUs: isolcpus, nohz_full, and control groups that have some for themselves.

All of these files are the kernel's own. What is not there, or is no set of CPUs, names none.
Formats: Documentation/admin-guide/cgroup-v2.rst (Cpuset) and kernel-parameters.txt in the kernel.
This file must not import ansible, libvirt or lxml, and must not judge what it reads.
"""

from __future__ import annotations

import os

from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError
from ansible_collections.numa.virt.plugins.module_utils._node import files
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.topology import KernelCpus, Partition

CPUS = "/sys/devices/system/cpu"
GROUPS = "/sys/fs/cgroup"
# Where libvirt puts guests, with systemd and without: what these hold guests may use.
_GUESTS = ("machine.slice", "machine", "machine.partition")
# A partition in force; one that is not says "root invalid (…)".
_IN_FORCE = ("root", "isolated")
# Bytes of a file, and groups below the root, that are looked at.
_MOST_TEXT = 64 * 1024
_MOST_GROUPS = 256


def kernel_cpus(cpus: str | None = None, groups: str | None = None) -> KernelCpus:
    """Never raises. ``cpus`` and ``groups`` are the folders to read."""
    cpus, groups = CPUS if cpus is None else cpus, GROUPS if groups is None else groups
    isolated = _set(cpus, "isolated")
    partitions = []
    guests = EMPTY
    for name in _groups(groups):
        folder = os.path.join(groups, name)
        kind = _text(folder, "cpuset.cpus.partition")
        if kind not in _IN_FORCE:
            continue
        # Before Linux 6.7 there is no file of exclusive CPUs, and a partition has those that it may use.
        found = _set(folder, "cpuset.cpus.exclusive.effective") or _set(folder, "cpuset.cpus.effective")
        if name in _GUESTS:
            guests = guests | found
            isolated = isolated | (found if kind == "isolated" else EMPTY)
        elif found:
            partitions.append(Partition(name, found))
    # Partitions that lie deeper are told of by their CPUs alone, and by newer kernels with those of isolcpus.
    known = union(each.cpus for each in partitions)
    deeper = _set(groups, "cpuset.cpus.isolated") - isolated - known - guests
    if deeper:
        partitions.append(Partition("", deeper))
    return KernelCpus(isolated - known, _set(cpus, "nohz_full"), tuple(partitions))


def _groups(folder: str) -> list[str]:
    """The control groups right below the root, those of guests among the first."""
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # no control groups
    return sorted(names, key=lambda name: (name not in _GUESTS, name))[:_MOST_GROUPS]


def _set(folder: str, name: str) -> CpuSet:
    """The CPUs that a file names; none where it says "(null)", as the kernel does for a set that was never made."""
    try:
        return CpuSet.parse(_text(folder, name))
    except CpuSetSyntaxError:
        return EMPTY


def _text(folder: str, name: str) -> str:
    try:
        return files.read_text(os.path.join(folder, name), most=_MOST_TEXT).strip()
    except OSError:
        return ""  # another kernel, or no such controller
