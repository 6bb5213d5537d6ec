# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one element of ours in <metadata>: what a user asked for, and which document the guest was made of.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._elements import registry, tree, xml
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.changes import INTENT, Change
from ansible_collections.numa.virt.plugins.module_utils._values.definition import NEWER, RECORD, Record, Trouble
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    intent_within_bounds,
    json_line,
)

# Never fetched: a name. The number is that of the format.
NAMESPACE = "urn:numa.virt:intent:1"
PREFIX = "numa"
_SPACE = f"{{{NAMESPACE}}}"
_INTENT, _SOURCE = f"{_SPACE}intent", f"{_SPACE}source"
_OTHER_FORMAT = re.compile(r"\{urn:numa\.virt:intent:([0-9]{1,9})\}")
_MADE_CELLS = "cpu/numa"


def read_record(root: etree._Element) -> Record | None:
    """What this collection stored in the metadata, or None. Text that it cannot have written counts as absent."""
    return record_or_trouble(root)[0]


def record_or_trouble(root: etree._Element) -> tuple[Record | None, Trouble | None]:
    """The record, or what is wrong with what should be one. Never raises."""
    metadata = xml.child(root, "metadata")
    if metadata is None:
        return None, None
    newer = _newer_format(metadata)
    if newer is not None:
        return None, Trouble(NEWER, f"a newer release of numa.virt has placed it (records of format {newer})")
    element = xml.child(metadata, _INTENT)
    if element is None:
        return None, None
    try:
        return _read_record(element), None
    except InputError as error:
        return None, Trouble(RECORD, error.message)


def _newer_format(metadata: etree._Element) -> str | None:
    for each in metadata.iterchildren(tag=etree.Element):
        match = _OTHER_FORMAT.match(str(each.tag))
        if match is not None and match[1] != "1":
            return match[1]
    return None


def _read_record(element: etree._Element) -> Record:
    source = xml.child(element, _SOURCE)
    return Record(
        _read_intent(element),
        source.get("given") if source is not None else None,
        source.get("stored") if source is not None else None,
        element.get("made") == _MADE_CELLS,
    )


# The guests of a host were asked for in few ways: each is read once.
_READ: dict[tuple[object, ...], Intent] = {}
_MOST_READ = 256


def _read_intent(element: etree._Element) -> Intent:
    said = [(name, value) for name, value in element.items() if name != "made"]
    key = (*said, *(etree.tostring(each, with_tail=False) for each in element if each.tag != _SOURCE))
    intent = _READ.get(key)
    if intent is None:
        intent = _read_anew(element)
        if len(_READ) >= _MOST_READ:
            _READ.clear()
        _READ[key] = intent
    return intent


def _read_anew(element: etree._Element) -> Intent:
    policy = json_line(element.get("policy"))
    if policy is None and "policy" in element.attrib:
        raise InputError("policy", element.get("policy"), "is no JSON that numa.virt has written")
    return intent_within_bounds(policy=policy, **registry.kept_parts(element, _SPACE))


def write_record(root: etree._Element, record: Record) -> None:
    """Put the record into the metadata, in place of an older one."""
    if read_record(root) == record:
        return
    remove_record(root)
    tree.append(tree.child_or_new(root, "metadata"), record_element(record), 2)


def remove_record(root: etree._Element) -> None:
    """Take the record out, all there is of NAMESPACE, and <metadata> with it where that leaves it empty."""
    metadata = xml.child(root, "metadata")
    if metadata is None:
        return
    for element in list(metadata.iterchildren(f"{_SPACE}*")):
        tree.remove(element)
        tree.remove_if_empty(metadata)


def record_element(record: Record, namespaced: bool = True) -> etree._Element:
    """The metadata element of a record, on its own. virDomainSetMetadata() adds the namespace itself, and takes it
    without."""
    space = _SPACE if namespaced else ""
    element = etree.Element(f"{space}intent", nsmap={PREFIX: NAMESPACE} if namespaced else None)
    registry.keep_parts(record.intent, element, space)
    if record.intent.policy is not None:
        element.set("policy", record.intent.policy)
    if record.made_cells:
        element.set("made", _MADE_CELLS)
    if record.source is not None and record.stored is not None:
        etree.SubElement(element, f"{space}source", given=record.source, stored=record.stored)
    return element


def intent_as_result(intent: Intent | None) -> dict[str, Any] | None:
    """What RV(intent) documents, as plain data."""
    if intent is None:
        return None
    policy = None if intent.policy is None else json.loads(intent.policy)
    return {**registry.asked_as_result(intent), "policy": policy}


def intent_change(before: Intent | None, after: Intent) -> list[Change]:
    if before == after:
        return []
    return [Change(INTENT, None if before is None else intent_text(before), intent_text(after))]


def release_change(before: Intent | None) -> list[Change]:
    """The intent is taken out."""
    return [] if before is None else [Change(INTENT, intent_text(before), None)]


def intent_text(intent: Intent) -> str:
    """One line, for change sets and diffs."""
    policy = [] if intent.policy is None else [f"policy {json.loads(intent.policy).get('policy', 'unknown')}"]
    return ", ".join([*policy, *registry.asked_in_words(intent)]) or "nothing"


def strip_owned(root: etree._Element) -> None:
    """Take every owned element out, whatever it says: what is left is the rest, which no placement may change."""
    remove_record(root)
    for metadata in list(root.iterchildren("metadata")):
        tree.remove_if_empty(metadata)
    registry.strip_placement(root)


def owned_fragment(root: etree._Element) -> str:
    """The owned elements alone, indented, one after the other: what a diff shows. Holds no secret.

    Only what is known is shown: no comment, and nothing that others may have put inside.
    """
    parts = registry.placement_fragments(root)
    record = read_record(root)
    if record is not None:
        parts.append(record_element(Record(record.intent)))
    for each in parts:
        etree.indent(each)
    return "".join(xml.serialize(each) + "\n" for each in parts)
