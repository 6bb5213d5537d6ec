# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_domain on libvirt's own test driver: what is read back is what libvirt says, not what we think."""

from __future__ import annotations

import functools
import os
import re
import stat

import libvirt
import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    InputError,
    LibvirtCallError,
    XmlError,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"


def elements(result):
    return [change["element"] for change in result["changes"]]


def placed(text):
    """(cpuset, nodeset) by another parser than ours."""
    root = etree.fromstring(text)
    memory = root.find("numatune/memory")
    return root.find("vcpu").get("cpuset"), memory.get("nodeset") if memory is not None else None


def agree(predicted, done):
    """Check mode and the run said the same."""
    for key in ("changed", "changes", "diff", "restart_required", "restart_reasons", "placement", "intent", "state"):
        assert predicted[key] == done[key], key


def quartet(host, task, changes=True):
    """Check, run, run again, check again. Returns the result of the run."""
    before = host.everything()
    files = host.backup_files()
    predicted = task(check=True)
    assert host.everything() == before
    assert host.backup_files() == files
    done = task()
    agree(predicted, done)
    assert done["changed"] is changes
    after = host.everything()
    files = host.backup_files()
    again = task()
    assert (again["changed"], again["changes"]) == (False, [])
    assert host.everything() == after
    assert host.backup_files() == files
    assert again["diff"]["before"] == again["diff"]["after"]
    last = task(check=True)
    assert (last["changed"], last["restart_required"]) == (False, again["restart_required"])
    assert host.everything() == after
    return done


def test_a_new_guest_is_born_on_its_cell(testdriver):
    done = quartet(testdriver, lambda **mode: testdriver.place(xml=document(), cells=[1], **mode))
    assert placed(testdriver.definition()) == placed(testdriver.live()) == ("8-15", "1")
    assert testdriver.domain().state()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert elements(done) == ["definition", "vcpu/@cpuset", "numatune/memory", "metadata/intent", "state"]
    assert done["actual"] == {
        "source": "definition",
        "vcpus": {"0": "8-15", "1": "8-15"},
        "emulator": None,
        "iothreads": {},
        "memory_cells": None,
        "memory_policy": None,
        "memory": None,
    }
    assert "backup_file" not in done
    assert testdriver.backup_files() == []


def test_defined_does_not_start(testdriver):
    done = quartet(testdriver, lambda **mode: testdriver.place(xml=document(), cells=[0], state="defined", **mode))
    assert not testdriver.domain().isActive()
    assert (done["state"], done["actual"]) == ("shut off", None)


def test_starts_what_is_defined_already(testdriver):
    testdriver.place(xml=document(), cells=[0], state="defined")
    before = testdriver.definition()
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", **mode))
    assert elements(done) == ["state"]
    assert testdriver.definition() == before
    assert testdriver.backup_files() == []


def test_without_xml_only_owned_elements_change(testdriver):
    testdriver.native.defineXML(document(more="<input type='tablet' bus='usb'/>"))
    before = testdriver.definition()
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", cells=[1], state="defined", **mode))
    root = etree.fromstring(testdriver.definition())
    root.remove(root.find("metadata"))
    root.remove(root.find("numatune"))
    del root.find("vcpu").attrib["cpuset"]
    parser = etree.XMLParser(remove_blank_text=True)
    assert etree.tostring(etree.fromstring(etree.tostring(root), parser), method="c14n") == etree.tostring(
        etree.fromstring(before, parser), method="c14n"
    )
    assert elements(done) == ["vcpu/@cpuset", "numatune/memory", "metadata/intent"]


def test_a_backup_is_the_old_definition_with_its_secrets(testdriver):
    testdriver.native.defineXML(document())
    before = testdriver.definition()
    done = testdriver.place("web1", cells=[1], state="defined")
    assert testdriver.backup_files() == [os.path.basename(done["backup_file"])]
    with open(done["backup_file"], encoding="utf-8") as file:
        assert file.read() == before
    assert "s3cret" in before
    assert stat.S_IMODE(os.stat(done["backup_file"]).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(testdriver.backups).st_mode) == 0o700


def test_no_backup_when_not_wanted_and_when_refused(testdriver):
    testdriver.native.defineXML(document())
    assert "backup_file" not in testdriver.place("web1", cells=[1], state="defined", backup=False)
    with pytest.raises(InputError):
        testdriver.place("web1", cells=[7])
    assert testdriver.backup_files() == []


def test_a_backup_that_could_not_be_written_is_refused_before_anything_is(testdriver):
    testdriver.native.defineXML(document())
    before = testdriver.everything()
    testdriver.backups = "/dev/null/backups"
    for check in (True, False):
        with pytest.raises(InputError) as error:
            testdriver.place("web1", cells=[1], check=check)
        assert error.value.fields["option"] == "backup_dir"
    assert testdriver.everything() == before


def test_secrets_survive_and_are_never_shown(testdriver):
    testdriver.native.defineXML(document())
    for done in (
        testdriver.place("web1", cells=[1]),
        testdriver.place("web1", cells=[1], check=True),
        testdriver.place(xml=document(memory=131072), cells=[1], check=True),
        testdriver.place(xml=document(memory=131072), cells=[1]),
        testdriver.pin(pins={"0": "8"}, apply="config"),
        {"domains": testdriver.info()},
    ):
        assert "s3cret" not in repr(done)
    assert "passwd='s3cret'" in testdriver.definition()


def test_the_same_document_twice_is_unchanged_though_libvirt_rewrote_it(testdriver):
    xml = document(more="<input type='tablet' bus='usb'/><sound model='ac97'/>")
    quartet(testdriver, lambda **mode: testdriver.place(xml=xml, cells=[0], **mode))
    # White space and the order of attributes are not meaning.
    assert not testdriver.place(xml=xml.replace("\n", "\n\n   "), cells=[0])["changed"]
    assert not testdriver.place(xml=xml.replace("type='tablet' bus='usb'", "bus='usb' type='tablet'"))["changed"]


def test_a_changed_document_redefines_and_keeps_uuid(testdriver):
    testdriver.place(xml=document(), cells=[0], state="defined")
    uuid = testdriver.domain().UUIDString()
    changed = document(more="<sound model='ac97'/>")
    done = quartet(testdriver, lambda **mode: testdriver.place(xml=changed, cells=[0], state="defined", **mode))
    assert elements(done) == ["definition"]
    assert "ac97" in testdriver.definition()
    assert testdriver.domain().UUIDString() == uuid
    assert '<sound model="ac97"/>' in done["diff"]["after"]
    assert "sound" not in done["diff"]["before"]


def test_a_definition_that_somebody_edited_is_put_right(testdriver):
    xml = document()
    testdriver.place(xml=xml, cells=[0], state="defined")
    good = testdriver.definition()
    testdriver.native.defineXML(good.replace("</devices>", "<sound model='ac97'/></devices>"))
    done = quartet(testdriver, lambda **mode: testdriver.place(xml=xml, cells=[0], state="defined", **mode))
    assert elements(done) == ["definition"]
    assert testdriver.definition() == good


def test_a_new_password_redefines_and_a_missing_one_is_kept(testdriver):
    testdriver.place(xml=document(), cells=[0], state="defined")
    assert not testdriver.place(xml=document(), cells=[0], state="defined")["changed"]
    done = testdriver.place(xml=document(vnc=" passwd='n3w'"), cells=[0], state="defined")
    assert elements(done) == ["definition"]
    assert "n3w" in testdriver.definition()
    done = testdriver.place(xml=document(vnc=""), cells=[0], state="defined")
    assert "passwd='n3w'" in testdriver.definition()


@pytest.mark.parametrize("flags", [0, libvirt.VIR_DOMAIN_XML_INACTIVE], ids=["live", "inactive"])
def test_a_dump_without_secrets_can_be_given_back(testdriver, flags):
    testdriver.place(xml=document(more="<sound model='ac97'/>"), cells=[1])
    dump = testdriver.domain().XMLDesc(flags)
    assert "s3cret" not in dump
    quartet(testdriver, lambda **mode: testdriver.place(xml=dump, cells=[1], **mode), changes=False)
    assert "passwd='s3cret'" in testdriver.definition()
    # And with a change in it
    edited = dump.replace("ac97", "es1370")
    testdriver.place(xml=edited, cells=[1])
    assert "es1370" in testdriver.definition()
    assert "passwd='s3cret'" in testdriver.definition()
    assert placed(testdriver.definition()) == ("8-15", "1")


def test_a_dump_brings_its_intent_to_a_new_host(testdriver):
    testdriver.place(xml=document(), cells=[1], state="defined")
    dump = testdriver.definition()
    testdriver.domain().undefine()
    done = testdriver.place(xml=dump, state="defined")
    assert done["intent"]["cells"] == [1]
    assert placed(testdriver.definition()) == ("8-15", "1")


def test_another_uuid_is_refused_and_its_own_accepted(testdriver):
    testdriver.place(xml=document(), cells=[0], state="defined")
    before = testdriver.everything()
    with pytest.raises(InputError, match="is not the UUID of the existing domain 'web1'") as error:
        testdriver.place(xml=document(uuid=f"<uuid>{UUID}</uuid>"), cells=[0])
    assert testdriver.domain().UUIDString() in str(error.value)
    assert testdriver.everything() == before
    own = testdriver.domain().UUIDString()
    xml = document(uuid=f"<uuid>{own.upper().replace('-', '')}</uuid>")
    assert not testdriver.place(xml=xml, cells=[0], state="defined")["changed"]
    assert testdriver.domain().UUIDString() == own


@pytest.mark.parametrize("check", [True, False])
def test_the_uuid_of_another_domain_is_refused_and_nothing_changes(testdriver, check):
    testdriver.place(xml=document(), cells=[0])
    before = testdriver.everything()
    xml = document("db1", uuid=f"<uuid>{testdriver.domain().UUIDString()}</uuid>")
    with pytest.raises(InputError, match="is the UUID of domain 'web1' too"):
        testdriver.place(xml=xml, cells=[0], check=check)
    assert testdriver.everything() == before


def test_name_and_xml_must_agree(testdriver):
    with pytest.raises(InputError, match=r"name: 'other': but xml is the definition of domain 'web1'"):
        testdriver.place("other", xml=document(), cells=[0])
    assert testdriver.place("web1", xml=document(), cells=[0])["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_a_domain_that_is_not_there(testdriver, check):
    with pytest.raises(DomainNotFoundError, match="name: 'ghost': there is no such domain on this host; give xml"):
        testdriver.place("ghost", cells=[0], check=check)


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("<domain>\n<name>", "xml: line 2, column 7: not well-formed"),
        ("", "xml: line 1, column 1: not well-formed"),
        ("<network><name>x</name></network>", "the document is a <network>"),
        ("<!DOCTYPE domain [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><domain><name>&a;</name></domain>", "<!DOCTYPE"),
        ("<domain><vcpu>2</vcpu></domain>", "the domain has no <name>"),
        ("<domain><name>x</name><vcpu>two</vcpu></domain>", "<vcpu> is not a number"),
    ],
)
def test_documents_that_are_none(testdriver, xml, said):
    before = testdriver.everything()
    with pytest.raises(XmlError) as error:
        testdriver.place(xml=xml, cells=[0])
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert testdriver.everything() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cells": [2]}, "cells: '2': the host has no cell 2; its cells are 0-1"),
        ({"cpuset": "0-99"}, "cpuset: '0-99': the host has no CPUs 16-99; its CPUs are 0-15"),
        ({"cells": [0], "cpuset": "7-8"}, "cpuset: '7-8': CPU 8 is not on cell 0; the CPUs there are 0-7"),
        ({"cpuset": "0-3,x"}, "cpuset: '0-3,x': unexpected 'x' at character 5"),
        ({"cpuset": []}, "cpuset: []: names no CPU"),
        ({"cells": [0], "vcpu_pins": {"2": "1"}}, "vcpu_pins[2]: '1': the domain has no vCPU 2; its vCPUs are 0-1"),
        ({"cells": [0], "vcpu_pins": {"0": "8"}}, "vcpu_pins[0]: '8': CPU 8 is outside the domain's CPU set 0-7"),
        ({"cells": [0], "iothread_pins": {"1": "1"}}, "iothread_pins[1]: '1': the domain has no IO thread 1"),
        ({"cells": [0], "emulator_cpuset": "16"}, "emulator_cpuset: '16': the host has no CPU 16"),
        ({"cells": [0], "memory": {"mode": "strict", "cells": [5]}}, "memory.cells: '5': the host has no cell 5"),
        ({"memory": {"mode": "strict"}}, "memory.cells: the domain has no CPU set to take the cells from"),
    ],
)
def test_bad_input_touches_nothing(testdriver, options, said):
    testdriver.native.defineXML(document())
    before = testdriver.everything()
    for check in (True, False):
        with pytest.raises(InputError) as error:
            testdriver.place("web1", check=check, **options)
        assert said in str(error.value)
    assert testdriver.everything() == before
    assert testdriver.backup_files() == []


def test_a_guest_larger_than_its_cells(testdriver):
    with pytest.raises(InputError, match=r"the domain needs 4194304 KiB and cell 0 has 2097152 KiB; give more cells"):
        testdriver.place(xml=document(memory=4 * 1024 * 1024), cells=[0])
    assert testdriver.place(xml=document(memory=4 * 1024 * 1024), cells=[0, 1])["changed"]


def test_a_stopped_guest_moves_whole(testdriver):
    testdriver.place(xml=document(), cells=[1], state="defined")
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", cells=[0], state="defined", **mode))
    assert placed(testdriver.definition()) == ("0-7", "0")
    assert {change["applied"] for change in done["changes"]} == {"config"}
    assert not done["restart_required"]


def test_a_running_guest_moves_live_where_the_driver_can(testdriver):
    testdriver.place(xml=document(), cells=[1])
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", cells=[0], **mode))
    assert placed(testdriver.definition()) == ("0-7", "0")
    pins = etree.fromstring(testdriver.live()).findall("cputune/vcpupin")
    assert [(pin.get("vcpu"), pin.get("cpuset")) for pin in pins] == [("0", "0-7"), ("1", "0-7")]
    assert done["actual"]["vcpus"] == {"0": "0-7", "1": "0-7"}
    assert not done["restart_required"]
    assert {change["element"]: change["applied"] for change in done["changes"]} == {
        "vcpu/@cpuset": "config",
        "numatune/memory": "both",
        "metadata/intent": "both",
        "cputune/vcpupin[@vcpu='0']": "live",
        "cputune/vcpupin[@vcpu='1']": "live",
        "cputune/emulatorpin": "live",
    }


def test_a_move_that_the_driver_cannot_do_live_asks_for_a_restart(testdriver):
    """The test driver cuts CPU maps to 8 CPUs, so no call can pin to cell 1."""
    testdriver.place(xml=document(), cells=[0])
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", cells=[1], **mode))
    assert done["restart_required"]
    assert "cannot pin a running guest to CPUs 8-15" in done["restart_reasons"][0]["reason"]
    assert placed(testdriver.live())[0] == "0-7"
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", restart=True, **mode))
    assert elements(done) == ["state"]
    assert done["changes"][0]["after"] == "restarted"
    assert placed(testdriver.live()) == ("8-15", "1")
    assert not done["restart_required"]


def test_a_running_guest_that_was_redefined_asks_for_a_restart_until_it_had_one(testdriver):
    testdriver.place(xml=document(), cells=[0])
    xml = document(more="<sound model='ac97'/>")
    done = quartet(testdriver, lambda **mode: testdriver.place(xml=xml, cells=[0], **mode))
    assert [each["element"] for each in done["restart_reasons"]] == ["definition"]
    assert testdriver.place("web1")["restart_required"]
    # Placing it and pinning it meanwhile changes nothing about that.
    testdriver.pin(pins={"0": "1"})
    testdriver.place("web1", cpuset="0-3")
    assert testdriver.place(xml=xml, cpuset="0-3")["restart_required"]
    assert "ac97" not in testdriver.live()
    done = quartet(testdriver, lambda **mode: testdriver.place(xml=xml, cpuset="0-3", restart=True, **mode))
    assert not done["restart_required"]
    assert "ac97" in testdriver.live()
    assert not testdriver.place(xml=xml)["restart_required"]


def test_state_defined_never_restarts(testdriver):
    testdriver.place(xml=document(), cells=[0])
    number = testdriver.domain().ID()
    done = testdriver.place("web1", cells=[1], restart=True, state="defined")
    assert done["restart_required"]
    assert testdriver.domain().ID() == number


def test_a_paused_guest_is_resumed_or_left(testdriver):
    testdriver.place(xml=document(), cells=[0])
    testdriver.domain().suspend()
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", state="defined", **mode), changes=False)
    assert done["state"] == "paused"
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", **mode))
    assert done["changes"][0]["before"] == "paused"
    assert testdriver.domain().state()[0] == libvirt.VIR_DOMAIN_RUNNING


def test_a_transient_domain_is_placed_live_and_stays_transient(testdriver):
    testdriver.native.createXML(document(vcpu=" cpuset='0-7'"))
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", cpuset="0-1", memory={"mode": "none"}, **mode))
    assert not testdriver.domain().isPersistent()
    assert {change["applied"] for change in done["changes"]} == {"live"}
    pins = etree.fromstring(testdriver.live()).findall("cputune/vcpupin")
    assert [pin.get("cpuset") for pin in pins] == ["0-1", "0-1"]
    assert testdriver.backup_files() == []
    assert 'cpuset="0-1"' in done["xml"]


def test_a_transient_domain_that_cannot_follow_says_so_and_shows_no_difference(testdriver):
    testdriver.native.createXML(document(vcpu=" cpuset='0-7'"))
    testdriver.place("web1", cells=[0])
    done = testdriver.place("web1", cells=[0], check=True)
    assert (done["changed"], done["restart_required"]) == (False, True)
    assert done["diff"]["before"] == done["diff"]["after"]


def test_xml_of_a_transient_domain_is_refused(testdriver):
    testdriver.native.createXML(document())
    with pytest.raises(InputError, match="transient, and a definition would make it persistent"):
        testdriver.place(xml=document(), cells=[0])
    assert not testdriver.domain().isPersistent()


def test_pins_stay_where_the_region_still_holds_them(testdriver):
    testdriver.place(xml=document(), cells=[0], vcpu_pins={"0": "1"}, emulator_cpuset="2", state="defined")
    assert not testdriver.place("web1", state="defined")["changed"]
    done = testdriver.place("web1", cpuset="0-3", state="defined")
    assert (done["placement"]["vcpu_pins"], done["placement"]["emulator_cpuset"]) == ({"0": "1"}, "2")
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", cells=[1], state="defined", **mode))
    assert (done["placement"]["vcpu_pins"], done["placement"]["emulator_cpuset"]) == ({}, None)
    assert etree.fromstring(testdriver.definition()).find("cputune") is None


def test_pins_of_the_document_are_kept(testdriver):
    xml = document(vcpu=" cpuset='0-7'", tune="<cputune><vcpupin vcpu='1' cpuset='2'/></cputune>")
    done = quartet(testdriver, lambda **mode: testdriver.place(xml=xml, **mode))
    assert done["placement"]["vcpu_pins"] == {"1": "2"}
    assert done["placement"]["memory"] is None
    assert testdriver.place(xml=xml, cells=[0], check=True)["placement"]["vcpu_pins"] == {"1": "2"}


def test_no_pins_at_all_can_be_asked_for(testdriver):
    testdriver.place(xml=document(), cells=[0], vcpu_pins={"0-1": "1"}, state="defined")
    done = quartet(testdriver, lambda **mode: testdriver.place("web1", vcpu_pins={}, state="defined", **mode))
    assert done["placement"]["vcpu_pins"] == {}
    assert "vcpupin" not in testdriver.definition()


def test_lists_integers_and_text_mean_the_same(testdriver):
    testdriver.place(xml=document(vcpus=4), cpuset="0-3", vcpu_pins={"1-2": "2-3"}, state="defined")
    for cpuset, pins in (
        ([0, 1, 2, 3], {"1": [2, 3], "2": "3,2"}),
        ("0,1,2,3", {"2": "2-3", "1": "2,3"}),
        ("0-7,^4,^5-7".replace("^5-7", "^5,^6,^7"), {"1,2": "0-3,^0,^1"}),
    ):
        assert not testdriver.place("web1", cpuset=cpuset, vcpu_pins=pins, state="defined")["changed"]


def test_pinning_and_placing_do_not_fight(testdriver):
    xml = document()
    testdriver.place(xml=xml, cells=[0])
    testdriver.pin(pins={"0": "1", "1": "2-3"}, emulator_cpuset="0")
    after = testdriver.everything()
    assert not testdriver.place(xml=xml, cells=[0])["changed"]
    assert not testdriver.place("web1", cells=[0])["changed"]
    assert not testdriver.place("web1")["changed"]
    assert testdriver.everything() == after
    assert not testdriver.pin(pins={"0": "1"})["changed"]
    testdriver.pin(pins="0-1", state="absent")
    assert not testdriver.place(xml=xml, cells=[0])["changed"]


def test_what_libvirt_drops_is_said(testdriver):
    done = testdriver.place(xml=document(more="<flux-capacitor/>"), cells=[0])
    assert done["warnings"] == ["libvirt did not keep these elements of xml: domain/devices/flux-capacitor"]
    assert "warnings" not in testdriver.place(xml=document(more="<sound model='ac97'/>"), cells=[0])


def test_a_definition_that_libvirt_refuses_leaves_the_old_one(testdriver):
    testdriver.place(xml=document(), cells=[0])
    before = testdriver.everything()
    with pytest.raises(LibvirtCallError, match="cannot define the domain") as error:
        testdriver.place(xml=document(more="<disk type='nonsense'/>"), cells=[0])
    assert "\n" not in str(error.value)
    assert testdriver.everything() == before
    with pytest.raises(LibvirtCallError):
        testdriver.place(xml=document("new", more="<disk type='nonsense'/>"), cells=[0])
    assert testdriver.everything() == before


def test_without_any_wish_nothing_is_written(testdriver):
    testdriver.native.defineXML(document(vcpu=" cpuset='0-3'"))
    before = testdriver.definition()
    done = testdriver.place("web1", state="defined")
    assert (done["changed"], done["intent"]["cells"]) == (False, None)
    assert testdriver.definition() == before


@pytest.mark.parametrize("state", ["running", "defined"])
@pytest.mark.parametrize("with_xml", [False, True])
def test_a_run_without_changes_makes_few_calls(testdriver, state, with_xml):
    testdriver.place(xml=document(), cells=[1], state=state)
    assert not testdriver.place("web1", xml=document() if with_xml else None, cells=[1], state=state)["changed"]
    assert testdriver.calls == (7 if state == "running" else 4)


def _stray(qemu, tid, name, cpus, web1):
    """Somebody has moved a thread of a running guest, and libvirt does not know."""
    with open(f"{qemu.proc}/{web1.pid}/task/{web1.pid + tid}/status", "w", encoding="utf-8") as file:
        file.write(f"Name:\t{name}\nCpus_allowed_list:\t{cpus}\nMems_allowed_list:\t0\n")


@pytest.mark.parametrize(
    ("tid", "name", "element", "call"),
    [
        (0, "qemu-system-x86", "cputune/emulatorpin", "pin_emulator 0-1"),
        (7, "IO iothread1", "cputune/iothreadpin[@iothread='1']", "pin_iothread 1 0-1"),
    ],
)
def test_a_helper_is_brought_back_from_where_somebody_has_put_it(qemu, tid, name, element, call):
    guest = document(kind="kvm", vcpu=" cpuset='0-1'", tune="<iothreads>1</iothreads>")
    web1 = qemu.add(guest, running=True)
    os.makedirs(f"{qemu.proc}/{web1.pid}/task/{web1.pid + tid}", exist_ok=True)
    qemu.place("web1", cells=[0], memory={"mode": "none"})
    qemu.log.clear()
    _stray(qemu, tid, name, "0", web1)
    assert not qemu.place("web1")["changed"], "on fewer CPUs it may be held by a slice"
    _stray(qemu, tid, name, "0-7", web1)
    found = qemu.place("web1", check=True)
    assert [(each["element"], each["before"], each["after"]) for each in found["changes"]] == [
        (element, "all CPUs", "0-1")
    ]
    qemu.place("web1", verify=False)
    assert qemu.log == [call]


def test_libvirt_is_told_of_a_vcpu_that_is_where_it_shall_be_already(qemu):
    web1 = qemu.add(document(kind="kvm", vcpu=" cpuset='0-1'"), running=True)
    _stray(qemu, 2, "CPU 1/KVM", "0", web1)
    found = qemu.place("web1", cells=[0], vcpu_pins={"1": "0"}, memory={"mode": "none"}, check=True)
    pins = [each for each in found["changes"] if each["element"] == "cputune/vcpupin[@vcpu='1']"]
    assert [(each["before"], each["after"], each["applied"]) for each in pins] == [(None, "0", "both")]


FOR_NOTHING = {
    "vCPU": ("<cputune><vcpupin vcpu='2' cpuset='4'/></cputune>", "cputune/vcpupin[@vcpu='2']"),
    "IO thread": ("<cputune><iothreadpin iothread='1' cpuset='4'/></cputune>", "cputune/iothreadpin[@iothread='1']"),
    "scheduler": ("<cputune><vcpusched vcpus='2' scheduler='batch'/></cputune>", "cputune/vcpusched[@vcpus='2']"),
    "cell": ("<numatune><memnode cellid='0' mode='strict' nodeset='1'/></numatune>", "numatune/memnode[@cellid='0']"),
}


@pytest.mark.parametrize(("tune", "path"), FOR_NOTHING.values(), ids=list(FOR_NOTHING))
@pytest.mark.parametrize("many", [False, True], ids=["numa_domain", "numa_placement"])
def test_what_a_document_says_for_nothing_is_refused(qemu, tune, path, many):
    text = document(kind="kvm", tune=tune)
    one, all_of = functools.partial(qemu.place, xml=text, cells=[0]), functools.partial(qemu.place_all, {"xml": text})
    run = all_of if many else one
    with pytest.raises(XmlError, match=re.escape(path)) as caught:
        run()
    assert "its vCPUs are 0-1, its IO threads none, its own cells none" in str(caught.value)
    assert not qemu.guests


@pytest.mark.parametrize(("tune", "path"), FOR_NOTHING.values(), ids=list(FOR_NOTHING))
def test_what_a_definition_says_for_nothing_is_dropped_with_a_warning(qemu, tune, path):
    qemu.add(document(kind="kvm", tune=tune))
    told = qemu.place("web1", cells=[0], state="defined")
    assert told["changed"] and [each for each in told["warnings"] if each.startswith(path)], told["warnings"]
    assert "memnode" not in qemu.guests["web1"].config and "'2'" not in qemu.guests["web1"].config
    again = qemu.place("web1", cells=[0], state="defined")
    assert not again["changed"] and "warnings" not in again


def test_a_document_without_memory_is_refused(qemu):
    text = document(kind="kvm").replace("<memory unit='KiB'>65536</memory>", "")
    with pytest.raises(XmlError, match=r"xml: the domain has no memory; write <memory unit='KiB'>1048576</memory>"):
        qemu.place(xml=text, cells=[0])
    with pytest.raises(XmlError, match=r"domains\[0\]\.xml: the domain has no memory"):
        qemu.place_all({"xml": text}, policy="pack")
    assert not qemu.guests
