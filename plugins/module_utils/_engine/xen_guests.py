# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Xen's own tool says of all running guests at once: where their vCPUs may run, and their cpupools.

Two calls instead of three for each guest. This file must not import ansible or libvirt, and must not change anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._engine.session import Session
from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet


@dataclass(frozen=True)
class XenGuests:
    """By id of a domain: the CPUs of each vCPU that is up, and the cpupool where the host has several."""

    vcpus: Mapping[int, Mapping[int, CpuSet]]
    pools: Mapping[int, str]


_NOTHING = XenGuests({}, {})


def xen_guests(session: Session) -> XenGuests:
    """Nothing where there is no such tool here, or this user may not use it; each guest is asked for then."""
    if session.xen is None:
        return _NOTHING
    from ansible_collections.numa.virt.plugins.module_utils._xl import output as xl_output

    try:
        pools = {}
        if len(session.host.pools) > 1:
            pools = xl_output.parse_domain_pools(session.xen("read the cpupools of the domains", "list", "-c"))
        listed = xl_output.parse_vcpu_list(session.xen("read the vCPUs", "vcpu-list"))
    except NumaVirtError:
        return _NOTHING
    cpus = {pool.name: pool.cpus for pool in session.host.pools}
    vcpus = {}
    for domain, each in listed.items():
        everything = cpus.get(pools.get(domain, ""), session.host.online)
        vcpus[domain] = {
            number: everything if vcpu.hard is None else vcpu.hard & everything
            for number, vcpu in each.vcpus.items()
            if vcpu.cpu is not None
        }
    return XenGuests(vcpus, pools)
