# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups hold secrets: who may read them, how many stay, and what is left when writing one fails."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._node import backup
from ansible_collections.numa.virt.plugins.module_utils._node.backup import (
    KEPT,
    backups,
    check_directory,
    default_directory,
    keep,
    save,
)

UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"
OTHER = UUID.replace("c7", "d8")
XML = "<domain><name>größer</name><graphics passwd='s3cret'/></domain>\n"


def _mode(path):
    return os.stat(path).st_mode & 0o7777


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_only_the_owner_may_read_whatever_the_umask(tmp_path, umask):
    directory = tmp_path / "state" / "numa.virt" / "backup"
    path = save(str(directory), UUID, XML)
    assert _mode(path) == 0o600
    for folder in (directory, directory.parent, directory.parent.parent):
        assert _mode(folder) == 0o700
    with open(path, encoding="utf-8") as file:
        assert file.read() == XML
    assert os.listdir(directory) == [os.path.basename(path)]


def test_a_directory_that_was_there_keeps_its_mode(tmp_path):
    os.chmod(tmp_path, 0o755)
    path = save(str(tmp_path), UUID, XML)
    assert (_mode(tmp_path), _mode(path)) == (0o755, 0o600)


def test_a_relative_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_directory("a/b")
    assert not (tmp_path / "a").exists()
    assert os.path.isfile(save("a/b", UUID, XML))


def test_the_newest_are_kept_for_each_domain(tmp_path):
    theirs = [save(str(tmp_path), OTHER, "theirs") for _each in range(3)]
    written = [save(str(tmp_path), UUID, str(number)) for number in range(KEPT + 3)]
    assert KEPT == 10
    assert backups(str(tmp_path), UUID) == written[3:]
    assert [Path(path).read_text(encoding="utf-8") for path in written[3:]] == [str(n) for n in range(3, KEPT + 3)]
    assert backups(str(tmp_path), OTHER) == theirs


def test_what_the_newest_holds_already_is_not_kept_twice(tmp_path):
    first = keep(str(tmp_path / "new"), UUID, "one")
    assert keep(str(tmp_path / "new"), UUID, "one") == first
    second = keep(str(tmp_path / "new"), UUID, "two\r\nlines")
    assert keep(str(tmp_path / "new"), UUID, "two\r\nlines") == second
    assert keep(str(tmp_path / "new"), UUID, "one") not in (first, second)
    assert keep(str(tmp_path / "new"), OTHER, "one") != first
    assert len(backups(str(tmp_path / "new"), UUID)) == 3


def test_a_newest_that_cannot_be_read_is_no_reason_to_keep_nothing(tmp_path):
    for number, content in enumerate((b"\xff", None)):
        newest = tmp_path / f"{UUID}.2999010{number + 1}T000000.000000000.xml"
        if content is None:
            newest.mkdir()
        else:
            newest.write_bytes(content)
        assert os.path.isfile(keep(str(tmp_path), UUID, XML))


def test_the_new_one_is_kept_although_the_clock_was_set_back(tmp_path, monkeypatch):
    old = [save(str(tmp_path), UUID, "old") for _each in range(KEPT)]
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    path = save(str(tmp_path), UUID, "new")
    assert os.path.basename(path) == f"{UUID}.20010909T014640.000000000.xml"
    assert backups(str(tmp_path), UUID) == [path, *old[1:]]


def test_files_of_others_are_left_alone(tmp_path):
    others = [
        f"{UUID}.mine.xml",
        f"{UUID}.xml",
        f"{UUID}.20260101T000000.000000000.xml.bak",
        f"x{UUID}.20260101T000000.000000000.xml",
        f"{UUID}.20260101T000000.000000000.xml\n",
        "README",
    ]
    for name in others:
        (tmp_path / name).write_text("keep", encoding="utf-8")
    for _each in range(KEPT + 1):
        save(str(tmp_path), UUID, XML)
    assert set(others) <= set(os.listdir(tmp_path))
    assert len(backups(str(tmp_path), UUID)) == KEPT


def test_an_old_one_that_cannot_be_removed_is_no_error(tmp_path):
    stubborn = tmp_path / f"{UUID}.20010101T000000.000000000.xml"
    stubborn.mkdir()
    for _each in range(KEPT):
        path = save(str(tmp_path), UUID, XML)
    assert os.path.isfile(path) and stubborn.is_dir()


@pytest.mark.parametrize("text", ["web1", "../../etc/passwd", "", UUID + "/..", UUID + "\n", UUID.upper()])
def test_a_path_is_made_of_a_uuid_only(tmp_path, text):
    with pytest.raises(ValueError, match=r"^not a UUID$"):
        save(str(tmp_path / "new"), text, XML)
    assert os.listdir(tmp_path) == []


# --- failures


@pytest.mark.parametrize("step", ["fsync", "rename", "fchmod"])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), InputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_in_the_middle_leaves_nothing(tmp_path, monkeypatch, step, error, raised):
    kept = save(str(tmp_path), UUID, XML)

    def fail(*_arguments, **_folders):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(raised) as caught:
        save(str(tmp_path), UUID, XML)
    assert os.listdir(tmp_path) == [os.path.basename(kept)]
    if raised is InputError:
        assert str(caught.value) == (
            f"backup_dir: '{tmp_path}': a backup cannot be written there: No space left on device; "
            "give another directory"
        )


def test_even_a_temporary_file_that_cannot_be_removed_hides_no_failure(tmp_path, monkeypatch):
    def fail(*_arguments, **_folders):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "rename", fail)
    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(InputError, match="Input/output error"):
        save(str(tmp_path), UUID, XML)
    assert backups(str(tmp_path), UUID) == []


KILLED = """
import os, signal, sys
from ansible_collections.numa.virt.plugins.module_utils._node import backup
os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
backup.save(sys.argv[1], sys.argv[2], "x" * 100000)
"""


def test_a_kill_in_the_middle_leaves_no_half_backup(tmp_path):
    kept = save(str(tmp_path), UUID, XML)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), UUID], env=environment, check=False, stderr=subprocess.PIPE
    )
    if done.returncode == 1 and b"ModuleNotFoundError" in done.stderr:
        pytest.skip("the collection cannot be imported outside of this process")
    assert done.returncode == -signal.SIGKILL
    assert backups(str(tmp_path), UUID) == [kept]
    assert all(_mode(tmp_path / name) == 0o600 for name in os.listdir(tmp_path))


def test_another_run_that_makes_the_directory_first(tmp_path, monkeypatch):
    real = os.mkdir

    def slower(path, mode):
        real(path, mode)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "mkdir", slower)
    assert os.path.isfile(save(str(tmp_path / "a"), UUID, XML))


def test_a_file_where_the_directory_should_be(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"^backup_dir: '.*': .*file is not a directory; give a directory"):
            check_directory(str(directory))
        with pytest.raises(InputError, match="a backup cannot be written there"):
            save(str(directory), UUID, XML)


def test_a_dangling_link_is_not_a_directory(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="link is not a directory"):
        check_directory(str(tmp_path / "link" / "below"))


def test_checking_makes_nothing(tmp_path):
    check_directory(str(tmp_path / "a" / "b" / "c"))
    check_directory(str(tmp_path))
    check_directory("/")
    assert os.listdir(tmp_path) == []


def test_a_directory_that_may_not_be_written_to(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    with pytest.raises(InputError) as error:
        check_directory(str(tmp_path / "a" / "b"), "state_dir")
    assert str(error.value) == (
        f"state_dir: '{tmp_path}/a/b': {tmp_path} cannot be written to; give a directory of your own"
    )
    assert asked == [(str(tmp_path), os.W_OK | os.X_OK)]


def _refused(function, *arguments):
    try:
        function(*arguments)
    except InputError:
        return 1
    return 0


def test_a_directory_of_somebody_else(tmp_path):
    """The same with the system's own word, as a user who is not root."""
    closed = tmp_path / "closed"
    closed.mkdir(0o555)
    child = os.fork()
    if child == 0:
        failures = 0
        try:
            if os.geteuid() == 0:
                os.chmod(tmp_path, 0o755)
                os.chroot(tmp_path)  # its parents are root's alone
                os.setgroups([])
                os.setuid(65534)
            directory = "/closed" if os.getuid() == 65534 else str(closed)
            failures += _refused(check_directory, directory) + _refused(save, directory, UUID, XML)
        finally:
            os._exit(failures)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert os.listdir(closed) == []


# --- where


def test_the_default_of_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_directory() == "/var/lib/numa.virt/backup"


@pytest.mark.parametrize(
    ("state_home", "directory"),
    [("/x/state", "/x/state/numa.virt/backup"), ("", "/home/me/.local/state/numa.virt/backup"), (None, None)],
)
def test_the_default_of_a_person(monkeypatch, state_home, directory):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if state_home is not None:
        monkeypatch.setenv("XDG_STATE_HOME", state_home)
    assert backup.default_directory() == (directory or "/home/me/.local/state/numa.virt/backup")


# --- other users


def test_a_newest_that_would_never_end_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / f"{UUID}.29990101T000000.000000000.xml")
    assert Path(keep(str(tmp_path), UUID, XML)).read_text(encoding="utf-8") == XML
    (tmp_path / f"{OTHER}.29990101T000000.000000000.xml").symlink_to(save(str(tmp_path), UUID, XML))
    assert not Path(keep(str(tmp_path), OTHER, XML)).is_symlink(), "a link is no backup"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_newest_of_somebody_else_is_not_believed(tmp_path, monkeypatch):
    theirs = save(str(tmp_path), UUID, XML)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    os.chown(tmp_path, 0, -1)
    monkeypatch.setattr(backup.files, "unsafe", lambda _there: None)
    os.chown(theirs, 54321, -1)
    assert keep(str(tmp_path), UUID, XML) != theirs


@pytest.mark.parametrize(
    ("mode", "owner", "problem"),
    [
        (0o777, None, r"can be written to by everybody \(mode 0777\)"),
        (0o1777, None, None),
        (0o770, None, None),
        (0o700, 54321, r"belongs to another user \(uid 54321\)"),
    ],
)
def test_a_directory_where_others_could_put_files_of_theirs(tmp_path, mode, owner, problem):
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    if owner is not None:
        if os.geteuid() != 0:
            pytest.skip("only root can give a directory away")
        os.chown(folder, owner, -1)
    if problem is None:
        check_directory(str(folder))
        save(str(folder), UUID, XML)
        return
    with pytest.raises(InputError, match=f"^backup_dir: '{folder}': it {problem}; give a directory of your own$"):
        check_directory(str(folder))
    with pytest.raises(InputError, match=f"a backup cannot be written there: {problem}; give another directory$"):
        save(str(folder), UUID, XML)
    assert list(folder.iterdir()) == []


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    kept = save(str(tmp_path), UUID, XML)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for again in (keep, save):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), UUID], env=environment, check=False, stderr=subprocess.PIPE
        )
        if done.returncode == 1 and b"ModuleNotFoundError" in done.stderr:
            pytest.skip("the collection cannot be imported outside of this process")
        assert len(os.listdir(tmp_path)) == 2
        kept = again(str(tmp_path), UUID, XML)
        assert os.path.basename(kept) in os.listdir(tmp_path)
        assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
        for name in os.listdir(tmp_path):
            if again is save and os.path.join(tmp_path, name) != kept:
                os.unlink(tmp_path / name)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"f_flag": os.ST_RDONLY}, "is on a file system that is read-only"),
        ({"f_bfree": 10, "f_bavail": 10}, "is on a file system with 40 KiB free"),
        ({"f_ffree": 0, "f_favail": 0}, "is on a file system that takes no more files"),
    ],
)
def test_a_disk_that_takes_nothing_is_seen_before_anything_is_written(tmp_path, monkeypatch, values, problem):
    real = os.statvfs(tmp_path)
    there = {name: getattr(real, name) for name in dir(real) if name.startswith("f_")}
    monkeypatch.setattr(os, "statvfs", lambda _path: type("There", (), {**there, **values}))
    with pytest.raises(InputError, match=f"^backup_dir: '.*': {tmp_path} {problem}; give a directory of your own$"):
        check_directory(str(tmp_path / "backup"))
    assert list(tmp_path.iterdir()) == []
