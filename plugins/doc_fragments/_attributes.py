# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Attributes that every module has, and the words for them."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/numa.virt.all) in C(module_defaults) to set options for all modules of this collection.
    support: full
    membership:
      - numa.virt.all
  check_mode:
    description: Can run in check mode and say what it would change, without changing anything.
  diff_mode:
    description: Shows in diff mode what it changes, or would change in check mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run changes nothing.
"""

    # Modules that only read.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module changes nothing.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
  idempotent:
    support: full
    details:
      - This module changes nothing.
"""

    # Modules that write files, and need no hypervisor: not in the action group, which sets the URI of one.
    FILE_MODULE = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and say what it would change, without changing anything.
    support: full
  diff_mode:
    description: Shows in diff mode what it changes, or would change in check mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run changes nothing.
    support: full
"""

    # Modules that change what differs.
    STATE_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""
