# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_domain: one domain, explicitly placed.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_as_result
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import (
    held_while,
    misplaced,
    placement_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.aftermath import Attempt
from ansible_collections.numa.virt.plugins.module_utils._engine.guard import (
    look_again,
    overwritten,
    overwritten_warning,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.live import apply_live
from ansible_collections.numa.virt.plugins.module_utils._engine.plan import (
    RUNNING,
    Plan,
    Request,
    name_of,
    plan_domain,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.report import diff_if, with_warnings
from ansible_collections.numa.virt.plugins.module_utils._engine.session import (
    Known,
    Session,
    keep_backup,
    read_domain,
    store_record,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.start import (
    resume_on_cells,
    shut_down,
    start_on_cells,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.unique import check_uuids
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ChangedMeanwhileError,
    NotRunningError,
    NumaVirtError,
    PlacementFailedError,
    UnsupportedError,
    few,
    required,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._node.lock import one_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._values.changes import (
    Change,
    changes_as_result,
    mark_restarts,
    merge,
    restarts_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Observation, observation_as_result
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection, Domain


# So often a domain is planned for that somebody else changes meanwhile.
_ATTEMPTS = 3


def place_domain(connection: Connection, request: Request) -> dict[str, Any]:
    """Bring one domain to its cells. Returns what the module documents; raises NumaVirtError."""
    if connection.dialect != "xml":
        if request.xml is not None:
            raise UnsupportedError("xl", "xml", "it takes files of its own: give config, the path of one", "xml")
        given = None
        name = name_of(request.name, connection.configured_name, "config")
    else:
        given = XmlDefinition.load_given(request.xml, "xml") if request.xml is not None else None
        name = name_of(request.name, given.shape.name if given is not None else None, "xml")
    with one_at_a_time(None if request.check_mode else request.lock_dir, name, daemon=connection.daemon) as said:
        return with_warnings(_place(connection, request, given, name), said)


def _place(connection: Connection, request: Request, given: XmlDefinition | None, name: str) -> dict[str, Any]:
    session = Session(connection)
    for left in reversed(range(_ATTEMPTS)):
        known = read_domain(session, name)
        if known is None and given is not None and given.uuid is not None:
            check_uuids([("xml", given)], connection.domains())
        plan = plan_domain(session, request, given, known, name)
        if request.check_mode:
            break
        try:
            return carry_out(session, request, plan, given, known)
        except ChangedMeanwhileError:  # planned anew, as often as somebody else may well be in the way
            if not left:
                raise
    return predict(session, request, plan, known)


def predict(session: Session, request: Request, plan: Plan, known: Known | None) -> dict[str, Any]:
    """What carry_out() would return."""
    found = plan.live.observation if plan.live else None
    state = plan.state_before.replace("absent", "shut off")
    if plan.starts or plan.resumes or plan.restarts_now:
        state = "running"
    why = known.domain.why_paused() if known is not None and state == "paused" else None
    return _result(session, request, plan, known.domain if known else None, plan.document, found, None, state, why)


def carry_out(
    session: Session, request: Request, plan: Plan, given: XmlDefinition | None, known: Known | None
) -> dict[str, Any]:
    """Do what was planned for one domain. Returns what numa_domain documents; raises NumaVirtError.

    The domain is looked at once more right before the first write: ChangedMeanwhileError says that it is another than
    was planned for, and that nothing was touched. Every other error says in ``changed``, ``state`` and ``backup_file``
    what is then.
    """
    attempt = Attempt(session, plan.document.shape.name, known, plan.state_before)
    attempt.saved = plan.saved
    if plan.backs_up and known is not None:
        attempt.backup_file = keep_backup(request.backup_dir, known)
    lost = None
    if plan.acts:
        look_again(session, attempt.name, known, plan.state_before, bool(plan.live and plan.live.steps))
    try:
        domain, made = _define(session, request, plan, known, attempt)
        lost = overwritten(session, known, domain, attempt.backup_file) if plan.redefines else None
        if plan.saved is not None:
            attempt.rewrite_image(domain, plan.saved)
        observation = _bring_to_state(session, request, plan, domain, attempt)
        stored = made if made is not None else _stored(session, plan, required(known), domain)
        state = domain.state() if plan.acts else plan.state_before
        if request.state == "running" and state not in RUNNING:
            raise _not_running(plan, attempt, domain, state)
        why = domain.why_paused() if state == "paused" else None
    except NumaVirtError as error:
        attempt.tell(error)
        if lost is not None:
            error.fields["overwritten"] = lost
        raise
    result = _result(session, request, plan, domain, stored, observation, attempt.backup_file, state, why)
    if lost is not None:
        result["overwritten"] = lost
        result.setdefault("warnings", []).append(overwritten_warning(domain.name, lost))
    # What it did not keep of a document it said when it was given that.
    if given is not None and plan.redefines and isinstance(stored, XmlDefinition):
        dropped = given.dropped_elements(stored)
        if dropped:
            result.setdefault("warnings", []).append(f"libvirt did not keep these elements of xml: {few(dropped, 10)}")
    return result


def _define(
    session: Session, request: Request, plan: Plan, known: Known | None, attempt: Attempt
) -> tuple[Domain, Definition | None]:
    """Write the definition where it changes, and read what became of it: None where it does not.

    A definition that libvirt refuses leaves the old one as it was.
    """
    if not plan.redefines:
        return required(known).domain, None
    domain = attempt.define(plan.document.text)
    made = session.definition(domain)
    record = plan.record
    if record is not None and record.source is not None and record.stored is None and isinstance(made, XmlDefinition):
        store_record(domain, replace(record, stored=made.digest), live=False)
        attempt.written = domain.definition()
        # It differs in the record, which only the text of a result would show.
        return domain, XmlDefinition.read(attempt.written, domain.name) if request.shows else made
    attempt.written = made.text
    return domain, made


def _bring_to_state(
    session: Session, request: Request, plan: Plan, domain: Domain, attempt: Attempt
) -> Observation | None:
    """Start, restart, resume or re-pin, as planned. Returns what was read back, None where nothing runs."""
    wanted = plan.target.placement
    if plan.starts:
        return start_on_cells(session, domain, wanted, request.verify, attempt)
    if plan.live is None:
        return None
    if plan.restarts_now:
        shut_down(domain, request.shutdown_timeout, attempt)
        return start_on_cells(session, domain, wanted, request.verify, attempt)
    observation = apply_live(session, domain, plan.live, attempt)
    held_to = _held_to(plan) if request.verify else None
    if plan.resumes:
        return resume_on_cells(session, domain, held_to or wanted, held_to is not None, attempt)
    if held_to is not None:
        problems = misplaced(held_to, observation)
        if problems:
            raise PlacementFailedError(
                f"domain {domain.name!r} runs, but not where it should: {'; '.join(str(each) for each in problems)}",
                domain=domain.name,
                found=[str(each) for each in problems],
            )
    return observation


def _not_running(plan: Plan, attempt: Attempt, domain: Domain, state: str) -> NumaVirtError:
    done = "was started on its cells" if plan.starts or plan.restarts_now else "was brought to its cells"
    who = "somebody has, or the hypervisor" if state == "paused" else "it ended by itself, or somebody has ended it"
    attempt.tried = True
    return NotRunningError(f"domain {domain.name!r} {done}, and is {state} now: {who}", domain=domain.name)


def _held_to(plan: Plan) -> Placement | None:
    """The placement that a guest that runs on can be held to: without what waits for a restart."""
    return held_while(plan.target.placement, {restart.element for restart in plan.restarts})


def _stored(session: Session, plan: Plan, known: Known, domain: Domain) -> Definition:
    """The definition that was not written, of a transient domain the live one; read again only where that changed."""
    if known.persistent or plan.live is None or not plan.live.steps:
        return known.config
    return session.live(domain)


def _result(
    session: Session,
    request: Request,
    plan: Plan,
    domain: Domain | None,
    document: Definition,
    observation: Observation | None,
    backup_file: str | None,
    state: str,
    why: str | None,
) -> dict[str, Any]:
    live_changes = [step.change for step in plan.live.steps] if plan.live is not None and not plan.restarts_now else []
    if plan.saved is not None:
        live_changes += plan.saved.changes
    restarts = [] if plan.restarts_now else plan.restarts
    changes = mark_restarts(merge(plan.config_changes, live_changes), restarts)
    if plan.starts or plan.resumes:
        before = "saved" if plan.saved is not None else plan.state_before
        changes.append(Change("state", before, "running", "live"))
    elif plan.restarts_now:
        changes.append(Change("state", plan.state_before, "restarted", "live"))
    shown = plan.document if plan.redefines or plan.before is None else plan.before
    result: dict[str, Any] = {
        "changed": bool(changes),
        "name": plan.document.shape.name,
        "uuid": document.uuid or (domain.uuid if domain is not None else None),
        "driver": session.driver.name,
        "state": state,
        "placement": placement_as_result(plan.target.placement),
        "intent": intent_as_result(plan.target.intent),
        "actual": observation_as_result(observation),
        "changes": changes_as_result(changes),
        "restart_required": bool(restarts),
        "restart_reasons": restarts_as_result(restarts),
        **diff_if(request.diff, plan.before, shown, changes),
    }
    if request.shows:
        result[document.shown_as] = document.masked_text
    if plan.trouble or plan.kept:
        result["warnings"] = [*plan.trouble, *plan.kept]
    if why is not None:
        result["state_reason"] = why
    if backup_file is not None:
        result["backup_file"] = backup_file
    return result
