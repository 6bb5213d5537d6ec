# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cpuset_difference
short_description: The CPUs of one CPU set that are in no other
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Gives the CPUs of the first set that are in none of the others.
positional: others
extends_documentation_fragment:
  - numa.virt._filters.cpuset
options:
  _input:
    description:
      - The first CPU set.
  others:
    description:
      - The CPU sets to take away, as further arguments.
    type: list
    elements: raw
    required: true
seealso:
  - plugin: numa.virt.cpuset_union
    plugin_type: filter
  - plugin: numa.virt.cpuset_intersection
    plugin_type: filter
"""

EXAMPLES = r"""
- name: A cell without the CPUs that are kept for the host
  numa.virt.numa_domain:
    name: web1
    cells: [1]
    cpuset: "{{ host.cells[1].cpuset | numa.virt.cpuset_difference('8-9') }}"
"""

RETURN = r"""
_value:
  description: The CPU set; empty text for no CPU.
  type: str
  sample: 10-15
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.numa.virt.plugins.plugin_utils._cpusets import cpuset_of


def cpuset_difference(value: Any, other: Any, *others: Any) -> str:
    """The CPUs of the first set that are in no other."""
    result = cpuset_of(value, "cpuset_difference")
    for each in (other, *others):
        result = result - cpuset_of(each, "cpuset_difference")
    return str(result)


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cpuset_difference": cpuset_difference}
