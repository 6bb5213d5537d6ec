# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties are tested without a clock: no test fails because a machine is busy.

They are tested with the same examples in every run, so that a check that passed passes again; NUMA_VIRT_EXPLORE=1 looks
for new ones.
"""

from __future__ import annotations

import os

from hypothesis import settings

from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

settings.register_profile("same", deadline=None, derandomize=True, max_examples=examples(100))
settings.register_profile("explore", deadline=None)
settings.load_profile("explore" if os.environ.get("NUMA_VIRT_EXPLORE") else "same")
