# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_domain_info, on libvirt's own test driver and on a stand-in for qemu."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._errors import DomainNotFoundError, LibvirtCallError
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
