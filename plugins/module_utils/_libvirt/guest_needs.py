# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a domain document a policy looks at: huge pages, host devices, cells of the guest; and new cells for a guest.

This file must not import ansible or libvirt, and must not decide anything.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.guest_cells import place_for_guest_cells
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError
from ansible_collections.numa.virt.plugins.module_utils._libvirt import domain_xml
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell, GuestNeeds, MappedCell
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MAX_CPUS


def needs_of(root: etree._Element) -> GuestNeeds:
    """Raises XmlError where a size or a CPU set cannot be read."""
    return GuestNeeds(_page_size(root), _devices(root), _guest_cells(root), _threads(root))


def with_guest_cells(document: etree._Element, cells: Iterable[MappedCell]) -> etree._Element:
    """A copy that gives the guest these cells: <cpu><numa>, in place of any that it has."""
    root = copy.deepcopy(document)
    numa = etree.SubElement(place_for_guest_cells(root), "numa")
    for each in cells:
        cell = etree.SubElement(
            numa, "cell", id=str(each.id), cpus=str(each.vcpus), memory=str(each.memory), unit="KiB"
        )  # fmt: skip
        distances = etree.SubElement(cell, "distances")
        for other, distance in each.distances:
            etree.SubElement(distances, "sibling", id=str(other), value=str(distance))
    return root


def _page_size(root: etree._Element) -> int | None:
    hugepages = root.find("memoryBacking/hugepages")
    if hugepages is None:
        return None
    # With several sizes the guest's cells differ; the first stands for all.
    page = hugepages.find("page")
    return domain_xml.size(page, page.get("size", ""), "definition") if page is not None else 0


def _devices(root: etree._Element) -> tuple[str, ...]:
    found = []
    for address in root.iterfind("devices/hostdev[@type='pci']/source/address"):
        parts = [_number(address, name) for name in ("domain", "bus", "slot", "function")]
        found.append("{:04x}:{:02x}:{:02x}.{:x}".format(*parts))
    return tuple(found)


def _guest_cells(root: etree._Element) -> tuple[GuestCell, ...]:
    cells = root.findall("cpu/numa/cell")
    numbered = [(xml.number(each, "id") if "id" in each.attrib else rank, each) for rank, each in enumerate(cells)]
    return tuple(
        GuestCell(_vcpus(each), domain_xml.size(each, each.get("memory", ""), "definition"))
        for _id, each in sorted(numbered, key=lambda pair: pair[0])
    )


def _threads(root: etree._Element) -> int:
    """libvirt counts vCPUs by thread, then core, die and socket."""
    topology = root.find("cpu/topology")
    return max(1, xml.number(topology, "threads")) if topology is not None and topology.get("threads") else 1


def _vcpus(cell: etree._Element) -> CpuSet:
    vcpus = CpuSet.parse(cell.get("cpus", ""), "cpu/numa/cell/@cpus") if cell.get("cpus") else CpuSet()
    if vcpus.mask >> MAX_CPUS:
        raise XmlError("definition", f"<cell> names vCPUs above {MAX_CPUS - 1}", None, xml.line_of(cell))
    return vcpus


def _number(address: etree._Element, name: str) -> int:
    """A part of a PCI address, as C reads numbers: 10, 0x0a or 012. 0 where it is missing."""
    text = address.get(name, "0").strip().lower()
    for pattern, base in ((r"0x([0-9a-f]{1,8})", 16), (r"0([0-7]{1,8})", 8), (r"([0-9]{1,8})", 10)):
        match = re.fullmatch(pattern, text)
        if match is not None:
            return int(match[1], base)
    problem = f"{name} is not a number"
    raise XmlError("definition", f"<address> {problem}", f"write {name}='0x0a'", xml.line_of(address))
