# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What CPU sets have in common."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.cpuset_intersection import FilterModule, cpuset_intersection


@pytest.mark.parametrize(
    ("value", "others", "text"),
    [("0-5", ("4-7",), "4-5"), ("0-5", ("4-7", [5, 6]), "5"), ("0-3", ("4",), ""), ("0-3", ("",), "")],
)
def test_intersection(value, others, text):
    assert cpuset_intersection(value, *others) == text


def test_one_that_is_none():
    with pytest.raises(AnsibleFilterError, match=r"^cpuset_intersection: '3-1': the range ends before it starts"):
        cpuset_intersection("3-1", "1")


def test_ansible_finds_it():
    assert FilterModule().filters() == {"cpuset_intersection": cpuset_intersection}
