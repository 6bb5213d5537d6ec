# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run molecule scenarios one after the other, all of them whatever comes; a line for each, and what failed.

Whole logs, each line with the seconds that have passed, are in .cache/checks/scenario-SCENARIO.log.

usage: scenarios.py SCENARIO…
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

import machine

LOGS = machine.CACHE / "checks"
#: Lines from before and after the first failure, and at the end, that are shown.
BEFORE, AFTER = 25, 30
_FAILURE = re.compile(r"\[ERROR\]|^fatal:|^failed:|CRITICAL(?!.*glob failed)|Traceback")


def run(scenario: str) -> tuple[bool, float]:
    """Whether it passed, and how many seconds it took. Its log is shown as far as it matters."""
    start = time.monotonic()
    # There Molecule keeps that its hosts are prepared, and these are others each time.
    state = machine.CACHE / "molecule" / scenario
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    child = subprocess.Popen(
        ["molecule", "test", "--no-command-borders", "--scenario-name", scenario],
        cwd=machine.REPO,
        env={**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "MOLECULE_EPHEMERAL_DIRECTORY": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    lines = []
    with (LOGS / f"scenario-{scenario}.log").open("w", encoding="utf-8") as log:
        for line in child.stdout or ():
            lines.append(line.rstrip("\n"))
            log.write(f"{time.monotonic() - start:7.1f}  {line}")
            log.flush()
    passed = child.wait() == 0
    seconds = time.monotonic() - start
    print(f"{'passed' if passed else 'failed':8} {scenario:14} {seconds:7.1f} s", flush=True)
    if not passed:
        print("".join(f"    | {line}\n" for line in excerpt(lines)), flush=True)
    return passed, seconds


def excerpt(lines: Sequence[str]) -> Sequence[str]:
    """The lines around the first failure, or the last ones where none is seen."""
    first = next((number for number, line in enumerate(lines) if _FAILURE.search(line)), len(lines) - AFTER)
    return lines[max(0, first - BEFORE) : max(0, first) + AFTER]


def main(scenarios: Sequence[str]) -> int:
    """The command line."""
    LOGS.mkdir(parents=True, exist_ok=True)
    outcomes = {scenario: run(scenario) for scenario in scenarios}
    failed = [scenario for scenario, (passed, _seconds) in outcomes.items() if not passed]
    print(
        f"\n{len(outcomes) - len(failed)} scenarios passed, {len(failed)} failed: {' '.join(failed) or 'none'}",
        flush=True,
    )
    return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
