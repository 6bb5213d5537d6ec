#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This file documents. The work is done on the controller, by plugins/action/numa_fleet_plan.py.

from __future__ import annotations

DOCUMENTATION = r"""
module: numa_fleet_plan
short_description: Plan which guest goes to which host and cells, for many hosts together
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Says for guests which host and which cells they shall be on, from what the hosts have told by
    M(numa.virt.numa_domain_info) with O(numa.virt.numa_domain_info#module:fleet=true). It runs on the controller, asks
    no host, and changes nothing but O(plan_file).
  - Whoever has a valid place keeps it, and a new guest moves nobody. Guests of hosts in O(drain) leave them, and a
    guest that its own O(domains) entry no longer lets be where it is leaves too.
  - The plan is a list of steps in batches. When a batch begins there is room for each of its steps, while all that move
    in it or later are still where they were.
  - A guest that has no place stops no other. Look at RV(rejections).
  - A host that has told nothing, or whose facts are older than O(max_age), is unknown. Nothing is planned on to it or
    off it.
extends_documentation_fragment:
  - numa.virt._attributes.file_module
attributes:
  action:
    description: Has a plugin that runs on the controller.
    support: full
  bypass_host_loop:
    description: Runs once for all hosts of the play. Say C(run_once) too, so that all of them have the result.
    support: full
options:
  facts:
    description:
      - The name of the variable in which each host has the registered result of M(numa.virt.numa_domain_info) with
        O(numa.virt.numa_domain_info#module:fleet=true), or the text RV(numa.virt.numa_domain_info#module:fleet) of it.
        It is the name and not the value, so that nothing of it goes through arguments.
    type: str
    required: true
  hosts:
    description:
      - The hosts that the plan is for, by names, groups, or patterns such as V(kvm*).
      - Without it they are all hosts of the play. Where the play has only some of them at a time (C(serial)), or the
        run is limited (C(--limit)), the task is refused without it. A controller that cuts the inventory itself, as
        job slicing does, cannot be seen from inside. Name the hosts there; one that is not in the inventory is an
        error.
    type: list
    elements: str
  domains:
    description:
      - The guests to plan for. A name stands for a guest that a host has told of, with what it was placed for.
      - A dictionary has C(name), and of a new guest C(vcpus) and C(memory). It may have C(page_size) of huge pages,
        C(threads) of one core as the guest is told, and C(guest_cells), its own cells, each with C(vcpus), C(memory)
        and C(page_size).
      - Further C(policy), C(cells), C(smt), C(cache), C(emulator), C(iothreads), C(cpu_ratio), C(together), C(apart),
        C(priority), C(width), C(own_cpus) and C(memory_overhead) as in O(numa.virt.numa_placement#module:domains). Of
        the ones with a higher C(priority) more get a place.
      - C(hosts) are names or patterns of hosts that it may be on. C(labels) are values, or patterns of them, that
        its host has in O(labels). C(groups) is a list of dictionaries with C(name), C(kind), which is V(together) or
        V(apart), and C(within), which is V(host) or the name of a label. Their members share one of these, or
        never do.
      - C(at) is its host where several have a guest of that name. C(how) it may be moved is V(live), V(restart) or
        V(never), by default V(live).
    type: list
    elements: raw
    aliases: [guests]
  labels:
    description:
      - "Labels of hosts, by host, group or pattern, for example V({'rack1': {'rack': 'r1'}}) with a group of the
        inventory. Where several say the same label, the last one counts."
    type: dict
  drain:
    description:
      - Hosts to empty, by names, groups or patterns. All of their guests leave them, and none comes.
    type: list
    elements: str
  max_moves:
    description:
      - How many moves the plan may have.
    type: int
  max_memory_moved:
    description:
      - How much memory all moves together may have, for example V(512GiB).
    type: str
  at_once_host:
    description:
      - How many moves from or to one host may run at once.
    type: int
    default: 2
  at_once_fleet:
    description:
      - How many moves may run at once in all. Without it as many as hosts allow.
    type: int
  spare:
    description:
      - Room that has to be left.
    type: dict
    suboptions:
      hosts:
        description:
          - With V(1), no new guest gets a place by which another guest would have none if any one host were lost.
        type: int
        default: 0
  max_age:
    description:
      - How many seconds ago a host may have told what it is. The clocks of hosts and controller have to agree.
    type: float
  capacity:
    description:
      - Guests of which it is counted how many more would fit after the plan. Dictionaries as in O(domains), with what
        says how large a guest is, and its policy.
    type: list
    elements: dict
  losses:
    description:
      - Hosts, by names, groups or patterns, of which it is looked what their loss would mean after the plan, each by
        itself. It takes about as long as to plan for all guests of the host.
    type: list
    elements: str
  plan_file:
    description:
      - A file on the controller to write the plan to, as versioned JSON of mode V(0600). Only a file of this module is
        replaced, and only where the plan is another one.
    type: path
  apply_from:
    description:
      - A file that O(plan_file) has written, perhaps reviewed since. Its plan is returned, for the tasks that carry it
        out, where each host that it names still is as it was. Otherwise the task is refused, and names those that are
        not.
      - How much memory of guests was measured on a cell does not count, for it is another at each look. Which cells
        it is on does.
    type: path
notes:
  - Guests that are given devices of a host are not planned new here, use M(numa.virt.numa_placement) on that host. What
    devices a guest has that it placed counts.
  - A new guest is planned with the memory that its hypervisor needs beside its own, by the driver of the fleet that
    needs most.
seealso:
  - module: numa.virt.numa_domain_info
  - module: numa.virt.numa_placement
"""

EXAMPLES = r"""
- name: Have each host tell what it is
  numa.virt.numa_domain_info:
    fleet: true
    reserved_cpus: 0-1
  register: told

- name: Find places for two databases in different racks, and write the plan down
  numa.virt.numa_fleet_plan:
    facts: told
    domains:
      - {name: db1, vcpus: 8, memory: 64GiB, policy: dedicated, page_size: 1GiB, groups: "{{ apart }}"}
      - {name: db2, vcpus: 8, memory: 64GiB, policy: dedicated, page_size: 1GiB, groups: "{{ apart }}"}
    labels:
      rack1: {rack: r1}
      rack2: {rack: r2}
    plan_file: plans/databases.json
  vars:
    apart: [{name: db, kind: apart, within: rack}]
  run_once: true
  register: plan
  failed_when: plan is failed or plan.rejections | length > 0

- name: See what emptying a host would mean, by four moves at once at most
  numa.virt.numa_fleet_plan:
    facts: told
    hosts: [hypervisors]
    drain: [kvm3]
    at_once_fleet: 4
  run_once: true
  diff: true

- name: How many more guests fit, and who would have no place if a host failed
  numa.virt.numa_fleet_plan:
    facts: told
    capacity:
      - {name: small, vcpus: 2, memory: 4GiB, cpu_ratio: 4}
      - {name: wide, vcpus: 32, memory: 256GiB, policy: mirror, width: 2, page_size: 1GiB}
    losses: [hypervisors]
  run_once: true
  register: room

- name: Use a plan that was reviewed, unless a host has changed since
  numa.virt.numa_fleet_plan:
    facts: told
    apply_from: plans/databases.json
  run_once: true
  register: plan
"""

RETURN = r"""
hosts:
  description: The hosts that the plan is for.
  returned: success
  type: list
  elements: str
  sample: [kvm1, kvm2]
placements:
  description: Where each guest shall be that is in O(domains) or on a host in O(drain), by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the guest.
      returned: success
      type: str
      sample: db1
    action:
      description:
        - V(keep) stays where it is, V(here) goes to other CPUs or cells of its host, V(place) is new, V(move) goes to
          another host. V(stuck) has to leave and has no other place.
      returned: success
      type: str
      sample: move
    host:
      description: The host that it shall be on.
      returned: success
      type: str
      sample: kvm2
    cells:
      description: Cells of that host. Empty for one that is stuck.
      returned: success
      type: list
      elements: int
      sample: [0]
    vcpus:
      description: How many vCPUs it has.
      returned: success
      type: int
      sample: 8
    memory:
      description: Its memory in KiB.
      returned: success
      type: int
      sample: 67108864
    at:
      description: The host that it is on, V(null) for a new one.
      returned: success
      type: str
      sample: kvm1
    reason:
      description: Why it is to be there.
      returned: success
      type: str
      sample: 'host kvm1 is drained; host kvm2: cell 0: filled before another is opened'
  sample: []
batches:
  description:
    - Steps in batches, which are done one after the other. The steps of one batch may be done at once.
  returned: success
  type: list
  elements: list
  sample:
    - - {name: db1, source: kvm1, host: kvm2, cells: [0], how: live, memory: 67108864, passing: false}
rejections:
  description:
    - Guests that have no place, or cannot leave the host that they have to leave, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the guest.
      returned: success
      type: str
      sample: db3
    at:
      description: The host that it is on and has to leave; V(null) for one that is new.
      returned: success
      type: str
      sample: null
    constraint:
      description:
        - What there is too little of, as in RV(numa.virt.numa_placement#module:rejections). Further V(hosts) and
          V(group) where no host is open to it, V(wish) where nobody has said what it needs, V(never) where it may not
          be moved, V(limit), V(spare), and V(waits) where others would have to leave first who cannot.
      returned: success
      type: str
      sample: cpus
    host:
      description: The host that comes nearest, V(null) where none is open to it.
      returned: success
      type: str
      sample: kvm2
    cell:
      description: The cell of that host that comes nearest, V(null) where it is about all of them.
      returned: success
      type: int
      sample: 1
    needed:
      description: What the guest needs there.
      returned: success
      type: float
      sample: 10
    available:
      description: What there is.
      returned: success
      type: float
      sample: 8
    unit:
      description: What the two are counted in.
      returned: success
      type: str
      sample: CPUs
    message:
      description: All of it in one line.
      returned: success
      type: str
      sample: 'db3: nearest is host kvm2: needs 10 CPUs, and cells 0-1 have 8'
  sample: []
moves:
  description: How many moves from one host to another there are.
  returned: success
  type: int
  sample: 1
memory_moved:
  description: KiB of memory of the guests that these move.
  returned: success
  type: int
  sample: 67108864
vcpus:
  description:
    - How many of the vCPUs that are to be placed have a place (C(placed)), and how many any plan could place at best
      (C(bound)).
  returned: success
  type: dict
  sample: {placed: 8, bound: 8}
unknown:
  description: Hosts that are not planned with, and why.
  returned: success
  type: list
  elements: dict
  sample: [{host: kvm4, why: it has never said what it is}]
capacity:
  description:
    - For each guest in O(capacity), in its order, how many more of it fit once the plan is done.
  returned: without O(apply_from)
  type: list
  elements: dict
  contains:
    name:
      description: Its name in O(capacity).
      returned: success
      type: str
      sample: small
    fits:
      description: How many fit, for they were placed to count them.
      returned: success
      type: int
      sample: 24
    at_most:
      description: How many could fit at best. The same for guests of one cell, and of cells that are alike.
      returned: success
      type: int
      sample: 24
    hosts:
      description: The same (C(fits), C(at_most)) of each C(host) that is planned on to.
      returned: success
      type: list
      elements: dict
      sample: [{host: kvm2, fits: 24, at_most: 24}]
  sample: []
losses:
  description:
    - For each host in O(losses), what would be if it were lost once the plan is done.
  returned: without O(apply_from)
  type: list
  elements: dict
  contains:
    host:
      description: The host that is lost.
      returned: success
      type: str
      sample: kvm1
    placed:
      description: How many of its guests would find a place elsewhere.
      returned: success
      type: int
      sample: 12
    homeless:
      description: The names of its guests that would find none.
      returned: success
      type: list
      elements: str
      sample: [db1]
    capacity:
      description:
        - How many more guests would fit then, C(fits) and C(at_most) by C(name) as in RV(capacity).
      returned: success
      type: list
      elements: dict
      sample: [{name: small, fits: 0, at_most: 2}]
  sample: []
plan_file:
  description: The path of the file that holds the plan.
  returned: with O(plan_file) or O(apply_from)
  type: str
  sample: /srv/plans/databases.json
"""
