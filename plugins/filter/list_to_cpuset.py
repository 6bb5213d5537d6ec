# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: list_to_cpuset
short_description: A list of numbers as a CPU set
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Gives the shortest text that means the same CPUs, as libvirt itself writes it.
  - Text that is a CPU set already is given in that form too.
extends_documentation_fragment:
  - numa.virt._filters.cpuset
options:
  _input:
    description:
      - The numbers, in any order.
seealso:
  - plugin: numa.virt.cpuset_to_list
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Numbers as a CPU set
  ansible.builtin.debug:
    msg: "{{ [8, 0, 1, 3] | numa.virt.list_to_cpuset }}"  # 0-1,3,8

- name: The CPUs of one cell
  ansible.builtin.debug:
    msg: "{{ host.cells[0].cpus | numa.virt.list_to_cpuset }}"
"""

RETURN = r"""
_value:
  description: The CPU set; empty text for no CPU.
  type: str
  sample: 0-1,3,8
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.numa.virt.plugins.plugin_utils._cpusets import cpuset_of


def list_to_cpuset(value: Any) -> str:
    """The canonical text of a set of CPUs."""
    return str(cpuset_of(value, "list_to_cpuset"))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"list_to_cpuset": list_to_cpuset}
