# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user wrote, read into an Intent. Looks at the words only: no host, no domain.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import knob_arguments, parts_from_options
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent

__all__ = ["intent_from_options", "knob_arguments"]


def intent_from_options(options: Mapping[str, Any], called: Mapping[str, str] | None = None) -> Intent:
    """The options of all owned elements: ``cells``, ``cpuset``, ``memory``, ``vcpu_pins`` and so on.

    One that is missing or None was not said. ``called`` gives the name that a module has for an option, for errors.
    Raises InputError.
    """
    return Intent(**parts_from_options(options, called or {}))
