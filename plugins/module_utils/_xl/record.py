# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An intent as one line of JSON, for hypervisors whose definitions are not XML.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import NEWER, RECORD, Trouble
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    MEMORY_MODES,
    Intent,
    MemoryIntent,
    Pins,
    as_text,
    intent_within_bounds,
    pins_as_result,
    pins_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import read_json

_VERSION = 1


def intent_to_json(intent: Intent) -> str:
    """One line. What was not said is left out."""
    memory = intent.memory
    parts: dict[str, Any] = {
        "version": _VERSION,
        "cells": as_text(intent.cells),
        "cpuset": as_text(intent.cpuset),
        "memory": None if memory is None else {"mode": memory.mode, "cells": as_text(memory.cells)},
        "vcpu_pins": None if intent.vcpu_pins is None else pins_as_result(intent.vcpu_pins),
        "emulator_cpuset": as_text(intent.emulator),
        "iothread_pins": None if intent.iothread_pins is None else pins_as_result(intent.iothread_pins),
        "policy": None if intent.policy is None else json.loads(intent.policy),
    }
    return json.dumps({name: part for name, part in parts.items() if part is not None})


def intent_from_json(text: str) -> Intent | None:
    """None for text that intent_to_json() cannot have written."""
    return intent_or_trouble(text)[0]


def intent_or_trouble(text: str) -> tuple[Intent | None, Trouble | None]:
    """The intent, or what is wrong with the text. Never raises."""
    try:
        parts = read_json(text)
        version = parts.get("version") if isinstance(parts, dict) else None
        if isinstance(version, int) and version > _VERSION:
            return None, Trouble(NEWER, f"a newer release of numa.virt has placed it (records of format {version})")
        if version != _VERSION:
            return None, Trouble(RECORD, "its record: it is no record of numa.virt")
        return _intent(parts), None
    except (AttributeError, KeyError, TypeError, ValueError):
        problem = "it is no record that numa.virt has written"
    except InputError as error:
        problem = error.message
    return None, Trouble(RECORD, f"its record: {problem}")


def _intent(parts: dict[str, Any]) -> Intent:
    memory = parts.get("memory")
    if memory is not None and memory["mode"] not in (*MEMORY_MODES, "none"):
        raise ValueError("an unknown mode")
    policy = parts.get("policy")
    if policy is not None and not isinstance(policy, dict):
        raise TypeError("a policy is an object")
    return intent_within_bounds(
        cells=_set(parts.get("cells")),
        cpuset=_set(parts.get("cpuset")),
        memory=None if memory is None else MemoryIntent(memory["mode"], _set(memory.get("cells"))),
        vcpu_pins=_pins(parts.get("vcpu_pins")),
        emulator=_set(parts.get("emulator_cpuset")),
        iothread_pins=_pins(parts.get("iothread_pins")),
        policy=None if policy is None else json.dumps(policy, sort_keys=True),
    )


def _set(text: str | None) -> CpuSet | None:
    return None if text is None else CpuSet.parse(text)


def _pins(pins: dict[str, str] | None) -> Pins | None:
    return None if pins is None else pins_of({_number(each): CpuSet.parse(cpus) for each, cpus in pins.items()})


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError("not a number")
    return int(text)
