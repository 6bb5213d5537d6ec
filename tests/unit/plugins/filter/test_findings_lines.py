# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter around the lines: what it takes and what it refuses. The lines themselves: test_remedies."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.findings_lines import FilterModule, findings_lines

FINDING = {
    "code": "memory_remote", "severity": "warning", "domain": "db1", "message": "it is far", "remedy": "bring it home",
}  # fmt: skip
LINE = "h1: warning: memory_remote: 'db1': it is far; bring it home"


def test_a_result_and_a_list():
    assert findings_lines({"findings": [FINDING]}, "h1") == findings_lines([FINDING], "h1", "warning") == [LINE]
    assert findings_lines([FINDING], "h1", "error") == []


@pytest.mark.parametrize("result", [None, {}, "text", [1], [{"name": "db1"}], {"findings": None}])
def test_what_is_no_result(result):
    with pytest.raises(AnsibleFilterError, match=r"findings_lines: the input is not a result of numa\.virt"):
        findings_lines(result, "h1")


def test_what_is_no_severity():
    with pytest.raises(AnsibleFilterError, match="least: 'worst': is no severity"):
        findings_lines([FINDING], "h1", "worst")


def test_ansible_finds_it():
    assert FilterModule().filters() == {"findings_lines": findings_lines}
