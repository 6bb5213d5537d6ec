# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter around the comparison: what it takes and what it refuses. The comparison itself: test_remedies."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.filter.findings_cleared import FilterModule, findings_cleared

ONE = {"code": "memory_remote", "domain": "db1", "cells": [0]}
TWO = {**ONE, "domain": "db2"}


def test_results_and_lists():
    assert findings_cleared({"findings": [ONE, TWO]}, [TWO]) == [ONE]
    assert findings_cleared([ONE, TWO], {"findings": []}) == [ONE, TWO]


@pytest.mark.parametrize(("before", "after"), [(None, []), ([], {}), ([ONE], "text")])
def test_what_is_no_result(before, after):
    with pytest.raises(AnsibleFilterError, match=r"findings_cleared: the input is not a result of numa\.virt"):
        findings_cleared(before, after)


def test_ansible_finds_it():
    assert FilterModule().filters() == {"findings_cleared": findings_cleared}
