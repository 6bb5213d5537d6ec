#!/usr/bin/python
# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module writes pages of what it is given. It must not ask a hypervisor, and holds no logic: see
# module_utils/_engine/map_page.py.

from __future__ import annotations

DOCUMENTATION = r"""
module: numa_map_page
short_description: Write a map of hosts, their cells and guests as HTML pages
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Draws each host on a page of its own, with its cells as they lie by distance, its cores and their threads, memory
    and huge pages, each guest on the CPUs that it may use and the memory that it really has, and what
    M(numa.virt.numa_domain_info) found to be wrong, where it is and with its fix.
  - Writes an overview of all hosts, C(index.html), with how full their cells are, the largest guest that each would
    still take, and findings by severity.
  - Pages hold everything that they need. They use no network and no script, follow the reader's light or dark setting,
    can be printed, and say in tables what they draw.
  - Nothing is asked of a hypervisor. Neither libvirt nor lxml is needed, and one task can draw a fleet on any machine.
  - How to read the map is told in the guide R(The map,ansible_collections.numa.virt.docsite.map).
extends_documentation_fragment:
  - numa.virt._attributes.file_module
options:
  hosts:
    description:
      - The hosts to draw, in any order. The list may be empty where there are O(files) to write; no overview is then
        drawn.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the host, as it is shown. No two hosts may have the same.
        type: str
        required: true
      cells:
        description:
          - The result of M(numa.virt.numa_cell_info), or the list RV(numa.virt.numa_cell_info#module:cells) of it.
        type: raw
        required: true
      guests:
        description:
          - The result of M(numa.virt.numa_domain_info), or the list RV(numa.virt.numa_domain_info#module:domains)
            of it.
          - Its findings are drawn where the result has them.
        type: raw
        required: true
  dest:
    description:
      - The directory for the pages, on the machine where the task runs. It is made where it is not there, with mode
        V(0750), and pages with mode V(0640), since they tell the names of guests. What is there keeps its mode.
      - Files there that this module did not write are never replaced, and none is ever removed. The page of a host that
        is no longer given stays, and the overview no longer leads to it.
    type: path
    required: true
  files:
    description:
      - Other files for the same directory, text by file name, such as what a report is made of. Whatever a file holds
        is replaced where it differs.
      - Names consist of letters, digits, C(.), C(_) and C(-), begin with none of the dots, and do not end in C(.html).
    type: dict
  title:
    description:
      - The title of the overview.
    type: str
    default: NUMA map
  time:
    description:
      - When the results are from, in any words. Without it pages tell no time, and change only when what they show
        does.
    type: str
seealso:
  - module: numa.virt.numa_cell_info
  - module: numa.virt.numa_domain_info
  - plugin: numa.virt.numa_map
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Gather on the hypervisors
  hosts: hypervisors
  gather_facts: false
  tasks:
    - name: See the cells
      numa.virt.numa_cell_info:
      register: map_cells

    - name: See the guests
      numa.virt.numa_domain_info:
      register: map_guests

    - name: Keep what belongs together
      ansible.builtin.set_fact:
        map_of_host:
          name: "{{ inventory_hostname }}"
          cells: "{{ map_cells }}"
          guests: "{{ map_guests }}"

    - name: Draw all hosts that answered
      numa.virt.numa_map_page:
        hosts: "{{ ansible_play_hosts | map('extract', hostvars, 'map_of_host') }}"
        dest: /srv/www/numa
        title: Virtual hosts
      delegate_to: localhost
      run_once: true

- name: Draw one host, where it is
  hosts: kvm1.example
  gather_facts: false
  tasks:
    - name: See the cells
      numa.virt.numa_cell_info:
      register: host

    - name: See the guests
      numa.virt.numa_domain_info:
      register: guests

    - name: Write its page
      numa.virt.numa_map_page:
        hosts:
          - name: "{{ inventory_hostname }}"
            cells: "{{ host }}"
            guests: "{{ guests }}"
        dest: /var/lib/numa.virt/map
        time: "{{ now(fmt='%Y-%m-%d %H:%M') }}"
"""

RETURN = r"""
index:
  description: The path of the overview.
  returned: success, where there is a host
  type: str
  sample: /srv/www/numa/index.html
files:
  description: The files of O(files), in their order.
  returned: success, where there are some
  type: list
  elements: dict
  contains:
    path:
      description: The path of the file.
      returned: success
      type: str
      sample: /srv/www/numa/fleet.json
    changed:
      description: Whether the file was written, or would be in check mode.
      returned: success
      type: bool
      sample: true
  sample:
    - path: /srv/www/numa/fleet.json
      changed: true
pages:
  description: The page of each host, by name.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The name of the host.
      returned: success
      type: str
      sample: kvm1.example
    path:
      description: The path of its page. It is made of the name, and stays the same for it.
      returned: success
      type: str
      sample: /srv/www/numa/host-kvm1-example-85406f89da.html
    changed:
      description: Whether the page was written, or would be in check mode.
      returned: success
      type: bool
      sample: true
  sample:
    - host: kvm1.example
      path: /srv/www/numa/host-kvm1-example-85406f89da.html
      changed: true
"""

from ansible_collections.numa.virt.plugins.module_utils._engine.map_page import MapRequest, map_pages
from ansible_collections.numa.virt.plugins.module_utils._module.quiet import QuietModule
from ansible_collections.numa.virt.plugins.module_utils._module.run import run


def main():
    module = QuietModule(
        argument_spec=dict(
            hosts=dict(
                type="list",
                elements="dict",
                required=True,
                options=dict(
                    name=dict(type="str", required=True),
                    cells=dict(type="raw", required=True),
                    guests=dict(type="raw", required=True),
                ),
            ),
            dest=dict(type="path", required=True),
            files=dict(type="dict"),
            title=dict(type="str", default="NUMA map"),
            time=dict(type="str"),
        ),
        supports_check_mode=True,
        opaque=("cells", "guests", "files", "title"),  # a title may have any text, and pages escape it
    )
    request = MapRequest(check_mode=module.check_mode, diff=module._diff, **module.params)
    module.finish(run(lambda: map_pages(request), alone=True))


if __name__ == "__main__":
    main()
