# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPU sets as lists, and what is no CPU set."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.cpuset_to_list import FilterModule, cpuset_to_list


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ("0-3,^2,8", [0, 1, 3, 8]),
        (" 1 , 0 ", [0, 1]),
        ([8, 0, 8], [0, 8]),
        (5, [5]),
        ("", []),
        ([], []),
        (map(int, "31"), [1, 3]),
    ],
)
def test_numbers(value, numbers):
    assert cpuset_to_list(value) == numbers


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "1-x",
            "cpuset_to_list: '1-x': unexpected 'x' at character 3; a CPU set looks like '0-3,^2,8' or [0, 1, 3, 8]",
        ),
        ({"0": 1}, "cpuset_to_list: {'0': 1}: is not a CPU set; give text such as '0-3,8' or a list of integers"),
        (None, "cpuset_to_list: is not a CPU set; give text such as '0-3,8' or a list of integers"),
        ([-1], "cpuset_to_list: [-1]: -1 is not a CPU number; CPU numbers are 0 to 1048575"),
    ],
)
def test_one_line_that_says_what_is_wrong(value, message):
    with pytest.raises(AnsibleFilterError) as caught:
        cpuset_to_list(value)
    assert str(caught.value) == message


def test_ansible_finds_it():
    assert FilterModule().filters() == {"cpuset_to_list": cpuset_to_list}
