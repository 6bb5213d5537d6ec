#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module reads. It must not change a host, and holds no logic: see module_utils/_engine/cells.py.

from __future__ import annotations

DOCUMENTATION = r"""
module: numa_cell_info
short_description: Show the NUMA cells of a hypervisor host
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Shows each NUMA cell of a host as libvirt sees it, with its CPUs, the hardware threads of its cores, its last-level
    caches, its memory, its huge pages, its distances to other cells and the PCI devices that are nearest to it.
extends_documentation_fragment:
  - numa.virt._attributes
  - numa.virt._attributes.info_module
  - numa.virt._libvirt
options:
  devices:
    description:
      - Whether to list the PCI devices of each cell, which takes one call for each device of the host.
    type: bool
    default: true
seealso:
  - module: numa.virt.numa_domain
  - module: numa.virt.numa_domain_info
  - module: numa.virt.numa_claim
  - module: numa.virt.numa_host_state
"""

EXAMPLES = r"""
- name: See the cells of a host
  numa.virt.numa_cell_info:
    uri: qemu:///system
  register: host

- name: Show the CPUs of each cell
  ansible.builtin.debug:
    msg: "cell {{ item.id }} has CPUs {{ item.cpuset }} and {{ item.memory.free }} KiB free"
  loop: "{{ host.cells }}"
  loop_control:
    label: "{{ item.id }}"
"""

RETURN = r"""
uri:
  description: The URI that is connected to.
  returned: success
  type: str
  sample: qemu:///system
driver:
  description: The hypervisor driver behind the URI, V(qemu), V(xen), V(xl) or V(test).
  returned: success
  type: str
  sample: qemu
hypervisor_version:
  description: The version of the hypervisor.
  returned: success
  type: str
  sample: 7.2.0
libvirt_version:
  description: The version of libvirt on the host; V(null) with O(uri=xl).
  returned: success
  type: str
  sample: 9.0.0
cpu_count:
  description: How many physical CPUs the host has, offline ones included.
  returned: success
  type: int
  sample: 8
online_cpus:
  description: The CPUs that are online, as a CPU set.
  returned: success
  type: str
  sample: 0-7
offline_cpus:
  description: The CPUs that exist and are offline, as a CPU set. Empty where there are none.
  returned: success
  type: str
  sample: ''
cpupools:
  description: Xen's cpupools, the default one first. Empty elsewhere, and where C(xl) cannot be asked.
  returned: success
  type: list
  version_added: 0.2.0
  elements: dict
  contains:
    name:
      description: Its name.
      returned: success
      type: str
      sample: Pool-0
    cpuset:
      description: Its CPUs, as a CPU set. Those that are offline are in no cpupool.
      returned: success
      type: str
      sample: 0-7
  sample: []
isolated_cpus:
  description:
    - The CPUs between which the host's kernel moves no thread by itself (C(isolcpus), and those of libvirt's own slice
      where that is an isolated partition), as a CPU set. M(numa.virt.numa_placement) gives them to guests with CPUs of
      their own only, unless it is told which CPUs are shared.
    - V(null) where that cannot be known, for a hypervisor on another machine than the managed node, for Xen and for the
      test driver.
  returned: success
  type: str
  sample: 4-7
  version_added: 0.2.0
nohz_full_cpus:
  description: The CPUs that have no tick while one thread runs there (C(nohz_full)). V(null) as RV(isolated_cpus).
  returned: success
  type: str
  sample: 4-7
  version_added: 0.2.0
other_slices:
  description:
    - Slices, and other control groups right below the root, that hold no guests and have CPUs for themselves
      (C(cpuset.cpus.partition)). No guest can run there.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name. Empty for CPUs of a group that lies deeper.
      returned: success
      type: str
      sample: dpdk.slice
    cpuset:
      description: Its CPUs, as a CPU set.
      returned: success
      type: str
      sample: 2-3
  sample: [{name: dpdk.slice, cpuset: 2-3}]
  version_added: 0.2.0
implied_cell:
  description: Whether the host reports no cells, so that cell 0 stands for all of it.
  returned: success
  type: bool
  sample: false
distances_reported:
  description:
    - Whether the driver reports the distances between cells. Where it does not, they are taken to be 10 for a cell
      itself and 20 for every other.
  returned: success
  type: bool
  sample: true
claims:
  description:
    - What M(numa.virt.numa_claim) has claimed for guests that are to come, by their UUIDs. Those that have ended are
      left out.
    - V(null) where they cannot be seen, with a host that is reached by its name, a driver that lives in the module's
      own process, and as a user who may not read them, which a warning says.
  returned: success
  type: list
  elements: dict
  version_added: 0.2.0
  contains:
    uuid:
      description: The UUID of the guest.
      returned: success
      type: str
      sample: 6695eb01-f6a4-8304-79aa-97f2502e193f
    name:
      description: Its name.
      returned: success
      type: str
      sample: db1
    cells:
      description: The cells that it is to be on.
      returned: success
      type: list
      elements: int
      sample: [1]
    cpuset:
      description: Its CPUs, as a CPU set.
      returned: success
      type: str
      sample: 2-3
    owned:
      description: Whether no other guest may use them.
      returned: success
      type: bool
      sample: true
    vcpus:
      description: How many vCPUs it has.
      returned: success
      type: int
      sample: 2
    cpu_ratio:
      description: How many of them may share one CPU, V(null) for what the host has.
      returned: success
      type: float
      sample: 1.0
    memory:
      description: How much memory is claimed, in KiB, of each cell (C(cell)) in pages of each size (C(page_size),
        V(null) for ordinary ones).
      returned: success
      type: list
      elements: dict
      sample: [{cell: 1, page_size: null, memory: 65536}]
    made_by:
      description: Who has claimed it.
      returned: success
      type: str
      sample: ops@deploy1
    made:
      description: When.
      returned: success
      type: str
      sample: '2026-01-01T12:00:00Z'
    ends:
      description: When it ends by itself, by the clock of the host as it was then.
      returned: success
      type: str
      sample: '2026-01-01T13:00:00Z'
  sample: []
host_state:
  description:
    - Whether the host takes new guests, as M(numa.virt.numa_host_state) has said.
    - V(null) as RV(claims).
  returned: success
  type: dict
  version_added: 0.2.0
  contains:
    state:
      description: V(in), V(draining) or V(out).
      returned: success
      type: str
      sample: in
    who:
      description: Who said so, V(null) where nobody has said anything.
      returned: success
      type: str
      sample: ops@deploy1
    reason:
      description: Why.
      returned: success
      type: str
      sample: memory of cell 1 is to be exchanged
    since:
      description: Since when.
      returned: success
      type: str
      sample: '2026-01-01T12:00:00Z'
  sample: {state: in, who: null, reason: null, since: null}
notes:
  description: What was assumed because the host or its driver does not say, in words.
  returned: success
  type: list
  elements: str
  sample: []
cells:
  description: The cells, by their ids.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The number of the cell.
      returned: success
      type: int
      sample: 1
    cpus:
      description: Its online CPUs. Empty for a cell that has only memory.
      returned: success
      type: list
      elements: int
      sample: [2, 3]
    cpuset:
      description: The same as a CPU set, in libvirt's syntax.
      returned: success
      type: str
      sample: 2-3
    cores:
      description: Its cores, each as the list of CPUs that are its hardware threads.
      returned: success
      type: list
      elements: list
      sample: [[2], [3]]
    sockets:
      description: The sockets that its CPUs are on.
      returned: success
      type: list
      elements: int
      sample: [1]
    caches:
      description:
        - Its last-level caches, of each CPU the one of the highest level that the host tells of. Empty where it tells
          of none, as on Xen.
      returned: success
      type: list
      version_added: 0.2.0
      elements: dict
      contains:
        id:
          description: The number that the host gives it. Those of one level differ.
          returned: success
          type: int
          sample: 1
        level:
          description: Its level.
          returned: success
          type: int
          sample: 3
        size:
          description: Its size in KiB.
          returned: success
          type: int
          sample: 32768
        cpuset:
          description: The online CPUs of this cell that share it, as a CPU set. It may have CPUs of other cells, too.
          returned: success
          type: str
          sample: 2-3
      sample: [{id: 1, level: 3, size: 32768, cpuset: 2-3}]
    memory:
      description: Its memory in KiB.
      returned: success
      type: dict
      contains:
        total:
          description: All of it. V(0) for a cell that has only CPUs.
          returned: success
          type: int
          sample: 514048
        free:
          description: What is free now, or V(null) where the driver does not say.
          returned: success
          type: int
          sample: 401232
      sample: {total: 514048, free: 401232}
    huge_pages:
      description: Its pools of huge pages, one for each size.
      returned: success
      type: list
      elements: dict
      contains:
        size:
          description: The size of one page in KiB.
          returned: success
          type: int
          sample: 2048
        total:
          description: How many pages the pool has.
          returned: success
          type: int
          sample: 16
        free:
          description: How many are free, or V(null) where the driver does not say.
          returned: success
          type: int
          sample: 16
      sample: [{size: 2048, total: 16, free: 16}]
    distances:
      description: The distance to each cell, by its id. 10 is local.
      returned: success
      type: dict
      sample: {'0': 12, '1': 10, '2': 31, '3': 21}
    devices:
      description:
        - The PCI devices that are nearest to it. One for which the host names no cell is listed where there is only
          one cell.
        - With O(uri=xl), those of which C(xl info -n) knows it.
      returned: success
      type: list
      elements: dict
      contains:
        name:
          description: libvirt's name of the device.
          returned: success
          type: str
          sample: pci_0000_3b_00_0
        address:
          description: Its PCI address.
          returned: success
          type: str
          sample: '0000:3b:00.0'
        label:
          description: Vendor and product, as far as they are known.
          returned: success
          type: str
          sample: Intel Corporation Ethernet Controller E810-C
      sample: [{name: pci_0000_3b_00_0, address: '0000:3b:00.0', label: Intel Corporation Ethernet Controller E810-C}]
"""

from ansible_collections.numa.virt.plugins.module_utils._engine.cells import cells_info
from ansible_collections.numa.virt.plugins.module_utils._module.argspec import connection_options
from ansible_collections.numa.virt.plugins.module_utils._module.connect import connect
from ansible_collections.numa.virt.plugins.module_utils._module.quiet import QuietModule
from ansible_collections.numa.virt.plugins.module_utils._module.run import run


def main():
    module = QuietModule(
        argument_spec=dict(connection_options(), devices=dict(type="bool", default=True)),
        supports_check_mode=True,
    )

    def work():
        with connect(module.params["uri"], None, module.run_command) as connection:
            return cells_info(connection, module.params["devices"])

    module.finish(run(work, module.params["uri"]))


if __name__ == "__main__":
    main()
