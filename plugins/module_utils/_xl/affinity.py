# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl's ``cpus`` means: its words for sets of CPUs, read on one host.

The rules are those of parse_range(), update_cpumap_range(), parse_cpurange() and parse_vcpu_affinity() in Xen's
tools/xl/xl_parse.c, read in 4.17 and tried on a real host (tests/unit/fixtures/xl/dry_run.jsonl).
CPUs and cells that the host has not got are passed over, as in xl; a set that this leaves empty is an error, as in xl.

Where this differs from xl, on purpose:
- a number beyond MAX_NUMBER is an error; xl cuts it to 32 bits, and tries for hours to count up to a negative one;
- a list inside the list is an error; xl crashes.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import Atom, Statement, XlConfigError

MAX_NUMBER = (1 << 31) - 1

# CPUs of one vCPU; None is "all": every CPU of the host, whatever they are.
Allowed = Optional[CpuSet]

# strtoul() skips white space before a number and takes a plus sign. Nothing may stand behind the number.
_NUMBER = r"[ \t\n\v\f\r]*\+?([0-9]+)"
_PART = re.compile(rf"(?P<neg>\^)?(?P<nodes>nodes?:)?(?:(?P<all>all)|{_NUMBER}(?:-{_NUMBER})?)")
_EXPECTED = 'xl takes CPUs such as "0-3,^2,8", cells such as "nodes:0-1,^node:3", and "all"'


def read_affinity(
    statement: Statement | None, vcpus: int, cells: Mapping[int, CpuSet], everything: CpuSet, source: str
) -> tuple[Allowed, ...]:
    """What each of ``vcpus`` vCPUs may use by a merged ``cpus`` statement.

    ``cells`` are the CPUs of the host's cells by number, ``everything`` are all CPUs. One value counts for every vCPU;
    of a list each element for the vCPU of its rank, and vCPUs beyond its end may use every CPU. Elements beyond the
    last vCPU are not even read. Raises XlConfigError.
    """
    if statement is None:
        return (None,) * vcpus
    value = statement.value
    if isinstance(value, Atom):
        return (read_cpus(value, cells, everything, source),) * vcpus
    sets: list[Allowed] = []
    for each in value.values[:vcpus]:
        if not isinstance(each, Atom):
            raise XlConfigError(source, "cpus holds a list inside a list", "write one string for each vCPU", each.line)
        sets.append(read_cpus(each, cells, everything, source))
    return (*sets, *[None] * (vcpus - len(sets)))


def read_cpus(atom: Atom, cells: Mapping[int, CpuSet], everything: CpuSet, source: str) -> Allowed:
    """One element of ``cpus``. None where it says "all" and takes nothing away again."""
    chosen, whole = EMPTY, False
    for part in atom.text.split(","):
        if not part:  # strtok() knows no empty parts
            continue
        match = _PART.fullmatch(part)
        if match is None or (match["neg"] and match["all"]):
            raise XlConfigError(source, f"cpus: {_shown(part)} is no set of CPUs", _EXPECTED, atom.line)
        if match["all"]:
            chosen, whole = everything, True
            continue
        numbers = _range(match, atom, source)
        if match["nodes"]:
            named = union(cpus for cell, cpus in cells.items() if cell in numbers) & everything
        else:
            named = CpuSet(cpu for cpu in everything if cpu in numbers)
        chosen = chosen - named if match["neg"] else chosen | named
        whole = whole and everything <= chosen
    if not chosen:
        raise XlConfigError(source, f"cpus: {_shown(atom.text)} leaves no CPU of this host", _EXPECTED, atom.line)
    return None if whole else chosen


def _range(match: re.Match[str], atom: Atom, source: str) -> range:
    first, last = (int(match[group].lstrip("0")[:11] or "0") for group in (4, 5 if match[5] else 4))
    if last < first:
        raise XlConfigError(source, f"cpus: {_shown(match[0])} ends before it starts", _EXPECTED, atom.line)
    if last > MAX_NUMBER:
        raise XlConfigError(source, f"cpus: {_shown(match[0])}: no CPU has such a number", _EXPECTED, atom.line)
    return range(first, last + 1)


def _shown(text: str) -> str:
    return repr(displayable(text if len(text) <= 60 else text[:57] + "..."))
