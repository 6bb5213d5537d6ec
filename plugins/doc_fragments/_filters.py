# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What several filters take, and the test."""

    CPUSET = r"""
options:
  _input:
    description:
      - The CPU set.
    type: raw
    required: true
notes:
  - A CPU set is text in libvirt's syntax (V(0-3,^2,8)), one integer, or a list of integers. Empty text is the empty
    set.
"""

    FINDINGS = r"""
options:
  _input:
    description:
      - The result of M(numa.virt.numa_domain_info), or the list RV(numa.virt.numa_domain_info#module:findings) of it.
    type: raw
    required: true
seealso:
  - module: numa.virt.numa_domain_info
"""

    LEAST = r"""
options:
  least:
    description:
      - Only for findings of this severity, or of a worse one. With V(never) there are none.
    type: str
    choices: [error, warning, info, never]
    default: info
"""
