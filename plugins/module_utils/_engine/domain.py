# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_domain: one domain, explicitly placed.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils import _backup, _domain_xml
from ansible_collections.numa.virt.plugins.module_utils._changes import (
    Change,
    Restart,
    changes_as_result,
    intent_change,
    mark_restarts,
    merge,
    placement_changes,
    restarts_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.live import LivePlan, apply_live, plan_live
from ansible_collections.numa.virt.plugins.module_utils._engine.report import diff_of
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, observe, read_domain
from ansible_collections.numa.virt.plugins.module_utils._engine.start import (
    resume_on_cells,
    shut_down,
    start_on_cells,
)
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    InputError,
    NumaVirtError,
    PlacementFailedError,
    certain,
)
from ansible_collections.numa.virt.plugins.module_utils._placement import (
    Intent,
    Placement,
    intent_as_result,
    placement_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._placement_xml import (
    NAMESPACE,
    PREFIX,
    Record,
    read_placement,
    read_record,
    record_element,
    write_placement,
    write_record,
)
from ansible_collections.numa.virt.plugins.module_utils._resolve import Target
from ansible_collections.numa.virt.plugins.module_utils._verify import Observation, misplaced, observation_as_result
from ansible_collections.numa.virt.plugins.module_utils._xml import etree, serialize

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._libvirt import Connection, Domain

# States in which a guest has a process and can be pinned.
_AWAKE = ("running", "blocked", "no state", "paused", "shutting down", "suspended")


@dataclass(frozen=True)
class Request:
    """Options of numa_domain, read. ``state`` is "defined" or "running"; ``shutdown_timeout`` is in seconds."""

    name: str | None
    xml: str | None
    wish: Intent
    state: str = "running"
    restart: bool = False
    shutdown_timeout: int = 120
    verify: bool = True
    backup: bool = True
    backup_dir: str = field(default_factory=_backup.default_directory)
    check_mode: bool = False


@dataclass
class _Plan:
    """Everything that is decided before the first write."""

    target: Target
    document: etree._Element
    record: Record | None
    before: etree._Element | None
    config_changes: list[Change]
    redefines: bool
    backs_up: bool
    live: LivePlan | None
    restarts: list[Restart]
    state_before: str
    starts: bool
    resumes: bool
    restarts_now: bool


def place_domain(connection: Connection, request: Request) -> dict[str, Any]:
    """Bring one domain to its cells. Returns what the module documents; raises NumaVirtError."""
    given = _domain_xml.load(request.xml) if request.xml is not None else None
    name = _name(request, given)
    session = Session(connection)
    known = read_domain(session, name)
    plan = _plan(session, request, given, known, name)
    if request.check_mode:
        return _result(session, request, plan, plan.document, plan.live.observation if plan.live else None, None)
    backup_file = None
    if plan.backs_up and known is not None:
        backup_file = _backup.keep(request.backup_dir, known.domain.uuid, known.text)
    domain = _define(session, plan, known)
    try:
        observation = _bring_to_state(session, request, plan, known, domain, backup_file)
    except NumaVirtError as error:
        error.changed = _left_changed(plan, error)
        raise
    stored = _stored(plan, known, domain)
    result = _result(session, request, plan, stored, observation, backup_file)
    if given is not None:
        lost = _domain_xml.dropped_elements(given, stored)
        if lost:
            result["warnings"] = [f"libvirt did not keep these elements of xml: {', '.join(lost)}"]
    return result


def _name(request: Request, given: etree._Element | None) -> str:
    if given is None:
        if not request.name:
            raise InputError("name", None, "is missing", "give the name of a domain, or xml to define one")
        return request.name
    in_document = _domain_xml.shape(given).name
    if request.name and request.name != in_document:
        raise InputError(
            "name", request.name, f"but xml is the definition of domain {in_document!r}", "let both say one name"
        )
    return in_document


def _plan(session: Session, request: Request, given: etree._Element | None, known: Known | None, name: str) -> _Plan:
    if given is None and known is None:
        raise DomainNotFoundError("name", name, "there is no such domain on this host", "give xml to define it")
    if given is not None and known is not None and not known.persistent:
        raise InputError(
            "xml",
            name,
            "the domain is transient, and a definition would make it persistent",
            "leave xml out to place it live",
        )
    if given is not None and (known is None or _rest_differs(given, known)):
        redefined, document = True, copy.deepcopy(given)
        if known is not None:
            _domain_xml.complete(document, known.config)
    else:
        redefined, document = False, copy.deepcopy(certain(known).config)
    stored = known.record if known is not None else None
    own = read_record(given) if given is not None else None
    basis = stored.intent if stored is not None else (own.intent if own is not None else None)
    target = session.resolve(
        request.wish,
        basis,
        read_placement(given if given is not None else document),
        known.placement.cpuset if known is not None else None,
        _domain_xml.shape(given if given is not None else document),
    )
    record = _record(given, redefined, stored, target)
    write_placement(document, target.encoded)
    if record is not None:
        write_record(document, record)
    before = known.config if known is not None else None
    changes = _config_changes(before, document, target, redefined, basis if stored is not None else None, record)
    transient = known is not None and not known.persistent
    running = known is not None and known.live is not None
    state = known.domain.state() if running and known is not None else ("shut off" if known is not None else "absent")
    awake = running and state in _AWAKE
    live = plan_live(session, known, target.encoded, record.intent if record else None) if awake and known else None
    restarts = list(live.restarts) if live is not None else []
    if awake and not transient and (redefined or _runs_another_document(known, record)):
        restarts.append(
            Restart("definition", "the running guest keeps the devices and settings that it was started with")
        )
    backs_up = bool(changes) and not transient and known is not None and request.backup
    if backs_up:
        _backup.check_directory(request.backup_dir)
    restarts_now = bool(restarts) and request.restart and request.state == "running" and not transient
    resumes = request.state == "running" and state == "paused" and not restarts_now
    if resumes and known is not None and not known.domain.paused_by_user():
        raise InputError(
            "state", "running", f"domain {name!r} was paused by the hypervisor, for an error or a migration",
            "find out why, and resume it by hand",
        )  # fmt: skip
    return _Plan(
        target=target,
        document=document,
        record=record,
        before=before,
        config_changes=[] if transient else changes,
        redefines=bool(changes) and not transient,
        backs_up=backs_up,
        live=live,
        restarts=restarts,
        state_before=state,
        starts=request.state == "running" and not awake,
        resumes=resumes,
        restarts_now=restarts_now,
    )


def _rest_differs(given: etree._Element, known: Known) -> bool:
    """Whether the user's document asks for something that the definition does not have.

    It does not where both say the same, or where the definition is just what libvirt once made of this very document.
    """
    completed = copy.deepcopy(given)
    _domain_xml.complete(completed, known.config)
    if _domain_xml.same_rest(completed, known.config):
        return False
    record = known.record
    return (
        record is None
        or record.source != _domain_xml.digest(given)
        or record.stored != _domain_xml.digest(known.config)
        or not _domain_xml.same_secrets(completed, known.config)
    )


def _runs_another_document(known: Known | None, record: Record | None) -> bool:
    """Whether an earlier run redefined a running guest by a document that it has not been started with since."""
    if known is None or known.live is None or record is None or record.source is None:
        return False
    started_with = read_record(known.live)
    return started_with is None or started_with.source != record.source


def _record(given: etree._Element | None, redefined: bool, stored: Record | None, target: Target) -> Record | None:
    """What the metadata shall hold; nothing where nobody has asked for anything."""
    source = _domain_xml.digest(given) if given is not None and redefined else (stored.source if stored else None)
    # The digest of what libvirt makes of the document is only known once it has.
    made = None if redefined else (stored.stored if stored else None)
    if target.intent == Intent() and stored is None and source is None:
        return None
    return Record(target.intent, source, made)


def _config_changes(
    before: etree._Element | None,
    document: etree._Element,
    target: Target,
    redefined: bool,
    intent: Intent | None,
    record: Record | None,
) -> list[Change]:
    changes: list[Change] = []
    if before is None:
        changes.append(Change("definition", None, "defined"))
    elif redefined:
        changes.append(Change("definition", "as it was", "as given in xml"))
    changes += placement_changes(
        read_placement(before if before is not None else etree.Element("domain")), read_placement(document)
    )
    if record is not None:
        changes += intent_change(intent, target.intent)
    return changes


def _define(session: Session, plan: _Plan, known: Known | None) -> Domain:
    """Write the definition where it changes. A definition that libvirt refuses leaves the old one as it was."""
    if not plan.redefines:
        return certain(known).domain
    domain = session.connection.define(serialize(plan.document))
    if plan.record is not None and plan.record.source is not None and plan.record.stored is None:
        made = _domain_xml.digest(_domain_xml.load(domain.definition(), "definition"))
        record = Record(plan.record.intent, plan.record.source, made)
        domain.set_metadata(serialize(record_element(record, namespaced=False)), PREFIX, NAMESPACE, live=False)
    return domain


def _bring_to_state(
    session: Session, request: Request, plan: _Plan, known: Known | None, domain: Domain, backup_file: str | None
) -> Observation | None:
    """Start, restart, resume or re-pin, as planned. Returns what was read back, None where nothing runs."""

    def roll_back() -> str:
        return _put_back(session, plan, known, domain, backup_file)

    wanted = plan.target.encoded
    if plan.starts:
        return start_on_cells(session, domain, wanted, request.verify, roll_back)
    if plan.live is None:
        return None
    if plan.restarts_now:
        shut_down(domain, request.shutdown_timeout)
        return start_on_cells(session, domain, wanted, request.verify, lambda: _start_again(domain, roll_back()))
    apply_live(domain, plan.live)
    held_to = _held_to(plan) if request.verify else None
    if plan.resumes:
        return resume_on_cells(session, domain, held_to or wanted, held_to is not None)
    observation = plan.live.observation
    if plan.live.steps:
        observation = observe(session, domain, _domain_xml.load(domain.live_xml(), "definition"))
    if held_to is not None:
        problems = misplaced(held_to, observation)
        if problems:
            raise PlacementFailedError(
                f"domain {domain.name!r} runs, but not where it should: {'; '.join(str(each) for each in problems)}",
                domain=domain.name,
                found=[str(each) for each in problems],
            )
    return observation


def _left_changed(plan: _Plan, error: NumaVirtError) -> bool:
    """Whether a run that failed leaves a change: a start that failed was undone, the rest waits for the next run."""
    if plan.starts:
        return False
    if plan.restarts_now:
        return plan.redefines or isinstance(error, PlacementFailedError)
    return plan.redefines or (plan.live is not None and bool(plan.live.steps))


def _held_to(plan: _Plan) -> Placement | None:
    """The placement that a guest that runs on can be held to: without what waits for a restart."""
    waiting = {restart.element.split("/")[0] for restart in plan.restarts}
    if "cputune" in waiting:
        return None
    wanted = plan.target.encoded
    return replace(wanted, memory=None, memnodes=()) if "numatune" in waiting else wanted


def _start_again(domain: Domain, done: str) -> str:
    """A guest that ran before a restart that failed runs again, as it was. Adds in words what came of it."""
    try:
        domain.start(paused=False)
    except NumaVirtError as error:
        return f"{done}; it is shut off, and does not start again ({error.fields.get('reason') or error})"
    return f"{done}, and it was started again as it was before"


def _stored(plan: _Plan, known: Known | None, domain: Domain) -> etree._Element:
    """The definition after the run, of a transient domain the live one; read again only where it changed."""
    lasting = known is None or known.persistent
    if known is not None and not plan.redefines and (lasting or plan.live is None or not plan.live.steps):
        return known.config
    return _domain_xml.load(domain.definition() if lasting else domain.live_xml(), "definition")


def _put_back(session: Session, plan: _Plan, known: Known | None, domain: Domain, backup_file: str | None) -> str:
    """Restore what was defined before this run. Says in words what it did."""
    if not plan.redefines:
        return "its definition is as it was"
    try:
        if known is None:
            domain.undefine()
            return "and nothing is defined, as before"
        session.connection.define(known.text)
        return "the previous definition is back"
    except NumaVirtError as error:
        where = f"; it is in {backup_file}" if backup_file else ""
        return f"and the previous definition could NOT be put back ({error}){where}"


def _result(
    session: Session,
    request: Request,
    plan: _Plan,
    document: etree._Element,
    observation: Observation | None,
    backup_file: str | None,
) -> dict[str, Any]:
    live_changes = [step.change for step in plan.live.steps] if plan.live is not None and not plan.restarts_now else []
    changes = mark_restarts(merge(plan.config_changes, live_changes), [] if plan.restarts_now else plan.restarts)
    if plan.starts or plan.resumes:
        changes.append(Change("state", plan.state_before, "running", "live"))
    elif plan.restarts_now:
        changes.append(Change("state", plan.state_before, "restarted", "live"))
    restarts = [] if plan.restarts_now else plan.restarts
    result: dict[str, Any] = {
        "changed": bool(changes),
        "name": _domain_xml.shape(plan.document).name,
        "uuid": _domain_xml.uuid(document),
        "driver": session.driver.name,
        "state": "running" if request.state == "running" else plan.state_before.replace("absent", "shut off"),
        "placement": placement_as_result(plan.target.placement),
        "intent": intent_as_result(plan.target.intent),
        "actual": observation_as_result(observation),
        "changes": changes_as_result(changes),
        "restart_required": bool(restarts),
        "restart_reasons": restarts_as_result(restarts),
        "xml": serialize(_domain_xml.masked(document)),
        "diff": diff_of(plan.before, plan.document if plan.redefines or plan.before is None else plan.before, changes),
    }
    if backup_file is not None:
        result["backup_file"] = backup_file
    return result
