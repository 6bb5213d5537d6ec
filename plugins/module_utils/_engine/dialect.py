# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dialects that hypervisors speak of themselves and of their guests, and who reads them.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ansible_collections.numa.virt.plugins.module_utils._libvirt.capabilities_xml import (
    parse_host,
    parse_pci_device,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._values.devices import Listed
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection, Domain


class Dialect(Protocol):
    """``how_to_define`` says in an error what would make a domain exist."""

    how_to_define: str

    def host(self, connection: Connection) -> Host: ...

    def devices(self, connection: Connection) -> list[Listed]:
        """The PCI devices of the host, as far as the hypervisor tells of them."""

    def definition(self, domain: Domain, host: Host) -> Definition: ...

    def live(self, domain: Domain, host: Host) -> Definition: ...


class XmlDialect:
    """libvirt's documents."""

    how_to_define = "give xml to define it"

    def host(self, connection: Connection) -> Host:
        return parse_host(connection.capabilities())

    def devices(self, connection: Connection) -> list[Listed]:
        return [each for each in map(parse_pci_device, connection.pci_devices()) if each is not None]

    def definition(self, domain: Domain, _host: Host) -> Definition:
        return XmlDefinition.read(domain.definition(), domain.name)

    def live(self, domain: Domain, _host: Host) -> Definition:
        return XmlDefinition.read(domain.live_xml(), domain.name)


def dialect_of(connection: Connection) -> Dialect:
    """Who reads what this connection says."""
    if connection.dialect == "xml":
        return XmlDialect()
    # Only where it is spoken: Ansible has every module compiled anew in each run.
    from ansible_collections.numa.virt.plugins.module_utils._xl.dialect import XlDialect

    return XlDialect()
