# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One finding as a value, its plain form, and the order of many.

This file must not import ansible, libvirt or lxml, and holds no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from ansible_collections.numa.virt.plugins.module_utils._errors import few, one_line, shown
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import CODES, SEVERITIES
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet

__all__ = [
    "Finding", "cells_text", "cpus_text", "few", "finding", "finding_as_result", "in_order", "is_are", "shown",
    "summary_of",
]  # fmt: skip

Number = Union[int, float]

# Names in a message; the others are in the finding.


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    ``domain`` is the guest that it is about, None where it is about the host or a cell; ``others`` are further guests
    in it, by name. ``cells`` and ``cpus`` say where. ``numbers`` are the figures, KiB where they are memory.
    ``message`` and ``remedy`` are one line each.
    """

    code: str
    severity: str
    domain: str | None
    others: tuple[str, ...]
    cells: CpuSet
    cpus: CpuSet
    numbers: Mapping[str, Number] = field(hash=False)
    message: str
    fix: str
    remedy: str

    @property
    def _rank(self) -> tuple[Any, ...]:
        where = (tuple(self.cells), self.cpus.mask)
        return SEVERITIES.index(self.severity), self.code, self.domain or "", self.others, *where, self.message

    def concerns(self, names: frozenset[str]) -> bool:
        """Whether one of these guests is in it."""
        return self.domain in names or not names.isdisjoint(self.others)


def finding(
    code: str,
    domain: str | None,
    message: str,
    remedy: str,
    *,
    others: Iterable[str] = (),
    cells: CpuSet = EMPTY,
    cpus: CpuSet = EMPTY,
    numbers: Mapping[str, Number] | None = None,
    severity: str | None = None,
    fix: str | None = None,
) -> Finding:
    """A finding with what its code says of it, where nothing else is said."""
    about = CODES[code]
    return Finding(
        code=code,
        severity=severity or about.severity,
        domain=domain,
        others=tuple(sorted(others)),
        cells=cells,
        cpus=cpus,
        numbers=numbers or {},
        message=one_line(message),
        fix=fix or about.fix,
        remedy=one_line(remedy),
    )


def in_order(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, then by code, guest and place."""
    return tuple(sorted(found, key=lambda each: each._rank))


def finding_as_result(each: Finding) -> dict[str, Any]:
    """What RV(findings[]) documents: plain data."""
    return {
        "code": each.code,
        "severity": each.severity,
        "domain": each.domain,
        "others": list(each.others),
        "cells": list(each.cells),
        "cpus": str(each.cpus) if each.cpus else None,
        "numbers": dict(each.numbers),
        "message": each.message,
        "fix": each.fix,
        "remedy": each.remedy,
    }


def summary_of(found: Iterable[Finding]) -> dict[str, int]:
    """Severity -> number of findings, every severity."""
    counts = dict.fromkeys(SEVERITIES, 0)
    for each in found:
        counts[each.severity] += 1
    return counts


def cpus_text(cpus: CpuSet) -> str:
    """ "CPU 3", "CPUs 3-4"."""
    return f"CPU {cpus}" if len(cpus) == 1 else f"CPUs {cpus}"


def cells_text(cells: CpuSet) -> str:
    """ "cell 0", "cells 0-1"."""
    return f"cell {cells}" if len(cells) == 1 else f"cells {cells}"


def is_are(numbers: CpuSet) -> str:
    return "is" if len(numbers) == 1 else "are"
