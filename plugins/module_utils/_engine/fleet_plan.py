# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_fleet_plan: from what hosts have told to a plan, and a plan in a file. Runs on the controller.

This file must not import ansible, libvirt or lxml, and must not touch a host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.names import Play, hosts_meant, named_hosts
from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import planned_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import DRAINING, IN, FleetHost
from ansible_collections.numa.virt.plugins.module_utils._fleet.result import FleetPlan, fleet_plan_as_result
from ansible_collections.numa.virt.plugins.module_utils._fleet.states import state_of
from ansible_collections.numa.virt.plugins.module_utils._fleet.stored import (
    StoredPlan,
    check_unchanged,
    stored_as_text,
    stored_from_text,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.summary import (
    capacity_as_result,
    losses_as_result,
    who_goes_where,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.told import Told
from ansible_collections.numa.virt.plugins.module_utils._fleet.wishes import Wishes, fleet_options, labels_of
from ansible_collections.numa.virt.plugins.module_utils._node import files
from ansible_collections.numa.virt.plugins.module_utils._node.backup import check_directory

_DRAIN = "it is to be emptied"


@dataclass(frozen=True)
class FleetTask:
    """What numa_fleet_plan was asked. ``options`` are those of the module, ``told`` gives a host's variable, and
    ``now`` is in seconds."""

    options: Mapping[str, Any]
    play: Play
    told: Callable[[str], Any]
    now: float
    check_mode: bool = False
    diff: bool = False


def fleet_plan(task: FleetTask) -> dict[str, Any]:
    """What the module documents. Raises InputError, UnsupportedError."""
    hosts = _hosts(task)
    if task.options.get("apply_from") is not None:
        return _of_file(task, hosts)
    return _of_hosts(task, hosts)


def _hosts(task: FleetTask) -> list[FleetHost]:
    """As they have told."""
    names, reader = hosts_meant(task.play, task.options.get("hosts")), Told()
    hosts = [reader.host(name, task.told(name)) for name in names]
    if all(each.host is None for each in hosts):
        problem = f"none of {len(hosts)} hosts has told what it is"
        expected = "register numa_domain_info with fleet=true on each of them, and give the name of that variable"
        raise InputError("facts", task.options["facts"], problem, expected)
    return hosts


def _of_hosts(task: FleetTask, told: Sequence[FleetHost]) -> dict[str, Any]:
    options = task.options
    hosts = _as_asked(task, told)
    wishes = Wishes(hosts)
    requests = wishes.requests(options.get("domains") or ())
    shapes = wishes.shapes(options.get("capacity") or ())
    lost = _named(task, "losses", hosts)
    planned = planned_fleet(hosts, requests, fleet_options(options, task.now))
    plan = planned.answer()
    stored = StoredPlan.of(plan, told, task.now)
    result = _result(task, plan, stored.hosts)
    result["capacity"] = capacity_as_result(planned, shapes)
    result["losses"] = losses_as_result(planned, lost, shapes)
    path = options.get("plan_file")
    if path is not None:
        result.update(plan_file=path, changed=_keep(path, stored, task.check_mode))
    return result


def _as_asked(task: FleetTask, told: Sequence[FleetHost]) -> list[FleetHost]:
    """The hosts with their labels, those to be emptied drained."""
    found = {each.name: each for each in told}
    labels: dict[str, dict[str, str]] = {name: dict(each.labels) for name, each in found.items()}
    for meant, said in (task.options.get("labels") or {}).items():
        for name in _these(task, "labels", [str(meant)], found):
            labels[name].update(labels_of(said, f"labels[{meant}]"))
    for name in _named(task, "drain", told):
        if found[name].state == IN:
            found[name] = replace(found[name], state=DRAINING, why=_DRAIN)
    return [replace(each, labels=tuple(labels[name].items())) for name, each in found.items()]


def _named(task: FleetTask, option: str, hosts: Sequence[FleetHost]) -> list[str]:
    return _these(task, option, task.options.get(option) or (), {each.name: each for each in hosts})


def _these(task: FleetTask, option: str, named: Sequence[str], hosts: Mapping[str, FleetHost]) -> list[str]:
    return named_hosts(option, named, hosts, task.play.groups, "is none of the hosts that this plan is for")


def _of_file(task: FleetTask, hosts: Sequence[FleetHost]) -> dict[str, Any]:
    """A plan that was made before, where nothing that it was made for has changed."""
    path = task.options["apply_from"]
    stored = _stored(path, "apply_from")
    if stored is None:
        raise InputError("apply_from", path, "there is no such file", "give a file that plan_file has written")
    # One that is unknown now counts as changed.
    limits = fleet_options(task.options, task.now)
    fresh = {each.name: each for each in hosts if state_of(each, limits)[0] == each.state}
    check_unchanged(stored, fresh, "apply_from", path)
    return {**_result(task, stored.plan, stored.hosts), "plan_file": path}


def _result(task: FleetTask, plan: FleetPlan, hosts: Sequence[str]) -> dict[str, Any]:
    result = {"changed": False, "hosts": list(hosts), **fleet_plan_as_result(plan)}
    if task.diff:
        before, after = who_goes_where(plan)
        result["diff"] = {"before": before, "after": after, "before_header": "now", "after_header": "planned"}
    return result


# The file


def _keep(path: str, stored: StoredPlan, check_mode: bool) -> bool:
    """Write the plan, unless the file has it already. Returns whether it had not."""
    before = _stored(path, "plan_file")
    if before is not None and before.same_as(stored):
        return False
    folder, text = os.path.dirname(path), stored_as_text(stored)
    check_directory(folder, "plan_file", len(text))
    if not check_mode:
        try:
            files.make_directory(folder, 0o700)
            with files.directory(folder) as handle:
                files.remove_leftovers(handle)
                files.write_file(handle, os.path.basename(path), text, 0o600)
        except OSError as error:
            raise InputError("plan_file", path, f"cannot be written: {error.strerror}") from None
    return True


def _stored(path: str, option: str) -> StoredPlan | None:
    """None where there is no such file. One of somebody else's is neither believed nor replaced."""
    try:
        text = files.read_text(path, own=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(option, path, f"cannot be read: {error.strerror}") from None
    return stored_from_text(text, option, path)
