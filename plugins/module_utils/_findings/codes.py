# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every code: how bad it is, what it says, and what usually mends it.

``severity``: "error" - the guest is hurt now or cannot start; "warning" - it may be; "info" - it is worth knowing.
``fix``: "live" - while the guest runs; "restart" - it has to start anew; "redefine" - its definition has to change;
"host" - the host has to. A rule may lower the severity and choose another fix where it knows better; see docs.
This file must not import ansible, libvirt or lxml, and holds no rule.
"""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)
LIVE, RESTART, REDEFINE, HOST = "live", "restart", "redefine", "host"
FIXES = (LIVE, RESTART, REDEFINE, HOST)


@dataclass(frozen=True)
class Code:
    severity: str
    title: str
    fix: str


CODES = {
    "allocation_remote": Code(WARNING, "cache or memory bandwidth allocated where its vCPUs are not", RESTART),
    "cell_missing": Code(ERROR, "a cell that the host does not have", REDEFINE),
    "cell_overcommitted": Code(WARNING, "more vCPUs on a cell than its ratio allows", RESTART),
    "claimed_used": Code(WARNING, "a guest on CPUs that are claimed for another", LIVE),
    "cpu_dedicated_twice": Code(ERROR, "one CPU dedicated to two guests", LIVE),
    "cpu_missing": Code(ERROR, "a CPU that the host does not have", REDEFINE),
    "cpu_offline": Code(ERROR, "a CPU that is offline", HOST),
    "cpuset_ignored": Code(ERROR, "a CPU set that Xen ignores", RESTART),
    "dedicated_on_reserved": Code(WARNING, "a dedicated guest on reserved CPUs", LIVE),
    "dedicated_shared": Code(ERROR, "a dedicated CPU that other guests may use", LIVE),
    "definition_unreadable": Code(WARNING, "a definition that cannot be read", REDEFINE),
    "device_remote": Code(WARNING, "a device on another cell than its guest", RESTART),
    "guest_cell_remote": Code(WARNING, "memory of a guest's own cell where none of that cell's vCPUs runs", RESTART),
    "guest_threads_apart": Code(INFO, "threads of a guest's core on several cores of the host", LIVE),
    "helper_off_cells": Code(WARNING, "emulator or IO threads off the guest's cells", LIVE),
    "huge_pages_missing": Code(ERROR, "huge pages asked for where there are none", HOST),
    "intent_differs": Code(WARNING, "the definition is not what was asked for", REDEFINE),
    "isolated_shared": Code(WARNING, "isolated CPUs that a guest shares, among which nothing is balanced", LIVE),
    "live_differs": Code(WARNING, "the running guest is not what its definition says", LIVE),
    "memory_remote": Code(WARNING, "memory on a cell with none of the guest's vCPUs", RESTART),
    "realtime_shared": Code(ERROR, "other threads of a guest on the CPUs of its real-time vCPUs", LIVE),
    "record_unreadable": Code(WARNING, "a record of what was asked for that cannot be read", REDEFINE),
    "sibling_shared": Code(WARNING, "a sibling of a dedicated CPU used by another guest", LIVE),
    "spans_needlessly": Code(WARNING, "a guest on several cells that would fit one", RESTART),
    "threads_differ": Code(WARNING, "threads that are not where the running guest's definition puts them", LIVE),
    "unrestricted_beside_dedicated": Code(WARNING, "a guest that may run on dedicated CPUs and everywhere else", LIVE),
}
