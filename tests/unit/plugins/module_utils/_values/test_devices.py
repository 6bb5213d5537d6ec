# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._values.devices import (
    MDEV,
    Behind,
    called,
    functions_of,
    is_address,
    kind_and_name,
    libvirt_name,
    on_cells,
    pci_address,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Device, Host
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import host

NIC, GPU, LOST = "0000:81:02.3", "0000:06:00.0", "0000:07:00.0"


def device(address: str) -> Device:
    return Device(libvirt_name(address), address, "")


def on(it: Host, *behind: Behind) -> Host:
    return on_cells(it, [(1, device(NIC)), (0, device(GPU)), (None, device(LOST))], behind)


def test_names() -> None:
    assert pci_address(0, 0x81, 2, 3) == NIC
    assert pci_address(0x10000, 0, 0x1F, 7) == "10000:00:1f.7"
    assert libvirt_name(NIC) == "pci_0000_81_02_3"
    assert kind_and_name(called(MDEV, "4b20d080")) == (MDEV, "4b20d080")
    assert kind_and_name(NIC) == ("", NIC)
    assert functions_of(NIC) == (NIC,)
    assert functions_of("0000:81:02.*") == tuple(f"0000:81:02.{number}" for number in range(8))


@pytest.mark.parametrize(
    ("text", "whole"),
    [(NIC, True), ("10000:81:1f.7", True), ("81:02.3", False), ("0000:81:02.*", False), ("0000:81:02.8", False)],
)
def test_what_is_an_address(text: str, whole: bool) -> None:
    assert is_address(text) is whole


def test_devices_are_on_their_cells() -> None:
    it = on(host(2), Behind("mdev 1", ("pci_0000_81_02_3",)), Behind(GPU, (GPU,)))
    assert [[each.address for each in cell.devices] for cell in it.cells] == [[GPU], [NIC]]
    assert it.device_cells == {NIC: 1, libvirt_name(NIC): 1, GPU: 0, libvirt_name(GPU): 0, "mdev 1": 1}


@pytest.mark.parametrize(
    ("behind", "why"),
    [
        (Behind(LOST, (LOST,)), f"{LOST} has no NUMA node"),
        (Behind("mdev 1", (LOST,)), f"{LOST} has no NUMA node"),
        (Behind("0000:09:00.0", ("0000:09:00.0",)), "it lists no device 0000:09:00.0"),
        (Behind("network n", (NIC, GPU)), "it is one of several, which are on cells 0, 1"),
        (Behind("network n", (NIC, LOST)), f"{LOST} has no NUMA node"),
        (Behind("vdpa /dev/x"), "nothing tells which PCI device it is"),
        (Behind("mdev 1", why="nobody knows"), "nobody knows"),
    ],
)
def test_devices_of_which_no_cell_is_known(behind: Behind, why: str) -> None:
    it = on(host(2), behind)
    assert behind.name not in it.device_cells
    assert it.why_no_cell(behind.name) == f"the host names no cell for this device: {why}"
    assert it.why_no_cell("another") == "the host names no cell for this device"
    # On a host with one cell there is no other place for it.
    one = on_cells(host(1), [(0, device(NIC)), (0, device(GPU)), (None, device(LOST))], [behind])
    assert one.device_cells[behind.name] == 0


def test_a_host_with_one_cell_has_all_its_devices_there() -> None:
    it = on_cells(host(1), [(None, device(NIC)), (0, device(GPU))])
    assert [each.address for each in it.cells[0].devices] == [GPU, NIC]
    assert it.device_cells[NIC] == 0


def test_a_cell_that_the_host_does_not_list() -> None:
    for cells in (1, 2):
        it = on_cells(host(cells), [(5, device(NIC))], [Behind(NIC, (NIC,))])
        assert NIC not in it.device_cells
        assert it.why_no_cell(NIC).endswith(": it is on cell 5, which the host does not list")


def test_a_host_that_reports_no_cells() -> None:
    """Cell 0 stands for all of it."""
    one = host(1)
    it = on_cells(
        Host(one.driver, one.cells, one.present, one.online, implied_cell=True),
        [(5, device(NIC))],
        [Behind(NIC, (NIC,))],
    )
    assert it.device_cells[NIC] == 0
