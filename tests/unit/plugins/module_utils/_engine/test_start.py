# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Born on its cell, or not at all: starting, verifying and rolling back, on a stand-in for qemu and xen.

The stand-in logs every write, so the order of what happens to a guest is asserted, and what is left afterwards.
"""

from __future__ import annotations

import os
import signal

import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._engine.start import Interrupted, unwinding_on_signals
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    InputError,
    LibvirtCallError,
    PlacementFailedError,
    RestartFailedError,
    UnsupportedError,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document, refuse

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
XML = document(kind="kvm", uuid=f"<uuid>{UUID}</uuid>")
STRICT_0 = {"vcpu": " cpuset='0-1'", "tune": "<numatune><memory mode='strict' nodeset='0'/></numatune>"}
RESTRICTIVE_0 = {"vcpu": " cpuset='0-1'", "tune": "<numatune><memory mode='restrictive' nodeset='0'/></numatune>"}


def on_cell_0(**parts):
    return document(kind="kvm", uuid=f"<uuid>{UUID}</uuid>", **parts)


def steps(host):
    return [entry for entry in host.log if not entry.startswith("set_metadata")]


def test_starts_paused_looks_and_resumes(qemu):
    done = qemu.place(xml=XML, cells=[1])
    assert qemu.log == ["define", "set_metadata config", "start paused", "resume"]
    assert qemu.guests["web1"].state == "running"
    assert done["actual"] == {
        "source": "proc",
        "vcpus": {"0": "2-3", "1": "2-3"},
        "emulator": "2-3",
        "iothreads": {},
        "memory_cells": "1",
        "memory_policy": "bind:1",
        "memory": {"1": 32768},
    }
    assert done["changes"][-1] == {
        "element": "state",
        "before": "absent",
        "after": "running",
        "applied": "live",
        "needs_restart": False,
    }


def test_a_second_run_changes_nothing_and_makes_few_calls(qemu):
    qemu.place(xml=XML, cells=[1])
    before = qemu.everything()
    for options in ({"xml": XML, "cells": [1]}, {"name": "web1", "cells": [1]}, {"name": "web1"}):
        qemu.log.clear()
        assert not qemu.place(**options)["changed"]
        assert qemu.calls <= 8
        assert (qemu.log, qemu.everything()) == ([], before)


def test_far_away_the_hypervisor_is_believed(far_qemu):
    assert far_qemu.place(xml=XML, cells=[1])["actual"]["source"] == "hypervisor"
    far_qemu.log.clear()
    assert not far_qemu.place(xml=XML, cells=[1])["changed"]
    assert far_qemu.calls <= 9  # one more: there are no processes to look at


def test_a_new_guest_found_outside_is_destroyed_and_forgotten(qemu):
    qemu.strays = {1: CpuSet.parse("2-4")}
    with pytest.raises(PlacementFailedError) as error:
        qemu.place(xml=XML, cells=[1])
    assert qemu.log == ["define", "set_metadata config", "start paused", "destroy", "undefine"]
    assert qemu.guests == {}
    tid = 1000 + int(UUID[:4], 16) * 100 + 2
    assert str(error.value) == (
        "domain 'web1' was not born on its cells: "
        f"vCPU 1 (thread {tid}) may use CPUs 2-4 instead of CPUs 2-3; "
        "it was destroyed, and nothing is defined, as before"
    )
    assert error.value.code == "placement_failed"


def test_an_old_guest_found_outside_gets_its_definition_back(qemu):
    qemu.add(on_cell_0(**STRICT_0))
    before = qemu.definition()
    qemu.strays = {0: CpuSet.parse("0-7")}
    with pytest.raises(PlacementFailedError, match="the previous definition is back"):
        qemu.place("web1", cells=[1])
    assert steps(qemu) == ["define", "start paused", "destroy", "define"]
    assert qemu.definition() == before
    assert qemu.guests["web1"].state == "shut off"
    assert len(qemu.backup_files()) == 1


def test_the_hypervisors_word_is_enough_to_fail(far_qemu):
    far_qemu.strays = {0: CpuSet.parse("0-7")}
    with pytest.raises(PlacementFailedError, match=r"vCPU 0 may use CPUs 0-7 instead of CPUs 2-3"):
        far_qemu.place(xml=XML, cells=[1])
    assert far_qemu.guests == {}


def test_memory_elsewhere_is_found_too(qemu, monkeypatch):
    write = qemu._write_process

    def elsewhere(guest, root, everything):
        write(guest, root, everything)
        path = os.path.join(qemu.proc, str(guest.pid), "numa_maps")
        with open(path, "w", encoding="utf-8") as file:
            file.write("7f0000000000 bind:3 anon=8192 N3=8192 kernelpagesize_kB=4\n")

    monkeypatch.setattr(qemu, "_write_process", elsewhere)
    with pytest.raises(PlacementFailedError, match=r"the guest's memory may use cells 3 instead of cells 1"):
        qemu.place(xml=XML, cells=[1])
    assert qemu.guests == {}


def test_without_verify_nobody_looks(qemu):
    qemu.strays = {1: CpuSet.parse("4")}
    done = qemu.place(xml=XML, cells=[1], verify=False)
    assert qemu.guests["web1"].state == "running"
    assert done["actual"]["vcpus"] == {"0": "2-3", "1": "4"}


def test_a_start_that_fails_leaves_the_old_definition(qemu):
    qemu.add(on_cell_0(**STRICT_0))
    before = qemu.everything()
    qemu.failures["start"] = refuse("NUMA node 1 is unavailable")
    with pytest.raises(PlacementFailedError) as error:
        qemu.place("web1", cells=[1])
    assert str(error.value) == (
        "domain 'web1' did not start: NUMA node 1 is unavailable; cell 1 has 400001 KiB free; "
        "the previous definition is back"
    )
    assert steps(qemu) == ["define", "define"]
    assert qemu.everything() == before


def test_a_start_that_fails_without_a_change_says_so(qemu):
    qemu.place(xml=XML, cells=[1], state="defined")
    before = qemu.everything()
    qemu.failures["start"] = refuse("no memory")
    with pytest.raises(PlacementFailedError, match=r"did not start: no memory; .*its definition is as it was"):
        qemu.place("web1")
    assert qemu.everything() == before


def test_a_new_guest_that_does_not_start_is_not_left_defined(qemu):
    qemu.failures["start"] = refuse("no memory")
    with pytest.raises(PlacementFailedError, match="nothing is defined, as before"):
        qemu.place(xml=XML, cells=[1])
    assert qemu.guests == {}


@pytest.mark.parametrize("name", ["resume", "live_xml"])
def test_an_error_after_the_start_rolls_back_and_says_so(qemu, monkeypatch, name):
    qemu.add(on_cell_0(**STRICT_0))
    before = qemu.everything()
    if name == "resume":
        qemu.failures["resume"] = refuse("the monitor is gone", "resume the domain")
    else:
        monkeypatch.setattr(
            "ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor.FakeDomain.live_xml",
            lambda domain: refuse("the monitor is gone", "resume the domain")(None),
        )
    with pytest.raises(PlacementFailedError) as error:
        qemu.place("web1", cells=[1])
    assert str(error.value) == (
        "domain 'web1' was started, but cannot resume the domain: the monitor is gone; "
        "it was destroyed, the previous definition is back"
    )
    assert qemu.everything() == before


def test_a_rollback_that_fails_says_where_the_definition_is(qemu):
    qemu.add(on_cell_0(**STRICT_0))
    before = qemu.definition()

    def fail_and_then_refuse(_real):
        qemu.failures["define"] = refuse("disk full", "define the domain")
        raise LibvirtCallError("start the domain", "no memory", 1)

    qemu.failures["start"] = fail_and_then_refuse
    with pytest.raises(PlacementFailedError) as error:
        qemu.place("web1", cells=[1])
    file = os.path.join(qemu.backups, qemu.backup_files()[0])
    assert f"could NOT be put back (cannot define the domain: disk full); it is in {file}" in str(error.value)
    with open(file, encoding="utf-8") as handle:
        assert handle.read() == before


def test_runs_that_fail_again_and_again_push_no_backup_out(qemu):
    qemu.add(on_cell_0(**STRICT_0))
    first = qemu.place("web1", cells=[1], state="defined")["backup_file"]
    for _each in range(12):
        qemu.failures["start"] = refuse("no memory")
        with pytest.raises(PlacementFailedError):
            qemu.place("web1", cells=[2])
        qemu.failures["define"] = refuse("no", "define the domain")
        with pytest.raises(LibvirtCallError):
            qemu.pin(pins={"0": "2"})
    assert os.path.basename(first) in qemu.backup_files()
    assert len(qemu.backup_files()) == 2


def test_a_define_that_is_refused_changes_nothing(qemu):
    qemu.add(on_cell_0(**STRICT_0))
    before = qemu.everything()
    qemu.failures["define"] = refuse("XML error: no", "define the domain")
    with pytest.raises(LibvirtCallError, match="cannot define the domain: XML error: no"):
        qemu.place("web1", cells=[1])
    assert (qemu.everything(), qemu.log) == (before, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("moment", ["start", "resume"])
def test_a_signal_in_the_middle_puts_everything_back(qemu, number, moment):
    qemu.add(on_cell_0(**STRICT_0))
    before = qemu.everything()
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]

    def interrupted(real):
        if moment == "start":
            real()  # the guest is there when the signal comes
        os.kill(os.getpid(), number)
        raise AssertionError("the signal was not delivered")

    qemu.failures[moment] = interrupted
    with pytest.raises(Interrupted) as ending:
        qemu.place("web1", cells=[1])
    assert ending.value.code == 128 + number  # SystemExit: no traceback reaches the user
    assert steps(qemu) == ["define", "start paused", "destroy", "define"]
    assert qemu.everything() == before
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == handlers


def test_a_second_signal_does_not_break_into_the_clean_up(qemu):
    qemu.add(on_cell_0(**STRICT_0))
    before = qemu.everything()

    def impatient(real):
        os.kill(os.getpid(), signal.SIGTERM)
        real()

    def interrupted(_real):
        qemu.failures["destroy"] = impatient
        qemu.failures["define"] = impatient
        os.kill(os.getpid(), signal.SIGINT)

    qemu.failures["resume"] = interrupted
    with pytest.raises(Interrupted):
        qemu.place("web1", cells=[1])
    assert qemu.everything() == before


def test_a_keyboard_interrupt_puts_everything_back(qemu):
    qemu.add(on_cell_0(**STRICT_0))
    before = qemu.everything()

    def interrupted(real):
        raise KeyboardInterrupt

    qemu.failures["resume"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        qemu.place("web1", cells=[1])
    assert qemu.everything() == before


def test_handlers_come_back_after_the_block():
    before = signal.getsignal(signal.SIGTERM)
    with unwinding_on_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("moment", ["start", "resume"])
def test_a_run_killed_before_the_resume_is_finished_by_the_next(qemu, moment):
    """SIGKILL: nothing is cleaned up."""

    class Killed(BaseException):
        pass

    def killed(real):
        if moment == "start":
            real()
        # What the dead process would have done next never happens.
        for name in ("destroy", "define"):
            qemu.failures[name] = killed_too
        raise Killed

    def killed_too(_real):
        raise Killed

    qemu.add(on_cell_0(**STRICT_0))
    qemu.failures[moment] = killed
    with pytest.raises(Killed):
        qemu.place("web1", cells=[1])
    assert qemu.guests["web1"].state == "paused"
    qemu.failures.clear()
    qemu.log.clear()
    done = qemu.place("web1", cells=[1])
    assert qemu.log == ["resume"]
    assert [change["element"] for change in done["changes"]] == ["state"]
    assert qemu.guests["web1"].state == "running"
    assert not qemu.place("web1", cells=[1])["changed"]


def test_a_run_killed_between_its_two_writes_is_finished_by_the_next(qemu):
    def killed(_real):
        raise KeyboardInterrupt

    qemu.failures["set_metadata"] = killed
    with pytest.raises(KeyboardInterrupt):
        qemu.place(xml=XML, cells=[1])
    done = qemu.place(xml=XML, cells=[1])
    assert done["changed"]
    assert not qemu.place(xml=XML, cells=[1])["changed"]


def test_a_guest_paused_by_its_user_is_resumed(qemu):
    guest = qemu.add(on_cell_0(**STRICT_0), running=True)
    guest.state = "paused"
    before = qemu.definition()
    predicted = qemu.place("web1", check=True)
    assert qemu.log == []
    done = qemu.place("web1")
    assert done["changes"] == predicted["changes"]
    assert qemu.log == ["resume"]
    assert qemu.definition() == before


def test_a_guest_paused_by_an_error_is_refused(qemu):
    guest = qemu.add(on_cell_0(**STRICT_0), running=True)
    guest.state, guest.by_user = "paused", False
    for check in (True, False):
        with pytest.raises(InputError, match="paused by the hypervisor, for an error or a migration; find out why"):
            qemu.place("web1", cells=[1], check=check)
    assert qemu.log == []
    assert not qemu.place("web1", state="defined")["changed"]


def test_a_paused_guest_that_is_misplaced_stays_paused(qemu):
    qemu.strays = {0: CpuSet.parse("5")}
    guest = qemu.add(on_cell_0(**STRICT_0), running=True)
    guest.state = "paused"
    qemu.failures["pin_vcpu"] = lambda real: None  # the call works, and the thread stays where it is
    with pytest.raises(PlacementFailedError, match="it was left paused"):
        qemu.place("web1")
    assert (guest.state, qemu.log) == ("paused", [])


def test_pins_and_restrictive_memory_move_live(qemu):
    qemu.add(on_cell_0(**RESTRICTIVE_0), running=True)
    predicted = qemu.place("web1", cells=[2], memory={"mode": "restrictive"}, check=True)
    assert qemu.log == []
    done = qemu.place("web1", cells=[2], memory={"mode": "restrictive"})
    assert qemu.log == [
        "define", "pin_vcpu 0 4-5", "pin_vcpu 1 4-5", "pin_emulator 4-5", "bind_memory 2", "set_metadata live",
    ]  # fmt: skip
    assert (predicted["changes"], predicted["diff"]) == (done["changes"], done["diff"])
    assert not done["restart_required"]
    assert done["actual"]["vcpus"] == {"0": "4-5", "1": "4-5"}
    qemu.log.clear()
    assert not qemu.place("web1", cells=[2], memory={"mode": "restrictive"})["changed"]
    assert qemu.log == []


def test_strict_memory_needs_a_restart_and_says_why(qemu):
    qemu.add(on_cell_0(**STRICT_0), running=True)
    done = qemu.place("web1", cells=[2])
    assert "bind_memory 2" not in qemu.log
    assert done["restart_required"]
    assert done["restart_reasons"] == [
        {
            "element": "numatune/memory",
            "reason": "memory in strict mode is bound when the guest starts; "
            "only restrictive memory can move while it runs",
        }
    ]
    waiting = [change["element"] for change in done["changes"] if change["needs_restart"]]
    assert waiting == ["numatune/memory"]
    again = qemu.place("web1", cells=[2])
    assert (again["changed"], again["restart_required"]) == (False, True)


def test_an_allowed_restart_shuts_down_and_starts_on_the_new_cells(qemu):
    qemu.add(on_cell_0(**STRICT_0), running=True)
    predicted = qemu.place("web1", cells=[2], restart=True, check=True)
    done = qemu.place("web1", cells=[2], restart=True, shutdown_timeout=5)
    assert (predicted["changes"], predicted["restart_required"]) == (done["changes"], False)
    assert qemu.log == ["define", "shutdown", "start paused", "resume"]
    assert done["actual"]["memory"] == {"2": 32768}
    assert not qemu.place("web1", cells=[2], restart=True)["changed"]


def test_a_guest_that_does_not_shut_down_runs_on(qemu):
    guest = qemu.add(on_cell_0(**STRICT_0), running=True)
    qemu.obeys_shutdown = False
    with pytest.raises(RestartFailedError, match="did not shut down within 0 s; it runs on as it was") as error:
        qemu.place("web1", cells=[2], restart=True)
    assert error.value.changed  # its definition is the new one
    with pytest.raises(RestartFailedError) as error:
        qemu.place("web1", cells=[2], restart=True)
    assert not error.value.changed
    qemu.log.remove("shutdown")
    assert (guest.state, qemu.log) == ("running", ["define", "shutdown"])
    assert guest.where[0] == CpuSet.parse("0-1")
    # The next run goes on from there.
    qemu.obeys_shutdown = True
    assert qemu.place("web1", cells=[2], restart=True, shutdown_timeout=5)["changed"]
    assert guest.where[0] == CpuSet.parse("4-5")


def test_a_guest_that_is_off_though_nobody_heard_of_it_was_shut_down(qemu):
    guest = qemu.add(on_cell_0(**STRICT_0), running=True)
    qemu.failures["shutdown"] = refuse("it did not acknowledge", "shut the domain down")
    with pytest.raises(RestartFailedError, match=r"did not shut down \(it did not acknowledge\); it runs on as it was"):
        qemu.place("web1", cells=[2], restart=True, shutdown_timeout=5)

    def shuts_down_all_the_same(real):
        real()
        refuse("it did not acknowledge", "shut the domain down")(real)

    qemu.failures["shutdown"] = shuts_down_all_the_same
    assert qemu.place("web1", cells=[2], restart=True, shutdown_timeout=5)["changed"]
    assert guest.where[0] == CpuSet.parse("4-5")


def test_a_restart_that_fails_brings_the_old_guest_back(qemu):
    guest = qemu.add(on_cell_0(**STRICT_0), running=True)
    before = qemu.everything()
    qemu.failures["start"] = refuse("no memory on node 2")
    with pytest.raises(PlacementFailedError) as error:
        qemu.place("web1", cells=[2], restart=True, shutdown_timeout=5)
    assert str(error.value) == (
        "domain 'web1' did not start: no memory on node 2; cell 2 has 400002 KiB free; "
        "the previous definition is back, and it was started again as it was before"
    )
    assert qemu.everything() == before
    assert guest.state == "running"
    assert error.value.changed  # it was restarted all the same


def test_a_restart_that_cannot_be_undone_says_that_the_guest_is_off(qemu):
    qemu.add(on_cell_0(**STRICT_0), running=True)

    def never(_real):
        qemu.failures["start"] = refuse("still no memory")
        raise LibvirtCallError("start the domain", "no memory", 1)

    qemu.failures["start"] = never
    with pytest.raises(PlacementFailedError, match=r"it is shut off, and does not start again \(still no memory\)"):
        qemu.place("web1", cells=[2], restart=True, shutdown_timeout=5)


def test_a_live_change_that_does_not_take_is_an_error(qemu):
    qemu.add(on_cell_0(**RESTRICTIVE_0), running=True)
    qemu.failures["pin_vcpu"] = lambda real: None  # accepted, and ignored
    with pytest.raises(PlacementFailedError, match=r"runs, but not where it should: vCPU 0"):
        qemu.place("web1", cells=[2], memory={"mode": "restrictive"})


def test_a_live_call_that_fails_is_gone_on_with_by_the_next_run(qemu):
    qemu.add(on_cell_0(**RESTRICTIVE_0), running=True)
    qemu.failures["pin_emulator"] = refuse("busy", "pin the emulator")
    with pytest.raises(LibvirtCallError, match="cannot pin the emulator: busy"):
        qemu.place("web1", cells=[2], memory={"mode": "restrictive"})
    qemu.log.clear()
    assert qemu.place("web1", cells=[2], memory={"mode": "restrictive"})["changed"]
    assert qemu.log == ["pin_emulator 4-5", "bind_memory 2", "set_metadata live"]


def test_xen_pins_every_vcpu_and_binds_no_memory(xen):
    predicted = xen.place(xml=document(kind="xen", vcpus=3), cells=[1], check=True)
    done = xen.place(xml=document(kind="xen", vcpus=3), cells=[1])
    assert (predicted["changes"], predicted["diff"]) == (done["changes"], done["diff"])
    root = etree.fromstring(xen.definition())
    assert root.find("vcpu").get("cpuset") == "2-3"
    assert [(each.get("vcpu"), each.get("cpuset")) for each in root.iterfind("cputune/vcpupin")] == [
        ("0", "2-3"), ("1", "2-3"), ("2", "2-3"),
    ]  # fmt: skip
    assert root.find("numatune") is None
    assert xen.log == ["define", "set_metadata config", "start paused", "resume"]
    assert done["actual"]["source"] == "hypervisor"
    assert not xen.place(xml=document(kind="xen", vcpus=3), cells=[1])["changed"]
    assert xen.calls <= 9


def test_xen_moves_pins_live_and_keeps_finer_ones(xen):
    xen.place(xml=document(kind="xen"), cells=[1], vcpu_pins={"0": "2"})
    assert xen.guests["web1"].where == {0: CpuSet.parse("2"), 1: CpuSet.parse("2-3")}
    xen.log.clear()
    xen.pin(pins={"1": "3"})
    assert xen.guests["web1"].where == {0: CpuSet.parse("2"), 1: CpuSet.parse("3")}
    assert not xen.place("web1", cells=[1])["changed"]
    xen.pin(pins="1", state="absent")
    assert xen.guests["web1"].where == {0: CpuSet.parse("2"), 1: CpuSet.parse("2-3")}
    assert not xen.place("web1", cells=[1])["changed"]
    done = xen.place("web1", cells=[3])
    assert xen.guests["web1"].where == {0: CpuSet.parse("6-7"), 1: CpuSet.parse("6-7")}
    assert done["restart_reasons"] == [
        {
            "element": "numatune/memory",
            "reason": "the running guest's vCPUs may use cell 1, and its memory may lie there; "
            "Xen does not move a guest's memory while it runs",
        }
    ]
    assert not xen.place("web1", cells=[3])["changed"]


def test_what_xen_has_not_is_said_by_name(xen):
    xml = document(kind="xen")
    for options, option in (
        ({"emulator_cpuset": "2"}, "emulator_cpuset"),
        ({"iothread_pins": {"1": "2"}}, "iothread_pins"),
        ({"memory": {"mode": "interleave"}}, "memory"),
    ):
        with pytest.raises(UnsupportedError, match=f"{option}: the xen driver cannot do this") as error:
            xen.place(xml=xml, cells=[1], **options)
        assert error.value.fields["driver"] == "xen"
    assert xen.guests == {}


def test_huge_pages_on_a_cell_without_cpus_of_the_guest_are_refused(qemu):
    backing = "<memoryBacking><hugepages/></memoryBacking>"
    xml = document(kind="kvm", tune=backing)
    with pytest.raises(InputError, match="huge pages, which QEMU can only bind on cells where it may run"):
        qemu.place(xml=xml, cells=[0], memory={"cells": [1]})
    assert qemu.guests == {}
    qemu.place(xml=xml, cells=[0], memory={"cells": [0]})


def test_an_offline_cpu_is_said_to_be_offline(qemu):
    qemu.offline = CpuSet([3])
    with pytest.raises(InputError, match="cpuset: '2-3': CPU 3 is offline; online are 0-2,4-7"):
        qemu.place(xml=XML, cpuset="2-3")
    assert qemu.place(xml=XML, cells=[1])["placement"]["cpuset"] == "2"
