#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module places one domain. It must not plan for several, and holds no logic: see module_utils/_engine/domain.py.

from __future__ import annotations

DOCUMENTATION = r"""
module: numa_domain
short_description: Define and start a domain so that it is born on its NUMA cells
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Puts the CPU set, the pins and the memory binding of a domain into its definition, so that they are in force
    before the guest's first instruction and survive every dump, edit and restart.
  - Starts it paused where the driver can, reads back where every thread may run and where its memory is bound, and
    resumes it only if that is inside its placement.
  - Changes nothing but C(vcpu/@cpuset), C(vcpu/@placement), C(cputune/vcpupin), C(cputune/emulatorpin),
    C(cputune/iothreadpin), C(numatune), what O(scheduler) and O(nodemask) are about, and an element of its own in
    C(metadata), which holds what was asked for. In a configuration file of C(xl) that is C(cpus) and a comment line.
  - A domain that runs already is moved as far as its driver can do that live. What needs a restart is reported, and
    is done only with O(restart=allowed).
  - A transient domain is placed live, and is not made persistent.
extends_documentation_fragment:
  - numa.virt._attributes
  - numa.virt._attributes.state_module
  - numa.virt._libvirt
  - numa.virt._libvirt.backup
  - numa.virt._libvirt.config
  - numa.virt._knobs
options:
  name:
    description:
      - The name of the domain. May be left out with O(xml) or O(config), which have it.
    type: str
  xml:
    description:
      - The definition of the domain, as text. Not for O(uri=xl). The placement is put into it.
      - A domain that exists is redefined where this document, or the definition on the host, has changed since the
        last run. It keeps its UUID, and its VNC and SPICE passwords where the document has none.
      - Without it the definition on the host is rewritten in place.
      - Entities and document type declarations are refused.
    type: str
  cells:
    description:
      - The cells of the host that the domain belongs on. It may use all their CPUs that are online, but isolated ones
        (C(isolcpus)), where there are others, only where O(vcpu_pins) or O(cpuset) names them.
      - When neither this nor O(cpuset) is given, what was asked for before stays in force.
    type: list
    elements: int
  cpuset:
    description:
      - The CPUs that the domain may use, in libvirt's syntax (V(0-3,^2,8)) or as a list of integers. With O(cells),
        inside them.
    type: raw
  memory:
    description:
      - Where the memory of the domain comes from. By default it is strictly that of the cells of its CPUs.
    type: dict
    suboptions:
      mode:
        description:
          - V(strict) memory comes from these cells or not at all, and stays while the guest runs.
          - V(restrictive) is the same, but can be moved while the guest runs.
          - V(preferred) memory comes from elsewhere when these cells have no more.
          - V(interleave) spreads it over these cells, page by page.
          - V(none) binds nothing.
        type: str
        choices: [strict, preferred, interleave, restrictive, none]
        default: strict
      cells:
        description:
          - The cells. By default those of the domain.
        type: list
        elements: int
  vcpu_pins:
    description:
      - CPU sets of single vCPUs. A key is a vCPU, or vCPUs in the syntax of CPU sets (V(1-3)), each of which gets
        the whole set.
      - Replaces all pins of vCPUs, so that V({}) removes them. Without it, pins that lie inside the domain's CPU set
        stay.
    type: dict
  emulator_cpuset:
    description:
      - The CPUs of the emulator's threads. Without it they stay as they are, or use the domain's CPU set.
    type: raw
  iothread_pins:
    description:
      - CPU sets of IO threads, by IO thread, written like O(vcpu_pins).
    type: dict
  state:
    description:
      - V(defined) defines the domain and leaves it running or not.
      - V(running) starts it too. A guest that somebody paused is resumed; one that the hypervisor paused, for an I/O
        error or a migration, is refused, and so is one that is shutting down, suspended to RAM or crashed.
      - A guest with a managed save image goes on from there with its memory, on its new place. Where the driver lets
        nobody change the place of an image (C(xen), C(test)), the run is refused before anything is touched.
    type: str
    choices: [defined, running]
    default: running
  restart:
    description:
      - Whether a running guest may be shut down and started again where its new placement needs that. It is asked to
        shut down, never destroyed. Has an effect with O(state=running) only. Refused while a block job, a backup or
        another job of libvirt runs, which would end with the guest.
    type: str
    choices: [never, allowed]
    default: never
  shutdown_timeout:
    description:
      - Seconds to wait for a guest to shut down.
    type: int
    default: 120
  verify:
    description:
      - Whether to read back where the guest is, and to fail where that is outside its placement. A guest that this
        run has started is then destroyed, and its previous definition is put back. One that came out of a managed
        save image is saved again instead.
    type: bool
    default: true
notes:
  - Elements that name a part of the host by a number and that nobody here changes (C(cputune/cachetune),
    C(cputune/memorytune)) stay as they are. Where none of their vCPUs can use it on the new place, a warning says so.
seealso:
  - module: numa.virt.vcpu_pin
  - module: numa.virt.numa_domain_info
  - module: numa.virt.numa_cell_info
"""

EXAMPLES = r"""
- name: Define a guest and start it on cell 1, CPUs and memory
  numa.virt.numa_domain:
    uri: qemu:///system
    xml: "{{ lookup('ansible.builtin.template', 'guest.xml.j2') }}"
    cells: [1]

- name: Put a guest that exists on cell 2 at its next start
  numa.virt.numa_domain:
    name: web1
    cells: [2]
    state: defined

- name: Each vCPU on a CPU of its own, the emulator beside them
  numa.virt.numa_domain:
    name: db1
    cells: [0]
    vcpu_pins:
      '0': '2'
      '1': '3'
      '2-3': '4-7'
    emulator_cpuset: '1'

- name: Memory that can be moved later while the guest runs
  numa.virt.numa_domain:
    name: web1
    cells: [3]
    memory:
      mode: restrictive

- name: Real-time vCPUs, and the memory of a DIMM on the same cell
  numa.virt.numa_domain:
    name: rt1
    cells: [1]
    scheduler:
      vcpus:
        '1-3': {policy: fifo, priority: 1}
      emulator: {policy: batch}
    nodemask:
      '0': '1'

- name: Move a guest, with a restart where that is needed
  numa.virt.numa_domain:
    name: web1
    cells: [2]
    restart: allowed
    shutdown_timeout: 300
"""

RETURN = r"""
name:
  description: The name of the domain.
  returned: success
  type: str
  sample: web1
uuid:
  description: The UUID of the domain; V(null) in check mode for one that does not exist yet.
  returned: success
  type: str
  sample: 6695eb01-f6a4-8304-79aa-97f2502e193f
driver:
  description: The hypervisor driver behind the URI, V(qemu), V(xen), V(xl) or V(test).
  returned: success
  type: str
  sample: qemu
state:
  description:
    - The state of the domain after the run, in libvirt's words. After a failure it is what was found then, V(absent)
      where no such domain is there, V(unknown) where nobody could look.
  returned: success, and after a failure that came behind the first write
  type: str
  sample: running
state_reason:
  description: Why it is paused.
  returned: when it is paused
  type: str
  version_added: 0.2.0
  sample: for an I/O error
placement:
  description: The placement that was asked for, normalised.
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
    scheduler:
      description: How the kernel schedules its threads.
      returned: where the definition says so
      type: dict
      version_added: 0.2.0
      sample: {vcpus: {'1': {policy: fifo, priority: 1}}, iothreads: {}, emulator: null}
    nodemask:
      description: The cells of memory devices that name some, by device.
      returned: where the definition says so
      type: dict
      version_added: 0.2.0
      sample: {'0': '1'}
  sample:
    cpuset: 2-3
    automatic: false
    vcpu_pins: {'0': '2'}
    emulator_cpuset: '3'
    iothread_pins: {'1': '3'}
    memory: {mode: strict, cells: [1], automatic: false}
    memnodes: {}
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
      version_added: 0.2.0
      sample: {policy: dedicated, smt: require}
    scheduler:
      description: How the kernel schedules its threads.
      returned: where it was asked for
      type: dict
      version_added: 0.2.0
      sample: {vcpus: {'1': {policy: fifo, priority: 1}}, iothreads: {}, emulator: null}
    nodemask:
      description: The cells of memory devices that name some, by device.
      returned: where it was asked for
      type: dict
      version_added: 0.2.0
      sample: {'0': '1'}
  sample:
    cells: [1]
    cpuset:
    memory: {mode: strict, cells: [1]}
    vcpu_pins: {'0': '2'}
    emulator_cpuset: '3'
    iothread_pins: {}
    policy:
actual:
  description: Where the guest really is, as it was read back; V(null) where it does not run.
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
      description: The kernel's memory policy of the guest's largest mapping; V(null) where it is not seen, as on Xen.
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
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    element:
      description:
        - The element of the definition; V(definition) for the document as a whole, V(state) for the guest's state,
          V(metadata/intent) for what was asked for.
      returned: success
      type: str
      sample: cputune/vcpupin[@vcpu='0']
    before:
      description: What it said; V(null) where it was not there.
      returned: success
      type: str
      sample: '2'
    after:
      description: What it says now; V(null) where it is gone.
      returned: success
      type: str
      sample: '3'
    applied:
      description:
        - Where, V(config) for the definition, V(live) for the running guest or its managed save image, V(both) for
          both.
      returned: success
      type: str
      sample: both
    needs_restart:
      description: Whether the running guest follows it only after a restart.
      returned: success
      type: bool
      sample: false
  sample:
    - element: cputune/vcpupin[@vcpu='0']
      before: '2'
      after: '3'
      applied: both
      needs_restart: false
restart_required:
  description: Whether the running guest is other than its definition says, and would follow only after a restart.
  returned: success
  type: bool
  sample: false
restart_reasons:
  description: Why, one entry for each element.
  returned: success
  type: list
  elements: dict
  contains:
    element:
      description: The element of the definition.
      returned: success
      type: str
      sample: numatune/memory
    reason:
      description: Why the running guest cannot follow it.
      returned: success
      type: str
      sample: memory in strict mode is bound when the guest starts; only restrictive memory can move while it runs
  sample: []
backup_file:
  description: The file with the previous definition.
  returned: when a definition was replaced and O(backup=true), also where the run failed later
  type: str
  sample: /var/lib/numa.virt/backup/6695eb01-f6a4-8304-79aa-97f2502e193f.20261123T101500.000000001.xml
overwritten:
  description: As RV(numa.virt.numa_placement#module:domains[].overwritten).
  returned: when that was seen
  type: dict
  version_added: 0.2.0
  sample: {what: edited, backup_file: null}
config:
  description: The configuration file, with every secret masked.
  returned: with O(uri=xl)
  type: str
  version_added: 0.2.0
  sample: |
    name = "web1"
    vcpus = 2
    # numa.virt: {"version": 1, "cells": "1"}
    cpus = "2-3"
xml:
  description: The definition, with every secret masked.
  returned: success, but not with O(uri=xl)
  type: str
  sample: <domain type='kvm'><name>web1</name>…<graphics type='vnc' passwd='********'/>…</domain>
"""

from ansible_collections.numa.virt.plugins.module_utils._engine.domain import place_domain
from ansible_collections.numa.virt.plugins.module_utils._engine.plan import Request
from ansible_collections.numa.virt.plugins.module_utils._intent.options import intent_from_options, knob_arguments
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
            xml=dict(type="str", no_log=True),
            cells=dict(type="list", elements="int"),
            cpuset=dict(type="raw"),
            memory=dict(
                type="dict",
                options=dict(
                    mode=dict(
                        type="str",
                        choices=["strict", "preferred", "interleave", "restrictive", "none"],
                        default="strict",
                    ),
                    cells=dict(type="list", elements="int"),
                ),
            ),
            vcpu_pins=dict(type="dict"),
            emulator_cpuset=dict(type="raw"),
            iothread_pins=dict(type="dict"),
            **knob_arguments(),
            state=dict(type="str", choices=["defined", "running"], default="running"),
            restart=dict(type="str", choices=["never", "allowed"], default="never"),
            shutdown_timeout=dict(type="int", default=120),
            verify=dict(type="bool", default=True),
        ),
        required_one_of=[("name", "xml", "config")],
        mutually_exclusive=[("xml", "config")],
        supports_check_mode=True,
    )
    params = module.params

    def work():
        request = Request(
            name=params["name"],
            xml=params["xml"],
            wish=intent_from_options(params),
            state=params["state"],
            restart=params["restart"] == "allowed",
            shutdown_timeout=params["shutdown_timeout"],
            verify=params["verify"],
            backup=params["backup"],
            backup_dir=params["backup_dir"] or default_directory(),
            check_mode=module.check_mode,
            lock_dir=lock_directory(),
            diff=module._diff,
        )
        with connect(params["uri"], params["config"], module.run_command) as connection:
            return place_domain(connection, request)

    module.finish(run(work, module.params["uri"]))


if __name__ == "__main__":
    main()
