# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds a lock, as far as the kernel says so: /proc/locks in proc(5), and the processes' own entries.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import os
import pwd
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PROC = "/proc"
_LOCK = re.compile(r"\d+: (?:FLOCK|OFDLCK) +ADVISORY +\w+ +(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")
# How Ansible names a module that it runs.
_MODULE = re.compile(
    rb"AnsiballZ_([a-z0-9_]{1,40})\.py|ansible_collections\.numa\.virt\.plugins\.modules\.([a-z_]{1,40})"
)


@dataclass(frozen=True)
class Holder:
    """A process. ``user`` is a name, or a number that has none; ``since`` when it began, in UTC; ``what`` its name."""

    pid: int
    user: str | None = None
    what: str | None = None
    since: str | None = None

    def as_result(self) -> dict[str, Any]:
        return {"pid": self.pid, "user": self.user, "what": self.what, "since": self.since}

    def __str__(self) -> str:
        parts = [f"pid {self.pid}"]
        parts += [f"of {self.user}"] if self.user is not None else []
        parts += [f"({self.what})"] if self.what is not None else []
        parts += [f"since {self.since}"] if self.since is not None else []
        return " ".join(parts)


def in_words(found: Sequence[Holder]) -> str:
    """The end of a sentence; empty where nobody is known."""
    return f"; held by {' and '.join(map(str, found[:3]))}" if found else ""


def holders(handle: int, proc: str | None = None) -> list[Holder]:
    """The processes that hold a lock of this file, by pid, without this one."""
    root = PROC if proc is None else proc
    there = os.fstat(handle)
    wanted = (os.major(there.st_dev), os.minor(there.st_dev), there.st_ino)
    pids, nameless = set(), False
    for line in _read(os.path.join(root, "locks")).decode(errors="replace").splitlines():
        match = _LOCK.match(line)
        if match and (int(match[2], 16), int(match[3], 16), int(match[4])) == wanted:
            pids.add(int(match[1]))
            nameless = nameless or match[1] == "-1"
    if nameless:  # a lock of an open file has no process: whose files are they?
        pids.update(_openers(root, there))
    return [_holder(root, pid) for pid in sorted(pids) if pid > 0 and pid != os.getpid()]


def _openers(root: str, wanted: os.stat_result) -> list[int]:
    """Processes with a lock on that file, of those whose files this user may see."""
    text = f":{wanted.st_ino} ".encode()
    return [
        int(entry)
        for entry in filter(str.isdigit, _entries(root))
        for fd in _entries(os.path.join(root, entry, "fdinfo"))
        for line in _read(os.path.join(root, entry, "fdinfo", fd)).splitlines()
        if line.startswith(b"lock:") and text in line
    ]


def _holder(root: str, pid: int) -> Holder:
    folder = os.path.join(root, str(pid))
    try:
        uid = os.stat(folder).st_uid
    except OSError:
        return Holder(pid)  # it has ended, or is not to be seen
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = f"uid {uid}"
    return Holder(pid, user, _what(folder), _since(root, folder))


def _what(folder: str) -> str | None:
    """The module that it runs, else the name that it gave itself."""
    module = _MODULE.search(_read(os.path.join(folder, "cmdline")))
    if module:
        return module[1].decode()
    name = _read(os.path.join(folder, "comm")).decode(errors="replace")
    return re.sub(r"[^\w. :/@+-]", "?", name.strip()) or None


def _since(root: str, folder: str) -> str | None:
    started = started_at(booted_at(root), folder)
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(started)) if started is not None else None


def booted_at(root: str) -> int | None:
    """When the system began, in seconds since the epoch. The kernel takes a millisecond and more to say it."""
    boot = re.search(rb"^btime (\d+)$", _read(os.path.join(root, "stat")), re.MULTILINE)
    return int(boot[1]) if boot is not None else None


def started_at(boot: int | None, folder: str) -> float | None:
    """When a process began, in seconds since the epoch; None where that is not to be seen. ``boot``: booted_at()."""
    # The name may hold blanks and brackets: what follows it is found from the end. 22nd field: proc(5).
    fields = _read(os.path.join(folder, "stat")).rpartition(b")")[2].split()
    if boot is None or len(fields) < 20 or not fields[19].isdigit():
        return None
    return boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
