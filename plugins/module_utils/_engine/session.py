# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every run shares: one connection, and a host and a driver that are read once.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import observed_for
from ansible_collections.numa.virt.plugins.module_utils._engine.dialect import dialect_of
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    NumaVirtError,
    UnreadableError,
    shown,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.resolve import Resolver, Target
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import (
    NAMESPACE,
    PREFIX,
    record_text,
)
from ansible_collections.numa.virt.plugins.module_utils._node import backup
from ansible_collections.numa.virt.plugins.module_utils._node import kernel_cpus as node_kernel_cpus
from ansible_collections.numa.virt.plugins.module_utils._node import processes as node_processes
from ansible_collections.numa.virt.plugins.module_utils._node.meminfo import huge_page
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import (
    NEWER,
    RECORD,
    UNREADABLE,
    Definition,
    Record,
    Trouble,
)
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver, check_modes, driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.observation import (
    DEFINITION,
    HYPERVISOR,
    Memory,
    Observation,
    observation_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.devices import Devices
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import (
        Connection,
        Domain,
        Pages,
        Watch,
        XenTools,
    )


_OF_KIND = {
    UNREADABLE: "its definition cannot be read, and it counts as far as it can be",
    RECORD: "the record of what was asked for cannot be read, and counts as none",
    NEWER: "it is left alone",
}


class Session:
    """One run on one host."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialect = dialect_of(connection)
        host = self.dialect.host(connection)
        self.driver: Driver = driver_named(host.driver)
        self.host: Host = host.with_cpu_map(connection.cpu_map()) if self.driver.cpu_map else host
        if self.sees_processes:
            self.host = replace(self.host, huge_page=huge_page(), kernel=node_kernel_cpus.kernel_cpus())
        self.xen: XenTools | None = None
        if self.driver.pools:
            self.xen = connection.xen_tools()
            self.host = host.with_pools(self.xen.pools() if self.xen is not None else ())
        self._resolver = Resolver(self.driver)
        self._map_length: int | None = None

    def resolve(
        self, wish: Intent, stored: Intent | None, current: Placement, settled: CpuSet | None, shape: Shape
    ) -> Target:
        """_intent.resolve.resolve() on this host."""
        return self._resolver(wish, stored, current, settled, self.host_for(shape), shape)

    def check_definable(self, placement: Placement) -> None:
        """Raises InputError for a placement that this version of libvirt would refuse to define."""
        if placement.mixes_restrictive:
            check_modes(placement, self.libvirt)

    @cached_property
    def libvirt(self) -> str | None:
        """The version of the daemon, as "11.3.0", read when it first matters; None where there is none."""
        return self.connection.versions()[1]

    def host_for(self, shape: Shape) -> Host:
        """The host as a domain sees it: on Xen, no more CPUs than its cpupool has. Raises InputError."""
        return self.host.in_pool(shape.pool)

    def cuts(self, cpus: CpuSet) -> bool:
        """Whether the driver would cut this set off in a call (the test driver has maps of 8 CPUs)."""
        if self.driver.full_maps:
            return False
        if self._map_length is None:
            self._map_length = len(self.connection.cpu_map())
        return cpus.mask.bit_length() > self._map_length

    def definition(self, domain: Domain) -> Definition:
        """What the next start of a domain will use."""
        return self.dialect.definition(domain, self.host)

    def live(self, domain: Domain) -> Definition:
        """What the running guest uses."""
        return self.dialect.live(domain, self.host)

    @property
    def sees_processes(self) -> bool:
        """Whether running guests are processes of this machine, which /proc tells of."""
        return self.driver.processes and self.connection.local

    def pid_of(self, domain: Domain) -> int:
        """The QEMU of a guest on this machine; 0 where there is none."""
        return self.processes.pid_of(domain.name, str(domain.uuid))

    @cached_property
    def processes(self) -> node_processes.Processes:
        """Which process is which guest's."""
        return node_processes.Processes(self.connection.daemon)

    @cached_property
    def devices(self) -> Devices:
        """Which device is on which cell."""
        from ansible_collections.numa.virt.plugins.module_utils._engine.devices import Devices

        return Devices(self)

    @cached_property
    def watch(self) -> Watch | None:
        """Who else defines domains meanwhile, where the hypervisor tells of that."""
        make = getattr(self.connection, "watch", None)
        with contextlib.suppress(NumaVirtError):
            return make() if make is not None else None
        return None

    @cached_property
    def pages(self) -> Pages:
        """Where the memory of all guests of Xen lay when this was first asked; None where that cannot be read."""
        return self.xen.pages() if self.xen is not None else None

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
    """A domain that exists: its definitions, read once. ``live`` is None while it does not run.

    A transient domain has no other definition than that of the running guest.
    """

    domain: Domain
    persistent: bool
    config: Definition
    live: Definition | None

    @property
    def record(self) -> Record | None:
        return self.config.record

    @property
    def intent(self) -> Intent | None:
        record = self.record
        return record.intent if record is not None else None

    @property
    def placement(self) -> Placement:
        return self.config.placement

    @property
    def trouble(self) -> Trouble | None:
        """What cannot be read of its definition, else of the running guest's."""
        trouble = self.config.trouble
        return trouble if trouble is not None or self.live is None else self.live.trouble

    @property
    def config_unreadable(self) -> bool:
        """Whether only parts of its definition are known."""
        trouble = self.config.trouble
        return trouble is not None and trouble.kind == UNREADABLE


def usable(known: Known) -> Known:
    """The domain, where it can be placed here. Raises UnreadableError."""
    trouble = known.trouble
    if trouble is None or not trouble.blocks:
        return known
    mend = (
        "use that release, or take the record out with virsh metadata --remove"
        if trouble.kind == NEWER
        else "mend it by hand (virsh edit, or the file of xl)"
    )
    raise UnreadableError("name", known.domain.name, trouble.problem, mend)


def trouble_warnings(known: Iterable[Known]) -> list[str]:
    """A line for each domain of which something cannot be read."""
    return [
        f"domain {shown(each.domain.name)}: {_OF_KIND[each.trouble.kind]}: {each.trouble.problem}"
        for each in known
        if each.trouble is not None
    ]


def read(session: Session, domain: Domain, persistent: bool | None = None) -> Known:
    """Read a domain; ``persistent`` where the caller knows it already. At most three calls.

    What stands in it never makes this fail: see Known.trouble.
    """
    if not domain.active:
        return Known(domain, True, session.definition(domain), None)
    live = session.live(domain)
    if persistent is None:
        persistent = domain.persistent()
    return Known(domain, persistent, session.definition(domain) if persistent else live, live)


def read_domain(session: Session, name: str) -> Known | None:
    """Look a domain up and read it, or None. At most four calls."""
    domain = session.connection.domain(name)
    return read(session, domain) if domain is not None else None


def required_domain(session: Session, name: str) -> Known:
    """The same, of a domain that must be there. Raises DomainNotFoundError, UnreadableError."""
    known = read_domain(session, name)
    if known is None:
        raise DomainNotFoundError("name", name, "there is no such domain on this host", "give the name of one")
    return usable(known)


def observe(
    session: Session,
    domain: Domain,
    live: Definition,
    pid: int | None = None,
    pages: Pages = None,
    maps: Mapping[int, CpuSet] | None = None,
) -> Observation:
    """Where a running guest really is, by the surest word that can be had here.

    ``pid`` is that of its process where the caller knows it already, 0 where there is none on this machine; ``pages``
    is what xl said of all domains, and ``maps`` what it said of this one, where the caller has asked already.
    """
    if session.sees_processes:
        if pid is None:
            pid = session.pid_of(domain)
        if pid:
            found = observation_of(
                node_processes.threads(pid, more=observed_for(live.placement)), node_processes.memory(pid)
            )
            if found.vcpus:
                return found
    if session.driver.full_maps:
        real = maps or domain.vcpu_maps()
        maps = {vcpu: cpus & session.host.present for vcpu, cpus in real.items()}
        if session.driver.pins_each_vcpu and live.shape.current is not None:
            # libxl tells of vCPUs, too, that are not there, and libvirt pins none of those.
            maps = {vcpu: cpus for vcpu, cpus in maps.items() if vcpu < live.shape.current}
        if pages is None and session.xen is not None:
            pages = session.xen.pages()
        own = pages.get(domain.id) if pages is not None else None
        memory = Memory(tuple(sorted((cell, kib) for cell, kib in own.items() if kib))) if own is not None else None
        return Observation(HYPERVISOR, tuple(sorted(maps.items())), memory=memory)
    everything, placement = session.host.online, live.placement
    sets = tuple((vcpu, placement.of_vcpu(vcpu) or everything) for vcpu in live.shape.present)
    return Observation(DEFINITION, sets)


def store_record(domain: Domain, record: Record, live: bool) -> None:
    """Put a record into the metadata of the running guest, or of its definition, alone."""
    domain.set_metadata(record_text(record), PREFIX, NAMESPACE, live=live)


def keep_backup(directory: str, known: Known) -> str:
    """Put the definition that a domain has into a file of its own. Returns the file's path; raises InputError."""
    return backup.keep(directory, known.domain.key, known.config.text, known.config.suffix)
