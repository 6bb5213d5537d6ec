# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cpuset_within
short_description: Whether a CPU set lies inside another
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Is true if every CPU of the set is in the other one. The empty set is inside every set.
positional: other
extends_documentation_fragment:
  - numa.virt._filters.cpuset
options:
  other:
    description:
      - The CPU set that it should lie inside.
    type: raw
    required: true
seealso:
  - plugin: numa.virt.cpuset_intersection
    plugin_type: filter
  - plugin: numa.virt.cpuset_difference
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Insist that a guest runs on cell 1 only
  ansible.builtin.assert:
    that:
      - guests.domains[0].cpuset is numa.virt.cpuset_within(host.cells[1].cpuset)
"""

RETURN = r"""
_value:
  description: Whether it does.
  type: bool
  sample: true
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.numa.virt.plugins.plugin_utils._cpusets import cpuset_of


def cpuset_within(value: Any, other: Any) -> bool:
    """Whether every CPU of one set is in the other."""
    return cpuset_of(value, "cpuset_within") <= cpuset_of(other, "cpuset_within")


class TestModule:
    """Ansible's way to find the test."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        return {"cpuset_within": cpuset_within}
