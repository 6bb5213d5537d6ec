# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signs of the picture that more than one part of it draws: texts, guests' fills, tags, findings, tips.

Coordinates are those of the picture's viewBox, a unit being a CSS pixel at its natural size.
This file must not import ansible, libvirt or lxml, and must not read results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe, el, fitted, plain, text_width
from ansible_collections.numa.virt.plugins.module_utils._map.model import MapFinding, MapGuest
from ansible_collections.numa.virt.plugins.module_utils._map.results import SEVERITIES

#: What a finding's sign starts with, so that it is not told by its colour alone.
MARKS = {"error": "✕", "warning": "!", "info": "i"}
PILL = 15
_MOST_PILLS = 4
_LONGEST_TIP = 60


def text(x: float, y: float, said: str, classes: str = "", width: float | None = None, size: float = 11) -> Safe:
    """A line of text; with a ``width`` it is cut to fit, and a tip tells all of it."""
    whole = plain(said)
    shown = whole if width is None else fitted(whole, width, size)
    tip = [el("title", None, whole)] if shown != whole else []
    return el("text", {"x": x, "y": y, "class": classes or None}, shown, *tip)


def rect(x: float, y: float, width: float, height: float, classes: str, radius: float = 0) -> Safe:
    where: dict[str, str | float | None] = {"x": x, "y": y, "width": width, "height": height, "rx": radius or None}
    return el("rect", {**where, "class": classes})


def border(x: float, y: float, height: float) -> Safe:
    """A line where another last-level cache begins."""
    return group("border", rect(x - 0.75, y, 1.5, height, "edge-fill"), tip("another last-level cache"))


def group(classes: str, *content: str) -> Safe:
    return el("g", {"class": classes}, *content)


def tip(said: str) -> Safe:
    """What a pointer's tip and a screen reader say of the element around it."""
    return el("title", None, plain(said))


def mark_of(guests: Iterable[MapGuest]) -> str:
    """The classes of what is a guest's: a page dims all others."""
    return " ".join(["m", *(f"g{guest.number}" for guest in guests)])


def filled(guest: MapGuest, x: float, y: float, width: float, height: float, more: str = "", radius: float = 3) -> Safe:
    """A guest's own surface: its colour, its edge, and its pattern upon them."""
    base = rect(x, y, width, height, f"bar h{guest.hue}{more}", radius)
    if not guest.pattern:
        return base
    return Safe(base + rect(x, y, width, height, f"hatch p{guest.pattern}", radius))


def patterns(used: Iterable[int]) -> Safe:
    """Definitions of the patterns 1 to 3: slanted lines, dots, lines across."""
    ink = {"stroke": "var(--ink)", "stroke-opacity": ".3", "stroke-width": "1.2", "fill": "none"}
    shapes = {
        1: el("path", {"d": "M-1 7 7-1M-1 1 1-1M5 7 7 5", **ink}),
        2: el("circle", {"cx": "3", "cy": "3", "r": "1.1", "fill": "var(--ink)", "fill-opacity": ".38"}),
        3: el("path", {"d": "M0 3H6", **ink}),
    }
    made = [
        el("pattern", {"id": f"p{number}", "width": 6, "height": 6, "patternUnits": "userSpaceOnUse"}, shapes[number])
        for number in sorted(set(used) & set(shapes))
    ]
    return el("defs", None, *made) if made else Safe()


def tag_width(guest: MapGuest) -> float:
    return max(16.0, text_width(guest.tag, 10) + 8)


def tag(guest: MapGuest, x: float, y: float) -> Safe:
    """A guest's letter in its colour, 16 high, its top left corner at (x, y)."""
    width = tag_width(guest)
    letter = text(x + width / 2, y + 12, guest.tag, f"c x10 b halo h{guest.hue}")
    return Safe(filled(guest, x, y, width, 16) + letter)


def pill_width(finding: MapFinding) -> float:
    return 13 + 6 * len(str(finding.number))


def pill(finding: MapFinding, x: float, y: float) -> Safe:
    """The sign of a finding: its mark and number on the colour of its severity."""
    width = pill_width(finding)
    said = f"{MARKS[finding.info.severity]}{finding.number}"
    return group(
        f"pill k{finding.number}",
        rect(x, y, width, PILL, finding.info.severity, 7.5),
        text(x + width / 2, y + 11, said, "c x9 on"),
        tip(f"{finding.info.severity} {finding.number}: {finding.info.message}"),
    )


def pills(findings: Sequence[MapFinding], right: float, y: float) -> tuple[Safe, float]:
    """Signs in a row that ends at ``right``, the gravest first, and where the row begins. Too many are counted."""
    shown = findings if len(findings) <= _MOST_PILLS else findings[: _MOST_PILLS - 1]
    drawn: list[Safe] = []
    if len(shown) < len(findings):
        more = f"+{len(findings) - len(shown)}"
        drawn.append(text(right, y + 11, more, "e x10 s"))
        right -= text_width(more, 10) + 4
    for finding in reversed(shown):
        right -= pill_width(finding)
        drawn.append(pill(finding, right, y))
        right -= 4
    return Safe("".join(drawn)), right


def gravest(findings: Iterable[MapFinding]) -> str | None:
    """The highest severity among them."""
    found = [finding.info.severity for finding in findings]
    return min(found, key=SEVERITIES.index) if found else None


def names(guests: Sequence[MapGuest], most: int = 6) -> str:
    """Guests by tag and name for a tip, the first of them where there are many.

    Names are cut: a tip is no place for 300 characters.
    """
    said = [f"{guest.tag} {fitted(guest.name, _LONGEST_TIP * 6, 10)}" for guest in guests[:most]]
    if len(guests) > most:
        said.append(f"{len(guests) - most} more")
    return ", ".join(said)
