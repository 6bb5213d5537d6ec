#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module gives CPUs back. It holds no logic: see module_utils/_engine/release.py.

from __future__ import annotations

DOCUMENTATION = r"""
module: numa_release
short_description: Take the placement of domains out again
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Takes every element of placement out of the definition of domains, and what was asked for out of their metadata,
    so that they are as if this collection had never been there. Their CPUs are free for others.
  - The vCPUs of a guest that runs may use every CPU at once. Its memory stays bound until it is started again, which
    is reported.
  - A guest with a managed save image goes on without a placement, too. Where the driver does not let an image be
    changed it fails, and nothing of it is touched.
  - Cells that O(numa.virt.numa_placement#module:policy=mirror) made for a guest that had none go too. A guest that runs
    keeps them until it is started again. Cells that its own definition had stay.
  - A guest that fails stops no other. One that somebody else changes meanwhile is left as it is, and fails.
extends_documentation_fragment:
  - numa.virt._attributes
  - numa.virt._attributes.state_module
  - numa.virt._libvirt
  - numa.virt._libvirt.backup
options:
  names:
    description:
      - The names of the domains.
    type: list
    elements: str
    aliases: [name]
  select:
    description:
      - Domains that this collection has placed, V(all) of them, those that are V(running), or those whose name
        matches a pattern such as V(web*).
    type: str
seealso:
  - module: numa.virt.numa_placement
  - module: numa.virt.numa_domain
"""

EXAMPLES = r"""
- name: Give the CPUs of two guests back
  numa.virt.numa_release:
    names: [web1, web2]

- name: Leave a host as if this collection had never been there
  numa.virt.numa_release:
    select: all
"""

RETURN = r"""
driver:
  description: The hypervisor driver behind the URI, V(qemu), V(xen), V(xl) or V(test).
  returned: success
  type: str
  sample: qemu
restart_required:
  description: Whether a running guest stays bound to some of its placement until it is started again.
  returned: success
  type: bool
  sample: false
domains:
  description:
    - The domains that were asked for, by name.
    - Where some failed, those that did not. C(error.failures) has the others.
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
      description: Whether anything was taken out.
      returned: success
      type: bool
      sample: true
    changes:
      description: What was taken out, as RV(numa.virt.numa_domain#module:changes).
      returned: success
      type: list
      elements: dict
      sample: []
    restart_required:
      description: Whether it stays bound to some of its placement until it is started again.
      returned: success
      type: bool
      sample: false
    restart_reasons:
      description: Why, as RV(numa.virt.numa_domain#module:restart_reasons).
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
      description: As RV(numa.virt.numa_placement#module:domains[].overwritten).
      returned: when that was seen
      type: dict
      sample: {what: edited, backup_file: null}
  sample: []
"""

from ansible_collections.numa.virt.plugins.module_utils._engine.release import ReleaseRequest, release_domains
from ansible_collections.numa.virt.plugins.module_utils._module.argspec import backup_options, connection_options
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
            names=dict(type="list", elements="str", aliases=["name"]),
            select=dict(type="str"),
        ),
        required_one_of=[("names", "select")],
        mutually_exclusive=[("names", "select")],
        supports_check_mode=True,
    )
    params = module.params

    def work():
        request = ReleaseRequest(
            names=params["names"],
            select=params["select"],
            backup=params["backup"],
            backup_dir=params["backup_dir"] or default_directory(),
            check_mode=module.check_mode,
            lock_dir=lock_directory(),
            diff=module._diff,
        )
        with connect(params["uri"], None, module.run_command) as connection:
            return release_domains(connection, request)

    module.finish(run(work, params["uri"]))


if __name__ == "__main__":
    main()
