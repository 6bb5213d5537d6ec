# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_domain: one domain, explicitly placed.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._changes import (
    Change,
    changes_as_result,
    mark_restarts,
    merge,
    restarts_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._engine.live import apply_live
from ansible_collections.numa.virt.plugins.module_utils._engine.plan import Plan, Request, name_of, plan_domain
from ansible_collections.numa.virt.plugins.module_utils._engine.report import diff_of
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
    NumaVirtError,
    PlacementFailedError,
    UnsupportedError,
    certain,
    few,
)
from ansible_collections.numa.virt.plugins.module_utils._lock import one_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._placement import (
    Placement,
    intent_as_result,
    placement_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._verify import Observation, misplaced, observation_as_result
from ansible_collections.numa.virt.plugins.module_utils._xml_definition import XmlDefinition

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.hypervisor import Connection, Domain


def place_domain(connection: Connection, request: Request) -> dict[str, Any]:
    """Bring one domain to its cells. Returns what the module documents; raises NumaVirtError."""
    if connection.language != "xml":
        if request.xml is not None:
            raise UnsupportedError("xl", "xml", "it takes files of its own: give config, the path of one", "xml")
        given = None
        name = name_of(request.name, connection.configured_name, "config")
    else:
        given = XmlDefinition.load(request.xml, "xml") if request.xml is not None else None
        name = name_of(request.name, given.shape.name if given is not None else None, "xml")
    with one_at_a_time(None if request.check_mode else request.lock_dir, name, where=connection.where):
        return _place(connection, request, given, name)


def _place(connection: Connection, request: Request, given: XmlDefinition | None, name: str) -> dict[str, Any]:
    session = Session(connection)
    known = read_domain(session, name)
    if known is None and given is not None and given.uuid is not None:
        check_uuids([("xml", given)], connection.domains())
    plan = plan_domain(session, request, given, known, name)
    if request.check_mode:
        return foretell(session, request, plan, known)
    return carry_out(session, request, plan, given, known)


def foretell(session: Session, request: Request, plan: Plan, known: Known | None) -> dict[str, Any]:
    """What carry_out() would return."""
    found = plan.live.observation if plan.live else None
    return _result(session, request, plan, known.domain if known else None, plan.document, found, None)


def carry_out(
    session: Session, request: Request, plan: Plan, given: XmlDefinition | None, known: Known | None
) -> dict[str, Any]:
    """Do what was planned for one domain. Returns what numa_domain documents; raises NumaVirtError."""
    backup_file = None
    if plan.backs_up and known is not None:
        backup_file = keep_backup(request.backup_dir, known)
    domain = _define(session, plan, known)
    try:
        observation = _bring_to_state(session, request, plan, known, domain, backup_file)
    except NumaVirtError as error:
        error.changed = _left_changed(plan, error)
        raise
    stored = _stored(session, plan, known, domain)
    result = _result(session, request, plan, domain, stored, observation, backup_file)
    if given is not None and isinstance(stored, XmlDefinition):
        lost = given.dropped_elements(stored)
        if lost:
            result.setdefault("warnings", []).append(f"libvirt did not keep these elements of xml: {few(lost, 10)}")
    return result


def _define(session: Session, plan: Plan, known: Known | None) -> Domain:
    """Write the definition where it changes. A definition that libvirt refuses leaves the old one as it was."""
    if not plan.redefines:
        return certain(known).domain
    text = plan.document.text
    domain = known.domain.redefine(text) if known is not None else session.connection.define(text)
    if plan.record is not None and plan.record.source is not None and plan.record.stored is None:
        made = session.definition(domain)
        if isinstance(made, XmlDefinition):
            store_record(domain, replace(plan.record, stored=made.digest), live=False)
    return domain


def _bring_to_state(
    session: Session, request: Request, plan: Plan, known: Known | None, domain: Domain, backup_file: str | None
) -> Observation | None:
    """Start, restart, resume or re-pin, as planned. Returns what was read back, None where nothing runs."""

    def roll_back() -> str:
        return _put_back(plan, known, domain, backup_file)

    wanted = plan.target.placement
    if plan.starts:
        return start_on_cells(session, domain, wanted, request.verify, roll_back)
    if plan.live is None:
        return None
    if plan.restarts_now:
        shut_down(domain, request.shutdown_timeout)
        return start_on_cells(session, domain, wanted, request.verify, lambda: _start_again(domain, roll_back()))
    observation = apply_live(session, domain, plan.live)
    held_to = _held_to(plan) if request.verify else None
    if plan.resumes:
        return resume_on_cells(session, domain, held_to or wanted, held_to is not None)
    if held_to is not None:
        problems = misplaced(held_to, observation)
        if problems:
            raise PlacementFailedError(
                f"domain {domain.name!r} runs, but not where it should: {'; '.join(str(each) for each in problems)}",
                domain=domain.name,
                found=[str(each) for each in problems],
            )
    return observation


def _left_changed(plan: Plan, error: NumaVirtError) -> bool:
    """Whether a run that failed leaves a change: a start that failed was undone, the rest waits for the next run."""
    if plan.starts:
        return False
    if plan.restarts_now:
        return plan.redefines or isinstance(error, PlacementFailedError)
    return plan.redefines or (plan.live is not None and bool(plan.live.steps))


def _held_to(plan: Plan) -> Placement | None:
    """The placement that a guest that runs on can be held to: without what waits for a restart."""
    waiting = {restart.element.split("/")[0] for restart in plan.restarts}
    if "cputune" in waiting:
        return None
    wanted = plan.target.placement
    return replace(wanted, memory=None, memnodes=()) if "numatune" in waiting else wanted


def _start_again(domain: Domain, done: str) -> str:
    """A guest that ran before a restart that failed runs again, as it was. Adds in words what came of it."""
    try:
        domain.start(paused=False)
    except NumaVirtError as error:
        return f"{done}; it is shut off, and does not start again ({error.fields.get('reason') or error})"
    return f"{done}, and it was started again as it was before"


def _stored(session: Session, plan: Plan, known: Known | None, domain: Domain) -> Definition:
    """The definition after the run, of a transient domain the live one; read again only where it changed."""
    lasting = known is None or known.persistent
    if known is not None and not plan.redefines and (lasting or plan.live is None or not plan.live.steps):
        return known.config
    return session.definition(domain) if lasting else session.live(domain)


def _put_back(plan: Plan, known: Known | None, domain: Domain, backup_file: str | None) -> str:
    """Restore what was defined before this run. Says in words what it did."""
    if not plan.redefines:
        return "its definition is as it was"
    try:
        if known is None:
            domain.undefine()
            return "and nothing is defined, as before"
        known.domain.redefine(known.config.text)
        return "the previous definition is back"
    except NumaVirtError as error:
        where = f"; it is in {backup_file}" if backup_file else ""
        return f"and the previous definition could NOT be put back ({error}){where}"


def _result(
    session: Session,
    request: Request,
    plan: Plan,
    domain: Domain | None,
    document: Definition,
    observation: Observation | None,
    backup_file: str | None,
) -> dict[str, Any]:
    live_changes = [step.change for step in plan.live.steps] if plan.live is not None and not plan.restarts_now else []
    restarts = [] if plan.restarts_now else plan.restarts
    changes = mark_restarts(merge(plan.config_changes, live_changes), restarts)
    if plan.starts or plan.resumes:
        changes.append(Change("state", plan.state_before, "running", "live"))
    elif plan.restarts_now:
        changes.append(Change("state", plan.state_before, "restarted", "live"))
    result: dict[str, Any] = {
        "changed": bool(changes),
        "name": plan.document.shape.name,
        "uuid": document.uuid or (domain.uuid if domain is not None else None),
        "driver": session.driver.name,
        "state": "running" if request.state == "running" else plan.state_before.replace("absent", "shut off"),
        "placement": placement_as_result(plan.target.placement),
        "intent": intent_as_result(plan.target.intent),
        "actual": observation_as_result(observation),
        "changes": changes_as_result(changes),
        "restart_required": bool(restarts),
        "restart_reasons": restarts_as_result(restarts),
        "config" if session.driver.name == "xl" else "xml": document.masked_text,
        "diff": diff_of(plan.before, plan.document if plan.redefines or plan.before is None else plan.before, changes),
    }
    if plan.trouble:
        result["warnings"] = list(plan.trouble)
    if backup_file is not None:
        result["backup_file"] = backup_file
    return result
