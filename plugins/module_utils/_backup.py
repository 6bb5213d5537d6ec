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
import tempfile
import time

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError

KEPT = 10
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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


def save(directory: str, uuid: str, xml: str) -> str:
    """Write a definition to a new file and drop the oldest beyond KEPT. Returns the file's path."""
    if not _UUID.fullmatch(uuid):
        raise ValueError("not a UUID")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}"
    path = os.path.join(directory, f"{uuid}.{stamp}.xml")
    # mkstemp makes the file 0600 whatever the umask; it gets its name only when it is whole.
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(xml)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    for old in backups(directory, uuid)[:-KEPT]:
        with contextlib.suppress(OSError):
            os.unlink(old)
    return path


def backups(directory: str, uuid: str) -> list[str]:
    """Files of one domain, the oldest first."""
    names = sorted(name for name in os.listdir(directory) if name.startswith(f"{uuid}.") and name.endswith(".xml"))
    return [os.path.join(directory, name) for name in names]
