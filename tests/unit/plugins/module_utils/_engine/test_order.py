# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever leaves comes before whoever gets, and who does not leave is waited for in vain."""

from __future__ import annotations

import itertools
import random

import pytest

from ansible_collections.numa.virt.plugins.module_utils._engine.order import (
    AFTER_RESTART,
    FAILED,
    IN_A_CIRCLE,
    NOT_MOVED,
    Move,
    Order,
    Wait,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet


def cpus(text):
    return CpuSet.parse(text) if text else EMPTY


def own(name, before, after, runs=True, **more):
    """A guest with CPUs of its own, before and after."""
    return Move(
        name, cpus(before), cpus(before), cpus(after), cpus(after), cpus(after) - cpus(before), runs=runs, **more
    )


def memory(name, before, after, runs=False, stays=False):
    """A guest on no CPU in particular, with KiB on cells."""
    pools = [{(cell, None): kib for cell, kib in each.items()} for each in (before, after)]
    return Move(name, memory_before=pools[0], memory_after=pools[1], runs=runs, memory_stays=stays)


def run(moves, room=None, fail=(), after_restart=()):
    """Everybody's turn: names in order, those that waited in vain with what for."""
    by_name = {move.name: move for move in moves}
    order, done = Order(moves, room or {}), []
    while (taken := order.take()) is not None:
        name, waits = taken
        done.append((name, waits) if waits else name)
        move = by_name[name]
        if waits:
            continue
        if name in fail:
            order.failed(move)
        elif name in after_restart:
            order.left(move, move.before - move.after)
        else:
            order.left(move)
    return done


def test_guests_that_have_nothing_to_do_with_each_other_come_by_name():
    assert run([own("b", "2", "3"), own("a", "0", "1"), own("c", "", "4", runs=False)]) == ["a", "b", "c"]


def test_who_may_run_anywhere_goes_first():
    assert run([own("a", "0", "1"), Move("z", after=cpus("2"), anywhere=True, runs=True)]) == ["z", "a"]


def test_who_leaves_cpus_comes_before_who_gets_them():
    assert run([own("a", "", "0-1", runs=False), own("b", "0-1", "4-5")]) == ["b", "a"]
    assert run([own("a", "0", "1"), own("b", "1", "2"), own("c", "2", "3")]) == ["c", "b", "a"]


def test_shared_cpus_are_nobodys_to_leave_unless_they_become_somebodys_own():
    shared = Move("b", before=cpus("0-1"), after=cpus("2-3"), new=cpus("2-3"), runs=True)
    joins = Move("a", after=cpus("0-1"), new=cpus("0-1"))
    assert run([joins, shared]) == ["a", "b"]
    assert run([own("a", "", "0", runs=False), shared]) == ["b", "a"]


def test_cpus_that_were_somebodys_own_are_shared_only_when_they_are_left():
    joins = Move("a", after=cpus("0-1"), new=cpus("0-1"))
    assert run([joins, own("b", "0-1", "2-3")]) == ["b", "a"]
    opens = Move("b", cpus("0-1"), cpus("0-1"), cpus("0-1"), EMPTY, EMPTY, runs=True)
    assert run([joins, opens]) == ["b", "a"]
    assert run([joins, opens], fail="b") == ["b", ("a", (Wait("b", "CPUs 0-1", FAILED),))]


def test_who_has_its_cpus_already_waits_for_nobody():
    both = [own("a", "0-1", "0-1"), own("b", "0-1", "4-5")]  # after a run that failed
    assert run(both, fail="b") == ["a", "b"]


def test_who_is_to_be_started_waits_even_where_its_definition_says_so_already():
    starts = Move("a", cpus("0-1"), cpus("0-1"), cpus("0-1"), cpus("0-1"), cpus("0-1"))
    assert run([starts, own("b", "0-1", "4-5")]) == ["b", "a"]


def test_who_waits_for_one_that_failed_is_not_moved_and_nor_is_who_waits_for_him():
    guests = [own("a", "2", "0"), own("b", "0", "4"), own("c", "6", "2"), own("d", "7", "5")]
    assert run(guests) == ["b", "a", "c", "d"]
    assert run(guests, fail="b") == [
        "b",
        ("a", (Wait("b", "CPUs 0", FAILED),)),
        ("c", (Wait("a", "CPUs 2", NOT_MOVED),)),
        "d",
    ]
    assert str(Wait("b", "CPUs 0", FAILED)) == "CPUs 0 of 'b', which failed"


def test_who_waits_for_a_restart():
    guests = [own("a", "", "0-1", runs=False), own("b", "0-1", "4-5")]
    assert run(guests, after_restart="b") == ["b", ("a", (Wait("b", "CPUs 0-1", AFTER_RESTART),))]


def test_memory_is_given_when_it_is_there():
    assert run([memory("a", {}, {0: 50}), memory("b", {0: 60}, {1: 60})], {(0, None): 40, (1, None): 100}) == ["b", "a"]
    assert run([memory("a", {}, {0: 40}), memory("b", {0: 60}, {1: 60})], {(0, None): 40, (1, None): 100}) == ["a", "b"]


@pytest.mark.parametrize("stays", [False, True])
def test_memory_that_is_not_left(stays):
    guests = [memory("a", {}, {0: 50}), memory("b", {0: 60}, {1: 60}, True, stays), memory("c", {}, {0: 30})]
    done = run(guests, {(0, None): 40, (1, None): 100}, fail="" if stays else "b")
    waits = ("a", (Wait("b", "memory of cell 0", AFTER_RESTART if stays else FAILED),))
    assert done == ["b", waits, "c"]


def test_memory_that_stays_takes_none_elsewhere():
    assert run([memory("a", {0: 50}, {1: 50}, True, True), memory("b", {1: 50}, {0: 50}, True, True)]) == ["a", "b"]


def test_memory_that_a_third_one_leaves_is_enough():
    guests = [memory("a", {}, {0: 50}), memory("b", {0: 60}, {1: 60}), memory("c", {0: 20}, {1: 20})]
    assert run(guests, {(0, None): 40, (1, None): 100}, fail="b") == ["b", "c", "a"]


def test_memory_that_nobody_leaves_is_the_planners_business():
    assert run([memory("a", {}, {0: 50})], {(0, None): 40}) == ["a"]


def test_a_restart_takes_its_own_memory_along():
    assert run([memory("a", {0: 50}, {0: 60})], {(0, None): 10}) == ["a"]
    assert run([memory("a", {0: 50}, {0: 70}), memory("b", {0: 20}, {})], {(0, None): 10}) == ["b", "a"]


def test_huge_pages_are_a_pool_of_their_own():
    a = Move("a", memory_after={(0, 2048): 4096})
    b = Move("b", memory_before={(0, 2048): 4096}, memory_after={(1, 2048): 4096})
    assert run([a, b], {(0, 2048): 0, (1, 2048): 4096}, fail="b") == [
        "b", ("a", (Wait("b", "pages of 2048 KiB of cell 0", FAILED),)),
    ]  # fmt: skip


def test_two_that_run_and_wait_for_each_other_are_not_moved():
    circle = [own("a", "0", "1"), own("b", "1", "0"), own("c", "4", "5")]
    assert run(circle) == [
        "c",
        ("a", (Wait("b", "CPUs 1", IN_A_CIRCLE),)),
        ("b", (Wait("a", "CPUs 0", NOT_MOVED),)),
    ]


def test_one_that_does_not_run_is_on_no_cpu():
    circle = [own("a", "0", "1"), own("b", "1", "0", runs=False)]
    assert run(circle) == ["a", "b"]
    assert run([own("a", "0", "1", runs=False), own("b", "1", "0")]) == ["b", "a"]
    assert run([memory("a", {0: 9}, {1: 9}, runs=True), memory("b", {1: 9}, {0: 9})], {}) == ["a", "b"]


def test_memory_in_a_circle():
    guests = [memory("a", {0: 9}, {1: 9}, runs=True), memory("b", {1: 9}, {0: 9}, runs=True)]
    assert run(guests) == [
        ("a", (Wait("b", "memory of cell 1", IN_A_CIRCLE),)),
        ("b", (Wait("a", "memory of cell 0", NOT_MOVED),)),
    ]


def test_who_has_not_had_their_turn():
    order = Order([own("a", "0", "1"), own("b", "1", "2")], {})
    assert order.take() == ("b", ())
    assert list(order.left_over) == ["a"]


def test_nobody_to_move():
    assert run([]) == []


@pytest.mark.parametrize("seed", range(200))
def test_a_cpu_is_never_two_running_guests_own(seed):
    """Whatever fails, and whoever follows only after a restart."""
    random_ = random.Random(seed)
    names = "abcdef"[: random_.randint(2, 6)]
    before, after = (dict(zip(names, random_.sample(range(8), len(names)))) for _side in range(2))
    runs = {name for name in names if random_.random() < 0.7}
    moves = [own(name, str(before[name]), str(after[name]), runs=name in runs) for name in names]
    fail = {name for name in names if random_.random() < 0.2}
    restart = {name for name in names if random_.random() < 0.2}
    where = {name: before[name] for name in runs}
    had_their_turn = []
    for taken in run(moves, fail=fail, after_restart=restart):
        name = taken if isinstance(taken, str) else taken[0]
        had_their_turn.append(name)
        if isinstance(taken, str) and name not in fail and not (name in restart and name in runs):
            where[name] = after[name]
        assert all(one != other for one, other in itertools.combinations(where.values(), 2)), (moves, taken)
    assert sorted(had_their_turn) == sorted(names)
