# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of plain data: values with named fields as JSON has them, read back with one clear line for what is wrong.

What a record does not say is as the value has it by default, and what is so is not written. Text of CPUs and cells is
that of a CpuSet.
This file must not import ansible, libvirt or lxml, and must know nothing of fleets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet

# where it stands, its data -> the value
Read = Callable[[str, Any], Any]
Write = Callable[[Any], Any]


class Codec:
    """How a value is read and written; None is itself."""

    def __init__(self, read: Read, write: Write) -> None:
        self._read, self._write = read, write

    def read(self, where: str, data: Any) -> Any:
        """Raises InputError."""
        return None if data is None else self._read(where, data)

    def write(self, value: Any) -> Any:
        return None if value is None else self._write(value)


def _same(value: Any) -> Any:
    return value


def of_type(*types: type) -> Codec:
    names = " or ".join(each.__name__ for each in types)

    def read(where: str, data: Any) -> Any:
        if type(data) not in types:
            raise InputError(where, data, f"is not {names}")
        return data

    return Codec(read, _same)


TEXT, WHOLE, NUMBER, TRUTH = of_type(str), of_type(int), of_type(int, float), of_type(bool)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> CpuSet:
    return CpuSet.parse(text)


def _read_cpus(where: str, data: Any) -> CpuSet:
    TEXT.read(where, data)
    try:
        return _parsed(data) if data else EMPTY
    except InputError as error:
        raise InputError(where, data, str(error.fields["problem"]), error.fields["expected"]) from None


CPUS = Codec(_read_cpus, str)


def either(text: Codec, *words: str) -> Codec:
    """One of these words, or what else the text is."""
    return Codec(
        lambda where, data: data if data in words else text.read(where, data),
        lambda value: value if value in words else text.write(value),
    )


def _listed(where: str, data: Any) -> Sequence[Any]:
    if not isinstance(data, list):
        raise InputError(where, data, "is not a list")
    return data


def many(codec: Codec) -> Codec:
    """A tuple of such values."""
    return Codec(
        lambda where, data: tuple([codec.read(where, each) for each in _listed(where, data)]),
        lambda value: [codec.write(each) for each in value],
    )


def row(*codecs: Codec) -> Codec:
    """A tuple of exactly these."""

    def read(where: str, data: Any) -> Any:
        if len(_listed(where, data)) != len(codecs):
            raise InputError(where, data, f"is not a list of {len(codecs)}")
        return tuple([codec.read(where, each) for codec, each in zip(codecs, data)])

    return Codec(read, lambda value: [codec.write(each) for codec, each in zip(codecs, value)])


def runs(codec: Codec) -> Codec:
    """A tuple of values of which many that follow each other are equal: pairs (value, how many)."""

    def read(where: str, data: Any) -> Any:
        found: tuple[Any, ...] = ()
        for value, number in row_of_pairs(where, data):
            found += (codec.read(where, value),) * number
        return found

    def write(value: Sequence[Any]) -> Any:
        found: list[list[Any]] = []
        for each in value:
            if found and found[-1][0] == each:
                found[-1][1] += 1
            else:
                found.append([each, 1])
        return [[codec.write(each), number] for each, number in found]

    return Codec(read, write)


# No guest has more vCPUs.
_MOST = 1 << 14


def row_of_pairs(where: str, data: Any) -> Iterable[tuple[Any, int]]:
    for pair in _listed(where, data):
        if not isinstance(pair, list) or len(pair) != 2 or type(pair[1]) is not int or not 0 <= pair[1] <= _MOST:
            raise InputError(where, pair, "is not a value and how often it stands there")
        yield pair[0], pair[1]


def mapping() -> Codec:
    """Pairs (name, text), as an object."""

    def read(where: str, data: Any) -> Any:
        if not isinstance(data, dict):
            raise InputError(where, data, "is not an object")
        return tuple([(name, TEXT.read(f"{where}.{name}", value)) for name, value in data.items()])

    return Codec(read, dict)


def record(kind: type[Any], codecs: Mapping[str, Codec]) -> Codec:
    """A dataclass as an object with its fields; ``codecs`` are those of all that may be said."""
    defaults = {
        each.name: each.default
        if each.default is not MISSING
        else each.default_factory()
        if each.default_factory is not MISSING
        else MISSING
        for each in fields(kind)
    }
    needed = [name for name, default in defaults.items() if default is MISSING]

    def read(where: str, data: Any) -> Any:
        if not isinstance(data, dict):
            raise InputError(where, data, "is not an object")
        found = {}
        for name, value in data.items():
            codec = codecs.get(name)
            if codec is None:
                raise InputError(f"{where}.{name}", None, "is not known", f"known are {', '.join(codecs)}")
            found[name] = codec.read(f"{where}.{name}", value)
        for name in needed:
            if name not in found:
                raise InputError(f"{where}.{name}", None, "is missing")
        return kind(**found)

    def write(value: Any) -> Any:
        own = ((name, getattr(value, name)) for name in codecs)
        return {name: codecs[name].write(each) for name, each in own if each != defaults[name]}

    return Codec(read, write)
