# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Threads of a guest's cores on threads of the host's: which vCPU gets which of the guest's CPUs.

A guest that is told of cores with several threads schedules as if vCPUs of one core shared one. As libvirt numbers
them the vCPUs of a core follow one another. Where a core of the guest has more threads than one of the host it goes on
as few cores as hold it.
This file must not import ansible, libvirt or lxml, and must not choose CPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import ISOLATE, SHARED, Capacity, Guest, bits

Core = Sequence[int]


def keeps_cores(guest: Guest) -> bool:
    """Whether the guest's cores are to be looked at: one that wants cores for itself has asked for them apart."""
    return guest.request.threads > 1 and guest.kind not in (SHARED, ISOLATE)


def unit_of(threads: int, host_threads: int) -> int:
    """How many of a guest's CPUs are best taken of one core at once: 1 where its cores do not fit the host's."""
    if host_threads % threads and threads % host_threads:
        return 1
    return min(threads, host_threads)


def cores_of(vcpus: Iterable[int], threads: int) -> list[list[int]]:
    """The vCPUs of each core of the guest."""
    return [list(core) for _number, core in groupby(sorted(vcpus), key=lambda vcpu: vcpu // threads)]


def seat(capacity: Capacity, cores: Sequence[Core], cpus: Iterable[int]) -> tuple[dict[int, int], list[int]]:
    """The CPU of each vCPU, with as many of the guest's cores together as may be, and the CPUs that are left.

    It does not depend on the order of the CPUs, so that the same CPUs are always divided alike.
    """
    free: dict[int, list[int]] = {}
    for cpu in sorted(cpus):
        free.setdefault(capacity.core_of[cpu], []).append(cpu)
    size = max(capacity.threads[_cell_of(capacity, core)] for core in free)
    pieces = [core[at : at + size] for core in cores for at in range(0, len(core), size)]
    found: dict[int, int] = {}
    left: list[int] = []
    # The largest first: those of one size are all alike to a core of the host.
    for piece in sorted(pieces, key=lambda each: (-len(each), each)):
        own = next((each for each in free.values() if len(each) >= len(piece)), None)
        if own is None:
            left += piece
            continue
        found.update(zip(piece, own))
        del own[: len(piece)]
    rest = [cpu for own in sorted(free.values(), key=len, reverse=True) for cpu in own]
    found.update(zip(sorted(left), rest))
    return found, sorted(rest[len(left) :])


def apart(capacity: Capacity, cores: Sequence[Core], cpus: Mapping[int, int]) -> list[Core]:
    """The guest's cores that lie on more cores of the host than need be. ``cpus``: the one CPU of each vCPU."""
    found = []
    for core in cores:
        there = {capacity.core_of[cpus[vcpu]] for vcpu in core}
        size = max(capacity.threads[_cell_of(capacity, each)] for each in there)
        if len(there) > -(-len(core) // size):
            found.append(core)
    return found


def broken_cores(
    capacity: Capacity, cpus: Mapping[int, int], threads: int, by_cell: bool = False
) -> tuple[list[Core], int]:
    """The guest's cores that come apart, and how many have to with these CPUs. ``cpus``: the one of each vCPU;
    ``by_cell``: cells of the guest cut its cores."""
    parts: dict[int, list[int]] = {}
    for vcpu, cpu in cpus.items():
        parts.setdefault(capacity.cells_of(1 << cpu) if by_cell else 0, []).append(vcpu)
    found: list[Core] = []
    least = 0
    for vcpus in parts.values():
        cores = cores_of(vcpus, threads)
        found += apart(capacity, cores, cpus)
        least += len(apart(capacity, cores, seat(capacity, cores, [cpus[vcpu] for vcpu in vcpus])[0]))
    return found, least


def spare(capacity: Capacity, threads: int, cells: Mapping[int, Sequence[int]]) -> int:
    """The CPU that a guest misses least, of CPUs by cell: one that no core of its needs, of the cell with the most."""
    best: tuple[object, ...] = ()
    chosen = -1
    for cell, cpus in cells.items():
        unit = unit_of(threads, capacity.threads[cell])
        sizes: dict[int, int] = {}
        for cpu in cpus:
            sizes[capacity.core_of[cpu]] = sizes.get(capacity.core_of[cpu], 0) + 1
        for at, cpu in enumerate(cpus):
            # No cell is left without a vCPU.
            key = (len(cpus) > 1, sizes[capacity.core_of[cpu]] % unit > 0, len(cpus), -cell, at)
            if not best or key > best:
                best, chosen = key, cpu
    return chosen


def _cell_of(capacity: Capacity, core: int) -> int:
    return next(bits(capacity.cells_of(core)))
