# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Colours and type of the map, as CSS: light, dark, and printed, which is light.

Text has a contrast of 4.5 or more to what it stands on, and edges that carry meaning 3 or more, in each palette
(tests/unit compares them). This file must not import anything but its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe
from ansible_collections.numa.virt.plugins.module_utils._map.model import HUES

FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif"

#: Surfaces, text and lines; f0 to f7 fill what is a guest's, s0 to s7 are its edge.
LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "card": "#f6f7f9",
    "line": "#d3d8e0",
    "edge": "#7b8796",
    "ink": "#171c24",
    "soft": "#4b5565",
    "chip": "#ffffff",
    "host": "#c9d0da",
    "link": "#1d4ed8",
    "error": "#b42318",
    "warning": "#8a5300",
    "info": "#175cd3",
    "on": "#ffffff",
    **{
        f"f{hue}": fill
        for hue, fill in enumerate(
            ("#cfe3fb", "#ffdcb8", "#c5ecd2", "#f9d0ea", "#c0ebee", "#f7e7a1", "#e1d7fb", "#dcebb4")
        )
    },
    **{
        f"s{hue}": edge
        for hue, edge in enumerate(
            ("#1f66b8", "#b3560a", "#1b7a43", "#b02a80", "#0b7480", "#826500", "#6d46c9", "#557315")
        )
    },
}
DARK: Mapping[str, str] = {
    "paper": "#0f1318",
    "card": "#181e26",
    "line": "#303a47",
    "edge": "#77859a",
    "ink": "#e9edf3",
    "soft": "#adb7c6",
    "chip": "#0f1318",
    "host": "#3c4654",
    "link": "#8ab4ff",
    "error": "#ff8f85",
    "warning": "#f5b94d",
    "info": "#84b6ff",
    "on": "#10141a",
    **{
        f"f{hue}": fill
        for hue, fill in enumerate(
            ("#173a61", "#5a3410", "#154a2a", "#5b1f46", "#0d474f", "#4c3d05", "#3c2a72", "#374a10")
        )
    },
    **{
        f"s{hue}": edge
        for hue, edge in enumerate(
            ("#69aef5", "#f2a254", "#5cc98a", "#f07fc6", "#4fc4d1", "#dcbc3c", "#b098f7", "#a6c84f")
        )
    },
}


def palette(root: str = ":root") -> str:
    """The colours as custom properties of ``root``."""
    light, dark = _properties(LIGHT), _properties(DARK)
    return (
        f"{root}{{color-scheme:light dark;{light}}}\n"
        f"@media (prefers-color-scheme:dark){{{root}{{{dark}}}}}\n"
        f"@media print{{{root}{{color-scheme:light;{light}}}}}\n"
    )


def picture() -> str:
    """The rules of the picture's classes."""
    guests = "".join(
        f".h{hue}{{fill:var(--f{hue});stroke:var(--s{hue})}}.t{hue}{{fill:var(--s{hue})}}" for hue in range(HUES)
    )
    return (
        f".map{{font-family:{FONT};font-size:11px}}"
        ".map text{fill:var(--ink);unicode-bidi:isolate;font-variant-numeric:tabular-nums}"
        ".map .s{fill:var(--soft)}.map .c{text-anchor:middle}.map .e{text-anchor:end}"
        ".map .b{font-weight:600}.map .x9{font-size:9px}.map .x10{font-size:10px}.map .x12{font-size:12px}"
        ".map .x15{font-size:15px}.map .x19{font-size:19px}"
        ".paper{fill:var(--paper)}.card{fill:var(--card);stroke:var(--line)}.block{fill:none;stroke:var(--line);"
        "stroke-width:2;stroke-dasharray:2 5;stroke-linecap:round}"
        ".core{fill:none;stroke:var(--edge)}.chip{fill:var(--chip);stroke:var(--line)}"
        ".away{fill:var(--chip);stroke:var(--line)}.rule{stroke:var(--line)}.wire{stroke:var(--edge);fill:none}"
        ".other{fill:var(--host);stroke:none}.edge-fill{fill:var(--edge);stroke:none}.free{fill:var(--chip);stroke:none}.frame{fill:none;stroke:var(--edge)}"
        f"{guests}.bar{{stroke-width:1.2}}.dash{{stroke-dasharray:3 2}}.hatch{{stroke:none}}"
        ".p1{fill:url(#p1)}.p2{fill:url(#p2)}.p3{fill:url(#p3)}"
        ".map .on{fill:var(--on);font-weight:700}.map .halo{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}"
        + "".join(f".map .halo.h{hue}{{fill:var(--ink);stroke:var(--f{hue})}}" for hue in range(HUES))
        + "".join(
            f".{severity}{{fill:var(--{severity})}}.ring-{severity}{{fill:none;stroke:var(--{severity});stroke-width:2}}"
            for severity in ("error", "warning", "info")
        )
        + ".ink{fill:var(--ink);stroke:none}"
        # Printers leave backgrounds out; shapes of a picture they do not.
        "@media print{.map *{print-color-adjust:exact;-webkit-print-color-adjust:exact}}"
    )


def standalone() -> Safe:
    """Everything that a picture on its own needs."""
    return Safe(palette(".map") + picture())


def _properties(colours: Mapping[str, str]) -> str:
    return ";".join(f"--{name}:{value}" for name, value in colours.items())
