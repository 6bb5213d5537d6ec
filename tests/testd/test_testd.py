# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private daemon comes up, keeps its state between connections, and leaves nothing behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("testd.py")
_spec = importlib.util.spec_from_file_location("numa_virt_testd", SCRIPT)
assert _spec is not None and _spec.loader is not None
testd = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(testd)

libvirt = pytest.importorskip("libvirt")


def _gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


def test_state_survives_between_connections_and_nothing_is_left() -> None:
    with testd.TestDaemon() as daemon:
        first = libvirt.open(daemon.uri)
        assert first.getInfo()[4] == 2, "the default test host has two cells"
        first.lookupByName("test").destroy()
        first.close()
        second = libvirt.open(daemon.uri)
        assert not second.lookupByName("test").isActive()
        second.close()
        folder, children = daemon.folder, [child.pid for child in daemon._children]
    assert len(children) == 2
    assert all(_gone(pid) for pid in children)
    assert not os.path.exists(folder)


def test_a_daemon_that_was_killed_comes_again_at_the_same_socket() -> None:
    with testd.TestDaemon() as daemon:
        uri, before = daemon.uri, daemon.pid
        os.kill(before, signal.SIGKILL)
        daemon.again()
        assert (daemon.uri, daemon.pid != before) == (uri, True)
        connection = libvirt.open(uri)
        assert [each.name() for each in connection.listAllDomains()] == ["test"]
        connection.close()


def test_two_daemons_share_nothing() -> None:
    with testd.TestDaemon() as one, testd.TestDaemon() as other:
        assert one.uri != other.uri
        connection = libvirt.open(one.uri)
        connection.lookupByName("test").destroy()
        connection.close()
        connection = libvirt.open(other.uri)
        assert connection.lookupByName("test").isActive()
        connection.close()


def test_daemon_is_unprivileged() -> None:
    with testd.TestDaemon() as daemon:
        for child in daemon._children:
            assert os.stat(f"/proc/{child.pid}").st_uid != 0


def test_a_failure_inside_cleans_up() -> None:
    folders = []

    def fail() -> None:
        with testd.TestDaemon() as daemon:
            folders.append(daemon.folder)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    (folder,) = folders
    assert not os.path.exists(folder)


def test_run_gives_the_uri_and_the_command_s_status() -> None:
    check = "import os, sys; sys.exit(7 if os.environ['NUMA_VIRT_TEST_URI'].startswith('test+unix:') else 1)"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "run", "--", sys.executable, "-c", check], stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == 7
    assert b"NUMA_VIRT_TEST_URI=test+unix:///default?socket=" in done.stderr


def test_run_says_when_the_command_is_not_there() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "run", "--", "/no/such"], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 127
    assert b"/no/such" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_daemon_ends_with_us(number: signal.Signals) -> None:
    child = subprocess.Popen(
        [sys.executable, str(SCRIPT), "run", "--", "cat"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stderr is not None and child.stdin is not None
    line = child.stderr.readline().decode()
    folder = line.partition("socket=")[2].partition("/run/")[0]
    assert os.path.isdir(folder)
    daemons = [
        pid
        for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if folder.encode() in _command_line(pid) and pid != child.pid
    ]
    assert daemons
    child.send_signal(number)
    child.stdin.close()
    child.wait(20)
    child.stderr.close()
    limit = time.monotonic() + 20
    while not all(_gone(pid) for pid in daemons) and time.monotonic() < limit:
        time.sleep(0.05)
    assert all(_gone(pid) for pid in daemons)
    if number != signal.SIGKILL:
        assert not os.path.exists(folder)
    else:
        testd.shutil.rmtree(folder)


def _command_line(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_socket_path_fits_even_under_a_deep_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(testd.tempfile, "tempdir", str(deep))
    with testd.TestDaemon() as daemon:
        assert len(daemon.socket) <= testd.LONGEST_SOCKET
