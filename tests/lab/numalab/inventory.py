# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machines that run, as an Ansible inventory."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Union

from numalab import ssh
from numalab.machine import Machine
from numalab.topology import format_cpu_set

#: A document as far as an inventory needs it.
Node = Union[dict[str, "Node"], list[object], str, int, float, bool]

#: The group of all machines of the lab, whatever host they are.
ALL_GROUP = "lab"


def inventory_name(name: str) -> str:
    """Return what Ansible calls a machine: not just its name, which is often that of its group."""
    return f"lab-{name}"


def host_variables(machine: Machine) -> dict[str, Node]:
    """Return a machine's variables: how to reach it, and what it was built to look like."""
    topology = machine.host.topology
    return {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_port": machine.port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(machine.image.key),
        "ansible_ssh_args": shlex.join(ssh.arguments_for_ansible(machine.paths)),
        "ansible_pipelining": True,
        "ansible_python_interpreter": "/usr/local/bin/lab-python",
        "lab_system": machine.host.system.name,
        "lab_driver": machine.host.driver,
        "lab_uri": machine.host.uri,
        "lab_domain_type": machine.host.domain_type,
        "lab_threads": topology.threads,
        "lab_cells": [
            {"id": number, "cpus": format_cpu_set(cell.cpus), "memory_mib": cell.memory_mib}
            for number, cell in enumerate(topology.cells)
        ],
        "lab_distances": [list(row) for row in topology.distances],
    }


def inventory(machines: Sequence[Machine]) -> dict[str, Node]:
    """Return an inventory with a group for each kind of host and for each system that runs, all in the group ``lab``.

    A machine is in both of its groups, so that a play can name a kind and run on any system.
    """
    groups: dict[str, Node] = {}
    for kind in sorted({machine.host.kind for machine in machines}):
        members: dict[str, Node] = {
            inventory_name(machine.name): host_variables(machine) for machine in machines if machine.host.kind == kind
        }
        groups[kind] = {"hosts": members}
    for system in sorted({machine.host.system.name for machine in machines}):
        names: dict[str, Node] = {
            inventory_name(machine.name): {} for machine in machines if machine.host.system.name == system
        }
        groups[system] = {"hosts": names}
    return {"all": {"children": {ALL_GROUP: {"children": groups}}}}


def to_text(document: dict[str, Node]) -> str:
    """Return a document as JSON, which YAML includes."""
    return json.dumps(document, indent=2) + "\n"
