# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layers that disagree: intent and definition, definition and running guest, running guest and reality.

Placements are compared by what they mean: a vCPU without a pin uses the guest's CPU set, a guest without one every
CPU, and CPUs that are offline count for nothing.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import knob_changes, settle_knobs
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import LIVE, REDEFINE, RESTART
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Said
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding, finding
from ansible_collections.numa.virt.plugins.module_utils._findings.mending import REFUSED, placed_again, refusal
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View, placed_by
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.observation import DEFINITION
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    MemoryIntent,
    Placement,
    pins_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

_EVERYWHERE = "every CPU"
_NUMAD = "CPUs that numad chooses"
_UNBOUND = "not bound"
_NOTHING = Intent()


@dataclass(frozen=True)
class Difference:
    """``kind`` is "vcpu", "helper", "memory" or "knob"."""

    kind: str
    what: str
    one: str
    other: str
    one_cpus: CpuSet | None = None
    other_cpus: CpuSet | None = None


def differences(view: View, host: Host, one: Said, other: Said) -> list[Difference]:
    """What two documents of one guest mean differently, for what both have."""
    if one.placement == other.placement and one.shape == other.shape:
        return []
    found = []
    vcpus = sorted({*one.shape.present} & {*other.shape.present})
    automatic = one.placement.automatic, other.placement.automatic
    pairs = [
        ("vcpu", f"vCPU {vcpu}", placed_by(view.driver, one, vcpu), placed_by(view.driver, other, vcpu))
        for vcpu in vcpus
    ]
    if view.driver.emulator:
        pairs.append(("helper", "the emulator", one.placement.of_emulator, other.placement.of_emulator))
    if view.driver.iothreads:
        for number in sorted({*one.shape.iothreads} & {*other.shape.iothreads}):
            sets = one.placement.of_iothread(number), other.placement.of_iothread(number)
            pairs.append(("helper", f"IO thread {number}", *sets))
    for kind, what, first, second in pairs:
        was, shall = _meant(first, host), _meant(second, host)
        texts = _text(was, first is None and automatic[0]), _text(shall, second is None and automatic[1])
        if texts[0] != texts[1]:
            found.append(Difference(kind, what, *texts, was, shall))
    if view.driver.numatune:
        found += _memory_differences(one.placement, other.placement)
    for change in knob_changes(one.placement, other.placement, view.driver):
        what = change.element.rpartition("/")[2]
        found.append(Difference("knob", what, change.before or "none", change.after or "none"))
    return found


def _memory_differences(one: Placement, other: Placement) -> list[Difference]:
    found = []
    if one.memory != other.memory:
        found.append(Difference("memory", "memory", _binding(one.memory), _binding(other.memory)))
    ours, theirs = dict(one.memnodes), dict(other.memnodes)
    for cell in sorted({*ours, *theirs}):
        if ours.get(cell) != theirs.get(cell):
            what = f"memory of the guest's cell {cell}"
            found.append(Difference("memory", what, _binding(ours.get(cell)), _binding(theirs.get(cell))))
    return found


def _binding(binding: MemoryBinding | None) -> str:
    return _UNBOUND if binding is None else str(binding)


def _meant(cpus: CpuSet | None, host: Host) -> CpuSet | None:
    """None for every CPU."""
    if cpus is None:
        return None
    left = cpus & host.online
    if host.online <= left:
        return None
    return left or cpus


def _text(cpus: CpuSet | None, automatic: bool) -> str:
    if automatic:
        return _NUMAD
    return _EVERYWHERE if cpus is None else str(cpus)


def find_drift(view: View, faulty: frozenset[str]) -> Iterator[Finding]:
    """``faulty`` are guests of which it has been said that they name what the host has not."""
    for seen in view.guests:
        yield from _intent(view, seen, seen.name in faulty)
        yield from _live(view, seen)
        yield from _threads(view, seen)
        yield from _ignored(view, seen)


def _intent(view: View, seen: Seen, faulty: bool) -> Iterator[Finding]:
    config, intent = seen.facts.config, seen.facts.intent
    if config is None or intent is None or faulty:
        return
    fix = REDEFINE
    refused = refusal(view, seen)
    if refused is not None:
        module = "numa_domain" if seen.wish is None else "numa_placement"
        message = f"what was asked for cannot be met on this host now: {refused}"
        yield finding("intent_differs", seen.name, message, f"ask for another place with {module}", fix=fix)
        return
    wanted = _wanted(view, seen, config, intent)
    found = differences(view, seen.host, replace(config, placement=wanted), config)
    if found:
        message = f"asked for was {_listed(found, 'the definition says')}"
        remedy = (
            "run numa_placement for it again, or give it another place there"
            if intent.policy is not None
            else "run numa_domain for it without options to have what was asked for, or with those of another place"
        )
        cpus, numbers = _where(found), {"differences": len(found)}
        yield finding("intent_differs", seen.name, message, remedy, cpus=cpus, numbers=numbers, fix=fix)


def _wanted(view: View, seen: Seen, config: Said, intent: Intent) -> Placement:
    """What the definition would say if the modules were asked for nothing new, which they do not refuse."""
    shape, current = config.shape, config.placement
    if intent.names_region:
        return view.resolve(_NOTHING, intent, current, current.cpuset, seen.host, shape).encoded
    # Pins alone say nothing of the rest.
    pins = {**dict(current.vcpu_pins), **dict(intent.vcpu_pins or ())}
    threads = {**dict(current.iothread_pins), **dict(intent.iothread_pins or ())}
    emulator = intent.emulator if intent.emulator is not None else current.emulator
    knobs, _meant = settle_knobs(intent, (), current, seen.host, shape)
    return replace(current, vcpu_pins=pins_of(pins), iothread_pins=pins_of(threads), emulator=emulator, knobs=knobs)


def _live(view: View, seen: Seen) -> Iterator[Finding]:
    config, live = seen.facts.config, seen.facts.live
    if config is None or live is None:
        return
    found = differences(view, seen.host, config, live)
    if not found:
        return
    # What is made of its definition is what the running guest gets; of a policy's, the plan alone knows.
    again = placed_again(view, seen) if seen.wish is None else None
    after = again if again is not None else config.placement
    memory = view.driver.numatune and bool(_memory_differences(after, live.placement))
    numad = any(_NUMAD in (each.one, each.other) for each in found if each.kind == "vcpu")
    fix = RESTART if numad or any(each.kind == "knob" for each in found) else LIVE
    if memory and (_memory_fix(view, after, live.placement) == RESTART):
        fix = RESTART
    elif not view.driver.pin_flags and any(each.what.startswith("IO thread") for each in found):
        fix = RESTART  # the test driver cannot pin those of a running guest
    if not view.driver.numatune:
        # Its memory was born where its pins were.
        fix = RESTART if _other_cells(view, found) else fix
    message = f"its definition says {_listed(found, 'the running guest has')}"
    managed = "numa_placement" if seen.wish is not None else "numa_domain"
    remedy = (
        f"run {managed} for it with restart=allowed, or restart it"
        if fix == RESTART
        else f"run {managed} for it, which applies to the running guest what can be"
    )
    why = refusal(view, seen) if seen.wish is None else None
    if why is not None:
        remedy = f"give it another place with numa_domain: that of its definition cannot be met on this host ({why})"
    numbers = {"differences": len(found), **_refused(view, seen)}
    yield finding("live_differs", seen.name, message, remedy, cpus=_where(found), numbers=numbers, fix=fix)


def _refused(view: View, seen: Seen) -> Mapping[str, int]:
    """Of a guest that gets again what a user has asked for, where the host has that no more."""
    by_hand = seen.facts.intent is not None and seen.wish is None
    return REFUSED if by_hand and placed_again(view, seen) is None else {}


def _memory_fix(view: View, config: Placement, live: Placement) -> str:
    """As _engine.live decides it."""
    modes = {each.memory.mode if each.memory is not None else None for each in (config, live)}
    automatic = any(each.memory is not None and each.memory.automatic for each in (config, live))
    if automatic or config.memnodes or live.memnodes or len(modes) > 1 or not modes <= view.driver.live_nodeset:
        return RESTART
    return LIVE


def _other_cells(view: View, found: Sequence[Difference]) -> bool:
    everything = view.host.online
    return any(
        view.host.cells_touched(each.one_cpus or everything) != view.host.cells_touched(each.other_cpus or everything)
        for each in found
    )


def _threads(view: View, seen: Seen) -> Iterator[Finding]:
    live, observation = seen.facts.live, seen.facts.observation
    if live is None or observation is None or observation.source == DEFINITION:
        return
    found = []
    for vcpu, cpus in observation.vcpus:
        found += _strayed("vcpu", f"vCPU {vcpu}", placed_by(view.driver, live, vcpu), cpus, seen.host)
    for thread in observation.others:
        iothread = thread.iothread
        if iothread is not None:
            shall = live.placement.of_iothread(iothread)
            found += _strayed("helper", f"IO thread {iothread}", shall, thread.cpus, seen.host)
        elif thread.of_emulator:
            who = f"the emulator's thread {thread.tid}"
            found += _strayed("helper", who, live.placement.of_emulator, thread.cpus, seen.host)
    if not found:
        return
    message = f"by its live definition it is {_listed(found, 'its threads may use')}"
    # What is held to fewer CPUs than it may have could be so by a slice of systemd: the engine leaves that alone.
    narrower = all(each.kind == "helper" and _inside(each) for each in found)
    how = "virsh emulatorpin or iothreadpin --live" if narrower else "vcpu_pin"
    remedy = f"pin it with {how}, and look who else pins threads or limits cgroups on the host"
    numbers = {"threads": len(found), **_refused(view, seen)}
    yield finding("threads_differ", seen.name, message, remedy, cpus=_where(found), numbers=numbers)


def _inside(each: Difference) -> bool:
    return each.one_cpus is not None and each.other_cpus is not None and each.other_cpus <= each.one_cpus


def _strayed(kind: str, what: str, shall: CpuSet | None, real: CpuSet, host: Host) -> list[Difference]:
    """A thread that is not held to what the document says. One that nothing holds may be anywhere."""
    wanted = _meant(shall, host)
    if wanted is None or not wanted & host.online:
        return []
    found = real & host.online
    if found == wanted:
        return []
    return [Difference(kind, what, str(wanted), _text(_meant(found, host), False), wanted, found)]


def _ignored(view: View, seen: Seen) -> Iterator[Finding]:
    """A CPU set on Xen without the pins that alone are obeyed there."""
    if not view.driver.pins_each_vcpu:
        return
    said = seen.facts.config if seen.facts.config is not None else seen.said
    cpuset = said.placement.cpuset
    pinned = dict(said.placement.vcpu_pins)
    bare = [vcpu for vcpu in said.shape.present if vcpu not in pinned]
    if cpuset is None or _meant(cpuset, seen.host) is None or not bare:
        return
    message = (
        f"its definition has the CPU set {cpuset}, which Xen ignores: {len(bare)} of {len(said.shape.present)} vCPUs "
        "have no pin and may run everywhere, and its memory is taken from anywhere"
    )
    remedy, refused = _pinned_by(view, seen, cpuset)
    numbers = {"vcpus": len(bare), **(REFUSED if refused else {})}
    fix = RESTART if seen.running else REDEFINE
    yield finding(
        "cpuset_ignored", seen.name, message, remedy,
        cells=view.host.cells_touched(cpuset), cpus=cpuset, numbers=numbers, fix=fix,
    )  # fmt: skip


def _pinned_by(view: View, seen: Seen, cpuset: CpuSet) -> tuple[str, bool]:
    """(what makes an ignored CPU set hold, whether that is more than asking for the set)."""
    if seen.wish is not None:
        return "run numa_placement for it again, which writes a vcpupin for each vCPU", False
    why = refusal(view, seen, Intent(cpuset=cpuset))
    if why is None:
        return f"run numa_domain for it with cpuset={cpuset}, which writes a vcpupin for each vCPU", False
    if refusal(view, seen, Intent(cpuset=cpuset, memory=MemoryIntent("none"))) is None:
        return f"run numa_domain for it with cpuset={cpuset}, memory.mode=none: with its memory, {why}", True
    return f"give it other CPUs with numa_domain: {why}", True


def _listed(found: Sequence[Difference], but: str) -> str:
    first = found[0]
    named = {"vcpu": f"{first.what} on {first.one}", "helper": f"{first.what} on {first.one}"}
    text = f"{named.get(first.kind, f'{first.what} {first.one}')}, and {but} {first.other}"
    more = len(found) - 1
    return text if not more else f"{text} (and {more} more difference{'s' if more > 1 else ''})"


def _where(found: Sequence[Difference]) -> CpuSet:
    """The CPUs where something is that should not be."""
    mask = 0
    for each in found:
        if each.other_cpus is not None:
            mask |= each.other_cpus.mask & ~(each.one_cpus.mask if each.one_cpus is not None else 0)
    return CpuSet.from_mask(mask)
