# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: findings_lines
short_description: What numa_domain_info found, a line for each
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Writes each finding in one line, with host, severity, code, domain, message and remedy.
positional: host, least
extends_documentation_fragment:
  - numa.virt._filters.findings
  - numa.virt._filters.least
options:
  host:
    description:
      - The name of the host, with which each line begins.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: See what is wrong
  numa.virt.numa_domain_info:
  register: guests

- name: Stop where guests are hurt
  ansible.builtin.assert:
    that: guests.summary.error == 0
    fail_msg: "{{ guests | numa.virt.findings_lines(inventory_hostname, 'error') | join('\n') }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample:
    - "kvm1: warning: memory_remote: 'db1': 43008 of 65536 KiB of its memory lie on cell 0, and its vCPUs run on 1; \
      run numa_domain for it with restart=allowed: memory does not move while it runs"
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._findings.remedies import finding_lines
from ansible_collections.numa.virt.plugins.plugin_utils._findings import findings_of, said_of_findings


def findings_lines(result: Any, host: Any, least: str = "info") -> list[str]:
    """The lines."""
    findings = findings_of(result, "findings_lines")
    return said_of_findings("findings_lines", lambda: finding_lines(findings, str(host), least))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"findings_lines": findings_lines}
