# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts are planned on to, and off; and which of their claims still hold.

A host that did not answer, or whose facts are too old, is unknown: nothing is planned on to it or off it, whatever it
was told to be.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from ansible_collections.numa.virt.plugins.module_utils._fleet.request import UNKNOWN, FleetHost, FleetOptions
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing


def state_of(host: FleetHost, options: FleetOptions) -> tuple[str, str]:
    """(state, why) as it counts for a plan; why is empty for one that nobody gave a reason for."""
    if host.host is None:
        return UNKNOWN, "it has never said what it is"
    if not host.answered:
        return UNKNOWN, "it did not answer"
    if options.max_age is not None and options.now is not None:
        if host.told is None:
            return UNKNOWN, "nobody knows how old its facts are"
        age = options.now - host.told
        if age > options.max_age:
            return UNKNOWN, f"its facts are {age:g} s old, and {options.max_age:g} s are allowed"
    return host.state, host.why


def guests_of(host: FleetHost, now: float | None) -> dict[str, Existing]:
    """All that counts on a host, by name: its guests, and claims that have not ended for guests that are not there."""
    found = {each.name: each for each in host.existing}
    for claim in host.claims:
        if claim.ends is None or now is None or claim.ends > now:
            found.setdefault(claim.guest.name, claim.guest)
    return dict(sorted(found.items()))
