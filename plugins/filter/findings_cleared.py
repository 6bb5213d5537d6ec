# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: findings_cleared
short_description: Which findings are gone
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Compares what M(numa.virt.numa_domain_info) found before and after something was done. A finding is gone where
    nothing with its code is left about the same domain, or about the same cells of the host.
positional: after
extends_documentation_fragment:
  - numa.virt._filters.findings
options:
  _input:
    description:
      - What was found before, as M(numa.virt.numa_domain_info) returns it, or the list
        RV(numa.virt.numa_domain_info#module:findings) of it.
  after:
    description:
      - The same from afterwards.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: See what a run has mended
  ansible.builtin.debug:
    msg: "{{ before | numa.virt.findings_cleared(after) | map(attribute='message') }}"
"""

RETURN = r"""
_value:
  description: The findings that are gone, in their order.
  type: list
  elements: dict
  sample: []
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._findings.remedies import cleared
from ansible_collections.numa.virt.plugins.plugin_utils._findings import findings_of, said_of_findings


def findings_cleared(before: Any, after: Any) -> list[dict[str, Any]]:
    """The findings that are gone."""
    were, are = findings_of(before, "findings_cleared"), findings_of(after, "findings_cleared")
    return said_of_findings("findings_cleared", lambda: cleared(were, are))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"findings_cleared": findings_cleared}
