# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finer pins of one domain: what vcpu_pin asks for, laid over what is there.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._intent.options import intent_from_options
from ansible_collections.numa.virt.plugins.module_utils._intent.resolve import (
    check_cpus,
    checked_pins,
    iothread_problem,
    vcpu_problem,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    BINDING_MODES,
    Intent,
    Pins,
    Placement,
    Shape,
    pins_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


@dataclass(frozen=True)
class PinWish:
    """Pins to set and pins to take away. ``emulator_absent`` takes the emulator's away."""

    vcpus: Pins = ()
    iothreads: Pins = ()
    emulator: CpuSet | None = None
    vcpus_absent: CpuSet = EMPTY
    iothreads_absent: CpuSet = EMPTY
    emulator_absent: bool = False

    @property
    def vcpu_numbers(self) -> CpuSet:
        return CpuSet(number for number, _cpus in self.vcpus) | self.vcpus_absent

    @property
    def iothread_numbers(self) -> CpuSet:
        return CpuSet(number for number, _cpus in self.iothreads) | self.iothreads_absent

    @property
    def about_emulator(self) -> bool:
        return self.emulator is not None or self.emulator_absent


def wish_from_options(options: Mapping[str, Any]) -> PinWish:
    """Options ``pins``, ``emulator_cpuset``, ``iothread_pins`` and ``state``. Raises InputError."""
    nothing = all(options.get(name) in (None, {}, []) for name in ("pins", "iothread_pins"))
    if nothing and options.get("emulator_cpuset") is None:
        raise InputError("pins", None, "there is nothing to pin", "give pins, emulator_cpuset or iothread_pins")
    if options.get("state") == "absent":
        return PinWish(
            vcpus_absent=_numbers(options.get("pins"), "pins"),
            iothreads_absent=_numbers(options.get("iothread_pins"), "iothread_pins"),
            emulator_absent=options.get("emulator_cpuset") is not None,
        )
    for name in ("pins", "iothread_pins"):
        if options.get(name) is not None and not isinstance(options.get(name), dict):
            raise InputError(name, options.get(name), "is not a dictionary", "write {'0': '4', '1-3': '5-7'}")
    intent = intent_from_options(
        {
            "vcpu_pins": options.get("pins"),
            "emulator_cpuset": options.get("emulator_cpuset"),
            "iothread_pins": options.get("iothread_pins"),
        },
        {"vcpu_pins": "pins"},
    )
    return PinWish(intent.vcpu_pins or (), intent.iothread_pins or (), intent.emulator)


def check_wish(wish: PinWish, own: Placement, host: Host, driver: Driver, shape: Shape, allow_outside: bool) -> None:
    """Whether the wish can be met by a domain whose placement is ``own``. Raises InputError or UnsupportedError."""
    driver.check(Intent(emulator=wish.emulator, iothread_pins=wish.iothreads))
    limit = None if allow_outside else own_cpus(own, host)
    called = "the domain's CPU set" if own.cpuset is not None else "its memory's cells, CPUs"
    checked_pins(wish.vcpus, host, "pins", vcpu_problem(shape, limit, called))
    checked_pins(wish.iothreads, host, "iothread_pins", iothread_problem(shape))
    for numbers, option, problem in (
        (wish.vcpus_absent, "pins", vcpu_problem(shape, None)),
        (wish.iothreads_absent, "iothread_pins", iothread_problem(shape)),
    ):
        for number in numbers:
            found = problem(number, EMPTY)
            if found is not None:
                raise InputError(option, str(number), *found)
    if wish.emulator is not None:
        check_cpus(wish.emulator, host, "emulator_cpuset")


def own_cpus(placement: Placement, host: Host) -> CpuSet | None:
    """The CPUs that a domain's pins should stay inside: its CPU set, or those of the cells that hold its memory."""
    if placement.cpuset is not None:
        return placement.cpuset
    memory = placement.memory
    if memory is not None and memory.mode in BINDING_MODES and memory.nodeset:
        return host.cpus_of(memory.nodeset) or None
    return None


def overlay(placement: Placement, wish: PinWish) -> Placement:
    """The placement with the wish carried out; what it does not mention stays."""
    return replace(
        placement,
        vcpu_pins=_overlaid(placement.vcpu_pins, wish.vcpus, wish.vcpus_absent),
        iothread_pins=_overlaid(placement.iothread_pins, wish.iothreads, wish.iothreads_absent),
        emulator=None if wish.emulator_absent else (wish.emulator if wish.emulator is not None else placement.emulator),
    )


def overlay_intent(intent: Intent | None, placement: Placement, wish: PinWish) -> Intent:
    """The intent after the wish: ``placement`` is the one that holds then. What was pinned by hand becomes meant."""
    intent = intent or Intent()
    return replace(
        intent,
        vcpu_pins=placement.vcpu_pins if wish.vcpu_numbers else intent.vcpu_pins,
        iothread_pins=placement.iothread_pins if wish.iothread_numbers else intent.iothread_pins,
        emulator=placement.emulator if wish.about_emulator else intent.emulator,
    )


def _overlaid(pins: Pins, new: Pins, absent: CpuSet) -> Pins:
    result = {number: cpus for number, cpus in pins if number not in absent}
    result.update(new)
    return pins_of(result)


def _numbers(option: Any, name: str) -> CpuSet:
    """For state=absent: numbers as text, list, or the keys of a dictionary."""
    if option is None or option in ([], {}):
        return CpuSet()
    keys = list(option) if isinstance(option, (dict, list)) else [option]
    numbers = [CpuSet.coerce(key, name) for key in keys]
    if not all(numbers):
        raise InputError(name, option, "names nothing that could have a pin", "give numbers, such as '0-3'")
    return union(numbers)
