# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role audit costs for each host: the processor time of ansible-playbook and of all that it starts.

Hosts are names of one test daemon, so that nothing but the role's own work counts. A play of one host is taken off that
of many, and with it the start of ansible-playbook and what is done once. A second run finds all files as they shall be.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import machine
import testd

HOSTS = 9
GUESTS = 40

_PLAY = """
- hosts: all
  gather_facts: false
  roles:
    - role: numa.virt.audit
      vars: {{audit_uri: "{uri}", audit_dest: "{folder}", audit_fail_at: never}}
"""

_DEFINE = """
import sys, libvirt
connection = libvirt.open(sys.argv[1])
for number in range(int(sys.argv[2])):
    connection.defineXML(
        f"<domain type='test'><name>bench-{number}</name><memory unit='MiB'>8</memory><vcpu cpuset='8-15'>2</vcpu>"
        "<os><type>hvm</type></os></domain>"
    ).create()
"""


def compare(rounds: int) -> None:
    """Print a line for the first run, and one for the second. The smallest of each counts."""
    first: list[float] = []
    second: list[float] = []
    with testd.TestDaemon() as daemon, tempfile.TemporaryDirectory() as folder:
        subprocess.run([str(machine.SYSTEM_PYTHON), "-c", _DEFINE, daemon.uri, str(GUESTS)], check=True)
        for number in range(rounds):
            spent = {}
            for hosts in (1, HOSTS):
                dest = os.path.join(folder, f"{number}-{hosts}")
                play = Path(f"{dest}.yml")
                play.write_text(_PLAY.format(uri=daemon.uri, folder=dest), encoding="utf-8")
                spent[hosts] = (_spent(play, hosts), _spent(play, hosts))
            for run, times in enumerate((first, second)):
                times.append((spent[HOSTS][run] - spent[1][run]) / (HOSTS - 1))
    print(
        f"role audit: {min(first):.2f} s of processor time for each host of {GUESTS} guests that run (aim 1.6), "
        f"{min(second):.2f} s the second time"
    )


def _spent(play: Path, hosts: int) -> float:
    """Seconds of processor time, those of all children among them."""
    names = ",".join(f"host{number}" for number in range(hosts)) + ","
    command = [
        str(machine.VENV / "bin" / "ansible-playbook"),
        f"--inventory={names}",
        "--connection=local",
        f"--extra-vars=ansible_python_interpreter={machine.SYSTEM_PYTHON}",
        str(play),
    ]
    before = os.times()
    done = subprocess.run(
        command,
        env={**os.environ, **machine.ansible_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    after = os.times()
    if done.returncode:
        sys.exit(f"benchmarks/audit.py:\n{done.stdout}")
    return after.children_user + after.children_system - before.children_user - before.children_system
