# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that is wrong on a host.

This file must not import ansible, libvirt or lxml, and must not read anything itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.numa.virt.plugins.module_utils._findings.allocations import find_allocations
from ansible_collections.numa.virt.plugins.module_utils._findings.claims import find_claimed
from ansible_collections.numa.virt.plugins.module_utils._findings.distance import find_distance, spanning_matters
from ansible_collections.numa.virt.plugins.module_utils._findings.drift import find_drift
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Facts
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding, in_order
from ansible_collections.numa.virt.plugins.module_utils._findings.guest_cells import find_guest_cells
from ansible_collections.numa.virt.plugins.module_utils._findings.guest_cores import find_guest_cores
from ansible_collections.numa.virt.plugins.module_utils._findings.missing import find_missing
from ansible_collections.numa.virt.plugins.module_utils._findings.realtime import find_realtime
from ansible_collections.numa.virt.plugins.module_utils._findings.sharing import find_conflicts
from ansible_collections.numa.virt.plugins.module_utils._findings.unreadable import find_unreadable
from ansible_collections.numa.virt.plugins.module_utils._findings.view import View

# What a guest names and the host lacks explains why its layers differ.
_NAMES_MISSING = ("cpu_missing", "cpu_offline", "cell_missing")


def find(facts: Facts, view: View | None = None) -> tuple[Finding, ...]:
    """All findings, the worst first; the same facts give the same ones, in whatever order the guests come.

    ``view`` is that of the facts, where the caller has it already.
    """
    view = view if view is not None else View(facts)
    missing = list(find_missing(view))
    faulty = frozenset(each.domain for each in missing if each.domain is not None and each.code in _NAMES_MISSING)
    return in_order(
        [
            *find_unreadable(view),
            *missing,
            *find_drift(view, faulty),
            *find_conflicts(view),
            *find_distance(view),
            *find_guest_cells(view),
            *find_realtime(view),
            *find_guest_cores(view),
            *find_allocations(view),
            *find_claimed(view),
        ]
    )


def wants_free(facts: Facts, view: View | None = None) -> bool:
    """Whether a finding depends on the free memory of cells: a guest may be on too many of them, or has devices."""
    view = view if view is not None else View(facts)
    return any(
        seen.settled and (seen.said.needs.devices or (len(seen.meant_cells) > 1 and spanning_matters(view, seen)))
        for seen in view.guests
    )


def concerning(found: Iterable[Finding], names: Iterable[str]) -> tuple[Finding, ...]:
    """Those that these guests are in."""
    wanted = frozenset(names)
    return tuple(each for each in found if each.concerns(wanted))
