# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that a run has started, however far it has gone from it, and the end of it.

Process groups and parents do not tell: QEMU, ssh's shared connections and libvirtd leave both behind. An environment is
inherited by all of them, so a run puts a variable with a name of its own there.

A guard, a process of its own, waits until the run is gone, however that came about, and then ends what is left.
``python belongings.py NAME`` is that guard: it waits for the end of its standard input.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

#: What the variables' names start with.
PREFIX = "NUMA_VIRT_RUN_"

#: How long processes may take to end when they are asked to, in seconds, before they are killed.
PATIENCE = 20.0

#: Those that end a run: an interrupt from the keyboard, a polite end, and a terminal that is gone.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(BaseException):
    """This process was told to end, by the signal ``number``. No ``except Exception`` may hold it up."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


def new_name() -> str:
    """Return a variable's name that no other run has."""
    return f"{PREFIX}{os.getpid()}_{time.monotonic_ns()}"


def marked(name: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment (this process's own when left out) with which a process belongs to the run ``name``."""
    return {**(os.environ if environment is None else environment), name: "1"}


def _parents(proc: Path) -> dict[int, int]:
    """Each process's parent."""
    found = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                # The name in brackets may hold anything; what follows its last bracket is the state, then the parent.
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
    return found


def belongings(name: str, proc: Path = Path("/proc")) -> set[int]:
    """Return the pids of those that belong to the run ``name`` and run, this process left out.

    They have its variable, or an ancestor that has: some programs give their children a new environment.
    """
    word = f"{name}=".encode()
    parents = _parents(proc)
    found = set()
    for pid in parents:
        try:
            variables = (proc / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(variable.startswith(word) for variable in variables):
            found.add(pid)
    more = found
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - found
        found |= more
    return {pid for pid in found - {os.getpid()} if _runs(pid, proc)}


def _runs(pid: int, proc: Path) -> bool:
    try:
        return (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def end(name: str, patience: float = PATIENCE) -> set[int]:
    """End all that belongs to the run ``name``, also what it starts meanwhile; return the pids that were met."""
    met: set[int] = set()
    asked: set[int] = set()
    deadline = time.monotonic() + patience
    while True:
        here = belongings(name)
        if not here:
            return met
        met |= here
        late = time.monotonic() > deadline
        if late and time.monotonic() > deadline + patience:
            return met  # what does not even die when killed waits for a disk, and is not ours to wait for
        for pid in here if late else here - asked:
            _send(pid, name, signal.SIGKILL if late else signal.SIGTERM)
        asked |= here
        time.sleep(0.1)


def _send(pid: int, name: str, number: signal.Signals) -> None:
    """Signal a process that belongs to the run, and no other that has its number by now."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if pid in belongings(name):
            signal.pidfd_send_signal(descriptor, number)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def start_guard(name: str) -> subprocess.Popen[bytes]:
    """Start a guard of the run ``name``. It acts when its standard input is closed, as it is when this process ends."""
    return subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).resolve()), name],
        env={key: value for key, value in os.environ.items() if key != name},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def guard_this_process() -> None:
    """Have all that this process will start ended when it is gone; a polite end interrupts it, as the keyboard does."""
    name = new_name()
    guard = start_guard(name)
    # Never waited for, and its pipe is closed by nothing but the end of this process.
    atexit.register(lambda: guard.stdin and guard.stdin.close())
    guard.returncode = 0
    os.environ[name] = "1"

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is signal.SIG_DFL:
            signal.signal(each, stop)


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Have whatever belongs to the run ``name`` ended when this process is gone, killed even, or leaves the context."""
    with start_guard(name) as guard:
        try:
            yield
        finally:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Have the first signal that ends a run raise :class:`StoppedError` in the main thread, and later ones do nothing.

    One that was ignored from the start, as by nohup, stays ignored.
    """

    def stop(number: int, _frame: object) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise StoppedError(number)

    before = {each: signal.getsignal(each) for each in SIGNALS}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, stop)
    try:
        yield
    finally:
        if all(signal.getsignal(each) in (stop, before[each]) for each in SIGNALS):
            for each, handler in before.items():
                signal.signal(each, handler)


def main(name: str) -> int:
    """The guard."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    while select.select([0], [], []) and os.read(0, 1024):
        pass
    end(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
