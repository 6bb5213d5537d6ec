# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest in a managed save image goes on on its cells, or is left alone: its memory is never given up."""

from __future__ import annotations

import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._engine.saved import plan_saved
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Session, required_domain
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    GuestsFailedError,
    InputError,
    LibvirtCallError,
    NumaVirtError,
    PlacementFailedError,
    SavedImageError,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document, refuse

XML = document(kind="kvm", uuid="<uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>", more="<serial type='pty'/>")


@pytest.fixture
def saved(qemu):
    """A guest that ran on cell 0, and was saved there."""
    qemu.place(xml=XML, cells=[0])
    qemu.save(qemu.guests["web1"])
    qemu.log.clear()
    return qemu


def image(host):
    return etree.fromstring(host.guests["web1"].image)


def test_it_goes_on_on_the_new_cell(saved):
    before = saved.everything()
    predicted = saved.place("web1", cells=[1], check=True)
    assert (saved.log, saved.everything()) == ([], before)
    done = saved.place("web1", cells=[1])
    assert saved.log == ["define", "define_saved", "start paused", "resume"]
    assert (predicted["changes"], predicted["state"]) == (done["changes"], done["state"])
    assert (done["changed"], done["state"], done["restart_required"]) == (True, "running", False)
    assert {"element": "state", "before": "saved", "after": "running"}.items() <= done["changes"][-1].items()
    assert {each["applied"] for each in done["changes"][:-1]} == {"both"}
    assert done["actual"]["vcpus"] == {"0": "2-3", "1": "2-3"}
    assert done["actual"]["memory"] == {"1": 32768}
    assert saved.guests["web1"].image is None
    again = saved.place("web1", cells=[1])
    assert (again["changed"], again["restart_required"]) == (False, False)


def test_one_that_is_right_already_is_only_started(saved):
    done = saved.place("web1")
    assert saved.log == ["start paused", "resume"]
    assert [each["element"] for each in done["changes"]] == ["state"]


def test_an_image_of_an_older_place_is_found_though_the_definition_is_right(saved):
    saved.pin(pins={"0": "1"}, apply="config")
    saved.log.clear()
    done = saved.place("web1")
    assert saved.log == ["define_saved", "start paused", "resume"]
    assert done["actual"]["vcpus"] == {"0": "1", "1": "0-1"}


def test_defined_alone_it_stays_saved_for_its_new_place(saved):
    done = saved.place("web1", cells=[2], state="defined")
    assert saved.log == ["define", "define_saved"]
    assert done["state"] == "shut off"
    assert image(saved).find("vcpu").get("cpuset") == "4-5"
    assert "s3cret" in saved.guests["web1"].image
    assert not saved.place("web1", cells=[2], state="defined")["changed"]


def test_another_document_waits_for_a_restart(saved):
    changed = document(kind="kvm", vcpus=2)
    done = saved.place(xml=changed, cells=[1])
    assert done["restart_required"]
    assert done["restart_reasons"][-1]["reason"] == (
        "the saved guest keeps the devices and settings that it was saved with"
    )
    assert "<serial" in saved.guests["web1"].live
    assert done["actual"]["vcpus"]["0"] == "2-3"
    again = saved.place(xml=changed, cells=[1])
    assert (again["changed"], again["restart_required"]) == (False, True)


@pytest.mark.parametrize("check", [True, False])
def test_an_image_that_cannot_be_edited_is_left_alone(saved, check):
    saved.images_can_be_edited = False
    before = saved.everything(), saved.guests["web1"].image
    for task in (
        lambda: saved.place("web1", cells=[1], check=check),
        lambda: saved.place("web1", check=check),
        lambda: saved.place("web1", cells=[1], state="defined", check=check),
        lambda: saved.pin(pins={"0": "1"}, check=check),
    ):
        with pytest.raises(SavedImageError, match=r"start it as it was saved \(virsh start\), or give its memory up"):
            task()
    assert (saved.log, (saved.everything(), saved.guests["web1"].image)) == ([], before)
    assert not saved.place("web1", state="defined", check=check)["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_libvirts_test_driver_cannot(testdriver, check):
    testdriver.place(xml=document(), cells=[0])
    testdriver.domain().managedSave(0)
    before = testdriver.everything()
    with pytest.raises(SavedImageError, match="managedsave-remove"):
        testdriver.place("web1", cells=[1], check=check)
    assert testdriver.everything() == before
    assert testdriver.domain().hasManagedSaveImage(0)
    testdriver.domain().managedSaveRemove(0)
    assert testdriver.place("web1", cells=[1])["state"] == "running"


def test_found_elsewhere_it_is_saved_again(saved):
    before = saved.everything(), saved.guests["web1"].image
    saved.strays = {0: CpuSet([6])}
    with pytest.raises(PlacementFailedError) as error:
        saved.place("web1", cells=[1])
    assert saved.log == ["define", "define_saved", "start paused", "save", "define", "define_saved"]
    assert str(error.value).endswith(
        "it was saved again, its memory is whole, the previous definition is back, and so is its saved image"
    )
    assert (saved.everything(), saved.guests["web1"].image) == before
    assert not error.value.changed
    saved.strays = {}
    assert saved.place("web1", cells=[1])["changed"]


def test_one_that_cannot_be_saved_again_is_left_paused(saved):
    saved.strays = {0: CpuSet([6])}
    saved.failures["save"] = refuse("No space left on device", "save the domain")
    with pytest.raises(PlacementFailedError, match=r"could not be saved again \(No space left on device\)") as error:
        saved.place("web1", cells=[1])
    assert "was left paused, its memory is whole" in str(error.value)
    assert "destroy" not in saved.log
    assert (saved.guests["web1"].state, error.value.state, error.value.changed) == ("paused", "paused", True)


def test_a_save_whose_answer_is_lost_is_looked_at(saved):
    saved.strays = {0: CpuSet([6])}

    def lost(real):
        real()
        raise LibvirtCallError("save the domain", "Connection reset by peer", 38)

    saved.failures["save"] = lost
    with pytest.raises(PlacementFailedError, match="it was saved again"):
        saved.place("web1", cells=[1])
    assert saved.guests["web1"].image is not None


def test_a_start_that_fails_leaves_the_image_as_it_was(saved):
    before = saved.everything(), saved.guests["web1"].image
    saved.failures["start"] = refuse("no memory", "start the domain")
    with pytest.raises(PlacementFailedError, match=r"definition is back, and so is its saved image"):
        saved.place("web1", cells=[1])
    assert (saved.everything(), saved.guests["web1"].image) == before
    saved.failures["start"] = refuse("no memory", "start the domain")
    with pytest.raises(PlacementFailedError, match=r"its definition is as it was, and so is its saved image"):
        saved.place("web1")
    assert (saved.everything(), saved.guests["web1"].image) == before


def test_an_image_that_cannot_be_put_back_is_said(saved):
    def fails(_real):
        saved.failures["define_saved"] = refuse("No space left on device", "rewrite the image")
        raise LibvirtCallError("start the domain", "no memory", 1)

    saved.failures["start"] = fails
    with pytest.raises(PlacementFailedError, match=r"saved image could NOT be put back \(No space left on device\)"):
        saved.place("web1", cells=[1])
    assert saved.guests["web1"].image is not None


def test_an_image_that_refuses_its_document_puts_the_definition_back(saved):
    before = saved.everything(), saved.guests["web1"].image
    saved.failures["define_saved"] = refuse("unsupported configuration", "rewrite the image")
    with pytest.raises(SavedImageError, match="the previous definition is back") as error:
        saved.place("web1", cells=[1])
    assert (saved.everything(), saved.guests["web1"].image) == before
    assert not error.value.changed


def test_pins_go_into_the_image_too(saved):
    predicted = saved.pin(pins={"0": "1"}, check=True)
    done = saved.pin(pins={"0": "1"})
    assert saved.log == ["define", "define_saved"]
    assert predicted["changes"] == done["changes"]
    assert [each["applied"] for each in done["changes"]] == ["both", "both"]
    assert image(saved).find("cputune/vcpupin").get("cpuset") == "1"
    assert not saved.pin(pins={"0": "1"})["changed"]
    with pytest.raises(InputError, match="does not run"):
        saved.pin(pins={"0": "0"}, apply="live")


def test_a_release_takes_what_is_ours_out_of_the_image(saved):
    before = saved.everything()
    predicted = saved.release("web1", check=True)
    assert (saved.log, saved.everything()) == ([], before)
    done = saved.release("web1")
    assert saved.log == ["define_saved", "define"]
    (one,) = done["domains"]
    assert one["changes"] == predicted["domains"][0]["changes"]
    assert [(each["element"], each["applied"]) for each in one["changes"]] == [
        ("vcpu/@cpuset", "both"),
        ("numatune/memory", "both"),
        ("metadata/intent", "both"),
    ]
    assert (one["changed"], one["restart_required"]) == (True, False)
    assert image(saved).find("numatune") is None
    assert image(saved).find("metadata") is None
    assert "s3cret" in saved.guests["web1"].image
    assert not saved.release("web1")["changed"]


def test_an_image_alone_is_released_too(saved):
    """Somebody has written the definition anew since it was saved."""
    saved.guests["web1"].config = XML
    done = saved.release("web1")
    assert saved.log == ["define_saved"]
    assert {each["applied"] for each in done["domains"][0]["changes"]} == {"live"}
    assert "backup_file" not in done["domains"][0]
    assert not saved.release("web1")["changed"]


def test_cells_made_for_a_saved_guest_stay_until_its_restart(qemu):
    qemu.place_all({"xml": document("wide", "kvm", vcpus=4, memory=786432)}, policy="mirror")
    qemu.save(qemu.guests["wide"])
    (one,) = qemu.release("wide")["domains"]
    assert [each["element"] for each in one["restart_reasons"]] == ["cpu/numa"]
    kept = etree.fromstring(qemu.guests["wide"].image)
    assert kept.find("cpu/numa") is not None
    assert kept.find("numatune") is None
    assert etree.fromstring(qemu.definition("wide")).find("cpu/numa") is None
    (again,) = qemu.release("wide")["domains"]
    assert (again["changed"], again["restart_required"]) == (False, False)


@pytest.mark.parametrize("check", [True, False])
def test_a_release_that_cannot_edit_an_image_touches_nothing(saved, check):
    saved.images_can_be_edited = False
    saved.place(xml=document("web2", kind="kvm"), cells=[1])
    saved.log.clear()
    before = saved.definition("web1"), saved.guests["web1"].image
    for names, select in ((["web1"], None), ([], "all")):
        with pytest.raises(GuestsFailedError, match=r"start it as it was saved \(virsh start\)") as error:
            saved.release(*names, select=select, check=check)
        assert (saved.definition("web1"), saved.guests["web1"].image) == before
        assert error.value.changed == (select is not None)
        assert [each["name"] for each in error.value.result["domains"]] == (["web2"] if select else [])
    saved.guests["web1"].config = XML
    assert not saved.release("web1", check=check)["changed"]


def test_a_release_that_fails_after_the_image_has_changed_something(saved):
    saved.failures["define"] = refuse("No space left on device", "define the domain")
    with pytest.raises(GuestsFailedError) as error:
        saved.release("web1")
    assert error.value.changed
    assert image(saved).find("numatune") is None
    assert saved.release("web1")["changed"]
    assert not saved.release("web1")["changed"]


def test_a_guest_that_runs_has_no_image(qemu):
    qemu.place(xml=XML, cells=[0])
    with qemu.connect() as connection:
        session = Session(connection)
        assert plan_saved(session, required_domain(session, "web1"), None, None) is None


def test_a_daemon_that_dies_while_it_goes_on(saved):
    """At each call: the memory is in an image, or in a guest that is there."""
    for name in ("define", "define_saved", "start", "live_xml", "resume"):

        def dies(real):
            raise LibvirtCallError("do it", "Connection reset by peer", 38)

        saved.failures[name] = dies
        with pytest.raises(NumaVirtError):
            saved.place("web1", cells=[1])
        guest = saved.guests["web1"]
        assert guest.image is not None or guest.live is not None
        assert "destroy" not in saved.log
    assert saved.place("web1", cells=[1])["state"] == "running"
