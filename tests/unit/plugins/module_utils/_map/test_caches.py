# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Borders of last-level caches on the map: in text, in the picture and in the page's table."""

from __future__ import annotations

import re

import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._map.model import host_map
from ansible_collections.numa.virt.plugins.module_utils._map.page import host_page
from ansible_collections.numa.virt.plugins.module_utils._map.results import read_cells
from ansible_collections.numa.virt.plugins.module_utils._map.svg import host_svg, summary
from ansible_collections.numa.virt.plugins.module_utils._map.text import text_map
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.builders import cell, guest

MIB = 1024
PAIRS = [[at, at + 6] for at in range(6)]
BANKS = [(3, 32 * MIB, "0-2,6-8"), (3, 32 * MIB, "3-5,9-11")]
TWO = {"cells": [cell(0, range(12), PAIRS, caches=BANKS), cell(1, range(12, 16), caches=[(3, 1, "12-15")])]}
GUESTS = [guest("db1", "0-1,6-7", 4, pins={"0": "0", "1": "6", "2": "1", "3": "7"}), guest("web1", "3-5,9-11")]


def borders(svg: str) -> int:
    root = etree.fromstring(svg.encode())
    return sum(each.get("class") == "border" for each in root.iter())


def test_text() -> None:
    lines = text_map(TWO, GUESTS)
    assert lines[1:5] == [
        "│  2 L3 caches of 32 MiB, CPUs 0-2,6-8 | 3-5,9-11",
        "│  CPU    0  1  2| 3  4  5| 6  7  8| 9 10 11",
        "│  db1    0  2  .| .  .  .| 1  3  .| .  .  .  4 vCPUs, 8 GiB not bound",
        "└  web1   .  .  .| *  *  *| .  .  .| *  *  *  2 vCPUs, 8 GiB not bound",
    ]
    assert "| another last-level cache" in lines[-1]
    assert not any("L3" in line for line in lines[5:])


def test_text_of_neighbours_that_nobody_tells_apart() -> None:
    wide = {"cells": [cell(0, range(64), caches=[(3, 0, f"{at}-{at + 15}") for at in range(0, 64, 16)])]}
    lines = text_map(wide, [guest("a", "0-31")])
    assert lines[1:4] == [
        "│  4 L3 caches, CPUs 0-15 | 16-31 | 32-47 | 48-63",
        "│  CPU  0-15|16-31|32-47|48-63",
        "└  a       *|    *|    .|    .  2 vCPUs, 8 GiB not bound",
    ]
    many = {"cells": [cell(0, range(64), caches=[(3, 0, f"{at},{at + 32}") for at in range(32)])]}
    lines = text_map(many, [guest("a", "0-31")], 60)
    assert "│  CPU  0-31 32-63" in lines and "another" not in lines[-1]
    assert max(map(len, lines)) <= 60


def test_where_there_is_one_or_none_nothing_is_said() -> None:
    for caches in ((), [(3, 1, "0-3")]):
        host = {"cells": [cell(0, range(4), caches=caches)]}
        assert text_map(host, [])[1] == "└  no guest"
        assert not borders(host_svg(host, []))
        assert "caches" not in host_page(host_map("h", host, []), "t")
    before = {"cells": [{key: value for key, value in TWO["cells"][0].items() if key != "caches"}]}
    assert read_cells(before)[0].caches == ()
    with pytest.raises(InputError, match="this is none of the cells of numa_cell_info"):
        read_cells({"cells": [cell(0, range(4), caches=[(3, "much", "0-1")])]})


def test_words() -> None:
    (mixed,) = read_cells({"cells": [cell(0, range(8), caches=[(3, 2 * MIB, "4-7"), (3, MIB, "0-1"), (2, 0, "2-3")])]})
    assert mixed.caches_in_words() == "L3 cache of 1 MiB, CPUs 0-1; L2 cache, CPUs 2-3; L3 cache of 2 MiB, CPUs 4-7"


def test_picture_with_bars() -> None:
    svg = host_svg(TWO, GUESTS)
    assert borders(svg) == 2  # one in the cell, one in the key
    assert "2 L3 caches" in svg and "another last-level cache" in svg
    assert "2 L3 caches" in summary(host_map("h", TWO, GUESTS))
    levels = [(3, 1, "0-2,6-8"), (2, 1, "3-5,9-11")]
    assert "2 last-level caches" in host_svg({"cells": [cell(0, range(12), PAIRS, caches=levels)]}, [])


def test_picture_as_a_field() -> None:
    """Two rows; a border at the end of a row is none."""
    for cores, drawn in ((16, 3), (20, 4)):
        caches = [(3, 1, f"{at}-{at + cores - 1}") for at in range(0, 4 * cores, cores)]
        wide = {"cells": [cell(0, range(4 * cores), caches=caches)]}
        assert borders(host_svg(wide, [], legend=False)) in (drawn, drawn - 1)


def test_page() -> None:
    page = host_page(host_map("h", TWO, GUESTS), "t")
    assert re.search(r"<th scope=.col.>Last-level caches</th>", page)
    assert "2 L3 caches of 32 MiB, CPUs 0-2" in re.sub("<wbr>", "", page)
    assert "one or not known" in page
