# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that no plan could meet, and what is said of guests that do not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.check import check_request
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import plan_as_result
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    applied,
    cpus,
    host,
    pinned,
)

A = Request("a", 2, GIB)
OWN = replace(A, policy="dedicated")
NOT_OWN = "a guest with policy pack has no CPUs of its own; give policy=dedicated, or leave it out"
FITS = "8 vCPUs with 1048576 KiB would fit on cell 0"
NOTHING = "nothing of its kind fits there now"
FITS_2 = "2 vCPUs with 16777216 KiB would fit on cell 1"
MIRROR = replace(A, policy="mirror")


def bare() -> Host:
    """Two cells, and a third with a device and without CPUs."""
    it = host(2, devices=((1, "nic"),))
    lender = replace(host(3, devices=((2, "gpu"),)).cells[2], cpus=EMPTY, cores=())
    return replace(it, cells=(*it.cells, lender))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (replace(A, policy="best"), "policy: 'best': is not known; choose among pack, spread, dedicated, mirror"),
        (replace(OWN, smt="yes"), "smt: 'yes': is not known; choose among prefer, require, isolate"),
        (replace(A, device_rule="no"), "devices: 'no': is not known; choose among require, prefer, ignore"),
        (replace(OWN, emulator="own"), "emulator: 'own': is not known; give share, isolate or a CPU set"),
        (replace(A, vcpus=0), "vcpus: 0: is less than 1; give 1 or more"),
        (replace(A, memory=0), "memory: 0: is less than 1; give 1 or more"),
        (replace(MIRROR, width=0), "width: 0: is less than 1; give 1 or more"),
        (replace(A, cpu_ratio=0), "cpu_ratio: 0: is not a ratio; give a number above 0, such as 4"),
        (
            replace(A, smt="isolate"),
            "smt: 'isolate': " + NOT_OWN,
        ),
        (
            replace(A, emulator="isolate"),
            "emulator: 'isolate': " + NOT_OWN,
        ),
        (replace(A, other_pages=((2048, 0),)), "memory: 0: is less than 1; give 1 or more"),
        (replace(A, width=2), "width: is not for policy pack; give policy=mirror"),
        (replace(A, own_cpus=True), "own_cpus: is not for policy pack; give policy=mirror"),
        (
            replace(A, guest_cells=(GuestCell(cpus("0-1"), GIB),)),
            "guest_cells: is not for policy pack; give policy=mirror",
        ),
        (
            replace(MIRROR, guest_cells=(GuestCell(cpus("0"), GIB),)),
            "guest_cells: its cells have the vCPUs 0; give each of 0-1 once",
        ),
        (
            replace(MIRROR, guest_cells=(GuestCell(cpus("0-1"), 5),)),
            "guest_cells: its cells have 5 KiB and the guest 1048576; give all of its memory to its cells",
        ),
        (
            replace(MIRROR, guest_cells=(GuestCell(cpus("0-1"), GIB),), width=2),
            "width: 2: the guest has 1 cells; leave it out",
        ),
        (
            replace(MIRROR, width=2, together="t"),
            "width: 2: its group t shares one cell; leave the group out",
        ),
        (replace(MIRROR, width=3), "width: 3: the guest has 2 vCPUs; a cell needs one vCPU at least"),
        (
            replace(MIRROR, cells=cpus("0-1"), vcpus=1),
            "cells: '0-1': the guest has 1 vCPUs; a cell needs one vCPU at least",
        ),
        (
            replace(MIRROR, cells=cpus("0-1"), together="t"),
            "cells: '0-1': its group t shares one cell; leave the group out",
        ),
        (
            replace(MIRROR, guest_cells=(GuestCell(cpus("0-1"), GIB - 1), GuestCell(EMPTY, 1))),
            "guest_cells: its cell 1 has no vCPU; give each cell a vCPU at least, or another policy",
        ),
        (replace(MIRROR, width=2, memory=1), "width: 2: the guest has 1 KiB; a cell needs 1 KiB at least"),
        (
            replace(MIRROR, width=3, vcpus=3),
            "width: 3: its cells need a host cell with CPUs each, and those it may use are 0-1; ask for fewer cells",
        ),
        (
            replace(MIRROR, cells=cpus("1-2")),
            "cells: '1-2': its cells need a host cell with CPUs each, and those it may use are 1; ask for fewer cells",
        ),
        (
            replace(MIRROR, width=2, cells=cpus("1")),
            "width: 2: its cells need a host cell each, and it may use 1; give more cells",
        ),
        (replace(A, cells=cpus("1,7")), "cells: '1,7': the host has no cell 7; its cells are 0-2"),
        (replace(A, cells=EMPTY), "cells: names no cell; its cells are 0-2"),
        (replace(A, cells=cpus("2")), "cells: '2': none of these cells has CPUs; cells with CPUs are 0-1"),
        (
            replace(OWN, emulator=cpus("3,99")),
            "emulator: '3,99': CPU 99 is offline or does not exist; its CPUs are 0-15",
        ),
        (replace(OWN, emulator=EMPTY), "emulator: names no CPU; its CPUs are 0-15"),
        (
            replace(A, page_size=2048),
            "its huge pages of 2048 KiB are not there; the host has none at all",
        ),
        (
            replace(A, devices=("usb",), device_rule="require"),
            "devices: 'usb': the host names no cell for this device; give devices=prefer or ignore, or another device",
        ),
        (
            replace(A, devices=("nic",), device_rule="require", cells=cpus("0")),
            "devices: 'require': its device is on cell 1, and cells is 0; add cell 1, or prefer",
        ),
        (
            replace(A, devices=("gpu",), device_rule="require"),
            "devices: 'require': its device is on cell 2, which has no CPUs; give devices=prefer",
        ),
    ],
)
def test_a_request_that_cannot_be(request_: Request, message: str) -> None:
    with pytest.raises(InputError) as error:
        plan(bare(), [request_])
    assert str(error.value).replace("domains[a]: ", "domains[a].") == "domains[a]." + message


def test_devices_of_two_cells_are_not_for_a_group_of_one() -> None:
    it = host(2, devices=((0, "gpu"), (1, "nic")))
    both = replace(A, devices=("gpu", "nic"), device_rule="require", together="t")
    with pytest.raises(InputError, match=r"its devices are on cells 0-1, and its group t shares one cell"):
        plan(it, [both])


def test_whole_cores_are_not_for_hosts_without_threads() -> None:
    with pytest.raises(InputError, match=r"domains\[a\].smt: 'require': no core of this host has two threads"):
        plan(host(2, 4, 1), [replace(OWN, smt="require")])


def test_sizes_of_huge_pages_are_named() -> None:
    with pytest.raises(InputError, match="sizes with pages are 1048576"):
        plan(host(pages=2), [replace(A, page_size=2048)])


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (Rules(reserved_cpus=cpus("15-17")), "reserved_cpus: '15-17': the host has no CPU 16-17; its CPUs are 0-15"),
        (Rules(shared_cpus=cpus("16")), "shared_cpus: '16': the host has no CPU 16; its CPUs are 0-15"),
        (
            Rules(shared_cpus=cpus("0-3"), dedicated_cpus=cpus("3-5")),
            "dedicated_cpus: '3-5': CPU 3 is in shared_cpus too; name each CPU in one of them",
        ),
        (
            Rules(shared_cpus=cpus("0-3"), reserved_cpus=cpus("0")),
            "shared_cpus: '0-3': CPU 0 is in reserved_cpus too; name each CPU in one of them",
        ),
        (Rules(cpu_ratio=0), "cpu_ratio: 0: is not a ratio; give a number above 0, such as 4"),
        (Rules(reserved_memory=((5, 1),)), "reserved_memory: 5: the host has no cell 5; its cells are 0-1"),
        (Rules(reserved_memory=((1, -1),)), "reserved_memory: -1: is less than nothing on cell 1; give 0 or more"),
        (
            Rules(reserved_memory=((1, 17 * GIB),)),
            f"reserved_memory: {17 * GIB}: cell 1 has {16 * GIB} KiB; give {16 * GIB} or less",
        ),
        (Rules(reserved_pages=((5, GIB, 1),)), "reserved_pages: 5: the host has no cell 5; its cells are 0-1"),
        (
            Rules(reserved_pages=((0, GIB, 3),)),
            "reserved_pages: 3: cell 0 has 2 pages of 1048576 KiB; give 2 or less",
        ),
    ],
)
def test_rules_that_cannot_be(rules: Rules, message: str) -> None:
    with pytest.raises(InputError) as error:
        plan(host(pages=2), [A], rules=rules)
    assert str(error.value) == message


def test_reserving_is_not_checked_where_memory_is_unknown() -> None:
    it = Host("test", (Cell(0, cpus("0-3"), 0, distances=((0, 10),)),), cpus("0-3"), cpus("0-3"), implied_cell=True)
    assert plan(it, [A], rules=Rules(reserved_memory=((0, GIB),))).placements


def test_names_are_unique() -> None:
    with pytest.raises(InputError, match="domains: 'a': is named twice; name each domain once"):
        plan(host(), [A, A])
    with pytest.raises(InputError, match="existing domains: 'x': is named twice"):
        plan(host(), [A], [pinned("x", 1, "0"), pinned("x", 1, "0")])


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            replace(OWN, vcpus=20),
            f"domains[a].vcpus: 20: CPUs for 16 are all that cells 0-1 can give; {FITS}",
        ),
        (
            replace(OWN, vcpus=20, smt="require"),
            f"domains[a].vcpus: 20: CPUs in whole cores for 16 are all that cells 0-1 can give; {FITS}",
        ),
        (
            replace(A, memory=40 * GIB, cells=cpus("1")),
            f"domains[a].memory: {40 << 20}: {16 << 20} KiB are all that guests can have on cell 1; {FITS_2}",
        ),
        (
            replace(
                MIRROR, vcpus=16, guest_cells=(GuestCell(cpus("0-11"), GIB // 2), GuestCell(cpus("12-15"), GIB // 2))
            ),
            f"domains[a]: no set of cells of this host holds it, even without other guests; {FITS}",
        ),
    ],
)
def test_a_guest_larger_than_the_host(request_: Request, message: str) -> None:
    with pytest.raises(InputError) as error:
        plan(host(), [request_])
    assert str(error.value) == message


def test_more_moves_than_allowed() -> None:
    requests = [replace(OWN, name=name) for name in "ab"]
    there = applied(requests, plan(host(), requests, rules=Rules(reserved_cpus=cpus("8-15"))))
    away = Rules(reserved_cpus=cpus("0-7"))
    assert [each.action for each in plan(host(), requests, there, away).placements] == ["move", "move"]
    with pytest.raises(InputError) as error:
        plan(host(), requests, there, away, Options(max_moves=1))
    assert str(error.value) == "max_moves: 1: 2 moves are needed: a, b; give 2 or more"
    with pytest.raises(InputError, match="max_moves: -1: is not a number of moves; give 0 or more"):
        plan(host(), [], options=Options(max_moves=-1))


def test_an_emulator_is_not_sent_to_a_cpu_of_another() -> None:
    owner = Request("o", 2, GIB, "dedicated")
    there = applied([owner], plan(host(), [owner]))
    with pytest.raises(InputError, match=r"domains\[a\].emulator: '0': CPU 0 belongs to o; give other CPUs"):
        plan(host(), [replace(OWN, emulator=cpus("0"))], there)


def rejected(found: object) -> tuple[object, ...]:
    (each,) = found.rejections  # type: ignore[attr-defined]
    return (each.constraint, each.cell, each.needed, each.available, each.unit, each.nearest)


def test_rejections_say_what_is_missing_and_what_would_fit() -> None:
    busy = [pinned("x", 6, "0-5", 2), pinned("y", 7, "8-14", 14)]
    found = plan(host(), [replace(OWN, vcpus=4)], busy)
    assert rejected(found) == ("cpus", 0, 4, 3, "CPUs", {"cell": 0, "vcpus": 2, "memory": GIB})
    assert found.rejections[0].message == (
        "a: needs 4 CPUs, and cells 0-1 have 3, at most 2 on cell 0; 2 vCPUs with 1048576 KiB would fit on cell 0"
    )
    assert plan_as_result(found)["rejections"][0]["nearest"] == {"cell": 0, "vcpus": 2, "memory": GIB}
    one = plan(host(), [replace(OWN, vcpus=4, cells=cpus("0"))], busy)
    assert one.rejections[0].message == (
        "a: needs 4 CPUs, and cell 0 has 2; 2 vCPUs with 1048576 KiB would fit on cell 0"
    )
    isolate = plan(host(), [replace(OWN, vcpus=2, smt="isolate")], busy)
    assert rejected(isolate)[:5] == ("cores", 0, 2, 1, "cores")
    require = plan(host(), [replace(OWN, vcpus=4, smt="require")], busy)
    assert rejected(require)[:5] == ("cores", 0, 4, 2, "CPUs")
    memory = plan(host(), [replace(A, memory=17 * GIB)], busy)
    assert rejected(memory)[:5] == ("memory", 0, 17 * GIB, 16 * GIB, "KiB")
    group = plan(host(), [replace(A, memory=15 * GIB, together="t")], busy)
    assert rejected(group)[0] == "together"


def test_rejections_for_pages_and_for_parts() -> None:
    it = host(2, pages=(4, 2))
    pages = plan(it, [replace(A, memory=6 * GIB, page_size=GIB)], [pinned("x", 1, "0", 3, page_size=GIB)])
    assert rejected(pages)[:5] == ("huge_pages", 1, 6, 3, "pages")
    parts = plan(host(3), [replace(MIRROR, vcpus=12, width=2)], [pinned("x", 4, "0-3"), pinned("y", 4, "8-11")])
    assert rejected(parts)[:5] == ("cpus_and_memory", 2, 0, 1, "cells") or rejected(parts)[0] == "cpus_and_memory"
    apart = plan(it, [replace(A, name=name, apart="g") for name in "abc"])
    assert apart.rejections[0].message == "c: group g leaves it no cell, and cells 0-1 would hold it; " + NOTHING
    first = replace(A, name="t0", cells=cpus("0"), together="t")
    there = applied([first], plan(it, [first]))
    outside = plan(it, [replace(A, cells=cpus("1"), together="t")], there)
    assert outside.rejections[0].message == "a: group t leaves it no cell, and cell 1 would hold it; " + NOTHING


def test_early_memory_needs_a_cpu_of_its_cell() -> None:
    full = [pinned("x", 8, "0-7", 1), pinned("y", 2, "8-9", 15)]
    late = plan(host(), [replace(A, memory=8 * GIB)], full)
    assert str(late.placements[0].memory_cells) == "0-1" and str(late.placements[0].cells) == "0-1"
    early = plan(host(), [replace(A, memory=8 * GIB, binds_early=True)], full)
    assert rejected(early)[0] == "cpus_and_memory"


def test_two_large_cells_do_not_lie_on_one() -> None:
    sizes = (10, 10, 1)
    cells = tuple(GuestCell(cpus(str(number)), size * GIB) for number, size in enumerate(sizes))
    wide = Request("m", 3, 21 * GIB, "mirror", guest_cells=cells)
    with pytest.raises(InputError, match="no set of cells of this host holds it, even without other guests"):
        plan(host(3, memory=(16, 4, 4)), [wide])


@pytest.mark.parametrize(
    ("never", "constraint", "message"),
    [
        (Request("z", 40, GIB), "cpus", "z: needs 40 CPUs, and cells 0-2 have 16, at most 8 on cell 0; 8 vCPUs with "),
        (Request("z", 1, 99 * GIB), "memory", "z: needs 103809024 KiB, and cells 0-2 have 50331648, at most "),
        (
            replace(A, name="z", page_size=2048),
            "host",
            "z: its huge pages of 2048 KiB are not there; ",
        ),
        (replace(MIRROR, name="z", width=3), "host", "z: width: 3: the guest has 2 vCPUs; a cell needs one vCPU at "),
        (replace(A, name="z", cells=cpus("2")), "host", "z: cells: '2': none of these cells has CPUs; cells with "),
        (replace(OWN, name="z", emulator=cpus("1")), "host", "z: emulator: '1': CPU 1 belongs to o; give other CPUs"),
    ],
)
def test_a_guest_that_can_never_fit_stands_in_no_others_way(never: Request, constraint: str, message: str) -> None:
    group = [replace(A, name=name, together="t") for name in "bc"]
    owner = replace(OWN, name="o")
    there = applied([owner], plan(bare(), [owner]))
    requests = [A, *group, never if never.policy == "mirror" else replace(never, together="t")]
    found = plan(bare(), requests, there, options=Options(partial=True))
    assert [(each.name, each.constraint) for each in found.rejections] == [("z", constraint)]
    assert found.rejections[0].message.startswith(message)
    alone = plan(bare(), [A, *group], there)
    assert found.placements == alone.placements and found.bound == alone.bound
    with pytest.raises(InputError):
        plan(bare(), requests, there)


def test_a_request_is_checked_without_a_plan() -> None:
    check_request(bare(), A)
    for request in (replace(A, cells=cpus("7")), replace(A, page_size=2048)):
        with pytest.raises(InputError):
            check_request(bare(), request)


def test_a_word_that_is_not_known_is_an_error_all_the_same() -> None:
    for request in (replace(A, policy="best"), replace(A, cells=cpus("7")), replace(OWN, emulator=cpus("99"))):
        with pytest.raises(InputError):
            plan(bare(), [request], options=Options(partial=True))
