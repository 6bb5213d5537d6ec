# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CPU that two guests have, although one should have it alone."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed
from ansible_collections.numa.virt.plugins.module_utils._planner.twice import foreseen, given_twice
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

ONLINE = CpuSet(range(8))


def cpus(text):
    return CpuSet.parse(text) if text else CpuSet()


def guest(name, *pins, policy=None, emulator=None, helpers=""):
    wish = Request(name, len(pins), 1024, policy=policy) if policy else None
    sets = tuple(cpus(pin) if pin else None for pin in pins)
    own = cpus(emulator) if emulator else None
    return Existing(name, sets, 1024, emulator=own, helpers=cpus(helpers), wish=wish)


def placed(name, text, emulator=None, owned=""):
    own = cpus(emulator) if emulator else None
    return Placed(name, "dedicated", "place", 1, CpuSet([0]), cpus(text), (), own, CpuSet([0]), (), cpus(owned))


DB = guest("db", "0", "1", policy="dedicated")
CASES = {
    "another's own": ([DB, guest("new", "1", "2", policy="dedicated")], {}, [("db", "new", "1")]),
    "one that shares": ([DB, guest("a", "0-3", policy="pack")], {}, [("db", "a", "0-1")]),
    "one that nobody manages": ([DB, guest("virsh", "1-2")], {}, [("db", "virsh", "1")]),
    "its emulator": ([DB, guest("a", "4", policy="pack", emulator="1")], {}, [("db", "a", "1")]),
    "its IO threads": ([DB, guest("a", "4", policy="pack", helpers="0")], {}, [("db", "a", "0")]),
    "ours shares, and theirs owns": ([guest("db", "0-3", policy="pack"), guest("z", "2", policy="dedicated")], {},
                                     [("z", "db", "2")]),
    "two that share": ([guest("db", "0-3", policy="pack"), guest("a", "0-3", policy="pack")], {}, []),
    "apart": ([DB, guest("a", "2-3", policy="pack")], {}, []),
    "one that may run anywhere": ([DB, guest("a", None), guest("b", "0-7")], {}, []),
    "not ours": ([guest("x", "0", policy="dedicated"), guest("y", "0", policy="dedicated")], {}, []),
    "the plan knew it of both": ([DB, guest("a", "1-2")], {"db": "0-1", "a": "1"}, []),
    "the plan knew it of one": ([DB, guest("a", "1-2")], {"db": "0-1", "a": "2"}, [("db", "a", "1")]),
    "emulators that share with an owner's": ([guest("db", "0", policy="dedicated", emulator="4"),
                                              guest("a", "4", policy="pack")], {}, []),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_given_twice(case):
    there, known, expected = CASES[case]
    found = given_twice(there, {"db"}, {name: cpus(text) for name, text in known.items()}, ONLINE)
    assert [(*each.guests, str(each.cpus)) for each in found] == expected


def test_in_words():
    (found,) = given_twice([DB, guest("new", "1", policy="dedicated")], {"db"}, {}, ONLINE)
    assert str(found) == "CPUs 1 of 'db' are also 'new''s"


def test_what_a_plan_knows():
    found = foreseen([DB, guest("a", "5", None)], [placed("db", "2", "3", "6"), placed("c", "4")], ONLINE)
    assert {name: str(each) for name, each in found.items()} == {"db": "0-3,6", "a": "5", "c": "4"}
