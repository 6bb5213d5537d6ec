# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order the guests of one plan are moved, and who is not moved because another has not left.

Whoever leaves CPUs or memory comes before whoever gets them. A guest that has failed, or that follows only after a
restart, still has what it should leave: nobody who was to get that is moved in this run, nor who waits for him in turn.
This file must not import ansible or libvirt, and must not touch a guest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union

# (cell, KiB of a huge page), None for ordinary memory.
Pool = tuple[int, "int | None"]

FAILED = "which failed"
NOT_MOVED = "which was not moved itself"
AFTER_RESTART = "which leaves them only when it is restarted"
IN_A_CIRCLE = "which waits for it in turn"


@dataclass(frozen=True)
class Move:
    """What one guest of a plan has before and after, in CPUs and in KiB by pool.

    ``before``: CPUs that it may run on, or would when it is started; empty where it is kept off none. ``before_own``:
    CPUs that nobody else may use. ``after`` and ``after_own``: the same of its new place. ``new``: what of ``after`` it
    does not run on yet. ``memory_stays``: its memory moves only when it is restarted. ``runs``: it runs now.
    ``anywhere``: it may run on every CPU now.
    """

    name: str
    before: CpuSet = EMPTY
    before_own: CpuSet = EMPTY
    after: CpuSet = EMPTY
    after_own: CpuSet = EMPTY
    new: CpuSet = EMPTY
    memory_before: Mapping[Pool, int] = field(default_factory=dict)
    memory_after: Mapping[Pool, int] = field(default_factory=dict)
    memory_stays: bool = False
    runs: bool = False
    anywhere: bool = False

    @cached_property
    def left(self) -> CpuSet:
        """CPUs that it leaves."""
        return self.before - self.after

    @cached_property
    def own_left(self) -> CpuSet:
        """CPUs of its own that it gives up."""
        return self.before_own - self.after_own

    @cached_property
    def frees_memory(self) -> bool:
        return any(self.frees(pool) for pool in self.memory_before)

    @cached_property
    def gets_memory(self) -> bool:
        return any(self.gets(pool) for pool in self.memory_after)

    @cached_property
    def newly_own(self) -> CpuSet:
        """CPUs that become its own."""
        return self.after_own - (self.before_own if self.runs else EMPTY)

    def cpus_from(self, other: Move) -> CpuSet:
        """CPUs that it gets once the other has left them: of its own, or those that were the other's own."""
        return (self.newly_own & other.left) | (self.new & other.own_left)

    def gets(self, pool: Pool) -> int:
        """KiB that it takes now."""
        if self.memory_stays:
            return 0
        return max(0, self.memory_after.get(pool, 0) - self.memory_before.get(pool, 0))

    def frees(self, pool: Pool) -> int:
        """KiB that it leaves, be it later."""
        return max(0, self.memory_before.get(pool, 0) - self.memory_after.get(pool, 0))


@dataclass(frozen=True)
class Wait:
    """One thing that a guest waits for in vain: who has it, what it is, and why it was not left."""

    name: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} of {self.name!r}, {self.why}"


@dataclass
class _Kept:
    """Somebody who still has what it should leave."""

    move: Move
    why: str
    cpus: CpuSet
    memory: bool


class Order:
    """The guests that are still to be moved. ``room``: KiB that each pool has left before the first one moves."""

    def __init__(self, moves: Iterable[Move], room: Mapping[Pool, int]) -> None:
        # Who may run on every CPU is in everybody's way.
        ordered = sorted(moves, key=lambda move: (not move.anywhere, move.name))
        self._waiting = {move.name: move for move in ordered}
        self._leaving = {move.name: move for move in ordered if move.left or move.own_left or move.frees_memory}
        left = union(move.left for move in ordered)
        own_left = union(move.own_left for move in ordered)
        # Whoever gets nothing that anybody leaves waits for nobody, whatever comes: mostly that is everybody.
        self._after_cpus = {move.name for move in ordered if move.newly_own & left or move.new & own_left}
        self._wanting = {move.name: move for move in ordered if move.name in self._after_cpus or move.gets_memory}
        self._room = dict(room)
        self._kept: list[_Kept] = []

    @property
    def left_over(self) -> Iterable[str]:
        """Who has not had its turn."""
        return self._waiting

    def take(self) -> tuple[str, tuple[Wait, ...]] | None:
        """The next guest, and what it waits for in vain: nothing where it is its turn. None when all had theirs.

        Whoever was taken with nothing to wait for must be told of with left() or failed() before the next one.
        """
        # Nobody waits in vain before somebody has kept something.
        for move in self._wanting.values() if self._kept else ():
            waits = self._in_vain(move)
            if waits:
                return self._not_moved(move, waits)
        for only_running in (False, True):
            for move in self._waiting.values():
                # A guest that does not run is on no CPU: where all wait for each other, it is passed over.
                if not self._waits_for(move, only_running):
                    self._has_its_turn(move)
                    return move.name, ()
        for move in self._waiting.values():
            return self._not_moved(move, tuple(self._waits_for(move, True)))
        return None

    def left(self, move: Move, cpus: CpuSet = EMPTY) -> None:
        """It was moved. ``cpus``: what of its old place it leaves only when it is restarted."""
        if not move.memory_stays:
            for pool in {*move.memory_before, *move.memory_after}:
                self._room[pool] = self._room.get(pool, 0) + move.frees(pool) - move.gets(pool)
        if cpus or (move.memory_stays and move.frees_memory):
            self._kept.append(_Kept(move, AFTER_RESTART, cpus, move.memory_stays))

    def failed(self, move: Move) -> None:
        self._kept.append(_Kept(move, FAILED, move.before, True))

    def _has_its_turn(self, move: Move) -> None:
        for moves in (self._waiting, self._leaving, self._wanting):
            moves.pop(move.name, None)

    def _not_moved(self, move: Move, waits: tuple[Wait, ...]) -> tuple[str, tuple[Wait, ...]]:
        self._has_its_turn(move)
        self._kept.append(_Kept(move, NOT_MOVED, move.before, True))
        return move.name, waits

    def _in_vain(self, move: Move) -> tuple[Wait, ...]:
        """What it waits for that nobody leaves any more in this run."""
        found = []
        for kept in self._kept if move.name in self._after_cpus else ():
            cpus = move.cpus_from(kept.move) & kept.cpus
            if cpus:
                found.append(Wait(kept.move.name, f"CPUs {cpus}", kept.why))
        for pool in self._short(move):
            if any(each is not move and each.frees(pool) and not each.memory_stays for each in self._leaving.values()):
                continue
            found += [
                Wait(kept.move.name, _memory(pool), kept.why)
                for kept in self._kept
                if kept.memory and kept.move.frees(pool)
            ]
        return tuple(found)

    def _waits_for(self, move: Move, only_running: bool) -> list[Wait]:
        """What others will leave that have not had their turn."""
        found = []
        if move.name not in self._wanting:
            return []
        short = self._short(move)
        if move.name not in self._after_cpus and not short:
            return []
        for other in self._leaving.values():
            if other is move or (only_running and not other.runs):
                continue
            cpus = move.cpus_from(other)
            if cpus:
                found.append(Wait(other.name, f"CPUs {cpus}", IN_A_CIRCLE))
            found += [Wait(other.name, _memory(pool), IN_A_CIRCLE) for pool in short if other.frees(pool)]
        return found

    def _short(self, move: Move) -> list[Pool]:
        """The pools that do not have yet what it gets there."""
        return [pool for pool in move.memory_after if move.gets(pool) > self._room.get(pool, 0) and move.gets(pool)]


def _memory(pool: Pool) -> str:
    cell, page = pool
    return f"memory of cell {cell}" if page is None else f"pages of {page} KiB of cell {cell}"
