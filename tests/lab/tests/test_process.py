# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes are ours, and how they end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numalab import process
from numalab.process import OwnedProcess, is_ours, read_pid, running_pid


def pretend(proc: Path, pid: int, *arguments: str) -> None:
    """Make a ``/proc`` entry."""
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "cmdline").write_bytes(b"\0".join(map(os.fsencode, arguments)) + b"\0")


def test_a_qemu_with_our_pid_file_is_ours(tmp_path: Path) -> None:
    pretend(tmp_path, 7, "/usr/bin/qemu-system-x86_64", "-pidfile", "/lab/kvm/qemu.pid", "-daemonize")
    assert is_ours(7, Path("/lab/kvm/qemu.pid"), tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("qemu-system-x86_64", "-pidfile", "/lab/kvm2/qemu.pid"),
        ("qemu-system-x86_64", "-pidfile", "/lab/kvm/qemu.pid.old"),
        ("qemu-system-x86_64",),
        ("vi", "/lab/kvm/qemu.pid"),
        ("",),
    ],
)
def test_any_other_process_is_not(arguments: tuple[str, ...], tmp_path: Path) -> None:
    pretend(tmp_path, 7, *arguments)
    assert not is_ours(7, Path("/lab/kvm/qemu.pid"), tmp_path)


def test_a_process_that_is_gone_is_not_ours(tmp_path: Path) -> None:
    assert not is_ours(7, Path("/lab/kvm/qemu.pid"), tmp_path)


@pytest.mark.parametrize(("text", "pid"), [("42\n", 42), ("", None), ("x", None)])
def test_a_pid_file_holds_a_number_or_nothing(text: str, pid: int | None, tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(text)
    assert read_pid(tmp_path / "pid") == pid


def test_no_pid_file_is_no_process(tmp_path: Path) -> None:
    assert read_pid(tmp_path / "none") is None
    with OwnedProcess(tmp_path / "none") as owned:
        assert not owned.found
        assert owned.ended()
        owned.end()


def start_stand_in(folder: Path, code: str, program: str = "qemu-system-test") -> tuple[subprocess.Popen[bytes], Path]:
    """Start a Python that looks like a QEMU of ours, and return it once it runs its code."""
    pid_file = folder / "qemu.pid"
    name = folder / program
    name.symlink_to(shutil.which(sys.executable) or sys.executable)
    script = f"{code}; print('up', flush=True); time.sleep(600)"
    child = subprocess.Popen([name, "-c", script, "-pidfile", str(pid_file)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    child.stdout.close()
    pid_file.write_text(f"{child.pid}\n")
    return child, pid_file


def test_our_process_is_terminated(tmp_path: Path) -> None:
    child, pid_file = start_stand_in(tmp_path, "import time")
    assert running_pid(pid_file) == child.pid
    with OwnedProcess(pid_file) as owned:
        assert owned.found
        assert not owned.ended()
        owned.end()
        assert owned.ended()
    assert child.wait() == -15


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.2)
    child, pid_file = start_stand_in(tmp_path, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    with OwnedProcess(pid_file) as owned:
        owned.end()
    assert child.wait() == -9


def test_a_stranger_with_the_number_in_our_pid_file_is_left_alone(tmp_path: Path) -> None:
    child, pid_file = start_stand_in(tmp_path, "import time", program="stranger")
    try:
        assert running_pid(pid_file) is None
        with OwnedProcess(pid_file) as owned:
            assert not owned.found
            owned.end()
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
