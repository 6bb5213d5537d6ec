# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_domain_info, on libvirt's own test driver and on a stand-in for qemu."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    InputError,
    LibvirtCallError,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document


def test_a_host_without_domains(testdriver):
    assert testdriver.info() == []


def test_all_by_name(testdriver):
    testdriver.place(xml=document("b", vcpus=4), cells=[1])
    testdriver.place(xml=document("a"), cells=[0], vcpu_pins={"0": "3"}, state="defined")
    testdriver.native.createXML(document("c"))
    before = testdriver.everything()
    a, b, c = testdriver.info()
    assert testdriver.everything() == before

    assert (a["name"], a["state"], a["persistent"], a["managed"]) == ("a", "shut off", True, True)
    assert (a["vcpus"], a["memory"], a["cpuset"], a["cells"]) == (2, 65536, "0-7", [0])
    assert (a["live"], a["actual"]) == (None, None)
    assert a["configured"]["vcpu_pins"] == {"0": "3"}
    assert a["intent"]["cells"] == [0]

    assert (b["name"], b["state"], b["vcpus"], b["cpuset"], b["cells"]) == ("b", "running", 4, "8-15", [1])
    assert b["live"] == b["configured"]
    assert b["actual"]["source"] == "definition"
    assert b["uuid"] == testdriver.domain("b").UUIDString()

    assert (c["name"], c["persistent"], c["managed"], c["intent"]) == ("c", False, False, None)
    assert c["configured"] is None
    assert c["live"]["cpuset"] is None
    # Unrestricted: no cpuset and no cells.
    assert "cpuset" not in c
    assert "cells" not in c


def test_only_those_that_are_named(testdriver):
    for name in ("a", "b", "c"):
        testdriver.place(xml=document(name), cells=[0], state="defined")
    assert [each["name"] for each in testdriver.info("c", "a", "a")] == ["a", "c"]


def test_a_name_that_is_not_there(testdriver):
    testdriver.place(xml=document("a"), cells=[0], state="defined")
    with pytest.raises(DomainNotFoundError, match="names: 'ghost': there is no such domain on this host; leave names"):
        testdriver.info("a", "ghost")


def test_the_cpuset_is_the_union_of_the_pins(testdriver):
    testdriver.place(xml=document("a"), vcpu_pins={"0": "1", "1": "9-10"}, state="defined")
    (info,) = testdriver.info()
    assert (info["cpuset"], info["cells"]) == ("1,9-10", [0, 1])


def test_pins_that_cover_the_host_are_no_restriction(testdriver):
    tune = "<cputune><vcpupin vcpu='0' cpuset='0-7'/><vcpupin vcpu='1' cpuset='8-15'/></cputune>"
    testdriver.native.defineXML(document("a", tune=tune))
    (info,) = testdriver.info()
    assert "cpuset" not in info


def test_drift_is_shown_as_it_is(testdriver):
    """Intent and definition on cell 1, the running guest still on cell 0."""
    testdriver.place(xml=document("a"), cells=[0])
    testdriver.place("a", cells=[1])
    (info,) = testdriver.info()
    assert info["intent"]["cells"] == [1]
    assert info["configured"]["cpuset"] == "8-15"
    assert (info["live"]["cpuset"], info["cpuset"], info["cells"]) == ("0-7", "0-7", [0])


def test_no_secret_is_shown(testdriver):
    testdriver.place(xml=document("a"), cells=[0])
    assert "s3cret" not in repr(testdriver.info())


def test_reality_is_what_the_threads_may_do(qemu):
    qemu.strays = {1: CpuSet.parse("6")}
    qemu.add(document(kind="kvm", vcpu=" cpuset='0-1'"), running=True)
    (info,) = qemu.info()
    assert info["live"]["cpuset"] == "0-1"
    assert info["actual"]["source"] == "proc"
    assert info["actual"]["vcpus"] == {"0": "0-1", "1": "6"}
    assert (info["cpuset"], info["cells"]) == ("0-1,6", [0, 3])
    assert info["actual"]["memory"] == {"0": 32768}


def test_far_away_the_hypervisor_is_asked(far_qemu):
    far_qemu.add(document(kind="kvm", vcpu=" cpuset='0-1'"), running=True)
    (info,) = far_qemu.info()
    assert info["actual"]["source"] == "hypervisor"
    assert info["actual"]["vcpus"] == {"0": "0-1", "1": "0-1"}
    assert info["actual"]["memory"] is None


def test_calls_for_each_stopped_domain(testdriver):
    for number in range(20):
        testdriver.native.defineXML(document(f"guest{number}"))
    testdriver.info()
    assert testdriver.calls == 3 + 20  # connect, capabilities, list


@pytest.mark.parametrize(("host", "each"), [("qemu", 2), ("far_qemu", 3)])
def test_calls_for_each_running_domain(request, host, each):
    host = request.getfixturevalue(host)
    for number in range(20):
        host.add(document(f"guest{number}", kind="kvm", vcpu=" cpuset='0-1'"), running=True)
    host.info()
    assert host.calls == 6 + 20 * each  # and the CPU map, persistence and states


def test_a_guest_that_goes_away_meanwhile(qemu):
    for name in ("a", "b"):
        qemu.add(document(name, kind="qemu"), running=True)

    def gone(_real):
        del qemu.guests["a"]
        raise DomainNotFoundError("name", None, "Domain not found")

    qemu.failures["live_xml"] = gone
    assert [each["name"] for each in qemu.info()] == ["b"]

    qemu.add(document("a", kind="qemu"), running=True)
    qemu.failures["live_xml"] = gone
    with pytest.raises(DomainNotFoundError):
        qemu.info("a")


def test_a_guest_that_stops_meanwhile(qemu):
    guest = qemu.add(document("a", kind="qemu"), running=True)

    def stopped(_real):
        qemu.end(guest)
        raise LibvirtCallError("read the live definition", "domain is not running", 55)

    qemu.failures["live_xml"] = stopped
    (info,) = qemu.info()
    assert (info["state"], info["live"], info["actual"]) == ("shut off", None, None)


# --- findings --------------------------------------------------------------------------------------------------------


def codes(result):
    return [(each["code"], each["domain"]) for each in result["findings"]]


@pytest.mark.parametrize("options", [{"policy": "pack"}, {"policy": "spread"}, {"policy": "dedicated"}])
def test_a_placed_host_has_no_findings(testdriver, options):
    testdriver.place_all({"xml": document("d")}, policy="dedicated", smt="isolate", emulator="isolate")
    testdriver.place_all(*({"xml": document(name)} for name in ("a", "b", "c")), **options)
    result = testdriver.findings()
    assert (result["findings"], result["summary"]) == ([], {"error": 0, "warning": 0, "info": 0})


def test_nor_has_one_where_a_guest_was_placed_by_hand(testdriver):
    testdriver.place(xml=document("e"), cells=[0, 1])
    testdriver.pin("e", pins={"0": "5"}, emulator="4-5")
    testdriver.native.defineXML(document("f", vcpu=" cpuset='0-7'"))
    testdriver.pin("f", pins={"0": "1", "1": "2"})
    assert codes(testdriver.findings()) == []


@pytest.mark.parametrize("policy", ["pack", "dedicated", "mirror"])
def test_nor_has_one_of_qemu(qemu, policy):
    documents = [{"xml": document(name, kind="kvm", vcpus=2)} for name in ("a", "b")]
    qemu.place_all(*documents, policy=policy)
    qemu.place(xml=document("c", kind="kvm"), cells=[3])
    assert codes(qemu.findings()) == []


def test_nor_has_one_of_xen(xen):
    xen.place_all(*({"xml": document(name, kind="xen")} for name in ("a", "b")), policy="dedicated")
    xen.place(xml=document("c", kind="xen"), cells=[3])
    assert codes(xen.findings()) == []


def test_what_is_wrong_on_qemu(qemu):
    qemu.strays = {1: CpuSet.parse("6")}
    qemu.add(document("a", kind="kvm", vcpu=" cpuset='0-1'"), running=True)
    qemu.strays = {}
    elsewhere = "<numatune><memory mode='strict' nodeset='3'/></numatune>"
    qemu.add(document("b", kind="kvm", vcpu=" cpuset='2-3'", tune=elsewhere), running=True)
    qemu.add(document("c", kind="kvm", vcpu=" cpuset='8'"))
    result = qemu.findings()
    assert codes(result) == [
        ("cpu_missing", "c"),
        ("memory_remote", "b"),
        ("threads_differ", "a"),
    ]
    assert result["findings"][1]["numbers"] == {"kib": 32768, "total_kib": 32768}
    assert result["findings"][1]["fix"] == "restart"
    assert result["summary"] == {"error": 1, "warning": 2, "info": 0}


def test_drift_is_found(testdriver):
    testdriver.place(xml=document("a"), cells=[0])
    testdriver.place("a", cells=[1])
    (one,) = testdriver.findings()["findings"]
    assert (one["code"], one["domain"], one["fix"]) == ("live_differs", "a", "live")
    testdriver.native.defineXML(testdriver.definition("a").replace("cpuset='8-15'", "cpuset='8-11'"))
    assert [code for code, _domain in codes(testdriver.findings())] == ["intent_differs", "live_differs"]


def test_findings_of_one_have_the_others_in_view(testdriver):
    tune = "<cputune><vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='1' cpuset='2'/></cputune>"
    for name in ("a", "b"):
        testdriver.native.createXML(document(name, tune=tune))
    testdriver.native.createXML(document("c", vcpu=" cpuset='3-4'"))
    result = testdriver.findings("b")
    assert [each["name"] for each in result["domains"]] == ["b"]
    (one,) = result["findings"]
    assert (one["code"], one["domain"], one["others"], one["cpus"]) == ("cpu_dedicated_twice", "a", ["b"], "1-2")
    assert codes(testdriver.findings("c")) == []
    assert codes(testdriver.findings()) == [("cpu_dedicated_twice", "a")]


def test_the_rules_of_the_host_count(testdriver):
    tune = "<cputune><vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='1' cpuset='2'/></cputune>"
    testdriver.native.createXML(document("a", tune=tune))
    assert codes(testdriver.findings(reserved_cpus="0-1")) == [("dedicated_on_reserved", "a")]
    with pytest.raises(InputError, match=r"reserved_cpus: '99': the host has no CPU 99; its CPUs are 0-15"):
        testdriver.findings(reserved_cpus="99")
    with pytest.raises(InputError, match=r"cpu_ratio: -1\.0: is not a ratio"):
        testdriver.findings(cpu_ratio=-1.0)


DEVICE = """<device><name>pci_0000_04_00_0</name><capability type='pci'><domain>0</domain><bus>4</bus><slot>0</slot>
<function>0</function><numa node='3'/></capability></device>"""
HOSTDEV = "<hostdev mode='subsystem' type='pci'><source><address bus='0x04' slot='0x00'/></source></hostdev>"


def test_devices_are_read_where_a_guest_has_one(qemu):
    qemu.devices = [DEVICE]
    qemu.add(document("a", kind="kvm", vcpu=" cpuset='0-1'"), running=True)
    qemu.findings()
    before = qemu.calls
    qemu.add(document("b", kind="kvm", vcpu=" cpuset='0-1'", more=HOSTDEV), running=True)
    result = qemu.findings(cpu_ratio=2.0)
    assert codes(result) == [("device_remote", "b")]
    assert result["findings"][0]["cells"] == [3]
    assert qemu.calls == before + 2 + 1 + 5  # its dumps, the devices, and what is free on 4 cells


def test_a_device_that_only_its_driver_understands(qemu):
    odd = HOSTDEV.replace("0x04", "4th")
    qemu.add(document("b", kind="kvm", vcpu=" cpuset='0-1'", more=odd), running=True)
    assert codes(qemu.findings()) == []


def test_calls_for_findings(testdriver):
    """The same as without, however many guests there are."""
    for number in range(20):
        testdriver.native.defineXML(document(f"guest{number}", vcpu=" cpuset='0-7'"))
    testdriver.findings()
    assert testdriver.calls == 3 + 20
    testdriver.findings("guest3")
    assert testdriver.calls == 3 + 20
    testdriver.info("guest3")
    assert testdriver.calls == 3 + 1


@pytest.mark.parametrize(("host", "each"), [("qemu", 2), ("far_qemu", 3)])
def test_calls_for_findings_of_running_guests(request, host, each):
    host = request.getfixturevalue(host)
    for number in range(20):
        host.add(document(f"guest{number}", kind="kvm", vcpu=" cpuset='0-1'"), running=True)
    host.findings()
    assert host.calls == 6 + 20 * each
    host.add(document("wide", kind="kvm", vcpu=" cpuset='1-2'"), running=True)
    host.findings()
    assert host.calls == 6 + 21 * each + 5  # what is free on 4 cells, and the free pages


def test_a_guest_that_goes_away_meanwhile_is_in_no_finding(qemu):
    for name in ("a", "b"):
        qemu.add(document(name, kind="qemu", vcpu=" cpuset='99'"), running=False)
    qemu.add(document("c", kind="qemu"), running=True)

    def gone(_real):
        del qemu.guests["c"]
        raise DomainNotFoundError("name", None, "Domain not found")

    qemu.failures["live_xml"] = gone
    assert codes(qemu.findings("a")) == [("cpu_missing", "a")]
