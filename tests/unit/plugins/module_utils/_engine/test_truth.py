# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run says after a failure is so, and its state is what is: two things go wrong at once here."""

from __future__ import annotations

import os

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ChangedMeanwhileError,
    InputError,
    LibvirtCallError,
    NotRunningError,
    NumaVirtError,
    PlacementFailedError,
    RestartFailedError,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.faults import Faults, World
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document, refuse

UUID = "<uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>"
STRICT_0 = {"vcpu": " cpuset='0-1'", "tune": "<numatune><memory mode='strict' nodeset='0'/></numatune>"}


def there(host, **state):
    guest = host.add(document(kind="kvm", uuid=UUID, **STRICT_0), running=bool(state))
    for name, value in state.items():
        setattr(guest, name, value)
    return guest


def test_a_new_guest_that_cannot_be_destroyed_stays_defined(qemu):
    qemu.strays = {0: CpuSet([6])}
    qemu.failures["destroy"] = refuse("Device or resource busy", "destroy the domain")
    with pytest.raises(PlacementFailedError) as error:
        qemu.place(xml=document(kind="kvm", uuid=UUID), cells=[1])
    said = "it could NOT be destroyed (Device or resource busy) and is paused, and was left defined"
    assert str(error.value).endswith(said)
    assert qemu.definition() is not None
    assert (error.value.changed, error.value.state, qemu.guests["web1"].state) == (True, "paused", "paused")


def test_an_old_guest_that_cannot_be_destroyed_gets_its_definition_back(qemu):
    there(qemu)
    before = qemu.definition()
    qemu.strays = {0: CpuSet([6])}
    qemu.failures["destroy"] = refuse("busy", "destroy the domain")
    with pytest.raises(PlacementFailedError, match=r"NOT be destroyed .* is paused, the previous definition") as error:
        qemu.place("web1", cells=[1])
    assert (qemu.definition(), error.value.changed, error.value.state) == (before, True, "paused")


@pytest.mark.parametrize("refused", [True, False])
def test_a_definition_that_cannot_be_put_back_is_a_change(qemu, refused):
    there(qemu)
    before = qemu.definition()

    def lost(real):
        real()
        raise LibvirtCallError("define the domain", "Connection reset by peer", 38)

    def start_fails(_real):
        qemu.failures["define"] = refuse("No space left on device", "define the domain") if refused else lost
        raise LibvirtCallError("start the domain", "no memory", 1)

    qemu.failures["start"] = start_fails
    with pytest.raises(PlacementFailedError) as error:
        qemu.place("web1", cells=[1])
    assert error.value.changed == refused
    assert (qemu.definition() != before) == refused
    assert ("the previous definition is back" in str(error.value)) != refused
    result = error.value.as_result()
    assert (result["changed"], result["state"]) == (refused, "shut off")
    with open(result["backup_file"], encoding="utf-8") as file:
        assert file.read() == before


def test_a_live_pin_that_is_refused_after_the_write_is_a_change(qemu):
    guest = there(qemu, state="running")
    before = guest.config
    qemu.failures["pin_vcpu"] = refuse("Invalid argument", "pin vCPU 0")
    with pytest.raises(LibvirtCallError) as error:
        qemu.pin(pins={"0": "1"})
    assert guest.config != before
    assert (error.value.changed, error.value.state) == (True, "running")
    assert os.path.isfile(error.value.backup_file)
    assert "its definition is changed; the definition from before is in" in str(error.value)
    assert qemu.pin(pins={"0": "1"})["changed"]
    assert not qemu.pin(pins={"0": "1"})["changed"]


@pytest.mark.parametrize("when", ["start", "resume"])
def test_a_daemon_that_is_gone_leaves_nothing_to_be_known(qemu, when):
    there(qemu)
    faults = Faults(qemu)
    faults.strike(None)
    qemu.place("web1", cells=[1], check=True)

    def dies(_real):
        faults.dead = True
        raise LibvirtCallError(when, "Connection reset by peer", 38)

    qemu.failures[when] = dies
    faults.strike(None)
    with pytest.raises(PlacementFailedError, match="it is not known whether it runs") as error:
        qemu.place("web1", cells=[1])
    assert (error.value.changed, error.value.state) == (True, "unknown")
    assert error.value.backup_file in str(error.value)


def at(host, struck, act, number=1, **options):
    """Let somebody act right before a call; returns the result or the error."""
    faults = Faults(host)
    real = faults.call

    def call(called, what):
        if called == struck:
            calls.append(called)
            if len(calls) == number:
                act()
        return real(called, what)

    calls: list[str] = []
    faults.call = call
    faults.strike(None)
    try:
        return host.place(**options)
    except NumaVirtError as error:
        return error


def test_whoever_starts_it_meanwhile_keeps_it(qemu):
    there(qemu)
    answer = at(qemu, "start", lambda: World(qemu).start("web1"), name="web1", cells=[1])
    assert "it is running all the same, and was left as it is" in str(answer)
    assert (qemu.guests["web1"].state, answer.state, answer.changed) == ("running", "running", True)
    assert "destroy" not in qemu.log


def test_what_others_do_to_a_definition_is_not_undone(qemu):
    there(qemu)
    qemu.failures["start"] = refuse("no memory")
    answer = at(qemu, "start", lambda: World(qemu).edit("web1"), name="web1", cells=[1])
    assert "somebody else has changed its definition, which was left as it is" in str(answer)
    assert "theirs" in qemu.definition()
    qemu.failures["start"] = refuse("no memory")
    answer = at(qemu, "start", lambda: World(qemu).undefine("web1"), name="web1", cells=[2])
    assert "somebody else has undefined it" in str(answer)
    assert (qemu.guests, answer.state) == ({}, "absent")


@pytest.mark.parametrize(
    ("act", "call", "number", "said"),
    [
        ("edit", "start", 1, "somebody else has changed its definition, which was left as it is"),
        ("start", "undefine", 1, "it was left defined: somebody else has started it, and it is running"),
        ("undefine", "undefine", 1, "nothing is defined, as before"),
        ("start", "domain", 4, "it was left defined: it is running"),
    ],
)
def test_what_others_do_to_a_new_guest_is_not_undone(qemu, act, call, number, said):
    qemu.failures["start"] = refuse("no memory")
    new = {"xml": document(kind="kvm", uuid=UUID), "cells": [1]}
    answer = at(qemu, call, lambda: getattr(World(qemu), act)("web1"), number, **new)
    assert said in str(answer)
    guest = qemu.guests.get("web1")
    assert guest is None or guest.config is not None
    assert answer.state == (guest.state if guest else "absent")


def test_a_new_guest_that_cannot_be_forgotten_is_said(qemu):
    qemu.failures["start"] = refuse("no memory")
    qemu.failures["undefine"] = refuse("it has 2 snapshots", "undefine the domain")
    with pytest.raises(PlacementFailedError, match=r"it could NOT be undefined \(it has 2 snapshots\)") as error:
        qemu.place(xml=document(kind="kvm", uuid=UUID), cells=[1])
    assert (error.value.changed, error.value.state) == (True, "shut off")
    assert qemu.definition() is not None


def test_a_change_before_the_first_write_is_planned_for(qemu):
    there(qemu)
    done = at(qemu, "domain", lambda: World(qemu).edit("web1"), 2, name="web1", cells=[1])
    assert done["state"] == "running"
    assert "theirs" in qemu.definition()


def test_somebody_who_never_stops_is_not_waited_for(qemu):
    there(qemu)

    class Busy:
        n = 0

        def __call__(self):
            self.n += 1
            qemu.guests["web1"].config = qemu.guests["web1"].config.replace("<os>", f"<!-- {self.n} --><os>")

    busy, real = Busy(), qemu.connect

    def connect():
        connection = real()
        look = connection.domain

        def domain(name):
            busy()
            return look(name)

        connection.domain = domain
        return connection

    qemu.connect = connect
    with pytest.raises(ChangedMeanwhileError, match="touched, run again") as error:
        qemu.place("web1", cells=[1])
    assert (error.value.changed, qemu.log) == (False, [])


def test_a_guest_that_ends_at_once_is_said(qemu):
    there(qemu)

    def ends(real):
        real()
        qemu.end(qemu.guests["web1"])

    qemu.failures["resume"] = ends
    with pytest.raises(NumaVirtError) as error:
        qemu.place("web1", cells=[1])
    assert (error.value.changed, error.value.state) == (True, "shut off")
    assert "shut off" in str(error.value)


@pytest.mark.parametrize("state", ["shut off", "crashed", "paused"])
def test_a_guest_that_does_not_run_in_the_end_is_said(far_qemu, state):
    there(far_qemu)
    answer = at(far_qemu, "state", lambda: setattr(far_qemu.guests["web1"], "state", state), name="web1", cells=[1])
    assert isinstance(answer, NotRunningError)
    assert f"was started on its cells, and is {state} now" in str(answer)
    assert (answer.changed, answer.state) == (True, state)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("shutting down", "is shutting down; run again when it has"),
        ("suspended", "is suspended to RAM by its own system; wake it, with virsh dompmwakeup, and run again"),
        ("crashed", "has crashed, and is kept for somebody to look at it; destroy it"),
    ],
)
def test_a_state_that_is_nobodys_to_end_is_refused(qemu, state, said):
    guest = there(qemu, state=state)
    for check in (True, False):
        with pytest.raises(InputError, match=said) as error:
            qemu.place("web1", cells=[1], check=check)
        assert not error.value.changed
        assert (guest.state, qemu.log) == (state, [])
    for check in (True, False):
        assert qemu.place("web1", state="defined", check=check)["state"] == state
    assert qemu.place("web1", cells=[1], state="defined")["state"] == state


def test_why_it_is_paused_is_said(qemu):
    guest = there(qemu, state="paused", by_user=False, why="for an I/O error")
    with pytest.raises(InputError, match="was paused by the hypervisor, for an I/O error; find out why"):
        qemu.place("web1")
    for check in (True, False):
        done = qemu.place("web1", state="defined", check=check)
        assert (done["state"], done["state_reason"]) == ("paused", "for an I/O error")
    assert (guest.state, qemu.log) == ("paused", [])


@pytest.mark.parametrize("check", [True, False])
def test_a_job_that_would_end_with_the_guest_is_in_the_way_of_a_restart(qemu, check):
    guest = there(qemu, jobs=("a block job (copy) on disk vda",))
    before = qemu.everything()
    with pytest.raises(InputError, match=r"restart: 'allowed': domain 'web1' has a block job \(copy\) on disk vda"):
        qemu.place("web1", cells=[1], restart=True, check=check)
    assert (qemu.everything(), qemu.log) == (before, [])
    guest.jobs = ()
    assert qemu.place("web1", cells=[1], restart=True, shutdown_timeout=1, check=check)["changed"]


def test_a_paused_guest_is_resumed_to_hear_that_it_shall_shut_down(qemu):
    there(qemu, state="paused")
    assert qemu.place("web1", cells=[1], restart=True, shutdown_timeout=1)["state"] == "running"
    assert qemu.log == ["define", "resume", "shutdown", "start paused", "resume"]


def test_a_guest_that_was_paused_meanwhile_does_not_run_on(qemu):
    there(qemu, state="running")

    def paused(real):
        qemu.guests["web1"].state = "paused"
        real()

    qemu.failures["shutdown"] = paused
    with pytest.raises(RestartFailedError, match="it is paused, and follows") as error:
        qemu.place("web1", cells=[1], restart=True)
    assert (error.value.state, error.value.changed) == ("paused", True)


@pytest.mark.parametrize(
    ("vcpus", "online"),
    [
        ({"vcpu": " current='1'"}, {"0": "0-3"}),
        (
            {
                "vcpu": " current='2'",
                "vcpus": 3,
                "tune": "<vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/>"
                "<vcpu id='1' enabled='no' hotpluggable='yes'/><vcpu id='2' enabled='yes' hotpluggable='yes'/></vcpus>",
            },
            {"0": "0-3", "2": "0-3"},
        ),
    ],
)
def test_a_vcpu_that_is_not_there_yet_is_not_pinned(testdriver, vcpus, online):
    testdriver.place(xml=document(**vcpus), cells=[0])
    assert testdriver.place("web1", cpuset="0-3", check=True)["changed"]
    done = testdriver.place("web1", cpuset="0-3")
    assert (done["changed"], done["actual"]["vcpus"]) == (True, online)
    assert not testdriver.place("web1", cpuset="0-3")["changed"]
    predicted, done = testdriver.pin(pins={"1": "2"}, check=True), testdriver.pin(pins={"1": "2"})
    assert predicted["changes"] == done["changes"]
    first = done["changes"][0]
    assert (first["element"], first["applied"]) == ("cputune/vcpupin[@vcpu='1']", "config")
    assert not testdriver.pin(pins={"1": "2"})["changed"]


def test_what_xen_chooses_itself_needs_no_restart(xen):
    xml = document(kind="xen", vcpu=" placement='auto'")
    assert xen.place(xml=xml, restart=True)["changed"]
    xen.log.clear()
    again = xen.place(xml=xml, restart=True, shutdown_timeout=1)
    assert (again["changed"], again["restart_required"], xen.log) == (False, False, [])


def dies_at(host, name, faults):
    """The daemon dies at a call, and stays dead."""

    def dies(_real):
        faults.dead = True
        raise LibvirtCallError("do it", "Connection reset by peer", 38)

    host.failures[name] = dies


def test_a_write_that_nobody_heard_of_again_may_have_been_done(qemu):
    there(qemu)
    dies_at(qemu, "define", Faults(qemu))
    with pytest.raises(LibvirtCallError, match="it is not known whether domain 'web1' was changed, or runs") as error:
        qemu.place("web1", cells=[1])
    assert (error.value.changed, error.value.state) == (True, "unknown")
    assert error.value.backup_file in str(error.value)


@pytest.mark.parametrize("call", ["destroy", "define", "undefine"])
def test_a_daemon_that_dies_while_things_are_put_back(qemu, call):
    new = call == "undefine"
    if not new:
        there(qemu)

    def fails(_real):
        dies_at(qemu, call, faults)
        raise LibvirtCallError("resume", "the monitor is gone", 1)

    qemu.failures["resume"] = fails
    faults = Faults(qemu)
    with pytest.raises(PlacementFailedError, match="not known whether") as error:
        qemu.place("web1", xml=document(kind="kvm", uuid=UUID) if new else None, cells=[1])
    assert (error.value.changed, error.value.state) == (True, "unknown")
    assert "is back" not in str(error.value)


def test_a_restart_whose_answers_are_lost_says_so(qemu):
    there(qemu, state="running")

    def fails(_real):
        dies_at(qemu, "start", faults)
        raise LibvirtCallError("start the domain", "no memory", 1)

    qemu.failures["start"] = fails
    faults = Faults(qemu)
    with pytest.raises(PlacementFailedError, match="not known whether") as error:
        qemu.place("web1", cells=[1], restart=True, shutdown_timeout=1)
    assert (error.value.changed, error.value.state) == (True, "unknown")
