# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests of a host as the rules look at them: where each may run, what is its own, and who is where.

Everything is made once, in time that grows with the number of guests and of CPUs. A set of CPUs is a mask of CPU
numbers here, a set of cells a mask of indices, as in _planner.capacity.

What a guest may use is what was seen of its threads where it runs and could be looked at; else what the running guest's
definition says; else its definition. Four words:
- *free*: its definition leaves a vCPU every CPU (of the guest's cpupool, on Xen), and nobody asked for that place. A
  slice of systemd may still keep it off some;
- *unknown*: numad or nobody has chosen yet: the guest does not run, and its definition leaves the CPUs to numad;
- *dedicated*: every vCPU is pinned to one CPU, each to another. Where a policy chose the place that means a policy that
  gives guests CPUs of their own, and pins that still say so; where none did, pins of single vCPUs, not a CPU set that
  happens to hold one CPU;
- *owned*: what a policy promised to nobody else, with the idle threads of its cores where it promised those.
This file must not import ansible, libvirt or lxml, and finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import named_parts, realtime_vcpus
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import LIVE, REDEFINE, RESTART
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Facts, GuestFacts, Said
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import PolicyWish, request_of, wish_from_json
from ansible_collections.numa.virt.plugins.module_utils._intent.resolve import Resolver
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    Capacity,
    either,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import own_cpus
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.needs import with_overhead
from ansible_collections.numa.virt.plugins.module_utils._values.observation import DEFINITION
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


def placed_by(driver: Driver, placement_of: Said, vcpu: int) -> CpuSet | None:
    """The CPUs that a document gives a vCPU on this driver; None for every CPU."""
    if driver.pins_each_vcpu:
        # libxl stores <vcpu cpuset> and ignores it.
        return placement_of.placement.pin_of(vcpu)
    return placement_of.placement.of_vcpu(vcpu)


def helper_sets(said: Said) -> list[tuple[str, CpuSet]]:
    """(who, CPUs) of the emulator and of each IO thread, where a document holds them to some."""
    found = [("the emulator's threads", said.placement.of_emulator)]
    found += [(f"IO thread {each}", said.placement.of_iothread(each)) for each in said.shape.iothreads]
    return [(who, cpus) for who, cpus in found if cpus is not None]


@dataclass(frozen=True)
class Seen:
    """One guest. ``said`` is what counts of its documents; ``sets`` are the CPUs of its vCPUs, by vCPU.

    Those are the vCPUs that are there now (``present``), and others for which the document says something: it is
    ``held`` that a document keeps off some CPU. ``meant`` are the CPUs that the document gives them.
    """

    facts: GuestFacts
    said: Said
    host: Host
    wish: Request | None
    sets: Mapping[int, int]
    present: tuple[int, ...]
    held: frozenset[int]
    meant: int
    unknown: bool
    dedicated: int = 0
    owned: int = 0

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def running(self) -> bool:
        return self.facts.running

    @cached_property
    def reach(self) -> int:
        """The CPUs that some vCPU may use."""
        return either(self.sets.values())

    def reach_of(self, vcpus: Iterable[int]) -> int:
        """The CPUs that some of these vCPUs may use."""
        return either(self.sets.get(vcpu, 0) for vcpu in vcpus)

    @cached_property
    def free(self) -> bool:
        automatic = self.said.placement.automatic
        kept = self.dedicated or automatic or self.unknown or self._region_said
        return not kept and not self.held >= set(self.sets)

    @property
    def settled(self) -> bool:
        """Whether it is held to fewer CPUs than there are, all of them online ones on cells, and that is known."""
        everything = self.host.online.mask
        if self.unknown or self.free or not everything & ~self.reach:
            return False
        return all(mask & everything for mask in (*self.sets.values(), self.meant)) and bool(self.cells)

    @cached_property
    def cells(self) -> CpuSet:
        """The cells that its vCPUs may use."""
        return self.host.cells_touched(CpuSet.from_mask(self.reach))

    @property
    def meant_cells(self) -> CpuSet:
        """The cells that the document gives its vCPUs, wherever they have strayed to."""
        return self.host.cells_touched(CpuSet.from_mask(self.meant))

    @property
    def _region_said(self) -> bool:
        intent = self.facts.intent
        return intent is not None and intent.names_region

    @cached_property
    def nodeset(self) -> CpuSet:
        """The cells that its memory is bound to, or shall prefer; empty where it is neither."""
        return named_parts(self.said.placement).cells

    @cached_property
    def memory_on(self) -> Mapping[int, int] | None:
        """Cell -> KiB of its memory, where that was seen."""
        seen = self.facts.observation
        return dict(seen.memory.kib) if seen is not None and seen.memory is not None else None

    @property
    def page_size(self) -> int | None:
        """KiB of its huge pages, None for ordinary memory; of several sizes that of most of its memory."""
        return next(iter(self.memory_by_page))

    @cached_property
    def memory_by_page(self) -> Mapping[int | None, int]:
        """KiB by the size of pages, the most first."""
        return self.said.needs.memory_by_page(self.said.shape.memory, self.host.page)


class View:
    """All guests of a host, by name, and the host in the planner's numbers."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.driver = facts.driver
        self.host = facts.host
        self.capacity = Capacity(facts.host, facts.rules)
        self.resolve = Resolver(facts.driver)
        self._pools: dict[str | None, Host] = {}
        guests = sorted(facts.guests, key=lambda each: each.name)
        self.guests = tuple(self._seen(each) for each in guests if each.name != facts.driver.control_domain)
        self.dedicated = tuple(each for each in self.guests if each.dedicated)
        self.all_dedicated = self.all_owned = 0
        for each in self.dedicated:
            self.all_dedicated |= each.dedicated
            self.all_owned |= each.owned

    def _host_of(self, said: Said) -> Host:
        pool = said.shape.pool
        if pool not in self._pools:
            try:
                self._pools[pool] = self.host.in_pool(pool)
            except InputError:
                self._pools[pool] = self.host  # a pool that is gone
        return self._pools[pool]

    def _obeyed(self, said: Said | None) -> Said | None:
        return said and replace(said, placement=self.driver.obeyed(said.placement))

    def _seen(self, guest: GuestFacts) -> Seen:
        if not self.driver.numatune:
            guest = replace(guest, config=self._obeyed(guest.config), live=self._obeyed(guest.live))
        said = guest.live if guest.live is not None else guest.config
        if said is None:
            raise ValueError(f"{guest.name!r} has no definition at all")
        host = self._host_of(said)
        looked = guest.observation if guest.observation is not None and guest.observation.source != DEFINITION else None
        real = {vcpu: cpus.mask for vcpu, cpus in looked.vcpus} if looked is not None else {}
        everything = host.online.mask
        sets: dict[int, int] = {}
        held, meant = set(), 0
        present = sorted(real) if real else said.shape.present
        for vcpu in range(said.shape.vcpus):
            cpus = placed_by(self.driver, said, vcpu)
            if cpus is not None and everything & ~cpus.mask:
                held.add(vcpu)
            elif vcpu not in present:
                continue
            meant |= cpus.mask if cpus is not None else real.get(vcpu, everything)
            mask = real.get(vcpu, everything if cpus is None else cpus.mask)
            # One whose CPUs are all offline runs nowhere; one on some that are not runs on those.
            sets[vcpu] = mask & everything or mask
        seen = Seen(
            guest, said, host, self._wish(guest, said), sets, tuple(vcpu for vcpu in present if vcpu in sets),
            frozenset(held), meant, unknown=said.placement.automatic and not real,
        )  # fmt: skip
        return self._with_own(seen)

    def _wish(self, guest: GuestFacts, said: Said) -> Request | None:
        policy = guest.intent.policy if guest.intent is not None else None
        wish: PolicyWish | None = wish_from_json(policy) if policy is not None else None
        if wish is None:
            return None
        asked = request_of(wish, said.shape, said.needs, self.host, self.driver)
        emulator = said.placement.emulator
        if asked.emulator == "share" and emulator is not None and len(emulator) == 1 and realtime_vcpus(said.placement):
            # So the planner places those that would be left with their own CPUs.
            return replace(asked, emulator="isolate")
        return asked

    def _with_own(self, seen: Seen) -> Seen:
        # vCPUs that may be plugged later take no CPU yet.
        sets = [seen.sets[vcpu] for vcpu in seen.present]
        if seen.unknown or any(not mask or mask & (mask - 1) for mask in sets) or len(set(sets)) < len(sets):
            return seen
        cpus = either(sets)
        if seen.wish is None:
            pinned = dict(self.driver.decode(seen.said.placement).vcpu_pins)
            return replace(seen, dedicated=cpus) if all(vcpu in pinned for vcpu in seen.present) else seen
        if not seen.wish.owns_cpus:
            return seen
        emulator = seen.said.placement.of_emulator
        vcpus = tuple(CpuSet.from_mask(mask) for mask in sets)
        owned = own_cpus(self.capacity, Existing(seen.name, vcpus, 0, emulator=emulator), seen.wish)
        if owned is None:
            return seen
        if seen.wish.emulator == "isolate" and emulator is not None:
            cpus |= emulator.mask
        return replace(seen, dedicated=cpus, owned=owned)

    def taken(self, seen: Seen) -> Mapping[int | None, int]:
        """KiB by the size of pages that a guest takes, with what its hypervisor needs."""
        if seen.wish is not None:
            return seen.wish.taken
        by_page = seen.memory_by_page
        return with_overhead(by_page, self.driver.overhead.of(seen.said.shape, by_page.get(None, 0)))

    def memory_near(self, seen: Seen, cells: CpuSet) -> CpuSet:
        """Where a guest's memory can be as near to these cells as the host allows."""
        page = seen.page_size if self.driver.numatune else None
        return self.host.memory_near(cells, seen.said.shape.memory, page)

    def memory_fix(self, seen: Seen) -> str:
        """What it takes to bring a guest's memory elsewhere."""
        if not seen.running:
            return REDEFINE
        binding = seen.said.placement.memory
        if binding is None or binding.automatic or seen.said.placement.memnodes:
            return RESTART
        return LIVE if binding.mode in self.driver.live_nodeset else RESTART

    def pin_fix(self, seen: Seen) -> str:
        """What it takes to pin a guest elsewhere."""
        return LIVE if seen.running else REDEFINE

    def cpus_of(self, mask: int) -> CpuSet:
        return CpuSet.from_mask(mask)

    def cells_on(self, mask: int) -> CpuSet:
        """The cells that hold at least one of the CPUs."""
        return self.capacity.cell_ids(self.capacity.cells_of(mask))
