# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts of an inventory are meant: by name, by group, by pattern; and whether the play has them all.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError


@dataclass(frozen=True)
class Play:
    """What Ansible says of the play: its hosts, those of them that have not failed, those of the batch, and --limit;
    and the groups of the whole inventory, of which "all" is one."""

    all_hosts: Sequence[str] = ()
    hosts: Sequence[str] = ()
    batch: Sequence[str] = ()
    limit: str | None = None
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)


def hosts_meant(play: Play, named: Sequence[str] | None) -> list[str]:
    """The hosts that a plan is for, in the order of names. Raises InputError."""
    if named is None:
        why = None
        if play.limit not in (None, "", "all"):
            why = "this run is limited to some hosts (--limit)"
        elif set(play.batch) != set(play.hosts):
            why = "this play takes its hosts in batches (serial)"
        if why is not None:
            raise InputError("hosts", None, why, "name the hosts that the plan is for")
        return sorted(set(play.all_hosts))
    known = {*play.groups.get("all", ()), *play.all_hosts}
    return named_hosts("hosts", named, known, play.groups, "this inventory has no such host or group")


def named_hosts(
    option: str, named: Sequence[str], known: Collection[str], groups: Mapping[str, Sequence[str]], problem: str
) -> list[str]:
    """Hosts of ``known`` by names, names of groups and patterns as a shell has them. Raises InputError."""
    found: set[str] = set()
    for each in named:
        meant = set(groups.get(each, ())) & set(known)
        if not meant:
            meant = {each} if each in known else {name for name in known if fnmatchcase(name, each)}
        if not meant:
            raise InputError(option, each, problem, "give names, groups, or patterns such as kvm*")
        found |= meant
    return sorted(found)
