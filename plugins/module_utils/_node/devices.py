# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine's kernel says of devices: the NUMA node of a PCI device, and the PCI device behind another one.

Formats: Documentation/ABI/testing/sysfs-bus-pci, sysfs-bus-vdpa and vfio-mediated-device in the kernel. A name that is
no file's name is looked up nowhere.
This file must not import ansible, libvirt or lxml, and must not judge what it reads.
"""

from __future__ import annotations

import glob
import os

from ansible_collections.numa.virt.plugins.module_utils._values.devices import Listed, is_address, libvirt_name
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Device

ROOT = "/sys"


def pci_device(address: str) -> Listed | None:
    """A PCI device with the cell that the kernel names for it; None where there is no such device to be seen."""
    folder = os.path.join(ROOT, "bus/pci/devices", address)
    if not is_address(address) or not os.path.isdir(folder):
        return None
    try:
        with open(os.path.join(folder, "numa_node"), encoding="ascii", errors="replace") as file:
            text = file.read(32).strip()
    except OSError:
        text = ""  # a kernel without NUMA
    cell = int(text) if text.isdecimal() and text.isascii() else None
    return cell, Device(libvirt_name(address), address, "")


def behind_mdev(uuid: str) -> str | None:
    """The address of the PCI device that a mediated device is a part of."""
    return _pci_above(os.path.join(ROOT, "bus/mdev/devices", uuid)) if _is_name(uuid) else None


def behind_vdpa(path: str) -> str | None:
    """The address of the PCI device behind a character device such as /dev/vhost-vdpa-0."""
    name = os.path.basename(os.path.realpath(path))
    found = glob.glob(os.path.join(ROOT, "bus/vdpa/devices/*", glob.escape(name))) if _is_name(name) else []
    return _pci_above(found[0]) if found else None


def behind_interface(name: str) -> str | None:
    """The address of the PCI device of a network interface."""
    return _pci_above(os.path.join(ROOT, "class/net", name, "device")) if _is_name(name) else None


def _pci_above(path: str) -> str | None:
    """The nearest PCI device on the way from a device of sysfs to its root."""
    if not os.path.exists(path):
        return None
    parts = os.path.realpath(path).split(os.sep)
    return next((part for part in reversed(parts) if is_address(part)), None)


def _is_name(text: str) -> bool:
    return bool(text) and "/" not in text and "\0" not in text and text not in (".", "..")
