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
  - Says what of that is wrong, see RV(findings). It looks at every domain of the host for that, at those too that
    nobody manages here.
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
  findings:
    description:
      - Whether to look for what is wrong. With O(names) that is what concerns these domains, with all others in view.
      - Where it is V(false), only the domains in O(names) are read.
    type: bool
    default: true
    version_added: 0.2.0
  fleet:
    description:
      - Whether to return the host as M(numa.virt.numa_fleet_plan) takes it, in RV(fleet), with the rules in the options
        below, and nothing of single domains or findings. Of many hosts all that would be much to carry about.
      - Not with O(names).
    type: bool
    default: false
    version_added: 0.2.0
  reserved_cpus:
    description:
      - CPUs that no guest should have, as a CPU set. Give what M(numa.virt.numa_placement) is given on this host, here
        and in the options below, so that both judge alike.
    type: raw
    version_added: 0.2.0
  reserved_memory:
    description:
      - "Memory of cells that no guest should have, by cell, for example V({'0': 4GiB}). Of a cell with CPUs that it
        does not name it is a 32nd, and no more than 2 GiB."
    type: dict
    version_added: 0.2.0
  reserved_cells:
    description:
      - Cells that guests are kept out of, as in M(numa.virt.numa_placement). Maps say so.
    type: raw
    version_added: 0.2.0
  shared_cpus:
    description:
      - CPUs for guests that share, as in M(numa.virt.numa_placement).
    type: raw
    version_added: 0.2.0
  dedicated_cpus:
    description:
      - CPUs for guests with CPUs of their own, as in M(numa.virt.numa_placement).
    type: raw
    version_added: 0.2.0
  cpu_ratio:
    description:
      - How many vCPUs may share one CPU, for guests that were not placed with a ratio of their own. Without it one.
    type: float
    version_added: 0.2.0
notes:
  - What each finding means, when it is not raised, and what to do is in the guide "Findings" of this collection.
seealso:
  - module: numa.virt.numa_domain
  - module: numa.virt.numa_cell_info
  - module: numa.virt.numa_fleet_plan
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

- name: Have each host of a fleet tell what it is, for numa_fleet_plan
  numa.virt.numa_domain_info:
    fleet: true
    reserved_cpus: 0-1
  register: told

- name: See what is wrong, with the rules that the host was planned by
  numa.virt.numa_domain_info:
    reserved_cpus: 0-1
    cpu_ratio: 4
  register: guests
  failed_when: guests.summary.error > 0

- name: See what a restart would mend
  ansible.builtin.debug:
    msg: "{{ item.domain }}: {{ item.message }}; {{ item.remedy }}"
  loop: "{{ guests.findings | selectattr('fix', 'eq', 'restart') }}"
  loop_control:
    label: "{{ item.code }}"
"""

RETURN = r"""
driver:
  description: The hypervisor driver behind the URI, V(qemu), V(xen), V(xl) or V(test).
  returned: success
  type: str
  sample: qemu
claims:
  description: As RV(numa.virt.numa_cell_info#module:claims).
  returned: O(fleet=false)
  type: list
  elements: dict
  version_added: 0.2.0
  sample: []
host_state:
  description: As RV(numa.virt.numa_cell_info#module:host_state).
  returned: O(fleet=false)
  type: dict
  version_added: 0.2.0
  sample: {state: in, who: null, reason: null, since: null}
fleet:
  description:
    - The host, its rules, and what of it each domain takes, as versioned JSON in one text. It is for
      M(numa.virt.numa_fleet_plan) and holds no definition.
  returned: O(fleet=true)
  type: str
  version_added: 0.2.0
  sample: '{"hosts":[{"host":0,"name":"","told":1767225600.0}],"models":[],"rules":[{}],"version":1}'
domains:
  description: The domains, by name.
  returned: O(fleet=false)
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
    trouble:
      description:
        - What of its definition, or of the record of what was asked for, cannot be read; V(null) where all can be.
        - A record that cannot be read counts as none. Of a definition that cannot be read, what can be counts.
      returned: success
      type: str
      version_added: 0.2.0
      sample: null
    intent:
      description:
        - What was asked for, as RV(numa.virt.numa_domain#module:intent). It is kept in the domain's metadata; V(null)
          where nothing was.
      returned: success
      type: dict
      sample:
        cells: [1]
        cpuset:
        memory: {mode: strict, cells: [1]}
        vcpu_pins: {'0': '2'}
        emulator_cpuset: '3'
        iothread_pins: {}
        policy:
    configured:
      description:
        - What its definition says, as RV(numa.virt.numa_domain#module:placement); V(null) for a transient domain.
      returned: success
      type: dict
      sample:
        cpuset: 2-3
        automatic: false
        vcpu_pins: {'0': '2'}
        emulator_cpuset: '3'
        iothread_pins: {'1': '3'}
        memory: {mode: strict, cells: [1], automatic: false}
        memnodes: {}
    live:
      description:
        - What the running guest was given, by libvirt, as RV(numa.virt.numa_domain#module:placement); V(null) where it
          does not run.
      returned: success
      type: dict
      sample:
        cpuset: 2-3
        automatic: false
        vcpu_pins: {'0': '2'}
        emulator_cpuset: '3'
        iothread_pins: {'1': '3'}
        memory: {mode: strict, cells: [1], automatic: false}
        memnodes: {}
    actual:
      description:
        - Where the guest really is, as RV(numa.virt.numa_domain#module:actual); V(null) where it does not run.
      returned: success
      type: dict
      sample:
        source: proc
        vcpus: {'0': '2', '1': '2-3'}
        emulator: '3'
        iothreads: {'1': '3'}
        memory_cells: '1'
        memory_policy: bind:1
        memory: {'1': 43008}
findings:
  description:
    - What is wrong on the host, the worst first, then by code and domain. An empty list means that nothing was found.
    - Domains that M(numa.virt.numa_placement) has placed, and nobody has touched since, are in none.
  returned: O(findings=true) and O(fleet=false)
  type: list
  version_added: 0.2.0
  elements: dict
  contains:
    code:
      description: What it is. Stays the same between releases.
      returned: success
      type: str
      sample: memory_remote
    severity:
      description: V(error) hurts a guest now or keeps it from starting, V(warning) may, V(info) is worth knowing.
      returned: success
      type: str
      sample: warning
    domain:
      description: The domain that it is about; V(null) where it is about the host or one of its cells.
      returned: success
      type: str
      sample: db1
    others:
      description: Other domains that are in it, by name.
      returned: success
      type: list
      elements: str
      sample: []
    cells:
      description: The cells where it is.
      returned: success
      type: list
      elements: int
      sample: [0]
    cpus:
      description: The CPUs where it is, as a CPU set; V(null) where it is not about CPUs.
      returned: success
      type: str
      sample: 2-3
    numbers:
      description:
        - The figures in the message, by name; memory is in KiB.
        - C(refused) is 1 where giving the guest again what a user has asked for would be refused, or not clear it.
      returned: success
      type: dict
      sample: {kib: 43008, total_kib: 65536}
    message:
      description: What is wrong, in one line.
      returned: success
      type: str
      sample: 43008 of 65536 KiB of its memory lie on cell 0, and its vCPUs run on 1
    fix:
      description:
        - What it takes to mend it. V(live) can be done while the guest runs, V(restart) needs it to start anew,
          V(redefine) needs another definition, V(host) needs something of the host.
      returned: success
      type: str
      sample: restart
    remedy:
      description: What to do, in one line.
      returned: success
      type: str
      sample: 'run numa_domain for it with restart=allowed: memory does not move while it runs'
  sample:
    - code: memory_remote
      severity: warning
      domain: db1
      others: []
      cells: [0]
      cpus:
      numbers: {kib: 43008, total_kib: 65536}
      message: 43008 of 65536 KiB of its memory lie on cell 0, and its vCPUs run on 1
      fix: restart
      remedy: 'run numa_domain for it with restart=allowed: memory does not move while it runs'
summary:
  description: How many findings there are of each severity.
  returned: O(findings=true) and O(fleet=false)
  type: dict
  version_added: 0.2.0
  contains:
    error:
      description: Findings that are errors.
      returned: success
      type: int
      sample: 0
    warning:
      description: Findings that are warnings.
      returned: success
      type: int
      sample: 1
    info:
      description: Findings that are worth knowing.
      returned: success
      type: int
      sample: 0
  sample: {error: 0, warning: 1, info: 0}
reserved_cells:
  description: The cells in O(reserved_cells), for those who draw a map.
  returned: O(findings=true) and O(fleet=false)
  type: list
  version_added: 0.2.0
  elements: int
  sample: []
"""

from ansible_collections.numa.virt.plugins.module_utils._engine.fleet_host import fleet_host_info
from ansible_collections.numa.virt.plugins.module_utils._engine.info import InfoRequest, domains_info
from ansible_collections.numa.virt.plugins.module_utils._intent.placement_options import rules_with_ratio
from ansible_collections.numa.virt.plugins.module_utils._module.argspec import (
    connection_options,
    definition_options,
    rules_options,
)
from ansible_collections.numa.virt.plugins.module_utils._module.connect import connect
from ansible_collections.numa.virt.plugins.module_utils._module.quiet import QuietModule
from ansible_collections.numa.virt.plugins.module_utils._module.run import run


def main():
    module = QuietModule(
        argument_spec=dict(
            connection_options(),
            **definition_options(),
            names=dict(type="list", elements="str", aliases=["name"]),
            findings=dict(type="bool", default=True),
            fleet=dict(type="bool", default=False),
            **rules_options(),
            cpu_ratio=dict(type="float"),
        ),
        supports_check_mode=True,
    )

    params = module.params

    def work():
        request = InfoRequest(params["names"], params["findings"], rules_with_ratio(params))
        with connect(params["uri"], params["config"], module.run_command) as connection:
            return fleet_host_info(connection, request) if params["fleet"] else domains_info(connection, request)

    module.finish(run(work, params["uri"]))


if __name__ == "__main__":
    main()
