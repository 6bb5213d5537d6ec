# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cache of built images: found by the key of their recipe, built once, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from numalab.build import Image, Say, build
from numalab.errors import LabError
from numalab.recipes import Recipe

#: The name of the directory of an image that is still being built starts with this.
_BUILDING = ".building-"


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of all images: ``NUMA_VIRT_LAB_CACHE``, or ``numa-virt-lab`` in the user's cache."""
    environment = os.environ if environment is None else environment
    if environment.get("NUMA_VIRT_LAB_CACHE"):
        return Path(environment["NUMA_VIRT_LAB_CACHE"]).absolute()
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).absolute() / "numa-virt-lab"


def image_of(recipe: Recipe, cache: Path) -> Image:
    """Return where the recipe's image is, or will be."""
    return Image(cache / f"{recipe.name}-{recipe.key()}")


def is_built(image: Image) -> bool:
    """Tell whether the image is there. Its directory gets its name only when all is in it."""
    return image.directory.is_dir()


@contextmanager
def locked(path: Path, say: Say) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel drops it however the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that holds {path}")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def ensure_image(recipe: Recipe, cache: Path, say: Say) -> Image:
    """Return the recipe's image, building it first when it is not in the cache."""
    image = image_of(recipe, cache)
    if is_built(image):
        return image
    name = image.directory.name
    with locked(cache / f"{name}.lock", say):
        if is_built(image):
            return image
        for remains in cache.glob(f"{_BUILDING}{name}-*"):
            _remove_tree(remains)
        if os.geteuid() != 0:
            raise LabError("building an image needs root")
        work = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}{name}-", dir=cache))
        try:
            build(recipe, Image(work), say)
            work.rename(image.directory)
        finally:
            if work.exists():
                _remove_tree(work)
    return image


def outdated(current: list[Recipe], cache: Path) -> list[Path]:
    """Return the images in the cache, by directory, that no current recipe makes."""
    kept = {image_of(recipe, cache).directory for recipe in current}
    found = (path for path in cache.iterdir() if path.is_dir()) if cache.is_dir() else iter(())
    return sorted(path for path in found if path not in kept and not path.name.startswith(_BUILDING))


def remove_image(directory: Path) -> None:
    """Delete an image and its lock file."""
    _remove_tree(directory)
    directory.with_name(f"{directory.name}.lock").unlink(missing_ok=True)


def _remove_tree(path: Path) -> None:
    """Delete a tree, after making sure that nothing is mounted in it."""
    prefix = f"{path.resolve()}/"
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    inside = [mount.split()[4] for mount in mounts if f"{mount.split()[4]}/".startswith(prefix)]
    if inside:
        raise LabError(f"not deleting {path}: {', '.join(inside)} is mounted in it; unmount it first")
    shutil.rmtree(path)
