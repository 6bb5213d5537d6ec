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
from collections.abc import Iterator
from typing import Optional, cast

from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError
from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable

__all__ = [
    "LXML_IMPORT_ERROR", "below", "child", "etree", "line_of", "local_name", "number", "parse", "path_of", "serialize",
    "text_of",
]  # fmt: skip

LXML_IMPORT_ERROR: str | None = None
try:
    from lxml import etree
except ImportError:
    # Said by _module.libraries, which offers another interpreter or the package's name.
    LXML_IMPORT_ERROR = traceback.format_exc()
    etree = None  # type: ignore[assignment]

# An encoding that a text document declares is no longer true once it is a Python string.
_DECLARATION = re.compile(r"[ \t\r\n]*<\?xml[ \t\r\n][^>]*\?>")

MAX_ATTRIBUTES = 1000

# libxml2's own messages quote the document, which may hold secrets: what stands between two quotes too many is a name
# to it. So these are ours, by libxml2's number of the error (xmlParserErrors in libxml/xmlerror.h).
_OTHER_END = 76
_TOO_MUCH = "it is nested too deep, too large, or grows without end"
_NO_CHARACTER = "a character that XML does not allow"
_REASONS = {
    1: _TOO_MUCH,
    4: "it is empty, or does not begin with an element",
    5: "something stands behind the end of the document",
    6: _NO_CHARACTER,
    7: _NO_CHARACTER,
    8: _NO_CHARACTER,
    9: _NO_CHARACTER,
    23: "an & without an entity and a semicolon (write &amp; for the character)",
    26: "an entity that XML does not have",
    38: "a < inside the value of an attribute",
    39: "the value of an attribute is not in quotes",
    40: "the value of an attribute does not end, or is too large",
    41: "an attribute without a value",
    42: "an attribute twice in one element",
    45: "a comment that does not end",
    63: "a CDATA section that does not end",
    64: "an XML declaration that is not at the start",
    65: "white space is missing between attributes, or a quote is missing",
    68: "a name is missing",
    73: "a tag that does not end",
    74: "an element that does not end",
    _OTHER_END: "the end of another element than the one that is open",
    77: "it ends too early",
    80: "two hyphens inside a comment",
    81: _NO_CHARACTER,
    114: _TOO_MUCH,
    201: "a name whose prefix has no namespace",
}
# What libvirt keeps in <metadata>, since it asks of a document only that it is well-formed: namespaces that are no
# URIs, prefixes that nobody has declared, xml:id that is none.
_HARMLESS = frozenset({99, 100, 102, 200, 201, 202, 513, 539})


def parse(text: str, option: str = "xml", lenient: bool = False) -> etree._Element:
    """The root element of a document. Raises XmlError with line and column.

    A ``lenient`` reader takes what libvirt takes: namespaces and prefixes need not be right.

    A document type declaration is refused whole, so neither entities nor external files are ever looked at.
    """
    declaration = _DECLARATION.match(text)
    # White space in its place keeps the lines and columns of what follows.
    blank = re.sub(r"[^\n]", " ", declaration[0]) if declaration else ""
    body = blank + text[len(blank) :]
    encoded = body.encode("utf-8", "surrogatepass")
    parser = _parser(recover=False)
    try:
        root = etree.fromstring(encoded, parser)
    except etree.XMLSyntaxError as error:
        if not lenient or not all(int(each.type) in _HARMLESS for each in parser.error_log):
            line, column = error.position
            raise XmlError(
                option, f"not well-formed: {_reason(error)}", "give a libvirt domain document", line, column
            ) from None
        # Well-formed all the same: nothing is there to recover, but without this lxml refuses.
        root = etree.fromstring(encoded, _parser(recover=True))
    if root.getroottree().docinfo.internalDTD is not None:
        raise XmlError(option, "has a document type declaration", "remove <!DOCTYPE …>: entities and DTDs are refused")
    # Each has a sign of its own, so that most documents need not be walked.
    for each in root.iter(etree.Element) if body.count("=") > MAX_ATTRIBUTES else ():
        # lxml looks at all of them for each of them.
        if len(each.attrib) > MAX_ATTRIBUTES:
            raise XmlError(option, f"an element has more than {MAX_ATTRIBUTES} attributes", None, line_of(each))
    return root


def _parser(recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        strip_cdata=False,
        recover=recover,
        encoding="utf-8",  # never guessed
    )


def local_name(name: object) -> str:
    """The name of an element or an attribute without its namespace. Unlike etree.QName() it takes any."""
    return str(name).rpartition("}")[2]


def serialize(element: etree._Element) -> str:
    """Text of one element and what is below it, without what follows it."""
    return str(etree.tostring(element, encoding="unicode", with_tail=False))


def child(parent: etree._Element, tag: str) -> etree._Element | None:
    """The first child element of that name."""
    return next(parent.iterchildren(tag), None)


def below(parent: etree._Element, *path: str) -> Iterator[etree._Element]:
    """Every element at the end of a path of names: findall(), which reads its path anew each time, at a third of the
    cost."""
    if len(path) == 1:
        return iter(parent.iterchildren(path[0]))
    return (found for each in parent.iterchildren(path[0]) for found in below(each, *path[1:]))


def path_of(element: etree._Element) -> str:
    """The element's name behind those of its parents: ``domain/devices/disk``; without namespaces."""
    names = [str(each.tag).rpartition("}")[2] for each in (element, *element.iterancestors())]
    return "/".join(reversed(names))


def text_of(element: etree._Element) -> str:
    """The text inside an element, as libvirt reads it: comments do not interrupt it."""
    return str(element.xpath("string()")) if len(element) else element.text or ""


def number(element: etree._Element, attribute: str, option: str = "xml") -> int:
    """A whole number in an attribute that has to be there. Raises XmlError."""
    text = element.get(attribute)
    if text is None or not re.fullmatch(r"[0-9]{1,9}", text):
        name = local_name(element.tag)
        problem = f"has no {attribute}" if text is None else f"has {attribute}={displayable(_short(text))!r}"
        raise XmlError(option, f"<{name}> {problem}", f"{attribute} is a whole number", line_of(element))
    return int(text)


def line_of(element: etree._Element | None) -> int | None:
    """The line of the source that an element stands on, from 1."""
    return cast(Optional[int], element.sourceline) if element is not None else None


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _reason(error: etree.XMLSyntaxError) -> str:
    code = int(error.code)  # type: ignore[attr-defined]
    opened = re.search(r" line ([0-9]+) and ", str(error.msg)) if code == _OTHER_END else None
    return _REASONS.get(code, f"libxml2 error {code}") + (f" since line {opened[1]}" if opened else "")
