# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests that an image brings: kernels and a firmware of a few hundred bytes that do nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from numalab.recipes import GUESTS

#: Where they are in the image.
GUEST_FOLDER = "usr/local/share/lab-guests"

#: What a kernel needs that runs on nothing: no library, no vector registers, nothing behind the stack's end.
_COMPILER_OPTIONS = (
    "-O2",
    "-ffreestanding",
    "-fno-pic",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-mno-red-zone",
    "-mgeneral-regs-only",
    "-Wall",
    "-Wextra",
    "-Werror",
)


@dataclass(frozen=True)
class Kernel:
    """A guest kernel: the entry code it is made of, how many bits that has, and whether it heeds ``xl shutdown``."""

    name: str
    entry: str
    bits: int
    obeys: bool


KERNELS = (
    Kernel("pvidle", "pv", 64, obeys=False),
    Kernel("pvobey", "pv", 64, obeys=True),
    Kernel("pvhidle", "pvh", 32, obeys=False),
    Kernel("pvhobey", "pvh", 32, obeys=True),
)

#: ``ld -m`` for so many bits.
_EMULATIONS = {32: "elf_i386", 64: "elf_x86_64"}


class Runner(Protocol):
    """Runs a command of the build."""

    def run(self, command: str, *arguments: str) -> None:
        """Run one command, or raise."""


def build_guests(root: Path, work: Path, tools: Runner) -> None:
    """Build all guests into the image's root, using ``work`` as scratch."""
    target = root / GUEST_FOLDER
    target.mkdir(parents=True)
    work.mkdir()
    for kernel in KERNELS:
        _build_kernel(kernel, target / kernel.name, work, tools)
    # A boot sector, which is a whole disk.
    _build_binary("hvm", target / "hvmidle.img", work, tools)


def build_firmware(root: Path, work: Path, tools: Runner) -> None:
    """Build the firmware of QEMU guests without a system into the image's root, using ``work`` as scratch."""
    target = root / GUEST_FOLDER
    target.mkdir(parents=True)
    work.mkdir()
    _build_binary("firmware", target / "idle.rom", work, tools)


def _build_binary(source: str, target: Path, work: Path, tools: Runner) -> None:
    code = work / f"{source}.o"
    tools.run("gcc", "-m32", "-c", "-o", str(code), str(GUESTS / f"{source}.S"))
    tools.run("objcopy", "-O", "binary", "-j", ".text", str(code), str(target))


def _build_kernel(kernel: Kernel, target: Path, work: Path, tools: Runner) -> None:
    options = [f"-m{kernel.bits}", *_COMPILER_OPTIONS]
    sources = [f"{kernel.entry}.S"]
    if kernel.obeys:
        options.append("-DOBEY")
        sources.append("obey.c")
    codes = [str(work / f"{kernel.name}-{source}.o") for source in sources]
    for source, code in zip(sources, codes):
        tools.run("gcc", *options, "-c", "-o", code, str(GUESTS / source))
    layout = ("-m", _EMULATIONS[kernel.bits], "-n", "--build-id=none", "-T", str(GUESTS / "kernel.lds"))
    tools.run("ld", *layout, "-o", str(target), *codes)
