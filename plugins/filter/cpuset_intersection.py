# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cpuset_intersection
short_description: The CPUs that CPU sets have in common
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Gives the CPUs that are in every one of the sets.
positional: others
extends_documentation_fragment:
  - numa.virt._filters.cpuset
options:
  _input:
    description:
      - The first CPU set.
  others:
    description:
      - The other CPU sets, as further arguments.
    type: list
    elements: raw
    required: true
seealso:
  - plugin: numa.virt.cpuset_union
    plugin_type: filter
  - plugin: numa.virt.cpuset_difference
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Which CPUs two guests share
  ansible.builtin.debug:
    msg: "{{ '0-5' | numa.virt.cpuset_intersection('4-7') }}"  # 4-5
"""

RETURN = r"""
_value:
  description: The CPU set; empty text for no CPU.
  type: str
  sample: 4-5
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.numa.virt.plugins.plugin_utils._cpusets import cpuset_of


def cpuset_intersection(value: Any, other: Any, *others: Any) -> str:
    """The CPUs that are in every set."""
    result = cpuset_of(value, "cpuset_intersection")
    for each in (other, *others):
        result = result & cpuset_of(each, "cpuset_intersection")
    return str(result)


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cpuset_intersection": cpuset_intersection}
