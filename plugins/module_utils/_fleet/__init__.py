# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet: which host and which cells, for many hosts at once. Pure, deterministic, on top of the planner of one host.

| file | what |
|---|---|
| request, result | what goes in, what comes out |
| document, records | the same as versioned JSON |
| told, stored | what a host tells of itself, as one text; a plan as a file, and whether it still holds |
| names, wishes | options of a task: which hosts are meant, and what is asked of the planner |
| check | options that no plan could meet, as InputError |
| states, where | which hosts are planned on to; which of them a guest may be on |
| worth | what free cells are worth: the rule by which hosts and cells are chosen |
| market, offers | the best cell of all for a guest that one holds; what each host offers to any other, the best first |
| count, host, fleet | what guests leave of a host; one host as it fills up; all of them: one guest more, one less |
| table, moves, plan | who stays and who has to leave; places by steps that each fit; all of it together |
| explain, bound | why there is no place; how many vCPUs any plan could place |
| more, loss, spare | how many more fit; what if a host is lost; that it may be |
| summary | a plan told of: capacity, losses, who goes where |

    from …_fleet.plan import plan_fleet
    from …_fleet.request import FleetHost, FleetRequest

    made = plan_fleet([FleetHost("h1", host1, guests1), …], [FleetRequest(Request("db", 8, 16 << 20))])

This file must not import anything: modules ship what they import.
"""
