# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dialect of xl: what it prints, and its configuration files.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._values.devices import Listed
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.plugins.module_utils._xl.config import XlConfig
from ansible_collections.numa.virt.plugins.module_utils._xl.definition import XlDefinition, XlRunning
from ansible_collections.numa.virt.plugins.module_utils._xl.output import parse_info

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection, Domain
    from ansible_collections.numa.virt.plugins.module_utils._xl.connection import Domain as XlDomain


class XlDialect:
    """A running guest is what the hypervisor says of it."""

    how_to_define = "put its file into /etc/xen, with .cfg at the end of its name, or give config"

    def host(self, connection: Connection) -> Host:
        return parse_info(connection.capabilities()).host

    def devices(self, connection: Connection) -> list[Listed]:
        return list(parse_info(connection.capabilities()).devices)

    def definition(self, domain: Domain, host: Host) -> Definition:
        return XlDefinition(XlConfig.parse(domain.definition(), cast("XlDomain", domain).config.source), host)

    def live(self, domain: Domain, host: Host) -> Definition:
        guest = cast("XlDomain", domain)
        maps, pool = guest.vcpu_maps(), guest.pool
        shape = Shape(guest.name, guest.uuid, "xen", len(maps), (), guest.memory, pool=pool)
        return XlRunning(shape, maps, host.in_pool(pool).online, devices=guest.devices)
