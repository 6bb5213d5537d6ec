# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_cell_info: the host's cells.

This file must not import ansible or libvirt, and must not change anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._engine.claims import shown_claims
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Session
from ansible_collections.numa.virt.plugins.module_utils._values.topology import (
    LOCAL_DISTANCE,
    REMOTE_DISTANCE,
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
        host = session.devices.on(host)
    hypervisor, library = connection.versions()
    kept, warnings = shown_claims(connection.daemon)
    return {
        "uri": connection.uri,
        "hypervisor_version": hypervisor,
        "libvirt_version": library,
        **facts_of(host),
        **kept,
        "warnings": warnings,
    }


def facts_of(host: Host) -> dict[str, Any]:
    """What is told of a host, whoever was asked for it."""
    kernel = host.kernel
    return {
        "driver": host.driver,
        "cpu_count": len(host.present),
        "online_cpus": str(host.online),
        "offline_cpus": str(host.present - host.online),
        "cpupools": [{"name": pool.name, "cpuset": str(pool.cpus)} for pool in host.pools],
        "isolated_cpus": str(kernel.isolated) if kernel is not None else None,
        "nohz_full_cpus": str(kernel.nohz_full) if kernel is not None else None,
        "other_slices": [{"name": each.name, "cpuset": str(each.cpus)} for each in host.partitions],
        "cells": [cell_as_result(cell, host.caches_of(cell)) for cell in host.cells],
        "implied_cell": host.implied_cell,
        "distances_reported": host.distances_reported,
        "notes": _notes(host),
    }


def _notes(host: Host) -> list[str]:
    notes = []
    if host.implied_cell:
        notes.append("the host reports no cells: cell 0 stands for all of it")
    elif not host.distances_reported:
        notes.append(
            f"the driver reports no distances: {LOCAL_DISTANCE} local and {REMOTE_DISTANCE} remote are assumed"
        )
    return notes
