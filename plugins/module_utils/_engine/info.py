# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_domain_info: what was meant, what is configured, what runs and what really is, for many domains.

This file must not import ansible or libvirt, and must not change anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils import _proc
from ansible_collections.numa.virt.plugins.module_utils._cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, observe, read
from ansible_collections.numa.virt.plugins.module_utils._errors import DomainNotFoundError, LibvirtCallError
from ansible_collections.numa.virt.plugins.module_utils._placement import (
    Placement,
    intent_as_result,
    placement_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._verify import Observation, observation_as_result
from ansible_collections.numa.virt.plugins.module_utils._xl_command import Pages

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.hypervisor import Connection, Domain


def domains_info(connection: Connection, names: Sequence[str] | None) -> dict[str, Any]:
    """``{"driver": …, "domains": [...]}``, by name. ``names`` None means all. Raises DomainNotFoundError.

    Calls: five for the host, and for each domain one dump, or two and one for the vCPUs' maps where it runs.
    """
    session = Session(connection)
    domains = connection.domains()
    if names is not None:
        there = {domain.name for domain in domains}
        for name in names:
            if name not in there:
                raise DomainNotFoundError(
                    "names", name, "there is no such domain on this host", "leave names out to see all"
                )
        domains = [domain for domain in domains if domain.name in set(names)]
    running = [domain for domain in domains if domain.active]
    persistent = connection.persistent_uuids() if running else set()
    states = connection.states() if running else {}
    looks = session.driver.name == "qemu" and connection.local
    pids = _proc.find_process([str(domain.uuid) for domain in running]) if looks and running else {}
    pages = session.pages if running else None
    result = []
    for domain in domains:
        lasting, pid = not domain.active or domain.uuid in persistent, pids.get(str(domain.uuid), 0)
        try:
            result.append(_read(session, domain, lasting, states.get(str(domain.uuid), "shut off"), pid, pages))
        except (DomainNotFoundError, LibvirtCallError):
            # It stopped or went away since it was listed: once more, as it is now.
            again = connection.domain(domain.name)
            if again is not None:
                result.append(_read(session, again, again.persistent(), again.state(), None, None))
            elif names is not None:
                raise
    return {"driver": session.driver.name, "domains": result, "warnings": list(connection.warnings)}


def _read(session: Session, domain: Domain, lasting: bool, state: str, pid: int | None, pages: Pages) -> dict[str, Any]:
    known = read(session, domain, lasting)
    observation = observe(session, domain, known.live, pid, pages) if known.live is not None else None
    return _info(session, known, state, observation)


def _info(session: Session, known: Known, state: str, observation: Observation | None) -> dict[str, Any]:
    shape = (known.live if known.live is not None else known.config).shape
    placement = known.placement
    cpuset = _effective(observation, placement, shape.vcpus, session.host.online)
    info: dict[str, Any] = {
        "name": known.domain.name,
        "uuid": known.domain.uuid,
        "state": state,
        "persistent": known.persistent,
        "managed": known.record is not None,
        "vcpus": shape.vcpus,
        "memory": shape.memory,
        "intent": intent_as_result(known.intent),
        "configured": placement_as_result(placement) if known.persistent else None,
        "live": placement_as_result(known.live.placement) if known.live is not None else None,
        "actual": observation_as_result(observation),
    }
    if cpuset is not None:
        info["cpuset"] = str(cpuset)
        info["cells"] = list(session.host.cells_touched(cpuset))
    return info


def _effective(observation: Observation | None, placement: Placement, vcpus: int, everything: CpuSet) -> CpuSet | None:
    """The OR of the vCPUs' maps: of the running guest where there is one, of its definition otherwise."""
    if observation is None:
        return placement.effective_cpuset(vcpus, everything)
    found = union(cpus for _vcpu, cpus in observation.vcpus) & everything
    return None if everything <= found else found
