#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module reads. It must not change a domain, and holds no logic: see module_utils/_engine/info.py.

from __future__ import annotations

DOCUMENTATION = r"""
module: numa_domain_info
short_description: Show where domains should be and where they really are
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Shows for each domain of a host what was asked for, what its definition says, what the running guest was given,
    and where its threads and its memory really are.
extends_documentation_fragment:
  - numa.virt._attributes
  - numa.virt._attributes.info_module
  - numa.virt._libvirt
  - numa.virt._libvirt.config
options:
  names:
    description:
      - The names of the domains to show. By default all.
    type: list
    elements: str
    aliases: [name]
seealso:
  - module: numa.virt.numa_domain
  - module: numa.virt.numa_cell_info
"""

EXAMPLES = r"""
- name: See every domain of a host
  numa.virt.numa_domain_info:
    uri: qemu:///system
  register: guests

- name: Which domains are on cell 1
  ansible.builtin.debug:
    msg: "{{ item.name }}"
  loop: "{{ guests.domains | selectattr('cells', 'defined') | selectattr('cells', 'contains', 1) }}"
  loop_control:
    label: "{{ item.name }}"

- name: See one domain
  numa.virt.numa_domain_info:
    names: [web1]
"""

RETURN = r"""
driver:
  description: The hypervisor driver behind the URI, V(qemu), V(xen), V(xl) or V(test).
  returned: success
  type: str
  sample: qemu
domains:
  description: The domains, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the domain.
      returned: success
      type: str
      sample: web1
    uuid:
      description: The UUID of the domain.
      returned: success
      type: str
      sample: 6695eb01-f6a4-8304-79aa-97f2502e193f
    state:
      description: The state of the domain, in libvirt's words.
      returned: success
      type: str
      sample: running
    persistent:
      description: Whether it has a definition that outlives the running guest.
      returned: success
      type: bool
      sample: true
    managed:
      description: Whether this collection has placed it.
      returned: success
      type: bool
      sample: true
    vcpus:
      description: How many vCPUs it may have.
      returned: success
      type: int
      sample: 2
    memory:
      description: Its memory in KiB.
      returned: success
      type: int
      sample: 65536
    cpuset:
      description:
        - The CPUs that its vCPUs may use, all together; of the running guest where it runs, else by its definition.
        - Left out where that is the whole host.
      returned: when the domain is restricted
      type: str
      sample: 2-3
    cells:
      description: The cells that those CPUs are on.
      returned: when the domain is restricted
      type: list
      elements: int
      sample: [1]
    intent:
      description: What was asked for, as it is kept in the domain's metadata; V(null) where nothing was.
      returned: success
      type: dict
      contains:
        cells:
          description: The cells; V(null) where none were given.
          returned: success
          type: list
          elements: int
          sample: [1]
        cpuset:
          description: The CPU set; V(null) where none was given.
          returned: success
          type: str
          sample: '2-3'
        memory:
          description: Mode and cells of the memory; V(null) where they were not given.
          returned: success
          type: dict
          sample: {mode: strict, cells: [1]}
        vcpu_pins:
          description: Pins of vCPUs, by vCPU.
          returned: success
          type: dict
          sample: {'0': '2'}
        emulator_cpuset:
          description: The pin of the emulator's threads; V(null) where none was given.
          returned: success
          type: str
          sample: '3'
        iothread_pins:
          description: Pins of IO threads, by IO thread.
          returned: success
          type: dict
          sample: {}
        policy:
          description:
            - What the place was chosen for by M(numa.virt.numa_placement), with its options as far as they are not the
              defaults; V(null) where the place was given by hand.
          returned: success
          type: dict
          sample: {policy: dedicated, smt: require}
      sample:
        cells: [1]
        cpuset:
        memory: {mode: strict, cells: [1]}
        vcpu_pins: {'0': '2'}
        emulator_cpuset: '3'
        iothread_pins: {}
        policy:
    configured:
      description: What its definition says; V(null) for a transient domain.
      returned: success
      type: dict
      contains:
        cpuset:
          description: The domain's own CPU set; V(null) where it is not restricted.
          returned: success
          type: str
          sample: 2-3
        automatic:
          description: Whether numad chooses the CPUs at each start (C(placement='auto')).
          returned: success
          type: bool
          sample: false
        vcpu_pins:
          description: CPU sets of vCPUs that have a pin of their own, by vCPU.
          returned: success
          type: dict
          sample: {'0': '2'}
        emulator_cpuset:
          description: The pin of the emulator's threads; V(null) where they use the domain's CPU set.
          returned: success
          type: str
          sample: '3'
        iothread_pins:
          description: CPU sets of IO threads that have a pin of their own, by IO thread.
          returned: success
          type: dict
          sample: {'1': '3'}
        memory:
          description: The mode and the cells of its memory; V(null) where it is not bound.
          returned: success
          type: dict
          sample: {mode: strict, cells: [1], automatic: false}
        memnodes:
          description: The same for single NUMA cells of the guest, by guest cell.
          returned: success
          type: dict
          sample: {}
      sample:
        cpuset: 2-3
        automatic: false
        vcpu_pins: {'0': '2'}
        emulator_cpuset: '3'
        iothread_pins: {'1': '3'}
        memory: {mode: strict, cells: [1], automatic: false}
        memnodes: {}
    live:
      description: What the running guest was given, by libvirt; V(null) where it does not run.
      returned: success
      type: dict
      contains:
        cpuset:
          description: The domain's own CPU set; V(null) where it is not restricted.
          returned: success
          type: str
          sample: 2-3
        automatic:
          description: Whether numad chooses the CPUs at each start (C(placement='auto')).
          returned: success
          type: bool
          sample: false
        vcpu_pins:
          description: CPU sets of vCPUs that have a pin of their own, by vCPU.
          returned: success
          type: dict
          sample: {'0': '2'}
        emulator_cpuset:
          description: The pin of the emulator's threads; V(null) where they use the domain's CPU set.
          returned: success
          type: str
          sample: '3'
        iothread_pins:
          description: CPU sets of IO threads that have a pin of their own, by IO thread.
          returned: success
          type: dict
          sample: {'1': '3'}
        memory:
          description: The mode and the cells of its memory; V(null) where it is not bound.
          returned: success
          type: dict
          sample: {mode: strict, cells: [1], automatic: false}
        memnodes:
          description: The same for single NUMA cells of the guest, by guest cell.
          returned: success
          type: dict
          sample: {}
      sample:
        cpuset: 2-3
        automatic: false
        vcpu_pins: {'0': '2'}
        emulator_cpuset: '3'
        iothread_pins: {'1': '3'}
        memory: {mode: strict, cells: [1], automatic: false}
        memnodes: {}
    actual:
      description: Where the guest really is; V(null) where it does not run.
      returned: success
      type: dict
      contains:
        source:
          description:
            - Whose word it is. V(proc) is the kernel's, for a QEMU on the managed node; V(hypervisor) is what the
              hypervisor says, through libvirt or xl; V(definition) is all that libvirt's test driver has.
          returned: success
          type: str
          sample: proc
        vcpus:
          description: CPUs that each vCPU may use, by vCPU.
          returned: success
          type: dict
          sample: {'0': '2', '1': '2-3'}
        emulator:
          description: CPUs that the emulator's threads may use, all together; V(null) where they cannot be seen.
          returned: success
          type: str
          sample: '3'
        iothreads:
          description: CPUs that each IO thread may use, by IO thread, where they can be seen.
          returned: success
          type: dict
          sample: {'1': '3'}
        memory_cells:
          description: Cells that the guest's threads may take memory from; V(null) where that cannot be seen.
          returned: success
          type: str
          sample: '1'
        memory_policy:
          description:
            - The kernel's memory policy of the guest's largest mapping; V(null) where it is not seen, as on Xen.
          returned: success
          type: str
          sample: bind:1
        memory:
          description: KiB of the guest's memory on each cell, by cell; V(null) where it cannot be read.
          returned: success
          type: dict
          sample: {'1': 43008}
      sample:
        source: proc
        vcpus: {'0': '2', '1': '2-3'}
        emulator: '3'
        iothreads: {'1': '3'}
        memory_cells: '1'
        memory_policy: bind:1
        memory: {'1': 43008}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.numa.virt.plugins.module_utils._argspec import connection_options, definition_options
from ansible_collections.numa.virt.plugins.module_utils._connect import connect
from ansible_collections.numa.virt.plugins.module_utils._engine.info import domains_info
from ansible_collections.numa.virt.plugins.module_utils._runner import run


def main():
    module = AnsibleModule(
        argument_spec=dict(
            connection_options(),
            **definition_options(),
            names=dict(type="list", elements="str", aliases=["name"]),
        ),
        supports_check_mode=True,
    )

    def work():
        with connect(module.params["uri"], module.params["config"], module.run_command) as connection:
            return domains_info(connection, module.params["names"])

    result = run(work, module.params["uri"])
    if "error" in result:
        module.fail_json(**result)
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
