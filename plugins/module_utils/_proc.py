# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What really is: the threads of a QEMU process and the pages it holds, read from /proc.

This is the truth that a definition is checked against; it is only there where the hypervisor runs on this machine.
Formats: proc(5), and Documentation/admin-guide/mm/numa_memory_policy in the kernel.
This file must not import ansible, libvirt or lxml, and must not judge what it reads.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError

# QEMU names its threads for libvirt (-name …,debug-threads=on); the kernel cuts a name to 15 characters.
_VCPU = re.compile(r"CPU (\d+)/")
_IOTHREAD = re.compile(r"IO iothread(\d+)")
_PAGES = re.compile(r"\bN(\d+)=(\d+)")
_PAGE_SIZE = re.compile(r"\bkernelpagesize_kB=(\d+)")
# File mappings are QEMU's own code and libraries, shared with everybody; memory of the guest is anonymous, or of a
# memory file or of huge pages.
_FILE = re.compile(r"\bfile=(\S+)")
# The second word of a line, which in two modes has a space in it (policy_modes[] in the kernel's mm/mempolicy.c).
_POLICY = re.compile(r"\S+ (prefer \(many\)\S*|weighted interleave\S*|\S+)")
_MEMORY_FILE = re.compile(r"/memfd:|/dev/shm/|/anon_hugepage|/dev/hugepages|/libvirt/qemu/")


@dataclass(frozen=True)
class Thread:
    """A thread with the CPUs and cells that the kernel lets it use. ``mems`` are cells."""

    tid: int
    name: str
    cpus: CpuSet
    mems: CpuSet

    @property
    def vcpu(self) -> int | None:
        match = _VCPU.match(self.name)
        return int(match[1]) if match else None

    @property
    def iothread(self) -> int | None:
        match = _IOTHREAD.match(self.name)
        return int(match[1]) if match else None


@dataclass(frozen=True)
class Memory:
    """Memory of one guest, which may be a process.

    ``kib`` are pairs (cell, KiB). ``policy`` is that of the largest mapping that has another than the process, or that
    of the process, as the kernel writes it: ``bind:1``, ``prefer:2``, ``interleave:0-3``, ``default``. None where there
    is no process.
    """

    kib: tuple[tuple[int, int], ...]
    policy: str | None = None


def find_process(uuids: Iterable[str], root: str = "/proc") -> dict[str, int]:
    """UUID of a domain -> pid of its QEMU, for those that run on this machine. One pass over the processes."""
    wanted = {uuid.encode(): uuid for uuid in uuids}
    found: dict[str, int] = {}
    for entry in sorted(filter(str.isdigit, _entries(root)), key=int):
        arguments = _read(os.path.join(root, entry, "cmdline")).split(b"\0")
        if b"-uuid" in arguments[:-1]:
            uuid = wanted.get(arguments[arguments.index(b"-uuid") + 1])
            if uuid is not None:
                found[uuid] = int(entry)
    return found


def threads(pid: int, root: str = "/proc") -> tuple[Thread, ...]:
    """The threads of a process, by id. One that ends meanwhile is left out."""
    found = []
    folder = os.path.join(root, str(pid), "task")
    for entry in sorted(_entries(folder), key=int):
        fields = dict(
            line.split(":\t", 1)
            for line in _read(os.path.join(folder, entry, "status")).decode(errors="replace").split("\n")
            if ":\t" in line
        )
        cpus = _set(fields.get("Cpus_allowed_list", ""))
        if cpus is not None:
            mems = _set(fields.get("Mems_allowed_list", ""))
            found.append(Thread(int(entry), fields.get("Name", ""), cpus, mems if mems is not None else CpuSet()))
    return tuple(found)


def memory(pid: int, root: str = "/proc") -> Memory | None:
    """Where the pages of a guest's memory are, or None where this user may not see it."""
    text = _read(os.path.join(root, str(pid), "numa_maps")).decode(errors="replace")
    if not text:
        return None
    lines = [(match[1], line) for line in text.splitlines() for match in [_POLICY.match(line)] if match]
    # QEMU's own memory follows the policy of the process, which is that of most mappings; the guest's may have another.
    common = Counter(own for own, _line in lines).most_common(1)
    policy = common[0][0] if common else "default"
    general, largest = (policy, "default"), -1
    total: dict[int, int] = {}
    for own, line in lines:
        file = _FILE.search(line)
        # The kernel writes the arguments of a program to its stack before the program, and so its policy, is there.
        if "stack" in line.split() or (file is not None and not _MEMORY_FILE.search(file[1])):
            continue
        size = _PAGE_SIZE.search(line)
        pages = {int(cell): int(count) * int(size[1] if size else 4) for cell, count in _PAGES.findall(line)}
        for cell, kib in pages.items():
            total[cell] = total.get(cell, 0) + kib
        if own not in general and sum(pages.values()) > largest:
            largest, policy = sum(pages.values()), own
    return Memory(tuple(sorted(total.items())), policy)


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []  # the process has ended, or this system has no such folder


def _set(text: str) -> CpuSet | None:
    try:
        return CpuSet.parse(text.strip())
    except CpuSetSyntaxError:
        return None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""  # the process has ended, or is another user's
