# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user is shown of a change: a diff of the owned elements, and of the rest where that is redefined.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.numa.virt.plugins.module_utils import _domain_xml
from ansible_collections.numa.virt.plugins.module_utils._changes import LIVE, Change
from ansible_collections.numa.virt.plugins.module_utils._placement_xml import owned_fragment
from ansible_collections.numa.virt.plugins.module_utils._xml import etree


def diff_of(before: etree._Element | None, after: etree._Element, changes: Iterable[Change]) -> dict[str, str]:
    """Shape: Ansible's ``{"before": text, "after": text}``. Never a secret."""
    changes = list(changes)
    old = owned_fragment(before) if before is not None else ""
    new = owned_fragment(after)
    if any(change.element == "definition" for change in changes):
        old += _domain_xml.rest_text(before) if before is not None else ""
        new += _domain_xml.rest_text(after)
    for change in changes:
        if change.element == "state":
            old += f"state: {change.before}\n"
            new += f"state: {change.after}\n"
        elif change.applied == LIVE:
            # The definition says it already, or is not touched: only the running guest changes.
            old += f"running guest, {change.element}: {change.before}\n"
            new += f"running guest, {change.element}: {change.after}\n"
    return {"before": old, "after": new}
