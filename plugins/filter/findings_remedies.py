# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: findings_remedies
short_description: Which guests to place again for what numa_domain_info found
version_added: 0.2.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Says which guests M(numa.virt.numa_placement) and M(numa.virt.numa_domain) could place again to clear findings, and
    which findings neither of them clears. The role P(numa.virt.rebalance#role) does that.
  - A guest that a policy has placed may be planned anew. One whose place was given by hand is only given it again where
    it has strayed from it. One that nobody has placed is left alone without O(adopt), but for a CPU set that Xen
    ignores.
positional: least, adopt
extends_documentation_fragment:
  - numa.virt._filters.least
options:
  _input:
    description:
      - The result of M(numa.virt.numa_domain_info).
    type: dict
    required: true
  adopt:
    description:
      - A policy for guests that nobody has placed, V(pack), V(spread) or V(dedicated). Empty leaves them alone.
    type: str
    default: ''
seealso:
  - module: numa.virt.numa_domain_info
  - module: numa.virt.numa_placement
"""

EXAMPLES = r"""
- name: See what is wrong
  numa.virt.numa_domain_info:
  register: guests

- name: See what placing guests again would do about it
  numa.virt.numa_placement:
    domains: "{{ (guests | numa.virt.findings_remedies).place }}"
    rebalance: true
    even_out: false
    state: defined
  check_mode: true
  when: (guests | numa.virt.findings_remedies).place | length > 0
"""

RETURN = r"""
_value:
  description:
    - C(place) has entries for O(numa.virt.numa_placement#module:domains).
    - C(apply) has names for M(numa.virt.numa_domain), each with C(cpuset), the CPU set to give it, V(null) for what was
      asked for before.
    - C(now) names those of C(place) that should leave their CPUs at once, even where their memory has to wait for a
      restart.
    - C(left) has the findings that none of this clears.
  type: dict
  sample:
    place: [{name: db1}]
    apply: [{name: web1, cpuset: null}]
    now: [db1]
    left: []
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.module_utils._findings.remedies import remedies
from ansible_collections.numa.virt.plugins.plugin_utils._findings import findings_of, said_of_findings


def findings_remedies(result: Any, least: str = "info", adopt: str = "") -> dict[str, Any]:
    """What may be done."""
    findings = findings_of(result, "findings_remedies")
    domains = result.get("domains") if isinstance(result, Mapping) else None
    if not isinstance(domains, (list, tuple)):
        raise AnsibleFilterError("findings_remedies: the input is not a whole result of numa.virt.numa_domain_info")
    return said_of_findings("findings_remedies", lambda: remedies(findings, domains, least, adopt))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"findings_remedies": findings_remedies}
