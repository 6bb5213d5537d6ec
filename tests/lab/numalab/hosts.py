# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts that can be booted, by name, and QEMU's whole command line for one of them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from numalab.boot import BootMethod, LinuxBoot, XenBoot
from numalab.errors import LabError
from numalab.recipes import SYSTEMS, Recipe, System, kvm_recipe, xen_recipe
from numalab.topology import Cell, Topology, equal_distances


@dataclass(frozen=True)
class Host:
    """A kind of machine on a system: what it looks like, what it boots and what its libvirt offers."""

    #: What it looks like and which hypervisor it runs, in a word: hosts of one kind differ in their system alone.
    kind: str
    system: System
    summary: str
    topology: Topology
    recipe: Recipe
    boot: BootMethod
    #: libvirt's driver there, in the words of the collection.
    driver: str
    #: The URI of its libvirt, as seen on the host itself.
    uri: str
    #: The fastest ``<domain type=…>`` whose guests run there.
    domain_type: str
    #: Whether its libvirt keeps on its disk what it found out about the hypervisor, so that a second boot is faster.
    warms: bool = True

    @property
    def name(self) -> str:
        """The kind, with the system after it where that is not the oldest one."""
        return f"{self.kind}{self.system.suffix}"


#: A square of sockets: each has one near neighbour, one far, and one across.
_SQUARE = ((10, 12, 21, 31), (12, 10, 31, 21), (21, 31, 10, 12), (31, 21, 12, 10))


#: All that can be emulated, but what only costs: with ``erms`` and ``fsrm`` memory is cleared and copied a byte at a
#: time (ten times as slow, a third of all that a busy host did); the others end a translated block at each copy from
#: user space, or walk five levels of page tables.
_FAST_CPU = "max,-erms,-fsrm,-smap,-smep,-umip,-pku,-la57"


def _hosts(system: System) -> tuple[Host, ...]:
    """Return the hosts of all kinds, on one system."""
    kvm = kvm_recipe(system)
    return (
        Host(
            kind="kvm",
            system=system,
            summary="4 cells x 2 CPUs, distances 10/12/21/31; KVM works inside",
            topology=Topology(4, 2, 1, tuple(Cell((2 * n, 2 * n + 1), 512) for n in range(4)), _SQUARE),
            recipe=kvm,
            boot=LinuxBoot(_FAST_CPU),
            driver="qemu",
            uri="qemu:///system",
            domain_type="kvm",
        ),
        Host(
            kind="smt",
            system=system,
            summary="2 cells x 2 cores x 2 threads; an Intel CPU (others show no siblings), so no KVM inside",
            topology=Topology(2, 2, 2, (Cell((0, 1, 2, 3), 1024), Cell((4, 5, 6, 7), 1024)), equal_distances(2, 21)),
            recipe=kvm,
            boot=LinuxBoot(f"{_FAST_CPU},vendor=GenuineIntel"),
            driver="qemu",
            uri="qemu:///system",
            domain_type="qemu",
        ),
        Host(
            kind="memonly",
            system=system,
            summary="2 cells x 4 CPUs and a third cell with memory alone; KVM works inside",
            topology=Topology(
                2, 4, 1, (Cell((0, 1, 2, 3), 768), Cell((4, 5, 6, 7), 768), Cell((), 512)), equal_distances(3, 17)
            ),
            recipe=kvm,
            boot=LinuxBoot(_FAST_CPU),
            driver="qemu",
            uri="qemu:///system",
            domain_type="kvm",
        ),
        Host(
            kind="wide",
            system=system,
            summary="8 cells x 1 CPU; KVM works inside",
            topology=Topology(8, 1, 1, tuple(Cell((n,), 256) for n in range(8)), equal_distances(8, 20)),
            recipe=kvm,
            boot=LinuxBoot(_FAST_CPU),
            driver="qemu",
            uri="qemu:///system",
            domain_type="kvm",
        ),
        Host(
            kind="xen",
            system=system,
            summary="4 cells x 2 CPUs, distances 10/12/21/31; Xen with dom0 on cell 0; PV, PVH and HVM guests",
            topology=Topology(4, 2, 1, tuple(Cell((2 * n, 2 * n + 1), 1024) for n in range(4)), _SQUARE),
            recipe=xen_recipe(system),
            # Xen asks for SVM, not for who made the CPU. It hides SYSENTER of an AMD one, and then libvirt 9.0 knows no
            # model that fits and has no Xen driver; other models crash Xen or dom0.
            # With two CPUs dom0 hung at many a boot, both on a breakpoint of a branch that had been switched.
            boot=XenBoot("Nehalem,+svm,+npt", dom0_cell=0, dom0_cpus=1, dom0_memory_mib=640),
            driver="xen",
            uri="xen:///system",
            domain_type="xen",
            warms=False,
        ),
    )


#: All hosts, by name: the kinds, on one system after the other.
HOSTS: dict[str, Host] = {host.name: host for system in SYSTEMS for host in _hosts(system)}


def find_host(name: str) -> Host:
    """Return the host of this name; raise :class:`LabError` naming those that exist."""
    if name not in HOSTS:
        raise LabError(f"no host is called {name!r}; there are: {', '.join(HOSTS)}")
    return HOSTS[name]


@dataclass(frozen=True)
class RunPaths:
    """The files of one running machine, all in its run directory."""

    directory: Path

    @property
    def state(self) -> Path:
        """What was booted, when, on which port: JSON."""
        return self.directory / "vm.json"

    @property
    def pid(self) -> Path:
        """QEMU's own pid file. Its path on QEMU's command line is also what marks the process as ours."""
        return self.directory / "qemu.pid"

    @property
    def serial(self) -> Path:
        """All that the machine wrote to its first serial port."""
        return self.directory / "serial.log"

    @property
    def monitor(self) -> Path:
        """QEMU's QMP socket."""
        return self.directory / "qmp.sock"

    @property
    def disk(self) -> Path:
        """The qcow2 overlay that takes all writes, thrown away at the end."""
        return self.directory / "disk.qcow2"

    @property
    def ssh_config(self) -> Path:
        """All that ssh must know to reach the machine."""
        return self.directory / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        """The machine's ssh host key, under the address and port it has now."""
        return self.directory / "known_hosts"

    @property
    def ssh_socket(self) -> Path:
        """The socket of ssh's shared connection."""
        return self.directory / "ssh.sock"


def escape(value: object) -> str:
    """Return a value as it must stand in a QEMU option list, where a comma is written twice."""
    return str(value).replace(",", ",,")


def qemu_command(host: Host, name: str, image: Path, paths: RunPaths, port: int) -> list[str]:
    """Return the argument vector that boots a host as the machine ``name``, with ssh on this port of 127.0.0.1.

    The machine's network reaches nothing but that one port (``restrict=on``).
    """
    return [
        "qemu-system-x86_64",
        "-name",
        f"numa-virt-lab-{escape(name)}",
        "-uuid",
        str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.numa-virt-lab")),
        "-machine",
        "q35,usb=off,vmport=off",
        "-accel",
        "tcg,thread=multi",
        *host.topology.qemu_arguments(),
        *host.boot.qemu_arguments(image, name),
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
        "-drive",
        f"if=none,id=disk0,format=qcow2,file={escape(paths.disk)},cache=unsafe,discard=unmap",
        "-device",
        "virtio-blk-pci,drive=disk0",
        "-netdev",
        f"user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device",
        "virtio-net-pci,netdev=net0,romfile=",
        "-device",
        "virtio-rng-pci",
        "-chardev",
        f"file,id=serial0,path={escape(paths.serial)}",
        "-serial",
        "chardev:serial0",
        "-chardev",
        f"socket,id=monitor0,path={escape(paths.monitor)},server=on,wait=off",
        "-mon",
        "chardev=monitor0,mode=control",
        "-pidfile",
        str(paths.pid),
        "-daemonize",
    ]
