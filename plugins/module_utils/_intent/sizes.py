# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes of memory as users write them.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError

_SIZE = re.compile(r"(?P<number>[0-9]{1,15})\s*(?P<unit>[KMGT]i?B?)?", re.IGNORECASE)
_POWERS = {"K": 0, "M": 1, "G": 2, "T": 3}


def size_in_kib(value: Any, option: str) -> int:
    """``4GiB``, ``512M``, or a number of KiB. All units are powers of 1024. Raises InputError."""
    match = _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise InputError(option, value, "is no size", "write 4GiB, 512MiB, or a number of KiB")
    power = _POWERS[(match["unit"] or "K")[0].upper()]
    return int(match["number"]) << (10 * power)
