# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owned elements of a domain document: read as a Placement and an Intent, and rewritten in place.

Owned are vcpu/@cpuset, vcpu/@placement, cputune/{vcpupin,emulatorpin,iothreadpin}, numatune, and the one element of
NAMESPACE in <metadata>. Nothing else is ever touched here, and no policy is decided here.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

import re

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, XmlError, required
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import NEWER, RECORD, Record, Trouble
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    MEMORY_MODES,
    Intent,
    MemoryBinding,
    MemoryIntent,
    Pins,
    Placement,
    intent_within_bounds,
    json_line,
    pins_of,
)

# Never fetched: a name. The number is that of the format.
NAMESPACE = "urn:numa.virt:intent:1"
PREFIX = "numa"
_OTHER_FORMAT = re.compile(r"\{urn:numa\.virt:intent:([0-9]{1,9})\}")
_INTENT = f"{{{NAMESPACE}}}intent"
_MADE_CELLS = "cpu/numa"
_PIN_TAGS = ("vcpupin", "emulatorpin", "iothreadpin")

# What owned_fragment() shows: element, its attributes, its children with theirs.
_BINDING = ("mode", "placement", "nodeset")
_OWNED: tuple[tuple[str, tuple[str, ...], dict[str, tuple[str, ...]]], ...] = (
    ("vcpu", ("placement", "cpuset", "current"), {}),
    (
        "cputune",
        (),
        {"vcpupin": ("vcpu", "cpuset"), "emulatorpin": ("cpuset",), "iothreadpin": ("iothread", "cpuset")},
    ),
    ("numatune", (), {"memory": _BINDING, "memnode": ("cellid", *_BINDING)}),
)

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


def read_placement(root: etree._Element) -> Placement:
    """The placement that a definition says, under libvirt's rules (virDomainVcpuParse, virDomainNumatuneParseXML)."""
    vcpu = xml.child(root, "vcpu")
    cputune = xml.child(root, "cputune")
    numatune = xml.child(root, "numatune")
    memory = xml.child(numatune, "memory") if numatune is not None else None
    automatic = vcpu is not None and vcpu.get("placement") == "auto"
    cpuset = _set(vcpu.get("cpuset"), "vcpu/@cpuset") if vcpu is not None and not automatic else None
    vcpu_pins = _pins(cputune, "vcpupin", "vcpu")
    emulatorpin = xml.child(cputune, "emulatorpin") if cputune is not None else None
    emulator = _set(emulatorpin.get("cpuset"), "emulatorpin") if emulatorpin is not None else None
    iothread_pins = _pins(cputune, "iothreadpin", "iothread")
    memnodes = tuple(
        sorted(
            (
                (xml.number(each, "cellid"), _binding(each))
                for each in (numatune.iterchildren("memnode") if numatune is not None else ())
            ),
            key=lambda pair: pair[0],
        )
    )
    binding = _binding(memory) if memory is not None else None
    if automatic and (memory is None or not (memory.get("placement") or memory.get("nodeset"))):
        # Memory follows an automatic <vcpu> unless it says otherwise, …
        binding = MemoryBinding(binding.mode if binding is not None else "strict", CpuSet(), automatic=True)
    elif binding is not None and binding.automatic:
        # … and <vcpu> follows automatic memory, whatever its @placement, unless anything is pinned.
        automatic = automatic or not (cpuset or vcpu_pins or emulator or iothread_pins)
    return Placement(
        cpuset=cpuset,
        vcpu_pins=vcpu_pins,
        emulator=emulator,
        iothread_pins=iothread_pins,
        memory=binding,
        memnodes=memnodes,
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
    return record_or_trouble(root)[0]


def record_or_trouble(root: etree._Element) -> tuple[Record | None, Trouble | None]:
    """The record, or what is wrong with what should be one. Never raises."""
    newer = _newer_format(root)
    if newer is not None:
        return None, Trouble(NEWER, f"a newer release of numa.virt has placed it (records of format {newer})")
    element = _find_intent(root)
    if element is None:
        return None, None
    try:
        return _read_record(element), None
    except InputError as error:
        return None, Trouble(RECORD, error.message)


def _newer_format(root: etree._Element) -> str | None:
    metadata = xml.child(root, "metadata")
    for each in metadata.iterchildren(tag=etree.Element) if metadata is not None else ():
        match = _OTHER_FORMAT.match(str(each.tag))
        if match is not None and match[1] != "1":
            return match[1]
    return None


def _read_record(element: etree._Element) -> Record:
    source = element.find(f"{{{NAMESPACE}}}source")
    intent = _read_intent(element)
    return Record(
        intent,
        source.get("given") if source is not None else None,
        source.get("stored") if source is not None else None,
        element.get("made") == _MADE_CELLS,
    )


def _read_intent(element: etree._Element) -> Intent:
    memory = element.find(f"{{{NAMESPACE}}}memory")
    mode = memory.get("mode", "strict") if memory is not None else "none"
    if mode not in (*MEMORY_MODES, "none"):
        raise XmlError("definition", "an intent with an unknown mode")
    pins = {tag: element.find(f"{{{NAMESPACE}}}{tag}") for tag in ("vcpus", "iothreads")}
    cells = element.find(f"{{{NAMESPACE}}}cells")
    policy = json_line(element.get("policy"))
    if policy is None and "policy" in element.attrib:
        raise InputError("policy", element.get("policy"), "is no JSON that numa.virt has written")
    return intent_within_bounds(
        cells=_set(element.get("cells"), "intent cells"),
        cpuset=_set(element.get("cpuset"), "intent cpuset"),
        memory=MemoryIntent(mode, _set(memory.get("cells"), "intent memory")) if memory is not None else None,
        vcpu_pins=_pins(pins["vcpus"], f"{{{NAMESPACE}}}pin", "id") if pins["vcpus"] is not None else None,
        emulator=_set(element.get("emulator"), "intent emulator"),
        iothread_pins=_pins(pins["iothreads"], f"{{{NAMESPACE}}}pin", "id") if pins["iothreads"] is not None else None,
        policy=policy,
        memnodes=_pins(cells, f"{{{NAMESPACE}}}cell", "id") if cells is not None else None,
    )


def write_record(root: etree._Element, record: Record) -> None:
    """Put the record into the metadata, in place of an older one."""
    if read_record(root) == record:
        return
    remove_record(root)
    metadata = xml.child(root, "metadata")
    if metadata is None:
        metadata = etree.Element("metadata")
        _insert(root, metadata)
    _append(metadata, record_element(record), 2)


def place_for_guest_cells(root: etree._Element) -> etree._Element:
    """The <cpu> that holds the guest's own cells, without any; a new one where there is none."""
    cpu = xml.child(root, "cpu")
    if cpu is None:
        cpu = etree.Element("cpu")
        _insert(root, cpu)
    numa = xml.child(cpu, "numa")
    if numa is not None:
        _remove(numa)
    return cpu


def remove_guest_cells(root: etree._Element) -> None:
    """Take the guest's own cells out, and <cpu> with them where that leaves it empty."""
    cpu = xml.child(root, "cpu")
    numa = xml.child(cpu, "numa") if cpu is not None else None
    if cpu is None or numa is None:
        return
    _remove(numa)
    _remove_if_empty(cpu)


def remove_record(root: etree._Element) -> None:
    """Take the record out, all there is of NAMESPACE, and <metadata> with it where that leaves it empty."""
    metadata = xml.child(root, "metadata")
    if metadata is None:
        return
    for element in list(metadata.iterchildren(f"{{{NAMESPACE}}}*")):
        _remove(element)
        _remove_if_empty(metadata)


def record_element(record: Record, namespaced: bool = True) -> etree._Element:
    """The metadata element of a record, on its own. virDomainSetMetadata() adds the namespace itself, and takes it
    without."""
    space = f"{{{NAMESPACE}}}" if namespaced else ""
    intent = record.intent
    element = etree.Element(f"{space}intent", nsmap={PREFIX: NAMESPACE} if namespaced else None)
    for name, cpus in (("cells", intent.cells), ("cpuset", intent.cpuset), ("emulator", intent.emulator)):
        if cpus is not None:
            element.set(name, str(cpus))
    if intent.policy is not None:
        element.set("policy", intent.policy)
    if record.made_cells:
        element.set("made", _MADE_CELLS)
    if intent.memory is not None:
        memory = etree.SubElement(element, f"{space}memory", mode=intent.memory.mode)
        if intent.memory.cells is not None:
            memory.set("cells", str(intent.memory.cells))
    for tag, pins in (("vcpus", intent.vcpu_pins), ("iothreads", intent.iothread_pins)):
        if pins is not None:
            parent = etree.SubElement(element, f"{space}{tag}")
            for number, cpus in pins:
                etree.SubElement(parent, f"{space}pin", id=str(number), cpuset=str(cpus))
    if intent.memnodes is not None:
        parent = etree.SubElement(element, f"{space}cells")
        for number, cells in intent.memnodes:
            etree.SubElement(parent, f"{space}cell", id=str(number), cpuset=str(cells))
    if record.source is not None and record.stored is not None:
        etree.SubElement(element, f"{space}source", given=record.source, stored=record.stored)
    return element


def strip_owned(root: etree._Element) -> None:
    """Take every owned element out, whatever it says: what is left is the rest, which no placement may change.

    What would say nothing then goes too: libvirt writes no empty <metadata> and <cputune>, and one vCPU where no
    <vcpu> says how many.
    """
    remove_record(root)
    for tag in ("metadata", "cputune", "numatune", "vcpu"):
        for element in list(root.iterchildren(tag)):
            if tag == "numatune":
                _remove(element)
                continue
            if tag == "cputune":
                for pin in list(element.iterchildren(*_PIN_TAGS)):
                    _remove(pin)
            if tag == "vcpu":
                _drop_attribute(element, "cpuset")
                _drop_attribute(element, "placement")
            _remove_if_empty(element, "1" if tag == "vcpu" else "")


def owned_fragment(root: etree._Element) -> str:
    """The owned elements alone, indented, one after the other: what a diff shows. Holds no secret.

    Only what is known is shown: no comment, and nothing that others may have put inside.
    """
    parts: list[etree._Element] = []
    for tag, attributes, children in _OWNED:
        element = xml.child(root, tag)
        if element is None:
            continue
        part = etree.Element(tag, {name: element.get(name, "") for name in attributes if name in element.attrib})
        if tag == "vcpu":
            part.text = xml.text_of(element).strip()
        for each in element.iterchildren(*children) if children else ():
            names = [name for name in children[str(each.tag)] if name in each.attrib]
            etree.SubElement(part, each.tag, {name: each.get(name, "") for name in names})
        if tag != "cputune" or len(part):
            parts.append(part)
    record = read_record(root)
    if record is not None:
        parts.append(record_element(Record(record.intent)))
    for each in parts:
        etree.indent(each)
    return "".join(xml.serialize(each) + "\n" for each in parts)


def _find_intent(root: etree._Element) -> etree._Element | None:
    metadata = xml.child(root, "metadata")
    return xml.child(metadata, _INTENT) if metadata is not None else None


def _set(text: str | None, option: str) -> CpuSet | None:
    # libvirt's test driver writes cpuset='' after a pin that its map cut off.
    return CpuSet.parse(text, option) if text and text.strip() else None


def _pins(parent: etree._Element | None, tag: str, key: str) -> Pins:
    found: dict[int, CpuSet] = {}
    for each in parent.iterchildren(tag) if parent is not None else ():
        cpus = _set(each.get("cpuset"), tag)
        if cpus is not None:
            found[xml.number(each, key)] = cpus
    return pins_of(found)


def _single(cpus: CpuSet | None) -> Pins:
    return () if cpus is None else ((0, cpus),)


def _binding(element: etree._Element) -> MemoryBinding:
    automatic = element.get("placement") == "auto"
    nodeset = None if automatic else _set(element.get("nodeset"), "nodeset")  # libvirt drops it
    return MemoryBinding(element.get("mode", "strict"), nodeset or CpuSet(), automatic)


def _write_vcpu(root: etree._Element, placement: Placement) -> None:
    vcpu = xml.child(root, "vcpu")
    if vcpu is None:
        vcpu = etree.Element("vcpu")
        vcpu.text = "1"  # libvirt's default
        _insert(root, vcpu)
    if placement.automatic:
        vcpu.set("placement", "auto")
    elif vcpu.get("placement") == "auto":
        _drop_attribute(vcpu, "placement")  # libvirt adds "static" itself
    if placement.cpuset is None or placement.automatic:
        _drop_attribute(vcpu, "cpuset")
    else:
        vcpu.set("cpuset", str(placement.cpuset))


def _write_pins(root: etree._Element, tag: str, key: str | None, pins: Pins) -> None:
    cputune = xml.child(root, "cputune")
    if cputune is None:
        cputune = etree.Element("cputune")
        _insert(root, cputune)
    for each in list(cputune.iterchildren(tag)):
        _remove(each)
    for number, cpus in pins:
        element = etree.Element(tag)
        if key is not None:
            element.set(key, str(number))
        element.set("cpuset", str(cpus))
        _append(cputune, element, 2)
    _remove_if_empty(cputune)


def _write_numatune(root: etree._Element, placement: Placement) -> None:
    numatune = xml.child(root, "numatune")
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
        _append(numatune, _numatune_element("memnode", binding, cellid=str(cell)), 2)


def _numatune_element(tag: str, binding: MemoryBinding, **attributes: str) -> etree._Element:
    element = etree.Element(tag, {**attributes, "mode": binding.mode})
    if binding.automatic:
        element.set("placement", "auto")
    else:
        element.set("nodeset", str(binding.nodeset))
    return element


def _insert(root: etree._Element, element: etree._Element) -> None:
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


def _append(parent: etree._Element, element: etree._Element, level: int) -> None:
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


def _remove_if_empty(element: etree._Element, nothing: str = "") -> None:
    """Take an element out that has neither children nor attributes nor other text than ``nothing``."""
    if next(element.iterchildren(), None) is None and not element.attrib and (element.text or "").strip() == nothing:
        _remove(element)


def _remove(element: etree._Element) -> None:
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


def _drop_attribute(element: etree._Element, name: str) -> None:
    if name in element.attrib:
        del element.attrib[name]
