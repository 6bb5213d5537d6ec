# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caches and memory bandwidth that a guest was given by number, where none of its vCPUs is.

Nobody here changes those elements: they stay behind when a guest is placed elsewhere.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.numa.virt.plugins.module_utils._findings.codes import INFO, REDEFINE, RESTART
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Said
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding, finding
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View, placed_by
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.kept import Away, away


def find_allocations(view: View) -> Iterator[Finding]:
    for seen in view.guests:
        found = _away(view, seen, seen.said)
        if found:
            yield _finding(view, seen, found)


def _away(view: View, seen: Seen, said: Said) -> list[Away]:
    """By the CPUs that a document gives: a thread that has strayed is another matter."""
    sets = {vcpu: placed_by(view.driver, said, vcpu) or CpuSet.from_mask(real) for vcpu, real in seen.sets.items()}
    return away(said.kept, seen.host, sets)


def _finding(view: View, seen: Seen, found: list[Away]) -> Finding:
    first, *others = found
    more = f" (and {len(others)} more of its allocations)" if others else ""
    config = seen.facts.config
    again = " and start it anew" if seen.running else ""
    mended = seen.running and config is not None and not _away(view, seen, config)
    remedy = "start it anew: its definition names others by now" if mended else f"{first.mend}{again}"
    serves = union(each.serves for each in found)
    return finding(
        "allocation_remote", seen.name, f"{first}{more}", remedy,
        cells=view.host.cells_touched(serves), cpus=serves, numbers={"allocations": len(found)},
        severity=INFO if all(each.others for each in found) else None, fix=RESTART if seen.running else REDEFINE,
    )  # fmt: skip
