# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The map, line by line: what is drawn, what is said, and how it folds."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._map.text import WIDTH, human, text_map


def cell(number, cpus, total=2 * 1024 * 1024, free=None, distances=None, pools=()):
    return {
        "id": number,
        "cpus": list(cpus),
        "memory": {"total": total, "free": free},
        "distances": {"0": 10, "1": 20} if distances is None else distances,
        "huge_pages": list(pools),
    }


def bound(*cells, mode="strict", automatic=False):
    return {"mode": mode, "cells": list(cells), "automatic": automatic}


def guest(name, cpuset=None, vcpus=2, pins=None, memory=None, state="running", actual=None, kib=32768, memnodes=None):
    said = {
        "cpuset": cpuset,
        "automatic": False,
        "vcpu_pins": pins or {},
        "memory": memory,
        "memnodes": memnodes or {},
    }
    return {
        "name": name,
        "state": state,
        "vcpus": vcpus,
        "memory": kib,
        "configured": said,
        "live": said if state == "running" else None,
        "actual": actual,
    }


def actual(vcpus, memory):
    return {"vcpus": vcpus, "memory": memory}


TWO_CELLS = {"cells": [cell(0, range(8)), cell(1, range(8, 16), distances={"0": 20, "1": 10})], "notes": []}


def plain(*guests, host=None, **more):
    return text_map(TWO_CELLS if host is None else host, list(guests), **more)


def test_small_host_cpu_by_cpu():
    lines = plain(
        guest("db1", "0-7", pins={"0": "0", "1": "1"}, memory=bound(0)),
        guest("web1", "0-7", memory=bound(0)),
        guest("web2", "8-15", vcpus=1, memory=bound(1), state="shut off"),
    )
    assert lines == [
        "┌─ cell 0 ── CPUs 0-7 ── 2 GiB ── distance 20 to cell 1",
        "│  CPU   0 1 2 3 4 5 6 7",
        "│  db1   0 1 . . . . . .  2 vCPUs, 32 MiB strict",
        "└  web1  * * * * * * * *  2 vCPUs, 32 MiB strict",
        "┌─ cell 1 ── CPUs 8-15 ── 2 GiB ── distance 20 to cell 0",
        "│  CPU    8  9 10 11 12 13 14 15",
        "└  web2   *  *  *  *  *  *  *  *  shut off, 1 vCPU, 32 MiB strict",
        "key  * any vCPU of the guest   a number - that vCPU only   . none",
    ]


def test_empty_host_has_no_key():
    assert plain() == [
        "┌─ cell 0 ── CPUs 0-7 ── 2 GiB ── distance 20 to cell 1",
        "└  no guest",
        "┌─ cell 1 ── CPUs 8-15 ── 2 GiB ── distance 20 to cell 0",
        "└  no guest",
    ]


def test_guest_across_cells_is_in_both_and_says_so():
    lines = plain(guest("wide", "6-9", memory=bound(0, 1)))
    assert "└  wide  . . . . . . * *  2 vCPUs, 32 MiB strict on cells 0-1, also cell 1" in lines
    assert lines[5:7] == [
        "│  wide   *  *  .  .  .  .  .  .  2 vCPUs, 32 MiB strict on cells 0-1, also",
        "└                                 cell 0",
    ]


def test_running_guest_is_drawn_where_it_is_and_not_where_it_should_be():
    lines = plain(guest("web1", "0-7", memory=bound(0), actual=actual({"0": "8", "1": "9"}, {"0": 4096, "1": 0})))
    assert lines[:3] == [
        "┌─ cell 0 ── CPUs 0-7 ── 2 GiB ── distance 20 to cell 1",
        "│  CPU   0 1 2 3 4 5 6 7",
        "└  web1  . . . . . . . .  2 vCPUs, 4 MiB here, also cell 1",
    ]
    assert "└  web1   0  1  .  .  .  .  .  .  2 vCPUs, no memory here" in lines


def test_memory_that_is_not_known_comes_from_the_definition():
    assert "└  a  * . . . . . . .  1 vCPU, 32 MiB not bound" in [
        line.replace("  a    ", "  a  ") for line in plain(guest("a", "0", vcpus=1, actual=actual({"0": "0"}, None)))
    ]


@pytest.mark.parametrize(
    ("memory", "memnodes", "said"),
    [
        (None, {}, "32 MiB not bound"),
        (bound(mode="strict", automatic=True), {}, "32 MiB where numad chooses"),
        (bound(1, mode="preferred"), {}, "32 MiB preferred on cell 1"),
        (None, {"0": bound(0), "1": None}, "32 MiB strict"),
    ],
)
def test_memory_in_words(memory, memnodes, said):
    assert plain(guest("a", "0-7", memory=memory, memnodes=memnodes))[2].endswith(f"2 vCPUs, {said}")


def test_guests_that_may_run_anywhere():
    lines = plain(
        guest("free"),
        guest("whole", "0-15", memory=bound(1)),
        guest("seen", actual=actual({"0": "0-15"}, {"1": 2048, "0": 1024, "2": 0})),
    )
    assert lines[4:] == [
        "┌─ not restricted to CPUs",
        "│  free   2 vCPUs, 32 MiB not bound",
        "│  whole  2 vCPUs, 32 MiB strict on cell 1",
        "└  seen   1 vCPU, 1 MiB on cell 0, 2 MiB on cell 1",
    ]


def test_one_pinned_vcpu_of_a_guest_that_is_free_otherwise():
    lines = plain(guest("half", pins={"0": "3"}))
    assert "└  half  1 1 1 * 1 1 1 1  2 vCPUs, 32 MiB not bound, also cell 1" in lines


def test_cpus_that_no_cell_has():
    assert plain(guest("lost", "98-99"))[4:] == ["┌─ on CPUs that no cell has", "└  lost  CPUs 98-99"]


def test_several_vcpus_on_one_cpu():
    lines = plain(guest("a", vcpus=40, pins={str(each): "0" if each < 4 or each % 2 else "1" for each in range(40)}))
    assert lines[2].startswith("└  a    +") and "+ several vCPUs" in lines[-1]
    lines = plain(guest("a", vcpus=4, pins={"0": "0", "1": "0", "2": "1", "3": "2"}))
    assert lines[1:3] == [
        "│  CPU    0 1 2 3 4 5 6 7",
        "└  a    0-1 2 3 . . . . .  4 vCPUs, 32 MiB not bound",
    ]


def test_memory_only_and_cpu_only_cells():
    host = {"cells": [cell(0, range(2), total=0, distances={}), cell(1, [], free=1024, distances={"0": 17, "1": 10})]}
    assert plain(guest("a", "0", memory=bound(1)), host=host) == [
        "┌─ cell 0 ── CPUs 0-1 ── no memory reported",
        "│  CPU  0 1",
        "└  a    * .  2 vCPUs, 32 MiB strict on cell 1",
        "┌─ cell 1 ── no CPUs ── 2 GiB, 1 MiB free ── distance 17 to cell 0",
        "└  a      2 vCPUs, 32 MiB strict, also cell 0",
        "key  * any vCPU of the guest   . none",
    ]


def test_huge_pages_where_there_are_any():
    pools = [
        {"size": 2048, "total": 16, "free": 3},
        {"size": 1048576, "total": 0, "free": 0},
        {"size": 1048576, "total": 1, "free": None},
    ]
    host = {"cells": [cell(0, range(2), pools=pools)]}
    assert plain(host=host)[1] == "│  16 huge pages of 2 MiB, 3 free; 1 huge pages of 1 GiB"


def test_large_host_shares_columns():
    distances = [{str(to): 10 if to == at else 21 if to // 2 == at // 2 else 31 for to in range(4)} for at in range(4)]
    host = {
        "cells": [
            cell(at, range(at * 64, at * 64 + 64), total=128 << 20, free=100 << 20, distances=distances[at])
            for at in range(4)
        ]
    }
    guests = [guest(f"guest-{at}", f"{at * 64}-{at * 64 + 63}", vcpus=16, memory=bound(at)) for at in range(4)]
    guests.append(guest("db", pins={"0": "64", "1": "65-66"}))
    assert text_map(host, guests) == [
        "┌─ cell 0 ── CPUs 0-63 ── 128 GiB, 100 GiB free",
        "│  distance 21 to cell 1, 31 to cells 2-3",
        "│  CPU      0-63",
        "└  guest-0     *  16 vCPUs, 32 MiB strict",
        "┌─ cell 1 ── CPUs 64-127 ── 128 GiB, 100 GiB free",
        "│  distance 21 to cell 0, 31 to cells 2-3",
        "│  CPU      64 65-66 67-127",
        "│  guest-1   *     *      *  16 vCPUs, 32 MiB strict",
        "└  db        0     1      .  2 vCPUs, 32 MiB not bound",
        "┌─ cell 2 ── CPUs 128-191 ── 128 GiB, 100 GiB free",
        "│  distance 21 to cell 3, 31 to cells 0-1",
        "│  CPU      128-191",
        "└  guest-2        *  16 vCPUs, 32 MiB strict",
        "┌─ cell 3 ── CPUs 192-255 ── 128 GiB, 100 GiB free",
        "│  distance 21 to cell 2, 31 to cells 0-1",
        "│  CPU      192-255",
        "└  guest-3        *  16 vCPUs, 32 MiB strict",
        "key  * any vCPU of the guest   a number - that vCPU only   . none",
    ]


def test_many_pins_wrap_and_rows_without_news_are_left_out():
    host = {"cells": [cell(0, [*range(64), *range(128, 192)])]}
    lines = text_map(
        host,
        [
            guest("db", vcpus=32, pins={str(each): str(2 * each) for each in range(32)}, memory=bound(0)),
            guest("first", "0-1", memory=bound(0)),
        ],
    )
    assert max(map(len, lines)) <= WIDTH
    assert sum(line.startswith("│  CPU") for line in lines) > 1
    assert sum("first" in line for line in lines) == 1
    assert sum("32 vCPUs" in line for line in lines) == 1
    assert [line for line in lines if not line.startswith("key")][-1].startswith("└  db")
    assert not any("128-191" in line for line in lines[1:]), "a part of the cell where nothing is"


def test_cpus_numbered_in_turn_over_the_cells():
    host = {"cells": [cell(at, range(at, 128, 2), distances={}) for at in (0, 1)]}
    lines = text_map(host, [guest("a", "0,2,4,6,8,10,12,14")])
    assert lines[:2] == ["┌─ cell 0 ── 64 CPUs 0..126 ── 2 GiB", "│  CPU  0..14 16..126"]
    assert lines[2].startswith("└  a        *       .  2 vCPUs")
    assert lines[-1] == "key  a..b - all CPUs of this cell from a to b"


def test_long_names_keep_their_ends_and_every_width_is_kept():
    guests = [guest(f"guest-with-a-rather-long-name-{at}", "0-3,8-11", memory=bound(0, 1)) for at in (1, 2)]
    for width in (60, 78, 100):
        lines = plain(*guests, width=width)
        assert max(map(len, lines)) <= width
        assert any("guest-with-…long-name-2" in line for line in lines)


def test_the_key_wraps():
    lines = plain(
        guest("a", vcpus=40, pins={str(each): "0" if each < 4 or each % 2 else "1" for each in range(40)}),
        guest("b", "3"),
        guest("c", pins={"0": "4", "1": "5"}),
        width=60,
    )
    assert lines[-2:] == [
        "key  * any vCPU of the guest   a number - that vCPU only",
        "key  + several vCPUs   . none",
    ]


def test_notes_come_last_without_what_yaml_would_quote():
    host = {**TWO_CELLS, "notes": ["the driver reports no distances: 10 local"]}
    assert plain(host=host)[-1] == "note - the driver reports no distances, 10 local"


def test_no_line_starts_with_a_blank_or_ends_with_one():
    for line in plain(guest("wide", "6-9", memory=bound(0, 1)), guest("free")):
        assert line == line.strip() and ": " not in line and " #" not in line


@pytest.mark.parametrize(
    ("kib", "text"),
    [
        (0, "0 KiB"),
        (100, "100 KiB"),
        (32768, "32 MiB"),
        (3985000, "3.8 GiB"),
        (2097152, "2 GiB"),
        (3 << 40, "3072 TiB"),
    ],
)
def test_sizes(kib, text):
    assert human(kib) == text


def test_what_is_no_result_of_the_modules_is_refused():
    with pytest.raises(InputError, match="there are no cells in it"):
        text_map({}, [])
    with pytest.raises(InputError, match="none of the cells of numa_cell_info"):
        text_map({"cells": [{"id": 0}]}, [])
    with pytest.raises(InputError, match="none of the domains of numa_domain_info"):
        text_map(TWO_CELLS, [{"name": "a"}])
    with pytest.raises(InputError, match="too narrow"):
        text_map(TWO_CELLS, [], 59)


def found(code, severity, cells=(), cpus=None, domain=None, remedy="restart it", message="web1 is wrong: here"):
    return {
        "code": code,
        "severity": severity,
        "domain": domain,
        "others": [],
        "cells": list(cells),
        "cpus": cpus,
        "message": message,
        "fix": "restart",
        "remedy": remedy,
    }


def test_findings_are_marked_in_their_cells_and_listed_at_the_end():
    findings = [
        found("memory_remote", "warning", [0, 1], domain="web1"),
        found("cpu_missing", "error", cpus="99", remedy=""),
        found("cpu_offline", "error", cpus="9-10"),
        found("cpuset_ignored", "info"),
    ]
    lines = plain(guest("web1", "0-7", memory=bound(0)), findings=findings)
    assert lines == [
        "┌─ cell 0 ── CPUs 0-7 ── 2 GiB ── distance 20 to cell 1",
        "│  CPU   0 1 2 3 4 5 6 7",
        "│  web1  * * * * * * * *  2 vCPUs, 32 MiB strict",
        "└  findings W3",
        "┌─ cell 1 ── CPUs 8-15 ── 2 GiB ── distance 20 to cell 0",
        "│  no guest",
        "└  findings E2 W3",
        "┌─ findings",
        "│  E1  error cpu_missing - web1 is wrong, here",
        "│  E2  error cpu_offline - web1 is wrong, here - fix (restart) restart it",
        "│  W3  warning memory_remote - web1 is wrong, here - fix (restart) restart it",
        "└  I4  info cpuset_ignored - web1 is wrong, here - fix (restart) restart it",
        "key  * any vCPU of the guest",
    ]


def test_findings_keep_the_width_and_are_read_like_the_rest():
    many = [found("memory_remote", "warning", [0], message="long " * 40) for _number in range(40)]
    lines = plain(guest("a", "0"), findings=many)
    assert max(map(len, lines)) <= WIDTH
    assert not [line for line in lines if ": " in line or " #" in line or line != line.strip()]
    assert plain(guest("a", "0"), findings=[]) == plain(guest("a", "0"))
    with pytest.raises(InputError, match="none of the findings of numa_domain_info"):
        plain(findings=[{}])


def test_what_is_set_apart():
    host = {
        "cells": [cell(0, range(4)), cell(1, range(4, 8)), cell(8, ())],
        "isolated_cpus": "2-3,6",
        "nohz_full_cpus": "6",
        "other_slices": [{"name": "dpdk.slice", "cpuset": "7"}, {"name": "", "cpuset": "5"}],
    }
    lines = text_map(host, [], reserved_cells=[8])
    assert [line for line in lines if line.startswith("│")] == [
        "│  isolated 2-3",
        "│  isolated 6; nohz_full 6; dpdk.slice 7; another control group 5",
        "│  kept out",
    ]
    none = {"cells": host["cells"], "isolated_cpus": None, "nohz_full_cpus": "", "other_slices": []}
    assert text_map(none, []) == text_map({"cells": host["cells"]}, [])


def test_what_is_claimed_and_that_a_host_was_taken_out():
    cells = [cell(0, range(4)), cell(1, range(4, 8))]
    claims = [{"name": "db1", "cpuset": "2-5"}, {"name": "x\n" * 40, "cpuset": "7"}]
    state = {"state": "out", "who": "ops@deploy1", "reason": "a\nfan", "since": "2026-01-01T12:00:00Z"}
    lines = text_map({"cells": cells, "claims": claims, "host_state": state}, [])
    assert "│  claimed for db1 2-3" in lines
    assert [line for line in lines if line.startswith("│  claimed for db1 4-5; claimed for x\\nx\\n")]
    assert "note - out, takes no new guests, ops@deploy1, 2026-01-01T12:00:00Z, a\\nfan" in " ".join(lines)
    for host_state in ({"state": "in", "who": None}, {}, None):
        without = {"cells": cells, "claims": None, "host_state": host_state}
        assert text_map(without, []) == text_map({"cells": cells}, [])
    assert "note - draining, takes no new guests" in text_map({"cells": cells, "host_state": {"state": "draining"}}, [])


@pytest.mark.parametrize(
    ("results", "reserved"),
    [
        ({"claims": "db1"}, ()),
        ({"claims": [{"name": "db1"}]}, ()),
        ({"host_state": "out"}, ()),
        ({"isolated_cpus": "x"}, ()),
        ({"nohz_full_cpus": 1.5}, ()),
        ({"other_slices": "dpdk.slice"}, ()),
        ({"other_slices": [{"name": "dpdk.slice"}]}, ()),
        ({}, "8"),
        ({}, ["x"]),
    ],
)
def test_what_is_set_apart_is_read_with_care(results, reserved):
    with pytest.raises(InputError, match="this is none of the "):
        text_map({"cells": [cell(0, range(4))], **results}, [], reserved_cells=reserved)
