# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of a host: cells by distance, cores and threads, memory and huge pages, guests and findings.

``host_svg`` makes a document that stands alone, as in an <img>: its colours follow the reader's light or dark
setting. ``draw`` makes the element for a page that brings the colours with it.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._map import dense, lanes, layout, memory, shapes, style
from ansible_collections.numa.virt.plugins.module_utils._map import legend as legends
from ansible_collections.numa.virt.plugins.module_utils._map.markup import (
    Safe,
    bold_width,
    el,
    fitted,
    plain,
    text_width,
)
from ansible_collections.numa.virt.plugins.module_utils._map.model import HostMap, MapFinding, MapGuest, host_map
from ansible_collections.numa.virt.plugins.module_utils._map.results import InfoCell, named
from ansible_collections.numa.virt.plugins.module_utils._map.shapes import group, rect, text

_MARGIN = 16
# How far the frame of a socket reaches beyond its cells.
_SPILL = 8
_INSIDE = 14
_BETWEEN = 30
_HEAD = 54
_TITLE = 40
_WIDEST = 760
_WIDEST_OF_MANY = 1120
_LEAST_INSIDE = 291
_ONLY_INSIDE = 460
_DENSE_INSIDE = {1: 800.0, 2: 372.0, 3: 276.0, 4: 276.0}


@dataclass(frozen=True)
class _Sheet:
    """Measures that the parts share."""

    places: Mapping[int, layout.Place]
    columns: int
    inside: float
    cells: Callable[[InfoCell, float, float], Safe]
    cell_height: Callable[[InfoCell], float]
    many: bool

    @property
    def card(self) -> float:
        return self.inside + 2 * _INSIDE

    @property
    def width(self) -> float:
        return 2 * _MARGIN + self.columns * self.card + (self.columns - 1) * _BETWEEN


def host_svg(host: Mapping[str, Any], guests: Any, findings: Any = None, *, name: str = "", legend: bool = True) -> str:
    """One SVG document. ``host`` is what numa_cell_info returns; ``guests`` what numa_domain_info returns, or the list
    of domains of it; findings are those of ``guests``, unless they are given. ``name`` is the picture's title; without
    ``legend`` it has no key to its signs. Raises InputError.
    """
    drawn = draw(host_map(name, host, guests, findings), legend=legend, alone=True)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{drawn}\n'


def draw(host: HostMap, legend: bool = True, alone: bool = False) -> Safe:
    """The svg element. ``alone`` gives it its own namespace, size, colours and title, which a page has elsewhere."""
    sheet = _sheet(host)
    y: float = _MARGIN
    parts: list[Safe] = []
    titled = bool(host.name) and alone
    if titled or _of_host(host):
        parts.append(_title(host, sheet, titled))
        y += _TITLE - 8 if titled else 24
    body, y = _cells(host, sheet, y)
    parts.append(body)
    for more in (_roaming, _lost):
        drawn, y = more(host, sheet, y)
        parts.append(drawn)
    if legend:
        drawn, y = legends.draw(host, sheet.places, sheet.many, (_MARGIN + 2, sheet.width - _MARGIN), y)
        parts.append(drawn)
    height = y + _MARGIN - 6
    own: dict[str, str | float | None] = {}
    if alone:
        own = {"xmlns": "http://www.w3.org/2000/svg", "width": sheet.width, "height": height}
    return el(
        "svg",
        {
            **own,
            "class": "map",
            "viewBox": _window(sheet.width, height, alone),
            "role": "img",
            "aria-labelledby": "picture-title picture-desc",
        },
        el("title", {"id": "picture-title"}, f"Map of {plain(host.name) or 'a host'}"),
        el("desc", {"id": "picture-desc"}, summary(host)),
        *([el("style", None, style.standalone())] if alone else []),
        shapes.patterns(guest.pattern for guest in host.guests),
        rect(0, 0, sheet.width, height, "paper", 10),
        *parts,
    )


def _window(width: float, height: float, alone: bool) -> str:
    """What is seen of the sheet: all of it, or on a page, which has margins of its own, less of its margins."""
    cut = 0 if alone else _MARGIN - _SPILL
    return f"{cut} {cut} {width - 2 * cut:.0f} {height - 2 * cut:.0f}"


def summary(host: HostMap) -> str:
    """The picture in words, cell by cell. Where there are many guests, their number has to do."""
    said = [f"{', '.join(_sizes(host))}."]
    for cell in host.cells:
        guests = host.guests_of(cell)
        who = shapes.names(guests, 12) or "no guest"
        said.append(f"Cell {cell.id}, {_cell_line(host, cell)}: {who}.")
    if host.roaming:
        said.append(f"On every CPU: {shapes.names(host.roaming, 12)}.")
    said += [f"{each.info.severity} {each.number}: {plain(each.info.message)}." for each in host.findings[:12]]
    return " ".join(said)


def _sizes(host: HostMap) -> list[str]:
    return [counted(len(host.cells), "cell"), counted(len(host.everything), "CPU"), counted(len(host.guests), "guest")]


def counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _sheet(host: HostMap) -> _Sheet:
    """Bars where they can be told apart, else fields; so many columns as the picture has room for."""
    columns = layout.columns_for(len(host.cells))
    many = not lanes.fits(host)
    if many:
        inside = _DENSE_INSIDE[columns]
        return _Sheet(
            places=layout.grid(host.cells, columns),
            columns=columns,
            inside=inside,
            cells=lambda cell, x, y: dense.draw(host, cell, x, y, inside),
            cell_height=lambda cell: dense.height(cell, inside),
            many=True,
        )
    wide = lanes.inner_width(host, _ONLY_INSIDE if len(host.cells) == 1 else _LEAST_INSIDE)
    while columns > 1 and columns * (wide + 2 * _INSIDE + _BETWEEN) > (_WIDEST if columns == 2 else _WIDEST_OF_MANY):
        columns -= 1
    return _Sheet(
        places=layout.grid(host.cells, columns),
        columns=columns,
        inside=wide,
        cells=lambda cell, x, y: lanes.draw(host, cell, x, y, wide),
        cell_height=lambda cell: lanes.height(host, cell),
        many=False,
    )


def _of_host(host: HostMap) -> list[MapFinding]:
    """The findings that have no place but the host."""
    return [each for each in host.findings if not (each.info.domain or each.info.cells or each.info.cpus)]


def _title(host: HostMap, sheet: _Sheet, titled: bool) -> Safe:
    signs, right = shapes.pills(_of_host(host), sheet.width - _MARGIN, _MARGIN + 2 if titled else _MARGIN - 6)
    if not titled:
        return signs
    said = " · ".join(_sizes(host))
    room = right - _MARGIN - text_width(said, 12) - 16
    return Safe(
        text(_MARGIN, _MARGIN + 16, host.name, "b x19", room / 1.13, 19)
        + text(right - 4, _MARGIN + 14, said, "e s x12")
        + signs
    )


def _cells(host: HostMap, sheet: _Sheet, top: float) -> tuple[Safe, float]:
    """The cells in their grid, sockets around them, distances between them."""
    heights: dict[int, float] = {}
    for cell in host.cells:
        row = sheet.places[cell.id][1]
        heights[row] = max(heights.get(row, 0), _HEAD + sheet.cell_height(cell) + 8 + memory.height(cell) + _INSIDE - 6)
    tops = {}
    sockets = layout.blocks(host.cells, sheet.places)
    y = top + (8 if sockets else 0)
    for row, height in sorted(heights.items()):
        tops[row] = y
        y += height + _BETWEEN
    step = sheet.card + _BETWEEN
    parts = []
    for (left, upper), (right, lower) in sockets.values():
        box = (_MARGIN + left * step - 7, tops[upper] - 7)
        size = ((right - left) * step + sheet.card + 14, tops[lower] + heights[lower] - tops[upper] + 14)
        parts.append(rect(*box, *size, "block", 14))
    by_id = {cell.id: cell for cell in host.cells}
    for one, other in layout.touching_pairs(sheet.places):
        parts.append(_distance(by_id[one], by_id[other], sheet, tops, heights))
    for cell in host.cells:
        column, row = sheet.places[cell.id]
        parts.append(_card(host, cell, sheet, _MARGIN + column * step, tops[row], heights[row]))
    return Safe("".join(parts)), y - _BETWEEN + (22 if sockets else 14)


def _card(host: HostMap, cell: InfoCell, sheet: _Sheet, x: float, y: float, height: float) -> Safe:
    left, right = x + _INSIDE, x + sheet.card - _INSIDE
    signs, _start = shapes.pills(host.findings_at(cell), right, y + 11)
    memory_at = y + height - memory.height(cell) - _INSIDE + 6
    return group(
        "cell",
        rect(x, y, sheet.card, height, "card", 9),
        text(left, y + 23, f"Cell {cell.id}", "b x15"),
        signs,
        text(left, y + 39, _cell_line(host, cell), "s", sheet.inside),
        sheet.cells(cell, left, y + _HEAD),
        memory.draw(host, cell, left, memory_at, sheet.inside),
    )


def _cell_line(host: HostMap, cell: InfoCell) -> str:
    parts = []
    if cell.sockets:
        parts.append(f"socket{'s' if len(cell.sockets) > 1 else ''} {', '.join(map(str, cell.sockets))}")
    said = named("CPU", cell.cpus) if cell.cpus else "no CPUs"
    parts.append(
        said if text_width(said, 11) < 170 else f"{len(cell.cpus)} CPUs from {min(cell.cpus)} to {max(cell.cpus)}"
    )
    cores = len(cell.cores)
    if cores != len(cell.cpus):
        parts.append(counted(cores, "core"))
    if cell.caches:
        levels = {cache.level for cache in cell.caches}
        parts.append(f"{len(cell.caches)} {f'L{levels.pop()}' if len(levels) == 1 else 'last-level'} caches")
    if cell.devices:
        parts.append(counted(cell.devices, "PCI device"))
    parts += [plain(said) for said in host.apart.of(cell)]
    return " · ".join(parts)


def _distance(
    one: InfoCell, other: InfoCell, sheet: _Sheet, tops: Mapping[int, float], heights: Mapping[int, float]
) -> Safe:
    """A wire between two cards with the distance upon it; both ways, where they differ."""
    there, back = one.distances.get(other.id), other.distances.get(one.id)
    if there is None or back is None:
        return Safe()
    said = str(there) if there == back else f"{there}/{back}"
    column, row = sheet.places[one.id]
    x = _MARGIN + column * (sheet.card + _BETWEEN)
    if sheet.places[other.id][1] == row:
        x, y = x + sheet.card, tops[row] + 34
        wire, middle = f"M{x:.1f} {y:.1f}h{_BETWEEN}", (x + _BETWEEN / 2, y)
    else:
        x, y = x + sheet.card / 2, tops[row] + heights[row]
        wire, middle = f"M{x:.1f} {y:.1f}v{_BETWEEN}", (x, y + _BETWEEN / 2)
    wide = text_width(said, 10) + 6
    return group(
        "wire-group",
        el("path", {"d": wire, "class": "wire"}),
        rect(middle[0] - wide / 2, middle[1] - 7.5, wide, 15, "paper", 7),
        text(middle[0], middle[1] + 3.5, said, "c s x10"),
        shapes.tip(f"distance from cell {one.id} to cell {other.id}: {said}"),
    )


def _roaming(host: HostMap, sheet: _Sheet, y: float) -> tuple[Safe, float]:
    return _strip("May use every CPU", host.roaming, host, sheet, y)


def _lost(host: HostMap, sheet: _Sheet, y: float) -> tuple[Safe, float]:
    lost = tuple(guest for guest in host.placed if not guest.reach & host.everything)
    return _strip("On CPUs that no cell has", lost, host, sheet, y)


def _strip(title: str, guests: Sequence[MapGuest], host: HostMap, sheet: _Sheet, y: float) -> tuple[Safe, float]:
    """Guests in a row, with lines as they need them; where there are very many, the first and how many more."""
    if not guests:
        return Safe(), y
    left, right = _MARGIN + _INSIDE, sheet.width - _MARGIN - _INSIDE
    x: float = left
    line = y + 30
    drawn: list[Safe] = []
    shown = guests[:24]
    for guest in shown:
        name = fitted(guest.name, 190, 11)
        note = f"{lanes.vcpus_of(guest)} · {lanes.memory_of(guest)}"
        note = note if not sheet.many and text_width(note, 11) < 260 else ""
        signs = host.findings_of(guest)
        signs_wide = sum(shapes.pill_width(each) + 4 for each in signs[:3])
        wide = (
            shapes.tag_width(guest) + 6 + bold_width(name, 11) + (text_width(note, 11) + 8 if note else 0) + signs_wide
        )
        if x > left and x + wide > right:
            x, line = left, line + 22
        after = x + shapes.tag_width(guest) + 6
        parts = [shapes.tag(guest, x, line - 12), text(after, line, name, "b")]
        after += bold_width(name, 11) + 8
        if note:
            parts.append(text(after, line, note, "s"))
            after += text_width(note, 11)
        drawn.append(
            group(shapes.mark_of([guest]), *parts, shapes.tip(f"{guest.tag} {guest.name}: {lanes.describe(guest)}"))
        )
        for finding in signs[:3]:
            drawn.append(shapes.pill(finding, after, line - 11.5))
            after += shapes.pill_width(finding) + 4
        x += wide + 22
    if len(shown) < len(guests):
        drawn.append(text(left, line + 20, f"and {len(guests) - len(shown)} more", "s"))
        line += 20
    box = rect(_MARGIN, y - 6, sheet.width - 2 * _MARGIN, line - y + 18, "card", 9)
    return Safe("".join([box, text(left, y + 11, title, "s"), *drawn])), line + 26
