# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of a host: what it says beside the picture, and that nothing in it comes from a name."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from lxml import html as parser

from ansible_collections.numa.virt.plugins.module_utils._map.model import host_map
from ansible_collections.numa.virt.plugins.module_utils._map.page import fit_in_words, host_page
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map import builders
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.builders import (
    cell,
    guest,
    result,
)

NAMES = st.one_of(st.sampled_from(builders.HOSTILE), st.text(st.characters(exclude_categories=()), max_size=320))


def text_of(host, guests, name="kvm1", time=None):
    return host_page(host_map(name, host, guests), "Fleet", time)


def page(*arguments, **more):
    return parser.fromstring(text_of(*arguments, **more))


def rows(root, name):
    return [[cell.text_content().strip() for cell in row] for row in root.get_element_by_id(f"{name}-table").iter("tr")]


def test_its_frame():
    root = page(*builders.small(), time="today")
    assert root.xpath("//head/title/text()") == ["kvm1 – Fleet"]
    assert root.xpath("//nav/a/@href") == ["index.html"]
    assert root.xpath("//h1/bdi/text()") == ["kvm1"]
    assert root.xpath("//body/a[1]/@href") == ["#main"]
    assert "As of today." in root.xpath("//footer")[0].text_content()
    headings = [each.tag for each in root.iter("h1", "h2", "h3")]
    assert headings[0] == "h1" and set(headings[1:]) == {"h2"}


def test_findings_are_listed_with_their_fix_and_lead_to_their_guests():
    root = page(*builders.small())
    first = root.get_element_by_id("f1")
    said = " ".join(first.text_content().split())
    assert said == (
        "✕1errorcpu_dedicated_twiceA buildB db1needs a new definition"
        "CPU 3 is db1's alone, and build may use it tooFix: numa_domain with cpuset 10-13 for build"
    )
    assert first.xpath(".//a/@href") == ["#f1", "#g0", "#g1"]
    assert "Findings (3)" in root.text_content()


def test_findings_may_be_short_or_of_guests_that_are_gone():
    shortest = {"code": "c", "severity": "error", "message": "m"}
    odd = {**shortest, "domain": "gone", "fix": "by magic"}
    root = page({"cells": [cell(0, [0])]}, result([], [shortest, odd]))
    assert " ".join(root.get_element_by_id("f1").text_content().split()) == "✕1errorcm"
    assert root.get_element_by_id("f2").text_content() == "✕2errorcgoneby magicm"
    assert "None were reported." in page({"cells": [cell(0, [0])]}, []).text_content()


def test_guests_as_a_table():
    root = page(*builders.two_sockets())
    found = rows(root, "guests")
    assert found[0] == ["Guest", "State", "vCPUs", "CPUs it may use", "Cells", "Memory", "Pins", "Findings"]
    by_name = {row[0]: row[1:] for row in found[1:]}
    assert by_name["A app-1"] == ["running", "4", "8-15,40-47", "0", "12 GiB on cell 0", "none", "none"]
    assert by_name["E batch"] == ["shut off", "8", "24-31,56-63", "1", "32 GiB strict on cell 1", "none", "none"]
    assert by_name["F legacy"] == ["running", "1", "every CPU", "0-1", "2 GiB on cell 1", "none", "!2"]
    assert by_name["H oracle-production-1"][5].startswith("0→0, 1→32, 2→1, 3→33")


def test_pins_are_cut_and_cpus_may_be_missing():
    pins = {str(at): str(at) for at in range(20)}
    found = rows(page({"cells": [cell(0, range(40))]}, [guest("a", None, 21, pins=pins), guest("b", "99")]), "guests")
    assert found[1][6].endswith("15→15, 5 more")
    assert found[2][3:5] == ["99", "none"]
    found = rows(
        page({"cells": [cell(0, range(4))]}, [guest("a", None, 2, pins={"0": "1"}), guest("z", "0", 0)]), "guests"
    )
    assert found[1][6] == "0→1, 1→every CPU"
    assert found[2][2:4] == ["0", "every CPU"]


def test_cells_as_a_table():
    found = rows(page(*builders.small()), "cells")
    assert found[1] == [
        *("Cell 0", "0", "0-7", "4 of 2 threads", "0.8", "64 GiB", "37 GiB"),
        *("4,096 of 2 MiB, 1,024 free", "A, B, C", "✕1"),
    ]
    found = rows(page(*builders.memory_only()), "cells")
    assert found[1][1:5] == ["0", "0-3", "4", "0.0"]
    assert found[2] == ["Cell 1", "not known", "none", "none", "none", "128 GiB", "128 GiB", "none", "none", "none"]
    odd = cell(0, [0], total=0, pools=[(2048, 4, None), (64, 0, 0)])
    assert rows(page({"cells": [odd]}, []), "cells")[1][5:8] == ["none", "not known", "4 of 2 MiB"]


def test_distances_as_a_table():
    found = rows(page(*builders.four_cells()), "distances")
    assert found[0] == ["From", "to cell 0", "to cell 1", "to cell 2", "to cell 3"]
    assert found[2] == ["Cell 1", "21", "10", "31", "31"]
    assert "Distances" not in page({"cells": [cell(0, [0])]}, []).text_content()
    assert rows(page({"cells": [cell(0, [0]), cell(1, [1])]}, []), "distances")[1][1] == "not known"


def test_figures_and_notes():
    said = page(*builders.two_sockets()).text_content()
    assert "512 GiB, 140 GiB free" in said and "16 vCPUs, 90 GiB on cell 0" in said
    assert "What was assumed" in said and "10 and 32 are assumed" in said
    said = page({"cells": [cell(0, [])]}, []).text_content()
    assert "What was assumed" not in said and "There are none." in said and "Memory64 GiBGuests" in said


def test_the_largest_guest_in_words():
    assert fit_in_words(None) == "none"


def test_every_header_has_a_scope_and_every_link_leads_somewhere():
    for build in (builders.small, builders.two_sockets, builders.large, builders.hostile):
        root = page(*build())
        assert all(each.get("scope") in ("col", "row") for each in root.iter("th"))
        ids = root.xpath("//@id")
        assert len(ids) == len(set(ids))
        assert {each[1:] for each in root.xpath("//a/@href") if each.startswith("#")} <= set(ids)


def test_choosing_a_guest_dims_the_others():
    text = text_of(*builders.small())
    assert "body:has(#g3:target) .m.g3,body:has(#g3 a:focus-visible) .m.g3{opacity:1}" in text
    assert "body:has(#f3:target) .k3 rect{" in text and 'class="pill k3"' in text


def test_1024_cpus_and_500_guests_stay_under_two_megabytes():
    assert len(text_of(*builders.large()).encode()) < 1_000_000


@pytest.mark.parametrize("name", ["small", "two_sockets", "large", "hostile"])
def test_same_input_same_bytes_in_any_order(name):
    host, guests = getattr(builders, name)()
    dice = random.Random(2)
    mixed = {key: dice.sample(value, len(value)) for key, value in guests.items()}
    assert text_of({**host, "cells": dice.sample(host["cells"], len(host["cells"]))}, mixed) == text_of(host, guests)


@settings(max_examples=40)
@given(st.lists(NAMES, min_size=1, max_size=16, unique=True), NAMES, NAMES)
def test_no_name_breaks_out(names, title, time):
    text = host_page(host_map(title, *builders.hostile(names)), title, time)
    assert_closed(text)


def assert_closed(text):
    """Only our elements and attributes are there, in balance, and nothing that runs or loads."""
    root = parser.fromstring(text)
    tags = {each.tag for each in root.iter() if isinstance(each.tag, str)}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "base", "form", "input", "b", "video"}
    assert not [each for each in root.iter() if not isinstance(each.tag, str)], "comments or instructions"
    keys = {key for each in root.iter() for key in each.attrib}
    assert not [key for key in keys if key.startswith("on") or key in ("src", "style", "srcset", "formaction")]
    assert all(re.fullmatch(r"#[a-z0-9-]+|[a-z0-9-]+\.html", each) for each in root.xpath("//@href"))
    # Elements without an end tag apart it is XML too: nothing can have been left open.
    closed = re.sub(r"<(meta|wbr|br)((?: [a-z-]+=\"[^\"]*\")*)>", r"<\1\2/>", text.replace("<!DOCTYPE html>\n", ""))
    etree.fromstring(closed.encode())


def test_what_is_set_apart_has_a_column_where_there_is_any():
    host, guests = builders.small()
    assert rows(page(host, guests), "cells")[0][-1] == "Findings"
    first = host["cells"][0]
    host = {**host, "isolated_cpus": str(first["cpus"][0]), "other_slices": [{"name": "<b>", "cpuset": "9999"}]}
    root = page(host, {**guests, "reserved_cells": [host["cells"][1]["id"]]})
    said = [row[-1] for row in rows(root, "cells")]
    assert said[:3] == ["Set apart", f"isolated {first['cpus'][0]}", "kept out"]
    assert set(said[3:]) <= {"none"}
    assert f"· isolated {first['cpus'][0]}" in root.get_element_by_id("map").text_content()
