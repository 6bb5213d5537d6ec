# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which disk a host boots from, as far as none is made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from numalab import bring_up, machine
from numalab.bring_up import ensure_disk, warm_disk_of
from numalab.build import Image
from numalab.hosts import HOSTS, RunPaths
from numalab.machine import HungError


@pytest.fixture(name="image")
def _image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """Return an image that counts as built, whatever the recipe."""
    image = Image(tmp_path / "image")
    image.directory.mkdir()
    monkeypatch.setattr(bring_up, "ensure_image", lambda _recipe, _cache, _say: image)
    return image


def test_a_host_boots_from_its_warm_disk(image: Image, tmp_path: Path) -> None:
    disk = warm_disk_of(HOSTS["kvm"], image)
    disk.touch()
    assert ensure_disk(HOSTS["kvm"], tmp_path, print) == (image, disk)


def test_a_host_that_is_booted_once_is_not_warmed_first(image: Image, tmp_path: Path) -> None:
    assert ensure_disk(HOSTS["kvm"], tmp_path, print, warm=False) == (image, image.disk)
    disk = warm_disk_of(HOSTS["kvm"], image)
    disk.touch()
    assert ensure_disk(HOSTS["kvm"], tmp_path, print, warm=False) == (image, disk)


def test_a_host_that_does_not_warm_boots_from_its_image(image: Image, tmp_path: Path) -> None:
    assert ensure_disk(HOSTS["xen"], tmp_path, print) == (image, image.disk)


def test_hosts_of_one_image_have_warm_disks_of_their_own(image: Image) -> None:
    hosts = [host for host in HOSTS.values() if host.warms]
    assert len({warm_disk_of(host, image) for host in hosts}) == len(hosts)


def test_a_machine_that_hangs_is_started_again(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(bring_up, "start", lambda *_: calls.append("start"))
    monkeypatch.setattr(bring_up, "take_down", lambda *_: calls.append("end"))

    def hangs(*_: object) -> None:
        if calls.count("start") <= times:
            raise HungError("it hangs")

    monkeypatch.setattr(bring_up, "wait_until_ready", hangs)
    times = 1
    bring_up.start_and_wait(HOSTS["kvm"], "kvm", tmp_path, image, image.disk, print)
    assert calls == ["start", "end", "start"]
    calls.clear()
    times = 9
    with pytest.raises(HungError):
        bring_up.start_and_wait(HOSTS["kvm"], "kvm", tmp_path, image, image.disk, print)
    assert calls == ["start", "end"] * (bring_up.HANGS + 1)


@pytest.mark.parametrize(
    ("seconds", "serial", "says"),
    [(1000.0, "", "1000 s of processor time"), (5.0, "systemd[1]: Freezing execution.\n", "has given up")],
)
def test_a_hung_machine_is_known_by_its_work_and_its_words(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, serial: str, says: str
) -> None:
    monkeypatch.setattr(machine, "running_pid", lambda _path: 1)
    monkeypatch.setattr(machine, "_sshd_answers", lambda _port: False)
    monkeypatch.setattr(machine, "processor_seconds", lambda _pid: seconds)
    paths = RunPaths(tmp_path)
    paths.serial.write_text(serial)
    booting = machine.Machine("kvm", HOSTS["kvm"], 1, image, paths)
    with pytest.raises(HungError, match=says):
        machine.wait_until_ready(booting, time.monotonic(), print)


def test_a_machine_whose_disk_is_idle_for_long_hangs(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = iter(range(0, 1000, 10))
    monkeypatch.setattr(machine, "running_pid", lambda _path: 1)
    monkeypatch.setattr(machine, "_sshd_answers", lambda _port: False)
    monkeypatch.setattr(machine, "processor_seconds", lambda _pid: float(next(work)))
    monkeypatch.setattr(machine.time, "sleep", lambda _seconds: None)
    operations = iter([1, 2, 3, *[4] * 100])

    class Disk:
        def __init__(self, _path: Path) -> None:
            pass

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def execute(self, _command: str) -> list[dict[str, dict[str, int]]]:
            return [{"stats": {"rd_operations": next(operations), "wr_operations": 0}}]

    monkeypatch.setattr(machine, "Monitor", Disk)
    paths = RunPaths(tmp_path)
    paths.serial.write_text("")
    booting = machine.Machine("kvm", HOSTS["kvm"], 1, image, paths)
    with pytest.raises(HungError, match="disk is idle"):
        machine.wait_until_ready(booting, time.monotonic(), print)


def test_a_machine_that_is_gone_is_not_idle(image: Image, tmp_path: Path) -> None:
    gone = machine.Machine("kvm", HOSTS["kvm"], 1, image, RunPaths(tmp_path))
    assert machine._DiskWatch(gone).idle_for(500.0) == 0.0
