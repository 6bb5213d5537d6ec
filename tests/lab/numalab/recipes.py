# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recipes: everything that decides what is in an image, and the key under which the image is cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

#: The folder that holds each recipe's file tree, copied over the image's root.
IMAGES = Path(__file__).resolve().parent.parent / "images"

#: The modules whose code shapes an image: their text is part of every key.
BUILDERS = tuple(Path(__file__).resolve().parent / name for name in ("build.py", "rootfs.py", "initrd.py"))


@dataclass(frozen=True)
class Recipe:
    """What an image is made of. ``name`` is also the name of its file tree under :data:`IMAGES`."""

    name: str
    suite: str
    packages: tuple[str, ...]
    #: Kernel modules that the initrd loads, with all they depend on.
    modules: tuple[str, ...]
    #: systemd units that never start.
    masked_units: tuple[str, ...]
    #: systemd units that start at boot although no package enables them.
    enabled_units: tuple[str, ...]
    #: The size of the root file system, in MiB (sparse).
    size_mib: int = 3072

    @property
    def files(self) -> Path:
        """The tree of files laid over the image's root."""
        return IMAGES / self.name

    def key(self) -> str:
        """Return 16 hex digits that change when anything that makes the image changes."""
        digest = hashlib.sha256()
        for part in self._parts():
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.hexdigest()[:16]

    def _parts(self) -> Iterator[bytes]:
        yield json.dumps(asdict(self), sort_keys=True).encode()
        for path in sorted(path for path in self.files.rglob("*") if path.is_file()):
            yield path.relative_to(self.files).as_posix().encode()
            yield path.read_bytes()
        for path in BUILDERS:
            yield path.read_bytes()


KVM = Recipe(
    name="kvm",
    suite="bookworm",
    packages=(
        # a system that boots and can be reached
        "systemd",
        "systemd-sysv",
        "dbus",
        "udev",
        "kmod",
        "linux-image-cloud-amd64",
        "busybox-static",
        "openssh-server",
        "iproute2",
        "procps",
        "util-linux",
        # the hypervisor
        "libvirt-daemon-system",
        "libvirt-clients",
        "qemu-system-x86",
        "qemu-utils",
        "libnss-myhostname",
        "numad",
        # what the collection's modules need on a managed node
        "python3",
        "python3-libvirt",
        "python3-lxml",
        # what the tests look at reality with
        "numactl",
        "strace",
    ),
    modules=("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "kvm_amd"),
    masked_units=(
        # timers and their work
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "e2scrub_reap.service",
        "fstrim.timer",
        "logrotate.timer",
        "systemd-tmpfiles-clean.timer",
        # consoles and log-ins: the way in is ssh
        "console-setup.service",
        "keyboard-setup.service",
        "getty-static.service",
        "getty@.service",
        "serial-getty@.service",
        "systemd-logind.service",
        "systemd-user-sessions.service",
        # first-boot and state-keeping work that a throwaway machine has no use for
        "ldconfig.service",
        "systemd-binfmt.service",
        "systemd-firstboot.service",
        "systemd-hwdb-update.service",
        "systemd-journal-flush.service",
        "systemd-machine-id-commit.service",
        "systemd-pstore.service",
        "systemd-random-seed.service",
        "systemd-sysusers.service",
        "systemd-update-utmp.service",
        "systemd-update-utmp-runlevel.service",
        "proc-sys-fs-binfmt_misc.automount",
        "swap.target",
        # what the initrd has done already
        "networking.service",
        "systemd-fsck-root.service",
        "systemd-networkd.service",
        "systemd-networkd.socket",
        "systemd-remount-fs.service",
        # file systems and modules that nothing here uses
        "modprobe@configfs.service",
        "modprobe@dm_mod.service",
        "modprobe@drm.service",
        "modprobe@efi_pstore.service",
        "modprobe@fuse.service",
        "modprobe@loop.service",
        "sys-fs-fuse-connections.mount",
        "sys-kernel-config.mount",
        "sys-kernel-debug.mount",
        # hardware that is not there, and guards that cost seconds
        "apparmor.service",
        "systemd-rfkill.service",
        "systemd-rfkill.socket",
        "libvirt-guests.service",
        # the daemon would move guests about on its own; libvirt asks the numad command, which needs no daemon
        "numad.service",
        "virtlockd-admin.socket",
    ),
    enabled_units=("ssh.service", "libvirtd.service", "lab-hold.service"),
)
