# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A markup builder that cannot forget to escape: elements of XML that are good HTML too.

Only what this file makes is markup (``Safe``); every other text is escaped, and what XML cannot hold, or what could
turn the direction of its surroundings, is shown as U+FFFD.
This file must not import ansible, libvirt or lxml, and must know nothing of hosts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

# Controls, surrogates, non-characters, and the marks that embed, override or isolate a direction.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
# HTML knows these as empty; every other element gets an end tag.
_VOID = frozenset({"br", "meta", "wbr"})


class Safe(str):
    """Markup, which must not be escaped again."""


def plain(text: str) -> str:
    """One line that XML can hold: white space is one blank, what is unfit is U+FFFD."""
    return _UNFIT.sub("\ufffd", " ".join(text.split()))


def escaped(text: str) -> Safe:
    """Any text as markup, between tags or in an attribute."""
    if isinstance(text, Safe):
        return text
    return Safe("".join(_ENTITIES.get(character, character) for character in _UNFIT.sub("\ufffd", text)))


def el(name: str, attributes: Mapping[str, str | int | float | None] | None = None, *content: str) -> Safe:
    """An element. Attributes that are None are left out; numbers are written as short as they are."""
    said = "".join(
        f' {key}="{number(value) if isinstance(value, (int, float)) else escaped(value)}"'
        for key, value in (attributes or {}).items()
        if value is not None
    )
    if name in _VOID:
        return Safe(f"<{name}{said}>")
    return Safe(f"<{name}{said}>{joined(content)}</{name}>")


def joined(parts: Iterable[str]) -> Safe:
    """Parts of markup and of text, one after the other."""
    return Safe("".join(escaped(part) for part in parts))


def number(value: float) -> str:
    """A coordinate, to a tenth.

    >>> number(12), number(3.14159), number(2.0)
    ('12', '3.1', '2')
    """
    return f"{value:.1f}".removesuffix(".0")


def text_width(text: str, size: float) -> float:
    """About how wide a text is in a sans-serif font of that size; rather too wide than too narrow."""
    return sum(_EM.get(character) or _em(character) for character in text) * size


def bold_width(text: str, size: float) -> float:
    return text_width(text, size) * 1.13


def fitted(text: str, width: float, size: float) -> str:
    """A text, its middle cut out where it is wider: names of one site start alike and differ at their ends."""
    text = plain(text)
    if text_width(text, size) <= width:
        return text
    keep = len(text) - 1
    while keep > 1:
        keep = min(keep - 1, max(1, int(keep * 0.9)))
        head = (keep + 1) // 2
        cut = f"{text[:head]}…{text[len(text) - keep + head :]}"
        if text_width(cut, size) <= width:
            return cut
    return "…"


# Hundredths of an em in DejaVu Sans, which is wider than what most readers see.
_WIDTHS = {
    28: "ijl'",
    33: " .,:;|IJ/\\·",
    40: "!ftr()[]-{}",
    50: '"*`',
    55: "szcvxy",
    83: "w<>=+~#&^",
    88: "MOQGD",
    100: "mW@%…\ufffd",
}
_EM = {character: width / 100 for width, characters in _WIDTHS.items() for character in characters}


def _em(character: str) -> float:
    if unicodedata.combining(character):
        return 0.05
    if unicodedata.east_asian_width(character) in "WF":
        return 1.1
    return 0.74 if character.isupper() else 0.63
