# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A domain document as a whole: what it is, what of it is secret, and whether its rest is the same.

No placement policy is decided here; the owned elements are the business of _placement_xml.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

import copy
import hashlib
import re

from ansible_collections.numa.virt.plugins.module_utils import _xml
from ansible_collections.numa.virt.plugins.module_utils._capabilities_xml import kib
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, XmlError
from ansible_collections.numa.virt.plugins.module_utils._placement import Shape
from ansible_collections.numa.virt.plugins.module_utils._placement_xml import strip_owned
from ansible_collections.numa.virt.plugins.module_utils._xml import etree

MASK = "********"
_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
_SUSPECT = re.compile(r"passw|passphrase|secret|token|credential|\bkey=|\bdata=", re.IGNORECASE)
_SECRET_ATTRIBUTES = ("passwd", "password")


def load(text: str, option: str = "xml") -> etree._Element:
    """The root of a domain document that can be placed. Raises XmlError."""
    root = _xml.parse(text, option)
    if root.tag != "domain":
        raise XmlError(
            option, f"the document is a <{etree.QName(root).localname}>", "give a libvirt <domain>", _xml.line_of(root)
        )
    if not (root.findtext("name") or "").strip():
        raise XmlError(option, "the domain has no <name>", "add one")
    for path in ("vcpu", "iothreads"):
        text_ = root.findtext(path)
        if text_ is not None and not re.fullmatch(r"\s*\d{1,6}\s*", text_):
            raise XmlError(option, f"<{path}> is not a number", None, _xml.line_of(root.find(path)))
    return root


def shape(root: etree._Element) -> Shape:
    """What of a definition a placement depends on."""
    memory = root.find("memory")
    backing = root.find("memoryBacking")
    early = None
    if backing is not None and backing.find("hugepages") is not None:
        early = "huge pages"
    elif backing is not None and backing.find("allocation[@mode='immediate']") is not None:
        early = "preallocated memory"
    return Shape(
        name=(root.findtext("name") or "").strip(),
        uuid=uuid(root),
        type=root.get("type", ""),
        vcpus=int(root.findtext("vcpu") or "1"),
        iothreads=_iothreads(root),
        memory=kib(memory.text, memory.get("unit", "KiB")) if memory is not None else 0,
        binds_early=early,
    )


def uuid(root: etree._Element) -> str | None:
    """The UUID in libvirt's form, or None where the document has none."""
    text = re.sub(r"[\s-]", "", root.findtext("uuid") or "").lower()
    if not text:
        return None
    if not re.fullmatch("[0-9a-f]{32}", text):
        raise XmlError(
            "xml", "<uuid> is not a UUID", "leave it out to let libvirt make one", _xml.line_of(root.find("uuid"))
        )
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def complete(given: etree._Element, existing: etree._Element) -> None:
    """Make a user's document a redefinition of a domain: its UUID, and secrets that a dump leaves out.

    Raises InputError where the document has another UUID.
    """
    wanted, there = uuid(given), uuid(existing)
    if wanted is not None and wanted != there:
        raise InputError(
            "xml", wanted, f"is not the UUID of the existing domain {existing.findtext('name')!r}",
            f"leave <uuid> out or write {there}",
        )  # fmt: skip
    if wanted is None:
        element = etree.Element("uuid")
        element.text = there
        name = given.find("name")
        assert name is not None
        element.tail, tail = name.tail, name.tail
        name.addnext(element)
        name.tail = tail
    for new, old in _graphics_pairs(given, existing):
        if new.get("passwd") is None and old.get("passwd") is not None:
            for attribute in ("passwd", "passwdValidTo", "connected"):
                value = old.get(attribute)
                if value is not None:
                    new.set(attribute, value)
    cookies = {_disk_key(disk): disk.find("source/cookies") for disk in existing.iterfind("devices/disk")}
    for disk in given.iterfind("devices/disk"):
        source, known = disk.find("source"), cookies.get(_disk_key(disk))
        if source is not None and known is not None and source.find("cookies") is None:
            source.append(copy.deepcopy(known))


def digest(root: etree._Element) -> str:
    """A digest of the rest of a document, without owned elements, white space and secrets.

    Secrets are left out so that nothing can be guessed from a digest that anyone may read.
    """
    return hashlib.sha256(_canonical(masked(root))).hexdigest()


def same_rest(one: etree._Element, other: etree._Element) -> bool:
    """Whether two documents say the same outside the owned elements, secrets included."""
    return _canonical(one) == _canonical(other)


def same_secrets(one: etree._Element, other: etree._Element) -> bool:
    """Whether two documents hold the same secrets, in order."""
    return _secrets(one) == _secrets(other)


def masked(root: etree._Element) -> etree._Element:
    """A copy that can be shown: every secret is MASK."""
    result = copy.deepcopy(root)
    for element in result.iter(etree.Element):
        for name in _secret_attributes(element):
            element.set(name, MASK)
        if (element.tag == "cookie" and element.text) or (element.tag == "entry" and _is_secret_entry(element)):
            element.text = MASK
    return result


def rest_text(root: etree._Element) -> str:
    """The masked rest, indented: what a diff of the definition shows."""
    result = masked(root)
    strip_owned(result)
    _drop_blank_text(result)
    etree.indent(result)
    return _xml.serialize(result) + "\n"


def dropped_elements(given: etree._Element, stored: etree._Element) -> list[str]:
    """Paths of elements that a user wrote and that libvirt did not keep."""
    kept = {_path(each) for each in stored.iter(etree.Element)}
    lost = []
    for each in given.iter(etree.Element):
        path = _path(each)
        parent = each.getparent()
        if path not in kept and path not in lost and (parent is None or _path(parent) in kept):
            lost.append(path)
    return lost


def _path(element: etree._Element) -> str:
    names = [str(each.tag).rpartition("}")[2] for each in (element, *element.iterancestors())]
    return "/".join(reversed(names))


def _canonical(root: etree._Element) -> bytes:
    result = copy.deepcopy(root)
    strip_owned(result)
    _drop_blank_text(result)
    # Only a running domain has an id.
    if "id" in result.attrib:
        del result.attrib["id"]
    return bytes(etree.tostring(result, method="c14n", with_comments=True))


def _secrets(root: etree._Element) -> list[str]:
    found = []
    for element in root.iter(etree.Element):
        found += [str(element.get(name)) for name in _secret_attributes(element)]
        if element.tag == "cookie" or (element.tag == "entry" and _is_secret_entry(element)):
            found.append(element.text or "")
    return found


def _secret_attributes(element: etree._Element) -> list[str]:
    names = [name for name in _SECRET_ATTRIBUTES if element.get(name) is not None]
    # <qemu:arg value='secret,data=…'/> and <qemu:env name='TOKEN' value='…'/> may hold anything.
    if str(element.tag) in (f"{_QEMU}arg", f"{_QEMU}env") and _SUSPECT.search(
        f"{element.get('name', '')} {element.get('value', '')}"
    ):
        names.append("value")
    return names


def _is_secret_entry(element: etree._Element) -> bool:
    # Ignition and cloud-init hand credentials to a guest through fw_cfg and OEM strings.
    parent = element.getparent()
    return bool(element.text) and parent is not None and (parent.tag == "oemStrings" or parent.get("type") == "fwcfg")


def _graphics_pairs(given: etree._Element, existing: etree._Element) -> list[tuple[etree._Element, etree._Element]]:
    """Graphics devices of the same type and rank in both documents."""
    by_type: dict[str, list[etree._Element]] = {}
    for each in existing.iterfind("devices/graphics"):
        by_type.setdefault(each.get("type", ""), []).append(each)
    pairs = []
    for each in given.iterfind("devices/graphics"):
        candidates = by_type.get(each.get("type", ""))
        if candidates:
            pairs.append((each, candidates.pop(0)))
    return pairs


def _disk_key(disk: etree._Element) -> tuple[str, str]:
    target, source = disk.find("target"), disk.find("source")
    return (
        target.get("dev", "") if target is not None else "",
        source.get("name", "") if source is not None else "",
    )


def _iothreads(root: etree._Element) -> tuple[int, ...]:
    """Ids of the IO threads: those listed, then the lowest free ones up to the count (virDomainDefPostParse)."""
    ids = {_xml.number(each, "id") for each in root.iterfind("iothreadids/iothread")}
    count = int(root.findtext("iothreads") or "0")
    candidate = 1
    while len(ids) < count:
        ids.add(candidate)
        candidate += 1
    return tuple(sorted(ids))


def _drop_blank_text(root: etree._Element) -> None:
    for each in root.iter():
        if each.text is not None and not each.text.strip() and len(each):
            each.text = None
        if each.tail is not None and not each.tail.strip():
            each.tail = None
