# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every plan, whatever is asked for."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import (
    GIB,
    actions,
    applied,
    host,
    pinned,
    placeable,
    planned_twice,
    verify,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.odd_hosts import memory_in_pages
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

Case = tuple[Host, list[Request], Rules]
EXAMPLES = settings(max_examples=examples(60))


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    cells = draw(st.integers(1, 4))
    pages = draw(st.sampled_from((0, 0, 4)))
    memory = draw(st.lists(st.integers(4, 24), min_size=cells, max_size=cells))
    devices = [(draw(st.integers(0, cells - 1)), "gpu")]
    caches = draw(st.sampled_from((0, 0, 1, 2, 3)))
    small = draw(st.sampled_from((0, 0, 2))) if not pages or min(memory) > 6 else 0
    threads = draw(st.sampled_from((1, 2, 2, 4)))
    return host(cells, draw(st.integers(1, 6)), threads, memory, pages, devices, caches, small)


@st.composite
def rules_for(draw: st.DrawFn, it: Host) -> Rules:
    """Rules that name CPUs of the host, or none."""
    numbers = list(it.online)
    reserved = CpuSet(draw(st.sets(st.sampled_from(numbers), max_size=2)))
    rest = it.online - reserved
    shared = dedicated = None
    if rest and draw(st.booleans()):
        cut = draw(st.integers(0, len(rest)))
        shared = CpuSet(list(rest)[:cut])
        if draw(st.booleans()):
            shared, dedicated = None, rest - shared
    memory = ((0, draw(st.integers(0, 2)) * GIB),) if draw(st.booleans()) else ()
    return Rules(reserved, memory, (), shared, dedicated, draw(st.sampled_from((1.0, 1.5, 2.0, 4.0))))


@st.composite
def request(draw: st.DrawFn, name: str, it: Host) -> Request:
    policy = draw(st.sampled_from(("pack", "spread", "dedicated", "dedicated", "mirror")))
    own = policy == "dedicated" or (policy == "mirror" and draw(st.booleans()))
    smt = draw(st.sampled_from(("prefer", "prefer", "require", "isolate"))) if own else "prefer"
    if smt == "require" and len(it.cells[0].cores[0].cpus) < 2:
        smt = "prefer"
    devices = draw(st.sampled_from(((), (), ("gpu",))))
    cells = draw(st.sampled_from((None, None, None, CpuSet([draw(st.integers(0, len(it.cells) - 1))]))))
    rule = draw(st.sampled_from(("require", "prefer", "ignore"))) if cells is None else "prefer"
    vcpus, memory = draw(st.integers(1, 8)), draw(st.integers(1, 8)) * GIB
    return Request(
        name,
        vcpus,
        memory,
        policy,
        cells=cells,
        **draw(memory_in_pages(it, vcpus, memory, policy == "mirror" and draw(st.booleans()))),
        devices=devices,
        device_rule=rule,
        together=draw(st.sampled_from((None, None, "t"))) if policy != "mirror" else None,
        apart=draw(st.sampled_from((None, None, "a"))),
        cpu_ratio=draw(st.sampled_from((None, 3.0))),
        priority=draw(st.sampled_from((0, 0, 1))),
        smt=smt,
        emulator=draw(st.sampled_from(("share", "isolate", None))) if own else "share",
        own_cpus=own and policy == "mirror",
        cache=draw(st.sampled_from(("prefer", "prefer", "ignore", "require"))) if own and it.caches else "prefer",
        threads=draw(st.sampled_from((1, 1, 2, 3, 4))) if own else 1,
        overhead=draw(st.sampled_from((0, 0, 1, GIB // 3))),
    )


@st.composite
def cases(draw: st.DrawFn, most: int = 8) -> tuple[Host, list[Request], Rules]:
    """A host, and requests of which each could be placed if it were alone."""
    it = draw(hosts())
    rules = draw(rules_for(it))
    requests = [draw(request(f"g{number}", it)) for number in range(draw(st.integers(1, most)))]
    return it, placeable(it, rules, requests), rules


@EXAMPLES
@given(cases())
def test_capacity_is_never_exceeded_and_no_cpu_is_given_twice(case: Case) -> None:
    it, requests, rules = case
    verify(it, requests, plan(it, requests, rules=rules), rules)


@EXAMPLES
@given(cases())
def test_a_planned_host_stays_as_it_is(case: Case) -> None:
    it, requests, rules = case
    found, again = planned_twice(it, requests, rules)
    kept = {each.name: each for each in again.placements}
    for each in found.placements:
        assert kept[each.name].placement() == each.placement()
        assert kept[each.name].owned == each.owned
        assert kept[each.name].guest_cells == each.guest_cells


@EXAMPLES
@given(cases(), st.data())
def test_the_order_of_what_is_given_changes_nothing(case: Case, data: st.DataObject) -> None:
    it, requests, rules = case
    found = plan(it, requests, rules=rules)
    shuffled = data.draw(st.permutations(requests))
    assert plan(it, shuffled, rules=rules) == found
    half = applied(requests[::2], found)
    assert plan(it, shuffled, data.draw(st.permutations(half)), rules) == plan(it, requests, half, rules)


@EXAMPLES
@given(cases(), st.integers(0, 7))
def test_removing_a_guest_moves_no_other(case: Case, gone: int) -> None:
    it, requests, rules = case
    before = applied(requests, plan(it, requests, rules=rules))
    names = {each.name for each in before} - {f"g{gone}"}
    left = [each for each in requests if each.name in names]
    after = plan(it, left, [each for each in before if each.name in names], rules)
    assert not after.changes, actions(after)


@EXAMPLES
@given(cases(), st.data())
def test_adding_a_guest_moves_no_other(case: Case, data: st.DataObject) -> None:
    it, requests, rules = case
    first, rest = requests[: len(requests) // 2], requests[len(requests) // 2 :]
    before = applied(first, plan(it, first, rules=rules))
    after = plan(it, requests, before, rules)
    assert {each.name for each in after.changes} <= {each.name for each in rest} | {
        each.name for each in first if each.name not in {one.name for one in before}
    }
    verify(it, requests, after, rules)


@EXAMPLES
@given(cases(), st.data())
def test_guests_of_others_keep_what_they_have(case: Case, data: st.DataObject) -> None:
    """Nobody is given a CPU alone that a pinned guest may use."""
    it, requests, rules = case
    others = []
    for number in range(data.draw(st.integers(1, 3))):
        numbers = data.draw(st.sets(st.sampled_from(list(it.online)), min_size=1, max_size=3))
        others.append(pinned(f"other{number}", 2, str(CpuSet(numbers))))
    found = plan(it, requests, others, rules)
    for each in found.placements:
        for other in others:
            assert other.vcpu_cpus[0] is not None
            if it.online - other.vcpu_cpus[0]:
                assert not each.owned & other.vcpu_cpus[0]
    assert found.vcpus <= found.bound.vcpus
    managed = applied(requests, found)
    names = {each.name for each in managed}
    again = plan(it, [each for each in requests if each.name in names], [*others, *managed], rules)
    assert not again.changes, actions(again)


@EXAMPLES
@given(cases(), st.integers(0, 4), st.data())
def test_rebalancing_moves_no_more_than_it_may(case: Case, most: int, data: st.DataObject) -> None:
    """And what it has placed is as valid as ever, no fewer vCPUs than before."""
    it, requests, rules = case
    first = requests[: len(requests) // 2]
    before = applied(first, plan(it, first, rules=rules))
    still = plan(it, requests, before, rules)
    after = plan(it, requests, before, rules, Options(rebalance=True))
    with suppress(InputError):  # more may be needed
        after = plan(it, requests, before, rules, Options(rebalance=True, max_moves=most))
        assert len(after.moves) <= most
    verify(it, requests, after, rules)
    assert after.vcpus >= still.vcpus


@EXAMPLES
@given(cases(), st.sampled_from(("pack", "spread")))
def test_rebalancing_twice_moves_nothing_more(case: Case, policy: str) -> None:
    it, requests, rules = case
    requests = [each for each in requests if each.policy == policy]
    found = plan(it, requests, applied(requests, plan(it, requests, rules=rules)), rules, Options(rebalance=True))
    again = plan(it, requests, applied(requests, found), rules, Options(rebalance=True))
    assert {each.name for each in again.changes} <= {each.name for each in found.rejections}, actions(again)


@EXAMPLES
@given(st.data())
def test_who_comes_alone_is_placed_while_the_host_as_a_whole_has_room(data: st.DataObject) -> None:
    """Wherever those before were put: their cells decide who is split, and nobody who is admitted."""
    it = host(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6)), data.draw(st.sampled_from((1, 2))), 8)
    cpus, memory = len(it.online), 8 * len(it.cells)
    there: list[Existing] = []
    for number in range(data.draw(st.integers(1, 12))):
        if there and data.draw(st.integers(0, 3)) == 0:
            gone = there.pop(data.draw(st.integers(0, len(there) - 1)))
            cpus, memory = cpus + len(gone.vcpu_cpus), memory + gone.memory // GIB
        guest = Request(f"g{number}", data.draw(st.integers(1, 9)), data.draw(st.integers(1, 12)) * GIB, "dedicated")
        made = plan(it, [guest], there, options=Options(partial=True))
        has_room = guest.vcpus <= cpus and guest.memory <= memory * GIB
        assert [each.name for each in made.placements] == ([guest.name] if has_room else [])
        if made.placements:
            there += applied([guest], made)
            cpus, memory = cpus - guest.vcpus, memory - guest.memory // GIB
