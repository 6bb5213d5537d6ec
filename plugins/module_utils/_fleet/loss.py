# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What if a host were lost: where its guests would be placed anew, who would have no place, what would fit then.

A guest that nobody has described counts as one that shares CPUs, with what it has.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.host import moved
from ansible_collections.numa.virt.plugins.module_utils._fleet.more import More, how_many, more_on
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request


class Loss(NamedTuple):
    """A host that is lost: how many guests get another place, the names of those that would have none, and how many
    of a shape would fit then, None where nobody asked."""

    host: str
    placed: int
    homeless: tuple[str, ...]
    more: More | None


def losses(
    fleet: Fleet,
    requests: Mapping[str, FleetRequest],
    shape: Request | None = None,
    hosts: frozenset[int] | None = None,
) -> Iterator[Loss]:
    """For each host, or these ones, in the order of names; unknown ones too, by what was last known of them.

    ``requests`` are by name what guests are known to ask for. The fleet is left as it was.
    """
    counts = {} if shape is None else how_many(fleet, shape)
    for number in range(len(fleet.hosts)) if hosts is None else sorted(hosts):
        yield _loss(fleet, number, requests, shape, counts)


def homeless(fleet: Fleet, number: int, requests: Mapping[str, FleetRequest]) -> tuple[str, ...]:
    """Guests that would have no place if that host were lost."""
    with lost(fleet, number, requests) as (_places, without):
        return without


def _loss(
    fleet: Fleet, number: int, requests: Mapping[str, FleetRequest], shape: Request | None, counts: Mapping[int, More]
) -> Loss:
    with lost(fleet, number, requests) as (places, without):
        more = None
        if shape is not None:
            now = {at: more_on(fleet, at, moved(shape)) for at in set(places.values())}
            rest = [(now.get(at, each), each) for at, each in counts.items() if at != number]
            # However its guests are placed: what others have now is the most that they can have then.
            more = More(sum(after.fits for after, _before in rest), sum(before.at_most for _after, before in rest))
        return Loss(fleet.hosts[number].name, len(places), without, more)


@contextmanager
def lost(
    fleet: Fleet, number: int, requests: Mapping[str, FleetRequest]
) -> Iterator[tuple[dict[str, int], tuple[str, ...]]]:
    """The fleet while its guests are elsewhere: their hosts by name, and those without one. Large ones go first."""
    members = fleet.members(number)
    for member in members:
        fleet.unjoin(member.name, number)
    places: dict[str, int] = {}
    without = []
    elsewhere = frozenset(fleet.boards) - {number}
    for request in sorted(guests_on(fleet, number, requests), key=_order):
        open_to = fleet.where.open_to(request)
        place = fleet.arrive(request, elsewhere if open_to is None else elsewhere & open_to)
        if place is None:
            without.append(request.name)
        else:
            places[request.name] = place.host
    try:
        yield places, tuple(sorted(without))
    finally:
        for name, at in reversed(places.items()):
            fleet.leave(name, at)
        for member in members:
            fleet.join(member, number)


def guests_on(fleet: Fleet, number: int, requests: Mapping[str, FleetRequest]) -> list[FleetRequest]:
    """What the guests of a host need, with claims that hold."""
    board = fleet.boards.get(number)
    there = fleet.guests[number] if board is None else board.existing
    found = [requests.get(name) or FleetRequest(described(each)) for name, each in there.items()]
    if board is not None:
        found += [requests.get(name) or FleetRequest(guest.request) for name, (guest, _spot) in board.placed.items()]
    return found


def described(each: Existing) -> Request:
    """What a guest was placed for; of one that nobody has placed, what it has."""
    if each.wish is not None:
        return each.wish
    memory = {**each.memory_fields, "memory": max(1, each.memory)}
    return Request(each.name, max(1, len(each.vcpu_cpus)), **memory)


def _order(request: FleetRequest) -> tuple[int, int, int, str]:
    guest = request.guest
    return (-guest.priority, -guest.vcpus, -guest.memory, guest.name)
