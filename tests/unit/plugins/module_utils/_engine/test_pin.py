# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""vcpu_pin, on libvirt's own test driver and on a stand-in for qemu."""

from __future__ import annotations

import os

import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    InputError,
    LibvirtCallError,
    UnsupportedError,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document, refuse

ON_CELL_0 = {"vcpu": " cpuset='0-7'", "tune": "<numatune><memory mode='strict' nodeset='0'/></numatune>"}
IOTHREADS = "<iothreads>2</iothreads><cputune><vcpupin vcpu='1' cpuset='2'/></cputune>"


def pins(text, tag="vcpupin", key="vcpu"):
    """Pins by another parser than ours."""
    return {each.get(key): each.get("cpuset") for each in etree.fromstring(text).iterfind(f"cputune/{tag}")}


def quartet(host, task):
    """Check, run, run again, check again. Returns the result of the run."""
    before, files = host.everything(), host.backup_files()
    predicted = task(check=True)
    assert (host.everything(), host.backup_files()) == (before, files)
    done = task()
    for key in ("changed", "changes", "diff", "restart_required", "restart_reasons", "placement"):
        assert predicted[key] == done[key], key
    assert done["changed"]
    after, files = host.everything(), host.backup_files()
    again = task()
    assert (again["changed"], again["changes"]) == (False, [])
    assert again["diff"]["before"] == again["diff"]["after"]
    assert not task(check=True)["changed"]
    assert (host.everything(), host.backup_files()) == (after, files)
    return done


@pytest.fixture
def running(testdriver):
    testdriver.native.defineXML(document(vcpus=4, **ON_CELL_0)).create()
    return testdriver


@pytest.fixture
def stopped(testdriver):
    testdriver.native.defineXML(document(vcpus=4, **ON_CELL_0))
    return testdriver


def test_a_running_guest_is_pinned_in_both_places(running):
    done = quartet(running, lambda **mode: running.pin(pins={"0": "4", "1-3": "5-7"}, **mode))
    assert pins(running.definition()) == {"0": "4", "1": "5-7", "2": "5-7", "3": "5-7"}
    assert pins(running.live()) == pins(running.definition())
    assert {change["applied"] for change in done["changes"]} == {"both"}
    assert done["actual"]["vcpus"] == {"0": "4", "1": "5-7", "2": "5-7", "3": "5-7"}
    assert not done["restart_required"]


def test_what_is_not_mentioned_stays(running):
    running.pin(pins={"0": "4", "1": "5"}, emulator_cpuset="0")
    done = quartet(running, lambda **mode: running.pin(pins={"1": "6"}, **mode))
    assert pins(running.definition()) == {"0": "4", "1": "6"}
    assert done["placement"]["emulator_cpuset"] == "0"
    assert [change["element"] for change in done["changes"]] == ["cputune/vcpupin[@vcpu='1']", "metadata/intent"]


def test_a_stopped_guest_is_pinned_in_its_definition(stopped):
    done = quartet(stopped, lambda **mode: stopped.pin(pins={"0": [4, 5]}, **mode))
    assert pins(stopped.definition()) == {"0": "4-5"}
    assert {change["applied"] for change in done["changes"]} == {"config"}
    assert done["actual"] is None
    with open(done["backup_file"], encoding="utf-8") as file:
        assert "vcpupin" not in file.read()
    assert os.path.dirname(done["backup_file"]) == stopped.backups


def test_only_live(running):
    before = running.definition()
    done = quartet(running, lambda **mode: running.pin(pins={"0": "4"}, apply="live", **mode))
    assert running.definition() == before
    assert pins(running.live())["0"] == "4"
    assert "backup_file" not in done
    assert running.backup_files() == []


def test_only_config(running):
    before = running.live()
    quartet(running, lambda **mode: running.pin(pins={"0": "4"}, apply="config", **mode))
    assert running.live() == before
    assert pins(running.definition()) == {"0": "4"}


def test_apply_has_to_be_possible(stopped, tmp_path):
    before = stopped.everything()
    for apply in ("live", "both"):
        with pytest.raises(InputError, match=f"apply: '{apply}': domain 'web1' does not run; choose apply=config"):
            stopped.pin(pins={"0": "4"}, apply=apply)
    assert stopped.everything() == before


def test_a_transient_domain_is_pinned_live(testdriver):
    testdriver.native.createXML(document(**ON_CELL_0))
    done = quartet(testdriver, lambda **mode: testdriver.pin(pins={"0": "4"}, **mode))
    assert pins(testdriver.live())["0"] == "4"
    assert not testdriver.domain().isPersistent()
    assert testdriver.backup_files() == []
    assert "backup_file" not in done
    for apply in ("config", "both"):
        with pytest.raises(InputError, match="is transient and has no configuration; choose apply=live"):
            testdriver.pin(pins={"0": "5"}, apply=apply)


def test_a_pin_that_the_driver_cannot_do_live(testdriver):
    """Its CPU maps are cut to 8 CPUs."""
    testdriver.native.defineXML(document(vcpu=" cpuset='8-15'")).create()
    before = testdriver.everything()
    with pytest.raises(UnsupportedError, match="apply: the test driver cannot do this"):
        testdriver.pin(pins={"0": "9"}, apply="live")
    assert testdriver.everything() == before
    done = quartet(testdriver, lambda **mode: testdriver.pin(pins={"0": "9"}, **mode))
    assert done["restart_required"]
    assert [change["needs_restart"] for change in done["changes"]] == [True, False]
    assert pins(testdriver.definition()) == {"0": "9"}


def test_absent_returns_vcpus_to_the_cpuset_of_the_domain(running):
    running.pin(pins={"0": "4", "1-3": "5-7"}, emulator_cpuset="1")
    done = quartet(running, lambda **mode: running.pin(pins="1-3", state="absent", **mode))
    assert pins(running.definition()) == {"0": "4"}
    assert done["actual"]["vcpus"] == {"0": "4", "1": "0-7", "2": "0-7", "3": "0-7"}
    quartet(running, lambda **mode: running.pin(emulator_cpuset="any", state="absent", **mode))
    assert pins(running.definition(), "emulatorpin") == {}
    quartet(running, lambda **mode: running.pin(pins={"0": "whatever"}, state="absent", **mode))
    assert pins(running.definition()) == {}


@pytest.mark.parametrize("pins_", ["0,2", ["0", 2], [0, 2], {"0": "", "2": None}])
def test_absent_takes_any_form_of_numbers(stopped, pins_):
    stopped.pin(pins={"0-3": "4"})
    stopped.pin(pins=pins_, state="absent")
    assert pins(stopped.definition()) == {"1": "4", "3": "4"}


def test_absent_without_pins_changes_nothing(running):
    before = running.everything()
    for check in (True, False):
        done = running.pin(pins="0-3", emulator_cpuset="0", state="absent", check=check)
        assert (done["changed"], done["changes"]) == (False, [])
    assert running.everything() == before


def test_absent_goes_back_to_a_cpuset_that_was_moved_while_running(running):
    running.pin(pins={"0": "4"})
    running.place("web1", cpuset="0-5")
    running.pin(pins="0", state="absent")
    assert pins(running.live())["0"] == "0-5"


def test_outside_the_cpuset_is_refused_unless_allowed(stopped):
    before = stopped.everything()
    for check in (True, False):
        with pytest.raises(InputError) as error:
            stopped.pin(pins={"1": "7-8"}, check=check)
        assert str(error.value).startswith("pins[1]: '7-8': CPU 8 is outside the domain's CPU set 0-7")
    assert stopped.everything() == before
    quartet(stopped, lambda **mode: stopped.pin(pins={"1": "7-8"}, outside=True, **mode))
    assert pins(stopped.definition()) == {"1": "7-8"}


def test_outside_the_cells_of_its_memory_is_refused_too(testdriver):
    testdriver.native.defineXML(document(tune="<numatune><memory mode='strict' nodeset='0'/></numatune>"))
    with pytest.raises(InputError, match=r"pins\[0\]: '8': CPU 8 is outside .* 0-7"):
        testdriver.pin(pins={"0": "8"})
    assert testdriver.pin(pins={"0": "8"}, outside=True)["changed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pins": {"4": "1"}}, "pins[4]: '1': the domain has no vCPU 4; its vCPUs are 0-3"),
        ({"pins": {"0": "99"}}, "pins[0]: '99': the host has no CPU 99; its CPUs are 0-15"),
        ({"pins": {"0": ""}}, "pins[0]: names no CPU; give at least one CPU"),
        ({"pins": {"0": "1-"}}, "pins[0]: '1-': a CPU number is missing at character 3"),
        ({"pins": {"x": "1"}}, "pins key: 'x': unexpected 'x' at character 1"),
        ({"pins": {"0": "1", "0-1": "2"}}, "pins: '0-1': vCPU 0 is given twice"),
        ({"pins": "0-1"}, "pins: '0-1': is not a dictionary"),
        ({"pins": {}}, "pins: there is nothing to pin"),
        ({"iothread_pins": {"1": "1"}}, "iothread_pins[1]: '1': the domain has no IO thread 1; it has none"),
        ({"emulator_cpuset": "16"}, "emulator_cpuset: '16': the host has no CPU 16"),
        ({"pins": "9", "state": "absent"}, "pins: '9': the domain has no vCPU 9"),
        ({"iothread_pins": "1", "state": "absent"}, "iothread_pins: '1': the domain has no IO thread 1"),
    ],
)
def test_bad_input_touches_nothing(running, options, said):
    before = running.everything()
    for check in (True, False):
        with pytest.raises(InputError) as error:
            running.pin(check=check, **options)
        assert said in str(error.value)
    assert running.everything() == before
    assert running.backup_files() == []


def test_a_domain_that_is_not_there(testdriver):
    with pytest.raises(DomainNotFoundError, match="name: 'ghost': there is no such domain"):
        testdriver.pin("ghost", pins={"0": "1"})


def test_a_backup_that_could_not_be_written_is_refused_first(stopped):
    before = stopped.everything()
    stopped.backups = "/dev/null/x"
    with pytest.raises(InputError, match="backup_dir"):
        stopped.pin(pins={"0": "4"})
    assert stopped.everything() == before
    assert "backup_file" not in stopped.pin(pins={"0": "4"}, backup=False)


def test_secrets_survive(stopped):
    done = stopped.pin(pins={"0": "4"})
    assert "passwd='s3cret'" in stopped.definition()
    assert "s3cret" not in repr(done)


def test_iothreads_of_the_test_driver_only_in_the_definition(testdriver):
    testdriver.native.defineXML(document(tune=IOTHREADS)).create()
    done = quartet(testdriver, lambda **mode: testdriver.pin(iothread_pins={"1": "3"}, **mode))
    assert pins(testdriver.definition(), "iothreadpin", "iothread") == {"1": "3"}
    assert pins(testdriver.definition()) == {"1": "2"}
    assert done["restart_required"]


def test_qemu_pins_live_with_flags_and_reads_back(qemu):
    guest = qemu.add(document(kind="kvm", vcpu=" cpuset='0-3'", tune=IOTHREADS), running=True)
    done = quartet(
        qemu, lambda **mode: qemu.pin(pins={"0": "3"}, emulator_cpuset="0", iothread_pins={"2": "1"}, **mode)
    )
    assert qemu.log == ["define", "pin_vcpu 0 3", "pin_emulator 0", "pin_iothread 2 1", "set_metadata live"]
    assert guest.where == {0: CpuSet.parse("3"), 1: CpuSet.parse("2")}
    assert done["actual"]["source"] == "proc"
    assert done["actual"]["vcpus"] == {"0": "3", "1": "2"}
    assert not done["restart_required"]


def test_qemu_absent_gives_the_whole_cpuset(qemu):
    guest = qemu.add(document(kind="kvm", vcpu=" cpuset='0-3'", tune=IOTHREADS), running=True)
    quartet(qemu, lambda **mode: qemu.pin(pins="1", state="absent", **mode))
    assert guest.where[1] == CpuSet.parse("0-3")


def test_a_refused_definition_changes_nothing(qemu):
    qemu.add(document(kind="kvm", vcpu=" cpuset='0-3'"), running=True)
    before = qemu.everything()
    qemu.failures["define"] = refuse("no", "define the domain")
    with pytest.raises(LibvirtCallError, match="cannot define the domain: no"):
        qemu.pin(pins={"0": "3"})
    assert (qemu.everything(), qemu.log) == (before, [])


def test_a_live_pin_that_fails_is_made_by_the_next_run(qemu):
    guest = qemu.add(document(kind="kvm", vcpu=" cpuset='0-3'"), running=True)
    qemu.failures["pin_vcpu"] = refuse("busy", "pin vCPU 0")
    with pytest.raises(LibvirtCallError, match="cannot pin vCPU 0: busy"):
        qemu.pin(pins={"0": "3"})
    qemu.log.clear()
    assert qemu.pin(pins={"0": "3"})["changed"]
    assert qemu.log == ["pin_vcpu 0 3", "set_metadata live"]
    assert guest.where[0] == CpuSet.parse("3")


def test_a_pin_that_somebody_changed_by_hand_is_put_right(qemu):
    guest = qemu.add(document(kind="kvm", vcpu=" cpuset='0-3'"), running=True)
    qemu.pin(pins={"0": "3"})
    guest.where[0] = CpuSet.parse("0-7")
    qemu._write_process(guest, etree.fromstring(guest.live), CpuSet(range(8)))
    done = quartet(qemu, lambda **mode: qemu.pin(pins={"0": "3"}, **mode))
    assert [(each["before"], each["applied"]) for each in done["changes"]] == [("all CPUs", "live")]


def test_a_run_without_changes_makes_few_calls(running, qemu):
    running.pin(pins={"0": "4"})
    running.pin(pins={"0": "4"})
    assert running.calls <= 7
    qemu.add(document(kind="kvm", vcpu=" cpuset='0-3'"), running=True)
    qemu.pin(pins={"0": "3"})
    qemu.pin(pins={"0": "3"})
    assert qemu.calls <= 7
