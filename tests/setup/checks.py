# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make test``: every check of noxfile.py that this machine can run, timed, and a count on the last line.

A check is a nox session. A failing one does not stop the others; its log is shown when it ends, and is kept in
.cache/checks. Those that mostly wait for emulated hosts run in lanes of their own beside all others, by their tags.

usage: checks.py [SESSION…]     all without names
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import machine

LOGS = machine.CACHE / "checks"
LANES = ("lab-kvm", "lab-xen")
TIME_LIMIT = 85 * 60  # seconds for one check; far beyond any of them, so that a hang ends as a failure


#: What pip says while all is well. It is in the log, and is not repeated when a check's log is shown.
_CHATTER = re.compile(
    r"\s*(WARNING: Location|Looking in|Collecting|Downloading|Installing|Successfully|Using cached|Processing|━"
    r"|Building wheel|Getting requirements|Preparing metadata|Created wheel|Stored in|Requirement already)"
)


@dataclass
class Outcome:
    """How one check went: ``passed``, ``failed`` or ``skipped``, with the reason where there is one."""

    name: str
    status: str
    seconds: float
    reason: str = ""


class Runner:
    """Runs checks one after another in each of some lanes."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.outcomes: list[Outcome] = []
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def lane(self, names: list[str]) -> None:
        """Run these checks in order."""
        for name in names:
            if not self._stopped:
                self._finish(self._run(name))

    def _run(self, name: str) -> Outcome:
        log, report = LOGS / f"{name}.log", LOGS / f"{name}.json"
        report.unlink(missing_ok=True)
        start = time.monotonic()
        command = [str(machine.VENV / "bin" / "nox"), "--session", name, "--report", str(report)]
        with log.open("wb") as file:
            child = subprocess.Popen(
                command,
                cwd=machine.REPO,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._children.add(child)
            try:
                child.wait(TIME_LIMIT)
                reason = ""
            except subprocess.TimeoutExpired:
                self._end(child)
                reason = f"not finished after {TIME_LIMIT} s"
            self._children.discard(child)
        return Outcome(name, _status(report), time.monotonic() - start, reason or _reason(log))

    def _finish(self, outcome: Outcome) -> None:
        with self._lock:
            self.outcomes.append(outcome)
            reason = "" if outcome.status == "passed" or not outcome.reason else f": {outcome.reason}"
            print(f"{outcome.status:8} {outcome.name:14} {outcome.seconds:7.1f} s{reason}", flush=True)
            if outcome.status == "failed":
                text = (LOGS / f"{outcome.name}.log").read_text(encoding="utf-8", errors="replace")
                lines = [line for line in text.splitlines() if not _CHATTER.match(line)]
                print("".join(f"    | {line}\n" for line in lines[-200:]), flush=True)

    @staticmethod
    def _end(child: subprocess.Popen[bytes]) -> None:
        """End a check and all that it started: its process group is ours."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(child.pid, number)
                child.wait(20)
                return
            except subprocess.TimeoutExpired:  # noqa: PERF203
                continue
            except ProcessLookupError:
                return

    def stop(self) -> None:
        """End what runs; start nothing more."""
        self._stopped = True
        for child in list(self._children):
            self._end(child)


def _status(report: Path) -> str:
    """What nox's own report says; a check without one has failed."""
    try:
        sessions = json.loads(report.read_text(encoding="utf-8"))["sessions"]
    except (OSError, ValueError, KeyError):
        return "failed"
    results = {session["result"] for session in sessions}
    if results == {"success"}:
        return "passed"
    return "skipped" if results == {"skipped"} else "failed"


def _reason(log: Path) -> str:
    """Why a session was skipped, in its own words."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace"))
    found = re.findall(r"^nox > Session \S+ skipped: (.*?)\.?$", text, re.MULTILINE)
    return found[-1] if found else ""


def sessions(environment: dict[str, str]) -> dict[str, list[str]]:
    """Name to tags of all checks, in the order of noxfile.py."""
    listed = subprocess.run(
        [str(machine.VENV / "bin" / "nox"), "--list", "--json"],
        cwd=machine.REPO,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return {entry["session"]: entry["tags"] for entry in json.loads(listed.stdout) if "tool" not in entry["tags"]}


def main(arguments: list[str]) -> int:
    """The command line."""
    start = time.monotonic()
    try:
        machine.ensure_packages("test")
        machine.ensure_venv("demo")
        machine.ensure_venv("nox")
        machine.link_tree()
    except machine.MissingError as error:
        print(f"cannot set this machine up: {error}", file=sys.stderr)
        return 3
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "NOX_ENABLE_STALENESS_CHECK": ""}
    tags = sessions(environment)
    unknown = [name for name in arguments if name not in tags]
    if unknown:
        print(f"no such check: {' '.join(unknown)}; there are: {' '.join(tags)}", file=sys.stderr)
        return 2
    wanted = [name for name in tags if not arguments or name in arguments]
    setup = time.monotonic() - start
    print(f"ready    {'setup':14} {setup:7.1f} s", flush=True)

    LOGS.mkdir(parents=True, exist_ok=True)
    runner = Runner(environment)
    lanes = [[name for name in wanted if lane in tags[name]] for lane in LANES]
    lanes.append([name for name in wanted if not set(LANES) & set(tags[name])])
    threads = [threading.Thread(target=runner.lane, args=(names,)) for names in lanes if names]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        runner.stop()
        for thread in threads:
            thread.join()
        return 130

    outcomes = sorted(runner.outcomes, key=lambda outcome: wanted.index(outcome.name))
    print(f"\n{'check':14} {'outcome':8} {'seconds':>8}")
    print(f"{'setup':14} {'ready':8} {setup:8.1f}")
    for outcome in outcomes:
        reason = "" if outcome.status == "passed" or not outcome.reason else f"  {outcome.reason}"
        print(f"{outcome.name:14} {outcome.status:8} {outcome.seconds:8.1f}{reason}")
    print(f"{'all':14} {'':8} {time.monotonic() - start:8.1f}\n")
    count = {
        status: sum(outcome.status == status for outcome in outcomes) for status in ("passed", "failed", "skipped")
    }
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped", flush=True)
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
