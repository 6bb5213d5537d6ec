# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of the owned elements that no planning depends on: one for each class of _elements.registry.KNOBS."""

    DOCUMENTATION = r"""
options:
  scheduler:
    description:
      - How the kernel schedules the guest's threads (C(cputune/vcpusched), C(iothreadsched), C(emulatorsched)). All of
        it is replaced, so that V({}) takes it away. Without it, what the definition says stays.
      - A scheduler is a dictionary with C(policy), one of V(batch), V(idle), V(fifo) and V(rr), and for the last two
        C(priority), of V(1) to V(99).
      - A running guest follows only after a restart. Not for Xen.
    type: dict
    version_added: 0.2.0
    suboptions:
      vcpus:
        description:
          - Schedulers of vCPUs, by vCPU, or by vCPUs in the syntax of CPU sets (V(1-3)).
        type: dict
      iothreads:
        description:
          - Schedulers of IO threads, by IO thread.
        type: dict
      emulator:
        description:
          - The scheduler of the emulator's threads.
        type: dict
  nodemask:
    description:
      - The cells of the host that the memory of DIMMs and of other memory devices comes from
        (C(devices/memory/source/nodemask)), by the number of the device, counted from V(0) in the order of the
        definition. All of it is replaced, so that V({}) takes it away, and the devices follow O(memory). Without it,
        what the definition says stays.
      - A running guest follows only after a restart. Not for Xen.
    type: dict
    version_added: 0.2.0
"""
