# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages' style sheet: one rule for each guest and finding, no address in it, light on paper."""

from __future__ import annotations

from ansible_collections.numa.virt.plugins.module_utils._map.page_style import highlights, sheet


def test_highlights():
    assert highlights([0], []) == "body:has(#g0:target) .m.g0,body:has(#g0 a:focus-visible) .m.g0{opacity:1}\n"
    assert highlights([], [3]) == "body:has(#f3:target) .k3 rect{stroke:var(--ink);stroke-width:2.5}\n"


def test_the_sheet_fetches_nothing_and_is_balanced():
    text = sheet()
    assert "@import" not in text and "http" not in text and "url(#p1)" in text
    assert text.count("{") == text.count("}") and "FONT" not in text and "<" not in text


def test_print_comes_last():
    assert sheet().rindex("@media print") > sheet().rindex("@media (min-width")
