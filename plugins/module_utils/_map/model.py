# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a map shows, as values: a host with its cells, guests with their signs, findings with their numbers.

A guest's sign is made of its place among the host's guests by name: a tag (A, B, … AA), one of HUES colours, and one
of PATTERNS patterns, which changes when the colours have been used up. So no two of 32 guests look alike, and the tag
tells all of them apart. The order of what comes in makes no difference.
This file must not import ansible, libvirt or lxml, and must know nothing of markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._map.results import (
    NOTES,
    InfoCell,
    InfoFinding,
    InfoGuest,
    SetApart,
    read_cells,
    read_findings,
    read_guests,
    read_list,
    read_set_apart,
    read_state,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union

HUES = 8
PATTERNS = 4


@dataclass(frozen=True)
class MapGuest:
    """A guest and its sign. ``number`` counts the host's guests by name, from 0."""

    number: int
    info: InfoGuest
    reach: CpuSet
    roams: bool

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def runs(self) -> bool:
        return self.info.state not in ("shut off", "crashed")

    @property
    def tag(self) -> str:
        return tag_of(self.number)

    @property
    def hue(self) -> int:
        return self.number % HUES

    @property
    def pattern(self) -> int:
        return self.number // HUES % PATTERNS

    def on_cell(self, cell: InfoCell) -> bool:
        """Whether it belongs into a cell's block: a vCPU may run there, or memory lies or is to lie there."""
        return bool(self.reach & cell.cpus) or self.info.has_memory_on(cell.id)


@dataclass(frozen=True)
class MapFinding:
    """A finding with the number that it has on the map, from 1."""

    number: int
    info: InfoFinding


@dataclass(frozen=True)
class HostMap:
    """A host. Cells by id, guests by name, findings the gravest first; ``everything`` is all CPUs of its cells.

    ``apart`` are the CPUs and cells that are not for every guest.
    """

    name: str
    cells: tuple[InfoCell, ...]
    guests: tuple[MapGuest, ...]
    findings: tuple[MapFinding, ...]
    notes: tuple[str, ...]
    everything: CpuSet
    apart: SetApart

    @property
    def placed(self) -> tuple[MapGuest, ...]:
        """The guests that may not run everywhere."""
        return tuple(guest for guest in self.guests if not guest.roams)

    @property
    def roaming(self) -> tuple[MapGuest, ...]:
        return tuple(guest for guest in self.guests if guest.roams)

    def guests_of(self, cell: InfoCell) -> tuple[MapGuest, ...]:
        """The placed guests that belong into a cell's block."""
        return tuple(guest for guest in self.placed if guest.on_cell(cell))

    def findings_of(self, guest: MapGuest) -> tuple[MapFinding, ...]:
        return tuple(each for each in self.findings if guest.name in (each.info.domain, *each.info.others))

    def findings_at(self, cell: InfoCell) -> tuple[MapFinding, ...]:
        """The findings that name the cell or one of its CPUs."""
        return tuple(each for each in self.findings if cell.id in each.info.cells or each.info.cpus & cell.cpus)

    def count(self, severity: str) -> int:
        return sum(each.info.severity == severity for each in self.findings)


@dataclass(frozen=True)
class MemoryPart:
    """A stretch of a cell's memory. ``kind`` is one of:

    real      memory of a guest that lies there
    defined   what a guest's definition binds there, where nobody can see what it really has
    other     what the host and others use
    free
    """

    kind: str
    kib: int
    guest: MapGuest | None = None


def host_map(name: str, host: Mapping[str, Any], guests: Any, findings: Any = None, option: str = "map") -> HostMap:
    """The map of a host. ``host`` is what numa_cell_info returns; ``guests`` what numa_domain_info returns, or the list
    of domains of it. Findings are those of ``guests``, unless they are given. Raises InputError.
    """
    domains, reserved = guests, None
    if isinstance(guests, Mapping):
        domains, reserved = guests.get("domains"), guests.get("reserved_cells")
        findings = guests.get("findings") if findings is None else findings
    cells = sorted(read_cells(host, option), key=lambda cell: cell.id)
    read = sorted(read_guests(domains, option), key=lambda guest: guest.name)
    _no_twins("cell", [cell.id for cell in cells], option)
    _no_twins("domain", [guest.name for guest in read], option)
    everything = union(cell.cpus for cell in cells)
    return HostMap(
        name=name,
        cells=tuple(cells),
        guests=tuple(
            MapGuest(number, guest, guest.reach(everything), guest.roams(everything))
            for number, guest in enumerate(read)
        ),
        findings=tuple(MapFinding(number, each) for number, each in enumerate(read_findings(findings, option), 1)),
        notes=(*read_state(host, option), *(str(note) for note in read_list(host.get("notes"), NOTES, option))),
        everything=everything,
        apart=read_set_apart(host, reserved, option),
    )


def memory_parts(host: HostMap, cell: InfoCell) -> list[MemoryPart]:
    """A cell's memory from left to right: guests by name, then what is defined only, others, and what is free.

    They add up to the cell's memory, or to more where definitions ask for more. What a guest's definition binds to
    several cells is taken to lie on them in equal shares.
    """
    real: list[MemoryPart] = []
    defined: list[MemoryPart] = []
    waiting = 0
    for guest in host.guests:
        if guest.info.lies is not None:
            kib = guest.info.lies.get(cell.id, 0)
            if kib:
                real.append(MemoryPart("real", kib, guest))
        elif cell.id in guest.info.bound:
            kib = guest.info.memory // len(guest.info.bound)
            defined.append(MemoryPart("defined", kib, guest))
            waiting += 0 if guest.runs else kib
    ours = sum(part.kib for part in real) + sum(part.kib for part in defined)
    other = 0 if cell.free is None else max(0, cell.total - cell.free - (ours - waiting))
    rest = [MemoryPart("other", other), MemoryPart("free", max(0, cell.total - ours - other))]
    return [*real, *defined, *(part for part in rest if part.kib)]


def load(host: HostMap, cell: InfoCell) -> float:
    """vCPUs of running guests on a cell. One that may use several CPUs counts on each of them in equal shares."""
    total = 0.0
    for guest in host.guests:
        if guest.runs:
            for _vcpu, cpus in guest.info.vcpus:
                usable = host.everything if cpus is None else cpus & host.everything
                if usable:
                    total += len(usable & cell.cpus) / len(usable)
    return total


def tag_of(number: int) -> str:
    """Letters for a number: A to Z, then AA, AB, …

    >>> tag_of(0), tag_of(25), tag_of(26), tag_of(702)
    ('A', 'Z', 'AA', 'AAA')
    """
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def _no_twins(kind: str, names: Sequence[Any], option: str) -> None:
    for before, after in zip(names, names[1:]):
        if before == after:
            raise InputError(option, after, f"there are two {kind}s of this name", "give the results of one host")
