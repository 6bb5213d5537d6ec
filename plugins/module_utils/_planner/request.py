# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the planner is told: the requests, the guests that are there, and the host's rules.

CPUs and cells are those of the host unless a name says vCPU or guest cell; sizes are KiB.
This file must not import ansible, libvirt or lxml, and must not decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.registry import OfPolicy
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell, InPages
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement, Shape

SMT = ("prefer", "require", "isolate")
CACHE_RULES = ("prefer", "require", "ignore")
DEVICE_RULES = ("require", "prefer", "ignore")
EMULATOR = ("share", "isolate")


# vCPUs for each shared CPU: what lies outside is a typing error, and near 0 or infinity no number any more.
MIN_RATIO, MAX_RATIO = 0.001, 1_000_000


# What the kernel, its caches and the host's services need of a cell: a part of its ordinary memory, up to so many KiB.
RESERVED_PART, MOST_RESERVED = 32, 2 << 20


def usual_reserve(ordinary: int) -> int:
    """KiB that no guest gets of a cell with CPUs, where no rule says how much, of its ``ordinary`` ones."""
    return min(ordinary // RESERVED_PART, MOST_RESERVED)


def check_ratio(ratio: float, option: str) -> None:
    """Raises InputError."""
    if not ratio > 0:
        raise InputError(option, ratio, "is not a ratio", "give a number above 0, such as 4")
    if not MIN_RATIO <= ratio <= MAX_RATIO:
        raise InputError(option, ratio, "is not a ratio", f"give one from {MIN_RATIO} to {MAX_RATIO}, such as 4")


@dataclass(frozen=True)
class Request(OfPolicy, InPages):
    """One guest to place.

    ``cells``: the cells that it may use; one cell is a fixed cell. ``page_size``: KiB of the huge pages that hold its
    memory, or most of it; None for ordinary memory. ``other_pages``: what it needs beside that, and its
    ``guest_cells`` have of each size together. ``binds_early``: its memory is touched before it runs (preallocation),
    so that each of its memory cells needs one of its CPUs; huge pages imply it. ``devices``: names or PCI addresses of
    host devices, as Host.device_cells has them. ``together``, ``apart``: groups whose members share one cell, or no
    cell. ``cpu_ratio``: a shared vCPU weighs 1/ratio CPU; None takes the host's. ``priority``: higher is placed first.
    ``smt``, ``cache``, and ``emulator`` other than "share" or a CPU set, are for guests with CPUs of their own.
    ``cache``: whether those of one cell have to share a last-level cache, shall where they can, or need not.
    ``emulator`` None says that emulator threads cannot be pinned here. ``iothreads`` are the CPUs of its IO threads,
    None for those of the emulator. ``threads``: vCPUs of one core, as the guest is told: vCPUs 0 to ``threads`` - 1,
    and so on. ``own_cpus`` gives a ``mirror`` guest CPUs of its own; for the other policies it follows from the
    policy. ``guest_cells`` are those the definition has; ``width`` is the number that a mirrored guest shall have, by
    default as many as hold it. ``emulator_pin`` and ``iothread_pins`` are where these threads are pinned already,
    ``pinned_by_user`` whether that is not of the place that it has. ``realtime`` says that a vCPU has a scheduler that
    leaves its CPU to no other thread. ``overhead`` is spread over its cells.
    """

    name: str
    vcpus: int
    memory: int
    policy: str = "pack"
    cells: CpuSet | None = None
    page_size: int | None = None
    other_pages: tuple[tuple[int | None, int], ...] = ()
    binds_early: bool = False
    devices: tuple[str, ...] = ()
    device_rule: str = "prefer"
    together: str | None = None
    apart: str | None = None
    cpu_ratio: float | None = None
    priority: int = 0
    smt: str = "prefer"
    emulator: str | CpuSet | None = "share"
    iothreads: CpuSet | None = None
    own_cpus: bool = False
    guest_cells: tuple[GuestCell, ...] = ()
    width: int | None = None
    cache: str = "prefer"
    threads: int = 1
    emulator_pin: CpuSet | None = None
    iothread_pins: CpuSet = EMPTY
    pinned_by_user: bool = False
    realtime: bool = False
    overhead: int = 0

    @property
    def owns_cpus(self) -> bool:
        """Whether no other guest may use its CPUs."""
        return self.placed_by.owns_cpus(self.own_cpus)

    @property
    def cpus_needed(self) -> int:
        """CPUs of its own: one for each vCPU, and one for an isolated emulator."""
        return self.vcpus + (self.emulator == "isolate")

    @property
    def early(self) -> bool:
        return self.binds_early or self.page_size is not None or bool(self.other_pages)


@dataclass(frozen=True)
class Existing(InPages):
    """A guest that is on the host, managed or not, by its real pins.

    ``vcpu_cpus``: an element for each vCPU, None where it may run anywhere. ``helpers``: CPUs to which its IO threads
    are pinned. ``nodeset``: cells that its memory is bound to, None where nothing binds it. ``memory_on``: triples
    (cells, KiB of a page, KiB) where more is known of its memory: where it was measured, or what each of its cells is
    bound to. ``memnodes``: pairs (guest cell, cell) of its definition. ``wish``: what it was placed for, where this
    collection placed it; a request of the same name takes its place. ``held``: triples (cell, KiB of a page, KiB) where
    its memory lies until it ends, wherever its definition binds it; empty where it does not run, or is restarted.
    """

    name: str
    vcpu_cpus: tuple[CpuSet | None, ...]
    memory: int
    emulator: CpuSet | None = None
    helpers: CpuSet = EMPTY
    nodeset: CpuSet | None = None
    page_size: int | None = None
    other_pages: tuple[tuple[int | None, int], ...] = ()
    memory_on: tuple[tuple[CpuSet, int | None, int], ...] = ()
    memnodes: tuple[tuple[int, int], ...] = ()
    wish: Request | None = None
    held: tuple[tuple[int, int | None, int], ...] = ()
    overhead: int = 0

    @classmethod
    def of(
        cls,
        shape: Shape,
        placement: Placement,
        page_size: int | None = None,
        wish: Request | None = None,
        bound: CpuSet = EMPTY,
    ) -> Existing:
        """From what is read of every domain. A memory mode that only prefers its cells counts as binding to them.

        ``bound`` are cells to which memory is bound by anything else than numatune.
        """
        helpers = EMPTY
        for thread in shape.iothreads:
            helpers = helpers | (placement.of_iothread(thread) or EMPTY)
        bindings = [placement.memory, *(binding for _cell, binding in placement.memnodes)]
        nodes = bound
        for binding in bindings:
            nodes = nodes | (binding.nodeset if binding is not None else EMPTY)
        return cls(
            name=shape.name,
            vcpu_cpus=tuple(placement.of_vcpu(vcpu) for vcpu in shape.present),
            memory=shape.memory,
            emulator=placement.of_emulator,
            helpers=helpers,
            nodeset=nodes or None,
            page_size=page_size,
            memnodes=tuple(
                (cell, next(iter(binding.nodeset))) for cell, binding in placement.memnodes if len(binding.nodeset) == 1
            ),
            wish=wish,
        )


@dataclass(frozen=True)
class Rules:
    """What holds for the whole host.

    ``reserved_cpus``: no guest runs there. ``reserved_memory``: pairs (cell, KiB), and with ``reserves`` what
    usual_reserve() says of the cells that have none; ``reserved_pages``: triples (cell, KiB of a page, number).
    ``reserved_cells``: cells of which no guest has CPUs or memory unless its ``cells`` name them. ``shared_cpus`` and
    ``dedicated_cpus`` never overlap; where one is given the other is the rest, where none is given a CPU belongs to
    whom it is given first; of isolated CPUs see Capacity. ``cpu_ratio``: vCPUs for each shared CPU, where a request
    says nothing.
    """

    reserved_cpus: CpuSet = EMPTY
    reserved_memory: tuple[tuple[int, int], ...] = ()
    reserved_pages: tuple[tuple[int, int, int], ...] = ()
    shared_cpus: CpuSet | None = None
    dedicated_cpus: CpuSet | None = None
    cpu_ratio: float = 1.0
    reserved_cells: CpuSet = EMPTY
    reserves: bool = False


@dataclass(frozen=True)
class Options:
    """``rebalance`` allows to move guests that have a valid place; ``max_moves`` None sets no limit on moves.

    Without ``even_out`` that is only to mend what is wrong, not to level cells or to empty one. ``partial``: a guest
    that this host could never hold is rejected as one is that does not fit now, and is no error.
    """

    rebalance: bool = False
    max_moves: int | None = None
    even_out: bool = True
    partial: bool = False
