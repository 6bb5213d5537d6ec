# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that modules share; documented in the doc fragments of the same names.

This file must not import anything else of this collection.
"""

from __future__ import annotations

from typing import Any


def connection_options() -> dict[str, Any]:
    return {"uri": {"type": "str"}}


def definition_options() -> dict[str, Any]:
    """Where a guest's definition is, for hypervisors that leave that to files."""
    return {"config": {"type": "path"}}


def backup_options() -> dict[str, Any]:
    return {
        "backup": {"type": "bool", "default": True},
        "backup_dir": {"type": "path"},
    }


def rules_options() -> dict[str, Any]:
    """What is kept from guests, for _intent.placement_options.rules_of(); each module documents it."""
    return {
        "reserved_cpus": {"type": "raw"},
        "reserved_memory": {"type": "dict"},
        "reserved_cells": {"type": "raw"},
        "shared_cpus": {"type": "raw"},
        "dedicated_cpus": {"type": "raw"},
    }
