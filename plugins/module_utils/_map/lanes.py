# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cell's CPUs and guests where there are few: cores with their threads, and below them a bar for each guest.

The columns are CPUs, siblings next to each other. A bar covers the CPUs that a guest may use; where its vCPUs are
pinned apart, each stretch of it says which of them may run there.
This file must not import ansible, libvirt or lxml, and must not read results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe, bold_width, fitted, plain, text_width
from ansible_collections.numa.virt.plugins.module_utils._map.model import HostMap, MapGuest
from ansible_collections.numa.virt.plugins.module_utils._map.results import InfoCell, human, named
from ansible_collections.numa.virt.plugins.module_utils._map.shapes import (
    border,
    filled,
    gravest,
    group,
    mark_of,
    pills,
    rect,
    tag,
    tag_width,
    text,
    tip,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

MOST_CPUS = 32
MOST_GUESTS = 12
NARROWEST_CPU = 17
_WIDEST_CPU = 160
_BETWEEN_CORES = 5
# What is more between cores of different caches.
_BETWEEN_CACHES = 6
_CHIPS = 30
_LANE = 40
_BAR = 14


@dataclass(frozen=True)
class Columns:
    """The left edge of each CPU, in the order they are drawn, and the width of all."""

    left: Mapping[int, float]
    width: float


def fits(host: HostMap) -> bool:
    """Whether every cell has so few CPUs and guests that bars can be told apart."""
    return all(len(cell.cpus) <= MOST_CPUS and len(host.guests_of(cell)) <= MOST_GUESTS for cell in host.cells)


def inner_width(host: HostMap, least: float) -> float:
    """How wide a cell's inside has to be."""
    return max(
        least,
        *(
            len(cell.cpus) * NARROWEST_CPU + len(cell.cores) * _BETWEEN_CORES + len(_borders(cell)) * _BETWEEN_CACHES
            for cell in host.cells
        ),
    )


def height(host: HostMap, cell: InfoCell) -> float:
    return _CHIPS + (len(host.guests_of(cell)) * _LANE or 20)


def draw(host: HostMap, cell: InfoCell, x: float, y: float, width: float) -> Safe:
    columns = _columns(cell, x, width)
    guests = host.guests_of(cell)
    parts = [_chips(host, cell, columns, y)]
    if not cell.cpus:
        parts.append(text(x, y + 15, "memory only, no CPUs", "s"))
    if not guests:
        parts.append(text(x, y + _CHIPS + 13, "no guest is placed here", "s"))
    parts += [
        _lane(host, cell, guest, columns, x, y + _CHIPS + rank * _LANE, width) for rank, guest in enumerate(guests)
    ]
    return Safe("".join(parts))


def _columns(cell: InfoCell, x: float, width: float) -> Columns:
    borders = _borders(cell)
    room = width - _BETWEEN_CORES * max(0, len(cell.cores) - 1) - _BETWEEN_CACHES * len(borders)
    each = min(_WIDEST_CPU, room / max(1, len(cell.cpus)))
    left: dict[int, float] = {}
    for number, core in enumerate(cell.cores):
        x += _BETWEEN_CACHES if number in borders else 0
        for cpu in core:
            left[cpu] = x
            x += each
        x += _BETWEEN_CORES
    return Columns(left, each)


def _borders(cell: InfoCell) -> frozenset[int]:
    """The numbers of cores that are in another last-level cache than the core before."""
    caches = [cell.cache_of.get(min(core)) for core in cell.cores]
    return frozenset(at for at in range(1, len(caches)) if caches[at] != caches[at - 1])


def _chips(host: HostMap, cell: InfoCell, columns: Columns, y: float) -> Safe:
    """The cores, each with its threads; a CPU that is one guest's alone has that guest's colour."""
    parts = []
    borders = _borders(cell)
    for number, core in enumerate(cell.cores):
        cpus = list(core)
        start = columns.left[cpus[0]]
        if number in borders:
            parts.append(border(start - (_BETWEEN_CORES + _BETWEEN_CACHES) / 2, y - 3, 30))
        end = columns.left[cpus[-1]] + columns.width
        if len(cpus) > 1:
            parts.append(rect(start - 1, y, end - start + 2, 24, "core", 5))
        parts += [_chip(host, cpu, columns, y, lone=len(cpus) == 1) for cpu in cpus]
    return Safe("".join(parts))


def _chip(host: HostMap, cpu: int, columns: Columns, y: float, lone: bool) -> Safe:
    guests = [guest for guest in host.placed if cpu in guest.reach]
    left, width = columns.left[cpu] + 1.5, columns.width - 3
    box = rect(left, y + 3, width, 18, "chip core" if lone else "chip", 3)
    if len(guests) == 1:
        box = group(mark_of(guests), filled(guests[0], left, y + 3, width, 18))
    elif guests:
        each = (width - 2) / len(guests)
        box = Safe(
            box + "".join(_band(guest, left + 1 + rank * each, y + 16.5, each) for rank, guest in enumerate(guests))
        )
    severity = gravest(finding for finding in host.findings if cpu in finding.info.cpus)
    ring = rect(left - 0.5, y + 2.5, width + 1, 19, f"ring-{severity}", 3.5) if severity else Safe()
    halo = f" halo h{guests[0].hue}" if len(guests) == 1 else ""
    size = "x9" if columns.width < 22 else "x10"
    number = text(left + width / 2, y + (15.5 if len(guests) < 2 else 14), str(cpu), f"c {size}{halo}")
    users = ", ".join(f"{guest.tag} {fitted(guest.name, 300, 10)}" for guest in guests) or "no placed guest"
    return group("cpu", box, ring, number, tip(f"CPU {cpu}: {users}"))


def _band(guest: MapGuest, x: float, y: float, width: float) -> Safe:
    """One guest's share of a CPU that several may use."""
    return group(mark_of([guest]), rect(x, y, width, 3.5, f"t{guest.hue}"))


def _lane(host: HostMap, cell: InfoCell, guest: MapGuest, columns: Columns, x: float, y: float, width: float) -> Safe:
    """A guest's line and its bar."""
    signs, right = pills(host.findings_of(guest), x + width, y)
    after_tag = x + tag_width(guest) + 6
    room = right - after_tag - 4
    name = fitted(guest.name, max(room * 0.6, room - 90) / 1.13, 12)
    note_at = after_tag + bold_width(name, 12) + 8
    note = _note(host, cell, guest, right - note_at - 4)
    parts = [
        tag(guest, x, y),
        text(after_tag, y + 12, name, "b x12"),
        text(note_at, y + 12, note, "s") if note else Safe(),
    ]
    if cell.cpus:
        last = max(columns.left.values()) + columns.width
        parts.append(rect(x + 1.5, y + 19, last - x - 3, _BAR, "away", 3))
    for start, end, label in _stretches(cell, guest, columns):
        dash = "" if guest.runs else " dash"
        parts.append(filled(guest, start + 1.5, y + 19, end - start - 3, _BAR, dash))
        if label:
            long = f"vCPU {label}" if "," not in label and "-" not in label else f"vCPUs {label}"
            said = long if text_width(long, 9) <= end - start - 6 else label
            if text_width(said, 9) <= end - start - 2:
                parts.append(text((start + end) / 2, y + 29.5, said, f"c x9 halo h{guest.hue}"))
    whole = f"{guest.tag} {plain(guest.name)}: {describe(guest)}"
    return Safe(group(mark_of([guest]), *parts, tip(whole)) + signs)


def _stretches(cell: InfoCell, guest: MapGuest, columns: Columns) -> Iterator[tuple[float, float, str]]:
    """Neighbouring columns that the same vCPUs may use: left, right, and these vCPUs where they are not all."""
    start = end = 0.0
    last: tuple[int, ...] = ()
    for core in cell.cores:
        for cpu in core:
            here = guest.info.on(cpu)
            if last and here != last:
                yield start, end, _label(guest, last)
            if here and here != last:
                start = columns.left[cpu]
            last, end = here, columns.left[cpu] + columns.width
    if last:
        yield start, end, _label(guest, last)


def _label(guest: MapGuest, vcpus: tuple[int, ...]) -> str:
    return "" if len(vcpus) == len(guest.info.vcpus) else str(CpuSet(vcpus))


def _note(host: HostMap, cell: InfoCell, guest: MapGuest, width: float) -> str:
    """What there is room for, beside the name."""
    memory = memory_here(guest, cell)
    others = CpuSet(each.id for each in host.cells if each.cpus & guest.reach and each.id != cell.id)
    also = [f"also {named('cell', others)}"] if others else []
    state = [] if guest.info.state == "running" else [guest.info.state]
    vcpus = vcpus_of(guest) if guest.reach & cell.cpus else "no vCPU here"
    wishes = ([*state, vcpus, memory, *also], [*state, vcpus, memory], [vcpus, memory], state or [vcpus])
    for parts in wishes:
        said = " · ".join(part for part in parts if part)
        if text_width(said, 11) <= width:
            return said
    return ""


def memory_here(guest: MapGuest, cell: InfoCell) -> str:
    """A guest's memory on a cell in words."""
    if guest.info.lies is None:
        return f"{human(guest.info.memory)} {guest.info.mode}" if cell.id in guest.info.bound else ""
    kib = guest.info.lies.get(cell.id, 0)
    return f"{human(kib)} here" if kib else "no memory here"


def vcpus_of(guest: MapGuest) -> str:
    return counted_vcpus(len(guest.info.vcpus))


def counted_vcpus(count: int) -> str:
    return f"{count} vCPU" if count == 1 else f"{count} vCPUs"


def describe(guest: MapGuest) -> str:
    """All of a guest in one line: state, vCPUs, CPUs, memory."""
    where = "every CPU" if guest.roams else named("CPU", guest.reach) if guest.reach else "no CPU"
    return f"{guest.info.state}, {vcpus_of(guest)} on {where}, {memory_of(guest)}"


def memory_of(guest: MapGuest) -> str:
    """All of a guest's memory in words: where it lies, or where it is bound to."""
    if guest.info.lies is not None:
        lies = [f"{human(kib)} on cell {cell}" for cell, kib in sorted(guest.info.lies.items()) if kib]
        return ", ".join(lies) or "no memory seen"
    where = f" on {named('cell', guest.info.bound)}" if guest.info.bound else ""
    return f"{human(guest.info.memory)} {guest.info.mode}{where}"
