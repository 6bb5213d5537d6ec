# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The overview: rows, figures, what to look at first."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html as parser

from ansible_collections.numa.virt.plugins.module_utils._map import html
from ansible_collections.numa.virt.plugins.module_utils._map.fleet import fleet_page
from ansible_collections.numa.virt.plugins.module_utils._map.model import host_map
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map import builders
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.builders import GIB, cell, guest, result
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.test_page import NAMES, assert_closed


def hosts():
    return [host_map(name, *both) for name, both in builders.fleet().items()]


def rows(root):
    return [[each.text_content().strip() for each in row] for row in root.get_element_by_id("hosts-table").iter("tr")]


def test_rows():
    root = parser.fromstring(fleet_page(hosts(), "Fleet"))
    found = rows(root)
    assert [row[0] for row in found[1:]] == [f"kvm{at}.example" for at in range(1, 6)]
    first = [*found[1][:2], *found[1][3:]]
    assert first == [
        *("kvm1.example", "✕ 1 error ! 1 warning i 1 info", "16", "4", "0.6", "41 GiB of 128 GiB"),
        "8 vCPUs, 42 GiB on cell 166% of an empty cell",
    ]
    assert found[4][1] == "none"
    links = root.xpath("//table//a/@href")
    assert links == [html.file_name(f"kvm{at}.example") for at in range(1, 6)]


def test_bars_are_told_in_words():
    root = parser.fromstring(fleet_page(hosts(), "Fleet"))
    said = root.xpath("//svg/@aria-label")
    assert said[0] == "; ".join(
        [
            "cell 0: 0.8 vCPUs for each CPU, 42% of its memory in use",
            "cell 1: 0.5 vCPUs for each CPU, 22% of its memory in use",
        ]
    )
    assert "cell 1: 0.0 vCPUs for each CPU, 0% of its memory in use" in said[3]
    caps = root.xpath("//svg//rect[@class='over']")
    assert len(caps) == 2 + 2 + 8


def test_figures():
    said = parser.fromstring(fleet_page(hosts(), "Fleet")).xpath("//header")[0].text_content()
    assert "Hosts5Cells18CPUs1,124Guests522" in said
    assert "104 vCPUs, 93 GiB on cell 7 of kvm5.example" in said
    assert "✕ 10 errors ! 11 warnings i 9 info" in said


def test_what_to_look_at_first_is_by_gravity_then_name():
    root = parser.fromstring(fleet_page(hosts(), "Fleet"))
    assert root.xpath("//section[@id='worst']//a/bdi/text()") == ["kvm1.example", "kvm5.example", "kvm2.example"]
    assert "and 2 more" in root.text_content()
    alone = host_map("h", {"cells": [cell(0, [0])]}, result([], [{"code": "c", "severity": "info", "message": "m"}]))
    text = parser.fromstring(fleet_page([alone], "Fleet")).text_content()
    assert "Fix:" not in text and "and 0 more" not in text


def test_hosts_without_cpus_memory_or_room():
    empty = host_map("e", {"cells": [cell(0, [], total=0)]}, [])
    full = host_map(
        "f", {"cells": [cell(0, [0], free=0)]}, [guest("a", "0", 1, policy="dedicated", lies={0: 64 * GIB})]
    )
    root = parser.fromstring(fleet_page([full, empty], "Fleet"))
    assert [row[0] for row in rows(root)[1:]] == ["e", "f"]
    assert rows(root)[1][3:] == ["0", "0", "none", "0 KiB of 0 KiB", "noneit has no CPUs"]
    assert rows(root)[2][-1].startswith("none")
    assert "Largest guest that still fitsnone" in parser.fromstring(fleet_page([empty], "F")).text_content()
    assert "Largest guest that still fitsnone" in root.text_content()
    assert "What to look at first" not in root.text_content()


def test_order_makes_no_difference():
    mixed = hosts()
    random.Random(3).shuffle(mixed)
    assert fleet_page(mixed, "F", "t") == fleet_page(hosts(), "F", "t")


@settings(max_examples=25)
@given(st.lists(NAMES, min_size=1, max_size=5, unique=True), NAMES)
def test_no_name_breaks_out(names, title):
    found = [host_map(name, *builders.hostile([name, title] if name != title else [name])) for name in names]
    assert_closed(fleet_page(found, title, title))
