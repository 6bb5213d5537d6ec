# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The smallest initrd that gets a lab machine to its root file system, with the network up on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from numalab.errors import LabError
from numalab.packages import find_command

_FOLDERS = ("bin", "dev", "proc", "sys", "root", "lib/modules")

#: The address that QEMU's user network expects of its one guest.
_ADDRESS = "10.0.2.15"
_GATEWAY = "10.0.2.2"


def init_script(modules: list[str]) -> str:
    """Return the initrd's ``/init``: load these module files in order, bring up CPUs and network, mount and go on."""
    return "\n".join(
        [
            "#!/bin/busybox sh",
            "busybox mount -t devtmpfs dev /dev",
            "busybox mount -t proc proc /proc",
            "busybox mount -t sysfs sys /sys",
            *(f"busybox insmod /lib/modules/{module}" for module in modules),
            # Some kernels start on one CPU: see boot.py. A CPU that is up stays so.
            "for cpu in /sys/devices/system/cpu/cpu*/online; do echo 1 >$cpu; done",
            "busybox ifconfig lo 127.0.0.1 up",
            f"busybox ifconfig eth0 {_ADDRESS} netmask 255.255.255.0 up",
            f"busybox route add default gw {_GATEWAY}",
            "while [ ! -b /dev/vda ]; do busybox usleep 20000; done",
            "busybox mount -t ext4 -o rw,noatime /dev/vda /root",
            "busybox mount --move /dev /root/dev",
            "busybox umount /proc",
            "busybox umount /sys",
            "exec busybox switch_root /root /sbin/init",
            "",
        ]
    )


def parse_dependencies(listing: str) -> list[str]:
    """Return the module files in the output of ``modprobe --show-depends``, in the order they must be loaded.

    A module built into the kernel shows as ``builtin NAME`` and needs no file.
    """
    lines = (line.split() for line in listing.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "insmod"]


def build_initrd(root: Path, release: str, modules: tuple[str, ...], work: Path, target: Path) -> None:
    """Write an uncompressed initrd with busybox and these modules of the root's kernel, using ``work`` as scratch."""
    for folder in _FOLDERS:
        (work / folder).mkdir(parents=True)
    shutil.copy2(root / "bin/busybox", work / "bin/busybox")
    files: list[str] = []
    for module in modules:
        listing = subprocess.run(
            ["chroot", str(root), "modprobe", "--set-version", release, "--show-depends", module],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        files += [file for file in parse_dependencies(listing) if file not in files]
    for file in files:
        shutil.copy2(root / file.lstrip("/"), work / "lib/modules")
    init = work / "init"
    init.write_text(init_script([Path(file).name for file in files]))
    init.chmod(0o755)
    _archive(work, target)


def _archive(folder: Path, target: Path) -> None:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    cpio = find_command("cpio")
    if cpio is None:
        raise LabError("the command cpio is missing: see 'lab.py packages'")
    with target.open("wb") as stream:
        subprocess.run(
            [cpio, "--create", "--format=newc", "--quiet", "--owner=0:0"],
            cwd=folder,
            input=os.fsencode("\n".join(names)),
            stdout=stream,
            check=True,
        )
