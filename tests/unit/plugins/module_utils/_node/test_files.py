# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files beside other users: traps are not opened, what belongs to a file stays with it, and nothing is left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node import files
from ansible_collections.numa.virt.plugins.module_utils._node.files import (
    UnsafeFileError,
    add_file,
    directory,
    make_directory,
    read_text,
    remove_leftovers,
    replace_file,
    room_problem,
    write_file,
)

TEMPORARY = ".numa.virt-0123abcd.tmp"


@pytest.fixture
def folder(tmp_path):
    with directory(str(tmp_path)) as handle:
        yield handle


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o777])
def test_a_directory_is_ours_from_its_first_moment(tmp_path, monkeypatch, umask):
    seen, real = [], os.mkdir

    def looking(path, bits):
        real(path, bits)
        seen.append(mode(path) & ~0o700)

    monkeypatch.setattr(os, "mkdir", looking)
    before = os.umask(umask)
    try:
        make_directory(str(tmp_path / "a" / "b"), 0o700)
        make_directory(str(tmp_path / "a" / "b"), 0o755)  # is there: stays
    finally:
        os.umask(before)
    assert seen == [0, 0]
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]


def test_traps_are_not_opened(tmp_path, folder):
    (tmp_path / "file").write_bytes(b"text\xff")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    assert read_text("file", folder) == "text\udcff"
    assert read_text("link", folder, follow=True) == "text\udcff"
    for name in ("link", "folder", "fifo"):
        with pytest.raises(UnsafeFileError, match="is not a regular file"):
            read_text(name, folder)
    for name in ("folder", "fifo"):
        with pytest.raises(UnsafeFileError, match="is not a regular file"):
            replace_file(folder, name, "new")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        replace_file(folder, "link", "new")
    with pytest.raises(FileNotFoundError):
        read_text("none", folder)
    assert (tmp_path / "file").read_bytes() == b"text\xff"


def test_files_of_others_are_not_read_as_ours(tmp_path, folder, monkeypatch):
    (tmp_path / "file").write_text("text")
    assert read_text("file", folder, own=True) == "text"
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result([*real(handle)[:4], 54321, *real(handle)[5:]]))
    with pytest.raises(UnsafeFileError, match="belongs to another user"):
        read_text("file", folder, own=True)


def test_what_looks_like_a_leftover_and_is_somebody_elses_stays(tmp_path, folder, monkeypatch):
    path = tmp_path / ".numa.virt-abcdef12.tmp"
    path.write_text("half")
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result([*real(handle)[:4], 54321, *real(handle)[5:]]))
    remove_leftovers(folder)
    assert path.read_text() == "half"
    monkeypatch.undo()
    remove_leftovers(folder)
    assert not path.exists()


def test_a_replaced_file_stays_its_owners(tmp_path, folder, monkeypatch):
    path = tmp_path / "web1.cfg"
    path.write_text("old")
    path.chmod(0o640)
    owners = []
    monkeypatch.setattr(os, "fchown", lambda _handle, *owner: owners.append(owner))
    replace_file(folder, "web1.cfg", "new\r\n")
    assert owners == []
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    replace_file(folder, "web1.cfg", "new\udce9\r\n")
    assert owners == [(path.stat().st_uid, path.stat().st_gid)]
    assert path.read_bytes() == b"new\xe9\r\n"
    assert mode(path) == 0o640
    assert os.listdir(tmp_path) == ["web1.cfg"]


def test_a_replaced_file_keeps_its_attributes(tmp_path, folder):
    path = tmp_path / "web1.cfg"
    path.write_text("old")
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system has no attributes")
    replace_file(folder, "web1.cfg", "new")
    assert (path.read_text(), os.getxattr(path, "user.note")) == ("new", b"mine")


ACL = "system.posix_acl_access"


def test_of_attributes_the_acl_and_the_label_are_kept_and_no_others(tmp_path, folder, monkeypatch):
    (tmp_path / "file").write_text("old")
    values = {ACL: b"acl", "security.selinux": b"label", "security.ima": b"hash", "trusted.overlay.x": b""}
    given = {}
    monkeypatch.setattr(os, "listxattr", lambda _handle: list(values))
    monkeypatch.setattr(os, "getxattr", lambda _handle, name: values[name])
    monkeypatch.setattr(os, "setxattr", lambda _handle, name, value: given.update({name: value}))
    replace_file(folder, "file", "new")
    assert given == {ACL: b"acl", "security.selinux": b"label"}


def test_a_label_that_the_new_file_has_by_itself(tmp_path, folder, monkeypatch):
    (tmp_path / "file").write_text("old")
    labels = [b"label", b"label", b"label", b"other"]

    def refuse(*_arguments):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "listxattr", lambda _handle: ["security.selinux"])
    monkeypatch.setattr(os, "getxattr", lambda _handle, _name: labels.pop(0))
    monkeypatch.setattr(os, "setxattr", refuse)
    replace_file(folder, "file", "new")
    with pytest.raises(PermissionError):
        replace_file(folder, "file", "newer")
    assert ((tmp_path / "file").read_text(), os.listdir(tmp_path)) == ("new", ["file"])


def test_a_file_system_without_attributes(tmp_path, folder, monkeypatch):
    def refuse(_handle):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, "listxattr", refuse)
    replace_file(folder, "file", "new")
    assert (tmp_path / "file").read_text() == "new"


def test_a_file_is_added_once(tmp_path, folder):
    before = os.umask(0o077)
    try:
        add_file(folder, "lock", 0o660, (os.geteuid(), os.getegid()))
    finally:
        os.umask(before)
    inode = os.stat(tmp_path / "lock").st_ino
    add_file(folder, "lock", 0o600)
    assert (os.stat(tmp_path / "lock").st_ino, mode(tmp_path / "lock")) == (inode, 0o660)
    assert os.listdir(tmp_path) == ["lock"]


def test_leftovers_go_and_what_is_being_written_stays(tmp_path, folder):
    for name in (TEMPORARY, ".a1b2c3d4.tmp", "mine.tmp", ".numa.virt-0.tmp"):
        (tmp_path / name).write_text("")
    (tmp_path / ".numa.virt-11111111.tmp").mkdir()
    (tmp_path / ".numa.virt-22222222.tmp").symlink_to("mine.tmp")
    os.mkfifo(tmp_path / ".numa.virt-33333333.tmp")
    stay = sorted(set(os.listdir(tmp_path)) - {TEMPORARY, ".a1b2c3d4.tmp"})
    with open(tmp_path / TEMPORARY, "r+") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        remove_leftovers(folder, ours=False)
        assert {TEMPORARY, ".a1b2c3d4.tmp"} <= set(os.listdir(tmp_path))
    remove_leftovers(folder, ours=False)
    assert TEMPORARY not in os.listdir(tmp_path)
    remove_leftovers(folder)
    assert sorted(os.listdir(tmp_path)) == stay


def test_a_temporary_file_that_was_taken_for_a_leftover_is_made_again(tmp_path, folder, monkeypatch):
    real, taken = fcntl.flock, []

    def later(handle, kind):
        if not taken:
            taken.extend(os.listdir(tmp_path))
            os.unlink(tmp_path / taken[0])
        real(handle, kind)

    monkeypatch.setattr(fcntl, "flock", later)
    write_file(folder, "file", "text", 0o600)
    assert len(taken) == 1 and os.listdir(tmp_path) == ["file"]


def test_a_file_system_without_locks_takes_files(tmp_path, folder, monkeypatch):
    def refuse(*_arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write_file(folder, "file", "text", 0o600)
    (tmp_path / TEMPORARY).write_text("")
    remove_leftovers(folder)
    assert sorted(os.listdir(tmp_path)) == [TEMPORARY, "file"]


def test_what_cannot_be_looked_at_has_no_room(tmp_path):
    assert room_problem(str(tmp_path / "none"), 0) == "cannot be looked at: No such file or directory"
    assert room_problem(str(tmp_path), 0) is None
    assert "KiB free" in room_problem(str(tmp_path), 1 << 60)


def test_room_of_one_who_is_not_root(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert room_problem(str(tmp_path), 0) is None
    assert files.unsafe(os.stat("/")) is None
