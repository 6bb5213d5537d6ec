# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings as text for Prometheus: OpenMetrics 1.0, for the textfile collector of node_exporter among others.

https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

_BY_CODE, _BY_SEVERITY = "numa_virt_finding", "numa_virt_findings"


def findings_openmetrics(host: str, findings: Iterable[Mapping[str, Any]], summary: Mapping[str, int]) -> str:
    """The exposition of one host.

    ``findings`` and ``summary`` are what numa_domain_info returns. Two gauges: how many findings there are for each
    code, severity and guest, and how many of each severity, zeros included, so that a silence can be told from a zero.
    A finding about the host has an empty ``domain``.
    """
    counts = Counter((each["severity"], each["code"], each["domain"] or "") for each in findings)
    lines = [
        f"# TYPE {_BY_CODE} gauge",
        f"# HELP {_BY_CODE} What numa.virt.numa_domain_info found, by code and guest.",
    ]
    for (severity, code, domain), number in sorted(counts.items()):
        labels = _labels(host=host, code=code, severity=severity, domain=domain)
        lines.append(f"{_BY_CODE}{labels} {number}")
    lines += [
        f"# TYPE {_BY_SEVERITY} gauge",
        f"# HELP {_BY_SEVERITY} How many things numa.virt.numa_domain_info found, by severity.",
    ]
    for severity, number in sorted(summary.items()):
        lines.append(f"{_BY_SEVERITY}{_labels(host=host, severity=severity)} {int(number)}")
    return "\n".join([*lines, "# EOF", ""])


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    """Any text as the value of a label."""
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    # A carriage return would end a line for some readers; a name with half a character cannot be written at all.
    return text.replace("\r", "\\\\r").encode("utf-8", "replace").decode("utf-8")
