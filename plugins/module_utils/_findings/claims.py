# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests on CPUs that are claimed for one that is to come, and will get in its way.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.numa.virt.plugins.module_utils._findings.codes import INFO
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import (
    Finding,
    cpus_text,
    finding,
    is_are,
    shown,
)
from ansible_collections.numa.virt.plugins.module_utils._findings.view import View
from ansible_collections.numa.virt.plugins.module_utils._values.claim import instant
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet


def find_claimed(view: View) -> Iterator[Finding]:
    """CPUs that are claimed for one guest alone, and that another is held to; or that are claimed, and another's own.

    A guest that may run everywhere is kept off nothing, whatever is claimed.
    """
    for claim, owner in view.facts.claims:
        for seen in view.guests:
            if seen.unknown or seen.free or seen.name == owner:
                continue
            mask = (seen.reach if claim.owned else seen.dedicated) & claim.cpus.mask
            if not mask:
                continue
            cpus = CpuSet.from_mask(mask)
            by = claim.made_by or "somebody"
            message = f"{cpus_text(cpus)} {is_are(cpus)} claimed for {shown(claim.name)}, by {by} until "
            yield finding(
                "claimed_used", seen.name, message + f"{instant(claim.ends)}, and this guest may run there",
                "run numa_placement for it, which gives it other CPUs, or take the claim away with numa_claim",
                cells=view.cells_on(mask), cpus=cpus, numbers={"cpus": len(cpus)},
                severity=None if seen.running else INFO, fix=view.pin_fix(seen),
            )  # fmt: skip
