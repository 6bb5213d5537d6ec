# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What it costs Ansible to plan a fleet: seconds and memory of a playbook run on the controller, for HOSTS hosts.

    python3 benchmarks/fleet/told.py [HOSTS]

Each host has told what it is (50 guests) in a variable. The run that plans is shown beside one that does nothing, and
beside one that hands the same facts, as values and not as one text, to a task in its arguments. Needs ansible-playbook.
"""

from __future__ import annotations

import json
import os
import random
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fleets
import tree

from ansible_collections.numa.virt.plugins.module_utils._fleet.told import told_as_text

_PLAN = {
    "numa.virt.numa_fleet_plan": {
        "facts": "told",
        "drain": ["h00000"],
        "domains": [{"name": f"n{at}", "vcpus": 2, "memory": "4GiB"} for at in range(100)],
    },
    "run_once": True,
    "register": "plan",
}
_ARGUMENTS = {
    "ansible.builtin.set_fact": {"fleet": "{{ groups.all | map('extract', hostvars, 'told') | list }}"},
    "run_once": True,
}
_NOTHING = {"ansible.builtin.debug": {"msg": "nothing"}, "run_once": True}
_MOST = "import resource,subprocess,sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); \
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"


def inventory(folder: Path, texts: dict[str, Any]) -> str:
    """A script, for these are read the fastest."""
    values = {
        "_meta": {"hostvars": {name: {"told": text} for name, text in texts.items()}},
        "hv": {"hosts": sorted(texts)},
    }
    data = folder / "hosts.data"
    data.write_text(json.dumps(values), encoding="utf-8")
    script = folder / "hosts.sh"
    script.write_text(f"#!/bin/sh\ncat {data}\n", encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script)


def play(folder: Path, texts: dict[str, Any], task: dict[str, Any]) -> tuple[float, int]:
    """Seconds, and MB of the largest process."""
    book = folder / "play.yml"
    book.write_text(json.dumps([{"hosts": "hv", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    ansible = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": tree._TREE, "ANSIBLE_LOCALHOST_WARNING": "false"}
    start = time.monotonic()
    out = subprocess.run(
        [sys.executable, "-c", _MOST, ansible, "-i", inventory(folder, texts), str(book)],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return time.monotonic() - start, int(out.stdout.split()[-1])


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    hosts = fleets.large(random.Random(1), number).hosts
    texts = {each.name: told_as_text(each) for each in hosts}
    size = sum(len(text) for text in texts.values())
    print(f"{number} hosts, {fleets.EACH} guests each, {size / 1e6:.1f} MB told")
    values = {name: json.loads(text) for name, text in texts.items()}
    with tempfile.TemporaryDirectory(prefix="numa-virt-told-") as folder:
        for words, given, task in (
            ("nothing", texts, _NOTHING),
            ("a plan, from the variable that is named", texts, _PLAN),
            ("as values in arguments, and no plan", values, _ARGUMENTS),
        ):
            seconds, most = play(Path(folder), given, task)
            print(f"  {words:42} {seconds:6.1f} s {most:6} MB")


if __name__ == "__main__":
    main()
