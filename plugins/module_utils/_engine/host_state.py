# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_host_state: whether a host takes new guests, kept on the host itself, so that nobody has to be told.

This file must not import ansible or libvirt, and must not touch a guest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._node import claims as node_claims
from ansible_collections.numa.virt.plugins.module_utils._node.lock import host_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._values.claim import (
    IN,
    MAX_WORDS,
    HostState,
    state_as_result,
)

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection


@dataclass(frozen=True)
class StateRequest:
    """Options of numa_host_state, read. ``why`` None leaves the reason of a state that stays as it is."""

    state: str
    who: str = ""
    why: str | None = None
    check_mode: bool = False
    lock_dir: str | None = None
    lock_timeout: float = 300.0


def set_host_state(connection: Connection, request: StateRequest) -> dict[str, Any]:
    """Returns what the module documents; raises NumaVirtError.

    A state that stays as it is keeps who said it first, and when.
    """
    for option, text in (("who", request.who), ("reason", request.why or "")):
        if len(text) > MAX_WORDS or not text.isprintable():
            raise InputError(option, text, "is too long, or no line", f"give up to {MAX_WORDS} printable characters")
    daemon = connection.daemon
    node_claims.check_writable(daemon)
    hold = not request.check_mode
    with host_at_a_time(request.lock_dir, request.lock_timeout, daemon, required=True, hold=hold) as said:
        before, problems = node_claims.read_state(daemon)
        after = before
        if _differs(before, request) or problems:
            after = HostState(request.state, request.who, request.why or "", node_claims.this_moment().wall)
            if not request.check_mode:
                node_claims.write_state(daemon, after)
    changed = after is not before
    result = state_as_result(after)
    if changed and request.check_mode:
        result["since"] = None
    return {
        "changed": changed,
        "host_state": result,
        "diff": {"before": _text(before), "after": _text(after)},
        "warnings": [*connection.warnings, *said, *problems],
    }


def _differs(before: HostState | None, request: StateRequest) -> bool:
    if before is None:
        return request.state != IN or bool(request.why)
    return before.state != request.state or request.why not in (None, before.why)


def _text(state: HostState | None) -> str:
    """When is left out: check mode could not say it."""
    if state is None:
        return f"{IN}\n"
    by = f", says {state.who}" if state.who else ""
    return f"{state.state}{by}{f': {state.why}' if state.why else ''}\n"
