# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin runs on the controller. It holds no logic: see module_utils/_engine/fleet_plan.py.

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.numa.virt.plugins.module_utils._engine.fleet_plan import FleetTask, fleet_plan
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.names import Play
from ansible_collections.numa.virt.plugins.module_utils._module.run import run

ARGUMENTS = dict(
    facts=dict(type="str", required=True),
    hosts=dict(type="list", elements="str"),
    domains=dict(type="list", elements="raw", aliases=["guests"]),
    labels=dict(type="dict"),
    drain=dict(type="list", elements="str"),
    max_moves=dict(type="int"),
    max_memory_moved=dict(type="str"),
    at_once_host=dict(type="int", default=2),
    at_once_fleet=dict(type="int"),
    spare=dict(type="dict", options=dict(hosts=dict(type="int", default=0))),
    max_age=dict(type="float"),
    capacity=dict(type="list", elements="dict"),
    losses=dict(type="list", elements="str"),
    plan_file=dict(type="path"),
    apply_from=dict(type="path"),
)
# What makes a plan: one that is made already takes none of it.
_MAKING = (
    *("domains", "labels", "drain", "max_moves", "max_memory_moved", "at_once_fleet", "spare", "capacity", "losses"),
    "plan_file",
)


class ActionModule(ActionBase):
    # One plan for all hosts of the play, and not one for each of them.
    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _checked, options = self.validate_argument_spec(
            ARGUMENTS, mutually_exclusive=[("apply_from", each) for each in _MAKING]
        )
        for name in ("plan_file", "apply_from"):
            if options.get(name) is not None:
                options[name] = self._loader.path_dwim(options[name])
        play = Play(
            all_hosts=variables.get("ansible_play_hosts_all", ()),
            hosts=variables.get("ansible_play_hosts", ()),
            batch=variables.get("ansible_play_batch", ()),
            limit=variables.get("ansible_limit"),
            groups=variables.get("groups", {}),
        )
        hostvars, facts = variables["hostvars"], options["facts"]

        def told(host: str) -> Any:
            try:
                return hostvars[host].get(facts) if host in hostvars else None
            except AnsibleError as error:
                raise InputError("facts", facts, f"{host}: {error}") from None

        task = FleetTask(options, play, told, time.time(), self._task.check_mode, self._task.diff)
        result = run(lambda: fleet_plan(task), alone=True)
        return {**result, "failed": True} if "error" in result else result
