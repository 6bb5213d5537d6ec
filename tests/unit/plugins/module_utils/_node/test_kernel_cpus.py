# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""isolcpus, nohz_full and partitions, from files as kernels write them."""

from __future__ import annotations

import os

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node import kernel_cpus as node
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import KernelCpus, Partition


@pytest.fixture
def read(tmp_path):
    """Write files below one folder, and read them: ``{"cpu/isolated": "4-7"}``."""

    def write(texts):
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n", encoding="utf-8")
        return node.kernel_cpus(str(tmp_path / "cpu"), str(tmp_path / "cgroup"))

    return write


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def partition(name: str, kind: str, cpus: str, exclusive: str | None = None) -> dict[str, str]:
    found = {f"cgroup/{name}/cpuset.cpus.partition": kind, f"cgroup/{name}/cpuset.cpus.effective": cpus}
    if exclusive is not None:
        found[f"cgroup/{name}/cpuset.cpus.exclusive.effective"] = exclusive
    return found


def test_what_the_kernel_was_started_with(read) -> None:
    assert read({"cpu/isolated": "2-3,8", "cpu/nohz_full": "2-3"}) == KernelCpus(cpus("2-3,8"), cpus("2-3"))


@pytest.mark.parametrize("text", ["", "(null)", "0-", "x" * 100_000])
def test_a_file_that_names_no_cpu(read, text) -> None:
    assert read({"cpu/isolated": text, "cpu/nohz_full": text}) == KernelCpus()


def test_a_machine_without_any_of_it(read) -> None:
    assert read({}) == KernelCpus()


def test_what_is_no_file_is_not_waited_for(read, tmp_path) -> None:
    (tmp_path / "cpu").mkdir()
    os.mkfifo(tmp_path / "cpu" / "isolated")
    (tmp_path / "cpu" / "nohz_full").mkdir()
    assert read({}) == KernelCpus()


def test_slices_that_have_cpus_for_themselves(read) -> None:
    found = read(
        {
            **partition("system.slice", "member", "0-7"),
            **partition("rt.slice", "isolated", "6-7", "6-7"),
            **partition("dpdk.slice", "root", "2", "2-3"),
            **partition("old.slice", "root", "4"),
            **partition("bad.slice", "root invalid (Cpu list in cpuset.cpus not exclusive)", "5", "5"),
            **partition("none.slice", "root", ""),
            "cgroup/cpuset.cpus.isolated": "6-7",
            "cgroup/cgroup.controllers": "cpuset cpu memory",
        }
    )
    assert found.partitions == (
        Partition("dpdk.slice", cpus("2-3")),
        Partition("old.slice", cpus("4")),
        Partition("rt.slice", cpus("6-7")),
    )
    assert found.isolated == EMPTY


def test_newer_kernels_tell_of_isolated_partitions_with_isolcpus(read) -> None:
    found = read(
        {"cpu/isolated": "4-7", **partition("rt.slice", "isolated", "6-7"), "cgroup/cpuset.cpus.isolated": "4-7"}
    )
    assert (found.isolated, found.partitions) == (cpus("4-5"), (Partition("rt.slice", cpus("6-7")),))


def test_the_slice_of_guests_holds_nothing_back(read) -> None:
    found = read({**partition("machine.slice", "isolated", "4-7", "4-7"), "cgroup/cpuset.cpus.isolated": "4-7"})
    assert found == KernelCpus(cpus("4-7"))
    assert read({**partition("machine.slice", "root", "4-7", "4-7"), "cgroup/cpuset.cpus.isolated": ""}) == KernelCpus()


def test_a_partition_that_lies_deeper_has_no_name(read) -> None:
    assert read({"cgroup/cpuset.cpus.isolated": "3", "cgroup/a.slice/cpuset.cpus.partition": "member"}) == KernelCpus(
        partitions=(Partition("", cpus("3")),)
    )


def test_no_more_groups_are_looked_at_than_a_host_can_have(read, monkeypatch) -> None:
    monkeypatch.setattr(node, "_MOST_GROUPS", 2)
    found = read({key: text for name in "abm" for key, text in partition(f"{name}.slice", "root", "1").items()})
    assert [each.name for each in found.partitions] == ["a.slice", "b.slice"]
    found = read(partition("machine.slice", "isolated", "2"))
    assert found.isolated == cpus("2")


def test_this_machine_can_be_read() -> None:
    assert isinstance(node.kernel_cpus(), KernelCpus)
