# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a definition names of its host by a number, in an element that nobody here changes.

Such a number means what it meant only as long as the guest stays where it was.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

CACHE, BANDWIDTH = "cache", "bandwidth"


@dataclass(frozen=True)
class Kept:
    """A part of the host that some vCPUs were given: CACHE number ``id`` of a ``level``, or BANDWIDTH of that number.

    ``element`` is its path in the definition.
    """

    element: str
    kind: str
    vcpus: CpuSet
    id: int
    level: int = 0

    def __str__(self) -> str:
        return f"level {self.level} cache {self.id}" if self.kind == CACHE else f"memory bandwidth of node {self.id}"


@dataclass(frozen=True)
class Away:
    """One that none of its vCPUs can use: they run on ``cpus``, it ``serves`` others, or none where it is not there.

    ``near`` are the numbers of those that serve their CPUs. ``others`` says that another one of the same element does.
    """

    kept: Kept
    cpus: CpuSet
    serves: CpuSet
    near: CpuSet
    others: bool = False

    def __str__(self) -> str:
        serves = f"serves {_cpus(self.serves)}" if self.serves else "is not there"
        vcpus = f"vCPU {self.kept.vcpus} runs" if len(self.kept.vcpus) == 1 else f"vCPUs {self.kept.vcpus} run"
        return f"{self.kept.element} is about {self.kept}, which {serves}, and {vcpus} on {_cpus(self.cpus)}"

    @property
    def mend(self) -> str:
        """What would mend it, as an order to whoever writes the definition."""
        near = " or ".join(str(number) for number in self.near)
        out = "take it out of its definition (virsh edit)"
        return f"give {near} as its id, or {out}" if near and not self.others else out


def away(kept: Iterable[Kept], host: Host, sets: Mapping[int, CpuSet | None]) -> list[Away]:
    """Those that none of their vCPUs can use, where the host says which CPUs they serve.

    ``sets`` are the CPUs of the vCPUs that count, None for every CPU.
    """
    found = []
    used = set()
    for each in kept:
        served = _served(host, each)
        own = [sets[vcpu] for vcpu in each.vcpus if vcpu in sets]
        cpus = union(host.online if one is None else one & host.online for one in own)
        serves = served.get(each.id, EMPTY)
        if not served or not cpus or (each.id in served and not serves):
            continue
        if serves & cpus:
            used.add(_group(each))
        else:
            near = CpuSet(number for number, others in served.items() if others & cpus)
            found.append(Away(each, cpus, serves, near))
    return [replace(each, others=_group(each.kept) in used) for each in found]


def _group(kept: Kept) -> tuple[object, ...]:
    return kept.kind, kept.level, kept.vcpus


def _served(host: Host, kept: Kept) -> dict[int, CpuSet]:
    """Number -> CPUs of all of its kind; empty where the host tells of none."""
    found: dict[int, CpuSet] = {}
    if kept.kind == CACHE:
        for bank in host.caches:
            if bank.level == kept.level:
                found[bank.id] = found.get(bank.id, EMPTY) | bank.cpus
    else:
        found = {node.id: node.cpus for node in host.bandwidth}
    return found


def _cpus(cpus: CpuSet) -> str:
    return f"CPU {cpus}" if len(cpus) == 1 else f"CPUs {cpus}"
