# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts for the planner's tests, guests as they are read after a plan was applied, and what every plan must keep to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed, Plan
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import (
    CacheBank,
    Cell,
    Core,
    Device,
    Host,
    PagePool,
)

GIB = 1 << 20


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def host(
    cells: int = 2,
    cores: int = 4,
    threads: int = 2,
    memory: int | Sequence[int] = 16,
    pages: int | Sequence[int] = 0,
    devices: Iterable[tuple[int, str]] = (),
    caches: int = 0,
    small_pages: int | Sequence[int] = 0,
) -> Host:
    """``memory`` is GiB of each cell, ``pages`` of them in huge pages of 1 GiB, ``small_pages`` in those of 2 MiB.
    Cells lie in a line. ``caches`` are the L3 of each cell, with the same number of cores as far as that goes; the
    first ones have the fewer."""
    found, number = [], 0
    banks: dict[int, set[int]] = {}
    for cell in range(cells):
        own = []
        for core in range(cores):
            own.append(Core(cell, 0, core, CpuSet(range(number, number + threads))))
            banks.setdefault(cell * caches + core * caches // cores, set()).update(own[-1].cpus)
            number += threads
        huge = pages if isinstance(pages, int) else pages[cell]
        small = small_pages if isinstance(small_pages, int) else small_pages[cell]
        pools = (*([PagePool(2048, 512 * small)] if small else []), *([PagePool(GIB, huge)] if huge else []))
        found.append(
            Cell(
                id=cell,
                cpus=CpuSet(range(number - cores * threads, number)),
                memory=(memory if isinstance(memory, int) else memory[cell]) * GIB,
                cores=tuple(own),
                pools=(PagePool(4, 0), *pools) if pools else (),
                distances=tuple(
                    (other, 10 if other == cell else 11 + 10 * abs(cell - other)) for other in range(cells)
                ),
                devices=tuple(Device(name, f"{name}.0", name) for at, name in devices if at == cell),
            )
        )
    everything = CpuSet(range(number))
    shared = [CacheBank(number, 3, "both", 32768, CpuSet(own_cpus)) for number, own_cpus in sorted(banks.items())]
    return Host("qemu", tuple(found), everything, everything, caches=tuple(shared if caches else ()))


def placeable(it: Host, rules: Rules, requests: Iterable[Request]) -> list[Request]:
    """Those of which each could be placed if it were alone."""
    found = []
    for each in requests:
        with contextlib.suppress(InputError):
            plan(it, [each], rules=rules)
            found.append(each)
    return found


def actions(found: Plan) -> dict[str, str]:
    """What a plan changes, for the message of a failure."""
    return {each.name: f"{each.action}: {each.reason}" for each in found.changes}


def planned_twice(it: Host, requests: Sequence[Request], rules: Rules) -> tuple[Plan, Plan]:
    """A plan, and the next one once it has been carried out, which moves nobody."""
    first = plan(it, requests, rules=rules)
    again = plan(it, requests, applied(requests, first), rules)
    names = {each.name for each in first.placements}
    assert names.isdisjoint(each.name for each in (*again.changes, *again.rejections)), actions(again)
    return first, again


def there(request: Request, placed: Placed, wish: bool = True) -> Existing:
    """The guest as it is read once the plan has been applied."""
    shape = Shape(request.name, None, "kvm", request.vcpus, (), request.memory)
    return replace(Existing.of(shape, placed.placement(), wish=request if wish else None), **request.memory_fields)


def applied(requests: Iterable[Request], plan: Plan) -> list[Existing]:
    """All guests that the plan placed, as they are read afterwards."""
    placed = {each.name: each for each in plan.placements}
    return [there(request, placed[request.name]) for request in requests if request.name in placed]


def pinned(name: str, vcpus: int, where: str | None, memory: int = 1, **more: object) -> Existing:
    """A guest that nobody manages; ``memory`` is GiB."""
    each = None if where is None else cpus(where)
    return Existing(name, (each,) * vcpus, memory * GIB, **more)  # type: ignore[arg-type]


def verify(it: Host, requests: Sequence[Request], plan: Plan, rules: Rules = Rules()) -> None:  # noqa: B008
    """What holds for every plan on a host without other guests, by another route than the planner's own counters."""
    wanted = {request.name: request for request in requests}
    assert sorted([each.name for each in plan.placements] + [each.name for each in plan.rejections]) == sorted(wanted)
    assert plan.vcpus <= plan.bound.vcpus
    usable = it.online - rules.reserved_cpus - union(each.cpus for each in it.partitions)
    owned: dict[int, str] = {}
    for each in plan.placements:
        for cpu in each.owned:
            assert cpu not in owned, f"CPU {cpu} is given to {owned[cpu]} and to {each.name}"
            owned[cpu] = each.name
    for each in plan.placements:
        request = wanted[each.name]
        assert each.cpuset and each.cpuset <= usable
        _verify_pins(it, request, each, rules)
        for cpu in each.cpuset:
            assert owned.get(cpu, each.name) == each.name
        for size, kib in request.by_page.items():
            assert sum(there for _cell, page, there in each.memory_by_page if page == size) >= kib
        for own, mapped in zip(request.guest_cells, each.guest_cells):
            on_its_cell = {page: there for cell, page, there in each.memory_by_page if cell == mapped.cell}
            assert all(on_its_cell.get(size, 0) >= kib for size, kib in own.by_page.items())
        assert {cell for cell, _kib in each.memory} == set(each.memory_cells)
        if request.cells is not None:
            assert each.cells | each.memory_cells <= request.cells
        if request.early:
            assert each.memory_cells <= each.cells
    _verify_memory(it, wanted, plan, rules)
    _verify_load(it, wanted, plan, rules, CpuSet(owned))
    _verify_groups(wanted, plan)


def _verify_pins(it: Host, request: Request, each: Placed, rules: Rules) -> None:
    if not request.owns_cpus:
        assert not each.owned
        assert rules.shared_cpus is None or each.cpuset <= rules.shared_cpus
        return
    sets = [cpu for _vcpu, cpu in each.vcpu_pins]
    assert [vcpu for vcpu, _cpu in each.vcpu_pins] == list(range(request.vcpus))
    assert all(len(cpu) == 1 for cpu in sets) and len(set(sets)) == request.vcpus
    used = each.cpuset
    if request.emulator == "isolate":
        assert each.emulator is not None and len(each.emulator) == 1 and not each.emulator & each.cpuset
        used = used | each.emulator
    assert used <= each.owned
    assert rules.dedicated_cpus is None or each.owned <= rules.dedicated_cpus
    cores = [core.cpus for cell in it.cells for core in cell.cores if core.cpus & each.owned]
    if request.smt == "prefer":
        assert each.owned == used
    else:
        assert all(core <= each.owned for core in cores)
    if request.smt == "isolate":
        assert all(len(core & used) == 1 for core in cores)
    if request.smt == "require":
        assert len(each.owned - used) < max(map(len, cores)) * len(each.cells)
    if request.cache == "require":
        assert caches_of_cells(it, used) == [1] * len(each.cells)


def caches_of_cells(it: Host, used: CpuSet) -> list[int]:
    """Of each cell with some of these CPUs: in how many L3 they are."""
    counts = [sum(bool(bank.cpus & cell.cpus & used) for bank in it.caches) for cell in it.cells if cell.cpus & used]
    assert used <= union(bank.cpus for bank in it.caches)
    return counts


def cores_apart(it: Host, request: Request, each: Placed) -> int:
    """How many of the guest's cores are on more cores of the host than they need. For guests of one cell, or none of
    whose cores is on two."""
    core_of = {cpu: core.cpus for cell in it.cells for core in cell.cores for cpu in core.cpus}
    used = [core_of[next(iter(cpus))] for _vcpu, cpus in each.vcpu_pins]
    cores = [used[at : at + request.threads] for at in range(0, request.vcpus, request.threads)]
    return sum(len(set(core)) > -(-len(core) // max(len(own) for own in core)) for core in cores)


def _beside(request: Request, each: Placed) -> list[tuple[int, int]]:
    """Pairs (cell, KiB) of what its hypervisor takes, where one can tell."""
    if each.guest_cells:
        width = len(each.guest_cells)
        shares = [request.overhead // width + (at < request.overhead % width) for at in range(width)]
        return [(mapped.cell, kib) for mapped, kib in zip(each.guest_cells, shares)]
    return [(cell, request.overhead) for cell in each.memory_cells] if len(each.memory_cells) == 1 else []


def _verify_memory(it: Host, wanted: dict[str, Request], plan: Plan, rules: Rules) -> None:
    for cell in it.cells:
        pools: dict[int | None, int] = {pool.size: pool.size * pool.total for pool in cell.huge_pools}
        reserved = sum(kib for at, kib in rules.reserved_memory if at == cell.id)
        pools[None] = max(0, cell.memory - sum(pools.values()) - reserved)
        taken: dict[int | None, int] = {}
        for each in plan.placements:
            at_cell = [beside for at, beside in _beside(wanted[each.name], each) if at == cell.id]
            taken[None] = taken.get(None, 0) + sum(at_cell)
            for at, size, kib in each.memory_by_page:
                assert size in wanted[each.name].by_page
                taken[size] = taken.get(size, 0) + (kib if at == cell.id else 0)
        assert all(kib <= pools.get(size, 0) for size, kib in taken.items())


def _verify_load(it: Host, wanted: dict[str, Request], plan: Plan, rules: Rules, owned: CpuSet) -> None:
    """For every set of cells: guests that may run nowhere else weigh no more than the CPUs there."""
    shared = it.online - rules.reserved_cpus - union(each.cpus for each in it.partitions) - owned
    if rules.shared_cpus is not None:
        shared = shared & rules.shared_cpus
    else:
        shared = shared - (rules.dedicated_cpus or CpuSet()) - it.isolated
    index = {cell.id: at for at, cell in enumerate(it.cells)}
    loads = []
    for each in plan.placements:
        request = wanted[each.name]
        if request.owns_cpus:
            continue
        ratio = Fraction(request.cpu_ratio or rules.cpu_ratio)
        if each.guest_cells:
            loads += [(1 << index[cell.cell], len(cell.vcpus) / ratio) for cell in each.guest_cells]
        else:
            loads.append((sum(1 << index[cell] for cell in each.cells), request.vcpus / ratio))
    for cells in range(1 << len(it.cells)):
        room = len(it.cpus_of(cell for cell, at in index.items() if cells >> at & 1) & shared)
        inside = sum((load for where, load in loads if not where & ~cells), Fraction(0))
        # Weights are rounded down to a millionth of a CPU.
        assert inside <= room + Fraction(len(loads) + 1, 100_000)


def _verify_groups(wanted: dict[str, Request], plan: Plan) -> None:
    by_group: dict[tuple[str, str], list[CpuSet]] = {}
    for each in plan.placements:
        for kind in ("together", "apart"):
            name = getattr(wanted[each.name], kind)
            if name is not None:
                by_group.setdefault((kind, name), []).append(each.cells | each.memory_cells)
    for (kind, _name), places in by_group.items():
        for at, one in enumerate(places):
            for other in places[at + 1 :]:
                assert one == other if kind == "together" else not one & other
