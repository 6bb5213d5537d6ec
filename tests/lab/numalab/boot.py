# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot methods: how QEMU is made to start what an image holds.

A method knows the emulated CPU model, because hypervisors differ in which of them they survive, and the artifacts that
its recipe leaves in an image's directory. A hypervisor that is multibooted gets a class of its own beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class BootMethod(Protocol):
    """What a host needs of a boot method."""

    @property
    def cpu_model(self) -> str:
        """QEMU's ``-cpu``."""

    def qemu_arguments(self, image: Path, hostname: str) -> list[str]:
        """Return the part of a QEMU command line that boots the image at this directory."""


#: Kernel options that save seconds under emulation: no mitigations, no self-tests, no calibration, no chatter.
FAST_LINUX = (
    "rw",
    "quiet",
    "console=ttyS0",
    "net.ifnames=0",
    "mitigations=off",
    "audit=0",
    "apparmor=0",
    "nokaslr",
    "nowatchdog",
    "no_timer_check",
    "tsc=reliable",
    "random.trust_cpu=on",
    "cryptomgr.notests",
    "systemd.show_status=false",
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
