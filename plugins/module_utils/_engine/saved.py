# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest whose memory lies in a managed save image: it goes on from there, never from the start.

libvirt starts such a guest as its image says, whatever its definition says, and throws the image away. So the image is
given the placement too, before anybody starts it.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_change, release_change
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import fitting, placement_changes
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session
from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError, SavedImageError, reason_of
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._values.changes import LIVE, Change
from ansible_collections.numa.virt.plugins.module_utils._values.definition import with_intent
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Domain


@dataclass(frozen=True)
class SavedPlan:
    """What the image says, what it shall say, and where they differ."""

    before: XmlDefinition
    after: XmlDefinition
    changes: tuple[Change, ...]


def plan_saved(
    session: Session, known: Known, wanted: Placement | None, intent: Intent | None, acts: bool = True
) -> SavedPlan | None:
    """The plan for a domain's image; None where it runs, or has none. Writes nothing.

    ``wanted`` None takes all of ours out, as a release does. Without an ``intent`` the record in the image stays.
    ``acts``, and what is raised: see read_saved().
    """
    image = read_saved(session, known, acts)
    return plan_image(session, image, wanted, intent) if image is not None else None


def plan_image(session: Session, image: XmlDefinition, wanted: Placement | None, intent: Intent | None) -> SavedPlan:
    """The same for an image that has been read."""
    record = image.record
    if wanted is None:
        after = image.unplaced()
        changes = placement_changes(image.placement, after.placement)
        changes += release_change(record.intent) if record is not None else []
    else:
        its_own = fitting(wanted, image.shape, image.guest_cells)
        encoded = session.driver.encode(its_own, image.shape.starting_vcpus)
        after = image.rewritten(encoded, with_intent(record, intent) if intent is not None else None)
        changes = placement_changes(image.placement, after.placement)
        changes += intent_change(record.intent if record is not None else None, intent) if intent is not None else []
    return SavedPlan(image, after, tuple(replace(each, applied=LIVE) for each in changes))


def read_saved(session: Session, known: Known, acts: bool) -> XmlDefinition | None:
    """What a domain goes on as when it is started; None where it runs, or has no image.

    Raises SavedImageError where the image cannot be looked at, unless there is nothing else to do: ``acts`` is false.
    """
    if known.live is not None or not known.domain.saved():
        return None
    try:
        return XmlDefinition.load(known.domain.saved_xml())
    except NumaVirtError as error:
        if not acts:
            return None
        raise _refused(session, known.domain, reason_of(error)) from None


def apply_saved(session: Session, domain: Domain, plan: SavedPlan) -> None:
    """Rewrite the image where that changes it, and look where the answer is an error.

    Raises SavedImageError where the image is as it was, and what the call has raised where nobody can look.
    """
    if not plan.changes:
        return
    try:
        domain.define_saved(plan.after.text)
    except NumaVirtError as error:
        if not _is_written(domain, plan, error):
            raise _refused(session, domain, reason_of(error)) from None


def _is_written(domain: Domain, plan: SavedPlan, error: NumaVirtError) -> bool:
    """Whether only the answer was lost. Raises ``error`` where that cannot be seen."""
    try:
        now = XmlDefinition.load(domain.saved_xml())
    except NumaVirtError:
        raise error from None
    return (now.placement, now.record) == (plan.after.placement, plan.after.record)


def _refused(session: Session, domain: Domain, reason: str) -> SavedImageError:
    return SavedImageError(
        f"domain {domain.name!r} has a managed save image, which the {session.driver.name} driver does not let another "
        f"place be given to ({reason}); start it as it was saved (virsh start), or give its memory up (virsh "
        "managedsave-remove), and run again",
        domain=domain.name,
        reason=reason,
    )
