# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs that change one domain at the same time wait for each other.

A run reads a domain, decides, and writes; another run in between would be undone without a word. The kernel drops a
lock with the process that held it, however that ended.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator

from ansible_collections.numa.virt.plugins.module_utils._backup import default_directory
from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError

# Longer than a guest takes to start, and shorter than a person waits without asking.
PATIENCE = 300.0


class BusyError(NumaVirtError):
    """Another run holds the domain, or the host, for longer than we wait."""

    code = "busy"


def lock_directory() -> str:
    """Beside the backups' default directory, so that all runs of one user agree whatever their options."""
    return os.path.join(os.path.dirname(default_directory()), "lock")


@contextlib.contextmanager
def one_at_a_time(directory: str | None, name: str, seconds: float = PATIENCE, where: str = "") -> Iterator[None]:
    """Hold the lock of the domain ``name``; no plan for the whole host is carried out meanwhile. Raises BusyError.

    ``where`` is the host, empty for this machine. Without a ``directory`` nothing is locked. A directory that cannot be
    made is no reason not to work: then there is no lock, as there was none before.
    """
    with (
        _held(directory, _host_key(where), fcntl.LOCK_SH, seconds, "the placement of guests on this host"),
        _held(directory, name, fcntl.LOCK_EX, seconds, f"domain {name!r}"),
    ):
        yield


@contextlib.contextmanager
def host_at_a_time(directory: str | None, seconds: float = PATIENCE, where: str = "") -> Iterator[None]:
    """Hold the lock of a whole host, so that no two plans give the same CPU away. Raises BusyError."""
    with _held(directory, _host_key(where), fcntl.LOCK_EX, seconds, "guests of this host"):
        yield


@contextlib.contextmanager
def _held(directory: str | None, key: str, kind: int, seconds: float, called: str) -> Iterator[None]:
    file = _open(directory, key) if directory is not None else None
    if file is None:
        yield
        return
    try:
        deadline = time.monotonic() + seconds
        while not _locked(file, kind):
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"another run has been changing {called} for {seconds:.0f} s; run again when it has ended",
                    locked=called,
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(file)


def _host_key(where: str) -> str:
    return f"\0{where}"  # no domain has a name with a NUL


def _open(directory: str, name: str) -> int | None:
    # A name is never part of a path.
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        return os.open(os.path.join(directory, digest), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
