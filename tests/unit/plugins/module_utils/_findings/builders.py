# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts and guests for the tests of findings, and guests as they are once a plan has been carried out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Facts, GuestFacts, Said
from ansible_collections.numa.virt.plugins.module_utils._findings.find import find
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding, finding_as_result
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import PolicyWish, wish_to_json
from ansible_collections.numa.virt.plugins.module_utils._node.processes import thread
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed, Plan
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell, GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.observation import (
    DEFINITION,
    HYPERVISOR,
    PROC,
    Memory,
    Observation,
)
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    Placement,
    Shape,
    pins_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host

NO_RULES = Rules()
__all__ = ["GIB", "host"]


def cpus(text: str | None) -> CpuSet | None:
    return None if text is None else CpuSet.parse(text)


def binding(text: str | None) -> MemoryBinding | None:
    """ "strict 0-1", "strict auto"."""
    if text is None:
        return None
    mode, where = text.split()
    return MemoryBinding(mode, EMPTY, automatic=True) if where == "auto" else MemoryBinding(mode, CpuSet.parse(where))


def said(
    name: str,
    cpuset: str | None = None,
    pins: Mapping[int, str] | Iterable[str] = (),
    memory: str | None = None,
    vcpus: int = 2,
    gib: int = 1,
    emulator: str | None = None,
    iothreads: Mapping[int, str] | None = None,
    memnodes: Mapping[int, str] | None = None,
    automatic: bool = False,
    current: int | None = None,
    pool: str | None = None,
    page: int | None = None,
    devices: tuple[str, ...] = (),
    guest_cells: int = 0,
    nodemask: Mapping[int, str] | None = None,
    core_threads: int = 1,
) -> Said:
    """``pins`` by vCPU, or in their order. ``memory`` as in binding()."""
    by_vcpu = pins if isinstance(pins, Mapping) else dict(enumerate(pins))
    placement = Placement(
        cpuset=cpus(cpuset),
        vcpu_pins=pins_of({vcpu: CpuSet.parse(text) for vcpu, text in by_vcpu.items()}),
        emulator=cpus(emulator),
        iothread_pins=pins_of({thread: CpuSet.parse(text) for thread, text in (iothreads or {}).items() if text}),
        memory=binding(memory),
        memnodes=tuple((cell, binding(text)) for cell, text in sorted((memnodes or {}).items())),  # type: ignore[misc]
        automatic=automatic,
        knobs=(("nodemask", pins_of({at: CpuSet.parse(text) for at, text in nodemask.items()})),) if nodemask else (),
    )
    shape = Shape(name, None, "kvm", vcpus, tuple(sorted(iothreads or {})), gib * GIB, current=current, pool=pool)
    shape = replace(shape, memory_devices=tuple(sorted(nodemask or ())))
    cells = tuple(GuestCell(CpuSet([cell]), gib * GIB // guest_cells, page) for cell in range(guest_cells))
    return Said(shape, placement, GuestNeeds(page, devices, cells, threads=core_threads))


def observed(
    about: Said,
    source: str = HYPERVISOR,
    vcpus: Mapping[int, str] | None = None,
    kib: Mapping[int, int] | None = None,
    threads: Iterable[tuple[str, str]] = (),
    mems: str = "0-3",
) -> Observation:
    """What is seen of a guest that is where ``about`` says, but for ``vcpus``. ``threads`` are (name, CPUs)."""
    everywhere = CpuSet(range(64))
    real = {vcpu: about.placement.of_vcpu(vcpu) or everywhere for vcpu in range(about.shape.starting_vcpus)}
    real.update({vcpu: CpuSet.parse(text) for vcpu, text in (vcpus or {}).items()})
    memory = Memory(tuple(sorted(kib.items()))) if kib is not None else None
    others = [thread(100 + vcpu, f"CPU {vcpu}/KVM", where, CpuSet.parse(mems)) for vcpu, where in real.items()]
    others += [
        thread(200 + number, name, CpuSet.parse(where), CpuSet.parse(mems))
        for number, (name, where) in enumerate(threads)
    ]
    return Observation(source, tuple(sorted(real.items())), tuple(others) if source == PROC else (), memory)


def guest(name: str, running: bool = True, intent: Intent | None = None, **parts: Any) -> GuestFacts:
    """A guest whose layers all agree; what is seen of a running one is its definition, as on the test driver."""
    seen = {key: parts.pop(key) for key in ("source", "kib", "threads", "mems", "real") if key in parts}
    document = said(name, **parts)
    if not running:
        return GuestFacts(name, document, intent=intent)
    seen["vcpus"] = seen.pop("real", None)
    return GuestFacts(name, document, document, observed(document, **{"source": DEFINITION, **seen}), intent)


def policy(text: str = "dedicated", **options: Any) -> Intent:
    """The intent of a guest that a policy placed, without its place."""
    return Intent(policy=wish_to_json(PolicyWish(policy=text, **options)))


def found(it: Host, *guests: GuestFacts, driver: str = "qemu", rules: Rules = NO_RULES) -> tuple[Finding, ...]:
    return find(Facts(it, driver_named(driver), guests, rules))


def codes(it: Host, *guests: GuestFacts, driver: str = "qemu", rules: Rules = NO_RULES) -> list[str]:
    return [each.code for each in found(it, *guests, driver=driver, rules=rules)]


def only(it: Host, *guests: GuestFacts, driver: str = "qemu", rules: Rules = NO_RULES) -> dict[str, Any]:
    """The one finding there is, as a playbook sees it."""
    (one,) = found(it, *guests, driver=driver, rules=rules)
    return finding_as_result(one)


def carried_out(request: Request, placed: Placed, driver: str = "qemu", running: bool = True) -> GuestFacts:
    """A guest once a plan has been carried out, with the intent that numa_placement keeps of it."""
    wish = PolicyWish(
        policy=request.policy,
        cells=request.cells,
        smt=request.smt,
        emulator=request.emulator if request.emulator is not None else "share",
        cpu_ratio=request.cpu_ratio,
        devices=request.device_rule,
        together=request.together,
        apart=request.apart,
        priority=request.priority,
        width=request.width,
        own_cpus=request.own_cpus,
        cache=request.cache,
        memory_overhead=request.overhead,
    )
    it = driver_named(driver)
    intent = replace(
        placed.intent(),
        memory=placed.intent().memory if it.numatune else None,
        emulator=placed.emulator if it.emulator else None,
        vcpu_pins=placed.vcpu_pins,
        policy=wish_to_json(wish),
        memnodes=tuple((each.id, CpuSet([each.cell])) for each in placed.guest_cells) or None,
    )
    cells = tuple(GuestCell(each.vcpus, each.memory, request.page_size) for each in placed.guest_cells)
    if request.other_pages and (request.guest_cells or not placed.guest_cells):
        everyone = CpuSet(range(request.vcpus))
        cells = request.guest_cells or tuple(
            GuestCell(EMPTY if at else everyone, kib, size) for at, (size, kib) in enumerate(request.by_page.items())
        )
    needs = GuestNeeds(request.page_size, request.devices, cells, threads=request.threads)
    shape = Shape(request.name, None, "kvm", request.vcpus, (), request.all_memory)
    placement = placed.placement()
    document = Said(shape, it.encode(replace(placement, emulator=intent.emulator), request.vcpus), needs)
    if not running:
        return GuestFacts(request.name, document, intent=intent)
    sets = tuple((vcpu, placement.of_vcpu(vcpu) or EMPTY) for vcpu in range(request.vcpus))
    return GuestFacts(
        request.name, document, document, Observation(HYPERVISOR, sets, memory=Memory(placed.memory)), intent
    )


def all_carried_out(
    requests: Iterable[Request], plan: Plan, driver: str = "qemu", running: bool = True
) -> list[GuestFacts]:
    placed = {each.name: each for each in plan.placements}
    return [carried_out(each, placed[each.name], driver, running) for each in requests if each.name in placed]
