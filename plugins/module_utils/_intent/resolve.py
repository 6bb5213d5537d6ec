# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a wish to a placement on one host: every rule that can be known before anything is touched.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Optional

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import (
    check_knobs,
    settle_knobs,
    with_following,
)
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    BINDING_MODES,
    Intent,
    Memnodes,
    MemoryBinding,
    MemoryIntent,
    Pins,
    Placement,
    Shape,
    all_pinned,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

# (number, CPUs) of a pin -> (problem, what would be right), or None
Problem = Callable[[int, CpuSet], Optional[tuple[str, str]]]


@dataclass(frozen=True)
class Target:
    """Where the domain shall be: the placement as asked, the same encoded for the driver, and the whole intent.

    The domain is held to ``placement``, which on Xen says of its memory what no element there can say.
    """

    placement: Placement
    encoded: Placement
    intent: Intent


@dataclass(frozen=True)
class _Region:
    """The domain's CPU set before (None: unrestricted, or no domain yet) and after."""

    before: CpuSet | None
    after: CpuSet | None

    @property
    def moves(self) -> bool:
        return self.before != self.after

    def leaves(self, cpus: CpuSet) -> bool:
        """Whether a pin that lay inside the old region lies outside the new one."""
        if not self.moves or self.after is None or cpus <= self.after:
            return False
        return self.before is None or cpus <= self.before


def resolve(
    wish: Intent,
    stored: Intent | None,
    current: Placement,
    settled: CpuSet | None,
    host: Host,
    driver: Driver,
    shape: Shape,
) -> Target:
    """The target of a domain.

    ``wish`` is what the user said now, ``stored`` what was said before, ``current`` what the document says without
    either, ``settled`` the CPU set of the definition that is in force, which counts as the old region where none was
    said. Pins of old that a new region leaves outside are dropped; pins said now must fit.
    Raises InputError or UnsupportedError.
    """
    driver.check(wish)
    check_knobs(wish, driver)
    current = driver.decode(current)
    intent = wish.over(stored)
    cpuset = _region_cpuset(intent, wish, host, shape, current)
    automatic = current.automatic and cpuset is None
    memory, memnodes = _memory(intent, wish, host, driver, shape, cpuset, current)
    # Pins that were said before belong to the region that was said with them, even if the definition was changed by
    # hand since. The pins of a document belong to its own CPU set: one that comes in every run means the same in each.
    before = _said_region(stored, host) if stored is not None and stored.names_region else settled
    said, written = _Region(before, cpuset), _Region(current.cpuset, cpuset)

    def settle(
        option: str, now: Pins | None, meant: Pins | None, there: Pins, rule: Callable[[CpuSet | None], Problem]
    ) -> tuple[Pins, Pins | None]:
        """The pins, and those of them that are meant."""
        if now is not None:
            pins = checked_pins(now, host, option, rule(cpuset))
            return pins, pins
        if meant is not None:
            pins = _kept(meant, host, option, rule, said)
            if pins or not meant:
                return pins, pins
        # Nothing was said, or a move has left all of it behind.
        return _kept(there, host, option, rule, written), None

    vcpu_pins, vcpu_pins_said = settle(
        "vcpu_pins", wish.vcpu_pins, intent.vcpu_pins, current.vcpu_pins, lambda limit: vcpu_problem(shape, limit)
    )
    iothread_pins, iothread_pins_said = settle(
        "iothread_pins",
        wish.iothread_pins,
        intent.iothread_pins,
        current.iothread_pins,
        lambda _limit: iothread_problem(shape),
    )
    emulator, emulator_said = wish.emulator, wish.emulator
    if emulator is not None:
        check_cpus(emulator, host, "emulator_cpuset")
    else:
        if intent.emulator is not None and not said.leaves(intent.emulator):
            emulator = emulator_said = intent.emulator
        elif current.emulator is not None and not written.leaves(current.emulator):
            emulator = current.emulator
        if emulator is not None:
            check_cpus(emulator, host, "emulator_cpuset of the definition")
    knobs, knobs_said = settle_knobs(intent, dict(wish.knobs), current, host, shape)
    placement = Placement(cpuset, vcpu_pins, emulator, iothread_pins, memory, memnodes, automatic, knobs)
    placement = with_following(placement, intent, shape)
    if vcpu_pins_said is None:
        # A pin that nobody meant may repeat the new CPU set by chance.
        placement = replace(placement, vcpu_pins=driver.decode(placement).vcpu_pins)
    _check_early_binding(placement, host, driver, shape)
    _check_all_present(placement, driver, shape)
    intent = replace(
        intent,
        vcpu_pins=vcpu_pins_said,
        emulator=emulator_said,
        iothread_pins=iothread_pins_said,
        knobs=knobs_said,
    )
    return Target(placement, driver.encode(placement, shape.starting_vcpus), intent)


class Resolver:
    """resolve() on one host, of whose guests many are asked alike: what only their names tell apart is answered once.

    ``host`` is the host as a guest of that shape sees it, which its cpupool alone decides.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._answers: dict[tuple[Any, ...], Target] = {}

    def __call__(
        self, wish: Intent, stored: Intent | None, current: Placement, settled: CpuSet | None, host: Host, shape: Shape
    ) -> Target:
        key = (wish, stored, current, settled, shape.kind)
        target = self._answers.get(key)
        if target is None:
            target = self._answers[key] = resolve(wish, stored, current, settled, host, self._driver, shape)
        return target


def check_cpus(cpus: CpuSet, host: Host, option: str) -> None:
    """Raises InputError where a CPU does not exist or is offline."""
    missing = cpus - host.present
    if missing:
        raise InputError(
            option, str(cpus), f"the host has no {_cpus(missing)}", f"its CPUs are {host.online}"
        )  # fmt: skip
    if host.pool is not None:
        outside = (cpus - host.pool.cpus) & union(pool.cpus for pool in host.pools)
        if outside:
            raise InputError(
                option, str(cpus), f"{_cpus(outside)} {_is(outside)} not in the guest's cpupool {host.pool.name}",
                f"its CPUs are {host.pool.cpus}",
            )  # fmt: skip
    offline = cpus - host.online
    if offline:
        raise InputError(option, str(cpus), f"{_cpus(offline)} {_is(offline)} offline", f"online are {host.online}")


def check_cells(cells: CpuSet, host: Host, option: str) -> None:
    """Raises InputError where a cell does not exist."""
    missing = cells - host.cell_ids
    if missing:
        raise InputError(option, str(cells), f"the host has no {_cells(missing)}", f"its cells are {host.cell_ids}")


def _said_region(intent: Intent, host: Host) -> CpuSet:
    """The CPU set that is said, else what the cells are for: without isolated CPUs that no pin names, where there are
    others. The kernel moves no thread between isolated ones, so that a guest would stay on the first it gets."""
    if intent.cpuset is not None:
        return intent.cpuset
    of_cells = host.cpus_of(intent.cells or ())
    pinned = union(cpus for _vcpu, cpus in intent.vcpu_pins or ())
    return of_cells - (host.isolated - pinned) or of_cells


def _region_cpuset(intent: Intent, wish: Intent, host: Host, shape: Shape, current: Placement) -> CpuSet | None:
    if intent.cells is not None:
        check_cells(intent.cells, host, "cells")
        for cell in intent.cells:
            if not host.cpus_of([cell]):
                there = f" in the guest's cpupool {host.pool.name}" if host.pool is not None else ""
                raise InputError(
                    "cells",
                    str(intent.cells),
                    f"cell {cell} has no CPUs{there}",
                    f"cells with CPUs are {host.cells_with_cpus}",
                )
        if intent.cpuset is None:
            return _said_region(intent, host)
        check_cpus(intent.cpuset, host, "cpuset")
        of_cells = host.cpus_of(intent.cells)
        outside = intent.cpuset - of_cells
        if outside:
            raise InputError(
                "cpuset", str(intent.cpuset), f"{_cpus(outside)} {_is(outside)} not on {_cells(intent.cells)}",
                f"the CPUs there are {of_cells}",
            )  # fmt: skip
        return intent.cpuset
    if intent.cpuset is not None:
        check_cpus(intent.cpuset, host, "cpuset")
        return intent.cpuset
    derived = _pinned_region(intent, wish, shape, current)
    if derived is not None:
        origin = "" if wish.vcpu_pins is not None else " of the definition"
        for number, cpus in intent.vcpu_pins or ():
            if number < shape.vcpus:
                check_cpus(cpus, host, f"vcpu_pins[{number}]{origin}")
        return derived
    if current.cpuset is not None:
        check_cpus(current.cpuset, host, "cpuset of the definition")
    return current.cpuset


def _pinned_region(intent: Intent, wish: Intent, shape: Shape, current: Placement) -> CpuSet | None:
    """The union of the pins where nothing else says the region and every vCPU has one: memory is born there too."""
    if intent.names_region or (wish.vcpu_pins is None and current.cpuset is not None):
        return None
    return all_pinned(intent.vcpu_pins, shape.vcpus) if intent.vcpu_pins else None


def _memory(
    intent: Intent, wish: Intent, host: Host, driver: Driver, shape: Shape, cpuset: CpuSet | None, current: Placement
) -> tuple[MemoryBinding | None, Memnodes]:
    """The binding of the domain's memory, and those of its own cells that still agree with it."""
    asked = intent.memory
    if asked is None:
        if intent.names_region:
            asked = MemoryIntent()
        elif _pinned_region(intent, wish, shape, current) is not None:
            asked = MemoryIntent(current.memory.mode if current.memory is not None else "strict")
        else:
            bindings = [current.memory, *(binding for _cell, binding in current.memnodes)]
            nodeset = union(each.nodeset for each in bindings if each is not None and not each.automatic)
            check_cells(nodeset, host, "numatune of the definition")
            if current.memory is None and current.automatic and cpuset is None:
                # As libvirt completes it: where numad chooses the CPUs it chooses the cells too.
                return MemoryBinding("strict", EMPTY, automatic=True), current.memnodes
            return current.memory, current.memnodes
    if asked.mode == "none":
        if current.automatic and cpuset is None:
            raise InputError(
                "memory.mode",
                "none",
                "numad chooses the CPUs of the domain at each start, and libvirt then binds its memory too",
                "give cells or cpuset with it, or leave it out",
            )
        return None, ()
    option, nodeset, value = _memory_cells(intent, asked, cpuset, host)
    if not driver.numatune and asked.cells is None:
        # It comes from those of the CPUs' cells that have some.
        nodeset = (nodeset & host.cells_with_memory) or nodeset
    if not nodeset:
        raise InputError(option, value, "these CPUs are on no cell", "give memory.cells or cells")
    stray = shape.memory_cells - nodeset
    if stray and asked.mode in BINDING_MODES:
        raise InputError(
            option, value, f"the definition's vnuma puts memory on {_cells(stray)}",
            "change its pnode, or give these cells too",
        )  # fmt: skip
    binding = MemoryBinding(asked.mode, nodeset)
    if not host.implied_cell:
        # A policy has counted it, as it was told to; what is bound there already stays.
        counted = intent.policy is not None or current.memory == binding
        beside = 0 if counted else driver.overhead.of(shape)
        _check_memory_cells(nodeset, asked, host, driver, shape, beside, option, value)
    if intent.memnodes is not None:
        return binding, tuple((cell, MemoryBinding(asked.mode, cells)) for cell, cells in intent.memnodes)
    kept = tuple(
        (cell, each) for cell, each in current.memnodes if each.mode == binding.mode and each.nodeset <= binding.nodeset
    )
    return binding, kept


def _memory_cells(intent: Intent, asked: MemoryIntent, cpuset: CpuSet | None, host: Host) -> tuple[str, CpuSet, str]:
    """The cells that the memory shall come from, between the option that says so and its value."""
    if asked.cells is not None:
        check_cells(asked.cells, host, "memory.cells")
        return "memory.cells", asked.cells, str(asked.cells)
    if intent.cells is not None:
        return "cells", intent.cells, str(intent.cells)
    if cpuset is None:
        raise InputError(
            "memory.cells",
            None,
            "the domain has no CPU set to take the cells from",
            "give memory.cells, cells or cpuset",
        )
    option = "cpuset" if intent.cpuset is not None else "cpuset of the domain"
    return option, host.cells_touched(cpuset), str(cpuset)


def _check_memory_cells(
    nodeset: CpuSet,
    asked: MemoryIntent,
    host: Host,
    driver: Driver,
    shape: Shape,
    beside: int,
    option: str,
    value: str,
) -> None:
    """``beside`` are the KiB that its hypervisor takes there."""
    empty = nodeset - host.cells_with_memory
    if empty:
        raise InputError(
            option, value, f"{_cells(empty)} {_has(empty)} no memory",
            f"give memory.cells; cells with memory are {host.cells_with_memory}",
        )  # fmt: skip
    available = host.memory_of(nodeset)
    if asked.mode in BINDING_MODES and shape.memory + beside > available:
        also = f", and its hypervisor {beside} KiB beside them," if shape.memory <= available else ""
        raise InputError(
            option, value,
            f"the domain needs {shape.memory} KiB{also} and {_cells(nodeset)} {_has(nodeset)} {available} KiB",
            f"give more cells, or memory.mode={'preferred' if driver.numatune else 'none'}",
        )  # fmt: skip


def _check_early_binding(placement: Placement, host: Host, driver: Driver, shape: Shape) -> None:
    if shape.binds_early is None or not driver.early_binding or placement.cpuset is None:
        return
    bindings = [placement.memory, *(binding for _cell, binding in placement.memnodes)]
    nodeset = union(each.nodeset for each in bindings if each is not None and not each.automatic)
    untouched = nodeset - host.cells_touched(placement.cpuset)
    if untouched:
        raise InputError(
            "memory.cells", str(nodeset),
            f"the domain has {shape.binds_early}, which QEMU can only bind on cells where it may run, and its CPU set "
            f"{placement.cpuset} has no CPU on {_cells(untouched)}",
            f"choose among {_cells(host.cells_touched(placement.cpuset))}, or add CPUs of {_cells(untouched)}",
        )  # fmt: skip


def _check_all_present(placement: Placement, driver: Driver, shape: Shape) -> None:
    """libvirt's libxl driver pins only vCPUs that a guest starts with, and Xen takes memory from the cells of all."""
    if driver.pins_each_vcpu and shape.starting_vcpus < shape.vcpus and placement.memory is not None:
        raise InputError(
            "vcpu/@current of the definition", shape.current,
            "libvirt pins only the vCPUs that the guest starts with, and Xen takes its memory from the cells of all "
            f"{shape.vcpus}",
            f"let it start with {shape.vcpus} and take some away while it runs, or give memory.mode=none",
        )  # fmt: skip


def vcpu_problem(shape: Shape, limit: CpuSet | None, called: str = "the domain's CPU set") -> Problem:
    """The rule for vCPU pins; ``limit`` None admits every CPU, and ``called`` is what the limit is."""

    def problem(number: int, cpus: CpuSet) -> tuple[str, str] | None:
        absent = shape.vcpu_absent(number)
        if absent is not None:
            return absent
        if limit is not None and not cpus <= limit:
            outside = cpus - limit
            return (
                f"{_cpus(outside)} {_is(outside)} outside {called} {limit}",
                "pin inside it, or widen it first",
            )
        return None

    return problem


def iothread_problem(shape: Shape) -> Problem:
    """The rule for IO-thread pins."""

    def problem(number: int, _cpus: CpuSet) -> tuple[str, str] | None:
        return shape.iothread_absent(number)

    return problem


def checked_pins(pins: Pins, host: Host, option: str, problem: Problem) -> Pins:
    """Pins that the user said now: every one must hold."""
    for number, cpus in pins:
        check_cpus(cpus, host, f"{option}[{number}]")
        found = problem(number, cpus)
        if found is not None:
            raise InputError(f"{option}[{number}]", str(cpus), *found)
    return pins


def _kept(pins: Pins, host: Host, option: str, rule: Callable[[CpuSet | None], Problem], region: _Region) -> Pins:
    """Pins of old: those that the new region leaves behind, or whose vCPU or IO thread is gone, are dropped."""
    # A pin once admitted outside the CPU set stays until the region moves.
    problem = rule(region.after if region.moves else None)
    kept = tuple((number, cpus) for number, cpus in pins if not problem(number, cpus) and not region.leaves(cpus))
    for number, cpus in kept:
        check_cpus(cpus, host, f"{option}[{number}] of the definition")
    return kept


def _cpus(cpus: CpuSet) -> str:
    return f"CPU {cpus}" if len(cpus) == 1 else f"CPUs {cpus}"


def _cells(cells: CpuSet) -> str:
    return f"cell {cells}" if len(cells) == 1 else f"cells {cells}"


def _is(numbers: CpuSet) -> str:
    return "is" if len(numbers) == 1 else "are"


def _has(numbers: CpuSet) -> str:
    return "has" if len(numbers) == 1 else "have"
