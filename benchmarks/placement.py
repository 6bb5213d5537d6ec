# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One numa_placement task for many guests, and the loop that a user writes without it.

Both are playbooks that define guests from documents, start them, and pin their vCPUs, emulator and memory, on a private
test daemon each, in one run and by turns. The loop does with community.libvirt.virt and virsh what everybody does; it
is given its places, and so has no plan to make. It takes seconds for each guest: fewer guests are run, and the time of
a guest, with the start of ansible-playbook taken off, is scaled.
"""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import machine
import testd

# community.libvirt as the package index has it, for the comparison alone.
PEER = "ansible==14.5.0"

GUESTS = 200
LOOPED = 8

DOMAIN = """<domain type='test'><name>bench-{0:03}</name><memory unit='MiB'>8</memory><vcpu>2</vcpu>
<os><type>hvm</type></os><devices><disk type='file' device='disk'><source file='/bench/{0}'/><target dev='vda'/></disk>
</devices></domain>"""

# The same for each guest: define, start, then a call of virsh for each pin, as in countless playbooks. The test driver
# pins running guests only, and only to CPUs 0-7.
LOOP = """
- name: Define
  community.libvirt.virt: {{command: define, xml: "{{{{ item.xml }}}}", uri: "{uri}"}}
  loop: "{{{{ guests }}}}"
  loop_control: {{label: "{{{{ item.name }}}}"}}
- name: Start
  community.libvirt.virt: {{name: "{{{{ item.name }}}}", state: running, uri: "{uri}"}}
  loop: "{{{{ guests }}}}"
  loop_control: {{label: "{{{{ item.name }}}}"}}
- name: Pin vCPUs
  ansible.builtin.command:
    argv: [virsh, --connect, "{uri}", vcpupin, "{{{{ item.0.name }}}}", "{{{{ item.1 }}}}", 0-7]
  loop: "{{{{ guests | product([0, 1]) | list }}}}"
  loop_control: {{label: "{{{{ item.0.name }}}}"}}
- name: Pin the emulator
  ansible.builtin.command:
    argv: [virsh, --connect, "{uri}", emulatorpin, "{{{{ item.name }}}}", 0-7]
  loop: "{{{{ guests }}}}"
  loop_control: {{label: "{{{{ item.name }}}}"}}
- name: Bind memory
  ansible.builtin.command:
    argv: [virsh, --connect, "{uri}", numatune, "{{{{ item.name }}}}", --mode, strict, --nodeset, "0"]
  loop: "{{{{ guests }}}}"
  loop_control: {{label: "{{{{ item.name }}}}"}}
"""

PLACE = """
- name: Place
  numa.virt.numa_placement:
    domains: "{{{{ guests }}}}"
    policy: pack
    cpu_ratio: 64
    state: running
    uri: "{uri}"
    backup_dir: "{folder}/backup"
  register: placed
  failed_when: placed is failed or placed is changed != {changes} or placed.domains | length != guests | length
"""


def peer() -> Path | None:
    """A folder with community.libvirt, fetched once; None where that cannot be."""
    folder = machine.CACHE / "peers" / PEER
    if not folder.is_dir():
        fetch = [str(machine.VENV / "bin" / "python"), "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        target = machine.CACHE / "peers" / "wheels"
        done = subprocess.run([*fetch, "--no-deps", "--only-binary=:all:", "--dest", str(target), PEER], check=False)
        wheels = sorted(target.glob(PEER.replace("==", "-") + "-*.whl")) if done.returncode == 0 else []
        if not wheels:
            return None
        with zipfile.ZipFile(wheels[0]) as wheel:
            for name in wheel.namelist():
                if name.startswith("ansible_collections/community/libvirt/"):
                    wheel.extract(name, folder)
        wheels[0].unlink()
    return folder


def compare(timed: Callable[..., float], folder: str, rounds: int) -> None:
    """Print what numa_placement and the loop take."""
    there = peer()
    placing, again, looping, starting = [], [], [], []
    for number in range(rounds):
        with testd.TestDaemon() as daemon:
            first, second = (
                _play(folder, f"place-{number}-{changes}", PLACE, daemon.uri, GUESTS, changes=changes)
                for changes in (True, False)
            )
            placing.append(timed(*_command(first, there)))
            again.append(timed(*_command(second, there)))
        with testd.TestDaemon() as daemon:
            starting.append(timed(*_command(_play(folder, "nothing", "", daemon.uri, LOOPED), there)))
            if there is not None:
                loop = _play(folder, f"loop-{number}", LOOP, daemon.uri, LOOPED)
                looping.append(timed(*_command(loop, there)))
    one, start = min(placing), min(starting)
    if looping:
        each = (min(looping) - start) / LOOPED
        whole = start + each * GUESTS
        _row(
            whole / one, whole, one, f"{GUESTS} guests defined, started and pinned by a loop with virsh "
            f"({each:.2f} s each, of {LOOPED}) / by one numa_placement; the aim is 60 at least",
        )  # fmt: skip
    else:
        print(f"{GUESTS} guests defined and placed by one numa_placement: {one:.2f} s; {PEER} cannot be had to compare")
    _row(
        min(again) / one, min(again), one,
        f"the same numa_placement again, which changes nothing / the first time ({start:.2f} s are ansible-playbook's)",
    )  # fmt: skip


def _row(ratio: float, one: float, other: float, title: str) -> None:
    print(f"{ratio:6.2f}  {'':>6}  {one:7.2f} s  {other:7.2f} s  {title}", flush=True)


def _play(folder: str, name: str, tasks: str, uri: str, guests: int, changes: bool = True) -> str:
    """Write a playbook; its path."""
    path = os.path.join(folder, f"{name}.yml")
    documents = [{"name": f"bench-{number:03}", "xml": DOMAIN.format(number)} for number in range(guests)]
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f"- hosts: localhost\n  gather_facts: false\n  vars:\n    guests: {json.dumps(documents)}\n  tasks:\n"
        )
        text = tasks.format(uri=uri, folder=folder, changes=changes) or "\n- ansible.builtin.meta: noop\n"
        file.writelines(f"    {line}\n" for line in text.splitlines() if line)
    return path


def _command(playbook: str, there: Path | None) -> tuple[list[str], dict[str, str]]:
    environment = machine.ansible_environment()
    if there is not None:
        environment["ANSIBLE_COLLECTIONS_PATH"] += os.pathsep + str(there)
    return [
        str(machine.VENV / "bin" / "ansible-playbook"),
        "--inventory=localhost,",
        "--connection=local",
        f"--extra-vars=ansible_python_interpreter={machine.SYSTEM_PYTHON}",
        playbook,
    ], environment
