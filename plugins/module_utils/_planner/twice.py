# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a CPU of a guest with CPUs of its own was given to another guest all the same, by somebody with another lock.

A plan is right for the host that it was made for. What it knew (a guest that may run anywhere, one that stays on its
old CPUs until its restart) is no news; what came since is.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union


@dataclass(frozen=True)
class GivenTwice:
    """CPUs that two guests have, of which at least ``guests[0]`` should have them alone."""

    guests: tuple[str, str]
    cpus: CpuSet

    def __str__(self) -> str:
        return f"CPUs {self.cpus} of {self.guests[0]!r} are also {self.guests[1]!r}'s"


def foreseen(before: Sequence[Existing], placed: Sequence[Placed], online: CpuSet) -> dict[str, CpuSet]:
    """Guest -> CPUs that it had when the plan was made, or got by it."""
    found = {each.name: _used(each, online) for each in before}
    for each in placed:
        own = each.cpuset | each.owned | (each.emulator or EMPTY)
        found[each.name] = found.get(each.name, EMPTY) | own
    return found


def given_twice(
    now: Sequence[Existing], ours: Collection[str], known: Mapping[str, CpuSet], online: CpuSet
) -> tuple[GivenTwice, ...]:
    """What guests of ``ours`` share now, and should not, and the plan could not know. In the order of names."""
    guests = sorted(now, key=lambda each: each.name)
    # Of an owner what its vCPUs run on; its other threads may share.
    has = [_alone(each) if _owns(each) else _used(each, online) for each in guests]
    owners = [at for at, each in enumerate(guests) if _owns(each)]
    owned = union(has[at] for at in owners)
    of_cpu: dict[int, list[int]] = {}
    for at, cpus in enumerate(has):
        for cpu in cpus & owned:
            of_cpu.setdefault(cpu, []).append(at)
    # Pairs of guests, an owner among them, that meet on a CPU: few, where all others do not have to be compared.
    pairs = {
        (min(at, other), max(at, other)) for at in owners for cpu in has[at] for other in of_cpu[cpu] if other != at
    }
    found = []
    for first, second in sorted(pairs):
        one, other = guests[first], guests[second]
        if one.name not in ours and other.name not in ours:
            continue
        cpus = (has[first] & has[second]) - (known.get(one.name, EMPTY) & known.get(other.name, EMPTY))
        if cpus:
            found.append(GivenTwice((one.name, other.name) if _owns(one) else (other.name, one.name), cpus))
    return tuple(found)


def _owns(guest: Existing) -> bool:
    return guest.wish is not None and guest.wish.owns_cpus


def _alone(guest: Existing) -> CpuSet:
    """The CPUs of an owner's vCPUs."""
    found = EMPTY
    for cpus in guest.vcpu_cpus:
        found = found | (cpus or EMPTY)
    return found


def _used(guest: Existing, online: CpuSet) -> CpuSet:
    """Where a guest is pinned to. Threads that may run anywhere are nobody's news."""
    found = EMPTY
    for cpus in (*guest.vcpu_cpus, guest.emulator, guest.helpers):
        if cpus is not None and not online <= cpus:
            found = found | cpus
    return found
