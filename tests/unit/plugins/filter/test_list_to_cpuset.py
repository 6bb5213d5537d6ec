# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists as CPU sets in libvirt's canonical form."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.list_to_cpuset import FilterModule, list_to_cpuset


@pytest.mark.parametrize(
    ("value", "text"),
    [([8, 0, 1, 3], "0-1,3,8"), ([], ""), ("^3,1-4", "1-4"), (7, "7"), (["4", 5], "4-5"), (range(4), "0-3")],
)
def test_text(value, text):
    assert list_to_cpuset(value) == text


def test_what_is_no_number():
    with pytest.raises(AnsibleFilterError, match=r"list_to_cpuset: \['a'\]: 'a' is not a CPU number"):
        list_to_cpuset(["a"])


def test_ansible_finds_it():
    assert FilterModule().filters() == {"list_to_cpuset": list_to_cpuset}
