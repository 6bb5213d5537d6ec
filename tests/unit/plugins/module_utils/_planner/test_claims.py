# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A claim is a guest that is there already: nobody gets what is claimed, and its own guest gets just that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._planner.claims import as_place, claim_problem, claimed
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import KEEP
from ansible_collections.numa.virt.plugins.module_utils._values.claim import Claim
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import union
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, cpus, host, pinned

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"


def claim(where, cells, owned=True, vcpus=None, memory=(), name="db1", **more):
    """``memory``: triples (cell, KiB of a page, GiB)."""
    lots = tuple((cell, size, kib * GIB) for cell, size, kib in memory)
    many = vcpus if vcpus is not None else len(cpus(where))
    return Claim(UUID, name, cpus(cells), cpus(where), owned, many, lots, "a@b", 0, 3600, "b1", 3600, **more)


def kept(it, one, request, *others):
    """The request beside its claim, and what it is given."""
    made = plan(it, [request], [as_place(it, one, request), *others])
    return made.placements[0] if made.placements else None


# cells: 0-1; CPUs of cell 0: 0-7, of cell 1: 8-15; threads of a core are neighbours.
CASES = [
    (claim("0-3", "0", memory=[(0, None, 2)]), {"policy": "dedicated"}, "0-3"),
    (claim("0-4", "0"), {"policy": "dedicated", "emulator": "isolate"}, "0-3"),
    (claim("0-3", "0"), {"policy": "dedicated", "smt": "require"}, "0-3"),
    (claim("0-7", "0"), {"policy": "dedicated", "smt": "isolate"}, "0,2,4,6"),
    (claim("0-3", "0"), {"policy": "dedicated", "emulator": cpus("8")}, "0-3"),
    (claim("0-3", "0"), {"policy": "dedicated", "threads": 2}, "0-3"),
    (claim("0-3", "0", owned=False), {"policy": "pack"}, "0-3"),
    (claim("8-11", "1", owned=False, cpu_ratio=4.0), {"policy": "spread", "cpu_ratio": 4.0}, "8-11"),
    (claim("8-15", "1", owned=False, vcpus=4), {"policy": "pack"}, "8-15"),
]


@pytest.mark.parametrize(("one", "options", "where"), CASES)
def test_its_guest_keeps_what_is_claimed(one, options, where):
    request = Request("db1", 4, 2 * GIB, **options)
    found = kept(host(), replace(one, memory=tuple((cell, None, 2 * GIB) for cell in one.cells)), request)
    assert (found.action, found.cpuset) == (KEEP, cpus(where))
    assert found.memory_cells == one.cells
    if options["policy"] == "dedicated":
        assert found.owned <= one.cpus and len({cpu for _vcpu, cpu in found.vcpu_pins}) == 4


@pytest.mark.parametrize(
    ("one", "options"),
    [
        (claim("0-2", "0"), {"policy": "dedicated"}),  # too few
        (claim("0-3", "0", owned=False), {"policy": "dedicated"}),  # shared
        (claim("0-3", "0"), {"policy": "dedicated", "emulator": "isolate"}),
        (claim("0-3", "0"), {"policy": "dedicated", "smt": "isolate"}),
        (claim("0,2,4,6", "0"), {"policy": "dedicated", "smt": "require"}),
        (claim("0-3", "0"), {"policy": "pack", "cells": cpus("1")}),
    ],
)
def test_what_its_guest_cannot_use_is_planned_anew(one, options):
    found = kept(host(), one, Request("db1", 4, 2 * GIB, **options))
    assert found.action != KEEP


def test_memory_in_pages():
    it = host(pages=4)
    request = Request("db1", 2, 3 * GIB, page_size=GIB, overhead=GIB)
    one = claim("0-1", "0", owned=False, memory=[(0, GIB, 3), (0, None, 1)])
    place = as_place(it, one, request)
    assert place.memory_fields == request.memory_fields and place.all_memory == 3 * GIB
    found = kept(it, one, request)
    assert (found.action, found.memory_by_page) == (KEEP, ((0, GIB, 3 * GIB),))
    # With less than it needs it stays where that fits, and only there.
    less = replace(one, memory=((0, GIB, GIB),))
    assert kept(it, less, request).action == KEEP
    other = claimed(claim("2", "0", owned=False, memory=[(0, GIB, 2)], name="web1"), "web1")
    assert kept(it, less, request, other).action != KEEP


def test_the_emulator_of_drivers_that_pin_none():
    place = as_place(host(), claim("0-3", "0"), Request("db1", 4, GIB, policy="dedicated", emulator=None))
    assert place.emulator is None


@pytest.mark.parametrize(
    ("one", "others", "rules", "said"),
    [
        (claim("0-3", "0"), [], Rules(), None),
        (claim("0-3", "0", memory=[(0, None, 16), (1, None, 16)][:1]), [], Rules(), None),
        (
            claim("0-3", "0", memory=[(0, None, 17)]),
            [],
            Rules(),
            "db1: claims 1.78258e+07 KiB of cell 0, and 1.67772e+07 are left there",
        ),
        (claim("0-3", "0-1", memory=[(1, None, 17)]), [], Rules(), "KiB of cell 1"),
        (claim("0", "0", memory=[(0, GIB, 3)]), [], Rules(), None),
        (claim("0", "0", memory=[(0, GIB, 5)]), [], Rules(), "db1: claims 5 pages of 1048576 KiB of cell 0, and 4 are"),
        (claim("0-1", "0", owned=False, vcpus=8), [], Rules(), None),
        (claim("0-1", "0", owned=False, vcpus=9), [], Rules(), "db1: claims 9 CPUs of cell 0, and 8 are left there"),
        (claim("0-1", "0", owned=False, vcpus=32, cpu_ratio=4.0), [], Rules(), None),
        (claim("0-1", "0", owned=False, vcpus=33, cpu_ratio=4.0), [], Rules(), "claims 8.25 CPUs"),
        (claim("0-1", "0"), [pinned("a", 2, "0-1")], Rules(), "db1: CPUs 0-1 are used by guests that share them"),
        (claim("0-1", "0", owned=False), [pinned("a", 7, "0-3")], Rules(), "claims 2 CPUs of cell 0, and 1 are"),
        (claim("2", "0"), [pinned("a", 8, "0-1")], Rules(), "claims 1 CPUs of cell 0, and 0 are left there"),
        # What is too much already is not this one's doing.
        (claim("8", "1"), [pinned("a", 12, "0-1", memory=40)], Rules(), None),
        (claim("8", "0-1"), [pinned("a", 12, "0-1", memory=40)], Rules(), None),
        (
            claim("0-1", "0"),
            [],
            Rules(reserved_cpus=cpus("1")),
            "db1: CPUs 1 are not for guests with CPUs of their own",
        ),
        (claim("0-1", "0"), [], Rules(shared_cpus=cpus("0-3")), "CPUs 0-1 are not for guests with CPUs of their own"),
        (
            claim("0-1", "0", owned=False),
            [],
            Rules(dedicated_cpus=cpus("0-3")),
            "CPUs 0-1 are not for guests that share CPUs",
        ),
        (
            claim("0-1", "0", owned=False),
            [claimed(claim("1-2", "0"), "the claim for x")],
            Rules(),
            "db1: CPUs 1 belong to the claim for x",
        ),
    ],
)
def test_what_can_be_claimed(one, others, rules, said):
    pages = 4 if any(size for _cell, size, _kib in one.memory) else 0
    found = claim_problem(host(pages=pages), rules, others, one)
    if said is None:
        assert found is None
    else:
        assert found is not None and said in found.message
        assert found.name == "db1" and found.needed > found.available


@st.composite
def some_claims(draw):
    """Claims that do not overlap where one owns its CPUs, on a host of 2 cells x 4 cores x 2 threads."""
    free, found = list(range(16)), []
    for number in range(draw(st.integers(0, 3))):
        cell = draw(st.integers(0, 1))
        mine = [cpu for cpu in free if cpu // 8 == cell]
        if not mine:
            continue
        chosen = draw(st.lists(st.sampled_from(mine), min_size=1, max_size=4, unique=True))
        free = [cpu for cpu in free if cpu not in chosen]
        memory = [(cell, None, draw(st.integers(1, 4)))]
        text = ",".join(map(str, sorted(chosen)))
        found.append(claim(text, str(cell), draw(st.booleans()), memory=memory, name=f"c{number}"))
    return found


@given(
    some_claims(),
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 6), st.sampled_from(["pack", "spread", "dedicated"])), max_size=5
    ),
)
def test_no_plan_gives_away_what_is_claimed(claims, wanted):
    it = host()
    requests = [Request(f"g{n}", vcpus, gib * GIB, policy=policy) for n, (vcpus, gib, policy) in enumerate(wanted)]
    made = plan(it, requests, [claimed(each, each.name) for each in claims])
    owned = union(each.cpus for each in claims if each.owned)
    shared = union(each.cpus for each in claims if not each.owned)
    for placed in made.placements:
        assert not placed.cpuset & owned
        assert not placed.owned & shared
    for cell in it.cells:
        taken = sum(kib for each in claims for at, _size, kib in each.memory if at == cell.id)
        taken += sum(kib for placed in made.placements for at, kib in placed.memory if at == cell.id)
        assert taken <= cell.memory
