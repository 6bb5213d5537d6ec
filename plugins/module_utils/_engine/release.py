# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_release: give the CPUs of guests back, and leave their definitions as if nobody had ever placed them.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._elements.record import release_change
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import placement_changes, placement_released
from ansible_collections.numa.virt.plugins.module_utils._engine.aftermath import Attempt
from ansible_collections.numa.virt.plugins.module_utils._engine.batch import Tally, one_guest, take_turns
from ansible_collections.numa.virt.plugins.module_utils._engine.guard import (
    GONE,
    look_again,
    overwritten,
    overwritten_warning,
    read_anew,
    read_present,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.live import LivePlan, apply_live, plan_live
from ansible_collections.numa.virt.plugins.module_utils._engine.report import diff_if
from ansible_collections.numa.virt.plugins.module_utils._engine.saved import SavedPlan, plan_saved
from ansible_collections.numa.virt.plugins.module_utils._engine.session import (
    Known,
    Session,
    keep_backup,
    trouble_warnings,
    usable,
)
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    NumaVirtError,
    SavedImageError,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import NAMESPACE
from ansible_collections.numa.virt.plugins.module_utils._node import backup as node_backup
from ansible_collections.numa.virt.plugins.module_utils._node.lock import host_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable
from ansible_collections.numa.virt.plugins.module_utils._values.changes import (
    GUEST_CELLS,
    INTENT,
    LIVE,
    UNREADABLE_INTENT,
    Change,
    Restart,
    Step,
    changes_as_result,
    mark_restarts,
    merge,
    restarts_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection


@dataclass(frozen=True)
class ReleaseRequest:
    """Options of numa_release, read. ``select`` ("all", "running" or a pattern) means guests that were placed here."""

    names: Sequence[str] | None
    select: str | None = None
    backup: bool = True
    backup_dir: str = field(default_factory=node_backup.default_directory)
    check_mode: bool = False
    lock_dir: str | None = None
    diff: bool = True


@dataclass(frozen=True)
class _Job:
    known: Known
    released: Definition
    config_changes: list[Change]
    live: LivePlan | None
    saved: SavedPlan | None

    @property
    def changes(self) -> list[Change]:
        """All that a release takes out of its definition, and of where it runs or goes on."""
        runs = [step.change for step in self.live.steps] if self.live is not None else []
        return merge(self.config_changes, [*runs, *(self.saved.changes if self.saved is not None else ())])


def release_domains(connection: Connection, request: ReleaseRequest) -> dict[str, Any]:
    """Release guests. Returns what the module documents; raises NumaVirtError."""
    hold = not request.check_mode
    with host_at_a_time(request.lock_dir, daemon=connection.daemon, hold=hold) as said:
        session = Session(connection)
        chosen = _chosen(session, request)
        warnings = trouble_warnings(each for each in chosen if each.trouble is not None and each.trouble.blocks)
        chosen = [known for known in chosen if known.trouble is None or not known.trouble.blocks]
        tally: Tally[dict[str, Any]] = Tally(len(chosen))
        jobs = _jobs(session, request, chosen, tally)
        texts = [job.known.config.text for job in jobs.values() if job.config_changes]
        if request.backup and texts:
            needed = sum(len(text.encode("utf-8", "surrogateescape")) for text in texts)
            node_backup.check_directory(request.backup_dir, needed=needed)

        def turn(name: str) -> None:
            job = jobs[name]
            with one_guest(session, tally, name, job.known, request.backup_dir if request.backup else None):
                done = _release(session, request, job) if not request.check_mode else ()
                tally.done.append(_result(job, request.diff, *done))

        take_turns(list(jobs), tally, turn)
        result = _whole(session, request, tally.done, [*warnings, *said])
        tally.raise_failures(result)
        return result


def _jobs(session: Session, request: ReleaseRequest, chosen: Sequence[Known], tally: Tally[Any]) -> dict[str, _Job]:
    """The plan for each guest. One that has ended since it was read is planned for as it is now.

    One that is gone is nobody's business where nobody has named it.
    """
    jobs = {}
    for known in chosen:
        name = known.domain.name
        try:
            try:
                jobs[name] = _plan(session, known)
            except GONE:
                again = read_anew(session, name)
                if again is None and request.names is None:
                    continue
                if again is None:
                    raise
                jobs[name] = _plan(session, again)
        except (*GONE, SavedImageError) as error:
            tally.fail(name, error)
    return jobs


def _whole(
    session: Session, request: ReleaseRequest, results: Sequence[dict[str, Any]], warnings: Sequence[str]
) -> dict[str, Any]:
    changed = [each for each in results if each["changed"]]
    whole: dict[str, Any] = {
        "changed": bool(changed),
        "driver": session.driver.name,
        "domains": [{name: each[name] for name in each if name != "diff"} for each in results],
        "restart_required": any(each["restart_required"] for each in results),
        "warnings": [*_warnings(session, request, results), *warnings],
    }
    if request.diff:
        whole["diff"] = {
            side: "".join(f"domain {each['name']}:\n{each['diff'][side]}\n" for each in changed)
            for side in ("before", "after")
        }
    return whole


def _warnings(session: Session, request: ReleaseRequest, results: Sequence[dict[str, Any]]) -> list[str]:
    found = list(session.connection.warnings)
    if request.names is None and not results and request.select not in ("all", "running"):
        found.append(f"select: {displayable(request.select)!r}: no such domain on this host was placed by numa.virt")
    found += [overwritten_warning(each["name"], each["overwritten"]) for each in results if "overwritten" in each]
    return found


def _chosen(session: Session, request: ReleaseRequest) -> list[Known]:
    """The domains that were asked for, by name. Raises DomainNotFoundError."""
    there = {domain.name: domain for domain in session.connection.domains()}
    if request.names is not None:
        for name in request.names:
            if name not in there:
                raise DomainNotFoundError(
                    "names", name, "there is no such domain on this host", "give the names of some"
                )
        found = []
        for name in sorted(set(request.names)):
            known = read_present(session, there[name])
            if known is None:
                raise DomainNotFoundError("names", name, "went away while it was read", "run again")
            found.append(usable(known))
        return found
    known_ones = [read_present(session, domain) for name, domain in sorted(there.items()) if _matches(request, name)]
    return [
        each
        for each in known_ones
        if each is not None and _placed_here(each) and (request.select != "running" or each.live is not None)
    ]


def _placed_here(known: Known) -> bool:
    """Whether it has a record of ours, be it one that cannot be read."""
    return known.record is not None or known.trouble is not None


def _matches(request: ReleaseRequest, name: str) -> bool:
    select = request.select
    return select in ("all", "running") or fnmatch.fnmatchcase(name, str(select))


def _plan(session: Session, known: Known) -> _Job:
    released = known.config.released()
    changes = placement_changes(known.placement, released.placement) + _release_change(known.config)
    if known.record is not None and known.record.made_cells:
        changes.insert(0, Change(GUEST_CELLS, "as the cells of the host", None))
    live = None
    if known.live is not None:
        record = known.live.record
        left = placement_released(known.live.placement, record.intent if record is not None else None)
        live = plan_live(session, known, left, None)
        live = replace(live, restarts=(*live.restarts, *_kept_cells(known.live)))
        for change in _release_change(known.live) if session.driver.live_metadata else ():
            step = Step(replace(change, applied=LIVE), "remove_metadata", (NAMESPACE,))
            live = replace(live, steps=(*live.steps, step))
    config_changes = changes if known.persistent else []
    # A guest in a managed save image would go on at its place.
    saved = plan_saved(session, known, None, None, acts=bool(config_changes))
    return _Job(known, released, config_changes, live, saved)


def _kept_cells(goes_on_as: Definition) -> list[Restart]:
    record = goes_on_as.record
    if record is None or not record.made_cells:
        return []
    return [Restart(GUEST_CELLS, "a guest keeps its cells until it is started again")]


def _release_change(definition: Definition) -> list[Change]:
    """The record is taken out, also one that cannot be read."""
    record, trouble = definition.record, definition.trouble
    if trouble is not None:
        return [Change(INTENT, UNREADABLE_INTENT, None)]
    return release_change(record.intent if record is not None else None)


def _release(session: Session, request: ReleaseRequest, job: _Job) -> tuple[str | None, dict[str, Any] | None]:
    """The definition comes last: until it is done it says that there is something to do.

    Returns the file of the definition from before, and what of somebody else's was overwritten.
    """
    if not job.changes:
        return None, None
    known, steps = job.known, job.live.steps if job.live is not None else ()
    attempt = Attempt(session, known.domain.name, known, known.domain.state() if known.live is not None else "shut off")
    lost = None
    if job.config_changes and request.backup:
        attempt.backup_file = keep_backup(request.backup_dir, known)
    look_again(session, known.domain.name, known, None, bool(steps))
    try:
        if job.live is not None:
            apply_live(session, known.domain, job.live, attempt)
        if job.saved is not None:
            attempt.rewrite_image(known.domain, job.saved)
        if job.config_changes:
            if steps:
                look_again(session, known.domain.name, known, None, False)
            lost = overwritten(session, known, attempt.define(job.released.text), attempt.backup_file)
    except NumaVirtError as error:
        attempt.tell(error)
        raise
    return attempt.backup_file, lost


def _result(
    job: _Job, diff: bool, backup_file: str | None = None, lost: dict[str, Any] | None = None
) -> dict[str, Any]:
    restarts = list(job.live.restarts) if job.live is not None else []
    if job.saved is not None and job.changes:
        restarts += _kept_cells(job.saved.before)
    changes = mark_restarts(job.changes, restarts)
    shown = job.released if job.config_changes else job.known.config
    more: dict[str, Any] = {"backup_file": backup_file} if backup_file is not None else {}
    if lost is not None:
        more["overwritten"] = lost
    return {
        **more,
        "name": job.known.domain.name,
        "uuid": job.known.domain.uuid,
        "changed": bool(changes),
        "changes": changes_as_result(changes),
        "restart_required": bool(restarts),
        "restart_reasons": restarts_as_result(restarts),
        **diff_if(diff, job.known.config, shown, changes),
    }
