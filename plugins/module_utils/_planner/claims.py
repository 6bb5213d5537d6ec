# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Claims as the planner sees them: a guest that is there already, where it is claimed for, and never moves.

To the guest that it was made for a claim is its place, which it keeps where that is valid.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import UNIT, Capacity, bits
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import Occupancy, add_fixed
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Rejection
from ansible_collections.numa.virt.plugins.module_utils._values.claim import Claim
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


def claimed(claim: Claim, name: str) -> Existing:
    """What a claim takes from everybody but its guest. ``name`` is what it is called among the guests."""
    sets = [CpuSet([cpu]) for cpu in claim.cpus] if claim.owned else [claim.cpus] * claim.vcpus
    wish = Request(
        name=name,
        vcpus=len(sets),
        memory=sum(kib for _cell, _size, kib in claim.memory),
        policy="dedicated" if claim.owned else "pack",
        cpu_ratio=claim.cpu_ratio,
    )
    return Existing(
        name=name,
        vcpu_cpus=tuple(sets),
        memory=wish.memory,
        nodeset=claim.cells,
        memory_on=tuple((CpuSet([cell]), size, kib) for cell, size, kib in claim.memory),
        wish=wish,
    )


def as_place(host: Host, claim: Claim, request: Request) -> Existing:
    """The guest that a claim was made for, as if it were where it is claimed for."""
    sets, emulator = _own_sets(host, claim, request) if request.owns_cpus else ([claim.cpus] * request.vcpus, None)
    if isinstance(request.emulator, CpuSet):
        emulator = request.emulator
    kib: Counter[int | None] = Counter()
    for _cell, size, amount in claim.memory:
        kib[host.page(size) if size is not None else None] += amount
    overhead = min(request.overhead, kib[None])
    kib[None] -= overhead
    has = {size: kib.get(size, 0) for size in request.by_page}
    memory = has.pop(request.page_size)
    return Existing(
        name=request.name,
        vcpu_cpus=tuple(sets),
        memory=memory,
        emulator=emulator,
        nodeset=claim.cells,
        page_size=request.page_size,
        other_pages=tuple(has.items()),
        memory_on=tuple((CpuSet([cell]), size, amount) for cell, size, amount in claim.memory),
        wish=request,
        overhead=overhead,
    )


def claim_problem(host: Host, rules: Rules, existing: Iterable[Existing], claim: Claim) -> Rejection | None:
    """Why a claim cannot be had beside what is there (other claims with it); None where it can."""
    capacity = Capacity(host, rules)
    occupancy = Occupancy(capacity)
    for each in sorted(existing, key=lambda guest: guest.name):
        add_fixed(occupancy, each)
    occupancy.spread_load()
    cpus = claim.cpus.mask
    allowed = capacity.all_own if claim.owned else capacity.all_shared
    if cpus & ~allowed:
        kind = "guests with CPUs of their own" if claim.owned else "guests that share CPUs"
        return _rejected(claim, "cpus", CpuSet.from_mask(cpus & ~allowed), f"are not for {kind}")
    if cpus & occupancy.owned:
        owners = sorted({occupancy.owner[cpu] for cpu in bits(cpus & occupancy.owned)})
        return _rejected(claim, "cpus", CpuSet.from_mask(cpus & occupancy.owned), f"belong to {', '.join(owners)}")
    if claim.owned and cpus & occupancy.busy:
        return _rejected(claim, "cpus", CpuSet.from_mask(cpus & occupancy.busy), "are used by guests that share them")
    before = occupancy.board()
    add_fixed(occupancy, claimed(claim, claim.name))
    occupancy.spread_load()
    after = occupancy.board()
    for cell in bits(capacity.indices(claim.cells) | capacity.cells_of(cpus)):
        if after.joint[cell] < 0 and after.joint[cell] < before.joint[cell]:
            need, has = (before.joint[cell] - after.joint[cell]) / UNIT, max(0, before.joint[cell]) / UNIT
            return _short(capacity, claim, "cpus", cell, need, has, "CPUs")
        for pool, left in enumerate(after.mem):
            if left[cell] < 0:
                need, has = before.mem[pool][cell] - left[cell], max(0, before.mem[pool][cell])
                if need:
                    kind = "huge_pages" if pool else "memory"
                    return _short(capacity, claim, kind, cell, need, has, capacity.unit(pool))
    return None


def _own_sets(host: Host, claim: Claim, request: Request) -> tuple[list[CpuSet], CpuSet | None]:
    """(a CPU for each vCPU, those of the emulator). Threads of one core are next to each other. Where the claim has
    not what the request needs, no CPU is anybody's own, which is no valid place."""
    cores = [core.cpus & claim.cpus for cell in host.cells for core in cell.cores]
    cores = [core for core in cores if core]
    chosen = [cpu for core in cores for cpu in core]
    if request.smt == "isolate" and len(chosen) > request.cpus_needed:
        chosen = [next(iter(core)) for core in cores]
    if not claim.owned or len(chosen) < request.cpus_needed:
        return [claim.cpus] * request.vcpus, None
    sets = [CpuSet([cpu]) for cpu in chosen[: request.vcpus]]
    if request.emulator == "isolate":
        return sets, CpuSet([chosen[request.vcpus]])
    return sets, CpuSet(chosen[: request.vcpus]) if request.emulator == "share" else None


def _rejected(claim: Claim, constraint: str, cpus: CpuSet, why: str) -> Rejection:
    message = f"{claim.name}: CPUs {cpus} {why}"
    has = len(claim.cpus - cpus)
    return Rejection(claim.name, constraint, None, len(claim.cpus), has, "CPUs", {}, message)


def _short(
    capacity: Capacity, claim: Claim, constraint: str, cell: int, needed: float, has: float, unit: str
) -> Rejection:
    where = capacity.ids[cell]
    message = f"{claim.name}: claims {needed:g} {unit} of cell {where}, and {has:g} are left there"
    return Rejection(claim.name, constraint, where, needed, has, unit, {}, message)
