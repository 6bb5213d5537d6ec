# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Devices of guests: whatever holds one, its cell draws the guest, and a cell that nobody knows is told of."""

from __future__ import annotations

import os

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, LibvirtCallError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._node import devices as sysfs
from ansible_collections.numa.virt.plugins.module_utils._xl.command import XlCallError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import FakeConnection, document
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.xen import XenHost, config

UUID = "4b20d080-1b54-4048-85b3-a6a62d165c01"
NIC = "0000:81:02.3"
ADDRESS = "<address type='pci' domain='0x0000' bus='0x81' slot='0x02' function='0x3'/>"
UNKNOWN = "the host names no cell for this device: "

# Each of them is a part of the same device of cell 3.
HOLDERS = {
    "hostdev": f"<hostdev mode='subsystem' type='pci'><source>{ADDRESS.replace(' type=', ' x=')}</source></hostdev>",
    "interface": f"<interface type='hostdev'><source>{ADDRESS}</source></interface>",
    "nvme": f"<disk type='nvme'><source type='pci' namespace='1'>{ADDRESS}</source><target dev='vda'/></disk>",
    "mdev": f"<hostdev type='mdev' model='vfio-pci'><source><address uuid='{UUID}'/></source></hostdev>",
    "vdpa": "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>",
    "pool": "<interface type='network'><source network='sriov'/></interface>",
}


def listed(slot=2, function=3, cell="<numa node='3'/>"):
    """A node device document of libvirt."""
    return f"""<device><name>pci_0000_81_{slot:02x}_{function}</name><capability type='pci'>
    <domain>0</domain><bus>129</bus><slot>{slot}</slot><function>{function}</function>{cell}</capability></device>"""


def network(inside):
    return f"<network><name>sriov</name><forward mode='hostdev' managed='yes'>{inside}</forward></network>"


def with_devices(qemu, cell="<numa node='3'/>"):
    qemu.devices = (listed(cell=cell),)
    qemu.parts = {
        "mdev": [
            f"""<device><name>m</name><parent>pci_0000_81_02_3</parent>
            <capability type='mdev'><uuid>{UUID}</uuid></capability></device>"""
        ],
        "vdpa": [
            """<device><name>vdpa_vdpa0</name><parent>pci_0000_81_02_3</parent>
            <capability type='vdpa'><chardev>/dev/vhost-vdpa-0</chardev></capability></device>"""
        ],
    }
    qemu.networks = {"sriov": network(ADDRESS)}


def guest(holder, name="a", **parts):
    return document(name, "kvm", more=HOLDERS[holder], **parts)


def refused(host, text, **options):
    with pytest.raises(InputError) as error:
        host.place_all({"xml": text}, devices="require", **options)
    return error.value.message


@pytest.mark.parametrize("rule", ["require", "prefer"])
@pytest.mark.parametrize("holder", HOLDERS)
def test_a_guest_goes_to_its_device_whatever_holds_that(far_qemu, holder, rule):
    with_devices(far_qemu)
    done = far_qemu.place_all({"xml": guest(holder)}, devices=rule)
    assert [each["cells"] for each in done["domains"]] == [[3]]
    assert done["warnings"] == []
    again = far_qemu.place_all({"name": "a"}, devices=rule)
    assert not again["changed"]
    assert again["warnings"] == []


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_device_far_away_is_found_whatever_holds_it(far_qemu, holder):
    with_devices(far_qemu)
    far_qemu.add(guest(holder, vcpu=" cpuset='0-1'"), running=holder != "pool")
    (found,) = far_qemu.findings()["findings"]
    assert (found["code"], found["cells"]) == ("device_remote", [3])


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_device_without_a_node_is_told_of(far_qemu, holder):
    with_devices(far_qemu, cell="")
    name = {"mdev": f"mdev {UUID}", "vdpa": "vdpa /dev/vhost-vdpa-0", "pool": "network sriov"}.get(holder, NIC)
    why = f"{UNKNOWN}{'pci_0000_81_02_3' if holder in ('mdev', 'vdpa') else NIC} has no NUMA node"
    line = refused(far_qemu, guest(holder))
    assert line == f"domains[a].devices: {name!r}: {why}; give devices=prefer or ignore, or another device"
    assert far_qemu.log == []
    done = far_qemu.place_all({"xml": guest(holder)}, devices="prefer")
    assert done["warnings"] == [f"a: device {name} did not count: {why}"]
    assert [each["code"] for each in done["plan"]["notes"]] == ["device_without_cell"]
    assert far_qemu.place_all({"name": "a"}, devices="ignore")["warnings"] == []
    assert far_qemu.findings()["findings"] == []


WHYS = {
    "hostdev": f"{UNKNOWN}it lists no device {NIC}",
    "interface": f"{UNKNOWN}it lists no device {NIC}",
    "nvme": f"{UNKNOWN}it lists no device {NIC}",
    "mdev": f"{UNKNOWN}nothing tells its parent device",
    "vdpa": f"{UNKNOWN}nothing tells its parent device",
}


@pytest.mark.parametrize("holder", WHYS)
def test_a_host_that_says_nothing_of_its_devices(far_qemu, holder):
    assert WHYS[holder] in refused(far_qemu, guest(holder))
    done = far_qemu.place_all({"xml": guest(holder)})
    assert done["changed"]
    assert WHYS[holder] in done["warnings"][0]


def test_a_device_that_its_definition_does_not_name(far_qemu):
    text = document("a", "kvm", more="<hostdev type='pci'/>")
    line = refused(far_qemu, text)
    assert line.startswith(f"domains[a].devices: 'hostdev without an address': {UNKNOWN}the definition does not say ")


def test_a_daemon_that_does_not_know_the_kind(far_qemu, monkeypatch):
    def fails(_connection, _kind):
        raise LibvirtCallError("list the host's devices", "unsupported flags (0x20000)", 8)

    monkeypatch.setattr(FakeConnection, "device_parts", fails)
    with_devices(far_qemu)
    assert WHYS["vdpa"] in refused(far_qemu, guest("vdpa"))


def test_devices_that_cannot_be_listed(far_qemu, monkeypatch):
    """A daemon of its own lists them, and need not be there: that stops nobody who only prefers."""

    def fails(_connection):
        raise LibvirtCallError("list the host's devices", "no virtnodedevd", 38)

    monkeypatch.setattr(FakeConnection, "pci_devices", fails)
    line = refused(far_qemu, guest("nvme"))
    assert f"'{NIC}': {UNKNOWN}its devices cannot be listed: no virtnodedevd;" in line
    done = far_qemu.place_all({"xml": guest("nvme", vcpu=" cpuset='0-1'")})
    assert done["changed"]
    assert "no virtnodedevd" in done["warnings"][0]
    assert far_qemu.findings()["findings"] == []
    with pytest.raises(LibvirtCallError):
        far_qemu.cells()


# Pools


def test_a_pool_on_several_cells(far_qemu):
    with_devices(far_qemu)
    far_qemu.devices += (listed(slot=3, cell="<numa node='0'/>"),)
    far_qemu.networks["sriov"] = network(ADDRESS + ADDRESS.replace("slot='0x02'", "slot='0x03'"))
    line = refused(far_qemu, guest("pool"))
    assert f"'network sriov': {UNKNOWN}it is one of several, which are on cells 0, 3;" in line


def test_a_pool_that_lists_nothing(far_qemu):
    far_qemu.networks["sriov"] = network("<pf dev='eth0'/>")
    assert f"'network sriov': {UNKNOWN}its network lists no devices now;" in refused(far_qemu, guest("pool"))


def test_other_networks_are_no_devices(far_qemu):
    far_qemu.networks["sriov"] = "<network><name>sriov</name><forward mode='nat'/></network>"
    assert far_qemu.place_all({"xml": guest("pool")}, devices="require")["warnings"] == []
    assert far_qemu.place_all({"xml": guest("pool", "b").replace("sriov", "none")}, devices="require")["changed"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            LibvirtCallError("look up a network", "no virtnetworkd", 38),
            f"{UNKNOWN}its network cannot be read: no",
        ),
        (UnsupportedError("libvirt", "look up a network", "no"), None),
    ],
)
def test_networks_that_cannot_be_read(far_qemu, monkeypatch, error, said):
    def fails(_connection, _name):
        raise error

    monkeypatch.setattr(FakeConnection, "network", fails)
    if said is None:
        assert far_qemu.place_all({"xml": guest("pool")}, devices="require")["changed"]
    else:
        assert said in refused(far_qemu, guest("pool"))


def test_networks_are_asked_for_once_and_only_where_it_matters(far_qemu):
    with_devices(far_qemu)
    names = [f"g{number}" for number in range(4)]
    for name in names:
        far_qemu.add(guest("pool", name))

    def calls(**options):
        far_qemu.place_all(*({"name": name} for name in names), state="defined", check=True, **options)
        return far_qemu.calls

    # The network, the list of devices, nothing for what only another kind has.
    assert calls(devices="prefer") == calls(devices="ignore") + 2


def test_a_running_guest_shows_what_it_got(far_qemu):
    """In the definition is the pool, in the live document the device of it."""
    with_devices(far_qemu)
    far_qemu.devices += (listed(slot=3, cell="<numa node='0'/>"),)
    far_qemu.networks["sriov"] = network(ADDRESS + ADDRESS.replace("slot='0x02'", "slot='0x03'"))
    far_qemu.add(guest("interface", vcpu=" cpuset='0-1'"), running=True)
    far_qemu.store(guest("pool", vcpu=" cpuset='0-1'"))
    assert NIC in far_qemu.findings()["findings"][0]["message"]


# Guests that nobody has named


def test_one_whose_device_has_no_cell_any_more_leaves_the_others_theirs(far_qemu):
    with_devices(far_qemu)
    far_qemu.place_all({"xml": guest("nvme")}, {"xml": document("b", "kvm")}, devices="require")
    with_devices(far_qemu, cell="")
    done = far_qemu.place_all(select="all")
    assert [each["name"] for each in done["domains"]] == ["b"]
    (line,) = done["warnings"]
    assert line.startswith(f"domain a is left alone: domains[a].devices: '{NIC}': {UNKNOWN}")
    # What the task itself asks for is an error of the task.
    with pytest.raises(InputError):
        far_qemu.place_all(select="all", devices="require", policy="spread")


# Sysfs


@pytest.fixture
def kernel(tmp_path):
    """A sysfs with the NIC on cell 3, and parts of it."""
    real = os.path.join(sysfs.ROOT, "devices", "pci0000:80", NIC)
    for folder in (UUID, "vdpa0/vhost-vdpa-0", "net/eth0"):
        os.makedirs(os.path.join(real, folder))
    os.symlink(real, os.path.join(real, "net/eth0/device"))
    for name, target in (
        (f"bus/pci/devices/{NIC}", ""),
        (f"bus/mdev/devices/{UUID}", UUID),
        ("bus/vdpa/devices/vdpa0", "vdpa0"),
        ("class/net/eth0", "net/eth0"),
    ):
        os.makedirs(os.path.dirname(os.path.join(sysfs.ROOT, name)), exist_ok=True)
        os.symlink(os.path.join(real, target), os.path.join(sysfs.ROOT, name))

    def on(cell):
        with open(os.path.join(real, "numa_node"), "w", encoding="ascii") as file:
            file.write(f"{cell}\n")

    on(3)
    return on


@pytest.mark.parametrize("holder", HOLDERS)
def test_sysfs_says_what_libvirt_does_not(qemu, far_qemu, kernel, holder):
    qemu.networks = {"sriov": network("<pf dev='eth0'/>")}
    far_qemu.networks = qemu.networks
    done = qemu.place_all({"xml": guest(holder)}, devices="require")
    assert done["domains"][0]["cells"] == [3]
    # Here it is that of this machine, which says nothing of another.
    assert UNKNOWN in refused(far_qemu, guest(holder))
    kernel(-1)
    assert f"{UNKNOWN}{NIC} has no NUMA node" in refused(qemu, guest(holder, "b"))
    kernel(7)
    assert f"{UNKNOWN}it is on cell 7, which the host does not list" in refused(qemu, guest(holder, "b"))


def test_the_test_drivers_devices_are_not_those_of_this_machine(testdriver, kernel):
    line = refused(testdriver, document("a", more=HOLDERS["hostdev"]))
    assert f"{UNKNOWN}it lists no device {NIC}" in line


# One cell


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_host_with_one_cell_has_all_devices_there(far_qemu, monkeypatch, holder):
    text = """<capabilities><host><topology><cells num='1'><cell id='0'><memory unit='KiB'>1048576</memory>
    <cpus num='8'>{}</cpus></cell></cells></topology></host>
    <guest><os_type>hvm</os_type><arch name='x86_64'><domain type='kvm'/></arch></guest></capabilities>""".format(
        "".join(f"<cpu id='{cpu}' socket_id='0' die_id='0' core_id='{cpu}' siblings='{cpu}'/>" for cpu in range(8))
    )
    monkeypatch.setattr(FakeConnection, "capabilities", lambda _connection: text)
    with_devices(far_qemu, cell="")
    done = far_qemu.place_all({"xml": guest(holder)}, devices="require")
    assert (done["domains"][0]["cells"], done["warnings"]) == ([0], [])
    assert [each["address"] for each in far_qemu.cells()["cells"][0]["devices"]] == [NIC]


def test_a_device_without_a_node_is_listed_on_no_cell_of_several(far_qemu):
    with_devices(far_qemu, cell="")
    assert [cell["devices"] for cell in far_qemu.cells()["cells"]] == [[], [], [], []]


# Xen


@pytest.fixture
def xl(tmp_path):
    return XenHost(tmp_path)


SPECS = ["81:02.3", f"{NIC}@7,permissive=1", "bdf=81:02.3,seize=1", "81:02.*", "name=nic"]


@pytest.mark.parametrize("spec", SPECS)
def test_a_guest_of_xl_goes_to_its_device(xl, spec):
    xl.device_cells = {NIC: 3}
    xl.assignable = {"nic": NIC}
    xl.file(more=f"pci = ['{spec}']\n")
    done = xl.place_all({"name": "web1"}, devices="require")
    assert (done["domains"][0]["cells"], done["warnings"]) == ([3], [])
    assert done["driver"] == "xl"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("81:02.3", f"it lists no device {NIC}"),
        ("81:02.*", "it lists no function of that slot"),
        ("name=nic", "xl lists no assignable device of that name"),
        ("nonsense", "the definition does not say which PCI device it is"),
    ],
)
def test_a_device_of_xl_that_nobody_knows(xl, spec, why):
    xl.file(more=f"pci = ['{spec}']\n")
    with pytest.raises(InputError, match=f"{UNKNOWN}{why}; give devices=prefer or ignore"):
        xl.place_all({"name": "web1"}, devices="require")
    assert why in xl.place_all({"name": "web1"})["warnings"][0]


@pytest.mark.parametrize("spec", SPECS[:-1])
def test_dom0s_kernel_is_asked_where_xen_says_nothing(xl, kernel, spec):
    xl.file(more=f"pci = ['{spec}']\n")
    assert xl.place_all({"name": "web1"}, devices="require")["domains"][0]["cells"] == [3]


def test_a_name_that_xl_cannot_look_up(xl):
    xl.failures["pci-assignable-list"] = "xl: error: unknown option\n"
    xl.file(more="pci = ['name=nic']\n")
    with pytest.raises(InputError, match="xl lists no assignable device of that name"):
        xl.place_all({"name": "web1"}, devices="require")


def test_a_device_of_xl_that_is_far_away(xl):
    xl.device_cells = {NIC: 3}
    text = config(cpus='["0-1", "0-1"]', more="pci = ['81:02.3']\n")
    xl.file(text=text)
    xl.add(text)
    (found,) = xl.findings()["findings"]
    assert (found["code"], found["cells"]) == ("device_remote", [3])
    assert [[each["address"] for each in cell["devices"]] for cell in xl.cells()["cells"]] == [[], [], [], [NIC]]


def test_xen_says_what_libvirt_in_dom0_cannot(xl, xen):
    with_devices(xen, cell="")
    text = document("a", "xen", more=HOLDERS["hostdev"])
    assert f"{NIC} has no NUMA node" in refused(xen, text)
    xen.tools = xl.connect().command
    assert f"{NIC} has no NUMA node" in refused(xen, text)
    xl.device_cells = {NIC: 3}
    xen.tools = xl.connect().command
    assert xen.place_all({"xml": text}, devices="require", check=True)["domains"][0]["cells"] == [3]


def test_an_xl_that_refuses_is_passed_over(xl, xen, monkeypatch):
    with_devices(xen, cell="")
    xen.tools = xl.connect().command

    def fails(_command):
        raise XlCallError("read the host", "no", 1)

    monkeypatch.setattr(type(xen.tools), "info", fails)
    assert f"{NIC} has no NUMA node" in refused(xen, document("a", "xen", more=HOLDERS["hostdev"]))
