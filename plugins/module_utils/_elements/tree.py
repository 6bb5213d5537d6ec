# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements put into a domain document where libvirt would, and taken out without a trace.

This file must not import ansible or libvirt, and must not know what an element means.
"""

from __future__ import annotations

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import required

# Where libvirt itself writes each element: after the first of these that is there.
_MEMORY = ("currentMemory", "memory", "maxMemory", "metadata", "description", "title", "uuid", "name")
_AFTER = {
    "vcpu": ("memoryBacking", *_MEMORY),
    "cputune": ("iothreadids", "defaultiothread", "iothreads", "vcpus", "vcpu", "memoryBacking", *_MEMORY),
    "numatune": ("cputune", "iothreadids", "iothreads", "vcpus", "vcpu", "memoryBacking", *_MEMORY),
    "metadata": ("description", "title", "hwuuid", "genid", "uuid", "name"),
}
_AFTER["cpu"] = (
    *("features", "idmap", "os", "bootloader_args", "bootloader", "sysinfo", "keywrap", "resource"),
    *("numatune", *_AFTER["numatune"]),
)


def child_or_new(root: etree._Element, tag: str) -> etree._Element:
    """The child of a domain of that name; a new one where libvirt would put it, if there is none."""
    element = xml.child(root, tag)
    if element is None:
        element = etree.Element(tag)
        insert(root, element)
    return element


def insert(root: etree._Element, element: etree._Element) -> None:
    """Put a new child where libvirt would, on a line of its own; removing it again restores the text exactly."""
    anchor = None
    for tag in _AFTER[str(element.tag)]:
        anchor = xml.child(root, tag)
        if anchor is not None:
            break
    indent = root.text if root.text and not root.text.strip() else "\n  "
    if anchor is None:
        element.tail = root.text
        root.text = indent
        root.insert(0, element)
    else:
        tail = anchor.tail
        anchor.addnext(element)  # lxml moves the anchor's tail behind the new element
        anchor.tail = indent
        element.tail = tail


def append(parent: etree._Element, element: etree._Element, level: int) -> None:
    """Put a new last child on a line of its own; removing it again restores the text exactly where others are left."""
    etree.indent(element, level=level)
    inner, outer = "\n" + "  " * level, "\n" + "  " * (level - 1)
    last = next(parent.iterchildren(reversed=True), None)  # len() would count them all
    if last is not None:
        element.tail, last.tail = last.tail, inner
    elif parent.text and parent.text.strip():
        element.tail = outer
    else:
        element.tail, parent.text = outer, inner
    parent.append(element)


def replace_children(root: etree._Element, parent: str, tags: tuple[str, ...], elements: list[etree._Element]) -> None:
    """Put these in the place of all children of such names; a parent that is then empty goes too."""
    holder = child_or_new(root, parent) if elements else xml.child(root, parent)
    if holder is None:
        return
    for each in list(holder.iterchildren(*tags)):
        remove(each)
    for each in elements:
        append(holder, each, 2)
    remove_if_empty(holder)


def remove_if_empty(element: etree._Element, nothing: str = "") -> None:
    """Take an element out that has neither children nor attributes nor other text than ``nothing``."""
    if next(element.iterchildren(), None) is None and not element.attrib and (element.text or "").strip() == nothing:
        remove(element)


def remove(element: etree._Element) -> None:
    """Take a child out with the white space that stood before it; what follows it stays."""
    parent = required(element.getparent())
    tail = element.tail or ""
    previous = element.getprevious()
    before = (previous.tail if previous is not None else parent.text) or ""
    kept = tail if not before.strip() else before + tail
    if previous is not None:
        previous.tail = kept
    else:
        parent.text = kept
    element.tail = None
    parent.remove(element)


def drop_attribute(element: etree._Element, name: str) -> None:
    if name in element.attrib:
        del element.attrib[name]


def shown_children(
    root: etree._Element, parent: str, tags: tuple[str, ...], attributes: tuple[str, ...]
) -> list[etree._Element]:
    """A parent of copies of its children of such names, with these of their attributes; nothing where it has none."""
    holder = xml.child(root, parent)
    found = [shown(each, attributes) for each in holder.iterchildren(*tags)] if holder is not None else []
    if not found:
        return []
    part = etree.Element(parent)
    part.extend(found)
    return [part]


def shown(element: etree._Element, attributes: tuple[str, ...]) -> etree._Element:
    """A copy of one element with these of its attributes and nothing inside: what a diff may show."""
    return etree.Element(element.tag, {name: element.get(name, "") for name in attributes if name in element.attrib})
