# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A domain document as a whole: what it is, and whether its rest is the same.

No placement policy is decided here; the owned elements are the business of _elements.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections import deque
from collections.abc import Iterator

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.record import strip_owned
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, XmlError, required
from ansible_collections.numa.virt.plugins.module_utils._libvirt import memory_xml
from ansible_collections.numa.virt.plugins.module_utils._libvirt.secrets import holds_none, masked
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MAX_CPUS, Shape

_COUNT = re.compile(r"\s*[0-9]{1,6}\s*")
_UUID = re.compile("[0-9a-f]{32}")
_NOT_IN_UUID = re.compile(r"[\s-]")
_NO_NAME = re.compile(r"[\r\n/]")

# Of these libvirt takes the first or the sum: it could not be told what a second one means.
_ONCE = ("name", "uuid", "metadata", "memory", "vcpu", "iothreads", "cputune", "numatune")


def load(text: str, option: str = "xml") -> etree._Element:
    """The root of a domain document that can be placed. Raises XmlError."""
    return checked(xml.parse(text, option, lenient=True), option)


def checked(root: etree._Element, option: str) -> etree._Element:
    """The root of a document, if that is a domain that can be placed. Raises XmlError."""
    if root.tag != "domain":
        where = " in a namespace" if str(root.tag).startswith("{") else ""
        name = xml.local_name(root.tag)
        raise XmlError(option, f"the document is a <{name}>{where}", "give a libvirt <domain>", xml.line_of(root))
    seen = set()
    for each in root.iterchildren(*_ONCE):
        if each.tag in seen:
            raise XmlError(option, f"<{each.tag}> stands there twice", "put them into one", xml.line_of(each))
        seen.add(each.tag)
    name = _text(root, "name")
    if not name.strip(" \t\r\n") and ("\n" in name or not name):
        raise XmlError(option, "the domain has no <name>", "add one", xml.line_of(root.find("name")))
    wrong = _NO_NAME.search(name)
    if wrong is not None:
        # Blanks at its ends are part of a name to libvirt; it refuses these, and writes a carriage return so that it
        # is read as a line feed.
        said = "a /" if wrong[0] == "/" else "a line break"
        raise XmlError(option, f"<name> holds {said}", "give a name without", xml.line_of(root.find("name")))
    for path in ("vcpu", "iothreads"):
        element = xml.child(root, path)
        if element is not None and not _COUNT.fullmatch(xml.text_of(element)):
            raise XmlError(option, f"<{path}> is not a number", None, xml.line_of(element))
        if element is not None and path == "vcpu" and int(xml.text_of(element)) > MAX_CPUS:
            raise XmlError(option, f"<vcpu> is more than {MAX_CPUS}", "no hypervisor has as many", xml.line_of(element))
        if element is not None and path == "vcpu" and not int(xml.text_of(element)):
            raise XmlError(option, "<vcpu> is 0", "a domain has at least one vCPU", xml.line_of(element))
    memory_xml.memory(root, option)
    return root


def shape(root: etree._Element) -> Shape:
    """What of a definition a placement depends on."""
    backing = xml.child(root, "memoryBacking")
    early = None
    if backing is not None and backing.find("hugepages") is not None:
        early = "huge pages"
    elif backing is not None and backing.find("allocation[@mode='immediate']") is not None:
        early = "preallocated memory"
    return Shape(
        name=_text(root, "name"),
        uuid=uuid(root),
        type=root.get("type", ""),
        vcpus=int(_text(root, "vcpu") or "1"),
        current=_current(root),
        online=_online(root),
        iothreads=_iothreads(root),
        memory=memory_xml.memory(root, "xml"),
        binds_early=early,
        memory_devices=tuple(each.cell for each in memory_xml.memory_devices(root, "xml")),
    )


def uuid(root: etree._Element) -> str | None:
    """The UUID in libvirt's form, or None where the document has none."""
    text = _NOT_IN_UUID.sub("", _text(root, "uuid")).lower()
    if not text:
        return None
    if not _UUID.fullmatch(text):
        raise XmlError(
            "xml", "<uuid> is not a UUID", "leave it out to let libvirt make one", xml.line_of(root.find("uuid"))
        )
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def complete(given: etree._Element, existing: etree._Element) -> None:
    """Make a user's document a redefinition of a domain: its UUID, and secrets that a dump leaves out.

    Raises InputError where the document has another UUID.
    """
    check_uuid(given, existing)
    there = uuid(existing)
    if uuid(given) is None:
        element = given.find("uuid")
        if element is None:
            element = etree.Element("uuid")
            name = required(given.find("name"))
            tail = name.tail
            name.addnext(element)
            name.tail = element.tail = tail
        element.text = there
    for new, old in _graphics_pairs(given, existing):
        if new.get("passwd") is None and old.get("passwd") is not None:
            for attribute in ("passwd", "passwdValidTo", "connected"):
                value = old.get(attribute)
                if value is not None and new.get(attribute) is None:
                    new.set(attribute, value)
    cookies = {_disk_key(disk): disk.find("source/cookies") for disk in existing.iterfind("devices/disk")}
    for disk in given.iterfind("devices/disk"):
        source, known = disk.find("source"), cookies.get(_disk_key(disk))
        if source is not None and known is not None and source.find("cookies") is None:
            source.append(copy.deepcopy(known))


def check_uuid(given: etree._Element, existing: etree._Element) -> None:
    """Raises InputError where a user's document has another UUID than the domain that it is for."""
    wanted, there = uuid(given), uuid(existing)
    if wanted is not None and wanted != there:
        raise InputError(
            "xml", wanted, f"is not the UUID of the existing domain {_text(existing, 'name')!r}",
            f"leave <uuid> out or write {there}",
        )  # fmt: skip


def digest(masked_root: etree._Element) -> str:
    """A digest of the rest of a document, without owned elements, white space and secrets.

    Secrets are left out so that nothing can be guessed from a digest that anyone may read.
    """
    return hashlib.sha256(_canonical(masked_root)).hexdigest()


def plain_digest(root: etree._Element) -> str | None:
    """The same of a document that surely holds no secret; None where that is not sure."""
    canonical = _canonical(root)
    return hashlib.sha256(canonical).hexdigest() if holds_none(canonical.decode("utf-8")) else None


def same_rest(one: etree._Element, other: etree._Element) -> bool:
    """Whether two documents of one domain say the same outside the owned elements, secrets included."""
    return _canonical(one) == _canonical(other)


def rest_text(root: etree._Element) -> str:
    """The masked rest, indented: what a diff of the definition shows."""
    result = masked(root)
    strip_owned(result)
    _drop_blank_text(result)
    # The option xml is never logged, and Ansible masks any output that contains its whole text: let this one differ.
    result.insert(0, etree.Comment(" without the placement "))
    etree.indent(result)
    return xml.serialize(result) + "\n"


def dropped_elements(given: etree._Element, stored: etree._Element) -> list[str]:
    """Paths of elements that a user wrote and that libvirt did not keep. Owned ones are not libvirt's to keep."""
    kept = set(_paths(stored))
    if kept.issuperset(_paths(given)):
        return []
    lost: dict[str, None] = {}
    rest = copy.deepcopy(given)
    strip_owned(rest)
    for path in _paths(rest):
        parent = path.rpartition("/")[0]
        if path not in kept and (not parent or parent in kept):
            lost[path] = None
    return list(lost)


def _paths(element: etree._Element, above: str = "") -> Iterator[str]:
    """path_of() an element and all below it."""
    path = above + xml.local_name(element.tag)
    yield path
    for each in element.iterchildren(etree.Element):
        yield from _paths(each, path + "/")


def _canonical(root: etree._Element) -> bytes:
    result = copy.deepcopy(root)
    strip_owned(result)
    _drop_blank_text(result)
    # Only a running domain has an id, and one UUID has many written forms; complete() has compared it.
    if "id" in result.attrib:
        del result.attrib["id"]
    for each in result.findall("uuid"):
        result.remove(each)
    try:
        return bytes(etree.tostring(result, method="c14n", with_comments=True))
    except etree.C14NError:
        # C14N takes no namespace that is not absolute; libvirt keeps it in <metadata>.
        return bytes(etree.tostring(result, encoding="utf-8"))


def _graphics_pairs(given: etree._Element, existing: etree._Element) -> list[tuple[etree._Element, etree._Element]]:
    """Graphics devices of the same type and rank in both documents."""
    by_type: dict[str, deque[etree._Element]] = {}
    for each in existing.iterfind("devices/graphics"):
        by_type.setdefault(each.get("type", ""), deque()).append(each)
    pairs = []
    for each in given.iterfind("devices/graphics"):
        candidates = by_type.get(each.get("type", ""))
        if candidates:
            pairs.append((each, candidates.popleft()))
    return pairs


def _disk_key(disk: etree._Element) -> tuple[str, str]:
    target, source = disk.find("target"), disk.find("source")
    return (
        target.get("dev", "") if target is not None else "",
        source.get("name", "") if source is not None else "",
    )


def _current(root: etree._Element) -> int | None:
    vcpu = xml.child(root, "vcpu")
    return xml.number(vcpu, "current") if vcpu is not None and vcpu.get("current") is not None else None


def _online(root: etree._Element) -> CpuSet | None:
    """The vCPUs that <vcpus> says are there; None without it. Raises XmlError."""
    said = {xml.number(each, "id"): each.get("enabled") == "yes" for each in xml.below(root, "vcpus", "vcpu")}
    if not said:
        return None
    found = CpuSet(vcpu for vcpu, there in said.items() if there and vcpu < MAX_CPUS)
    return found or None


def _iothreads(root: etree._Element) -> tuple[int, ...]:
    """Ids of the IO threads: those listed, then the lowest free ones up to the count (virDomainDefPostParse)."""
    ids = {xml.number(each, "id") for each in xml.below(root, "iothreadids", "iothread")}
    count = int(_text(root, "iothreads") or "0")
    candidate = 1
    while len(ids) < count:
        ids.add(candidate)
        candidate += 1
    return tuple(sorted(ids))


def _text(root: etree._Element, tag: str) -> str:
    """The text of a child, or nothing."""
    element = xml.child(root, tag)
    return xml.text_of(element) if element is not None else ""


def _drop_blank_text(root: etree._Element) -> None:
    for each in root.iter():
        text, tail = each.text, each.tail
        if text is not None and not text.strip() and len(each):
            each.text = None
        if tail is not None and not tail.strip():
            each.tail = None
