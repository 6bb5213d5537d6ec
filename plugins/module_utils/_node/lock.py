# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that change guests of one host wait for each other, whoever starts them.

A run reads a domain, decides, and writes; another run in between would be undone without a word, and two plans would
give the same CPU away. So everybody who can reach a daemon takes one lock, and nobody else can:
- of root's daemon, and of Xen itself, it is in SYSTEM_DIRECTORY, root's, for the group of the daemon's socket;
- of any other daemon it is beside its socket, and belongs to the user who listens there;
- of a host elsewhere, and of a driver inside of this process, it is in the user's own state directory.
The kernel drops a lock with the process that held it, however that ended.
Who may read such a file could hold it for ever: others have no right to it at all.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import grp
import hashlib
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._node import files
from ansible_collections.numa.virt.plugins.module_utils._node.backup import default_directory
from ansible_collections.numa.virt.plugins.module_utils._node.lock_holders import holders, in_words
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon

# Longer than a guest takes to start, and shorter than a person waits without asking.
PATIENCE = 300.0
SYSTEM_DIRECTORY = "/run/numa.virt"
# Whom libvirt's own rule for polkit lets in, where a socket is open to everybody and polkit decides.
SYSTEM_GROUP = "libvirt"
_FLOCK = struct.Struct("hhqqi4x")  # struct flock in fcntl(2)
_INSIDE = Daemon()


class BusyError(NumaVirtError):
    """Another run holds the domain, or the host, for longer than we wait."""

    code = "busy"


class NoLockError(NumaVirtError):
    """The lock that everybody who reaches this daemon takes cannot be had. Nothing has been touched."""

    code = "no_lock"


def lock_directory() -> str:
    """Beside the backups' default directory: for locks that only runs of one user share."""
    return os.path.join(os.path.dirname(default_directory()), "lock")


@contextlib.contextmanager
def one_at_a_time(
    directory: str | None, name: str, seconds: float = PATIENCE, daemon: Daemon = _INSIDE
) -> Iterator[list[str]]:
    """Hold the lock of the domain ``name``; no plan for the whole host is carried out meanwhile. Raises BusyError.

    Without a ``directory`` nothing is locked. Gives what a user has to know of a lock that could not be had.
    """
    called = "the placement of guests on this host"
    with contextlib.ExitStack() as held:
        where, said = held.enter_context(_host(directory, fcntl.LOCK_SH, seconds, daemon, False, called))
        held.enter_context(_domain(where, name, seconds))
        yield said


@contextlib.contextmanager
def host_at_a_time(
    directory: str | None,
    seconds: float = PATIENCE,
    daemon: Daemon = _INSIDE,
    required: bool = False,
    hold: bool = True,
) -> Iterator[list[str]]:
    """Hold the lock of a whole host, so that no two plans give the same CPU away. Raises BusyError, InputError.

    With ``required`` a lock of a daemon of this machine that cannot be had is a NoLockError. Otherwise, as for a host
    elsewhere, it is only said: gives what a user has to know. Without ``hold``, for check mode, nothing is locked or
    made, and what can be known of the lock is said all the same.
    """
    if seconds < 0:
        raise InputError("lock_timeout", seconds, "is less than 0", "give seconds to wait, 0 not to wait")
    if not hold:
        yield _look(directory, daemon) if directory is not None and required else []
        return
    with _host(directory, fcntl.LOCK_EX, seconds, daemon, required, "guests of this host") as (_where, said):
        yield said


def _look(directory: str, daemon: Daemon) -> list[str]:
    """What is to be said of a lock before it is taken. Raises NoLockError; makes nothing."""
    where = _place(directory, daemon)
    if where.shared:
        try:
            os.close(_open(where, where.host, make=False))
        except OSError as error:
            makes = isinstance(error, FileNotFoundError) and os.geteuid() in (0, where.owner)
            if not makes and not daemon.host:
                raise _no_lock(where, error) from None
    return [_elsewhere(daemon)] if daemon.host and not where.shared else []


@dataclass(frozen=True)
class Place:
    """Where locks are. ``host`` and ``domains`` are names of files, ``owner`` is the user whose files are believed.

    ``made``: the mode of the directory where it may be made. ``shared``: whether all who reach the daemon take it.
    """

    directory: str
    host: str
    domains: str
    owner: int
    group: int = -1
    mode: int = 0o600
    made: int | None = None
    shared: bool = True

    @property
    def path(self) -> str:
        return os.path.join(self.directory, self.host)


def place_of(daemon: Daemon) -> Place | None:
    """Where the lock is that all who reach a daemon of this machine take; None for any other."""
    if daemon.rules_host:
        group, mode = _group_of(daemon)
        return Place(SYSTEM_DIRECTORY, "host.lock", "domains.lock", 0, group, mode, 0o755)
    if daemon.socket is not None and daemon.uid is not None:
        folder = os.path.dirname(daemon.socket)
        # Nobody loses anything by a daemon for tests: who may connect to it may lock it.
        group, mode = _rights(daemon) if daemon.driver == "test" else (-1, 0o600)
        return Place(folder, "numa.virt.host.lock", "numa.virt.domains.lock", daemon.uid, group, mode)
    return None


def _place(directory: str, daemon: Daemon) -> Place:
    shared = place_of(daemon)
    return shared if shared is not None else _own(directory, daemon)


def _own(directory: str, daemon: Daemon) -> Place:
    """For the runs of this user alone. A host's name is never part of a path."""
    digest = hashlib.sha256(daemon.host.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Place(directory, f"{digest}.host", f"{digest}.domains", os.geteuid(), made=0o700, shared=False)


def _rights(daemon: Daemon) -> tuple[int, int]:
    """(group, mode) of a lock for those who may connect to the socket."""
    try:
        there = os.stat(str(daemon.socket))
    except OSError:
        return -1, 0o600
    return there.st_gid, 0o600 | (stat.S_IMODE(there.st_mode) & 0o066)


def _group_of(daemon: Daemon) -> tuple[int, int]:
    """(group, mode) of the lock of root's daemon. One that polkit may refuse must not be able to hold it."""
    group, mode = _rights(daemon) if daemon.socket is not None else (-1, 0o600)
    if mode & 0o006:
        with contextlib.suppress(KeyError):
            return grp.getgrnam(SYSTEM_GROUP).gr_gid, 0o660
        return -1, 0o600
    return group, mode


@contextlib.contextmanager
def _host(
    directory: str | None, kind: int, seconds: float, daemon: Daemon, required: bool, called: str
) -> Iterator[tuple[Place | None, list[str]]]:
    if directory is None:
        yield None, []
        return
    where = _place(directory, daemon)
    said = [_elsewhere(daemon)] if required and daemon.host and not where.shared else []
    handle = None
    try:
        handle = _take(where, kind, seconds, called)
    except OSError as error:
        problem = _no_lock(where, error)
        if where.shared:
            if required and not daemon.host:
                raise problem from None
            said.append(f"{problem}; a numa_placement of another user may run at the same time")
            where = _own(directory, daemon)
            with contextlib.suppress(OSError):
                handle = _take(where, kind, seconds, called)
    try:
        yield (where if handle is not None else None), said
    finally:
        if handle is not None:
            os.close(handle)


def _take(where: Place, kind: int, seconds: float, called: str) -> int:
    """The handle of a host's lock, held. Raises OSError where there is none, BusyError."""
    while True:
        handle = _open(where, where.host)
        try:
            _wait(functools.partial(fcntl.flock, handle, kind | fcntl.LOCK_NB), handle, seconds, called)
            if os.fstat(handle).st_nlink:
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # it was removed while we waited: others lock a new one


@contextlib.contextmanager
def _domain(where: Place | None, name: str, seconds: float) -> Iterator[None]:
    """The lock of one domain: one byte of a file for all, so that nobody needs the right to make files there."""
    handle = None
    if where is not None:
        with contextlib.suppress(OSError):
            handle = _open(where, where.domains)
    if handle is None:
        yield
        return
    try:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        lock = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, int.from_bytes(digest[:7], "big"), 1, 0)
        with contextlib.suppress(OSError):  # where there are no locks of this kind, the host's must do
            take = functools.partial(fcntl.fcntl, handle, fcntl.F_OFD_SETLK, lock)
            _wait(take, handle, seconds, f"domain {name!r}")
        yield
    finally:
        os.close(handle)


def _wait(take: Callable[[], object], handle: int, seconds: float, called: str) -> None:
    """Try until it is taken. Raises BusyError, and OSError where that is no question of time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            take()
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if time.monotonic() >= deadline:
            raise _busy(called, seconds, handle)
        time.sleep(0.05)


def _open(where: Place, name: str, make: bool = True) -> int:
    """Open a lock file, and make it where this user may. Raises OSError."""
    if make and where.made is not None and os.geteuid() == where.owner:
        files.make_directory(where.directory, where.made)
    folder = os.open(where.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        problem = files.unsafe(os.fstat(folder), where.owner)
        if problem is not None:
            raise files.UnsafeFileError(f"its directory {problem}")
        try:
            return _opened(where, folder, name)
        except FileNotFoundError:
            if not make or os.geteuid() not in (0, where.owner):
                raise
        for each in (where.host, where.domains):
            files.add_file(folder, each, where.mode, (where.owner, where.group) if os.geteuid() == 0 else None)
        return _opened(where, folder, name)
    finally:
        os.close(folder)


def _opened(where: Place, folder: int, name: str) -> int:
    handle, there = files.open_regular(name, folder, os.O_RDWR)
    try:
        problem = "is not a file of its own" if there.st_nlink > 1 else files.owner_problem(there, where.owner)
        if problem is not None:
            raise files.UnsafeFileError(problem)
        if os.geteuid() == there.st_uid or os.geteuid() == 0:
            _mend(where, handle, there)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _mend(where: Place, handle: int, there: os.stat_result) -> None:
    """Others have no right to it that they should not have; and it is given to whom it could not be given before: its
    maker was killed, or did not know the group. A group that somebody, such as the role host, has chosen stays.
    """
    mode = stat.S_IMODE(there.st_mode)
    unfinished = mode & 0o700 == mode and (there.st_uid, there.st_gid, mode) != (where.owner, where.group, where.mode)
    if os.geteuid() == 0 and unfinished and (where.mode & 0o060 or there.st_uid != where.owner):
        os.fchown(handle, where.owner, where.group)
        os.fchmod(handle, where.mode)
    elif mode & 0o007 & ~where.mode:
        os.fchmod(handle, mode & (where.mode | 0o770))


def _busy(called: str, seconds: float, handle: int) -> BusyError:
    found = holders(handle)
    return BusyError(
        f"another run has been changing {called} for {seconds:.0f} s; run again when it has ended{in_words(found)}",
        locked=called,
        holders=[each.as_result() for each in found],
    )


def _no_lock(where: Place, error: OSError) -> NoLockError:
    reason = str(error.strerror)
    hint = "see what it is, and remove it"
    if isinstance(error, FileNotFoundError):
        reason, hint = "nobody has made it yet", "run one task of numa.virt as root, or the role numa.virt.host"
        if not where.made:
            reason, hint = "it cannot be made beside the daemon's socket", "run it as the user of the daemon"
    elif isinstance(error, PermissionError) and not isinstance(error, files.UnsafeFileError):
        hint = "run it as root, or give the lock to a group of yours with host_lock_group of the role numa.virt.host"
    elif error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
        hint = "its file system must have locks"
    elif error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
        hint = "make room there"
    return NoLockError(
        f"the lock of this host, {where.path}, cannot be had: {reason}; {hint}", path=where.path, reason=reason
    )


def _elsewhere(daemon: Daemon) -> str:
    return (
        f"{daemon.host} is reached by its name: only other runs of this user, on this machine, wait for this one; "
        "another could give the same CPUs away"
    )
