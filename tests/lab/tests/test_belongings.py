# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever ends the lab's ``run`` ends the machines that it booted, the command, and what that started."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from numalab import belongings

LAB = Path(__file__).resolve().parent.parent

#: ``lab.py run kvm smt -- COMMAND``, where a machine is a QEMU that boots nothing, and the last one is never up.
RUN = """\
import subprocess, sys, time
from pathlib import Path
lab, folder = sys.argv[1:3]
sys.path.insert(0, lab)
from numalab import cli
from numalab.hosts import RunPaths

def boot(host, name, runs, say, warm):
    paths = RunPaths(runs / name)
    paths.directory.mkdir(parents=True)
    qemu = ["qemu-system-x86_64", "-S", "-M", "none", "-nodefaults", "-display", "none", "-daemonize"]
    subprocess.run([*qemu, "-pidfile", str(paths.pid)], check=True)
    while name == "smt" and BOOTING:
        time.sleep(0.1)
    return None, True

BOOTING = sys.argv[3] == "booting"
cli.boot = boot
cli.examine = lambda *_: None
cli._write_inventory = lambda *_: None
command = ["sh", "-c", "sleep 1000 & setsid sleep 1000 & touch " + folder + "/command; wait"]
sys.exit(cli.main(["run", "kvm", "smt", "--", *command]))
"""


def pids(folder: Path) -> list[int]:
    return [int(path.read_text()) for path in folder.glob("*/qemu.pid") if path.read_text()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(is_so: object) -> None:
    end = time.monotonic() + 60
    while not is_so():  # type: ignore[operator]  # a lambda of each test
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="there is no QEMU where no lab can run")
@pytest.mark.parametrize("when", ["booting", "running"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_outlives_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, when: str
) -> None:
    monkeypatch.setenv("NUMA_VIRT_LAB_RUN", str(tmp_path))
    mark = belongings.new_name()
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(LAB), str(tmp_path), when], env=belongings.marked(mark), stderr=subprocess.PIPE
    )
    try:
        wait_for(lambda: len(pids(tmp_path)) == 2 and (when == "booting" or (tmp_path / "command").exists()))
        assert all(runs(pid) for pid in pids(tmp_path))
        run.send_signal(number)
        run.communicate(timeout=60)
        assert run.returncode == (-number if number == signal.SIGKILL else 128 + number)
        wait_for(lambda: not belongings.belongings(mark))
    finally:
        belongings.end(mark, patience=1)


#: A process that has itself guarded, as nox does, and leaves a daemon behind.
GUARDED = """\
import subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from numalab import belongings
belongings.guard_this_process()
subprocess.run(["sh", "-c", "setsid sleep 1000 > /dev/null 2>&1 & echo $!"], check=True)
time.sleep(0 if sys.argv[2] == "ends" else 1000)
"""


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_outlives_a_process_that_is_guarded(number: signal.Signals | None) -> None:
    words = [sys.executable, "-c", GUARDED, str(LAB), "ends" if number is None else "stays"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        daemon = int(process.stdout.readline())
        if number is not None:
            assert runs(daemon)
            process.send_signal(number)
    wait_for(lambda: not runs(daemon))


def test_they_belong_by_a_variable_or_by_an_ancestor(tmp_path: Path) -> None:
    def process(pid: int, parent: int, state: str = "S", environment: bytes = b"") -> None:
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) {state} {parent} 1 1")
        (tmp_path / str(pid) / "environ").write_bytes(environment)

    process(10, 1, environment=b"A=1\0MINE=1\0")
    process(11, 10)  # its environment was made anew
    process(12, 11)
    process(13, 1, environment=b"MINE_TOO=1\0NOT=MINE=1\0")
    process(14, 10, state="Z")
    (tmp_path / "self").mkdir()
    assert belongings.belongings("MINE", tmp_path) == {10, 11, 12}
