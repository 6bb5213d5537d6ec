# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection costs, as ratios of two things measured in one run on a private test daemon.

    python3 benchmarks/run.py            every figure, a few minutes
    python3 benchmarks/run.py --quick    one round of each, to see that it works; its ratios are noisy
    python3 benchmarks/run.py --placement    numa_placement against the loop that it replaces, alone

The two things of a ratio are run by turns, so that a busy machine slows both, and the smallest time of each counts.
Nothing here passes or fails by its time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPO / "tests" / "setup"), str(REPO / "tests" / "testd"), str(REPO / "benchmarks")]
import audit as role_audit
import machine
import many
import modules
import placement
import testd

DOMAINS = 500
TASKS = 20

DOMAIN = """<domain type='test'><name>bench-{0}</name><memory unit='MiB'>8</memory><vcpu cpuset='8-15'>2</vcpu>
<os><type>hvm</type></os><devices><disk type='file' device='disk'><source file='/bench/{0}'/><target dev='vda'/></disk>
<interface type='network'><mac address='52:54:00:00:{1:02x}:{2:02x}'/><source network='default'/></interface>
</devices></domain>"""

DEFINE = """
import sys, libvirt
connection = libvirt.open(sys.argv[1])
for number in range(int(sys.argv[2])):
    connection.defineXML(sys.argv[3].format(number, number // 256, number % 256))
"""

# What an operator would write to look at every definition: list, dump, parse.
BARE = """
import sys, libvirt
from lxml import etree
connection = libvirt.open(sys.argv[1])
found = [etree.fromstring(domain.XMLDesc(0)) for domain in connection.listAllDomains(0)]
assert len(found) >= int(sys.argv[2]), len(found)
"""

# The same through the engine of numa_domain_info, as the module calls it.
INFO = """
import sys
sys.path.insert(0, sys.argv[3])
from ansible_collections.numa.virt.plugins.module_utils._engine.info import InfoRequest, domains_info
from ansible_collections.numa.virt.plugins.module_utils._libvirt.connection import Connection
with Connection(sys.argv[1]) as connection:
    found = domains_info(connection, InfoRequest(findings=False))["domains"]
assert len(found) >= int(sys.argv[2]), len(found)
"""

# What the role audit has done on a host and on the controller: cells, guests, findings, pages.
AUDIT = """
import sys
sys.path.insert(0, sys.argv[3])
from ansible_collections.numa.virt.plugins.module_utils._engine.cells import cells_info
from ansible_collections.numa.virt.plugins.module_utils._engine.info import InfoRequest, domains_info
from ansible_collections.numa.virt.plugins.module_utils._engine.map_page import MapRequest, map_pages
from ansible_collections.numa.virt.plugins.module_utils._libvirt.connection import Connection
with Connection(sys.argv[1]) as connection:
    cells, guests = cells_info(connection, True), domains_info(connection, InfoRequest())
assert len(guests["domains"]) >= int(sys.argv[2]) and guests["findings"], guests["summary"]
host = {"name": "bench", "cells": cells, "guests": guests}
map_pages(MapRequest([host], sys.argv[4], "Benchmark", None, check_mode=False, diff=False))
"""

START = """
import sys, libvirt
for domain in libvirt.open(sys.argv[1]).listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE):
    domain.create()
"""

# 400 stand-ins for guests: found by the daemon's files, and by one look at all processes.
PROCESSES = """
import os, subprocess, sys, time, uuid
sys.path.insert(0, sys.argv[1])
from ansible_collections.numa.virt.plugins.module_utils._node import processes
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon
folder, owner = os.path.join(sys.argv[2], "qemu"), os.geteuid()
os.mkdir(folder, 0o755)
guests = [(f"guest-{number}", str(uuid.uuid4())) for number in range(400)]
program = ["/bin/sh", "-c", "read line", "qemu", "-uuid"]
children = [subprocess.Popen([*program, uuid], stdin=subprocess.PIPE) for _name, uuid in guests]
try:
    for (name, _uuid), child in zip(guests, children):
        with open(os.path.join(folder, f"{name}.pid"), "w") as file:
            file.write(str(child.pid))
    scans, real = [], processes.find_process
    processes.find_process = lambda *words: scans.append(1) or real(*words)
    start = time.perf_counter()
    by_file = processes.Processes(Daemon("qemu", "", os.path.join(sys.argv[2], "libvirt-sock"), owner))
    assert [by_file.pid_of(*guest) for guest in guests] == [child.pid for child in children] and not scans
    middle = time.perf_counter()
    by_look = processes.Processes(Daemon("qemu", "", "/nowhere/libvirt-sock", owner))
    for guest in guests:
        by_look.pid_of(*guest)
    assert len(scans) == 1
    print(middle - start, time.perf_counter() - middle)
finally:
    for child in children:
        child.kill()
        child.wait()
"""

PARSE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
text = ",".join(str(cpu) for cpu in range(0, 200_000, 2))
start = time.perf_counter()
cpus = CpuSet.parse(text)
middle = time.perf_counter()
assert str(cpus) == text
end = time.perf_counter()
assert len(cpus) == 100_000
wide = time.perf_counter()
assert str(CpuSet.parse("0-99999")) == "0-99999"
print(middle - start, end - middle, time.perf_counter() - wide)
"""


@dataclass(frozen=True)
class Ratio:
    """Two things that are compared: ``at_most`` is what the project aims for."""

    title: str
    one: Callable[[], float]
    other: Callable[[], float]
    at_most: float


def timed(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Seconds of one run; a run that fails ends the benchmark with what it said."""
    start = time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command[:2])}… failed:\n{done.stdout}")
    return seconds


def play(folder: str, name: str, task: str) -> Callable[[], float]:
    """A playbook that runs one task many times; gives its seconds."""
    path = os.path.join(folder, f"{name}.yml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f"- hosts: localhost\n  gather_facts: false\n  tasks:\n"
            f'    - {task}\n      loop: "{{{{ range({TASKS}) | list }}}}"\n      register: result\n'
            "      failed_when: result is changed or result is failed\n"
        )
    command = [
        str(machine.VENV / "bin" / "ansible-playbook"),
        "--inventory=localhost,",
        "--connection=local",
        f"--extra-vars=ansible_python_interpreter={machine.SYSTEM_PYTHON}",
        path,
    ]
    return lambda: timed(command, machine.ansible_environment())


def ratios(uri: str, folder: str) -> list[Ratio]:
    """Everything that is compared."""
    python, tree = str(machine.SYSTEM_PYTHON), str(machine.link_tree())
    place = f"numa.virt.numa_domain: {{uri: '{uri}', name: bench-0, cells: [1], state: defined}}"
    ping = play(folder, "ping", "ansible.builtin.ping: {}")
    return [
        Ratio(
            f"a play of {TASKS} numa_domain that change nothing / of {TASKS} ping",
            play(folder, "place", place),
            ping,
            1.3,
        ),
        Ratio(
            f"numa_domain_info without findings over {DOMAINS} domains / a script that lists, dumps and parses them",
            lambda: timed([python, "-c", INFO, uri, str(DOMAINS), tree]),
            lambda: timed([python, "-c", BARE, uri, str(DOMAINS)]),
            2.0,
        ),
    ]


def audit(rounds: int) -> None:
    """Print what it costs to audit and draw a host whose guests all run."""
    python, tree = str(machine.SYSTEM_PYTHON), str(machine.link_tree())
    with testd.TestDaemon() as daemon, tempfile.TemporaryDirectory() as folder:
        timed([python, "-c", DEFINE, daemon.uri, str(DOMAINS), DOMAIN])
        timed([python, "-c", START, daemon.uri])
        words = [daemon.uri, str(DOMAINS)]
        pairs = [
            (timed([python, "-c", AUDIT, *words, tree, folder]), timed([python, "-c", BARE, *words]))
            for _round in range(rounds)
        ]
    one, other = (min(times) for times in zip(*pairs))
    print(
        f"{DOMAINS} domains that run, audited and drawn: {one:.2f} s (aim 5 s), {one / other:.2f} times a script that "
        f"lists, dumps and parses them ({other:.2f} s)"
    )


def processes() -> None:
    """Print what it costs to find the processes of 400 guests."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(machine.SYSTEM_PYTHON), "-c", PROCESSES, str(machine.link_tree()), folder],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
    by_file, by_look = (float(word) for word in done.stdout.split())
    print(f"processes of 400 guests: {by_file:.2f} s by their files, {by_look:.2f} s by one look at all of them")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--placement", action="store_true", help="only numa_placement against a loop")
    options = parser.parse_args()
    rounds = 1 if options.quick else 5
    if options.placement:
        with tempfile.TemporaryDirectory() as folder:
            placement.compare(timed, folder, 1 if options.quick else 3)
        return 0
    python = str(machine.SYSTEM_PYTHON)
    with testd.TestDaemon() as daemon, tempfile.TemporaryDirectory() as folder:
        timed([python, "-c", DEFINE, daemon.uri, str(DOMAINS), DOMAIN])
        place = (
            f"numa.virt.numa_domain: {{uri: '{daemon.uri}', name: bench-0, cells: [1], state: defined, backup: false}}"
        )
        path = os.path.join(folder, "first.yml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"- hosts: localhost\n  gather_facts: false\n  tasks:\n    - {place}\n")
        timed(
            [
                str(machine.VENV / "bin" / "ansible-playbook"),
                "--inventory=localhost,",
                "--connection=local",
                f"--extra-vars=ansible_python_interpreter={python}",
                path,
            ],
            machine.ansible_environment(),
        )
        print(f"{'ratio':>6}  {'aim':>6}  {'one':>9}  {'other':>9}  what")
        for ratio in ratios(daemon.uri, folder):
            pairs = [(ratio.one(), ratio.other()) for _round in range(rounds)]
            one, other = (min(times) for times in zip(*pairs))
            print(f"{one / other:6.2f}  {ratio.at_most:6.2f}  {one:7.2f} s  {other:7.2f} s  {ratio.title}")
    audit(rounds)
    role_audit.compare(1 if options.quick else 3)
    processes()
    modules.compare(options.quick)
    many.compare(options.quick)
    with tempfile.TemporaryDirectory() as folder:
        placement.compare(timed, folder, 1 if rounds == 1 else 3)
    printed = subprocess.run(
        [python, "-c", PARSE, str(machine.link_tree())], stdout=subprocess.PIPE, encoding="utf-8", check=True
    ).stdout
    parse, write, span = (float(each) * 1000 for each in printed.split())
    print(
        f"a CPU set of 100,000 single CPUs: parsed in {parse:.0f} ms, printed in {write:.0f} ms; "
        f"0-99999 both in {span:.1f} ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
