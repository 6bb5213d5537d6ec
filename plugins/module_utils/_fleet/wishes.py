# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of numa_fleet_plan, read into what a fleet's planner takes.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._fleet.loss import described
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    HOST,
    LIVE,
    FleetHost,
    FleetOptions,
    FleetRequest,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import PolicyWish, request_of, wish_of
from ansible_collections.numa.virt.plugins.module_utils._intent.sizes import size_in_kib
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell, GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

_POLICY = tuple(each.name for each in fields(PolicyWish) if each.name != "devices")
_SHAPE = ("vcpus", "memory", "page_size", "threads", "guest_cells")
_WHERE = ("hosts", "labels", "groups", "at", "how")
GUEST_OPTIONS = ("name", *_SHAPE, *_POLICY, *_WHERE)
SHAPE_OPTIONS = ("name", *_SHAPE, *_POLICY)
_CELL_OPTIONS = ("vcpus", "memory", "page_size")
_GROUP_OPTIONS = ("name", "kind", "within")
_MAX_VCPUS = 1 << 14


class Wishes:
    """Guests as a task names them, on hosts that have told what they are."""

    def __init__(self, hosts: Sequence[FleetHost]) -> None:
        self._hosts = hosts
        models = {each.host.driver: each.host for each in reversed(hosts) if each.host is not None}
        #: One host of each driver
        self._models: tuple[Host, ...] = tuple(models[name] for name in sorted(models))
        self._there: dict[str, list[tuple[str, Existing]]] | None = None

    def requests(self, option: Sequence[Any]) -> list[FleetRequest]:
        """``domains``. Raises InputError, UnsupportedError."""
        return [self._request(each, f"domains[{number}]") for number, each in enumerate(option)]

    def shapes(self, option: Sequence[Any]) -> list[Request]:
        """``capacity``: guests of which it is counted how many fit. Raises InputError, UnsupportedError."""
        return [self._shape(each, f"capacity[{number}]") for number, each in enumerate(option)]

    def _request(self, entry: Any, called: str) -> FleetRequest:
        entry = {"name": entry} if isinstance(entry, str) else entry
        name, called = _named(entry, called, "domains", GUEST_OPTIONS)
        at = _text(entry["at"], f"{called}.at") if entry.get("at") is not None else None
        there = self._existing(name, at)
        if there is None or any(entry.get(option) is not None for option in _SHAPE):
            guest = self._new(entry, name, called)
        else:
            guest = self._known(entry, there)
        return FleetRequest(
            guest,
            hosts=tuple(_texts(entry.get("hosts"), f"{called}.hosts")),
            labels=tuple(labels_of(entry.get("labels"), f"{called}.labels")),
            groups=tuple(_group(each, f"{called}.groups") for each in _listed(entry.get("groups"), f"{called}.groups")),
            at=at,
            how=entry.get("how") or LIVE,
        )

    def _shape(self, entry: Any, called: str) -> Request:
        name, called = _named(entry, called, "capacity", SHAPE_OPTIONS)
        return self._new(entry, name, called)

    def _existing(self, name: str, at: str | None) -> Existing | None:
        if self._there is None:
            self._there = {}
            for host in self._hosts:
                for each in host.existing:
                    self._there.setdefault(each.name, []).append((host.name, each))
        found = [each for host, each in self._there.get(name, ()) if at in (None, host)]
        return found[0] if found else None

    def _known(self, entry: Mapping[str, Any], there: Existing) -> Request:
        """A guest that is there: what it was placed for, or has; with another policy where the entry says one."""
        base = described(there)
        if all(entry.get(option) is None for option in _POLICY):
            return base
        wish = wish_of(entry, {}, None, there.name)
        return replace(
            base,
            policy=wish.policy,
            cells=wish.cells,
            smt=wish.smt,
            emulator=wish.emulator if base.emulator is not None else None,
            iothreads=wish.iothreads if isinstance(wish.iothreads, CpuSet) and base.emulator is not None else None,
            cpu_ratio=wish.cpu_ratio,
            together=wish.together,
            apart=wish.apart,
            priority=wish.priority,
            width=wish.width,
            own_cpus=wish.own_cpus,
            cache=wish.cache,
            overhead=base.overhead if wish.memory_overhead is None else wish.memory_overhead,
        )

    def _new(self, entry: Mapping[str, Any], name: str, called: str) -> Request:
        """A guest by what its entry says of it. It fits where it comes to, whichever driver is there."""
        for option in ("vcpus", "memory"):
            if entry.get(option) is None:
                expected = "give vcpus and memory of a guest that no host has told of"
                raise InputError(f"{called}.{option}", None, "is not said", expected)
        wish = wish_of(entry, {}, None, name)
        vcpus = _count(entry["vcpus"], f"{called}.vcpus")
        memory = _some(entry["memory"], f"{called}.memory")
        needs = GuestNeeds(
            page_size=_page(entry, called),
            guest_cells=_cells(entry.get("guest_cells"), f"{called}.guest_cells", vcpus, memory),
            threads=_count(entry.get("threads", 1), f"{called}.threads"),
        )
        shape = Shape(name, None, "", vcpus, (), memory)
        drivers = [driver_named(each.driver) for each in self._models]
        if wish.placed_by.mirrors and not any(each.numatune for each in drivers):
            names = ", ".join(each.name for each in drivers)
            raise UnsupportedError(names, wish.policy, "it cannot bind cells of a guest", f"{called}.policy")
        made = [request_of(wish, shape, needs, host, driver) for host, driver in zip(self._models, drivers)]
        return replace(
            made[0],
            overhead=max(each.overhead for each in made),
            binds_early=not all(each.numatune for each in drivers),
        )


def labels_of(option: Any, called: str) -> list[tuple[str, str]]:
    """Pairs (name, value). Raises InputError."""
    if option is None:
        return []
    if not isinstance(option, Mapping):
        raise InputError(called, None, "is no dictionary", "write {rack: r1}")
    for name, value in option.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise InputError(f"{called}.{displayable(str(name))}", None, "is no text", "put it in quotes")
    return [(str(name), str(value)) for name, value in option.items()]


def fleet_options(options: Mapping[str, Any], now: float) -> FleetOptions:
    """Limits, ``spare`` and ``max_age`` of a task. Raises InputError."""
    most = options.get("max_memory_moved")
    return FleetOptions(
        max_moves=options.get("max_moves"),
        max_memory_moved=None if most is None else size_in_kib(most, "max_memory_moved"),
        at_once_host=options.get("at_once_host"),
        at_once_fleet=options.get("at_once_fleet"),
        spare_hosts=(options.get("spare") or {}).get("hosts") or 0,
        now=now,
        max_age=options.get("max_age"),
    )


def _named(entry: Any, called: str, option: str, known: Sequence[str]) -> tuple[str, str]:
    """Its name, and what it is called in messages."""
    if not isinstance(entry, Mapping):
        raise InputError(called, None, "is no dictionary", "write {name: web1, vcpus: 4, memory: 8GiB}")
    _only(entry, called, known)
    if entry.get("name") in (None, ""):
        raise InputError(called, None, "has no name", "give one")
    name = _text(entry["name"], f"{called}.name")
    if displayable(name) != name:
        raise InputError(f"{called}.name", None, "is no name", "give the name of a guest, not its definition")
    return name, f"{option}[{name}]"


def _only(entry: Mapping[str, Any], called: str, known: Sequence[str]) -> None:
    unknown = sorted(str(name) for name in entry if name not in known)
    if unknown:
        raise InputError(
            f"{called}.{displayable(unknown[0])}", None, "is no option", f"choose among {', '.join(known)}"
        )


def _text(value: Any, called: str) -> str:
    if not isinstance(value, str):
        raise InputError(called, None, "is no text", "put it in quotes")
    return value


def _listed(value: Any, called: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise InputError(called, None, "is no list", "write [a, b]")
    return value


def _texts(value: Any, called: str) -> list[str]:
    return [_text(each, called) for each in _listed([value] if isinstance(value, str) else value, called)]


def _group(entry: Any, called: str) -> Group:
    if not isinstance(entry, Mapping):
        raise InputError(called, None, "is no dictionary", "write {name: db, kind: apart, within: rack}")
    _only(entry, called, _GROUP_OPTIONS)
    name, kind = (_text(entry.get(option), f"{called}.{option}") for option in ("name", "kind"))
    return Group(name, kind, _text(entry.get("within", HOST), f"{called}.within"))


def _count(value: Any, called: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).strip().isdecimal():
        raise InputError(called, value, "is no whole number", "give a number of 1 or more")
    number = int(str(value)[:20])
    if not 0 < number <= _MAX_VCPUS:
        raise InputError(called, value, "is no such number", f"give one from 1 to {_MAX_VCPUS}")
    return number


def _some(value: Any, called: str) -> int:
    size = size_in_kib(value, called)
    if not size:
        raise InputError(called, value, "is nothing", "write 4GiB, 512MiB, or a number of KiB")
    return size


def _page(entry: Mapping[str, Any], called: str) -> int | None:
    size = entry.get("page_size")
    return None if size is None else _some(size, f"{called}.page_size")


def _cells(option: Any, called: str, vcpus: int, memory: int) -> tuple[GuestCell, ...]:
    found = []
    for number, entry in enumerate(_listed(option, called)):
        where = f"{called}[{number}]"
        if not isinstance(entry, Mapping):
            raise InputError(where, None, "is no dictionary", "write {vcpus: 0-3, memory: 8GiB}")
        _only(entry, where, _CELL_OPTIONS)
        cpus = CpuSet.coerce(entry.get("vcpus", ""), f"{where}.vcpus") if entry.get("vcpus") != "" else CpuSet()
        found.append(GuestCell(cpus, _some(entry.get("memory"), f"{where}.memory"), _page(entry, where)))
    if found:
        numbers = sorted(number for each in found for number in each.vcpus)
        if numbers != list(range(vcpus)):
            raise InputError(called, None, "do not have each vCPU once", f"share out vCPUs 0 to {vcpus - 1}")
        if sum(each.memory for each in found) != memory:
            raise InputError(called, None, "do not have the memory of the guest together", "share all of it out")
    return tuple(found)
