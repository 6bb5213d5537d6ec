# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time for each domain, and one plan at a time for each host: whoever starts them, and whoever would not
let them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._node import lock
from ansible_collections.numa.virt.plugins.module_utils._node.lock import (
    BusyError,
    NoLockError,
    host_at_a_time,
    lock_directory,
    one_at_a_time,
)
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon

FAR = Daemon("qemu", "elsewhere")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_second_waits_for_the_first(tmp_path):
    folder, order = str(tmp_path / "state" / "lock"), []
    inside = threading.Event()

    def first():
        with one_at_a_time(folder, "web1"):
            inside.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with one_at_a_time(folder, "web1"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_patience_ends(tmp_path):
    folder = str(tmp_path)
    with one_at_a_time(folder, "web1"), pytest.raises(BusyError) as error, one_at_a_time(folder, "web1", seconds=0):
        pass
    assert str(error.value) == "another run has been changing domain 'web1' for 0 s; run again when it has ended"
    # What held it has let it go.
    with one_at_a_time(folder, "web1", seconds=0):
        pass


def test_a_plan_for_the_host_waits_for_domains_and_they_for_it(tmp_path):
    folder = str(tmp_path)
    with one_at_a_time(folder, "web1"), one_at_a_time(folder, "web2", seconds=0):
        with pytest.raises(BusyError) as error, host_at_a_time(folder, 0):
            pass
        assert (
            str(error.value) == "another run has been changing guests of this host for 0 s; run again when it has ended"
        )
        with host_at_a_time(folder, 0, FAR):
            pass
    with host_at_a_time(folder, 0):
        said = "another run has been changing the placement of guests on this host"
        with pytest.raises(BusyError, match=said), one_at_a_time(folder, "web1", seconds=0):
            pass
        with pytest.raises(BusyError), host_at_a_time(folder, 0):
            pass
        with one_at_a_time(folder, "web1", seconds=0, daemon=FAR):
            pass


def test_an_error_lets_it_go(tmp_path):
    folder = str(tmp_path)
    with pytest.raises(KeyError), one_at_a_time(folder, "web1"):
        raise KeyError
    with one_at_a_time(folder, "web1", seconds=0):
        pass


@pytest.mark.parametrize("name", ["web1", "../../etc/passwd", "a b;$(c)", "\udc80", ""])
def test_a_name_is_no_path(tmp_path, name):
    folder = tmp_path / "lock"
    with one_at_a_time(str(folder), name):
        files = sorted(os.listdir(folder))  # of all domains, and of the host
        assert files == ["e3b0c44298fc1c14.domains", "e3b0c44298fc1c14.host"]
        assert {mode(folder / file) for file in files} == {0o600}
    assert os.listdir(tmp_path) == ["lock"]


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_directory_is_ours_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        with host_at_a_time(str(tmp_path / "state" / "lock")):
            pass
    finally:
        os.umask(before)
    assert [mode(tmp_path / "state"), mode(tmp_path / "state" / "lock")] == [0o700, 0o700]


def test_nothing_is_locked_where_nothing_can_be(tmp_path):
    """A driver inside of this process is nobody else's: there is nothing to say either."""
    file = tmp_path / "file"
    file.write_text("")
    for directory in (None, str(file)):
        with one_at_a_time(directory, "web1") as said, one_at_a_time(directory, "web1", seconds=0):
            assert said == []
        with host_at_a_time(directory, 0, required=True) as said:
            assert said == []
    assert file.read_text() == ""


def test_where(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert lock_directory() == "/var/lib/numa.virt/lock"


# --- root's daemon


class System:
    """A /run of our own, and a daemon that this user has to be taken for root to share."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.own = folder / "numa.virt", str(folder / "own")
        self.socket = folder / "libvirt-sock"
        self.socket.write_text("")
        self.socket.chmod(0o660)
        self.daemon = Daemon("qemu", "", str(self.socket), 0)
        monkeypatch.setattr(lock, "SYSTEM_DIRECTORY", str(self.folder))

    @property
    def file(self):
        return self.folder / "host.lock"

    def plan(self, seconds=0.0, **options):
        return host_at_a_time(self.own, seconds, self.daemon, required=True, **options)

    def change(self, name="web1"):
        return one_at_a_time(self.own, name, 0, self.daemon)

    def refusal(self, **options):
        with pytest.raises(NoLockError) as error, self.plan(**options):
            pass
        return str(error.value)


@pytest.fixture
def folder():
    """One that other users get to: the parents of tmp_path are the tester's alone."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o755)
        yield Path(path)


@pytest.fixture
def system(folder, monkeypatch):
    return System(folder, monkeypatch)


@contextlib.contextmanager
def user(uid, *groups):
    """What a user who is not root gets, in this process."""
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


@needs_root
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_the_group_of_the_socket_may_take_it_and_nobody_else(system, umask):
    os.chown(system.socket, 0, 4711)
    before = os.umask(umask)
    try:
        with system.plan() as said:
            assert said == []
    finally:
        os.umask(before)
    assert sorted(os.listdir(system.folder)) == ["domains.lock", "host.lock"]
    assert mode(system.folder) == 0o755
    assert {(mode(path), path.stat().st_gid) for path in system.folder.iterdir()} == {(0o660, 4711)}
    with user(65534, 4711):
        with system.plan(), pytest.raises(BusyError), system.plan():
            pass
        with system.change("a"), system.change("b"), pytest.raises(BusyError, match="domain 'a'"), system.change("a"):
            pass
    with user(65534):
        assert system.refusal() == (
            f"the lock of this host, {system.file}, cannot be had: Permission denied; run it as root, or give the "
            "lock to a group of yours with host_lock_group of the role numa.virt.host"
        )
        with pytest.raises(PermissionError):
            os.open(system.file, os.O_RDONLY)


@needs_root
def test_root_and_a_member_wait_for_each_other(system):
    os.chown(system.socket, 0, 4711)
    with system.plan(), user(65534, 4711), pytest.raises(BusyError), system.plan():
        pass
    with user(65534, 4711):
        taken = system.plan()
        taken.__enter__()
    with pytest.raises(BusyError):
        system.plan().__enter__()
    taken.__exit__(None, None, None)
    with system.plan():
        pass


@needs_root
def test_of_a_socket_for_everybody_the_group_that_polkit_lets_in(system, monkeypatch):
    system.socket.chmod(0o666)
    monkeypatch.setattr(grp, "getgrnam", lambda _name: grp.struct_group(("libvirt", "x", 4712, [])))
    with system.plan():
        pass
    assert (mode(system.file), system.file.stat().st_gid) == (0o660, 4712)


@needs_root
def test_of_a_socket_for_everybody_without_that_group_root_alone(system, monkeypatch):
    def unknown(_name):
        raise KeyError

    system.socket.chmod(0o666)
    monkeypatch.setattr(grp, "getgrnam", unknown)
    with system.plan():
        pass
    assert (mode(system.file), system.file.stat().st_gid) == (0o600, 0)
    # Once it is known who may use the daemon, they may take the lock.
    system.socket.chmod(0o660)
    os.chown(system.socket, 0, 4711)
    with system.plan():
        pass
    assert (mode(system.file), system.file.stat().st_gid) == (0o660, 4711)


@needs_root
def test_a_group_that_was_chosen_for_it_stays_and_others_lose_their_right(system):
    with system.plan():
        pass
    os.chown(system.file, 0, 4713)
    system.file.chmod(0o666)
    with system.plan():
        pass
    assert (mode(system.file), system.file.stat().st_gid) == (0o660, 4713)


@needs_root
@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_a_run_that_was_killed_while_it_made_the_lock(system, folder, monkeypatch, umask):
    def killed(*_arguments):
        raise KeyboardInterrupt

    os.chown(system.socket, 0, 4711)
    os.chown(folder, 65534, -1)
    daemon = Daemon("test", "", str(system.socket), 65534)
    for each, name in ((system.daemon, system.file), (daemon, folder / "numa.virt.host.lock")):
        before = os.umask(umask)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fchown", killed)
                with pytest.raises(KeyboardInterrupt):
                    host_at_a_time(system.own, 0, each, required=True).__enter__()
            assert (mode(name), name.stat().st_uid) == (0o600 & ~umask, 0)
            with host_at_a_time(system.own, 0, each, required=True):
                pass
        finally:
            os.umask(before)
        assert (mode(name), name.stat().st_uid, name.stat().st_gid) == (0o660, each.uid, 4711)


def test_xen_without_libvirt_is_the_same_host(system):
    if os.geteuid() != 0:
        pytest.skip("only root makes the lock")
    with system.plan(), pytest.raises(BusyError), host_at_a_time(system.own, 0, Daemon("xl"), required=True):
        pass
    with host_at_a_time(system.own, 0, Daemon("xl"), required=True), pytest.raises(BusyError), system.plan():
        pass


@needs_root
def test_where_root_has_not_made_it_a_plan_is_refused_and_the_rest_warns(system):
    said = (
        f"the lock of this host, {system.file}, cannot be had: nobody has made it yet; run one task of numa.virt as "
        "root, or the role numa.virt.host"
    )
    os.mkdir(system.own)
    os.chown(system.own, 65534, 65534)
    with user(65534, 4711):
        assert system.refusal() == said
        assert system.refusal(hold=False) == said, "check mode says the same"
        with system.change() as warned:
            assert warned == [f"{said}; a numa_placement of another user may run at the same time"]
            with pytest.raises(BusyError), system.change():  # of one user all the same
                pass
        with host_at_a_time(system.own, 0, system.daemon) as warned:
            assert len(warned) == 1
    assert not system.folder.exists()
    with system.plan(hold=False) as warned:
        assert (warned, system.folder.exists()) == ([], False)


TRAPS = ["link", "fifo", "folder", "somebody's", "linked twice", "a link for the directory", "an open directory"]


@needs_root
@pytest.mark.parametrize("trap", TRAPS)
def test_what_others_could_have_put_there_is_not_believed(system, folder, trap):
    with system.plan():
        pass
    other = folder / "other"
    if trap == "link":
        system.file.rename(other)
        system.file.symlink_to(other)
    elif trap == "fifo":
        system.file.unlink()
        os.mkfifo(system.file)
    elif trap == "folder":
        system.file.unlink()
        system.file.mkdir()
    elif trap == "somebody's":
        os.chown(system.file, 54321, -1)
    elif trap == "linked twice":
        os.link(system.file, other)
    elif trap == "a link for the directory":
        system.folder.rename(other)
        system.folder.symlink_to(other)
    else:
        system.folder.chmod(0o777)
    said = system.refusal()
    assert re.fullmatch(r"the lock of this host, .*/host.lock, cannot be had: .*; .*", said), said
    assert system.refusal(hold=False) == said


def test_a_lock_that_is_removed_while_it_is_waited_for(tmp_path, monkeypatch):
    """Whoever comes later locks the new file: so do we."""
    folder = tmp_path / "own"
    real, removed = fcntl.flock, []

    def late(handle, kind):
        real(handle, kind)
        if not removed and os.fstat(handle).st_size == 0:
            removed.append(handle)
            (folder / "e3b0c44298fc1c14.host").unlink(missing_ok=True)

    with host_at_a_time(str(folder)):
        pass
    monkeypatch.setattr(fcntl, "flock", late)
    with host_at_a_time(str(folder)), pytest.raises(BusyError), host_at_a_time(str(folder), 0):
        pass
    assert removed


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOLCK, "its file system must have locks"), (errno.ENOSPC, "make room there"),
     (errno.EIO, "see what it is, and remove it")],
)  # fmt: skip
def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, number, hint):
    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    daemon = Daemon("test", "", str(tmp_path / "libvirt-sock"), os.geteuid())
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(NoLockError, match=f"cannot be had: {os.strerror(number)}; {hint}"):
        host_at_a_time(str(tmp_path / "own"), 0, daemon, required=True).__enter__()
    with one_at_a_time(str(tmp_path / "own"), "web1", 0, daemon) as said:
        assert len(said) == 1
    with host_at_a_time(str(tmp_path / "own"), 0, required=True) as said:
        assert said == []


def test_without_locks_of_single_bytes_that_of_the_host_must_do(tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with one_at_a_time(str(tmp_path), "web1"), pytest.raises(BusyError), host_at_a_time(str(tmp_path), 0):
        pass


# --- other daemons


def test_of_another_daemon_it_is_beside_its_socket(tmp_path):
    run = tmp_path / "run"
    run.mkdir(0o700)
    for driver in ("qemu", "test"):
        daemon = Daemon(driver, "", str(run / "libvirt-sock"), os.geteuid() if driver == "test" else 4711)
        if driver == "qemu" and os.geteuid() != 0:
            continue
        os.chown(run, daemon.uid, -1)
        with host_at_a_time(str(tmp_path / "a"), 0, daemon, required=True), pytest.raises(BusyError):
            host_at_a_time(str(tmp_path / "b"), 0, daemon, required=True).__enter__()
        files = sorted(os.listdir(run))
        assert files == ["numa.virt.domains.lock", "numa.virt.host.lock"]
        assert {(mode(run / name), os.stat(run / name).st_uid) for name in files} == {(0o600, daemon.uid)}
        for name in files:
            os.unlink(run / name)


@needs_root
def test_a_daemon_for_tests_may_be_locked_by_whoever_may_connect(folder):
    socket = folder / "libvirt-sock"
    socket.write_text("")
    socket.chmod(0o777)
    daemon = Daemon("test", "", str(socket), 0)
    with (
        user(65534),
        pytest.raises(NoLockError, match="it cannot be made beside the daemon's socket; run it as the us"),
    ):
        host_at_a_time("/nowhere", 0, daemon, required=True).__enter__()
    with host_at_a_time("/nowhere", 0, daemon, required=True), user(65534), pytest.raises(BusyError):
        host_at_a_time("/nowhere", 0, daemon, required=True).__enter__()


def test_a_socket_that_is_gone(tmp_path):
    daemon = Daemon("test", "", str(tmp_path / "none" / "libvirt-sock"), os.geteuid())
    with pytest.raises(NoLockError, match="it cannot be made beside the daemon's socket"):
        host_at_a_time(str(tmp_path / "own"), 0, daemon, required=True).__enter__()
    with host_at_a_time(str(tmp_path / "own"), 0, daemon) as said:
        assert len(said) == 1


def test_a_host_elsewhere_is_only_warned_of(tmp_path):
    said = (
        "elsewhere is reached by its name: only other runs of this user, on this machine, wait for this one; another "
        "could give the same CPUs away"
    )
    for hold in (True, False):
        with host_at_a_time(str(tmp_path), 0, FAR, required=True, hold=hold) as warned:
            assert warned == [said]
    with host_at_a_time(str(tmp_path), 0, FAR, required=True), pytest.raises(BusyError):
        host_at_a_time(str(tmp_path), 0, FAR, required=True).__enter__()
    with one_at_a_time(str(tmp_path), "web1", 0, FAR) as warned:
        assert warned == []
    with host_at_a_time(str(tmp_path), 0, FAR, hold=False) as warned:
        assert warned == []


@needs_root
def test_this_host_by_its_name_has_the_same_lock(system):
    daemon = Daemon("qemu", "localhost", None, 0, True)
    with system.plan(), pytest.raises(BusyError):
        host_at_a_time(system.own, 0, daemon, required=True).__enter__()
    with host_at_a_time(system.own, 0, daemon, required=True, hold=False) as said:
        assert said == []
    system.folder.chmod(0o777)
    for hold in (True, False):
        with host_at_a_time(system.own, 0, daemon, required=True, hold=hold) as said:
            assert len(said) == hold


def test_seconds_that_are_none(tmp_path):
    with pytest.raises(InputError) as error:
        host_at_a_time(str(tmp_path), -5).__enter__()
    assert str(error.value) == "lock_timeout: -5: is less than 0; give seconds to wait, 0 not to wait"


# --- who holds it

HOLDS = """
import sys
from ansible_collections.numa.virt.plugins.module_utils._node.lock import host_at_a_time, one_at_a_time
with (host_at_a_time(sys.argv[1]) if len(sys.argv) < 3 else one_at_a_time(sys.argv[1], sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("domain", [[], ["web1"]])
def test_who_holds_it_is_named_and_it_ends_with_him(tmp_path, domain):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path), *domain],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        if child.stdout.readline() != b"held\n":
            assert b"ModuleNotFoundError" in child.stderr.read()
            pytest.skip("the collection cannot be imported outside of this process")
        try:
            with pytest.raises(BusyError) as error, one_at_a_time(str(tmp_path), "web1", 0):
                pass
        finally:
            child.kill()
        (holder,) = error.value.fields["holders"]
        assert holder["pid"] == child.pid
        assert holder["user"] and holder["what"] and re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8} UTC", holder["since"])
        assert f"; held by pid {child.pid} of {holder['user']} (" in str(error.value)
        child.wait()
    with one_at_a_time(str(tmp_path), "web1", 0):
        pass
