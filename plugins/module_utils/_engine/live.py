# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest that runs already: what of a new placement can be applied to it, and what only a restart would bring.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, observe, store_record
from ansible_collections.numa.virt.plugins.module_utils._errors import required
from ansible_collections.numa.virt.plugins.module_utils._values.changes import (
    EVERYWHERE,
    LIVE,
    Change,
    Restart,
    intent_change,
    pin_element,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Record, with_intent
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Observation
from ansible_collections.numa.virt.plugins.module_utils._values.placement import BINDING_MODES, Intent, Placement

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.aftermath import Attempt
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Domain


@dataclass(frozen=True)
class Step:
    """One change to a running guest, and the call that makes it."""

    change: Change
    apply: Callable[[Domain], None]


@dataclass(frozen=True)
class LivePlan:
    """What would be done to a running guest, in order, and what cannot be."""

    steps: tuple[Step, ...]
    restarts: tuple[Restart, ...]
    observation: Observation


@dataclass(frozen=True)
class Scope:
    """The threads that a run is about; the others stay as they are, and so does memory."""

    vcpus: frozenset[int]
    emulator: bool
    iothreads: frozenset[int]


def plan_live(
    session: Session, known: Known, wanted: Placement, intent: Intent | None, scope: Scope | None = None
) -> LivePlan:
    """Compare a running guest with ``wanted``, by what the hypervisor says where it says it.

    ``intent`` is put into the live metadata; None leaves those alone. Without a ``scope`` it is about everything.
    """
    live = required(known.live)
    now = live.placement
    observation = observe(session, known.domain, live)
    steps: list[Step] = []
    restarts: list[Restart] = []
    everything = session.host_for(live.shape).online

    def pin(element: str, before: CpuSet | None, after: CpuSet | None, apply: Callable[[Domain, CpuSet], None]) -> None:
        was, shall = _online(before, everything), _online(after, everything)
        if was == shall:
            return
        if session.cuts(shall):
            restarts.append(Restart(element, f"libvirt's test driver cannot pin a running guest to CPUs {shall}"))
            return
        change = Change(element, _shown(was, everything), _shown(shall, everything), LIVE)
        steps.append(Step(change, lambda domain: apply(domain, shall)))

    for vcpu, cpus in observation.vcpus:
        if scope is not None and vcpu not in scope.vcpus:
            continue
        shall = wanted.of_vcpu(vcpu)
        if shall is None and now.of_vcpu(vcpu) is None and not session.driver.pins_each_vcpu:
            # Never held to anything: what it lacks is not its own (isolcpus, from libvirt 10.4 on; a slice of systemd).
            continue
        before: CpuSet | None = cpus
        if not session.driver.pins_each_vcpu and _online(cpus, everything) == _online(shall, everything):
            before = now.of_vcpu(vcpu) or everything  # somebody has put it there, and libvirt does not know
        pin(pin_element("vcpu", vcpu), before, shall, _vcpu_pinner(vcpu, session.driver.pin_flags))
    others = [thread for thread in observation.others if thread.vcpu is None]
    if session.driver.emulator and (scope is None or scope.emulator):
        # Its first thread is the process itself, which a pin reaches in any case.
        real = next((thread.cpus for thread in others if thread.iothread is None), None)
        before, shall = _strayed(real, now.of_emulator, wanted.of_emulator, everything), wanted.of_emulator
        pin("cputune/emulatorpin", before, shall, lambda domain, cpus: domain.pin_emulator(cpus))
    if session.driver.iothreads:
        for iothread in live.shape.iothreads:
            if scope is not None and iothread not in scope.iothreads:
                continue
            element = pin_element("iothread", iothread)
            real = next((thread.cpus for thread in others if thread.iothread == iothread), None)
            after = wanted.of_iothread(iothread)
            before = _strayed(real, now.of_iothread(iothread), after, everything)
            if not session.driver.pin_flags and _online(before, everything) != _online(after, everything):
                restarts.append(
                    Restart(element, f"the {session.driver.name} driver cannot pin IO threads of a running guest")
                )
                continue
            pin(element, before, after, _iothread_pinner(iothread))
    if scope is None and session.driver.numatune:
        _plan_memory(session, now, wanted, steps, restarts)
    elif scope is None:
        restarts += _memory_left_behind(session, wanted, observation)
    if intent is not None and session.driver.live_metadata:
        stored = live.record
        if stored is None or stored.intent != intent:
            steps.append(_intent_step(stored, intent))
    return LivePlan(tuple(steps), tuple(restarts), observation)


def apply_live(session: Session, domain: Domain, plan: LivePlan, attempt: Attempt | None = None) -> Observation:
    """Carry a plan out and read back where the guest is then. ``attempt`` is told of each step.

    A call that fails leaves the steps before it applied: the next run goes on from there.
    """
    for step in plan.steps:
        if attempt is not None:
            attempt.tried = True
        step.apply(domain)
        if attempt is not None:
            attempt.note_step()
    if not plan.steps:
        return plan.observation
    return observe(session, domain, session.live(domain))


def _plan_memory(
    session: Session, now: Placement, wanted: Placement, steps: list[Step], restarts: list[Restart]
) -> None:
    before, after = now.memory, wanted.memory
    if before != after:
        modes = {binding.mode for binding in (before, after) if binding is not None}
        automatic = any(binding is not None and binding.automatic for binding in (before, after))
        if (
            before is None
            or after is None
            or automatic
            or len(modes) > 1
            or not modes <= session.driver.live_nodeset
            or (now.memnodes or wanted.memnodes)
        ):
            restarts.append(
                Restart("numatune/memory", _why_memory(session, before is not None, after is not None, modes))
            )
        else:
            nodeset = after.nodeset
            change = Change("numatune/memory", str(before), str(after), LIVE)
            steps.append(Step(change, lambda domain: domain.bind_memory(nodeset)))
    if now.memnodes != wanted.memnodes:
        restarts.append(Restart("numatune/memnode", "the cells of a guest are bound when it starts"))


def _memory_left_behind(session: Session, wanted: Placement, observation: Observation) -> list[Restart]:
    """Xen: what of the guest's memory lies, or where that cannot be seen may lie, elsewhere than it shall."""
    if wanted.memory is None or wanted.memory.automatic or wanted.memory.mode not in BINDING_MODES:
        return []
    if observation.memory is not None:
        away = [(cell, kib) for cell, kib in observation.memory.kib if kib and cell not in wanted.memory.nodeset]
        where = ", ".join(f"{kib} KiB of the running guest's memory lie on cell {cell}" for cell, kib in away)
    else:
        cells = session.host.cells_touched(union(cpus for _vcpu, cpus in observation.vcpus)) - wanted.memory.nodeset
        where = f"the running guest's vCPUs may use cell {cells}, and its memory may lie there" if cells else ""
    if not where:
        return []
    return [Restart("numatune/memory", f"{where}; Xen does not move a guest's memory while it runs")]


def _why_memory(session: Session, bound: bool, binds: bool, modes: set[str]) -> str:
    if not bound:
        return "the running guest's memory is not bound, and can only be bound when it starts"
    if not binds:
        return "the running guest's memory stays bound until it starts again"
    if len(modes) > 1:
        return f"the mode of a running guest's memory cannot change ({' and '.join(sorted(modes))})"
    movable = " or ".join(sorted(session.driver.live_nodeset)) or "no"
    return f"memory in {modes.pop()} mode is bound when the guest starts; only {movable} memory can move while it runs"


def _intent_step(before: Record | None, after: Intent) -> Step:
    # Its source stays that of the document that the guest was started with: numa_domain asks for it.
    record = with_intent(before, after)
    change = replace(intent_change(before.intent if before is not None else None, after)[0], applied=LIVE)
    return Step(change, lambda domain: store_record(domain, record, live=True))


def _vcpu_pinner(vcpu: int, with_flags: bool) -> Callable[[Domain, CpuSet], None]:
    return lambda domain, cpus: domain.pin_vcpu(vcpu, cpus, with_flags)


def _iothread_pinner(iothread: int) -> Callable[[Domain, CpuSet], None]:
    return lambda domain, cpus: domain.pin_iothread(iothread, cpus)


def _strayed(real: CpuSet | None, said: CpuSet | None, shall: CpuSet | None, everything: CpuSet) -> CpuSet | None:
    """Where a helper thread is: by libvirt, unless it was seen outside of where it shall be.

    One that was seen on fewer CPUs may be held to them by a slice of systemd, and no pin would change that.
    """
    return real if real is not None and _online(real, everything) - _online(shall, everything) else said


def _online(cpus: CpuSet | None, everything: CpuSet) -> CpuSet:
    return everything if cpus is None else cpus & everything


def _shown(cpus: CpuSet, everything: CpuSet) -> str:
    return EVERYWHERE if cpus == everything else str(cpus)
