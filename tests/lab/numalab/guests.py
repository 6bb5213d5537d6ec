# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests that an image with a hypervisor brings: kernels of a few hundred bytes that do nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from numalab.recipes import GUESTS

#: Where they are in the image.
GUEST_FOLDER = "usr/local/share/lab-guests"

#: Guest kernel -> how many bits its CPU starts with.
_KERNELS = {"pvidle": 64, "pvhidle": 32}

#: A boot sector, which is a whole disk.
_BOOT_SECTOR = "hvmidle"


class Runner(Protocol):
    """Runs a command of the build."""

    def run(self, command: str, *arguments: str) -> None:
        """Run one command, or raise."""


def build_guests(root: Path, work: Path, tools: Runner) -> None:
    """Assemble all guests into the image's root, using ``work`` as scratch."""
    target = root / GUEST_FOLDER
    target.mkdir(parents=True)
    work.mkdir()
    for name, bits in _KERNELS.items():
        code = _assemble(name, bits, work, tools)
        emulation = {32: "elf_i386", 64: "elf_x86_64"}[bits]
        script = str(GUESTS / "kernel.lds")
        tools.run("ld", "-m", emulation, "-n", "--build-id=none", "-T", script, "-o", str(target / name), str(code))
    code = _assemble(_BOOT_SECTOR, 32, work, tools)
    tools.run("objcopy", "-O", "binary", "-j", ".text", str(code), str(target / f"{_BOOT_SECTOR}.img"))


def _assemble(name: str, bits: int, work: Path, tools: Runner) -> Path:
    code = work / f"{name}.o"
    tools.run("gcc", f"-m{bits}", "-c", "-o", str(code), str(GUESTS / f"{name}.S"))
    return code
