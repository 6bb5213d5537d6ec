# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make demo``: sets up what it needs, runs playbooks/demo.yml twice, and insists that the second run changes nothing.

Without a URI everything happens on a private, unprivileged libvirt daemon with the test driver, which is gone with its
guests afterwards. With one, on the host it names; then a last run removes the demo's guests.

usage: demo.py [--uri URI]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

import machine

sys.path[:0] = [str(machine.REPO / "tests" / name) for name in ("testd", "lab")]
import testd
from numalab import belongings

_RECAP = re.compile(r"^\S+\s+: (ok=\d+\s.*)$", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class DemoError(Exception):
    """The demo did not do what it promises; the message says what."""


def recap(output: str) -> dict[str, int]:
    """The counts of a playbook's closing line, added up over its hosts.

    :raises DemoError: when there is none
    """
    lines = _RECAP.findall(_COLOUR.sub("", output).rpartition("PLAY RECAP")[2])
    if not lines:
        raise DemoError("the playbook printed no recap")
    totals: dict[str, int] = {}
    for line in lines:
        for name, count in re.findall(r"\b(\w+)=(\d+)", line):
            totals[name] = totals.get(name, 0) + int(count)
    return totals


def play(uri: str, backups: str, *more: str) -> dict[str, int]:
    """Run the playbook once, showing its output, and return its counts.

    :raises DemoError: when it fails
    """
    command = [
        str(machine.VENV / "bin" / "ansible-playbook"),
        "--inventory=localhost,",
        "--connection=local",
        f"--extra-vars=ansible_python_interpreter={machine.SYSTEM_PYTHON}",
        f"--extra-vars=numa_virt_uri={uri}",
        f"--extra-vars=numa_virt_backup_dir={backups}",
        *more,
        "playbooks/demo.yml",
    ]
    environment = {**os.environ, **machine.ansible_environment()}
    if sys.stdout.isatty():
        environment["ANSIBLE_FORCE_COLOR"] = "1"
    print(f"$ ansible-playbook {' '.join(['playbooks/demo.yml', f'-e numa_virt_uri={uri}', *more])}", flush=True)
    with subprocess.Popen(
        command,
        cwd=machine.REPO,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as child:
        assert child.stdout is not None
        seen = []
        for line in child.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            seen.append(line)
    if child.returncode != 0:
        raise DemoError(f"ansible-playbook ended with {child.returncode}")
    return recap("".join(seen))


def twice(uri: str, backups: str) -> None:
    """The demo proper.

    :raises DemoError: when a run fails, or the second one changes something
    """
    play(uri, backups)
    print("\nThe same playbook again: everything is where it should be, so nothing may change.\n", flush=True)
    changed = play(uri, backups)["changed"]
    if changed:
        raise DemoError(f"the second run changed {changed} things")


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="demo.py", description="Run the demo.")
    parser.add_argument("--uri", help="a libvirt URI; without one, a private daemon with the test driver")
    uri = parser.parse_args(arguments).uri
    start = time.monotonic()
    try:
        machine.ensure_packages("demo")
        machine.ensure_venv("demo")
        with tempfile.TemporaryDirectory(prefix="numa-virt-demo-") as backups:
            if uri is None:
                with testd.TestDaemon() as daemon:
                    twice(daemon.uri, backups)
            else:
                try:
                    twice(uri, backups)
                finally:
                    print("\nCleaning up.\n", flush=True)
                    play(uri, backups, "--extra-vars=demo_cleanup=true")
    except (machine.MissingError, testd.TestDaemonError, DemoError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"demo: the second run ended in changed=0; {time.monotonic() - start:.0f} s, nothing left running")
    return 0


if __name__ == "__main__":
    belongings.guard_this_process()
    sys.exit(main(sys.argv[1:]))
