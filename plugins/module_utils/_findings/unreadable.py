# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a guest cannot be read: its definition, or the record of what was asked for.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding, finding
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import wish_from_json
from ansible_collections.numa.virt.plugins.module_utils._values.definition import NEWER, UNREADABLE

_AGAIN = "place it again with numa_placement or numa_domain, or run numa_release for it"


def find_unreadable(view: View) -> Iterator[Finding]:
    for seen in view.guests:
        yield from _unreadable(seen)


def _unreadable(seen: Seen) -> Iterator[Finding]:
    trouble, intent = seen.facts.trouble, seen.facts.intent
    if trouble is not None and trouble.kind == UNREADABLE:
        message = f"its definition cannot be read, and it counts as far as it can be: {trouble.problem}"
        yield finding("definition_unreadable", seen.name, message, "mend it with virsh edit, or define it anew")
    elif trouble is not None:
        message = f"the record of what was asked for cannot be read, and counts as none: {trouble.problem}"
        remedy = "manage it with the release that has placed it" if trouble.kind == NEWER else _AGAIN
        yield finding("record_unreadable", seen.name, message, remedy)
    elif intent is not None and intent.policy is not None and wish_from_json(intent.policy) is None:
        message = "the policy that has placed it cannot be read, and counts as none"
        yield finding("record_unreadable", seen.name, message, _AGAIN)
