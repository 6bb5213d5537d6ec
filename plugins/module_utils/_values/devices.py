# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Devices of the host that guests are given: what a guest's definition calls each of them, and the cell it is on.

A guest's device is named by text: a PCI address ("0000:81:02.3", or "0000:81:02.*" for all functions of that slot), or
a kind and a name, such as "mdev 4b20d080-1b54-4048-85b3-a6a62d165c01". A device that is no PCI device itself is on the
cell of the PCI devices behind it.
This file must not import ansible, libvirt or lxml, and must not read anything itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from ansible_collections.numa.virt.plugins.module_utils._values.topology import Device, GuestDevice, Host

# Kinds of devices that have another name than a PCI address: a mediated device has its UUID, a vDPA device its
# character device, one that libvirt takes out of a pool that network's name, one of xl what it was called there.
MDEV, VDPA, NETWORK, NAMED = "mdev", "vdpa", "network", "pci"
FUNCTIONS = 8

# A PCI device of the host with its cell, None where the host names none.
Listed = tuple[Optional[int], Device]

_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")


@dataclass(frozen=True)
class Behind:
    """The PCI devices behind a guest's device, by address or by libvirt's name; ``why`` says why there are none.

    ``interface`` is the network interface of the device whose functions a pool has.
    """

    name: str
    devices: tuple[str, ...] = ()
    why: str = ""
    interface: str = ""


def pci_address(domain: int, bus: int, slot: int, function: int) -> str:
    """The one way in which an address is written here."""
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def libvirt_name(address: str) -> str:
    """What libvirt calls the PCI device of an address."""
    return f"pci_{address.replace(':', '_').replace('.', '_')}"


def is_address(text: str) -> bool:
    """Whether it is a whole address of one device."""
    return _ADDRESS.fullmatch(text) is not None


def functions_of(name: str) -> tuple[str, ...]:
    """The addresses that a PCI address with or without a star may stand for."""
    return tuple(f"{name[:-1]}{number}" for number in range(FUNCTIONS)) if name.endswith(".*") else (name,)


def called(kind: str, name: str) -> str:
    """What a device that has no PCI address of its own is called."""
    return f"{kind} {name}"


def kind_and_name(device: str) -> tuple[str, str]:
    """The reverse of called(); the kind of a PCI address is empty."""
    kind, blank, name = device.partition(" ")
    return (kind, name) if blank else ("", device)


def on_cells(host: Host, listed: Sequence[Listed], behind: Iterable[Behind] = (), unlisted: str = "") -> Host:
    """The host with its PCI devices on their cells, and with what is known of devices that guests name.

    ``unlisted`` says why the list may be short. A host with one cell has all its devices there, whatever it says or
    leaves out of them.
    """
    only = host.cells[0].id if len(host.cells) == 1 else None
    where: dict[str, int | None] = {}
    on: dict[int, list[Device]] = {}
    for cell, device in listed:
        if only is not None and (cell is None or host.implied_cell):
            cell = only
        where[device.address] = where[device.name] = cell
        if cell is not None:
            on.setdefault(cell, []).append(device)
    cells = tuple(
        replace(cell, devices=tuple(sorted(on.get(cell.id, ()), key=lambda each: each.address))) for cell in host.cells
    )
    of_guests = tuple(_guest_device(host, only, where, each, unlisted) for each in behind)
    return replace(host, cells=cells, guest_devices=of_guests)


def _guest_device(
    host: Host, only: int | None, where: Mapping[str, int | None], behind: Behind, unlisted: str
) -> GuestDevice:
    found = {cell for cell in (where.get(each) for each in behind.devices) if cell is not None}
    foreign = sorted(found - set(host.cell_ids))
    if foreign:
        return GuestDevice(behind.name, None, f"it is on cell {foreign[0]}, which the host does not list")
    why = behind.why or _why_unknown(where, behind, sorted(found), unlisted)
    cell = only if why else found.pop()
    return GuestDevice(behind.name, cell, why if cell is None else "")


def _why_unknown(where: Mapping[str, int | None], behind: Behind, cells: Sequence[int], unlisted: str) -> str:
    """Empty where the devices behind it are all on one cell."""
    for each in behind.devices:
        if each not in where:
            return unlisted or f"it lists no device {each}"
        if where[each] is None:
            return f"{each} has no NUMA node"
    if len(cells) > 1:
        return f"it is one of several, which are on cells {', '.join(map(str, cells))}"
    return "" if cells else "nothing tells which PCI device it is"
