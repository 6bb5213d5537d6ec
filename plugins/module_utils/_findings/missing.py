# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest names and the host does not have: CPUs, cells, huge pages.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.numa.virt.plugins.module_utils._elements.element import HostParts
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import asked_parts, fitting, named_parts
from ansible_collections.numa.virt.plugins.module_utils._findings.codes import HOST, INFO, REDEFINE, WARNING
from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Said
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import (
    Finding,
    cells_text,
    cpus_text,
    finding,
    is_are,
)
from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.placement import BINDING_MODES

INTENT, CONFIG, LIVE = "what was asked for", "its definition", "the running guest"


def find_missing(view: View) -> Iterator[Finding]:
    for seen in view.guests:
        named = [(where, said, _named(said)) for where, said in _layers(seen)]
        intent = seen.facts.intent
        asked = [(INTENT, asked_parts(intent))] if intent is not None else []
        yield from _cpus(view, seen, [*((where, parts) for where, _said, parts in named), *asked])
        # Xen stores a numatune and ignores it.
        bound = [
            (where, (parts.cells if view.driver.numatune else EMPTY) | said.shape.memory_cells)
            for where, said, parts in named
        ]
        yield from _cells(view, seen, [*bound, *((where, parts.cells) for where, parts in asked)])
        yield from _pages(view, seen)


def _who(missing: Sequence[tuple[str, CpuSet]]) -> str:
    layers = [where for where, each in missing if each]
    return f"{' and '.join(layers)} name{'s' if len(layers) == 1 else ''}"


def _layers(seen: Seen) -> list[tuple[str, Said]]:
    layers = ((CONFIG, seen.facts.config), (LIVE, seen.facts.live))
    return [(name, said) for name, said in layers if said is not None]


def _cpus(view: View, seen: Seen, named: Sequence[tuple[str, HostParts]]) -> Iterator[Finding]:
    present, online = view.host.present, view.host.online
    missing = [(where, union(parts.stale_on(view.host).cpus)) for where, parts in named]
    cpus = union(each for _where, each in missing)
    if cpus:
        message = f"{_who(missing)} {cpus_text(cpus)}, and the host has {cpus_text(present)}"
        remedy = f"give it other CPUs with numa_domain or vcpu_pin; online are {online}"
        yield finding("cpu_missing", seen.name, message, remedy, cpus=cpus, numbers={"cpus": len(cpus)})
    # Whoever may use all that is online misses nothing.
    sets = [each for _where, parts in named for each in parts.cpus if not online <= each]
    offline = (union(sets) & present) - online
    if not offline:
        return
    lost = [each for each in sets if each & present and not each & online]
    what = "one of its sets has no other" if lost else "its sets have others"
    message = f"{cpus_text(offline)} {is_are(offline)} offline, and {what}"
    remedy = f"bring {cpus_text(offline)} online, or give the guest other CPUs with numa_domain or vcpu_pin"
    yield finding(
        "cpu_offline", seen.name, message, remedy,
        cpus=offline, numbers={"cpus": len(offline)}, severity=None if lost else WARNING, fix=HOST,
    )  # fmt: skip


def _named(said: Said) -> HostParts:
    """By a document, for things that the guest has."""
    cells = frozenset(cell for cell, _binding in said.placement.memnodes)
    return named_parts(fitting(said.placement, said.shape, cells))


def _cells(view: View, seen: Seen, named: Sequence[tuple[str, CpuSet]]) -> Iterator[Finding]:
    missing = [(where, cells - view.host.cell_ids) for where, cells in named]
    cells = union(each for _where, each in missing)
    if cells:
        message = f"{_who(missing)} {cells_text(cells)}, and the host has {cells_text(view.host.cell_ids)}"
        remedy = "give it other cells with numa_domain (cells, memory.cells)"
        yield finding("cell_missing", seen.name, message, remedy, cells=cells, numbers={"cells": len(cells)})


def _pages(view: View, seen: Seen) -> Iterator[Finding]:
    """Pages that are not there at all; of a guest that is to start, too few as well. One that runs has got its own."""
    if not view.driver.numatune or not any(cell.pools for cell in view.host.cells):
        return
    for size, kib in seen.memory_by_page.items():
        if size is not None and kib:
            yield from _pages_of(view, seen, size, kib)


def _pages_of(view: View, seen: Seen, size: int, kib: int) -> Iterator[Finding]:
    binding = seen.said.placement.memory
    held = binding is not None and not binding.automatic and binding.mode in BINDING_MODES
    cells = seen.nodeset if held and seen.nodeset else view.host.cell_ids
    pools = [pool for cell in view.host.cells if cell.id in cells for pool in cell.huge_pools if pool.size == size]
    has = sum(pool.total * pool.size for pool in pools)
    if has >= (kib if not seen.running else 1):
        return
    what = f"huge pages of {size} KiB"
    there = f"{cells_text(cells)} {'has' if len(cells) == 1 else 'have'}" if held else "the host has"
    message = f"it asks for {kib} KiB in {what}, and {there} " + (f"{has} KiB of them" if has else "none")
    remedy = f"reserve {what} on {cells_text(cells)} (virsh allocpages), or take hugepages out of its definition"
    numbers = {"kib": kib, "available_kib": has, "page_kib": size}
    severity = INFO if seen.running else None
    fix = REDEFINE if seen.running else HOST
    yield finding(
        "huge_pages_missing", seen.name, message, remedy, cells=cells, numbers=numbers, severity=severity, fix=fix
    )
