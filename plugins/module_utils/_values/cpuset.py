# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPU sets in libvirt's grammar: an immutable value on an integer bitmap.

The grammar is that of virBitmapParse() in libvirt's src/util/virbitmap.c, read in 9.0 and 11.3 and compared with the
library over generated strings (test_cpuset_differential.py). The same syntax serves sets of cells (libvirt's
"nodeset") and of vCPUs.

Where this differs from libvirt, on purpose:
- libvirt refuses CPU 16,384 and above wherever it is named, even to exclude it; here the end is MAX_CPU.
- libvirt refuses text that is well-formed and leaves nothing ("^3", "1,^1"); here it is the empty set, which options
  refuse in words of their own.
- libvirt takes <vcpu cpuset='0-16383'>, all that it can count, for no CPU set at all, and drops the attribute.

This file must not import ansible, libvirt or lxml, and must know nothing of hosts or domains.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError, InputError

# A guard against a typing error that would cost gigabytes; the largest Linux NR_CPUS is 8,192.
# libvirt itself stops at 16,384 in a domain's definition (VIR_DOMAIN_CPUMASK_LEN).
MAX_CPU = (1 << 20) - 1

# What C's isspace() accepts in the C locale, as virSkipSpaces() does.
_SPACE = " \t\n\v\f\r"
# One element with the white space that may follow its parts. No space may stand between "^" and its number.
# After the dash libvirt calls strtol(), which also takes a plus sign, and a minus sign before zero.
_ELEMENT = re.compile(
    rf"(?P<neg>\^)?(?P<start>[0-9]+)[{_SPACE}]*(?P<dash>-[{_SPACE}]*(?P<end>\+?[0-9]+|-0+)[{_SPACE}]*)?"
    rf"(?P<comma>,[{_SPACE}]*)?"
)
_RUN = re.compile("1+")
# A text of so many characters names few ranges.
_SHORT = 64
# Up to so many CPUs a mask costs next to nothing, whatever is done with it.
_FEW = 1024


class CpuSet:
    """A set of CPU numbers. Immutable, hashable, ordered text; empty is allowed here and refused at the edges.

    >>> str(CpuSet.parse("1-4,^3,6"))
    '1-2,4,6'
    >>> str(CpuSet.parse("^3,1-4"))  # an exclusion removes only what stands before it
    '1-4'
    """

    __slots__ = ("_mask",)
    _mask: int

    def __init__(self, cpus: Iterable[int] = ()) -> None:
        numbers = list(cpus)
        last = max(numbers, default=-1)
        if numbers and min(numbers) < 0:
            raise ValueError("CPU numbers are not negative")
        if last > MAX_CPU:
            raise ValueError(f"CPU numbers are not larger than {MAX_CPU}")
        mask = 0
        if last < _FEW:
            for number in numbers:
                mask |= 1 << number
        else:
            bits = bytearray(b"0") * (last + 1)
            for number in numbers:
                bits[number] = 0x31
            mask = _mask_of(bits)
        object.__setattr__(self, "_mask", mask)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a CpuSet is immutable")

    @classmethod
    def from_mask(cls, mask: int) -> CpuSet:
        """The set whose bit N says that CPU N is in it."""
        if mask < 0:
            raise ValueError("a mask is not negative")
        new = cls.__new__(cls)
        object.__setattr__(new, "_mask", mask)
        return new

    @classmethod
    def from_map(cls, flags: Sequence[bool]) -> CpuSet:
        """From libvirt's Python form: a sequence with one truth value for each CPU."""
        return cls.from_mask(_mask_of(bytearray(0x31 if flag else 0x30 for flag in flags)))

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return CpuSet.from_mask, (self._mask,)  # copying must not set attributes

    @classmethod
    def parse(cls, text: str, option: str = "cpuset") -> CpuSet:
        """Read libvirt's syntax. Raises CpuSetSyntaxError with the position of the first character that is wrong."""
        # Documents of many guests say the same few sets again and again.
        return _short_set(text, option) if len(text) <= _SHORT else cls._parsed(text, option)

    @classmethod
    def _parsed(cls, text: str, option: str) -> CpuSet:
        position = _after_spaces(text, 0)
        if position == len(text):
            raise CpuSetSyntaxError(option, text, position, "a CPU number is missing")
        bits = _Bits() if len(text) <= _SHORT else _ManyBits()
        while position < len(text):
            match = _ELEMENT.match(text, position)
            if match is None:
                raise _no_element(option, text, position)
            start = _number(option, text, match, "start")
            if match["dash"] is None:
                bits.set(start, start, match["neg"] is None)
            elif match["neg"]:
                raise _excluded_range(option, text, match.start("dash"))
            else:
                end = _number(option, text, match, "end")
                if end < start:
                    raise CpuSetSyntaxError(option, text, match.start("end"), "the range ends before it starts")
                bits.set(start, end, True)
            if match["comma"] is None and match.end() != len(text):
                raise _no_separator(option, text, match)
            position = match.end()
        return cls.from_mask(bits.mask)

    @classmethod
    def coerce(cls, value: Any, option: str = "cpuset") -> CpuSet:
        """From what a user may write: text, one integer, or a list of integers. Raises InputError."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.parse(value, option)
        items = [value] if isinstance(value, int) else value
        expected = "give text such as '0-3,8' or a list of integers"
        if not isinstance(items, (list, tuple, set, frozenset)):
            raise InputError(option, value, "is not a CPU set", expected)
        numbers = []
        for item in items:
            if isinstance(item, str) and re.fullmatch("[0-9]{1,9}", item):
                item = int(item)
            if isinstance(item, bool) or not isinstance(item, int):
                raise InputError(option, value, f"{item!r} is not a CPU number", expected)
            if not 0 <= item <= MAX_CPU:
                raise InputError(option, value, f"{item} is not a CPU number", f"CPU numbers are 0 to {MAX_CPU}")
            numbers.append(item)
        return cls(numbers)

    @property
    def mask(self) -> int:
        return self._mask

    def ranges(self) -> list[tuple[int, int]]:
        """Runs of neighbours, ascending: ``[(first, last), ...]``."""
        return list(_ranges_of(self._mask))

    def to_map(self, length: int) -> tuple[bool, ...]:
        """libvirt's Python form for a host with ``length`` CPUs. A CPU beyond it is an error, never cut off."""
        if self._mask >> length:
            raise ValueError(f"CPU set {self} does not fit a map of {length} CPUs")
        return tuple(digit == "1" for digit in f"{self._mask:0{length}b}"[::-1]) if length else ()

    def __str__(self) -> str:
        return _short_text(self._mask) if self._mask >> _FEW == 0 else _text_of(self._mask)

    def __repr__(self) -> str:
        return f"CpuSet({str(self)!r})"

    def __iter__(self) -> Iterator[int]:
        for first, last in _ranges_of(self._mask):
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return f"{self._mask:b}".count("1")

    def __bool__(self) -> bool:
        return self._mask != 0

    def __contains__(self, cpu: object) -> bool:
        return isinstance(cpu, int) and cpu >= 0 and bool(self._mask >> cpu & 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CpuSet) and self._mask == other._mask

    def __hash__(self) -> int:
        return hash(self._mask)

    def __or__(self, other: CpuSet) -> CpuSet:
        return CpuSet.from_mask(self._mask | other._mask)

    def __and__(self, other: CpuSet) -> CpuSet:
        return CpuSet.from_mask(self._mask & other._mask)

    def __sub__(self, other: CpuSet) -> CpuSet:
        return CpuSet.from_mask(self._mask & ~other._mask)

    def __le__(self, other: CpuSet) -> bool:
        """Whether every CPU here is also there."""
        return self._mask & ~other._mask == 0


def union(sets: Iterable[CpuSet]) -> CpuSet:
    """All CPUs of all sets."""
    mask = 0
    for each in sets:
        mask |= each.mask
    return CpuSet.from_mask(mask)


def _mask_of(bits: bytearray) -> int:
    # int(text, 2) is linear, where setting single bits of a long integer would be quadratic.
    return int(bytes(bits[::-1]), 2) if bits else 0


def _ranges_of(mask: int) -> list[tuple[int, int]]:
    if not mask:
        return []
    first = (mask & -mask).bit_length() - 1  # nothing is looked at below it
    run = mask >> first
    if run & (run + 1) == 0:
        return [(first, first + run.bit_length() - 1)]
    return [(first + run.start(), first + run.end() - 1) for run in _RUN.finditer(f"{run:b}"[::-1])]


def _text_of(mask: int) -> str:
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in _ranges_of(mask))


_short_text = lru_cache(maxsize=1024)(_text_of)


@lru_cache(maxsize=1024)
def _short_set(text: str, option: str) -> CpuSet:
    return CpuSet._parsed(text, option)


class _Bits:
    """A mask in the making, of a few ranges: each costs as much as the mask is long."""

    def __init__(self) -> None:
        self.mask = 0

    def set(self, first: int, last: int, on: bool) -> None:
        run = ((1 << (last - first + 1)) - 1) << first
        self.mask = self.mask | run if on else self.mask & ~run


class _ManyBits:
    """The same of any number: each costs as much as it is long itself."""

    def __init__(self) -> None:
        self._digits = bytearray()

    def set(self, first: int, last: int, on: bool) -> None:
        digits = self._digits
        if last >= len(digits):
            if not on:
                return
            digits.extend(b"0" * max(last + 1 - len(digits), len(digits)))
        digits[first : last + 1] = (b"1" if on else b"0") * (last + 1 - first)

    @property
    def mask(self) -> int:
        return _mask_of(self._digits)


def _number(option: str, text: str, match: re.Match[str], group: str) -> int:
    digits = match[group].lstrip("+-").lstrip("0") or "0"
    if len(digits) > 9 or int(digits) > MAX_CPU:
        raise CpuSetSyntaxError(option, text, match.start(group), f"the number is larger than {MAX_CPU}")
    return int(digits)


def _no_element(option: str, text: str, position: int) -> CpuSetSyntaxError:
    """Where an element should begin, none does."""
    return _unexpected(option, text, position + (text[position] == "^"))


def _no_separator(option: str, text: str, match: re.Match[str]) -> CpuSetSyntaxError:
    """What follows an element is neither a comma nor the end: a range without an end, or something else."""
    position = match.end()
    if text[position] != "-" or match["dash"] is not None:
        return _unexpected(option, text, position)
    if match["neg"]:
        return _excluded_range(option, text, position)
    position = _after_spaces(text, position + 1)
    return _unexpected(option, text, position + (text[position : position + 1] == "+"))


def _unexpected(option: str, text: str, position: int) -> CpuSetSyntaxError:
    if position < len(text):
        return CpuSetSyntaxError(option, text, position, f"unexpected {text[position]!r}")
    return CpuSetSyntaxError(option, text, position, "a CPU number is missing")


def _excluded_range(option: str, text: str, position: int) -> CpuSetSyntaxError:
    return CpuSetSyntaxError(option, text, position, "only a single CPU can be excluded, not a range")


def _after_spaces(text: str, position: int) -> int:
    return len(text) - len(text[position:].lstrip(_SPACE))


EMPTY = CpuSet()
