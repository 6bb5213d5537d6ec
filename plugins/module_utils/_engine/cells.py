# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_cell_info: the host's cells.

This file must not import ansible or libvirt, and must not change anything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._engine.session import Session
from ansible_collections.numa.virt.plugins.module_utils._libvirt.capabilities_xml import parse_pci_device
from ansible_collections.numa.virt.plugins.module_utils._values.topology import (
    LOCAL_DISTANCE,
    REMOTE_DISTANCE,
    Device,
    Host,
    cell_as_result,
)

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection


def cells_info(connection: Connection, with_devices: bool) -> dict[str, Any]:
    """Returns what numa_cell_info documents."""
    session = Session(connection)
    host = session.host_with_free()
    if with_devices:
        host = with_devices_of(host, connection.pci_devices())
    hypervisor, library = connection.versions()
    return {
        "uri": connection.uri,
        "driver": host.driver,
        "hypervisor_version": hypervisor,
        "libvirt_version": library,
        "cpu_count": len(host.present),
        "online_cpus": str(host.online),
        "offline_cpus": str(host.present - host.online),
        "cpupools": [{"name": pool.name, "cpuset": str(pool.cpus)} for pool in session.host.pools],
        "cells": [cell_as_result(cell, host.caches_of(cell)) for cell in host.cells],
        "implied_cell": host.implied_cell,
        "distances_reported": host.distances_reported,
        "notes": _notes(host),
    }


def with_devices_of(host: Host, documents: list[str]) -> Host:
    """The host with its PCI devices on their cells."""
    devices: dict[int, list[Device]] = {}
    for document in documents:
        found = parse_pci_device(document)
        if found is not None:
            devices.setdefault(found[0], []).append(found[1])
    return replace(
        host,
        cells=tuple(
            replace(cell, devices=tuple(sorted(devices.get(cell.id, ()), key=lambda each: each.address)))
            for cell in host.cells
        ),
    )


def _notes(host: Host) -> list[str]:
    notes = []
    if host.implied_cell:
        notes.append("the host reports no cells: cell 0 stands for all of it")
    elif not host.distances_reported:
        notes.append(
            f"the driver reports no distances: {LOCAL_DISTANCE} local and {REMOTE_DISTANCE} remote are assumed"
        )
    return notes
