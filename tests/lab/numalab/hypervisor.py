# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a multibooted hypervisor needs beside an initrd: itself and the kernel, both unpacked.

QEMU hands both over as they are, so that what is unpacked here need not be unpacked under emulation at every boot.
"""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
import subprocess
from pathlib import Path

from numalab.errors import LabError
from numalab.packages import find_command

# Of the boot protocol of Linux on x86: Documentation/arch/x86/boot.rst.
_SETUP_SECTORS = 0x1F1
_MAGIC_AT = 0x202
_MAGIC = b"HdrS"
_PAYLOAD = 0x248
_SECTOR = 512

#: What the packed kernel starts with, by the way in which it is packed.
_XZ = b"\xfd7zXZ\0"
_ZSTD = b"\x28\xb5\x2f\xfd"
#: Behind both stands the size of what is in them, which is no part of the stream.
_SIZE = 4

_ELF = b"\x7fELF"


def take_hypervisor(packed: Path, target: Path) -> None:
    """Unpack a hypervisor that is shipped compressed."""
    if not packed.exists():
        raise LabError(f"the image holds no hypervisor {packed.name}")
    with gzip.open(packed) as source, target.open("wb") as stream:
        shutil.copyfileobj(source, stream)


def unpack_kernel(vmlinuz: Path, target: Path) -> None:
    """Write the ELF file that a kernel image carries inside."""
    target.write_bytes(kernel_payload(vmlinuz.read_bytes()))


def kernel_payload(image: bytes) -> bytes:
    """Return the ELF file inside a kernel image (a *bzImage*).

    Raises :class:`LabError` when it is none, or is packed with neither xz (Debian 12) nor zstd (Debian 13).
    """
    if image[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        raise LabError("this is no Linux kernel image")
    sectors = image[_SETUP_SECTORS] or 4
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = (sectors + 1) * _SECTOR + offset
    packed = image[start : start + length - _SIZE]
    if packed.startswith(_XZ):
        kernel = _unpack_xz(packed)
    elif packed.startswith(_ZSTD):
        kernel = _unpack_zstd(packed)
    else:
        raise LabError("this kernel is packed with neither xz nor zstd")
    if kernel[: len(_ELF)] != _ELF:
        raise LabError("what this kernel image carries is no ELF file")
    return kernel


def _unpack_xz(packed: bytes) -> bytes:
    try:
        return lzma.decompress(packed, format=lzma.FORMAT_XZ)
    except lzma.LZMAError as error:
        raise LabError(f"this kernel cannot be unpacked: {error}") from error


def _unpack_zstd(packed: bytes) -> bytes:
    """Unpack with the command, as Python has no module for it before 3.14."""
    zstd = find_command("zstd")
    if zstd is None:
        raise LabError("the command zstd is missing: see 'lab.py packages'")
    done = subprocess.run([zstd, "-d", "-c", "-q"], input=packed, capture_output=True, check=False)
    if done.returncode != 0:
        raise LabError(f"this kernel cannot be unpacked: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
