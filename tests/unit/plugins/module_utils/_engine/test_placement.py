# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_placement on libvirt's test driver and on stand-ins for qemu, Xen and xl: what a run leaves is read back from
the hypervisor, not from the result."""

from __future__ import annotations

import json
import threading
import time

import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DoesNotFitError,
    DomainNotFoundError,
    GivenTwiceError,
    GuestsFailedError,
    InputError,
    LibvirtCallError,
    NumaVirtError,
    PlacementFailedError,
    UnsupportedError,
    XmlError,
)
from ansible_collections.numa.virt.plugins.module_utils._node import lock
from ansible_collections.numa.virt.plugins.module_utils._node.lock import BusyError, host_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import (
    NAMESPACE,
    TestDriver,
    document,
    refuse,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.xen import XenHost, config

DEVICE = """<device><name>pci_0000_06_00_0</name><capability type='pci'><domain>0</domain><bus>6</bus><slot>0</slot>
<function>0</function><product id='0x1'>NIC</product><numa node='{cell}'/></capability></device>"""
HOSTDEV = """<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x06' slot='0x00'
function='0x0'/></source></hostdev>"""


@pytest.fixture
def xl(tmp_path):
    return XenHost(tmp_path)


def given(*names, kind="test", **options):
    return [{"xml": document(name, kind, **options)} for name in names]


def pins(text):
    """vCPU -> its CPUs, by another parser than ours."""
    root = etree.fromstring(text)
    whole = root.find("vcpu").get("cpuset")
    found = {int(each.get("vcpu")): each.get("cpuset") for each in root.iterfind("cputune/vcpupin")}
    return {vcpu: found.get(vcpu, whole) for vcpu in range(int(root.findtext("vcpu")))}


def cpuset(text):
    return etree.fromstring(text).find("vcpu").get("cpuset")


def policy(text):
    return json.loads(etree.fromstring(text).find(f"metadata/{{{NAMESPACE}}}intent").get("policy"))


def union_of(text):
    return union(CpuSet.parse(cpus) for cpus in pins(text).values())


def quartet(host, task, changes=True):
    """Check, run, run again, check again, and once more. Returns the result of the run."""
    before, files = host.everything(), host.backup_files()
    predicted = task(check=True)
    assert host.everything() == before
    assert host.backup_files() == files
    done = task()
    for key in ("changed", "diff", "plan", "moves", "rejections", "restart_required", "warnings"):
        assert predicted[key] == done[key], key
    keys = ("name", "changed", "changes", "cells", "reason", "placement", "restart_reasons", "state")
    assert [[each[key] for key in keys] for each in predicted["domains"]] == [
        [each[key] for key in keys] for each in done["domains"]
    ]
    assert done["changed"] is changes
    after, files = host.everything(), host.backup_files()
    for check in (False, True, False):
        again = task(check=check)
        assert not again["changed"]
        assert [each["changes"] for each in again["domains"]] == [[] for _each in again["domains"]]
        assert again["diff"]["before"] == again["diff"]["after"]
        assert again["moves"] == []
        assert {each["action"] for each in again["plan"]["placements"]} <= {"keep"}
        assert again["restart_required"] == done["restart_required"]
        assert host.everything() == after
        assert host.backup_files() == files
    assert "s3cret" not in repr((predicted, done, again))
    return done


def refused(host, error, *domains, **options):
    """Both modes refuse in one line and touch nothing. Returns the line."""
    before, files = host.everything(), host.backup_files()
    lines = set()
    for check in (True, False):
        with pytest.raises(error) as caught:
            host.place_all(*domains, check=check, **options)
        assert host.everything() == before
        assert host.backup_files() == files
        assert not caught.value.changed
        result = caught.value.as_result()
        assert "s3cret" not in repr(result)
        json.dumps(result)
        lines.add(str(caught.value))
    assert len(lines) == 1
    line = lines.pop()
    assert "\n" not in line
    return line


# Policies


def test_pack_fills_one_cell_and_spread_does_not(testdriver):
    guests = given("a", "b", vcpus=4)
    done = quartet(testdriver, lambda **mode: testdriver.place_all(*guests, policy="pack", **mode))
    assert [each["cells"] for each in done["domains"]] in ([[0], [0]], [[1], [1]])
    assert policy(testdriver.definition("a")) == {"policy": "pack"}
    testdriver.release("a", "b")
    for name in "ab":
        testdriver.domain(name).destroy()
        testdriver.domain(name).undefine()
    done = quartet(testdriver, lambda **mode: testdriver.place_all(*guests, policy="spread", **mode))
    assert sorted(each["cells"][0] for each in done["domains"]) == [0, 1]
    assert all(each["state"] == "running" for each in done["domains"])


def test_dedicated_cpus_are_given_once(testdriver):
    guests = given("a", "b", "c", vcpus=5)
    quartet(testdriver, lambda **mode: testdriver.place_all(*guests, policy="dedicated", state="defined", **mode))
    sets = [pins(testdriver.definition(name)) for name in "abc"]
    given_out = [cpus for each in sets for cpus in each.values()]
    assert all(cpus.isdigit() for cpus in given_out)
    assert len(set(given_out)) == 15
    assert {etree.fromstring(testdriver.definition(name)).find("numatune/memory").get("mode") for name in "abc"} == {
        "strict"
    }


def test_an_entry_asks_for_schedulers_too(testdriver):
    fifo = {"vcpus": {"0-1": {"policy": "fifo", "priority": 2}}}
    (guest,) = given("a", vcpus=2)
    asked = {**guest, "scheduler": fifo}
    quartet(testdriver, lambda **mode: testdriver.place_all(asked, policy="dedicated", state="defined", **mode))
    found = etree.fromstring(testdriver.definition("a")).findall("cputune/vcpusched")
    assert {(each.get("scheduler"), each.get("priority")) for each in found} == {("fifo", "2")}
    assert union(CpuSet.parse(each.get("vcpus")) for each in found) == CpuSet([0, 1])
    # Not asked for again it stays; an empty one takes it out.
    assert not testdriver.place_all(guest, policy="dedicated", state="defined")["changed"]
    quartet(
        testdriver,
        lambda **mode: testdriver.place_all({**guest, "scheduler": {}}, policy="dedicated", state="defined", **mode),
    )
    assert etree.fromstring(testdriver.definition("a")).find("cputune/vcpusched") is None


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"scheduler": "fifo"}, "domains[0].scheduler: 'fifo': is not a dictionary"),
        ({"scheduler": {"<a b='s3cret'/>": {}}}, "domains[0].scheduler: has a key that it does not know"),
        ({"scheduler": {"vcpus": ["0"]}}, "domains[0].scheduler.vcpus: "),
        ({"scheduler": {"vcpus": {"7": {"policy": "idle"}}}}, "scheduler.vcpus[7]: 'idle': the domain has no vCPU 7"),
        ({"nodemask": "0"}, "domains[0].nodemask: '0': is not a dictionary"),
        ({"nodemask": {"0": "1"}}, "nodemask[0]: '1': the domain has no memory device 0; it has none"),
    ],
)
def test_wrong_elements_of_an_entry_are_refused(testdriver, option, said):
    (guest,) = given("a", vcpus=2)
    assert said in refused(testdriver, InputError, {**guest, **option}, policy="pack", state="defined")


def test_dedicated_cpus_stay_clear_of_guests_that_nobody_manages(testdriver):
    testdriver.native.defineXML(document("theirs", vcpus=2, vcpu=" cpuset='0-5'"))
    testdriver.native.defineXML(
        document(
            "pinned", vcpus=2, tune="<cputune><vcpupin vcpu='0' cpuset='9'/><vcpupin vcpu='1' cpuset='10'/></cputune>"
        )
    )
    theirs = [testdriver.definition(name) for name in ("theirs", "pinned")]
    done = quartet(
        testdriver, lambda **mode: testdriver.place_all(*given("a"), *given("b", vcpus=5), policy="dedicated", **mode)
    )
    taken = union_of(testdriver.definition("a")) | union_of(testdriver.definition("b"))
    assert len(taken) == 7
    assert not taken & CpuSet.parse("0-5,9-10")
    assert [testdriver.definition(name) for name in ("theirs", "pinned")] == theirs
    assert done["warnings"] == []


def test_a_guest_that_may_run_anywhere_is_named_in_a_warning(testdriver):
    testdriver.native.defineXML(document("free"))
    done = quartet(testdriver, lambda **mode: testdriver.place_all(*given("a"), policy="dedicated", **mode))
    assert done["warnings"] == ["free may run on every CPU of the host: no plan can keep it off the CPUs of others"]


def test_pins_of_a_running_guest_count_as_they_are(qemu):
    qemu.add(document("theirs", "kvm", vcpu=" cpuset='0-7'"), running=True)
    qemu.guests["theirs"].where = {0: CpuSet([0]), 1: CpuSet([2])}
    done = quartet(
        qemu, lambda **mode: qemu.place_all(*given("a", "b", kind="kvm"), policy="dedicated", cpu_ratio=None, **mode)
    )
    taken = union(cpus for name in "ab" for cpus in qemu.guests[name].where.values())
    assert len(taken) == 4
    assert not taken & CpuSet([0, 2])
    assert {each["actual"]["source"] for each in done["domains"]} == {"proc"}


def test_a_guest_placed_here_that_somebody_moved_is_counted_where_it_is_and_where_it_belongs(far_qemu):
    qemu = far_qemu
    qemu.place_all(*given("a", kind="kvm", vcpus=1), policy="dedicated")
    mine = union_of(qemu.definition("a"))
    qemu.guests["a"].where = {0: CpuSet([5])}
    qemu.place_all(*given("b", "c", kind="kvm", vcpus=2), *given("d", kind="kvm", vcpus=1), policy="dedicated")
    taken = union(cpus for name in "bcd" for cpus in qemu.guests[name].where.values())
    assert len(taken) == 5
    assert not taken & (mine | CpuSet([5]))
    # The next run with it brings it back.
    assert qemu.place_all(select="all")["changed"]
    assert union(qemu.guests["a"].where.values()) == mine


def test_emulator_threads_follow_the_policy(testdriver):
    guest = given("a", vcpus=2)
    quartet(testdriver, lambda **mode: testdriver.place_all(*guest, policy="dedicated", emulator="isolate", **mode))
    emulator = etree.fromstring(testdriver.definition("a")).find("cputune/emulatorpin").get("cpuset")
    assert emulator.isdigit()
    assert emulator not in pins(testdriver.definition("a")).values()
    quartet(testdriver, lambda **mode: testdriver.place_all("a", policy="dedicated", emulator="0-1", **mode))
    assert etree.fromstring(testdriver.definition("a")).find("cputune/emulatorpin").get("cpuset") == "0-1"


def test_an_isolated_emulator_gives_its_cpu_back_with_the_policy(testdriver):
    testdriver.place_all(*given("a", vcpus=2), policy="dedicated", emulator="isolate", state="defined")
    old = CpuSet.parse(etree.fromstring(testdriver.definition("a")).find("cputune/emulatorpin").get("cpuset"))
    cell = 1 if old <= CpuSet(range(8)) else 0
    entry = {"name": "a", "policy": "dedicated", "cells": [cell]}
    quartet(testdriver, lambda **mode: testdriver.place_all(entry, state="defined", **mode))
    root = etree.fromstring(testdriver.definition("a"))
    pin = root.find("cputune/emulatorpin")
    assert pin is None or CpuSet.parse(pin.get("cpuset")) <= CpuSet(range(8 * cell, 8 * cell + 8))


def test_pins_that_a_document_brings_do_not_outlive_the_plan(testdriver):
    testdriver.place_all(*given("own", vcpus=8), policy="dedicated")
    taken = union_of(testdriver.definition("own"))
    other = CpuSet(range(16)) - taken
    tune = (
        f"<iothreads>1</iothreads><cputune><vcpupin vcpu='0' cpuset='{taken}'/><emulatorpin cpuset='{taken}'/>"
        f"<iothreadpin iothread='1' cpuset='{taken}'/></cputune>"
    )
    guest = {"xml": document("a", tune=tune)}
    quartet(testdriver, lambda **mode: testdriver.place_all(guest, policy="pack", state="defined", **mode))
    root = etree.fromstring(testdriver.definition("a"))
    sets = [each.get("cpuset") for each in root.iterfind("cputune/*")] + [root.find("vcpu").get("cpuset")]
    assert all(CpuSet.parse(each) <= other for each in sets)


def test_finer_pins_of_a_kept_guest_stay(testdriver):
    testdriver.place_all(*given("a"), policy="pack", state="defined")
    where = CpuSet.parse(cpuset(testdriver.definition("a")))
    testdriver.pin("a", pins={"0": str(next(iter(where)))})
    before = testdriver.definition("a")
    testdriver.place_all(select="all", state="defined")
    assert pins(testdriver.definition("a")) == pins(before)
    quartet(testdriver, lambda **mode: testdriver.place_all(select="all", state="defined", **mode), changes=False)


def test_reserved_cpus_and_memory(testdriver):
    rules = {"reserved_cpus": "0-5,8", "reserved_memory": {"0": "2000MiB"}}
    done = quartet(
        testdriver, lambda **mode: testdriver.place_all(*given("a", vcpus=2, memory=262144), **rules, **mode)
    )
    assert done["domains"][0]["cells"] == [1]
    assert cpuset(testdriver.definition("a")) == "9-15"


def test_shared_and_dedicated_cpus(testdriver):
    rules = {"shared_cpus": "0-3,8-11"}
    guests = [*given("s"), {**given("d")[0], "policy": "dedicated"}]
    quartet(testdriver, lambda **mode: testdriver.place_all(*guests, policy="pack", **rules, **mode))
    assert union_of(testdriver.definition("s")) <= CpuSet.parse("0-3,8-11")
    assert not union_of(testdriver.definition("d")) & CpuSet.parse("0-3,8-11")


def test_groups(testdriver):
    guests = [{**each, "apart": "db"} for each in given("a", "b")] + [{**given("c")[0], "together": "x"}]
    quartet(testdriver, lambda **mode: testdriver.place_all(*guests, policy="pack", **mode))
    cells = {name: union_of(testdriver.definition(name)) for name in "ab"}
    assert not cells["a"] & cells["b"]
    # The group is remembered: a third has no place, and that is told of the group.
    line = refused(testdriver, DoesNotFitError, {**given("d")[0], "apart": "db"}, policy="pack")
    assert line.startswith("d: ")
    assert "db" in line


def test_huge_pages_that_the_host_has_not(testdriver):
    guest = {"xml": document("a", tune="<memoryBacking><hugepages/></memoryBacking>")}
    line = refused(testdriver, InputError, guest)
    assert line == "domains[a]: its huge pages of 2048 KiB are not there; the host has none at all"


def test_huge_pages_that_it_has(qemu, monkeypatch):
    with_pages(monkeypatch, qemu)
    backing = "<memoryBacking><hugepages>{}</hugepages></memoryBacking>"
    guests = [
        {"xml": document("default", "kvm", tune=backing.format(""), memory=65536)},
        {"xml": document("named", "kvm", tune=backing.format("<page size='2' unit='M'/>"), memory=65536)},
    ]
    done = quartet(qemu, lambda **mode: qemu.place_all(*guests, policy="pack", cpu_ratio=2, state="defined", **mode))
    assert [each["cells"] for each in done["domains"]] == [[2], [2]]  # the cell that has pages
    assert done["plan"]["after"][2]["huge_pages"] == [{"size": 2048, "used": 64, "total": 64}]
    line = refused(
        qemu, DoesNotFitError, {"xml": document("late", "kvm", tune=backing.format(""), memory=65536)}, cpu_ratio=9
    )
    assert line.startswith("late: ")
    assert "pages" in line


def with_pages(monkeypatch, host):
    real = type(host.connect()).capabilities

    def capabilities(connection):
        text = real(connection)
        old = "<cell id='2'><memory unit='KiB'>524288</memory><pages unit='KiB' size='4'>131072</pages>"
        assert old in text
        return text.replace(old, old + "<pages unit='KiB' size='2048'>64</pages>")

    monkeypatch.setattr(type(host.connect()), "capabilities", capabilities)


@pytest.mark.parametrize("rule", ["prefer", "require"])
def test_a_guest_goes_to_its_device(qemu, rule):
    qemu.devices = (DEVICE.format(cell=3),)
    guest = {"xml": document("a", "kvm", more=HOSTDEV)}
    done = quartet(qemu, lambda **mode: qemu.place_all(guest, policy="pack", devices=rule, **mode))
    assert done["domains"][0]["cells"] == [3]
    assert pins(qemu.definition("a")) == {0: "6-7", 1: "6-7"}


def test_a_device_may_be_ignored_and_may_contradict(qemu):
    qemu.devices = (DEVICE.format(cell=3),)
    guest = {"xml": document("a", "kvm", more=HOSTDEV), "cells": [0]}
    line = refused(qemu, InputError, guest, devices="require")
    assert line == "domains[a].devices: 'require': its device is on cell 3, and cells is 0; add cell 3, or prefer"
    done = quartet(qemu, lambda **mode: qemu.place_all(guest, devices="ignore", **mode))
    assert done["domains"][0]["cells"] == [0]


def test_devices_of_which_nobody_knows_the_cell(qemu):
    guest = {"xml": document("a", "kvm", more=HOSTDEV)}
    line = refused(qemu, InputError, guest, devices="require")
    assert "domains[a].devices: '0000:06:00.0': the host names no cell for this device" in line
    assert qemu.place_all(guest)["changed"]


# Mirror


def test_a_wide_guest_gets_cells_like_those_it_lies_on(qemu):
    guest = {"xml": document("wide", "kvm", vcpus=4, memory=786432)}
    done = quartet(qemu, lambda **mode: qemu.place_all(guest, policy="mirror", **mode))
    root = etree.fromstring(qemu.definition("wide"))
    assert [(each.get("id"), each.get("cpus"), each.get("memory")) for each in root.iterfind("cpu/numa/cell")] == [
        ("0", "0-1", "393216"),
        ("1", "2-3", "393216"),
    ]
    assert [
        [(each.get("id"), each.get("value")) for each in cell.iterfind("distances/sibling")]
        for cell in root.iterfind("cpu/numa/cell")
    ] == [[("0", "10"), ("1", "21")], [("0", "21"), ("1", "10")]]
    nodes = {each.get("cellid"): each.get("nodeset") for each in root.iterfind("numatune/memnode")}
    assert len(set(nodes.values())) == 2
    where = pins(qemu.definition("wide"))
    for cell, vcpus in ((0, (0, 1)), (1, (2, 3))):
        first = 2 * int(nodes[str(cell)])
        assert all(CpuSet.parse(where[vcpu]) <= CpuSet([first, first + 1]) for vcpu in vcpus)
    assert done["domains"][0]["placement"]["memnodes"].keys() == {"0", "1"}
    # Without the document and without the policy it keeps to all of that.
    quartet(qemu, lambda **mode: qemu.place_all("wide", **mode), changes=False)
    quartet(qemu, lambda **mode: qemu.place_all(select="all", **mode), changes=False)


def test_libvirt_takes_the_cells_that_a_guest_is_given(testdriver):
    guest = {"xml": document("wide", vcpus=10, memory=3 * 1024 * 1024)}
    quartet(testdriver, lambda **mode: testdriver.place_all(guest, policy="mirror", state="defined", **mode))
    root = etree.fromstring(testdriver.definition("wide"))
    assert [each.get("cpus") for each in root.iterfind("cpu/numa/cell")] == ["0-4", "5-9"]
    assert len(root.findall("numatune/memnode")) == 2
    quartet(testdriver, lambda **mode: testdriver.place_all("wide", state="defined", **mode), changes=False)


def test_a_guest_that_has_cells_keeps_them(qemu):
    numa = "<cpu><numa><cell id='0' cpus='0' memory='16384'/><cell id='1' cpus='1-2' memory='49152'/></numa></cpu>"
    guest = {"xml": document("wide", "kvm", vcpus=3, tune=numa)}
    quartet(qemu, lambda **mode: qemu.place_all(guest, policy="mirror", **mode))
    root = etree.fromstring(qemu.definition("wide"))
    assert [each.get("cpus") for each in root.iterfind("cpu/numa/cell")] == ["0", "1-2"]
    nodes = {each.get("cellid"): int(each.get("nodeset")) for each in root.iterfind("numatune/memnode")}
    assert CpuSet.parse(pins(qemu.definition("wide"))[0]) <= CpuSet([2 * nodes["0"], 2 * nodes["0"] + 1])
    assert CpuSet.parse(pins(qemu.definition("wide"))[2]) <= CpuSet([2 * nodes["1"], 2 * nodes["1"] + 1])


@pytest.mark.parametrize("rule", ["pack", "spread", "dedicated"])
def test_a_guest_with_cells_of_its_own_can_be_placed_whole(testdriver, rule):
    numa = "<cpu><numa><cell id='0' cpus='0' memory='32768'/><cell id='1' cpus='1' memory='32768'/></numa></cpu>"
    guest = {"xml": document("two", tune=numa)}
    done = quartet(testdriver, lambda **mode: testdriver.place_all(guest, policy=rule, **mode))
    assert len(done["domains"][0]["cells"]) == 1


def test_a_mirrored_guest_becomes_an_ordinary_one(qemu):
    guest = {"xml": document("wide", "kvm", vcpus=2, memory=65536)}
    qemu.place_all({**guest, "width": 2}, policy="mirror", state="defined")
    assert len(etree.fromstring(qemu.definition("wide")).findall("numatune/memnode")) == 2
    entry = {"name": "wide", "cells": [3]}
    quartet(qemu, lambda **mode: qemu.place_all(entry, policy="pack", state="defined", **mode))
    root = etree.fromstring(qemu.definition("wide"))
    assert root.findall("numatune/memnode") == []
    assert cpuset(qemu.definition("wide")) == "6-7"
    # It sees one cell again.
    assert root.find("cpu") is None


def test_cells_that_were_made_follow_the_width(qemu):
    qemu.place_all({"xml": document("wide", "kvm", vcpus=4), "width": 2}, policy="mirror", state="defined")
    quartet(qemu, lambda **mode: qemu.place_all({"name": "wide", "width": 4}, policy="mirror", state="defined", **mode))
    root = etree.fromstring(qemu.definition("wide"))
    assert [each.get("cpus") for each in root.iterfind("cpu/numa/cell")] == ["0", "1", "2", "3"]
    assert len(root.findall("numatune/memnode")) == 4


def test_cells_that_a_user_gives_later_are_not_ours(qemu):
    qemu.place_all({"xml": document("wide", "kvm", vcpus=4), "width": 2}, policy="mirror", state="defined")
    numa = "<cpu><numa><cell id='0' cpus='0-1' memory='32768'/><cell id='1' cpus='2-3' memory='32768'/></numa></cpu>"
    entry = {"xml": document("wide", "kvm", vcpus=4, tune=numa)}
    quartet(qemu, lambda **mode: qemu.place_all(entry, policy="mirror", state="defined", **mode))
    qemu.release("wide")
    assert len(etree.fromstring(qemu.definition("wide")).findall("cpu/numa/cell")) == 2


@pytest.mark.parametrize("host", ["xen", "xl"])
def test_xen_cannot_mirror(host, request):
    host = request.getfixturevalue(host)
    entries = given("a", kind="xen")
    if isinstance(host, XenHost):
        host.file("a")
        entries = ["a"]
    line = refused(host, UnsupportedError, *entries, policy="mirror")
    assert line.startswith("policy: the x")
    assert "it cannot bind cells of a guest" in line


# Who is asked for


def test_names_of_guests_that_are_there(testdriver):
    for name in ("a", "b", "c"):
        testdriver.native.defineXML(document(name))
    untouched = testdriver.definition("c")
    quartet(testdriver, lambda **mode: testdriver.place_all("b", {"name": "a"}, state="defined", **mode))
    assert testdriver.definition("c") == untouched


@pytest.mark.parametrize(
    ("select", "names"),
    [("all", ["db1", "web1", "web2"]), ("running", ["web1"]), ("web*", ["web1", "web2"]), ("web1", ["web1"])],
)
def test_select(testdriver, select, names):
    for name in ("db1", "web1", "web2"):
        testdriver.native.defineXML(document(name))
    testdriver.domain("web1").create()
    done = quartet(testdriver, lambda **mode: testdriver.place_all(select=select, state="defined", **mode))
    assert [each["name"] for each in done["domains"]] == names


@pytest.mark.parametrize("select", ["all", "*", "Domain-0"])
def test_the_control_domain_of_xen_is_never_selected(xen, select):
    for name in ("db1", "Domain-0"):
        xen.add(document(name, "xen"))
    done = xen.place_all(select=select, state="defined")
    assert [each["name"] for each in done["domains"]] == (["db1"] if select != "Domain-0" else [])


def test_select_that_finds_nothing_says_so(testdriver):
    done = quartet(testdriver, lambda **mode: testdriver.place_all(select="web*", **mode), changes=False)
    assert done["warnings"] == ["select: 'web*': there is no such domain on this host"]
    assert testdriver.place_all(select="all")["warnings"] == []


def test_the_control_domain_is_nobodys_guest(xen):
    xen.add(document("Domain-0", "xen", vcpus=8), running=True)
    done = quartet(xen, lambda **mode: xen.place_all(select="all", **mode), changes=False)
    assert done["domains"] == []
    line = refused(xen, InputError, "Domain-0")
    assert line == "domains: 'Domain-0': is the host's own; reserve CPUs for it with reserved_cpus"


def test_domains_that_are_not_there(testdriver):
    testdriver.native.defineXML(document("a"))
    line = refused(testdriver, DomainNotFoundError, "a", "ghost")
    assert line == "domains: 'ghost': there is no such domain on this host; give xml to define it"


@pytest.mark.parametrize(
    ("domains", "error", "said"),
    [
        (["a", "a"], InputError, "domains: 'a': is named twice; name each domain once"),
        (["a", {"xml": document("a")}], InputError, "domains: 'a': is named twice"),
        ([{"xml": document("b")}, {"xml": document("b")}], InputError, "domains: 'b': is named twice"),
        ([{"name": "a", "xml": document("b")}], InputError, "name: 'a': but domains[0].xml is the definition of"),
        (["a", {"xml": "<domain>"}], XmlError, "domains[1].xml: line 1, column 9: not well-formed"),
        (["a", {"xml": "s3cret"}], XmlError, "domains[1].xml: line 1, column 1"),
        ([{"name": "a", "cells": [7]}], InputError, "domains[a].cells: '7': the host has no cell 7; its cells are 0-1"),
        ([{"name": "a", "cells": "x"}], InputError, "domains[a].cells: 'x': unexpected 'x'"),
        ([{"name": "a", "priority": "high"}], InputError, "domains[a].priority: 'high': is not of the right type"),
        ([{"name": "a", "polcy": "pack"}], InputError, "domains[0].polcy: is no option; choose among name, xml"),
        ([{"name": "a", "width": 2}], InputError, "domains[a].width: is not for policy pack; give policy=mirror"),
        ([{"name": "a", "smt": "require"}], InputError, "domains[a].smt: 'require': a guest with policy pack has no"),
        ([3], InputError, "domains[0]: is neither a name nor a dictionary"),
        ([], InputError, "domains: is empty"),
        (
            ["a", {"xml": document("huge", vcpus=40)}],
            InputError,
            "domains[huge].vcpus: 40: CPUs for 16 are all that cells 0-1 can give",
        ),
        ([{"xml": document("huge", memory=2**30)}], InputError, "domains[huge].memory: 1073741824: "),
    ],
)
def test_bad_entries_touch_nothing(testdriver, domains, error, said):
    testdriver.native.defineXML(document("a"))
    try:
        line = refused(testdriver, error, *domains)
    except InputError as early:  # said before there is a connection
        line = str(early)
    assert said in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reserved_cpus": "16"}, "reserved_cpus: '16': the host has no CPU 16; its CPUs are 0-15"),
        ({"reserved_memory": {"5": 1}}, "reserved_memory: 5: the host has no cell 5; its cells are 0-1"),
        ({"reserved_memory": {"0": "3G"}}, "reserved_memory: 3145728: cell 0 has 2097152 KiB"),
        ({"shared_cpus": "0-3", "dedicated_cpus": "3"}, "CPU 3 is in shared_cpus too; name each CPU in one of them"),
        ({"shared_cpus": "0", "reserved_cpus": "0"}, "CPU 0 is in reserved_cpus too"),
        ({"rebalance": True, "max_moves": -1}, "max_moves: -1: is not a number of moves; give 0 or more"),
        ({"cpu_ratio": 0.0}, "cpu_ratio: 0.0: is not a ratio; give a number above 0, such as 4"),
        ({"policy": "dedicated", "emulator": "40"}, "emulator: '40': CPU 40 is offline or does not exist"),
        ({"emulator": "isolated"}, "emulator: 'isolated': unexpected 'i'"),
        ({"emulator": "isolate"}, "domains[a].emulator: 'isolate': a guest with policy pack has no CPUs of its own"),
    ],
)
def test_bad_options_touch_nothing(testdriver, options, said):
    testdriver.native.defineXML(document("a"))
    assert said in refused(testdriver, InputError, "a", **options)


def test_a_backup_that_could_not_be_written_is_refused_before_anything_is(testdriver):
    testdriver.native.defineXML(document("a"))
    testdriver.backups = "/dev/null/backups"
    assert refused(testdriver, InputError, *given("b"), "a").startswith("backup_dir: ")


def test_a_transient_guest_is_placed_live_and_not_given_a_document(testdriver):
    testdriver.native.createXML(document("a"))
    line = refused(testdriver, InputError, *given("a"))
    assert "the domain is transient" in line
    quartet(testdriver, lambda **mode: testdriver.place_all({"name": "a", "cells": [0]}, **mode))
    assert not testdriver.domain("a").isPersistent()
    assert pins(testdriver.live("a"))[0] == "0-7"


def test_a_guest_paused_by_the_hypervisor_stops_all_before_anything_is_done(qemu):
    guest = qemu.add(document("ill", "kvm"), running=True)
    guest.state, guest.by_user = "paused", False
    line = refused(qemu, InputError, *given("a", kind="kvm"), "ill")
    assert "was paused by the hypervisor" in line


# What does not fit


def test_one_that_does_not_fit_and_nothing_is_touched(testdriver):
    guests = given("a", "b", vcpus=8) + given("c", "d", vcpus=3)
    line = refused(testdriver, DoesNotFitError, *guests, policy="dedicated")
    assert line.startswith("c: needs 3 CPUs, and cells 0-1 have 0")
    assert "(and 1 more: see error.rejections); nothing was touched, partial=true places the others" in line
    with pytest.raises(DoesNotFitError) as error:
        testdriver.place_all(*guests, policy="dedicated")
    assert [each["name"] for each in error.value.fields["rejections"]] == ["c", "d"]
    assert {each["constraint"] for each in error.value.fields["rejections"]} == {"cpus"}


def test_partial_places_the_others(testdriver):
    guests = given("a", "b", vcpus=8) + given("c", vcpus=3)
    done = quartet(testdriver, lambda **mode: testdriver.place_all(*guests, policy="dedicated", partial=True, **mode))
    assert [each["name"] for each in done["domains"]] == ["a", "b"]
    assert [each["name"] for each in done["rejections"]] == ["c"]
    assert done["warnings"] == [f"not placed: {done['rejections'][0]['message']}"]
    assert done["plan"]["vcpus"] == {"placed": 16, "bound": 16}
    assert not [each for each in testdriver.native.listAllDomains() if each.name() == "c"]


def test_partial_plans_around_a_guest_that_is_there_and_has_no_place(testdriver):
    testdriver.native.defineXML(document("wide", vcpus=12, vcpu=" cpuset='0-11'"))
    before = testdriver.definition("wide")
    entries = [{"name": "wide", "priority": -1}, *given("a", vcpus=4), *given("b", vcpus=1)]
    done = quartet(testdriver, lambda **mode: testdriver.place_all(*entries, policy="dedicated", partial=True, **mode))
    assert [each["name"] for each in done["domains"]] == ["a"]
    assert not union_of(testdriver.definition(done["domains"][0]["name"])) & CpuSet.parse("0-11")
    assert testdriver.definition("wide") == before
    assert "wide" in [each["name"] for each in done["rejections"]]
    assert done["plan"]["vcpus"]["placed"] <= done["plan"]["vcpus"]["bound"]


# Stability


def test_adding_a_guest_moves_no_other(testdriver):
    testdriver.place_all(*given("b", "c", "d", vcpus=3), policy="dedicated")
    before = {name: (testdriver.definition(name), testdriver.live(name)) for name in "bcd"}
    quartet(testdriver, lambda **mode: testdriver.place_all(*given("a", vcpus=2), policy="dedicated", **mode))
    for name, texts in before.items():
        assert (testdriver.definition(name), testdriver.live(name)) == texts
    quartet(testdriver, lambda **mode: testdriver.place_all(select="all", **mode), changes=False)


def test_a_guest_without_options_keeps_to_what_was_asked_before(testdriver):
    testdriver.place_all({**given("a")[0], "apart": "x", "cells": [1]}, policy="dedicated", emulator="isolate")
    before = testdriver.definition("a")
    quartet(testdriver, lambda **mode: testdriver.place_all("a", **mode), changes=False)
    quartet(testdriver, lambda **mode: testdriver.place_all(*given("a"), **mode), changes=False)
    assert testdriver.definition("a") == before
    assert testdriver.info("a")[0]["intent"]["policy"] == {
        "apart": "x", "cells": "1", "emulator": "isolate", "policy": "dedicated",
    }  # fmt: skip


def test_a_guest_that_was_placed_by_hand_is_kept_where_that_is_valid(testdriver):
    testdriver.place(xml=document("a"), cells=[1], state="defined")
    done = quartet(testdriver, lambda **mode: testdriver.place_all("a", state="defined", **mode))
    assert done["domains"][0]["cells"] == [1]
    assert policy(testdriver.definition("a")) == {"policy": "pack"}
    # And by hand it goes elsewhere again, and is no longer the policy's.
    testdriver.place("a", cells=[0], state="defined")
    assert testdriver.info("a")[0]["intent"]["policy"] is None


def test_moves_are_limited(testdriver):
    for name, where in (("a", "0-5"), ("b", "8-13")):
        testdriver.native.defineXML(document(name, vcpus=6, vcpu=f" cpuset='{where}'"))
    testdriver.place_all("a", "b", policy="dedicated", state="defined")
    new = given("c", vcpus=4)[0]
    task = {"state": "defined", "policy": "pack"}
    assert refused(testdriver, DoesNotFitError, {**new, "cells": [0]}, **task).startswith("c: ")
    entries = [{"name": "a", "policy": "dedicated"}, {"name": "b", "policy": "dedicated"}, {**new, "cells": [0]}]
    line = refused(testdriver, NumaVirtError, *entries, rebalance=True, max_moves=0, **task)
    assert "max_moves" in line or "c: " in line


def test_rebalance_makes_room(testdriver):
    testdriver.place_all({**given("a", vcpus=4)[0], "cells": [0]}, policy="dedicated", state="defined")
    testdriver.place_all({**given("b", vcpus=4)[0], "cells": [1]}, policy="dedicated", state="defined")
    entries = [{"name": "a", "policy": "dedicated"}, {"name": "b", "policy": "dedicated"}]
    new = [{**given("c", vcpus=8)[0], "policy": "dedicated", "together": "on one cell"}]
    assert refused(testdriver, DoesNotFitError, *entries, *new, state="defined")
    line = refused(testdriver, InputError, *entries, *new, state="defined", rebalance=True, max_moves=0)
    assert line in [f"max_moves: 0: 1 moves are needed: {name}; give 1 or more" for name in "ab"]
    done = testdriver.place_all(*entries, *new, state="defined", rebalance=True, max_moves=1)
    assert len(done["moves"]) == 1
    sets = [union_of(testdriver.definition(name)) for name in "abc"]
    assert len(union(sets)) == 16
    quartet(testdriver, lambda **mode: testdriver.place_all(select="all", state="defined", **mode), changes=False)


# Running guests


def test_guests_are_started_and_verified(qemu):
    done = quartet(qemu, lambda **mode: qemu.place_all(*given("a", "b", "c", kind="kvm"), policy="spread", **mode))
    assert [each["state"] for each in done["domains"]] == ["running"] * 3
    assert {guest.state for guest in qemu.guests.values()} == {"running"}
    assert all(each["actual"]["memory_cells"] == str(each["cells"][0]) for each in done["domains"])
    assert qemu.log.count("resume") == 3


def test_a_running_guest_follows_as_far_as_it_can(qemu):
    qemu.add(document("a", "kvm"), running=True)
    done = quartet(qemu, lambda **mode: qemu.place_all("a", policy="dedicated", **mode))
    assert done["restart_required"]
    assert done["domains"][0]["restart_reasons"][0]["element"] == "numatune/memory"
    assert qemu.guests["a"].where == {vcpu: CpuSet.parse(cpus) for vcpu, cpus in pins(qemu.definition("a")).items()}
    done = qemu.place_all("a", restart=True, shutdown_timeout=5)
    assert done["changed"]
    assert not done["restart_required"]
    assert not qemu.place_all("a")["changed"]


def test_one_guest_of_three_fails_and_the_others_are_placed(qemu):
    guests = given("a", "b", "c", kind="kvm")
    seen = []

    def second(real):
        seen.append(1)
        if len(seen) == 2:
            raise LibvirtCallError("start the domain", "no such disk s", 1)
        qemu.failures["start"] = second
        return real()

    qemu.failures["start"] = second
    with pytest.raises(GuestsFailedError) as error:
        qemu.place_all(*guests, policy="spread")
    assert str(error.value).startswith("1 of 3 domains failed, 'b' first: domain 'b' did not start: no such disk s; ")
    assert error.value.changed
    (failure,) = error.value.fields["failures"]
    assert (failure["name"], failure["code"]) == ("b", "placement_failed")
    assert failure["msg"] in str(error.value)
    assert sorted(qemu.guests) == ["a", "c"]
    assert {guest.state for guest in qemu.guests.values()} == {"running"}
    before = {name: qemu.definition(name) for name in "ac"}
    done = quartet(qemu, lambda **mode: qemu.place_all(*guests, policy="spread", **mode))
    assert [each["name"] for each in done["domains"] if each["changed"]] == ["b"]
    assert {name: qemu.definition(name) for name in "ac"} == before


def test_all_fail_and_nothing_has_changed(qemu):
    before = qemu.everything()
    qemu.strays = {0: CpuSet([0]), 1: CpuSet([7])}
    with pytest.raises(GuestsFailedError) as error:
        qemu.place_all(*given("a", "b", kind="kvm"), policy="pack")
    assert str(error.value).startswith("2 of 2 domains failed, 'a' first: domain 'a' was not born on its cells: ")
    assert not error.value.changed
    assert [each["code"] for each in error.value.fields["failures"]] == ["placement_failed"] * 2
    assert qemu.everything() == before
    json.dumps(error.value.as_result())


def test_a_definition_that_libvirt_refuses_is_one_guest_less(testdriver):
    bad = {"xml": document("bad").replace("type='test'", "type='qemuu'")}
    with pytest.raises(GuestsFailedError, match="1 of 2 domains failed, 'bad' first: cannot define the domain"):
        testdriver.place_all(*given("a"), bad)
    assert testdriver.domain("a").isActive()
    assert len(testdriver.native.listAllDomains()) == 1


@pytest.mark.parametrize("call", ["define", "start", "resume", "set_metadata"])
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("done_first", [False, True], ids=["before", "after"])
def test_a_run_that_is_killed_is_finished_by_the_next(qemu, call, at, done_first):
    guests = given("a", "b", "c", kind="kvm")
    counted = []

    def killed(real):
        counted.append(1)
        if len(counted) < at:
            qemu.failures[call] = killed
            return real()
        if done_first:
            real()
        raise KeyboardInterrupt

    qemu.failures[call] = killed
    with pytest.raises(KeyboardInterrupt):
        qemu.place_all(*guests, policy="dedicated")
    done = qemu.place_all(*guests, policy="dedicated")
    assert [each["state"] for each in done["domains"]] == ["running"] * 3
    assert {guest.state for guest in qemu.guests.values()} == {"running"}
    given_out = [cpus for name in "abc" for cpus in pins(qemu.definition(name)).values()]
    assert len(set(given_out)) == 6
    quartet(qemu, lambda **mode: qemu.place_all(*guests, policy="dedicated", **mode), changes=False)


def test_a_run_that_is_killed_while_it_moves_running_guests(qemu):
    for name in "ab":
        qemu.add(document(name, "kvm"), running=True)

    def killed(real):
        real()
        raise KeyboardInterrupt

    qemu.failures["pin_vcpu"] = killed
    with pytest.raises(KeyboardInterrupt):
        qemu.place_all("a", "b", policy="dedicated")
    quartet(qemu, lambda **mode: qemu.place_all("a", "b", policy="dedicated", **mode))
    assert len(union(cpus for name in "ab" for cpus in qemu.guests[name].where.values())) == 4


# One at a time


def test_two_runs_at_once_wait_for_each_other(qemu, tmp_path):
    locks = str(tmp_path / "lock")
    together, most = [0], [0]

    def slow(real):
        together[0] += 1
        most[0] = max(most[0], together[0])
        time.sleep(0.05)
        together[0] -= 1
        return real()

    def run(name):
        qemu.failures["define"] = slow
        qemu.place_all(*given(name, kind="kvm"), policy="dedicated", lock_dir=locks)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    # The handlers of signals are the main thread's business.
    patched = pytest.MonkeyPatch()
    patched.setattr("ansible_collections.numa.virt.plugins.module_utils._engine.start.signal.signal", lambda *_a: None)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        patched.undo()
    assert most == [1]
    assert len(union(cpus for guest in qemu.guests.values() for cpus in guest.where.values())) == 8


def test_a_lock_that_is_not_given_free(testdriver, tmp_path):
    locks = str(tmp_path / "lock")
    with host_at_a_time(locks, 0), pytest.raises(BusyError) as error:
        testdriver.place_all(*given("a"), lock_dir=locks, lock_timeout=0)
    assert str(error.value) == (
        "another run has been changing guests of this host for 0 s; run again when it has ended"
    )
    assert error.value.code == "busy"
    assert testdriver.everything() == []
    with host_at_a_time(locks, 0):
        assert testdriver.place_all(*given("a"), lock_dir=locks, lock_timeout=0, check=True)["changed"]
    assert testdriver.place_all(*given("a"), lock_dir=locks, lock_timeout=0)["changed"]


def test_a_domain_that_another_run_holds_holds_the_host(testdriver, tmp_path):
    locks = str(tmp_path / "lock")
    with lock.one_at_a_time(locks, "other"), pytest.raises(BusyError):
        testdriver.place_all(*given("a"), lock_dir=locks, lock_timeout=0)


def test_a_cpu_that_somebody_else_gives_away_meanwhile_fails_the_run(qemu):
    """One that waits for no lock of ours: both guests are named, and what was done is said."""
    stranger = document("stranger", "kvm", tune="<cputune><vcpupin vcpu='0' cpuset='0'/></cputune>", vcpus=1)

    def meanwhile(real):
        qemu.add(stranger, running=True)
        return real()

    qemu.failures["define"] = meanwhile
    with pytest.raises(GivenTwiceError) as error:
        qemu.place_all({"xml": document("db", "kvm")}, policy="dedicated", state="defined")
    assert str(error.value) == (
        "CPUs were given twice, by somebody who does not wait for this run: CPUs 0 of 'db' are also 'stranger''s; all "
        "was placed, and is there"
    )
    assert error.value.changed
    assert error.value.fields["overlaps"] == [{"guests": ["db", "stranger"], "cpus": "0"}]
    assert [each["name"] for each in error.value.fields["domains"]] == ["db"]
    # The next run sees it before it plans, and mends it.
    assert qemu.place_all("db", policy="dedicated", state="defined")["changed"]
    assert not qemu.place_all("db", policy="dedicated", state="defined")["changed"]


def test_what_the_plan_knew_is_no_news(qemu):
    """A guest that stays on its old CPUs until its restart, and one that may run anywhere."""
    qemu.add(document("anywhere", "kvm"), running=True)
    qemu.add(document("a", "kvm", vcpu=" cpuset='0-1'", vcpus=2), running=True)
    assert qemu.place_all("a", {"xml": document("db", "kvm")}, policy="dedicated", state="defined")["changed"]


# Secrets


def test_secrets_survive_and_are_never_shown(testdriver):
    testdriver.native.defineXML(document("a"))
    for done in (
        testdriver.place_all("a", *given("b"), check=True),
        testdriver.place_all("a", *given("b")),
        testdriver.place_all("a", {"xml": document("b", memory=131072)}),
        testdriver.release("a", "b", check=True),
    ):
        assert "s3cret" not in repr(done)
    for name in "ab":
        assert "passwd='s3cret'" in testdriver.definition(name)
    assert len(testdriver.backup_files()) == 2


# Xen


def test_xen_pins_every_vcpu(xen):
    done = quartet(xen, lambda **mode: xen.place_all(*given("a", "b", "c", kind="xen"), policy="dedicated", **mode))
    given_out = [cpus for name in "abc" for cpus in pins(xen.definition(name)).values()]
    assert len(set(given_out)) == 6
    for name in "abc":
        assert xen.guests[name].where == {v: CpuSet.parse(c) for v, c in pins(xen.definition(name)).items()}
        assert etree.fromstring(xen.definition(name)).find("numatune") is None
    assert not done["restart_required"]


def test_xen_shared_guests_and_one_more(xen):
    guests = given("a", "b", kind="xen")
    quartet(xen, lambda **mode: xen.place_all(*guests, policy="pack", cpu_ratio=2, **mode))
    assert pins(xen.definition("a")) == pins(xen.definition("b"))
    before = xen.everything()
    more = given("c", kind="xen")
    xen.place_all(*more, policy="spread")
    assert xen.everything()[:2] == before


def test_an_emulator_of_its_own_is_nothing_on_xen(xen):
    done = quartet(
        xen, lambda **mode: xen.place_all(*given("a", kind="xen"), policy="dedicated", emulator="isolate", **mode)
    )
    assert done["domains"][0]["placement"]["emulator_cpuset"] is None


def test_xl(xl):
    for name in ("a", "b", "c"):
        xl.file(name)
    done = quartet(xl, lambda **mode: xl.place_all(select="all", policy="dedicated", state="running", **mode))
    assert done["driver"] == "xl"
    given_out = union(cpus for guest in xl.guests.values() for cpus in guest.hard.values())
    assert len(given_out) == 6
    assert all(each["actual"]["memory"] == {str(each["cells"][0]): 65536} for each in done["domains"])
    assert "s3cret" not in json.dumps(done)
    before = {name: xl.text(name) for name in "abc"}
    xl.file("d")
    quartet(xl, lambda **mode: xl.place_all("d", policy="dedicated", **mode))
    assert {name: xl.text(name) for name in "abc"} == before
    quartet(xl, lambda **mode: xl.place_all(select="all", **mode), changes=False)


def test_xl_guests_that_nobody_manages_count(xl):
    xl.add(config("theirs", cpus='["0-1", "2"]'))
    xl.file("a", vcpus=4)
    quartet(xl, lambda **mode: xl.place_all("a", policy="dedicated", **mode))
    assert not union(xl.guests["a"].hard.values()) & CpuSet.parse("0-2")


def test_xl_takes_no_documents_and_says_what_it_passed_over(xl):
    assert "domains[0].xml: the xl driver cannot do this" in refused(xl, UnsupportedError, *given("a", kind="xen"))
    xl.file("a")
    xl.file("broken", "name = [")
    done = quartet(xl, lambda **mode: xl.place_all("a", **mode))
    assert [warning.startswith("passed over: ") for warning in done["warnings"]] == [True]
    line = refused(xl, DomainNotFoundError, "ghost")
    assert line.startswith("domains: 'ghost': there is no such domain on this host; put its file into /etc/xen")


def test_xl_memory_that_lies_elsewhere_is_one_guest_less(xl):
    for name in ("a", "b"):
        xl.file(name)
    before = xl.text("b")
    xl.room = dict.fromkeys(xl.room, 900)
    xl.failures["create"] = "libxl: error: x.c:1:f: Domain 1:no.\n"
    with pytest.raises(GuestsFailedError, match="1 of 2 domains failed, 'a' first") as error:
        xl.place_all("a", "b", policy="spread")
    assert error.value.changed
    assert xl.text("b") != before
    assert list(xl.guests) == ["b"]
    assert quartet(xl, lambda **mode: xl.place_all("a", "b", policy="spread", **mode))["changed"]


def test_the_stand_in_and_the_test_driver_say_the_same(qemu, testdriver):
    assert isinstance(testdriver, TestDriver)
    for host, kind in ((qemu, "kvm"), (testdriver, "test")):
        done = host.place_all(*given("a", kind=kind), policy="pack")
        assert done["plan"]["placements"][0]["action"] == "place"
        assert set(done) == {
            "changed", "driver", "plan", "domains", "moves", "rejections", "restart_required", "warnings", "diff",
        }  # fmt: skip


def test_libvirt_fails_for_one_guest_while_it_is_pinned(qemu):
    for name in "ab":
        qemu.add(document(name, "kvm"), running=True)
    qemu.failures["pin_vcpu"] = refuse("no")
    with pytest.raises(GuestsFailedError) as error:
        qemu.place_all("a", "b", policy="dedicated")
    assert error.value.changed
    assert isinstance(error.value, NumaVirtError)
    assert not isinstance(error.value, PlacementFailedError)
    assert qemu.place_all("a", "b")["changed"]
    assert not qemu.place_all("a", "b")["changed"]


OWN_CELLS = "<cpu><numa><cell id='0' cpus='0' memory='512'/><cell id='1' cpus='1' memory='512'/></numa></cpu>"


def two_cells(name, cells, memory):
    """vCPU 0 and 1 on one CPU of each of two cells, which have two CPUs each, with the memory of each on one."""
    pins = "".join(f"<vcpupin vcpu='{vcpu}' cpuset='{2 * cell}'/>" for vcpu, cell in enumerate(cells))
    bound = "".join(f"<memnode cellid='{at}' mode='strict' nodeset='{cell}'/>" for at, cell in enumerate(memory))
    numatune = f"<numatune><memory mode='strict' nodeset='{cells[0]}-{cells[1]}'/>{bound}</numatune>"
    return document(name, "kvm", memory=1024, tune=f"<cputune>{pins}</cputune>{numatune}{OWN_CELLS}")


@pytest.mark.parametrize("check", [True, False])
def test_keep_is_said_only_when_nothing_moves(qemu, check):
    qemu.add(two_cells("right", (0, 1), (0, 1)), running=True)
    qemu.add(two_cells("swapped", (2, 3), (3, 2)), running=True)
    wanted = [{"name": name, "own_cpus": True} for name in ("right", "swapped")]
    told = qemu.place_all(*wanted, policy="mirror", check=check)
    assert [each["action"] for each in told["plan"]["placements"]] == ["keep", "repin"]
    assert "its memory does not follow its vCPUs" in told["plan"]["placements"][1]["reason"]
    if not check:
        root = etree.fromstring(qemu.definition("swapped"))
        assert [bound.get("nodeset") for bound in root.iter("memnode")] == ["2", "3"]
        assert not qemu.place_all(*wanted, policy="mirror")["changed"]


DIMM = (
    "<memory model='dimm'><source><nodemask>{}</nodemask></source>"
    "<target><size unit='KiB'>1024</size><node>0</node></target></memory>"
)


def test_memory_devices_come_along(qemu):
    cells = "<maxMemory slots='2'>8192</maxMemory><cpu><numa><cell id='0' cpus='0-1' memory='1024'/></numa></cpu>"
    text = document(kind="kvm", tune=cells, more=DIMM.format(1))
    for run in range(2):
        told = qemu.place(xml=text, cells=[0], state="defined")
        assert told["changed"] == (not run)
        assert etree.fromstring(qemu.definition()).findtext(".//nodemask") == "0"
    told = qemu.place("web1", cells=[2], state="defined")
    assert etree.fromstring(qemu.definition()).findtext(".//nodemask") == "2"
    assert "devices/memory/source/nodemask[0]" in {each["element"] for each in told["changes"]}
    # What is asked for holds, wherever it is; what fits stays.
    qemu.place("web1", cells=[2], nodemask={"0": "3"}, state="defined")
    assert not qemu.place("web1", cells=[2], state="defined")["changed"]
    assert etree.fromstring(qemu.definition()).findtext(".//nodemask") == "3"


def test_a_guest_whose_memory_devices_are_left_behind_has_no_valid_place(qemu):
    cells = "<maxMemory slots='2'>8192</maxMemory><cpu><numa><cell id='0' cpus='0-1' memory='1024'/></numa></cpu>"
    bound = "<numatune><memory mode='strict' nodeset='0'/></numatune>"
    qemu.add(document(kind="kvm", vcpu=" cpuset='0-1'", tune=bound + cells, more=DIMM.format(1)))
    told = qemu.place_all({"name": "web1"}, policy="pack", state="defined")
    (placed,) = told["plan"]["placements"]
    assert placed["action"] in ("repin", "move")
    assert "its memory is bound to cell 1, where none of its vCPUs runs" in placed["reason"]
    root = etree.fromstring(qemu.definition())
    assert root.findtext(".//nodemask") == root.find("numatune/memory").get("nodeset")
    assert placed["memory"] == {str(placed["cells"][0]): 2048}
    assert not qemu.place_all({"name": "web1"}, policy="pack", state="defined")["changed"]


def numbers_of(text):
    """vCPU -> CPUs of all pins, by another parser than ours."""
    return {int(each.get("vcpu")): each.get("cpuset") for each in etree.fromstring(text).iterfind("cputune/vcpupin")}


def test_vcpus_that_may_come_later_take_nothing(qemu):
    """A host of 8 CPUs holds eight guests that start with one vCPU and may have eight."""
    guests = given(*"abcdefgh", kind="kvm", vcpus=8, vcpu=" current='1'")
    qemu.place_all(*guests, policy="dedicated")
    used = [numbers_of(qemu.definition(name)) for name in "abcdefgh"]
    assert all(list(each) == [0] for each in used)
    assert len({each[0] for each in used}) == 8
    # Those that come later stay inside the same set.
    assert all(
        etree.fromstring(qemu.definition(n)).find("vcpu").get("cpuset") == each[0] for n, each in zip("abcdefgh", used)
    )
    assert not qemu.place_all(*guests, policy="dedicated")["changed"]
    assert qemu.findings()["findings"] == []


def test_vcpus_have_numbers(qemu):
    """Of these the definition says which are there."""
    there = "".join(
        f"<vcpu id='{at}' enabled='{'yes' if at in (0, 3) else 'no'}' hotpluggable='{'yes' if at else 'no'}'/>"
        for at in range(4)
    )
    text = document(kind="kvm", vcpus=4, vcpu=" current='2'", tune=f"<vcpus>{there}</vcpus>")
    told = qemu.place_all({"xml": text}, policy="dedicated", state="defined")
    (placed,) = told["plan"]["placements"]
    assert list(placed["vcpu_pins"]) == ["0", "3"] == [str(vcpu) for vcpu in numbers_of(qemu.definition())]
    assert not qemu.place_all({"name": "web1"}, policy="dedicated", state="defined")["changed"]


def test_cells_made_for_a_guest_hold_the_vcpus_that_may_come_later(qemu):
    guest = {"xml": document(kind="kvm", vcpus=6, vcpu=" current='2'"), "width": 2}
    for run in range(2):
        told = qemu.place_all(guest, policy="mirror", state="defined")
        assert told["changed"] == (not run)
        cells = [cell.get("cpus") for cell in etree.fromstring(qemu.definition()).iterfind("cpu/numa/cell")]
        assert cells == ["0,2,4", "1,3,5"]


FIFO = "<vcpusched vcpus='0-1' scheduler='fifo' priority='1'/>"


def threaded(name="web1", pins="", emulator="", sched="", count=1):
    """A guest with IO threads, pinned as its user likes it."""
    tune = f"<iothreads>{count}</iothreads><cputune>{pins}{emulator}{sched}</cputune>"
    return {"xml": document(name, "kvm", tune=tune)}


def helpers(text):
    """(emulator, IO thread -> CPUs), by another parser than ours."""
    tune = etree.fromstring(text).find("cputune")
    pin = tune.find("emulatorpin")
    found = {int(each.get("iothread")): each.get("cpuset") for each in tune.iterfind("iothreadpin")}
    return pin.get("cpuset") if pin is not None else None, found


USER = "<emulatorpin cpuset='7'/>"
USER_IO = "<iothreadpin iothread='1' cpuset='6'/>"


@pytest.mark.parametrize(
    ("guest", "options", "expected"),
    [
        (threaded(pins=USER_IO, emulator=USER), {}, ("7", {1: "6"})),  # what is free stays
        (threaded(pins=USER_IO, emulator=USER, sched=FIFO), {}, ("7", {1: "6"})),
        (threaded(emulator=USER), {}, ("7", {1: "7"})),  # IO threads go with the emulator
        (threaded(pins=USER_IO, emulator=USER), {"shared_cpus": "0-5"}, ("0-1", {1: "0-1"})),
        (threaded(pins=USER_IO, emulator=USER), {"iothreads": "5"}, ("7", {1: "5"})),
        (threaded(pins=USER_IO, emulator=USER), {"emulator": "isolate"}, ("1", {1: "6"})),
        (threaded(), {"emulator": "4-5"}, ("4-5", {1: "4-5"})),
        (threaded(), {}, (None, {})),  # there is nobody to share with: on its own CPUs
        (threaded(sched=FIFO), {}, ("1", {1: "1"})),  # where they would never run
        (threaded(count=3, pins=USER_IO), {"iothreads": "4"}, (None, {1: "4", 2: "4", 3: "4"})),
    ],
)
def test_threads_of_three_kinds(qemu, guest, options, expected):
    for run in range(2):
        told = qemu.place_all(guest, policy="dedicated", state="defined", **options)
        assert told["changed"] == (not run)
        assert helpers(qemu.definition()) == expected
    assert qemu.findings()["findings"] == []
    # By its name it stays as it is, whatever its document said.
    assert not qemu.place_all({"name": "web1"}, policy="dedicated", state="defined", **options)["changed"]


def test_a_place_where_a_realtime_guest_would_hang_is_none(qemu):
    own = "<vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='1' cpuset='1'/>"
    qemu.add(document(kind="kvm", vcpu=" cpuset='0-1'", tune=f"<cputune>{own}{FIFO}</cputune>"))
    assert [each["code"] for each in qemu.findings()["findings"]] == ["realtime_shared"]
    told = qemu.place_all({"name": "web1"}, policy="dedicated", state="defined")
    assert "the CPUs of its real-time vCPUs" in told["plan"]["placements"][0]["reason"]
    assert helpers(qemu.definition()) == ("1", {})
    assert qemu.findings()["findings"] == []


def test_pins_of_a_user_on_cpus_that_belong_to_another_are_not_kept(qemu):
    qemu.place_all(*given("a", kind="kvm", vcpus=2), policy="dedicated", state="defined")
    mine = pins(qemu.definition("a"))
    thread, emulator = f"<iothreadpin iothread='1' cpuset='{mine[0]}'/>", f"<emulatorpin cpuset='{mine[1]}'/>"
    qemu.place_all(threaded(pins=thread, emulator=emulator), policy="dedicated", state="defined")
    where, threads = helpers(qemu.definition())
    used = [each for each in (where, *threads.values(), *pins(qemu.definition()).values()) if each is not None]
    assert not union(map(CpuSet.parse, used)) & union(map(CpuSet.parse, mine.values()))
    # Nor are CPUs that a user has pinned such threads to given to a guest alone, in the same plan or later.
    guests = threaded("b", emulator="<emulatorpin cpuset='7'/>"), *given("c", kind="kvm", vcpus=1)
    qemu.place_all(*guests, policy="dedicated", state="defined")
    assert "7" not in pins(qemu.definition("c")).values()
    assert helpers(qemu.definition("b"))[0] == "7"


def test_io_threads_cannot_be_sent_to_cpus_of_another(qemu):
    qemu.place_all(*given("a", kind="kvm", vcpus=2), policy="dedicated", state="defined")
    line = refused(qemu, InputError, threaded(), policy="dedicated", iothreads="0")
    assert line == "domains[web1].iothreads: '0': CPU 0 belongs to a; give other CPUs"
    line = refused(qemu, InputError, threaded(), policy="dedicated", iothreads="99")
    assert line.startswith("domains[web1].iothreads: '99': CPU 99 is offline or does not exist")
