# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter around the text: what it takes and what it refuses. The text itself: test_openmetrics."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.findings_openmetrics import FilterModule, findings_openmetrics

SUMMARY = {"error": 0, "warning": 1, "info": 0}
FINDING = {"code": "memory_remote", "severity": "warning", "domain": "db1"}


def test_a_result():
    lines = findings_openmetrics({"findings": [FINDING], "summary": SUMMARY}, "h1").splitlines()
    assert 'numa_virt_finding{host="h1",code="memory_remote",severity="warning",domain="db1"} 1' in lines
    assert lines[-1] == "# EOF"


@pytest.mark.parametrize(
    "result", [None, [], {}, {"findings": []}, {"summary": SUMMARY}, {"findings": 1, "summary": 2}]
)
def test_what_is_no_result(result):
    with pytest.raises(AnsibleFilterError, match=r"is not a result of numa\.virt\.numa_domain_info with findings=true"):
        findings_openmetrics(result, "h1")


def test_ansible_finds_it():
    assert FilterModule().filters() == {"findings_openmetrics": findings_openmetrics}
