# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both kinds of page are made of: the frame of an HTML document, tables that scroll, names of files.

A page needs no network and no script, and forbids both to itself.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from html import unescape

from ansible_collections.numa.virt.plugins.module_utils._map import page_style
from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe, el, escaped, joined, plain

INDEX = "index.html"
GENERATOR = "numa.virt.numa_map_page"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LONGEST_SLUG = 40
_LONGEST_WORD = 24
_UNREAD = re.compile(r"<(head|svg)\b.*?</\1>", re.DOTALL)
_ENDS_LINE = re.compile(r"</(?:h[1-6]|p|li|dl|tr|caption|article)>")
_ENDS_WORD = re.compile(r"</(?:td|th|dt|dd|span)>")


def file_name(host: str) -> str:
    """The name of a host's page: readable, safe on any file system, and another for each host.

    >>> file_name("kvm1.example")
    'host-kvm1-example-85406f89da.html'
    """
    slug = re.sub("[^a-z0-9]+", "-", host.lower())[:_LONGEST_SLUG].strip("-")
    digest = hashlib.sha256(host.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return "-".join(part for part in ("host", slug, digest) if part) + ".html"


def document(title: str, header: Sequence[str], main: Sequence[str], time: str | None, more_style: str = "") -> str:
    """A whole document. ``time`` is said at its end where it is given, as it is written."""
    head = el(
        "head",
        None,
        "\n",
        el("meta", {"charset": "utf-8"}),
        el("meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        el("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        el("meta", {"name": "color-scheme", "content": "light dark"}),
        el("meta", {"name": "generator", "content": GENERATOR}),
        "\n",
        el("title", None, plain(title)),
        "\n",
        el("style", None, Safe(page_style.sheet() + more_style)),
        "\n",
    )
    said = [f"As of {plain(time)}. "] if time else []
    body = el(
        "body",
        None,
        el("a", {"class": "skip", "href": "#main"}, "Skip to the content"),
        "\n",
        el("header", None, *header),
        "\n",
        el("main", {"id": "main", "tabindex": "-1"}, *main),
        "\n",
        el("footer", None, el("p", None, *said, "Made by numa.virt.")),
        "\n",
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n{body}\n</html>\n'


def readable(page: str) -> str:
    """The words of one of our pages, a row of a table on a line, without what is drawn: for a diff.

    >>> readable("<tr><th>db1</th><td>0-3</td></tr><svg>...</svg>")
    'db1 0-3\\n'
    """
    text = _ENDS_WORD.sub(" ", _ENDS_LINE.sub("\n", _UNREAD.sub("", page.replace("\n", " "))))
    lines = (" ".join(unescape(re.sub("<[^>]*>", "", line)).split()) for line in text.split("\n"))
    return "".join(f"{line}\n" for line in lines if line)


def section(name: str, title: str, *content: str, level: str = "h2", classes: str | None = None) -> Safe:
    """A part of the page under a heading."""
    return el(
        "section",
        {"aria-labelledby": f"{name}-title", "id": name, "class": classes},
        el(level, {"id": f"{name}-title"}, title),
        *content,
        "\n",
    )


def table(name: str, caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Safe:
    """A table that scrolls by itself where it is too wide. The first of each row is its header."""
    head = el("tr", None, *(el("th", {"scope": "col"}, each) for each in heads))
    body = joined(joined(["\n", _row(row)]) for row in rows)
    return el(
        "div",
        {"class": "scroll", "role": "region", "aria-label": caption, "tabindex": "0"},
        el(
            "table",
            {"id": f"{name}-table"},
            el("caption", None, caption),
            el("thead", None, head),
            el("tbody", None, body),
        ),
    )


def _row(cells: Sequence[str]) -> Safe:
    wide = [{"class": "wide"} if len(each) > _LONGEST_WORD and not isinstance(each, Safe) else None for each in cells]
    rest = (el("td", classes, _breakable(each)) for classes, each in zip(wide[1:], cells[1:]))
    return el("tr", None, el("th", {"scope": "row"}, cells[0]), *rest)


def _breakable(text: str) -> Safe:
    """A long text may be broken behind its commas, as that of a CPU set has to be."""
    if isinstance(text, Safe) or len(text) <= _LONGEST_WORD:
        return escaped(text)
    return joined(
        part for at, piece in enumerate(text.split(",")) for part in ([Safe(",<wbr>"), piece] if at else [piece])
    )


def folded(name: str, title: str, *content: str) -> Safe:
    """A part of the page that can be folded away."""
    return el(
        "details",
        {"id": name, "open": "open"},
        el("summary", None, el("h2", None, title)),
        *content,
        "\n",
    )


def bidi(name: str, longest: int | None = None) -> Safe:
    """A name that somebody has given, whose direction must not reach its neighbours."""
    shown = plain(name)
    if longest is not None and len(shown) > longest:
        half = (longest - 1) // 2
        return el("bdi", {"title": shown}, f"{shown[:half]}…{shown[-half:]}")
    return el("bdi", None, shown)


def facts(*pairs: tuple[str, str]) -> Safe:
    """Figures with their names, in a row."""
    items = (el("div", None, el("dt", None, name), el("dd", None, value)) for name, value in pairs)
    return el("dl", {"class": "facts"}, *items)
