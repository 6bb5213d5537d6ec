# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the filters and tests about CPU sets share: values of playbooks in, plain values out, one line where they fail.

This file must not know libvirt; it runs on the controller only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union

T = TypeVar("T")


def as_filter_error(work: Callable[[], T]) -> T:
    """Do the work; an error of ours becomes Ansible's, with its one line."""
    try:
        return work()
    except NumaVirtError as error:
        raise AnsibleFilterError(str(error)) from None


def cpuset_of(value: Any, plugin: str) -> CpuSet:
    """A CPU set as a playbook may have it: text, a number, a list of numbers. Empty text is the empty set here."""
    if isinstance(value, (Iterator, range)):
        value = list(value)  # what map(), select() and range() give
    if isinstance(value, str) and not value.strip():
        return EMPTY
    return as_filter_error(lambda: CpuSet.coerce(value, plugin))


def union_of(value: Any, others: tuple[Any, ...], plugin: str) -> CpuSet:
    """The union of CPU sets that are given one by one, or as a list of CPU sets."""
    parts = list(value) if isinstance(value, (list, tuple, range, Iterator)) else [value]
    return union(cpuset_of(each, plugin) for each in (*parts, *others))
