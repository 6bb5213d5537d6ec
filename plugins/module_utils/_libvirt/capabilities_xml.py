# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""libvirt's capabilities document, read into a Host.

This file must not import ansible or libvirt, and must not decide anything: it reads.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.devices import (
    MDEV,
    NETWORK,
    VDPA,
    Behind,
    Listed,
    called,
    pci_address,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import (
    LOCAL_DISTANCE,
    REMOTE_DISTANCE,
    BandwidthNode,
    CacheBank,
    Cell,
    Core,
    Device,
    Host,
    PagePool,
)

# virDomainVirtType of a guest that the driver offers -> our name of the driver
_DRIVER_OF_TYPE = {"kvm": "qemu", "qemu": "qemu", "hvf": "qemu", "xen": "xen", "test": "test"}
_UNIT_IN_BYTES = {
    "b": 1,
    "bytes": 1,
    "KB": 1000,
    "k": 1024,
    "KiB": 1024,
    "MB": 1000**2,
    "M": 1024**2,
    "MiB": 1024**2,
    "GB": 1000**3,
    "G": 1024**3,
    "GiB": 1024**3,
    "TB": 1000**4,
    "T": 1024**4,
    "TiB": 1024**4,
}
_MDEV_NAME = re.compile("mdev_([0-9a-f]{8}(?:_[0-9a-f]{4}){3}_[0-9a-f]{12})(?:_|$)")


def parse_host(text: str, cpu_map: tuple[bool, ...] | None = None) -> Host:
    """Read capabilities.

    ``cpu_map`` is what virNodeGetCPUMap() said: an element for each CPU that exists, true where it is online. Without
    it every CPU that a cell lists counts as present and online, which it need not be: libvirt lists offline CPUs like
    others, with whatever siblings they last had.
    Raises XmlError.
    """
    root = xml.parse(text, "capabilities")
    try:
        return _host(root, cpu_map)
    except ValueError:
        raise XmlError("capabilities", "a number in them cannot be read") from None


def _host(root: etree._Element, cpu_map: tuple[bool, ...] | None) -> Host:
    cells = tuple(sorted((_cell(element) for element in root.iterfind("host/topology/cells/cell")), key=lambda c: c.id))
    implied = not cells
    if implied:
        cells = (Cell(id=0, cpus=EMPTY, memory=0, distances=((0, LOCAL_DISTANCE),)),)
    reported = not implied and all(cell.distances for cell in cells)
    if not reported:
        cells = tuple(replace(cell, distances=_assumed_distances(cell.id, cells)) for cell in cells)
    listed = union(cell.cpus for cell in cells)
    caches = tuple(_bank(element) for element in root.iterfind("host/cache/bank"))
    host = Host(_driver(root), cells, listed, listed, implied, reported, caches=caches, bandwidth=_bandwidth(root))
    return host if cpu_map is None else host.with_cpu_map(cpu_map)


def parse_pci_device(text: str) -> Listed | None:
    """A node device document -> (cell, device), or None where it is no PCI device with an address that can be read.

    The cell is None where the device names none.
    """
    root = xml.parse(text, "node device")
    capability = root.find("capability[@type='pci']")
    if capability is None:
        return None
    node = capability.find("numa")
    named = node.get("node", "") if node is not None else ""
    try:
        cell = int(named) if named.isdigit() else None
        domain, bus, slot, function = (
            int(capability.findtext(tag) or "0", 0) for tag in ("domain", "bus", "slot", "function")
        )
    except ValueError:
        return None
    label = " ".join(filter(None, ((capability.findtext(tag) or "").strip() for tag in ("vendor", "product"))))
    return cell, Device(root.findtext("name") or "", pci_address(domain, bus, slot, function), label)


def parse_device_part(text: str) -> Behind | None:
    """A node device document of a mediated or a vDPA device -> the device that it is part of; None of any other."""
    root = xml.parse(text, "node device")
    uuid, chardev = root.findtext("capability[@type='mdev']/uuid"), root.findtext("capability[@type='vdpa']/chardev")
    if root.find("capability[@type='mdev']") is not None:
        # Before libvirt 7.3 the name alone says it: mdev_4b20d080_1b54_…, and from 7.8 on the parent's behind it.
        found = _MDEV_NAME.match(root.findtext("name") or "")
        name = uuid.strip().lower() if uuid else found[1].replace("_", "-") if found is not None else ""
        kind = MDEV
    else:
        name, kind = (chardev or "").strip(), VDPA
    parent = (root.findtext("parent") or "").strip()
    return Behind(called(kind, name), (parent,)) if name and parent else None


def parse_pool(text: str) -> Behind | None:
    """A network's document -> the devices that libvirt gives to its guests one by one; None of any other network.

    Of a network that is not active, libvirt may know no more than the interface of the device whose functions they are.
    """
    root = xml.parse(text, "network")
    forward = root.find("forward[@mode='hostdev']")
    if forward is None:
        return None
    try:
        devices = tuple(
            pci_address(*(int(each.get(part) or "0", 0) for part in ("domain", "bus", "slot", "function")))
            for each in forward.iterfind("address")
        )
    except ValueError:
        devices = ()
    interface = forward.find("pf")
    name = interface.get("dev", "") if interface is not None else ""
    why = "" if devices else "its network lists no devices now"
    return Behind(called(NETWORK, root.findtext("name") or ""), devices, why, name)


def kib(text: str | None, unit: str) -> int:
    """A size in one of libvirt's units, as KiB rounded up as libvirt does. Unknown units count as KiB."""
    bytes_ = int(text or "0") * _UNIT_IN_BYTES.get(unit, 1024)
    return -(-bytes_ // 1024)


def _driver(root: etree._Element) -> str:
    types = [str(each.get("type")) for each in root.iterfind("guest/arch/domain")]
    known = [_DRIVER_OF_TYPE[each] for each in types if each in _DRIVER_OF_TYPE]
    return known[0] if known else (types[0] if types else "unknown")


def _cell(element: etree._Element) -> Cell:
    cores: dict[tuple[int, int, int, str], CpuSet] = {}
    cpus = []
    for each in element.iterfind("cpus/cpu"):
        number = int(each.get("id", "0"))
        cpus.append(number)
        # An offline CPU has an id and nothing else: it is no thread of any core.
        if each.get("siblings") is None:
            continue
        socket, die, core = (int(each.get(name) or "0") for name in ("socket_id", "die_id", "core_id"))
        siblings = CpuSet.parse(each.get("siblings", ""), "siblings")
        # Some platforms number cores alike on different dies or clusters: siblings decide.
        cores[(socket, die, core, str(siblings))] = siblings
    memory = xml.child(element, "memory")
    return Cell(
        id=int(element.get("id", "0")),
        cpus=CpuSet(cpus),
        memory=kib(memory.text, memory.get("unit", "KiB")) if memory is not None else 0,
        cores=tuple(
            sorted(
                (Core(socket, die, core, cpus) for (socket, die, core, _text), cpus in cores.items()),
                key=lambda core: next(iter(core.cpus)),
            )
        ),
        pools=tuple(
            PagePool(kib(each.get("size"), each.get("unit", "KiB")), int(each.text or "0"))
            for each in element.iterfind("pages")
        ),
        distances=tuple(
            sorted(
                (int(each.get("id", "0")), int(each.get("value", "0")))
                for each in element.iterfind("distances/sibling")
            )
        ),
    )


def _bank(element: etree._Element) -> CacheBank:
    """A cache; one that names no CPUs is shared by none."""
    cpus = element.get("cpus")
    return CacheBank(
        id=int(element.get("id", "0")),
        level=int(element.get("level", "0")),
        type=element.get("type", "both"),
        size=kib(element.get("size"), element.get("unit", "KiB")),
        cpus=CpuSet.parse(cpus, "bank/@cpus") if cpus else EMPTY,
    )


def _bandwidth(root: etree._Element) -> tuple[BandwidthNode, ...]:
    return tuple(
        BandwidthNode(int(each.get("id", "0")), CpuSet.parse(each.get("cpus", ""), "cpus of memory bandwidth"))
        for each in root.iterfind("host/memory_bandwidth/node[@cpus]")
    )


def _assumed_distances(cell_id: int, cells: tuple[Cell, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((other.id, LOCAL_DISTANCE if other.id == cell_id else REMOTE_DISTANCE) for other in cells)
