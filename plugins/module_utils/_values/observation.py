# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a guest is where it should be: observation against placement.

This file must not import ansible, libvirt or lxml, and must not read anything itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union

# Where an observation comes from, the surest first.
PROC = "proc"
HYPERVISOR = "hypervisor"
DEFINITION = "definition"
# What can be read of a thread besides its CPUs and cells
SCHEDULER = "scheduler"
# Who is misplaced when it is no thread
MEMORY = "the guest's memory"

# QEMU's own memory: KiB, and a part of the guest's.
_OWN_MEMORY = 64 * 1024
_OWN_PART = 32


@dataclass(frozen=True)
class Scheduler:
    """How the kernel schedules a thread: ``policy`` as libvirt calls it (or "other"), ``priority`` of 1 to 99 for
    those that have one."""

    policy: str
    priority: int | None = None

    def __str__(self) -> str:
        return self.policy if self.priority is None else f"{self.policy} {self.priority}"


@dataclass(frozen=True)
class Thread:
    """A thread of a guest's process with the CPUs and cells that the kernel lets it use. ``mems`` are cells.

    ``vcpu`` and ``iothread`` are the numbers of what it runs, None where it runs no such thing. ``of_emulator``:
    whether its place is the emulator's, and not that of whatever thread made it. ``scheduler`` is None where nobody
    has looked.
    """

    tid: int
    name: str
    cpus: CpuSet
    mems: CpuSet
    vcpu: int | None = None
    iothread: int | None = None
    of_emulator: bool = False
    scheduler: Scheduler | None = None


@dataclass(frozen=True)
class Memory:
    """Memory of one guest, which may be a process.

    ``kib`` are pairs (cell, KiB). ``policy`` is that of the largest mapping that has another than the process, or that
    of the process, as the kernel writes it: ``bind:1``, ``prefer:2``, ``interleave:0-3``, ``default``. None where there
    is no process. ``large``: triples (cell, KiB of a page, KiB) of what is in pages of more than 4 KiB.
    """

    kib: tuple[tuple[int, int], ...]
    policy: str | None = None
    large: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Observation:
    """What was read back of a running guest.

    ``vcpus`` are pairs (vCPU, CPUs it may use), ``others`` the emulator's threads and IO threads where they can be
    seen. ``source`` says whose word it is.
    """

    source: str
    vcpus: tuple[tuple[int, CpuSet], ...]
    others: tuple[Thread, ...] = ()
    memory: Memory | None = None


@dataclass(frozen=True)
class Misplaced:
    """Something that is outside its placement."""

    who: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.who} may use {self.found} instead of {self.expected}"


def observation_of(threads: Iterable[Thread], memory: Memory | None) -> Observation:
    """What the threads and pages of a process say."""
    all_threads = tuple(threads)
    vcpus = {thread.vcpu: thread.cpus for thread in all_threads if thread.vcpu is not None}
    return Observation(PROC, tuple(sorted(vcpus.items())), all_threads, memory)


def observation_as_result(observation: Observation | None) -> dict[str, Any] | None:
    """What RV(actual) documents."""
    if observation is None:
        return None
    others = [thread for thread in observation.others if thread.vcpu is None]
    emulator = union(thread.cpus for thread in others if thread.of_emulator)
    mems = union(thread.mems for thread in observation.others)
    memory = observation.memory
    return {
        "source": observation.source,
        "vcpus": {str(vcpu): str(cpus) for vcpu, cpus in observation.vcpus},
        "emulator": str(emulator) if emulator else None,
        "iothreads": {str(each.iothread): str(each.cpus) for each in others if each.iothread is not None},
        "memory_cells": str(mems) if mems else None,
        "memory_policy": memory.policy if memory is not None else None,
        "memory": {str(cell): kib for cell, kib in memory.kib} if memory is not None else None,
    }


def own_memory(observation: Observation | None, away: CpuSet, kib: int) -> int:
    """KiB on the cells ``away`` that may be QEMU's own, of a guest with ``kib``: only a cgroup binds those.

    0 where Xen says it, or where no thread may take memory there: what lies there was the guest's before.
    """
    if observation is None or observation.source != PROC:
        return 0
    allowed = union(thread.mems for thread in observation.others)
    if allowed and not allowed & away:
        return 0
    return max(_OWN_MEMORY, kib // _OWN_PART)


def policy_cells(policy: str | None) -> CpuSet | None:
    """The cells of a binding policy such as ``bind:1`` or ``bind=static:0-1``; None for others."""
    name, _colon, cells = (policy or "").partition(":")
    return CpuSet.parse(cells) if name.split("=")[0] == "bind" and cells else None
