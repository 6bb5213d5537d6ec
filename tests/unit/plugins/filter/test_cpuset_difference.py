# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left of a CPU set."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.cpuset_difference import FilterModule, cpuset_difference


@pytest.mark.parametrize(
    ("value", "others", "text"),
    [
        ("8-15", ("8-9",), "10-15"),
        ("0-7", ("0", [7]), "1-6"),
        ("0-3", ("0-7",), ""),
        ("", ("1",), ""),
        ("1", ("",), "1"),
    ],
)
def test_difference(value, others, text):
    assert cpuset_difference(value, *others) == text


def test_one_that_is_none():
    with pytest.raises(AnsibleFilterError, match=r"^cpuset_difference: 'x': "):
        cpuset_difference("1", "x")


def test_ansible_finds_it():
    assert FilterModule().filters() == {"cpuset_difference": cpuset_difference}
