# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: findings_openmetrics
short_description: What numa_domain_info found, as metrics for Prometheus
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Writes the findings of a host as text in the OpenMetrics format, for example for the textfile collector of
    node_exporter.
  - The gauge C(numa_virt_finding) has the labels C(host), C(code), C(severity) and C(domain), and says how many such
    findings there are. A finding about the host has an empty C(domain).
  - The gauge C(numa_virt_findings) has the labels C(host) and C(severity), and is there for every severity, with 0 too.
positional: host
options:
  _input:
    description:
      - The result of M(numa.virt.numa_domain_info), with RV(numa.virt.numa_domain_info#module:findings) and
        RV(numa.virt.numa_domain_info#module:summary).
    type: dict
    required: true
  host:
    description:
      - The value of the label C(host).
    type: str
    required: true
seealso:
  - module: numa.virt.numa_domain_info
"""

EXAMPLES = r"""
- name: See what is wrong
  numa.virt.numa_domain_info:
  register: guests

- name: Let node_exporter tell Prometheus
  ansible.builtin.copy:
    content: "{{ guests | numa.virt.findings_openmetrics(inventory_hostname) }}"
    dest: /var/lib/prometheus/node-exporter/numa_virt.prom
    mode: '0644'
"""

RETURN = r"""
_value:
  description: The text, with C(# EOF) in its last line.
  type: str
  sample: |
    # TYPE numa_virt_finding gauge
    # HELP numa_virt_finding What numa.virt.numa_domain_info found, by code and guest.
    numa_virt_finding{host="h1",code="memory_remote",severity="warning",domain="db1"} 1
    # TYPE numa_virt_findings gauge
    # HELP numa_virt_findings How many things numa.virt.numa_domain_info found, by severity.
    numa_virt_findings{host="h1",severity="error"} 0
    numa_virt_findings{host="h1",severity="info"} 0
    numa_virt_findings{host="h1",severity="warning"} 1
    # EOF
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.module_utils._findings.openmetrics import findings_openmetrics as written
from ansible_collections.numa.virt.plugins.plugin_utils._findings import said_of_findings


def findings_openmetrics(result: Any, host: Any) -> str:
    """The text."""
    findings = result.get("findings") if isinstance(result, Mapping) else None
    summary = result.get("summary") if isinstance(result, Mapping) else None
    if not isinstance(findings, (list, tuple)) or not isinstance(summary, Mapping):
        raise AnsibleFilterError(
            "findings_openmetrics: the input is not a result of numa.virt.numa_domain_info with findings=true"
        )
    return said_of_findings("findings_openmetrics", lambda: written(str(host), findings, summary))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"findings_openmetrics": findings_openmetrics}
