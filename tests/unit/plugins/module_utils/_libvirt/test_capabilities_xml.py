# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents in fixtures/capabilities are written as libvirt 9 to 11 print them; test-driver.xml is a recording."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("lxml.etree", reason="needs lxml to read documents")

from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError
from ansible_collections.numa.virt.plugins.module_utils._libvirt.capabilities_xml import (
    kib,
    parse_device_part,
    parse_host,
    parse_pci_device,
    parse_pool,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.devices import Behind
from ansible_collections.numa.virt.plugins.module_utils._values.topology import (
    BandwidthNode,
    CacheBank,
    Cell,
    Device,
    Host,
    PagePool,
)

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"


def document(name: str) -> str:
    return (FIXTURES / "capabilities" / f"{name}.xml").read_text(encoding="utf-8")


def host(name: str, cpu_map: str | None = None) -> Host:
    """``cpu_map`` is written as 1 for online and 0 for offline."""
    return parse_host(document(name), None if cpu_map is None else tuple(digit == "1" for digit in cpu_map))


def cpusets(found: Host) -> dict[int, str]:
    return {cell.id: str(cell.cpus) for cell in found.cells}


def cores(cell: Cell) -> list[str]:
    return [str(core.cpus) for core in cell.cores]


def distances(found: Host) -> list[list[int]]:
    return [[value for _cell, value in cell.distances] for cell in found.cells]


def test_test_driver() -> None:
    found = host("test-driver")
    assert found.driver == "test"
    assert cpusets(found) == {0: "0-7", 1: "8-15"}
    assert [cell.memory for cell in found.cells] == [2097152, 4194304]
    assert found.present == found.online == CpuSet.parse("0-15")
    assert cores(found.cells[1]) == [str(cpu) for cpu in range(8, 16)]
    assert {core.socket for core in found.cells[1].cores} == {1}
    assert not found.implied_cell
    # It reports no distances: the usual ones stand in.
    assert not found.distances_reported
    assert distances(found) == [[10, 20], [20, 10]]
    # Its second cell has pages of 8 KiB where others have 4.
    assert [pool.size for pool in found.cells[1].pools] == [8, 2048, 1048576]
    assert [pool.size for pool in found.cells[1].huge_pools] == [2048, 1048576]


def test_intel_with_two_sockets_and_siblings() -> None:
    found = host("intel-2-sockets-smt", "1" * 16)
    assert found.driver == "qemu"
    assert cpusets(found) == {0: "0,2,4,6,8,10,12,14", 1: "1,3,5,7,9,11,13,15"}
    assert cores(found.cells[0]) == ["0,8", "2,10", "4,12", "6,14"]
    assert [(core.socket, core.core) for core in found.cells[1].cores] == [(1, 0), (1, 2), (1, 9), (1, 11)]
    assert found.distances_reported
    assert distances(found) == [[10, 21], [21, 10]]
    assert found.cells[0].memory == 65776888
    assert found.cells[0].huge_pools == (PagePool(2048, 4096), PagePool(1048576, 0))
    assert found.cells[0].free is None


def test_amd_with_eight_cells() -> None:
    found = host("amd-8-cells")
    assert len(found.cells) == 8
    assert cpusets(found)[5] == "10-11,26-27"
    assert cores(found.cells[5]) == ["10,26", "11,27"]
    assert [sorted({core.socket for core in cell.cores}) for cell in found.cells] == [[0]] * 4 + [[1]] * 4
    assert distances(found)[0] == [10, 12, 12, 12, 32, 32, 32, 32]
    assert distances(found)[6] == [32, 32, 32, 32, 12, 12, 10, 12]
    assert [pool.total for pool in found.cells[1].pools] == [8078551, 16384, 1]
    assert found.online == CpuSet(range(32))


def test_cell_with_memory_only() -> None:
    found = host("memory-only-cell", "1111")
    assert cpusets(found) == {0: "0-3", 1: ""}
    assert found.cells[1].memory == 33554432
    assert found.cells[1].cores == ()
    assert distances(found) == [[10, 20], [20, 10]]


def test_cells_with_cpus_only() -> None:
    found = host("cpu-only-cells")
    assert cpusets(found) == {0: "0-1", 1: "2-3", 2: "4-5"}
    assert [cell.memory for cell in found.cells] == [16318368, 0, 0]
    assert found.cells[1].pools == ()
    assert found.cells_with_memory == CpuSet([0])


def test_offline_cpus() -> None:
    found = host("offline-cpus", "11101101")
    assert found.present == CpuSet(range(8))
    assert found.online == CpuSet.parse("0-2,4-5,7")
    assert cpusets(found) == {0: "0-2", 1: "4-5,7"}
    # CPU 3 is listed without siblings, CPU 6 with those it last had: neither is a thread of a core.
    assert cores(found.cells[0]) == ["0-1", "2"]
    assert cores(found.cells[1]) == ["4-5", "7"]


def test_without_the_map_every_listed_cpu_counts_as_online() -> None:
    found = host("offline-cpus")
    assert found.present == found.online == CpuSet(range(8))


def test_the_map_knows_cpus_that_no_cell_lists() -> None:
    assert host("memory-only-cell", "11110").present == CpuSet(range(5))


@pytest.mark.parametrize("name", ["no-cells", "no-topology"])
def test_without_cells_one_is_implied(name: str) -> None:
    found = host(name, "1101")
    assert found.implied_cell
    assert not found.distances_reported
    assert found.driver == "qemu"
    assert found.present == CpuSet(range(4))
    assert found.cells == (Cell(0, CpuSet.parse("0-1,3"), 0, distances=((0, 10),)),)
    assert host(name).online == EMPTY


def test_distances_count_only_where_every_cell_has_them() -> None:
    text = document("memory-only-cell")
    begin, end = text.rindex("<distances>"), text.rindex("</distances>")
    found = parse_host(text[:begin] + text[end + len("</distances>") :])
    assert not found.distances_reported
    assert distances(found) == [[10, 20], [20, 10]]


def test_pages_of_64_kib_and_cores_that_are_numbered_alike() -> None:
    found = host("aarch64-64k-pages")
    assert found.cells[0].huge_pools == (PagePool(2048, 64), PagePool(524288, 1), PagePool(16777216, 0))
    # Each cluster numbers its cores from 0: siblings tell them apart.
    assert cores(found.cells[0]) == ["0", "1", "2", "3"]
    assert [core.core for core in found.cells[0].cores] == [0, 1, 0, 1]


def test_cells_and_distances_are_in_order_whatever_the_document_says() -> None:
    found = parse_host(
        """<capabilities><host><topology><cells num='2'>
        <cell id='1'><distances><sibling id='1' value='10'/><sibling id='0' value='21'/></distances>
          <cpus num='2'><cpu id='3' core_id='1' siblings='3'/><cpu id='2' core_id='0' siblings='2'/></cpus></cell>
        <cell id='0'><distances><sibling id='0' value='10'/><sibling id='1' value='21'/></distances></cell>
        </cells></topology></host></capabilities>"""
    )
    assert [cell.id for cell in found.cells] == [0, 1]
    assert found.cells[1].distances == ((0, 21), (1, 10))
    assert cores(found.cells[1]) == ["2", "3"]


@pytest.mark.parametrize(
    ("types", "driver"),
    [
        (["kvm"], "qemu"),
        (["qemu", "kvm"], "qemu"),
        (["hvf"], "qemu"),
        (["xen"], "xen"),
        (["test"], "test"),
        (["lxc"], "lxc"),
        (["bhyve", "kvm"], "qemu"),
        ([], "unknown"),
    ],
)
def test_driver_is_known_by_what_guests_it_offers(types: list[str], driver: str) -> None:
    guests = "".join(f"<guest><arch name='x'><domain type='{each}'/></arch></guest>" for each in types)
    assert parse_host(f"<capabilities>{guests}</capabilities>").driver == driver


def test_memory_in_any_unit() -> None:
    text = "<capabilities><host><topology><cells><cell id='0'>{}</cell></cells></topology></host></capabilities>"
    assert parse_host(text.format("<memory unit='MiB'>2</memory>")).cells[0].memory == 2048
    assert parse_host(text.format("<memory>2</memory>")).cells[0].memory == 2
    assert parse_host(text.format("<pages size='2' unit='MiB'/>")).cells[0].pools == (PagePool(2048, 0),)


def test_caches() -> None:
    bank = "<bank id='{}' level='3' type='both' size='{}' unit='{}' cpus='{}'>{}</bank>"
    text = (
        bank.format(0, 32, "MiB", "0-5,12-17", "<control granularity='768' unit='KiB' type='both' maxAllocs='4'/>")
        + bank.format(1, 32768, "KiB", "6-11,18-23", "")
        + "<bank level='4'/>"
    )
    found = parse_host(f"<capabilities><host><cache>{text}</cache></host></capabilities>", (True,) * 8)
    assert found.caches == (
        CacheBank(0, 3, "both", 32768, CpuSet.parse("0-5,12-17")),
        CacheBank(1, 3, "both", 32768, CpuSet.parse("6-11,18-23")),
        CacheBank(0, 4, "both", 0, EMPTY),
    )
    assert [str(each.cpus) for each in found.last_level_caches] == ["0-5", "6-7"]
    assert host("no-topology").caches == ()


def test_a_cache_with_a_number_that_is_none() -> None:
    with pytest.raises(XmlError, match="a number in them cannot be read"):
        parse_host("<capabilities><host><cache><bank id='x'/></cache></host></capabilities>")


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1", "KiB", 1),
        ("1", "k", 1),
        ("1", "b", 1),  # rounded up
        ("1025", "bytes", 2),
        ("1", "KB", 1),
        ("3", "MB", 2930),
        ("1", "M", 1024),
        ("1", "MiB", 1024),
        ("1", "GB", 976563),
        ("1", "G", 1048576),
        ("2", "GiB", 2097152),
        ("1", "TB", 976562500),
        ("1", "T", 1073741824),
        ("1", "TiB", 1073741824),
        ("7", "furlong", 7),
        (None, "KiB", 0),
        ("", "GiB", 0),
    ],
)
def test_kib(text: str | None, unit: str, expected: int) -> None:
    assert kib(text, unit) == expected


def test_what_is_not_xml_is_an_error_of_ours() -> None:
    with pytest.raises(XmlError, match=r"capabilities: line 1, column \d+: not well-formed"):
        parse_host("<capabilities>")


X710 = "Intel Corporation Ethernet Controller X710 for 10GbE SFP+"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "pci-cell-0",
            (0, Device("pci_0000_3b_00_1", "0000:3b:00.1", X710)),
        ),
        ("pci-cell-1-unnamed", (1, Device("pci_10000_af_1f_7", "10000:af:1f.7", "NVIDIA Corporation"))),
        ("pci-no-cell", (None, Device("pci_0000_3b_00_1", "0000:3b:00.1", X710))),
        ("pci-cell-minus-1", (None, Device("pci_0000_3b_00_1", "0000:3b:00.1", X710))),
        ("net", None),
    ],
)
def test_node_devices(name: str, expected: tuple[int | None, Device] | None) -> None:
    assert parse_pci_device((FIXTURES / "node-devices" / f"{name}.xml").read_text(encoding="utf-8")) == expected


def test_a_device_that_says_little() -> None:
    text = "<device><capability type='pci'><numa node='3'/></capability></device>"
    assert parse_pci_device(text) == (3, Device("", "0000:00:00.0", ""))


UUID = "4b20d080-1b54-4048-85b3-a6a62d165c01"
MDEV = """<device><name>{name}</name><parent>{parent}</parent><driver><name>vfio_mdev</name></driver>
<capability type='mdev'><type id='i915-GVTg_V5_4'/>{uuid}<iommuGroup number='12'/></capability></device>"""
VDPA = """<device><name>vdpa_vdpa0</name><parent>pci_0000_81_02_3</parent>
<capability type='vdpa'>{chardev}</capability></device>"""


@pytest.mark.parametrize(
    ("name", "uuid"),
    [
        ("mdev_4b20d080_1b54_4048_85b3_a6a62d165c01", ""),  # libvirt 3.4
        ("mdev_4b20d080_1b54_4048_85b3_a6a62d165c01_0000_00_02_0", ""),
        ("mdev_4b20d080_1b54_4048_85b3_a6a62d165c01_0000_00_02_0", f"<uuid>{UUID}</uuid>"),
        ("anything", f"<uuid> {UUID.upper()} </uuid>"),
    ],
)
def test_a_mediated_device_has_a_parent(name: str, uuid: str) -> None:
    text = MDEV.format(name=name, uuid=uuid, parent="pci_0000_00_02_0")
    assert parse_device_part(text) == Behind(f"mdev {UUID}", ("pci_0000_00_02_0",))


def test_a_vdpa_device_has_a_parent() -> None:
    text = VDPA.format(chardev="<chardev>/dev/vhost-vdpa-0</chardev>")
    assert parse_device_part(text) == Behind("vdpa /dev/vhost-vdpa-0", ("pci_0000_81_02_3",))


@pytest.mark.parametrize(
    "text",
    [
        "<device/>",
        VDPA.format(chardev=""),
        MDEV.format(name="mdev_1", uuid="", parent="pci_0000_00_02_0"),
        MDEV.format(name="", uuid=f"<uuid>{UUID}</uuid>", parent=" "),
        "<device><name>n</name><parent>computer</parent><capability type='net'/></device>",
    ],
)
def test_what_is_no_part_of_a_device(text: str) -> None:
    assert parse_device_part(text) is None


def pool(forward: str) -> str:
    return f"<network><name>sriov</name>{forward}<bridge name='virbr0'/></network>"


@pytest.mark.parametrize(
    ("forward", "devices", "interface"),
    [
        (
            """<forward mode='hostdev' managed='yes'>
            <address type='pci' domain='0x0000' bus='0x81' slot='0x02' function='0x1'/><address bus='129' slot='2'/>
            </forward>""",
            ("0000:81:02.1", "0000:81:02.0"),
            "",
        ),
        (
            "<forward mode='hostdev'><pf dev='eth0'/><address type='pci' bus='0x81' function='7'/></forward>",
            ("0000:81:00.7",),
            "eth0",
        ),
    ],
)
def test_a_pool_has_devices(forward: str, devices: tuple[str, ...], interface: str) -> None:
    assert parse_pool(pool(forward)) == Behind("network sriov", devices, "", interface)


@pytest.mark.parametrize(
    ("inside", "interface"),
    [("<pf dev='eth0'/>", "eth0"), ("<address bus='x'/>", ""), ("<pf/>", ""), ("", "")],
)
def test_a_pool_that_lists_no_devices(inside: str, interface: str) -> None:
    found = parse_pool(pool(f"<forward mode='hostdev'>{inside}</forward>"))
    assert found == Behind("network sriov", (), "its network lists no devices now", interface)


@pytest.mark.parametrize(
    "forward", ["", "<forward mode='nat'/>", "<forward mode='passthrough'><pf dev='eth0'/></forward>"]
)
def test_other_networks_have_no_pool(forward: str) -> None:
    assert parse_pool(pool(forward)) is None


def test_memory_bandwidth() -> None:
    """Of a node without CPUs nobody knows whom it serves."""
    more = "<memory_bandwidth><node id='1' cpus='0-3'><control min='10'/></node><node id='2'/></memory_bandwidth>"
    text = document("memory-only-cell").replace("</topology>", f"</topology>{more}", 1)
    assert parse_host(text).bandwidth == (BandwidthNode(1, CpuSet(range(4))),)
    assert host("memory-only-cell").bandwidth == ()
