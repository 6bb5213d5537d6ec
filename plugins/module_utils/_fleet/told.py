# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one host tells of itself, as one text, and the texts of many hosts as a fleet.

A text and no tree of values: Ansible carries a variable through every task, and a text of a few kilobytes costs it
nothing. Hosts that are alike share what they say.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, cut
from ansible_collections.numa.virt.plugins.module_utils._fleet.document import (
    Document,
    fleet_as_data,
    fleet_from_data,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetHost
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing
from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import read_json

#: The key of numa_domain_info's result
KEY = "fleet"
#: Characters: thousands of guests on one host
MAX_TEXT = 1 << 25
_EXPECTED = "register numa_domain_info with fleet=true on each host, and give the name of that variable"


def told_as_text(host: FleetHost) -> str:
    """All that a host says of itself. Its name is the inventory's business."""
    return json.dumps(fleet_as_data(Document((replace(host, name=""),))), separators=(",", ":"), sort_keys=True)


class Told:
    """What hosts have told, each asked for once."""

    def __init__(self) -> None:
        self._same: dict[Any, Any] = {}

    def host(self, name: str, value: Any) -> FleetHost:
        """A host by its variable: a result of numa_domain_info, the text in it, or None where there is none.

        A host that failed, or has told nothing, is one that did not answer. Raises InputError.
        """
        if isinstance(value, Mapping):
            if KEY not in value and not (value.get("failed") or value.get("unreachable") or value.get("skipped")):
                raise InputError(f"hosts[{name}]", None, "its variable is no result with fleet=true", _EXPECTED)
            value = value.get(KEY)
        if value is None:
            return FleetHost(name, None, answered=False)
        if not isinstance(value, str):
            raise InputError(f"hosts[{name}]", None, "its variable is no text of a host", _EXPECTED)
        return replace(self._read(name, value), name=name)

    def _read(self, name: str, text: str) -> FleetHost:
        try:
            # A text of Ansible's has tags, which each of its parts would have too.
            hosts = fleet_from_data(read_json("".join(text), MAX_TEXT)).hosts
            if len(hosts) != 1:
                raise InputError("fleet", None, "is no document of one host")
        except InputError as error:
            raise InputError(f"hosts[{name}]", None, f"what it told cannot be read: {error.message}") from None
        except ValueError as error:
            said = f"what it told cannot be read: {cut(str(error))}"
            raise InputError(f"hosts[{name}]", None, said, _EXPECTED) from None
        found = hosts[0]
        existing = tuple(replace(each, wish=self._shared(each.wish)) for each in found.existing)
        return replace(found, host=self._shared(found.host), rules=self._shared(found.rules), existing=existing)

    def _shared(self, value: Any) -> Any:
        return self._same.setdefault(value, value)


def digest_of(host: FleetHost) -> str:
    """What tells whether a host is still as it was: all that it said, but for the time, and for how much memory of
    guests was measured on each cell, which is another at each look."""
    guests = tuple(_settled(each) for each in sorted(host.existing, key=lambda each: each.name))
    text = told_as_text(replace(host, existing=guests, told=None))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _settled(guest: Existing) -> Existing:
    memory_on = tuple(sorted({(cells, size, 0) for cells, size, _kib in guest.memory_on}, key=str))
    held = tuple(sorted({(cell, size, 0) for cell, size, _kib in guest.held}, key=str))
    return replace(guest, memory_on=memory_on, held=held)
