# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._findings.openmetrics import findings_openmetrics

SUMMARY = {"error": 1, "warning": 1, "info": 0}


def finding(domain: str | None = "db1", code: str = "memory_remote", severity: str = "warning") -> dict[str, object]:
    return {"code": code, "severity": severity, "domain": domain}


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Read back by Prometheus' own parser: name and values of the labels -> value."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_text() -> None:
    found = [finding(), finding(), finding(None, "cell_overcommitted"), finding("db2", "cpu_missing", "error")]
    assert (
        findings_openmetrics("h1", found, SUMMARY)
        == """\
# TYPE numa_virt_finding gauge
# HELP numa_virt_finding What numa.virt.numa_domain_info found, by code and guest.
numa_virt_finding{host="h1",code="cpu_missing",severity="error",domain="db2"} 1
numa_virt_finding{host="h1",code="cell_overcommitted",severity="warning",domain=""} 1
numa_virt_finding{host="h1",code="memory_remote",severity="warning",domain="db1"} 2
# TYPE numa_virt_findings gauge
# HELP numa_virt_findings How many things numa.virt.numa_domain_info found, by severity.
numa_virt_findings{host="h1",severity="error"} 1
numa_virt_findings{host="h1",severity="info"} 0
numa_virt_findings{host="h1",severity="warning"} 1
# EOF
"""
    )


def test_nothing_found() -> None:
    text = findings_openmetrics("h1", [], dict.fromkeys(SUMMARY, 0))
    assert samples(text) == {("numa_virt_findings", "h1", severity): 0.0 for severity in SUMMARY}


# Text that the transport of Ansible can hold; a carriage return is shown, not kept.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@given(NAMES, st.lists(NAMES.filter(bool), max_size=4, unique=True))
def test_any_name_comes_back(host: str, names: list[str]) -> None:
    read = samples(findings_openmetrics(host, [finding(name) for name in names], SUMMARY))
    for name in names:
        assert read["numa_virt_finding", host, "memory_remote", "warning", name] == 1.0
    assert len(read) == len(names) + 3


def test_names_that_cannot_be_written() -> None:
    read = samples(findings_openmetrics("a\rb", [finding("x\ud800y")], {}))
    assert read == {("numa_virt_finding", "a\\rb", "memory_remote", "warning", "x?y"): 1.0}
