# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_placement: many domains by policy, planned together and applied in one run.

One connection, one read of the host and of every domain, one plan. Everything that can fail before the first write
has failed before it: each domain's own plan is made before any is carried out.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._engine import plan as one
from ansible_collections.numa.virt.plugins.module_utils._engine.batch import Tally, one_guest, unwinding_here
from ansible_collections.numa.virt.plugins.module_utils._engine.claims import (
    Claimed,
    Honoured,
    as_moves,
    claimed_of,
    honoured,
    refuse_new,
    with_claims,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.domain import carry_out, predict
from ansible_collections.numa.virt.plugins.module_utils._engine.existing import (
    all_existing,
    existing,
    read_all,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.guard import GONE, RUNS
from ansible_collections.numa.virt.plugins.module_utils._engine.moves import move_of, room_of, stays_behind
from ansible_collections.numa.virt.plugins.module_utils._engine.order import Move, Order, Pool, Wait
from ansible_collections.numa.virt.plugins.module_utils._engine.placement_guests import (
    PlacementRequest,
    Wanted,
    guests_of,
    placement_warnings,
    wanted_anew,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.placement_report import acts_as_told, result_of
from ansible_collections.numa.virt.plugins.module_utils._engine.report import with_warnings
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DoesNotFitError,
    GivenTwiceError,
    InputError,
    NotMovedError,
    NumaVirtError,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import wish_to_json
from ansible_collections.numa.virt.plugins.module_utils._libvirt import guest_needs
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._node import backup as node_backup
from ansible_collections.numa.virt.plugins.module_utils._node import claims as node_claims
from ansible_collections.numa.virt.plugins.module_utils._node.lock import host_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._planner.partial import plan_partial
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing
from ansible_collections.numa.virt.plugins.module_utils._planner.result import (
    KEEP,
    Placed,
    Plan,
    Rejection,
    of_vcpus,
    plan_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.twice import foreseen, given_twice
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    Pins,
    Placement,
    Shape,
    pins_of,
)

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection


@dataclass(frozen=True)
class _Job:
    """What is to be done for one guest, and the plan for it alone."""

    guest: Wanted
    placed: Placed
    given: XmlDefinition | None
    request: one.Request
    plan: one.Plan
    move: Move


def place_domains(connection: Connection, request: PlacementRequest) -> dict[str, Any]:
    """Plan and place. Returns what the module documents; raises NumaVirtError."""
    daemon, hold = connection.daemon, not request.check_mode
    with host_at_a_time(request.lock_dir, request.lock_timeout, daemon, required=True, hold=hold) as said:
        unseen = node_claims.claims_problem(daemon) if daemon.host else None
        return with_warnings(_place(connection, request), [*said, *([unseen] if unseen is not None else [])])


def _place(connection: Connection, request: PlacementRequest) -> dict[str, Any]:
    session = Session(connection)
    known = read_all(session)
    guests = guests_of(session, request, known)
    held = honoured(connection.daemon)
    guests, kept_out = _let_in(request, guests, held)
    made, there, those = _plan(session, request, guests, known, held)
    made = replace(made, rejections=tuple(sorted([*made.rejections, *kept_out], key=lambda each: each.name)))
    if made.rejections and not request.partial:
        first, more = made.rejections[0], len(made.rejections) - 1
        others = f" (and {more} more: see error.rejections)" if more else ""
        raise DoesNotFitError(
            f"{first.message}{others}; nothing was touched, partial=true places the others",
            rejections=plan_as_result(made)["rejections"],
        )
    tally: Tally[tuple[Placed, dict[str, Any]]] = Tally(len(made.placements))
    jobs = _jobs(session, request, guests, made, there, tally)
    made = acts_as_told(made, {job.guest.name: job.plan for job in jobs})
    _check_room(request, jobs)
    _carry_out(session, request, jobs, _room(made, those), tally)
    tally.done.sort(key=lambda done: done[0].name)
    said = [*held.said, *placement_warnings(session, request, guests, known)]
    if not request.check_mode:
        said += _end_claims(connection, held, those, {placed.name for placed, _result in tally.done})
    result = result_of(session, made, tally.done, request.diff, said)
    tally.raise_failures(result)
    if result["changed"] and not request.check_mode:
        _hold_against_host(session, request, made, there.values(), result)
    return result


def _let_in(
    request: PlacementRequest, guests: Sequence[Wanted], held: Honoured
) -> tuple[list[Wanted], list[Rejection]]:
    """The guests that this host takes, and why not the others. Raises HostStateError.

    One that is on it is no new one: it may stay, and move inside of it.
    """
    new = [guest.name for guest in guests if guest.known is None]
    state = held.closed
    if state is None or request.ignores_state or not new:
        return list(guests), []
    if not request.partial:
        raise refuse_new(state, new)
    refused = [Rejection(name, "host_state", None, 1, 0, "hosts", {}, f"{name}: {state}") for name in new]
    return [guest for guest in guests if guest.known is not None], refused


def _room(made: Plan, those: Claimed) -> dict[Pool, int]:
    """KiB that each pool has left before anybody moves. What is claimed for a guest is not taken before it is there."""
    room = room_of(made)
    for each in made.placements:
        if each.name in those.own:
            for cell, size, kib in each.memory_by_page:
                room[cell, size] = room.get((cell, size), 0) + kib
    return room


def _end_claims(connection: Connection, held: Honoured, those: Claimed, placed: AbstractSet[str]) -> list[str]:
    """Take away what is no claim any more: it has ended, or its guest is there. Says what could not be."""
    ended = [*those.done, *(each.uuid for each in held.found.stale)]
    ended += [claim.uuid for name, claim in those.own.items() if name in placed]
    if not node_claims.writable(connection.daemon):
        return []  # it counts for nobody, and the next run that may takes it away
    try:
        node_claims.remove_claims(connection.daemon, ended)
    except node_claims.NoClaimsError as error:
        return [error.message]
    return []


def _check_room(request: PlacementRequest, jobs: Iterable[_Job]) -> None:
    """Whether there is room for the backups of all guests, before the first is touched. Raises InputError."""
    texts = [job.guest.known.config.text for job in jobs if job.plan.backs_up and job.guest.known is not None]
    if texts:
        needed = sum(len(text.encode("utf-8", "surrogateescape")) for text in texts)
        node_backup.check_directory(request.backup_dir, needed=needed)


def _hold_against_host(
    session: Session, request: PlacementRequest, made: Plan, there: Iterable[Existing], result: dict[str, Any]
) -> None:
    """The plan against what is on the host now: another lock, or another tool, may have given the same CPUs away.

    Raises GivenTwiceError, and what a call raises, which says too that all was placed before.
    """
    online = session.host.online
    before = foreseen(list(there), made.placements, online)
    now = []
    try:
        for each in read_all(session).values():
            with contextlib.suppress(*GONE):  # one that has ended since has given its CPUs back
                now.append(existing(session, each, False, request.restart))
    except NumaVirtError as blind:
        blind.changed = True
        blind.fields["domains"] = result["domains"]
        blind.add("; all was placed before, and nobody has looked whether somebody else was given the same CPUs")
        raise
    found = given_twice(now, {each.name for each in made.placements}, before, online)
    if found:
        error = GivenTwiceError(
            f"CPUs were given twice, by somebody who does not wait for this run: {'; '.join(map(str, found[:3]))}"
            f"{f' (and {len(found) - 3} more)' if len(found) > 3 else ''}; all was placed, and is there",
            overlaps=[{"guests": list(each.guests), "cpus": str(each.cpus)} for each in found],
            domains=result["domains"],
        )
        error.changed = True
        raise error


def _jobs(
    session: Session,
    request: PlacementRequest,
    guests: Sequence[Wanted],
    made: Plan,
    there: Mapping[str, Existing],
    tally: Tally[Any],
) -> list[_Job]:
    """The plan for each guest that has a place. Raises all that can be said before the first write.

    One guest alone does not stop the others by what has become of it since it was read; nor by its state where nobody
    has named it, or where ``partial`` was asked for.
    """
    placements = {each.name: each for each in made.placements}
    states = session.connection.states() if request.wanted_state == "unchanged" and guests else {}
    jobs = []
    for guest in guests:
        if guest.name not in placements:
            continue
        place = partial(_job, session, request, placed=placements[guest.name], existing=there.get(guest.name))
        state = states.get(str(guest.known.domain.uuid)) if guest.known is not None else None
        try:
            try:
                jobs.append(place(guest=guest, state=state))
            except GONE:
                # It has ended, or is gone, since it was read: planned anew, as it is now.
                jobs.append(place(guest=wanted_anew(session, guest), state=None))
        except GONE as error:
            if guest.known is None:
                raise
            tally.fail(guest.name, error)
        except InputError as error:
            if error.fields["option"] != "state" or not (request.partial or request.entries is None):
                raise
            tally.fail(guest.name, error)
    return jobs


def _carry_out(
    session: Session,
    request: PlacementRequest,
    jobs: Sequence[_Job],
    room: Mapping[Pool, int],
    tally: Tally[tuple[Placed, dict[str, Any]]],
) -> None:
    """Do every job, or predict it, in the order in which guests leave and get CPUs and memory."""
    by_name = {job.guest.name: job for job in jobs}
    order = Order((job.move for job in jobs), room)
    with unwinding_here(tally):
        while tally.ended_by is None and (taken := order.take()) is not None:
            name, waits = taken
            job = by_name[name]
            tally.left_over = tuple(order.left_over)
            if waits:
                tally.fail(name, _waits_in_vain(name, waits))
                continue
            failed = len(tally.failures)
            with one_guest(session, tally, name, job.guest.known, request.backup_dir if request.backup else None):
                if request.check_mode:
                    result = predict(session, job.request, job.plan, job.guest.known)
                else:
                    result = carry_out(session, job.request, job.plan, job.given, job.guest.known)
                tally.done.append((job.placed, result))
                actual = None if request.check_mode else result["actual"]
                order.left(job.move, stays_behind(job.move, job.plan, actual))
            if len(tally.failures) > failed:
                order.failed(job.move)


def _waits_in_vain(name: str, waits: Sequence[Wait]) -> NotMovedError:
    some = "; ".join(str(wait) for wait in waits[:3]) + (f"; and {len(waits) - 3} more" if len(waits) > 3 else "")
    return NotMovedError(
        f"domain {name!r} was left as it is: it waits for {some}", waits_for=[wait.name for wait in waits]
    )


def _plan(
    session: Session, request: PlacementRequest, guests: Sequence[Wanted], known: dict[str, Known], held: Honoured
) -> tuple[Plan, dict[str, Existing], Claimed]:
    """The planner's answer, the guests that are there, and what is claimed. Raises InputError."""
    host = session.host
    devices = [device for guest in guests for device in guest.asked.devices]
    if devices:
        host = session.devices.on(host, devices)
    there = all_existing(session, known, {guest.name for guest in guests}, request.restart)
    left_out = all_existing(session, known, frozenset(), request.restart) if request.partial else there
    there = {name: each for name, each in there.items() if name in left_out}
    present = {guest.name: guest.meant.shape.present for guest in guests}
    uuids = {guest.name: _uuid_of(guest) for guest in guests}
    those = claimed_of(held.found.claims, uuids, known, there)
    asked = [guest.asked for guest in guests]
    while True:
        counted = with_claims(session, there, asked, those)
        if request.partial:
            staying = {**counted, **left_out}
            made = plan_partial(host, asked, counted, staying, request.rules, request.options)
        else:
            made = plan(host, asked, list(counted.values()), request.rules, request.options)
        # One that got no place stays where it is, and somebody is still to have what is claimed for it.
        lost = [each.name for each in made.rejections if each.name in those.own]
        if not lost or not request.partial:
            return of_vcpus(as_moves(made, those, there, session), present), there, those
        those = those.disown(lost)


def _uuid_of(guest: Wanted) -> str | None:
    if guest.known is not None:
        return guest.known.domain.uuid
    return guest.given.uuid if guest.given is not None else None


def _job(
    session: Session,
    request: PlacementRequest,
    guest: Wanted,
    placed: Placed,
    existing: Existing | None,
    state: str | None,
) -> _Job:
    """The plan for one guest. Raises all that can be said before the first write. ``state`` is its state, if known."""
    given, meant, made_cells = guest.given, guest.meant, False
    if isinstance(meant, XmlDefinition):
        if placed.guest_cells and not meant.needs.guest_cells:
            given, made_cells = XmlDefinition(guest_needs.with_guest_cells(meant.root, placed.guest_cells)), True
        elif given is None and guest.known is not None and meant is not guest.known.config:
            given = meant  # the cells were made for a place that it leaves
    own = one.Request(
        name=guest.name,
        xml=None,
        wish=_intent(session, placed, guest, meant),
        state=_own_state(request.wanted_state, guest.known, state),
        restart=request.restart,
        shutdown_timeout=request.shutdown_timeout,
        verify=request.verify,
        backup=request.backup,
        backup_dir=request.backup_dir,
        check_mode=request.check_mode,
        lock_dir=request.lock_dir,
        made_cells=made_cells,
        shows=False,
        diff=request.diff,
    )
    planned = one.plan_domain(session, own, given, guest.known, guest.name)
    return _Job(
        guest, placed, given, own, planned, move_of(session, guest.asked, placed, guest.known, existing, planned)
    )


def _own_state(wanted: str, known: Known | None, state: str | None) -> str:
    """The state that numa_domain would be given: with "unchanged" a guest that runs goes on, no other is started."""
    if wanted != "unchanged":
        return wanted
    if known is None or known.live is None:
        return "defined"
    return "running" if (state or known.domain.state()) in RUNS else "defined"


def _intent(session: Session, placed: Placed, guest: Wanted, definition: Definition) -> Intent:
    """The place that was found, as an explicit wish; pins of an earlier place, or of a document, do not outlive it."""
    intent = placed.intent()
    before = guest.known.intent if guest.known is not None else None
    there = definition.placement
    said = before if before is not None else Intent()
    emulator, iothread_pins = intent.emulator, None
    elsewhere = said.emulator is not None or there.emulator not in (None, placed.cpuset)
    if emulator is None and session.driver.emulator and elsewhere:
        emulator = placed.cpuset
    if session.driver.iothreads and (placed.owned or placed.iothreads is not None):
        iothread_pins = _iothread_pins(placed, there, definition.shape)
    elif placed.action != KEEP and (said.iothread_pins or there.iothread_pins):
        iothread_pins = ()
    return replace(
        intent,
        # Where nothing binds memory it comes from the cells of the CPUs.
        memory=intent.memory if session.driver.numatune else None,
        vcpu_pins=placed.vcpu_pins,
        emulator=emulator,
        iothread_pins=iothread_pins,
        policy=wish_to_json(guest.wish),
        memnodes=tuple((each.id, CpuSet([each.cell])) for each in placed.guest_cells) or None,
        knobs=guest.knobs,
    )


def _iothread_pins(placed: Placed, there: Placement, shape: Shape) -> Pins:
    """Where the IO threads go: where they were asked to, else where their user has them, else with the emulator."""
    pins = {}
    for thread in shape.iothreads:
        own = dict(there.iothread_pins).get(thread)
        with_emulator = placed.iothreads if placed.iothreads is not None else placed.emulator
        if placed.iothreads is None and own is not None and own <= placed.iothread_pins:
            pins[thread] = own
        elif with_emulator is not None:
            pins[thread] = with_emulator
    return pins_of(pins)
