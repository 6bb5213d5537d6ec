# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On which cells devices are, by what the hypervisor says, and by this machine's sysfs where that is the host's.

Everything is asked once in a run, and only what some guest makes necessary.
This file must not import ansible or libvirt, and must not change anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._errors import LibvirtCallError, NumaVirtError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._libvirt.capabilities_xml import parse_device_part, parse_pool
from ansible_collections.numa.virt.plugins.module_utils._node import devices as sysfs
from ansible_collections.numa.virt.plugins.module_utils._values.devices import (
    MDEV,
    NAMED,
    NETWORK,
    VDPA,
    Behind,
    Listed,
    called,
    functions_of,
    kind_and_name,
    on_cells,
)
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Device, Host

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.session import Session


class Devices:
    """The devices of one host, for one run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._local = session.driver.sysfs and session.connection.local
        self._unlisted: LibvirtCallError | None = None
        self._parts: dict[str, dict[str, Behind]] = {}
        self._pools: dict[str, Behind | None] = {}

    def on(self, host: Host, wanted: Iterable[str] = ()) -> Host:
        """The host with its PCI devices on their cells, and with what is known of the wanted ones.

        Where the devices cannot be listed, that raises LibvirtCallError only if no single one is wanted.
        """
        behind = [self._behind(name) for name in sorted(set(wanted))]
        listed = {device.address: (cell, device) for cell, device in self._listed}
        if self._unlisted is not None and not behind:
            raise self._unlisted
        names = {device.name for _cell, device in self._listed}
        for each in sorted({device for one in behind for device in one.devices}):
            cell, _device = listed.get(each, (None, None))
            if cell is None and each not in names:
                found = self._elsewhere(each)
                if found is not None and (found[0] is not None or each not in listed):
                    listed[each] = found
        why = f"its devices cannot be listed: {self._unlisted.fields['reason']}" if self._unlisted is not None else ""
        return on_cells(host, list(listed.values()), behind, why)

    def complete(self, needs: GuestNeeds) -> GuestNeeds:
        """Needs with the devices that libvirt will take out of pools, for a guest that has not got its own yet."""
        pools = [self._pool(name) for name in needs.networks]
        more = tuple(each.name for each in pools if each is not None)
        return replace(needs, devices=(*needs.devices, *more)) if more else needs

    @cached_property
    def _listed(self) -> list[Listed]:
        try:
            return self._session.dialect.devices(self._session.connection)
        except LibvirtCallError as error:  # a daemon of its own lists them, and need not be there
            self._unlisted = error
            return []

    @cached_property
    def _by_xen(self) -> dict[str, int]:
        """What Xen itself says: dom0's kernel is not told."""
        xen = self._session.xen
        if xen is not None and self._session.connection.dialect == "xml":  # xl has said it already
            with contextlib.suppress(NumaVirtError):
                return xen.device_cells()
        return {}

    def _elsewhere(self, address: str) -> Listed | None:
        """A device of which the list of the hypervisor says nothing, or no cell."""
        if address in self._by_xen:
            return self._by_xen[address], Device("", address, "")
        return sysfs.pci_device(address) if self._local else None

    def _behind(self, device: str) -> Behind:
        kind, name = kind_and_name(device)
        if not kind:
            return self._functions(device)
        if kind == NETWORK:
            return self._pool(name) or Behind(device)
        if kind in (MDEV, VDPA):
            return self._part(kind, name)
        if kind == NAMED:
            return self._named(name)
        return Behind(device, why="the definition does not say which PCI device it is")

    def _functions(self, device: str) -> Behind:
        addresses = functions_of(device)
        if len(addresses) == 1:
            return Behind(device, addresses)
        known = {each.address for _cell, each in self._listed}
        there = tuple(each for each in addresses if each in known or self._elsewhere(each) is not None)
        return Behind(device, there, "" if there else "it lists no function of that slot")

    def _part(self, kind: str, name: str) -> Behind:
        if kind not in self._parts:
            documents: list[str] = []
            with contextlib.suppress(LibvirtCallError):  # a daemon that does not know this kind
                documents = self._session.connection.device_parts(kind)
            found = [parse_device_part(each) for each in documents]
            self._parts[kind] = {each.name: each for each in found if each is not None}
        device = called(kind, name)
        if device in self._parts[kind]:
            return self._parts[kind][device]
        parent = (sysfs.behind_mdev if kind == MDEV else sysfs.behind_vdpa)(name) if self._local else None
        return Behind(device, (parent,)) if parent else Behind(device, why="nothing tells its parent device")

    def _pool(self, name: str) -> Behind | None:
        """The pool of a network, None of one that has none."""
        if name not in self._pools:
            self._pools[name] = self._read_pool(name)
        return self._pools[name]

    def _read_pool(self, name: str) -> Behind | None:
        try:
            document = self._session.connection.network(name)
        except UnsupportedError:
            return None  # no guest of this driver has one
        except LibvirtCallError as error:
            return Behind(called(NETWORK, name), why=f"its network cannot be read: {error.fields['reason']}")
        pool = parse_pool(document) if document is not None else None
        if pool is None or pool.devices or not self._local:
            return pool
        parent = sysfs.behind_interface(pool.interface)
        return replace(pool, devices=(parent,), why="") if parent else pool

    def _named(self, name: str) -> Behind:
        """A device by the name that xl has for it."""
        xen, found = self._session.xen, None
        with contextlib.suppress(NumaVirtError):
            found = xen.assignable_devices().get(name) if xen is not None else None
        device = called(NAMED, name)
        return Behind(device, (found,)) if found else Behind(device, why="xl lists no assignable device of that name")
