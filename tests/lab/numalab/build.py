# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in an image, and the steps that make one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from numalab.guests import build_firmware, build_guests
from numalab.hypervisor import take_hypervisor, unpack_kernel
from numalab.initrd import build_initrd
from numalab.recipes import Recipe
from numalab.rootfs import BuildTools, authorize, bootstrap, fit_out, pack, take_kernel

#: Takes one line that tells the user how it goes.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """A built image's directory. The hypervisor, kernel and initrd in it are known to the boot method."""

    directory: Path

    @property
    def disk(self) -> Path:
        """The root file system: a raw image, never written to once built."""
        return self.directory / "root.raw"

    @property
    def key(self) -> Path:
        """The private key that root's log-in takes (0600)."""
        return self.directory / "id_ed25519"

    @property
    def host_public_key(self) -> str:
        """The type and text of the machine's own ssh key."""
        return " ".join((self.directory / "host_ed25519.pub").read_text().split()[:2])


def build(recipe: Recipe, image: Image, say: Say) -> None:
    """Build the recipe's image in its directory, which exists and is empty."""
    work = image.directory
    started = time.monotonic()

    def lap(done: str) -> None:
        say(f"  {time.monotonic() - started:5.0f} s  {done}")

    say(f"building the image {recipe.name} of {recipe.suite} (about a minute)")
    tools = BuildTools(work / "build.log")
    scratch = work / "scratch"
    scratch.mkdir()
    root = scratch / "root"
    bootstrap(recipe, root, tools)
    lap("packages installed")
    fit_out(recipe, root, tools)
    host_key = work / "host_ed25519"
    for path, comment in ((image.key, "numa-virt-lab"), (host_key, "numa-virt-lab-host")):
        tools.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    authorize(root, image.key.with_suffix(".pub"), host_key)
    host_key.unlink()
    lap("fitted out")
    if recipe.hypervisor:
        take_hypervisor(root / "boot" / recipe.hypervisor, work / "xen")
        build_guests(root, scratch / "guests", tools)
    else:
        build_firmware(root, scratch / "guests", tools)
    release = take_kernel(root, work / "vmlinuz")
    if recipe.hypervisor:
        unpack_kernel(work / "vmlinuz", work / "vmlinux")
    build_initrd(root, release, recipe.modules, scratch / "initrd", work / "initrd")
    pack(root, image.disk, recipe.size_mib, tools)
    shutil.rmtree(scratch)
    lap("packed")
