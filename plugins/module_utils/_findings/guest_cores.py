# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cores that a guest is told of and does not have: their threads run on several cores of the host.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding, cpus_text, finding
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View
from ansible_collections.numa.virt.plugins.module_utils._planner.siblings import broken_cores
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet


def find_guest_cores(view: View) -> Iterator[Finding]:
    if view.driver.topology:
        for seen in view.guests:
            yield from _apart(view, seen)


def _apart(view: View, seen: Seen) -> Iterator[Finding]:
    """Of guests of which each vCPU is pinned to one CPU, each to another.

    A policy that gives guests their own CPUs keeps cores together as far as there are such CPUs: silent, unless
    the CPUs that it gave would do. One thread of each core was asked for in so many words.
    """
    threads, wish, sets = seen.said.needs.threads, seen.wish, seen.sets
    alone = not any(mask & (mask - 1) or mask.bit_length() - 1 not in view.capacity.core_of for mask in sets.values())
    if threads < 2 or seen.unknown or not alone or len(set(sets.values())) < len(sets):
        return
    owns = wish is not None and wish.owns_cpus
    if owns and wish is not None and wish.smt == "isolate":
        return
    cpus = {vcpu: mask.bit_length() - 1 for vcpu, mask in sets.items()}
    cores, least = broken_cores(view.capacity, cpus, threads, owns and wish is not None and wish.placed_by.mirrors)
    if len(cores) <= (least if owns else 0):
        return
    there = CpuSet(cpus[vcpu] for vcpu in chain(*cores))
    first = CpuSet(cpus[vcpu] for vcpu in cores[0])
    more = f", and so do those of {len(cores) - 1} more of its cores" if len(cores) > 1 else ""
    message = (
        f"its vCPUs {CpuSet(cores[0])} are threads of one core for the guest, and run on {cpus_text(first)}, which are "
        f"not threads of one{more}"
    )
    remedy = (
        "run numa_placement for it with policy=dedicated, pin the vCPUs of each core to siblings with vcpu_pin, or "
        "take threads out of its <topology>"
    )
    yield finding(
        "guest_threads_apart", seen.name, message, remedy,
        cells=view.host.cells_touched(there), cpus=there, numbers={"cores": len(cores), "threads": threads},
        fix=view.pin_fix(seen),
    )  # fmt: skip
