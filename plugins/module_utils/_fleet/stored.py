# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan as a file: reviewed, carried out later, and refused where what it was made for has changed.

This file must not import ansible, libvirt or lxml, and must not touch a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, few
from ansible_collections.numa.virt.plugins.module_utils._fleet.records import (
    NUMBER,
    TEXT,
    TRUTH,
    WHOLE,
    Codec,
    WrongError,
    many,
    mapping,
    maybe,
    record,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetHost
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import (
    FleetPlaced,
    FleetPlan,
    FleetRejection,
    Step,
    fleet_plan_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.told import digest_of
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import read_json

VERSION = 1
#: Characters: a million guests
MAX_TEXT = 1 << 29
KIND = "plan of numa.virt.numa_fleet_plan"


def _parse_cells(data: Any) -> CpuSet:
    numbers = many(WHOLE).parse(data)
    if any(not 0 <= each < 1 << 16 for each in numbers):
        raise WrongError(data, "is not a list of cells")
    return CpuSet(numbers)


_CELLS = Codec(_parse_cells, list)
_PLACED = record(
    FleetPlaced,
    {
        "name": TEXT,
        "action": TEXT,
        "host": TEXT,
        "cells": _CELLS,
        "vcpus": WHOLE,
        "memory": WHOLE,
        "at": maybe(TEXT),
        "reason": TEXT,
    },
)
_STEP = record(
    Step,
    {
        "name": TEXT,
        "source": maybe(TEXT),
        "host": TEXT,
        "cells": _CELLS,
        "how": TEXT,
        "memory": WHOLE,
        "passing": TRUTH,
    },
)
_REJECTION = record(
    FleetRejection,
    {
        "name": TEXT,
        "at": maybe(TEXT),
        "constraint": TEXT,
        "host": maybe(TEXT),
        "cell": maybe(WHOLE),
        "needed": NUMBER,
        "available": NUMBER,
        "unit": TEXT,
        "message": TEXT,
    },
)


@dataclass(frozen=True)
class _Unknown:
    host: str
    why: str


@dataclass(frozen=True)
class StoredPlan:
    """A plan, the hosts that it is for, what each of those that it names was like, and when it was made (seconds)."""

    plan: FleetPlan
    hosts: tuple[str, ...]
    inputs: tuple[tuple[str, str], ...]
    made: float

    @classmethod
    def of(cls, plan: FleetPlan, hosts: Iterable[FleetHost], made: float) -> StoredPlan:
        by_name = {each.name: each for each in hosts}
        inputs = tuple((name, digest_of(by_name[name])) for name in sorted(_named(plan)))
        return cls(plan, tuple(sorted(by_name)), inputs, made)

    def changed(self, hosts: Mapping[str, FleetHost]) -> list[str]:
        """Those of its hosts that are not as they were."""
        return [name for name, was in self.inputs if name not in hosts or digest_of(hosts[name]) != was]

    def same_as(self, other: StoredPlan) -> bool:
        """Whether both say the same, whenever they were made."""
        return (self.plan, self.hosts, self.inputs) == (other.plan, other.hosts, other.inputs)


def check_unchanged(stored: StoredPlan, hosts: Mapping[str, FleetHost], option: str, path: str) -> None:
    """Raises InputError."""
    changed = stored.changed(hosts)
    if changed:
        verb = "is" if len(changed) == 1 else "are"
        raise InputError(option, path, f"{few(changed)} {verb} not as when it was made", "plan again")


def _named(plan: FleetPlan) -> set[str]:
    """Hosts that somebody is on, comes to or leaves."""
    found = {each.host for each in plan.placements} | {each.at for each in plan.placements if each.at is not None}
    for batch in plan.batches:
        for step in batch:
            found |= {step.host, step.source or step.host}
    return found


def stored_as_text(stored: StoredPlan) -> str:
    """Lines of JSON, for people to read too."""
    data = {
        "kind": KIND,
        "version": VERSION,
        "made": stored.made,
        "hosts": list(stored.hosts),
        "inputs": dict(stored.inputs),
        "plan": fleet_plan_as_result(stored.plan),
    }
    return json.dumps(data, indent=1, ensure_ascii=True) + "\n"


def stored_from_text(text: str, option: str, path: str) -> StoredPlan:
    """Raises InputError."""
    try:
        data = read_json(text, MAX_TEXT)
    except ValueError:
        data = None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise InputError(option, path, "is no plan of this module", "give a file that plan_file has written")
    if data.get("version") != VERSION:
        raise InputError(option, path, f"is no plan of version {VERSION}", "plan again")
    try:
        return StoredPlan(
            _plan(data.get("plan")),
            many(TEXT).read("hosts", data.get("hosts")),
            mapping().read("inputs", data.get("inputs")),
            NUMBER.read("made", data.get("made")),
        )
    except InputError as error:
        raise InputError(option, path, f"cannot be read: {error.message}", "plan again") from None


def _plan(data: Any) -> FleetPlan:
    data = data if isinstance(data, dict) else {}
    vcpus = data.get("vcpus")
    unknown = many(record(_Unknown, {"host": TEXT, "why": TEXT})).read("unknown", data.get("unknown"))
    return FleetPlan(
        placements=many(_PLACED).read("placements", data.get("placements")),
        batches=many(many(_STEP)).read("batches", data.get("batches")),
        rejections=many(_REJECTION).read("rejections", data.get("rejections")),
        vcpus_at_most=WHOLE.read("vcpus.bound", vcpus.get("bound") if isinstance(vcpus, dict) else None),
        unknown=tuple((each.host, each.why) for each in unknown),
    )
