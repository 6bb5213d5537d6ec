# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Isolated CPUs, CPUs of other control groups, and cells that guests are kept out of.

The host: cells 0 and 1 with CPUs 0-7 and 8-15, threads 0-1, 2-3, …
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Plan, plan_as_result
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host, KernelCpus, Partition
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    actions,
    applied,
    cpus,
    host,
    pinned,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.test_properties import Case, cases
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

SHARED = Request("web", 2, GIB)
OWN = Request("db", 2, GIB, "dedicated")


def kernel(isolated: str = "", it: Host | None = None, **partitions: str) -> Host:
    """A host whose kernel was told something."""
    groups = tuple(Partition(name, cpus(text)) for name, text in partitions.items())
    return replace(it or host(), kernel=KernelCpus(cpus(isolated) if isolated else EMPTY, EMPTY, groups))


def gpu() -> Host:
    """A third cell with memory only."""
    it = host(2, memory=4)
    return replace(it, cells=(*it.cells, Cell(8, EMPTY, 64 * GIB, distances=((0, 80), (1, 80), (8, 10)))))


def where(found: Plan) -> dict[str, str]:
    assert not found.rejections
    return {each.name: str(each.cpuset) for each in found.placements}


def notes(found: Plan) -> list[str]:
    return [each.message for each in found.notes]


# --- isolated CPUs ---------------------------------------------------------------------------------------------------


def test_isolated_cpus_are_for_guests_with_cpus_of_their_own() -> None:
    found = plan(kernel("4-7"), [SHARED, OWN])
    assert where(found) == {"web": "0-3", "db": "4-5"}
    assert [str(each.shared) for each in found.after] == ["0-3", "8-15"]
    assert notes(found) == []


def test_a_guest_that_shares_goes_where_cpus_are_shared() -> None:
    it = kernel("0-7")
    assert where(plan(it, [SHARED, OWN])) == {"web": "8-15", "db": "0-1"}
    # Its emulator, too, is kept off isolated CPUs.
    (db,) = plan(it, [OWN]).placements
    assert db.emulator == cpus("8-15")


def test_without_isolated_cpus_each_is_whose_it_is_given_first() -> None:
    assert where(plan(kernel(), [OWN])) == where(plan(host(), [OWN])) == {"db": "0-1"}
    # Nor where all of them are reserved, or offline.
    assert where(plan(kernel("0-1"), [OWN], rules=Rules(reserved_cpus=cpus("0-1")))) == {"db": "2-3"}
    assert where(plan(kernel("90-91"), [OWN])) == {"db": "0-1"}


@pytest.mark.parametrize(
    ("rules", "web", "db", "said"),
    [
        (
            Rules(shared_cpus=cpus("0-5")), "0-5", "6-7",
            ["shared_cpus: CPUs 4-5 are isolated: the kernel does not balance the guests that share them"],
        ),
        (Rules(shared_cpus=cpus("0-3,8-11")), "0-3", "4-5", []),
        (Rules(dedicated_cpus=cpus("4-7")), "0-3", "4-5", []),
        (
            Rules(dedicated_cpus=cpus("2-5")), "0-1", "2-3",
            ["CPUs 6-7 are isolated, and not in dedicated_cpus: no guest gets them unless shared_cpus names them"],
        ),
        (
            Rules(shared_cpus=cpus("4-7"), dedicated_cpus=cpus("0-3")), "4-7", "0-1",
            ["shared_cpus: CPUs 4-7 are isolated: the kernel does not balance the guests that share them"],
        ),
    ],
)  # fmt: skip
def test_options_say_otherwise(rules: Rules, web: str, db: str, said: list[str]) -> None:
    found = plan(kernel("4-7"), [replace(SHARED, cells=cpus("0")), OWN], rules=rules)
    assert (where(found), notes(found)) == ({"web": web, "db": db}, said)


def test_guests_that_do_not_fit_are_told_why() -> None:
    it, big = kernel("2-15"), replace(SHARED, vcpus=3)
    with pytest.raises(InputError, match=r"CPUs for 2 are all that cells 0-1 can give beside isolated CPUs 2-15 \(sh"):
        plan(it, [big])
    with pytest.raises(InputError, match=r"CPUs for 2 are .* can give of isolated CPUs 4-5 \(dedicated_cpus may name"):
        plan(kernel("4-5"), [replace(OWN, vcpus=3)])
    (one,) = plan(it, [big], options=Options(partial=True)).rejections
    assert "have 2, at most 2 on cell 0 beside isolated CPUs 2-15 (shared_cpus may name them)" in one.message


def test_guests_of_a_time_before_isolation() -> None:
    """One that shares leaves isolated CPUs; one with CPUs of its own keeps those it has."""
    requests = [SHARED, OWN]
    before = applied(requests, plan(host(), requests))
    assert {each.name: str(each.vcpu_cpus[0]) for each in before} == {"web": "2-7", "db": "0"}
    found = plan(kernel("4-7"), requests, before)
    assert {each.name: each.action for each in found.placements} == {"web": "repin", "db": "keep"}
    assert found.placements[1].reason.startswith("CPUs 4-7 are isolated, and not for shared guests; ")
    assert where(found) == {"web": "2-3", "db": "0-1"}
    assert not plan(kernel("4-7"), requests, applied(requests, found)).changes


def test_guests_of_others_on_isolated_cpus_weigh_on_no_shared_one() -> None:
    others = [pinned("rt", 12, "4-7")]
    found = plan(kernel("4-7"), [replace(SHARED, vcpus=4, cells=cpus("0")), replace(OWN, cells=cpus("1"))], others,
                 options=Options(partial=True))  # fmt: skip
    assert [(each.name, str(each.cpuset)) for each in found.placements] == [("web", "0-3")]
    assert found.after[0].load == 4
    assert notes(found) == []


# --- CPUs of other control groups ------------------------------------------------------------------------------------


def test_nobody_gets_cpus_of_another_slice() -> None:
    it = kernel("4-9", dpdk="0-3,99")
    requests = [SHARED, OWN, replace(SHARED, name="cell1", cells=cpus("1"))]
    found = plan(it, requests, rules=Rules(shared_cpus=cpus("0-5")), options=Options(partial=True))
    assert where(replace(found, rejections=())) == {"web": "4-5", "db": "6-7"}
    assert notes(found)[0] == "CPUs 0-3 belong to dpdk: no guest gets them"
    assert plan_as_result(found)["notes"][0]["code"] == "held"
    assert "a control group" in notes(plan(kernel("", None, **{"": "3"}), [OWN]))[0]


def test_a_guest_that_was_there_before_the_slice_gets_other_cpus() -> None:
    before = applied([OWN], plan(host(), [OWN]))
    found = plan(kernel(dpdk="0-3"), [OWN], before)
    assert found.placements[0].reason.startswith("CPUs 0-1 belong to another control group of the host; ")
    assert where(found) == {"db": "4-5"}


@pytest.mark.parametrize("threads", ["emulator", "iothreads"])
def test_an_emulator_or_io_threads_cannot_be_sent_there(threads: str) -> None:
    with pytest.raises(InputError) as error:
        plan(kernel(dpdk="0-3"), [replace(OWN, **{threads: cpus("3-4")})])
    assert error.value.message == (
        f"domains[db].{threads}: '3-4': CPU 3 belongs to another control group of the host; give other CPUs"
    )


# --- cells kept out --------------------------------------------------------------------------------------------------


def test_cells_kept_out_lend_no_memory() -> None:
    big = replace(SHARED, memory=12 * GIB)
    assert plan(gpu(), [big]).placements[0].memory_cells == cpus("0,8")
    with pytest.raises(InputError) as error:
        plan(gpu(), [big], rules=Rules(reserved_cells=cpus("8")))
    assert f"{8 * GIB} KiB are all that guests can have on cells 0-1" in error.value.message


def test_a_guest_that_names_them_may_use_them() -> None:
    big = replace(SHARED, memory=12 * GIB, cells=cpus("0,8"))
    found = plan(gpu(), [big, OWN], rules=Rules(reserved_cells=cpus("8")))
    assert [str(each.memory_cells) for each in found.placements] == ["1", "0,8"]
    assert [(each["cell"], each["kept_out"]) for each in plan_as_result(found)["after"]] == [
        (0, False), (1, False), (8, True),
    ]  # fmt: skip


def test_nobody_gets_their_cpus() -> None:
    rules = Rules(reserved_cells=cpus("0"), dedicated_cpus=cpus("4-15"))
    found = plan(host(), [SHARED, replace(OWN, cells=cpus("0"))], rules=rules, options=Options(partial=True))
    assert [(each.name, each.constraint) for each in found.rejections] == [("web", "cpus")]
    (db,) = found.placements
    assert (str(db.cpuset), str(db.emulator)) == ("4-5", "0-3")
    # No emulator is sent there either, but of a guest that is there.
    (db,) = plan(host(), [OWN], rules=rules).placements
    assert (str(db.cpuset), db.emulator) == ("8-9", None)


def test_guests_that_are_there_leave() -> None:
    before = applied([SHARED], plan(host(), [SHARED]))
    found = plan(host(), [SHARED], before, Rules(reserved_cells=cpus("0")))
    assert found.placements[0].reason.startswith("it is on cell 0, and reserved_cells keeps guests off it; ")
    assert found.moves == ("web",)
    named = [replace(SHARED, cells=cpus("0"))]
    assert not plan(host(), named, applied(named, plan(host(), named)), Rules(reserved_cells=cpus("0"))).changes


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("1-3", "reserved_cells: '1-3': the host has no cell 2-3; its cells are 0-1"),
        ("0-1", "reserved_cells: '0-1': no cell with CPUs is left for guests that name none; leave out one of 0-1"),
    ],
)
def test_cells_that_cannot_be_kept_out(cells: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        plan(host(), [SHARED], rules=Rules(reserved_cells=cpus(cells)))
    assert error.value.message == said


def test_a_device_on_a_cell_that_is_kept_out() -> None:
    it = host(2, devices=((1, "gpu"),))
    wants = replace(SHARED, devices=("gpu",), device_rule="require")
    with pytest.raises(InputError) as error:
        plan(it, [wants], rules=Rules(reserved_cells=cpus("1")))
    assert error.value.message == (
        "domains[web].devices: 'require': its device is on cell 1, which reserved_cells keeps guests off; "
        "name cell 1 in cells, or prefer"
    )
    assert where(plan(it, [replace(wants, cells=cpus("1"))], rules=Rules(reserved_cells=cpus("1")))) == {"web": "8-15"}
    assert where(plan(it, [replace(wants, device_rule="prefer")], rules=Rules(reserved_cells=cpus("1")))) == {
        "web": "0-7"
    }


# --- whatever is asked for -------------------------------------------------------------------------------------------


@settings(max_examples=examples(40))
@given(cases(5), st.data())
def test_what_is_set_apart_stays_so_and_a_second_run_changes_nothing(case: Case, data: st.DataObject) -> None:
    it, requests, rules = case
    some = st.sets(st.sampled_from(list(it.online)), max_size=6).map(CpuSet)
    isolated, held = data.draw(some), data.draw(some)
    it = replace(it, kernel=KernelCpus(isolated, EMPTY, (Partition("a.slice", held),)))
    if len(it.cells) > 1 and data.draw(st.booleans()):
        rules = replace(rules, reserved_cells=CpuSet([data.draw(st.integers(0, len(it.cells) - 1))]))
    options = Options(partial=True)
    found = plan(it, requests, rules=rules, options=options)
    wanted = {each.name: each for each in requests}
    for each in found.placements:
        assert not (each.cpuset | each.owned | (each.emulator or EMPTY)) & held
        if wanted[each.name].cells is None:
            assert not (each.cells | each.memory_cells) & rules.reserved_cells
        if not each.owned and rules.shared_cpus is None:
            assert not each.cpuset & isolated
    again = plan(it, requests, applied(requests, found), rules, options)
    assert {each.name for each in again.changes} <= {each.name for each in found.rejections}, actions(again)
