# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owned elements of a domain document: read as a Placement and an Intent, and rewritten in place.

Owned are vcpu/@cpuset, vcpu/@placement, cputune/{vcpupin,emulatorpin,iothreadpin}, numatune, and the one element of
NAMESPACE in <metadata>. Nothing else is ever touched here, and no policy is decided here.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils import _xml
from ansible_collections.numa.virt.plugins.module_utils._cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._placement import (
    Intent,
    MemoryBinding,
    MemoryIntent,
    Pins,
    Placement,
    pins_of,
)
from ansible_collections.numa.virt.plugins.module_utils._xml import etree

# Never fetched: a name. The number is that of the format.
NAMESPACE = "urn:numa.virt:intent:1"
PREFIX = "numa"
_INTENT = f"{{{NAMESPACE}}}intent"
_PIN_TAGS = ("vcpupin", "emulatorpin", "iothreadpin")

# Where libvirt itself writes each element: after the last of these that is there.
_AFTER = {
    "vcpu": ("currentMemory", "maxMemory", "memory", "metadata", "description", "title", "uuid", "name"),
    "cputune": ("iothreadids", "defaultiothread", "iothreads", "vcpus", "vcpu"),
    "numatune": ("memtune", "blkiotune", "cputune", "iothreadids", "iothreads", "vcpus", "vcpu"),
    "metadata": ("description", "title", "hwuuid", "genid", "uuid", "name"),
}


@dataclass(frozen=True)
class Record:
    """What this collection keeps in the metadata.

    ``source`` is the digest of the document that a user gave, ``stored`` that of what libvirt made of it; both None
    where the domain was only placed, not defined here.
    """

    intent: Intent
    source: str | None = None
    stored: str | None = None


def read_placement(root: etree._Element) -> Placement:
    """The placement that a definition says, under libvirt's rules (virDomainVcpuParse, virDomainNumatuneParseXML)."""
    vcpu = _xml.child(root, "vcpu")
    cputune = _xml.child(root, "cputune")
    numatune = _xml.child(root, "numatune")
    memory = _xml.child(numatune, "memory") if numatune is not None else None
    automatic = vcpu is not None and vcpu.get("placement") == "auto"
    cpuset = _set(vcpu.get("cpuset"), "vcpu/@cpuset") if vcpu is not None and not automatic else None
    binding = _binding(memory) if memory is not None else None
    if cpuset is None and binding is not None and binding.automatic and (vcpu is None or vcpu.get("placement") is None):
        automatic = True  # libvirt lets <vcpu> follow an automatic <numatune>
    if (
        automatic
        and binding is not None
        and memory is not None
        and memory.get("placement") is None
        and not binding.nodeset
    ):
        binding = MemoryBinding(binding.mode, CpuSet(), automatic=True)
    emulator = _xml.child(cputune, "emulatorpin") if cputune is not None else None
    return Placement(
        cpuset=cpuset,
        vcpu_pins=_pins(cputune, "vcpupin", "vcpu"),
        emulator=_set(emulator.get("cpuset"), "emulatorpin") if emulator is not None else None,
        iothread_pins=_pins(cputune, "iothreadpin", "iothread"),
        memory=binding,
        memnodes=tuple(
            sorted(
                (
                    (_xml.number(each, "cellid"), _binding(each))
                    for each in (numatune.iterchildren("memnode") if numatune is not None else ())
                ),
                key=lambda pair: pair[0],
            )
        ),
        automatic=automatic,
    )


def write_placement(root: etree._Element, placement: Placement) -> None:
    """Make the owned elements say ``placement``. What says it already, in any form of words, is left as it is."""
    current = read_placement(root)
    if current.cpuset != placement.cpuset or current.automatic != placement.automatic:
        _write_vcpu(root, placement)
    for tag, key, before, after in (
        ("vcpupin", "vcpu", current.vcpu_pins, placement.vcpu_pins),
        ("emulatorpin", None, _single(current.emulator), _single(placement.emulator)),
        ("iothreadpin", "iothread", current.iothread_pins, placement.iothread_pins),
    ):
        if before != after:
            _write_pins(root, tag, key, after)
    if (current.memory, current.memnodes) != (placement.memory, placement.memnodes):
        _write_numatune(root, placement)


def read_record(root: etree._Element) -> Record | None:
    """What this collection stored in the metadata, or None. Text that it cannot have written counts as absent."""
    element = _find_intent(root)
    if element is None:
        return None
    memory = element.find(f"{{{NAMESPACE}}}memory")
    pins = {tag: element.find(f"{{{NAMESPACE}}}{tag}") for tag in ("vcpus", "iothreads")}
    emulator = element.get("emulator")
    intent = Intent(
        cells=_set(element.get("cells"), "intent cells"),
        cpuset=_set(element.get("cpuset"), "intent cpuset"),
        memory=MemoryIntent(memory.get("mode", "strict"), _set(memory.get("cells"), "intent memory"))
        if memory is not None
        else None,
        vcpu_pins=_pins(pins["vcpus"], f"{{{NAMESPACE}}}pin", "id") if pins["vcpus"] is not None else None,
        emulator=_set(emulator, "intent emulator"),
        iothread_pins=_pins(pins["iothreads"], f"{{{NAMESPACE}}}pin", "id") if pins["iothreads"] is not None else None,
    )
    source = element.find(f"{{{NAMESPACE}}}source")
    return Record(
        intent,
        source.get("given") if source is not None else None,
        source.get("stored") if source is not None else None,
    )


def write_record(root: etree._Element, record: Record) -> None:
    """Put the record into the metadata, in place of an older one."""
    if read_record(root) == record:
        return
    remove_record(root)
    metadata = _xml.child(root, "metadata")
    if metadata is None:
        metadata = etree.Element("metadata")
        _insert(root, metadata)
    _append(metadata, record_element(record), 2)


def remove_record(root: etree._Element) -> None:
    """Take the record out, and <metadata> with it where that leaves it empty."""
    element = _find_intent(root)
    if element is None:
        return
    metadata = element.getparent()
    assert metadata is not None
    _remove(element)
    if len(metadata) == 0:
        _remove(metadata)


def record_element(record: Record, namespaced: bool = True) -> etree._Element:
    """The metadata element of a record, on its own. virDomainSetMetadata() adds the namespace itself, and takes it
    without."""
    space = f"{{{NAMESPACE}}}" if namespaced else ""
    intent = record.intent
    element = etree.Element(f"{space}intent", nsmap={PREFIX: NAMESPACE} if namespaced else None)
    for name, cpus in (("cells", intent.cells), ("cpuset", intent.cpuset), ("emulator", intent.emulator)):
        if cpus is not None:
            element.set(name, str(cpus))
    if intent.memory is not None:
        memory = etree.SubElement(element, f"{space}memory", mode=intent.memory.mode)
        if intent.memory.cells is not None:
            memory.set("cells", str(intent.memory.cells))
    for tag, pins in (("vcpus", intent.vcpu_pins), ("iothreads", intent.iothread_pins)):
        if pins is not None:
            parent = etree.SubElement(element, f"{space}{tag}")
            for number, cpus in pins:
                etree.SubElement(parent, f"{space}pin", id=str(number), cpuset=str(cpus))
    if record.source is not None and record.stored is not None:
        etree.SubElement(element, f"{space}source", given=record.source, stored=record.stored)
    return element


def strip_owned(root: etree._Element) -> None:
    """Take every owned element out: what is left is the rest, which no placement may change."""
    remove_record(root)
    write_placement(root, Placement())
    vcpu = _xml.child(root, "vcpu")
    if vcpu is not None:
        _drop_attribute(vcpu, "placement")
    cputune = _xml.child(root, "cputune")
    if cputune is not None and len(cputune) == 0:
        _remove(cputune)
    numatune = _xml.child(root, "numatune")
    if numatune is not None:
        _remove(numatune)


def owned_fragment(root: etree._Element) -> str:
    """The owned elements alone, indented, one after the other: what a diff shows. Holds no secret."""
    parts: list[etree._Element] = []
    vcpu = _xml.child(root, "vcpu")
    if vcpu is not None:
        parts.append(copy.deepcopy(vcpu))
    cputune = _xml.child(root, "cputune")
    if cputune is not None:
        pins = etree.Element("cputune")
        pins.extend(copy.deepcopy(each) for each in cputune.iterchildren(*_PIN_TAGS))
        if len(pins):
            parts.append(pins)
    numatune = _xml.child(root, "numatune")
    if numatune is not None:
        parts.append(copy.deepcopy(numatune))
    record = read_record(root)
    if record is not None:
        parts.append(record_element(Record(record.intent)))
    for each in parts:
        _strip_blank(each)
        etree.indent(each)
    return "".join(_xml.serialize(each) + "\n" for each in parts)


def _find_intent(root: etree._Element) -> etree._Element | None:
    metadata = _xml.child(root, "metadata")
    return _xml.child(metadata, _INTENT) if metadata is not None else None


def _set(text: str | None, option: str) -> CpuSet | None:
    # libvirt's test driver writes cpuset='' after a pin that its map cut off.
    return CpuSet.parse(text, option) if text and text.strip() else None


def _pins(parent: etree._Element | None, tag: str, key: str) -> Pins:
    found: dict[int, CpuSet] = {}
    for each in parent.iterchildren(tag) if parent is not None else ():
        cpus = _set(each.get("cpuset"), tag)
        if cpus is not None:
            found[_xml.number(each, key)] = cpus
    return pins_of(found)


def _single(cpus: CpuSet | None) -> Pins:
    return () if cpus is None else ((0, cpus),)


def _binding(element: etree._Element) -> MemoryBinding:
    return MemoryBinding(
        element.get("mode", "strict"),
        _set(element.get("nodeset"), "nodeset") or CpuSet(),
        element.get("placement") == "auto",
    )


def _write_vcpu(root: etree._Element, placement: Placement) -> None:
    vcpu = _xml.child(root, "vcpu")
    if vcpu is None:
        vcpu = etree.Element("vcpu")
        vcpu.text = "1"  # libvirt's default
        _insert(root, vcpu)
    vcpu.set("placement", "auto" if placement.automatic else "static")
    if placement.cpuset is None or placement.automatic:
        _drop_attribute(vcpu, "cpuset")
    else:
        vcpu.set("cpuset", str(placement.cpuset))


def _write_pins(root: etree._Element, tag: str, key: str | None, pins: Pins) -> None:
    cputune = _xml.child(root, "cputune")
    for each in list(cputune.iterchildren(tag)) if cputune is not None else ():
        _remove(each)
    if pins and cputune is None:
        cputune = etree.Element("cputune")
        _insert(root, cputune)
    if cputune is None:
        return
    for number, cpus in pins:
        element = etree.Element(tag)
        if key is not None:
            element.set(key, str(number))
        element.set("cpuset", str(cpus))
        _append(cputune, element, 2)
    if len(cputune) == 0:
        _remove(cputune)


def _write_numatune(root: etree._Element, placement: Placement) -> None:
    numatune = _xml.child(root, "numatune")
    if placement.memory is None and not placement.memnodes:
        if numatune is not None:
            _remove(numatune)
        return
    if numatune is None:
        numatune = etree.Element("numatune")
        _insert(root, numatune)
    for each in list(numatune.iterchildren("memory", "memnode")):
        _remove(each)
    if placement.memory is not None:
        _append(numatune, _numatune_element("memory", placement.memory), 2)
    for cell, binding in placement.memnodes:
        element = _numatune_element("memnode", binding)
        element.set("cellid", str(cell))
        _append(numatune, element, 2)


def _numatune_element(tag: str, binding: MemoryBinding) -> etree._Element:
    element = etree.Element(tag, mode=binding.mode)
    if binding.automatic:
        element.set("placement", "auto")
    else:
        element.set("nodeset", str(binding.nodeset))
    return element


def _insert(root: etree._Element, element: etree._Element) -> None:
    """Put a new child where libvirt would, on a line of its own; removing it again restores the text exactly."""
    anchor = None
    for tag in _AFTER[str(element.tag)]:
        anchor = _xml.child(root, tag)
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


def _append(parent: etree._Element, element: etree._Element, level: int) -> None:
    """Put a new last child on a line of its own."""
    etree.indent(element, level=level)
    inner, outer = "\n" + "  " * level, "\n" + "  " * (level - 1)
    if len(parent):
        last = parent[-1]
        element.tail = last.tail if last.tail is not None else outer
        last.tail = inner
    else:
        element.tail = outer
        parent.text = inner
    parent.append(element)


def _remove(element: etree._Element) -> None:
    """Take a child out with the white space that stood before it; what follows it stays."""
    parent = element.getparent()
    assert parent is not None
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


def _drop_attribute(element: etree._Element, name: str) -> None:
    if name in element.attrib:
        del element.attrib[name]


def _strip_blank(element: etree._Element) -> None:
    for each in element.iter():
        if each.text is not None and not each.text.strip():
            each.text = None
        if each.tail is not None and not each.tail.strip():
            each.tail = None
