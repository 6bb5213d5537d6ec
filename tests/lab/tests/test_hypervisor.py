# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is unpacked for a hypervisor, and the guests that are built for it."""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from numalab import hypervisor
from numalab.errors import LabError
from numalab.guests import GUEST_FOLDER, KERNELS, build_firmware, build_guests
from numalab.hypervisor import kernel_payload, take_hypervisor
from numalab.packages import find_command
from numalab.recipes import GUESTS


def kernel_image(packed: bytes, sectors: int = 3) -> bytes:
    """Return a kernel image with this payload, 64 bytes into its protected-mode part."""
    image = bytearray((sectors + 1) * 512 + 64)
    image[0x1F1] = sectors
    image[0x202:0x206] = b"HdrS"
    payload = packed + struct.pack("<I", 4711)
    struct.pack_into("<II", image, 0x248, 64, len(payload))
    return bytes(image) + payload + b"more"


@pytest.mark.parametrize("sectors", [3, 30])
def test_the_kernel_is_found_in_its_image(sectors: int) -> None:
    kernel = b"\x7fELF and so on" * 100
    assert kernel_payload(kernel_image(lzma.compress(kernel), sectors)) == kernel


def zstd(data: bytes) -> bytes:
    """Return the data packed as Debian 13 packs kernels."""
    return subprocess.run(["zstd", "-c", "-q"], input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.skipif(find_command("zstd") is None, reason="the command zstd is not here")
def test_a_kernel_that_is_packed_with_zstd_is_found() -> None:
    kernel = b"\x7fELF and so on" * 100
    assert kernel_payload(kernel_image(zstd(kernel))) == kernel


def test_without_zstd_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hypervisor, "find_command", lambda _command: None)
    with pytest.raises(LabError, match="the command zstd is missing"):
        kernel_payload(kernel_image(b"\x28\xb5\x2f\xfd and so on"))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "no Linux kernel image"),
        (b"\0" * 4096, "no Linux kernel image"),
        (kernel_image(b"\x1f\x8b gzip"), "neither xz nor zstd"),
        (kernel_image(b"\x28\xb5\x2f\xfd no zstd"), "zstd is missing|cannot be unpacked"),
        (kernel_image(lzma.compress(b"\x7fELF")[:-8]), "cannot be unpacked"),
        (kernel_image(lzma.compress(b"a.out")), "no ELF file"),
    ],
)
def test_what_is_no_packed_kernel_is_refused(image: bytes, message: str) -> None:
    with pytest.raises(LabError, match=message):
        kernel_payload(image)


def test_the_hypervisor_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "xen.gz").write_bytes(gzip.compress(b"xen"))
    take_hypervisor(tmp_path / "xen.gz", tmp_path / "xen")
    assert (tmp_path / "xen").read_bytes() == b"xen"


def test_a_missing_hypervisor_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"no hypervisor xen-4\.17-amd64\.gz"):
        take_hypervisor(tmp_path / "xen-4.17-amd64.gz", tmp_path / "xen")


class FakeTools:
    """Runs nothing, and writes down what it was to run."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def run(self, command: str, *arguments: str) -> None:
        self.commands.append([command, *arguments])


def test_every_guest_is_built_from_sources_that_are_there(tmp_path: Path) -> None:
    tools = FakeTools()
    build_guests(tmp_path, tmp_path / "work", tools)
    build_firmware(tmp_path / "other", tmp_path / "other work", tools)
    sources = {Path(command[-1]) for command in tools.commands if command[0] == "gcc"}
    assert all(source.exists() for source in sources)
    assert {source.name for source in sources} == {path.name for path in GUESTS.glob("*.[cS]")}
    built = {word for command in tools.commands for word in command if word.startswith(f"{tmp_path / GUEST_FOLDER}/")}
    assert {Path(path).name for path in built} == {*(kernel.name for kernel in KERNELS), "hvmidle.img"}
    assert tools.commands[-1][-1] == str(tmp_path / "other" / GUEST_FOLDER / "idle.rom")


@pytest.mark.skipif(shutil.which("gcc") is None or shutil.which("objcopy") is None, reason="needs gcc and binutils")
def test_the_firmware_is_as_large_as_qemu_wants_it_and_begins_where_a_cpu_does(tmp_path: Path) -> None:
    class Tools:
        def run(self, command: str, *arguments: str) -> None:
            subprocess.run([command, *arguments], check=True)

    build_firmware(tmp_path / "root", tmp_path / "work", Tools())
    rom = (tmp_path / "root" / GUEST_FOLDER / "idle.rom").read_bytes()
    assert len(rom) == 1 << 16
    jump, offset = rom[0xFFF0], int.from_bytes(rom[0xFFF1:0xFFF3], "little")
    start = (0xFFF3 + offset) & 0xFFFF
    assert jump == 0xE9 and rom[start : start + 2] == b"\xb0\x35"  # movb $0x35, %al


def test_only_a_kernel_that_obeys_has_the_code_for_it(tmp_path: Path) -> None:
    tools = FakeTools()
    build_guests(tmp_path, tmp_path / "work", tools)
    for kernel in KERNELS:
        link = next(command for command in tools.commands if str(tmp_path / GUEST_FOLDER / kernel.name) in command)
        codes = [word for word in link if word.endswith(".o")]
        compilations = [command for command in tools.commands if command[0] == "gcc" and codes[0] in command]
        assert any(code.endswith("-obey.c.o") for code in codes) == kernel.obeys
        assert ["-DOBEY" in command for command in compilations] == [kernel.obeys]
