# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What sysfs says of devices, on a tree as the kernel lays it out."""

from __future__ import annotations

import os

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node import devices
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Device

UUID = "4b20d080-1b54-4048-85b3-a6a62d165c01"
NIC = "0000:81:02.3"


@pytest.fixture
def sysfs(tmp_path, monkeypatch):
    """A bridge with a NIC and a GPU behind it, and what hangs on them."""
    root = tmp_path / "sys"
    monkeypatch.setattr(devices, "ROOT", str(root))
    real = root / "devices" / "pci0000:80" / "0000:80:01.0" / NIC
    for folder in ("vdpa0/vhost-vdpa-0", f"{UUID}", "net/eth0"):
        (real / folder).mkdir(parents=True)
    (real / "numa_node").write_text("1\n", encoding="ascii")
    (root / "devices/virtual/net/lo").mkdir(parents=True)
    links = {
        f"bus/pci/devices/{NIC}": real,
        "bus/pci/devices/0000:80:01.0": real.parent,
        f"bus/mdev/devices/{UUID}": real / UUID,
        "bus/vdpa/devices/vdpa0": real / "vdpa0",
        "class/net/eth0": real / "net/eth0",
        "class/net/lo": root / "devices/virtual/net/lo",
    }
    for name, target in links.items():
        os.makedirs(os.path.dirname(root / name), exist_ok=True)
        os.symlink(target, root / name)
    os.symlink(real, real / "net/eth0/device")
    os.symlink(root / "devices/virtual", root / "devices/virtual/net/lo/device")
    return root


@pytest.mark.parametrize(("text", "cell"), [("1\n", 1), ("0", 0), ("-1\n", None), ("", None), ("x", None), ("²", None)])
def test_a_pci_device(sysfs, text, cell):
    (sysfs / f"bus/pci/devices/{NIC}/numa_node").write_text(text, encoding="utf-8")
    assert devices.pci_device(NIC) == (cell, Device("pci_0000_81_02_3", NIC, ""))


def test_a_kernel_without_numa(sysfs):
    assert devices.pci_device("0000:80:01.0") == (None, Device("pci_0000_80_01_0", "0000:80:01.0", ""))


@pytest.mark.parametrize("address", ["0000:81:02.4", "", ".", "..", "../pci", "81:02.3", "0000:81:02.*"])
def test_no_pci_device(sysfs, address):
    assert devices.pci_device(address) is None


def test_the_device_behind_another(sysfs):
    assert devices.behind_mdev(UUID) == NIC
    assert devices.behind_vdpa("/dev/vhost-vdpa-0") == NIC
    assert devices.behind_interface("eth0") == NIC


@pytest.mark.parametrize("name", ["", ".", "..", "../devices", "a\0b", "none", "*"])
def test_what_is_not_there_has_none(sysfs, name):
    assert devices.behind_mdev(name) is None
    assert devices.behind_interface(name) is None
    assert devices.behind_vdpa(f"/dev/vhost-{name.replace(chr(0), '')}") is None


def test_what_is_no_part_of_a_pci_device(sysfs):
    assert devices.behind_interface("lo") is None
    assert devices.behind_vdpa("/") is None
