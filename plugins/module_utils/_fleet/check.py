# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What no plan of a fleet could mend: options that name what is not there, or contradict each other, as InputError.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    APART,
    HOST,
    STATES,
    TOGETHER,
    WAYS,
    FleetHost,
    FleetOptions,
    FleetRequest,
    Group,
)


def check_fleet(hosts: Sequence[FleetHost], requests: Sequence[FleetRequest], options: FleetOptions) -> None:
    """Raises InputError."""
    _unique("hosts", (each.name for each in hosts), "name each host once")
    _unique("domains", (each.name for each in requests), "name each domain once")
    for host in hosts:
        _word(f"hosts[{host.name}].state", host.state, STATES)
        _unique(f"hosts[{host.name}].labels", (name for name, _value in host.labels), "give each label once")
        if any(name == HOST for name, _value in host.labels):
            problem = "is what each host is for itself"
            raise InputError(f"hosts[{host.name}].labels", HOST, problem, "give the label another name")
        _unique(f"guests of {host.name}", (each.name for each in host.existing), "name each domain once")
    names = {each.name for each in hosts}
    kinds: dict[str, Group] = {}
    for request in requests:
        option = f"domains[{request.name}]"
        _word(f"{option}.how", request.how, WAYS)
        if request.at is not None and request.at not in names:
            raise InputError(f"{option}.at", request.at, "the fleet has no such host", "give the name of one of them")
        for group in request.groups:
            _word(f"{option}.groups[{group.name}].kind", group.kind, (TOGETHER, APART))
            if kinds.setdefault(group.name, group) != group:
                problem = "is another group elsewhere"
                raise InputError(f"{option}.groups", group.name, problem, "say the same of it for each of its members")
    _check_limits(options)


def _check_limits(options: FleetOptions) -> None:
    for name, least in (("max_moves", 0), ("max_memory_moved", 0), ("at_once_host", 1), ("at_once_fleet", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise InputError(name, value, f"is less than {least}", f"give {least} or more")
    if options.spare_hosts not in (0, 1):
        raise InputError("spare.hosts", options.spare_hosts, "only the loss of one host is planned for", "give 0 or 1")
    if options.max_age is not None and options.now is None:
        raise InputError("max_age", options.max_age, "cannot be told without the time", "say what time it is")


def _word(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(option, value, "is not known", f"choose among {', '.join(known)}")


def _unique(option: str, names: Iterable[str], expected: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(option, name, "is named twice", expected)
        seen.add(name)
