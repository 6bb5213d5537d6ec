# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""spread: cells are filled evenly."""

from __future__ import annotations

from ansible_collections.numa.virt.plugins.module_utils._planner.policies.policy import Policy


class Spread(Policy):
    name = "spread"
    why = "the least loaded that holds it"
    levels = True

    def order(self, load: int, misfit: int, in_use: bool) -> tuple[int, ...]:
        return (load,)
