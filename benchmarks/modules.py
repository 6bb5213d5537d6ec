# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the work of modules costs in processor time, the start of a module taken off, and how large results are.

Each is compared with a bare script that lists the same guests on the same test daemon, dumps each twice (live and
configuration), asks its state, and parses both.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPO / "tests" / "setup"), str(REPO / "tests" / "testd")]
import machine
import testd

GUESTS = 1000
FEW = 200

# Processor time from the first connection on; imports are the start of a module.
_WORK = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
uri, guests, what = sys.argv[2], int(sys.argv[3]), sys.argv[4]
import libvirt
from lxml import etree
from ansible_collections.numa.virt.plugins.module_utils._engine import info, placement
from ansible_collections.numa.virt.plugins.module_utils._intent.placement_options import rules_of
from ansible_collections.numa.virt.plugins.module_utils._libvirt.connection import Connection
DISKS = "".join(
    "<disk type='file' device='disk'><source file='/bench/{n}-%d'/><target dev='vd%s' bus='virtio'/></disk>" % (k, t)
    for k, t in enumerate("abcdef")
)
DOCUMENT = (
    "<domain type='test'><name>bench-{n}</name><memory unit='MiB'>1</memory><vcpu>2</vcpu>"
    "<os><type>hvm</type></os><devices>" + DISKS + "</devices></domain>"
)
documents = [DOCUMENT.replace("{n}", "%04d" % n) for n in range(guests)]

def bare():
    connection = libvirt.open(uri)
    for domain in connection.listAllDomains(0):
        for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
            etree.fromstring(domain.XMLDesc(flags))
        domain.state()

def look(findings):
    def work():
        with Connection(uri) as connection:
            return info.domains_info(connection, info.InfoRequest(names=None, findings=findings))
    return work

def place(**chosen):
    def work():
        with Connection(uri) as connection:
            request = placement.PlacementRequest(
                task={"policy": "spread", "cpu_ratio": 4096.0} if "entries" in chosen else {}, state="defined",
                backup=False, rules=rules_of({}), diff=False, **{"entries": None, "select": None, **chosen},
            )
            return placement.place_domains(connection, request)
    return work

work = {
    "bare": bare,
    "info": look(False),
    "findings": look(True),
    "documents": place(entries=[{"xml": each} for each in documents]),
    "select": place(select="bench-*"),
}[what]
before = time.process_time()
result = work()
spent = time.process_time() - before
print(json.dumps([spent, len(json.dumps(result)) if result is not None else 0, bool(result and result.get("changed"))]))
"""


@dataclass(frozen=True)
class _Cost:
    what: str
    title: str
    aim: float


_COSTS = (
    _Cost("info", "numa_domain_info", 2.0),
    _Cost("findings", "numa_domain_info with findings", 3.0),
    _Cost("documents", "numa_placement by documents, nothing to do", 5.0),
    _Cost("select", "numa_placement by select, nothing to do", 4.0),
)


def _measured(uri: str, guests: int, what: str) -> tuple[float, int, bool]:
    """(seconds of processor time, bytes of the result as JSON, whether anything was changed)."""
    command = [str(machine.SYSTEM_PYTHON), "-c", _WORK, str(machine.link_tree()), uri, str(guests), what]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(f"benchmarks/modules.py: {what}:\n{done.stderr}")
    seconds, size, changed = json.loads(done.stdout)
    return float(seconds), int(size), bool(changed)


def compare(quick: bool) -> None:
    """Print a line for each. All of one round are run by turns, and the smallest of each counts."""
    guests, rounds = (FEW, 1) if quick else (GUESTS, 3)
    with testd.TestDaemon() as daemon:
        first, first_size, changed = _measured(daemon.uri, guests, "documents")
        if not changed:
            sys.exit("benchmarks/modules.py: the first run changed nothing")
        best: dict[str, float] = {}
        sizes: dict[str, int] = {}
        for _round in range(rounds):
            for what in ("bare", *(each.what for each in _COSTS)):
                seconds, sizes[what], changed = _measured(daemon.uri, guests, what)
                best[what] = min(seconds, best.get(what, seconds))
                if changed:
                    sys.exit(f"benchmarks/modules.py: {what} changed something")
    bare = best["bare"]
    print(f"processor time for {guests} guests with six disks, against a bare script ({bare:.2f} s):")
    for each in _COSTS:
        size = sizes[each.what] / guests
        print(f"{best[each.what] / bare:6.1f}  {each.aim:6.1f}  {each.title} ({size:.0f} bytes of result a guest)")
    size = first_size / guests
    print(f"{first / bare:6.1f}  {15.0:6.1f}  numa_placement by documents, the first run ({size:.0f} bytes a guest)")


if __name__ == "__main__":
    compare("--quick" in sys.argv)
