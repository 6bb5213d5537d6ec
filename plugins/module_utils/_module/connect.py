# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one choice between libvirt and xl, by the option ``uri``.

This file must not import ansible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._xl.command import find_xl, run_with

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection


# What stands for Xen without libvirt; no URI of libvirt is like it.
XL = "xl"


def needs_libraries(uri: str | None) -> bool:
    """Whether libvirt and lxml are needed: xl does without."""
    return uri != XL


def connect(uri: str | None, config: str | None, run_command: Callable[..., tuple[int, str, str]]) -> Connection:
    """The connection that ``uri`` names; ``config`` is the path of a guest's file, for xl only.

    ``run_command`` is AnsibleModule's, for xl. Raises ConnectionFailedError and InputError.
    """
    # Each only where it is used: Ansible has every module compiled anew in each run.
    if uri == XL:
        from ansible_collections.numa.virt.plugins.module_utils._xl import connection as xl_connection

        return xl_connection.Connection(config, find_xl(run_with(run_command)))
    if config is not None:
        raise InputError(
            "config", config, "is for uri=xl: libvirt keeps the definitions itself", "give name or xml, or uri=xl"
        )
    from ansible_collections.numa.virt.plugins.module_utils._libvirt import connection as libvirt_connection

    return libvirt_connection.Connection(uri, run_with(run_command))
