# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much memory a domain document gives its guest: <memory>, the guest's own cells, and memory devices.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError

# virScaleInteger() in libvirt's src/util/virutil.c: a letter, alone or with iB for powers of 1024, with B for 1000.
_UNIT = re.compile(r"(?P<bytes>b|bytes?)|(?P<prefix>[kmgtpe])(?P<suffix>ib|b)?", re.IGNORECASE)

# The driver of these reads every definition that it is given with VIR_DOMAIN_DEF_PARSE_ABI_UPDATE.
_QEMU = ("kvm", "qemu", "kqemu", "hvf")
# Memory that libvirt does not count as the guest's (virDomainDefPostParseMemory).
_NOT_COUNTED = ("sgx-epc",)


@dataclass(frozen=True)
class MemoryDevice:
    """A DIMM or the like: KiB, the guest's cell that it belongs to, and KiB of a page; None where that is not said."""

    size: int
    cell: int | None
    page_size: int | None = None


def size(element: etree._Element, text: str, option: str, example: str | None = None) -> int:
    """A size of an element, in its @unit, as KiB rounded up as libvirt does. Raises XmlError."""
    if element.get("unit") == "KiB" and text.isdecimal() and text.isascii() and len(text) < 20:
        return int(text)  # as libvirt itself writes all of them
    unit = _UNIT.fullmatch(element.get("unit") or "KiB")
    if not re.fullmatch("[0-9]{1,20}", text) or unit is None:
        wrong = "unit is unknown" if unit is None else "is not a number"
        raise XmlError(option, f"<{xml.local_name(element.tag)}> {wrong}", example, xml.line_of(element))
    factor = 1
    if unit["prefix"]:
        base = 1000 if (unit["suffix"] or "").lower() == "b" else 1024
        factor = base ** (1 + "kmgtpe".index(unit["prefix"].lower()))
    return -(-int(text) * factor // 1024)


def memory(root: etree._Element, option: str) -> int:
    """All memory of the guest in KiB; 0 where nothing is said. Raises XmlError.

    <memory> is the sum of the guest's own cells and of memory devices, as libvirt completes it: where it is missing,
    and for QEMU's driver wherever the guest has cells of its own (virDomainDefPostParseMemory).
    """
    element = xml.child(root, "memory")
    said = 0
    if element is not None:
        example = "write <memory unit='KiB'>1048576</memory>"
        said = size(element, xml.text_of(element).strip(" \t\r\n"), option, example)
    if said and root.get("type") not in _QEMU:
        return said
    cells = sum(cell_sizes(root, option))
    return cells + sum(device.size for device in memory_devices(root, option)) if cells else said


def cell_sizes(root: etree._Element, option: str) -> list[int]:
    """KiB of each of the guest's own cells, in the order of the document, without memory devices. Raises XmlError."""
    cells = xml.below(root, "cpu", "numa", "cell")
    return [size(each, each.get("memory", ""), option, "write <cell memory='1048576' unit='KiB'>") for each in cells]


def memory_devices(root: etree._Element, option: str) -> list[MemoryDevice]:
    """The memory devices, in the order of the document. Raises XmlError."""
    found = []
    for device in xml.below(root, "devices", "memory"):
        amount, node, page = (device.find(path) for path in ("target/size", "target/node", "source/pagesize"))
        kib = 0
        if amount is not None and device.get("model") not in _NOT_COUNTED:
            kib = size(amount, xml.text_of(amount).strip(" \t\r\n"), option)
        cell = xml.text_of(node).strip() if node is not None else ""
        page_size = size(page, xml.text_of(page).strip(" \t\r\n"), option) if page is not None else None
        found.append(MemoryDevice(kib, int(cell) if re.fullmatch("[0-9]{1,4}", cell) else None, page_size))
    return found
