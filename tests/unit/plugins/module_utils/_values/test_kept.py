# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of a host that vCPUs were given by number, beside where those run. Caches 0 and 1 serve CPUs 0-3 and 4-7."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.kept import BANDWIDTH, CACHE, Away, Kept, away
from ansible_collections.numa.virt.plugins.module_utils._values.topology import BandwidthNode, CacheBank, Cell, Host

LOW, HIGH, ALL = CpuSet(range(4)), CpuSet(range(4, 8)), CpuSet(range(8))
HOST = Host(
    "qemu", (Cell(0, ALL, 1),), ALL, ALL,
    caches=(
        CacheBank(0, 3, "both", 32768, LOW), CacheBank(1, 3, "both", 32768, HIGH),
        CacheBank(0, 2, "code", 512, CpuSet([0])), CacheBank(0, 2, "data", 512, CpuSet([1])),
    ),
    bandwidth=(BandwidthNode(0, LOW), BandwidthNode(1, HIGH)),
)  # fmt: skip


def cache(number: int, vcpus: str = "0-1", level: int = 3) -> Kept:
    return Kept("a", CACHE, CpuSet.parse(vcpus), number, level)


def found(*kept: Kept, host: Host = HOST, **sets: str | None) -> list[Away]:
    """``v0="0-3"`` are the CPUs of vCPU 0, None for every one."""
    return away(
        kept, host, {int(name[1:]): None if text is None else CpuSet.parse(text) for name, text in sets.items()}
    )


def test_one_that_none_of_its_vcpus_can_use() -> None:
    (one,) = found(cache(0), v0="4", v1="5")
    assert (one.serves, one.near, one.others) == (LOW, CpuSet([1]), False)
    assert str(one) == "a is about level 3 cache 0, which serves CPUs 0-3, and vCPUs 0-1 run on CPUs 4-5"
    assert one.mend == "give 1 as its id, or take it out of its definition (virsh edit)"
    assert found(cache(0), v0="4", v1="3") == found(cache(1), v0="4", v1="3") == []
    assert found(cache(0), v0=None, v1="5") == []


def test_one_that_is_not_there() -> None:
    (one,) = found(cache(7, "1"), v1="5")
    assert str(one) == "a is about level 3 cache 7, which is not there, and vCPU 1 runs on CPU 5"
    assert found(cache(7), v0=None, v1=None)[0].near == CpuSet([0, 1])


def test_those_of_one_level_and_number_are_looked_at_together() -> None:
    assert found(cache(0, level=2), v0="0", v1="5") == found(cache(0, level=2), v0="1", v1="5") == []
    (one,) = found(cache(0, level=2), v0="4", v1="5")
    assert one.near == CpuSet() and one.mend == "take it out of its definition (virsh edit)"


def test_bandwidth() -> None:
    (one,) = found(Kept("a", BANDWIDTH, CpuSet([0]), 0), v0="4-7")
    assert str(one) == "a is about memory bandwidth of node 0, which serves CPUs 0-3, and vCPU 0 runs on CPUs 4-7"


def test_another_one_of_the_same_vcpus_serves_them() -> None:
    (one,) = found(cache(0), cache(1), v0="4", v1="5")
    assert one.kept.id == 0 and one.others and one.mend.startswith("take it out")
    assert not found(cache(0), cache(1, "0"), v0="4", v1="5")[0].others


def test_what_nobody_knows() -> None:
    assert found(cache(0), host=replace(HOST, caches=()), v0="4") == []
    assert found(cache(0, level=4), v0="4") == []
    # Whom a cache serves that names no CPUs.
    assert (
        found(cache(5), host=replace(HOST, caches=(*HOST.caches, CacheBank(5, 3, "both", 1, CpuSet()))), v0="4") == []
    )
    assert found(Kept("a", BANDWIDTH, CpuSet([0]), 0), host=replace(HOST, bandwidth=()), v0="4") == []
    assert found(cache(0), v7="4") == []
    assert found(cache(0), host=replace(HOST, online=LOW), v0="4", v1="5") == []
