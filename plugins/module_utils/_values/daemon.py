# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is at the other end of a connection. How that is found out is known in _node.daemon.

This file must not import ansible, libvirt or lxml, and must not look at anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

# Where libvirt's own sockets are; and where they may be by another name.
_SYSTEM_FOLDER = "/run/libvirt"


@dataclass(frozen=True)
class Daemon:
    """``driver`` is "qemu", "xen", "test" or, without libvirt, "xl". ``host`` is its name in the URI, empty for this
    machine. ``socket`` is the path where it listens, and ``uid`` the user who does; None for a driver that works inside
    of this process, and for a host elsewhere. ``here``: whether ``host`` is a name of this very machine."""

    driver: str = ""
    host: str = ""
    socket: str | None = None
    uid: int | None = None
    here: bool = False

    @property
    def inside(self) -> bool:
        """Whether nobody else can reach it: its driver lives and ends with this process."""
        return not self.host and self.socket is None and self.driver != "xl"

    @property
    def rules_host(self) -> bool:
        """Whether its guests are those of this machine: root's daemon, or Xen itself, not a driver for tests."""
        return (not self.host or self.here) and (self.driver == "xl" or (self.uid == 0 and self.driver != "test"))

    @property
    def pid_folders(self) -> tuple[str, ...]:
        """Where it may keep a file with the pid of each guest (stateDir in libvirt's src/qemu/qemu_conf.c)."""
        if self.socket is None:
            return ()
        folder = os.path.dirname(self.socket)
        own = (os.path.join(folder, "qemu"), os.path.join(folder, "qemu", "run"))
        # A socket may be told to be elsewhere; the files are not.
        return (*own, os.path.join(_SYSTEM_FOLDER, "qemu")) if self.uid == 0 else own
