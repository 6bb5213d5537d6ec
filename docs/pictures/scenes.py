# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The small hosts and guests of the guide "Choosing a policy": what is on a host, and not what is asked for.

What is asked for stands in the guide itself, as inventory and as a task, and is read from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import CacheBank, Cell, Core, Host

GIB = 1 << 20  # KiB


@dataclass(frozen=True)
class Scene:
    """One example. ``role`` is the one whose variables the guide shows; ``after`` names the example before it.

    ``guests`` are definitions that are on the host: name -> (vCPUs, GiB); ``others`` those that nobody manages here.
    ``shows`` are the keys of the result that the guide prints, ``only`` the guests where not all; ``picture`` says
    whether it has one.
    """

    name: str
    role: str
    host: Host
    guests: Mapping[str, tuple[int, int]]
    after: str | None = None
    others: Sequence[Existing] = ()
    shows: Sequence[str] = ("placements",)
    only: Sequence[str] = ()
    picture: bool = False
    shapes: Mapping[str, Shape] = field(init=False)

    def __post_init__(self) -> None:
        shapes = {
            name: Shape(name, None, "kvm", vcpus, (), memory * GIB) for name, (vcpus, memory) in self.guests.items()
        }
        object.__setattr__(self, "shapes", shapes)


def host_of(sockets: int, cells: int, cores: int, memory: int, near: int, far: int) -> Host:
    """``cells`` of each socket, ``cores`` of two threads of each cell, ``memory`` GiB of each cell; distances within a
    socket and beyond. Siblings have neighbouring numbers."""
    found: list[Cell] = []
    number = 0
    for cell in range(sockets * cells):
        pairs = [CpuSet([first, first + 1]) for first in range(number, number + 2 * cores, 2)]
        own = [Core(cell // cells, 0, core, pair) for core, pair in enumerate(pairs)]
        distances = [
            (other, 10 if other == cell else near if other // cells == cell // cells else far)
            for other in range(sockets * cells)
        ]
        cpus = CpuSet(range(number, number + 2 * cores))
        found.append(Cell(cell, cpus, memory * GIB, memory * GIB, tuple(own), (), tuple(distances)))
        number += 2 * cores
    everything = CpuSet(range(number))
    return Host("qemu", tuple(found), everything, everything)


HV1 = host_of(sockets=2, cells=1, cores=4, memory=16, near=12, far=20)
HV2 = host_of(sockets=2, cells=2, cores=2, memory=8, near=12, far=20)
_L3 = tuple(CacheBank(at, 3, "both", 32 * 1024, CpuSet(range(8 * at, 8 * at + 8))) for at in (0, 1))
HV3 = replace(host_of(sockets=1, cells=1, cores=8, memory=32, near=12, far=20), caches=_L3)

_WEBS = {f"web{number}": (4, 3) for number in (1, 2, 3, 4)}
_MAIL = Existing("mail", (CpuSet.parse("4-7"),) * 2, 2 * GIB, nodeset=CpuSet([1]))

SCENES = (
    Scene("pack", "pack", HV1, _WEBS, only=("web1",), picture=True),
    Scene("pack-later", "pack", HV1, {"batch": (8, 12)}, after="pack"),
    Scene("spread", "spread", HV1, _WEBS, only=("web1", "web2"), picture=True),
    Scene("spread-later", "pack", HV1, {"batch": (8, 12)}, after="spread"),
    Scene("smt", "dedicated", HV1, {"db1": (3, 4), "db2": (3, 4), "db3": (3, 4)}, picture=True),
    Scene("caches", "dedicated", HV3, {"db1": (6, 8), "db2": (6, 8), "app1": (4, 4)}, picture=True),
    Scene("emulator", "dedicated", HV1, {"app1": (2, 4), "app2": (2, 4), "app3": (2, 4)}, picture=True),
    Scene("mirror", "mirror", HV2, {"warehouse": (8, 12)}, others=[_MAIL], picture=True),
    Scene("no-room", "pack", HV1, {"batch": (8, 8)}, after="spread", shows=("rejections",)),
    Scene(
        *("rebalance", "rebalance", HV1, {**_WEBS, "batch": (8, 8)}),
        after="spread",
        shows=("moves", "placements"),
        only=("batch", "web1", "web2"),
        picture=True,
    ),
    Scene("pair", "dedicated", HV1, {"db1": (4, 8), "db2": (4, 8)}),
    Scene(
        *("rejected", "pack", HV1, {"db3": (2, 4), "lake": (4, 20), "grid": (6, 2), "small": (2, 2)}),
        after="pair",
        shows=("placements", "rejections", "vcpus"),
    ),
)
