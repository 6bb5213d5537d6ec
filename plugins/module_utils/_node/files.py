# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of this machine, where other users may be about: what is read is a file and no trap, what is written is whole.

A directory is opened once, and its files are reached through it: what is put in its place meanwhile is not followed.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from typing import Optional

# A file gets its name when it is whole. Until then it has one like this, and its writer holds a lock on it.
_PREFIX = ".numa.virt-"
_SUFFIX = ".tmp"
_TEMPORARY = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}" + re.escape(_SUFFIX))
# Of versions before 0.2.0; only in directories that are this collection's own.
_OLD_TEMPORARY = re.compile(r"\.[a-z0-9_]{8}\.tmp")
# What belongs to a file beside its owner and mode: an ACL, a label, and what people attach.
_KEPT_ATTRIBUTES = re.compile(r"system\.posix_acl_access|security\.selinux|user\..*", re.DOTALL)
# Room for what a file takes beside its text.
_SPARE = 64 * 1024

Owner = Optional["tuple[int, int]"]


class UnsafeFileError(OSError):
    """Something is not what it should be: not a file, or somebody else's. ``strerror`` says what."""

    def __init__(self, problem: str) -> None:
        super().__init__(errno.EPERM, problem)


def make_directory(path: str, mode: int) -> None:
    """A directory and its missing parents, each of that mode from its first moment whatever the umask. Raises OSError.

    os.makedirs() leaves parents to the umask.
    """
    path = os.path.abspath(path)
    if os.path.isdir(path):
        return
    make_directory(os.path.dirname(path), mode)
    with contextlib.suppress(FileExistsError):  # another run was faster
        os.mkdir(path, mode)  # the umask can only take away
        os.chmod(path, mode)


@contextlib.contextmanager
def directory(path: str) -> Iterator[int]:
    """An open directory. Raises OSError, where others may put files of theirs in the place of ours UnsafeFileError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        problem = unsafe(os.fstat(handle))
        if problem is not None:
            raise UnsafeFileError(problem)
        yield handle
    finally:
        os.close(handle)


def unsafe(there: os.stat_result, owner: int | None = None) -> str | None:
    """Why a directory is not one to keep files in: somebody else's, or open to everybody; else None.

    ``owner`` is the user, beside root, whose it may be; without it the one who runs this.
    """
    problem = owner_problem(there, owner)
    if problem is not None:
        return problem
    if there.st_mode & stat.S_IWOTH and not there.st_mode & stat.S_ISVTX:
        return f"can be written to by everybody (mode {stat.S_IMODE(there.st_mode):04o})"
    return None


def owner_problem(there: os.stat_result, owner: int | None = None) -> str | None:
    """Whose it is, where that is neither root nor ``owner``, by default who runs this; else None."""
    if there.st_uid not in (0, os.geteuid() if owner is None else owner):
        return f"belongs to another user (uid {there.st_uid})"
    return None


def open_regular(
    name: str, folder: int | None = None, flags: int = os.O_RDONLY, follow: bool = False
) -> tuple[int, os.stat_result]:
    """(handle, what it is) of a file that is there. Raises OSError.

    Anything else is an UnsafeFileError, and is not waited for: a FIFO would never end. ``folder`` is an open directory.
    A link is followed only where told so.
    """
    flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    handle = os.open(name, flags, dir_fd=folder)
    there = os.fstat(handle)
    if not stat.S_ISREG(there.st_mode):
        os.close(handle)
        raise UnsafeFileError("is not a regular file")
    return handle, there


@contextlib.contextmanager
def regular_file(
    name: str, folder: int | None = None, flags: int = os.O_RDONLY, follow: bool = False
) -> Iterator[tuple[int, os.stat_result]]:
    """The same, closed at the end."""
    handle, there = open_regular(name, folder, flags, follow)
    try:
        yield handle, there
    finally:
        os.close(handle)


def read_bytes(name: str, folder: int | None = None, follow: bool = False, own: bool = False, most: int = -1) -> bytes:
    """What a regular file holds, as open_regular() opens it. Raises OSError, for a link too UnsafeFileError.

    ``own`` refuses files of others. ``most`` is how many bytes are read, of a file that may be larger than anything we
    make of it.
    """
    text, there = read_owned(name, folder, follow, most)
    problem = owner_problem(there) if own else None
    if problem is not None:
        raise UnsafeFileError(problem)
    return text


def _read(handle: int, most: int) -> bytes:
    with open(handle, "rb", closefd=False) as file:
        return file.read(most)


def read_owned(
    name: str, folder: int | None = None, follow: bool = False, most: int = -1
) -> tuple[bytes, os.stat_result]:
    """The same, and whose it is."""
    try:
        with regular_file(name, folder, follow=follow) as (handle, there):
            return _read(handle, most), there
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise UnsafeFileError("is not a regular file") from None
        raise


def read_text(name: str, folder: int | None = None, follow: bool = False, own: bool = False, most: int = -1) -> str:
    """The same as text, of which every byte can be had back."""
    return read_bytes(name, folder, follow, own, most).decode("utf-8", "surrogateescape")


def write_file(folder: int, name: str, text: str, mode: int, owner: Owner = None) -> None:
    """Write a file of that mode whatever the umask, whole or not at all. Raises OSError."""
    with _whole(folder, text, mode, owner, {}) as temporary:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def add_file(folder: int, name: str, mode: int, owner: Owner = None) -> None:
    """An empty file, unless there is one of that name: that stays as it is. Raises OSError.

    Until it has its mode and owner it is only its maker's.
    """
    try:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    except FileExistsError:
        return
    try:
        if owner is not None:
            os.fchown(handle, *owner)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def replace_file(folder: int, name: str, text: str) -> None:
    """Give a file another text, whole or not at all; owner, mode, ACL and label stay. Raises OSError."""
    with regular_file(name, folder) as (handle, there):
        attributes = _attributes(handle)
    owner = (there.st_uid, there.st_gid)
    with _whole(folder, text, stat.S_IMODE(there.st_mode), owner, attributes) as temporary:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is only on its way to another one."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_leftovers(folder: int, ours: bool = True) -> None:
    """Take away what killed runs have left half written. In a directory that is not ``ours`` old names stay."""
    for name in os.listdir(folder):
        if not _TEMPORARY.fullmatch(name) and not (ours and _OLD_TEMPORARY.fullmatch(name)):
            continue
        with contextlib.suppress(OSError), regular_file(name, folder, os.O_RDWR) as (handle, there):
            if there.st_uid == os.geteuid():
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while it is being written
                os.unlink(name, dir_fd=folder)


def room_problem(path: str, needed: int) -> str | None:
    """Why ``needed`` bytes cannot be written below an existing directory: no room, or none may write; else None."""
    try:
        there = os.statvfs(path)
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    if there.f_flag & os.ST_RDONLY:
        return "is on a file system that is read-only"
    if not os.access(path, os.W_OK | os.X_OK):
        return "cannot be written to"
    free = there.f_bavail if os.geteuid() else there.f_bfree
    if free * there.f_frsize < needed + _SPARE:
        return f"is on a file system with {free * there.f_frsize // 1024} KiB free"
    # A file system without a fixed number of files says 0 of 0.
    if there.f_files and not (there.f_favail if os.geteuid() else there.f_ffree):
        return "is on a file system that takes no more files"
    return None


def _attributes(handle: int) -> dict[str, bytes]:
    """Extended attributes that stay with a file's name."""
    try:
        names = os.listxattr(handle)
    except OSError:
        return {}  # a file system without
    return {name: os.getxattr(handle, name) for name in names if _KEPT_ATTRIBUTES.fullmatch(name)}


@contextlib.contextmanager
def _whole(folder: int, text: str, mode: int, owner: Owner, attributes: dict[str, bytes]) -> Iterator[str]:
    """A temporary file that holds the text, and is gone afterwards unless it got another name."""
    handle, temporary = _temporary(folder)
    try:
        with os.fdopen(handle, "wb") as file:
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                os.fchown(handle, *owner)
            os.fchmod(handle, mode)
            for name, value in attributes.items():
                _set_attribute(handle, name, value)
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(handle)
            # Its lock goes with the handle: until then nobody takes it for a leftover.
            yield temporary
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)


def _temporary(folder: int) -> tuple[int, str]:
    """(handle, name) of a new file of mode 0600 whatever the umask, locked."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        name = f"{_PREFIX}{secrets.token_hex(4)}{_SUFFIX}"
        handle = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            with contextlib.suppress(OSError):  # without locks nothing is taken for a leftover either
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                return handle, name
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another run took it for a leftover before it was locked


def _set_attribute(handle: int, name: str, value: bytes) -> None:
    try:
        os.setxattr(handle, name, value)
    except OSError:
        # A label that the new file got by itself needs nobody's leave.
        if os.getxattr(handle, name) != value:
            raise
