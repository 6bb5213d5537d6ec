# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An intent as one line of JSON, for hypervisors whose definitions are not XML.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._placement import (
    MEMORY_MODES,
    Intent,
    MemoryIntent,
    Pins,
    json_line,
    pins_as_result,
    pins_of,
)

_VERSION = 1


def intent_to_json(intent: Intent) -> str:
    """One line. What was not said is left out."""
    memory = intent.memory
    parts: dict[str, Any] = {
        "version": _VERSION,
        "cells": _text(intent.cells),
        "cpuset": _text(intent.cpuset),
        "memory": None if memory is None else {"mode": memory.mode, "cells": _text(memory.cells)},
        "vcpu_pins": None if intent.vcpu_pins is None else pins_as_result(intent.vcpu_pins),
        "emulator_cpuset": _text(intent.emulator),
        "iothread_pins": None if intent.iothread_pins is None else pins_as_result(intent.iothread_pins),
        "policy": None if intent.policy is None else json.loads(intent.policy),
    }
    return json.dumps({name: part for name, part in parts.items() if part is not None})


def intent_from_json(text: str) -> Intent | None:
    """None for text that intent_to_json() cannot have written."""
    try:
        parts = json.loads(text)
        if parts.get("version") != _VERSION:
            return None
        memory = parts.get("memory")
        if memory is not None and memory["mode"] not in (*MEMORY_MODES, "none"):
            return None
        return Intent(
            cells=_set(parts.get("cells")),
            cpuset=_set(parts.get("cpuset")),
            memory=None if memory is None else MemoryIntent(memory["mode"], _set(memory.get("cells"))),
            vcpu_pins=_pins(parts.get("vcpu_pins")),
            emulator=_set(parts.get("emulator_cpuset")),
            iothread_pins=_pins(parts.get("iothread_pins")),
            policy=json_line(json.dumps(parts["policy"])) if "policy" in parts else None,
        )
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError, InputError):
        return None


def _text(cpus: CpuSet | None) -> str | None:
    return None if cpus is None else str(cpus)


def _set(text: str | None) -> CpuSet | None:
    return None if text is None else CpuSet.parse(text)


def _pins(pins: dict[str, str] | None) -> Pins | None:
    return None if pins is None else pins_of({int(number): CpuSet.parse(cpus) for number, cpus in pins.items()})
