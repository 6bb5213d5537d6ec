# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images the disks of a domain document have, and what a snapshot has put on top of them.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree, parse
from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError

# What names an image, by the kind of disk: <source> in libvirt's docs/formatdomain.
_NAMES = ("file", "dev", "dir", "protocol", "name", "pool", "volume")
Image = tuple[tuple[str, str], ...]


def images(root: etree._Element) -> dict[str, tuple[Image, ...]]:
    """target -> the image of a disk, and below it those that it is told to lie on (<backingStore>)."""
    found = {}
    for disk in root.iterfind("devices/disk"):
        target = disk.find("target")
        chain = tuple(_chain(disk))
        if target is not None and chain:
            found[target.get("dev", "")] = chain
    return found


def _chain(disk: etree._Element | None) -> Iterator[Image]:
    while disk is not None:
        source = disk.find("source")
        named = tuple((name, source.get(name, "")) for name in _NAMES if source.get(name)) if source is not None else ()
        if named:
            yield named
        disk = disk.find("backingStore")


def replaced_by_snapshot(
    old: etree._Element, config: etree._Element, live: etree._Element | None, snapshots: Iterable[str]
) -> str | None:
    """The target of a disk that ``old`` gives an image from before a snapshot that the guest has been given since.

    That image lies below the guest's now, as its definition or the running guest tells, or a document of a snapshot
    says that the guest's is what it has put on top. ``snapshots`` are looked at only where the images differ.
    """
    now = images(config)
    running = images(live) if live is not None else {}
    differing = {
        target: chain[0] for target, chain in images(old).items() if target in now and chain[0] != now[target][0]
    }
    for target, image in differing.items():
        if image in now[target] or image in running.get(target, ())[1:]:
            return target
    tops = _tops(snapshots) if differing else {}
    return next((target for target in differing if now[target][0] in tops.get(target, ())), None)


def _tops(snapshots: Iterable[str]) -> Mapping[str, set[Image]]:
    """target -> the images that snapshots have put on top."""
    found: dict[str, set[Image]] = {}
    for text in snapshots:
        try:
            root = parse(text)
        except XmlError:
            continue
        for disk in root.iterfind("disks/disk"):
            if disk.get("snapshot") == "external":
                found.setdefault(disk.get("name", ""), set()).update(_chain(disk))
    return found
