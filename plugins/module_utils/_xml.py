# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place where XML text becomes elements: no DTD, no entities, no network.

Used for documents that come from users as well as for those that come from libvirt.
This file must not import ansible or libvirt, and must know nothing of domains.
"""

from __future__ import annotations

import re
import traceback
from typing import Optional, cast

from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError

__all__ = ["LXML_IMPORT_ERROR", "child", "etree", "line_of", "number", "parse", "serialize"]

LXML_IMPORT_ERROR: str | None = None
try:
    from lxml import etree
except ImportError:
    # Said by _deps, which offers another interpreter or the package's name.
    LXML_IMPORT_ERROR = traceback.format_exc()
    etree = None  # type: ignore[assignment]

# An encoding that a text document declares is no longer true once it is a Python string.
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def parse(text: str, option: str = "xml") -> etree._Element:
    """The root element of a document. Raises XmlError with line and column.

    A document type declaration is refused whole, so neither entities nor external files are ever looked at.
    """
    declaration = _DECLARATION.match(text)
    # Keep the line numbers of what follows.
    body = "\n" * text.count("\n", 0, declaration.end()) + text[declaration.end() :] if declaration else text
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        strip_cdata=False,
    )
    try:
        root = etree.fromstring(body.encode("utf-8", "surrogatepass"), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise XmlError(
            option, f"not well-formed: {_reason(error)}", "give a libvirt domain document", line, column
        ) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise XmlError(option, "has a document type declaration", "remove <!DOCTYPE …>: entities and DTDs are refused")
    return root


def serialize(element: etree._Element) -> str:
    """Text of one element and what is below it, without what follows it."""
    return str(etree.tostring(element, encoding="unicode", with_tail=False))


def child(parent: etree._Element, tag: str) -> etree._Element | None:
    """The first child element of that name."""
    return next((each for each in parent.iterchildren(tag=etree.Element) if each.tag == tag), None)


def number(element: etree._Element, attribute: str, option: str = "xml") -> int:
    """A whole number in an attribute that has to be there. Raises XmlError."""
    text = element.get(attribute, "")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise XmlError(
            option, f"<{element.tag}> has {attribute}={text!r}", f"{attribute} is a whole number", line_of(element)
        )
    return int(text)


def line_of(element: etree._Element | None) -> int | None:
    """The line of the source that an element stands on, from 1."""
    return cast(Optional[int], element.sourceline) if element is not None else None


def _reason(error: Exception) -> str:
    # lxml repeats line and column, and names the input "<string>".
    return re.sub(r",? ?(line \d+, column \d+)? ?(\(.*\))?$", "", str(error.args[0])) or "syntax error"
