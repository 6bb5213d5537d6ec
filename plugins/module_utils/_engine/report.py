# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user is shown of a change: a diff of the owned elements, and of the rest where that is redefined.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import shown
from ansible_collections.numa.virt.plugins.module_utils._values.changes import GUEST_CELLS, LIVE, Change
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._values.kept import away
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


def diff_if(wanted: bool, before: Definition | None, after: Definition, changes: Iterable[Change]) -> dict[str, Any]:
    """The key of a result that holds the diff, where Ansible was asked for one: nobody else would look at it."""
    return {"diff": diff_of(before, after, changes)} if wanted else {}


def diff_of(before: Definition | None, after: Definition, changes: Iterable[Change]) -> dict[str, str]:
    """Shape: Ansible's ``{"before": text, "after": text}``. Never a secret."""
    changes = list(changes)
    if not changes:
        return {"before": "", "after": ""}
    old = before.owned_text if before is not None else ""
    new = after.owned_text
    if any(change.element == "definition" for change in changes):
        old += before.rest_text if before is not None else ""
        new += after.rest_text
    for change in changes:
        if change.element == "state":
            old += f"state: {change.before}\n"
            new += f"state: {change.after}\n"
        elif change.element == GUEST_CELLS:
            old += f"{GUEST_CELLS}: {change.before}\n"
        elif change.applied == LIVE:
            # The definition says it already, or is not touched: only the running guest changes.
            old += f"running guest, {change.element}: {change.before}\n"
            new += f"running guest, {change.element}: {change.after}\n"
    return {"before": old, "after": new}


def with_warnings(result: dict[str, Any], said: Sequence[str]) -> dict[str, Any]:
    """A result that also warns of what was said beside it."""
    return {**result, "warnings": [*result.get("warnings", ()), *said]} if said else result


def kept_warnings(host: Host, definition: Definition, placement: Placement) -> list[str]:
    """A line for each part of the host that a guest would be given by number where it is not, once it is placed so."""
    if not definition.kept:
        return []
    sets = {vcpu: placement.of_vcpu(vcpu) for vcpu in definition.shape.present}
    name = shown(definition.shape.name)
    return [f"domain {name}: {each}: {each.mend}" for each in away(definition.kept, host, sets)]
