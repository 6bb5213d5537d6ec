# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cpuset_union
short_description: All CPUs of several CPU sets
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Gives the CPUs that are in at least one of the sets.
positional: others
extends_documentation_fragment:
  - numa.virt._filters.cpuset
options:
  _input:
    description:
      - The first CPU set, or a list of CPU sets.
  others:
    description:
      - More CPU sets, as further arguments.
    type: list
    elements: raw
    required: false
seealso:
  - plugin: numa.virt.cpuset_intersection
    plugin_type: filter
  - plugin: numa.virt.cpuset_difference
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Two sets together
  ansible.builtin.debug:
    msg: "{{ '0-3' | numa.virt.cpuset_union('8', [4, 5]) }}"  # 0-5,8

- name: The CPUs of all cells
  ansible.builtin.debug:
    msg: "{{ host.cells | map(attribute='cpuset') | numa.virt.cpuset_union }}"
"""

RETURN = r"""
_value:
  description: The CPU set; empty text for no CPU.
  type: str
  sample: 0-5,8
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.numa.virt.plugins.plugin_utils._cpusets import union_of


def cpuset_union(value: Any, *others: Any) -> str:
    """The CPUs that are in at least one set."""
    return str(union_of(value, others, "cpuset_union"))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cpuset_union": cpuset_union}
