# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd hosts: cells without CPUs or memory, offline threads, one cell, four threads a core; and any guests at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import CODES, FIXES, SEVERITIES
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import GuestFacts
from ansible_collections.numa.virt.plugins.module_utils._findings.find import concerning
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import finding_as_result
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import PolicyWish, wish_to_json
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, MemoryIntent, pins_of
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, CpuPool, Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import (
    GIB,
    all_carried_out,
    codes,
    found,
    guest,
    host,
    observed,
    policy,
    said,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.test_properties import request, rules_for


@st.composite
def odd_hosts(draw: st.DrawFn) -> Host:
    """Up to 4 cells; the last may have no CPUs, others no memory, and some CPUs are offline."""
    cells = draw(st.integers(1, 4))
    threads = draw(st.sampled_from((1, 2, 4)))
    memory = draw(st.lists(st.integers(4, 24), min_size=cells, max_size=cells))
    for cell in draw(st.sets(st.integers(1, 3), max_size=2)):
        memory[cell:] = [0, *memory[cell + 1 :]] if cell < cells else []
    # What pools hold is a part of a cell's memory.
    most = draw(st.sampled_from((0, 0, 3)))
    pages = [min(most, each) for each in memory]
    it = host(cells, draw(st.integers(1, 3)), threads, memory, pages, [(draw(st.integers(0, cells - 1)), "gpu")])
    offline = draw(st.sets(st.sampled_from(list(it.present)))) - set(it.cells[0].cores[0].cpus)
    it = it.with_cpu_map([cpu not in offline for cpu in it.present])
    if draw(st.booleans()):
        distances = tuple((each, 10 if each == cells else 30) for each in range(cells + 1))
        bare = Cell(cells, EMPTY, draw(st.integers(0, 16)) * GIB, distances=distances)
        own = tuple(replace(cell, distances=(*cell.distances, (cells, 30))) for cell in it.cells)
        it = replace(it, cells=(*own, bare))
    return it


@settings(max_examples=60)
@given(st.data())
def test_a_planned_host_has_no_findings(data: st.DataObject) -> None:
    it = data.draw(odd_hosts())
    rules = data.draw(rules_for(it))
    requests = []
    for number in range(data.draw(st.integers(1, 6))):
        each = data.draw(request(f"g{number}", it))
        try:
            plan(it, [each], rules=rules)
        except InputError:
            continue
        requests.append(each)
    guests = all_carried_out(requests, plan(it, requests, rules=rules), running=data.draw(st.booleans()))
    assert [(each.code, each.domain, each.message) for each in found(it, *guests, rules=rules)] == []


sets = st.sets(st.integers(0, 40), min_size=1, max_size=6).map(CpuSet)
small = st.sets(st.integers(0, 5), min_size=1, max_size=3).map(CpuSet)
texts = sets.map(str)
modes = st.sampled_from(("strict", "preferred", "interleave", "restrictive"))
bindings = st.one_of(st.none(), st.builds("{} {}".format, modes, st.one_of(small.map(str), st.just("auto"))))
documents = st.fixed_dictionaries(
    {
        "cpuset": st.one_of(st.none(), texts),
        "pins": st.dictionaries(st.integers(0, 4), texts, max_size=4),
        "memory": bindings,
        "vcpus": st.integers(1, 5),
        "gib": st.integers(1, 20),
        "emulator": st.one_of(st.none(), texts),
        "iothreads": st.dictionaries(st.integers(1, 2), texts, max_size=2),
        "memnodes": st.dictionaries(st.integers(0, 1), st.builds("strict {}".format, small.map(str)), max_size=2),
        "automatic": st.sampled_from((False, False, True)),
        "current": st.one_of(st.none(), st.integers(1, 5)),
        "pool": st.sampled_from((None, "Pool-0", "p1", "gone")),
        "page": st.sampled_from((None, None, 0, 4, 2048, GIB)),
        "devices": st.sampled_from(((), ("gpu",), ("gpu.0", "nowhere"))),
        "guest_cells": st.integers(0, 2),
    }
)
wishes = st.builds(
    PolicyWish,
    policy=st.sampled_from(("pack", "spread", "dedicated", "mirror")),
    smt=st.sampled_from(("prefer", "require", "isolate")),
    emulator=st.one_of(st.sampled_from(("share", "isolate")), sets),
    cpu_ratio=st.sampled_from((None, 0.5, 4.0)),
    devices=st.sampled_from(("require", "prefer", "ignore")),
    own_cpus=st.booleans(),
)
intents = st.builds(
    Intent,
    cells=st.one_of(st.none(), small),
    cpuset=st.one_of(st.none(), sets),
    memory=st.one_of(
        st.none(), st.builds(MemoryIntent, st.sampled_from(("strict", "none")), st.one_of(st.none(), small))
    ),
    vcpu_pins=st.one_of(st.none(), st.dictionaries(st.integers(0, 4), sets, max_size=3).map(pins_of)),
    emulator=st.one_of(st.none(), sets),
    policy=st.one_of(st.none(), wishes.map(wish_to_json), st.just('{"policy": "of another time"}')),
)


@st.composite
def any_guest(draw: st.DrawFn, name: str) -> GuestFacts:
    config, live = (said(name, **draw(documents)) for _layer in range(2))
    intent = draw(st.one_of(st.none(), intents))
    if draw(st.booleans()):
        return GuestFacts(name, config, intent=intent)
    seen = observed(
        live,
        draw(st.sampled_from(("definition", "proc", "hypervisor"))),
        draw(st.dictionaries(st.integers(0, 4), texts, max_size=3)),
        draw(st.one_of(st.none(), st.dictionaries(st.integers(0, 4), st.integers(0, GIB), max_size=3))),
        draw(st.lists(st.tuples(st.sampled_from(("qemu-system-x86", "IO iothread1", "worker")), texts), max_size=2)),
        draw(small.map(str)),
    )
    return GuestFacts(name, draw(st.sampled_from((None, config, live))), live, seen, intent)


@settings(max_examples=200)
@given(odd_hosts(), st.sampled_from(("qemu", "xen", "xl", "test")), st.data())
def test_whatever_guests_there_are(it: Host, driver: str, data: st.DataObject) -> None:
    if driver in ("xen", "xl") and len(it.online) > 1 and data.draw(st.booleans()):
        cut = data.draw(st.integers(1, len(it.online) - 1))
        numbers = list(it.online)
        it = it.with_pools([CpuPool("Pool-0", CpuSet(numbers[:cut])), CpuPool("p1", CpuSet(numbers[cut:]))])
    names = [f"g{number}" for number in range(data.draw(st.integers(0, 5)))]
    guests = [data.draw(any_guest(name)) for name in names]
    reserved = CpuSet(data.draw(st.sets(st.sampled_from(list(it.present)), max_size=2)))
    rules = Rules(reserved_cpus=reserved, cpu_ratio=data.draw(st.sampled_from((1.0, 3.0))))
    results = found(it, *guests, driver=driver, rules=rules)
    assert found(it, *reversed(guests), driver=driver, rules=rules) == results
    several = ("cpu_dedicated_twice", "helper_off_cells", "cell_overcommitted")
    keys = [(each.code, each.domain) for each in results if each.code not in several]
    assert len(keys) == len(set(keys))
    for each in map(finding_as_result, results):
        _check(it, each, names)
    assert concerning(results, names) == tuple(each for each in results if each.domain or each.others)


def _check(it: Host, each: dict[str, Any], names: list[str]) -> None:
    assert each["code"] in CODES
    assert each["severity"] in SEVERITIES and each["fix"] in FIXES
    assert each["domain"] is None or each["domain"] in names
    assert set(each["others"]) <= set(names) - {each["domain"]}, each
    assert all(type(number) in (int, float) for number in each["numbers"].values())
    assert each["message"] and each["message"].isprintable() and each["message"][-1] != "."
    assert each["remedy"] and each["remedy"].isprintable()
    if each["code"] != "cell_missing":
        assert set(each["cells"]) <= {cell.id for cell in it.cells} | set(range(6))


def test_a_core_whose_sibling_is_offline_is_a_whole_one_for_nobody() -> None:
    it = host(2, cores=2).with_cpu_map([cpu not in (1, 3) for cpu in range(8)])
    alone = guest("a", pins=["0"], vcpus=1, intent=policy("dedicated", smt="isolate"))
    assert codes(it, alone, guest("b", cpuset="2", vcpus=1)) == []
    assert codes(it, alone, guest("b", pins=["2"], vcpus=1)) == []


def test_a_cell_whose_cpus_are_all_offline() -> None:
    it = host(2).with_cpu_map([cpu < 8 for cpu in range(16)])
    assert codes(it, guest("a", cpuset="0-7", memory="strict 0"), guest("b"), guest("c", cpuset="0-15")) == []
    # Memory there is that of a cell without CPUs now.
    assert codes(it, guest("a", cpuset="0-3", source="hypervisor", memory="strict 0-1", kib={0: 9, 1: 9})) == []


def test_a_host_that_reports_no_cells() -> None:
    everything = CpuSet(range(8))
    it = Host("qemu", (Cell(0, everything, 0, distances=((0, 10),)),), everything, everything, implied_cell=True)
    assert codes(it, guest("a", cpuset="0-3", vcpus=4, gib=900), guest("b"), guest("c", pins=["4", "5"])) == [
        "unrestricted_beside_dedicated"
    ]
    # The kernel may know of cells that libvirt does not tell of.
    assert codes(it, guest("a", cpuset="0-3", source="hypervisor", kib={0: 9, 1: GIB})) == []


def test_memory_on_a_cell_that_the_host_does_not_list() -> None:
    assert codes(host(2), guest("a", cpuset="0-3", source="hypervisor", kib={0: 9, 7: GIB})) == []


def test_a_guest_whose_cpus_do_not_exist_is_on_no_cell() -> None:
    it = host(2, devices=[(1, "gpu")])
    assert codes(it, guest("a", cpuset="90", memory="strict 0", devices=("gpu.0",))) == ["cpu_missing"]


def test_the_only_cpu_of_a_host() -> None:
    assert codes(host(1, cores=1, threads=1), guest("a", pins=["0"], vcpus=1)) == []


def test_one_cell_and_all_policies() -> None:
    it = host(1, cores=8)
    requests = [
        Request("pack", 2, GIB),
        Request("spread", 2, GIB, "spread"),
        Request("own", 2, GIB, "dedicated", smt="require", emulator="isolate"),
        Request("mirror", 2, GIB, "mirror"),
    ]
    made = plan(it, requests)
    assert not made.rejections
    assert codes(it, *all_carried_out(requests, made)) == []
