#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module claims a place on a host. It holds no logic: see module_utils/_engine/claim.py.

from __future__ import annotations

DOCUMENTATION = r"""
module: numa_claim
short_description: Claim CPUs and memory of a host for a guest that is to come
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Keeps CPUs, memory and huge pages of a host for one guest, before the guest is there. M(numa.virt.numa_placement)
    gives them to nobody else, whichever controller it runs for. To the guest that they were claimed for they are its
    place.
  - Of two runs that claim the same, one gets it, and the other fails.
  - A claim ends by itself, after O(lifetime), when the host is started anew, and as soon as the guest is where it was
    claimed for. No clock that somebody sets makes it longer or shorter.
  - It is kept on the host, for the daemon that O(uri) names, one for all daemons of root and for Xen, see
    R(Who else is on the host,ansible_collections.numa.virt.docsite.who_else). M(numa.virt.numa_cell_info) shows all.
  - A claim starts nothing and defines nothing.
extends_documentation_fragment:
  - numa.virt._attributes
  - numa.virt._attributes.state_module
  - numa.virt._libvirt
options:
  state:
    description:
      - With V(present) the place is claimed, with V(absent) it is given back, whoever has claimed it.
      - A claim of the same place that was made by the same O(made_by) stays as it is while at least half of O(lifetime)
        is left. After that it is made anew.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - The name of the guest.
    type: str
  uuid:
    description:
      - The UUID of the guest, by which its claim is known. With O(state=present) it may be left out for a guest that is
        on this host.
    type: str
  cpuset:
    description:
      - The CPUs. Without it all that are online of O(cells).
    type: raw
  cells:
    description:
      - The cells that the guest is to be on, as a set. Without it those of O(cpuset) and of its memory.
    type: raw
  owned:
    description:
      - Whether no other guest may use these CPUs. Otherwise guests share them, up to O(cpu_ratio).
    type: bool
    default: false
  vcpus:
    description:
      - How many vCPUs the guest has. Without it as many as there are CPUs.
    type: int
  cpu_ratio:
    description:
      - How many vCPUs may share one CPU, for a claim of CPUs that are not O(owned). Without it one.
    type: float
  memory:
    description:
      - "Ordinary memory of cells, by cell, for example V({'0': 4GiB}). What the hypervisor needs beside the memory of
        the guest belongs to it, see O(numa.virt.numa_placement#module:memory_overhead)."
    type: dict
  huge_pages:
    description:
      - Memory in huge pages.
    type: list
    elements: dict
    suboptions:
      cell:
        description: The cell.
        type: int
        required: true
      page_size:
        description: The size of one page, for example V(2MiB), or V(2048), which is KiB.
        type: str
        required: true
      memory:
        description: How much memory in such pages.
        type: str
        required: true
  lifetime:
    description:
      - Seconds until the claim ends by itself, up to a week.
    type: int
    default: 3600
  made_by:
    description:
      - Who makes it. Nobody else can replace it. Up to 200 characters.
      - Without it the user that runs Ansible and the name of the controller, as in V(ops@deploy1).
    type: str
  reserved_cpus:
    description:
      - As O(numa.virt.numa_placement#module:reserved_cpus).
    type: raw
  reserved_memory:
    description:
      - As O(numa.virt.numa_placement#module:reserved_memory).
    type: dict
  reserved_cells:
    description:
      - As O(numa.virt.numa_placement#module:reserved_cells).
    type: raw
  shared_cpus:
    description:
      - As O(numa.virt.numa_placement#module:shared_cpus).
    type: raw
  dedicated_cpus:
    description:
      - As O(numa.virt.numa_placement#module:dedicated_cpus).
    type: raw
  host_state:
    description:
      - With V(respect) a host that M(numa.virt.numa_host_state) has taken out gets no claim for a guest that is not on
        it. V(ignore) claims all the same.
    type: str
    choices: [respect, ignore]
    default: respect
  lock_timeout:
    description:
      - Seconds to wait for other runs that change domains or claims of this host. V(0) does not wait.
    type: int
    default: 300
notes:
  - Claims are written by root, or by the user of a session daemon. Use C(become).
seealso:
  - module: numa.virt.numa_placement
  - module: numa.virt.numa_host_state
  - module: numa.virt.numa_cell_info
"""

EXAMPLES = r"""
- name: Keep four CPUs and 8 GiB of cell 1 for a guest that comes within ten minutes
  numa.virt.numa_claim:
    name: db1
    uuid: 6695eb01-f6a4-8304-79aa-97f2502e193f
    cpuset: 8-11
    owned: true
    memory: {'1': 8GiB}
    lifetime: 600

- name: Claim shared CPUs and huge pages
  numa.virt.numa_claim:
    name: web1
    uuid: e0bf40c3-6ad2-4fcb-9ed4-2c1a2d4b4a0d
    cells: 0
    vcpus: 8
    cpu_ratio: 4
    huge_pages:
      - {cell: 0, page_size: 2MiB, memory: 4GiB}

- name: Give it back
  numa.virt.numa_claim:
    uuid: 6695eb01-f6a4-8304-79aa-97f2502e193f
    state: absent
"""

RETURN = r"""
claim:
  description: The claim as it is now, as RV(numa.virt.numa_cell_info#module:claims); V(null) where there is none.
  returned: success
  type: dict
  sample:
    uuid: 6695eb01-f6a4-8304-79aa-97f2502e193f
    name: db1
    cells: [1]
    cpuset: 8-11
    owned: true
    vcpus: 4
    cpu_ratio: null
    memory: [{cell: 1, page_size: null, memory: 8388608}]
    made_by: ops@deploy1
    made: '2026-01-01T12:00:00Z'
    ends: '2026-01-01T12:10:00Z'
"""

from ansible_collections.numa.virt.plugins.module_utils._engine.claim import (
    ClaimRequest,
    claim_place,
    memory_of,
    pages_of,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.placement_options import cpus_of, rules_of
from ansible_collections.numa.virt.plugins.module_utils._module.argspec import connection_options, rules_options
from ansible_collections.numa.virt.plugins.module_utils._module.connect import connect
from ansible_collections.numa.virt.plugins.module_utils._module.quiet import QuietModule
from ansible_collections.numa.virt.plugins.module_utils._module.run import run
from ansible_collections.numa.virt.plugins.module_utils._node.lock import lock_directory


def main():
    module = QuietModule(
        argument_spec=dict(
            connection_options(),
            state=dict(type="str", choices=["present", "absent"], default="present"),
            name=dict(type="str"),
            uuid=dict(type="str"),
            cpuset=dict(type="raw"),
            cells=dict(type="raw"),
            owned=dict(type="bool", default=False),
            vcpus=dict(type="int"),
            cpu_ratio=dict(type="float"),
            memory=dict(type="dict"),
            huge_pages=dict(
                type="list",
                elements="dict",
                options=dict(
                    cell=dict(type="int", required=True),
                    page_size=dict(type="str", required=True),
                    memory=dict(type="str", required=True),
                ),
            ),
            lifetime=dict(type="int", default=3600),
            made_by=dict(type="str"),
            **rules_options(),
            host_state=dict(type="str", choices=["respect", "ignore"], default="respect"),
            lock_timeout=dict(type="int", default=300),
        ),
        required_one_of=[("name", "uuid")],
        required_if=[("state", "present", ("cpuset", "cells"), True)],
        supports_check_mode=True,
    )
    params = module.params

    def work():
        request = ClaimRequest(
            name=params["name"],
            uuid=params["uuid"],
            present=params["state"] == "present",
            cells=cpus_of(params, "cells"),
            cpus=cpus_of(params, "cpuset"),
            owned=params["owned"],
            vcpus=params["vcpus"],
            cpu_ratio=params["cpu_ratio"],
            memory=memory_of(params["memory"]),
            pages=pages_of(params["huge_pages"]),
            lifetime=params["lifetime"],
            made_by=params["made_by"] or "",
            rules=rules_of(params),
            ignores_state=params["host_state"] == "ignore",
            check_mode=module.check_mode,
            lock_dir=lock_directory(),
            lock_timeout=params["lock_timeout"],
        )
        with connect(params["uri"], None, module.run_command) as connection:
            return claim_place(connection, request)

    module.finish(run(work, params["uri"]))


if __name__ == "__main__":
    main()
