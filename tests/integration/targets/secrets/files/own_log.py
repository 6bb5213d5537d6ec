# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a command with a /dev/log of its own, and writes what is sent there to a file.

To be run in a mount namespace of its own, which ends with it:
unshare --mount [--map-root-user] own_log.py FILE COMMAND…
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading


def mount(*arguments: str) -> None:
    """Run mount. Raises subprocess.CalledProcessError."""
    subprocess.run(["mount", *arguments], check=True, stdin=subprocess.DEVNULL)


def own_dev(folder: str) -> None:
    """Put another /dev in its place: the same devices, and no /dev/log."""
    mount("--make-rprivate", "/")
    here = os.path.join(folder, "dev")
    os.makedirs(here, exist_ok=True)
    mount("-t", "tmpfs", "tmpfs", here)
    for name in os.listdir("/dev"):
        old, new = os.path.join("/dev", name), os.path.join(here, name)
        if name == "log":
            continue
        if os.path.islink(old):
            os.symlink(os.readlink(old), new)
            continue
        if os.path.isdir(old):
            os.mkdir(new)
        else:
            with open(new, "w", encoding="utf-8"):
                pass
        mount("--rbind", old, new)
    mount("--rbind", here, "/dev")
    if os.path.isdir("/run/systemd/journal"):
        # Python's systemd module talks to the journal; without it Ansible takes /dev/log.
        mount("-t", "tmpfs", "tmpfs", "/run/systemd/journal")


def main(arguments: list[str]) -> int:
    """The command line."""
    file, *command = arguments
    own_dev(os.path.dirname(file))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, open(file, "wb") as written:
        log.bind("/dev/log")
        os.chmod("/dev/log", 0o666)  # noqa: S103 - as everybody's is

        def write() -> None:
            while text := log.recv(1 << 20):
                written.write(text + b"\n")

        writer = threading.Thread(target=write)
        writer.start()
        status = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
        # An empty datagram ends it, behind all that was sent before.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.connect("/dev/log")
            end.send(b"")
        writer.join()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
