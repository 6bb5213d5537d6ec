# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What numa_domain is going to do, decided before the first write: check mode and a real run share all of this.

This file must not import ansible or libvirt, and must not write anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_change
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import for_nothing, placement_changes
from ansible_collections.numa.virt.plugins.module_utils._engine.live import LivePlan, plan_live
from ansible_collections.numa.virt.plugins.module_utils._engine.report import kept_warnings
from ansible_collections.numa.virt.plugins.module_utils._engine.saved import SavedPlan, plan_saved
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, trouble_warnings, usable
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    InputError,
    required,
    shown,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.resolve import Target
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._libvirt.images_xml import replaced_by_snapshot
from ansible_collections.numa.virt.plugins.module_utils._node import backup as node_backup
from ansible_collections.numa.virt.plugins.module_utils._values.changes import Change, Restart, written_form_change
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition, Record
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement

# States in which a guest does what it is there for
RUNNING = ("running", "blocked", "no state")
# States in which a guest has a process and can be pinned
_AWAKE = (*RUNNING, "paused", "shutting down", "suspended")
# What state=running does not do, and who can. A guest that is paused is told apart by why.
_NOT_OURS = {
    "shutting down": ("is shutting down", "run again when it has"),
    "suspended": ("is suspended to RAM by its own system", "wake it, with virsh dompmwakeup, and run again"),
    "crashed": ("has crashed, and is kept for somebody to look at it", "destroy it when that is done, and run again"),
}


@dataclass(frozen=True)
class Request:
    """Options of numa_domain, read. ``state`` is "defined" or "running"; ``shutdown_timeout`` is in seconds.

    ``made_cells`` says that the guest's own cells in ``xml`` are not its user's; ``shows`` that the result has the
    definition, ``diff`` that it has a diff.
    """

    name: str | None
    xml: str | None
    wish: Intent
    state: str = "running"
    restart: bool = False
    shutdown_timeout: int = 120
    verify: bool = True
    backup: bool = True
    backup_dir: str = field(default_factory=node_backup.default_directory)
    check_mode: bool = False
    lock_dir: str | None = None
    made_cells: bool = False
    shows: bool = True
    diff: bool = True


@dataclass
class Plan:
    """Everything that is decided before the first write. ``trouble``: a line for what could not be read; ``kept``: for
    what stays as it is, and means other parts of the host than it did."""

    target: Target
    document: Definition
    record: Record | None
    before: Definition | None
    config_changes: list[Change]
    redefines: bool
    backs_up: bool
    live: LivePlan | None
    restarts: list[Restart]
    state_before: str
    starts: bool
    resumes: bool
    restarts_now: bool
    saved: SavedPlan | None = None
    trouble: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def acts(self) -> bool:
        """Whether anything is going to be written at all."""
        steps = self.live is not None and bool(self.live.steps)
        image = self.saved is not None and bool(self.saved.changes)
        return self.redefines or self.starts or self.resumes or self.restarts_now or steps or image


def name_of(name: str | None, defined: str | None, option: str) -> str:
    """The name of the domain, on which the option and the definition in ``option`` have to agree. Raises InputError."""
    if defined is None:
        if not name:
            raise InputError("name", None, "is missing", f"give the name of a domain, or {option}")
        return name
    if name and name != defined:
        raise InputError("name", name, f"but {option} is the definition of domain {defined!r}", "let both say one name")
    return defined


def plan_domain(
    session: Session, request: Request, given: XmlDefinition | None, known: Known | None, name: str
) -> Plan:
    """Decide everything, and write nothing. ``given`` is the user's document, ``known`` the domain as it is.

    Raises what its parts raise: all that can be said before the first write.
    """
    if given is None and known is None:
        raise DomainNotFoundError("name", name, "there is no such domain on this host", session.dialect.how_to_define)
    if known is not None:
        usable(known)
    if given is not None and known is not None and not known.persistent:
        raise InputError(
            "xml",
            name,
            "the domain is transient, and a definition would make it persistent",
            "leave xml out to place it live",
        )
    if given is not None and (known is None or _rest_differs(given, known)):
        redefined = True
        document: Definition = given
        if known is not None:
            _check_images(given, known, name)
            document = given.completed(_xml_of(known))
    else:
        redefined, document = False, required(known).config
    stored = known.record if known is not None else None
    own = given.record if given is not None else None
    basis = stored.intent if stored is not None else (own.intent if own is not None else None)
    meant = given if given is not None else document
    settled = known.placement.cpuset if known is not None else None
    target = session.resolve(request.wish, basis, meant.placement, settled, meant.shape)
    made_cells = request.made_cells if redefined or stored is None else stored.made_cells
    record = _record(given, redefined, stored, target, made_cells)
    document = document.rewritten(target.encoded, record)
    before = known.config if known is not None else None
    changes = _config_changes(before, document, target, redefined, basis if stored is not None else None, record)
    transient = known is not None and not known.persistent
    redefines = bool(changes) and not transient
    if redefines:
        session.check_definable(document.placement)
    running = known is not None and known.live is not None
    state = known.domain.state() if running and known is not None else ("shut off" if known is not None else "absent")
    awake = running and state in _AWAKE
    live = plan_live(session, known, target.placement, record.intent if record else None) if awake and known else None
    starts = request.state == "running" and not awake
    saved = None
    if known is not None and (changes or starts):
        saved = plan_saved(session, known, target.placement, record.intent if record is not None else None)
    restarts = list(live.restarts) if live is not None else []
    runs_with = known.live if known is not None else None
    if saved is not None:
        runs_with = saved.before
    if runs_with is not None and not transient and (redefined or _is_of_another_document(runs_with, record)):
        kind, verb = ("saved", "saved") if saved is not None else ("running", "started")
        restarts.append(
            Restart("definition", f"the {kind} guest keeps the devices and settings that it was {verb} with")
        )
    kept = kept_warnings(session.host, document, target.placement) if changes else []
    backs_up = redefines and known is not None and request.backup
    if backs_up:
        node_backup.check_directory(request.backup_dir)
    restarts_now = awake and bool(restarts) and request.restart and request.state == "running" and not transient
    resumes = request.state == "running" and state == "paused" and not restarts_now
    if request.state == "running" and running and known is not None:
        _check_state(known, name, state)
        if restarts_now:
            _check_jobs(known, name)
    return Plan(
        target=target,
        document=document,
        record=record,
        before=before,
        config_changes=[] if transient else changes,
        redefines=redefines,
        backs_up=backs_up,
        live=live,
        restarts=restarts,
        state_before=state,
        starts=starts,
        resumes=resumes,
        restarts_now=restarts_now,
        saved=saved,
        trouble=_trouble(known, given, name),
        kept=tuple(kept),
    )


def _trouble(known: Known | None, given: XmlDefinition | None, name: str) -> tuple[str, ...]:
    """What could not be read of a domain, and what its definition says for nothing."""
    if known is None:
        return ()
    lines = trouble_warnings([known])
    config = known.config
    if given is not None or not isinstance(config, XmlDefinition):
        return tuple(lines)
    for change in for_nothing(config.placement, config.shape, config.guest_cells):
        lines.append(
            f"{change.element} ({change.before}) in the definition of domain {shown(name)} is for something that the "
            "guest does not have, and is dropped"
        )
    return tuple(lines)


def _check_state(known: Known, name: str, state: str) -> None:
    """Raises InputError for a guest that is there and that nobody can simply run."""
    if state in _NOT_OURS:
        problem, expected = _NOT_OURS[state]
        raise InputError("state", "running", f"domain {name!r} {problem}", expected)
    if state == "paused" and not known.domain.paused_by_user():
        why = known.domain.why_paused()
        raise InputError(
            "state", "running", f"domain {name!r} was paused by the hypervisor, {why}",
            "find out why, and resume it by hand",
        )  # fmt: skip


def _check_jobs(known: Known, name: str) -> None:
    """Raises InputError for a guest whose end would end something else."""
    jobs = known.domain.jobs(known.live.disks if isinstance(known.live, XmlDefinition) else ())
    if jobs:
        raise InputError(
            "restart", "allowed", f"domain {name!r} has {' and '.join(jobs)}, which would end with the guest",
            "wait until that has ended, or cancel it, and run again",
        )  # fmt: skip


def _check_images(given: XmlDefinition, known: Known, name: str) -> None:
    """Raises InputError for a document that would let a guest run from before one of its snapshots."""
    live = known.live.root if isinstance(known.live, XmlDefinition) else None
    target = replaced_by_snapshot(given.root, _xml_of(known).root, live, known.domain.snapshots())
    if target is not None:
        raise InputError(
            "xml", None,
            f"disk {target} of domain {name!r} has another image since a snapshot, and this document the one from "
            "before: all that was written since would be lost",
            "leave xml out, give the image of now, or merge the images and delete the snapshot",
        )  # fmt: skip


def _rest_differs(given: XmlDefinition, known: Known) -> bool:
    """Whether the user's document asks for something that the definition does not have.

    It does not where both say the same, or where the definition is just what libvirt once made of this very document.
    """
    existing = _xml_of(known)
    return not given.made_into(existing, known.record) and not given.completed(existing).same_rest(existing)


def _xml_of(known: Known) -> XmlDefinition:
    """The definition of a domain for which a document was given: only libvirt takes one."""
    if not isinstance(known.config, XmlDefinition):
        raise TypeError("a document for a domain that libvirt does not keep")
    return known.config


def _is_of_another_document(running: Definition, record: Record | None) -> bool:
    """Whether an earlier run redefined a guest by a document that it has not been started with since."""
    if record is None or record.source is None:
        return False
    return running.record is None or running.record.source != record.source


def _record(
    given: XmlDefinition | None, redefined: bool, stored: Record | None, target: Target, made_cells: bool
) -> Record | None:
    """What the metadata shall hold; nothing where nobody has asked for anything."""
    source = given.digest if given is not None and redefined else (stored.source if stored else None)
    # The digest of what libvirt makes of the document is only known once it has.
    made = None if redefined else (stored.stored if stored else None)
    if target.intent == Intent() and stored is None and source is None:
        return None
    return Record(target.intent, source, made, made_cells)


def _config_changes(
    before: Definition | None,
    document: Definition,
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
    changes += placement_changes(before.placement if before is not None else Placement(), document.placement)
    if before is not None:
        changes += written_form_change(before.written_form, document.written_form)
    if record is not None:
        changes += intent_change(intent, target.intent)
    return changes
