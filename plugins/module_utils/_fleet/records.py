# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of plain data: values with named fields as JSON has them, read back with one clear line for what is wrong.

What a record does not say is as the value has it by default, and what is so is not written. Text of CPUs and cells is
that of a CpuSet.
This file must not import ansible, libvirt or lxml, and must know nothing of fleets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import lru_cache
from itertools import groupby
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet

Parse = Callable[[Any], Any]
Write = Callable[[Any], Any]


class WrongError(Exception):
    """What is wrong with a part of the data; the path to it is put together only where there is something."""

    def __init__(self, value: Any, problem: str, expected: str | None = None) -> None:
        super().__init__(problem)
        self.value, self.problem, self.expected = value, problem, expected
        self.path: list[str] = []


class Codec:
    """How a value is read and written."""

    def __init__(self, parse: Parse, write: Write) -> None:
        self._parse, self._write = parse, write

    def read(self, where: str, data: Any) -> Any:
        """The value. Raises InputError, which names the place below ``where``."""
        try:
            return self.parse(data)
        except WrongError as wrong:
            path = where + "".join(reversed(wrong.path))
            raise InputError(path, wrong.value, wrong.problem, wrong.expected) from None

    def parse(self, data: Any) -> Any:
        """Raises WrongError."""
        return self._parse(data)

    def write(self, value: Any) -> Any:
        return None if value is None else self._write(value)


def _same(value: Any) -> Any:
    return value


def of_type(*types: type) -> Codec:
    names = " or ".join(each.__name__ for each in types)

    def parse(data: Any) -> Any:
        if type(data) not in types:
            raise WrongError(data, f"is not {names}")
        return data

    return Codec(parse, _same)


TEXT, WHOLE, NUMBER, TRUTH = of_type(str), of_type(int), of_type(int, float), of_type(bool)


@lru_cache(maxsize=4096)
def _cpus(text: str) -> CpuSet:
    return CpuSet.parse(text) if text else EMPTY


def _parse_cpus(data: Any) -> CpuSet:
    TEXT.parse(data)
    try:
        return _cpus(data)
    except InputError as error:
        raise WrongError(data, str(error.fields["problem"]), error.fields["expected"]) from None


CPUS = Codec(_parse_cpus, str)


def maybe(codec: Codec) -> Codec:
    """The same or None."""
    return Codec(lambda data: None if data is None else codec.parse(data), codec.write)


def either(text: Codec, *words: str) -> Codec:
    """One of these words, or what else the text is."""
    return Codec(
        lambda data: data if data in words else text.parse(data),
        lambda value: value if value in words else text.write(value),
    )


def is_number(data: Any) -> bool:
    """Whether it is a whole number; true is none."""
    return isinstance(data, int) and not isinstance(data, bool)


def _listed(data: Any) -> Sequence[Any]:
    if not isinstance(data, list):
        raise WrongError(data, "is not a list")
    return data


def many(codec: Codec) -> Codec:
    """A tuple of such values."""

    def parse(data: Any) -> Any:
        found: list[Any] = []
        items = _listed(data)
        try:
            for each in items:
                found.append(codec.parse(each))  # noqa: PERF401  # how many there are says where the error is
        except WrongError as wrong:
            wrong.path.append(f"[{len(found)}]")
            raise
        return tuple(found)

    return Codec(parse, lambda value: [codec.write(each) for each in value])


def row(*codecs: Codec) -> Codec:
    """A tuple of exactly these."""

    def parse(data: Any) -> Any:
        if len(_listed(data)) != len(codecs):
            raise WrongError(data, f"is not a list of {len(codecs)}")
        return tuple([codec.parse(each) for codec, each in zip(codecs, data)])

    return Codec(parse, lambda value: [codec.write(each) for codec, each in zip(codecs, value)])


# No guest has more vCPUs.
_MOST = 1 << 14


def runs(codec: Codec) -> Codec:
    """A tuple of values of which many that follow each other are equal: pairs (value, how many)."""

    def parse(data: Any) -> Any:
        found: tuple[Any, ...] = ()
        for pair in _listed(data):
            if not isinstance(pair, list) or len(pair) != 2 or not is_number(pair[1]) or not 0 <= pair[1] <= _MOST:
                raise WrongError(pair, "is not a value and how often it stands there")
            found += (codec.parse(pair[0]),) * pair[1]
        return found

    def write(value: Sequence[Any]) -> Any:
        return [[codec.write(each), len(list(equal))] for each, equal in groupby(value)]

    return Codec(parse, write)


def mapping() -> Codec:
    """Pairs (name, text), as an object."""

    def parse(data: Any) -> Any:
        if not isinstance(data, dict):
            raise WrongError(data, "is not an object")
        for name, value in data.items():
            if not isinstance(value, str):
                raise WrongError(value, f"{name} is not str")
        return tuple(data.items())

    return Codec(parse, dict)


def record(kind: type[Any], codecs: Mapping[str, Codec]) -> Codec:
    """A dataclass as an object with its fields; ``codecs`` are those of all that may be said."""
    defaults = {each.name: each.default for each in fields(kind)}
    needed = [name for name, default in defaults.items() if default is MISSING]

    def parse(data: Any) -> Any:
        if not isinstance(data, dict):
            raise WrongError(data, "is not an object")
        found, name = {}, ""
        try:
            for name, value in data.items():
                codec = codecs.get(name)
                if codec is None:
                    raise WrongError(None, "is not known", f"known are {', '.join(codecs)}")
                found[name] = None if value is None and defaults[name] is None else codec.parse(value)
            for name in needed:
                if name not in found:
                    raise WrongError(None, "is missing")
        except WrongError as wrong:
            wrong.path.append(f".{name}")
            raise
        return kind(**found)

    def write(value: Any) -> Any:
        own = ((name, getattr(value, name)) for name in codecs)
        return {name: codecs[name].write(each) for name, each in own if each != defaults[name]}

    return Codec(parse, write)
