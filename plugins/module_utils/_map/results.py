# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results of numa_cell_info and numa_domain_info as values, for what draws maps of them.

Sizes are KiB. What a result of an older release, or a hand-written one, does not have is taken to be not known.
This file must not import ansible, libvirt or lxml, and must not decide where anything belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, cut, one_line
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, MAX_CPU, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MAX_CPUS

SEVERITIES = ("error", "warning", "info")
CELLS = "the cells of numa_cell_info"
DOMAINS = "the domains of numa_domain_info"
NOTES = "the notes of numa_cell_info"
SET_APART = "the isolated_cpus, nohz_full_cpus or other_slices of numa_cell_info"
CLAIMS = "the claims of numa_cell_info"
STATE = "the host_state of numa_cell_info"
RESERVED = "the reserved_cells of numa_domain_info"
FINDINGS = "the findings of numa_domain_info"

T = TypeVar("T")


@dataclass(frozen=True)
class InfoPool:
    """Huge pages of one size on one cell. ``free`` is None where it is not known."""

    size: int
    total: int
    free: int | None


@dataclass(frozen=True)
class InfoCache:
    """A last-level cache, and the CPUs of a cell that share it. ``size`` is 0 where it is not known."""

    level: int
    size: int
    cpus: CpuSet


@dataclass(frozen=True)
class InfoCell:
    """One cell. ``cores`` are sets of siblings; a CPU of no reported core is one of its own.

    ``distances`` are by cell, itself included where it is reported; ``free`` is None where it is not known. ``caches``
    are its last-level caches, where there are several.
    """

    id: int
    cpus: CpuSet
    cores: tuple[CpuSet, ...]
    sockets: tuple[int, ...]
    total: int
    free: int | None
    pools: tuple[InfoPool, ...]
    distances: Mapping[int, int]
    devices: int
    caches: tuple[InfoCache, ...] = ()

    @cached_property
    def cache_of(self) -> Mapping[int, int]:
        """The number of the cache of each CPU, where it has several."""
        return {cpu: number for number, cache in enumerate(self.caches) for cpu in cache.cpus}

    def caches_in_words(self) -> str:
        """Its caches with their CPUs, those of one kind together; nothing where it has only one."""
        kinds: dict[tuple[int, int], list[InfoCache]] = {}
        for cache in self.caches:
            kinds.setdefault((cache.level, cache.size), []).append(cache)
        said = []
        for (level, size), caches in kinds.items():
            count = f"{len(caches)} L{level} caches" if len(caches) > 1 else f"L{level} cache"
            of = f" of {human(size)}" if size else ""
            said.append(f"{count}{of}, CPUs {' | '.join(str(cache.cpus) for cache in caches)}")
        return "; ".join(said)

    def neighbours(self) -> list[tuple[int, CpuSet]]:
        """Other cells by their distance, the nearest first."""
        others: dict[int, list[int]] = {}
        for other, distance in self.distances.items():
            if other != self.id:
                others.setdefault(distance, []).append(other)
        return [(distance, CpuSet(cells)) for distance, cells in sorted(others.items())]


@dataclass(frozen=True)
class InfoGuest:
    """One guest. ``vcpus`` are the CPUs of each vCPU, None for every CPU of the host.

    ``lies`` is the memory on each cell where that is known, else None; ``bound`` the cells it is bound to, in ``mode``.
    ``dedicated`` says that the policy of that name has placed it.
    """

    name: str
    state: str
    vcpus: tuple[tuple[int, CpuSet | None], ...]
    memory: int
    lies: Mapping[int, int] | None
    bound: CpuSet
    mode: str
    dedicated: bool = False

    def reach(self, everything: CpuSet) -> CpuSet:
        """The CPUs that at least one vCPU may run on."""
        return union(everything if cpus is None else cpus for _vcpu, cpus in self.vcpus)

    def roams(self, everything: CpuSet) -> bool:
        """Whether every vCPU may run on every CPU."""
        return all(cpus is None or everything <= cpus for _vcpu, cpus in self.vcpus)

    def on(self, cpu: int) -> tuple[int, ...]:
        """The vCPUs that may run on a CPU."""
        return tuple(vcpu for vcpu, cpus in self.vcpus if cpus is None or cpu in cpus)

    def has_memory_on(self, cell: int) -> bool:
        return cell in self.bound if self.lies is None else bool(self.lies.get(cell))


@dataclass(frozen=True)
class InfoFinding:
    """Something that is wrong, and what to do. ``domain`` is None for the host; ``cpus`` may be empty."""

    code: str
    severity: str
    domain: str | None
    others: tuple[str, ...]
    cells: tuple[int, ...]
    cpus: CpuSet
    message: str
    fix: str
    remedy: str

    def rank(self) -> tuple[Any, ...]:
        """The order of findings: the gravest first, then by code, guest and place."""
        where = (self.domain or "", self.others, self.cells, str(self.cpus))
        return (SEVERITIES.index(self.severity), self.code, *where, self.message, self.remedy)


def read_cells(host: Any, option: str = "map") -> list[InfoCell]:
    """The cells in the result of numa_cell_info, in its order; at least one. Raises InputError."""
    said = host.get("cells") if isinstance(host, Mapping) else None
    cells = [_read(_cell_of, each, CELLS, option) for each in read_list(said, CELLS, option)]
    if not cells:
        raise InputError(option, None, "there are no cells in it", "give the result of numa.virt.numa_cell_info")
    return cells


@dataclass(frozen=True)
class SetApart:
    """What is not for every guest: pairs (what they are, CPUs), and cells that guests are kept out of."""

    cpus: tuple[tuple[str, CpuSet], ...] = ()
    cells: CpuSet = EMPTY

    def of(self, cell: InfoCell) -> list[str]:
        """What is set apart of a cell: "isolated 4-7"."""
        said = [f"{what} {cpus & cell.cpus}" for what, cpus in self.cpus if cpus & cell.cpus]
        return [*said, *(["kept out"] if cell.id in self.cells else [])]


def read_set_apart(host: Mapping[str, Any], reserved: Any = None, option: str = "map") -> SetApart:
    """CPUs as numa_cell_info has them, and ``reserved``, the cells that numa_domain_info has. Raises InputError."""
    sets = [("isolated", host.get("isolated_cpus")), ("nohz_full", host.get("nohz_full_cpus"))]
    found = [(what, _read(CpuSet.coerce, text, SET_APART, option)) for what, text in sets if text]
    others = read_list(host.get("other_slices"), SET_APART, option)
    found += [_read(_slice_of, each, SET_APART, option) for each in others]
    found += [_read(_claim_of, each, CLAIMS, option) for each in read_list(host.get("claims"), CLAIMS, option)]
    cells = _read(CpuSet, read_list(reserved, RESERVED, option), RESERVED, option)
    return SetApart(tuple(found), cells)


def read_state(host: Mapping[str, Any], option: str = "map") -> list[str]:
    """What is to be said of a host that takes no new guests, nothing of one that does. Raises InputError."""
    return _read(_state_of, host.get("host_state") or {}, STATE, option)


def _state_of(value: Mapping[str, Any]) -> list[str]:
    state = value.get("state") or "in"
    if state == "in":
        return []
    parts = (value.get("who"), value.get("since"), value.get("reason"))
    return [one_line(", ".join([f"{state}, takes no new guests", *(str(each) for each in parts if each)]))]


def read_guests(domains: Any, option: str = "map") -> list[InfoGuest]:
    """The domains in the result of numa_domain_info, in its order. Raises InputError."""
    return [_read(_guest_of, each, DOMAINS, option) for each in read_list(domains, DOMAINS, option)]


def read_findings(findings: Any, option: str = "map") -> list[InfoFinding]:
    """The findings, the gravest first; none where there is no such list. Raises InputError."""
    found = [_read(_finding_of, each, FINDINGS, option) for each in read_list(findings, FINDINGS, option)]
    return sorted(found, key=InfoFinding.rank)


def human(kib: int) -> str:
    """A size as a person says it.

    >>> human(2097152), human(43008), human(3985000)
    ('2 GiB', '42 MiB', '3.8 GiB')
    """
    size, unit = float(kib), "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    text = f"{size:.1f}" if size < 10 else f"{size:.0f}"
    return f"{text.removesuffix('.0')} {unit}"


def named(kind: str, numbers: CpuSet) -> str:
    """A kind of thing with its numbers: "CPU 3", "cells 0-1"."""
    return f"{kind} {numbers}" if len(numbers) == 1 else f"{kind}s {numbers}"


def read_list(value: Any, expected: str, option: str = "map") -> Sequence[Any]:
    """A list in a result; none where it is None. Raises InputError."""
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise InputError(option, None, f"this is none of {expected} (not a list)")
    return value


def _read(reader: Callable[[Any], T], value: Any, expected: str, option: str) -> T:
    try:
        return reader(value)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, InputError) as error:
        said = f"{type(error).__name__} {cut(str(error))}"
        raise InputError(option, None, f"this is none of {expected} ({said})") from None


def _count(value: Any, most: float) -> int:
    """A whole number that is not negative. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise ValueError(f"{cut(str(value))} is no number from 0 to {most:g}")
    return int(value)


def _kib(value: Any) -> int:
    return _count(value, 1e18)


def _known(value: Any) -> int | None:
    return None if value is None else _kib(value)


def _slice_of(value: Mapping[str, Any]) -> tuple[str, CpuSet]:
    return one_line(str(value["name"])) or "another control group", CpuSet.coerce(value["cpuset"])


def _claim_of(value: Mapping[str, Any]) -> tuple[str, CpuSet]:
    return f"claimed for {cut(one_line(str(value['name'])), 24)}", CpuSet.coerce(value["cpuset"])


def _cell_of(value: Mapping[str, Any]) -> InfoCell:
    cpus = CpuSet(value["cpus"])
    memory = value["memory"]
    cores = [CpuSet(core) & cpus for core in value.get("cores", ())]
    lone = cpus - union(cores)
    return InfoCell(
        id=_count(value["id"], MAX_CPU),
        cpus=cpus,
        cores=tuple(sorted([core for core in cores if core] + [CpuSet([cpu]) for cpu in lone], key=min)),
        sockets=tuple(sorted(int(socket) for socket in value.get("sockets", ()))),
        total=_kib(memory["total"]),
        free=_known(memory["free"]),
        pools=tuple(
            InfoPool(_kib(each["size"]), _kib(each["total"]), _known(each["free"])) for each in value["huge_pages"]
        ),
        distances={int(other): int(distance) for other, distance in value["distances"].items()},
        devices=len(value.get("devices", ())),
        caches=_caches_of(value.get("caches") or (), cpus),
    )


def _caches_of(value: Sequence[Mapping[str, Any]], cpus: CpuSet) -> tuple[InfoCache, ...]:
    """Nothing where there is one, which has no border."""
    found = [
        InfoCache(_count(each["level"], MAX_CPU), _kib(each.get("size") or 0), CpuSet.coerce(each["cpuset"]) & cpus)
        for each in value
    ]
    found = [cache for cache in found if cache.cpus]
    return tuple(sorted(found, key=lambda cache: min(cache.cpus))) if len(found) > 1 else ()


def _guest_of(value: Mapping[str, Any]) -> InfoGuest:
    said = value["live"] or value["configured"] or {}
    actual = value["actual"]
    vcpus: dict[int, CpuSet | None]
    if actual:
        vcpus = {int(vcpu): CpuSet.coerce(cpus) for vcpu, cpus in actual["vcpus"].items()}
    else:
        own = None if said["cpuset"] is None else CpuSet.coerce(said["cpuset"])
        pins = {int(vcpu): CpuSet.coerce(cpus) for vcpu, cpus in said["vcpu_pins"].items()}
        vcpus = {vcpu: pins.get(vcpu, own) for vcpu in range(_count(value["vcpus"], MAX_CPUS))}
    lies = actual["memory"] if actual else None
    bindings = [each for each in (said["memory"], *said["memnodes"].values()) if each is not None]
    policy = (value.get("intent") or {}).get("policy") or {}
    return InfoGuest(
        name=str(value["name"]),
        state=str(value["state"]),
        vcpus=tuple(sorted(vcpus.items())),
        memory=_kib(value["memory"]),
        lies=None if lies is None else {int(cell): _kib(kib) for cell, kib in lies.items()},
        bound=union(CpuSet(each["cells"]) for each in bindings if not each["automatic"]),
        mode="where numad chooses" if any(each["automatic"] for each in bindings) else _mode(bindings),
        dedicated=policy.get("policy") == "dedicated",
    )


def _mode(bindings: Sequence[Mapping[str, Any]]) -> str:
    return str(bindings[0]["mode"]) if bindings else "not bound"


def _finding_of(value: Mapping[str, Any]) -> InfoFinding:
    severity = value["severity"]
    if severity not in SEVERITIES:
        raise ValueError(f"severity {severity!r}")
    cpus = value.get("cpus")
    domain = value.get("domain")
    return InfoFinding(
        code=str(value["code"]),
        severity=severity,
        domain=None if domain is None else str(domain),
        others=tuple(str(other) for other in value.get("others") or ()),
        cells=tuple(int(cell) for cell in value.get("cells") or ()),
        cpus=CpuSet.coerce(cpus) if cpus else EMPTY,
        message=str(value["message"]),
        fix=str(value.get("fix") or ""),
        remedy=str(value.get("remedy") or ""),
    )
