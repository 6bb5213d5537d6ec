# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cell's CPUs where there are many, or many guests: a field of cores, each CPU with the tag of whose it is.

A CPU that several guests may use says how many, above their colours; beyond three it is just filled.
This file must not import ansible, libvirt or lxml, and must not read results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ansible_collections.numa.virt.plugins.module_utils._map.markup import Safe
from ansible_collections.numa.virt.plugins.module_utils._map.model import HostMap, MapGuest, load
from ansible_collections.numa.virt.plugins.module_utils._map.results import InfoCell, named
from ansible_collections.numa.virt.plugins.module_utils._map.shapes import (
    border,
    filled,
    gravest,
    group,
    mark_of,
    names,
    rect,
    text,
    tip,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

_CPU = 18
_ROW = 23
_BETWEEN_CORES = 4
# What is more between cores of different caches.
_BETWEEN_CACHES = 5
_LABELS = 28
_FOOT = 20
_MOST_BANDS = 3
# Classes of more guests than this on one stretch would cost more than they help.
_MOST_MARKED = 64


def height(cell: InfoCell, width: float) -> float:
    rows = max((row for _core, row, _left, _border in _placed(cell, width)), default=0) + 1
    return rows * _ROW + _FOOT


def draw(host: HostMap, cell: InfoCell, x: float, y: float, width: float) -> Safe:
    placed = host.guests_of(cell)
    users = {cpu: tuple(guest for guest in placed if cpu in guest.reach) for cpu in cell.cpus}
    ringed = {cpu: found for cpu in cell.cpus if (found := _severity(host, cpu))}
    firsts: dict[int, int] = {}
    boxes: list[Safe] = []
    spots: list[tuple[int, float, float]] = []
    for core, row, left, bordered in _placed(cell, width):
        top = y + row * _ROW
        if bordered:
            boxes.append(border(x + left - (_BETWEEN_CORES + _BETWEEN_CACHES) / 2, top - 2, _ROW - 1))
        firsts.setdefault(row, min(core))
        if len(core) > 1:
            boxes.append(rect(x + left - 1, top - 1, len(core) * _CPU + 2, _CPU + 2, "core", 4))
        spots += [(cpu, x + left + rank * _CPU, top) for rank, cpu in enumerate(core)]
    stretches = [_stretch(guests, list(run)) for guests, run in groupby(spots, key=lambda spot: users[spot[0]])]
    rings = [
        rect(left + 1, top + 1, _CPU - 2, _CPU - 2, f"ring-{ringed[cpu]}", 3)
        for cpu, left, top in spots
        if cpu in ringed
    ]
    if not cell.cpus:
        boxes.append(text(x, y + 13, "memory only, no CPUs", "s"))
    boxes += [text(x + 22, y + row * _ROW + 12.5, str(cpu), "e s x9") for row, cpu in firsts.items()]
    foot = text(x, y + height(cell, width) - 7, _summary(host, cell, placed), "s x10", width, 10)
    return Safe("".join([*boxes, *stretches, *rings, foot]))


def _placed(cell: InfoCell, width: float) -> Iterator[tuple[CpuSet, int, float, bool]]:
    """Each core with its row, its left edge, and whether another cache begins there; before each row is room for the
    number of its first CPU."""
    row, left = 0, float(_LABELS)
    before = None
    for core in cell.cores:
        wide = len(core) * _CPU
        cache = cell.cache_of.get(min(core))
        bordered = left > _LABELS and cache != before
        more = _BETWEEN_CACHES if bordered else 0
        if left > _LABELS and left + more + wide > width:
            row, left, more, bordered = row + 1, float(_LABELS), 0, False
        left += more
        yield core, row, left, bordered
        left += wide + _BETWEEN_CORES
        before = cache


def _stretch(guests: Sequence[MapGuest], spots: Sequence[tuple[int, float, float]]) -> Safe:
    """CPUs in a row that the same guests may use."""
    said = names(guests) or "no placed guest"
    cpus = CpuSet(cpu for cpu, _left, _top in spots)
    cells = [_cpu(guests, left, top) for _cpu_number, left, top in spots]
    classes = mark_of(guests) if guests and len(guests) <= _MOST_MARKED else "cpu"
    return group(classes, *cells, tip(f"{named('CPU', cpus)}: {said}"))


def _cpu(guests: Sequence[MapGuest], left: float, top: float) -> Safe:
    inner = (left + 1, top + 1, _CPU - 2, _CPU - 2)
    if not guests:
        return rect(*inner, "chip", 3)
    if len(guests) == 1:
        tag = guests[0].tag
        letter = text(left + _CPU / 2, top + 12.5, tag, f"c {'x10' if len(tag) < 2 else 'x9'} halo h{guests[0].hue}")
        return Safe(filled(guests[0], *inner) + letter)
    count = text(left + _CPU / 2, top + (11 if len(guests) <= _MOST_BANDS else 12.5), str(len(guests)), "c x9")
    if len(guests) > _MOST_BANDS:
        return Safe(rect(*inner, "other", 3) + count)
    wide = (_CPU - 4) / len(guests)
    bands = [rect(left + 2 + rank * wide, top + 12.5, wide, 3.5, f"t{guest.hue}") for rank, guest in enumerate(guests)]
    return Safe("".join([rect(*inner, "chip", 3), *bands, count]))


def _severity(host: HostMap, cpu: int) -> str | None:
    return gravest(finding for finding in host.findings if cpu in finding.info.cpus)


def _summary(host: HostMap, cell: InfoCell, placed: Sequence[MapGuest]) -> str:
    guests = f"{len(placed)} guest" if len(placed) == 1 else f"{len(placed)} guests"
    if not cell.cpus:
        return guests
    vcpus = load(host, cell)
    return f"{guests} · {vcpus:.0f} vCPUs on {len(cell.cpus)} CPUs, {vcpus / len(cell.cpus):.1f} each"
