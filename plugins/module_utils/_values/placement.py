# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where one domain may run and keep memory, what its user asked for, and what of it matters for placing it.

CPUs and cells are those of the host unless a name says vCPU or guest cell; sizes are KiB.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import StoredTextError, read_json

# Pairs (number of the vCPU or IO thread, its CPUs), ascending by number.
Pins = tuple[tuple[int, CpuSet], ...]

# Pairs (name of an element, what it says), ascending by name.
Knobs = tuple[tuple[str, Any], ...]

# libvirt's names; "none" is this collection's word for "no binding".
MEMORY_MODES = ("strict", "preferred", "interleave", "restrictive")
# libvirt counts no further in a domain's definition (VIR_DOMAIN_CPUMASK_LEN), and Linux has 1,024 cells at most.
MAX_CPUS = 1 << 14
MAX_CELLS = 1 << 10

# With these the kernel takes memory from nowhere else.
BINDING_MODES = ("strict", "restrictive")


def pins_of(mapping: Mapping[int, CpuSet]) -> Pins:
    return tuple(sorted(mapping.items(), key=lambda pair: pair[0]))


def knobs_with(knobs: Knobs, name: str, value: Any) -> Knobs:
    """The same with this value; None takes it out."""
    others = {**dict(knobs), name: value}
    return tuple(sorted((pair for pair in others.items() if pair[1] is not None), key=lambda pair: pair[0]))


@dataclass(frozen=True)
class MemoryBinding:
    """libvirt's numatune: a mode and the cells. ``automatic`` is placement='auto': numad chooses at each start."""

    mode: str
    nodeset: CpuSet
    automatic: bool = False

    def __str__(self) -> str:
        return f"{self.mode} on {'cells that numad chooses' if self.automatic else self.nodeset}"


# Pairs (cell of the guest, binding of its memory), ascending.
Memnodes = tuple[tuple[int, MemoryBinding], ...]


@dataclass(frozen=True)
class Placement:
    """What the owned elements of a domain's definition say.

    ``cpuset`` None means every CPU of the host. ``memnodes`` bind single cells of the guest. ``automatic`` is
    placement='auto' on <vcpu>, where numad chooses the CPUs at each start. ``knobs`` are what elements say that no
    planning depends on, by name: see _elements.
    """

    cpuset: CpuSet | None = None
    vcpu_pins: Pins = ()
    emulator: CpuSet | None = None
    iothread_pins: Pins = ()
    memory: MemoryBinding | None = None
    memnodes: Memnodes = ()
    automatic: bool = False
    knobs: Knobs = ()

    def knob(self, name: str) -> Any:
        """What one of the knobs says, None where it says nothing."""
        return dict(self.knobs).get(name)

    def with_knob(self, name: str, value: Any) -> Placement:
        return replace(self, knobs=knobs_with(self.knobs, name, value or None))

    def bound_for(self, guest_cell: int) -> CpuSet:
        """The cells that the memory of a guest's cell is bound to; none where nothing binds it, or numad does."""
        binding = dict(self.memnodes).get(guest_cell, self.memory)
        return binding.nodeset if binding is not None else EMPTY

    def of_vcpu(self, vcpu: int) -> CpuSet | None:
        """The CPUs of one vCPU: its pin, or the domain's CPU set. None means every CPU."""
        return self._by_vcpu.get(vcpu, self.cpuset)

    def pin_of(self, vcpu: int) -> CpuSet | None:
        """The pin of one vCPU, None where it has none."""
        return self._by_vcpu.get(vcpu)

    def of_iothread(self, iothread: int) -> CpuSet | None:
        return self._by_iothread.get(iothread, self.cpuset)

    @cached_property
    def _by_vcpu(self) -> dict[int, CpuSet]:
        return dict(self.vcpu_pins)

    @cached_property
    def _by_iothread(self) -> dict[int, CpuSet]:
        return dict(self.iothread_pins)

    @property
    def of_emulator(self) -> CpuSet | None:
        return self.emulator if self.emulator is not None else self.cpuset

    @property
    def mixes_restrictive(self) -> bool:
        """Whether some of its memory is restrictive and some is not; where nothing is said of all, that is strict."""
        whole = self.memory.mode if self.memory is not None else "strict"
        return any((each.mode == "restrictive") != (whole == "restrictive") for _cell, each in self.memnodes)

    def effective_cpuset(self, vcpus: int, everything: CpuSet) -> CpuSet | None:
        """The OR of the vCPUs' sets, or None where that is the whole host."""
        pinned = {number: cpus for number, cpus in self.vcpu_pins if number < vcpus}
        unpinned = [everything if self.cpuset is None else self.cpuset] if len(pinned) < vcpus else []
        result = union({*pinned.values(), *unpinned})
        return None if everything <= result else result


@dataclass(frozen=True)
class MemoryIntent:
    """``mode`` is one of MEMORY_MODES or "none"; ``cells`` None means those of the CPUs."""

    mode: str = "strict"
    cells: CpuSet | None = None


@dataclass(frozen=True)
class Intent:
    """What a user asked for; None where nothing was said. Kept in the domain's own metadata.

    ``policy`` is what the region was planned for, as JSON in one line, where a planner chose it; ``memnodes`` are pairs
    (guest cell, cells of the host), for a guest whose cells were mapped then. Numbers of vCPUs and IO threads are
    resolved, sets are canonical: two ways to write one wish are equal. ``knobs`` are as in a Placement.
    """

    cells: CpuSet | None = None
    cpuset: CpuSet | None = None
    memory: MemoryIntent | None = None
    vcpu_pins: Pins | None = None
    emulator: CpuSet | None = None
    iothread_pins: Pins | None = None
    policy: str | None = None
    memnodes: Pins | None = None
    knobs: Knobs = ()

    def knob(self, name: str) -> Any:
        """What was asked of one of the knobs, None where nothing was."""
        return dict(self.knobs).get(name)

    @property
    def names_region(self) -> bool:
        """Whether it says where the domain belongs, and not only how it is pinned there."""
        return self.cells is not None or self.cpuset is not None

    def over(self, stored: Intent | None) -> Intent:
        """This wish, completed with what was asked before.

        A new region replaces the old one whole, its memory with it; pins that are not mentioned stay.
        """
        if stored is None:
            return self
        region = self if self.names_region else replace(stored, memory=self.memory or stored.memory)
        return Intent(
            cells=region.cells,
            cpuset=region.cpuset,
            memory=region.memory,
            vcpu_pins=self.vcpu_pins if self.vcpu_pins is not None else stored.vcpu_pins,
            emulator=self.emulator if self.emulator is not None else stored.emulator,
            iothread_pins=self.iothread_pins if self.iothread_pins is not None else stored.iothread_pins,
            policy=region.policy,
            memnodes=region.memnodes,
            knobs=tuple(sorted({**dict(stored.knobs), **dict(self.knobs)}.items(), key=lambda pair: pair[0])),
        )


def intent_within_bounds(**parts: Any) -> Intent:
    """An intent that was read from a record. Raises InputError where it names what no host can have."""
    intent = Intent(**parts)
    pins = (*(intent.vcpu_pins or ()), *(intent.iothread_pins or ()))
    memory = intent.memory.cells if intent.memory is not None else None
    for kind, end, sets in (
        ("CPU", MAX_CPUS, (intent.cpuset, intent.emulator, *(cpus for _number, cpus in pins))),
        ("cell", MAX_CELLS, (intent.cells, memory, *(cells for _number, cells in intent.memnodes or ()))),
    ):
        last = max((each.mask.bit_length() for each in sets if each is not None), default=0) - 1
        if last >= end:
            raise InputError("intent", None, f"names {kind} {last}, and no host has more than {end} {kind}s")
    return intent


@dataclass(frozen=True)
class Shape:
    """What of a domain's definition a placement depends on.

    ``vcpus`` is the largest number it may have, ``current`` how many it starts with where that is said, and ``online``
    which of them are there, where the definition names each; ``memory`` is KiB. ``binds_early`` says that QEMU touches
    the memory before it runs anything (huge pages, preallocation), which needs a CPU of each memory cell. ``pool`` is
    the cpupool of a Xen guest, None for the one that it gets where nobody says. ``memory_cells`` are cells of the host
    that the definition puts memory on by itself, whatever its placement (vnuma of xl). ``memory_devices`` are DIMMs and
    the like: of each the guest's cell that it belongs to, None where nobody says.
    """

    name: str
    uuid: str | None
    type: str
    vcpus: int
    iothreads: tuple[int, ...]
    memory: int
    binds_early: str | None = None
    current: int | None = None
    pool: str | None = None
    memory_cells: CpuSet = EMPTY
    memory_devices: tuple[int | None, ...] = ()
    online: CpuSet | None = None

    @cached_property
    def kind(self) -> tuple[Any, ...]:
        """All of it but what tells one guest from another like it: its name and its UUID."""
        return (
            *(self.type, self.vcpus, self.iothreads, self.memory, self.binds_early, self.current, self.pool),
            *(self.memory_cells, self.memory_devices, self.online),
        )

    def vcpu_absent(self, number: int) -> tuple[str, str] | None:
        """(problem, what would be right) where it has no vCPU of that number."""
        return _absent("vCPU", number, range(self.vcpus))

    def iothread_absent(self, number: int) -> tuple[str, str] | None:
        return _absent("IO thread", number, self.iothreads)

    def memory_device_absent(self, number: int) -> tuple[str, str] | None:
        return _absent("memory device", number, range(len(self.memory_devices)))

    @property
    def starting_vcpus(self) -> int:
        """How many vCPUs it starts with."""
        return self.vcpus if self.current is None else min(self.current, self.vcpus)

    @property
    def present(self) -> tuple[int, ...]:
        """The vCPUs that it has, or starts with; the others may be plugged later."""
        if self.online is None:
            return tuple(range(self.starting_vcpus))
        return tuple(vcpu for vcpu in self.online if vcpu < self.vcpus)


def _absent(kind: str, number: int, there: Collection[int]) -> tuple[str, str] | None:
    if number in there:
        return None
    return f"the domain has no {kind} {number}", f"its {kind}s are {CpuSet(there)}" if there else "it has none"


def as_text(value: object) -> str | None:
    """A set or a binding as its text, None where there is none."""
    return None if value is None else str(value)


def pins_as_result(pins: Pins) -> dict[str, str]:
    return {str(number): str(cpus) for number, cpus in pins}


def all_pinned(pins: Pins, count: int) -> CpuSet | None:
    """The union of the pins where every one of ``count`` vCPUs has one, else None. Pins of other vCPUs do not count."""
    own = {number: cpus for number, cpus in pins if number < count}
    return union(own.values()) if len(own) == count else None


@lru_cache(maxsize=256)
def json_line(text: str | None) -> str | None:
    """A JSON object in its one written form, by which two are compared; None for anything else."""
    try:
        value = read_json(text) if text is not None else None
    except StoredTextError:
        return None
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else None
