# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements that name parts of the host by number and are nobody's here: they are read, and never written.

<cputune><cachetune><cache id=>: a cache, by its number among those of its level; <cputune><memorytune><node id=>: what
resctrl calls a domain of memory bandwidth. A <monitor> in them is of vCPUs and of no part of the host. Others that name
one are owned (pins, <numatune>, <nodemask>), or name it by an address (host devices).
This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.words import set_in
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.kept import BANDWIDTH, CACHE, Kept
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MAX_CPUS

# Parent, its child, and what that is about
_NAMING = (("cachetune", "cache", CACHE), ("memorytune", "node", BANDWIDTH))


def read_kept(root: etree._Element) -> tuple[Kept, ...]:
    """In the order of the document. What libvirt would not take is passed over: no placement depends on it."""
    return tuple(
        each
        for tag, child, kind in _NAMING
        for tune in xml.below(root, "cputune", tag)
        for each in _of_tune(tune, child, kind)
    )


def _of_tune(tune: etree._Element, child: str, kind: str) -> Iterator[Kept]:
    try:
        vcpus = set_in(tune.get("vcpus"), "vcpus")
    except InputError:
        return
    if vcpus is None or vcpus.mask >> MAX_CPUS:
        return
    for each in tune.iterchildren(child):
        try:
            number = xml.number(each, "id")
            level = xml.number(each, "level") if kind == CACHE else 0
        except InputError:
            continue
        yield Kept(_path(tune, vcpus, child, number), kind, vcpus, number, level)


def _path(tune: etree._Element, vcpus: CpuSet, child: str, number: int) -> str:
    return f"cputune/{tune.tag}[@vcpus='{vcpus}']/{child}[@id='{number}']"
