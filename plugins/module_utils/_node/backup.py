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
import time

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._node import files

KEPT = 10
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STAMP = r"\.[0-9]{8}T[0-9]{6}\.[0-9]{9}\.(xml|cfg)"


def default_directory() -> str:
    """Where backups go unless told otherwise: the system's state directory for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return "/var/lib/numa.virt/backup"
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "numa.virt", "backup")


def check_directory(directory: str, option: str = "backup_dir", needed: int = 0) -> None:
    """Whether files of ``needed`` bytes could be written there. Makes nothing, so that check mode may ask.

    Raises InputError.
    """
    existing = os.path.abspath(directory)
    while not os.path.lexists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise InputError(option, directory, f"{existing} is not a directory", "give a directory of your own")
    there = files.unsafe(os.stat(existing)) if existing == os.path.abspath(directory) else None
    if there is not None:
        raise InputError(option, directory, f"it {there}", "give a directory of your own")
    problem = files.room_problem(existing, needed)
    if problem is not None:
        raise InputError(option, directory, f"{existing} {problem}", "give a directory of your own")


def keep(directory: str, uuid: str, text: str, suffix: str = "xml") -> str:
    """save(), unless the newest backup holds this very definition: a run that fails and is repeated adds nothing, and
    so pushes no older definition out. Returns the file's path. Raises InputError."""
    newest = kept(directory, uuid, text)
    if newest is not None:
        return newest
    return save(directory, uuid, text, suffix)


def kept(directory: str, uuid: str, text: str) -> str | None:
    """The newest backup of a domain where it holds this very definition, else None."""
    with contextlib.suppress(OSError, ValueError), files.directory(directory) as folder:
        files.remove_leftovers(folder)
        for newest in _backups(folder, uuid)[-1:]:
            if files.read_text(newest, folder, own=True) == text:
                return os.path.join(directory, newest)
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
    name = f"{uuid}.{stamp}.{suffix}"
    try:
        files.make_directory(directory, 0o700)
        with files.directory(directory) as folder:
            files.remove_leftovers(folder)
            files.write_file(folder, name, text, 0o600)
            # Never the new one, whatever the clock did.
            older = [each for each in _backups(folder, uuid) if each != name]
            for old in older[: max(0, len(older) - KEPT + 1)]:
                with contextlib.suppress(OSError):
                    os.unlink(old, dir_fd=folder)
    except OSError as error:
        raise InputError(
            "backup_dir", directory, f"a backup cannot be written there: {error.strerror}", "give another directory"
        ) from None
    return os.path.join(directory, name)


def backups(directory: str, uuid: str) -> list[str]:
    """Files of one domain, the oldest first."""
    return [os.path.join(directory, name) for name in _backups(directory, uuid)]


def _backups(folder: str | int, uuid: str) -> list[str]:
    ours = re.compile(re.escape(uuid) + _STAMP)
    return sorted(filter(ours.fullmatch, os.listdir(folder)))
