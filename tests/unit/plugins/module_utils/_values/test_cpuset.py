# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError, InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, MAX_CPU, CpuSet, union

NUMBERS = st.sets(st.integers(0, 300))
SPACES = st.text(" \t\n\v\f\r", max_size=2)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0", {0}),
        ("0-3,8", {0, 1, 2, 3, 8}),
        ("3,1,2,1", {1, 2, 3}),
        ("5-5", {5}),
        ("1-4,^3,6", {1, 2, 4, 6}),
        ("^3,1-4", {1, 2, 3, 4}),  # an exclusion only removes what stands before it
        ("1-4,^3,3", {1, 2, 3, 4}),
        ("1-4,^9", {1, 2, 3, 4}),
        ("1,^1", set()),
        ("^1", set()),
        ("1,", {1}),
        (" 1 , 2 - 3 , ", {1, 2, 3}),
        ("\t1\v-\f2\r\n", {1, 2}),
        ("1-+3", {1, 2, 3}),
        ("1- +3", {1, 2, 3}),
        ("007-010", {7, 8, 9, 10}),
        ("0" * 40 + "1", {1}),
        (str(MAX_CPU), {MAX_CPU}),
    ],
)
def test_grammar(text: str, numbers: set[int]) -> None:
    assert set(CpuSet.parse(text)) == numbers


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 0, "a CPU number is missing"),
        ("  ", 2, "a CPU number is missing"),
        ("^", 1, "a CPU number is missing"),
        ("1,^", 3, "a CPU number is missing"),
        ("1-", 2, "a CPU number is missing"),
        ("1 - ", 4, "a CPU number is missing"),
        ("1-+", 3, "a CPU number is missing"),
        (",1", 0, "unexpected ','"),
        ("1,,2", 2, "unexpected ','"),
        ("-1", 0, "unexpected '-'"),
        ("+1", 0, "unexpected '+'"),
        ("1--2", 2, "unexpected '-'"),
        ("1-+ 2", 3, "unexpected ' '"),
        ("1-++2", 3, "unexpected '+'"),
        ("1-2-3", 3, "unexpected '-'"),
        ("1 2", 2, "unexpected '2'"),
        ("1 ^2", 2, "unexpected '^'"),
        ("1,^^2", 3, "unexpected '^'"),
        ("^ 3", 1, "unexpected ' '"),
        ("0x3", 1, "unexpected 'x'"),
        ("1.5", 1, "unexpected '.'"),
        ("all", 0, "unexpected 'a'"),
        ("1,\u0661", 2, "unexpected '\u0661'"),  # a digit elsewhere
        ("1\u00a0", 1, "unexpected '\\xa0'"),  # a space elsewhere
        ("1\0", 1, "unexpected '\\x00'"),
        ("1-4,^2-3", 6, "only a single CPU can be excluded, not a range"),
        ("1-4,^2-", 6, "only a single CPU can be excluded, not a range"),
        ("4-2", 2, "the range ends before it starts"),
        ("4 - +2", 4, "the range ends before it starts"),
        (f"{MAX_CPU + 1}", 0, f"the number is larger than {MAX_CPU}"),
        ("1-99999999999", 2, f"the number is larger than {MAX_CPU}"),
        ("1,^99999999999", 3, f"the number is larger than {MAX_CPU}"),
    ],
)
def test_error_points_at_the_first_wrong_character(text: str, position: int, problem: str) -> None:
    with pytest.raises(CpuSetSyntaxError) as caught:
        CpuSet.parse(text, "pins[0]")
    assert (caught.value.position, caught.value.text) == (position, text)
    shown = f" {text!r}:" if text else ""
    assert caught.value.message == (
        f"pins[0]:{shown} {problem} at character {position + 1}; a CPU set looks like '0-3,^2,8' or [0, 1, 3, 8]"
    )


def failure(text: str) -> CpuSetSyntaxError | None:
    try:
        CpuSet.parse(text)
    except CpuSetSyntaxError as error:
        return error
    return None


@given(st.text("0123^-+, \tx", max_size=12))
def test_what_stands_before_the_position_was_not_wrong(text: str) -> None:
    error = failure(text)
    assume(error is not None and "unexpected" in error.message)
    assert error is not None
    begun = text[: error.position]
    # Something else in this place makes it right, or leaves only the number or the comma to be given.
    assert not all(failure(begun + rest) for rest in ("", f"{MAX_CPU}", f",{MAX_CPU}")), error.message


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((), ""),
        ((0,), "0"),
        ((1, 2), "1-2"),
        ((9, 7, 8, 3), "3,7-9"),
        ((0, 2, 4), "0,2,4"),
        (range(64), "0-63"),
        (range(63, 65), "63-64"),
        (range(MAX_CPU - 1, MAX_CPU + 1), f"{MAX_CPU - 1}-{MAX_CPU}"),
    ],
)
def test_canonical_text(numbers: tuple[int, ...], text: str) -> None:
    assert str(CpuSet(numbers)) == text
    assert repr(CpuSet(numbers)) == f"CpuSet('{text}')"


@given(NUMBERS.filter(bool))
def test_text_and_back(numbers: set[int]) -> None:
    assert CpuSet.parse(str(CpuSet(numbers))) == CpuSet(numbers)


@given(NUMBERS.filter(bool), st.data())
def test_any_way_to_write_a_set_has_one_canonical_text(numbers: set[int], data: st.DataObject) -> None:
    words = data.draw(st.permutations(sorted(numbers)))
    spaced = ",".join(f"{data.draw(SPACES)}{word}{data.draw(SPACES)}" for word in words)
    assert str(CpuSet.parse(spaced)) == str(CpuSet(numbers))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 5)), min_size=1))
def test_elements_apply_from_left_to_right(elements: list[tuple[bool, int, int]]) -> None:
    words, expected = [], set()
    for excluded, first, more in elements:
        if excluded:
            words.append(f"^{first}")
            expected.discard(first)
        else:
            words.append(f"{first}-{first + more}" if more else str(first))
            expected.update(range(first, first + more + 1))
    assert set(CpuSet.parse(",".join(words))) == expected


@given(NUMBERS, NUMBERS)
def test_operations_are_those_of_sets(one: set[int], other: set[int]) -> None:
    a, b = CpuSet(one), CpuSet(other)
    assert set(a | b) == one | other
    assert set(a & b) == one & other
    assert set(a - b) == one - other
    assert (a <= b) == (one <= other)
    assert (a == b) == (one == other)
    assert union([a, b, a]) == a | b
    if a == b:
        assert hash(a) == hash(b)


@given(NUMBERS, st.integers(-2, 310))
def test_behaves_as_a_collection(numbers: set[int], number: int) -> None:
    cpus = CpuSet(numbers)
    assert list(cpus) == sorted(numbers)
    assert len(cpus) == len(numbers)
    assert bool(cpus) == bool(numbers)
    assert (number in cpus) == (number in numbers)
    assert [cpu for first, last in cpus.ranges() for cpu in range(first, last + 1)] == sorted(numbers)


def test_has_nothing_in_common_with_other_types() -> None:
    assert CpuSet([1]) != {1}
    assert CpuSet([1]) != "1"
    assert "1" not in CpuSet([1])


@given(NUMBERS, st.integers(0, 50))
def test_maps_and_back(numbers: set[int], more: int) -> None:
    length = max(numbers, default=-1) + 1 + more
    flags = CpuSet(numbers).to_map(length)
    assert flags == tuple(cpu in numbers for cpu in range(length))
    assert CpuSet.from_map(flags) == CpuSet(numbers)
    assert CpuSet.from_mask(CpuSet(numbers).mask) == CpuSet(numbers)


def test_a_map_too_short_cuts_nothing_off() -> None:
    with pytest.raises(ValueError, match="CPU set 0,8 does not fit a map of 8 CPUs"):
        CpuSet([0, 8]).to_map(8)


@pytest.mark.parametrize(
    ("make", "problem"),
    [(lambda: CpuSet([-1]), "CPU numbers are not negative"), (lambda: CpuSet.from_mask(-1), "a mask is not negative")],
)
def test_there_is_no_negative_cpu(make: Callable[[], CpuSet], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (CpuSet([3]), "3"),
        ("0-3,^1", "0,2-3"),
        (5, "5"),
        (0, "0"),
        ([3, 1, 2], "1-3"),
        ((3,), "3"),
        ({3, 4}, "3-4"),
        (frozenset([7]), "7"),
        (["3", "08"], "3,8"),  # as templates give them
        ([], ""),
        ([MAX_CPU], str(MAX_CPU)),
    ],
)
def test_coerce(value: Any, text: str) -> None:
    assert str(CpuSet.coerce(value)) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "cpuset: is not a CPU set; give text such as '0-3,8' or a list of integers"),
        ({"a": 1}, "cpuset: {'a': 1}: is not a CPU set; give text such as '0-3,8' or a list of integers"),
        (1.0, "cpuset: 1.0: is not a CPU set; give text such as '0-3,8' or a list of integers"),
        (True, "cpuset: True: True is not a CPU number; give text such as '0-3,8' or a list of integers"),
        ([1.5], "cpuset: [1.5]: 1.5 is not a CPU number; give text such as '0-3,8' or a list of integers"),
        (["0-3"], "cpuset: ['0-3']: '0-3' is not a CPU number; give text such as '0-3,8' or a list of integers"),
        ([[1]], "cpuset: [[1]]: [1] is not a CPU number; give text such as '0-3,8' or a list of integers"),
        (["-1"], "cpuset: ['-1']: '-1' is not a CPU number; give text such as '0-3,8' or a list of integers"),
        (-1, "cpuset: -1: -1 is not a CPU number; CPU numbers are 0 to 1048575"),
        ([1 << 20], "cpuset: [1048576]: 1048576 is not a CPU number; CPU numbers are 0 to 1048575"),
    ],
)
def test_coerce_refuses(value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        CpuSet.coerce(value)
    assert caught.value.message == message


def test_is_immutable_and_can_be_copied() -> None:
    cpus = CpuSet.parse("1-2")
    with pytest.raises(AttributeError):
        cpus._mask = 0  # type: ignore[misc]
    assert copy.deepcopy(cpus) == copy.copy(cpus) == pickle.loads(pickle.dumps(cpus)) == cpus


def test_the_empty_set() -> None:
    assert CpuSet() == EMPTY
    assert EMPTY.ranges() == []
    assert EMPTY.to_map(0) == ()
    assert CpuSet() <= EMPTY
    assert CpuSet.from_map([]) == union([]) == EMPTY


def test_a_hundred_thousand_cpus() -> None:
    text = ",".join(str(cpu) for cpu in range(0, 200_000, 2))
    cpus = CpuSet.parse(text)
    assert len(cpus) == 100_000
    assert str(cpus) == text
    assert str(CpuSet.parse("0-99999")) == "0-99999"
