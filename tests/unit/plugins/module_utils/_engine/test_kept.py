# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stays where it was when a guest is placed, and memory that does: said when it happens, and by the audit."""

from __future__ import annotations

import os

import pytest

from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import capabilities, document

CACHES = "".join(
    f"<bank id='{cell}' level='3' type='both' size='32' unit='MiB' cpus='{2 * cell}-{2 * cell + 1}'/>"
    for cell in range(4)
)
NODES = "".join(f"<node id='{cell}' cpus='{2 * cell}-{2 * cell + 1}'/>" for cell in range(4))
CACHE = "<cachetune vcpus='0-1'><cache id='0' level='3' type='both' size='8' unit='MiB'/></cachetune>"
NODE = "<memorytune vcpus='0-1'><node id='0' bandwidth='60'/></memorytune>"
SAID = (
    "domain web1: cputune/cachetune[@vcpus='0-1']/cache[@id='0'] is about level 3 cache 0, which serves CPUs 0-1, and "
    "vCPUs 0-1 run on CPUs 2-3: give 1 as its id, or take it out of its definition (virsh edit)"
)


@pytest.fixture
def host(qemu):
    """With a cache and a node of memory bandwidth for each cell."""
    qemu.capabilities = capabilities("kvm").replace(
        "</topology>", f"</topology><cache>{CACHES}</cache><memory_bandwidth>{NODES}</memory_bandwidth>"
    )
    return qemu


def guest(tune="", **parts):
    return document(kind="kvm", vcpu=" cpuset='0-1'", tune=f"<cputune>{tune}</cputune>", **parts)


def test_numa_domain(host):
    host.add(guest(CACHE + NODE))
    for check in (True, False):
        warnings = host.place("web1", cells=[1], state="defined", check=check)["warnings"]
        assert warnings[0] == SAID and len(warnings) == 2
        assert "memory bandwidth of node 0, which serves CPUs 0-1" in warnings[1]
    assert "warnings" not in host.place("web1", cells=[1], state="defined")
    assert CACHE.replace("'", '"') in host.definition()
    (found,) = host.findings()["findings"]
    assert (found["code"], found["numbers"]) == ("allocation_remote", {"allocations": 2})


def test_numa_placement(host):
    host.add(guest(CACHE))
    entry = {"name": "web1", "cells": [1], "policy": "pack"}
    assert host.place_all(entry, state="defined")["warnings"] == [SAID]
    assert host.place_all(entry, state="defined")["warnings"] == []


def test_vcpu_pin(host):
    host.add(guest(CACHE))
    assert "warnings" not in host.pin(pins={"0": "1"})
    (said,) = host.pin(pins={"0-1": "3"}, outside=True)["warnings"]
    assert "serves CPUs 0-1, and vCPUs 0-1 run on CPU 3: give 1 as its id" in said
    assert "warnings" not in host.pin(pins={"0-1": "3"}, outside=True)


def test_a_host_that_tells_of_no_caches(qemu):
    qemu.add(guest(CACHE + NODE))
    assert "warnings" not in qemu.place("web1", cells=[1], state="defined")
    assert qemu.findings()["findings"] == []


def test_a_document_of_a_user(host):
    assert host.place(xml=guest(CACHE), cells=[1], state="defined")["warnings"] == [SAID]


def test_memory_that_was_taken_elsewhere_asks_for_a_restart(qemu):
    one = qemu.add(document(kind="kvm", vcpu=" cpuset='0-1'"), running=True)
    qemu.place("web1", cells=[0], restart=True)
    path = os.path.join(qemu.proc, str(one.pid), "numa_maps")
    with open(path, "w", encoding="utf-8") as file:
        file.write("7f0000000000 bind:0 anon=8192 dirty=8192 N1=8192 kernelpagesize_kB=4\n")
    (found,) = qemu.findings()["findings"]
    assert found["remedy"] == "run numa_domain for it with restart=allowed: memory does not move while it runs"
    waits = qemu.place("web1")
    assert waits["restart_required"] and "32768 KiB of the running guest's memory lie on cell 1" in str(waits)
    assert qemu.place("web1", restart=True)["changed"]
    assert not qemu.place("web1", restart=True)["changed"] and qemu.findings()["findings"] == []


def test_what_numad_has_chosen_stays_until_a_restart(far_qemu):
    one = far_qemu.add(document(kind="kvm", vcpu=" placement='auto'"), running=True)
    one.config = one.config.replace(' placement="auto"', "")
    (found,) = far_qemu.findings()["findings"]
    assert (found["code"], found["fix"]) == ("live_differs", "restart")
    reasons = far_qemu.place("web1")["restart_reasons"]
    assert {"element": "vcpu/@placement", "reason": reasons[0]["reason"]} == reasons[0]
    far_qemu.place("web1", restart=True)
    assert far_qemu.findings()["findings"] == []


@pytest.mark.parametrize("vcpu", [" placement='auto'", " placement='auto' cpuset='0-1'"])
@pytest.mark.parametrize("tune", ["", "<numatune><memory mode='strict' placement='auto'/></numatune>"])
@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    "task",
    [
        lambda host: host.pin(pins={"0-1": "2"}),
        lambda host: host.place("web1", cells=[1], state="defined"),
        lambda host: host.place("web1", state="defined"),
        lambda host: host.place_all("web1", state="defined"),
        lambda host: host.release("web1"),
    ],
)
def test_an_automatic_guest_on_xen_is_changed_once(xen, vcpu, tune, running, task):
    xen.add(document(kind="xen", vcpu=vcpu, tune=tune), running=running)
    assert [task(xen)["changed"] for _run in range(3)] == [True, False, False]
    assert xen.findings()["findings"] == [] and "auto" not in xen.definition()
