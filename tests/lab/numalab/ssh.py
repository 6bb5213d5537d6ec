# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a machine is reached: one ssh configuration file, used by us, by Ansible and by whoever types ssh."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from numalab.hosts import RunPaths

#: sshd says who it is as soon as it takes a connection; QEMU's port forwarding takes connections long before.
BANNER = b"SSH-"

#: ssh's own failures, as opposed to those of the command it ran.
CONNECTION_FAILED = 255

#: The longest path of a run directory: ssh adds 17 characters to its socket's name, and a socket's path has 107.
LONGEST_DIRECTORY = 107 - 17 - len("/ssh.sock")


def _quote(value: object) -> str:
    """Return a value as ssh's configuration takes it: blanks in quotes, and no percent that could be a token."""
    return '"' + str(value).replace("%", "%%") + '"'


def configuration(name: str, port: int, key: Path, paths: RunPaths) -> str:
    """Return the text of an ssh configuration that leads every host name to this machine.

    Ansible calls the machine 127.0.0.1 and people call it by its name; both must work.
    """
    lines = [
        f"# The lab machine {name}: ssh -F THIS-FILE {name}",
        "Host *",
        "  HostName 127.0.0.1",
        f"  Port {port}",
        "  User root",
        f"  IdentityFile {_quote(key)}",
        "  IdentitiesOnly yes",
        "  BatchMode yes",
        "  StrictHostKeyChecking yes",
        f"  UserKnownHostsFile {_quote(paths.known_hosts)}",
        "  GlobalKnownHostsFile /dev/null",
        "  LogLevel ERROR",
        "  Compression no",
        # The default is safe from computers that are yet to be built, and takes an emulated CPU a second.
        "  KexAlgorithms curve25519-sha256",
        "  ConnectTimeout 60",
        "  ServerAliveInterval 30",
        "  ServerAliveCountMax 10",
        "  ControlMaster auto",
        f"  ControlPath {_quote(paths.ssh_socket)}",
        "  ControlPersist 300",
    ]
    return "\n".join([*lines, ""])


def known_hosts(port: int, host_public_key: str) -> str:
    """Return the one line that says which key the machine on this port must show."""
    return f"[127.0.0.1]:{port} {host_public_key}\n"


def command(paths: RunPaths, name: str, remote: Sequence[str] = ()) -> list[str]:
    """Return the argument vector that runs a remote command (as ssh does: its words joined, for the remote shell)."""
    return ["ssh", "-F", str(paths.ssh_config), name, *remote]


def arguments_for_ansible(paths: RunPaths) -> list[str]:
    """Return what Ansible must put on ssh's command line.

    The sharing of one connection stands here once more, because Ansible adds its own when it sees none.
    """
    return [
        "-F",
        str(paths.ssh_config),
        "-o",
        "ControlMaster=auto",
        "-o",
        "ControlPersist=300",
        "-o",
        f"ControlPath={str(paths.ssh_socket).replace('%', '%%')}",
    ]


def disconnect(paths: RunPaths, name: str) -> None:
    """End the shared connection, if there is one."""
    if paths.ssh_config.exists() and paths.ssh_socket.exists():
        subprocess.run(
            ["ssh", "-F", str(paths.ssh_config), "-O", "exit", name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
