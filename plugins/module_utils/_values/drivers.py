# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each hypervisor driver can do, and one placement encoded for it.

The facts were read from libvirt's source (9.0, 11.3) and Xen's (4.17) and tried on real hosts; see docs.
This file must not import ansible, libvirt or lxml, and must not look at a host.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._values import overhead
from ansible_collections.numa.virt.plugins.module_utils._values.overhead import Overhead
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, pins_of


@dataclass(frozen=True)
class Driver:
    """The features of one driver.

    ``cpu_map``: virNodeGetCPUMap() tells the truth. ``free_memory``: it knows what is free on a cell. ``full_maps``:
    the CPU maps of virDomainGetVcpus() are whole and are the hypervisor's word. ``pin_flags``: virDomainPinVcpuFlags()
    takes LIVE. ``live_nodeset``: the modes in which the nodeset of a running guest can change. ``early_binding``: huge
    pages and preallocated memory are touched by threads that need a CPU of each of its cells. ``live_metadata``: a
    running guest has a place for our record. ``processes``: a running guest is a process of the host, which /proc tells
    of. ``control_domain``: what the host itself is called among its guests. ``pools``: CPUs are in cpupools.
    ``sysfs``: its host's devices are those that the kernel there tells of.
    ``topology``: a guest is told of the cores and threads that its definition says. ``overhead``: what it takes beside
    the memory of a guest.
    Without ``numatune`` (Xen) a guest's memory is born on the cells of its vCPUs' pins, as far as there is room, and
    stays there.
    """

    name: str
    emulator: bool
    iothreads: bool
    numatune: bool
    start_paused: bool
    cpu_map: bool
    free_memory: bool
    full_maps: bool
    pin_flags: bool
    live_nodeset: frozenset[str]
    early_binding: bool
    pins_each_vcpu: bool
    overhead: Overhead
    live_metadata: bool = True
    processes: bool = False
    control_domain: str | None = None
    pools: bool = False
    sysfs: bool = False
    topology: bool = True

    def check(self, intent: Intent) -> None:
        """Raises UnsupportedError for what a user asked and this driver has no such thing for."""
        if intent.emulator is not None and not self.emulator:
            raise UnsupportedError(self.name, "emulatorpin", "it has no emulator threads to pin", "emulator_cpuset")
        if intent.iothread_pins and not self.iothreads:
            raise UnsupportedError(self.name, "iothreadpin", "it has no IO threads to pin", "iothread_pins")
        memory = intent.memory
        if memory is None or memory.mode == "none" or self.numatune:
            return
        if memory.mode != "strict" or (memory.cells is not None and memory.cells != intent.cells):
            raise UnsupportedError(
                self.name,
                "numatune",
                "a guest's memory comes from the cells of its CPUs and from nowhere else: leave memory out",
                "memory",
            )

    def encode(self, placement: Placement, vcpus: int) -> Placement:
        """The owned elements that make this driver do what ``placement`` says. The guest starts with ``vcpus``."""
        if self.pins_each_vcpu:
            # libxl stores <vcpu cpuset> and ignores it; only a pin becomes hard affinity before memory is allocated.
            # That of a vCPU that comes later is not even stored.
            pins = {vcpu: placement.of_vcpu(vcpu) for vcpu in range(vcpus)}
            placement = replace(
                placement, vcpu_pins=pins_of({vcpu: cpus for vcpu, cpus in pins.items() if cpus is not None})
            )
        return self.obeyed(placement)

    def obeyed(self, placement: Placement) -> Placement:
        """Without what this driver stores and nobody obeys: <numatune>, and placement='auto', which needs numad.

        libvirt completes an automatic <vcpu> with memory that is automatic too, and would do so again and again.
        """
        if self.numatune:
            return placement
        return replace(placement, memory=None, memnodes=(), automatic=False)

    def decode(self, placement: Placement) -> Placement:
        """What owned elements mean that encode() may have written: the way back."""
        if self.pins_each_vcpu and placement.cpuset is not None:
            # A vCPU that may run wherever the domain may has no pin of its own.
            pins = tuple(pair for pair in placement.vcpu_pins if pair[1] != placement.cpuset)
            placement = replace(placement, vcpu_pins=pins)
        return self.obeyed(placement)


# libxl has no virNodeGetCPUMap(), and Xen's topology lists offline CPUs like others: cpupools tell them apart.
_XEN = Driver(
    "xen",
    emulator=False,
    iothreads=False,
    numatune=False,
    start_paused=True,
    cpu_map=False,
    free_memory=True,
    full_maps=True,
    pin_flags=True,
    live_nodeset=frozenset(),
    early_binding=False,
    pins_each_vcpu=True,
    overhead=overhead.XEN,
    control_domain="Domain-0",
    pools=True,
    sysfs=True,
    topology=False,
)

_DRIVERS = {
    "qemu": Driver(
        "qemu",
        emulator=True,
        iothreads=True,
        numatune=True,
        start_paused=True,
        cpu_map=True,
        free_memory=True,
        full_maps=True,
        pin_flags=True,
        live_nodeset=frozenset({"restrictive"}),
        early_binding=True,
        pins_each_vcpu=False,
        overhead=overhead.QEMU,
        processes=True,
        sysfs=True,
    ),
    "xen": _XEN,
    # Xen by its own tool: a file says the sets as they are meant, and no vCPU goes without.
    "xl": replace(_XEN, name="xl", pins_each_vcpu=False, live_metadata=False),
    # Stores everything and runs nothing; its CPU map is invented, and cuts every map to 8 CPUs.
    "test": Driver(
        "test",
        emulator=True,
        iothreads=True,
        numatune=True,
        start_paused=False,
        cpu_map=False,
        free_memory=False,
        full_maps=False,
        pin_flags=False,
        live_nodeset=frozenset({"strict", "preferred", "interleave", "restrictive"}),
        early_binding=False,
        pins_each_vcpu=False,
        overhead=overhead.NONE,
    ),
}


# Since then libvirt refuses a definition with restrictive memory in some elements and another mode in others. Before,
# it took a restrictive <memnode> below a <memory> of another mode.
RESTRICTIVE_ALONE = (9, 4)


def check_modes(placement: Placement, libvirt: str | None) -> None:
    """Raises InputError for modes of memory that this libvirt ("11.3.0"; None: no libvirt) does not take together."""
    if libvirt is None or not placement.mixes_restrictive:
        return
    if tuple(int(part) for part in libvirt.split(".")) < RESTRICTIVE_ALONE:
        return
    modes = [f"memnode {cell} {binding.mode}" for cell, binding in placement.memnodes]
    whole = f"memory {placement.memory.mode}" if placement.memory is not None else "no memory"
    raise InputError(
        "numatune of the definition",
        ", ".join([whole, *modes]),
        f"libvirt {libvirt} takes restrictive memory in all of these or in none",
        "give memory.mode with cells or cpuset, or change the definition",
    )


def driver_named(name: str) -> Driver:
    """Raises UnsupportedError for a driver that this collection does not know."""
    if name not in _DRIVERS:
        raise UnsupportedError(name, "driver", f"numa.virt knows {', '.join(_DRIVERS)}", "uri")
    return _DRIVERS[name]
