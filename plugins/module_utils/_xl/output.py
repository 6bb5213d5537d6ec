# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl prints, read into values.

The formats are those of xl_info.c, xl_vcpu.c and xl_cpupool.c in Xen's tools/xl and of dump_numa() in the hypervisor,
read in 4.17; what a real host printed is in tests/unit/fixtures/xl. A name may hold anything, new lines too: tables
are read from the right.

This file must not import ansible, libvirt or lxml, and must not decide anything: it reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.devices import Listed, libvirt_name
from ansible_collections.numa.virt.plugins.module_utils._values.topology import (
    LOCAL_DISTANCE,
    REMOTE_DISTANCE,
    Cell,
    Core,
    Device,
    Host,
)

T = TypeVar("T")

DRIVER = "xl"

# Xen's pages have 4 KiB on all that it runs on.
_PAGE_KIB = 4

_FARTHEST = 254  # 255 is "cannot be reached" in a SLIT

# Numbers as long as the columns may be: CPUs and cells fit CpuSet, sizes fit 64 bits.
_CPU = re.compile("[0-9]{1,5}")
_TOPOLOGY_ROW = re.compile(r"\s*([0-9]{1,5}):\s+([0-9]{1,9})\s+([0-9]{1,9})\s+([0-9]{1,5})\s*")
_NUMA_ROW = re.compile(r"\s*([0-9]{1,5}):\s+([0-9]{1,15})\s+([0-9]{1,15})\s+(-?[0-9]{1,10}(?:,-?[0-9]{1,10})*)\s*")
_DEVICE_ROW = re.compile(r"(?P<address>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\s+(?P<cell>[0-9]{1,5})\s*")
_DEVICES = "device topology"
_ASSIGNABLE_ROW = re.compile(r"([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) (.+)")
_VALUE = re.compile(r"([a-z_ ]*[a-z_])\s*:(.*)")
# name, id, MiB, vCPUs, flags, seconds, and what options add. A long word may stand at the seconds without a blank.
_LIST_ROW = re.compile(
    r"(?P<name>(?:.*[^ ])?) +(?P<id>[0-9]{1,5}) +(?P<memory>[0-9]{1,15}) +(?P<vcpus>[0-9]{1,7})"
    r" +(?P<flags>[r-][b-][p-][s-][rscwS?-][d-]) +[0-9]+\.[0-9](?P<rest>.*)",
    re.DOTALL,
)
_UUID_REST = re.compile(r" +(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) +\S+ +\S+ *")
_CPU_LIST = "[0-9]{1,5}(?:-[0-9]{1,5})?(?:,[0-9]{1,5}(?:-[0-9]{1,5})?)*"
_CPUS = re.compile(_CPU_LIST)
_VCPU_ROW = re.compile(
    r"(?P<name>(?:.*[^ ])?) +(?P<id>[0-9]{1,5}) +(?P<vcpu>[0-9]{1,7}) +(?P<cpu>[0-9]{1,5}|-) +[r-][b-][p-] +"
    rf"[0-9]+\.[0-9] +(?P<hard>all|none|{_CPU_LIST}) / (?P<soft>all|none|{_CPU_LIST}) *",
    re.DOTALL,
)
_POOL_NAME_WIDTH = 19
# Of one name; more are rubbish.
_MAX_LINES = 20

# A time stamp stands there with console_timestamps=. Domains are "d0" from 4.18 on.
_LOG = r"\(XEN\) (?:\[[^]\n]*\] )?"
_DUMP = re.compile(rf"{_LOG}'u' pressed -> dumping numa info")
_DUMP_NODE = re.compile(rf"{_LOG}NODE([0-9]{{1,5}}) start->")
_DUMP_DOMAIN = re.compile(rf"{_LOG}(?:Domain |d)([0-9]{{1,5}}) \(total: [0-9]+\):\s*")
_DUMP_PAGES = re.compile(rf"{_LOG}    Node ([0-9]{{1,5}}): ([0-9]{{1,15}})\s*")
_DUMP_MEMORY = re.compile(rf"{_LOG}Memory location of each domain:")


class XlOutputError(NumaVirtError):
    """xl printed what this collection cannot read. ``what`` says what it was to be."""

    code = "xl_output"

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"cannot read {what} that xl prints: {problem}", what=what, problem=problem)


@dataclass(frozen=True)
class Info:
    """What ``xl info -n`` says: the host, Xen's version such as 4.17.7, and PCI devices with their cells."""

    host: Host
    version: str
    devices: tuple[Listed, ...] = ()


@dataclass(frozen=True)
class Row:
    """A running domain. ``memory`` is KiB, ``vcpus`` how many are online; ``state`` is one of libvirt's words."""

    name: str
    id: int
    memory: int
    vcpus: int
    state: str
    uuid: str


@dataclass(frozen=True)
class Vcpu:
    """A vCPU of a running domain.

    ``hard`` are the CPUs that it may use, ``soft`` those that it shall prefer, None for every CPU. ``cpu`` is the one
    that it is on, or was on last; None where the guest has not brought it up.
    """

    cpu: int | None
    hard: CpuSet | None
    soft: CpuSet | None


@dataclass(frozen=True)
class VcpuList:
    """The vCPUs of one domain, all that it may have, by number."""

    name: str
    vcpus: dict[int, Vcpu]


def parse_info(text: str) -> Info:
    """Read ``xl info -n``. Raises XlOutputError.

    CPUs that are offline have no row: present is every number up to max_cpu_id, online are those of the rows. A cell's
    memory is what its addresses span, holes included, which may be gigabytes more than there is.
    """
    values: dict[str, str] = {}
    topology: list[tuple[int, ...]] = []
    numa: list[tuple[str, ...]] = []
    devices: list[Listed] = []
    section = ""
    for line in text.splitlines():
        device = _DEVICE_ROW.fullmatch(line) if section == _DEVICES else None
        value = _VALUE.fullmatch(line)
        if device is not None:
            devices.append((int(device["cell"]), Device(libvirt_name(device["address"]), device["address"], "")))
        elif value is not None:
            section = value[1]
            values.setdefault(section, value[2].strip())
        elif section == "cpu":  # the head below cpu_topology
            match = _TOPOLOGY_ROW.fullmatch(line)
            if match is not None:
                topology.append(tuple(int(each) for each in match.groups()))
        elif section == "node":  # the head below numa_info
            match = _NUMA_ROW.fullmatch(line)
            if match is not None:
                numa.append(match.groups())
    if not values.get("xen_version"):
        raise XlOutputError("the host", "there is no xen_version")
    return Info(_host(values, topology, numa), values["xen_version"], tuple(devices))


def parse_assignable(text: str) -> dict[str, str]:
    """Read ``xl pci-assignable-list -n``: addresses by the names that devices were given. Others have no name."""
    rows = (_ASSIGNABLE_ROW.fullmatch(line.rstrip("\r")) for line in text.split("\n"))
    return {row[2]: row[1] for row in rows if row is not None}


def parse_list(text: str) -> list[Row]:
    """Read ``xl list -v``. Raises XlOutputError."""
    return _records(text, "the domains", _list_row)


def parse_domain_pools(text: str) -> dict[int, str]:
    """Read ``xl list -c``: the cpupool of each domain by its id. Raises XlOutputError."""
    return dict(_records(text, "the domains", _pool_row))


def parse_vcpu_list(text: str) -> dict[int, VcpuList]:
    """Read ``xl vcpu-list``, by the domains' ids. Raises XlOutputError."""
    found: dict[int, VcpuList] = {}
    for name, domain, number, vcpu in _records(text, "the vCPUs", _vcpu_row):
        found.setdefault(domain, VcpuList(name, {})).vcpus[number] = vcpu
    return found


def parse_pools(text: str) -> dict[str, CpuSet]:
    """Read ``xl cpupool-list -c``: the CPUs of each cpupool, in xl's order, which begins with Pool-0.

    Raises XlOutputError, also for a name of 19 characters or more: xl prints no blank behind it, and its last digit
    could be that of a CPU.
    """
    return dict(_records(text, "the cpupools", _pool))


def parse_numa_dump(text: str) -> dict[int, dict[int, int]] | None:
    """KiB that each domain has on each cell, from ``xl dmesg`` after ``xl debug-keys u``.

    Only the last dump counts: what an older one says may no longer be true. None where it is not whole: its start has
    left the ring buffer, or a domain lacks a cell. Between its lines may stand others, those of guests with cells of
    their own (vnuma) for one; nothing says where a dump ends.
    """
    lines = text.splitlines()
    start = max((number for number, line in enumerate(lines) if _DUMP.match(line)), default=len(lines))
    nodes: set[int] = set()
    found: dict[int, dict[int, int]] = {}
    pages: dict[int, int] | None = None
    listing = False
    for line in lines[start:]:
        node, domain, count = _DUMP_NODE.match(line), _DUMP_DOMAIN.fullmatch(line), _DUMP_PAGES.fullmatch(line)
        if node is not None:
            nodes.add(int(node[1]))
        elif _DUMP_MEMORY.match(line):
            listing = True
        elif domain is not None and listing:
            pages = found.setdefault(int(domain[1]), {})
        elif count is not None and pages is not None:
            pages[int(count[1])] = int(count[2]) * _PAGE_KIB
    whole = bool(found) and bool(nodes) and all(set(each) == nodes for each in found.values())
    return found if whole else None


def _records(text: str, what: str, read: Callable[[str], T | None]) -> list[T]:
    """The rows below a table's head. One that is no row yet goes on: a name may hold a new line."""
    head, *lines = text.split("\n")
    if not head.startswith("Name "):
        raise XlOutputError(what, "the table has no head")
    found: list[T] = []
    pending: list[str] = []
    for line in lines:
        pending.append(line)
        record = read("\n".join(pending))
        if record is not None:
            found.append(record)
            pending = []
        elif len(pending) > _MAX_LINES:
            break
    if any(pending):
        raise XlOutputError(what, f"the row behind number {len(found)} has another form")
    return found


def _list_row(line: str) -> Row | None:
    match = _LIST_ROW.fullmatch(line)
    rest = _UUID_REST.fullmatch(match["rest"]) if match is not None else None
    if match is None or rest is None:
        return None
    memory = int(match["memory"]) * 1024
    return Row(match["name"], int(match["id"]), memory, int(match["vcpus"]), _state(match["flags"]), rest["uuid"])


def _pool_row(line: str) -> tuple[int, str] | None:
    match = _LIST_ROW.fullmatch(line)
    if match is None or not match["rest"].strip():
        return None
    return int(match["id"]), match["rest"].strip()


def _vcpu_row(line: str) -> tuple[str, int, int, Vcpu] | None:
    match = _VCPU_ROW.fullmatch(line)
    if match is None:
        return None
    cpu = None if match["cpu"] == "-" else int(match["cpu"])
    vcpu = Vcpu(cpu, _affinity(match["hard"]), _affinity(match["soft"]))
    return match["name"], int(match["id"]), int(match["vcpu"]), vcpu


def _affinity(text: str) -> CpuSet | None:
    if text in ("all", "none"):
        return None if text == "all" else EMPTY
    return CpuSet.parse(text)


def _pool(line: str) -> tuple[str, CpuSet] | None:
    if not line:
        return None
    name, listed = line[:_POOL_NAME_WIDTH], line[_POOL_NAME_WIDTH:].strip()
    if not name.endswith(" ") or (listed and _CPUS.fullmatch(listed) is None):
        raise XlOutputError(
            "the cpupools", f"no blank parts the name {name!r} from its CPUs; give it less than 19 characters"
        )
    return name.rstrip(), CpuSet.parse(listed) if listed else EMPTY


def _state(flags: str) -> str:
    """libvirt's word for list_domains()'s flags rbpscd, of which c says why a domain has shut down."""
    if flags[5] == "d":
        return "shutting down"  # being destroyed
    if flags[3] == "s":
        # Until its toolstack destroys it, it keeps its name and its memory.
        return {"c": "crashed", "w": "crashed", "s": "suspended"}.get(flags[4], "shutting down")
    if flags[2] == "p":
        return "paused"
    return "blocked" if flags[1] == "b" else "running"


def _host(values: dict[str, str], topology: list[tuple[int, ...]], numa: list[tuple[str, ...]]) -> Host:
    if not topology:
        raise XlOutputError("the host", "there are no CPUs in cpu_topology")
    online = CpuSet(cpu for cpu, _core, _socket, _node in topology)
    last = values.get("max_cpu_id", "")
    present = online | CpuSet(range(int(last) + 1)) if _CPU.fullmatch(last) else online
    implied = not numa
    if implied:
        total = values.get("total_memory", "")
        numa = [("0", total if total.isdigit() else "0", "0", "10")]
        topology = [(cpu, core, socket, 0) for cpu, core, socket, _node in topology]
    memory = {int(node): (int(size) * 1024, int(free) * 1024) for node, size, free, _distances in numa}
    ids = sorted(memory.keys() | {node for _cpu, _core, _socket, node in topology})
    said = {int(node): [int(each) for each in distances.split(",")] for node, _size, _free, distances in numa}
    reported = not implied and all(
        len(said.get(one, ())) > other and LOCAL_DISTANCE <= said[one][other] <= _FARTHEST
        for one in ids
        for other in ids
    )
    cells = []
    for one in ids:
        size, free = memory.get(one, (0, 0))
        distances = tuple((other, said[one][other] if reported else _assumed(one, other)) for other in ids)
        own = [(socket, core, cpu) for cpu, core, socket, node in topology if node == one]
        cells.append(
            Cell(
                id=one,
                cpus=CpuSet(cpu for _socket, _core, cpu in own),
                memory=size,
                free=None if implied else free,
                cores=_cores(own),
                distances=distances,
            )
        )
    return Host(DRIVER, tuple(cells), present, online, implied_cell=implied, distances_reported=reported)


def _cores(cpus: list[tuple[int, int, int]]) -> tuple[Core, ...]:
    """Cores of one cell from (socket, core, CPU). Xen numbers no dies."""
    found: dict[tuple[int, int], list[int]] = {}
    for socket, core, cpu in sorted(cpus, key=lambda each: each[2]):
        found.setdefault((socket, core), []).append(cpu)
    return tuple(Core(socket, 0, core, CpuSet(each)) for (socket, core), each in found.items())


def _assumed(one: int, other: int) -> int:
    return LOCAL_DISTANCE if one == other else REMOTE_DISTANCE
