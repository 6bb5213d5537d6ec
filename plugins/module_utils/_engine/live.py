# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest that runs already: what of a new placement can be applied to it, and what only a restart would bring.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._elements.element import Running, Scope
from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_change
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import live_changes, named_parts
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, observe
from ansible_collections.numa.virt.plugins.module_utils._errors import required
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import NAMESPACE, PREFIX, record_text
from ansible_collections.numa.virt.plugins.module_utils._values.changes import LIVE, Restart, Step
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Record, with_intent
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Observation
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.aftermath import Attempt
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Domain


@dataclass(frozen=True)
class LivePlan:
    """What would be done to a running guest, in order, and what cannot be."""

    steps: tuple[Step, ...]
    restarts: tuple[Restart, ...]
    observation: Observation


def plan_live(
    session: Session, known: Known, wanted: Placement, intent: Intent | None, scope: Scope | None = None
) -> LivePlan:
    """Compare a running guest with ``wanted``, by what the hypervisor says where it says it.

    ``intent`` is put into the live metadata; None leaves those alone. Without a ``scope`` it is about everything.
    """
    live = required(known.live)
    observation = observe(session, known.domain, live)
    guest = Running(
        now=live.placement,
        wanted=wanted,
        shape=live.shape,
        observation=observation,
        host=session.host,
        everything=session.host_for(live.shape).online,
        driver=session.driver,
        cuts=session.cuts,
        scope=scope,
        bound=named_parts(wanted).cells,
    )
    found = list(live_changes(guest))
    steps = [each for each in found if isinstance(each, Step)]
    restarts = tuple(each for each in found if isinstance(each, Restart))
    stored = live.record
    if intent is not None and session.driver.live_metadata and (stored is None or stored.intent != intent):
        steps.append(_intent_step(stored, intent))
    return LivePlan(tuple(steps), restarts, observation)


def apply_live(session: Session, domain: Domain, plan: LivePlan, attempt: Attempt | None = None) -> Observation:
    """Carry a plan out and read back where the guest is then. ``attempt`` is told of each step.

    A call that fails leaves the steps before it applied: the next run goes on from there.
    """
    for step in plan.steps:
        if attempt is not None:
            attempt.tried = True
        step.apply(domain)
        if attempt is not None:
            attempt.note_step()
    if not plan.steps:
        return plan.observation
    return observe(session, domain, session.live(domain))


def _intent_step(before: Record | None, after: Intent) -> Step:
    # Its source stays that of the document that the guest was started with: numa_domain asks for it.
    record = with_intent(before, after)
    change = replace(intent_change(before.intent if before is not None else None, after)[0], applied=LIVE)
    return Step(change, "set_metadata", (record_text(record), PREFIX, NAMESPACE, True))
