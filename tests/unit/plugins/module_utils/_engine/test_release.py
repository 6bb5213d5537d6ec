# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_release: what is left is what was there before anybody placed anything."""

from __future__ import annotations

import json
import os

import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._elements.record import NAMESPACE
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    GuestsFailedError,
    InputError,
)
from ansible_collections.numa.virt.plugins.module_utils._node.lock import BusyError, host_at_a_time
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document, refuse
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.xen import XenHost, config


@pytest.fixture
def xl(tmp_path):
    return XenHost(tmp_path)


def canonical(text):
    parser = etree.XMLParser(remove_blank_text=True)
    return etree.tostring(etree.fromstring(text, parser), method="c14n")


def quartet(host, task, changes=True):
    """Check, run, run again, check again. Returns the result of the run."""
    before, files = host.everything(), host.backup_files()
    predicted = task(check=True)
    assert host.everything() == before
    assert host.backup_files() == files
    done = task()
    kept = [each.pop("backup_file") for each in done["domains"] if "backup_file" in each]
    assert len(kept) == len(set(host.backup_files()) - set(files))
    assert predicted == done
    assert done["changed"] is changes
    after, files = host.everything(), host.backup_files()
    for check in (False, True):
        again = task(check=check)
        assert not again["changed"]
        assert not any(each["changed"] or each["changes"] for each in again["domains"])
        assert again["diff"] == {"before": "", "after": ""}
        assert host.everything() == after
        assert host.backup_files() == files
    assert "s3cret" not in repr((predicted, done, again))
    return done


@pytest.mark.parametrize("policy", ["pack", "spread", "dedicated"])
@pytest.mark.parametrize("more", ["", "<input type='tablet' bus='usb'/>"])
def test_the_definition_is_as_it_was(testdriver, policy, more):
    testdriver.native.defineXML(document("a", more=more))
    before = testdriver.definition("a")
    testdriver.place_all("a", policy=policy, emulator="0-1", state="defined")
    placed = testdriver.definition("a")
    assert canonical(placed) != canonical(before)
    done = quartet(testdriver, lambda **mode: testdriver.release("a", **mode))
    assert canonical(testdriver.definition("a")) == canonical(before)
    assert {each["applied"] for each in done["domains"][0]["changes"]} == {"config"}
    assert not done["restart_required"]
    # What was there until then can be had back.
    newest = testdriver.backup_files()[-1]
    with open(os.path.join(testdriver.backups, newest), encoding="utf-8") as file:
        assert file.read() == placed


def test_what_others_keep_in_the_metadata_and_beside_the_pins_stays(testdriver):
    more = "<metadata><app:x xmlns:app='urn:app'><app:y/></app:x></metadata>"
    tune = "<cputune><shares>2048</shares></cputune>"
    testdriver.native.defineXML(document("a", tune=more + tune))
    before = testdriver.definition("a")
    testdriver.place_all("a", policy="dedicated", state="defined")
    testdriver.release("a")
    assert canonical(testdriver.definition("a")) == canonical(before)


def test_a_running_guest_of_qemu(qemu):
    qemu.add(document("a", "kvm"), running=True)
    config_before, where_before = qemu.definition("a"), dict(qemu.guests["a"].where)
    qemu.place_all("a", policy="dedicated")
    assert qemu.guests["a"].where != where_before
    done = quartet(qemu, lambda **mode: qemu.release("a", **mode))
    assert canonical(qemu.definition("a")) == canonical(config_before)
    assert qemu.guests["a"].where == where_before
    assert "intent" not in qemu.guests["a"].live
    # It was never bound while it ran, and is not now.
    assert not done["restart_required"]
    assert "vcpu/@cpuset" in [each["element"] for each in done["domains"][0]["changes"]]


def test_memory_stays_bound_until_the_guest_is_started_again(qemu):
    qemu.place_all({"xml": document("a", "kvm")}, policy="pack")
    done = quartet(qemu, lambda **mode: qemu.release("a", **mode))
    assert done["restart_required"]
    assert [each["element"] for each in done["domains"][0]["restart_reasons"]] == ["numatune/memory"]
    assert qemu.guests["a"].where == {0: CpuSet(range(8)), 1: CpuSet(range(8))}
    assert NAMESPACE not in qemu.guests["a"].live
    assert NAMESPACE not in qemu.definition("a")
    assert qemu.release("a")["restart_required"]
    assert "passwd" in qemu.definition("a")


def test_freed_cpus_can_be_given_out_again(testdriver):
    testdriver.place_all({"xml": document("a", vcpus=8)}, {"xml": document("b", vcpus=8)}, policy="dedicated")
    testdriver.domain("a").destroy()
    testdriver.release("a")
    testdriver.domain("a").undefine()
    assert testdriver.place_all({"xml": document("c", vcpus=8)}, policy="dedicated")["changed"]


@pytest.mark.parametrize("more", ["", "<cpu mode='host-model'/>"])
def test_cells_that_were_made_for_a_guest_go_with_its_place(testdriver, more):
    testdriver.native.defineXML(document("wide", vcpus=10, memory=3 * 1024 * 1024, tune=more))
    before = testdriver.definition("wide")
    testdriver.place_all("wide", policy="mirror", state="defined")
    assert len(etree.fromstring(testdriver.definition("wide")).findall("cpu/numa/cell")) == 2
    done = quartet(testdriver, lambda **mode: testdriver.release("wide", **mode))
    assert done["domains"][0]["changes"][0] == {
        "element": "cpu/numa",
        "before": "as the cells of the host",
        "after": None,
        "applied": "config",
        "needs_restart": False,
    }
    assert "cpu/numa: as the cells of the host\n" in done["diff"]["before"]
    assert canonical(testdriver.definition("wide")) == canonical(before)
    # And can be mirrored again.
    assert testdriver.place_all("wide", policy="mirror", state="defined")["changed"]


def test_a_running_guest_keeps_the_cells_that_were_made_for_it(qemu):
    qemu.place_all({"xml": document("wide", "kvm", vcpus=4, memory=786432)}, policy="mirror")
    done = quartet(qemu, lambda **mode: qemu.release("wide", **mode))
    reasons = {each["element"]: each["reason"] for each in done["domains"][0]["restart_reasons"]}
    assert reasons["cpu/numa"] == "a guest keeps its cells until it is started again"
    assert done["domains"][0]["changes"][0]["needs_restart"]
    assert etree.fromstring(qemu.definition("wide")).find("cpu") is None


def test_cells_of_its_own_stay(qemu):
    numa = "<cpu><numa><cell id='0' cpus='0' memory='16384'/><cell id='1' cpus='1-2' memory='49152'/></numa></cpu>"
    guest = document("wide", "kvm", vcpus=3, tune=numa)
    qemu.place_all({"xml": guest}, policy="mirror", state="defined")
    quartet(qemu, lambda **mode: qemu.release("wide", **mode))
    assert len(etree.fromstring(qemu.definition("wide")).findall("cpu/numa/cell")) == 2


def test_select_is_about_guests_that_were_placed_here(testdriver):
    for name in ("db1", "theirs", "web1", "web2"):
        testdriver.native.defineXML(document(name, vcpu=" cpuset='0-7'"))
    theirs = testdriver.definition("theirs")
    testdriver.place_all("db1", "web1", "web2", state="defined")
    testdriver.domain("web2").create()

    names = [each["name"] for each in testdriver.release(select="running", check=True)["domains"]]
    assert names == ["web2"]
    names = [each["name"] for each in testdriver.release(select="web*", check=True)["domains"]]
    assert names == ["web1", "web2"]
    done = testdriver.release(select="all")
    assert [each["name"] for each in done["domains"]] == ["db1", "web1", "web2"]
    assert testdriver.definition("theirs") == theirs
    assert testdriver.release(select="all")["domains"] == []
    assert testdriver.release(select="web*")["warnings"] == [
        "select: 'web*': no such domain on this host was placed by numa.virt"
    ]


def test_placed_by_numa_domain_counts_too(testdriver):
    testdriver.place(xml=document("a"), cells=[1], state="defined")
    assert [each["name"] for each in testdriver.release(select="all")["domains"]] == ["a"]
    assert etree.fromstring(testdriver.definition("a")).find("numatune") is None


def test_names_of_a_guest_that_others_have_pinned(testdriver):
    testdriver.native.defineXML(document("theirs", vcpu=" cpuset='0-7'"))
    done = quartet(testdriver, lambda **mode: testdriver.release("theirs", "theirs", **mode))
    assert [each["name"] for each in done["domains"]] == ["theirs"]
    assert etree.fromstring(testdriver.definition("theirs")).find("vcpu").get("cpuset") is None


def test_a_guest_that_is_not_there(testdriver):
    testdriver.place_all({"xml": document("a")}, state="defined")
    before = testdriver.everything()
    for check in (True, False):
        with pytest.raises(
            DomainNotFoundError, match="names: 'ghost': there is no such domain on this host; give the names of some"
        ):
            testdriver.release("a", "ghost", check=check)
    assert testdriver.everything() == before


def test_a_backup_that_could_not_be_written_is_refused_before_anything_is(testdriver):
    testdriver.place_all({"xml": document("a")}, state="defined")
    before = testdriver.everything()
    testdriver.backups = "/dev/null/backups"
    for check in (True, False):
        with pytest.raises(InputError, match="backup_dir"):
            testdriver.release("a", check=check)
    assert testdriver.everything() == before
    assert testdriver.release("a", backup=False)["changed"]


def test_a_transient_guest(qemu):
    qemu.add(document("a", "kvm"), running=True, persistent=False)
    qemu.place_all("a", policy="dedicated")
    done = quartet(qemu, lambda **mode: qemu.release("a", **mode))
    assert {each["applied"] for each in done["domains"][0]["changes"]} == {"live"}
    assert qemu.guests["a"].config is None
    assert qemu.backup_files() == []
    assert NAMESPACE not in qemu.guests["a"].live
    assert qemu.guests["a"].where == {0: CpuSet(range(8)), 1: CpuSet(range(8))}


def test_one_guest_fails_and_the_others_are_released(qemu):
    for name in ("a", "b"):
        qemu.place_all({"xml": document(name, "kvm")}, policy="dedicated", state="defined")
    placed = qemu.definition("a")
    qemu.failures["define"] = refuse("no", "define the domain")
    with pytest.raises(GuestsFailedError) as error:
        qemu.release("a", "b")
    assert str(error.value) == (
        "1 of 2 domains failed, 'a' first: cannot define the domain: no; domain 'a' is shut off, and its definition is "
        "as it was"
    )
    assert error.value.changed  # the other
    assert error.value.fields["failures"][0]["name"] == "a"
    json.dumps(error.value.as_result())
    assert qemu.definition("a") == placed
    assert NAMESPACE not in qemu.definition("b")
    assert [each["changed"] for each in qemu.release("a", "b")["domains"]] == [True, False]


def test_all_fail_and_nothing_has_changed(qemu):
    qemu.place_all({"xml": document("a", "kvm")}, state="defined")
    before = qemu.everything()
    qemu.failures["define"] = refuse("no")
    with pytest.raises(GuestsFailedError) as error:
        qemu.release("a")
    assert not error.value.changed
    assert qemu.everything() == before


@pytest.mark.parametrize("call", ["define", "pin_vcpu", "pin_emulator", "remove_metadata"])
@pytest.mark.parametrize("how", [refuse("no"), None], ids=["refused", "killed"])
def test_a_run_that_ends_midway_is_finished_by_the_next(qemu, call, how):
    for name in "ab":
        qemu.place_all({"xml": document(name, "kvm")}, policy="dedicated")

    def killed(real):
        real()
        raise KeyboardInterrupt

    qemu.failures[call] = how or killed
    with pytest.raises(GuestsFailedError if how else KeyboardInterrupt) as error:
        qemu.release(select="all")
    assert how is None or error.value.changed
    assert qemu.failures == {}
    qemu.release("a", "b")
    for name in "ab":
        assert NAMESPACE not in qemu.definition(name)
        assert NAMESPACE not in qemu.guests[name].live
        assert qemu.guests[name].where == {0: CpuSet(range(8)), 1: CpuSet(range(8))}
    assert not qemu.release("a", "b")["changed"]


def test_select_finds_a_guest_again_whose_release_was_cut_short(qemu):
    qemu.place_all({"xml": document("a", "kvm")}, policy="dedicated")
    qemu.failures["pin_vcpu"] = refuse("no")
    with pytest.raises(GuestsFailedError):
        qemu.release(select="all")
    assert [each["changed"] for each in qemu.release(select="all")["domains"]] == [True]
    assert qemu.guests["a"].where == {0: CpuSet(range(8)), 1: CpuSet(range(8))}
    assert qemu.release(select="all")["domains"] == []


def test_a_lock_that_is_not_given_free(testdriver, tmp_path, monkeypatch):
    testdriver.place_all({"xml": document("a")}, state="defined")
    locks = str(tmp_path / "lock")
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with host_at_a_time(locks, 0), pytest.raises(BusyError, match="another run has been changing guests of this host"):
        testdriver.release("a", lock_dir=locks)
    assert NAMESPACE in testdriver.definition("a")
    assert testdriver.release("a", lock_dir=locks)["changed"]


def test_xen(xen):
    xen.add(document("a", "xen"), running=True)
    before = xen.definition("a")
    xen.place_all("a", policy="dedicated")
    assert xen.guests["a"].where != {0: CpuSet(range(8)), 1: CpuSet(range(8))}
    done = quartet(xen, lambda **mode: xen.release("a", **mode))
    assert canonical(xen.definition("a")) == canonical(before)
    assert xen.guests["a"].where == {0: CpuSet(range(8)), 1: CpuSet(range(8))}
    assert not done["restart_required"]


def test_xl(xl):
    for name in ("a", "b"):
        xl.file(name, cpus='"0-1"' if name == "b" else None)
    theirs = xl.text("b")
    xl.place_all("a", policy="dedicated")
    assert xl.text("a") != config("a")
    done = quartet(xl, lambda **mode: xl.release(select="all", **mode))
    assert [each["name"] for each in done["domains"]] == ["a"]
    assert xl.text("a") == config("a")
    assert xl.text("b") == theirs
    assert xl.guests["a"].hard == {0: None, 1: None} or xl.guests["a"].hard == {
        vcpu: CpuSet(range(8)) for vcpu in range(2)
    }
    assert done["driver"] == "xl"
