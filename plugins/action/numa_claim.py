# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Tells the module numa_claim who runs the play; all else is the module's.

from __future__ import annotations

from ansible_collections.numa.virt.plugins.plugin_utils._controller import WhoAction


class ActionModule(WhoAction):
    OPTION = "made_by"
