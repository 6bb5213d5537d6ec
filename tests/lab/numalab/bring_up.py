# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a host's name to a machine that works: image, warm disk, boot."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from numalab import ssh
from numalab.build import Image, Say
from numalab.errors import LabError
from numalab.hosts import Host, RunPaths, qemu_command
from numalab.images import cache_folder, ensure_image, locked
from numalab.machine import (
    HungError,
    Machine,
    check_name,
    load_machine,
    serial_tail,
    start,
    take_down,
    wait_until_ready,
)
from numalab.process import OwnedProcess

#: How many boots of one machine may hang before it is given up.
HANGS = 5

#: How long a machine may take to switch itself off, in seconds.
_POWER_OFF_LIMIT = 300.0


def boot(host: Host, name: str, folder: Path, say: Say, warm: bool = True) -> tuple[Machine, bool]:
    """Boot a host under this name and wait until it works; return it, and whether it was booted just now.

    ``warm`` says whether to make its warm disk first where there is none, which pays from the third boot on.

    A machine of that name and host that already works is returned as it is. One that fails to come up is ended.
    """
    check_name(name, folder)
    with locked(folder / f".{name}.lock", say):
        known = load_machine(name, folder)
        if known is not None and known.is_ready:
            if known.host != host:
                raise LabError(f"{name} is up already, as the host {known.host.name}: choose another --name")
            return known, False
        take_down(name, folder)
        image, disk = ensure_disk(host, cache_folder(), say, warm)
        started = time.monotonic()
        machine = start_and_wait(host, name, folder, image, disk, say)
        ready = replace(machine, boot_seconds=round(time.monotonic() - started, 1))
        ready.save()
        return ready, True


def start_and_wait(host: Host, name: str, folder: Path, image: Image, base: Path, say: Say) -> Machine:
    """Start a machine and wait until it works; one that hangs is started again, HANGS times. A failure ends it."""
    for attempt in range(HANGS + 1):
        try:
            started = time.monotonic()
            machine = start(host, name, image, base, RunPaths(folder / name))
            wait_until_ready(machine, started, say)
            return machine
        except BaseException as error:  # noqa: PERF203 - a boot takes longer
            take_down(name, folder)
            if not isinstance(error, HungError) or attempt == HANGS:
                raise
            say(f"{error}; starting it again")
    raise AssertionError("unreachable")


def warm_disk_of(host: Host, image: Image) -> Path:
    """Return where the host's warm disk is, or will be: beside its image, under a hash of the machine that made it."""
    command = qemu_command(host, host.name, Path("image"), RunPaths(Path("run")), 0)
    digest = hashlib.sha256("\0".join(command).encode()).hexdigest()[:12]
    return image.directory / f"warm-{host.name}-{digest}.qcow2"


def ensure_disk(host: Host, cache: Path, say: Say, warm: bool = True) -> tuple[Image, Path]:
    """Return the host's image and the disk that it boots from, making first what is not in the cache.

    That disk is the image's own where a host does not warm, or need not (``warm``) and has no warm one. Else libvirtd
    asks QEMU what it can do when it is first needed, which takes half as long again as the boot, and keeps the answer
    on disk. So such a host is booted once, asked, and switched off in good order; all later boots start from the disk
    that this leaves. The answer depends on the CPU, so each host has a disk of its own.
    """
    image = ensure_image(host.recipe, cache, say)
    if not host.warms:
        return image, image.disk
    disk = warm_disk_of(host, image)
    if disk.exists():
        return image, disk
    if not warm:
        return image, image.disk
    with locked(image.directory / f"{disk.name}.lock", say):
        if not disk.exists():
            say(f"first boot of the host {host.name}, to warm its disk (about a minute)")
            _make_warm_disk(host, image, disk, say)
    return image, disk


def _make_warm_disk(host: Host, image: Image, disk: Path, say: Say) -> None:
    # Sockets need a short path, which the cache's may not be.
    with tempfile.TemporaryDirectory(prefix="numa-virt-lab-") as folder:
        paths = RunPaths(Path(folder) / host.name)
        try:
            machine = start_and_wait(host, host.name, Path(folder), image, image.disk, say)
            _power_off(machine)
            draft = disk.with_suffix(".new")
            shutil.copyfile(paths.disk, draft)
            draft.replace(disk)
        finally:
            take_down(host.name, Path(folder))


def _power_off(machine: Machine) -> None:
    """Have a machine switch itself off, and wait until it has."""
    with OwnedProcess(machine.paths.pid) as process:
        subprocess.run(
            ssh.command(machine.paths, machine.name, ["systemctl", "--no-block", "poweroff"]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_POWER_OFF_LIMIT,
            check=True,
        )
        if not process.ended(_POWER_OFF_LIMIT):
            raise LabError(f"{machine.name} did not switch itself off:\n{serial_tail(machine)}")
