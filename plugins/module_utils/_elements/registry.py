# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All owned elements, and what is done with all of them. This is the one list: who needs them loops over it.

This file must not import ansible or libvirt, and must not know one element from another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._elements.element import (
    Consequence,
    Element,
    HostParts,
    Knob,
    Running,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.memory_devices import Nodemask
from ansible_collections.numa.virt.plugins.module_utils._elements.numatune import Binding, Numatune
from ansible_collections.numa.virt.plugins.module_utils._elements.pins import EmulatorPin, IothreadPin, VcpuPin
from ansible_collections.numa.virt.plugins.module_utils._elements.scheduler import ThreadSchedulers, realtime_of
from ansible_collections.numa.virt.plugins.module_utils._elements.vcpu import Region, Vcpu
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._values.changes import Change
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Misplaced, Observation
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    Knobs,
    MemoryBinding,
    Placement,
    Shape,
    knobs_with,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

VCPU, NUMATUNE = Vcpu(), Numatune()
# In the order of the document
ELEMENTS: tuple[Element, ...] = (
    VCPU,
    VcpuPin(),
    EmulatorPin(),
    IothreadPin(),
    ThreadSchedulers(),
    NUMATUNE,
    Nodemask(),
)
KNOBS = tuple(each for each in ELEMENTS if isinstance(each, Knob))
# In that in which a user's wish is told
_SAID = sorted(ELEMENTS, key=lambda each: each.said)


def read_placement(root: etree._Element) -> Placement:
    """The placement that a definition says, under libvirt's rules (virDomainVcpuParse, virDomainNumatuneParseXML)."""
    return _placement_of(tuple(element.read(root) for element in ELEMENTS))


@lru_cache(maxsize=256)
def _placement_of(values: tuple[Any, ...]) -> Placement:
    """The placement of a value of each element: many guests of a host say the same."""
    placement = Placement()
    for element, value in zip(ELEMENTS, values):
        placement = _put(element, placement, value)
    return _completed(placement)


def _put(element: Element, placement: Placement, value: Any) -> Placement:
    """Most elements of most guests say nothing, or stay: no copy is made for them."""
    there = element.of(placement)
    return placement if value is there or value == there else element.put(placement, value)


def _completed(placement: Placement) -> Placement:
    """numad chooses for CPUs and memory together."""
    memory = placement.memory
    if placement.automatic and (memory is None or not (memory.automatic or memory.nodeset)):
        # Memory follows an automatic <vcpu> unless it says otherwise, …
        follows = MemoryBinding(memory.mode if memory is not None else "strict", EMPTY, automatic=True)
        return NUMATUNE.put(placement, Binding(follows, placement.memnodes))
    if memory is not None and memory.automatic and not placement.automatic:
        # … and <vcpu> follows automatic memory, whatever its @placement, unless anything is pinned.
        pinned = placement.cpuset or placement.vcpu_pins or placement.emulator or placement.iothread_pins
        return VCPU.put(placement, Region(placement.cpuset, not pinned))
    return placement


def write_placement(root: etree._Element, placement: Placement) -> None:
    """Make the owned elements say ``placement``. What says it already, in any form of words, is left as it is."""
    current = read_placement(root)
    for element in ELEMENTS:
        if element.of(current) != element.of(placement):
            element.write(root, element.of(placement))


def placement_released(placement: Placement, intent: Intent | None) -> Placement:
    """What is left when nobody places a guest any more: knobs that the document had and nobody of ours asked for."""
    asked = dict(intent.knobs) if intent is not None else {}
    return Placement(knobs=tuple(pair for pair in placement.knobs if pair[0] not in asked))


def strip_placement(root: etree._Element) -> None:
    """Take every owned element out, whatever it says, and a parent that then says nothing: libvirt writes none."""
    for element in ELEMENTS:
        element.strip(root)


def placement_fragments(root: etree._Element) -> list[etree._Element]:
    """Copies of what a diff shows of the owned elements, in the order of the document."""
    parts: list[etree._Element] = []
    for part in (part for element in ELEMENTS for part in element.fragment(root)):
        same = next((each for each in parts if each.tag == part.tag), None)
        if same is not None:
            same.extend(list(part))
        else:
            parts.append(part)
    return parts


def placement_changes(before: Placement, after: Placement) -> list[Change]:
    """The owned elements in which two placements differ, in document order."""
    return _differences(ELEMENTS, before, after)


def knob_changes(before: Placement, after: Placement, driver: Driver) -> list[Change]:
    """The same of the knobs alone, as far as a driver has them."""
    return _differences([each for each in KNOBS if each.refused(driver) is None], before, after)


def _differences(elements: Iterable[Element], before: Placement, after: Placement) -> list[Change]:
    if before is after or before == after:
        return []
    return [change for each in elements for change in each.differences(each.of(before), each.of(after))]


def placement_as_result(placement: Placement) -> dict[str, Any]:
    """What RV(placement) documents: plain data, absent aspects as None."""
    return _merged(each.as_result(each.of(placement)) for each in ELEMENTS)


def asked_as_result(intent: Intent) -> dict[str, Any]:
    """What RV(intent) documents, without the policy."""
    return _merged(each.asked_as_result(intent) for each in ELEMENTS)


def asked_in_words(intent: Intent) -> list[str]:
    """What a user asked for, a piece for each thing."""
    return [words for each in _SAID for words in each.asked_in_words(intent)]


def knob_arguments() -> dict[str, Any]:
    """The options of the knobs in an argument spec."""
    return {each.name: dict(each.argument()) for each in KNOBS}


def parts_from_options(options: Mapping[str, Any], called: Mapping[str, str]) -> dict[str, Any]:
    """The parts of an Intent that a user's options say. Raises InputError."""
    return _with_knobs(each.wish(options, called) for each in ELEMENTS)


def keep_parts(intent: Intent, record: etree._Element, space: str) -> None:
    """Put an intent into our record."""
    for element in ELEMENTS:
        element.keep(intent, record, space)


def kept_parts(record: etree._Element, space: str) -> dict[str, Any]:
    """The parts of an Intent in our record. Raises InputError."""
    return _with_knobs(each.kept(record, space) for each in ELEMENTS)


@lru_cache(maxsize=256)
def named_parts(placement: Placement) -> HostParts:
    """All parts of the host that a placement names."""
    return _all_parts(each.host_parts(each.of(placement)) for each in ELEMENTS)


@lru_cache(maxsize=256)
def asked_parts(intent: Intent) -> HostParts:
    """All parts of the host that a user named."""
    return _all_parts(each.asked_parts(intent) for each in ELEMENTS)


def fitting(placement: Placement, shape: Shape, guest_cells: frozenset[int]) -> Placement:
    """The part of a placement that is about things that a guest has."""
    for element in ELEMENTS:
        placement = _put(element, placement, element.fitting(element.of(placement), shape, guest_cells))
    return placement


def for_nothing(placement: Placement, shape: Shape, guest_cells: frozenset[int]) -> list[Change]:
    """What it says of things that a guest does not have; each as the change that takes it out."""
    fits = fitting(placement, shape, guest_cells)
    return placement_changes(placement, fits) if fits is not placement else []


def live_changes(guest: Running) -> Iterator[Consequence]:
    """What can be changed of a running guest, in order, and what cannot."""
    for element in ELEMENTS:
        yield from element.live(guest)


def misplaced(placement: Placement, observation: Observation) -> list[Misplaced]:
    """What is outside: threads on other CPUs, threads that may take memory elsewhere, pages that lie elsewhere."""
    bound = named_parts(placement).cells
    return [found for each in ELEMENTS for found in each.misplaced(placement, observation, bound)]


def observed_for(placement: Placement) -> frozenset[str]:
    """What has to be read of threads, besides their CPUs and cells, to tell whether they are as they shall be."""
    return frozenset(what for each in ELEMENTS if each.of(placement) for what in each.observes)


def realtime_vcpus(placement: Placement) -> CpuSet:
    """The vCPUs that no other thread gets the CPU from, by their schedulers."""
    return realtime_of(placement.knob(ThreadSchedulers.name))


def held_while(placement: Placement, waiting: AbstractSet[str]) -> Placement | None:
    """What a running guest can be held to while these paths, as restart reasons say them, wait for a restart.

    None where its threads may be anywhere until then.
    """
    paths = {path.partition("[")[0] for path in waiting}
    for element in ELEMENTS:
        if paths.intersection(element.paths):
            if not element.stands_alone:
                return None
            placement = element.put(placement, None)
    return placement


def check_knobs(intent: Intent, driver: Driver) -> None:
    """Raises UnsupportedError for what a user asked and this driver has no such thing for."""
    for element in KNOBS:
        if dict(intent.knobs).get(element.name):
            why = element.refused(driver)
            if why is not None:
                raise UnsupportedError(driver.name, element.name, why, element.name)


def settle_knobs(
    intent: Intent, now: Collection[str], current: Placement, host: Host, shape: Shape
) -> tuple[Knobs, Knobs]:
    """(what shall hold, what of it a user meant).

    What is said ``now``, by name, must hold; what was said before, and else what the document says, as far as it can.
    Raises InputError.
    """
    placed, meant = Placement(), Intent().knobs
    for element in KNOBS:
        said = intent.knob(element.name)
        value = element.settled(said, host, shape, element.name in now) if said is not None else None
        if value or (said is not None and not said):
            meant = knobs_with(meant, element.name, value)
        else:
            # Nothing was said, or it was all about things that are gone.
            value = element.settled(element.of(current), host, shape, False)
        placed = element.put(placed, value)
    return placed.knobs, meant


def with_following(placement: Placement, intent: Intent, shape: Shape) -> Placement:
    """What becomes of knobs that nobody asked for where somebody has said where the guest's memory is to be."""
    for element in KNOBS if intent.names_region or intent.memory is not None else ():
        if intent.knob(element.name) is None:
            placement = _put(element, placement, element.following(element.of(placement), placement, shape))
    return placement


def _merged(parts: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}


def _with_knobs(parts: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
    """Parts of an Intent; those of a knob, which its elements call by its name, are in ``knobs``."""
    merged = _merged(parts)
    knobs = Intent().knobs
    for element in KNOBS:
        knobs = knobs_with(knobs, element.name, merged.pop(element.name, None))
    return {**merged, "knobs": knobs}


def _all_parts(parts: Iterator[HostParts]) -> HostParts:
    found = list(parts)
    return HostParts(tuple(cpus for each in found for cpus in each.cpus), union(each.cells for each in found))
