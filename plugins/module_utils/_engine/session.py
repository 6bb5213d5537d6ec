# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every run shares: one connection, and a host and a driver that are read once.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils import _domain_xml, _proc
from ansible_collections.numa.virt.plugins.module_utils._capabilities_xml import parse_host
from ansible_collections.numa.virt.plugins.module_utils._cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._drivers import Driver, driver_named
from ansible_collections.numa.virt.plugins.module_utils._errors import DomainNotFoundError
from ansible_collections.numa.virt.plugins.module_utils._placement import Intent, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._placement_xml import (
    NAMESPACE,
    PREFIX,
    Record,
    read_placement,
    read_record,
    record_element,
)
from ansible_collections.numa.virt.plugins.module_utils._resolve import Target, resolve
from ansible_collections.numa.virt.plugins.module_utils._topology import Host
from ansible_collections.numa.virt.plugins.module_utils._verify import (
    DEFINITION,
    HYPERVISOR,
    Observation,
    observation_of,
)
from ansible_collections.numa.virt.plugins.module_utils._xml import etree, serialize

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._libvirt import Connection, Domain


class Session:
    """One run on one host."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        host = parse_host(connection.capabilities())
        self.driver: Driver = driver_named(host.driver)
        self.host: Host = host.with_cpu_map(connection.cpu_map()) if self.driver.cpu_map else host
        self._map_length: int | None = None

    def resolve(
        self, wish: Intent, stored: Intent | None, current: Placement, settled: CpuSet | None, shape: Shape
    ) -> Target:
        """_resolve.resolve() on this host."""
        return resolve(wish, stored, current, settled, self.host, self.driver, shape)

    def cuts(self, cpus: CpuSet) -> bool:
        """Whether the driver would cut this set off in a call (the test driver has maps of 8 CPUs)."""
        if self.driver.cpu_map:
            return False
        if self._map_length is None:
            self._map_length = len(self.connection.cpu_map())
        return cpus.mask.bit_length() > self._map_length

    def host_with_free(self) -> Host:
        """The host with the free memory and free pages of each cell."""
        if not self.driver.free_memory:
            return self.host
        sizes = sorted({pool.size for cell in self.host.cells for pool in cell.pools})
        last = max(cell.id for cell in self.host.cells)
        pages = self.connection.free_pages(sizes, 0, last + 1) if sizes else {}
        cells = []
        for cell in self.host.cells:
            free = pages.get(cell.id, {})
            pools = tuple(replace(pool, free=free.get(pool.size)) for pool in cell.pools)
            cells.append(replace(cell, free=self.connection.free_memory(cell.id), pools=pools))
        return replace(self.host, cells=tuple(cells))


@dataclass(frozen=True)
class Known:
    """A domain that exists: its documents, read once and never changed. ``live`` is None while it does not run."""

    domain: Domain
    persistent: bool
    text: str
    config: etree._Element
    live: etree._Element | None

    @cached_property
    def record(self) -> Record | None:
        return read_record(self.config)

    @cached_property
    def intent(self) -> Intent | None:
        record = self.record
        return record.intent if record is not None else None

    @cached_property
    def placement(self) -> Placement:
        return read_placement(self.config)


def read_domain(session: Session, name: str) -> Known | None:
    """Look a domain up and read it, or None. At most four calls."""
    domain = session.connection.domain(name)
    if domain is None:
        return None
    if not domain.active:
        text = domain.definition()
        return Known(domain, True, text, _domain_xml.load(text, "definition"), None)
    live = domain.live_xml()
    persistent = domain.persistent()
    text = domain.definition() if persistent else live
    return Known(domain, persistent, text, _domain_xml.load(text, "definition"), _domain_xml.load(live, "definition"))


def required_domain(session: Session, name: str) -> Known:
    """The same, of a domain that must be there. Raises DomainNotFoundError."""
    known = read_domain(session, name)
    if known is None:
        raise DomainNotFoundError(
            "name", name, "there is no such domain on this host", "give the name of one, or xml to define it"
        )
    return known


def observe(session: Session, domain: Domain, live: etree._Element, pid: int | None = None) -> Observation:
    """Where a running guest really is, by the surest word that can be had here.

    ``pid`` is that of its process where the caller knows it already, 0 where there is none on this machine.
    """
    if session.driver.name == "qemu" and session.connection.local:
        if pid is None:
            pid = _proc.find_process([domain.uuid]).get(domain.uuid, 0)
        if pid:
            found = observation_of(_proc.threads(pid), _proc.memory(pid))
            if found.vcpus:
                return found
    if session.driver.full_maps:
        return Observation(HYPERVISOR, tuple(sorted(domain.vcpu_maps().items())))
    placement = read_placement(live)
    shape = _domain_xml.shape(live)
    everything = session.host.online
    return Observation(DEFINITION, tuple((vcpu, placement.of_vcpu(vcpu) or everything) for vcpu in range(shape.vcpus)))


def store_record(domain: Domain, record: Record, live: bool) -> None:
    """Put a record into the metadata of the running guest, or of its definition, alone."""
    domain.set_metadata(serialize(record_element(record, namespaced=False)), PREFIX, NAMESPACE, live=live)
