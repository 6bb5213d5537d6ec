# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only importer of libvirt: a narrow adapter that speaks CPU sets, raises our own errors and counts calls.

No decision is made here. Definitions are always read with their secrets: who shows one masks it first.
This file must not import ansible or lxml.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ConnectionFailedError,
    DomainNotFoundError,
    LibvirtCallError,
    UnsupportedError,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt import abi
from ansible_collections.numa.virt.plugins.module_utils._libvirt.watch import Watch
from ansible_collections.numa.virt.plugins.module_utils._node.daemon import daemon_of, open_files, peer
from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable, masked_message
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._xl.command import Run, XlCommand, find_xl

LIBVIRT_IMPORT_ERROR: str | None = None
try:
    import libvirt
except ImportError:
    # Said by _module.libraries, which offers another interpreter or the package's name.
    LIBVIRT_IMPORT_ERROR = traceback.format_exc()
    libvirt = None

T = TypeVar("T")

# VIR_DOMAIN_* of virDomainState, as words
STATES = ("no state", "running", "blocked", "paused", "shutting down", "shut off", "crashed", "suspended")


# VIR_DOMAIN_PAUSED_*, as the end of a sentence
_PAUSED = {
    1: "by a user",
    2: "for a migration",
    3: "for a save",
    4: "for a dump",
    5: "for an I/O error",
    6: "by the guest's watchdog",
    7: "as it was in the snapshot that it was reverted to",
    8: "while it ends",
    9: "for a snapshot",
    10: "because it crashed",
    11: "for its start",
    12: "for a migration in post-copy mode",
    13: "for a migration that failed in post-copy mode",
}
_BLOCK_JOBS = {1: "pull", 2: "copy", 3: "commit", 4: "commit", 5: "backup"}


class Connection:
    """One connection to one hypervisor, for one run."""

    dialect = "xml"
    configured_name = None  # libvirt keeps the definitions
    warnings: tuple[str, ...] = ()

    def __init__(self, uri: str | None = None, run: Run | None = None) -> None:
        """Open ``uri``, or what libvirt itself chooses; ``run`` runs Xen's tool. Raises ConnectionFailedError."""
        self._run = run
        self._watch: Watch | None = None
        self.calls = 0
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
        try:
            return Domain(self, self._call("define the domain", self._conn.defineXML, xml))
        except LibvirtCallError as error:
            raise _without_secrets(error, xml) from None

    def _call(self, action: str, function: Callable[..., T], *arguments: Any) -> T:
        self.calls += 1
        try:
            return function(*arguments)
        except libvirt.libvirtError as error:
            raise _translated(action, error) from None


class Domain:
    """One domain of a connection. Changes are made to the running guest unless a name says config."""

    def __init__(self, connection: Connection, domain: Any) -> None:
        self._connection = connection
        self._domain = domain
        self.name = str(domain.name())
        self.uuid = str(domain.UUIDString())

    @property
    def id(self) -> int:
        """The number that the hypervisor gave it when it started, or -1."""
        return int(self._domain.ID())

    @property
    def key(self) -> str:
        """A UUID to call this domain's files by."""
        return self.uuid

    @property
    def active(self) -> bool:
        """Whether it ran when it was looked up."""
        return self.id >= 0

    def definition(self) -> str:
        """What the next start will use, with secrets."""
        flags = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE
        return str(self._call("read the definition", self._domain.XMLDesc, flags))

    def live_xml(self) -> str:
        """What the running guest uses, with secrets; of a domain that does not run, its definition."""
        return str(self._call("read the live definition", self._domain.XMLDesc, libvirt.VIR_DOMAIN_XML_SECURE))

    def state(self) -> str:
        """One of STATES."""
        return STATES[self._call("read the state", self._domain.state)[0]]

    def paused_by_user(self) -> bool:
        """Whether it is paused because somebody asked so, and not for an error, a migration or a snapshot."""
        harmless = (
            libvirt.VIR_DOMAIN_PAUSED_UNKNOWN,
            libvirt.VIR_DOMAIN_PAUSED_USER,
            libvirt.VIR_DOMAIN_PAUSED_STARTING_UP,
        )
        return self._call("read the state", self._domain.state)[1] in harmless

    def why_paused(self) -> str:
        """What a hypervisor paused it for, as the end of a sentence."""
        return _PAUSED.get(self._call("read the state", self._domain.state)[1], "for an error or a migration")

    def jobs(self, disks: Iterable[str]) -> list[str]:
        """What is going on with it that an end of the guest would end too, in words."""
        found = []
        with contextlib.suppress(UnsupportedError):
            if self._call("read the job", self._domain.jobInfo)[0] != libvirt.VIR_DOMAIN_JOB_NONE:
                found.append("a job of libvirt (a backup, a dump or a migration)")
        for disk in disks:
            with contextlib.suppress(UnsupportedError, LibvirtCallError):  # a drive without a medium has no jobs
                info = self._call("read the block jobs", self._domain.blockJobInfo, disk, 0)
                if info:
                    found.append(f"a block job ({_BLOCK_JOBS.get(info['type'], 'unknown')}) on disk {disk}")
        return found

    def saved(self) -> bool:
        """Whether its memory is kept in an image, from which the next start goes on."""
        try:
            return bool(self._call("look for a managed save image", self._domain.hasManagedSaveImage, 0))
        except UnsupportedError:
            return False

    def saved_xml(self) -> str:
        """What that start will use, with secrets."""
        secure = libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE
        return str(self._call("read the managed save image", self._domain.managedSaveGetXMLDesc, secure))

    def define_saved(self, xml: str) -> None:
        """Let that start use another document; whether the guest was paused stays."""
        self._call("rewrite the managed save image", self._domain.managedSaveDefineXML, xml, 0)

    def save(self) -> None:
        """Put the guest's memory into an image, from which the next start lets it run on, and end it."""
        self._call("save the domain", self._domain.managedSave, libvirt.VIR_DOMAIN_SAVE_RUNNING)

    def persistent(self) -> bool:
        return bool(self._call("read whether it is persistent", self._domain.isPersistent))

    def vcpu_maps(self) -> dict[int, CpuSet]:
        """vCPU -> CPUs it may use now, by the hypervisor's own word."""
        try:
            infos, maps = self._call("read the vCPUs", self._domain.vcpus)
            return {int(info[0]): CpuSet.from_map(flags) for info, flags in zip(infos, maps)}
        except UnsupportedError:
            most = int(self._call("read the number of vCPUs", self._domain.maxVcpus))
            found = self._call("read the vCPUs", _checked, abi.get_vcpus, self._domain, most)
            return {vcpu: CpuSet.from_mask(int.from_bytes(flags, "little")) for vcpu, flags in found}

    def pin_vcpu(self, vcpu: int, cpus: CpuSet, with_flags: bool) -> None:
        flags = _map(cpus)
        if not with_flags:
            self._call(f"pin vCPU {vcpu}", self._domain.pinVcpu, vcpu, flags)
            return
        live = libvirt.VIR_DOMAIN_AFFECT_LIVE
        try:
            self._call(f"pin vCPU {vcpu}", self._domain.pinVcpuFlags, vcpu, flags, live)
        except UnsupportedError:
            bits = cpus.mask.to_bytes(-(-cpus.mask.bit_length() // 8), "little")
            self._call(f"pin vCPU {vcpu}", _checked, abi.pin_vcpu, self._domain, vcpu, bits, live)

    def pin_emulator(self, cpus: CpuSet) -> None:
        self._call("pin the emulator", self._domain.pinEmulator, _map(cpus), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def pin_iothread(self, iothread: int, cpus: CpuSet) -> None:
        live = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._call(f"pin IO thread {iothread}", self._domain.pinIOThread, iothread, _map(cpus), live)

    def bind_memory(self, nodeset: CpuSet) -> None:
        parameters = {libvirt.VIR_DOMAIN_NUMA_NODESET: str(nodeset)}
        live = libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._call("change the nodeset", self._domain.setNumaParameters, parameters, live)

    def set_metadata(self, xml: str, prefix: str, namespace: str, live: bool) -> None:
        flags = libvirt.VIR_DOMAIN_AFFECT_LIVE if live else libvirt.VIR_DOMAIN_AFFECT_CONFIG
        kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
        self._call("store the intent", self._domain.setMetadata, kind, xml, prefix, namespace, flags)

    def remove_metadata(self, namespace: str) -> None:
        """Take our record out of the running guest."""
        live, kind = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_METADATA_ELEMENT
        self._call("take the intent out", self._domain.setMetadata, kind, None, None, namespace, live)

    def redefine(self, xml: str) -> Domain:
        """Another definition for it. libvirt checks it first: one that it refuses leaves the old one."""
        return self._connection.define(xml)

    def start(self, paused: bool) -> None:
        flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
        self._tell("start the domain", self._domain.createWithFlags, flags)

    def resume(self) -> None:
        self._tell("resume the domain", self._domain.resume)

    def shutdown(self) -> None:
        self._call("shut the domain down", self._domain.shutdown)

    def destroy(self) -> None:
        self._call("destroy the domain", self._domain.destroy)

    def undefine(self) -> None:
        """Forget the definition; firmware variables and TPM state that a start may have made stay on disk."""
        try:
            self._call("undefine the domain", self._domain.undefineFlags, 0)
        except LibvirtCallError:
            flags = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
            self._call("undefine the domain", self._domain.undefineFlags, flags)

    def _call(self, action: str, function: Callable[..., T], *arguments: Any) -> T:
        return self._connection._call(action, function, *arguments)

    def _tell(self, action: str, function: Callable[..., Any], *arguments: Any) -> None:
        """A call that makes QEMU say something: it quotes its arguments."""
        try:
            self._call(action, function, *arguments)
        except LibvirtCallError as error:
            raise _without_secrets(error, self._known_text()) from None

    def _known_text(self) -> str:
        """The definition with its secrets, as far as it can be had."""
        try:
            return str(self._domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
        except libvirt.libvirtError:
            return ""  # the daemon or the domain is gone


def _checked(function: Callable[..., T], *arguments: Any) -> T:
    """A direct call, with its failure raised as the binding raises its own."""
    result = function(*arguments)
    if result is None or result is False:
        raise libvirt.libvirtError("the call failed")
    return result


def _map(cpus: CpuSet) -> tuple[bool, ...]:
    return cpus.to_map(cpus.mask.bit_length())


def _translated(action: str, error: libvirt.libvirtError) -> Exception:
    code, reason = error.get_error_code(), error.get_error_message() or str(error)
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return DomainNotFoundError("name", None, masked_message(reason))
    if code == libvirt.VIR_ERR_NO_SUPPORT:
        return UnsupportedError("libvirt", action, reason)
    return LibvirtCallError(action, reason, code)


def _without_secrets(error: LibvirtCallError, definition: str) -> LibvirtCallError:
    """The same error without what is secret in a definition: QEMU quotes its arguments, libvirt what it cannot read."""
    from ansible_collections.numa.virt.plugins.module_utils._libvirt.secrets import secrets_of

    reason = masked_message(str(error.fields["reason"]), secrets_of(definition))
    return LibvirtCallError(str(error.fields["action"]), reason, error.fields["libvirt_code"])


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _ignore_error(_context: object, _error: object) -> None:
    return None
