# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who runs a play, which only the controller knows: the part of modules that keep it with a host.

This file must not import anything of module_utils.
"""

from __future__ import annotations

import getpass
import os
import socket
from typing import Any

from ansible.plugins.action import ActionBase

# As long as a host keeps it (MAX_WORDS in module_utils/_values/claim.py)
LONGEST = 200


def controller() -> str:
    """user@machine, for people: nobody is let in by it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    text = f"{user}@{socket.gethostname()}"
    return "".join(letter for letter in text if letter.isprintable())[:LONGEST]


class WhoAction(ActionBase):  # type: ignore[misc]  # Ansible is not read by the type checker
    """Runs the module of its own name, with OPTION where the task has not said who."""

    OPTION = "who"
    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if not arguments.get(self.OPTION):
            arguments[self.OPTION] = controller()
        background = self._task.async_val
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=background))
        if not background:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result
