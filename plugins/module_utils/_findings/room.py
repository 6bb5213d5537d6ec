# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On which single cell a guest would fit, by an account that only errs towards "nowhere".

Each other guest weighs with all of its vCPUs and all of its memory on every cell where it may be; what the planner
would have to sort out counts as full.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._findings.view import Seen, View, helper_sets, placed_by
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    UNIT,
    bits,
    count,
    either,
    weight,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet


@dataclass(frozen=True)
class _Share:
    """What one guest takes at most: ``cells`` where its vCPUs may run, ``load`` there in 1/UNIT CPU, ``used`` CPUs of
    all its threads, and for each pool and cell index the memory that may lie there, in units of the pool."""

    cells: int
    load: int
    used: int
    memory: dict[tuple[int, int], int]


class Room:
    """What is left of each cell for one guest, with all others there."""

    def __init__(self, view: View) -> None:
        self.view = view
        capacity = view.capacity
        cells = len(capacity.ids)
        self._load = [0] * cells
        self._memory = [[0] * cells for _pool in capacity.memory]
        self._once = self._twice = 0
        self._shares: dict[str, _Share] = {}
        for seen in view.guests:
            share = self._shares[seen.name] = self._share(seen)
            self._twice |= self._once & share.used
            self._once |= share.used
            for cell in bits(share.cells):
                self._load[cell] += share.load
            for (pool, cell), amount in share.memory.items():
                self._memory[pool][cell] += amount
        self.device_cells = view.host.device_cells

    def fitting(self, seen: Seen) -> CpuSet:
        """The cells of which each could hold the guest."""
        capacity, share = self.view.capacity, self._shares[seen.name]
        if any(size is not None and size not in capacity.sizes for size in seen.memory_by_page):
            return EMPTY
        devices = {self.device_cells[each] for each in seen.said.needs.devices if each in self.device_cells}
        if seen.wish is not None and seen.wish.device_rule == "ignore":
            devices = set()
        if len(devices) > 1:
            return EMPTY
        allowed = seen.wish.cells if seen.wish is not None else None
        found, needs = [], capacity.in_pools(self.view.taken(seen).items())
        for cell, cell_id in enumerate(capacity.ids):
            if (devices and cell_id not in devices) or (allowed is not None and cell_id not in allowed):
                continue
            if allowed is None and not capacity.open >> cell & 1:
                continue
            if self._cpus_fit(seen, share, cell) and self._memory_fits(seen, share, cell, needs):
                found.append(cell_id)
        return CpuSet(found)

    def _share(self, seen: Seen) -> _Share:
        capacity = self.view.capacity
        held = not seen.free and not seen.unknown
        used = seen.owned
        kept = seen.reach if held else seen.reach_of(seen.held if not seen.unknown else ())
        used |= kept
        for _who, cpus in helper_sets(seen.said):
            mask = cpus.mask & capacity.all_online
            used |= mask if capacity.all_online & ~mask else 0
        later = self._later(seen)
        cells = capacity.cells_of(later if seen.owned else kept | later)
        return _Share(cells, self._weight(seen), used, self._memory_of(seen, held))

    def _later(self, seen: Seen) -> int:
        """The CPUs that a running guest is held to when it starts anew."""
        config = seen.facts.config
        if not seen.running or config is None:
            return 0
        sets = (placed_by(self.view.driver, config, vcpu) for vcpu in config.shape.present)
        mask = either(cpus.mask for cpus in sets if cpus is not None)
        return mask if self.view.host.online.mask & ~mask else 0

    def _weight(self, seen: Seen) -> int:
        ratio = seen.wish.cpu_ratio if seen.wish is not None else None
        return weight(len(seen.present), ratio if ratio is not None else self.view.capacity.rules.cpu_ratio)

    def _memory_of(self, seen: Seen, held: bool) -> dict[tuple[int, int], int]:
        capacity = self.view.capacity
        needs = capacity.in_pools(self.view.taken(seen).items())
        if self.view.driver.numatune and seen.nodeset:
            cells = capacity.indices(seen.nodeset)
        elif seen.memory_on is not None:
            index = capacity.index
            there = [(index[cell], kib) for cell, kib in seen.memory_on.items() if kib and cell in index]
            own = capacity.in_pools(seen.memory_by_page.items())
            return {(pool, cell): capacity.amount(pool, kib) for pool, _amount in own for cell, kib in there}
        else:
            cells = capacity.cells_of(seen.reach) if held else 0
        return {(pool, cell): amount for pool, amount in needs for cell in bits(cells)}

    def _cpus_fit(self, seen: Seen, share: _Share, cell: int) -> bool:
        capacity = self.view.capacity
        pool = seen.host.online.mask
        if not seen.dedicated:
            open_cpus = count(capacity.shared[cell] & pool & ~self.view.all_owned)
            mine = share.load if share.cells >> cell & 1 else 0
            return UNIT * open_cpus - (self._load[cell] - mine) >= share.load
        others = self._twice | (self._once & ~share.used)
        for _who, cpus in helper_sets(seen.said):
            others |= 0 if cpus.mask & seen.dedicated else cpus.mask  # it stays there
        free = capacity.own[cell] & pool & ~others
        need = count(seen.dedicated)
        smt, caches = "prefer", [capacity.online[cell]]
        if seen.wish is not None:
            smt = seen.wish.smt
            if seen.wish.cache == "require":
                caches = capacity.caches[cell][: capacity.named_caches[cell]]
        if smt == "prefer":
            return any(count(free & cache) >= need for cache in caches)
        threads = capacity.threads[cell]
        whole = [core for core in capacity.cores[cell] if not core & ~free and count(core) == threads]
        each = 1 if smt == "isolate" else threads
        return any(each * sum(1 for core in whole if core & cache) >= need for cache in caches)

    def _memory_fits(self, seen: Seen, share: _Share, cell: int, needs: Iterable[tuple[int, int]]) -> bool:
        """By what was promised, and by what is really free. ``needs`` are pairs (pool, amount)."""
        capacity = self.view.capacity
        there = capacity.cells[cell]
        # Of several sizes nobody says what lies there.
        lies = (seen.memory_on or {}).get(there.id, 0) if len(seen.memory_by_page) == 1 else 0
        for pool, need in needs:
            others = self._memory[pool][cell] - share.memory.get((pool, cell), 0)
            if capacity.memory[pool][cell] - others < need:
                return False
            own, size = capacity.amount(pool, lies), capacity.page_size(pool)
            frees = [each.free for each in there.huge_pools if each.size == size] if pool else [there.free]
            if any(free is not None and free + own < need for free in frees):
                return False
        return True
