# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What numa_placement tells the planner of the guests that are there, over several runs."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import Hypervisor, document


@pytest.fixture
def qemu(tmp_path, monkeypatch):
    host = Hypervisor(tmp_path)
    host.see_processes(monkeypatch)
    return host


def entry(name, memory=1000, **options):
    vcpus = options.pop("vcpus", 2)
    return {"xml": document(name, "kvm", vcpus=vcpus, memory=memory), **options}


def test_guests_asked_for_one_by_one_get_no_more_than_there_is(qemu):
    """4 cells of 2 CPUs: one that is split over two of them is counted where the plan put it."""
    placed = []
    for number, vcpus in enumerate((1, 1, 1, 1, 2, 1, 1, 1)):
        done = qemu.place_all(entry(f"g{number}", vcpus=vcpus), policy="spread", partial=True)
        placed += [vcpus for _each in done["plan"]["placements"]]
    assert sum(placed) == 8
    assert all(cell["load"] <= 2 for cell in done["plan"]["after"])


def test_memory_stays_where_it_is_until_the_guest_is_restarted(qemu):
    qemu.place_all(entry("big", memory=400000, cells=[0]), policy="pack")
    moved = qemu.place_all({"name": "big", "cells": [1]}, policy="pack")
    assert moved["changed"] and moved["restart_required"]
    free = {cell["cell"]: cell["memory"]["used"] for cell in moved["plan"]["after"]}
    qemus_own = (64 + 2 * 8) * 1024 + -(-400000 // 256)
    assert free == {0: 400000, 1: 400000 + qemus_own, 2: 0, 3: 0}
    for task in (
        lambda **more: qemu.place_all(entry("next", memory=400000), policy="pack", check=True, **more),
        lambda **more: qemu.place_all(
            entry("next", memory=400000), {"name": "big", "cells": [1]}, policy="pack", check=True, **more
        ),
    ):
        assert task()["domains"][-1]["cells"] == [2]
    # A restart in the same run gives it back, and so does one by hand.
    assert task(restart=True)["domains"][-1]["cells"] == [0]
    qemu.end(qemu.guests["big"])
    done = qemu.place_all(entry("next", memory=400000), policy="pack")
    assert done["domains"][0]["cells"] == [0] and done["changed"]


def test_a_guest_that_moves_by_this_plan_keeps_its_memory_meanwhile(qemu):
    qemu.place_all(entry("big", memory=400000, cells=[0]), policy="pack")
    asked = ({"name": "big", "cells": [1]}, entry("next", memory=400000))
    done = qemu.place_all(*asked, policy="pack")
    assert [each["cells"] for each in done["domains"]] == [[1], [2]]
    assert qemu.place_all(*asked, policy="pack")["changed"] is False


@pytest.mark.parametrize("check", [True, False])
def test_a_mirrored_guest_with_more_cells_than_vcpus_is_refused(qemu, check):
    before = qemu.everything()
    for option in ({"cells": [0, 1, 2]}, {"width": 3}):
        with pytest.raises(InputError, match="the guest has 2 vCPUs; a cell needs one vCPU at least"):
            qemu.place_all(entry("wide", **option), policy="mirror", check=check)
    assert qemu.everything() == before


def test_what_can_never_fit_stands_in_no_others_way(qemu):
    asked = (entry("huge", vcpus=40), entry("odd", vcpus=1, cells=[0, 1], policy="mirror"), entry("web"))
    done = qemu.place_all(*asked, partial=True)
    assert [each["name"] for each in done["domains"]] == ["web"] and done["changed"]
    assert [(each["name"], each["constraint"]) for each in done["rejections"]] == [("huge", "cpus"), ("odd", "host")]
    again = qemu.place_all(*asked, partial=True)
    assert again["changed"] is False and again["rejections"] == done["rejections"]


def test_a_guest_that_grows_and_changes_its_policy_is_done_in_one_run(qemu):
    qemu.place_all(entry("g"), policy="dedicated", state="defined")
    for vcpus, policy in ((3, "pack"), (1, "spread"), (2, "dedicated"), (4, "dedicated")):
        asked = entry("g", vcpus=vcpus, policy=policy)
        assert qemu.place_all(asked, state="defined", cpu_ratio=4)["changed"] is True
        assert qemu.place_all(asked, state="defined", cpu_ratio=4)["changed"] is False


def test_isolated_cpus_are_dedicated_ones(qemu, kernel_files):
    """4 cells of 2 CPUs: those of cells 2 and 3 are isolated, CPU 1 is another slice's."""
    kernel_files(
        cpu__isolated="4-7",
        **{
            "cgroup__rt.slice__cpuset.cpus.partition": "isolated",
            "cgroup__rt.slice__cpuset.cpus.effective": "1",
            "cgroup__cpuset.cpus.isolated": "1",
        },
    )
    done = qemu.place_all(entry("web"), entry("db", policy="dedicated"))
    assert {each["name"]: each["placement"]["cpuset"] for each in done["domains"]} == {"web": "2-3", "db": "4-5"}
    assert done["warnings"] == ["CPU 1 belongs to rt.slice: no guest gets them"]
    assert not qemu.place_all("web", "db")["changed"]
    assert qemu.findings()["findings"] == []
    told = qemu.place_all("web", shared_cpus="4-7", restart="allowed")
    assert told["domains"][0]["placement"]["cpuset"] == "6-7"
    assert told["warnings"][1] == (
        "shared_cpus: CPUs 4-7 are isolated: the kernel does not balance the guests that share them"
    )
    assert qemu.findings(shared_cpus="4-7")["findings"] == []
    (one,) = qemu.findings()["findings"]
    assert (one["code"], one["domain"], one["cpus"]) == ("isolated_shared", "web", "6-7")


def test_cells_are_kept_out_in_one_word(qemu):
    done = qemu.place_all(entry("web"), entry("gpu", cells=[0]), reserved_cells="0", check=True)
    assert {each["name"]: each["cells"] for each in done["domains"]} == {"web": [1], "gpu": [0]}
    assert [each["kept_out"] for each in done["plan"]["after"]] == [True, False, False, False]
    assert done["diff"]["after"].count(", kept out") == 1
    assert qemu.findings(reserved_cells="0")["reserved_cells"] == [0]
