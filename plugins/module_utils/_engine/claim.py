# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_claim: CPUs and memory of a host kept for a guest that is to come, or given back.

The host's lock is held from the look at what is there to the claim, so that of two that want the same one gets it.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._engine.claims import (
    Honoured,
    claimed_of,
    holds,
    honoured,
    refuse_new,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.existing import all_existing, read_all
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, trouble_warnings
from ansible_collections.numa.virt.plugins.module_utils._errors import DoesNotFitError, InputError, NumaVirtError, shown
from ansible_collections.numa.virt.plugins.module_utils._intent.sizes import size_in_kib
from ansible_collections.numa.virt.plugins.module_utils._node import claims as node_claims
from ansible_collections.numa.virt.plugins.module_utils._node.lock import host_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._planner.check import check_rules
from ansible_collections.numa.virt.plugins.module_utils._planner.claims import claim_problem
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Rules, check_ratio
from ansible_collections.numa.virt.plugins.module_utils._values.claim import (
    MAX_LIFETIME,
    MAX_NAME,
    MAX_WORDS,
    Claim,
    Moment,
    claim_as_result,
    claim_from_json,
    claim_to_json,
    is_uuid,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MAX_CPUS
from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import StoredTextError
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection

# A claim of which less than this part is left is made anew by a run that asks for it again.
_RENEWED = 2


class ClaimedError(NumaVirtError):
    """Somebody else has claimed this host for the same guest. Nothing has been touched."""

    code = "claimed"


@dataclass(frozen=True)
class ClaimRequest:
    """Options of numa_claim, read. ``memory`` is pairs (cell, KiB) of ordinary memory, ``pages`` triples (cell, KiB of
    a page, KiB). ``lifetime`` is in seconds; ``seconds`` how long to wait for the lock."""

    name: str | None
    uuid: str | None
    present: bool = True
    cells: CpuSet | None = None
    cpus: CpuSet | None = None
    owned: bool = False
    vcpus: int | None = None
    cpu_ratio: float | None = None
    memory: Sequence[tuple[int, int]] = ()
    pages: Sequence[tuple[int, int, int]] = ()
    lifetime: int = 3600
    made_by: str = ""
    rules: Rules = field(default_factory=Rules)
    ignores_state: bool = False
    check_mode: bool = False
    lock_dir: str | None = None
    lock_timeout: float = 300.0


def memory_of(option: Mapping[Any, Any] | None) -> list[tuple[int, int]]:
    """``{'0': 4GiB}`` -> pairs (cell, KiB). Raises InputError."""
    found: dict[int, int] = {}
    for key, value in (option or {}).items():
        for cell in CpuSet.coerce(key, "memory key"):
            if cell in found:
                raise InputError("memory", None, f"cell {cell} is given twice", "give each cell once")
            found[cell] = size_in_kib(value, f"memory[{key}]")
    return sorted(pair for pair in found.items() if pair[1])


def pages_of(option: Sequence[Mapping[str, Any]] | None) -> list[tuple[int, int, int]]:
    """Dictionaries with ``cell``, ``page_size`` and ``memory`` -> triples. Raises InputError."""
    found: dict[tuple[int, int], int] = {}
    for number, each in enumerate(option or ()):
        called = f"huge_pages[{number}]"
        at = (each["cell"], size_in_kib(each["page_size"], f"{called}.page_size"))
        if at in found:
            raise InputError(called, None, f"pages of {at[1]} KiB of cell {at[0]} are given twice", "give each once")
        found[at] = size_in_kib(each["memory"], f"{called}.memory")
    return sorted((cell, size, kib) for (cell, size), kib in found.items() if kib)


def claim_place(connection: Connection, request: ClaimRequest) -> dict[str, Any]:
    """Claim, or give back. Returns what the module documents; raises NumaVirtError."""
    if request.uuid is not None and not is_uuid(request.uuid):
        raise InputError("uuid", request.uuid, "is no UUID", "write 6695eb01-f6a4-8304-79aa-97f2502e193f")
    node_claims.check_writable(connection.daemon)
    hold = not request.check_mode
    with host_at_a_time(request.lock_dir, request.lock_timeout, connection.daemon, required=True, hold=hold) as said:
        held = honoured(connection.daemon)
        result = _present(connection, request, held) if request.present else _absent(connection, request, held)
    return {**result, "warnings": [*connection.warnings, *said, *held.said, *result.get("warnings", ())]}


def _absent(connection: Connection, request: ClaimRequest, held: Honoured) -> dict[str, Any]:
    theirs = [each for each in held.found.claims if _means(request, each)]
    if len({each.uuid for each in theirs}) > 1:
        uuids = ", ".join(each.uuid for each in theirs)
        raise InputError("name", request.name, "is what several guests with claims are called", f"give uuid: {uuids}")
    if not request.check_mode:
        node_claims.remove_claims(connection.daemon, [each.uuid for each in (*theirs, *held.found.stale)])
    before = theirs[0] if theirs else None
    return {**_result(before, None), "changed": bool(theirs)}


def _means(request: ClaimRequest, claim: Claim) -> bool:
    return (request.uuid is None or claim.uuid == request.uuid) and (
        request.uuid is not None or claim.name == request.name
    )


def _present(connection: Connection, request: ClaimRequest, held: Honoured) -> dict[str, Any]:
    session = Session(connection)
    known = read_all(session)
    guest, name, uuid = _guest(request, known)
    before = next((each for each in held.found.claims if each.uuid == uuid), None)
    now = node_claims.this_moment()
    claim = _claim(session.host, request, name, uuid, now)
    check_rules(session.host, request.rules, Options())
    there = all_existing(session, known, frozenset(), False)
    warnings = trouble_warnings(known.values())
    if guest is not None and guest.domain.name in there and holds(there[guest.domain.name], claim):
        # It counts by itself where it is; what was claimed for it is of no use any more.
        if not request.check_mode:
            node_claims.remove_claims(connection.daemon, [uuid, *(each.uuid for each in held.found.stale)])
        warnings.append(f"{shown(name)} is there already, where it was to be claimed for: no claim is needed")
        return {**_result(before, None), "changed": before is not None, "warnings": warnings}
    if before is not None and before.made_by != claim.made_by:
        raise ClaimedError(
            f"{shown(name)} has a claim on this host already, by {before.made_by or 'somebody'}, until "
            f"{claim_as_result(before)['ends']}; wait for that, or take it away with state=absent",
            claim=claim_as_result(before),
        )
    same = before is not None and (before.name, before.place) == (claim.name, claim.place)
    if before is not None and same and before.left(now) * _RENEWED >= request.lifetime:
        return {**_result(before, before), "changed": False, "warnings": warnings}
    if held.closed is not None and guest is None and not request.ignores_state:
        raise refuse_new(held.closed, [name])
    others = claimed_of([each for each in held.found.claims if each.uuid != uuid], {}, known, there).others
    # What it has itself it may leave, or keep.
    beside = [each for each in there.values() if guest is None or each.name != guest.domain.name]
    problem = claim_problem(session.host, request.rules, [*beside, *others.values()], claim)
    if problem is not None:
        raise DoesNotFitError(
            f"{problem.message}; nothing was touched",
            rejections=[
                {
                    "name": problem.name,
                    "constraint": problem.constraint,
                    "cell": problem.cell,
                    "needed": problem.needed,
                    "available": problem.available,
                    "unit": problem.unit,
                    "message": problem.message,
                }
            ],
        )
    if not request.check_mode:
        node_claims.write_claim(connection.daemon, claim)
        node_claims.remove_claims(connection.daemon, [each.uuid for each in held.found.stale if each.uuid != uuid])
    return {**_result(before, claim), "changed": True, "warnings": warnings}


def _guest(request: ClaimRequest, known: Mapping[str, Known]) -> tuple[Known | None, str, str]:
    """(the guest, where it is on this host; its name, and its UUID). Raises InputError."""
    name, uuid = request.name, request.uuid
    found = next((each for each in known.values() if uuid is not None and each.domain.uuid == uuid), None)
    if found is not None and name not in (None, found.domain.name):
        raise InputError(
            "uuid", uuid, f"is that of domain {shown(found.domain.name)!r} on this host", "give one of them"
        )
    if found is None and name is not None and name in known:
        found = known[name]
        if uuid is not None and found.domain.uuid is not None:
            raise InputError(
                "name", name, f"is a domain of this host with the UUID {found.domain.uuid}", "leave uuid out"
            )
    if found is not None:
        name, uuid = found.domain.name, uuid or found.domain.uuid or found.domain.key
    if uuid is None:
        raise InputError("uuid", None, f"is needed: no domain {shown(name or '')!r} is on this host", "give its UUID")
    if name is None:
        raise InputError("name", None, f"is needed: no domain of this host has the UUID {uuid}", "give its name")
    if not 0 < len(name) <= MAX_NAME:
        raise InputError("name", name, "is no name of a domain", "give the name of the guest")
    return found, name, uuid


def _claim(host: Host, request: ClaimRequest, name: str, uuid: str, now: Moment) -> Claim:
    """The claim that is asked for. Raises InputError for a place that this host has not."""
    cpus = request.cpus
    if cpus is None and request.cells is not None:
        _check_cells(host, "cells", request.cells)
        cpus = host.cpus_of(request.cells) & host.online
    if not cpus:
        raise InputError("cpuset", str(cpus or ""), "names no CPU", "give cpuset, or cells that have CPUs")
    if cpus - host.online:
        missing = cpus - host.online
        raise InputError("cpuset", str(cpus), f"CPUs {missing} are offline or do not exist", f"they are {host.online}")
    cells = request.cells if request.cells is not None else host.cells_touched(cpus)
    memory = (*((cell, None, kib) for cell, kib in request.memory), *request.pages)
    cells = cells | CpuSet(cell for cell, _size, _kib in memory)
    _check_cells(host, "cells", cells)
    pools = {(cell.id, pool.size) for cell in host.cells for pool in cell.huge_pools}
    for cell, size, _kib in request.pages:
        if (cell, size) not in pools:
            has = ", ".join(str(each) for at, each in sorted(pools) if at == cell) or "none"
            raise InputError("huge_pages", size, f"cell {cell} has no pages of {size} KiB", f"there are: {has}")
    vcpus = request.vcpus if request.vcpus is not None else len(cpus)
    if not 0 < vcpus <= MAX_CPUS or (request.owned and vcpus > len(cpus)):
        raise InputError("vcpus", vcpus, f"do not fit {len(cpus)} CPUs of their own", "give fewer, or more CPUs")
    if not 0 < request.lifetime <= MAX_LIFETIME:
        raise InputError("lifetime", request.lifetime, "is no time for a claim", f"give 1 to {MAX_LIFETIME} s")
    if request.cpu_ratio is not None:
        check_ratio(request.cpu_ratio, "cpu_ratio")
    if len(request.made_by) > MAX_WORDS or not request.made_by.isprintable():
        raise InputError("made_by", request.made_by, "is no name", f"give up to {MAX_WORDS} printable characters")
    claim = Claim(
        uuid=uuid,
        name=name,
        cells=cells,
        cpus=cpus,
        owned=request.owned,
        vcpus=vcpus,
        memory=memory,
        made_by=request.made_by,
        made=now.wall,
        ends=now.wall + request.lifetime,
        boot=now.boot,
        until=now.seconds + request.lifetime,
        cpu_ratio=request.cpu_ratio,
    )
    try:
        claim_from_json(claim_to_json(claim))
    except StoredTextError as error:  # a name of thousands of characters, a set of thousands of pieces
        raise InputError("name", name, f"its claim could not be read again: {error}", "claim less") from None
    return claim


def _check_cells(host: Host, option: str, cells: CpuSet) -> None:
    if cells - host.cell_ids:
        raise InputError(
            option, str(cells), f"the host has no cell {cells - host.cell_ids}", f"its cells are {host.cell_ids}"
        )


def _result(before: Claim | None, after: Claim | None) -> dict[str, Any]:
    return {
        "claim": claim_as_result(after) if after is not None else None,
        "diff": {"before": _text(before), "after": _text(after)},
    }


def _text(claim: Claim | None) -> str:
    """A line for each thing that is claimed. When it ends is left out: check mode could not say it."""
    if claim is None:
        return ""
    kind = "of its own" if claim.owned else f"shared by {claim.vcpus} vCPUs"
    lines = [f"{shown(claim.name)} ({claim.uuid}), claimed by {claim.made_by or 'somebody'}"]
    lines.append(f"cells {claim.cells}, CPUs {claim.cpus} {kind}")
    lines += [f"cell {cell}: {kib} KiB{f' in pages of {size} KiB' if size else ''}" for cell, size, kib in claim.memory]
    return "\n".join(lines) + "\n"
