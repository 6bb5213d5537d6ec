# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which checks run where, and that nothing outlives a run, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import checks
import pytest
from lab_plan import LANES, SCENARIOS, SYSTEMS

SETUP = Path(checks.__file__).parent

#: A check that leaves a daemon behind, in a session of its own and with a new parent, and never ends.
NOX = """\
#!/bin/sh
setsid sh -c 'sleep 1000 & echo $! > "$FOLDER/daemon.new"; mv "$FOLDER/daemon.new" "$FOLDER/daemon"' &
exec sleep 1000
"""

#: ``make test`` with one check, which is that one.
RUN = """\
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
import checks, machine
folder = pathlib.Path(os.environ["FOLDER"])
machine.ensure_packages = lambda purpose: None
machine.ensure_venv = lambda name: None
machine.VENV = folder
checks.LOGS = folder
checks.sessions = lambda environment: {"endless": []}
sys.exit(checks.main([]))
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a stand-in for nox."""
    nox = tmp_path / "bin" / "nox"
    nox.parent.mkdir()
    nox.write_text(NOX)
    nox.chmod(0o755)
    monkeypatch.setenv("FOLDER", str(tmp_path))
    return tmp_path


def within(seconds: float, is_so: object) -> bool:
    """Wait until a callable returns true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():  # type: ignore[operator]  # a lambda of each test
            return True
        time.sleep(0.05)
    return False


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_a_run_ends_what_it_started(folder: Path, number: signal.Signals) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(SETUP)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert within(60, (folder / "daemon").exists)
    daemon = int((folder / "daemon").read_text())
    assert runs(daemon)
    run.send_signal(number)
    said = run.communicate(timeout=60)[0]
    assert run.returncode == (-number if number == signal.SIGKILL else 128 + number), said
    assert within(60, lambda: not runs(daemon))


def test_a_check_that_does_not_end_fails_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.machine, "VENV", folder)
    monkeypatch.setattr(checks, "LOGS", folder)
    runner = checks.Runner(dict(os.environ), limit=5)
    runner.lane("", ["endless"])
    [outcome] = runner.outcomes
    assert (outcome.status, outcome.reason) == ("failed", "not finished after 5 s")
    assert not runs(int((folder / "daemon").read_text()))


def test_lanes_and_systems_of_scenarios_are_known() -> None:
    assert {entry.lane for entry in SCENARIOS.values()} == set(LANES)
    assert {entry.system for entry in SCENARIOS.values()} == set(SYSTEMS)


def test_what_runs() -> None:
    tags = {"units": [], "lab-born-12": ["lab", "lab-1", "matrix"], "lab-born-13": ["lab", "lab-1"]}
    assert checks.choose(tags, []) == ["units", "lab-born-13"]
    assert checks.choose(tags, [], long=True) == list(tags)
    assert checks.choose(tags, [], matrix=True) == ["lab-born-12", "lab-born-13"]
    assert checks.choose(tags, ["lab-born-12"]) == ["lab-born-12"]
    tags["docs"] = ["second"]
    assert checks.lanes_of(tags, ["units", "docs", "lab-born-13", "lab-born-12"]) == {
        "lab-1": ["lab-born-12", "lab-born-13"],
        "": ["units"],
        "second": ["docs"],
    }


@pytest.mark.skipif(not (checks.machine.VENV / "bin" / "nox").exists(), reason="`make setup` was not run here")
def test_every_scenario_is_a_check_on_every_system() -> None:
    tags = checks.sessions({**os.environ, "NUMA_VIRT_CHECKS": "1"})
    pairs = {
        f"lab-{name}-{system}": system == entry.system and not entry.by_hand
        for name, entry in SCENARIOS.items()
        for system in SYSTEMS
    }
    assert set(checks.choose(tags, [], matrix=True)) == set(pairs)
    assert {name for name in checks.choose(tags, []) if name in pairs} == {name for name in pairs if pairs[name]}
