# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture: strict XML, what is drawn where, and nothing that a name could add."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._map import dense, lanes
from ansible_collections.numa.virt.plugins.module_utils._map.model import host_map
from ansible_collections.numa.virt.plugins.module_utils._map.svg import draw, host_svg, summary
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map import builders
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.builders import (
    GIB,
    cell,
    finding,
    guest,
)

SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "desc", "style", "defs", "pattern", "path", "circle", "rect", "g", "text"}
ATTRIBUTES = {
    *("class", "x", "y", "width", "height", "rx", "d", "cx", "cy", "r", "id", "viewBox", "role", "aria-labelledby"),
    *("stroke", "stroke-opacity", "stroke-width", "fill", "fill-opacity", "patternUnits"),
}


def parsed(host, guests, findings=None, **more):
    return etree.fromstring(host_svg(host, guests, findings, **more).encode())


def texts(root):
    return [each.text for each in root.iter(f"{SVG}text")]


def tips(root):
    return [each.text for each in root.iter(f"{SVG}title")]


def of(root, classes):
    return [each for each in root.iter() if classes in (each.get("class") or "")]


def one(*guests, cpus=4, findings=(), **more):
    return parsed({"cells": [cell(0, range(cpus), **more)]}, list(guests), list(findings))


def test_a_small_host():
    root = parsed(*builders.small(), name="kvm1")
    said = texts(root)
    assert root.get("role") == "img" and root.get("aria-labelledby") == "picture-title picture-desc"
    assert root.find(f"{SVG}title").text == "Map of kvm1"
    assert said[:2] == ["kvm1", "2 cells · 16 CPUs · 4 guests"]
    assert "socket 1 · CPUs 8-15 · 4 cores · 2 PCI devices" in said
    assert "4 vCPUs · 16 GiB here" in said and "no vCPU here · 2 GiB here" in said
    assert "37 GiB of 64 GiB free" in said and "1,024 of 4,096 free" in said
    assert "21" in said and "✕1" in said and "!2" in said and "i3" in said
    assert "CPU 3: A build, B db1" in tips(root)
    assert "B db1: 16 GiB lie here" in tips(root)
    assert "distance from cell 0 to cell 1: 21" in tips(root)


def test_its_summary_is_a_description_for_who_does_not_see_it():
    host = host_map("kvm1", *builders.small())
    assert summary(host).startswith(
        "2 cells, 16 CPUs, 4 guests. Cell 0, socket 0 · CPUs 0-7 · 4 cores: A build, B db1, C web1. Cell 1, "
    )
    assert "error 1: CPU 3 is db1's alone, and build may use it too." in summary(host)
    host = host_map("h", {"cells": [cell(0, [0])]}, [guest("a")])
    assert summary(host) == "1 cell, 1 CPU, 1 guest. Cell 0, socket 0 · CPU 0: no guest. On every CPU: A a."


def test_bars_and_chips_have_their_guests_colours():
    root = one(guest("a", "0-1"), guest("b", "1,3", state="shut off"))
    assert [each.get("width") for each in of(root, "bar h0") if each.get("height") == "14"] == ["224.5"]
    dashed = [each for each in of(root, "bar h1 dash") if each.get("height") == "14"]
    assert len(dashed) == 2, "CPU 2 lies between"
    assert len(of(root, "t0")) == 1 and len(of(root, "t1")) == 1, "CPU 1 is of both"


def test_pinned_vcpus_are_told_on_their_bars():
    root = one(guest("a", None, 4, pins={"0": "0", "1": "0", "2": "1", "3": "1-3"}))
    assert {"vCPUs 0-1", "vCPUs 2-3", "vCPU 3"} <= set(texts(root))
    # Too narrow for any word, and too narrow for "vCPUs".
    root = one(guest("a", None, 300, pins={str(at): str(at % 32) for at in range(300)}), cpus=32)
    assert not [each for each in texts(root) if each.startswith(("vCPU ", "0,32"))]


def test_notes_give_way_to_names():
    notes = {"2 vCPUs · 8 GiB strict", "2 vCPUs"}
    for name in ("a", "a" * 30, "a" * 60, "a" * 300):
        found = [each for each in texts(one(guest(name, "0-2", cells=[0]))) if each in notes]
        assert found, name
    crowd = [finding("x", "error", "a" * 60) for _number in range(4)]
    said = texts(parsed(builders.four_cells()[0], [guest("a" * 60, "0-1", 20, cells=[0, 1])], crowd))
    assert not any("also" in each for each in said if each)


def test_every_word_about_memory():
    host = host_map(
        "h",
        {"cells": [cell(0, [0]), cell(1, [1])]},
        [
            guest("a", "0", lies={0: GIB, 1: 0}),
            guest("b", "0", lies={}),
            guest("c", "0", cells=[1]),
            guest("d", "9", 1),
        ],
    )
    a, b, c, d = host.guests
    assert [lanes.memory_here(each, host.cells[0]) for each in (a, b, c)] == ["1 GiB here", "no memory here", ""]
    assert lanes.describe(a) == "running, 2 vCPUs on CPU 0, 1 GiB on cell 0"
    assert lanes.describe(b) == "running, 2 vCPUs on CPU 0, no memory seen"
    assert lanes.describe(c) == "running, 2 vCPUs on CPU 0, 8 GiB strict on cell 1"
    assert lanes.describe(d) == "running, 1 vCPU on CPU 9, 8 GiB not bound"


def test_guests_that_roam_and_guests_that_are_lost_have_strips():
    root = one(guest("free", lies={0: GIB}), guest("lost", "77"), findings=[finding("x", "info", "free")])
    assert {"May use every CPU", "On CPUs that no cell has", "2 vCPUs · 1 GiB on cell 0"} <= set(texts(root))
    assert len(of(root, "pill")) == 1


def test_long_strips_wrap_and_end():
    root = one(*(guest(f"guest-{at:02}-with-a-long-name") for at in range(30)))
    assert "and 6 more" in texts(root)
    assert len({each.get("y") for each in root.iter(f"{SVG}text") if each.text and each.text.startswith("guest-")}) > 3


def test_a_guest_of_no_cpu_and_cells_of_one_kind():
    host, guests = builders.memory_only()
    root = parsed(host, guests)
    assert {"memory only, no CPUs", "no guest is placed here", "17"} <= set(texts(root))
    assert "none reported" in texts(one(total=0))
    root = parsed({"cells": [cell(0, [0, 1]), cell(1, [])]}, [guest("a", "0", cells=[1])])
    assert "no vCPU here · 8 GiB strict · also cell 0" in texts(root)
    # A guest without vCPUs may use no CPU, and a cell that gives none of its distances has no wire.
    root = parsed({"cells": [cell(0, [0]), cell(1, [1])]}, [guest("a", "0", 0)])
    assert not of(root, "wire-group")
    assert lanes.describe(host_map("h", {"cells": [cell(0, [0])]}, [guest("a", "0", 0, lies={}, cells=[0])]).guests[0])


def test_distances_that_differ_by_way_are_both_told():
    host = {"cells": [cell(0, [0], distances=(10, 20)), cell(1, [1], distances=(25, 10))]}
    assert "20/25" in texts(parsed(host, []))


def test_findings_of_the_host_and_rings_around_cpus():
    root = one(findings=[finding("a", "warning"), finding("b", "error", cpus="2"), finding("c", "info", cpus="2")])
    assert len(of(root, "ring-error")) == 1
    assert len(of(root, "ring-warning")) == 0
    root = one(findings=[finding(str(at), "error", cells=[0]) for at in range(9)])
    assert "+6" in texts(root)
    host = host_map("h", {"cells": [cell(0, [0])]}, [], [finding("a", "warning")])
    assert ">!1</text>" in draw(host), "also without a title"


def test_memory_beyond_what_there_is_is_marked():
    assert len(of(one(guest("a", "0", kib=99 * GIB, cells=[0])), "ring-error")) == 1


def test_guests_with_very_little_memory_are_drawn_together():
    many = [guest(f"{at:02}", "0", lies={0: 1024}) for at in range(3)]
    big = guest("99", "0", lies={0: 32 * GIB})
    full = [guest("!", "0", lies={0: 64 * GIB}), *many]
    for guests in (many, [*many, big]):
        root = one(*guests)
        assert any(each.startswith("A 00, B 01, C 02: 3 MiB together") for each in tips(root))

    assert any(each.startswith("B 00, C 01, D 02: 3 MiB together") for each in tips(one(*full)))


def test_pools():
    root = one(pools=[(2048, 16, 3), (1048576, 4, None), (64, 0, 0)])
    assert {"2 MiB pages", "3 of 16 free", "1 GiB pages", "4"} <= set(texts(root))
    assert "64 KiB pages" not in texts(root)


def test_cpus_in_turn_and_several_sockets_are_said_short():
    host = {"cells": [cell(0, range(0, 64, 2), sockets=(0, 1)), cell(1, range(1, 64, 2), sockets=())]}
    said = texts(parsed(host, []))
    assert "sockets 0, 1 · 32 CPUs from 0 to 62" in said and "32 CPUs from 1 to 63" in said


def test_sockets_of_several_cells_have_a_frame():
    assert len(of(parsed(*builders.four_cells()), "block")) == 3, "two, and one in the key"


def test_a_key_only_where_it_is_wanted():
    host, guests = builders.small()
    assert "core, its threads" in texts(parsed(host, guests))
    assert "core, its threads" not in texts(parsed(host, guests, legend=False))


def test_patterns_are_defined_where_they_are_used():
    root = one(*(guest(f"{at:02}", "0") for at in range(12)))
    assert [each.get("id") for each in root.iter(f"{SVG}pattern")] == ["p1"]
    assert not list(one(guest("a", "0")).iter(f"{SVG}pattern"))
    root = parsed(*builders.large())
    assert [each.get("id") for each in root.iter(f"{SVG}pattern")] == ["p1", "p2", "p3"]


def test_many_cpus_are_a_field():
    guests = [
        guest("a", "0-1", 2, lies={0: GIB}),
        guest("b", "2-3", 2),
        guest("c", "3-4", 2),
        *(guest(f"d{at}", "5-9", 2) for at in range(4)),
        guest("off", "0", state="shut off"),
    ]
    root = one(*guests, cpus=40, findings=[finding("x", "warning", cpus="39")])
    assert "CPU 2: B b" in tips(root) and "CPU 3: B b, C c" in tips(root)
    assert "CPUs 5-9: D d0, E d1, F d2, G d3" in tips(root)
    assert "CPUs 10-39: no placed guest" in tips(root)
    assert texts(root).count("4") >= 5
    assert len(of(root, "ring-warning")) == 1
    assert any(each == "8 guests · 14 vCPUs on 40 CPUs, 0.3 each" for each in texts(root)), texts(root)
    root = parsed({"cells": [cell(0, range(40)), cell(1, [])]}, [guest("a", "0-1", cells=[1])])
    assert "1 guest" in texts(root) and "memory only, no CPUs" in texts(root)


def test_a_crowd_on_one_cpu():
    crowd = [guest(f"{at:03}", "0", 1) for at in range(70)]
    root = one(*crowd, cpus=2)
    assert any(each.endswith("64 more") for each in tips(root))
    assert not [each for each in of(root, "m g0 ") if each.get("class").count("g") > 64]


def test_wide_cells_lie_one_above_the_other():
    root = parsed(*builders.two_sockets())
    assert float(root.get("width")) < 800
    root = parsed({"cells": [cell(at, range(at * 8, at * 8 + 8)) for at in range(12)]}, [])
    assert float(root.get("width")) < 1121


@pytest.mark.parametrize("name", ["small", "two_sockets", "four_cells", "memory_only", "large", "hostile"])
def test_same_input_same_bytes_in_any_order(name):
    host, guests = getattr(builders, name)()
    drawn = host_svg(host, guests, name="h")
    assert drawn == host_svg(host, guests, name="h")
    dice = random.Random(1)
    mixed = {key: dice.sample(value, len(value)) for key, value in guests.items()}
    assert host_svg({**host, "cells": dice.sample(host["cells"], len(host["cells"]))}, mixed, name="h") == drawn


def test_1024_cpus_and_500_guests_stay_small():
    assert len(host_svg(*builders.large()).encode()) < 600_000


NAMES = st.one_of(st.sampled_from(builders.HOSTILE), st.text(st.characters(exclude_categories=()), max_size=320))


@settings(max_examples=60)
@given(st.lists(NAMES, min_size=1, max_size=16, unique=True), NAMES)
def test_no_name_breaks_out(names, title):
    root = parsed(*builders.hostile(names), name=title)
    assert {etree.QName(each).localname for each in root.iter()} <= ELEMENTS
    assert {key for each in root.iter() for key in each.attrib} <= ATTRIBUTES
    styles = [each.text for each in root.iter(f"{SVG}style")]
    assert len(styles) == 1 and not re.search("script|@import|https?:", styles[0])


def test_rows_of_a_field_fit_its_width():
    host = host_map("h", *builders.large())
    for each in host.cells:
        assert dense.height(each, 372) > 100
