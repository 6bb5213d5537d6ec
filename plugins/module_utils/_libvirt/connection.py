# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One hypervisor, by libvirt: a narrow adapter that speaks CPU sets, raises our own errors and counts calls.

No decision is made here.
This file must not import ansible or lxml.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from urllib.parse import urlsplit

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ConnectionFailedError,
    DomainNotFoundError,
    LibvirtCallError,
    UnsupportedError,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt.calls import Calls, libvirt
from ansible_collections.numa.virt.plugins.module_utils._libvirt.domain import STATES, Domain, define
from ansible_collections.numa.virt.plugins.module_utils._libvirt.watch import Watch
from ansible_collections.numa.virt.plugins.module_utils._node.daemon import daemon_of, open_files, peer
from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable, masked_message
from ansible_collections.numa.virt.plugins.module_utils._xl.command import Run, XlCommand, find_xl


class Connection(Calls):
    """One connection to one hypervisor, for one run."""

    dialect = "xml"
    configured_name = None  # libvirt keeps the definitions
    warnings: tuple[str, ...] = ()

    def __init__(self, uri: str | None = None, run: Run | None = None) -> None:
        """Open ``uri``, or what libvirt itself chooses; ``run`` runs Xen's tool. Raises ConnectionFailedError."""
        self._run = run
        self._watch: Watch | None = None
        # libvirt prints every error to stderr unless told not to, where it would become part of the module's output.
        libvirt.registerErrorHandler(_ignore_error, None)
        before = open_files()
        try:
            self._conn = self._call("connect", libvirt.open, uri)
        except (LibvirtCallError, UnsupportedError) as error:
            shown = displayable(uri) if uri else "libvirt's default URI"
            # libvirt repeats a URI that it cannot read, whatever that is.
            reason = masked_message(str(error.fields["reason"]), [uri] if uri and shown != uri else ())
            raise ConnectionFailedError(
                f"uri: {shown}: cannot connect: {reason}; is the daemon running there, and may this user reach it?",
                uri=displayable(uri),
                reason=reason,
            ) from None
        # libvirt knows its URI without asking the daemon.
        self.daemon = daemon_of(str(self._conn.getURI()), peer(before))

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        try:
            self._conn.close()
        except libvirt.libvirtError:
            pass  # the daemon is gone: there is nothing left to close

    def watch(self) -> Watch | None:
        """Who else defines domains from now on; None where that cannot be had, and of a host that is far away."""
        if self._watch is None and self.local:
            with contextlib.suppress(libvirt.libvirtError):
                self._watch = Watch(libvirt, str(self._conn.getURI()))
        return self._watch

    @property
    def uri(self) -> str:
        """The URI that libvirt chose."""
        return str(self._call("read the URI", self._conn.getURI))

    @property
    def local(self) -> bool:
        """Whether the hypervisor runs on this machine, so that its guests' processes are to be seen here.

        A guest elsewhere may well have the UUID of one here: a copy, or one that is being migrated.
        """
        # libvirt knows its URI without asking the daemon.
        parts = urlsplit(str(self._conn.getURI()))
        return not parts.hostname and parts.scheme.partition("+")[2] in ("", "unix")

    def capabilities(self) -> str:
        return str(self._call("read the host's capabilities", self._conn.getCapabilities))

    def versions(self) -> tuple[str, str]:
        """(hypervisor, libvirt), as "7.2.0"."""
        hypervisor = self._call("read the hypervisor's version", self._conn.getVersion)
        library = self._call("read libvirt's version", self._conn.getLibVersion)
        return _version(hypervisor), _version(library)

    def cpu_map(self) -> tuple[bool, ...]:
        """One element for each CPU that exists, true where it is online."""
        return tuple(self._call("read the host's CPU map", self._conn.getCPUMap)[1])

    def free_memory(self, cell: int) -> int | None:
        """KiB that are free on a cell, or None where the driver does not say."""
        try:
            found = self._call("read a cell's free memory", self._conn.getCellsFreeMemory, cell, 1)
        except UnsupportedError:
            return None
        return int(found[0]) // 1024 if found else None

    def free_pages(self, sizes: list[int], first: int, count: int) -> dict[int, dict[int, int]]:
        """Free pages: cell -> size in KiB -> number. Empty where the driver does not say."""
        try:
            found = self._call("read the free pages", self._conn.getFreePages, sizes, first, count)
        except UnsupportedError:
            return {}
        return {int(cell): {int(size): int(free) for size, free in pages.items()} for cell, pages in found.items()}

    def pci_devices(self) -> list[str]:
        """Documents of the host's PCI devices; empty where the driver knows none."""
        return self._node_devices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV)

    def device_parts(self, kind: str) -> list[str]:
        """Documents of devices of a kind that are parts of PCI devices; empty where libvirt knows no such kind."""
        flag = getattr(libvirt, f"VIR_CONNECT_LIST_NODE_DEVICES_CAP_{kind.upper()}", 0)
        return self._node_devices(flag) if flag else []

    def _node_devices(self, flag: int) -> list[str]:
        try:
            devices = self._call("list the host's devices", self._conn.listAllDevices, flag)
        except UnsupportedError:
            return []
        found = []
        for device in devices:
            with contextlib.suppress(LibvirtCallError):  # it was taken out since it was listed
                found.append(str(self._call("read a device", device.XMLDesc, 0)))
        return found

    def network(self, name: str) -> str | None:
        """The document of a virtual network; None where there is none of that name."""
        try:
            network = self._call("look up a network", self._conn.networkLookupByName, name)
            return str(self._call("read a network", network.XMLDesc, 0))
        except LibvirtCallError as error:
            if error.fields["libvirt_code"] == libvirt.VIR_ERR_NO_NETWORK:
                return None
            raise

    def xen_tools(self) -> XlCommand | None:
        """Xen's own tool, where the hypervisor is on this machine: it says what libvirt does not."""
        return find_xl(self._run) if self.local and self._run is not None else None

    def domain(self, name: str) -> Domain | None:
        """The domain of that name, or None."""
        try:
            return Domain(self, self._call(f"look up domain {displayable(name)!r}", self._conn.lookupByName, name))
        except DomainNotFoundError:
            return None

    def domains(self) -> list[Domain]:
        """Every domain, by name."""
        found = self._call("list the domains", self._conn.listAllDomains, 0)
        return sorted((Domain(self, each) for each in found), key=lambda domain: domain.name)

    def persistent_uuids(self) -> set[str]:
        """Which domains have a configuration that outlives them."""
        flags = libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT
        return {str(each.UUIDString()) for each in self._call("list the domains", self._conn.listAllDomains, flags)}

    def states(self) -> dict[str, str]:
        """UUID -> state of every domain, in one call where the driver has it (libxl has not)."""
        try:
            found = self._call("read the domains' states", self._conn.getAllDomainStats, libvirt.VIR_DOMAIN_STATS_STATE)
            return {str(each.UUIDString()): STATES[values["state.state"]] for each, values in found}
        except UnsupportedError:
            states = {}
            for domain in self.domains():
                with contextlib.suppress(DomainNotFoundError):  # it went away since it was listed
                    states[domain.uuid] = domain.state()
            return states

    def define(self, xml: str) -> Domain:
        """Define or redefine. libvirt checks it first: a definition that it refuses leaves the old one."""
        return define(self, xml)


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _ignore_error(_context: object, _error: object) -> None:
    return None
