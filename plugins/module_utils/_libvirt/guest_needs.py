# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a domain document a policy looks at: huge pages, host devices, cells of the guest; and new cells for a guest.

This file must not import ansible or libvirt, and must not decide anything.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.guest_cells import place_for_guest_cells
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError
from ansible_collections.numa.virt.plugins.module_utils._libvirt import memory_xml
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.devices import MDEV, VDPA, called, pci_address
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell, GuestNeeds, MappedCell
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MAX_CPUS

# The guest's device -> type of it or of one of its parts -> what it is called by: a PCI address where that is empty.
_GIVES = {
    "hostdev": {"pci": "", "mdev": MDEV},
    "interface": {"hostdev": "", "vdpa": VDPA},
    "disk": {"nvme": "", "vhostvdpa": VDPA},
}


def needs_of(root: etree._Element) -> GuestNeeds:
    """Raises XmlError where a size or a CPU set cannot be read."""
    return GuestNeeds(_page_size(root), _devices(root), _guest_cells(root), _networks(root), _threads(root))


def with_guest_cells(document: etree._Element, cells: Iterable[MappedCell]) -> etree._Element:
    """A copy that gives the guest these cells: <cpu><numa>, in place of any that it has.

    vCPUs that are not there yet are dealt out among them.
    """
    root = copy.deepcopy(document)
    numa = etree.SubElement(place_for_guest_cells(root), "numa")
    cells = list(cells)
    later = list(_everyone(root) - union(each.vcpus for each in cells))
    for rank, each in enumerate(cells):
        vcpus = each.vcpus | CpuSet(later[rank :: len(cells)])
        cell = etree.SubElement(
            numa, "cell", id=str(each.id), cpus=str(vcpus), memory=str(each.memory), unit="KiB"
        )  # fmt: skip
        distances = etree.SubElement(cell, "distances")
        for other, distance in each.distances:
            etree.SubElement(distances, "sibling", id=str(other), value=str(distance))
    return root


def _page_size(root: etree._Element) -> int | None:
    """Where cells of the guest differ, that of the first page that is not for some of them alone, else of the first."""
    hugepages = next(xml.below(root, "memoryBacking", "hugepages"), None)
    if hugepages is None:
        return None
    pages = hugepages.findall("page")
    page = next((each for each in pages if each.get("nodeset") is None), pages[0] if pages else None)
    return memory_xml.size(page, page.get("size", ""), "definition") if page is not None else 0


def _page_sizes(root: etree._Element, cells: int) -> list[int | None]:
    """The pages of each of the guest's own cells: those for its number, else those for any, else ordinary memory."""
    hugepages = next(xml.below(root, "memoryBacking", "hugepages"), None)
    if hugepages is None:
        return [None] * cells
    pages = hugepages.findall("page")
    found: list[int | None] = [None if pages else 0] * cells
    for page in sorted(pages, key=lambda each: each.get("nodeset") is not None):
        size = memory_xml.size(page, page.get("size", ""), "definition")
        nodeset = page.get("nodeset")
        cells_of = CpuSet.parse(nodeset, "page/@nodeset") if nodeset is not None else CpuSet(range(cells))
        for cell in (each for each in cells_of if each < cells):
            found[cell] = size
    return found


def _devices(root: etree._Element) -> tuple[str, ...]:
    """In the order of the document, whatever elements they are in; what each is called says _values.devices."""
    found: list[str] = []
    for each in (each for devices in root.iterchildren("devices") for each in devices.iterchildren(*_GIVES)):
        tag = str(each.tag)
        kinds = _GIVES[tag]
        # A layer below an image, or the other side of a mirror, may be a device too. libvirt itself shows what it took
        # out of a pool as the interface; its own files have it in <actual>.
        parts = each.iter("*") if tag == "disk" else (each, *each.iterchildren("actual"))
        for part in parts:
            kind = kinds.get(part.get("type", ""))
            if kind is not None:
                found += _given(tag, kind, part)
    return tuple(dict.fromkeys(found))


def _given(tag: str, kind: str, part: etree._Element) -> Iterator[str]:
    """The host's devices that an element gives the guest; ``tag`` is that of the guest's own device."""
    found = False
    for source in part.iterfind("source" if kind == VDPA else "source/address"):
        name = _name(kind, source)
        if name:
            yield name
        found = found or bool(name)
    if not found:
        yield called(tag, f"without {'a path' if kind == VDPA else 'an address'}")


def _name(kind: str, source: etree._Element) -> str:
    if kind == MDEV:
        uuid = source.get("uuid", "").strip().lower()
        return called(MDEV, uuid) if uuid else ""
    if kind == VDPA:
        path = source.get("dev", "")
        return called(VDPA, path) if path else ""
    return pci_address(*(_number(source, name) for name in ("domain", "bus", "slot", "function")))


def _networks(root: etree._Element) -> tuple[str, ...]:
    interfaces = (each for each in xml.below(root, "devices", "interface") if each.get("type") == "network")
    sources = (source for each in interfaces for source in each.iterchildren("source"))
    return tuple(dict.fromkeys(name for name in (each.get("network") for each in sources) if name))


def _guest_cells(root: etree._Element) -> tuple[GuestCell, ...]:
    cells = list(xml.below(root, "cpu", "numa", "cell"))
    if not cells:
        return ()
    numbers = [xml.number(each, "id") if "id" in each.attrib else rank for rank, each in enumerate(cells)]
    vcpus = [_vcpus(each) for each in cells]
    sizes, pages = memory_xml.cell_sizes(root, "definition"), _page_sizes(root, len(cells))
    devices = memory_xml.memory_devices(root, "definition")
    found = {}
    for rank, number in enumerate(numbers):
        # Into the first libvirt puts a device that names no cell, and QEMU's driver a vCPU that no cell names
        # (qemuDomainDefNumaCPUsPostParse).
        more = _everyone(root) - union(vcpus) if number == 0 else EMPTY
        page = pages[number] if number < len(pages) else None
        memory = {page: sizes[rank]}
        for device in (each for each in devices if (each.cell or 0) == number):
            # One that says nothing has the pages of its cell (qemuBuildMemoryBackendProps).
            size = device.page_size if device.page_size is not None else page
            memory[size] = memory.get(size, 0) + device.size
        found[number] = GuestCell(vcpus[rank] | more, memory.pop(page), page, tuple(memory.items()))
    return tuple(cell for _number, cell in sorted(found.items()))


def _everyone(root: etree._Element) -> CpuSet:
    """All vCPUs that the guest may have."""
    vcpu = xml.child(root, "vcpu")
    return CpuSet(range(int(xml.text_of(vcpu)) if vcpu is not None else 1))


def _threads(root: etree._Element) -> int:
    """libvirt counts vCPUs by thread, then core, die and socket."""
    topology = next(xml.below(root, "cpu", "topology"), None)
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
