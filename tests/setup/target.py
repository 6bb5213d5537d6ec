# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs integration targets straight from the checkout, without ansible-test: seconds instead of half a minute.

Each target is a role in tests/integration/targets; it gets the URI of a private test daemon as ``numa_virt_test_uri``
and a folder of its own as ``output_dir``, as ansible-test gives it.

usage: target.py TARGET… [-- ARGUMENT OF ansible-playbook…]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import machine

sys.path[:0] = [str(machine.REPO / "tests" / name) for name in ("testd", "lab")]
import testd
from numalab import belongings

TARGETS = machine.REPO / "tests" / "integration" / "targets"


def play(target: str, uri: str, folder: str, more: list[str]) -> int:
    """Run one target as ansible-test would; ansible-playbook's exit status."""
    playbook = os.path.join(folder, "play.yml")
    with open(playbook, "w", encoding="utf-8") as file:
        file.write(f"- hosts: testhost\n  gather_facts: true\n  roles:\n    - {target}\n")
    inventory = os.path.join(folder, "inventory")
    with open(inventory, "w", encoding="utf-8") as file:
        file.write(f"testhost ansible_connection=local ansible_python_interpreter={machine.SYSTEM_PYTHON}\n")
    command = [
        str(machine.VENV / "bin" / "ansible-playbook"),
        f"--inventory={inventory}",
        f"--extra-vars=numa_virt_test_uri={uri}",
        f"--extra-vars=output_dir={folder}",
        *more,
        playbook,
    ]
    roles = {"ANSIBLE_ROLES_PATH": str(TARGETS)}
    return subprocess.run(
        command, env={**os.environ, **machine.ansible_environment(), **roles}, stdin=subprocess.DEVNULL, check=False
    ).returncode


def main(arguments: list[str]) -> int:
    """The command line."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    targets, more = arguments[:split], arguments[split + 1 :]
    known = sorted(entry.name for entry in TARGETS.iterdir() if entry.is_dir()) if TARGETS.is_dir() else []
    if not targets or not set(targets) <= set(known):
        print(f"usage: target.py TARGET… [-- ARGUMENT…]; targets: {' '.join(known) or 'none yet'}", file=sys.stderr)
        return 2
    failed = []
    try:
        machine.ensure_packages("demo")
        machine.ensure_venv("demo")
        for target in targets:
            with testd.TestDaemon() as daemon, tempfile.TemporaryDirectory(prefix="numa-virt-target-") as folder:
                if play(target, daemon.uri, folder, more) != 0:
                    failed.append(target)
    except (machine.MissingError, testd.TestDaemonError) as error:
        print(f"target: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if failed:
        print(f"failed: {' '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    belongings.guard_this_process()
    sys.exit(main(sys.argv[1:]))
