# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The QEMU processes that we started: telling them from all others, and ending them."""

from __future__ import annotations

import errno
import os
import select
import signal
from pathlib import Path

#: How long a process may take to obey, in seconds, before it is asked less politely.
PATIENCE = 10.0


def read_pid(pid_file: Path) -> int | None:
    """Return the number in a pid file, or None where there is no such file or no number in it."""
    try:
        return int(pid_file.read_text().strip())
    except (FileNotFoundError, ValueError):
        return None


def is_ours(pid: int, pid_file: Path, proc: Path = Path("/proc")) -> bool:
    """Tell whether a process is the QEMU that was started with exactly this pid file.

    A pid alone proves nothing: numbers are used again. The pid file's path is an argument of every QEMU we start, and
    of no other process's.
    """
    try:
        arguments = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    program = os.path.basename(arguments[0]).decode(errors="replace")
    return program.startswith("qemu-system-") and os.fsencode(str(pid_file)) in arguments[1:]


def running_pid(pid_file: Path) -> int | None:
    """Return the pid of our QEMU that wrote this pid file, or None when it does not run."""
    pid = read_pid(pid_file)
    return pid if pid is not None and is_ours(pid, pid_file) else None


def processor_seconds(pid: int, proc: Path = Path("/proc")) -> float:
    """Return the processor time that a process has taken so far, in seconds; 0 for one that is gone."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class OwnedProcess:
    """A running QEMU of ours, held by a file descriptor: a signal can never reach another process in its place."""

    def __init__(self, pid_file: Path) -> None:
        self._descriptor: int | None = None
        pid = read_pid(pid_file)
        if pid is None:
            return
        try:
            descriptor = os.pidfd_open(pid)
        except OSError as error:
            if error.errno in (errno.ESRCH, errno.EINVAL):
                return
            raise
        # Only now look at who it is: the descriptor keeps naming the process that we looked at.
        if is_ours(pid, pid_file):
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def __enter__(self) -> OwnedProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    @property
    def found(self) -> bool:
        """Whether there was such a process when this object was made."""
        return self._descriptor is not None

    def ended(self, within: float = 0.0) -> bool:
        """Wait up to this many seconds for the end of the process, and tell whether it came."""
        if self._descriptor is None:
            return True
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        return bool(poller.poll(within * 1000))

    def end(self) -> None:
        """Terminate the process, and kill it if it does not obey."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._descriptor is None or self.ended():
                return
            signal.pidfd_send_signal(self._descriptor, number)
            if self.ended(PATIENCE):
                return
