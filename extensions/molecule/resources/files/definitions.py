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


def virsh(*arguments: str) -> str:
    argv = ["/usr/bin/virsh", "-q", "-c", sys.argv[1], *arguments]
    return subprocess.run(argv, check=True, capture_output=True, encoding="utf-8").stdout


def digest(name: str, *arguments: str) -> str:
    return hashlib.sha256(virsh("dumpxml", name, "--security-info", *arguments).encode()).hexdigest()


def main() -> None:
    running = virsh("list", "--name").split()
    names = [name for name in virsh("list", "--all", "--name").split() if name != "Domain-0"]
    found = {n: {"config": digest(n, "--inactive"), "live": digest(n) if n in running else ""} for n in names}
    print(json.dumps(found, sort_keys=True))


main()
