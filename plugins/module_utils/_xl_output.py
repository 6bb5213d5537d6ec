# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl prints, read into values. Formats are those of tools/xl in Xen 4.17.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._topology import Cell, Core, Host

_PAGE = 4  # KiB


class XlOutputError(NumaVirtError):
    """xl printed something that is not understood."""

    code = "xl_output"

    def __init__(self, what: str, found: str) -> None:
        shown = " ".join(found.split())[:120]
        super().__init__(f"cannot read {what} from what xl prints: {shown!r}", what=what)


@dataclass(frozen=True)
class Info:
    """``xl info -n``."""

    host: Host
    version: str


@dataclass(frozen=True)
class Row:
    """A running domain in ``xl list -v``. ``memory`` is KiB."""

    name: str
    id: int
    memory: int
    vcpus: int
    state: str
    uuid: str


@dataclass(frozen=True)
class Vcpu:
    """``hard`` and ``soft`` None are "all"; ``cpu`` is where it runs, None where it does not."""

    hard: CpuSet | None
    soft: CpuSet | None
    cpu: int | None


@dataclass(frozen=True)
class Vcpus:
    name: str
    vcpus: dict[int, Vcpu]


_LIST = re.compile(
    r"(?P<name>.*?)\s+(?P<id>\d+)\s+(?P<memory>\d+)\s+(?P<vcpus>\d+)\s+(?P<state>[-rbpscd]{6})\s+[\d.]+\s+"
    r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)
_DOMAIN_POOL = re.compile(r"(?P<name>.*?)\s+(?P<id>\d+)\s+\d+\s+\d+\s+[-rbpscd]{6}\s+[\d.]+\s+(?P<pool>\S.*)")
_VCPU = re.compile(
    r"(?P<name>.*?)\s+(?P<id>\d+)\s+(?P<vcpu>\d+)\s+(?P<cpu>\d+|-)\s+[-rbp]{3}\s+[\d.]+\s+"
    r"(?P<hard>\S+) / (?P<soft>\S+)\s*"
)
_CPU = re.compile(r"\s*(\d+):\s+(\d+)\s+(\d+)\s+(\d+)\s*")
_NODE = re.compile(r"\s*(\d+):\s+(\d+)\s+(\d+)\s+([\d,]+)\s*")
_DUMP = re.compile(r"'u' pressed -> dumping numa info")
_DUMPED = re.compile(r"Domain (\d+) \(total: (\d+)\):")
_PAGES = re.compile(r"Node (\d+): (\d+)")


def parse_info(text: str) -> Info:
    """Raises XlOutputError."""
    cpus: list[tuple[int, int, int, int]] = []
    nodes: list[tuple[int, int, int, str]] = []
    fields: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if name.strip() in ("cpu", "node", "device") and colon:
            section = name.strip()
        elif section == "cpu" and _CPU.fullmatch(line):
            cpus.append(tuple(map(int, _CPU.fullmatch(line).groups())))  # type: ignore[union-attr,arg-type]
        elif section == "node" and _NODE.fullmatch(line):
            match = _NODE.fullmatch(line)
            nodes.append((int(match[1]), int(match[2]), int(match[3]), match[4]))  # type: ignore[index]
        elif colon:
            fields[name.strip()] = value.strip()
    if not cpus or not nodes:
        raise XlOutputError("the host's cells", text[-200:])
    ids = [node for node, _size, _free, _distances in nodes]
    cells = tuple(
        Cell(
            id=node,
            cpus=CpuSet(cpu for cpu, _core, _socket, own in cpus if own == node),
            memory=size * 1024,
            free=free * 1024,
            cores=_cores([each for each in cpus if each[3] == node]),
            distances=tuple(zip(ids, map(int, distances.split(",")))),
        )
        for node, size, free, distances in nodes
    )
    listed = union(cell.cpus for cell in cells)
    return Info(Host("xl", cells, listed, listed), fields.get("xen_version", ""))


def _cores(cpus: list[tuple[int, int, int, int]]) -> tuple[Core, ...]:
    threads: dict[tuple[int, int], list[int]] = {}
    for cpu, core, socket, _node in cpus:
        threads.setdefault((socket, core), []).append(cpu)
    return tuple(Core(socket, 0, core, CpuSet(own)) for (socket, core), own in threads.items())


def parse_list(text: str) -> list[Row]:
    rows = []
    for line in text.splitlines():
        match = _LIST.match(line)
        if match:
            state = match["state"]
            rows.append(
                Row(
                    match["name"],
                    int(match["id"]),
                    int(match["memory"]) * 1024,
                    int(match["vcpus"]),
                    _word(state),
                    match["uuid"],
                )
            )
    return rows


def _word(flags: str) -> str:
    for flag, word in (("d", "shutting down"), ("c", "crashed"), ("s", "shut off"), ("p", "paused")):
        if flag in flags:
            return word
    return "running"


def parse_domain_pools(text: str) -> dict[int, str]:
    """``xl list -c`` -> domain id -> cpupool."""
    return {int(match["id"]): match["pool"].strip() for match in map(_DOMAIN_POOL.match, text.splitlines()) if match}


def parse_vcpu_list(text: str) -> dict[int, Vcpus]:
    found: dict[int, Vcpus] = {}
    for line in text.splitlines():
        match = _VCPU.fullmatch(line)
        if match:
            own = found.setdefault(int(match["id"]), Vcpus(match["name"], {}))
            cpu = None if match["cpu"] == "-" else int(match["cpu"])
            own.vcpus[int(match["vcpu"])] = Vcpu(_set(match["hard"]), _set(match["soft"]), cpu)
    return found


def _set(text: str) -> CpuSet | None:
    try:
        return None if text == "all" else CpuSet.parse(text)
    except InputError:
        raise XlOutputError("a CPU set", text) from None


def parse_pools(text: str) -> dict[str, CpuSet]:
    """``xl cpupool-list -c`` -> name -> CPUs."""
    found = {}
    for line in text.splitlines()[1:]:
        match = re.fullmatch(r"(.*?)\s+([\d,]*)", line)
        if match and match[1].strip():
            found[match[1].strip()] = CpuSet.parse(match[2]) if match[2] else CpuSet()
    return found


def parse_numa_dump(text: str) -> dict[int, dict[int, int]] | None:
    """Domain id -> cell -> KiB, by the last dump in Xen's log; None where there is no whole one."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _DUMP.search(line)]
    if not starts:
        return None
    found: dict[int, dict[int, int]] = {}
    own: dict[int, int] = {}
    for line in lines[starts[-1] :]:
        head = _DUMPED.search(line)
        if head:
            own = found.setdefault(int(head[1]), {})
            continue
        pages = _PAGES.search(line)
        if pages and int(pages[2]):
            own[int(pages[1])] = int(pages[2]) * _PAGE
    return found
