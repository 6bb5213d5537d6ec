# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cell's memory: one bar for all of it, with a stretch for each guest, and a thin one for each pool of huge pages.

This file must not import ansible, libvirt or lxml, and must not read results.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe, el, text_width
from ansible_collections.numa.virt.plugins.module_utils._map.model import HostMap, MapGuest, MemoryPart, memory_parts
from ansible_collections.numa.virt.plugins.module_utils._map.results import InfoCell, InfoPool, human
from ansible_collections.numa.virt.plugins.module_utils._map.shapes import (
    filled,
    group,
    mark_of,
    names,
    rect,
    text,
    tip,
)

_BAR = 20
_POOL = 26
_NARROWEST = 2.0
_SAID = {
    "real": "lie here",
    "defined": "by its definition",
    "other": "used by the host and others",
    "free": "free",
}


def height(cell: InfoCell) -> float:
    return 22 + _BAR + 8 + _POOL * len(_pools(cell))


def draw(host: HostMap, cell: InfoCell, x: float, y: float, width: float) -> Safe:
    parts = [text(x, y + 13, "Memory", "b"), text(x + width, y + 13, _title(cell), "e s")]
    parts.append(_bar(host, cell, x, y + 20, width))
    y += 22 + _BAR + 8
    for pool in _pools(cell):
        parts.append(_pool(pool, x, y, width))
        y += _POOL
    return Safe("".join(parts))


def _title(cell: InfoCell) -> str:
    if not cell.total:
        return "none reported"
    return human(cell.total) if cell.free is None else f"{human(cell.free)} of {human(cell.total)} free"


def _bar(host: HostMap, cell: InfoCell, x: float, y: float, width: float) -> Safe:
    shares = memory_parts(host, cell)
    whole = sum(part.kib for part in shares)
    drawn: list[Safe] = [rect(x, y, width, _BAR, "free", 4)]
    labels: list[Safe] = []
    thin: list[MemoryPart] = []
    left = x
    for part in shares:
        wide = part.kib / whole * width
        if part.guest is not None and wide < _NARROWEST:
            thin.append(part)
            continue
        if thin:
            drawn.append(_thin(thin, left, y, whole, width))
            left += sum(each.kib for each in thin) / whole * width
            thin = []
        drawn.append(_part(part, left, y, wide))
        left += wide
    if thin:
        drawn.append(_thin(thin, left, y, whole, width))
    if whole > cell.total > 0:
        end = x + cell.total / whole * width
        labels.append(el("path", {"d": f"M{end:.1f} {y - 3}V{y + _BAR + 3}", "class": "ring-error"}))
    return Safe("".join([*drawn, rect(x, y, width, _BAR, "frame", 4), *labels]))


def _part(part: MemoryPart, left: float, y: float, wide: float) -> Safe:
    size = human(part.kib)
    if part.guest is None:
        label = "free" if part.kind == "free" else "host"
        said = label if text_width(label, 9) <= wide - 4 else ""
        word = text(left + wide / 2, y + 13.5, said, "c x9") if said else Safe()
        return group("cpu", rect(left, y, wide, _BAR, part.kind, 0), word, tip(f"{size} {_SAID[part.kind]}"))
    guest: MapGuest = part.guest
    more = " dash" if part.kind == "defined" else ""
    box = filled(guest, left + 0.6, y + 1, max(wide - 1.2, 1), _BAR - 2, more, min(3, wide / 3))
    said = next((each for each in (f"{guest.tag} {size}", guest.tag) if text_width(each, 9) <= wide - 4), "")
    word = text(left + wide / 2, y + 13.5, said, f"c x9 halo h{guest.hue}") if said else Safe()
    told = f"{names([guest])}: {size} {_SAID[part.kind]}"
    return group(mark_of([guest]), box, word, tip(told))


def _thin(parts: Sequence[MemoryPart], left: float, y: float, whole: int, width: float) -> Safe:
    """Guests with too little memory to be told apart, together."""
    kib = sum(part.kib for part in parts)
    guests = [part.guest for part in parts if part.guest is not None]
    box = rect(left, y + 1, kib / whole * width, _BAR - 2, "edge-fill", 0)
    return group(mark_of(guests), box, tip(f"{names(guests)}: {human(kib)} together"))


def _pools(cell: InfoCell) -> list[InfoPool]:
    return [pool for pool in cell.pools if pool.total]


def _pool(pool: InfoPool, x: float, y: float, width: float) -> Safe:
    title = f"{human(pool.size)} pages"
    free = f"{pool.total:,}" if pool.free is None else f"{pool.free:,} of {pool.total:,} free"
    used = 0.0 if pool.free is None else (pool.total - pool.free) / pool.total * width
    track = [rect(x, y + 16, width, 6, "free", 3), rect(x, y + 16, used, 6, "edge-fill", 3) if used else Safe()]
    return group(
        "cpu",
        text(x, y + 11, title, "s x10"),
        text(x + width, y + 11, free, "e s x10"),
        *track,
        rect(x, y + 16, width, 6, "frame", 3),
        tip(f"huge pages of {human(pool.size)}: {free}"),
    )
