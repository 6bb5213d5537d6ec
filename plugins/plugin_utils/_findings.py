# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the filters about findings share: the list in what a playbook gives them.

This file must not know libvirt; it runs on the controller only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.module_utils._errors import cut, one_line
from ansible_collections.numa.virt.plugins.plugin_utils._cpusets import as_filter_error

T = TypeVar("T")


def findings_of(value: Any, plugin: str) -> Sequence[Mapping[str, Any]]:
    """The findings of a result, or a list of them as it is. Raises AnsibleFilterError."""
    findings = value.get("findings") if isinstance(value, Mapping) else value
    if not isinstance(findings, (list, tuple)) or not all(
        isinstance(each, Mapping) and "code" in each for each in findings
    ):
        raise AnsibleFilterError(
            f"{plugin}: the input is not a result of numa.virt.numa_domain_info with findings=true"
        )
    return findings


def said_of_findings(plugin: str, work: Callable[[], T]) -> T:
    """Do the work; findings that are not of their form become Ansible's error, with one line."""
    try:
        return as_filter_error(work)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        said = one_line(f"{type(error).__name__} {cut(str(error))}")
        raise AnsibleFilterError(
            f"{plugin}: the input is not a result of numa.virt.numa_domain_info ({said})"
        ) from None
