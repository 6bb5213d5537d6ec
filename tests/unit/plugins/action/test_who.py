# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host keeps says who runs the play, unless the task says somebody else."""

from __future__ import annotations

import getpass
import os
import socket
from types import SimpleNamespace

import pytest

from ansible_collections.numa.virt.plugins.action import numa_claim, numa_host_state
from ansible_collections.numa.virt.plugins.plugin_utils._controller import LONGEST, controller


def action(plugin, arguments, background=0):
    """The plugin, and the arguments that its module is called with."""
    seen = []

    class Action(plugin.ActionModule):
        def _execute_module(self, module_args, task_vars, wrap_async):
            seen.append((module_args, wrap_async))
            return {"changed": True}

        def _remove_tmp_path(self, path):
            seen.append(path)

    task = SimpleNamespace(
        args=arguments, async_val=background, action="x", check_mode=False, diff=False, delegate_to=None
    )
    shell = SimpleNamespace(tmpdir="/tmp/x")
    return Action(task, SimpleNamespace(_shell=shell), None, None, None, None), seen


@pytest.mark.parametrize(("plugin", "option"), [(numa_host_state, "who"), (numa_claim, "made_by")])
@pytest.mark.parametrize("given", [{}, {"said": ""}, {"said": None}])
def test_the_controller_is_told(plugin, option, given):
    arguments = {"state": "out", **({option: given["said"]} if given else {})}
    plugin_, seen = action(plugin, arguments)
    assert plugin_.run(task_vars={})["changed"] is True
    assert seen == [({"state": "out", option: f"{getpass.getuser()}@{socket.gethostname()}"}, 0), "/tmp/x"]
    assert arguments.get(option) in (None, "")


@pytest.mark.parametrize(("plugin", "option"), [(numa_host_state, "who"), (numa_claim, "made_by")])
def test_what_the_task_says_stays(plugin, option):
    plugin_, seen = action(plugin, {option: "me@laptop"}, background=60)
    plugin_.run(task_vars={})
    assert seen == [({option: "me@laptop"}, 60)]


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no user")])
def test_a_user_without_a_name(monkeypatch, error):
    def nobody():
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.setattr(socket, "gethostname", lambda: "h\n" * 500)
    assert controller().startswith(f"{os.getuid()}@hhh") and len(controller()) == LONGEST
