# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests that get into each other's way: dedicated CPUs, their siblings, reserved and isolated CPUs, and too many on
one cell.

Guests are never compared pair by pair: CPUs know who is on them.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ansible_collections.numa.virt.plugins.module_utils._findings.codes import INFO, LIVE, REDEFINE, RESTART, WARNING
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import (
    Finding,
    cells_text,
    cpus_text,
    few,
    finding,
    is_are,
)
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View, helper_sets
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    UNIT,
    bits,
    either,
    weight,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet


def find_conflicts(view: View) -> Iterator[Finding]:
    owners: dict[int, list[Seen]] = {}
    for seen in view.dedicated:
        for cpu in bits(seen.dedicated):
            owners.setdefault(cpu, []).append(seen)
    yield from _twice(view, owners)
    yield from _siblings(view, owners)
    yield from _shared(view, owners)
    yield from _reserved(view)
    yield from _isolated(view)
    yield from _unrestricted(view)
    yield from _overcommitted(view)


def _twice(view: View, owners: dict[int, list[Seen]]) -> Iterator[Finding]:
    """CPUs with the same owners together. Guests that never ran at once may be spares of each other."""
    groups: dict[tuple[str, ...], tuple[list[Seen], int]] = {}
    for cpu, guests in sorted(owners.items()):
        if len(guests) > 1:
            key = tuple(each.name for each in guests)
            groups[key] = guests, groups.get(key, (guests, 0))[1] | 1 << cpu
    for names, (guests, mask) in groups.items():
        cpus = CpuSet.from_mask(mask)
        running = sum(each.running for each in guests)
        message = f"{cpus_text(cpus)} {_belong(cpus)} to this guest alone, and to {few(names[1:])} as well"
        if running < 2:
            message += "; they do not run at once now"
        yield finding(
            "cpu_dedicated_twice", names[0], message,
            "pin one of them elsewhere: run numa_placement with policy=dedicated for all of them, or vcpu_pin for one",
            others=names[1:], cells=view.cells_on(mask), cpus=cpus,
            numbers={"cpus": len(cpus), "guests": len(guests), "running": running},
            severity=None if running > 1 else WARNING, fix=_pin_fix(guests),
        )  # fmt: skip


def _siblings(view: View, owners: dict[int, list[Seen]]) -> Iterator[Finding]:
    """Threads of one core that two dedicated guests have, where one of them did not agree to that.

    A policy with smt=prefer agrees. CPUs that two guests have at once are said already.
    """
    found: dict[str, tuple[Seen, dict[str, Seen], int]] = {}

    def add(victim: Seen, other: Seen, mask: int) -> None:
        _victim, others, before = found.setdefault(victim.name, (victim, {}, 0))
        others[other.name] = other
        found[victim.name] = victim, others, before | mask

    for core in sorted({view.capacity.core_of.get(cpu, 1 << cpu) for cpu in owners}):
        there = [(cpu, owners[cpu][0]) for cpu in bits(core) if len(owners.get(cpu, ())) == 1]
        guests = sorted({seen.name: seen for _cpu, seen in there}.values(), key=lambda each: each.name)
        victims = [seen for seen in guests if _minds(seen)]
        if len(guests) > 1 and victims:
            for cpu, seen in there:
                if seen is not victims[0]:
                    add(victims[0], seen, 1 << cpu)
    # What a policy promised to leave idle, used by guests that share.
    idle: dict[int, list[Seen]] = {}
    for seen in view.dedicated:
        for cpu in bits(seen.owned & ~seen.dedicated):
            idle.setdefault(cpu, []).append(seen)
    for seen, cpu in _users(view, idle):
        for victim in idle[cpu]:
            add(victim, seen, 1 << cpu)
    for _name, (victim, others, mask) in sorted(found.items()):
        cpus, names = CpuSet.from_mask(mask), sorted(others)
        verb = "is a sibling" if len(cpus) == 1 else "are siblings"
        message = f"{cpus_text(cpus)} {verb} of CPUs that this guest has alone, and {few(names)} may run there"
        yield finding(
            "sibling_shared", victim.name, message,
            "give it whole cores: run numa_placement with policy=dedicated and smt=require or smt=isolate",
            others=names, cells=view.cells_on(mask), cpus=cpus, numbers={"cpus": len(cpus), "guests": len(names)},
            severity=None if victim.running and any(each.running for each in others.values()) else INFO,
            fix=_pin_fix([victim, *others.values()]),
        )  # fmt: skip


def _minds(seen: Seen) -> bool:
    return seen.wish is None or seen.wish.smt != "prefer"


def _users(view: View, wanted: dict[int, list[Seen]]) -> Iterator[tuple[Seen, int]]:
    """Guests that share and are held to some CPUs, and those of them that are wanted here."""
    mask = sum(1 << cpu for cpu in wanted)
    for seen in view.guests:
        if not seen.dedicated and not seen.unknown and not seen.free:
            for cpu in bits(seen.reach & mask):
                yield seen, cpu


def _shared(view: View, owners: dict[int, list[Seen]]) -> Iterator[Finding]:
    """CPUs that a policy promised to one guest, and that guests which share may use. Pins alone promise nothing."""
    promised = {cpu: [each for each in guests if each.owned] for cpu, guests in owners.items()}
    found: dict[str, tuple[Seen, dict[str, Seen], int]] = {}
    for seen, cpu in _users(view, {cpu: guests for cpu, guests in promised.items() if guests}):
        for victim in promised[cpu]:
            _victim, others, before = found.setdefault(victim.name, (victim, {}, 0))
            others[seen.name] = seen
            found[victim.name] = victim, others, before | 1 << cpu
    for _name, (victim, others, mask) in sorted(found.items()):
        cpus, names = CpuSet.from_mask(mask), sorted(others)
        message = f"{cpus_text(cpus)} {_belong(cpus)} to this guest alone, and {few(names)} may run there"
        running = victim.running and any(each.running for each in others.values())
        yield finding(
            "dedicated_shared", victim.name, message,
            f"run numa_placement for {few(names)}, which gives them other CPUs",
            others=names, cells=view.cells_on(mask), cpus=cpus, numbers={"cpus": len(cpus), "guests": len(names)},
            severity=None if running else WARNING, fix=_pin_fix(others.values()),
        )  # fmt: skip


def _reserved(view: View) -> Iterator[Finding]:
    reserved = view.facts.rules.reserved_cpus.mask
    for seen in view.dedicated:
        mask = seen.dedicated & reserved
        if mask:
            cpus = CpuSet.from_mask(mask)
            message = (
                f"{cpus_text(cpus)} {_belong(cpus)} to this guest alone, and reserved_cpus keeps them for the host"
            )
            yield finding(
                "dedicated_on_reserved", seen.name, message,
                "run numa_placement for it with the same reserved_cpus, or pin it elsewhere with vcpu_pin",
                cells=view.cells_on(mask), cpus=cpus, numbers={"cpus": len(cpus)}, fix=view.pin_fix(seen),
            )  # fmt: skip


def _isolated(view: View) -> Iterator[Finding]:
    """Guests that share, held to several CPUs of which some are isolated: a thread stays where it happened to start.

    A thread with one CPU needs no balance, and one that nothing holds libvirt keeps off isolated CPUs (from 10.4 on).
    Those that the rules share are shared on purpose.
    """
    told = view.facts.rules.shared_cpus
    isolated = view.host.isolated.mask & view.host.online.mask & ~(told.mask if told is not None else 0)
    for seen in view.guests if isolated else ():
        if seen.dedicated or seen.unknown:
            continue
        sets = [("its vCPUs", seen.sets[vcpu]) for vcpu in sorted(seen.held)]
        sets += [(who, cpus.mask & view.host.online.mask) for who, cpus in helper_sets(seen.said)]
        loose = [(who, mask) for who, mask in sets if mask & isolated and mask & (mask - 1)]
        if not loose:
            continue
        who, mask = loose[0][0], either(each for _who, each in loose)
        cpus = CpuSet.from_mask(mask & isolated)
        verb = "runs" if who.startswith("IO") else "run"
        message = (
            f"{who} {verb} on {cpus_text(CpuSet.from_mask(mask))}, of which {cpus} {is_are(cpus)} isolated: the kernel "
            "moves no thread between those by itself"
        )
        yield finding(
            "isolated_shared", seen.name, message,
            "run numa_placement for it, which gives it other CPUs, or pin each of its vCPUs to one CPU with vcpu_pin",
            cells=view.cells_on(cpus.mask), cpus=cpus, numbers={"cpus": len(cpus)},
            severity=None if seen.running else INFO, fix=view.pin_fix(seen),
        )  # fmt: skip


def _unrestricted(view: View) -> Iterator[Finding]:
    """Guests that may run everywhere where some have CPUs of their own; of a cpupool where that has such CPUs."""
    names = tuple(each.name for each in view.dedicated)
    for seen in view.guests:
        mask = view.all_dedicated & seen.reach if seen.free else 0
        if not mask:
            continue
        if len(seen.host.pools) > 1:
            names = tuple(each.name for each in view.dedicated if each.dedicated & mask)
        cpus = CpuSet.from_mask(mask)
        alone = "has" if len(names) == 1 else "have"
        message = f"nothing in its definition keeps it off {cpus_text(cpus)}, which {few(names)} {alone} alone"
        remedy = "place it with numa_placement (policy=pack or spread), or keep it off with shared_cpus there"
        yield finding(
            "unrestricted_beside_dedicated", seen.name, message, remedy,
            others=names, cells=view.cells_on(mask), cpus=cpus,
            numbers={"cpus": len(cpus), "guests": len(names)},
            severity=None if seen.running and view.all_owned & mask else INFO, fix=view.pin_fix(seen),
        )  # fmt: skip


def _overcommitted(view: View) -> Iterator[Finding]:
    """Cells whose shared CPUs are too few for the running vCPUs that may run nowhere else.

    A guest that may go to another cell is not counted: whether it is there nobody knows. Nor is one that can use none
    of the shared CPUs; isolated ones that a guest may use all the same it has beside them.
    """
    capacity = view.capacity
    load, vcpus = [0] * len(capacity.ids), [0] * len(capacity.ids)
    beside = [0] * len(capacity.ids)
    there: list[list[str]] = [[] for _cell in capacity.ids]
    for seen in view.guests:
        if not seen.running or seen.owned or seen.unknown:
            continue
        ratio = seen.wish.cpu_ratio if seen.wish is not None else None
        held: Counter[int] = Counter()
        # A guest that nobody placed weighs nothing where nothing holds it, on a host with one cell too.
        counted = [vcpu for vcpu in seen.present if vcpu in seen.held or not seen.free]
        for mask, number in Counter(seen.sets[vcpu] for vcpu in counted).items():
            cells = capacity.cells_of(mask)
            if cells and not cells & (cells - 1) and (capacity.derived or mask & capacity.all_shared):
                held[cells.bit_length() - 1] += number
                beside[cells.bit_length() - 1] |= mask & capacity.isolated if capacity.by_isolation else 0
        for cell, number in held.items():
            load[cell] += weight(number, ratio if ratio is not None else capacity.rules.cpu_ratio)
            vcpus[cell] += number
            there[cell].append(seen.name)
    for cell, cell_id in enumerate(capacity.ids):
        cpus = CpuSet.from_mask((capacity.shared[cell] | beside[cell]) & ~view.all_owned)
        if load[cell] > UNIT * len(cpus):
            need = round(load[cell] / UNIT, 2)
            where = CpuSet([cell_id])
            message = (
                f"{cells_text(where)} has {len(cpus)} CPUs for guests that share, and {vcpus[cell]} vCPUs that may run "
                f"nowhere else, for which {need:g} are due"
            )
            yield finding(
                "cell_overcommitted", None, message,
                "run numa_placement with rebalance=true, which moves some to other cells, or allow a higher cpu_ratio",
                others=there[cell], cells=where, cpus=cpus,
                numbers={"vcpus": vcpus[cell], "cpus": len(cpus), "cpus_due": need},
                fix=LIVE if "strict" in view.driver.live_nodeset else RESTART,
            )  # fmt: skip


def _pin_fix(guests: Iterable[Seen]) -> str:
    return LIVE if any(each.running for each in guests) else REDEFINE


def _belong(cpus: CpuSet) -> str:
    return "belongs" if len(cpus) == 1 else "belong"
