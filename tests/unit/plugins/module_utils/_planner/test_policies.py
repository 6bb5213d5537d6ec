# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator would expect of each policy, on hosts small enough to follow by hand."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed, Plan, plan_as_result
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, MemoryBinding, MemoryIntent
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Core, GuestDevice, Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    applied,
    cpus,
    host,
    pinned,
    verify,
)


def where(found: Plan) -> dict[str, str]:
    return {each.name: str(each.cells) for each in found.placements}


def only(found: Plan) -> Placed:
    (placed,) = found.placements
    return placed


def pins(placed: Placed) -> str:
    """The CPUs of the vCPUs in their order, each one's own."""
    return " ".join(str(cpu) for _vcpu, cpu in placed.vcpu_pins)


def test_pack_fills_a_cell_before_it_opens_another() -> None:
    found = plan(host(), [Request(f"g{i}", 2, GIB) for i in range(5)])
    assert where(found) == {"g0": "0", "g1": "0", "g2": "0", "g3": "0", "g4": "1"}
    assert {str(each.cpuset) for each in found.placements} == {"0-7", "8-15"}
    assert not any(each.vcpu_pins for each in found.placements)


def test_spread_takes_the_least_loaded_cell_by_cpu_or_memory() -> None:
    found = plan(host(), [Request(f"g{i}", 2, GIB, "spread") for i in range(4)])
    assert sorted(where(found).values()) == ["0", "0", "1", "1"]
    heavy = plan(host(), [Request("a", 1, 12 * GIB, "spread"), *(Request(f"b{i}", 2, GIB, "spread") for i in range(3))])
    assert where(heavy) == {"a": "0", "b0": "1", "b1": "1", "b2": "1"}


def test_a_guest_that_runs_anywhere_weighs_on_the_choice_and_prevents_nothing() -> None:
    busy = [pinned("wild", 8, None), pinned("tame", 2, "0-3")]
    found = plan(host(), [Request("a", 8, GIB, "spread")], busy)
    assert where(found) == {"a": "1"}
    assert [(note.code, note.name) for note in found.notes] == [("unrestricted", "wild")]
    # 6 of 8 CPUs of cell 0 are left by the tame one, and all of cell 1.
    assert plan(host(), [Request("a", 14, GIB)], busy).placements[0].cells == cpus("0-1")


def test_overcommitted_vcpus_weigh_less() -> None:
    requests = [Request(f"g{i}", 8, GIB, cpu_ratio=4) for i in range(8)]
    assert len(plan(host(), requests).placements) == 8
    found = plan(host(), requests, rules=Rules(cpu_ratio=2))
    assert len(found.placements) == 8 and found.after[0].load == 8
    unsaid = [replace(each, cpu_ratio=None) for each in requests]
    assert len(plan(host(), unsaid, rules=Rules(cpu_ratio=2)).placements) == 4


def test_dedicated_prefers_whole_cores_and_shares_one_only_at_last() -> None:
    three = [Request("a", 3, GIB, "dedicated"), Request("b", 3, GIB, "dedicated")]
    found = plan(host(1), three)
    assert [pins(each) for each in found.placements] == ["0 1 4", "2 3 6"]
    assert [each.emulator for each in found.placements] == [None, None]
    # A third leaves no core for each rest: the rests share one.
    found = plan(host(1), [*three, Request("c", 2, GIB, "dedicated")])
    assert [pins(each) for each in found.placements] == ["0 1 6", "2 3 7", "4 5"]
    # Another cell would be free: there no core is shared.
    assert where(plan(host(2), [*three, Request("c", 2, GIB, "dedicated")]))["b"] == "0"


def test_rests_fill_broken_cores_by_best_fit() -> None:
    requests = [Request("a", 6, GIB, "dedicated"), Request("b", 7, GIB, "dedicated"), Request("c", 3, GIB, "dedicated")]
    found = plan(host(1, 4, 4), requests)
    verify(host(1, 4, 4), requests, found)
    assert len(found.placements) == 3


def test_smt_require_gives_whole_cores_and_leaves_the_odd_thread_idle() -> None:
    found = only(plan(host(1), [Request("a", 3, GIB, "dedicated", smt="require")]))
    assert (pins(found), str(found.owned)) == ("0 1 2", "0-3")
    found = only(plan(host(1), [Request("a", 3, GIB, "dedicated", smt="require", emulator="isolate")]))
    assert (pins(found), str(found.emulator), str(found.owned)) == ("0 1 2", "3", "0-3")


def test_smt_isolate_leaves_every_sibling_idle() -> None:
    found = only(plan(host(1), [Request("a", 2, GIB, "dedicated", smt="isolate", emulator="isolate")]))
    assert (pins(found), str(found.emulator), str(found.owned)) == ("0 2", "4", "0-5")


def test_the_emulator_shares_what_is_shared_on_its_cell_or_near() -> None:
    rules = Rules(shared_cpus=cpus("0-1"))
    near = plan(host(), [Request("a", 2, GIB, "dedicated"), Request("b", 8, GIB, "dedicated")], rules=rules)
    assert {each.name: str(each.emulator) for each in near.placements} == {"a": "0-1", "b": "0-1"}
    assert where(near) == {"a": "0", "b": "1"}
    nobody = only(plan(host(), [Request("a", 2, GIB, "dedicated")], rules=Rules(dedicated_cpus=cpus("0-15"))))
    assert nobody.emulator is None
    beside = plan(host(1), [Request("a", 2, GIB, "dedicated"), Request("s", 4, GIB)])
    assert str(beside.placements[0].emulator) == "2-7"
    given = only(plan(host(), [Request("a", 2, GIB, "dedicated", emulator=cpus("0"))]))
    assert str(given.emulator) == "0" and 0 not in given.owned
    assert only(plan(host(), [Request("a", 2, GIB, "dedicated", emulator=None)])).emulator is None


def test_shared_guests_keep_off_the_siblings_of_dedicated_cpus_while_they_can() -> None:
    both = [Request("d", 1, GIB, "dedicated"), Request("s", 6, GIB)]
    assert [str(each.cpuset) for each in plan(host(1), both).placements] == ["0", "2-7"]
    both = [Request("d", 1, GIB, "dedicated"), Request("s", 7, GIB)]
    assert [str(each.cpuset) for each in plan(host(1), both).placements] == ["0", "1-7"]


def test_cpus_are_divided_as_the_rules_say() -> None:
    both = [Request("d", 2, GIB, "dedicated"), Request("s", 2, GIB)]
    for rules in (
        Rules(shared_cpus=cpus("0-3")),
        Rules(dedicated_cpus=cpus("4-15")),
        Rules(EMPTY, (), (), cpus("0-3")),
    ):
        found = plan(host(), both, rules=rules)
        assert [str(each.cpuset) for each in found.placements] == ["4-5", "0-3"]
    given = Rules(shared_cpus=cpus("0-1"), dedicated_cpus=cpus("6-7"), reserved_cpus=cpus("8-15"))
    assert [str(each.cpuset) for each in plan(host(), both, rules=given).placements] == ["6-7", "0-1"]


def test_mirror_takes_the_nearest_cells_and_maps_its_own() -> None:
    it = host(4)
    wide = Request("wide", 12, 20 * GIB, "mirror")
    busy = [pinned("x", 8, "8-15")]
    found = only(plan(it, [wide], busy))
    assert (str(found.cells), found.distance) == ("2-3", 21)
    assert [(each.id, each.cell, str(each.vcpus), each.memory // GIB) for each in found.guest_cells] == [
        (0, 2, "0-5", 10),
        (1, 3, "6-11", 10),
    ]
    assert found.guest_cells[1].distances == ((0, 21), (1, 10))
    assert {str(cpu) for _vcpu, cpu in found.vcpu_pins} == {"16-23", "24-31"}
    assert found.placement().memnodes == (
        (0, MemoryBinding("strict", cpus("2"))),
        (1, MemoryBinding("strict", cpus("3"))),
    )


def test_mirror_follows_the_cells_that_the_guest_has() -> None:
    cells = (GuestCell(cpus("0-1"), 2 * GIB), GuestCell(cpus("2-7"), 9 * GIB))
    it = host(3, memory=(8, 16, 8))
    found = only(plan(it, [Request("m", 8, 11 * GIB, "mirror", guest_cells=cells, own_cpus=True, emulator="isolate")]))
    assert [(each.cell, str(each.vcpus)) for each in found.guest_cells] == [(0, "0-1"), (1, "2-7")]
    assert pins(found) == "0 1 8 9 10 11 12 13" and str(found.emulator) == "2"
    fixed = only(plan(it, [Request("m", 4, 4 * GIB, "mirror", cells=cpus("1-2"))]))
    assert [each.cell for each in fixed.guest_cells] == [1, 2]
    three = only(plan(it, [Request("m", 4, 4 * GIB, "mirror", width=3, own_cpus=True)]))
    assert [len(each.vcpus) for each in three.guest_cells] == [2, 1, 1]


def test_a_guest_that_no_cell_holds_is_split_over_near_ones() -> None:
    found = only(plan(host(4), [Request("w", 12, 20 * GIB, "dedicated")]))
    assert (str(found.cells), found.distance) == ("0-1", 21)
    assert found.memory == ((0, 10 * GIB), (1, 10 * GIB))
    require = only(plan(host(4), [Request("w", 11, 20 * GIB, "dedicated", smt="require")]))
    assert len(require.owned) == 12
    isolate = only(plan(host(4), [Request("w", 6, GIB, "dedicated", smt="isolate", emulator="isolate")]))
    assert len(isolate.owned) == 14


def test_memory_only_cells_lend_memory_where_nothing_else_does() -> None:
    it = host(2, memory=4)
    lender = Cell(2, EMPTY, 64 * GIB, distances=((0, 17), (1, 28), (2, 10)))
    it = replace(it, cells=(*it.cells, lender))
    big = Request("big", 2, 20 * GIB)
    found = only(plan(it, [big]))
    assert (str(found.cells), str(found.memory_cells), str(found.cpuset)) == ("0", "0,2", "0-7")
    assert where(plan(it, [Request("small", 2, GIB)])) == {"small": "0"}
    again = plan(
        it,
        [Request("big", 2, 20 * GIB)],
        applied([Request("big", 2, 20 * GIB)], plan(it, [Request("big", 2, 20 * GIB)])),
    )
    assert not again.changes


def test_huge_pages_are_counted_by_size_and_never_lent() -> None:
    it = host(2, memory=16, pages=(2, 8))
    found = plan(it, [Request("h", 2, 4 * GIB, page_size=GIB), Request("o", 2, 10 * GIB)])
    assert where(found) == {"h": "1", "o": "0"}
    assert found.after[1].pages == ((GIB, 4, 8),)
    spare = plan(it, [Request("h", 2, 4 * GIB, page_size=GIB)], rules=Rules(reserved_pages=((1, GIB, 5),)))
    assert where(spare) == {"h": "0-1"}


def test_a_device_of_which_no_cell_is_known_does_not_count() -> None:
    it = replace(host(2), guest_devices=(GuestDevice("nic", None, "it has none"), GuestDevice("mdev 1", 1)))
    guests = [
        Request("a", 2, GIB, devices=("nic", "usb")),
        Request("b", 2, GIB, devices=("mdev 1",), device_rule="require"),
        Request("c", 2, GIB, devices=("nic",), device_rule="ignore"),
    ]
    made = plan(it, guests)
    assert where(made)["b"] == "1"
    why = "the host names no cell for this device: it has none"
    text = f"a: device nic (and 1 more of its devices) did not count: {why}"
    assert [(each.code, each.name, each.cell, each.message) for each in made.notes] == [
        ("device_without_cell", "a", None, text)
    ]
    kept = plan(it, guests[:1], applied(guests[:1], made))
    assert [each.code for each in kept.notes] == ["device_without_cell"]
    refused = plan(it, [replace(guests[0], device_rule="require")], options=Options(partial=True))
    assert refused.rejections[0].message.startswith(f"a: devices: 'nic': {why}; give devices=prefer or ignore")
    assert not refused.notes


def test_devices_draw_a_guest_to_their_cell() -> None:
    it = host(3, devices=((2, "gpu"), (0, "nic")))
    assert where(plan(it, [Request("g", 2, GIB, devices=("gpu",))])) == {"g": "2"}
    assert where(plan(it, [Request("g", 2, GIB, devices=("gpu.0",), device_rule="ignore")])) == {"g": "0"}
    full = [pinned("x", 8, "16-23")]
    near = plan(it, [Request("g", 2, GIB, devices=("gpu",))], full)
    assert where(near) == {"g": "1"} and only(near).distance == 11
    assert "its device is there" in only(plan(it, [Request("g", 2, GIB, devices=("gpu",))])).reason
    far = plan(it, [Request("g", 2, GIB, devices=("gpu",), device_rule="require")], full)
    assert far.rejections[0].constraint == "cpus_and_memory" or far.rejections[0].constraint == "cpus"
    both = plan(it, [Request("g", 2, GIB, devices=("gpu", "nic"), device_rule="require")])
    assert where(both) == {"g": "0,2"}


def test_groups_share_a_cell_or_keep_apart() -> None:
    together = [Request(f"t{i}", 3, GIB, "spread", together="t") for i in range(2)]
    assert len(set(where(plan(host(), together)).values())) == 1
    found = plan(host(), [Request(f"t{i}", 3, GIB, "spread", together="t") for i in range(3)])
    assert len(found.placements) == 2 and found.rejections[0].constraint == "together"
    apart = plan(host(), [Request(f"a{i}", 1, GIB, apart="a") for i in range(3)])
    assert sorted(where(apart).values()) == ["0", "1"] and apart.rejections[0].constraint == "apart"
    # A member that is there already says where the others go.
    first = Request("t0", 3, GIB, "pack", together="t", cells=cpus("1"))
    there = applied([first], plan(host(), [first]))
    assert where(plan(host(), [Request("t1", 3, GIB, together="t")], there)) == {"t1": "1"}
    assert "the cell of group t" in only(plan(host(), [Request("t1", 3, GIB, together="t")], there)).reason
    assert where(plan(host(), [first, Request("t1", 3, GIB, together="t")], there))["t1"] == "1"


def test_a_group_of_which_nothing_fits_is_rejected() -> None:
    full = [pinned("x", 8, "0-7"), pinned("y", 8, "8-15")]
    found = plan(host(), [Request(f"t{i}", 3, GIB, together="t") for i in range(2)], full)
    assert [each.constraint for each in found.rejections] == ["cpus", "cpus"]


def test_higher_priority_goes_first() -> None:
    requests = [Request("big", 8, GIB, "dedicated"), Request("small", 1, GIB, "dedicated", priority=5)]
    found = plan(host(1), requests)
    assert where(found) == {"small": "0"}
    assert found.bound.by_priority == ((5, 1, 1), (0, 1, 8))
    assert found.bound.vcpus == 8 and found.quality == 1 / 8


def test_a_host_without_known_cells_has_unknown_memory() -> None:
    it = Host("test", (Cell(0, cpus("0-3"), 0, distances=((0, 10),)),), cpus("0-3"), cpus("0-3"), implied_cell=True)
    found = only(plan(it, [Request("a", 2, 999 * GIB)]))
    assert str(found.cpuset) == "0-3"


def test_an_empty_plan_is_perfect() -> None:
    found = plan(host(), [])
    assert (found.placements, found.bound.vcpus, found.quality) == ((), 0, 1.0)


def test_offline_cpus_and_broken_cores_are_not_whole() -> None:
    it = host(1)
    it = replace(it, online=it.online - cpus("1"))
    found = only(plan(it, [Request("a", 2, GIB, "dedicated", smt="require")]))
    assert pins(found) == "2 3"
    odd = replace(it, cells=(replace(it.cells[0], cores=(Core(0, 0, 0, cpus("2-3")), Core(0, 0, 1, cpus("1")))),))
    assert pins(only(plan(odd, [Request("a", 1, GIB, "dedicated", smt="isolate")]))) == "2"


def test_distances_that_are_not_reported_or_differ_by_direction() -> None:
    it = host(3)
    first, second, third = it.cells
    cells = (replace(first, distances=((0, 10), (1, 90))), second, replace(third, distances=()))
    found = only(plan(replace(it, cells=cells), [Request("w", 12, GIB)]))
    assert (str(found.cells), found.distance) == ("0,2", 20)


def test_the_same_as_intent_and_as_plain_data() -> None:
    found = plan(
        host(1, memory=16, pages=4),
        [Request("a", 2, GIB, "mirror", own_cpus=True), Request("b", 99, GIB, cpu_ratio=99)],
    )
    one = found.placements[0]
    assert one.intent("preferred") == Intent(
        cpuset=cpus("0-1"), memory=MemoryIntent("preferred", cpus("0")), vcpu_pins=one.vcpu_pins, emulator=one.emulator
    )
    result = plan_as_result(found)
    assert result["vcpus"] == {"placed": 101, "bound": 101}
    assert result["placements"][0]["guest_cells"] == [{"id": 0, "cell": 0, "vcpus": "0-1", "memory": GIB}]
    assert result["after"][0]["dedicated_cpus"] == "0-1" and result["before"][0]["guests"] == []
    assert result["moves"] == [] and result["rejections"] == [] and result["notes"] == []
    assert isinstance(found.placements[0].cells, CpuSet)


def test_the_cells_of_a_guest_take_those_that_hold_them() -> None:
    """The first would fit both and has to leave the larger one to the second."""
    cells = (GuestCell(cpus("0"), GIB), GuestCell(cpus("1"), 12 * GIB))
    found = only(plan(host(2, memory=(16, 4)), [Request("m", 2, 13 * GIB, "mirror", guest_cells=cells)]))
    assert [(each.id, each.cell) for each in found.guest_cells] == [(0, 1), (1, 0)]


def test_a_mirrored_guest_in_a_group_has_one_cell() -> None:
    full = [pinned("x", 4, "0-7"), pinned("y", 4, "8-15")]
    found = plan(host(), [Request("m", 8, GIB, "mirror", together="t")], full)
    assert found.rejections[0].constraint == "together"


def test_a_group_goes_to_the_cell_that_its_policy_likes_best() -> None:
    there = [pinned("x", 2, "8-15")]
    for policy, cell in (("pack", "1"), ("spread", "0"), ("mirror", "1")):
        group = [Request(name, 2, GIB, policy, together="t", width=1 if policy == "mirror" else None) for name in "ab"]
        assert set(where(plan(host(3), group, there)).values()) == {cell}
    # The closest fit for all of them together: four CPUs, not three.
    there = [pinned("x", 1, "0-4"), pinned("y", 1, "8-11"), pinned("z", 1, "16")]
    group = [Request(name, 2, GIB, "dedicated", together="t") for name in "ab"]
    assert set(where(plan(host(3), group, there)).values()) == {"1"}
    # Near the device of one of them.
    group = [Request("a", 2, GIB, together="t"), Request("b", 1, GIB, devices=("gpu",), together="t")]
    assert set(where(plan(host(3, devices=((2, "gpu"),)), group, there)).values()) == {"2"}


def uneven() -> Host:
    """Cell 0 has many CPUs and little memory, cell 1 few CPUs and much memory."""
    it = host(2, 8, 1, (8, 32))
    few = it.cells[1]
    return replace(it, cells=(it.cells[0], replace(few, cpus=cpus("8-9"), cores=few.cores[:2])), online=cpus("0-9"))


def test_out_of_proportion_cells_get_the_guests_that_are_like_what_is_left() -> None:
    """One at a time, with memory where the CPUs are: filling cell 0 first would leave its CPUs without memory."""
    asked = [("a", 1, 6), ("b", 7, 6), ("c", 1, 12)]
    for policy in ("pack", "dedicated"):
        guests: list[Existing] = []
        cells = []
        for name, vcpus, gib in asked:
            request = Request(name, vcpus, gib * GIB, policy, binds_early=True)
            found = plan(uneven(), [request], guests)
            cells += where(found).values()
            guests += applied([request], found)
        assert cells == ["1", "0", "1"]
    # Cells that are in proportion are filled one after the other, whatever the guests are like.
    half = [Request("a", 1, 7 * GIB), Request("b", 6, GIB), Request("c", 1, GIB)]
    it = host(2, 8, 1, (16, 23))
    first = plan(it, half[:1])
    assert set(where(plan(it, half, applied(half, first))).values()) == {"0"}
