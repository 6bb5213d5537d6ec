# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What /proc/meminfo says of this machine that no hypervisor does.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import contextlib
import re

PATH = "/proc/meminfo"
_HUGE_PAGE = re.compile(r"^Hugepagesize:\s+([0-9]{1,9}) kB$", re.MULTILINE)


def huge_page(path: str | None = None) -> int | None:
    """KiB of the huge pages that are meant where nobody says a size (libvirt's virFileGetDefaultHugepageSize).

    None where this kernel has none.
    """
    with contextlib.suppress(OSError), open(path or PATH, encoding="ascii", errors="replace") as file:
        found = _HUGE_PAGE.search(file.read(1 << 16))
        return int(found[1]) if found is not None else None
    return None
