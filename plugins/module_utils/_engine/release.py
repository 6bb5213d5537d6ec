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

from ansible_collections.numa.virt.plugins.module_utils import _backup
from ansible_collections.numa.virt.plugins.module_utils._changes import (
    GUEST_CELLS,
    INTENT,
    LIVE,
    UNREADABLE_INTENT,
    Change,
    Restart,
    changes_as_result,
    mark_restarts,
    merge,
    placement_changes,
    release_change,
    restarts_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._engine.live import LivePlan, Step, apply_live, plan_live
from ansible_collections.numa.virt.plugins.module_utils._engine.placement_report import guests_failed
from ansible_collections.numa.virt.plugins.module_utils._engine.report import diff_of
from ansible_collections.numa.virt.plugins.module_utils._engine.session import (
    Known,
    Session,
    keep_backup,
    read,
    trouble_warnings,
    usable,
)
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    NumaVirtError,
)
from ansible_collections.numa.virt.plugins.module_utils._lock import host_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._placement import Placement
from ansible_collections.numa.virt.plugins.module_utils._placement_xml import NAMESPACE

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.hypervisor import Connection


@dataclass(frozen=True)
class ReleaseRequest:
    """Options of numa_release, read. ``select`` ("all", "running" or a pattern) means guests that were placed here."""

    names: Sequence[str] | None
    select: str | None = None
    backup: bool = True
    backup_dir: str = field(default_factory=_backup.default_directory)
    check_mode: bool = False
    lock_dir: str | None = None


@dataclass(frozen=True)
class _Job:
    known: Known
    released: Definition
    config_changes: list[Change]
    live: LivePlan | None


def release_domains(connection: Connection, request: ReleaseRequest) -> dict[str, Any]:
    """Release guests. Returns what the module documents; raises NumaVirtError."""
    with host_at_a_time(None if request.check_mode else request.lock_dir, where=connection.where):
        session = Session(connection)
        chosen = _chosen(session, request)
        warnings = trouble_warnings(each for each in chosen if each.trouble is not None and each.trouble.blocks)
        jobs = [_plan(session, known) for known in chosen if known.trouble is None or not known.trouble.blocks]
        if request.backup and any(job.config_changes for job in jobs):
            _backup.check_directory(request.backup_dir)
        results, failures = [], []
        for job in jobs:
            try:
                if not request.check_mode:
                    _release(session, request, job)
            except NumaVirtError as error:  # noqa: PERF203 - the others are released all the same
                failures.append((job.known.domain.name, error))
            else:
                results.append(_result(job))
    if failures:
        raise guests_failed(failures, len(jobs), any(each["changed"] for each in results))
    changed = [each for each in results if each["changed"]]
    return {
        "changed": bool(changed),
        "driver": session.driver.name,
        "domains": [{name: each[name] for name in each if name != "diff"} for each in results],
        "restart_required": any(each["restart_required"] for each in results),
        "warnings": [*_warnings(session, request, results), *warnings],
        "diff": {
            side: "".join(f"domain {each['name']}:\n{each['diff'][side]}\n" for each in changed)
            for side in ("before", "after")
        },
    }


def _warnings(session: Session, request: ReleaseRequest, results: Sequence[dict[str, Any]]) -> list[str]:
    found = list(session.connection.warnings)
    if request.names is None and not results and request.select not in ("all", "running"):
        found.append(f"select: {request.select!r}: no such domain on this host was placed by numa.virt")
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
        return [usable(read(session, there[name])) for name in sorted(set(request.names))]
    known = [read(session, domain) for name, domain in sorted(there.items()) if _matches(request.select, name)]
    return [each for each in known if _placed_here(each) and (request.select != "running" or each.live is not None)]


def _placed_here(known: Known) -> bool:
    """Whether it has a record of ours, be it one that cannot be read."""
    return known.record is not None or known.trouble is not None


def _matches(select: str | None, name: str) -> bool:
    return select in ("all", "running") or fnmatch.fnmatchcase(name, str(select))


def _plan(session: Session, known: Known) -> _Job:
    released = known.config.released()
    changes = placement_changes(known.placement, released.placement) + _release_change(known.config)
    if known.record is not None and known.record.made_cells:
        changes.insert(0, Change(GUEST_CELLS, "as the cells of the host", None))
    live = None
    if known.live is not None:
        live = plan_live(session, known, Placement(), None)
        stored = known.live.record
        if stored is not None and stored.made_cells:
            kept = Restart(GUEST_CELLS, "a guest keeps its cells until it is started again")
            live = replace(live, restarts=(*live.restarts, kept))
        for change in _release_change(known.live) if session.driver.live_metadata else ():
            step = Step(replace(change, applied=LIVE), lambda domain: domain.remove_metadata(NAMESPACE))
            live = replace(live, steps=(*live.steps, step))
    return _Job(known, released, changes if known.persistent else [], live)


def _release_change(definition: Definition) -> list[Change]:
    """The record is taken out, also one that cannot be read."""
    record, trouble = definition.record, definition.trouble
    if trouble is not None:
        return [Change(INTENT, UNREADABLE_INTENT, None)]
    return release_change(record.intent if record is not None else None)


def _release(session: Session, request: ReleaseRequest, job: _Job) -> None:
    """The definition comes last: until it is done it says that there is something to do."""
    steps = job.live.steps if job.live is not None else ()
    if job.config_changes and request.backup:
        keep_backup(request.backup_dir, job.known)
    try:
        if job.live is not None:
            apply_live(session, job.known.domain, job.live)
        if job.config_changes:
            job.known.domain.redefine(job.released.text)
    except NumaVirtError as error:
        error.changed = bool(steps)
        raise


def _result(job: _Job) -> dict[str, Any]:
    live_changes = [step.change for step in job.live.steps] if job.live is not None else []
    restarts = list(job.live.restarts) if job.live is not None else []
    changes = mark_restarts(merge(job.config_changes, live_changes), restarts)
    shown = job.released if job.config_changes else job.known.config
    return {
        "name": job.known.domain.name,
        "uuid": job.known.domain.uuid,
        "changed": bool(changes),
        "changes": changes_as_result(changes),
        "restart_required": bool(restarts),
        "restart_reasons": restarts_as_result(restarts),
        "diff": diff_of(job.known.config, shown, changes),
    }
