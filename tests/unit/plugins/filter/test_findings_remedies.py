# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter around the choice: what it takes and what it refuses. The choice itself: test_remedies."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.findings_remedies import FilterModule, findings_remedies

FINDING = {"code": "memory_remote", "severity": "warning", "domain": "db1", "others": [], "fix": "restart"}
RESULT = {"findings": [FINDING], "domains": [{"name": "db1", "intent": {"policy": {"policy": "pack"}}}]}


def test_a_result():
    assert findings_remedies(RESULT)["place"] == [{"name": "db1"}]
    assert findings_remedies(RESULT, "error")["left"] == [FINDING]
    stranger = {"findings": [FINDING], "domains": [{"name": "db1", "intent": None}]}
    assert findings_remedies(stranger, "info", "spread")["place"] == [{"name": "db1", "policy": "spread"}]


@pytest.mark.parametrize("result", [None, {}, {"domains": []}, {"findings": [], "domains": 1}, [FINDING]])
def test_what_is_no_result(result):
    with pytest.raises(
        AnsibleFilterError, match=r"findings_remedies: the input is not a (whole )?result of numa\.virt"
    ):
        findings_remedies(result)


def test_what_is_no_policy():
    with pytest.raises(AnsibleFilterError, match="adopt: 'all': is no policy"):
        findings_remedies(RESULT, "info", "all")


def test_ansible_finds_it():
    assert FilterModule().filters() == {"findings_remedies": findings_remedies}
    routing = yaml.safe_load((Path(__file__).parents[4] / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    old_names = routing["plugin_routing"]["filter"]
    assert old_names == {"findings_mending": {"redirect": "numa.virt.findings_remedies"}}
