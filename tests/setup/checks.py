# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make test``: every check of noxfile.py that this machine can run, timed, and a count on the last line.

A check is a nox session. A failing one does not stop the others; its log is shown when it ends, its last lines again
at the end of all, and it is kept in .cache/checks. Scenarios on emulated hosts run in lanes of their own beside all
others (lab_plan.py).

Whatever ends this process (an interrupt, a polite end, a terminal that is gone, even a kill) ends all that it started.

usage: checks.py [--long | --matrix] [SESSION…]     all without names
  --long    the long form of what has one, and scenarios on all systems; takes hours
  --matrix  all scenarios on all systems, and nothing else
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import machine
from lab_plan import LANES

sys.path.append(str(machine.REPO / "tests" / "lab"))
from numalab import belongings

LOGS = machine.CACHE / "checks"
#: The lane of half of those that need no lab: when scenarios have ended two CPUs are left, and most use one.
SECOND = "second"
#: How nice all are that need no lab. An emulated host whose CPUs are taken from it makes its other ones wait for them.
NICE = 5
#: Seconds after which a check is ended. None may take more than 20 minutes alone on a quiet machine; here four lanes
#: share two CPUs, so that each gets half of one, and somebody else may want some of it.
TIME_LIMIT = 60 * 60
#: The same for a long form.
LONG_LIMIT = 4 * 60 * 60


#: What pip says while all is well. It is in the log, and is not repeated when a check's log is shown.
_CHATTER = re.compile(
    r"\s*(WARNING: Location|Looking in|Collecting|Downloading|Installing|Successfully|Using cached|Processing|━"
    r"|Building wheel|Getting requirements|Preparing metadata|Created wheel|Stored in|Requirement already)"
)


@dataclass
class Outcome:
    """How one check went: ``passed``, ``failed`` or ``skipped``, with the reason where there is one.

    ``work`` is the processor time of all that it started, but for emulated hosts, in seconds.
    """

    name: str
    status: str
    seconds: float
    reason: str = ""
    work: float = 0.0


@dataclass
class Runner:
    """Runs checks one after another in each of some lanes."""

    environment: dict[str, str]
    limit: float = TIME_LIMIT
    outcomes: list[Outcome] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def lane(self, lane: str, names: list[str]) -> None:
        """Run these checks in order; in a lane of the lab, on hosts that are this lane's own and end with it."""
        environment = dict(self.environment)
        if lane in LANES:
            environment["NUMA_VIRT_LAB_RUN"] = str(machine.CACHE / "lab" / lane)
        try:
            for name in names:
                if self._stopped:
                    return
                outcome = self._run(name, environment, 0 if lane in LANES else NICE)
                self._finish(outcome)
                if lane in LANES and outcome.status == "failed":
                    self._end_hosts(environment)
        finally:
            if lane in LANES and not self._stopped:
                self._end_hosts(environment)

    @staticmethod
    def _end_hosts(environment: dict[str, str]) -> None:
        command = [machine.SYSTEM_PYTHON, "tests/lab/lab.py", "down", "--all"]
        subprocess.run(command, cwd=machine.REPO, env=environment, stdout=subprocess.DEVNULL, check=False)

    def _run(self, name: str, environment: dict[str, str], nice: int) -> Outcome:
        log, report = LOGS / f"{name}.log", LOGS / f"{name}.json"
        report.unlink(missing_ok=True)
        start = time.monotonic()
        mark = belongings.new_name()
        nox = str(machine.VENV / "bin" / "nox")
        command = ["nice", "-n", str(nice), nox, "--session", name, "--report", str(report)]
        reason, work = "", 0.0
        with log.open("wb") as file:
            child = subprocess.Popen(
                command,
                cwd=machine.REPO,
                env=belongings.marked(mark, environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            # Each session is a group of its own to the scheduler, which looks at nice within a group only.
            with contextlib.suppress(OSError):
                Path(f"/proc/{child.pid}/autogroup").write_text(str(nice), encoding="ascii")
            while True:
                pid, _code, used = os.wait4(child.pid, os.WNOHANG)
                if pid:
                    child.returncode, work = 0, used.ru_utime + used.ru_stime  # nox's report says how it went
                    break
                if not reason and time.monotonic() - start > self.limit:
                    reason = f"not finished after {self.limit:.0f} s"
                    belongings.end(mark)
                time.sleep(0.2)
        status = "failed" if reason else _status(report)
        return Outcome(name, status, time.monotonic() - start, reason or _reason(log), work)

    def _finish(self, outcome: Outcome) -> None:
        if self._stopped:
            return
        with self._lock:
            self.outcomes.append(outcome)
            reason = "" if outcome.status == "passed" or not outcome.reason else f": {outcome.reason}"
            print(f"{outcome.status:8} {outcome.name:16} {outcome.seconds:7.1f} s{reason}", flush=True)
            if outcome.status == "failed":
                print(_end_of_log(outcome.name, 200), flush=True)

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped = True


def _end_of_log(name: str, count: int) -> str:
    """The last lines of a check's log, without chatter."""
    text = (LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if not _CHATTER.match(line)]
    return "".join(f"    | {line}\n" for line in lines[-count:])


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


def choose(tags: dict[str, list[str]], names: list[str], long: bool = False, matrix: bool = False) -> list[str]:
    """The checks to run, of all that there are: those that are named, or those of this kind of run."""
    if names:
        return [name for name in tags if name in names]
    if matrix:
        return [name for name in tags if "lab" in tags[name]]
    return [name for name in tags if long or "matrix" not in tags[name]]


def lanes_of(tags: dict[str, list[str]], wanted: list[str]) -> dict[str, list[str]]:
    """Which checks each lane runs, in which order; those that need no lab are in the one without a name, or in SECOND.

    One system comes after the other, so that hosts are not paused and woken for each scenario.
    """
    lanes: dict[str, list[str]] = {lane: [] for lane in (*LANES, "", SECOND)}
    for name in wanted:
        lanes[next((lane for lane in (*LANES, SECOND) if lane in tags[name]), "")].append(name)
    for lane in LANES:
        lanes[lane].sort(key=lambda name: name.rpartition("-")[2])
    return {lane: names for lane, names in lanes.items() if names}


def main(arguments: list[str]) -> int:
    """The command line."""
    run = belongings.new_name()
    try:
        with belongings.guarded(run), belongings.stopped_by_signals():
            os.environ[run] = "1"
            return check(arguments)
    except belongings.StoppedError as stopped:
        belongings.end(run)
        print("interrupted; all that ran was ended", file=sys.stderr, flush=True)
        # Threads that wait for a check's end hold nobody up.
        os._exit(128 + stopped.number)


def check(arguments: list[str]) -> int:
    """Run checks, as the command line says."""
    start = time.monotonic()
    options = [word for word in arguments if word.startswith("-")]
    names = [word for word in arguments if not word.startswith("-")]
    if options not in ([], ["--long"], ["--matrix"]):
        print(__doc__, file=sys.stderr)
        return 2
    long, matrix = "--long" in options, "--matrix" in options
    try:
        machine.ensure_packages("test")
        machine.ensure_venv("demo")
        machine.ensure_venv("nox")
        machine.link_tree()
    except machine.MissingError as error:
        print(f"cannot set this machine up: {error}", file=sys.stderr)
        return 3
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "NOX_ENABLE_STALENESS_CHECK": "", "NUMA_VIRT_CHECKS": "1"}
    if long or matrix:
        environment["NUMA_VIRT_LONG"] = "1"
    tags = sessions(environment)
    unknown = [name for name in names if name not in tags]
    if unknown:
        print(f"no such check: {' '.join(unknown)}; there are: {' '.join(tags)}", file=sys.stderr)
        return 2
    wanted = choose(tags, names, long, matrix)
    if any("lab" in tags[name] for name in wanted):
        # Lanes would make it at the same moment; where it cannot be made, each scenario says so.
        try:
            machine.ensure_venv("molecule")
        except machine.MissingError as error:
            print(f"no Molecule: {error}", file=sys.stderr)
    setup = time.monotonic() - start
    print(f"ready    {'setup':16} {setup:7.1f} s", flush=True)

    LOGS.mkdir(parents=True, exist_ok=True)
    runner = Runner(environment, LONG_LIMIT if long else TIME_LIMIT)
    threads = [threading.Thread(target=runner.lane, args=lane) for lane in lanes_of(tags, wanted).items()]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except belongings.StoppedError:
        runner.stop()
        raise

    outcomes = sorted(runner.outcomes, key=lambda outcome: wanted.index(outcome.name))
    print(f"\n{'check':16} {'outcome':8} {'seconds':>8} {'of work':>8}")
    print(f"{'setup':16} {'ready':8} {setup:8.1f}")
    for outcome in outcomes:
        reason = "" if outcome.status == "passed" or not outcome.reason else f"  {outcome.reason}"
        print(f"{outcome.name:16} {outcome.status:8} {outcome.seconds:8.1f} {outcome.work:8.1f}{reason}")
    print(f"{'all':16} {'':8} {time.monotonic() - start:8.1f}\n")
    # Said again: who reads no more than the end of a long output sees what failed.
    for outcome in outcomes:
        if outcome.status == "failed":
            print(f"{outcome.name} failed:\n{_end_of_log(outcome.name, 30)}")
    count = {
        status: sum(outcome.status == status for outcome in outcomes) for status in ("passed", "failed", "skipped")
    }
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped", flush=True)
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
