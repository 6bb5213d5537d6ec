# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
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
    given = domain(before)
    text = etree.tostring(given)
    made = with_guest_cells(given, CELLS)
    assert etree.tostring(given) == text
    assert etree.tostring(made, encoding="unicode") == f"<domain><name>web1</name>{after}</domain>"
    assert needs_of(made).guest_cells == (GuestCell(CpuSet([0, 1]), 2048), GuestCell(CpuSet([2, 3]), 1024))
