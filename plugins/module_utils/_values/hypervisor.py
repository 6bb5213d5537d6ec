# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the engine needs of a hypervisor: the interface that _libvirt and _xl both have.

Every call may raise NumaVirtError: UnsupportedError where the hypervisor has no such thing, LibvirtCallError or
XlCallError where it refuses. Sizes are KiB. Definitions come with their secrets.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Optional, Protocol, TypeVar

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon
from ansible_collections.numa.virt.plugins.module_utils._values.topology import CpuPool

C = TypeVar("C")
# Domain id -> cell -> KiB; None where it cannot be read
Pages = Optional["dict[int, dict[int, int]]"]


class Domain(Protocol):
    """One domain, as it was when it was looked up. Changes are made to the running guest unless a name says config."""

    @property
    def name(self) -> str: ...

    @property
    def uuid(self) -> str | None:
        """None where it does not run and its definition leaves the UUID open."""

    @property
    def key(self) -> str:
        """A UUID to call this domain's files by."""

    @property
    def id(self) -> int:
        """The number that the hypervisor gave it when it started, or -1."""

    @property
    def active(self) -> bool: ...

    def definition(self) -> str: ...

    def live_xml(self) -> str: ...

    def state(self) -> str: ...

    def paused_by_user(self) -> bool: ...

    def why_paused(self) -> str:
        """What a hypervisor paused it for, as the end of a sentence."""

    def jobs(self, disks: Iterable[str]) -> list[str]:
        """What is going on with it, and with these disks (targets), that an end of the guest would end, in words."""

    def snapshots(self) -> Iterable[str]:
        """Documents of its snapshots, where there are some."""

    def saved(self) -> bool:
        """Whether its memory is kept in an image, from which the next start goes on."""

    def saved_xml(self) -> str:
        """What that start will use, with secrets."""

    def define_saved(self, xml: str) -> None:
        """Let that start use another document; whether the guest was paused stays."""

    def save(self) -> None:
        """Put the guest's memory into an image, from which the next start lets it run on, and end it."""

    def persistent(self) -> bool: ...

    def vcpu_maps(self) -> dict[int, CpuSet]: ...

    def pin_vcpu(self, vcpu: int, cpus: CpuSet, with_flags: bool) -> None: ...

    def pin_emulator(self, cpus: CpuSet) -> None: ...

    def pin_iothread(self, iothread: int, cpus: CpuSet) -> None: ...

    def bind_memory(self, nodeset: CpuSet) -> None: ...

    def set_metadata(self, xml: str, prefix: str, namespace: str, live: bool) -> None: ...

    def remove_metadata(self, namespace: str) -> None: ...

    def redefine(self, text: str) -> Domain: ...

    def start(self, paused: bool) -> None: ...

    def resume(self) -> None: ...

    def shutdown(self) -> None: ...

    def destroy(self) -> None: ...

    def undefine(self) -> None: ...


class Watch(Protocol):
    """Who else defines or undefines domains meanwhile: see _libvirt.watch."""

    def mark(self) -> None: ...

    def others(self, uuid: str) -> str | None: ...


class XenTools(Protocol):
    """Xen's own tool."""

    def __call__(self, action: str, *arguments: str) -> str:
        """What it prints. ``action`` says in words what for."""

    def pools(self) -> tuple[CpuPool, ...]:
        """The cpupools, that of new guests first."""

    def pages(self) -> Pages:
        """Where the memory of every domain lies."""

    def device_cells(self) -> dict[str, int]:
        """The cell of each PCI device of which Xen knows it, by address."""

    def assignable_devices(self) -> dict[str, str]:
        """The addresses of devices that guests may be given, by the names that xl has for them."""


class Connection(Protocol):
    """One connection to one hypervisor, for one run. ``dialect`` is "xml" or "xl": see dialect_of().

    One that can be told what others do has a ``watch()`` too.
    """

    dialect: str

    def __enter__(self: C) -> C: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def configured_name(self) -> str | None:
        """The name of the guest in the file that was given for it."""

    @property
    def warnings(self) -> Sequence[str]:
        """What was passed over so far."""

    @property
    def calls(self) -> int: ...

    @property
    def uri(self) -> str: ...

    @property
    def daemon(self) -> Daemon:
        """Who is at the other end."""

    @property
    def local(self) -> bool:
        """Whether the hypervisor runs on this machine."""

    def capabilities(self) -> str: ...

    def versions(self) -> tuple[str, str | None]:
        """(hypervisor, libvirt), as "7.2.0"."""

    def cpu_map(self) -> tuple[bool, ...]: ...

    def free_memory(self, cell: int) -> int | None: ...

    def free_pages(self, sizes: list[int], first: int, count: int) -> dict[int, dict[int, int]]: ...

    def pci_devices(self) -> list[str]: ...

    def device_parts(self, kind: str) -> list[str]:
        """Documents of devices of a kind that are parts of PCI devices: MDEV or VDPA of _values.devices."""

    def network(self, name: str) -> str | None:
        """The document of a virtual network; None where there is none of that name."""

    def xen_tools(self) -> XenTools | None:
        """Xen's own tool, where this is Xen and the tool is to be had here."""

    def domain(self, name: str) -> Domain | None: ...

    def domains(self) -> Sequence[Domain]: ...

    def persistent_uuids(self) -> set[str]: ...

    def states(self) -> dict[str, str]: ...

    def define(self, text: str) -> Domain: ...
