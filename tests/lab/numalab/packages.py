# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Debian packages this machine needs to build and boot the lab: the one place that lists them."""

from __future__ import annotations

import shutil
from typing import Callable

#: Debian package -> a command it brings, by which its presence is seen.
HOST_PACKAGES: dict[str, str] = {
    "mmdebstrap": "mmdebstrap",
    "qemu-system-x86": "qemu-system-x86_64",
    "qemu-utils": "qemu-img",
    "e2fsprogs": "mke2fs",
    "cpio": "cpio",
    "lz4": "lz4",
    "zstd": "zstd",
    "openssh-client": "ssh",
    "gcc": "gcc",
    "binutils": "objcopy",
}

#: Where Debian keeps commands that are not on every user's PATH.
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_command(command: str) -> str | None:
    """Return the path of a command, looking in the system's ``sbin`` folders as well."""
    return shutil.which(command) or shutil.which(command, path=_SEARCH_PATH)


def missing_packages(find: Callable[[str], str | None] = find_command) -> list[str]:
    """Return the packages of :data:`HOST_PACKAGES` whose command is not on this machine, sorted."""
    return sorted(package for package, command in HOST_PACKAGES.items() if find(command) is None)
