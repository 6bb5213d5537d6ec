# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet and what is asked of it, and a plan, as versioned JSON: plain data, read back to the same values.

Hosts that are alike are written once (``models``), and so are rules.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.records import (
    CPUS,
    NUMBER,
    TEXT,
    TRUTH,
    WHOLE,
    Codec,
    WrongError,
    either,
    is_number,
    many,
    mapping,
    maybe,
    record,
    row,
    runs,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    Claim,
    FleetHost,
    FleetOptions,
    FleetRequest,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import FleetPlan, fleet_plan_as_result
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.topology import (
    CacheBank,
    Cell,
    Core,
    Device,
    GuestDevice,
    Host,
    KernelCpus,
    PagePool,
    Partition,
)

VERSION = 1

_PAIRS = many(row(WHOLE, WHOLE))
#: (KiB of a page, KiB)
_PAGES = many(row(maybe(WHOLE), WHOLE))
_CORE = record(Core, {"socket": WHOLE, "die": WHOLE, "core": WHOLE, "cpus": CPUS})
_CELL = record(
    Cell,
    {
        "id": WHOLE,
        "cpus": CPUS,
        "memory": WHOLE,
        "cores": many(_CORE),
        "pools": many(record(PagePool, {"size": WHOLE, "total": WHOLE})),
        "distances": _PAIRS,
        "devices": many(record(Device, {"name": TEXT, "address": TEXT, "label": TEXT})),
    },
)
_KERNEL = record(
    KernelCpus,
    {"isolated": CPUS, "nohz_full": CPUS, "partitions": many(record(Partition, {"name": TEXT, "cpus": CPUS}))},
)
_CACHE = record(CacheBank, {"id": WHOLE, "level": WHOLE, "type": TEXT, "size": WHOLE, "cpus": CPUS})
#: What of a host a plan depends on
HOST = record(
    Host,
    {
        "driver": TEXT,
        "cells": many(_CELL),
        "present": CPUS,
        "online": CPUS,
        "implied_cell": TRUTH,
        "distances_reported": TRUTH,
        "kernel": _KERNEL,
        "huge_page": WHOLE,
        "guest_devices": many(record(GuestDevice, {"name": TEXT, "cell": maybe(WHOLE), "why": TEXT})),
        "caches": many(_CACHE),
    },
)
RULES = record(
    Rules,
    {
        "reserved_cpus": CPUS,
        "reserved_memory": _PAIRS,
        "reserved_pages": many(row(WHOLE, WHOLE, WHOLE)),
        "shared_cpus": CPUS,
        "dedicated_cpus": CPUS,
        "cpu_ratio": NUMBER,
        "reserved_cells": CPUS,
        "reserves": TRUTH,
    },
)
_GUEST_CELL = record(GuestCell, {"vcpus": CPUS, "memory": WHOLE, "page_size": WHOLE, "other_pages": _PAGES})
REQUEST = record(
    Request,
    {
        "name": TEXT,
        "vcpus": WHOLE,
        "memory": WHOLE,
        "policy": TEXT,
        "cells": CPUS,
        "page_size": WHOLE,
        "other_pages": _PAGES,
        "binds_early": TRUTH,
        "devices": many(TEXT),
        "device_rule": TEXT,
        "together": TEXT,
        "apart": TEXT,
        "cpu_ratio": NUMBER,
        "priority": WHOLE,
        "smt": TEXT,
        "emulator": maybe(either(CPUS, "share", "isolate")),
        "iothreads": CPUS,
        "own_cpus": TRUTH,
        "guest_cells": many(_GUEST_CELL),
        "width": WHOLE,
        "cache": TEXT,
        "threads": WHOLE,
        "emulator_pin": CPUS,
        "iothread_pins": CPUS,
        "pinned_by_user": TRUTH,
        "realtime": TRUTH,
        "overhead": WHOLE,
    },
)
GUEST = record(
    Existing,
    {
        "name": TEXT,
        "vcpu_cpus": runs(maybe(CPUS)),
        "memory": WHOLE,
        "emulator": CPUS,
        "helpers": CPUS,
        "nodeset": CPUS,
        "page_size": WHOLE,
        "other_pages": _PAGES,
        "memory_on": many(row(CPUS, maybe(WHOLE), WHOLE)),
        "memnodes": _PAIRS,
        "wish": REQUEST,
        "held": many(row(WHOLE, maybe(WHOLE), WHOLE)),
        "overhead": WHOLE,
    },
)
_GROUP = record(Group, {"name": TEXT, "kind": TEXT, "within": TEXT})
FLEET_REQUEST = record(
    FleetRequest,
    {
        "guest": REQUEST,
        "hosts": many(TEXT),
        "labels": mapping(),
        "groups": many(_GROUP),
        "at": TEXT,
        "how": TEXT,
    },
)
OPTIONS = record(
    FleetOptions,
    {
        "max_moves": WHOLE,
        "max_memory_moved": WHOLE,
        "at_once_host": WHOLE,
        "at_once_fleet": WHOLE,
        "spare_hosts": WHOLE,
        "now": NUMBER,
        "max_age": NUMBER,
    },
)
_CLAIM = record(Claim, {"guest": GUEST, "by": TEXT, "ends": NUMBER})


class Document(NamedTuple):
    """All that a plan is made from."""

    hosts: tuple[FleetHost, ...]
    requests: tuple[FleetRequest, ...] = ()
    options: FleetOptions = FleetOptions()


def fleet_as_data(document: Document) -> dict[str, Any]:
    """Plain data for JSON."""
    models = list(dict.fromkeys(each.host for each in document.hosts if each.host is not None))
    rules = list(dict.fromkeys(each.rules for each in document.hosts))
    codec = _host_codec(models, rules)
    return {
        "version": VERSION,
        "models": [HOST.write(each) for each in models],
        "rules": [RULES.write(each) for each in rules],
        "hosts": [codec.write(each) for each in document.hosts],
        "requests": [FLEET_REQUEST.write(each) for each in document.requests],
        "options": OPTIONS.write(document.options),
    }


def fleet_from_data(data: Any) -> Document:
    """Raises InputError."""
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise InputError("fleet", None, f"is no document of version {VERSION}")
    parts = {"version", "models", "rules", "hosts", "requests", "options"}
    if data.keys() - parts:
        raise InputError("fleet", min(data.keys() - parts), "is not known")
    models = many(HOST).read("models", data.get("models", []))
    rules = many(RULES).read("rules", data.get("rules", []))
    return Document(
        many(_host_codec(models, rules)).read("hosts", data.get("hosts", [])),
        many(FLEET_REQUEST).read("requests", data.get("requests", [])),
        OPTIONS.read("options", data.get("options", {})),
    )


def plan_as_data(plan: FleetPlan) -> dict[str, Any]:
    """A plan as plain data for JSON."""
    return {"version": VERSION, **fleet_plan_as_result(plan)}


def _numbered(values: Sequence[Any]) -> Codec:
    """One of these values, by its number."""
    numbers = {each: number for number, each in enumerate(values)}

    def parse(data: Any) -> Any:
        if not is_number(data) or not 0 <= data < len(values):
            raise WrongError(data, f"is not one of the {len(values)} that are listed")
        return values[data]

    return Codec(parse, numbers.__getitem__)


def _host_codec(models: Sequence[Host], rules: Sequence[Rules]) -> Codec:
    return record(
        FleetHost,
        {
            "name": TEXT,
            "host": maybe(_numbered(models)),
            "existing": many(GUEST),
            "claims": many(_CLAIM),
            "rules": _numbered(rules),
            "labels": mapping(),
            "state": TEXT,
            "why": TEXT,
            "answered": TRUTH,
            "told": NUMBER,
        },
    )
