# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state directory of a managed node: definitions as they were before each change.

Files hold secrets: 0600 in directories of mode 0700. A file's name is made of the domain's UUID, never of its name.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError

KEPT = 10
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STAMP = r"\.[0-9]{8}T[0-9]{6}\.[0-9]{9}\.(xml|cfg)"


def default_directory() -> str:
    """Where backups go unless told otherwise: the system's state directory for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return "/var/lib/numa.virt/backup"
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "numa.virt", "backup")


def check_directory(directory: str, option: str = "backup_dir") -> None:
    """Whether a backup could be written there. Makes nothing, so that check mode may ask. Raises InputError."""
    existing = os.path.abspath(directory)
    while not os.path.lexists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise InputError(option, directory, f"{existing} is not a directory", "give a directory of your own")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(option, directory, f"{existing} cannot be written to", "give a directory of your own")


def keep(directory: str, uuid: str, text: str, suffix: str = "xml") -> str:
    """save(), unless the newest backup holds this very definition: a run that fails and is repeated adds nothing, and
    so pushes no older definition out. Returns the file's path. Raises InputError."""
    newest = kept(directory, uuid, text)
    if newest is not None:
        return newest
    return save(directory, uuid, text, suffix)


def kept(directory: str, uuid: str, text: str) -> str | None:
    """The newest backup of a domain where it holds this very definition, else None."""
    with contextlib.suppress(OSError, ValueError):
        for newest in backups(directory, uuid)[-1:]:
            with open(newest, encoding="utf-8", errors="surrogateescape", newline="") as file:
                if file.read() == text:
                    return newest
    return None


def save(directory: str, uuid: str, text: str, suffix: str = "xml") -> str:
    """Write a definition to a new file and drop the oldest beyond KEPT. Returns the file's path. ``suffix`` is "xml" or
    "cfg".

    Raises InputError where that is not possible; then nothing is left behind.
    """
    if not _UUID.fullmatch(uuid):
        raise ValueError("not a UUID")
    now = time.time_ns()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}"
    path = os.path.join(directory, f"{uuid}.{stamp}.{suffix}")
    try:
        _make_directory(os.path.abspath(directory))
        _write(path, text, 0o600)
    except OSError as error:
        raise InputError(
            "backup_dir", directory, f"a backup cannot be written there: {error.strerror}", "give another directory"
        ) from None
    # Never the new one, whatever the clock did.
    older = [each for each in backups(directory, uuid) if each != path]
    for old in older[: max(0, len(older) - KEPT + 1)]:
        with contextlib.suppress(OSError):
            os.unlink(old)
    return path


def backups(directory: str, uuid: str) -> list[str]:
    """Files of one domain, the oldest first."""
    ours = re.compile(re.escape(uuid) + _STAMP)
    return [os.path.join(directory, name) for name in sorted(filter(ours.fullmatch, os.listdir(directory)))]


def _make_directory(directory: str) -> None:
    """The directory and its missing parents, each 0700 whatever the umask: os.makedirs() leaves parents to it."""
    if os.path.isdir(directory):
        return
    _make_directory(os.path.dirname(directory))
    with contextlib.suppress(FileExistsError):  # another run was faster
        os.mkdir(directory, 0o700)
        os.chmod(directory, 0o700)


def replace_file(path: str, text: str) -> None:
    """Give a file another text, whole or not at all; its owner and mode stay. Raises OSError."""
    there = os.stat(path)
    _write(path, text, stat.S_IMODE(there.st_mode), (there.st_uid, there.st_gid))


def make_file(path: str, text: str, mode: int) -> None:
    """A new file with that text, whole or not at all, of that mode whatever the umask. Raises OSError."""
    _write(path, text, mode)


def _write(path: str, text: str, mode: int, owner: tuple[int, int] | None = None) -> None:
    # mkstemp makes the file 0600 whatever the umask; it gets its name only when it is whole.
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
