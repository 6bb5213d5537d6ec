# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A map of a host for a terminal: a block of lines for each cell, with a row for each guest that belongs there.

Made of what numa_cell_info and numa_domain_info return::

    ┌─ cell 0 ── CPUs 0-7 ── 2 GiB ── distance 20 to cell 1
    │  CPU   0 1 2 3 4 5 6 7
    │  db1   0 1 . . . . . .  2 vCPUs, 32 MiB strict
    └  web1  * * * * * * * *  2 vCPUs, 32 MiB strict

No line starts with a blank or holds what YAML would quote, so that a list of them reads well in any of Ansible's
output formats. This file must not import ansible, libvirt or lxml, and must not decide where anything belongs.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, one_line
from ansible_collections.numa.virt.plugins.module_utils._map.results import (
    NOTES,
    InfoCell,
    InfoFinding,
    InfoGuest,
    InfoPool,
    human,
    named,
    read_cells,
    read_findings,
    read_guests,
    read_list,
    read_set_apart,
    read_state,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union

# YAML breaks longer lines where it has to show them.
WIDTH = 78
NARROWEST = 60
ALL = "*"
NONE = "."
SEVERAL = "+"
BORDER = "|"
# No mark may be one that YAML would quote at the start of a line.
MARKS = {"error": "E", "warning": "W", "info": "I"}

_LONGEST_CPUS = 40
_LONGEST_NAME = 24
_LONGEST_NOTE = 48
_SHORTEST_NOTE = 24
_LONGEST_SYMBOL = 5
_LONGEST_LABEL = 9


@dataclass(frozen=True)
class _Column:
    """CPUs of a cell that no guest tells apart, and the symbol of each guest there; ``cache`` is the number of theirs,
    where the cell has several and they are in one."""

    label: str
    symbols: tuple[str, ...]
    cache: int | None = None

    @cached_property
    def width(self) -> int:
        return max(len(text) for text in (self.label, *self.symbols))


def text_map(
    host: Mapping[str, Any],
    guests: Sequence[Mapping[str, Any]],
    width: int = WIDTH,
    findings: Sequence[Mapping[str, Any]] = (),
    reserved_cells: Sequence[int] = (),
) -> list[str]:
    """The lines. ``host`` is what numa_cell_info returns, ``guests``, ``findings`` and ``reserved_cells`` are the
    domains, the findings and the cells of that name of numa_domain_info. A finding is marked under each cell that it
    names, and told in a list at the end.

    Raises InputError where they are something else, or ``width`` is below NARROWEST.
    """
    if width < NARROWEST:
        raise InputError("width", width, "is too narrow for a map", f"give {NARROWEST} or more")
    cells = read_cells(host)
    everyone = read_guests(guests)
    found = [(f"{MARKS[each.severity]}{number}", each) for number, each in enumerate(read_findings(findings), 1)]
    everything = union(cell.cpus for cell in cells)
    apart = read_set_apart(host, reserved_cells)
    roaming = [guest for guest in everyone if guest.roams(everything)]
    placed = [guest for guest in everyone if not guest.roams(everything)]
    lines: list[str] = []
    seen: set[str] = set()
    for cell in cells:
        rows = [guest for guest in placed if guest.reach(everything) & cell.cpus or guest.has_memory_on(cell.id)]
        seen |= {_symbol(guest, cpu) for guest in rows for cpu in cell.cpus}
        marks = [mark for mark, each in found if cell.id in each.cells or each.cpus & cell.cpus]
        lines += _marked(_block(cell, rows, cells, apart.of(cell), width), marks, width)
    reached = {guest.name: guest.reach(everything) for guest in placed}
    lost = [(name, named("CPU", cpus)) for name, cpus in reached.items() if not cpus & everything]
    lines += _list("not restricted to CPUs", [(guest.name, _roaming_note(guest)) for guest in roaming], width)
    lines += _list("on CPUs that no cell has", lost, width)
    lines += _findings(found, width)
    lines += _legend(seen, lines, width)
    for note in [*read_state(host), *read_list(host.get("notes"), NOTES)]:
        lines += textwrap.wrap(f"note - {one_line(str(note))}".replace(": ", ", "), width)
    return lines


# --- words -----------------------------------------------------------------------------------------------------------


def _symbol(guest: InfoGuest, cpu: int) -> str:
    """Which vCPUs of a guest may run on a CPU."""
    here = guest.on(cpu)
    if not here:
        return NONE
    if len(here) == len(guest.vcpus):
        return ALL
    text = str(CpuSet(here))
    return text if len(text) <= _LONGEST_SYMBOL else SEVERAL


def _title(cell: InfoCell) -> tuple[str, ...]:
    size = human(cell.total) if cell.total else "no memory reported"
    free = f", {human(cell.free)} free" if cell.free is not None and cell.total else ""
    return (f"cell {cell.id}", _title_cpus(cell.cpus), size + free, *_distances(cell))


def _title_cpus(cpus: CpuSet) -> str:
    text = named("CPU", cpus) if cpus else "no CPUs"
    if len(text) <= _LONGEST_CPUS:
        return text
    # Some firmware numbers CPUs in turn over the cells: 0,2,4,…
    numbers = list(cpus)
    return f"{len(numbers)} CPUs {numbers[0]}..{numbers[-1]}"


def _distances(cell: InfoCell) -> list[str]:
    """Cells of one distance together, the nearest first."""
    texts = [f"{distance} to {named('cell', cells)}" for distance, cells in cell.neighbours()]
    return [f"distance {', '.join(texts)}"] if texts else []


def _pool(pool: InfoPool) -> str:
    free = "" if pool.free is None else f", {pool.free} free"
    return f"{pool.total} huge pages of {human(pool.size)}{free}"


# --- drawing ---------------------------------------------------------------------------------------------------------


def _block(
    cell: InfoCell, rows: Sequence[InfoGuest], cells: Sequence[InfoCell], apart: Sequence[str], width: int
) -> list[str]:
    lines = _titled(_title(cell), width)
    caches = cell.caches_in_words() if cell.caches else ""
    for said in ("; ".join(_pool(pool) for pool in cell.pools if pool.total), caches, "; ".join(apart)):
        lines += textwrap.wrap(said, width, initial_indent="│  ", subsequent_indent="│  ")
    if not rows:
        return [*lines, "└  no guest"]
    names = [_cut(guest.name) for guest in rows]
    name_width = max(len("CPU"), *(len(name) for name in names))
    room = width - len("│  ") - name_width - 2 * len("  ")
    columns = _columns(cell, rows, room - _SHORTEST_NOTE)
    left = room - min(_total(columns), room - _SHORTEST_NOTE)
    notes = [textwrap.wrap(_note(guest, cell, cells), min(left, _LONGEST_NOTE)) for guest in rows]
    room -= max(len(line) for note in notes for line in note)
    for rank, chunk in enumerate(_chunks(columns, room)):
        if rank and all(symbol == NONE for column in chunk for symbol in column.symbols):
            continue
        if chunk:
            head = _row(chunk, [column.label for column in chunk])
            lines.append(f"│  {'CPU'.ljust(name_width)}  {head}")
        for row, name in enumerate(names):
            if rank and all(column.symbols[row] == NONE for column in chunk):
                continue
            marks = _row(chunk, [column.symbols[row] for column in chunk])
            for number, text in enumerate(notes[row] if not rank else [""]):
                start = f"{name.ljust(name_width)}  {marks}" if not number else " " * (name_width + 2 + len(marks))
                lines.append(f"│  {start}  {text}".rstrip())
    return _closed(lines)


def _row(columns: Sequence[_Column], texts: Sequence[str]) -> str:
    """Texts in their columns, with a line where another cache begins."""
    found = ""
    before: _Column | None = None
    for column, text in zip(columns, texts):
        if before is not None:
            found += BORDER if before.cache != column.cache else " "
        found += text.rjust(column.width)
        before = column
    return found


def _columns(cell: InfoCell, rows: Sequence[InfoGuest], room: int) -> list[_Column]:
    """CPU by CPU where that fits; else neighbours that no guest tells apart together; else across gaps too, and at last
    across caches."""
    each = [(cpu, tuple(_symbol(guest, cpu) for guest in rows), cell.cache_of.get(cpu)) for cpu in cell.cpus]
    digits = max((len(str(cpu)) for cpu in cell.cpus), default=0)
    columns = [replace(column, label=column.label.rjust(digits)) for column in _merged(each, 0)]
    for step, within in ((1, True), (None, True), (None, False)):
        if _total(columns) <= room:
            break
        columns = list(_merged(each if within else [(cpu, symbols, None) for cpu, symbols, _cache in each], step))
    return columns


def _total(columns: Sequence[_Column]) -> int:
    return sum(column.width + 1 for column in columns) - 1


def _merged(each: Sequence[tuple[int, tuple[str, ...], int | None]], step: int | None) -> Iterator[_Column]:
    """Join neighbours of one cache with equal symbols whose numbers are at most ``step`` apart; None joins whatever is
    next."""
    group: list[int] = []
    symbols: tuple[str, ...] = ()
    cache: int | None = None
    for cpu, found, own in each:
        if group and (found, own) == (symbols, cache) and (step is None or cpu - group[-1] <= step):
            group.append(cpu)
            continue
        if group:
            yield _Column(_label(group), symbols, cache)
        group, symbols, cache = [cpu], found, own
    if group:
        yield _Column(_label(group), symbols, cache)


def _label(group: Sequence[int]) -> str:
    text = str(CpuSet(group))
    return text if len(text) <= _LONGEST_LABEL else f"{group[0]}..{group[-1]}"


def _chunks(columns: Sequence[_Column], room: int) -> list[list[_Column]]:
    """As many columns on a line as there is room for; at least one line, so that a cell without CPUs has rows too."""
    chunks: list[list[_Column]] = [[]]
    used = 0
    for column in columns:
        if chunks[-1] and used + column.width > room:
            chunks.append([])
            used = 0
        chunks[-1].append(column)
        used += column.width + 1
    return chunks


def _note(guest: InfoGuest, cell: InfoCell, cells: Sequence[InfoCell]) -> str:
    parts = [_vcpus(guest)]
    here = CpuSet([cell.id])
    if guest.lies is not None:
        kib = guest.lies.get(cell.id, 0)
        parts.append(f"{human(kib)} here" if kib else "no memory here")
    else:
        where = "" if guest.bound in (here, CpuSet()) else f" on {named('cell', guest.bound)}"
        parts.append(f"{human(guest.memory)} {guest.mode}{where}")
    reach = guest.reach(union(each.cpus for each in cells))
    others = CpuSet(each.id for each in cells if each.cpus & reach) - here
    if others:
        parts.append(f"also {named('cell', others)}")
    return ", ".join(parts)


def _roaming_note(guest: InfoGuest) -> str:
    if guest.lies is not None:
        parts = [f"{human(kib)} on cell {cell}" for cell, kib in sorted(guest.lies.items()) if kib]
    else:
        where = f" on {named('cell', guest.bound)}" if guest.bound else ""
        parts = [f"{human(guest.memory)} {guest.mode}{where}"]
    return ", ".join([_vcpus(guest), *parts])


def _vcpus(guest: InfoGuest) -> str:
    count = len(guest.vcpus)
    text = f"{count} vCPU" if count == 1 else f"{count} vCPUs"
    return text if guest.state == "running" else f"{guest.state}, {text}"


def _list(title: str, rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    if not rows:
        return []
    lines = _titled([title], width)
    name_width = max(len(_cut(name)) for name, _note in rows)
    for name, note in rows:
        wrapped = textwrap.wrap(note, width - 3 - name_width - 2)
        for number, text in enumerate(wrapped):
            lines.append(f"│  {('' if number else _cut(name)).ljust(name_width)}  {text}")
    return _closed(lines)


def _marked(block: list[str], marks: Sequence[str], width: int) -> list[str]:
    """A cell's block with the marks of findings at its end."""
    if not marks:
        return block
    said = textwrap.wrap(f"findings {' '.join(marks)}", width, initial_indent="│  ", subsequent_indent="│  ")
    return _closed([*block[:-1], "│" + block[-1][1:], *said])


def _findings(found: Sequence[tuple[str, InfoFinding]], width: int) -> list[str]:
    """What was found, the gravest first, each with its remedy."""
    rows = []
    for mark, each in found:
        remedy = f" - fix ({each.fix}) {each.remedy}" if each.remedy else ""
        said = f"{each.severity} {each.code} - {each.message}{remedy}"
        rows.append((mark, one_line(" ".join(said.split())).replace(": ", ", ").replace(" #", " ")))
    return _list("findings", rows, width)


def _legend(seen: set[str], lines: Sequence[str], width: int) -> list[str]:
    said = []
    if ALL in seen:
        said.append(f"{ALL} any vCPU of the guest")
    if seen - {ALL, NONE, SEVERAL}:
        said.append("a number - that vCPU only")
    if SEVERAL in seen:
        said.append(f"{SEVERAL} several vCPUs")
    if NONE in seen:
        said.append(f"{NONE} none")
    if any(line.startswith("│  CPU") and BORDER in line for line in lines):
        said.append(f"{BORDER} another last-level cache")
    if any(".." in line for line in lines):
        said.append("a..b - all CPUs of this cell from a to b")
    legend: list[str] = []
    for text in said:
        if legend and len(legend[-1]) + 3 + len(text) <= width:
            legend[-1] += f"   {text}"
        else:
            legend.append(f"key  {text}")
    return legend


def _titled(parts: Sequence[str], width: int) -> list[str]:
    lines = [f"┌─ {parts[0]}"]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + 4 <= width:
            lines[-1] += f" ── {part}"
        else:
            lines += textwrap.wrap(part, width, initial_indent="│  ", subsequent_indent="│  ")
    return lines


def _closed(lines: Sequence[str]) -> list[str]:
    return [*lines[:-1], "└" + lines[-1][1:]]


def _cut(name: str) -> str:
    """Names of one site often start alike and differ at their ends: cut the middle."""
    name = one_line(name)
    half = (_LONGEST_NAME - 1) // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"
