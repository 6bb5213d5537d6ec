# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a domain document is secret, where it stands, and the document without it.

What a secret is says _secrets. This file must not import ansible or libvirt.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils import _secrets
from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.record import NAMESPACE
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree, local_name, path_of
from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError
from ansible_collections.numa.virt.plugins.module_utils._secrets import MASK

# Namespaces of <qemu:commandline>, <qemu:override>, <xen:commandline> and others.
_PASSTHROUGH = "{http://libvirt.org/schemas/domain/"
# Of the domain itself, and no secrets whatever they are.
_NAMES = ("name", "uuid", "genid")


# Comments, instructions, and what is secret by where it stands and not by itself.
_BY_THEIR_PLACE = (
    *("<!", "<?", _PASSTHROUGH.lstrip("{"), "fwcfg", "identity", "initarg", _secrets.LAUNCH, "oemStrings", "query"),
)
# Text that an element precedes or follows; where that is in doubt (an attribute may hold a >) too.
_BESIDE_ELEMENTS = re.compile("</[^>]*>[^<]|>[^<]+<[^/]")

# Where secrets are -> those that are there, in order
Secrets = dict[str, list[str]]


def same_secrets(first: Secrets, second: Secrets) -> bool:
    """Whether two documents hold the same secrets: those of one kind in the same order.

    Where one has more of a kind than the other, as libvirt drops some elements and adds others, those of the other
    have to be among them: that something is there or not is seen by the digests.
    """
    return all(_within(first[path], second[path]) for path in first.keys() & second.keys())


def masked(root: etree._Element) -> etree._Element:
    """A copy that can be shown: every secret is MASK."""
    return masked_and_secrets(root)[0]


def masked_and_secrets(root: etree._Element) -> tuple[etree._Element, Secrets]:
    """The same, and the secrets that were there: to look for them takes longer than all else."""
    result = copy.deepcopy(root)
    places = _places(result)
    secrets: Secrets = {}
    for path, value in _values_of(places):
        secrets.setdefault(path, []).append(" ".join(value.split()))
    for place in places:
        place.mask()
    for note in result.iter(etree.Comment, etree.ProcessingInstruction):
        # A device that somebody has commented out, say. libvirt does not keep it.
        if _secrets.suspect(note.text or ""):
            note.text = MASK
    return result, secrets


def holds_none(canonical: str) -> bool:
    """Whether a document in canonical form surely holds no secret, nor anything that would be masked.

    To look for each secret takes longer than all else, and most documents have none: what cannot be told by the pieces
    of the text alone is not sure.
    """
    if any(each in canonical for each in _BY_THEIR_PLACE) or _BESIDE_ELEMENTS.search(canonical):
        return False
    if not _secrets.may_be_suspect(canonical):
        return True
    # Markup and values by turns; a quote that stands in a text would turn them round.
    pieces = canonical.split('"')
    markup = pieces[::2]
    if not all(each.endswith("=") for each in markup[:-1]) or any(each[0] not in " >" for each in markup[1:]):
        return False
    # The sign that would follow a piece, as that follows which stands in front of a value, makes a name suspect.
    return not any(_secrets.suspect(f"{_plain(each)}=") for each in set(pieces) if _secrets.may_be_suspect(each))


def _plain(piece: str) -> str:
    for written, character in (("&quot;", '"'), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        piece = piece.replace(written, character)
    return piece


def secrets_of(text: str) -> list[str]:
    """Every secret of a document, by which a message about it can be masked; none of what cannot be read."""
    try:
        root = xml.parse(text, lenient=True)
    except XmlError:
        return []
    return [value for _path, value in _values_of(_places(root))]


def _within(one: list[str], other: list[str]) -> bool:
    """Whether the shorter list is the longer one without some of its elements."""
    short, long = sorted((one, other), key=len)
    rest = iter(long)
    return all(each in rest for each in short)


def _values_of(places: list[_Place]) -> list[tuple[str, str]]:
    """Path and text of every secret."""
    # libvirt puts the sections of a document into an order of its own, and keeps it within each.
    return [(f"{path_of(place.element)}@{place.attribute or ''}", place.value) for place in places]


class _Place(NamedTuple):
    """Where a secret is: an element and its attribute, or else its text or what follows it."""

    element: etree._Element
    attribute: str | None = None
    tail: bool = False
    given: str = ""  # the attribute's: get() refuses names which libvirt takes

    @property
    def value(self) -> str:
        if self.attribute is not None:
            return self.given
        return (self.element.tail if self.tail else self.element.text) or ""

    def mask(self) -> None:
        if self.attribute is not None:
            try:
                self.element.set(self.attribute, MASK)
            except ValueError:  # a name that libvirt takes and lxml does not
                tail = self.element.tail
                self.element.clear()
                self.element.text, self.element.tail = MASK, tail
        elif self.tail:
            self.element.tail = MASK
        else:
            self.element.text = MASK


def _places(root: etree._Element) -> list[_Place]:
    metadata = xml.child(root, "metadata")
    theirs = list(metadata.iterchildren(etree.Element)) if metadata is not None else []
    apart = {each for app in theirs for each in app.iter(etree.Element)}
    found = [
        place
        for element in root.iter(etree.Element)
        if element not in apart
        for place in (_of_passthrough(element) if str(element.tag).startswith(_PASSTHROUGH) else _of_element(element))
    ]
    return found + [place for app in theirs for place in _of_metadata(app)]


def _of_metadata(app: etree._Element) -> Iterator[_Place]:
    """What another program keeps with the guest: all of it, if anything of it looks like a secret."""
    # <app:root_password>…</app:root_password>, <app:entry name="token" value="…"/>, <app:k>token</app:k><app:v>…
    if str(app.tag).startswith(f"{{{NAMESPACE}}}"):
        return
    elements = list(app.iter(etree.Element))
    said = [str(each.tag).rpartition("}")[2] for each in elements]
    for each in app.iter():
        said += [f"{name.rpartition('}')[2]}={value}" for name, value in _attributes(each)]
        said += [each.text or "", (each.tail or "") if each is not app else ""]
    if not any(_secrets.suspect(each) for each in said):
        return
    for element in elements:
        yield from (_Place(element, name, given=value) for name, value in _attributes(element))
    for each in app.iter():
        if (each.text or "").strip():
            yield _Place(each)
        if each is not app and (each.tail or "").strip():
            yield _Place(each, tail=True)


def _of_passthrough(element: etree._Element) -> Iterator[_Place]:
    # <qemu:arg value='secret,data=…'/>, <qemu:env name='TOKEN' value='…'/>, <qemu:property name='password' value='…'/>
    named = _secrets.suspect_name(element.get("name", ""))
    before = None
    if local_name(element.tag) == "arg":
        before = next((each.get("value", "") for each in element.itersiblings(element.tag, preceding=True)), "")
    for name, value in _attributes(element):
        if name != "value":
            secret = _secrets.suspect_attribute(local_name(name), value)
        else:
            secret = named or (_secrets.suspect(value) if before is None else _secrets.secret_argument(before, value))
        if secret:
            yield _Place(element, name, given=value)
    yield from _of_text(element, named)


def _of_element(element: etree._Element) -> Iterator[_Place]:
    tag, parent = str(element.tag), element.getparent()
    above = str(parent.tag) if parent is not None else ""
    named = _secrets.suspect_name(element.get("name", ""))
    for name, value in _attributes(element):
        if (
            _secrets.suspect_attribute(local_name(name), value)
            or (tag, name) in _secrets.SECRET_PLACES
            or (name == "value" and named)
        ):
            yield _Place(element, name, given=value)
    known = tag in _secrets.SECRET_ELEMENTS or f"{above}/{tag}" in _secrets.SECRET_ELEMENTS
    if tag == "entry" and parent is not None and parent.get("type") == "fwcfg":
        known = True
    elif above == _secrets.LAUNCH:
        known = tag not in _secrets.LAUNCH_SHOWN
    elif tag == "initarg":
        before = next((each.text or "" for each in element.itersiblings(tag, preceding=True)), "")
        known = _secrets.secret_argument(before, element.text or "", others=False)
    if not (above == "domain" and tag in _NAMES):
        yield from _of_text(element, known or named or _secrets.suspect_name(tag))


def _of_text(element: etree._Element, secret: bool) -> Iterator[_Place]:
    """What stands in an element. Beside elements libvirt knows no text, so that nobody can tell what it is."""
    if not element.text and not len(element):
        return
    pieces = [_Place(element), *(_Place(each, tail=True) for each in element)]
    mixed = any(isinstance(each.tag, str) for each in element)
    said = "".join(each.value for each in pieces)
    # White space alone is layout.
    if (said.strip() if mixed else said) and (secret or mixed or _secrets.suspect(said)):
        yield from (each for each in pieces if each.value.strip())


def _attributes(element: etree._Element) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in element.attrib.items()]
