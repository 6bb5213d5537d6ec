# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unions: of arguments, and of a list of CPU sets."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.cpuset_union import FilterModule, cpuset_union


@pytest.mark.parametrize(
    ("value", "others", "text"),
    [
        ("0-3", ("8", [4, 5]), "0-5,8"),
        ("0-3", (), "0-3"),
        (["0-3", "8-9"], (), "0-3,8-9"),
        ([0, 1, 8], ("2",), "0-2,8"),
        (iter(["0-1", [4, 5], ""]), (), "0-1,4-5"),
        ([], (), ""),
        (3, ("",), "3"),
    ],
)
def test_union(value, others, text):
    assert cpuset_union(value, *others) == text


def test_one_that_is_none():
    with pytest.raises(AnsibleFilterError, match="cpuset_union: '0-': a CPU number is missing at character 3"):
        cpuset_union("1", "0-")


def test_ansible_finds_it():
    assert FilterModule().filters() == {"cpuset_union": cpuset_union}
