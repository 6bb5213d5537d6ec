# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others have claimed of a host, and whether it takes new guests: read once for a run, and honoured by it.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session
from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError, few, shown
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import Claim as FleetClaim
from ansible_collections.numa.virt.plugins.module_utils._node import claims as node_claims
from ansible_collections.numa.virt.plugins.module_utils._planner.claims import as_place, claimed
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import KEEP, MOVE, PLACE, REPIN, Placed, Plan
from ansible_collections.numa.virt.plugins.module_utils._values.claim import (
    Claim,
    HostState,
    claim_as_result,
    state_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, union
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon


class HostStateError(NumaVirtError):
    """A host that somebody has taken out gets no new guests. Nothing has been touched."""

    code = "host_state"


@dataclass(frozen=True)
class Honoured:
    """What a run has to know. ``said``: what is not believed of what lies there."""

    found: node_claims.Found
    state: HostState | None
    said: tuple[str, ...]

    @property
    def closed(self) -> HostState | None:
        """The state, where it lets no new guest in."""
        return self.state if self.state is not None and not self.state.takes_guests else None


def honoured(daemon: Daemon) -> Honoured:
    """Raises NoClaimsError where they are there and may not be read: blindly nothing is given away."""
    found = node_claims.read_claims(daemon)
    state, said = node_claims.read_state(daemon)
    return Honoured(found, state, (*found.problems, *said))


def shown_claims(daemon: Daemon) -> tuple[dict[str, Any], list[str]]:
    """({"claims", "host_state"}, warnings) for modules that only read: what they may not see is said, and None."""
    try:
        held = honoured(daemon)
    except node_claims.NoClaimsError as error:
        return {"claims": None, "host_state": None}, [error.message]
    if node_claims.claims_problem(daemon) is not None:
        return {"claims": None, "host_state": None}, []
    claims = [claim_as_result(each) for each in held.found.claims]
    return {"claims": claims, "host_state": state_as_result(held.state)}, list(held.said)


def claims_with_guests(daemon: Daemon, uuids: Mapping[str, str | None]) -> tuple[tuple[Claim, str | None], ...]:
    """Pairs (claim, the guest that it was made for, where it is on the host), as findings want them."""
    try:
        claims = node_claims.read_claims(daemon).claims
    except node_claims.NoClaimsError:
        return ()  # which a warning says
    return tuple((each, next((n for n, uuid in uuids.items() if is_of(each, n, uuid)), None)) for each in claims)


def is_of(claim: Claim, name: str, uuid: str | None) -> bool:
    """Whether a claim is this guest's. One whose definition leaves the UUID open is known by its name."""
    return claim.uuid == uuid if uuid is not None else claim.name == name


def holds(guest: Existing, claim: Claim) -> bool:
    """Whether a guest is where it is claimed for, so that it counts itself."""
    if not all(guest.vcpu_cpus):
        return False
    cpus = union(each for each in guest.vcpu_cpus if each is not None)
    return cpus <= claim.cpus and (guest.nodeset or EMPTY) <= claim.cells


@dataclass(frozen=True)
class Claimed:
    """Claims beside the guests that are asked for. ``own``: by the name of the guest; ``others`` stand for all others,
    by names that no guest has. ``done``: UUIDs of those whose guest is there by now."""

    own: Mapping[str, Claim]
    others: Mapping[str, Existing]
    done: tuple[str, ...] = ()

    def disown(self, names: Iterable[str]) -> Claimed:
        """The same, where these guests did not get their place: it is claimed from them, too."""
        lost = {name: self.own[name] for name in names}
        others = {**self.others, **_called(lost.values(), {*self.others, *self.own})}
        return Claimed({name: each for name, each in self.own.items() if name not in lost}, others, self.done)


def claimed_of(
    claims: Iterable[Claim], asked: Mapping[str, str | None], known: Mapping[str, Known], there: Mapping[str, Existing]
) -> Claimed:
    """``asked``: the UUIDs of the guests that a plan is made for, None where that is open; ``there``: all guests."""
    own: dict[str, Claim] = {}
    done, others = [], []
    for claim in claims:
        if _has_come(claim, known, there):
            done.append(claim.uuid)
            continue
        name = next((name for name, uuid in asked.items() if is_of(claim, name, uuid)), None)
        if name is not None and name not in own:
            own[name] = claim
        else:
            others.append(claim)
    return Claimed(own, _called(others, {*known, *asked}), tuple(done))


def claims_for_fleet(
    claims: Iterable[Claim], known: Mapping[str, Known], there: Mapping[str, Existing]
) -> tuple[FleetClaim, ...]:
    """What counts beside the guests of a host. It has the name of its guest, unless one of that name is there."""
    found, names = [], set(there)
    for claim in claims:
        if not _has_come(claim, known, there):
            (guest,) = _called([claim], names).values() if claim.name in names else (claimed(claim, claim.name),)
            names.add(guest.name)
            found.append(FleetClaim(guest, claim.made_by, float(claim.ends)))
    return tuple(found)


def _has_come(claim: Claim, known: Mapping[str, Known], there: Mapping[str, Existing]) -> bool:
    """Whether its guest is where it is claimed for."""
    owner = next((name for name, each in known.items() if is_of(claim, name, each.domain.uuid)), None)
    return owner is not None and owner in there and holds(there[owner], claim)


def _called(claims: Iterable[Claim], names: set[str]) -> dict[str, Existing]:
    found = {}
    for claim in claims:
        name = f"the claim for {shown(claim.name)}"
        if name in names:
            name = f"{name} ({claim.uuid})"
        names.add(name)
        found[name] = claimed(claim, name)
    return found


def with_claims(
    session: Session, there: Mapping[str, Existing], requests: Iterable[Request], those: Claimed
) -> dict[str, Existing]:
    """The guests of the host with what is claimed. A guest whose place is claimed is there already, to the planner;
    its memory it keeps where it is until it ends."""
    found = {**there, **those.others}
    for request in requests:
        claim = those.own.get(request.name)
        if claim is not None:
            place = as_place(session.host, claim, request)
            before = there.get(request.name)
            found[request.name] = place if before is None else replace(place, held=before.held)
    return found


def as_moves(made: Plan, those: Claimed, there: Mapping[str, Existing], session: Session) -> Plan:
    """The plan, which takes guests to have what is claimed for them, with what has to be done for each."""
    return replace(
        made, placements=tuple(_as_move(each, those, there.get(each.name), session) for each in made.placements)
    )


def _as_move(placed: Placed, those: Claimed, before: Existing | None, session: Session) -> Placed:
    claim = those.own.get(placed.name)
    if claim is None:
        return placed
    action = PLACE
    if before is not None:
        cells = session.host.cells_touched(union(cpus for cpus in before.vcpu_cpus if cpus is not None))
        action = REPIN if cells == placed.cells else MOVE
    if placed.action != KEEP:
        return replace(placed, action=action)
    return replace(placed, action=action, reason=f"it is claimed for it, by {claim.made_by or 'somebody'}")


def refuse_new(state: HostState, names: list[str]) -> HostStateError:
    """The error for new guests on a host that takes none."""
    return HostStateError(
        f"{state}; it gets no new guests, such as {few(names)}; nothing was touched, host_state=ignore places them",
        state=state.state,
        who=state.who,
        reason=state.why,
        since=state_as_result(state)["since"],
        guests=names,
    )
