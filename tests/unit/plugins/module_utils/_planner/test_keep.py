# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who stays: guests whose place is what the request asks for, and why others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MemoryBinding, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    applied,
    cpus,
    host,
    pinned,
)

A = Request("a", 2, GIB)
OTHERS = "belong to others"
THIRDS = tuple(GuestCell(cpus(text), kib) for text, kib in (("0", GIB // 2), ("1", GIB // 4), ("2", GIB // 4)))
OWN = replace(A, policy="dedicated")
MIRROR = replace(A, policy="mirror")


def own(text: str, **more: object) -> Existing:
    """A guest whose vCPUs have one CPU each."""
    return Existing("a", tuple(cpus(cpu) for cpu in text.split()), GIB, **more)  # type: ignore[arg-type]


def lent() -> Host:
    it = host(2)
    return replace(it, cells=(*it.cells, Cell(2, EMPTY, 64 * GIB)))


def judged(request: Request, existing: Existing, rules: Rules = Rules(), it: Host | None = None) -> Placed:  # noqa: B008
    others = [
        pinned("other", 1, "14-15"),
        Existing("owner", (cpus("12"),), GIB, wish=replace(OWN, name="owner", vcpus=1)),
    ]
    found = plan(it or host(), [request], [existing, *others], rules)
    (placed,) = found.placements
    return placed


@pytest.mark.parametrize(
    ("request_", "existing", "rules"),
    [
        (A, pinned("a", 2, "0-7"), Rules()),
        (A, pinned("a", 2, "3"), Rules()),  # its own business
        (A, pinned("a", 2, "0-7", nodeset=cpus("0,2")), Rules()),  # a cell without CPUs lends memory
        (OWN, own("0 1"), Rules()),
        (OWN, own("1 8", wish=OWN), Rules()),
        (replace(OWN, emulator="isolate"), own("0 1", emulator=cpus("2")), Rules()),
        (replace(OWN, emulator=cpus("5")), own("0 1", emulator=cpus("5")), Rules()),
        (replace(OWN, smt="isolate"), own("0 2"), Rules()),
        (replace(OWN, smt="require", vcpus=3), own("2 3 4"), Rules()),
        (MIRROR, own("0 9"), Rules()),
        (replace(MIRROR, width=2), own("0 9", memnodes=((0, 0), (1, 1))), Rules()),
        (replace(A, emulator=cpus("9")), pinned("a", 2, "0-7", emulator=cpus("9")), Rules()),
        (A, pinned("a", 2, "0-3", 1, memory_on=((cpus("0"), None, GIB // 2), (cpus("1"), None, GIB // 2))), Rules()),
    ],
)
def test_a_valid_place_is_kept(request_: Request, existing: Existing, rules: Rules) -> None:
    placed = judged(request_, existing, rules, lent())
    assert (placed.action, placed.reason) == ("keep", "it has a valid place")
    assert [placed.placement().of_vcpu(vcpu) for vcpu in range(placed.vcpus)] == list(existing.vcpu_cpus)


@pytest.mark.parametrize(
    ("request_", "existing", "why"),
    [
        (A, pinned("a", 2, None), "it may run on every CPU"),
        (A, pinned("a", 2, "0,99"), "CPUs 99 are offline or do not exist"),
        (A, pinned("a", 2, "6-7"), "CPUs 7 are reserved for the host"),
        (A, pinned("a", 2, "0", nodeset=cpus("1")), "its memory is bound to cell 1, where none of its vCPUs runs"),
        (replace(A, cells=cpus("1")), pinned("a", 2, "0"), "it is on cell 0, and may use 1"),
        (
            replace(A, devices=("gpu",), device_rule="require"),
            pinned("a", 2, "0"),
            "it is not on its device's cell 1",
        ),
        (A, pinned("a", 2, "0,8"), "it is spread over cells 0-1, and one cell can hold it"),
        (A, pinned("a", 2, "11-13"), "CPUs 12 belong to owner"),
        (
            A,
            pinned("a", 2, "0", helpers=cpus("12")),
            "its emulator or IO threads may run on CPUs 12, which belong to others",
        ),
        (replace(A, emulator=cpus("9")), pinned("a", 2, "0"), "its emulator threads are not on the CPUs asked for"),
        (OWN, own("0 0"), "its vCPUs do not each have a CPU of their own"),
        (OWN, pinned("a", 2, "0-1"), "its vCPUs do not each have a CPU of their own"),
        (OWN, own("0 1 2"), "its vCPUs do not each have a CPU of their own"),
        (replace(OWN, emulator="isolate"), own("0 1"), "its vCPUs do not each have a CPU of their own"),
        (replace(OWN, emulator=cpus("5")), own("0 1"), "its emulator threads are not on the CPUs asked for"),
        (OWN, own("0 14"), "CPUs 14 are used by other guests"),
        (OWN, own("0 12"), "CPUs 12 are used by other guests"),
        (replace(OWN, smt="isolate"), own("0 1"), "two of its threads share a core"),
        (replace(OWN, smt="require"), own("0 2"), "its vCPUs do not fill whole cores"),
        (replace(MIRROR, width=1), own("0 9"), "it lies on 2 cells"),
        (replace(MIRROR, vcpus=4), own("0 1"), "its number of vCPUs has changed"),
        (replace(MIRROR, vcpus=4), own("0 9 1 10"), "the vCPUs of one of its cells run on several"),
        (
            replace(
                MIRROR, vcpus=3, guest_cells=tuple(GuestCell(cpus(str(i)), GIB // 4 * (1 + (i < 1))) for i in range(3))
            ),
            Existing("a", (cpus("0"), cpus("0"), cpus("9")), GIB),
            "it lies on 2 cells",
        ),
        (MIRROR, own("0 9", memnodes=((0, 1), (1, 0))), "its memory does not follow its vCPUs"),
    ],
)
def test_an_invalid_place_is_left_with_its_reason(request_: Request, existing: Existing, why: str) -> None:
    it = host(4, devices=((1, "gpu"),))
    placed = judged(request_, existing, Rules(reserved_cpus=cpus("7")), it)
    assert placed.action != "keep"
    assert placed.reason.startswith(why + "; "), placed.reason


def test_two_guest_cells_on_one_are_no_mirror() -> None:
    request = replace(MIRROR, vcpus=4, width=2)
    existing = Existing("a", (cpus("0"), cpus("1"), cpus("2"), cpus("9")), GIB)
    assert judged(request, existing).reason.startswith("the vCPUs of one of its cells run on several")
    wide = Existing("a", (cpus("0"), cpus("1"), cpus("2"), cpus("3"), cpus("9")), GIB)
    both = (GuestCell(cpus("0-1"), GIB // 2), GuestCell(cpus("2-3"), GIB // 2))
    assert judged(replace(request, width=None, guest_cells=both), wide).reason.startswith("two of its cells lie on one")


def test_cpus_must_be_of_the_right_kind() -> None:
    rules = Rules(shared_cpus=cpus("0-3"))
    assert judged(A, pinned("a", 2, "4"), rules).reason.startswith("CPUs 4 are not for shared guests; ")
    found = judged(OWN, own("3 4"), rules)
    assert found.reason.startswith("CPUs 3 are not for guests with CPUs of their own; ")
    assert found.action == "repin"


def test_a_wide_place_stays_where_the_plan_made_it() -> None:
    full = [pinned("x", 4, "0-7"), pinned("y", 5, "8-15")]
    request = Request("w", 7, 4 * GIB)
    first = plan(host(), [request], full)
    assert str(first.placements[0].cells) == "0-1"
    there = applied([request], first)
    assert not plan(host(), [request], [*full, *there]).changes
    # Not ours, and one cell is enough: it is no place, and stays only while there is no better one.
    found = plan(host(), [request], [*full, *[replace(each, wish=None) for each in there]])
    assert not found.changes and found.placements[0].reason.startswith("it is spread over cells 0-1, and one cell")
    alone = plan(host(), [request], [replace(each, wish=None) for each in there])
    assert [str(each.cells) for each in alone.changes] == ["0"]
    # Wider than any cell: it could be no other way.
    wide = pinned("w", 12, "0-15")
    assert not plan(host(4), [replace(request, vcpus=12)], [wide]).changes


def test_growing_needs_room() -> None:
    others = [pinned("x", 1, "0-7", 10)]
    small = pinned("a", 2, "0-7", 2)
    assert not plan(host(), [replace(A, memory=6 * GIB)], [*others, small]).changes
    grown = plan(host(), [replace(A, memory=8 * GIB)], [*others, small])
    assert grown.moves == ("a",)
    assert grown.placements[0].reason.startswith("it has grown, and cell 0 has no room for it; ")
    group = replace(A, memory=8 * GIB, apart="g")
    assert plan(host(), [group], [*others, small]).moves == ("a",)


@pytest.mark.parametrize("there", ["0 1", "0 1 2 3", "1"])
@pytest.mark.parametrize("policy", ["pack", "spread", "dedicated", "mirror"])
def test_another_number_of_vcpus_or_another_policy_is_done_in_one_run(there: str, policy: str) -> None:
    """A guest with CPUs of its own, then its definition says three vCPUs."""
    request = replace(A, vcpus=3, policy=policy)
    before = own(there, wish=replace(OWN, vcpus=len(there.split())))
    first = plan(host(), [request], [before])
    assert all(placed.placement().of_vcpu(vcpu) for placed in first.placements for vcpu in range(3))
    again = plan(host(), [request], applied([request], first))
    assert not again.changes
    assert [each.placement() for each in again.placements] == [each.placement() for each in first.placements]


def test_groups_are_looked_at_where_they_are() -> None:
    requests = [replace(A, name=name, together="t") for name in "ab"]
    there = [pinned("a", 2, "0-7"), pinned("b", 2, "8-15")]
    found = plan(host(), requests, there)
    assert found.moves == ("b",) and found.placements[1].reason.startswith("its group t is on cell 0; ")
    requests = [replace(A, name=name, apart="t") for name in "ab"]
    found = plan(host(), requests, [pinned("a", 2, "0-7"), pinned("b", 2, "0-7")])
    assert found.moves == ("b",) and found.placements[1].reason.startswith("another of group t is on cell 0; ")


def test_an_overcommitted_cell_is_noted_and_moves_nobody() -> None:
    there = [pinned("a", 8, "0-7", 10), pinned("x", 4, "0-7", 10)]
    found = plan(host(), [replace(A, vcpus=8, memory=10 * GIB)], there)
    assert not found.changes
    assert [(note.code, note.cell) for note in found.notes] == [("overcommitted", 0), ("memory_overcommitted", 0)]


def test_loads_of_others_by_their_wish_and_pins() -> None:
    shared = pinned("s", 8, "0-7", wish=replace(A, name="s", cpu_ratio=4.0, apart="g"))
    found = plan(host(), [replace(A, name="n", vcpus=6), replace(A, apart="g")], [shared])
    assert [str(each.cells) for each in found.placements] == ["1", "0"] or found.before[0].load == 2
    paged = host(2, pages=4)
    huge = pinned("h", 2, "0-7", 3, page_size=GIB)
    assert plan(paged, [], [huge]).before[0].pages == ((GIB, 3, 4),)
    strange = pinned("h", 2, "0-7", 3, page_size=2048)
    assert plan(paged, [], [strange]).before[0].memory[0] == 3 * GIB
    spread = pinned(
        "m", 2, None, 3, memory_on=((cpus("0"), None, GIB), (cpus("1"), None, 2 * GIB), (cpus("9"), None, 5))
    )
    assert [use.memory[0] for use in plan(paged, [], [spread]).before] == [GIB, 2 * GIB]
    bound = pinned("m", 2, "0-15", 30, nodeset=cpus("0-1"))
    assert [use.memory[0] // GIB for use in plan(host(), [], [bound]).before] == [15, 15]
    full = pinned("m", 2, "0-7", 40)
    assert plan(host(), [], [full, pinned("n", 1, "0-7", 3)]).before[0].memory[0] == 43 * GIB


def test_pins_that_no_longer_tell_its_own_cpus() -> None:
    """A guest that owned CPUs and was pinned by hand since: it is a load like any other."""
    wish = replace(OWN, emulator="isolate")
    for existing in (own("0 0", wish=OWN), own("0 1", wish=wish), own("0 1", emulator=cpus("1"), wish=wish)):
        found = plan(host(1), [replace(A, name="n", vcpus=6)], [existing])
        assert str(found.placements[0].cpuset) == "0-7" and found.before[0].load == 2


def test_a_guest_read_from_its_definition() -> None:
    shape = Shape("a", None, "kvm", 2, (1, 2), GIB)
    memnodes = ((0, MemoryBinding("strict", cpus("1"))), (1, MemoryBinding("strict", cpus("0-1"))))
    placement = Placement(
        cpus("0-3"), ((0, cpus("1")),), cpus("2"), ((1, cpus("7")),), MemoryBinding("preferred", cpus("0")), memnodes
    )
    assert Existing.of(shape, placement) == Existing(
        "a", (cpus("1"), cpus("0-3")), GIB, cpus("2"), cpus("0-3,7"), cpus("0-1"), memnodes=((0, 1),)
    )
    assert Existing.of(replace(shape, iothreads=()), Placement()) == Existing("a", (None, None), GIB)
