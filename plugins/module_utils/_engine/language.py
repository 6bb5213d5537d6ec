# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The languages that hypervisors speak of themselves and of their guests, and who reads them.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ansible_collections.numa.virt.plugins.module_utils._capabilities_xml import parse_host
from ansible_collections.numa.virt.plugins.module_utils._definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._topology import Host
from ansible_collections.numa.virt.plugins.module_utils._xml_definition import XmlDefinition

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.hypervisor import Connection, Domain


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
        return XmlDefinition.read(domain.definition(), domain.name)

    def live(self, domain: Domain, _host: Host) -> Definition:
        return XmlDefinition.read(domain.live_xml(), domain.name)


def language_of(connection: Connection) -> Language:
    """Who reads what this connection says."""
    if connection.language == "xml":
        return XmlLanguage()
    # Only where it is spoken: Ansible has every module compiled anew in each run.
    from ansible_collections.numa.virt.plugins.module_utils._engine.language_xl import XlLanguage

    return XlLanguage()
