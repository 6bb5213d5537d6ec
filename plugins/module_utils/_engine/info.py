# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_domain_info: what was meant, what is configured, what runs and what really is, and what of it disagrees.

This file must not import ansible or libvirt, and must not change anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_as_result
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import placement_as_result
from ansible_collections.numa.virt.plugins.module_utils._engine.claims import claims_with_guests, shown_claims
from ansible_collections.numa.virt.plugins.module_utils._engine.guard import GONE, read_anew
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, observe, read
from ansible_collections.numa.virt.plugins.module_utils._engine.xen_guests import XenGuests, xen_guests
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    InputError,
)
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Facts, GuestFacts, Said
from ansible_collections.numa.virt.plugins.module_utils._findings.find import concerning, find, wants_free
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import (
    Finding,
    finding_as_result,
    summary_of,
)
from ansible_collections.numa.virt.plugins.module_utils._findings.view import View
from ansible_collections.numa.virt.plugins.module_utils._planner.check import check_rules
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.observation import (
    HYPERVISOR,
    Observation,
    observation_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Connection, Domain, Pages


@dataclass(frozen=True)
class InfoRequest:
    """Options of numa_domain_info, read. ``names`` None means all domains."""

    names: Sequence[str] | None = None
    findings: bool = True
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True)
class _Read:
    """One domain, as it was found. ``pool`` is its cpupool where it runs on Xen and there are several."""

    known: Known
    state: str
    observation: Observation | None
    pool: str | None = None


def domains_info(connection: Connection, request: InfoRequest) -> dict[str, Any]:
    """What the module documents. Raises DomainNotFoundError, and InputError for rules that this host cannot have.

    Calls: five for the host, and for each domain one dump, or two where it runs; a third for the vCPUs' maps where
    neither /proc nor Xen's own tool says them. For findings all domains are read, and where a guest may be on too many
    cells, or has devices, what is free and the host's devices.
    """
    session = Session(connection)
    if request.findings:
        check_rules(session.host, request.rules, Options())
    domains = connection.domains()
    wanted = {domain.name for domain in domains}
    if request.names is not None:
        for name in request.names:
            if name not in wanted:
                raise DomainNotFoundError(
                    "names", name, "there is no such domain on this host", "leave names out to see all"
                )
        wanted = set(request.names)
    if not request.findings:
        domains = [domain for domain in domains if domain.name in wanted]
    found = _read_all(session, domains, wanted if request.names is not None else set())
    kept, said = shown_claims(connection.daemon)
    result: dict[str, Any] = {
        "driver": session.driver.name,
        "domains": [_info(session, each) for each in found if each.known.domain.name in wanted],
        **kept,
        "warnings": [*connection.warnings, *said],
    }
    if request.findings:
        findings = _findings(session, found, request.rules)
        if request.names is not None:
            findings = concerning(findings, request.names)
        result["findings"] = [finding_as_result(each) for each in findings]
        result["summary"] = summary_of(findings)
        result["reserved_cells"] = list(request.rules.reserved_cells)
    return result


def _read_all(session: Session, domains: Sequence[Domain], required: set[str]) -> list[_Read]:
    """Every one that is still there. Raises DomainNotFoundError where a required one is not."""
    connection = session.connection
    running = [domain for domain in domains if domain.active]
    persistent = connection.persistent_uuids() if running else set()
    states = connection.states() if running else {}
    pids = {domain.uuid: session.pid_of(domain) for domain in running} if session.sees_processes else {}
    pages = session.pages if running else None
    xen = xen_guests(session) if running else XenGuests({}, {})
    found = []
    for domain in domains:
        lasting, pid = not domain.active or domain.uuid in persistent, pids.get(domain.uuid, 0)
        state = states.get(str(domain.uuid), "shut off")
        try:
            found.append(_read(session, domain, lasting, state, pid, pages, xen))
        except GONE:
            again = _read_again(session, domain.name)
            if again is not None:
                found.append(again)
            elif domain.name in required:
                raise
    return found


def _read_again(session: Session, name: str) -> _Read | None:
    """A domain that stopped or went away since it was listed, as it is now; None where it is gone.

    Where it runs and nobody can say where, that is left open.
    """
    known = read_anew(session, name)
    if known is None:
        return None
    state = "shut off"
    try:
        if known.live is not None:
            state = known.domain.state()
            return _Read(known, state, observe(session, known.domain, known.live))
    except GONE:
        return _Read(known, state, None) if session.connection.domain(name) is not None else None
    return _Read(known, state, None)


def _read(
    session: Session,
    domain: Domain,
    lasting: bool,
    state: str,
    pid: int | None = None,
    pages: Pages = None,
    xen: XenGuests | None = None,
) -> _Read:
    known = read(session, domain, lasting)
    if known.live is None:
        return _Read(known, state, None)
    vcpus = xen.vcpus.get(domain.id) if xen is not None else None
    observation = observe(session, domain, known.live, pid, pages, vcpus)
    return _Read(known, state, observation, xen.pools.get(domain.id) if xen is not None else None)


def _findings(session: Session, found: Sequence[_Read], rules: Rules) -> tuple[Finding, ...]:
    guests = tuple(_facts(session, each) for each in found)
    host = session.host
    said = [each.live if each.live is not None else each.config for each in guests]
    devices = [device for each in said if each is not None for device in each.needs.devices]
    if devices:
        host = session.devices.on(host, devices)
    uuids = {each.known.domain.name: each.known.domain.uuid for each in found}
    facts = Facts(host, session.driver, guests, rules, claims_with_guests(session.connection.daemon, uuids))
    view = View(facts)
    if wants_free(facts, view):
        free = {cell.id: cell for cell in session.host_with_free().cells}
        cells = tuple(replace(cell, free=free[cell.id].free, pools=free[cell.id].pools) for cell in host.cells)
        facts = replace(facts, host=replace(host, cells=cells))
        view = View(facts)
    return find(facts, view)


def _facts(session: Session, each: _Read) -> GuestFacts:
    known, observation = each.known, each.observation
    live = _said(known.live) if known.live is not None else None
    if live is not None and observation is not None:
        shape = live.shape
        if each.pool is not None:
            shape = replace(shape, pool=each.pool)
        up = [vcpu for vcpu, _cpus in observation.vcpus]
        if observation.source == HYPERVISOR and shape.current is None and up == list(range(len(up))):
            shape = replace(shape, current=len(up))  # xl says it here only
        live = replace(live, shape=shape)
    counts = known.persistent and not (known.config_unreadable and live is not None)
    config = _said(known.config) if counts else None
    if config is not None and live is None:
        # One that runs has got its own already, and its document says which.
        config = replace(config, needs=session.devices.complete(config.needs))
    return GuestFacts(known.domain.name, config, live, observation, known.intent, known.trouble)


def _said(definition: Definition) -> Said:
    needs = GuestNeeds()
    with contextlib.suppress(InputError):  # a device or a size that only its driver understands
        needs = definition.needs
    return Said(definition.shape, definition.placement, needs, definition.kept)


def _info(session: Session, each: _Read) -> dict[str, Any]:
    known, observation = each.known, each.observation
    shape = (known.live if known.live is not None else known.config).shape
    placement = known.placement
    cpuset = _effective(observation, placement, shape.vcpus, session.host.online)
    info: dict[str, Any] = {
        "name": known.domain.name,
        "uuid": known.domain.uuid,
        "state": each.state,
        "persistent": known.persistent,
        "managed": known.record is not None,
        "vcpus": shape.vcpus,
        "memory": shape.memory,
        "intent": intent_as_result(known.intent),
        "trouble": known.trouble.problem if known.trouble is not None else None,
        "configured": placement_as_result(placement) if known.persistent and not known.config_unreadable else None,
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
