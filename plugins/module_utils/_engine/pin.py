# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vcpu_pin: one domain's vCPUs, emulator and IO threads, in the running guest and in its definition.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._elements.element import Scope
from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_change
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import placement_as_result, placement_changes
from ansible_collections.numa.virt.plugins.module_utils._engine.aftermath import Attempt
from ansible_collections.numa.virt.plugins.module_utils._engine.guard import (
    look_again,
    overwritten,
    overwritten_warning,
)
from ansible_collections.numa.virt.plugins.module_utils._engine.live import LivePlan, apply_live, plan_live
from ansible_collections.numa.virt.plugins.module_utils._engine.plan import name_of
from ansible_collections.numa.virt.plugins.module_utils._engine.report import diff_if, kept_warnings, with_warnings
from ansible_collections.numa.virt.plugins.module_utils._engine.saved import SavedPlan, plan_image, read_saved
from ansible_collections.numa.virt.plugins.module_utils._engine.session import (
    Known,
    Session,
    keep_backup,
    required_domain,
    trouble_warnings,
)
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ChangedMeanwhileError,
    InputError,
    NumaVirtError,
    UnsupportedError,
    required,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.pins import (
    PinWish,
    check_wish,
    overlay,
    overlay_intent,
)
from ansible_collections.numa.virt.plugins.module_utils._node import backup as node_backup
from ansible_collections.numa.virt.plugins.module_utils._node.lock import one_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._values.changes import (
    changes_as_result,
    mark_restarts,
    merge,
    restarts_as_result,
    written_form_change,
)
from ansible_collections.numa.virt.plugins.module_utils._values.definition import with_intent
from ansible_collections.numa.virt.plugins.module_utils._values.observation import observation_as_result
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection


# So often a domain is planned for that somebody else changes meanwhile.
_ATTEMPTS = 3


@dataclass(frozen=True)
class PinRequest:
    """Options of vcpu_pin, read. ``apply`` is "live", "config", "both", or None: both where the domain runs."""

    name: str | None
    wish: PinWish
    apply: str | None = None
    allow_outside: bool = False
    backup: bool = True
    backup_dir: str = field(default_factory=node_backup.default_directory)
    check_mode: bool = False
    lock_dir: str | None = None
    diff: bool = True


def pin_domain(connection: Connection, request: PinRequest) -> dict[str, Any]:
    """Pin one domain. Returns what the module documents; raises NumaVirtError."""
    name = name_of(request.name, connection.configured_name, "config")
    with one_at_a_time(None if request.check_mode else request.lock_dir, name, daemon=connection.daemon) as said:
        return with_warnings(_pin_as_it_is(Session(connection), request, name), said)


def _pin_as_it_is(session: Session, request: PinRequest, name: str) -> dict[str, Any]:
    """Planned anew, as often as somebody else may well be in the way."""
    for _attempt in range(_ATTEMPTS - 1):
        with contextlib.suppress(ChangedMeanwhileError):
            return _pin(session, request, name)
    return _pin(session, request, name)


def _pin(session: Session, request: PinRequest, name: str) -> dict[str, Any]:
    known = required_domain(session, name)
    to_config, to_live = _where(request, known)
    shape = known.config.shape
    own = session.driver.decode(known.placement)
    check_wish(request.wish, own, session.host_for(shape), session.driver, shape, request.allow_outside)
    wanted = overlay(own, request.wish)
    intent = _intent(known, own, wanted, request.wish)
    record = with_intent(known.record, intent) if intent is not None else None
    document = known.config.rewritten(session.driver.encode(wanted, shape.starting_vcpus), record)
    config_changes = []
    if to_config:
        config_changes = placement_changes(known.placement, document.placement)
        config_changes += written_form_change(known.config.written_form, document.written_form)
        config_changes += intent_change(known.intent, intent) if intent is not None else []
    if config_changes:
        session.check_definable(document.placement)
        if request.backup:
            node_backup.check_directory(request.backup_dir)
    live = _plan_live(session, request, known, own, intent) if to_live else None
    live_changes = [step.change for step in live.steps] if live else []
    saved = None
    if to_config and request.apply is None:
        saved = _plan_saved(session, request, known, intent, bool(config_changes))
        live_changes += saved.changes if saved is not None else ()
    restarts = list(live.restarts) if live else []
    changes = mark_restarts(merge(config_changes, live_changes), restarts)
    kept = kept_warnings(session.host, document, wanted) if changes else []
    attempt = Attempt(session, name, known, "shut off")
    attempt.saved, lost = saved, None
    observation = live.observation if live else None
    if not request.check_mode and changes:
        if config_changes and request.backup:
            attempt.backup_file = keep_backup(request.backup_dir, known)
        if known.live is not None:
            attempt.state_before = known.domain.state()
        look_again(session, known.domain.name, known, None, bool(live and live.steps))
        try:
            if config_changes:
                domain = attempt.define(document.text)
                lost = overwritten(session, known, domain, attempt.backup_file)
                attempt.written = session.definition(domain).text
            if saved is not None:
                attempt.rewrite_image(known.domain, saved)
            if live is not None:
                observation = apply_live(session, known.domain, live, attempt)
        except NumaVirtError as error:
            attempt.tell(error)
            if lost is not None:
                error.fields["overwritten"] = lost
            raise
    result: dict[str, Any] = {
        "changed": bool(changes),
        "name": known.domain.name,
        "uuid": known.domain.uuid,
        "driver": session.driver.name,
        "placement": placement_as_result(wanted),
        "actual": observation_as_result(observation),
        "changes": changes_as_result(changes),
        "restart_required": bool(restarts),
        "restart_reasons": restarts_as_result(restarts),
        **diff_if(request.diff, known.config, document if to_config else known.config, changes),
    }
    if attempt.backup_file is not None:
        result["backup_file"] = attempt.backup_file
    warnings = [*trouble_warnings([known]), *kept]
    if warnings:
        result["warnings"] = warnings
    if lost is not None:
        result["overwritten"] = lost
        result.setdefault("warnings", []).append(overwritten_warning(name, lost))
    return result


def _plan_saved(
    session: Session, request: PinRequest, known: Known, intent: Intent | None, acts: bool
) -> SavedPlan | None:
    """A guest in a managed save image is pinned like one that runs. Raises as read_saved()."""
    image = read_saved(session, known, acts)
    if image is None:
        return None
    wanted = overlay(session.driver.decode(image.placement), request.wish)
    return plan_image(session, image, wanted, intent)


def _where(request: PinRequest, known: Known) -> tuple[bool, bool]:
    """(definition, running guest): where the pins shall go. Raises InputError."""
    running = known.live is not None
    if request.apply in ("live", "both") and not running:
        raise InputError("apply", request.apply, f"domain {known.domain.name!r} does not run", "choose apply=config")
    if request.apply in ("config", "both") and not known.persistent:
        raise InputError(
            "apply",
            request.apply,
            f"domain {known.domain.name!r} is transient and has no configuration",
            "choose apply=live",
        )
    to_config = request.apply != "live" and known.persistent
    to_live = request.apply != "config" and running
    return to_config, to_live


def _intent(known: Known, own: Placement, wanted: Placement, wish: PinWish) -> Intent | None:
    """What is meant after the wish; None where nobody meant anything and there was no pin to take away."""
    sets = wish.vcpus or wish.iothreads or wish.emulator is not None
    if known.intent is None and not sets and wanted == own:
        return None
    return overlay_intent(known.intent, wanted, wish)


def _plan_live(session: Session, request: PinRequest, known: Known, own: Placement, intent: Intent | None) -> LivePlan:
    wish = request.wish
    # A guest that was moved while it ran still has its old CPU set in the live XML: its own is the definition's.
    now = session.driver.decode(required(known.live).placement)
    wanted = replace(overlay(now, wish), cpuset=own.cpuset)
    scope = Scope(frozenset(wish.vcpu_numbers), wish.about_emulator, frozenset(wish.iothread_numbers))
    plan = plan_live(session, known, wanted, intent if request.apply != "live" else None, scope)
    if request.apply == "live" and plan.restarts:
        raise UnsupportedError(session.driver.name, "live pins", plan.restarts[0].reason, "apply")
    return plan
