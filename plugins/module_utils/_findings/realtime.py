# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other threads of a guest on the CPUs of its real-time vCPUs.

A vCPU with the scheduler fifo or rr that is busy gives its CPU to no ordinary thread: what has only such CPUs stands
still, and the guest may never get through its firmware.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import realtime_vcpus
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import WARNING
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding, cpus_text, finding
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View


def find_realtime(view: View) -> Iterator[Finding]:
    for seen in view.guests if view.driver.emulator else ():
        realtime = [vcpu for vcpu in realtime_vcpus(seen.said.placement) if vcpu in seen.present]
        mask = seen.reach_of(realtime)
        # Where a vCPU may run anywhere nothing is to be said of its CPU.
        if mask and seen.host.online.mask & ~mask:
            others = [vcpu for vcpu in seen.present if vcpu not in realtime]
            yield from _on_its_cpus(view, seen, mask, others)


def _on_its_cpus(view: View, seen: Seen, mask: int, other_vcpus: Sequence[int]) -> Iterator[Finding]:
    everywhere = seen.host.online
    placement = seen.said.placement
    threads = [("its emulator's threads", placement.of_emulator)]
    threads += [(f"its IO thread {each}", placement.of_iothread(each)) for each in seen.said.shape.iothreads]
    threads += [(f"its vCPU {vcpu}", view.cpus_of(seen.sets[vcpu])) for vcpu in other_vcpus]
    found = [(who, everywhere if cpus is None else cpus & everywhere) for who, cpus in threads]
    found = [(who, cpus) for who, cpus in found if cpus.mask & mask]
    if not found:
        return
    stuck = [(who, cpus) for who, cpus in found if not cpus.mask & ~mask]
    who, cpus = (stuck or found)[0]
    more = f" (and {len(found) - 1} more of its threads)" if len(found) > 1 else ""
    shared = view.cpus_of(mask & cpus.mask)
    message = (
        f"{who}{more} may run on {cpus_text(shared)} of its real-time vCPUs"
        f"{', and nowhere else: they get no time there' if stuck else ''}"
    )
    yield finding(
        "realtime_shared", seen.name, message,
        "run numa_placement for it with policy=dedicated, or pin these threads to other CPUs with vcpu_pin",
        cpus=shared, numbers={"threads": len(found)}, severity=None if stuck else WARNING, fix=view.pin_fix(seen),
    )  # fmt: skip
