# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key to the signs of a picture: those that it has.

This file must not import ansible, libvirt or lxml, and must not read results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ansible_collections.numa.virt.plugins.module_utils._map import layout, shapes
from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe, el, text_width
from ansible_collections.numa.virt.plugins.module_utils._map.model import HostMap, MapGuest, memory_parts
from ansible_collections.numa.virt.plugins.module_utils._map.results import SEVERITIES
from ansible_collections.numa.virt.plugins.module_utils._map.shapes import rect, text


def draw(
    host: HostMap, places: Mapping[int, layout.Place], many: bool, edges: tuple[float, float], y: float
) -> tuple[Safe, float]:
    """The key, between the left and the right edge, in lines as it needs them; and where it ends.

    ``many`` says that cells are drawn as fields.
    """
    start, right = edges
    items: list[tuple[float, Callable[[float, float], Safe], str]] = []
    if any(len(core) > 1 for cell in host.cells for core in cell.cores):
        items.append((36, _core_sign, "core, its threads"))
    if any(cell.caches for cell in host.cells):
        items.append((8, lambda x, y: shapes.border(x + 4, y - 11, 15), "another last-level cache"))
    if host.placed and not many:
        items.append((26, lambda x, y: _guest_sign(host.placed[0], x, y), "CPUs a guest may use"))
    if many:
        items.append((18, _count_sign, "CPU of several guests"))
    kinds = {part.kind for cell in host.cells for part in memory_parts(host, cell)}
    if "defined" in kinds:
        items.append((26, _dash_sign, "by definition, not measured"))
    if "other" in kinds:
        items.append((26, lambda x, y: rect(x, y - 10, 26, 12, "other", 3), "memory of the host and others"))
    if len(host.cells) > 1:
        items.append((30, _wire_sign, "distance"))
    if layout.blocks(host.cells, places):
        items.append((26, lambda x, y: rect(x, y - 10, 26, 13, "block", 5), "socket"))
    for severity in SEVERITIES:
        first = next((each for each in host.findings if each.info.severity == severity), None)
        if first is not None:
            items.append((18, _severity_sign(severity), severity))
    x = start
    y += 12
    drawn = []
    for wide, sign, said in items:
        whole = wide + 6 + text_width(said, 10)
        if x > start and x + whole > right:
            x, y = start, y + 20
        drawn.append(Safe(sign(x, y) + text(x + wide + 6, y, said, "s x10")))
        x += whole + 18
    return Safe("".join(drawn)), y + 10


def _guest_sign(guest: MapGuest, x: float, y: float) -> Safe:
    return rect(x, y - 10, 26, 12, f"bar h{guest.hue}", 3)


def _dash_sign(x: float, y: float) -> Safe:
    return rect(x, y - 10, 26, 12, "bar dash frame", 3)


def _core_sign(x: float, y: float) -> Safe:
    inner = Safe(rect(x + 2, y - 10, 15, 12, "chip", 2) + rect(x + 19, y - 10, 15, 12, "chip", 2))
    return Safe(rect(x, y - 12, 36, 16, "core", 4) + inner)


def _count_sign(x: float, y: float) -> Safe:
    return Safe(rect(x, y - 12, 16, 16, "other", 3) + text(x + 8, y, "9", "c x9"))


def _wire_sign(x: float, y: float) -> Safe:
    wire = el("path", {"d": f"M{x:.1f} {y - 4:.1f}h30", "class": "wire"})
    return Safe(wire + rect(x + 7, y - 11, 16, 14, "paper", 7) + text(x + 15, y, "21", "c s x9"))


def _severity_sign(severity: str) -> Callable[[float, float], Safe]:
    def sign(x: float, y: float) -> Safe:
        return Safe(rect(x, y - 11, 16, 15, severity, 7.5) + text(x + 8, y, shapes.MARKS[severity], "c x9 on"))

    return sign
