# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts, of users and of documents, as sets and pins.

This file must not import ansible or libvirt, and must not know a host.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.changes import Change
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Pins, as_text, pins_of


def some_set(value: Any, option: str, kind: str) -> CpuSet | None:
    """An option's set that holds something, None where it is missing. An empty one is never what was meant: nothing
    could run. ``kind`` is CPU or cell. Raises InputError."""
    if value is None:
        return None
    cpus = CpuSet() if value in ("", [], ()) else CpuSet.coerce(value, option)
    if not cpus:
        raise InputError(option, value, f"names no {kind}", f"give at least one {kind}, or leave the option out")
    return cpus


def check_mapping(option: Any, name: str, example: str, keys: Collection[str] | None = None) -> None:
    """Raises InputError where an option is no dictionary, or has other keys than these."""
    if not isinstance(option, Mapping):
        raise InputError(name, option, "is not a dictionary", f"write {example}")
    if keys is not None and any(key not in keys for key in option):
        # Not shown: what stands where a key should be may be a piece of a document.
        raise InputError(name, None, "has a key that it does not know", f"choose among {', '.join(keys)}")


def numbers_in_key(key: Any, option: str, kind: str, found: Mapping[int, Any]) -> CpuSet:
    """What a key such as ``1-3`` of a dictionary names, none of them twice. Raises InputError."""
    numbers = CpuSet.coerce(key, f"{option} key")
    if not numbers:
        raise InputError(f"{option} key", key, f"names no {kind}", f"give at least one {kind}")
    for number in numbers:
        if number in found:
            raise InputError(option, str(key), f"{kind} {number} is given twice", f"name each {kind} once")
    return numbers


def sets_from_option(
    option: Mapping[Any, Any] | None, name: str, kind: str, of: str = "CPU", example: str = "a CPU set such as '4-7'"
) -> Pins | None:
    """``{"0": "4", "1-3": "5-7"}`` -> a set for each number; every number of a range gets the whole set.

    Raises InputError, with the key in the option's name: ``vcpu_pins[1-3]``.
    """
    if option is None:
        return None
    check_mapping(option, name, "{'0': '4', '1-3': '5-7'}")
    pins: dict[int, CpuSet] = {}
    for key, value in option.items():
        numbers = numbers_in_key(key, name, kind, pins)
        cpus = some_set(value, f"{name}[{key}]", of)
        if cpus is None:
            raise InputError(f"{name}[{key}]", value, f"names no {of}", f"give {example}")
        pins.update(dict.fromkeys(numbers, cpus))
    return pins_of(pins)


def set_in(text: str | None, option: str) -> CpuSet | None:
    """The set that an attribute says. libvirt's test driver writes cpuset='' after a pin that its map cut off."""
    return CpuSet.parse(text, option) if text and text.strip() else None


def sets_in(parent: etree._Element | None, tag: str, key: str) -> Pins:
    """The sets of a parent's children, by the number in an attribute."""
    found: dict[int, CpuSet] = {}
    if parent is None:
        return ()
    for each in parent.iterchildren(tag):
        cpus = set_in(each.get("cpuset"), tag)
        if cpus is not None:
            found[xml.number(each, key)] = cpus
    return pins_of(found)


def keep_sets(sets: Pins | None, record: etree._Element, space: str, tag: str, each_tag: str) -> None:
    """Put sets into our record: ``<vcpus><pin id= cpuset=/></vcpus>``; nothing where they are None."""
    if sets is None:
        return
    parent = etree.SubElement(record, f"{space}{tag}")
    for number, cpus in sets:
        etree.SubElement(parent, f"{space}{each_tag}", id=str(number), cpuset=str(cpus))


def kept_sets(record: etree._Element, space: str, tag: str, each_tag: str) -> Pins | None:
    """Take them out again."""
    parent = xml.child(record, f"{space}{tag}")
    return sets_in(parent, f"{space}{each_tag}", "id") if parent is not None else None


def numbered_changes(
    path: Callable[[int], str], before: Iterable[tuple[int, Any]], after: Iterable[tuple[int, Any]]
) -> list[Change]:
    """A change for each number of either; some may change nothing."""
    was, shall = dict(before), dict(after)
    return [
        Change(path(number), as_text(was.get(number)), as_text(shall.get(number))) for number in sorted({*was, *shall})
    ]
