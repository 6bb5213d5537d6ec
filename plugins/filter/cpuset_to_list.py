# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cpuset_to_list
short_description: A CPU set as a list of numbers
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Gives the numbers of a CPU set, ascending, each once.
extends_documentation_fragment:
  - numa.virt._filters.cpuset
seealso:
  - plugin: numa.virt.list_to_cpuset
    plugin_type: filter
  - plugin: numa.virt.cpuset_within
    plugin_type: test
"""

EXAMPLES = r"""
- name: The CPUs of a set, one by one
  ansible.builtin.debug:
    msg: "{{ '0-3,^2,8' | numa.virt.cpuset_to_list }}"  # [0, 1, 3, 8]
"""

RETURN = r"""
_value:
  description: The numbers.
  type: list
  elements: int
  sample: [0, 1, 3, 8]
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.numa.virt.plugins.plugin_utils._cpusets import cpuset_of


def cpuset_to_list(value: Any) -> list[int]:
    """The numbers of a CPU set, ascending."""
    return list(cpuset_of(value, "cpuset_to_list"))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"cpuset_to_list": cpuset_to_list}
