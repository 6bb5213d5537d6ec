# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot methods: how QEMU is made to start what an image holds.

A method knows the emulated CPU model, because hypervisors differ in which of them they survive, and the artifacts that
its recipe leaves in an image's directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from numalab.errors import LabError


class BootMethod(Protocol):
    """What a host needs of a boot method."""

    @property
    def cpu_model(self) -> str:
        """QEMU's ``-cpu``."""

    def qemu_arguments(self, image: Path, hostname: str) -> list[str]:
        """Return the part of a QEMU command line that boots the image at this directory."""


#: Kernel options that save seconds under emulation: no mitigations, no self-tests, no chatter. A kernel that panics
#: ends its machine at once, and is not waited for.
_FAST_KERNEL = (
    "rw",
    "quiet",
    "net.ifnames=0",
    "mitigations=off",
    # rep_good, for the reason of hosts.py: clearing a page by 512 steps of `rep stosq` is slower than by plain stores
    "clearcpuid=112",
    "audit=0",
    "apparmor=0",
    "nokaslr",
    "nowatchdog",
    "panic=-1",
    "random.trust_cpu=on",
    "cryptomgr.notests",
    "systemd.show_status=false",
)

#: The same for a kernel that meets the emulated machine itself, and need not calibrate what keeps its time. It boots on
#: one CPU, for it rewrites its own code a lot, which QEMU before 8.1 can get wrong when another CPU runs it; the initrd
#: brings up the others.
FAST_LINUX = (*_FAST_KERNEL, "console=ttyS0", "no_timer_check", "tsc=reliable", "maxcpus=1", "noreplace-smp")

#: The same for a kernel that is Xen's dom0: its console is Xen's. Not being the one for the cloud, it has more security
#: modules to leave out, and would look at all of its page tables for pages both writable and executable. Xen gives it
#: one CPU, for the same reason (see hosts.py): what a PV kernel does not start on, it never gets.
FAST_DOM0 = (*_FAST_KERNEL, "console=hvc0", "lsm=", "rodata=off")

#: Xen's options: all it has to say on the serial port, and room to keep it for ``xl dmesg``; no mitigations, no
#: scrubbing of memory that is fresh anyway.
FAST_XEN = (
    "console=com1",
    "com1=115200,8n1",
    "loglvl=all",
    "guest_loglvl=all",
    "conring_size=256k",
    "numa=on",
    "bootscrub=0",
    "spec-ctrl=no",
    "xpti=no",
    "pv-l1tf=no",
)


@dataclass(frozen=True)
class LinuxBoot:
    """A Linux kernel and its initrd, handed over by QEMU: no firmware disk boot, no boot loader."""

    cpu_model: str
    options: tuple[str, ...] = FAST_LINUX

    def qemu_arguments(self, image: Path, hostname: str) -> list[str]:
        """Return ``-cpu``, ``-kernel``, ``-initrd`` and ``-append`` for the artifacts ``vmlinuz`` and ``initrd``."""
        options = (*self.options, f"systemd.hostname={hostname}")
        return [
            "-cpu",
            self.cpu_model,
            "-kernel",
            str(image / "vmlinuz"),
            "-initrd",
            str(image / "initrd"),
            "-append",
            " ".join(options),
        ]


@dataclass(frozen=True)
class XenBoot:
    """Xen, multibooted by QEMU with a Linux kernel and its initrd as modules, of which it makes dom0.

    dom0 lives on one cell, with its memory and its CPUs: so the others are all the guests'.
    """

    cpu_model: str
    dom0_cell: int
    dom0_cpus: int
    dom0_memory_mib: int
    xen_options: tuple[str, ...] = FAST_XEN
    dom0_options: tuple[str, ...] = FAST_DOM0

    def qemu_arguments(self, image: Path, hostname: str) -> list[str]:
        """Return ``-cpu``, ``-kernel``, ``-append`` and ``-initrd`` for the artifacts ``xen``, ``vmlinux``, ``initrd``.

        QEMU takes the modules from one text, where a blank parts a file from its options, and a comma parts modules.
        """
        if " " in str(image):
            raise LabError(f"QEMU cannot boot Xen from {image}, for the blank in it: set NUMA_VIRT_LAB_CACHE")
        memory = f"{self.dom0_memory_mib}M"
        xen = (
            *self.xen_options,
            f"dom0_mem={memory},max:{memory}",
            f"dom0_max_vcpus={self.dom0_cpus}",
            f"dom0_nodes={self.dom0_cell}",
        )
        dom0 = (*self.dom0_options, f"systemd.hostname={hostname}")
        modules = (f"{image / 'vmlinux'} {' '.join(dom0)}", str(image / "initrd"))
        return [
            "-cpu",
            self.cpu_model,
            "-kernel",
            str(image / "xen"),
            "-append",
            " ".join(xen),
            "-initrd",
            ",".join(module.replace(",", ",,") for module in modules),
        ]
