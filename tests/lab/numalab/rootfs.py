# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a root file system from Debian packages, fit it out, and pack it into an ext4 image."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from numalab.errors import LabError
from numalab.packages import find_command
from numalab.recipes import PROGRAMS, Recipe

#: Folders that no test looks at: they stay out of the image.
_UNWANTED = ("man", "doc", "info", "locale", "icons", "lintian", "bash-completion")

#: ext4 without what a throwaway disk does not need.
_EXT4_FEATURES = "^has_journal,^metadata_csum,^64bit"


class BuildTools:
    """Runs a build's commands, with their output in a log, and ends them when the build is interrupted."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def run(self, command: str, *arguments: str) -> None:
        """Run one command; raise :class:`LabError` with the tail of the log when it fails."""
        path = find_command(command)
        if path is None:
            raise LabError(f"the command {command} is missing: see 'lab.py packages'")
        with self._log.open("ab") as log:
            log.write(f"\n$ {command} {' '.join(arguments)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                [path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
                start_new_session=True,
            )
            try:
                status = process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
                raise
        if status != 0:
            raise LabError(f"{command} failed with status {status}:\n{self.log_tail()}")

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def bootstrap(recipe: Recipe, root: Path, tools: BuildTools) -> None:
    """Install the recipe's packages into a new directory, from the package mirror that mmdebstrap uses by default."""
    tools.run(
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--components=main",
        "--format=directory",
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _UNWANTED),
        "--dpkgopt=force-unsafe-io",
        '--aptopt=APT::Install-Recommends "false"',
        f"--include={','.join(recipe.packages)}",
        recipe.suite,
        str(root),
    )


def fit_out(recipe: Recipe, root: Path, tools: BuildTools) -> None:
    """Lay the recipe's files over the root, settle its units, and byte-compile its Python."""
    # The builder's own resolver and name were copied in.
    (root / "etc/hostname").unlink(missing_ok=True)
    for tree in recipe.trees:
        shutil.copytree(tree, root, dirs_exist_ok=True, copy_function=_copy_file)
    python = root / "usr/local/bin/lab-python"
    tools.run("gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", str(python), str(PROGRAMS / "lab_python.c"))
    (root / "etc/fstab").write_text("")
    (root / "etc/machine-id").write_text("6e756d612d766972742d6c6162000001\n")
    (root / "etc/libvirt/qemu/networks/autostart/default.xml").unlink(missing_ok=True)
    for unit in recipe.masked_units:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    _mask_generators(root)
    tools.run("chroot", str(root), "systemctl", "--quiet", "enable", *recipe.enabled_units)
    tools.run("chroot", str(root), "python3", "-m", "compileall", "-q", *_python_folders(root))


def _mask_generators(root: Path) -> None:
    """Let no generator of units run at boot but the one that knows Xen's init script.

    The others look for disks, consoles and hardware that are not there. All together they have 90 s before systemd
    gives up on them and boots without Xen's unit, which emulation can take.
    """
    masks = root / "etc/systemd/system-generators"
    masks.mkdir(exist_ok=True)
    for generator in (root / "usr/lib/systemd/system-generators").iterdir():
        if generator.name != "systemd-sysv-generator":
            (masks / generator.name).symlink_to("/dev/null")


def authorize(root: Path, public_key: Path, host_key: Path) -> None:
    """Let this key in as root, and give the machine the host key made for it."""
    folder = root / "root/.ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "authorized_keys").write_text(public_key.read_text())
    for old in (root / "etc/ssh").glob("ssh_host_*"):
        old.unlink()
    target = root / "etc/ssh/ssh_host_ed25519_key"
    shutil.copyfile(host_key, target)
    target.chmod(0o600)
    shutil.copyfile(host_key.with_suffix(".pub"), target.with_suffix(".pub"))


def take_kernel(root: Path, target: Path) -> str:
    """Move the kernel out of the root, empty its ``/boot``, and return the kernel's release."""
    releases = sorted(path.name for path in (root / "lib/modules").iterdir())
    if len(releases) != 1:
        raise LabError(f"the image must hold one kernel, and holds {releases}")
    shutil.move(root / f"boot/vmlinuz-{releases[0]}", target)
    for path in (root / "boot").iterdir():
        path.unlink()
    return releases[0]


def pack(root: Path, image: Path, size_mib: int, tools: BuildTools) -> None:
    """Make a sparse raw image with one ext4 file system that holds the root."""
    with image.open("wb") as stream:
        stream.truncate(size_mib * 1024 * 1024)
    options = ("-q", "-t", "ext4", "-O", _EXT4_FEATURES, "-E", "root_owner=0:0", "-m", "0")
    tools.run("mke2fs", *options, "-d", str(root), str(image))


def _copy_file(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    os.chmod(target, 0o644)
    return target


def _python_folders(root: Path) -> Sequence[str]:
    return sorted(f"/{path.relative_to(root)}" for path in (root / "usr/lib").glob("python3*") if path.is_dir())
