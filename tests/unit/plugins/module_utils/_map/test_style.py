# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Palettes can be read: contrasts as WCAG 2.2 has them, light and dark."""

from __future__ import annotations

import re

import pytest

from ansible_collections.numa.virt.plugins.module_utils._map import style
from ansible_collections.numa.virt.plugins.module_utils._map.model import HUES

PALETTES = pytest.mark.parametrize("colours", [style.LIGHT, style.DARK], ids=["light", "dark"])


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_itself():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@PALETTES
def test_text(colours):
    for surface in ("paper", "card", "chip"):
        for text in ("ink", "soft", "link"):
            assert contrast(colours[text], colours[surface]) >= 4.5, (text, surface)
    for surface in ("host", *(f"f{hue}" for hue in range(HUES))):
        assert contrast(colours["ink"], colours[surface]) >= 4.5, surface
    for severity in ("error", "warning", "info"):
        assert contrast(colours["on"], colours[severity]) >= 4.5, severity


@PALETTES
def test_edges_that_carry_meaning(colours):
    for surface in ("paper", "card", "chip"):
        for edge in ("edge", "error", "warning", "info", *(f"s{hue}" for hue in range(HUES))):
            assert contrast(colours[edge], colours[surface]) >= 3, (edge, surface)


def test_both_palettes_have_the_same_colours_and_every_one_that_is_used():
    assert list(style.LIGHT) == list(style.DARK)
    used = set(re.findall(r"var\(--([a-z0-9]+)\)", style.standalone()))
    assert used <= set(style.LIGHT)


def test_paper_is_light_whatever_the_screen_is():
    assert style.palette().index("@media print") > style.palette().index("prefers-color-scheme:dark")
    assert f"--paper:{style.LIGHT['paper']}" in style.palette().split("@media print")[1]
