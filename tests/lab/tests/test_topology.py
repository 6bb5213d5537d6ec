# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The emulated machine's shape, and the QEMU arguments that make it."""

from __future__ import annotations

import pytest
from numalab.hosts import HOSTS
from numalab.topology import Cell, Topology, equal_distances, format_cpu_set


def pairs(arguments: list[str], option: str) -> list[str]:
    """Return the values of every occurrence of an option."""
    return [value for name, value in zip(arguments, arguments[1:]) if name == option]


def test_kvm_host_is_a_square_of_four_cells() -> None:
    arguments = HOSTS["kvm"].topology.qemu_arguments()
    assert pairs(arguments, "-smp") == ["8,sockets=4,cores=2,threads=1"]
    assert pairs(arguments, "-m") == ["2048M"]
    assert pairs(arguments, "-object") == [f"memory-backend-ram,id=mem{n},size=512M" for n in range(4)]
    numa = pairs(arguments, "-numa")
    assert numa[:4] == [f"node,nodeid={n},memdev=mem{n},cpus={2 * n}-{2 * n + 1}" for n in range(4)]
    assert set(numa[4:]) == {
        f"dist,src={source},dst={destination},val={distance}"
        for near, distance in (((0, 1), 12), ((2, 3), 12), ((0, 2), 21), ((1, 3), 21), ((0, 3), 31), ((1, 2), 31))
        for source, destination in (near, near[::-1])
    }


def test_smt_host_has_two_threads_a_core() -> None:
    topology = HOSTS["smt"].topology
    assert pairs(topology.qemu_arguments(), "-smp") == ["8,sockets=2,cores=2,threads=2"]
    assert [cell.cpus for cell in topology.cells] == [(0, 1, 2, 3), (4, 5, 6, 7)]


def test_a_memory_only_cell_gets_no_cpus() -> None:
    assert "node,nodeid=2,memdev=mem2" in pairs(HOSTS["memonly"].topology.qemu_arguments(), "-numa")


def test_scattered_cpus_are_given_run_by_run() -> None:
    topology = Topology(1, 4, 1, (Cell((0, 1, 3), 64), Cell((2,), 64)), equal_distances(2, 20))
    numa = pairs(topology.qemu_arguments(), "-numa")
    assert numa[:2] == ["node,nodeid=0,memdev=mem0,cpus=0-1,cpus=3-3", "node,nodeid=1,memdev=mem1,cpus=2-2"]


@pytest.mark.parametrize(
    ("cells", "distances", "message"),
    [
        ((Cell((0,), 64), Cell((0,), 64)), equal_distances(2, 20), "each of the CPUs 0-1 once"),
        ((Cell((0,), 64),), equal_distances(1, 20), "each of the CPUs 0-1 once"),
        ((Cell((0,), 64), Cell((1,), 64)), ((10, 20),), "square of 2 rows"),
        ((Cell((0,), 64), Cell((1,), 64)), ((10, 20), (20, 11)), "to itself is 10"),
        ((Cell((0,), 64), Cell((1,), 64)), ((10, 20), (21, 10)), "symmetric"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(
    cells: tuple[Cell, ...], distances: tuple[tuple[int, ...], ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Topology(2, 1, 1, cells, distances)


@pytest.mark.parametrize(("cpus", "text"), [((), ""), ((3,), "3"), ((0, 1), "0-1"), ((6, 0, 1, 2, 4), "0-2,4,6")])
def test_cpu_sets_are_written_as_libvirt_writes_them(cpus: tuple[int, ...], text: str) -> None:
    assert format_cpu_set(cpus) == text
