# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_map_page without Ansible: results in, files out, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._engine.map_page import MapRequest, map_pages
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._map.html import readable
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map import builders


def request_for(folder, *hosts, **more):
    settings = {"title": "Fleet", "time": None, "check_mode": False, "diff": False, **more}
    return MapRequest(hosts=hosts, dest=str(folder), **settings)


def host(name, build=builders.small):
    cells, guests = build()
    return {"name": name, "cells": cells, "guests": guests}


def test_check_run_again_check(tmp_path):
    folder = tmp_path / "map"
    wanted = request_for(folder, host("b", builders.memory_only), host("a"))
    checked = map_pages(replace(wanted, check_mode=True, diff=True))
    assert checked["changed"] and not folder.exists()
    assert [each["before_header"] for each in checked["diff"]] == [
        "index.html (absent)",
        "host-a-ca978112ca.html (absent)",
        "host-b-3e23e81600.html (absent)",
    ]
    made = map_pages(wanted)
    assert made == {
        "changed": True,
        "index": str(folder / "index.html"),
        "pages": [
            {"host": "a", "path": str(folder / "host-a-ca978112ca.html"), "changed": True},
            {"host": "b", "path": str(folder / "host-b-3e23e81600.html"), "changed": True},
        ],
    }
    pages = [(folder / name).read_text(encoding="utf-8") for name in ("index.html", "host-a-ca978112ca.html")]
    assert [readable(page) for page in pages] == [each["after"] for each in checked["diff"][:2]]
    again = map_pages(wanted)
    assert not again["changed"] and not any(page["changed"] for page in again["pages"])
    assert map_pages(replace(wanted, diff=True))["diff"] == []
    json.dumps(checked)


def test_a_page_that_is_only_drawn_anew(tmp_path):
    map_pages(request_for(tmp_path, host("a")))
    page = tmp_path / "host-a-ca978112ca.html"
    page.write_text(page.read_text(encoding="utf-8").replace("body{", "body{color:red;", 1), encoding="utf-8")
    (shown,) = map_pages(request_for(tmp_path, host("a"), diff=True))["diff"]
    assert shown["after"] == shown["before"] + "(drawn anew)\n"


def test_only_what_differs_is_written_and_nothing_is_removed(tmp_path):
    map_pages(request_for(tmp_path, host("a"), host("b")))
    result = map_pages(request_for(tmp_path, host("a"), diff=True))
    assert result["changed"] and [page["changed"] for page in result["pages"]] == [False]
    assert [each["after_header"] for each in result["diff"]] == ["index.html"]
    assert result["diff"][0]["before_header"] == "index.html"
    assert (tmp_path / "host-b-3e23e81600.html").exists()


def test_other_files_are_written_with_them(tmp_path):
    folder = tmp_path / "map"
    wanted = request_for(folder, host("a"), files={"fleet.json": "{}\n", "host-a.prom": "# EOF\n"})
    checked = map_pages(replace(wanted, check_mode=True, diff=True))
    assert not folder.exists()
    assert checked["diff"][2] == {
        "before": "", "after": "{}\n", "before_header": "fleet.json (absent)", "after_header": "fleet.json",
    }  # fmt: skip
    made = map_pages(wanted)
    assert [page["host"] for page in made["pages"]] == ["a"] and made["changed"]
    assert made["files"] == [
        {"path": str(folder / "fleet.json"), "changed": True},
        {"path": str(folder / "host-a.prom"), "changed": True},
    ]
    assert (folder / "fleet.json").read_text(encoding="utf-8") == "{}\n"
    assert (folder / "fleet.json").stat().st_mode & 0o777 == 0o640
    assert not map_pages(wanted)["changed"]
    # What holds no mark of a page is replaced all the same, and alone where nothing else differs.
    (folder / "fleet.json").write_text("mine", encoding="utf-8")
    again = map_pages(replace(wanted, diff=True))
    assert [file["changed"] for file in again["files"]] == [True, False] and not again["pages"][0]["changed"]
    assert [each["before"] for each in again["diff"]] == ["mine"]


def test_files_alone(tmp_path):
    made = map_pages(request_for(tmp_path, files={"fleet.json": "{}\n"}))
    assert made == {"changed": True, "pages": [], "files": [{"path": str(tmp_path / "fleet.json"), "changed": True}]}
    assert [each.name for each in tmp_path.iterdir()] == ["fleet.json"]


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", ".hidden", "index.html", "host-a-ca978112ca.html", "a\n", "x" * 251]
)
def test_names_of_files_that_are_none(tmp_path, name):
    with pytest.raises(InputError, match="is no name of such a file"):
        map_pages(request_for(tmp_path, host("a"), files={name: "x"}))
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(InputError, match="is no text"):
        map_pages(request_for(tmp_path, host("a"), files={"x.json": {"a": 1}}))


def test_results_may_be_the_lists_in_them(tmp_path):
    whole = host("a")
    lists = {"name": "a", "cells": whole["cells"]["cells"], "guests": whole["guests"]["domains"]}
    map_pages(request_for(tmp_path, {**whole, "guests": {"domains": lists["guests"]}}))
    assert not map_pages(request_for(tmp_path, lists))["changed"]


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ([], "hosts: there is no host to draw; give name, cells and guests of one or more"),
        ([host("a"), host("a")], "hosts: 'a': there are two hosts of this name; give each a name of its own"),
        ([host(" ")], "hosts[0].name: ' ': is no name; give the name of the host"),
        (
            [{"name": "a", "cells": {"msg": "no route"}, "guests": []}],
            "hosts[0].cells: a: no route; give the result of numa.virt.numa_cell_info",
        ),
        (
            [host("b"), {"name": "a", "cells": {}, "guests": []}],
            "hosts[1].cells: a: this is no result of numa_cell_info; give the result of numa.virt.numa_cell_info",
        ),
        (
            [{**host("a"), "guests": {}}],
            "hosts[0].guests: a: this is no result of numa_domain_info; give the result of numa.virt.numa_domain_info",
        ),
        ([{**host("a"), "guests": "web1"}], "hosts[0]: this is none of the domains of numa_domain_info (not a list)"),
        (
            [{"name": "a", "cells": "x", "guests": []}],
            "hosts[0]: this is none of the cells of numa_cell_info (not a list)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(tmp_path, hosts, message):
    with pytest.raises(InputError) as refused:
        map_pages(request_for(tmp_path / "map", *hosts))
    assert str(refused.value) == message
    assert not (tmp_path / "map").exists()
