# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a CPU set lies inside another."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.test.cpuset_within import TestModule as Plugin
from ansible_collections.numa.virt.plugins.test.cpuset_within import cpuset_within


@pytest.mark.parametrize(
    ("value", "other", "within"),
    [
        ("0-3", "0-7", True),
        ("0-3", "0-3", True),
        ([0, 9], "0-7", False),
        ("", "1", True),
        ("1", "", False),
        (3, [3], True),
    ],
)
def test_within(value, other, within):
    assert cpuset_within(value, other) is within


def test_one_that_is_none():
    with pytest.raises(AnsibleFilterError, match=r"^cpuset_within: 'a': unexpected 'a' at character 1"):
        cpuset_within("a", "1")


def test_ansible_finds_it():
    assert Plugin().tests() == {"cpuset_within": cpuset_within}
