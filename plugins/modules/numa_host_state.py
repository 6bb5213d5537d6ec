#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module says whether a host takes guests. It holds no logic: see module_utils/_engine/host_state.py.

from __future__ import annotations

DOCUMENTATION = r"""
module: numa_host_state
short_description: Say whether a host takes new guests
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Keeps on a host whether it takes new guests, who said so, why and when. It is there after a reboot, too.
  - M(numa.virt.numa_placement) puts no new guest on a host that is V(draining) or V(out), whichever controller it runs
    for. It says who has taken the host out, and why.
  - No guest is touched. Those on the host stay, are started and stopped, and may be placed anew inside of it.
  - The state is one for all daemons of root and for Xen, see
    R(Who else is on the host,ansible_collections.numa.virt.docsite.who_else). M(numa.virt.numa_cell_info) shows it.
extends_documentation_fragment:
  - numa.virt._attributes
  - numa.virt._attributes.state_module
  - numa.virt._libvirt
options:
  state:
    description:
      - With V(in) the host takes new guests, as one does of which nobody has said anything.
      - V(draining) is for a host that guests leave, V(out) for one that they have left. Neither takes new guests.
    type: str
    choices: [in, draining, out]
    required: true
  reason:
    description:
      - Why, in one line of up to 200 characters.
      - Without it a state that stays as it is keeps its reason.
    type: str
  who:
    description:
      - Who says so, for people to ask. Up to 200 characters.
      - Without it the user that runs Ansible and the name of the controller, as in V(ops@deploy1).
    type: str
  lock_timeout:
    description:
      - Seconds to wait for runs that change domains of this host. V(0) does not wait.
    type: int
    default: 300
seealso:
  - module: numa.virt.numa_placement
  - module: numa.virt.numa_claim
  - module: numa.virt.numa_cell_info
"""

EXAMPLES = r"""
- name: Let no new guest on a host that is to be repaired
  numa.virt.numa_host_state:
    state: draining
    reason: memory of cell 1 is to be exchanged, ticket 4711

- name: Let it take guests again
  numa.virt.numa_host_state:
    state: in
"""

RETURN = r"""
host_state:
  description:
    - As RV(numa.virt.numa_cell_info#module:host_state). In check mode its C(since) is V(null) where it changes.
  returned: success
  type: dict
  sample:
    state: draining
    who: ops@deploy1
    reason: memory of cell 1 is to be exchanged, ticket 4711
    since: '2026-01-01T12:00:00Z'
"""

from ansible_collections.numa.virt.plugins.module_utils._engine.host_state import StateRequest, set_host_state
from ansible_collections.numa.virt.plugins.module_utils._module.argspec import connection_options
from ansible_collections.numa.virt.plugins.module_utils._module.connect import connect
from ansible_collections.numa.virt.plugins.module_utils._module.quiet import QuietModule
from ansible_collections.numa.virt.plugins.module_utils._module.run import run
from ansible_collections.numa.virt.plugins.module_utils._node.lock import lock_directory


def main():
    module = QuietModule(
        argument_spec=dict(
            connection_options(),
            state=dict(type="str", choices=["in", "draining", "out"], required=True),
            reason=dict(type="str"),
            who=dict(type="str"),
            lock_timeout=dict(type="int", default=300),
        ),
        supports_check_mode=True,
    )
    params = module.params

    def work():
        request = StateRequest(
            state=params["state"],
            who=params["who"] or "",
            why=params["reason"],
            check_mode=module.check_mode,
            lock_dir=lock_directory(),
            lock_timeout=params["lock_timeout"],
        )
        with connect(params["uri"], None, module.run_command) as connection:
            return set_host_state(connection, request)

    module.finish(run(work, params["uri"]))


if __name__ == "__main__":
    main()
