# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shape of an emulated machine: sockets, cores, threads, NUMA cells and their distances. Values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: A cell's distance to itself, fixed by ACPI.
LOCAL_DISTANCE = 10


@dataclass(frozen=True)
class Cell:
    """One NUMA cell: the CPU numbers on it (none for a memory-only cell) and its memory in MiB."""

    cpus: tuple[int, ...]
    memory_mib: int


@dataclass(frozen=True)
class Topology:
    """A whole machine.

    ``distances[i][j]`` is the distance from cell i to cell j, as in an ACPI SLIT. CPU numbers run over threads first,
    then cores, then sockets, so with two threads the siblings are 0-1, 2-3, and so on.
    """

    sockets: int
    cores: int
    threads: int
    cells: tuple[Cell, ...]
    distances: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        numbered = sorted(cpu for cell in self.cells for cpu in cell.cpus)
        if numbered != list(range(self.cpu_count)):
            raise ValueError(f"cells must hold each of the CPUs 0-{self.cpu_count - 1} once, not {numbered}")
        indices = range(len(self.cells))
        if [len(row) for row in self.distances] != [len(self.cells)] * len(indices):
            raise ValueError(f"distances must be a square of {len(self.cells)} rows")
        if any(self.distances[i][i] != LOCAL_DISTANCE for i in indices):
            raise ValueError(f"the distance of a cell to itself is {LOCAL_DISTANCE}")
        if any(self.distances[i][j] != self.distances[j][i] for i in indices for j in indices):
            raise ValueError("distances must be symmetric")

    @property
    def cpu_count(self) -> int:
        """How many CPUs (hardware threads) the machine has."""
        return self.sockets * self.cores * self.threads

    @property
    def memory_mib(self) -> int:
        """All of the machine's memory, in MiB."""
        return sum(cell.memory_mib for cell in self.cells)

    def qemu_arguments(self) -> list[str]:
        """Return the part of a QEMU command line that makes this machine."""
        arguments = [
            "-smp",
            f"{self.cpu_count},sockets={self.sockets},cores={self.cores},threads={self.threads}",
            "-m",
            f"{self.memory_mib}M",
        ]
        for number, cell in enumerate(self.cells):
            arguments += ["-object", f"memory-backend-ram,id=mem{number},size={cell.memory_mib}M"]
            cpus = "".join(f",cpus={first}-{last}" for first, last in _ranges(cell.cpus))
            arguments += ["-numa", f"node,nodeid={number},memdev=mem{number}{cpus}"]
        for source, row in enumerate(self.distances):
            for destination, distance in enumerate(row):
                if source != destination:
                    arguments += ["-numa", f"dist,src={source},dst={destination},val={distance}"]
        return arguments


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the runs of consecutive numbers: ``(0, 1, 4)`` gives ``[(0, 1), (4, 4)]``."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def format_cpu_set(cpus: Iterable[int]) -> str:
    """Return a CPU set as libvirt writes it: ``(0, 1, 4)`` gives ``0-1,4``."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in _ranges(cpus))


def equal_distances(cells: int, remote: int) -> tuple[tuple[int, ...], ...]:
    """Return the distances of cells that are all equally far from each other."""
    return tuple(tuple(LOCAL_DISTANCE if i == j else remote for j in range(cells)) for i in range(cells))
