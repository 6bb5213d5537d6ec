# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet as it fills up: one guest more, one less, without planning all anew.

Of the hosts that a guest may be on it gets the one where the fleet loses the least (worth.py); ties go to the first
host by name, then to the first cell. Guests that are there are not moved.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._fleet.host import (
    Gone,
    HostBoard,
    Rod,
    moved,
    one_cell_anywhere,
    rod_of,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.market import Market
from ansible_collections.numa.virt.plugins.module_utils._fleet.offers import Offer, Offers
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import IN, FleetHost, FleetOptions, FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._fleet.states import guests_of, state_of
from ansible_collections.numa.virt.plugins.module_utils._fleet.where import Where
from ansible_collections.numa.virt.plugins.module_utils._planner.board import Part, Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    ISOLATE,
    PREFER,
    REQUIRE,
    SHARED,
    Capacity,
    Guest,
    weight,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

# Kinds of guests of which it is remembered where they would go.
_REMEMBERED = 64
_KINDS = {"prefer": PREFER, "require": REQUIRE, "isolate": ISOLATE}


class Place(NamedTuple):
    """Where a guest is, or would be: number of the host, and the spot in its planner's numbers."""

    host: int
    spot: Spot


class Left(NamedTuple):
    """A guest that has left a host, and what it takes to undo that."""

    name: str
    host: int
    gone: Gone | None
    member: FleetRequest | None


class Fleet:
    """``hosts`` are all of them by name, ``boards`` those that are planned on to, by number."""

    def __init__(self, hosts: Iterable[FleetHost], options: FleetOptions | None = None) -> None:
        options = options or FleetOptions()
        self.hosts = sorted(hosts, key=lambda each: each.name)
        self.number = {each.name: number for number, each in enumerate(self.hosts)}
        self.where = Where(self.hosts)
        self.states = [state_of(each, options) for each in self.hosts]
        self.guests = [guests_of(each, options.now) for each in self.hosts]
        self.boards: dict[int, HostBoard] = {}
        # Facts of hosts that are alike are told once where they are one object, and found out else.
        capacities: dict[tuple[Host, Rules], Capacity] = {}
        seen: dict[tuple[int, int], Capacity] = {}
        distances: dict[int, dict[int, int]] = {}
        for number, each in enumerate(self.hosts):
            if each.host is not None and self.states[number][0] == IN:
                same = (id(each.host), id(each.rules))
                if same not in seen:
                    key = (each.host, each.rules)
                    if key not in capacities:
                        capacities[key] = Capacity(*key)
                    seen[same] = capacities[key]
                known = distances.setdefault(id(seen[same]), {})
                self.boards[number] = HostBoard(each.name, seen[same], self.guests[number], known)
        self.capacities = list(capacities.values())
        #: name -> numbers of the hosts that have a guest of that name; no host can have two
        self.named: dict[str, tuple[int, ...]] = {}
        for number, guests in enumerate(self.guests):
            for name in guests:
                self.named[name] = (*self.named.get(name, ()), number)
        #: Whether many guests come at once, so that it pays to remember where each kind of them would go
        self.often = False
        self._groups: dict[tuple[int, str], FleetRequest] = {}
        self._rods: dict[tuple[int, int | None], Rod] = {}
        self._markets: dict[tuple[int, int | None], dict[float, Market]] = {}
        self._offers: dict[Request, Offers[Spot]] = {}
        self._possible: dict[tuple[int, Request], bool] = {}
        # Most guests ask for this.
        self._market(SHARED, None)

    # One more, one less

    def arrive(self, request: FleetRequest, hosts: frozenset[int] | None = None) -> Place | None:
        """Give a guest the best place of those that it may have, or of ``hosts``; None where there is none."""
        place = self.find(request, hosts)
        if place is not None:
            self.put(request, place)
        return place

    def put(self, request: FleetRequest, place: Place) -> None:
        """The guest gets that place."""
        board = self.boards[place.host]
        board.put(board.guest(moved(request.guest)), place.spot)
        self.named[request.name] = (*self.named.get(request.name, ()), place.host)
        if request.groups:
            self.join(request, place.host)
        self._changed(place.host)

    def join(self, request: FleetRequest, number: int) -> None:
        """Count the guest in its groups, on a host where it is."""
        self._groups[number, request.name] = request
        self.where.join(request.groups, number)

    def unjoin(self, name: str, number: int) -> FleetRequest | None:
        """Count it out of them again. Returns what join() was told, None where that was nothing."""
        member = self._groups.pop((number, name), None)
        if member is not None:
            self.where.join(member.groups, number, -1)
        return member

    def leave(self, name: str, number: int) -> Left:
        """The guest is on that host no more. Of a host that is not planned on to nothing is free by that."""
        gone = self.boards[number].lift(name) if number in self.boards else None
        left = tuple(each for each in self.named[name] if each != number)
        if left:
            self.named[name] = left
        else:
            del self.named[name]
        self._changed(number)
        return Left(name, number, gone, self.unjoin(name, number))

    def back(self, left: Left) -> None:
        """Undo a leave()."""
        if left.gone is not None:
            self.boards[left.host].back(left.gone)
        self.named[left.name] = (*self.named.get(left.name, ()), left.host)
        if left.member is not None:
            self.join(left.member, left.host)
        self._changed(left.host)

    def replace(self, number: int, guests: Sequence[Existing]) -> None:
        """Guests of a host are now like this."""
        self.boards[number].replace(guests)
        self._changed(number)

    def members(self, number: int) -> list[FleetRequest]:
        """Those on a host that are in groups."""
        return [request for (at, _name), request in self._groups.items() if at == number and request.groups]

    # The best place

    def find(self, request: FleetRequest, hosts: frozenset[int] | None = None) -> Place | None:
        """Where arrive() would put the guest. ``hosts``: only these, instead of those that its groups leave."""
        allowed = self.where.open_to(request) if hosts is None else hosts
        wish = moved(request.guest)
        namesakes = self.named.get(request.name, ())
        if one_cell_anywhere(wish):
            place = self._single(wish, allowed, namesakes)
            if place is not None or wish.width == 1:
                return place
        for number, (_key, spot) in self.offers(wish):
            if number not in namesakes and (allowed is None or number in allowed):
                return Place(number, spot)
        return None

    def _single(self, wish: Request, allowed: frozenset[int] | None, namesakes: tuple[int, ...]) -> Place | None:
        kind, size = kind_and_size(wish)
        rod = self.rod(kind, size)

        def admits(number: int, cell: int) -> bool:
            if number in namesakes or (allowed is not None and number not in allowed):
                return False
            board = self.boards[number].board
            return board.room(cell, kind) >= need and board.mem[board.capacity.pool(size)][cell] >= mem

        found: tuple[int, int, int] | None = None
        mem = -(-wish.taken[size] // (size or 1))
        for ratio, market in self._market(kind, size).items():
            need = weight(wish.vcpus, wish.cpu_ratio or ratio) if kind == SHARED else wish.cpus_needed
            best = market.best(need / rod.cpu, mem / rod.mem, admits, self.often)
            if best is not None and (found is None or best < found):
                found = best
        if found is None:
            return None
        _loss, number, cell = found
        host = self.boards[number]
        guest = host.guest(wish)
        return Place(number, host.board.spot(guest, [Part(cell, guest.need, guest.mem)]))

    def offers(self, wish: Request) -> Iterator[tuple[int, tuple[tuple[int, ...], Spot]]]:
        """Pairs (host, what it offers now), the best first. They are remembered for the kinds of guests that came
        last."""
        shape = replace(wish, name="", priority=0)
        known = self._offers.pop(shape, None)
        if known is None:
            rod = self.rod(*kind_and_size(wish))

            #: The guest in the numbers of each kind of host, None where such a host has not what it takes
            guests: dict[int, Guest | None] = {}

            def ask(number: int) -> Offer | None:
                host = self.boards[number]
                if host.too_full(shape):
                    return None
                kind = id(host.capacity)
                if kind not in guests:
                    guests[kind] = host.guest(shape) if self.possible(number, shape) else None
                guest = guests[kind]
                return None if guest is None else host.offer(guest, rod)

            known = Offers(self.boards, ask)
            if len(self._offers) >= _REMEMBERED:
                del self._offers[next(iter(self._offers))]
        self._offers[shape] = known
        return known.best_first()

    def possible(self, number: int, wish: Request) -> bool:
        """Whether a host has what such a guest needs at all."""
        key = (id(self.boards[number].capacity), wish)
        if key not in self._possible:
            self._possible[key] = self.boards[number].could_hold(wish)
        return self._possible[key]

    # Shares

    def rod(self, kind: int, size: int | None) -> Rod:
        """What shares of CPUs of a kind and of pages of a size are measured with."""
        if (kind, size) not in self._rods:
            self._rods[kind, size] = rod_of(self.capacities, kind, size)
        return self._rods[kind, size]

    def _market(self, kind: int, size: int | None) -> dict[float, Market]:
        """Markets by the ratio of shared vCPUs to CPUs that holds where a guest says none."""
        if (kind, size) not in self._markets:
            rod = self.rod(kind, size)
            rows: dict[float, list[tuple[int, list[tuple[int, float, float]]]]] = {}
            for number, host in self.boards.items():
                if size is None or size in host.capacity.sizes:
                    rows.setdefault(host.capacity.rules.cpu_ratio, []).append((number, host.free(kind, size, rod)))
            self._markets[kind, size] = {ratio: Market(cells) for ratio, cells in rows.items()}
        return self._markets[kind, size]

    def _changed(self, number: int) -> None:
        host = self.boards.get(number)
        if host is None:
            return
        for offers in self._offers.values():
            offers.stale.add(number)
        for (kind, size), markets in self._markets.items():
            market = markets.get(host.capacity.rules.cpu_ratio)
            if market is not None and (size is None or size in host.capacity.sizes):
                market.set(number, host.free(kind, size, self.rod(kind, size)))


def kind_and_size(request: Request) -> tuple[int, int | None]:
    """The kind of CPUs that a guest needs, and KiB of its huge pages."""
    return _KINDS[request.smt] if request.owns_cpus else SHARED, request.page_size
