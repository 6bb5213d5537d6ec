# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a definition may say depends on the daemon that is there: nothing is touched where it would refuse."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document

CELLS = "<cpu><numa><cell id='0' cpus='0' memory='32768'/><cell id='1' cpus='1' memory='32768'/></numa></cpu>"


def mixed(**parts):
    """A guest of two cells, one of them with restrictive memory."""
    tune = (
        "<numatune><memory mode='strict' nodeset='0-1'/><memnode cellid='0' mode='strict' nodeset='0'/>"
        f"<memnode cellid='1' mode='restrictive' nodeset='1'/></numatune>{CELLS}"
    )
    return document(kind="kvm", tune=tune, vcpu=" cpuset='0-3'", **parts)


@pytest.fixture(name="new")
def _new(qemu):
    qemu.libvirt = "11.3.0"
    return qemu


def refused(host, task):
    """It says what to do, in check mode too, and nothing was touched."""
    before = host.everything()
    for check in (True, False):
        with pytest.raises(InputError, match=r"libvirt 11\.3\.0 takes restrictive memory in all of these or in none"):
            task(check=check)
    assert host.everything() == before
    assert host.backup_files() == []


def test_a_document_that_mixes_restrictive_memory_is_refused_before_anything_is(new):
    refused(new, lambda **mode: new.place(xml=mixed(), state="defined", **mode))


def test_a_definition_of_an_older_libvirt_is_not_written_again(new):
    new.add(mixed())
    refused(new, lambda **mode: new.pin(pins={"0": "1"}, **mode))


def test_a_definition_of_an_older_libvirt_that_needs_no_change_is_left_alone(new):
    new.add(mixed())
    before = new.definition()
    assert new.place("web1")["changed"]
    assert new.definition() == before


def test_a_new_region_says_one_mode_for_all(new):
    new.add(mixed())
    done = new.place("web1", cells=[1], state="defined")
    assert done["changed"]
    assert "restrictive" not in new.definition().partition("<numatune>")[2]


def test_an_older_libvirt_is_given_what_it_takes(qemu):
    done = qemu.place(xml=mixed(), state="defined")
    assert done["changed"]
    assert "mode='restrictive'" in qemu.definition().replace('"', "'")


def test_a_guest_that_was_never_held_to_anything_is_not_put_on_isolated_cpus(new):
    new.strays = {0: CpuSet.parse("0-5"), 1: CpuSet.parse("0-5")}  # what libvirt 10.4 gives with isolcpus=6-7
    done = new.place(xml=document(kind="kvm"))
    assert done["changed"]
    assert done["actual"]["vcpus"] == {"0": "0-5", "1": "0-5"}
    before = new.everything()
    again = new.place("web1")
    assert (again["changed"], again["changes"], again["restart_required"]) == (False, [], False)
    assert new.everything() == before


def test_a_pin_that_is_taken_away_still_gives_every_cpu_back(new):
    new.place(xml=document(kind="kvm", tune="<cputune><vcpupin vcpu='1' cpuset='3'/></cputune>"))
    assert new.pin(pins="1", state="absent")["changed"]
    assert str(new.guests["web1"].where[1]) == "0-7"
