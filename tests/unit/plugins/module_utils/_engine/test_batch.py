# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many guests in one run, when something goes wrong or somebody else acts: what is on the host, and what is said."""

from __future__ import annotations

import json
import os
import signal

import libvirt
import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._engine.start import Interrupted
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    GuestsFailedError,
    LibvirtCallError,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt.domain import Domain
from ansible_collections.numa.virt.plugins.module_utils._module import run as module_run
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import union
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import (
    NAMESPACE,
    FakeConnection,
    FakeDomain,
    document,
    refuse,
)

GONE = "Domain not found: no domain with matching uuid"
NOT_RUNNING = "Requested operation is not valid: domain is not running"
THEIRS = "<title>theirs</title>"


def given(*names, kind="kvm", **options):
    return [{"xml": document(name, kind, **options)} for name in names]


def where(host, *names):
    """The CPUs that guests are on now."""
    return union(cpus for name in names for cpus in host.guests[name].where.values())


def failing(host, *domains, **options):
    with pytest.raises(GuestsFailedError) as caught:
        host.place_all(*domains, **options)
    answer = caught.value.as_result()
    json.dumps(answer)
    assert "\n" not in answer["msg"]
    assert "s3cret" not in repr(answer)
    return answer


def failures(answer):
    return {each["name"]: each for each in answer["error"]["failures"]}


def old_and_new(host):
    """A dedicated guest on a cell, and a task that moves it away and puts a new one there."""
    host.place_all(*given("old"), policy="dedicated")
    cell = min(where(host, "old")) // 2
    return [{"name": "old", "cells": [(cell + 2) % 4]}, {**given("anew")[0], "cells": [cell]}]


# Whoever leaves comes before whoever gets


def test_who_leaves_is_moved_first(qemu):
    task = old_and_new(qemu)
    before = where(qemu, "old")
    qemu.log.clear()
    done = qemu.place_all(*task, policy="dedicated")
    assert where(qemu, "anew") == before
    assert not where(qemu, "old") & before
    assert [each["name"] for each in done["domains"]] == ["anew", "old"]
    assert qemu.log.index("start paused") > max(
        number for number, line in enumerate(qemu.log) if line.startswith("pin_vcpu")
    )
    qemu.place_all(*task, policy="dedicated", restart=True)
    assert not qemu.place_all(*task, policy="dedicated")["changed"]


@pytest.mark.parametrize("call", ["define", "pin_vcpu", "pin_emulator"])
def test_who_was_to_get_the_cpus_of_one_that_failed_is_left_as_it_is(qemu, call):
    task = old_and_new(qemu)
    qemu.failures[call] = refuse("no space left on device")
    answer = failing(qemu, *task, policy="dedicated")
    assert "anew" not in qemu.guests
    said = failures(answer)
    assert answer["msg"].startswith("2 of 2 domains failed, 'old' first: ")
    assert said["anew"]["code"] == "waits"
    assert said["anew"]["waits_for"] == ["old"]
    assert said["anew"]["msg"].startswith("domain 'anew' was left as it is: it waits for CPUs ")
    assert said["anew"]["msg"].endswith(" of 'old', which failed")
    assert not said["anew"]["changed"]
    assert said["old"]["backup_file"] is None or os.path.exists(said["old"]["backup_file"])
    assert answer["changed"] is (call != "define")
    qemu.place_all(*task, policy="dedicated")
    assert len(where(qemu, "old", "anew")) == 4
    assert not [each for each in qemu.findings()["findings"] if each["code"] == "cpu_dedicated_twice"]


def test_a_chain_of_guests(qemu):
    qemu.place_all(*given("a", "b", "c"), policy="dedicated")
    cells = {name: min(where(qemu, name)) // 2 for name in "abc"}
    (free,) = set(range(4)) - set(cells.values())
    task = [
        {"name": "a", "cells": [cells["b"]]}, {"name": "b", "cells": [cells["c"]]}, {"name": "c", "cells": [free]},
    ]  # fmt: skip
    qemu.failures["pin_vcpu"] = refuse("no")
    answer = failing(qemu, *task, policy="dedicated")
    assert {name: each.get("waits_for") for name, each in failures(answer).items()} == {
        "c": None, "b": ["c"], "a": ["b"],
    }  # fmt: skip
    assert len(where(qemu, *"abc")) == 6
    qemu.place_all(*task, policy="dedicated")
    assert {name: min(where(qemu, name)) // 2 for name in "abc"} == {"a": cells["b"], "b": cells["c"], "c": free}


@pytest.mark.parametrize("check", [True, False])
def test_two_that_run_do_not_change_places(qemu, check):
    qemu.place_all(*given("a", "b"), policy="dedicated")
    cells = {name: min(where(qemu, name)) // 2 for name in "ab"}
    before = qemu.everything()
    task = [{"name": "a", "cells": [cells["b"]]}, {"name": "b", "cells": [cells["a"]]}]
    answer = failing(qemu, *task, policy="dedicated", check=check)
    assert set(failures(answer)) == {"a", "b"}
    assert not answer["changed"]
    assert qemu.everything() == before


def test_one_that_does_not_run_makes_room_for_one_that_does(qemu):
    qemu.place_all(*given("a", "b"), policy="dedicated")
    cells = {name: min(where(qemu, name)) // 2 for name in "ab"}
    qemu.end(qemu.guests["b"])
    qemu.place_all({"name": "a", "cells": [cells["b"]]}, {"name": "b", "cells": [cells["a"]]}, policy="dedicated")
    assert {name: min(where(qemu, name)) // 2 for name in "ab"} == {"a": cells["b"], "b": cells["a"]}


def test_a_guest_that_does_not_shut_down_keeps_its_memory(qemu):
    half = {"vcpus": 1, "memory": 300000}
    qemu.place_all(*given("old", **half), policy="pack")
    cell = min(where(qemu, "old")) // 2
    qemu.obeys_shutdown = False
    task = [{"name": "old", "cells": [(cell + 1) % 4]}, {**given("anew", **half)[0], "cells": [cell]}]
    answer = failing(qemu, *task, policy="pack", restart=True)
    assert failures(answer)["anew"]["waits_for"] == ["old"]
    assert f"memory of cell {cell} of 'old', which failed" in failures(answer)["anew"]["msg"]
    assert "anew" not in qemu.guests
    qemu.obeys_shutdown = True
    qemu.place_all(*task, policy="pack", restart=True)
    assert not qemu.place_all(*task, policy="pack")["changed"]


# What is said


def test_a_failed_run_says_what_it_did(qemu):
    for name in ("a", "b", "c"):
        qemu.add(document(name, "kvm"))
    seen = []

    def second(real):
        seen.append(1)
        if len(seen) == 2:
            raise LibvirtCallError("start the domain", "no such disk", 1)
        qemu.failures["start"] = second
        return real()

    qemu.failures["start"] = second
    answer = failing(qemu, "a", "b", "c", policy="spread")
    assert answer["changed"]
    assert [(each["name"], each["changed"], each["state"]) for each in answer["domains"]] == [
        ("a", True, "running"), ("c", True, "running"),
    ]  # fmt: skip
    assert all(os.path.exists(each["backup_file"]) for each in answer["domains"])
    assert os.path.exists(failures(answer)["b"]["backup_file"])
    assert answer["plan"]["placements"]
    assert answer["diff"]["before"]


def broken(_real):
    raise RuntimeError("s3cret")


def test_a_defect_is_one_guests_failure(qemu):
    qemu.failures["start"] = broken
    answer = failing(qemu, *given("a", "b"), policy="spread")
    said = failures(answer)["a"]
    assert said["code"] == "internal"
    assert said["type"] == "RuntimeError"
    assert said["msg"].startswith("internal error in numa.virt (RuntimeError at test_batch.py:")
    assert said["changed"] is ("a" in qemu.guests)
    assert qemu.guests["b"].state == "running"
    assert [each["name"] for each in answer["domains"]] == ["b"]
    qemu.place_all(*given("a", "b"), policy="spread")
    assert not qemu.place_all(*given("a", "b"), policy="spread")["changed"]


@pytest.mark.parametrize("how", ["exception", "signal"])
@pytest.mark.parametrize("call", ["define", "start", "resume", "set_metadata"])
def test_a_run_that_is_cut_short_says_what_it_did(qemu, monkeypatch, how, call):
    guests = given("a", "b", "c")
    seen = []

    def second(real):
        seen.append(1)
        if len(seen) < 2:
            qemu.failures[call] = second
            return real()
        if how == "exception":
            raise KeyboardInterrupt
        result = real()
        os.kill(os.getpid(), signal.SIGTERM)
        return result

    qemu.failures[call] = second
    monkeypatch.setattr(module_run, "require_libraries", lambda: None)
    answer = module_run.run(lambda: qemu.place_all(*guests, policy="spread"))
    json.dumps(answer)
    assert answer["error"]["code"] == "interrupted"
    assert answer["changed"]
    assert [each["name"] for each in answer["domains"]] == ["a"]
    assert answer["error"]["left_over"] == ["c"]
    assert "1 of 3 domains were done, and 1 were not touched; run it again" in answer["msg"]
    assert failures(answer)["b"]["changed"] is ("b" in qemu.guests)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    qemu.place_all(*guests, policy="spread")
    assert {guest.state for guest in qemu.guests.values()} == {"running"}
    assert not qemu.place_all(*guests, policy="spread")["changed"]


def test_a_signal_passes_where_nothing_had_begun(qemu, monkeypatch):
    def interrupted(_connection):
        raise Interrupted(143)

    monkeypatch.setattr(FakeConnection, "domains", interrupted)
    monkeypatch.setattr(module_run, "require_libraries", lambda: None)
    with pytest.raises(Interrupted):
        module_run.run(lambda: qemu.place_all(*given("a")))


def test_a_release_that_is_cut_short_says_what_it_did(qemu, monkeypatch):
    qemu.place_all(*given("a", "b", "c"), policy="dedicated")
    seen = []

    def second(real):
        seen.append(1)
        qemu.failures["define"] = second
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real()

    qemu.failures["define"] = second
    monkeypatch.setattr(module_run, "require_libraries", lambda: None)
    answer = module_run.run(lambda: qemu.release(select="all"))
    assert answer["error"]["code"] == "interrupted"
    assert [each["name"] for each in answer["domains"]] == ["a"]
    assert os.path.exists(answer["domains"][0]["backup_file"])
    assert failures(answer)["b"]["changed"]  # its pins were gone already
    qemu.failures.clear()
    assert [each["name"] for each in qemu.release(select="all")["domains"]] == ["b", "c"]


# select starts nobody


def test_select_starts_nobody(qemu):
    qemu.add(document("template", "kvm", vcpus=1))
    qemu.add(document("up", "kvm", vcpus=1), running=True)
    guest = qemu.add(document("held", "kvm", vcpus=1), running=True)
    guest.state = "paused"
    done = qemu.place_all(select="all", policy="dedicated")
    assert {name: each.state for name, each in qemu.guests.items()} == {
        "template": "shut off", "up": "running", "held": "paused",
    }  # fmt: skip
    assert {each["name"]: each["state"] for each in done["domains"]} == {
        "template": "shut off", "up": "running", "held": "paused",
    }  # fmt: skip
    # All of them are placed, and those that run are restarted where that is allowed.
    assert len({str(each["placement"]["cpuset"]) for each in done["domains"]}) == 3
    assert len(where(qemu, "up", "held")) == 2
    qemu.place_all(select="all", restart=True, shutdown_timeout=2)
    assert qemu.guests["up"].state == "running"
    assert qemu.guests["template"].state == "shut off"
    assert qemu.guests["held"].state == "paused"
    assert not qemu.place_all(select="all", restart=True)["changed"]


def test_select_starts_all_where_it_is_told_to(qemu):
    qemu.add(document("template", "kvm", vcpus=1))
    qemu.place_all(select="all", state="running")
    assert qemu.guests["template"].state == "running"


def test_a_name_is_started_unless_it_is_told_otherwise(qemu):
    qemu.add(document("a", "kvm", vcpus=1))
    qemu.place_all("a", state="unchanged")
    assert qemu.guests["a"].state == "shut off"
    qemu.place_all("a")
    assert qemu.guests["a"].state == "running"


# Guests that are ill, or end, or go


@pytest.mark.parametrize("options", [{"select": "running"}, {"select": "all", "state": "running"}])
def test_one_that_was_paused_for_an_error_stops_nobody_that_select_finds(qemu, options):
    for name in ("ok", "sick"):
        qemu.add(document(name, "kvm", vcpus=1), running=True)
    qemu.guests["sick"].state, qemu.guests["sick"].by_user = "paused", False
    if "state" in options:
        answer = failing(qemu, policy="spread", **options)
        assert list(failures(answer)) == ["sick"]
    else:
        qemu.place_all(policy="spread", **options)
    assert qemu.guests["sick"].state == "paused"
    assert NAMESPACE in qemu.definition("ok")


def failed_alone(task):
    """Who failed, with the others done."""
    try:
        task()
    except GuestsFailedError as error:
        return set(failures(error.as_result()))
    return set()


def ends(host, name, transient=False):
    """A guest ends; what is asked of it from then on is answered as libvirt does."""
    guest = host.guests[name]
    host.end(guest)
    if transient:
        host.guests.pop(name, None)


@pytest.mark.parametrize("call", ["vcpu_maps", "live_xml", "definition", "state", "persistent"])
@pytest.mark.parametrize("transient", [False, True])
@pytest.mark.parametrize("task", ["place", "place all", "release", "info", "findings"])
def test_a_guest_that_ends_while_it_is_read(far_qemu, monkeypatch, call, transient, task):
    host = far_qemu
    host.place_all(*given("other", "short", vcpus=1), policy="dedicated")
    if transient:
        host.guests["short"].config = None
    real = getattr(FakeDomain, call)
    hit = []

    def struck(self):
        if self.name == "short" and self.active:
            hit.append(call)
            if host.guests.get("short") and host.guests["short"].live is not None:
                ends(host, "short", transient)
            if transient:
                raise DomainNotFoundError("name", None, GONE)
            if call == "vcpu_maps":
                raise LibvirtCallError("read the vCPUs", NOT_RUNNING, 55)
        return real(self)

    monkeypatch.setattr(FakeDomain, call, struck)
    if task == "place":
        host.place_all(*given("new", vcpus=1), policy="dedicated")
        assert host.guests["new"].state == "running"
    elif task == "place all":
        assert failed_alone(lambda: host.place_all(select="all")) <= {"short"}
    elif task == "release":
        assert failed_alone(lambda: host.release(select="all")) <= {"short"}
        assert NAMESPACE not in host.definition("other")
    elif task == "info":
        assert "other" in [each["name"] for each in host.info()]
    else:
        assert host.findings()["summary"] is not None
    if hit and not transient:
        assert host.guests["short"].state == "shut off"


# Somebody else


def edit(host, name):
    host.guests[name].config = host.guests[name].config.replace("<memory", THEIRS + "<memory", 1)


def undefine(host, name):
    host.guests.pop(name, None)


def start(host, name):
    host.run(host.guests[name], paused=False)


@pytest.mark.parametrize(("act", "what"), [(edit, "edited"), (undefine, "undefined"), (start, "started")])
def test_what_somebody_did_while_another_guest_was_started_stands(qemu, act, what):
    for name in "ab":
        qemu.add(document(name, "kvm"))

    def planned(real):
        act(qemu, "b")
        return real()

    qemu.failures["start"] = planned
    answer = failing(qemu, "a", "b", policy="pack")
    said = failures(answer)["b"]
    assert said["code"] == "changed_meanwhile"
    assert said["msg"] == (
        f"domain 'b' was {what} by somebody else while this run was under way; nothing of it was touched, run again"
    )
    assert not said["changed"]
    assert qemu.guests["a"].state == "running"
    if act is undefine:
        assert "b" not in qemu.guests
    else:
        assert NAMESPACE not in qemu.definition("b")
        assert (THEIRS in qemu.definition("b")) is (act is edit)
        qemu.place_all("a", "b", policy="pack")
        assert (THEIRS in qemu.definition("b")) is (act is edit)
        assert NAMESPACE in qemu.definition("b")


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (lambda host: ends(host, "b"), "was ended"),
        (lambda host: setattr(host.guests["b"], "state", "paused"), "was brought to another state (paused)"),
        (lambda host: setattr(host.guests["b"], "config", None), "was undefined"),
        (
            lambda host: setattr(
                host.guests["b"],
                "live",
                host.guests["b"].live.replace("<os>", "<cputune><vcpupin vcpu='0' cpuset='1'/></cputune><os>"),
            ),
            "was pinned",
        ),
    ],
)
def test_what_somebody_did_to_a_guest_that_runs_stands(qemu, act, what):
    for name in "ab":
        qemu.add(document(name, "kvm"), running=True)
    seen = []

    def planned(real):
        seen.append(1)
        act(qemu)
        return real()

    qemu.failures["define"] = planned
    answer = failing(qemu, "a", "b", policy="dedicated")
    assert seen == [1]
    assert f"domain 'b' {what} by somebody else" in failures(answer)["b"]["msg"]
    after = qemu.guests["b"]
    assert after.config is None or NAMESPACE not in after.config


def test_a_new_guest_that_somebody_else_defines_meanwhile(qemu):
    theirs = document("b", "kvm", memory=131072)

    def planned(real):
        qemu.store(theirs)
        return real()

    qemu.failures["start"] = planned
    answer = failing(qemu, *given("a", "b"), policy="pack")
    assert "domain 'b' was defined by somebody else" in failures(answer)["b"]["msg"]
    assert etree.fromstring(qemu.definition("b")).findtext("memory") == "131072"


def test_release_looks_again(qemu):
    qemu.place_all(*given("a", "b"), policy="dedicated")

    def planned(real):
        edit(qemu, "b")
        return real()

    qemu.failures["define"] = planned
    with pytest.raises(GuestsFailedError) as caught:
        qemu.release("a", "b")
    assert failures(caught.value.as_result())["b"]["code"] == "changed_meanwhile"
    assert THEIRS in qemu.definition("b")
    assert NAMESPACE in qemu.definition("b")
    qemu.release("a", "b")
    assert THEIRS in qemu.definition("b")
    assert NAMESPACE not in qemu.definition("b")


@pytest.mark.parametrize("task", ["place", "place all", "release"])
@pytest.mark.parametrize("what", ["edited", "undefined"])
def test_what_was_overwritten_in_the_last_moment_is_said(testdriver, monkeypatch, task, what):
    """On libvirt's own events."""
    testdriver.native.defineXML(document("a"))
    if task == "release":
        testdriver.place_all("a", state="defined")
    before = testdriver.definition("a")
    real = Domain.redefine

    def redefine(self, xml):
        theirs = testdriver.definition("a").replace("<memory", THEIRS + "<memory", 1)
        if what == "edited":
            testdriver.native.defineXML(theirs)
        else:
            testdriver.domain("a").undefine()
        return real(self, xml)

    monkeypatch.setattr(Domain, "redefine", redefine)
    if task == "place":
        done = testdriver.place("a", cells=[1], state="defined")
        said = done["overwritten"]
    else:
        done = testdriver.release("a") if task == "release" else testdriver.place_all("a", state="defined")
        said = done["domains"][0]["overwritten"]
    assert said["what"] == what
    with open(said["backup_file"], encoding="utf-8") as file:
        assert file.read() == before
    (warning,) = done["warnings"]
    assert warning == (
        f"domain 'a' was {what} by somebody else in the moment before it was defined here, and that is overwritten; "
        f"what it was before is in {said['backup_file']}: ask who did it"
    )
    monkeypatch.setattr(Domain, "redefine", real)
    again = testdriver.release("a") if task == "release" else testdriver.place_all("a", state="defined")
    assert "overwritten" not in again["domains"][0]
    assert again["warnings"] == []


def test_definitions_of_others_that_came_before_the_look_overwrite_nothing(testdriver):
    testdriver.native.defineXML(document("a"))
    testdriver.native.defineXML(document("b"))
    done = testdriver.place_all("a", "b", state="defined")
    assert not [each for each in done["domains"] if "overwritten" in each]


def test_a_daemon_without_events_is_no_reason_to_fail(testdriver, monkeypatch):
    def none(_self, *_arguments):
        raise libvirt.libvirtError("no events here")

    monkeypatch.setattr(libvirt.virConnect, "domainEventRegisterAny", none)
    testdriver.native.defineXML(document("a"))
    assert testdriver.place_all("a", state="defined")["changed"]


def test_what_was_overwritten_is_said_where_the_start_fails_too(qemu):
    qemu.add(document("a", "kvm"))

    def planned(real):
        qemu.watched.append("edited")
        return real()

    qemu.failures["define"] = planned
    qemu.failures["start"] = refuse("no")
    answer = failing(qemu, "a")
    assert failures(answer)["a"]["overwritten"]["what"] == "edited"


def test_cpus_stay_their_owners_whoever_ends_in_between(qemu):
    """A guest that should leave has gone: who waits for it is done in the next run."""
    task = old_and_new(qemu)

    def planned(real):
        undefine(qemu, "old")
        return real()

    qemu.failures["live_xml"] = planned
    with pytest.raises(DomainNotFoundError):
        qemu.place_all(*task, policy="dedicated")
    assert "anew" not in qemu.guests
    qemu.place_all(task[1], policy="dedicated")
    assert qemu.guests["anew"].state == "running"
