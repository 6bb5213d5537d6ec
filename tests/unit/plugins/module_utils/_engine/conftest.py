# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node import claims, devices, kernel_cpus, lock, meminfo
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import (
    Hypervisor,
    TestDriver,
)


@pytest.fixture(autouse=True)
def no_lock_of_this_machine(tmp_path, monkeypatch):
    """Stand-ins of root's daemons have a lock of their own, with claims beside it, and a state of their own."""
    monkeypatch.setattr(lock, "SYSTEM_DIRECTORY", str(tmp_path / "numa.virt"))
    monkeypatch.setattr(claims, "STATE_DIRECTORY", str(tmp_path / "numa.virt.host"))


@pytest.fixture(autouse=True)
def nothing_of_this_machine(tmp_path, monkeypatch):
    """What is in a test's own sysfs, and in its own /proc/meminfo; empty where it has none."""
    monkeypatch.setattr(devices, "ROOT", str(tmp_path / "sys"))
    monkeypatch.setattr(meminfo, "PATH", str(tmp_path / "meminfo"))


@pytest.fixture(autouse=True)
def kernel_files(tmp_path, monkeypatch):
    """What stand-ins read of the kernel, file by file; nothing at first, and nothing of this machine."""
    folder = tmp_path / "kernel"
    monkeypatch.setattr(kernel_cpus, "CPUS", str(folder / "cpu"))
    monkeypatch.setattr(kernel_cpus, "GROUPS", str(folder / "cgroup"))

    def write(**texts):
        """``cpu__isolated="4-7"``, ``cgroup__dpdk.slice__cpuset.cpus.partition="root"``."""
        for name, text in texts.items():
            path = folder.joinpath(*name.split("__"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n", encoding="utf-8")

    return write


@pytest.fixture
def testdriver(tmp_path):
    """libvirt's test driver without domains."""
    driver = TestDriver(str(tmp_path / "backups"))
    yield driver
    driver.end()


@pytest.fixture
def qemu(tmp_path, monkeypatch):
    """A stand-in for a qemu host of 4 cells x 2 CPUs on this machine."""
    hypervisor = Hypervisor(tmp_path)
    hypervisor.see_processes(monkeypatch)
    return hypervisor


@pytest.fixture
def far_qemu(tmp_path_factory, monkeypatch):
    """The same somewhere else: its processes are not to be seen."""
    hypervisor = Hypervisor(tmp_path_factory.mktemp("far"), local=False)
    hypervisor.see_processes(monkeypatch)
    return hypervisor


@pytest.fixture
def xen(tmp_path):
    """A stand-in for a Xen host of 4 cells x 2 CPUs."""
    return Hypervisor(tmp_path, "xen")
