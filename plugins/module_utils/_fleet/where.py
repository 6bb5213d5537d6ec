# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts a guest may be on: by their names and labels, and by the groups that it is in.

This file must not import ansible, libvirt or lxml, and must know nothing of what is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    HOST,
    TOGETHER,
    FleetHost,
    FleetRequest,
    Group,
)


class Where:
    """Hosts by number, in the order given."""

    def __init__(self, hosts: Sequence[FleetHost]) -> None:
        self.names = [each.name for each in hosts]
        self.labels = [dict(each.labels) for each in hosts]
        self._by_wish: dict[tuple[object, ...], frozenset[int]] = {}
        #: label -> value -> hosts; of a host's own name only it
        self._by_label: dict[str, dict[str, frozenset[int]]] = {}
        #: group -> value of what it is within -> how many members are there
        self.members: dict[Group, dict[str, int]] = {}

    def named(self, request: FleetRequest) -> frozenset[int] | None:
        """The hosts that the request names, None for all."""
        if not request.hosts and not request.labels:
            return None
        key = (request.hosts, request.labels)
        if key not in self._by_wish:
            self._by_wish[key] = frozenset(
                number
                for number, (name, labels) in enumerate(zip(self.names, self.labels))
                if (not request.hosts or any(fnmatchcase(name, pattern) for pattern in request.hosts))
                and all(label in labels and fnmatchcase(labels[label], value) for label, value in request.labels)
            )
        return self._by_wish[key]

    def domain(self, within: str, number: int) -> str | None:
        """What a host counts as: its name, or its value of a label; None where it has no such label."""
        return self.names[number] if within == HOST else self.labels[number].get(within)

    def hosts_in(self, within: str, value: str) -> frozenset[int]:
        return self._values(within).get(value, frozenset())

    def _values(self, within: str) -> dict[str, frozenset[int]]:
        if within not in self._by_label:
            found: dict[str, set[int]] = {}
            for number in range(len(self.names)):
                value = self.domain(within, number)
                if value is not None:
                    found.setdefault(value, set()).add(number)
            self._by_label[within] = {value: frozenset(numbers) for value, numbers in found.items()}
        return self._by_label[within]

    def open_to(self, request: FleetRequest) -> frozenset[int] | None:
        """The hosts that the request and its groups leave it now, None for all."""
        found = self.named(request)
        for group in request.groups:
            taken = [value for value, number in self.members.get(group, {}).items() if number]
            inside = [self.hosts_in(group.within, value) for value in taken]
            if group.kind == TOGETHER:
                allowed = inside[:1] or list(self._values(group.within).values())
                found = _both(found, frozenset().union(*allowed))
            elif inside or group.within != HOST:
                labelled = frozenset().union(*self._values(group.within).values())
                found = _both(found, labelled.difference(*inside))
        return found

    def join(self, groups: Iterable[Group], number: int, sign: int = 1) -> None:
        """Count a member in on a host, or out with ``sign`` -1."""
        for group in groups:
            value = self.domain(group.within, number)
            if value is not None:
                members = self.members.setdefault(group, {})
                members[value] = members.get(value, 0) + sign

    def forbidden_by(self, request: FleetRequest, number: int) -> Group | None:
        """The first of its groups that keeps it off a host now."""
        for group in request.groups:
            alone = FleetRequest(request.guest, groups=(group,))
            left = self.open_to(alone)
            if left is not None and number not in left:
                return group
        return None


def _both(one: frozenset[int] | None, other: frozenset[int]) -> frozenset[int]:
    return other if one is None else one & other
