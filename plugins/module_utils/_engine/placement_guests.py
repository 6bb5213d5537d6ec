# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What numa_placement was asked: which domains, what each of them needs of a place, and what is worth knowing of that.

This file must not import ansible or libvirt, and must not write anything.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import realtime_vcpus
from ansible_collections.numa.virt.plugins.module_utils._engine import plan as one
from ansible_collections.numa.virt.plugins.module_utils._engine.existing import asked_of
from ansible_collections.numa.virt.plugins.module_utils._engine.guard import read_anew
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, trouble_warnings, usable
from ansible_collections.numa.virt.plugins.module_utils._engine.unique import check_uuids
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    InputError,
    UnsupportedError,
    shown,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.placement_options import knobs_of
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import (
    PolicyWish,
    wish_from_json,
    wish_of,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._node import backup as node_backup
from ansible_collections.numa.virt.plugins.module_utils._planner.check import check_request
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request as Asked
from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Knobs


@dataclass(frozen=True)
class PlacementRequest:
    """Options of numa_placement, read.

    ``entries`` are mappings with ``name``, ``xml`` and options of PolicyWish, None where ``select`` ("all", "running"
    or a pattern of names) says which domains. ``task`` has options for all of them. ``state`` is "defined", "running"
    or "unchanged"; None means "running" for domains that are named, "unchanged" for those of ``select``.
    ``ignores_state``: a host that somebody has taken out gets new guests all the same.
    """

    entries: Sequence[Mapping[str, Any]] | None
    select: str | None
    task: Mapping[str, Any]
    rules: Rules = field(default_factory=Rules)
    options: Options = field(default_factory=Options)
    state: str | None = None
    partial: bool = False
    restart: bool = False
    shutdown_timeout: int = 120
    verify: bool = True
    backup: bool = True
    backup_dir: str = field(default_factory=node_backup.default_directory)
    check_mode: bool = False
    lock_dir: str | None = None
    lock_timeout: float = 300.0
    diff: bool = True
    ignores_state: bool = False

    @property
    def wanted_state(self) -> str:
        return self.state or ("running" if self.entries is not None else "unchanged")


@dataclass(frozen=True)
class Wanted:
    """One domain that was asked for. ``given`` is the document of its user, ``known`` the domain where it exists.

    ``meant`` is its definition without what an earlier run has made of it for a policy.
    """

    name: str
    wish: PolicyWish
    given: XmlDefinition | None
    known: Known | None
    meant: Definition
    asked: Asked
    knobs: Knobs = ()


def guests_of(session: Session, request: PlacementRequest, known: Mapping[str, Known]) -> list[Wanted]:
    """What was asked for, each with its request to the planner. Raises InputError."""
    guests: dict[str, Wanted] = {}
    given: list[tuple[str, XmlDefinition]] = []
    entries = request.entries if request.entries is not None else list(_selected(session, request, known))
    for number, entry in enumerate(entries):
        guest = _guest(session, request, entry, f"domains[{number}]", known)
        if guest.name in guests:
            raise InputError("domains", guest.name, "is named twice", "name each domain once")
        guests[guest.name] = guest
        if guest.given is not None:
            given.append((f"domains[{number}].xml", guest.given))
    check_uuids(given, (each.domain for each in known.values()))
    return [guests[name] for name in sorted(guests)]


def _selected(session: Session, request: PlacementRequest, known: Mapping[str, Known]) -> Iterator[Mapping[str, Any]]:
    """One that cannot be asked for leaves the others theirs: placement_warnings() names it."""
    for name, each in known.items():
        if _matches(session, request, each) and _left_alone(session, request, each) is None:
            yield {"name": name}


def _matches(session: Session, request: PlacementRequest, known: Known) -> bool:
    select, name = request.select, known.domain.name
    if name == session.driver.control_domain:
        return False
    if select == "running":
        return known.live is not None
    return select == "all" or fnmatch.fnmatchcase(name, str(select))


def _left_alone(session: Session, request: PlacementRequest, known: Known) -> str | None:
    """Why a guest that nobody named is not planned anew: what cannot be read of it, or what it was placed by."""
    if known.trouble is not None and known.trouble.blocks:
        return known.trouble.problem
    stored = known.intent.policy if known.intent is not None else None
    try:
        wish = wish_of({}, request.task, stored, known.domain.name)
        asked = asked_of(session, wish, known.config.shape, known.config.needs)
        if stored is not None and wish == wish_from_json(stored):
            host = session.devices.on(session.host, asked.devices) if asked.devices else session.host
            check_request(host, asked)
    except InputError as error:
        return error.message
    return None


def _guest(
    session: Session, request: PlacementRequest, entry: Mapping[str, Any], called: str, known: Mapping[str, Known]
) -> Wanted:
    given = None
    if entry.get("xml") is not None:
        if session.connection.dialect != "xml":
            raise UnsupportedError("xl", "xml", "it takes files of its own: write one into /etc/xen", f"{called}.xml")
        given = XmlDefinition.load_given(str(entry["xml"]), f"{called}.xml")
    name = one.name_of(entry.get("name"), given.shape.name if given is not None else None, f"{called}.xml")
    if name == session.driver.control_domain:
        raise InputError("domains", name, "is the host's own", "reserve CPUs for it with reserved_cpus")
    there = known.get(name)
    if there is not None:
        usable(there)
    if given is None and there is None:
        raise DomainNotFoundError(
            "domains", name, "there is no such domain on this host", session.dialect.how_to_define
        )
    meant: Definition = given if given is not None else there.config  # type: ignore[union-attr]
    if given is None and isinstance(meant, XmlDefinition):
        meant = meant.without_made_cells()
    intent = there.intent if there is not None else None
    wish = wish_of(entry, request.task, intent.policy if intent is not None else None, name)
    if wish.placed_by.mirrors and not session.driver.numatune:
        raise UnsupportedError(session.driver.name, wish.policy, "it cannot bind cells of a guest", "policy")
    knobs = knobs_of(entry, called)
    asked = replace(
        asked_of(session, wish, meant.shape, meant.needs),
        emulator_pin=meant.placement.emulator,
        iothread_pins=union(cpus for thread, cpus in meant.placement.iothread_pins if thread in meant.shape.iothreads),
        pinned_by_user=given is not None or intent is None or intent.policy is None,
        realtime=_realtime(meant, knobs),
    )
    return Wanted(name, wish, given, there, meant, asked, knobs)


def _realtime(definition: Definition, knobs: Knobs) -> bool:
    """Whether a vCPU has a scheduler that leaves its CPU to no other thread."""
    placement = definition.placement
    for name, value in knobs:
        placement = placement.with_knob(name, value)
    return bool(realtime_vcpus(placement) & CpuSet(definition.shape.present))


def wanted_anew(session: Session, guest: Wanted) -> Wanted:
    """The guest as it is now. Raises DomainNotFoundError."""
    known = read_anew(session, guest.name)
    if known is None and guest.given is None:
        raise DomainNotFoundError("domains", guest.name, "went away while this run was planning", "run again")
    return replace(guest, known=known)


def placement_warnings(
    session: Session, request: PlacementRequest, guests: Sequence[Wanted], known: Mapping[str, Known]
) -> list[str]:
    """What is worth knowing of what was asked, beside the plan's notes."""
    found = list(session.connection.warnings)
    asked_for = {guest.name for guest in guests}  # these say so themselves
    found += trouble_warnings(each for name, each in known.items() if name not in asked_for)
    if request.entries is None:
        left = (
            (each, _left_alone(session, request, each)) for each in known.values() if _matches(session, request, each)
        )
        found += [
            f"domain {shown(each.domain.name)} is left alone: {why}" for each, why in left if why and not each.trouble
        ]
    if request.entries is None and not guests and request.select not in ("all", "running"):
        found.append(f"select: {displayable(request.select)!r}: there is no such domain on this host")
    return found
