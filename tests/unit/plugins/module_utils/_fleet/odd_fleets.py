# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets as hardly anybody has them, and guests for them: hosts of odd_hosts, some draining, out or silent."""

from __future__ import annotations

from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    APART,
    IN,
    STATES,
    TOGETHER,
    WAYS,
    Claim,
    FleetHost,
    FleetRequest,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import applied, host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.odd_hosts import (
    odd_hosts,
    odd_request,
    odd_rules,
)

GROUPS = (Group("a", APART), Group("r", APART, "rack"), Group("t", TOGETHER), Group("tr", TOGETHER, "rack"))


def filled(name: str, it: Host, rules: Rules, requests: list) -> tuple[Existing, ...]:  # type: ignore[type-arg]
    """Guests that one host's planner has placed there."""
    return tuple(applied(requests, plan(it, requests, rules=rules, options=Options(partial=True))))


@st.composite
def odd_fleet(draw: st.DrawFn, states: tuple[str, ...] = STATES, most: int = 4) -> tuple[FleetHost, ...]:
    shared = draw(st.sampled_from((None, host(2, 2, 2, 8), host(3, 2, 1, [8, 4, 2]), host(1, 4, 2, 16, 4))))
    hosts = []
    for number in range(draw(st.integers(1, most))):
        name = f"h{number}"
        it = shared or draw(odd_hosts())
        rules = Rules() if shared else draw(odd_rules(it))
        guests = [draw(odd_request(f"{name}g{at}", it)) for at in range(draw(st.integers(0, 3)))]
        there = filled(name, it, rules, guests)
        hosts.append(
            FleetHost(
                name,
                it,
                there[1:] if draw(st.booleans()) else there,
                (Claim(there[0], "somebody"),) if there else (),
                rules,
                (("rack", draw(st.sampled_from(("r1", "r2")))),) if draw(st.integers(0, 3)) else (),
                draw(st.sampled_from((IN, IN, *states))),
                answered=draw(st.integers(0, 5)) > 0 if len(states) > 1 else True,
            )
        )
    return tuple(hosts)


@st.composite
def odd_fleet_request(draw: st.DrawFn, name: str, hosts: tuple[FleetHost, ...]) -> FleetRequest:
    of = draw(st.sampled_from(hosts)).host
    return FleetRequest(
        draw(odd_request(name, of)),
        hosts=draw(st.sampled_from(((), (), (), ("h0", "h1"), ("h[12]",)))),
        labels=draw(st.sampled_from(((), (), (), (("rack", "r*"),), (("rack", "r1"),)))),
        groups=tuple(draw(st.sets(st.sampled_from(GROUPS), max_size=1))) if draw(st.booleans()) else (),
        how=draw(st.sampled_from(WAYS)),
    )
