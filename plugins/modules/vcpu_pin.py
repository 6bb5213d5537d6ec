#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module pins. It must not define, start or stop a domain, and holds no logic: see module_utils/_engine/pin.py.

from __future__ import annotations

DOCUMENTATION = r"""
module: vcpu_pin
short_description: Pin the vCPUs, emulator and IO threads of a domain
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Pins single vCPUs of a domain, its emulator threads or its IO threads, in the running guest and in its definition.
  - What is not mentioned stays as it is. Pins are kept with the intent in the domain's metadata, so that
    M(numa.virt.numa_domain) leaves them alone.
  - Where to run a whole domain, and where its memory is, is the business of M(numa.virt.numa_domain). A pin that
    comes after the start does not move memory.
extends_documentation_fragment:
  - numa.virt._attributes
  - numa.virt._attributes.state_module
  - numa.virt._libvirt
  - numa.virt._libvirt.backup
  - numa.virt._libvirt.config
options:
  name:
    description:
      - The name of the domain. May be left out with O(config), which has it.
    type: str
  pins:
    description:
      - "CPU sets of vCPUs, for example V({'0': '4', '1-3': '5-7'}). A key is a vCPU, or vCPUs in the syntax of CPU
        sets, each of which gets the whole set. A value is text in libvirt's syntax or a list of integers."
      - With O(state=absent) the vCPUs alone, as text (V(0-3)), as a list, or as such a dictionary whose values do
        not matter.
    type: raw
  emulator_cpuset:
    description:
      - The CPUs of the emulator's threads. With O(state=absent) any value takes their pin away.
    type: raw
  iothread_pins:
    description:
      - CPU sets of IO threads, by IO thread, written like O(pins).
    type: raw
  state:
    description:
      - V(present) makes the pins as given.
      - V(absent) takes pins away, so that those vCPUs and threads use the domain's own CPU set again.
    type: str
    choices: [present, absent]
    default: present
  apply:
    description:
      - V(live) changes the running guest only, V(config) its definition only, V(both) both.
      - By default both where the domain runs and has a definition, and else the one that there is.
      - Where the driver cannot do a pin live, the default reports a restart as required, and V(live) fails.
    type: str
    choices: [live, config, both]
  outside_cpuset:
    description:
      - What to do with a pin of a vCPU outside the domain's own CPU set, or, where it has none, outside the cells
        that its memory is bound to. The guest would pay for remote memory there.
    type: str
    choices: [refuse, allow]
    default: refuse
notes:
  - Elements that name a part of the host by a number and that nobody here changes (C(cputune/cachetune),
    C(cputune/memorytune)) stay as they are. Where none of their vCPUs can use it on the new place, a warning says so.
seealso:
  - module: numa.virt.numa_domain
  - module: numa.virt.numa_domain_info
"""

EXAMPLES = r"""
- name: Pin one vCPU to one CPU, three others to three
  numa.virt.vcpu_pin:
    name: web1
    pins:
      '0': '4'
      '1-3': '5-7'

- name: Keep the emulator away from the vCPUs
  numa.virt.vcpu_pin:
    name: web1
    emulator_cpuset: '0'

- name: Give vCPUs 1 to 3 back to the domain's own CPU set
  numa.virt.vcpu_pin:
    name: web1
    pins: 1-3
    state: absent
"""

RETURN = r"""
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
driver:
  description: The hypervisor driver behind the URI, V(qemu), V(xen), V(xl) or V(test).
  returned: success
  type: str
  sample: qemu
placement:
  description: The placement that the domain has with the pins, as RV(numa.virt.numa_domain#module:placement).
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
    - Where the guest really is, as RV(numa.virt.numa_domain#module:actual); V(null) where it does not run or only its
      definition changed.
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
changes:
  description: What was changed, or would be in check mode, as RV(numa.virt.numa_domain#module:changes).
  returned: success
  type: list
  elements: dict
  sample: [{element: "cputune/vcpupin[@vcpu='0']", before: '2', after: '3', applied: both, needs_restart: false}]
restart_required:
  description: Whether the running guest is other than its definition says, and would follow only after a restart.
  returned: success
  type: bool
  sample: false
restart_reasons:
  description: Why, one entry for each element, as RV(numa.virt.numa_domain#module:restart_reasons).
  returned: success
  type: list
  elements: dict
  sample: []
backup_file:
  description: The file with the previous definition.
  returned: when a definition was replaced and O(backup=true)
  type: str
  sample: /var/lib/numa.virt/backup/6695eb01-f6a4-8304-79aa-97f2502e193f.20261123T101500.000000001.xml
"""

from ansible_collections.numa.virt.plugins.module_utils._engine.pin import PinRequest, pin_domain
from ansible_collections.numa.virt.plugins.module_utils._intent.pins import wish_from_options
from ansible_collections.numa.virt.plugins.module_utils._module.argspec import (
    backup_options,
    connection_options,
    definition_options,
)
from ansible_collections.numa.virt.plugins.module_utils._module.connect import connect
from ansible_collections.numa.virt.plugins.module_utils._module.quiet import QuietModule
from ansible_collections.numa.virt.plugins.module_utils._module.run import run
from ansible_collections.numa.virt.plugins.module_utils._node.backup import default_directory
from ansible_collections.numa.virt.plugins.module_utils._node.lock import lock_directory


def main():
    module = QuietModule(
        argument_spec=dict(
            connection_options(),
            **backup_options(),
            **definition_options(),
            name=dict(type="str"),
            pins=dict(type="raw"),
            emulator_cpuset=dict(type="raw"),
            iothread_pins=dict(type="raw"),
            state=dict(type="str", choices=["present", "absent"], default="present"),
            apply=dict(type="str", choices=["live", "config", "both"]),
            outside_cpuset=dict(type="str", choices=["refuse", "allow"], default="refuse"),
        ),
        required_one_of=[("name", "config"), ("pins", "emulator_cpuset", "iothread_pins")],
        supports_check_mode=True,
    )
    params = module.params

    def work():
        request = PinRequest(
            name=params["name"],
            wish=wish_from_options(params),
            apply=params["apply"],
            allow_outside=params["outside_cpuset"] == "allow",
            backup=params["backup"],
            backup_dir=params["backup_dir"] or default_directory(),
            check_mode=module.check_mode,
            lock_dir=lock_directory(),
            diff=module._diff,
        )
        with connect(params["uri"], params["config"], module.run_command) as connection:
            return pin_domain(connection, request)

    module.finish(run(work, module.params["uri"]))


if __name__ == "__main__":
    main()
