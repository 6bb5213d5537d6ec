# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pack: a cell is filled before another is opened."""

from __future__ import annotations

from ansible_collections.numa.virt.plugins.module_utils._planner.policies.policy import Policy


class Pack(Policy):
    name = "pack"
    why = "filled before another is opened"
    empties = True
