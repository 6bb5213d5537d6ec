# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frames of pages: names of files, tables, names that are not ours."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._map import html
from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe


def test_names_of_files():
    assert html.file_name("kvm1.example") == "host-kvm1-example-85406f89da.html"
    assert html.file_name("KVM1.example") != html.file_name("kvm1.example")
    assert html.file_name("../../etc/passwd").startswith("host-etc-passwd-")
    assert html.file_name("…") == f"host-{html.file_name('…')[5:15]}.html"


@given(st.text(st.characters(exclude_categories=()), max_size=400), st.text(max_size=400))
def test_names_of_files_are_safe_and_tell_hosts_apart(one, other):
    assert re.fullmatch(r"host-([a-z0-9][a-z0-9-]*-)?[0-9a-f]{10}\.html", html.file_name(one))
    assert len(html.file_name(one)) < 70 and html.file_name(one) != html.INDEX
    assert (html.file_name(one) == html.file_name(other)) == (one == other)


def test_a_document():
    text = html.document("<T>", ["head"], ["main"], "12:00", "x{}")
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">\n<head>')
    assert "<title>&lt;T&gt;</title>" in text and "x{}</style>" in text
    assert '<main id="main" tabindex="-1">main</main>' in text
    assert "<p>As of 12:00. Made by numa.virt.</p>" in text
    assert "<p>Made by numa.virt.</p>" in html.document("T", [], [], None)
    assert f'<meta name="generator" content="{html.GENERATOR}">' in text[:2000]


def test_tables_have_headers_and_long_texts_may_break():
    table = html.table("t", "All", ["A", "B"], [["x", "1,2"], [Safe("<b>y</b>"), "0,2,4,6,8,10,12,14,16,18,20"]])
    assert '<th scope="col">A</th><th scope="col">B</th>' in table
    assert '<th scope="row">x</th><td>1,2</td>' in table
    assert '<th scope="row"><b>y</b></th><td class="wide">0,<wbr>2,<wbr>4' in table
    assert '<div class="scroll" role="region" aria-label="All" tabindex="0">' in table


def test_names_keep_their_direction_and_their_length():
    assert html.bidi("a\nb") == "<bdi>a b</bdi>"
    assert html.bidi("a" * 10 + "b" * 10, 9) == f'<bdi title="{"a" * 10}{"b" * 10}">aaaa…bbbb</bdi>'


def test_figures():
    assert html.facts(("A", "1")) == '<dl class="facts"><div><dt>A</dt><dd>1</dd></div></dl>'


def test_what_a_page_says():
    rows = (
        "<table><caption>All <b>x</b></caption><tr><th>db1</th>\n<td>0-3</td></tr>"
        "<tr><td>&lt;b&gt; &amp;</td></tr></table><svg><text>no</text></svg>"
    )
    page = html.document("T", [Safe("<h1>kvm1</h1>")], [Safe(rows)], "noon")
    assert html.readable(page) == "Skip to the content kvm1\nAll x\ndb1 0-3\n<b> &\nAs of noon. Made by numa.virt.\n"
