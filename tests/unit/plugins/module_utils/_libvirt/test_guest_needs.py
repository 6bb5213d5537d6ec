# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, XmlError
from ansible_collections.numa.virt.plugins.module_utils._libvirt.guest_needs import needs_of, with_guest_cells
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell, GuestNeeds, MappedCell

CELLS = (
    MappedCell(0, 2, CpuSet([0, 1]), 2048, ((0, 10), (1, 21))),
    MappedCell(1, 3, CpuSet([2, 3]), 1024, ((0, 21), (1, 10))),
)
NUMA = (
    "<numa>"
    '<cell id="0" cpus="0-1" memory="2048" unit="KiB">'
    '<distances><sibling id="0" value="10"/><sibling id="1" value="21"/></distances></cell>'
    '<cell id="1" cpus="2-3" memory="1024" unit="KiB">'
    '<distances><sibling id="0" value="21"/><sibling id="1" value="10"/></distances></cell>'
    "</numa>"
)


def domain(inside: str) -> etree._Element:
    return etree.fromstring(f"<domain><name>web1</name>{inside}</domain>")


def test_an_ordinary_guest_needs_nothing() -> None:
    more = "<memoryBacking><locked/></memoryBacking><cpu mode='host-model'/><devices><hostdev type='usb'/></devices>"
    assert needs_of(domain("")) == needs_of(domain(more)) == GuestNeeds()


@pytest.mark.parametrize(
    ("topology", "threads"),
    [
        ("<topology sockets='1' dies='1' cores='2' threads='2'/>", 2),
        ("<topology sockets='2' cores='1' threads='1'/><numa/>", 1),
        ("<topology sockets='2' cores='1'/>", 1),
        ("<topology threads='0'/>", 1),
        ("<model>qemu64</model>", 1),
    ],
)
def test_threads_of_a_core(topology: str, threads: int) -> None:
    assert needs_of(domain(f"<cpu>{topology}</cpu>")).threads == threads


def test_a_number_of_threads_that_is_none() -> None:
    with pytest.raises(XmlError, match="<topology> has threads='two'; threads is a whole number"):
        needs_of(domain("<cpu><topology threads='two'/></cpu>"))


@pytest.mark.parametrize(
    ("pages", "size"),
    [
        ("<hugepages/>", 0),
        ("<hugepages><page size='2048' unit='KiB'/></hugepages>", 2048),
        ("<hugepages><page size='1' unit='G'/><page size='2' unit='M' nodeset='1'/></hugepages>", 1048576),
        ("<hugepages><page size='2048'/></hugepages>", 2048),
    ],
)
def test_huge_pages(pages: str, size: int) -> None:
    assert needs_of(domain(f"<memoryBacking>{pages}</memoryBacking>")).page_size == size


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("domain='0x0000' bus='0x81' slot='0x00' function='0x1'", "0000:81:00.1"),
        ("bus='1' slot='010' function='0'", "0000:01:08.0"),
        ("domain='0' bus='0X0A' slot='00'", "0000:0a:00.0"),
    ],
)
def test_devices(address: str, name: str) -> None:
    devices = f"""<devices>
      <hostdev mode='subsystem' type='pci'><source><address {address}/></source><address type='pci' bus='9'/></hostdev>
      <hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>
    </devices>"""
    assert needs_of(domain(devices)).devices == (name,)


UUID = "4b20d080-1b54-4048-85b3-a6a62d165c01"
# As libvirt 9.0 writes them, and as people do; {} is an address.
PCI = "<source><address type='pci' {}/></source>"
NVME = "<source type='pci' managed='yes' namespace='1'><address {}/></source>"
HOLDERS = (
    "<hostdev type='pci'><source><address {}/></source></hostdev>",
    "<hostdev mode='subsystem' type='pci' managed='yes'><source><address {}/></source><rom bar='off'/></hostdev>",
    f"<interface type='hostdev'><mac address='52:54:00:00:00:01'/>{PCI}<address type='pci' bus='9'/></interface>",
    f"<interface type='network'><source network='n'/><actual type='hostdev'>{PCI}</actual></interface>",
    f"<disk type='nvme' device='disk'>{NVME}<target dev='vda'/></disk>",
    f"<disk type='file'><source file='/a'/><!-- --><backingStore type='nvme'>{NVME}</backingStore></disk>",
    f"<disk type='block'><source dev='/dev/sda'/><mirror type='nvme' job='copy'>{NVME}</mirror></disk>",
)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str]:
    """The attributes of an address in one of many ways, and the address."""
    most = {"domain": draw(st.sampled_from((0, 0xFFFF))), "bus": 0xFF, "slot": 0x1F, "function": 7}
    numbers = {name: draw(st.integers(0, largest)) for name, largest in most.items()}
    said = []
    for name, number in numbers.items():
        form = draw(st.sampled_from(("0x{:02x}", "0X{:X}", "{:d}", "0{:o}")))
        if number or draw(st.booleans()):
            said.append(f"{name}='{form.format(number)}'")
    if draw(st.booleans()):
        said.append("multifunction='on'")
    return " ".join(draw(st.permutations(said))), "{domain:04x}:{bus:02x}:{slot:02x}.{function:x}".format(**numbers)


@given(written())
def test_an_address_is_the_same_device_in_whatever_element_it_is(address: tuple[str, str]) -> None:
    attributes, name = address
    for holder in HOLDERS:
        assert needs_of(domain(f"<devices>{holder.format(attributes)}</devices>")).devices == (name,), holder
    together = "".join(holder.format(attributes) for holder in HOLDERS)
    assert needs_of(domain(f"<devices>{together}</devices>")).devices == (name,)


def test_devices_without_an_address_of_their_own() -> None:
    devices = f"""<devices>
      <interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>
      <disk type='vhostvdpa' device='disk'><source dev='/dev/vhost-vdpa-1'/></disk>
      <hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='{UUID.upper()}'/></source></hostdev>
      <hostdev type='pci'/>
      <hostdev type='mdev'><source><address/></source></hostdev>
      <interface type='vdpa'><source/></interface>
    </devices>"""
    assert needs_of(domain(devices)).devices == (
        "vdpa /dev/vhost-vdpa-0",
        "vdpa /dev/vhost-vdpa-1",
        f"mdev {UUID}",
        "hostdev without an address",
        "interface without a path",
    )


def test_networks_may_give_a_device() -> None:
    devices = """<devices>
      <interface type='network'><source network='sriov'/></interface>
      <interface type='network'><source network='sriov'/></interface>
      <interface type='network'><source network='default' portgroup='a'/></interface>
      <interface type='network'><source/></interface>
      <interface type='bridge'><source bridge='br0'/></interface>
    </devices>"""
    assert needs_of(domain(devices)) == GuestNeeds(networks=("sriov", "default"))


def test_an_address_that_is_none() -> None:
    wrong = "<devices><hostdev type='pci'><source><address bus='08x'/></source></hostdev></devices>"
    with pytest.raises(XmlError, match=r"definition: line 1: <address> bus is not a number; write bus='0x0a'"):
        needs_of(domain(wrong))


def test_cells_of_the_guest_by_their_ids() -> None:
    cells = """<cpu><numa><cell id='1' memory='1' unit='M'/><cell id='0' cpus='0-3' memory='512'/></numa></cpu>"""
    assert needs_of(domain(cells)).guest_cells == (GuestCell(CpuSet(range(4)), 512), GuestCell(EMPTY, 1024))
    bare = "<cpu><numa><cell cpus='0' memory='1'/><cell cpus='1' memory='2'/></numa></cpu>"
    assert needs_of(domain(bare)).guest_cells == (GuestCell(CpuSet([0]), 1), GuestCell(CpuSet([1]), 2))


@pytest.mark.parametrize(
    "cell",
    ["id='x' memory='1'", "id='0'", "id='0' memory='1' cpus='0-'", "memory='1' unit='X'", "cpus='16384' memory='1'"],
)
def test_cells_that_cannot_be_read(cell: str) -> None:
    with pytest.raises(InputError):
        needs_of(domain(f"<cpu><numa><cell {cell}/></numa></cpu>"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"\n  <cpu>{NUMA}</cpu>"),
        ("<cpu mode='custom'><model>x</model></cpu>", f'<cpu mode="custom"><model>x</model>{NUMA}</cpu>'),
        (
            "<cpu><numa><cell id='0' cpus='0-3' memory='1'/></numa><topology sockets='1'/></cpu>",
            f'<cpu><topology sockets="1"/>{NUMA}</cpu>',
        ),
    ],
)
def test_new_cells(before: str, after: str) -> None:
    root = domain(before)
    text = etree.tostring(root)
    made = with_guest_cells(root, CELLS)
    assert etree.tostring(root) == text
    assert etree.tostring(made, encoding="unicode") == f"<domain><name>web1</name>{after}</domain>"
    assert needs_of(made).guest_cells == (GuestCell(CpuSet([0, 1]), 2048), GuestCell(CpuSet([2, 3]), 1024))


def test_memory_devices_belong_to_the_cell_that_they_name_or_to_the_first() -> None:
    cells = "<cpu><numa><cell id='1' cpus='1' memory='2'/><cell id='0' cpus='0' memory='1'/></numa></cpu>"
    target = "<memory model='dimm'><target><size unit='KiB'>{}</size>{}</target></memory>"
    devices = target.format(10, "<node>1</node>") + target.format(20, "") + target.format(40, "<node> 0 </node>")
    enclave = "<memory model='sgx-epc'><target><size>99</size></target></memory><memory model='nvdimm'/>"
    found = needs_of(domain(f"{cells}<devices>{devices}{enclave}</devices>")).guest_cells
    assert found == (GuestCell(CpuSet([0]), 61), GuestCell(CpuSet([1]), 12))


def test_memory_devices_have_pages_of_their_own_or_those_of_their_cell() -> None:
    pages = "<memoryBacking><hugepages><page size='2' unit='M' nodeset='0'/></hugepages></memoryBacking>"
    cells = "<cpu><numa><cell id='0' cpus='0' memory='2048'/></numa></cpu>"
    dimm = "<memory model='dimm'>{}<target><size unit='KiB'>{}</size></target></memory>"
    source = "<source><pagesize unit='{}'> {} </pagesize></source>"
    devices = dimm.format("", 4096) + dimm.format(source.format("KiB", 2048), 2048)
    devices += dimm.format(source.format("G", 1), 1048576) + dimm.format(source.format("KiB", 4), 64)
    (cell,) = needs_of(domain(f"{pages}{cells}<devices>{devices}</devices>")).guest_cells
    assert cell == GuestCell(CpuSet([0]), 8192, 2048, ((1048576, 1048576), (4, 64)))
    assert cell.all_memory == 8192 + 1048576 + 64
    wrong = dimm.format(source.format("KiB", "x"), 64)
    with pytest.raises(XmlError, match="<pagesize> is not a number"):
        needs_of(domain(f"{cells}<devices>{wrong}</devices>"))


@pytest.mark.parametrize(
    ("pages", "sizes", "whole"),
    [
        ("", [None, None], None),
        ("<hugepages/>", [0, 0], 0),
        ("<hugepages><page size='2' unit='M'/></hugepages>", [2048, 2048], 2048),
        ("<hugepages><page size='1' unit='G' nodeset='1'/></hugepages>", [None, 1048576], 1048576),
        (
            "<hugepages><page size='1' unit='G' nodeset='1,7'/><page size='2' unit='M'/></hugepages>",
            [2048, 1048576],
            2048,
        ),
        ("<hugepages><page size='4' nodeset='0'/><page size='2048' nodeset='1'/></hugepages>", [4, 2048], 4),
    ],
)
def test_pages_of_each_cell(pages: str, sizes: list[int | None], whole: int | None) -> None:
    cells = "<cpu><numa><cell cpus='0' memory='1'/><cell cpus='1' memory='2'/></numa></cpu>"
    found = needs_of(domain(f"<vcpu>2</vcpu><memoryBacking>{pages}</memoryBacking>{cells}"))
    assert ([cell.page_size for cell in found.guest_cells], found.page_size) == (sizes, whole)


def test_a_vcpu_that_no_cell_names_is_in_the_first() -> None:
    cells = "<cpu><numa><cell id='1' cpus='2' memory='1'/><cell id='0' cpus='0' memory='2'/></numa></cpu>"
    found = needs_of(domain(f"<vcpu>4</vcpu>{cells}")).guest_cells
    assert [cell.vcpus for cell in found] == [CpuSet([0, 1, 3]), CpuSet([2])]
