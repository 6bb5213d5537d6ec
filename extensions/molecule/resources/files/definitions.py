# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell as JSON a digest of every definition of a host, secrets included, and of every running guest's.

usage: definitions.py URI

Shape: ``{"NAME": {"config": "…", "live": "…"}}``; ``live`` is empty where the guest does not run.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

MARK = "-- next --"


def virsh(*commands: str) -> str:
    """All of them by one virsh: each costs a second on an emulated host."""
    argv = ["/usr/bin/virsh", "-q", "-c", sys.argv[1], "; ".join(commands)]
    return subprocess.run(argv, check=True, capture_output=True, encoding="utf-8").stdout


def main() -> None:
    said = virsh("list --name", f"echo '{MARK}'", "list --all --name")
    running, names = (each.split() for each in said.split(MARK))
    wanted = [(name, "--inactive") for name in names if name != "Domain-0"]
    wanted += [(name, "") for name in running if name != "Domain-0"]
    dumps = virsh(*(f"dumpxml {name} --security-info {how}; echo '{MARK}'" for name, how in wanted)).split(MARK)[:-1]
    found: dict[str, dict[str, str]] = {name: {"config": "", "live": ""} for name, _how in wanted}
    for (name, how), dump in zip(wanted, dumps):
        if "<domain" not in dump:
            raise SystemExit(f"no definition of {name}")
        found[name]["config" if how else "live"] = hashlib.sha256(dump.strip().encode()).hexdigest()
    print(json.dumps(found, sort_keys=True))


main()
