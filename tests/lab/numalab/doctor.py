# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Can the lab run on this machine?"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path

from numalab.errors import UnavailableError
from numalab.images import image_of, is_built
from numalab.packages import missing_packages
from numalab.recipes import Recipe

#: Room to build one image, and for the overlay of one running machine, in MiB.
_BUILD_MIB = 2500
_RUN_MIB = 500

#: Memory for one machine, in MiB.
_MEMORY_MIB = 2500


def examine(recipes: Iterable[Recipe], cache: Path, runs: Path) -> None:
    """Raise :class:`UnavailableError` with the first reason why these recipes cannot be built and booted here."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise UnavailableError(
            f"the lab needs Linux on x86_64, and this is {platform.system()} on {platform.machine()}"
        )
    missing = missing_packages()
    if missing:
        raise UnavailableError(f"missing Debian packages: {' '.join(missing)}")
    to_build = [recipe.name for recipe in recipes if not is_built(image_of(recipe, cache))]
    if to_build and os.geteuid() != 0:
        raise UnavailableError(f"building the image {to_build[0]} needs root")
    _require_room(cache, _BUILD_MIB * len(to_build))
    _require_room(runs, _RUN_MIB)
    available = _available_memory_mib()
    if available < _MEMORY_MIB:
        raise UnavailableError(f"a machine needs {_MEMORY_MIB} MiB of memory, and {available} MiB are available")


def _require_room(folder: Path, needed_mib: int) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free // (1024 * 1024)
    if free < needed_mib:
        raise UnavailableError(f"{folder} needs {needed_mib} MiB of disk space, and {free} MiB are free")


def _available_memory_mib() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    raise UnavailableError("/proc/meminfo does not tell how much memory is available")
