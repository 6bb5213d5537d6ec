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

#: The folder of the file trees that are copied over an image's root: ``common``, and one named as each recipe.
IMAGES = Path(__file__).resolve().parent.parent / "images"

#: The folder of the sources of the guests that a recipe puts into its image.
GUESTS = Path(__file__).resolve().parent.parent / "guests"

#: The folder of the sources of the programs that every image has.
PROGRAMS = Path(__file__).resolve().parent.parent / "programs"

#: The modules whose code shapes an image: their text is part of every key.
BUILDERS = tuple(Path(__file__).resolve().parent / name for name in ("build.py", "rootfs.py", "initrd.py", "guests.py"))

#: Those that matter to images with a hypervisor of their own, and only to them.
HYPERVISOR_BUILDERS = (Path(__file__).resolve().parent / "hypervisor.py",)


@dataclass(frozen=True)
class System:
    """A system that hosts run: the same kinds of hosts are made of each."""

    #: What it is called in an inventory.
    name: str
    #: What people call it.
    title: str
    #: Debian's name of it.
    suite: str
    #: The version of its Xen, which is part of names of packages and files.
    xen: str
    #: What follows a kind's name in the name of a host that runs it.
    suffix: str


DEBIAN_12 = System("debian12", "Debian 12", "bookworm", xen="4.17", suffix="")
DEBIAN_13 = System("debian13", "Debian 13", "trixie", xen="4.20", suffix="13")

#: All systems, the oldest first.
SYSTEMS = (DEBIAN_12, DEBIAN_13)


@dataclass(frozen=True)
class Recipe:
    """What an image is made of. ``name`` is also the name of its own file tree under :data:`IMAGES`."""

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
    #: The file in ``/boot`` of a hypervisor that boots first and takes the kernel as its module; none for Linux alone.
    #: With it come small guests, for whoever tests it.
    hypervisor: str = ""

    @property
    def trees(self) -> tuple[Path, ...]:
        """The trees of files laid over the image's root, in this order."""
        return (IMAGES / "common", IMAGES / self.name)

    def key(self) -> str:
        """Return 16 hex digits that change when anything that makes the image changes."""
        digest = hashlib.sha256()
        for part in self._parts():
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.hexdigest()[:16]

    def _parts(self) -> Iterator[bytes]:
        yield json.dumps(asdict(self), sort_keys=True).encode()
        for tree in (*self.trees, GUESTS, PROGRAMS):
            for path in sorted(path for path in tree.rglob("*") if path.is_file()):
                yield path.relative_to(tree).as_posix().encode()
                yield path.read_bytes()
        for path in (*BUILDERS, *HYPERVISOR_BUILDERS) if self.hypervisor else BUILDERS:
            yield path.read_bytes()


#: A system that boots and can be reached, and what the collection's modules need on a managed node.
_BASE_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    "busybox-static",
    "openssh-server",
    "iproute2",
    "procps",
    "util-linux",
    "libnss-myhostname",
    "libvirt-daemon-system",
    "libvirt-clients",
    "python3",
    "python3-libvirt",
    "python3-lxml",
)

#: The devices of QEMU's machine.
_VIRTIO_MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng")

#: What no lab machine has a use for.
_USELESS_UNITS = (
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
    "virtlockd-admin.socket",
)


def kvm_recipe(system: System) -> Recipe:
    """Return what the hosts are made of whose guests run in QEMU."""
    return Recipe(
        name="kvm",
        suite=system.suite,
        packages=(
            *_BASE_PACKAGES,
            "linux-image-cloud-amd64",
            "qemu-system-x86",
            "qemu-utils",
            "numad",
            # what the tests look at reality with
            "numactl",
            "strace",
        ),
        modules=(*_VIRTIO_MODULES, "kvm_amd"),
        masked_units=(
            *_USELESS_UNITS,
            # the daemon would move guests about on its own; libvirt asks the numad command, which needs no daemon
            "numad.service",
        ),
        enabled_units=("ssh.service", "libvirtd.service", "lab-python.service", "lab-hold.service"),
    )


def xen_recipe(system: System) -> Recipe:
    """Return what the hosts are made of whose guests run under Xen."""
    return Recipe(
        name="xen",
        suite=system.suite,
        packages=(
            *_BASE_PACKAGES,
            # Debian's small kernel for the cloud cannot be dom0
            "linux-image-amd64",
            f"xen-hypervisor-{system.xen}-amd64",
            f"xen-utils-{system.xen}",
            "libvirt-daemon-driver-xen",
            # the device model of HVM guests
            "qemu-system-xen",
        ),
        modules=(
            *_VIRTIO_MODULES,
            "crc32c_generic",
            "ext4",
            # what the tool stack talks to the hypervisor and to guests through
            "xen-evtchn",
            "xen-gntdev",
            "xen-gntalloc",
            "xen-privcmd",
            "xenfs",
        ),
        masked_units=(
            *_USELESS_UNITS,
            # guests that start by themselves and are saved at the end
            "xendomains.service",
            # libxl's guests are none of its machines
            "systemd-machined.service",
            # what the initrd has done already: nothing needs the other devices, and this kernel has drivers for all
            "systemd-modules-load.service",
            "systemd-udev-trigger.service",
        ),
        enabled_units=("ssh.service", "libvirtd.service", "lab-python.service", "xen.service"),
        hypervisor=f"xen-{system.xen}-amd64.gz",
    )
