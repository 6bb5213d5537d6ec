# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the planner is told of the guests that are on a host, whoever placed them, and of those that are asked for.

This file must not import ansible or libvirt, and must not change anything.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import named_parts
from ansible_collections.numa.virt.plugins.module_utils._engine.guard import GONE, read_anew, read_present
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import PolicyWish, request_of, wish_from_json
from ansible_collections.numa.virt.plugins.module_utils._node import processes
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Definition
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement, Shape, pins_of


def read_all(session: Session) -> dict[str, Known]:
    """Every domain of the host, by name. One that goes away meanwhile is left out."""
    domains = session.connection.domains()
    persistent = session.connection.persistent_uuids() if any(domain.active for domain in domains) else set()
    known = {}
    for domain in domains:
        each = read_present(session, domain, not domain.active or str(domain.uuid) in persistent)
        if each is not None:
            known[domain.name] = each
    return known


def all_existing(
    session: Session, known: dict[str, Known], asked: AbstractSet[str], restart: bool
) -> dict[str, Existing]:
    """What takes CPUs and memory now. A guest that has ended since it was read counts as it is then; one that is gone
    is taken out of ``known``."""
    found = {}
    for name, each in list(known.items()):
        now: Known | None = each
        try:
            found[name] = existing(session, each, name in asked, restart)
            continue
        except GONE:
            now = read_anew(session, name)
        if now is None:
            del known[name]
            continue
        known[name] = now
        try:
            found[name] = existing(session, now, name in asked, restart)
        except GONE:
            # It runs, and nobody says where: as its definition says.
            config = now.config if now.live is None or now.persistent else now.live
            known[name] = replace(now, config=config, live=None)
            found[name] = existing(session, known[name], name in asked, restart)
    return found


def existing(session: Session, known: Known, asked_for: bool, restart: bool) -> Existing:
    """A domain that is there, by its real pins.

    Of a running guest that means what the hypervisor says; but one that this collection has placed is judged by its
    definition: where the guest differs from that, carrying the plan out mends it. If it is not in the plan, nothing
    does, and it takes what its definition says as well as what it has. Memory stays where it is until the guest ends:
    it takes that too, unless this run restarts it.
    """
    live, intent = known.live, known.intent
    wish = wish_from_json(intent.policy) if intent is not None and intent.policy is not None else None
    definition = known.config if live is None or (intent is not None and known.persistent) else live
    placement = session.driver.decode(definition.placement)
    if live is not None and definition is live and session.driver.full_maps:
        placement = replace(placement, cpuset=None, vcpu_pins=_real_pins(session, known))
    elif session.driver.pins_each_vcpu:
        # Without a pin of its own a vCPU may run anywhere, whatever <vcpu cpuset> says.
        placement = replace(placement, cpuset=None, vcpu_pins=definition.placement.vcpu_pins)
    if not session.driver.numatune:
        placement = replace(placement, memory=None, memnodes=(), knobs=())
    if live is not None and definition is not live and session.driver.full_maps and not asked_for:
        strays = {vcpu: cpus for vcpu, cpus in _real_pins(session, known) if cpus != placement.of_vcpu(vcpu)}
        pins = {vcpu: cpus | (placement.of_vcpu(vcpu) or cpus) for vcpu, cpus in strays.items()}
        placement = replace(placement, vcpu_pins=pins_of({**dict(placement.vcpu_pins), **pins}))
    needs = _needs(definition)
    asked = asked_of(session, wish, definition.shape, needs) if wish is not None else None
    by_page = needs.memory_by_page(definition.shape.memory, session.host.page)
    (page, memory), *others = by_page.items()
    found = Existing.of(definition.shape, placement, page, asked, named_parts(placement).cells)
    usual = session.driver.overhead.of(definition.shape, by_page.get(None, 0))
    overhead = asked.overhead if asked is not None else usual
    found = replace(found, memory=memory, other_pages=tuple(others), overhead=overhead)
    measured = _measured(session, known) if found.nodeset is None and live is not None else ()
    if live is not None and definition is not live and not (asked_for and restart):
        found = replace(found, held=measured or _bound_now(session, live))
    if measured and not found.held:
        return replace(found, memory_on=tuple((CpuSet([cell]), size, kib) for cell, size, kib in measured))
    if asked is None and placement.memnodes:
        lots = _bound_by_cell(session, placement, needs)
        beside = ((found.nodeset, None, overhead),) if lots and found.nodeset is not None and overhead else ()
        return replace(found, memory_on=(*lots, *beside))
    # What nothing binds and nobody can see may lie anywhere: counted on a cell it would be a guess.
    counts = found.nodeset is not None or asked is not None
    return found if counts else replace(found, memory=0, other_pages=(), overhead=0)


def _needs(definition: Definition) -> GuestNeeds:
    with contextlib.suppress(InputError):  # a device or a size that only its driver understands
        return definition.needs
    return GuestNeeds()


def _bound_by_cell(
    session: Session, placement: Placement, needs: GuestNeeds
) -> tuple[tuple[CpuSet, int | None, int], ...]:
    """Triples (cells, KiB of a page, KiB): where the memory of each of a guest's cells is bound. Empty where that of
    one is not."""
    found = []
    for number, cell in enumerate(needs.guest_cells):
        for size, kib in cell.with_pages(session.host.page).by_page.items():
            found.append((placement.bound_for(number), size, kib))
    return tuple(found) if all(cells for cells, _size, _kib in found) else ()


def _bound_now(session: Session, live: Definition) -> tuple[tuple[int, int | None, int], ...]:
    """Triples (cell, KiB of a page, KiB) of where a running guest's memory is bound until it ends, whatever its
    definition says."""
    placement, needs = session.driver.decode(live.placement), _needs(live)
    nodeset = Existing.of(live.shape, placement).nodeset
    if not session.driver.numatune or nodeset is None:
        return ()
    lots = _bound_by_cell(session, placement, needs) if placement.memnodes else ()
    sizes = needs.memory_by_page(live.shape.memory, session.host.page).items()
    return tuple(
        (cell, size, -(-kib // len(cells)))
        for cells, size, kib in lots or [(nodeset, *pair) for pair in sizes]
        for cell in cells
    )


def _measured(session: Session, known: Known) -> tuple[tuple[int, int | None, int], ...]:
    """Triples (cell, KiB of a page, KiB) of a running guest's memory; empty where that cannot be seen."""
    if session.xen is not None:
        pages = session.pages or {}
        return tuple(sorted((cell, None, kib) for cell, kib in pages.get(known.domain.id, {}).items() if kib))
    pid = session.pid_of(known.domain) if session.sees_processes else None
    memory = processes.memory(pid) if pid else None
    if memory is None:
        return ()
    found: Counter[tuple[int, int | None]] = Counter({(cell, None): kib for cell, kib in memory.kib})
    for cell, size, kib in memory.large:
        page = session.host.page(size)
        found[cell, None] -= kib
        found[cell, page] += kib
    return tuple((*where, kib) for where, kib in found.items() if kib)


def _real_pins(session: Session, known: Known) -> tuple[tuple[int, CpuSet], ...]:
    maps = known.domain.vcpu_maps()
    everything = session.host.online
    return pins_of({vcpu: cpus for vcpu, cpus in maps.items() if not everything <= cpus})


def asked_of(session: Session, wish: PolicyWish, shape: Shape, needs: GuestNeeds) -> Request:
    if needs.networks and wish.devices != "ignore":
        needs = session.devices.complete(needs)
    asked = request_of(wish, shape, needs, session.host, session.driver)
    # On Xen memory comes from the cells of the pins, so that each of its cells needs a CPU of the guest.
    return asked if session.driver.numatune else replace(asked, binds_early=True)
