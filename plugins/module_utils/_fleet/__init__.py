# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet: which host and which cells, for many hosts at once. Pure, deterministic, on top of the planner of one host.

| file | what |
|---|---|
| request, result | what goes in, what comes out |
| check | options that no plan could meet, as InputError |
| states, where | which hosts are planned on to; which of them a guest may be on |
| worth | what free cells are worth: the rule by which hosts and cells are chosen |
| market | the free shares of all cells, kept sorted: the best cell for a guest of one cell |
| host, fleet | one host as it fills up; all of them: one guest more, one less |

This file must not import anything: modules ship what they import.
"""
