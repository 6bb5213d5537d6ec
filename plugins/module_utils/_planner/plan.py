# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan: guests that stay, guests that are placed, what is rejected, and how good it can be at best.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner import check
from ansible_collections.numa.virt.plugins.module_utils._planner.attempts import solve
from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board, Spot, group_keys
from ansible_collections.numa.virt.plugins.module_utils._planner.bound import most_vcpus
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import SHARED, Capacity, Guest, bits, guest_of
from ansible_collections.numa.virt.plugins.module_utils._planner.describe import Outcome, cell_use, describe
from ansible_collections.numa.virt.plugins.module_utils._planner.explain import reject
from ansible_collections.numa.virt.plugins.module_utils._planner.helpers import asked_for, lent, with_free_pins
from ansible_collections.numa.virt.plugins.module_utils._planner.keep import Kept, judge, loose_of, with_spread_load
from ansible_collections.numa.virt.plugins.module_utils._planner.notes import notes_of
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import Occupancy, add_fixed, held_of
from ansible_collections.numa.virt.plugins.module_utils._planner.rebalance import Rebalance
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Options, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import (
    MOVE,
    Bound,
    CellUse,
    Plan,
    Rejection,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

# Classes of priority that have a bound of their own.
_CLASSES = 8
_NO_RULES, _NO_OPTIONS = Rules(), Options()


def plan(
    host: Host,
    requests: Iterable[Request],
    existing: Iterable[Existing] = (),
    rules: Rules = _NO_RULES,
    options: Options = _NO_OPTIONS,
) -> Plan:
    """Where each requested guest shall be.

    ``existing`` are all guests of the host; those with the name of a request have their place judged by it, the others
    stay and count. The order of both does not matter. Raises InputError; what does not fit is in ``Plan.rejections``.
    """
    requests = sorted(requests, key=lambda each: each.name)
    existing = sorted(existing, key=lambda each: each.name)
    check.check_rules(host, rules, options)
    check.check_names(requests, existing)
    for request in requests:
        check.check_words(host, request)
    capacity = Capacity(host, rules)
    refused = _sift(Occupancy(capacity).board(), requests, options)
    if refused:
        return _without(refused, host, requests, existing, rules, options)
    table = _Table(capacity, requests, existing)
    table.settle()
    lent = table.lent_to_others(options.partial)
    if lent:
        return _without(lent, host, requests, existing, rules, options)
    board = table.occupancy.board()
    new = table.new()
    placed = solve(board, new)
    bound = _bound(board, table.kept.values(), new)
    if options.rebalance:
        everyone = list(table.guests.values())
        bound = _larger(bound, _bound(table.without(table.guests).board(), (), everyone))
        placed = _rebalance(table, board, placed, options)
    return _answer(table, placed, bound, options)


def _sift(board: Board, requests: Sequence[Request], options: Options) -> list[Rejection]:
    """Guests that a host, whose board is empty, could never hold.

    Raises InputError with the first, unless they may be left out.
    """
    found = []
    for request in requests:
        never = check.never(board, request)
        if never is not None:
            if not options.partial:
                raise never[0]
            found.append(never[1])
    return found


def _without(
    refused: Sequence[Rejection],
    host: Host,
    requests: Sequence[Request],
    existing: Sequence[Existing],
    rules: Rules,
    options: Options,
) -> Plan:
    """The plan for the other guests."""
    names = {each.name for each in refused}
    made = plan(host, [each for each in requests if each.name not in names], existing, rules, options)
    return replace(made, rejections=tuple(sorted([*made.rejections, *refused], key=lambda each: each.name)))


@dataclass
class _Table:
    """All guests, and which of them stay."""

    capacity: Capacity
    requests: Sequence[Request]
    existing: Sequence[Existing]
    guests: dict[str, Guest] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    #: name -> why its place is not valid, for guests that have one
    wrong: dict[str, str] = field(default_factory=dict)
    occupancy: Occupancy = field(init=False)

    def __post_init__(self) -> None:
        self.there = {each.name: each for each in self.existing}
        for request in self.requests:
            guest = guest_of(self.capacity, request, self._home(request.name))
            each = self.there.get(request.name)
            if each is not None and each.held:
                guest = replace(guest, held=tuple(held_of(self.capacity, each)))
            self.guests[request.name] = guest

    def _home(self, name: str) -> int:
        """The cells where a guest is now; 0 for one that is new or may run anywhere."""
        each = self.there.get(name)
        if each is None or not all(each.vcpu_cpus):
            return 0
        cells = 0
        for cpus in each.vcpu_cpus:
            cells |= self.capacity.cells_of(cpus.mask) if cpus is not None else 0
        if each.nodeset is not None:
            cells |= self.capacity.indices(each.nodeset)
        return cells if cells != self.capacity.everywhere or each.wish is not None else 0

    def settle(self) -> None:
        """Find who stays. Guests with CPUs of their own are heard first, then by priority and size."""
        self.occupancy = self.without(self.guests)
        waiting = [guest for guest in self.guests.values() if guest.name in self.there]
        waiting.sort(key=lambda g: (g.kind == SHARED, -g.request.priority, -g.vcpus, g.name))
        for guest in waiting:
            found = judge(self.occupancy, guest, self.there[guest.name])
            if not isinstance(found, str):
                found = self._in_groups(found)
            if isinstance(found, str):
                self.wrong[guest.name] = found
            else:
                self.kept[guest.name] = found
                _add_kept(self.occupancy, found)
        self._hold()
        self._spread_load()
        self._make_grown_fit(waiting)
        self._hold()
        self._free_pins()
        self._lend_emulators()

    def _free_pins(self) -> None:
        """What guests that are placed anew have pinned themselves stays where it can."""
        for name, guest in self.guests.items():
            request = with_free_pins(self.capacity, guest.request, self.occupancy.owned)
            if name in self.kept:
                # Its emulator is where it may be; a real-time guest takes it along if it has to move.
                pin = self.there[name].emulator if guest.request.realtime else None
                threads = guest.request.iothread_pins - CpuSet.from_mask(self.occupancy.owned)
                request = replace(guest.request, iothread_pins=threads, emulator_pin=pin)
            if request == guest.request:
                continue
            if name in self.kept:
                self.guests[name] = replace(guest, request=request)
                self.kept[name] = replace(self.kept[name], guest=self.guests[name])
            else:
                self.guests[name] = replace(guest_of(self.capacity, request, guest.home), held=guest.held)

    def without(self, names: Container[str]) -> Occupancy:
        """The host with all guests but these."""
        occupancy = Occupancy(self.capacity)
        for each in self.existing:
            if each.name not in names:
                add_fixed(occupancy, each)
        occupancy.spread_load()
        return occupancy

    def move(self, guests: Iterable[Guest]) -> None:
        """Guests that stay no longer; the others are counted anew."""
        for guest in guests:
            del self.kept[guest.name]
        self.occupancy = self.without(self.guests)
        for kept in self.kept.values():
            _add_kept(self.occupancy, kept)
        self._hold()
        self._spread_load()
        self._lend_emulators()

    def _hold(self) -> None:
        """Memory that guests keep until they end; where it shall be in the same pages it counts already."""
        for name, guest in self.guests.items():
            each, kept = self.there.get(name), self.kept.get(name)
            if each is not None and each.held:
                parts = kept.spot.parts if kept is not None else ()
                at = {(pool, part.cell) for part in parts for pool, amount in part.memory(guest.pool) if amount}
                self.occupancy.hold(each, at)

    def _spread_load(self) -> None:
        self.occupancy.spread_load()
        for name, kept in self.kept.items():
            if kept.loose:
                self.kept[name] = with_spread_load(kept, self.occupancy.spread[name])

    def _lend_emulators(self) -> None:
        """CPUs that emulator or IO threads are sent to are given to nobody alone."""
        for guest in self.guests.values():
            self.occupancy.busy |= lent(guest.request)

    def _in_groups(self, kept: Kept) -> Kept | str:
        """The guest, or which of its groups forbids its place."""
        for key in group_keys(kept.guest.request):
            cells = 0
            for other, mask in self.occupancy.members:
                cells |= mask if other == key else 0
            if key[0] == "together" and cells and cells != kept.spot.cells:
                return f"its group {key[1]} is on cell {self.capacity.cell_ids(cells)}"
            if key[0] == "apart" and cells & kept.spot.cells:
                return f"another of group {key[1]} is on cell {self.capacity.cell_ids(cells & kept.spot.cells)}"
        return kept

    def _make_grown_fit(self, waiting: list[Guest]) -> None:
        """Guests that shall have more than they have now stay only where that fits."""
        for guest in reversed(waiting):
            kept = self.kept.get(guest.name)
            if kept is None or not kept.grown:
                continue
            full = _full(self.occupancy.board(), kept)
            if full:
                self.wrong[guest.name] = f"it has grown, and {full} for it"
                del self.kept[guest.name]
                _drop_kept(self.occupancy, kept)

    def lent_to_others(self, partial: bool) -> list[Rejection]:
        """Guests whose emulator or IO threads are sent to CPUs that belong to another one. Raises InputError with the
        first, unless they may be left out."""
        found = []
        for guest in self.guests.values():
            for option, cpus in asked_for(guest.request):
                owners = {cpu: owner for cpu, owner in self.occupancy.owner.items() if cpu in cpus}
                cpu = min((cpu for cpu, owner in owners.items() if owner != guest.name), default=None)
                if cpu is not None:
                    called = f"domains[{guest.name}].{option}"
                    error = InputError(called, str(cpus), f"CPU {cpu} belongs to {owners[cpu]}", "give other CPUs")
                    if not partial:
                        raise error
                    found.append(check.impossible(guest.request, error))
                    break
        return found

    def new(self) -> list[Guest]:
        return [guest for name, guest in self.guests.items() if name not in self.kept]


def _full(board: Board, kept: Kept) -> str:
    """The first of its cells that has too little, and of what; nothing where there is none."""
    for cell in bits(kept.spot.cells):
        short = [pool for pool, _amount in kept.guest.memory if board.mem[pool][cell] < 0]
        if board.joint[cell] < 0 or short:
            what = board.capacity.unit(short[0]) if short and short[0] else "room"
            return f"cell {board.capacity.ids[cell]} has no {what}"
    return ""


def _add_kept(occupancy: Occupancy, kept: Kept) -> None:
    occupancy.own(kept.guest.name, kept.owned)
    occupancy.busy |= kept.used
    occupancy.members += [(key, kept.spot.cells) for key in group_keys(kept.guest.request)]
    for cell in bits(kept.spot.cells):
        occupancy.guests[cell].append(kept.guest.name)
    if kept.loose:
        occupancy.loose[kept.guest.name] = loose_of(occupancy.capacity, kept)
    else:
        _add_amounts(occupancy, kept)


def _add_amounts(occupancy: Occupancy, kept: Kept, sign: int = 1) -> None:
    for part in kept.spot.parts:
        if kept.guest.kind == SHARED:
            occupancy.load[part.cell] += sign * part.cpu
        occupancy.mem[kept.guest.pool][part.cell] += sign * part.mem
        for pool, amount in part.others:
            occupancy.mem[pool][part.cell] += sign * amount


def _drop_kept(occupancy: Occupancy, kept: Kept) -> None:
    """Take a guest out again. What it used may be in use by others too, and stays so."""
    occupancy.owned &= ~kept.owned
    for key in group_keys(kept.guest.request):
        occupancy.members.remove((key, kept.spot.cells))
    for cell in bits(kept.spot.cells):
        occupancy.guests[cell].remove(kept.guest.name)
    if kept.loose:
        occupancy.drop(kept.guest.name)
    else:
        _add_amounts(occupancy, kept, -1)


def _bound(board: Board, kept: Iterable[Kept], new: Sequence[Guest]) -> Bound:
    staying = [each.guest for each in kept]
    rows = []
    priorities = sorted({guest.request.priority for guest in [*staying, *new]}, reverse=True)
    for priority in [*priorities[:_CLASSES], *priorities[_CLASSES:][-1:]]:
        there = sum(guest.vcpus for guest in staying if guest.request.priority >= priority)
        more = most_vcpus(board, [guest for guest in new if guest.request.priority >= priority])
        rows.append((priority, 0, there + more))
    return Bound(rows[-1][2] if rows else 0, tuple(rows))


def _larger(one: Bound, other: Bound) -> Bound:
    rows = zip(one.by_priority, other.by_priority)
    both = tuple((priority, 0, max(most, more)) for (priority, _none, most), (_same, _zero, more) in rows)
    return Bound(max(one.vcpus, other.vcpus), both)


def _rebalance(table: _Table, board: Board, placed: dict[Guest, Spot], options: Options) -> dict[Guest, Spot]:
    """Move guests to make room, then to make the placement better. Raises InputError where room takes too many."""
    stay = {kept.guest: kept.spot for kept in table.kept.values()}
    work = Rebalance(board, stay, placed)
    work.make_room([guest for guest in table.new() if guest not in placed])
    forced = sum(1 for guest, spot in placed.items() if guest.home not in (0, spot.cells))
    _check_moves(forced + len(work.moved), [guest.name for guest in work.moved], options)
    work.improve(len(stay) if options.max_moves is None else options.max_moves - forced, options.even_out)
    moved = work.moved
    table.move(moved)
    return {guest: spot for guest, spot in work.search.placed.items() if guest.name not in table.kept}


def _check_moves(number: int, names: list[str], options: Options) -> None:
    """Raises InputError where more guests have to move than may."""
    if options.max_moves is not None and number > options.max_moves:
        text = f"{number} moves are needed: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
        raise InputError("max_moves", options.max_moves, text, f"give {number} or more")


def _answer(table: _Table, placed: dict[Guest, Spot], bound: Bound, options: Options) -> Plan:
    capacity = table.capacity
    outcome = Outcome(capacity, table.occupancy, table.kept, table.wrong, table.there, placed)
    placements = describe(outcome)
    moves = [each.name for each in placements if each.action == MOVE]
    _check_moves(len(moves), moves, options)
    rejections = [reject(outcome.board, guest) for guest in table.new() if guest not in placed]
    done = {each.name: table.guests[each.name] for each in placements}
    rows = [
        (priority, sum(g.vcpus for g in done.values() if g.request.priority >= priority), at_most)
        for priority, _placed, at_most in bound.by_priority
    ]
    # On one cell that is shared by all a guest that may run anywhere is nothing to speak of.
    matters = outcome.owned or len(table.capacity.ids) > 1
    notes = notes_of(outcome.board, placements, done, table.occupancy.notes if matters else ())
    after = cell_use(outcome)
    return Plan(
        placements=tuple(placements),
        rejections=tuple(sorted(rejections, key=lambda each: each.name)),
        notes=notes,
        bound=replace(bound, by_priority=tuple(rows)),
        before=_before(table),
        after=after,
    )


def _before(table: _Table) -> tuple[CellUse, ...]:
    """The use of each cell as it is; guests that stay count as they do afterwards. The table is of no use then."""
    for each in table.existing:
        if each.name in table.guests and each.name not in table.kept:
            add_fixed(table.occupancy, each)
    table.occupancy.spread_load()
    return cell_use(Outcome(table.capacity, table.occupancy, table.kept, {}, table.there, {}))
