# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""<cputune>: vcpusched, iothreadsched, emulatorsched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._elements import registry
from ansible_collections.numa.virt.plugins.module_utils._elements.record import (
    intent_text,
    read_record,
    record_or_trouble,
    strip_owned,
    write_record,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.scheduler import Schedulers, ThreadSchedulers
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import parse, serialize
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._intent.resolve import resolve
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import RECORD, Record
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.observation import (
    PROC,
    Misplaced,
    Observation,
    Scheduler,
    Thread,
)
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host

FIFO, BATCH = Scheduler("fifo", 1), Scheduler("batch")
ELEMENT = ThreadSchedulers()
HOST = Host("qemu", (Cell(0, CpuSet(range(8)), 1 << 20),), CpuSet(range(8)), CpuSet(range(8)))
SHAPE = Shape("web1", None, "kvm", 4, (1, 2), 1024)
QEMU = driver_named("qemu")

DOCUMENT = """<domain>
  <vcpu>4</vcpu>
  <cputune>
    <shares>7</shares>
    <vcpusched vcpus='0-1,3' scheduler='fifo' priority='1'/>
    <vcpusched vcpus='2' scheduler='idle' priority='0'/>
    <iothreadsched iothreads='2' scheduler='batch'/>
    <emulatorsched scheduler='rr' priority='99'/>
  </cputune>
</domain>"""
SAID = Schedulers(
    vcpus=((0, FIFO), (1, FIFO), (2, Scheduler("idle")), (3, FIFO)),
    iothreads=((2, BATCH),),
    emulator=Scheduler("rr", 99),
)

SCHEDULER = st.sampled_from([Scheduler("batch"), Scheduler("idle")]) | st.builds(
    Scheduler, st.sampled_from(["fifo", "rr"]), st.integers(1, 99)
)
NUMBERED = st.dictionaries(st.integers(0, 9), SCHEDULER, max_size=5).map(lambda found: tuple(sorted(found.items())))
SCHEDULERS = st.builds(Schedulers, NUMBERED, NUMBERED, st.none() | SCHEDULER)


def _said(value):
    return Placement().with_knob("scheduler", value)


def test_it_is_read_from_a_document():
    assert registry.read_placement(parse(DOCUMENT)).knob("scheduler") == SAID
    assert ELEMENT.read(parse("<domain/>")) is None
    assert ELEMENT.read(parse("<domain><cputune><shares>7</shares></cputune></domain>")) is None


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ("<vcpusched vcpus='0' scheduler='deadline' priority='7'/>", Schedulers(((0, Scheduler("deadline", 7)),))),
        ("<vcpusched vcpus='0' scheduler='fifo' priority='many'/>", Schedulers(((0, Scheduler("fifo")),))),
        ("<emulatorsched scheduler='idle' priority='0'/>", Schedulers(emulator=Scheduler("idle"))),
    ],
)
def test_what_a_newer_libvirt_may_say_stays_as_it_is(element, said):
    text = f"<domain><vcpu>1</vcpu><cputune>{element}</cputune></domain>".replace("'", '"')
    root = parse(text)
    placement = registry.read_placement(root)
    assert placement == _said(said)
    registry.write_placement(root, placement)
    assert serialize(root) == text


def test_numbers_that_are_none_are_refused():
    with pytest.raises(InputError, match="vcpusched/@vcpus"):
        ELEMENT.read(parse("<domain><cputune><vcpusched vcpus='x' scheduler='batch'/></cputune></domain>"))


@pytest.mark.parametrize(
    "scheduler", [Scheduler("deadline"), Scheduler("fifo"), Scheduler("rr", 100), Scheduler("idle", 1)]
)
def test_a_record_that_nobody_of_ours_has_written_is_none(scheduler):
    root = parse("<domain><name>web1</name></domain>")
    write_record(root, Record(Intent(knobs=(("scheduler", Schedulers(emulator=scheduler)),))))
    record, trouble = record_or_trouble(root)
    assert record is None and trouble.kind == RECORD


@given(SCHEDULERS, SCHEDULERS)
def test_what_is_written_is_read_and_leaves_without_a_trace(one, other):
    text = "<domain>\n  <name>web1</name>\n  <vcpu>4</vcpu>\n</domain>"
    root = parse(text)
    for value in (one, other):
        registry.write_placement(root, _said(value))
        assert (ELEMENT.read(root) or Schedulers()) == value
    registry.write_placement(root, Placement())
    assert serialize(root) == text


def test_one_element_for_each_scheduler_of_a_kind():
    root = parse("<domain><vcpu>4</vcpu></domain>")
    registry.write_placement(root, _said(SAID))
    assert [dict(each.attrib) for each in root.find("cputune")] == [
        {"vcpus": "0-1,3", "scheduler": "fifo", "priority": "1"},
        {"vcpus": "2", "scheduler": "idle"},
        {"iothreads": "2", "scheduler": "batch"},
        {"scheduler": "rr", "priority": "99"},
    ]


def test_it_is_no_part_of_the_rest():
    root = parse(DOCUMENT)
    strip_owned(root)
    assert [each.tag for each in root.find("cputune")] == ["shares"]


@given(SCHEDULERS)
def test_what_was_asked_for_is_kept_with_the_guest(value):
    root = parse("<domain><name>web1</name></domain>")
    record = Record(Intent(knobs=(("scheduler", value),)))
    write_record(root, record)
    assert read_record(root) == record


def test_changes_and_words():
    after = replace(SAID, vcpus=((0, BATCH),), emulator=None)
    changes = registry.placement_changes(_said(SAID), _said(after))
    assert [(each.element, each.before, each.after) for each in changes] == [
        ("cputune/vcpusched[@vcpus='0']", "fifo 1", "batch"),
        ("cputune/vcpusched[@vcpus='1']", "fifo 1", None),
        ("cputune/vcpusched[@vcpus='2']", "idle", None),
        ("cputune/vcpusched[@vcpus='3']", "fifo 1", None),
        ("cputune/emulatorsched", "rr 99", None),
    ]
    asked = Intent(cells=CpuSet([1]), knobs=(("scheduler", replace(after, emulator=BATCH)),))
    assert intent_text(asked) == "cells 1, vcpu 0 batch, iothread 2 batch, emulator batch"
    assert intent_text(Intent(knobs=(("scheduler", Schedulers()),))) == "no scheduler"


def test_results_have_it_where_it_is_said():
    assert "scheduler" not in registry.placement_as_result(Placement())
    assert registry.placement_as_result(_said(SAID))["scheduler"] == {
        "vcpus": {
            "0": {"policy": "fifo", "priority": 1},
            "1": {"policy": "fifo", "priority": 1},
            "2": {"policy": "idle", "priority": None},
            "3": {"policy": "fifo", "priority": 1},
        },
        "iothreads": {"2": {"policy": "batch", "priority": None}},
        "emulator": {"policy": "rr", "priority": 99},
    }
    assert registry.asked_as_result(Intent(knobs=(("scheduler", Schedulers()),)))["scheduler"] == {
        "vcpus": {},
        "iothreads": {},
        "emulator": None,
    }


def test_options_are_read():
    option = {
        "vcpus": {"0-1": {"policy": "fifo", "priority": "3"}, "2": {"policy": "idle"}},
        "iothreads": None,
        "emulator": {"policy": "batch", "priority": None},
    }
    expected = Schedulers(((0, Scheduler("fifo", 3)), (1, Scheduler("fifo", 3)), (2, Scheduler("idle"))), (), BATCH)
    assert registry.parts_from_options({"scheduler": option}, {})["knobs"] == (("scheduler", expected),)
    nothing = {"vcpus": None, "iothreads": None, "emulator": None}
    assert registry.parts_from_options({"scheduler": nothing}, {})["knobs"] == (("scheduler", Schedulers()),)
    assert registry.parts_from_options({}, {})["knobs"] == ()


@pytest.mark.parametrize(
    ("option", "named", "expected"),
    [
        ({"vcpus": {"0": "fifo"}}, "scheduler.vcpus[0]", "is not a dictionary"),
        ({"vcpus": {"0": {"policy": "fifo", "nice": 1}}}, "scheduler.vcpus[0]", "choose among policy, priority"),
        ({"vcpus": {"0": {"policy": "deadline"}}}, "scheduler.vcpus[0].policy", "choose one of batch, idle, fifo, rr"),
        ({"vcpus": {"0": {}}}, "scheduler.vcpus[0].policy", "choose one of"),
        ({"iothreads": {"1": {"policy": "rr"}}}, "scheduler.iothreads[1].priority", "1 to 99"),
        ({"emulator": {"policy": "fifo", "priority": 0}}, "scheduler.emulator.priority", "1 to 99"),
        ({"emulator": {"policy": "fifo", "priority": "0100"}}, "scheduler.emulator.priority", "1 to 99"),
        ({"emulator": {"policy": "fifo", "priority": True}}, "scheduler.emulator.priority", "1 to 99"),
        ({"emulator": {"policy": "idle", "priority": 1}}, "scheduler.emulator.priority", "leave it out"),
        ({"vcpus": {"x": BATCH}}, "scheduler.vcpus key", "x"),
        ({"vcpus": {"0-1": {"policy": "idle"}, "1": {"policy": "idle"}}}, "scheduler.vcpus", "given twice"),
    ],
)
def test_wrong_options_are_named(option, named, expected):
    with pytest.raises(InputError) as error:
        registry.parts_from_options({"scheduler": option}, {})
    assert named in str(error.value) and expected in str(error.value)


def _resolved(wish=None, stored=None, current=None, shape=SHAPE, driver=QEMU):
    wish = Intent(knobs=(("scheduler", wish),)) if wish is not None else Intent()
    stored = Intent(knobs=(("scheduler", stored),)) if stored is not None else None
    target = resolve(wish, stored, _said(current), None, HOST, driver, shape)
    return target.encoded.knob("scheduler"), target.intent.knob("scheduler")


def test_what_nobody_asked_for_stays_as_the_document_has_it():
    assert _resolved(current=SAID) == (SAID, None)


def test_what_is_said_now_replaces_what_was_said_and_what_is_there():
    wanted = Schedulers(vcpus=((0, BATCH),))
    assert _resolved(wish=wanted, stored=SAID, current=SAID) == (wanted, wanted)
    assert _resolved(stored=wanted, current=SAID) == (wanted, wanted)
    assert _resolved(wish=Schedulers(), stored=wanted, current=SAID) == (None, Schedulers())
    assert _resolved(stored=Schedulers(), current=SAID) == (None, Schedulers())


def test_what_is_said_of_things_that_are_gone_is_dropped():
    small = replace(SHAPE, vcpus=1, iothreads=())
    left = Schedulers(vcpus=((0, FIFO),), emulator=Scheduler("rr", 99))
    assert _resolved(stored=SAID, current=None, shape=small) == (left, left)
    assert _resolved(current=SAID, shape=small) == (left, None)
    gone = Schedulers(vcpus=((3, FIFO),))
    assert _resolved(stored=gone, current=left, shape=small) == (left, None)


@pytest.mark.parametrize(
    ("wish", "shape", "message"),
    [
        (Schedulers(vcpus=((4, FIFO),)), SHAPE, ("scheduler.vcpus[4]", "no vCPU 4", "its vCPUs are 0-3")),
        (Schedulers(iothreads=((9, FIFO),)), SHAPE, ("scheduler.iothreads[9]", "its IO threads are 1-2")),
        (Schedulers(iothreads=((1, FIFO),)), replace(SHAPE, iothreads=()), ("no IO thread 1", "it has none")),
    ],
)
def test_what_is_said_now_must_be_about_what_is_there(wish, shape, message):
    with pytest.raises(InputError) as error:
        _resolved(wish=wish, shape=shape)
    assert all(part in str(error.value) for part in message)


@pytest.mark.parametrize("driver", ["xen", "xl"])
def test_xen_has_no_such_thing(driver):
    with pytest.raises(UnsupportedError, match="no processes"):
        _resolved(wish=SAID, driver=driver_named(driver))
    assert registry.knob_changes(_said(SAID), Placement(), driver_named(driver)) == []


def _thread(tid, name, **more):
    return Thread(tid, name, CpuSet([0]), CpuSet(), **more)


def test_threads_are_held_to_it():
    threads = (
        _thread(1, "qemu-system-x86", of_emulator=True, scheduler=Scheduler("other")),
        _thread(2, "CPU 0/KVM", vcpu=0, scheduler=FIFO),
        _thread(3, "CPU 1/KVM", vcpu=1, scheduler=Scheduler("fifo", 2)),
        _thread(4, "IO iothread2", iothread=2, scheduler=Scheduler("other")),
        _thread(5, "IO iothread1", iothread=1, scheduler=Scheduler("other")),
        _thread(6, "worker", scheduler=Scheduler("other")),
        _thread(7, "CPU 3/KVM", vcpu=3),
    )
    assert registry.misplaced(_said(SAID), Observation(PROC, (), threads)) == [
        Misplaced("thread 'qemu-system-x86' (1)", "scheduler rr 99", "scheduler other"),
        Misplaced("thread 'CPU 1/KVM' (3)", "scheduler fifo 1", "scheduler fifo 2"),
        Misplaced("thread 'IO iothread2' (4)", "scheduler batch", "scheduler other"),
    ]
    assert registry.misplaced(Placement(), Observation(PROC, (), threads)) == []


def test_schedulers_are_looked_at_only_where_one_is_said():
    assert registry.observed_for(Placement(CpuSet([1]))) == frozenset()
    assert registry.observed_for(_said(SAID)) == {"scheduler"}


def test_while_it_waits_for_a_restart_all_else_is_verified():
    placement = replace(_said(SAID), cpuset=CpuSet([1]))
    assert registry.held_while(placement, {"cputune/vcpusched[@vcpus='0']"}) == Placement(CpuSet([1]))
    assert registry.held_while(placement, {"cputune/vcpupin[@vcpu='0']"}) is None
    assert registry.held_while(placement, {"definition"}) == placement


def test_a_release_takes_out_what_was_asked_for_and_leaves_the_rest():
    placement = replace(_said(SAID), cpuset=CpuSet([1]))
    assert registry.placement_released(placement, None) == _said(SAID)
    assert registry.placement_released(placement, Intent()) == _said(SAID)
    assert registry.placement_released(placement, Intent(knobs=(("scheduler", Schedulers()),))) == Placement()
