# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_domain_info with fleet=true: one host as the planner of a fleet takes it.

This file must not import ansible or libvirt, and must not change anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._engine.claims import claims_for_fleet, honoured
from ansible_collections.numa.virt.plugins.module_utils._engine.existing import all_existing, read_all
from ansible_collections.numa.virt.plugins.module_utils._engine.info import InfoRequest
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Session, trouble_warnings
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetHost
from ansible_collections.numa.virt.plugins.module_utils._fleet.told import KEY, told_as_text
from ansible_collections.numa.virt.plugins.module_utils._planner.check import check_rules
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection


def fleet_host_info(
    connection: Connection, request: InfoRequest, now: Callable[[], float] = time.time
) -> dict[str, Any]:
    """What the module documents. Raises InputError for rules that this host cannot have, and NoClaimsError where it
    cannot be read what is claimed: blindly nothing is given away."""
    if request.names is not None:
        raise InputError("names", None, "a fleet is planned with all domains of its hosts", "leave names out")
    rules = request.rules
    held = honoured(connection.daemon)
    session = Session(connection)
    check_rules(session.host, rules, Options())
    # Before anything of it is read, so that nothing is older than it says.
    told = now()
    known = read_all(session)
    existing = all_existing(session, known, frozenset(), False)
    host = session.host
    devices = [device for each in existing.values() if each.wish is not None for device in each.wish.devices]
    if devices:
        host = session.devices.on(host, devices)
    said = FleetHost(
        "",
        host,
        tuple(existing[name] for name in sorted(existing)),
        claims_for_fleet(held.found.claims, known, existing),
        rules=rules,
        told=told,
    )
    if held.state is not None:
        said = replace(said, state=held.state.state, why=held.state.said)
    return {
        "driver": session.driver.name,
        KEY: told_as_text(said),
        "warnings": [*connection.warnings, *held.said, *trouble_warnings(known.values())],
    }
