# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""<cputune>: the pins of vCPUs, of the emulator's threads, and of IO threads.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from ansible_collections.numa.virt.plugins.module_utils._elements import tree, xml
from ansible_collections.numa.virt.plugins.module_utils._elements.element import (
    Consequence,
    Element,
    HostParts,
    Running,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.words import (
    keep_sets,
    kept_sets,
    numbered_changes,
    set_in,
    sets_from_option,
    sets_in,
    some_set,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._values.changes import (
    EVERYWHERE,
    LIVE,
    Change,
    Restart,
    Step,
    pin_element,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Misplaced, Observation, Thread
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    Pins,
    Placement,
    Shape,
    as_text,
    pins_as_result,
)

_CPUTUNE = "cputune"


class _Pin(Element):
    """What pins have in common. ``tag`` is that of the element; ``key`` the attribute with the number in it."""

    tag: ClassVar[str]
    key: ClassVar[str | None]
    stands_alone = False

    @abstractmethod
    def pins(self, value: Any) -> Pins:
        """The value as pairs (number, CPUs)."""

    def write(self, root: etree._Element, value: Any) -> None:
        elements = []
        for number, cpus in self.pins(value):
            element = etree.Element(self.tag)
            if self.key is not None:
                element.set(self.key, str(number))
            element.set("cpuset", str(cpus))
            elements.append(element)
        tree.replace_children(root, _CPUTUNE, (self.tag,), elements)

    def fragment(self, root: etree._Element) -> Iterable[etree._Element]:
        shown = (self.key, "cpuset") if self.key is not None else ("cpuset",)
        return tree.shown_children(root, _CPUTUNE, (self.tag,), shown)

    def host_parts(self, value: Any) -> HostParts:
        return HostParts(tuple(cpus for _number, cpus in self.pins(value)))


class _NumberedPin(_Pin):
    """Pins of things that have numbers. ``kind`` is what the number is called in a path, ``called`` in words."""

    key: ClassVar[str]
    kind: ClassVar[str]
    called: ClassVar[str]
    record_tag: ClassVar[str]

    @abstractmethod
    def asked(self, intent: Intent) -> Pins | None: ...

    def pins(self, value: Pins | None) -> Pins:
        return value or ()

    def read(self, root: etree._Element) -> Pins:
        return sets_in(xml.child(root, _CPUTUNE), self.tag, self.key)

    def changes(self, before: Pins, after: Pins) -> list[Change]:
        return numbered_changes(partial(pin_element, self.kind), before, after)

    def as_result(self, value: Pins) -> Mapping[str, Any]:
        return {self.name: pins_as_result(value)}

    def wish(self, options: Mapping[str, Any], called: Mapping[str, str]) -> Mapping[str, Any]:
        option = called.get(self.name, self.name)
        return {self.name: sets_from_option(options.get(self.name), option, self.called)}

    def asked_as_result(self, intent: Intent) -> Mapping[str, Any]:
        return {self.name: pins_as_result(self.asked(intent) or ())}

    def asked_in_words(self, intent: Intent) -> Iterable[str]:
        return [f"{self.kind} {number} on {cpus}" for number, cpus in self.asked(intent) or ()]

    def keep(self, intent: Intent, record: etree._Element, space: str) -> None:
        keep_sets(self.asked(intent), record, space, self.record_tag, "pin")

    def kept(self, record: etree._Element, space: str) -> Mapping[str, Any]:
        return {self.name: kept_sets(record, space, self.record_tag, "pin")}

    def asked_parts(self, intent: Intent) -> HostParts:
        return self.host_parts(self.asked(intent))


class VcpuPin(_NumberedPin):
    name, paths, said = "vcpu_pins", ("cputune/vcpupin",), 3
    tag, key, kind, called, record_tag = "vcpupin", "vcpu", "vcpu", "vCPU", "vcpus"

    def of(self, placement: Placement) -> Pins:
        return placement.vcpu_pins

    def put(self, placement: Placement, value: Pins | None) -> Placement:
        return replace(placement, vcpu_pins=value or ())

    def asked(self, intent: Intent) -> Pins | None:
        return intent.vcpu_pins

    def fitting(self, value: Pins, shape: Shape, guest_cells: frozenset[int]) -> Pins:
        return tuple(pair for pair in value if pair[0] < shape.vcpus)

    def live(self, guest: Running) -> Iterator[Consequence]:
        for vcpu, cpus in guest.observation.vcpus:
            if guest.scope is not None and vcpu not in guest.scope.vcpus:
                continue
            shall = guest.wanted.of_vcpu(vcpu)
            if shall is None and guest.now.of_vcpu(vcpu) is None and not guest.driver.pins_each_vcpu:
                # Never held to anything: what it lacks is not its own (isolcpus, from libvirt 10.4 on; a slice of
                # systemd).
                continue
            before: CpuSet | None = cpus
            if not guest.driver.pins_each_vcpu and _online(cpus, guest) == _online(shall, guest):
                before = guest.now.of_vcpu(vcpu) or guest.everything  # somebody has put it there unseen by libvirt
            yield from _pinned(
                guest, pin_element("vcpu", vcpu), before, shall, "pin_vcpu", (vcpu,), (guest.driver.pin_flags,)
            )

    def misplaced(self, placement: Placement, observation: Observation, bound: CpuSet) -> Iterator[Misplaced]:
        names = {thread.vcpu: f"vCPU {thread.vcpu} (thread {thread.tid})" for thread in observation.others}
        for vcpu, cpus in observation.vcpus:
            allowed = placement.of_vcpu(vcpu)
            if allowed is not None and not cpus <= allowed:
                yield Misplaced(names.get(vcpu, f"vCPU {vcpu}"), f"CPUs {allowed}", f"CPUs {cpus}")


class EmulatorPin(_Pin):
    """The emulator's threads, and those that any thread of the guest has made."""

    name, paths, said = "emulator_cpuset", ("cputune/emulatorpin",), 5
    tag, key = "emulatorpin", None

    def of(self, placement: Placement) -> CpuSet | None:
        return placement.emulator

    def put(self, placement: Placement, value: CpuSet | None) -> Placement:
        return replace(placement, emulator=value)

    def pins(self, value: CpuSet | None) -> Pins:
        return () if value is None else ((0, value),)

    def read(self, root: etree._Element) -> CpuSet | None:
        cputune = xml.child(root, _CPUTUNE)
        pin = xml.child(cputune, self.tag) if cputune is not None else None
        return set_in(pin.get("cpuset"), self.tag) if pin is not None else None

    def changes(self, before: CpuSet | None, after: CpuSet | None) -> list[Change]:
        return [Change(self.paths[0], as_text(before), as_text(after))]

    def as_result(self, value: CpuSet | None) -> Mapping[str, Any]:
        return {self.name: as_text(value)}

    def wish(self, options: Mapping[str, Any], called: Mapping[str, str]) -> Mapping[str, Any]:
        return {"emulator": some_set(options.get(self.name), self.name, "CPU")}

    def asked_as_result(self, intent: Intent) -> Mapping[str, Any]:
        return {self.name: as_text(intent.emulator)}

    def asked_in_words(self, intent: Intent) -> Iterable[str]:
        if intent.emulator is not None:
            yield f"emulator on {intent.emulator}"

    def keep(self, intent: Intent, record: etree._Element, space: str) -> None:
        if intent.emulator is not None:
            record.set("emulator", str(intent.emulator))

    def kept(self, record: etree._Element, space: str) -> Mapping[str, Any]:
        return {"emulator": set_in(record.get("emulator"), "intent emulator")}

    def asked_parts(self, intent: Intent) -> HostParts:
        return self.host_parts(intent.emulator)

    def live(self, guest: Running) -> Iterator[Consequence]:
        if not guest.driver.emulator or (guest.scope is not None and not guest.scope.emulator):
            return
        # Its first thread is the process itself, which a pin reaches in any case.
        others = (thread for thread in guest.observation.others if thread.vcpu is None)
        real = next((thread.cpus for thread in others if thread.iothread is None), None)
        shall = guest.wanted.of_emulator
        before = _strayed(real, guest.now.of_emulator, shall, guest)
        yield from _pinned(guest, self.paths[0], before, shall, "pin_emulator", ())

    def misplaced(self, placement: Placement, observation: Observation, bound: CpuSet) -> Iterator[Misplaced]:
        for thread in observation.others:
            if thread.vcpu is None and thread.iothread is None:
                who, allowed = _helper(placement, observation, thread)
                yield from _outside(who, allowed, thread)


class IothreadPin(_NumberedPin):
    name, paths, said = "iothread_pins", ("cputune/iothreadpin",), 4
    tag, key, kind, called, record_tag = "iothreadpin", "iothread", "iothread", "IO thread", "iothreads"

    def of(self, placement: Placement) -> Pins:
        return placement.iothread_pins

    def put(self, placement: Placement, value: Pins | None) -> Placement:
        return replace(placement, iothread_pins=value or ())

    def asked(self, intent: Intent) -> Pins | None:
        return intent.iothread_pins

    def fitting(self, value: Pins, shape: Shape, guest_cells: frozenset[int]) -> Pins:
        return tuple(pair for pair in value if pair[0] in shape.iothreads)

    def live(self, guest: Running) -> Iterator[Consequence]:
        for iothread in guest.shape.iothreads if guest.driver.iothreads else ():
            if guest.scope is not None and iothread not in guest.scope.iothreads:
                continue
            element = pin_element("iothread", iothread)
            threads = (thread for thread in guest.observation.others if thread.vcpu is None)
            real = next((thread.cpus for thread in threads if thread.iothread == iothread), None)
            after = guest.wanted.of_iothread(iothread)
            before = _strayed(real, guest.now.of_iothread(iothread), after, guest)
            if not guest.driver.pin_flags and _online(before, guest) != _online(after, guest):
                yield Restart(element, f"the {guest.driver.name} driver cannot pin IO threads of a running guest")
                continue
            yield from _pinned(guest, element, before, after, "pin_iothread", (iothread,))

    def misplaced(self, placement: Placement, observation: Observation, bound: CpuSet) -> Iterator[Misplaced]:
        for thread in observation.others:
            if thread.vcpu is None and thread.iothread is not None:
                yield from _outside(f"IO thread {thread.iothread}", placement.of_iothread(thread.iothread), thread)


def _pinned(
    guest: Running,
    element: str,
    before: CpuSet | None,
    after: CpuSet | None,
    method: str,
    arguments: tuple[Any, ...],
    more: tuple[Any, ...] = (),
) -> Iterator[Consequence]:
    """The call that takes threads from one set to another, where that is a difference; None is every CPU."""
    was, shall = _online(before, guest), _online(after, guest)
    if was == shall:
        return
    if guest.cuts(shall):
        yield Restart(element, f"libvirt's test driver cannot pin a running guest to CPUs {shall}")
        return
    change = Change(element, _shown(was, guest), _shown(shall, guest), LIVE)
    yield Step(change, method, (*arguments, shall, *more))


def _strayed(real: CpuSet | None, said: CpuSet | None, shall: CpuSet | None, guest: Running) -> CpuSet | None:
    """Where a helper thread is: by libvirt, unless it was seen outside of where it shall be.

    One that was seen on fewer CPUs may be held to them by a slice of systemd, and no pin would change that.
    """
    return real if real is not None and _online(real, guest) - _online(shall, guest) else said


def _online(cpus: CpuSet | None, guest: Running) -> CpuSet:
    return guest.everything if cpus is None else cpus & guest.everything


def _shown(cpus: CpuSet, guest: Running) -> str:
    return EVERYWHERE if cpus == guest.everything else str(cpus)


def _outside(who: str, allowed: CpuSet | None, thread: Thread) -> Iterator[Misplaced]:
    if allowed is not None and not thread.cpus <= allowed:
        yield Misplaced(f"{who} (thread {thread.tid})", f"CPUs {allowed}", f"CPUs {thread.cpus}")


def _helper(placement: Placement, observation: Observation, thread: Thread) -> tuple[str, CpuSet | None]:
    """What to call a thread that is neither a vCPU nor an IO thread, and where it may be; None is everywhere."""
    if thread.of_emulator:
        return f"emulator thread {thread.name!r}", placement.of_emulator
    # Made by one of the others, and nobody says by which
    makers = [placement.of_emulator]
    makers += [placement.of_vcpu(vcpu) for vcpu, _cpus in observation.vcpus]
    makers += [placement.of_iothread(each.iothread) for each in observation.others if each.iothread is not None]
    known = [cpus for cpus in makers if cpus is not None]
    return f"helper thread {thread.name!r}", union(known) if len(known) == len(makers) else None
