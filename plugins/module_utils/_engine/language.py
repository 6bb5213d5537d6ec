# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The languages that hypervisors speak of themselves and of their guests, and who reads them.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from ansible_collections.numa.virt.plugins.module_utils._capabilities_xml import parse_host
from ansible_collections.numa.virt.plugins.module_utils._definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._placement import Shape
from ansible_collections.numa.virt.plugins.module_utils._topology import Host
from ansible_collections.numa.virt.plugins.module_utils._xl_config import XlConfig
from ansible_collections.numa.virt.plugins.module_utils._xl_definition import XlDefinition, XlRunning
from ansible_collections.numa.virt.plugins.module_utils._xl_output import parse_info
from ansible_collections.numa.virt.plugins.module_utils._xml_definition import XmlDefinition

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.hypervisor import Connection, Domain
    from ansible_collections.numa.virt.plugins.module_utils._xl import Domain as XlDomain


class Language(Protocol):
    """``how_to_define`` says in an error what would make a domain exist."""

    how_to_define: str

    def host(self, connection: Connection) -> Host: ...

    def definition(self, domain: Domain, host: Host) -> Definition: ...

    def live(self, domain: Domain, host: Host) -> Definition: ...


class XmlLanguage:
    """libvirt's documents."""

    how_to_define = "give xml to define it"

    def host(self, connection: Connection) -> Host:
        return parse_host(connection.capabilities())

    def definition(self, domain: Domain, _host: Host) -> Definition:
        return XmlDefinition.load(domain.definition())

    def live(self, domain: Domain, _host: Host) -> Definition:
        return XmlDefinition.load(domain.live_xml())


class XlLanguage:
    """What xl prints, and its configuration files. A running guest is what the hypervisor says of it."""

    how_to_define = "put its file into /etc/xen, with .cfg at the end of its name, or give config"

    def host(self, connection: Connection) -> Host:
        return parse_info(connection.capabilities()).host

    def definition(self, domain: Domain, host: Host) -> Definition:
        return XlDefinition(XlConfig.parse(domain.definition(), cast("XlDomain", domain).config.source), host)

    def live(self, domain: Domain, host: Host) -> Definition:
        guest = cast("XlDomain", domain)
        maps, pool = guest.vcpu_maps(), guest.pool
        shape = Shape(guest.name, guest.uuid, "xen", len(maps), (), guest.memory, pool=pool)
        return XlRunning(shape, maps, host.in_pool(pool).online)


LANGUAGES: dict[str, Language] = {"xml": XmlLanguage(), "xl": XlLanguage()}
