# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host may be lost: new guests that would take the place of others then are refused.

Of the new guests, in the order in which they got a place, as many stay as leave no guest without one on the loss of
any host that would have had one without them.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.numa.virt.plugins.module_utils._errors import few
from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Left
from ansible_collections.numa.virt.plugins.module_utils._fleet.loss import homeless
from ansible_collections.numa.virt.plugins.module_utils._fleet.moves import Moves
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetRequest


def keep_spare(moves: Moves, requests: Mapping[str, FleetRequest]) -> None:
    """Take the places of those back that do not leave enough."""
    fleet, new = moves.fleet, moves.new()
    gone: list[Left] = []

    def keep(number: int) -> None:
        """As many of the new guests have their places."""
        while len(gone) < len(new) - number:
            name, at = new[len(new) - len(gone) - 1]
            gone.append(fleet.leave(name, moves.places[name, at].host))
        while len(gone) > len(new) - number:
            fleet.back(gone.pop())

    def worse() -> str | None:
        """The first host whose loss would be worse than without new guests, and for whom."""
        for number in sorted(fleet.boards):
            names = [name for name in homeless(fleet, number, requests) if name not in before[number]]
            if names:
                return f"if host {fleet.hosts[number].name} were lost, {few(names)} would have no place"
        return None

    keep(0)
    before = {number: frozenset(homeless(fleet, number, requests)) for number in fleet.boards}
    keep(len(new))
    why = worse()
    low, high = (0, len(new)) if why is not None else (len(new), len(new))
    while high - low > 1:
        middle = (low + high) // 2
        keep(middle)
        found = worse()
        if found is None:
            low = middle
        else:
            high, why = middle, found
    keep(low)
    for key in new[low:]:
        moves.withdraw(key, "spare", f"room for the guests of one host is to be left: {why}")
