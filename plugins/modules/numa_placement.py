#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module places many domains. It holds no logic: see module_utils/_engine/placement*.py and module_utils/_planner.

from __future__ import annotations

DOCUMENTATION = r"""
module: numa_placement
short_description: Place many domains on a host's NUMA cells by policy, planned together
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Chooses cells and CPUs for a list of domains, by a policy, with all that is on the host already in view, domains
    that nobody manages here included. Then it defines and starts each one there as M(numa.virt.numa_domain) does.
  - A domain that has a valid place keeps it. Adding one moves no other.
  - Everything is planned before anything is written. Where one domain has no place, nothing is touched, unless
    O(partial).
  - What was asked for is kept with each domain, so that a later run without options keeps to it.
  - Two runs of this module on one host wait for each other, whoever starts them, so that no CPU is given away twice.
    Where it cannot take the lock that they share it is refused, and with a host that is reached by its name it warns,
    see R(Who else is on the host,ansible_collections.numa.virt.docsite.who_else).
  - What M(numa.virt.numa_claim) has claimed for a guest is given to no other, and is the place of that guest, where it
    is a valid one. With a host that is reached by its name claims and the state of the host cannot be seen, which a
    warning says.
  - Guests that leave CPUs or memory are moved before those that get them. A guest that fails stops no other, but those
    that were to get what it has, or what it leaves only when it is restarted, are left as they are, and it is said whom
    they wait for. Two guests that run and would have to change places are not moved, move one of them elsewhere first.
  - Each domain is looked at once more right before it is written. Where somebody else has changed it meanwhile, it is
    left as it is, and fails.
  - A run that was killed is finished by running it again.
extends_documentation_fragment:
  - numa.virt._attributes
  - numa.virt._attributes.state_module
  - numa.virt._libvirt
  - numa.virt._libvirt.backup
options:
  domains:
    description:
      - The domains to place, names of those that exist, or dictionaries.
      - A dictionary has C(name) or C(xml), the definition of the domain as in O(numa.virt.numa_domain#module:xml),
        and may have C(policy), C(cells), C(smt), C(cache), C(emulator), C(iothreads), C(cpu_ratio), C(devices),
        C(together), C(apart), C(priority), C(width), C(own_cpus) and C(memory_overhead), which stand for the options of
        the same names, for this domain alone, and C(scheduler) and C(nodemask) as
        O(numa.virt.numa_domain#module:scheduler) and O(numa.virt.numa_domain#module:nodemask).
      - C(cells) are the cells that it may use. C(together) and C(apart) name a group whose members share one cell, or
        no cell. Of those that do not all fit, the ones with the higher C(priority) are placed. C(width) is the number
        of cells of a guest with the policy V(mirror).
    type: list
    elements: raw
  select:
    description:
      - Domains that exist on the host, V(all) of them, those that are V(running), or those whose name matches a
        pattern such as V(web*).
      - One whose definition cannot be read, that a newer release has placed, or that this host cannot place by the
        policy that it was placed by, is left alone, with a warning. It counts for the others like one that nobody
        manages here. One whose record of what was asked for cannot be read is placed as if nothing had been.
    type: str
  policy:
    description:
      - V(pack) puts each guest on as few cells as hold it, and fills a cell before it opens another.
      - V(spread) puts each guest on the cell that has most room left.
      - V(dedicated) gives each vCPU a CPU that no other guest may use.
      - V(mirror) is for guests wider than a cell. Cells of the guest are mapped to cells of the host, the nearest
        that hold them, and the guest is told of them.
      - Without it, and without any option of a policy, a domain keeps to what was asked for before, and to V(pack)
        where nothing was.
    type: str
    choices: [pack, spread, dedicated, mirror]
  smt:
    description:
      - How dedicated CPUs use the threads of a core. V(prefer) takes whole cores first, V(require) takes nothing
        else, V(isolate) takes one thread of each core and leaves the others idle.
      - Where the definition tells the guest of cores with several threads (C(<topology threads>)), V(prefer) and
        V(require) put the vCPUs of such a core on threads of one core of the host. With V(prefer) a guest for which no
        such CPUs are free is placed all the same, with a warning.
    type: str
    choices: [prefer, require, isolate]
  cache:
    description:
      - Whether the dedicated CPUs of a guest on one cell share a last-level cache, on hosts whose cells have several.
      - V(prefer) keeps them within one where they fit, else within the fewest. It keeps no guest out, and whole cores
        come first. V(require) gives a guest CPUs of one cache of each of its cells, and no place where none has room.
        V(ignore) takes the lowest CPUs. Without it V(prefer).
      - A guest that one cell could hold is not split over several for V(require).
      - With V(require) the host has to tell of its caches. The driver V(xen) and C(xl) do not.
    type: str
    choices: [prefer, require, ignore]
  emulator:
    description:
      - Where the emulator's threads of a guest with dedicated CPUs run. V(share) leaves them on its own CPUs,
        V(isolate) gives them a CPU of their own, and a CPU set is used as it is.
      - With V(share) threads that the definition in C(xml), or that of a guest which nobody has placed yet, pins to
        CPUs that belong to nobody alone stay there. Where a vCPU has a real-time scheduler (C(fifo), C(rr)) they are
        never left on the guest's own CPUs, where they would not run. They get a CPU of their own then, as with
        V(isolate).
    type: raw
  iothreads:
    description:
      - Where the IO threads run, V(emulator) for where the emulator's threads may, or a CPU set. By default a guest
        with dedicated CPUs has them with its emulator, and others on the CPUs of the guest.
    type: raw
  cpu_ratio:
    description:
      - How many vCPUs may share one CPU. Without it one.
    type: float
  memory_overhead:
    description:
      - How much memory the hypervisor needs on the cells of a guest beside the guest's own, for example V(512MiB). It
        is ordinary memory whatever pages the guest has.
      - Without it that is estimated. For QEMU it is 64 MiB, 8 MiB for each vCPU and IO thread, and a 256th of the
        guest's ordinary memory for page tables; for Xen, as libxl counts, 1 MiB for each vCPU and a 128th of the
        memory.
      - With V(0), and nothing in O(reserved_memory), a guest may be as large as its cell. It may then be killed there
        for want of memory.
    type: str
  devices:
    description:
      - What the devices of the host that a guest is given mean. With V(require) it goes to their cell or nowhere, with
        V(prefer) there if it can, with V(ignore) anywhere.
      - They are PCI devices in whatever element of the definition, network adapters and NVMe disks too, and mediated
        and vDPA devices, which are on the cell of their parent.
      - A device whose cell is not known is an error with V(require), and named in a warning with V(prefer).
    type: str
    choices: [require, prefer, ignore]
  reserved_cpus:
    description:
      - CPUs that no guest gets, as a CPU set.
    type: raw
  reserved_memory:
    description:
      - "Memory of cells that no guest gets, by cell, for example V({'0': 4GiB}), without their huge pages."
      - "Of a cell with CPUs that it does not name, a 32nd of its memory is kept for the kernel and the host's services,
        and no more than 2 GiB. V({'0-3': 0}) keeps nothing."
    type: dict
  reserved_cells:
    description:
      - Cells of which no guest gets CPUs or memory unless its own C(cells) name them, as a set such as V(8) or V(2-3),
        for example those of a GPU's memory, of HBM or of CXL memory.
    type: raw
  shared_cpus:
    description:
      - CPUs for guests that share. Where it is given, dedicated ones come from the rest. It may name isolated CPUs,
        with a warning.
    type: raw
  dedicated_cpus:
    description:
      - CPUs for guests with CPUs of their own. Where it is given, shared ones come from the rest, but not from isolated
        CPUs.
      - Where neither is given, isolated CPUs (C(isolcpus), see RV(numa.virt.numa_cell_info#module:isolated_cpus)) are
        for guests with CPUs of their own and all others are shared. Where there are none, each CPU belongs to whom it
        is given first.
    type: raw
  state:
    description:
      - V(defined) defines the domains and leaves them running or not. No guest is restarted.
      - V(running) starts them too, and resumes those that are paused.
      - V(unchanged) is V(running) for guests that run, and V(defined) for those that are shut off or paused. So nobody
        is started, and O(restart=allowed) is about those that run.
      - Without it O(domains) are V(running), and those of O(select) V(unchanged). Say O(state=running) to start all
        that O(select) finds.
    type: str
    choices: [defined, running, unchanged]
  rebalance:
    description:
      - Whether domains that have a valid place may be moved, as few as needed, so that all find one.
    type: bool
    default: false
  even_out:
    description:
      - Whether O(rebalance) also moves guests that are well where they are, to level cells for the policy V(spread), or
        to empty one for V(pack). Otherwise it moves only those that are on more cells than need be, or on a cell that
        holds more than it has, or in the way of one that has no place.
    type: bool
    default: true
  max_moves:
    description:
      - How many domains may move to other cells. Where more would have to, nothing is touched.
    type: int
  partial:
    description:
      - Whether the domains that have a place are placed where others have none.
    type: bool
    default: false
  restart:
    description:
      - Whether a running guest may be shut down and started again where its new placement needs that. It is asked to
        shut down, never destroyed.
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
      - Whether to read back where each guest is, as in M(numa.virt.numa_domain).
    type: bool
    default: true
  lock_timeout:
    description:
      - Seconds to wait for other runs that change domains of this host. V(0) does not wait.
    type: int
    default: 300
  host_state:
    description:
      - With V(respect) a host that M(numa.virt.numa_host_state) has made V(draining) or V(out) gets no domain that is
        not on it yet. The task fails with the code V(host_state), and says who has taken the host out, and why. With
        O(partial) the domains on it are placed all the same.
      - V(ignore) places new domains there, too.
    type: str
    choices: [respect, ignore]
    default: respect
    version_added: 0.2.0
notes:
  - CPUs that another slice of the host has for itself (RV(numa.virt.numa_cell_info#module:other_slices)) are given to
    no guest, and are named in a warning.
  - Memory is never promised twice. CPUs are, up to O(cpu_ratio), among guests that share.
  - A guest that may run on every CPU is on everybody's CPUs, and no plan can keep it off. It is named in a warning.
    Place it, or give it CPUs with O(shared_cpus).
  - Elements that name a part of the host by a number and that nobody here changes (C(cputune/cachetune),
    C(cputune/memorytune)) stay as they are. Where none of their vCPUs can use it on the new place, a warning says so.
seealso:
  - module: numa.virt.numa_domain
  - module: numa.virt.numa_release
  - module: numa.virt.numa_claim
  - module: numa.virt.numa_host_state
  - module: numa.virt.numa_domain_info
"""

EXAMPLES = r"""
- name: Place a host's web servers, few cells first
  numa.virt.numa_placement:
    domains:
      - xml: "{{ lookup('ansible.builtin.template', 'web1.xml.j2') }}"
      - xml: "{{ lookup('ansible.builtin.template', 'web2.xml.j2') }}"
    policy: pack
    cpu_ratio: 4

- name: Two databases with CPUs of their own, whole cores, never on one cell
  numa.virt.numa_placement:
    domains:
      - {name: db1, apart: db}
      - {name: db2, apart: db}
    policy: dedicated
    smt: require
    reserved_cpus: '0'

- name: Place whatever runs on this host, and see first what that would do
  numa.virt.numa_placement:
    select: running
    policy: spread
  check_mode: true
  diff: true

- name: Make room by moving two guests at most, and start none that is shut off
  numa.virt.numa_placement:
    select: all
    rebalance: true
    max_moves: 2

- name: Place and start every web server, whatever its state was
  numa.virt.numa_placement:
    select: web*
    state: running
"""

RETURN = r"""
driver:
  description: The hypervisor driver behind the URI, V(qemu), V(xen), V(xl) or V(test).
  returned: success
  type: str
  sample: qemu
plan:
  description:
    - The whole plan. Check mode returns the one that a run would carry out.
  returned: success
  type: dict
  contains:
    placements:
      description: Where each domain shall be, with the reason.
      returned: success
      type: list
      elements: dict
      sample:
        - name: web1
          policy: pack
          action: place
          cells: [0]
          cpuset: 0-7
          vcpu_pins: {}
          emulator_cpuset: null
          memory_cells: [0]
          memory: {'0': 65536}
          guest_cells: []
          distance: 0
          reason: 'cell 0: filled before another is opened; 25 % of the scarcer of CPU and memory used after'
    rejections:
      description: Domains that have no place, as RV(rejections).
      returned: success
      type: list
      elements: dict
      sample: []
    notes:
      description: What is worth knowing and prevents nothing.
      returned: success
      type: list
      elements: dict
      sample:
        - code: unrestricted
          name: old
          cell: null
          message: 'old may run on every CPU of the host: no plan can keep it off the CPUs of others'
    moves:
      description: Names of domains that go to other cells.
      returned: success
      type: list
      elements: str
      sample: []
    vcpus:
      description: How many of the requested vCPUs have a place, and how many any plan could place at best.
      returned: success
      type: dict
      sample: {placed: 2, bound: 2}
    before:
      description: What is used of each cell before.
      returned: success
      type: list
      elements: dict
      sample:
        - cell: 0
          shared_cpus: 0-7
          dedicated_cpus: ''
          load: 0.0
          memory: {used: 0, total: 2097152}
          huge_pages: [{size: 2048, used: 0, total: 0}]
          guests: []
          kept_out: false
    after:
      description: The same afterwards.
      returned: success
      type: list
      elements: dict
      sample:
        - cell: 0
          shared_cpus: 0-7
          dedicated_cpus: ''
          load: 2.0
          memory: {used: 65536, total: 2097152}
          huge_pages: [{size: 2048, used: 0, total: 0}]
          guests: [web1]
          kept_out: false
  sample: {placements: [], rejections: [], notes: [], moves: [], vcpus: {placed: 0, bound: 0}, before: [], after: []}
domains:
  description:
    - Each domain that has a place, by name, with what was done.
    - Where some failed, those that did not. C(error.failures) has the others, each with C(name), C(code), C(msg),
      C(changed) and C(backup_file), and C(waits_for) where it was left as it is because of others.
  returned: success, or when some domains failed
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: success
      type: str
      sample: web1
    uuid:
      description: Its UUID.
      returned: success
      type: str
      sample: 6695eb01-f6a4-8304-79aa-97f2502e193f
    changed:
      description: Whether anything changed.
      returned: success
      type: bool
      sample: true
    cells:
      description: Its cells.
      returned: success
      type: list
      elements: int
      sample: [0]
    reason:
      description: Why it is there.
      returned: success
      type: str
      sample: 'cell 0: filled before another is opened; 25 % of the scarcer of CPU and memory used after'
    state:
      description: Its state.
      returned: success
      type: str
      sample: running
    placement:
      description: As RV(numa.virt.numa_domain#module:placement).
      returned: success
      type: dict
      sample:
        cpuset: 0-7
        automatic: false
        vcpu_pins: {}
        emulator_cpuset:
        iothread_pins: {}
        memory: {mode: strict, cells: [0], automatic: false}
        memnodes: {}
    actual:
      description: As RV(numa.virt.numa_domain#module:actual).
      returned: success
      type: dict
      sample:
        source: proc
        vcpus: {'0': 0-7, '1': 0-7}
        emulator: 0-7
        iothreads: {}
        memory_cells: '0'
        memory_policy: bind:0
        memory: {'0': 43008}
    changes:
      description: As RV(numa.virt.numa_domain#module:changes).
      returned: success
      type: list
      elements: dict
      sample: [{element: numatune/memory, before: null, after: strict on 0, applied: config, needs_restart: false}]
    restart_required:
      description: As RV(numa.virt.numa_domain#module:restart_required).
      returned: success
      type: bool
      sample: false
    restart_reasons:
      description: As RV(numa.virt.numa_domain#module:restart_reasons).
      returned: success
      type: list
      elements: dict
      sample: []
    backup_file:
      description: The file on the managed node that holds its definition from before.
      returned: when its definition changed
      type: str
      sample: /var/lib/numa.virt/backup/6695eb01-f6a4-8304-79aa-97f2502e193f.20260101T120000.000000000.xml
    overwritten:
      description:
        - What somebody else did to its definition in the moment before it was defined here, which is lost (C(what),
          V(edited) or V(undefined)), and the file that holds what it was before (C(backup_file)).
      returned: when that was seen
      type: dict
      sample: {what: edited, backup_file: null}
  sample: []
moves:
  description: Names of domains that go to other cells.
  returned: success
  type: list
  elements: str
  sample: []
rejections:
  description:
    - Domains that have no place. Not empty with O(partial=true) only; otherwise the task fails with them in C(error).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: success
      type: str
      sample: db3
    constraint:
      description:
        - What there is too little of, for example V(cpus), V(memory), V(huge_pages), V(cores), V(caches), V(together),
          V(apart).
        - V(host) where this host cannot do what the domain asks for, whatever else is there.
        - V(host_state) where somebody has taken the host out, see O(host_state).
      returned: success
      type: str
      sample: cpus
    cell:
      description: The cell that comes nearest, V(null) where it is about all of them.
      returned: success
      type: int
      sample: 1
    needed:
      description: What it needs.
      returned: success
      type: float
      sample: 10
    available:
      description: What is there.
      returned: success
      type: float
      sample: 8
    unit:
      description: What both are counted in.
      returned: success
      type: str
      sample: CPUs
    nearest:
      description: What would fit there.
      returned: success
      type: dict
      sample: {cell: 1, vcpus: 8, memory: 65536}
    message:
      description: The same in words.
      returned: success
      type: str
      sample: >-
        db3: needs 10 CPUs, and cells 0-1 have 8, at most 8 on cell 1; 8 vCPUs with 65536 KiB would fit on cell 1
  sample: []
restart_required:
  description: Whether a running guest would follow its new placement only after a restart.
  returned: success
  type: bool
  sample: false
"""

from ansible_collections.numa.virt.plugins.module_utils._engine.placement import place_domains
from ansible_collections.numa.virt.plugins.module_utils._engine.placement_guests import PlacementRequest
from ansible_collections.numa.virt.plugins.module_utils._intent.placement_options import (
    ENTRY_OPTIONS,
    FOR_ALL,
    entries_of,
    options_of,
    rules_of,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import CHOICES
from ansible_collections.numa.virt.plugins.module_utils._module.argspec import (
    backup_options,
    connection_options,
    rules_options,
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
            domains=dict(type="list", elements="raw"),
            select=dict(type="str"),
            policy=dict(type="str", choices=list(CHOICES["policy"])),
            smt=dict(type="str", choices=list(CHOICES["smt"])),
            emulator=dict(type="raw"),
            iothreads=dict(type="raw"),
            cpu_ratio=dict(type="float"),
            memory_overhead=dict(type="str"),
            devices=dict(type="str", choices=list(CHOICES["devices"])),
            cache=dict(type="str", choices=list(CHOICES["cache"])),
            **rules_options(),
            state=dict(type="str", choices=["defined", "running", "unchanged"]),
            rebalance=dict(type="bool", default=False),
            even_out=dict(type="bool", default=True),
            max_moves=dict(type="int"),
            partial=dict(type="bool", default=False),
            restart=dict(type="str", choices=["never", "allowed"], default="never"),
            shutdown_timeout=dict(type="int", default=120),
            verify=dict(type="bool", default=True),
            lock_timeout=dict(type="int", default=300),
            host_state=dict(type="str", choices=["respect", "ignore"], default="respect"),
        ),
        required_one_of=[("domains", "select")],
        mutually_exclusive=[("domains", "select")],
        supports_check_mode=True,
        entries={"domains": ENTRY_OPTIONS},
    )
    params = module.params

    def work():
        request = PlacementRequest(
            entries=entries_of(params["domains"]),
            select=params["select"],
            task={name: params[name] for name in FOR_ALL},
            rules=rules_of(params),
            options=options_of(params),
            state=params["state"],
            partial=params["partial"],
            restart=params["restart"] == "allowed",
            shutdown_timeout=params["shutdown_timeout"],
            verify=params["verify"],
            backup=params["backup"],
            backup_dir=params["backup_dir"] or default_directory(),
            check_mode=module.check_mode,
            lock_dir=lock_directory(),
            diff=module._diff,
            lock_timeout=params["lock_timeout"],
            ignores_state=params["host_state"] == "ignore",
        )
        with connect(params["uri"], None, module.run_command) as connection:
            return place_domains(connection, request)

    module.finish(run(work, params["uri"]))


if __name__ == "__main__":
    main()
