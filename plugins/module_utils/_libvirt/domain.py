# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One guest, as libvirt has it.

No decision is made here. Definitions are always read with their secrets: who shows one masks it first.
This file must not import ansible or lxml.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from ansible_collections.numa.virt.plugins.module_utils._errors import LibvirtCallError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._libvirt import abi
from ansible_collections.numa.virt.plugins.module_utils._libvirt.calls import Calls, libvirt, without_secrets
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

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


class Domain:
    """One domain of a connection. Changes are made to the running guest unless a name says config."""

    def __init__(self, calls: Calls, domain: Any) -> None:
        self._calls = calls
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

    def snapshots(self) -> Iterator[str]:
        """Documents of its snapshots, as far as they can be read."""
        with contextlib.suppress(UnsupportedError):
            for each in self._call("list the snapshots", self._domain.listAllSnapshots, 0):
                with contextlib.suppress(LibvirtCallError):  # it was deleted since it was listed
                    yield str(self._call("read a snapshot", each.getXMLDesc, 0))

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
        return define(self._calls, xml)

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
        except LibvirtCallError as error:
            try:
                flags = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
                self._call("undefine the domain", self._domain.undefineFlags, flags)
            except LibvirtCallError as second:
                if second.fields["libvirt_code"] == libvirt.VIR_ERR_INVALID_ARG:
                    raise error from None  # a driver that does not know the flag
                raise

    def _call(self, action: str, function: Callable[..., T], *arguments: Any) -> T:
        return self._calls._call(action, function, *arguments)

    def _tell(self, action: str, function: Callable[..., Any], *arguments: Any) -> None:
        """A call that makes QEMU say something: it quotes its arguments."""
        try:
            self._call(action, function, *arguments)
        except LibvirtCallError as error:
            raise without_secrets(error, self._known_text()) from None

    def _known_text(self) -> str:
        """The definition with its secrets, as far as it can be had."""
        try:
            return str(self._domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
        except libvirt.libvirtError:
            return ""  # the daemon or the domain is gone


def define(calls: Calls, xml: str) -> Domain:
    """Define or redefine. libvirt checks it first: a definition that it refuses leaves the old one."""
    try:
        return Domain(calls, calls._call("define the domain", calls._conn.defineXML, xml))
    except LibvirtCallError as error:
        raise without_secrets(error, xml) from None


def _checked(function: Callable[..., T], *arguments: Any) -> T:
    """A direct call, with its failure raised as the binding raises its own."""
    result = function(*arguments)
    if result is None or result is False:
        raise libvirt.libvirtError("the call failed")
    return result


def _map(cpus: CpuSet) -> tuple[bool, ...]:
    return cpus.to_map(cpus.mask.bit_length())
