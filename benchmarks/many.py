# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How what modules cost grows with the number of guests on QEMU: processor time for four times as many guests.

No hypervisor with a thousand guests is needed: the unit tests' stand-in for QEMU's driver keeps definitions, and has
folders of /proc for each guest's process, with its threads and memory, which are read as those of real ones. It runs
in the same process, and its own work counts too.
"""

from __future__ import annotations

import json
import subprocess
import sys

import machine

FEW = 250
TIMES = 4

_WORK = """
import json, pathlib, sys, tempfile, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.numa.virt.plugins.module_utils._node import processes
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import Hypervisor, document

guests = int(sys.argv[2])
policy = json.loads(sys.argv[3])
with tempfile.TemporaryDirectory() as folder:
    host = Hypervisor(pathlib.Path(folder))
    processes.ROOT = host.proc
    for number in range(guests):
        uuid = f"<uuid>{number:04x}0000-0000-4000-8000-000000000000</uuid>"
        host.add(document(f"guest-{number}", "kvm", memory=256, vcpu=" cpuset='0-1'", uuid=uuid), running=True)

    def spent(work):
        start = time.process_time()
        result = work()
        return time.process_time() - start, result

    look, found = spent(lambda: host.findings())
    assert len(found["domains"]) == guests and found["domains"][0]["actual"]["source"] == "proc", found["domains"][0]
    first, placed = spent(lambda: host.place_all(select="guest-*", backup=False, **policy))
    assert placed["changed"]
    second, placed = spent(lambda: host.place_all(select="guest-*", backup=False, **policy))
    assert not placed["changed"] and len(placed["domains"]) == guests
    print(json.dumps([look, first, second]))
"""
_TITLES = ("numa_domain_info with findings", "numa_placement, the first run", "numa_placement, nothing to do")
_SHARED = {"policy": "spread", "cpu_ratio": 4096.0}


def compare(quick: bool) -> None:
    """Print a line for each. All of one round are run by turns, and the smallest of each counts."""
    few = FEW // 5 if quick else FEW
    best: dict[int, list[float]] = {}
    for _round in range(1 if quick else 3):
        for guests in (few, few * TIMES):
            spent = _spent(guests)
            best[guests] = [min(pair) for pair in zip(spent, best.get(guests, spent))]
    print(f"processor time on QEMU, with stand-in processes, for {few * TIMES} guests / for {few} ({TIMES} is linear):")
    for title, many, one in zip(_TITLES, best[few * TIMES], best[few]):
        print(f"{many / one:6.1f}  {TIMES:6.1f}  {title} ({1000 * many / few / TIMES:.1f} ms a guest)")


def _spent(guests: int) -> list[float]:
    command = [str(machine.SYSTEM_PYTHON), "-c", _WORK, str(machine.link_tree()), str(guests), json.dumps(_SHARED)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(f"benchmarks/many.py:\n{done.stderr}")
    return [float(each) for each in json.loads(done.stdout)]
