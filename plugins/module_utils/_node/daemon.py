# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is at the other end of a connection: what the kernel says of it, not what a URI calls it.

One daemon has many names (qemu:///system, qemu+unix:///system?socket=…, an empty URI); its socket has one path, and the
kernel knows which user listens there.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)


Peer = Optional["tuple[str, int]"]


def daemon_of(uri: str, peer: Peer) -> Daemon:
    """From the URI that libvirt chose, and the peer() of the socket that it opened."""
    parts = urlsplit(uri)
    driver = parts.scheme.partition("+")[0]
    if parts.hostname:
        # Behind another port there may be another machine.
        here = parts.path == "/system" and not parts.port and _is_here(parts.hostname)
        return Daemon(driver, parts.hostname, None, 0 if here else None, here)
    return Daemon(driver, "", *peer) if peer is not None else Daemon(driver)


def _is_here(name: str) -> bool:
    """Whether a name is one of this machine's own: only then a socket can have its address."""
    with contextlib.suppress(OSError, UnicodeError):
        for family, kind, _protocol, _name, address in socket.getaddrinfo(name, 0, type=socket.SOCK_DGRAM):
            with contextlib.suppress(OSError), socket.socket(family, kind) as own:
                own.bind(address)
                return True
    return False


def open_files() -> frozenset[int]:
    """The handles of this process."""
    found = set()
    with contextlib.suppress(OSError):  # without /proc there are none to be seen
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the one by which they were listed is closed again
                os.fstat(int(name))
                found.add(int(name))
    return frozenset(found)


def peer(before: frozenset[int]) -> Peer:
    """(path, uid) of the local socket that was opened since ``before``, and of who listens there; or None.

    The uid is that of the process that made the socket listen: the daemon, or a service manager of the same user.
    """
    for handle in sorted(open_files() - before):
        with contextlib.suppress(OSError), socket.fromfd(handle, socket.AF_UNIX, socket.SOCK_STREAM) as other:
            name = other.getpeername()  # of what is no socket an error, of another kind no text
            if isinstance(name, str) and name.startswith("/"):
                found = other.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
                return name, _CREDENTIALS.unpack(found)[1]
    return None
