# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import (
    PolicyWish,
    request_of,
    wish_from_json,
    wish_of,
    wish_to_json,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.registry import POLICIES
from ansible_collections.numa.virt.plugins.module_utils._planner.request import (
    CACHE_RULES,
    DEVICE_RULES,
    SMT,
    Request,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell, GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.overhead import NONE
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host, PagePool

QEMU = replace(driver_named("qemu"), overhead=NONE)
SHAPE = Shape("web1", None, "kvm", 2, (), 4096)


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def test_nothing_said_is_pack() -> None:
    assert wish_of({"name": "web1"}, {"policy": None}, None, "web1") == PolicyWish()


def test_an_entry_goes_before_the_task() -> None:
    entry = {"name": "web1", "policy": "spread", "cells": [1], "cpu_ratio": None, "own_cpus": False, "priority": 0}
    task = {"policy": "dedicated", "cpu_ratio": 4, "devices": "require", "smt": None}
    assert wish_of(entry, task, None, "web1") == PolicyWish(
        policy="spread", cells=cpus("1"), cpu_ratio=4.0, devices="require"
    )


def test_everything_said() -> None:
    entry = {
        "policy": "mirror", "cells": "0-2", "smt": "isolate", "emulator": "3,4", "iothreads": "5", "cpu_ratio": 1.5,
        "devices": "ignore", "together": "a", "apart": "b", "priority": -3, "width": 2, "own_cpus": True,
        "cache": "require", "memory_overhead": "1MiB",
    }  # fmt: skip
    assert wish_of(entry, {}, None, "web1") == PolicyWish(
        "mirror", cpus("0-2"), "isolate", cpus("3-4"), cpus("5"), 1.5, "ignore", "a", "b", -3, 2, True, "require", 1024
    )


def test_without_a_word_the_stored_wish_stays_and_one_word_replaces_it_whole() -> None:
    stored = wish_to_json(PolicyWish("dedicated", smt="require", apart="db"))
    assert wish_of({"name": "db1"}, {}, stored, "db1") == PolicyWish("dedicated", smt="require", apart="db")
    assert wish_of({"name": "db1", "apart": "x"}, {}, stored, "db1") == PolicyWish(apart="x")
    assert wish_of({"name": "db1"}, {"policy": "spread"}, stored, "db1") == PolicyWish("spread")
    assert wish_of({"name": "db1"}, {}, '{"policy": "unheard of"}', "db1") == PolicyWish()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("policy", "packed", "'packed': is not known; choose among pack, spread, dedicated, mirror"),
        ("policy", ["pack"], "['pack']: is not known; choose among"),
        ("smt", "no", "'no': is not known; choose among prefer, require, isolate"),
        ("devices", "all", "'all': is not known; choose among require, prefer, ignore"),
        ("cache", "L3", "'L3': is not known; choose among prefer, require, ignore"),
        ("cells", [], "[]: names no cell; give at least one cell, or leave the option out"),
        ("cells", "", "names no cell"),
        ("cells", "one", "'one': unexpected 'o' at character 1"),
        ("cells", {"a": 1}, "is not a CPU set"),
        ("emulator", "own", "'own': unexpected 'o'"),
        ("emulator", True, "True: True is not a CPU number"),
        ("emulator", [], "names no CPU; give share, isolate or a CPU set"),
        ("cpu_ratio", "4", "'4': is not of the right type; give a number above 0, such as 4"),
        ("cpu_ratio", True, "True: is not of the right type"),
        ("cpu_ratio", float("nan"), "nan: is not a ratio; give a number above 0, such as 4"),
        ("cpu_ratio", float("inf"), "inf: is not a ratio"),
        ("cpu_ratio", 0, "0: is not a ratio"),
        ("cpu_ratio", -1, "-1: is not a ratio"),
        pytest.param("cpu_ratio", 10**400, "is not a ratio", id="huge"),
        ("priority", "1", "'1': is not of the right type; give a whole number"),
        ("priority", 1.0, "1.0: is not of the right type; give a whole number"),
        ("width", True, "True: is not of the right type; give a whole number"),
        ("own_cpus", 1, "1: is not of the right type; give true or false"),
        ("own_cpus", "yes", "'yes': is not of the right type; give true or false"),
        ("together", 7, "7: is not of the right type; give the name of a group"),
        ("apart", "", "is empty; give the name of a group"),
    ],
)
def test_values_that_are_none(option: str, value: Any, said: str) -> None:
    with pytest.raises(InputError) as error:
        wish_of({option: value}, {}, None, "web1")
    assert str(error.value).startswith(f"domains[web1].{option}: ")
    assert said in str(error.value)
    with pytest.raises(InputError) as error:
        wish_of({}, {option: value}, None, "web1")
    assert str(error.value).startswith(f"{option}: ")


sets = st.sets(st.integers(0, 300), min_size=1).map(CpuSet)
names = st.text(min_size=1)
wishes = st.builds(
    PolicyWish,
    policy=st.sampled_from(tuple(POLICIES)),
    cells=st.none() | sets,
    smt=st.sampled_from(SMT),
    emulator=st.sampled_from(["share", "isolate"]) | sets,
    cpu_ratio=st.none() | st.floats(0.001, 1000),
    devices=st.sampled_from(DEVICE_RULES),
    together=st.none() | names,
    apart=st.none() | names,
    priority=st.integers(-(10**6), 10**6),
    width=st.none() | st.integers(1, 64),
    own_cpus=st.booleans(),
    cache=st.sampled_from(CACHE_RULES),
)


@given(wishes)
def test_a_stored_wish_comes_back(wish: PolicyWish) -> None:
    line = wish_to_json(wish)
    assert "\n" not in line
    assert wish_from_json(line) == wish
    assert wish_of({}, {}, line, "x") == wish


def test_what_is_as_by_default_is_not_stored_but_the_policy_is() -> None:
    assert wish_to_json(PolicyWish()) == '{"policy": "pack"}'
    assert (
        wish_to_json(PolicyWish("dedicated", cells=cpus("1,0"), emulator="isolate"))
        == '{"cells": "0-1", "emulator": "isolate", "policy": "dedicated"}'
    )


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"pack"', '{"polcy": "pack"}', '{"policy": 3}', '{"priority": "x"}', '{"cells": ""}'],
)
def test_text_that_nobody_here_has_written(text: str) -> None:
    assert wish_from_json(text) is None


POOLS = (PagePool(4, 1000), PagePool(2048, 8), PagePool(1048576, 2))
HOST = Host("qemu", (Cell(0, cpus("0-3"), 16384, pools=POOLS),), cpus("0-3"), cpus("0-3"), huge_page=2048)


def test_a_request_has_what_the_definition_needs() -> None:
    cells = (GuestCell(cpus("0"), 2048, 0), GuestCell(cpus("1"), 2048, 0))
    needs = GuestNeeds(0, ("0000:01:00.0",), cells, threads=2)
    early = Shape("web1", None, "kvm", 2, (), 4096, binds_early="huge pages")
    wish = PolicyWish("mirror", width=2, priority=3, own_cpus=True, emulator="isolate", cpu_ratio=2.0, cache="require")
    assert request_of(wish, early, needs, HOST, QEMU) == Request(
        "web1", 2, 4096, "mirror", page_size=2048, binds_early=True, devices=("0000:01:00.0",), cpu_ratio=2.0,
        priority=3, emulator="isolate", own_cpus=True, width=2, cache="require", threads=2,
        guest_cells=tuple(replace(cell, page_size=2048) for cell in cells),
    )  # fmt: skip


def test_what_a_host_or_a_policy_has_no_use_for_is_left_out() -> None:
    needs = GuestNeeds(1048576, ("0000:01:00.0",), (GuestCell(cpus("0-1"), 4096, 1048576),))
    assert request_of(PolicyWish(devices="ignore"), SHAPE, needs, HOST, replace(QEMU, emulator=False)) == Request(
        "web1", 2, 4096, page_size=1048576, device_rule="ignore", emulator=None
    )
    assert request_of(PolicyWish(), SHAPE, GuestNeeds(), HOST, QEMU) == Request("web1", 2, 4096)
    assert request_of(PolicyWish(), SHAPE, GuestNeeds(threads=2), HOST, replace(QEMU, topology=False)).threads == 1
    # Of its cores not all threads are there.
    later = replace(SHAPE, vcpus=4, online=cpus("0,3"))
    assert request_of(PolicyWish(), later, GuestNeeds(threads=2), HOST, QEMU).threads == 1


def test_memory_in_pages_of_several_sizes_is_asked_for_by_size() -> None:
    dimms = ((1048576, 4096), (64, 1))
    cells = (GuestCell(cpus("0"), 1024, 2048), GuestCell(cpus("1"), 3072, 4, dimms), GuestCell(CpuSet(), 0, 2048))
    made = request_of(PolicyWish("mirror"), SHAPE, GuestNeeds(2048, (), cells[:2]), HOST, QEMU)
    assert made.by_page == {1048576: 4096, None: 3072, 2048: 1024, 64: 1} and made.early
    assert [cell.by_page for cell in made.guest_cells] == [{2048: 1024}, {None: 3072, 1048576: 4096, 64: 1}]
    made = request_of(PolicyWish(), SHAPE, GuestNeeds(2048, (), cells[::2]), HOST, QEMU)
    assert made == Request("web1", 2, 4096, page_size=2048)
    ordinary = (GuestCell(cpus("0-1"), 3072, 4, ((None, 1024),)),)
    assert request_of(PolicyWish(), SHAPE, GuestNeeds(4, (), ordinary), HOST, QEMU) == Request("web1", 2, 4096)


def test_io_threads_are_with_the_emulator_or_on_a_set() -> None:
    assert wish_of({"iothreads": "emulator"}, {"iothreads": "3"}, None, "web1") == PolicyWish()
    assert wish_of({}, {"iothreads": "3"}, None, "web1") == PolicyWish(iothreads=cpus("3"))
    with pytest.raises(InputError, match=r"domains\[web1\].iothreads: names no CPU; give emulator or a CPU set"):
        wish_of({"iothreads": ""}, {}, None, "web1")
    assert request_of(PolicyWish(iothreads=cpus("3")), SHAPE, GuestNeeds(), HOST, QEMU).iothreads == cpus("3")
    assert (
        request_of(PolicyWish(iothreads=cpus("3")), SHAPE, GuestNeeds(), HOST, replace(QEMU, emulator=False)).iothreads
        is None
    )


@pytest.mark.parametrize(
    ("driver", "page", "said", "overhead"),
    [
        ("qemu", None, None, (64 << 10) + 3 * (8 << 10) + 4096 // 256),
        ("qemu", 2048, None, (64 << 10) + 3 * (8 << 10)),
        ("xen", None, None, (3 << 10) + 4096 // 128),
        ("test", None, None, 0),
        ("qemu", None, 0, 0),
        ("test", 2048, 77, 77),
    ],
)
def test_what_the_hypervisor_needs(driver: str, page: int | None, said: int | None, overhead: int) -> None:
    shape, wish = replace(SHAPE, iothreads=(1,)), PolicyWish(memory_overhead=said)
    asked = request_of(wish, shape, GuestNeeds(page), HOST, driver_named(driver))
    assert asked.overhead == overhead and asked.by_page == {page: 4096}
    assert asked.taken == ({None: 4096 + overhead} if page is None else {2048: 4096, None: overhead}) or not overhead
