# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Markup cannot be forged, and texts fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._map.markup import (
    Safe,
    bold_width,
    el,
    escaped,
    fitted,
    joined,
    number,
    plain,
    text_width,
)


def test_elements():
    assert el("p", {"class": "a", "x": 1.25, "y": 3.0, "z": None}, "1 < 2", el("br")) == (
        '<p class="a" x="1.2" y="3">1 &lt; 2<br></p>'
    )
    assert el("a", {"title": "\"'<&>"}) == '<a title="&quot;&#39;&lt;&amp;&gt;"></a>'
    assert joined([Safe("<b>"), "<b>"]) == "<b>&lt;b&gt;"


def test_what_xml_cannot_hold_and_what_turns_directions_is_shown_as_unfit():
    assert escaped("a\x00\x1b\u202e\ud800b") == "a\ufffd\ufffd\ufffd\ufffdb"
    assert plain(" a\n\tb\x00 ") == "a b\ufffd"


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_any_text_comes_back_from_a_strict_parser(attribute, content):
    element = etree.fromstring(el("p", {"title": attribute}, content).encode())
    assert len(element) == 0 and list(element.attrib) == ["title"]
    assert (element.text or "") == str(escaped_back(content))


def escaped_back(text):
    """The text as a parser has to give it: line ends are one kind in XML."""
    shown = "".join(character if fits(character) else "\ufffd" for character in text)
    return shown.replace("\r\n", "\n").replace("\r", "\n")


def fits(character):
    return escaped(character) != "\ufffd"


def test_numbers():
    assert [number(each) for each in (12, 3.14159, 2.0, -0.5)] == ["12", "3.1", "2", "-0.5"]


def test_widths():
    assert text_width("", 10) == 0
    assert text_width("illi", 10) < text_width("abcd", 10) < text_width("mW@%", 10)
    assert text_width("漢字", 10) == 22
    assert text_width("g\u0308", 10) < text_width("gg", 10)
    assert text_width("ABC", 10) > text_width("abe", 10)
    assert bold_width("abc", 10) > text_width("abc", 10)


def test_long_texts_lose_their_middle():
    assert fitted("short", 100, 10) == "short"
    assert fitted("a-rather-long-name-1", 80, 10) == "a-rath…ame-1"
    assert fitted("a-rather-long-name-2", 80, 10).endswith("ame-2")
    assert fitted("anything", 1, 10) == "…"


@given(st.text(max_size=400), st.floats(10, 300))
def test_a_fitted_text_fits(text, width):
    assert text_width(fitted(text, width, 10), 10) <= max(width, 10)
