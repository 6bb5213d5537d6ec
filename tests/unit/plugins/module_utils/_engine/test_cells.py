# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_cell_info, on libvirt's own test driver and on a stand-in for qemu."""

from __future__ import annotations

import re

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import Hypervisor


def device(cell, slot):
    """A node device document of libvirt."""
    numa = f"<numa node='{cell}'/>" if cell is not None else ""
    return f"""<device><name>pci_0000_3b_{slot:02x}_0</name><capability type='pci'>
    <domain>0</domain><bus>59</bus><slot>{slot}</slot><function>0</function>
    <product id='0x1592'>E810-C</product><vendor id='0x8086'>Intel Corporation</vendor>{numa}</capability></device>"""


def test_the_cells_of_the_test_driver(testdriver):
    info = testdriver.cells()
    assert info["uri"] == "test:///default"
    assert info["driver"] == "test"
    assert (info["cpu_count"], info["online_cpus"], info["offline_cpus"]) == (16, "0-15", "")
    assert [(cell["id"], cell["cpuset"], cell["cpus"]) for cell in info["cells"]] == [
        (0, "0-7", [0, 1, 2, 3, 4, 5, 6, 7]),
        (1, "8-15", [8, 9, 10, 11, 12, 13, 14, 15]),
    ]
    assert {cell["memory"]["free"] for cell in info["cells"]} == {None}
    assert not info["implied_cell"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", info["libvirt_version"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", info["hypervisor_version"])


def test_what_is_assumed_is_noted(testdriver, qemu):
    info = testdriver.cells()
    if not info["distances_reported"]:
        assert info["notes"] == ["the driver reports no distances: 10 local and 20 remote are assumed"]
        assert info["cells"][0]["distances"] == {"0": 10, "1": 20}
    else:
        assert info["notes"] == []
    assert (qemu.cells()["distances_reported"], qemu.cells()["notes"]) == (True, [])


def test_a_host_without_cells_has_one(qemu, monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor.capabilities",
        lambda kind: (
            f"<capabilities><host/><guest><arch name='x'><domain type='{kind}'/></arch></guest></capabilities>"
        ),
    )
    qemu.offline = CpuSet([5])
    info = qemu.cells()
    assert info["implied_cell"]
    assert info["notes"] == ["the host reports no cells: cell 0 stands for all of it"]
    assert [(cell["id"], cell["cpuset"], cell["distances"]) for cell in info["cells"]] == [(0, "0-4,6-7", {"0": 10})]
    assert (info["cpu_count"], info["offline_cpus"]) == (8, "5")


def test_free_memory_and_offline_cpus(qemu):
    qemu.offline = CpuSet([2, 3])
    info = qemu.cells()
    assert [cell["memory"] for cell in info["cells"]] == [
        {"total": 524288, "free": 400000 + number} for number in range(4)
    ]
    assert info["cells"][1]["cpus"] == []
    assert (info["cpu_count"], info["online_cpus"], info["offline_cpus"]) == (8, "0-1,4-7", "2-3")
    assert info["cells"][0]["distances"] == {"0": 10, "1": 21, "2": 21, "3": 21}


def test_devices_are_on_their_cells(qemu):
    qemu.devices = (device(1, 2), device(1, 1), device(3, 0), device(None, 9))
    cells = qemu.cells()["cells"]
    assert [[each["address"] for each in cell["devices"]] for cell in cells] == [
        [], ["0000:3b:01.0", "0000:3b:02.0"], [], ["0000:3b:00.0"],
    ]  # fmt: skip
    assert cells[3]["devices"][0] == {
        "name": "pci_0000_3b_00_0",
        "address": "0000:3b:00.0",
        "label": "Intel Corporation E810-C",
    }
    calls = qemu.calls
    assert all(cell["devices"] == [] for cell in qemu.cells(devices=False)["cells"])
    assert qemu.calls < calls


def test_what_the_kernel_was_told(qemu, far_qemu, testdriver, kernel_files, tmp_path_factory):
    xen = Hypervisor(tmp_path_factory.mktemp("xen"), "xen")
    names = ("isolated_cpus", "nohz_full_cpus", "other_slices")

    def told(host):
        return tuple(host.cells()[name] for name in names)

    assert told(qemu) == ("", "", [])
    kernel_files(
        cpu__isolated="6-7",
        cpu__nohz_full="(null)",
        **{
            "cgroup__dpdk.slice__cpuset.cpus.partition": "root",
            "cgroup__dpdk.slice__cpuset.cpus.exclusive.effective": "2",
        },
    )
    assert told(qemu) == ("6-7", "", [{"name": "dpdk.slice", "cpuset": "2"}])
    # What this machine's kernel says is nothing to a hypervisor elsewhere, nor to Xen's guests.
    assert told(far_qemu) == told(xen) == told(testdriver) == (None, None, [])
