# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies: a host, the guests that are there and what is asked for, made into a plan. Pure and deterministic.

    from …_planner.plan import plan
    from …_planner.request import Existing, Request, Rules

    found = plan(host, [Request("db", 8, 16 << 20, "dedicated", smt="require")], existing, Rules(cpu_ratio=4.0))

``host`` is a ``topology.Host``, ``existing`` what ``Existing.of(shape, placement)`` makes of every domain as it is, and
``found`` a ``result.Plan``: ``found.placements[0].placement()`` is a ``placement.Placement``.

| file | what |
|---|---|
| request, result | what goes in, what comes out |
| policies/ | what differs between guests by what they were placed for: a file for each policy, and the registry |
| check | options that no plan could meet, as InputError |
| capacity, board | host and guests in whole numbers; what is free |
| occupancy, keep, spread_load | guests that are there, which of them stay, and what they take of each cell |
| choose, subsets | one guest: the best cell, the nearest cells |
| search, attempts, exact, score | many guests: in turn and repaired, several times, every way |
| bound | how many vCPUs any plan could place |
| rebalance | moves, where they are allowed |
| cpus, describe, explain | CPUs and pins; reasons and refusals |

This file must not import anything: modules ship what they import.
"""
