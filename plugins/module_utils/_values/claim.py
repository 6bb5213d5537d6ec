# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept with a host beside its guests: claims, for guests that are on their way to it, and its state.

Both have one written form, a line of JSON with a version. What is read is believed only if it is just that.
This file must not import ansible, libvirt or lxml, and must not look at anything.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError, one_line
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MAX_CELLS, MAX_CPUS
from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import StoredTextError, read_json

FORMAT = 1
# Longer than any migration takes; what is to stay for longer is a guest.
MAX_LIFETIME = 7 * 24 * 3600
MAX_WORDS = 200
MAX_NAME = 1024
MAX_PIECES = 1024

IN, DRAINING, OUT = STATES = ("in", "draining", "out")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CLAIM = {
    "format", "uuid", "name", "cells", "cpus", "owned", "vcpus", "cpu_ratio", "memory", "made_by", "made", "ends",
    "boot", "until",
}  # fmt: skip
_STATE = {"format", "state", "who", "why", "when"}


@dataclass(frozen=True)
class Moment:
    """Now, on one machine. ``boot`` is its kernel's name for this boot, empty where it has none; ``seconds`` are since
    that boot, suspended time included, and no clock that somebody sets changes them; ``wall`` since 1970."""

    boot: str
    seconds: int
    wall: int


@dataclass(frozen=True)
class Claim:
    """CPUs, memory and pages of a host that are a guest's before it is there.

    ``cpus``: with ``owned`` nobody else gets any of them, else ``vcpus`` vCPUs run there, each of which weighs
    1/``cpu_ratio`` CPU (None: as the host has it). ``memory``: triples (cell, KiB of a page, KiB), None for ordinary
    pages. ``made`` and ``ends`` are seconds since 1970, for people; it ends at ``until`` seconds after the ``boot``.
    """

    uuid: str
    name: str
    cells: CpuSet
    cpus: CpuSet
    owned: bool
    vcpus: int
    memory: tuple[tuple[int, int | None, int], ...]
    made_by: str
    made: int
    ends: int
    boot: str
    until: int
    cpu_ratio: float | None = None

    def stale(self, now: Moment) -> str | None:
        """Why it is none any more: its time is over, or this is another boot; else None."""
        if self.boot != now.boot:
            return "it was made before the host was started"
        return f"it has ended at {instant(self.ends)}" if now.seconds >= self.until else None

    def left(self, now: Moment) -> int:
        """Seconds until it ends."""
        return max(0, self.until - now.seconds)

    @property
    def place(self) -> tuple[Any, ...]:
        """What is claimed. Two claims that are alike in this claim the same."""
        return (self.cells, self.cpus, self.owned, self.vcpus, self.cpu_ratio, tuple(sorted(self.memory, key=_order)))


@dataclass(frozen=True)
class HostState:
    """Whether a host takes new guests ("in"), or not: "draining" while guests leave it, "out" afterwards.

    ``when`` is in seconds since 1970.
    """

    state: str
    who: str
    why: str
    when: int

    @property
    def takes_guests(self) -> bool:
        return self.state == IN

    @property
    def said(self) -> str:
        """By whom, since when and why."""
        reason = f": {self.why}" if self.why else ""
        return f"says {self.who or 'somebody'} since {instant(self.when)}{reason}"

    def __str__(self) -> str:
        return f"this host is {self.state}, {self.said}"


def instant(seconds: int) -> str:
    """A moment for people and machines: "2026-01-01T12:00:00Z"."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def is_uuid(text: object) -> bool:
    """Whether it is a UUID as libvirt writes it."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def claim_to_json(claim: Claim) -> str:
    """One line, in one written form."""
    parts = {
        "format": FORMAT,
        "uuid": claim.uuid,
        "name": claim.name,
        "cells": str(claim.cells),
        "cpus": str(claim.cpus),
        "owned": claim.owned,
        "vcpus": claim.vcpus,
        "cpu_ratio": claim.cpu_ratio,
        "memory": [list(piece) for piece in sorted(claim.memory, key=_order)],
        "made_by": claim.made_by,
        "made": claim.made,
        "ends": claim.ends,
        "boot": claim.boot,
        "until": claim.until,
    }
    return json.dumps(parts, sort_keys=True) + "\n"


def claim_from_json(text: str) -> Claim:
    """Raises StoredTextError for text that claim_to_json() cannot have written."""
    parts = _parts(text, _CLAIM)
    if not is_uuid(parts["uuid"]):
        raise StoredTextError("its uuid is none")
    cells = _set(parts, "cells")
    memory = _memory(parts["memory"])
    if any(cell not in cells for cell, _size, _kib in memory):
        raise StoredTextError("its memory is on a cell that it does not name")
    ratio = parts["cpu_ratio"]
    if ratio is not None and (isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not ratio > 0):
        raise StoredTextError("its cpu_ratio is none")
    return Claim(
        uuid=parts["uuid"],
        name=_words(parts, "name", MAX_NAME, least=1, one=False),
        cells=cells,
        cpus=_set(parts, "cpus"),
        owned=_flag(parts, "owned"),
        vcpus=_count(parts["vcpus"], "vcpus", MAX_CPUS, least=1),
        memory=memory,
        made_by=_words(parts, "made_by", MAX_WORDS),
        made=_seconds(parts, "made"),
        ends=_seconds(parts, "ends"),
        boot=_words(parts, "boot", MAX_WORDS),
        until=_seconds(parts, "until"),
        cpu_ratio=None if ratio is None else float(ratio),
    )


def state_to_json(state: HostState) -> str:
    """One line, in one written form."""
    parts = {"format": FORMAT, "state": state.state, "who": state.who, "why": state.why, "when": state.when}
    return json.dumps(parts, sort_keys=True) + "\n"


def state_from_json(text: str) -> HostState:
    """Raises StoredTextError for text that state_to_json() cannot have written."""
    parts = _parts(text, _STATE)
    if parts["state"] not in STATES:
        raise StoredTextError("its state is none")
    who, why = _words(parts, "who", MAX_WORDS), _words(parts, "why", MAX_WORDS)
    return HostState(parts["state"], who, why, _seconds(parts, "when"))


def claim_as_result(claim: Claim) -> dict[str, Any]:
    """What RV(claims) documents: plain data."""
    return {
        "uuid": claim.uuid,
        "name": claim.name,
        "cells": list(claim.cells),
        "cpuset": str(claim.cpus),
        "owned": claim.owned,
        "vcpus": claim.vcpus,
        "cpu_ratio": claim.cpu_ratio,
        "memory": [
            {"cell": cell, "page_size": size, "memory": kib}
            for cell, size, kib in sorted(claim.memory, key=_order)
        ],
        "made_by": claim.made_by,
        "made": instant(claim.made),
        "ends": instant(claim.ends),
    }  # fmt: skip


def state_as_result(state: HostState | None) -> dict[str, Any]:
    """What RV(host_state) documents. A host of which nobody has said anything is in."""
    if state is None:
        return {"state": IN, "who": None, "reason": None, "since": None}
    return {"state": state.state, "who": state.who, "reason": state.why, "since": instant(state.when)}


def _order(piece: tuple[int, int | None, int]) -> tuple[int, int, int]:
    cell, size, kib = piece
    return cell, size or 0, kib


def _parts(text: str, names: set[str]) -> Mapping[str, Any]:
    parts = read_json(text)
    if not isinstance(parts, dict):
        raise StoredTextError("it is no object")
    version = parts.get("format")
    if isinstance(version, int) and not isinstance(version, bool) and version > FORMAT:
        raise StoredTextError(f"it is of a newer release (format {version})")
    if version != FORMAT or isinstance(version, bool) or set(parts) != names:
        raise StoredTextError("it is not of the right form")
    return parts


def _set(parts: Mapping[str, Any], name: str) -> CpuSet:
    text = parts[name]
    try:
        found = CpuSet.parse(text, name) if isinstance(text, str) else CpuSet()
    except CpuSetSyntaxError:
        found = CpuSet()
    if not found or str(found) != text:
        raise StoredTextError(f"its {name} are no set")
    return found


def _memory(value: Any) -> tuple[tuple[int, int | None, int], ...]:
    if not isinstance(value, list) or len(value) > MAX_PIECES:
        raise StoredTextError("its memory is no list")
    found = []
    for piece in value:
        if not isinstance(piece, list) or len(piece) != 3:
            raise StoredTextError("its memory is no list of cell, page and amount")
        cell, size, kib = piece
        if size is not None:
            _count(size, "memory", 1 << 40, least=1)
        found.append((_count(cell, "memory", MAX_CELLS), size, _count(kib, "memory", 1 << 53, least=1)))
    if len({piece[:2] for piece in found}) < len(found):
        raise StoredTextError("its memory names a cell twice")
    return tuple(found)


def _words(parts: Mapping[str, Any], name: str, most: int, least: int = 0, one: bool = True) -> str:
    text = parts[name]
    if not isinstance(text, str) or not least <= len(text) <= most or (one and one_line(text) != text):
        raise StoredTextError(f"its {name} is no text of one line")
    return text


def _flag(parts: Mapping[str, Any], name: str) -> bool:
    if not isinstance(parts[name], bool):
        raise StoredTextError(f"its {name} is neither true nor false")
    return bool(parts[name])


def _seconds(parts: Mapping[str, Any], name: str) -> int:
    # The year 9999: what comes later has no text.
    return _count(parts[name], name, 253402300799)


def _count(value: Any, name: str, most: int, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise StoredTextError(f"its {name} is no such number")
    return value
