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
from collections.abc import Set as AbstractSet

from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError
from ansible_collections.numa.virt.plugins.module_utils._node import files
from ansible_collections.numa.virt.plugins.module_utils._node.lock_holders import booted_at, started_at
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon
from ansible_collections.numa.virt.plugins.module_utils._values.observation import (
    SCHEDULER,
    Memory,
    Scheduler,
    Thread,
)

# QEMU names its threads for libvirt (-name …,debug-threads=on); the kernel cuts a name to 15 characters.
_VCPU = re.compile(r"CPU (\d+)/")
_IOTHREAD = re.compile(r"IO iothread(\d+)")
# Threads of QEMU that live where its emulator does. Others take the place of whoever made them: a worker that of an IO
# thread, KVM's own that of a vCPU (from Linux 6.12 on), those of io_uring none that can be predicted.
_OF_EMULATOR = re.compile(r"qemu|kvm$|call_rcu|IO mon_iothread|vnc_worker|SPICE Worker")
_PAGES = re.compile(r"\bN(\d+)=(\d+)")
_PAGE_SIZE = re.compile(r"\bkernelpagesize_kB=(\d+)")
# File mappings are QEMU's own code and libraries, shared with everybody; memory of the guest is anonymous, or of a
# memory file or of huge pages.
_FILE = re.compile(r"\bfile=(\S+)")
# The second word of a line, which in two modes has a space in it (policy_modes[] in the kernel's mm/mempolicy.c).
_POLICY = re.compile(r"\S+ (prefer \(many\)\S*|weighted interleave\S*|\S+)")
# SCHED_* in the kernel's include/uapi/linux/sched.h
_POLICIES = {b"0": "other", b"1": "fifo", b"2": "rr", b"3": "batch", b"5": "idle"}
_MEMORY_FILE = re.compile(r"/memfd:|/dev/shm/|/anon_hugepage|/dev/hugepages|/libvirt/qemu/")


# A guest's control group, with systemd and without (virSystemdMakeScopeName(), virCgroupNewPartition() in libvirt).
_GUESTS = re.compile(r"/machine-qemu[^/]*\.scope(/|$)|/[^/]*\.libvirt-qemu(/|$)")
# There people may make groups of their own, and call them as they like.
_USERS = "/user.slice"
ROOT = "/proc"
# Seconds by which the two clocks of the kernel may differ.
_CLOCKS = 60.0


class Processes:
    """Which process is which guest's QEMU, by something that no other user of this machine can counterfeit.

    The daemon's own pid file says it, in a directory where only the daemon's user may write; that costs two small files
    for each guest. Where it is not to be read (by a user who is not root), all processes are looked at, once for a
    run, and only those that the daemon itself must have started are believed: see find_process().
    """

    def __init__(self, daemon: Daemon) -> None:
        self._folders = daemon.pid_folders
        self._owner = daemon.uid if daemon.uid is not None else 0
        self._scanned: dict[str, int] | None = None
        self._boot = booted_at(ROOT)

    def pid_of(self, name: str, uuid: str) -> int:
        """The pid; 0 where that of no process is believed."""
        for folder in self._folders:
            pid = self._written(folder, name)
            if pid and _is_guest(pid, uuid) and _lives_with(pid, self._owner, True):
                return pid
        if self._scanned is None:
            self._scanned = find_process(None, None, self._owner)
        return self._scanned.get(uuid, 0)

    def _written(self, folder: str, name: str) -> int:
        """What the daemon's file says (virPidFileBuildPath() in libvirt); 0 where there is none of its own."""
        if not name or "/" in name or "\0" in name:
            return 0
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return 0
        try:
            if not self._is_daemons(os.fstat(handle)):
                return 0
            text, there = files.read_owned(f"{name}.pid", handle)
        except (OSError, ValueError):
            return 0  # a name that no file can have, too
        finally:
            os.close(handle)
        text = text.strip()
        if not self._is_daemons(there) or not text.isdigit() or len(text) > 10:
            return 0
        started = started_at(self._boot, os.path.join(ROOT, text.decode()))
        # A process that began after the file was written is another one with the number of a guest that has ended.
        # Where the clock was set meanwhile a right one is refused, and found by looking at all.
        return 0 if started is not None and started > there.st_mtime + _CLOCKS else int(text)

    def _is_daemons(self, there: os.stat_result) -> bool:
        return there.st_uid in (0, self._owner) and not there.st_mode & 0o022


def find_process(uuids: Iterable[str] | None, root: str | None = None, owner: int = 0) -> dict[str, int]:
    """UUID of a domain -> pid of its QEMU, for those that run on this machine; without ``uuids`` of all that are there.
    One pass over the processes.

    Anybody can give his process such arguments. Believed are those in the control group that libvirt made for a guest
    of root's daemon, where nobody else can put a process; and those of ``owner``, the user of another daemon.
    """
    wanted = None if uuids is None else {uuid.encode() for uuid in uuids}
    found: dict[str, int] = {}
    root = ROOT if root is None else root
    for entry in sorted(filter(str.isdigit, _entries(root)), key=int):
        uuid = _uuid_of(os.path.join(root, entry))
        if uuid and (wanted is None or uuid in wanted) and _lives_with(int(entry), owner, False, root):
            found[uuid.decode(errors="replace")] = int(entry)
    return found


def _uuid_of(folder: str) -> bytes:
    arguments = _read(os.path.join(folder, "cmdline")).split(b"\0")
    return arguments[arguments.index(b"-uuid") + 1] if b"-uuid" in arguments[:-1] else b""


def _is_guest(pid: int, uuid: str) -> bool:
    """Whether a process calls itself this guest: proves nothing, but that a file is not of an earlier process."""
    return _uuid_of(os.path.join(ROOT, str(pid))) == uuid.encode()


def _lives_with(pid: int, owner: int, written: bool, root: str | None = None) -> bool:
    """Whether the daemon of ``owner`` can have started it. ``written``: whether that daemon's file says so.

    Then a guest of root's daemon may have no control group of its own (cgroup_controllers = [] in qemu.conf), but never
    one of a user who has logged in.
    """
    folder = os.path.join(ROOT if root is None else root, str(pid))
    if owner != 0:
        try:
            return os.stat(folder).st_uid == owner
        except OSError:
            return False
    lines = _read(os.path.join(folder, "cgroup")).decode(errors="replace").split("\n")
    groups = [line.split(":", 2)[2] for line in lines if line.count(":") > 1]
    if any(group.startswith(_USERS) for group in groups):
        return False
    return written or any(_GUESTS.search(group) for group in groups)


def thread(tid: int, name: str, cpus: CpuSet, mems: CpuSet, scheduler: Scheduler | None = None) -> Thread:
    """A thread of QEMU, and what it is by its name."""
    vcpu, iothread = _VCPU.match(name), _IOTHREAD.match(name)
    return Thread(
        tid,
        name,
        cpus,
        mems,
        int(vcpu[1]) if vcpu else None,
        int(iothread[1]) if iothread else None,
        _OF_EMULATOR.match(name) is not None,
        scheduler,
    )


def scheduler_of(stat: bytes) -> Scheduler | None:
    """What a thread's stat file says (fields 40 and 41 of proc(5)); None for a policy that libvirt has no name for.

    The second field is a name in brackets, in which anything may be.
    """
    fields = stat.rpartition(b")")[2].split()
    if len(fields) < 39:
        return None
    policy = _POLICIES.get(fields[38])
    return Scheduler(policy, int(fields[37]) or None) if policy is not None else None


def threads(pid: int, root: str | None = None, more: AbstractSet[str] = frozenset()) -> tuple[Thread, ...]:
    """The threads of a process, by id. One that ends meanwhile is left out.

    ``more`` is what to read besides: SCHEDULER, which costs a file more for each thread.
    """
    found = []
    folder = os.path.join(ROOT if root is None else root, str(pid), "task")
    for entry in sorted(_entries(folder), key=int):
        fields = dict(
            line.split(":\t", 1)
            for line in _read(os.path.join(folder, entry, "status")).decode(errors="replace").split("\n")
            if ":\t" in line
        )
        cpus = _set(fields.get("Cpus_allowed_list", ""))
        if cpus is not None:
            mems = _set(fields.get("Mems_allowed_list", ""))
            stat = _read(os.path.join(folder, entry, "stat")) if SCHEDULER in more else b""
            found.append(
                thread(
                    int(entry),
                    fields.get("Name", ""),
                    cpus,
                    mems if mems is not None else CpuSet(),
                    scheduler_of(stat),
                )
            )
    return tuple(found)


def memory(pid: int, root: str | None = None) -> Memory | None:
    """Where the pages of a guest's memory are, or None where this user may not see it."""
    text = _read(os.path.join(ROOT if root is None else root, str(pid), "numa_maps")).decode(errors="replace")
    if not text:
        return None
    lines = [(match[1], line) for line in text.splitlines() for match in [_POLICY.match(line)] if match]
    # QEMU's own memory follows the policy of the process, which is that of most mappings; the guest's may have another.
    common = Counter(own for own, _line in lines).most_common(1)
    policy = common[0][0] if common else "default"
    general, largest = (policy, "default"), -1
    total: Counter[int] = Counter()
    large: Counter[tuple[int, int]] = Counter()
    for own, line in lines:
        file = _FILE.search(line)
        # The kernel writes the arguments of a program to its stack before the program, and so its policy, is there.
        if "stack" in line.split() or (file is not None and not _MEMORY_FILE.search(file[1])):
            continue
        page = _PAGE_SIZE.search(line)
        size = int(page[1]) if page else 4
        pages = {int(cell): int(count) * size for cell, count in _PAGES.findall(line)}
        total.update(pages)
        large.update({(cell, size): kib for cell, kib in pages.items() if size > 4})
        if own not in general and sum(pages.values()) > largest:
            largest, policy = sum(pages.values()), own
    return Memory(tuple(sorted(total.items())), policy, tuple((*where, kib) for where, kib in sorted(large.items())))


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
