# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every policy, by its name, in the order in which they are told of; and what has the name of one."""

from __future__ import annotations

from ansible_collections.numa.virt.plugins.module_utils._planner.policies.dedicated import Dedicated
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.mirror import Mirror
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.pack import Pack
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.policy import Policy
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.spread import Spread

POLICIES: dict[str, Policy] = {policy.name: policy for policy in (Pack(), Spread(), Dedicated(), Mirror())}


class OfPolicy:
    """What names the policy by which a guest is placed."""

    policy: str

    @property
    def placed_by(self) -> Policy:
        """The policy itself."""
        return POLICIES[self.policy]
