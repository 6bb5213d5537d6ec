# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line, as far as it boots nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from numalab import cli, doctor
from numalab.errors import UnavailableError
from numalab.packages import HOST_PACKAGES, missing_packages

LAB = Path(__file__).resolve().parent.parent / "lab.py"


def lab(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in an empty lab."""
    settings = {"NUMA_VIRT_LAB_RUN": str(tmp_path / "run"), "NUMA_VIRT_LAB_CACHE": str(tmp_path / "cache")}
    return subprocess.run(
        [sys.executable, str(LAB), *arguments],
        env={**os.environ, **settings, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_packages_are_printed_one_a_line(tmp_path: Path) -> None:
    assert lab(tmp_path, "packages").stdout.split() == sorted(HOST_PACKAGES)


def test_a_package_is_missing_when_its_command_is() -> None:
    assert missing_packages(lambda command: None if command in ("qemu-img", "cpio") else command) == [
        "cpio",
        "qemu-utils",
    ]


def test_an_empty_lab_has_an_empty_inventory(tmp_path: Path) -> None:
    done = lab(tmp_path, "inventory")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"all": {"children": {"lab": {"children": {}}}}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inventory", "kvm"), "not up: kvm"),
        (("ssh", "kvm", "true"), "not up: kvm"),
        (("up", "vax"), "no host is called 'vax'"),
        (("down",), "say which machine"),
        (("down", "../kvm"), "is no name"),
        (("run", "kvm"), "say what to run, after --"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = lab(tmp_path, *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_down_of_a_machine_that_is_not_up_is_no_error(tmp_path: Path) -> None:
    done = lab(tmp_path, "down", "kvm")
    assert (done.returncode, done.stdout) == (0, "kvm was not up\n")


def test_all_after_the_dashes_is_the_command_of_run() -> None:
    options = cli.parse(["run", "kvm", "smt", "--", "ansible-playbook", "--", "-v"])
    assert options.host == ["kvm", "smt"]
    assert options.command == ["ansible-playbook", "--", "-v"]


def test_ssh_takes_the_options_of_its_command() -> None:
    assert cli.parse(["ssh", "kvm", "ls", "-l", "--all"]).command == ["ls", "-l", "--all"]


def test_the_doctor_tells_one_reason_and_exits_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "missing_packages", lambda: ["cpio", "mmdebstrap"])
    assert cli.main(["doctor"]) == 3
    assert capsys.readouterr().err == "the lab cannot run here: missing Debian packages: cpio mmdebstrap\n"


def test_the_doctor_wants_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "missing_packages", list)
    monkeypatch.setattr(doctor, "_RUN_MIB", 10**9)
    with pytest.raises(UnavailableError, match="MiB of disk space"):
        doctor.examine([], tmp_path / "cache", tmp_path / "run")


def test_the_doctor_wants_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "missing_packages", list)
    monkeypatch.setattr(doctor, "_MEMORY_MIB", 10**9)
    with pytest.raises(UnavailableError, match="MiB of memory"):
        doctor.examine([], tmp_path, tmp_path)
