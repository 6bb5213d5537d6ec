# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, NumaVirtError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._intent.resolve import Target, check_cpus, resolve
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver, driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    MemoryIntent,
    Pins,
    Placement,
    Shape,
    pins_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, CpuPool, Host, KernelCpus
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def pins(**each: str) -> Pins:
    """pins(v0="1-2") is a pin of number 0."""
    return pins_of({int(name[1:]): cpus(text) for name, text in each.items()})


def strict(cells: str) -> MemoryBinding:
    return MemoryBinding("strict", cpus(cells))


GIB = 1 << 20

# CPU 7 is offline, CPU 11 is on no cell; cell 2 is memory only, cell 3 CPUs only, cell 4 has lost its CPUs.
HOST = Host(
    "qemu",
    (
        Cell(0, cpus("0-3"), GIB),
        Cell(1, cpus("4-6"), 2 * GIB),
        Cell(2, EMPTY, 4 * GIB),
        Cell(3, cpus("8-9"), 0),
        Cell(4, cpus("10"), GIB),
    ),
    present=cpus("0-11"),
    online=cpus("0-6,8-9,11"),
)
QEMU, XEN, TEST = (driver_named(name) for name in ("qemu", "xen", "test"))
SHAPE = Shape("web1", None, "kvm", vcpus=2, iothreads=(1,), memory=1024)
AUTO = MemoryBinding("strict", EMPTY, automatic=True)

#: Domains that exist, by what their definition says.
FREE = Placement()
ON_0 = Placement(cpus("0-3"), memory=strict("0"))


def place(
    wish: Intent,
    current: Placement = FREE,
    stored: Intent | None = None,
    *,
    settled: CpuSet | None = None,
    given_document: bool = False,
    driver: Driver = QEMU,
    shape: Shape = SHAPE,
    host: Host = HOST,
) -> Target:
    """Place a domain whose definition says ``current``; or, with ``given_document``, the user's document does, and
    ``settled`` is the CPU set of the definition."""
    return resolve(wish, stored, current, settled if given_document else current.cpuset, host, driver, shape)


# Where: cells, CPU set, memory.


@pytest.mark.parametrize(
    ("wish", "cpuset", "memory"),
    [
        (Intent(cells=cpus("0")), "0-3", strict("0")),
        (Intent(cells=cpus("1")), "4-6", strict("1")),  # CPU 7 is offline
        (Intent(cells=cpus("0-1")), "0-6", strict("0-1")),
        (Intent(cells=cpus("0-1"), cpuset=cpus("2-3")), "2-3", strict("0-1")),
        (Intent(cpuset=cpus("3-4")), "3-4", strict("0-1")),
        (Intent(cpuset=cpus("5")), "5", strict("1")),
        (Intent(cells=cpus("0"), memory=MemoryIntent("none")), "0-3", None),
        (
            Intent(cells=cpus("0"), memory=MemoryIntent("preferred")),
            "0-3",
            MemoryBinding("preferred", cpus("0")),
        ),
        # Memory on a cell that has nothing else.
        (Intent(cells=cpus("0"), memory=MemoryIntent("strict", cpus("2"))), "0-3", strict("2")),
        (Intent(cells=cpus("3"), memory=MemoryIntent("strict", cpus("0"))), "8-9", strict("0")),
        (Intent(memory=MemoryIntent("interleave", cpus("0-2"))), None, MemoryBinding("interleave", cpus("0-2"))),
    ],
)
def test_a_region(wish: Intent, cpuset: str | None, memory: MemoryBinding | None) -> None:
    target = place(wish)
    assert target.placement == Placement(None if cpuset is None else cpus(cpuset), memory=memory)
    assert target.encoded == target.placement
    assert target.intent == wish


def test_nothing_asked_leaves_everything() -> None:
    current = Placement(
        cpus("0-1"),
        pins(v0="5"),
        cpus("6"),
        pins(v1="4"),
        MemoryBinding("interleave", cpus("0-1")),
        ((0, MemoryBinding("preferred", cpus("2"))),),
    )
    target = place(Intent(), current)
    assert target == Target(current, current, Intent())


def test_what_was_asked_before_stays_in_force() -> None:
    stored = Intent(cells=cpus("1"), memory=MemoryIntent("restrictive"), emulator=cpus("0"))
    target = place(Intent(), ON_0, stored)
    assert target.placement == Placement(
        cpus("4-6"), emulator=cpus("0"), memory=MemoryBinding("restrictive", cpus("1"))
    )
    assert target.intent == stored


def test_a_new_region_takes_the_memory_with_it() -> None:
    stored = Intent(cells=cpus("0"), memory=MemoryIntent("preferred", cpus("2")))
    assert place(Intent(cells=cpus("1")), ON_0, stored).placement.memory == strict("1")


def test_memory_alone_follows_the_cpus_that_there_are() -> None:
    wish = Intent(memory=MemoryIntent("restrictive"))
    assert place(wish, ON_0).placement == replace(ON_0, memory=MemoryBinding("restrictive", cpus("0")))


@pytest.mark.parametrize(
    ("memnode", "wish", "kept"),
    [
        (strict("1"), Intent(cells=cpus("0-1")), True),
        (strict("0-1"), Intent(cells=cpus("0-1")), True),
        (strict("1-2"), Intent(cells=cpus("0-1")), False),
        (strict("1"), Intent(cells=cpus("0")), False),
        (MemoryBinding("preferred", cpus("1")), Intent(cells=cpus("0-1")), False),
        (strict("1"), Intent(cells=cpus("0-1"), memory=MemoryIntent("none")), False),
        (strict("1"), Intent(emulator=cpus("0")), True),
    ],
)
def test_memory_of_a_guests_own_cells_stays_where_it_agrees(memnode: MemoryBinding, wish: Intent, kept: bool) -> None:
    current = Placement(cpus("0-6"), memory=strict("0-1"), memnodes=((0, memnode),))
    assert place(wish, current).placement.memnodes == (((0, memnode),) if kept else ())


def test_a_host_without_cells_has_cell_0() -> None:
    host = Host("qemu", (Cell(0, cpus("0-3"), 0),), cpus("0-3"), cpus("0-3"), implied_cell=True)
    assert place(Intent(cells=cpus("0")), host=host).placement == ON_0


# (a) Pins that are said now.


def test_pins_said_now_replace_all() -> None:
    current = replace(ON_0, vcpu_pins=pins(v0="0", v1="1"), iothread_pins=pins(v1="2"))
    target = place(Intent(vcpu_pins=pins(v1="3")), current)
    assert target.placement == replace(current, vcpu_pins=pins(v1="3"))
    assert target.intent == Intent(vcpu_pins=pins(v1="3"))
    target = place(Intent(vcpu_pins=(), iothread_pins=()), current)
    assert target.placement == ON_0
    assert target.intent == Intent(vcpu_pins=(), iothread_pins=())


def test_pins_said_now_go_with_the_region_said_now() -> None:
    wish = Intent(cells=cpus("1"), vcpu_pins=pins(v0="4", v1="5-6"), emulator=cpus("0"), iothread_pins=pins(v1="0"))
    target = place(wish, ON_0)
    assert target.placement == Placement(cpus("4-6"), pins(v0="4", v1="5-6"), cpus("0"), pins(v1="0"), strict("1"))
    assert target.intent == wish


# (b) Pins of old, while the region stays.


@pytest.mark.parametrize("wish", [Intent(), Intent(cells=cpus("0")), Intent(cpuset=cpus("0-3"))])
def test_pins_outside_stay_while_the_region_stays(wish: Intent) -> None:
    outside = Placement(cpus("0-3"), pins(v0="5"), cpus("4"), pins(v1="6"), strict("0"))
    assert place(wish, outside).placement == outside
    stored = Intent(cells=cpus("0"), vcpu_pins=pins(v0="5"), emulator=cpus("4"), iothread_pins=pins(v1="6"))
    target = place(wish, outside, stored)
    assert target.placement == outside
    assert target.intent.vcpu_pins == pins(v0="5")


def test_a_pin_goes_with_its_vcpu_or_io_thread() -> None:
    current = replace(ON_0, vcpu_pins=pins(v1="1", v2="2"), iothread_pins=pins(v1="0", v2="0"))
    assert place(Intent(), current).placement == replace(ON_0, vcpu_pins=pins(v1="1"), iothread_pins=pins(v1="0"))


def test_a_wish_for_no_pins_is_remembered() -> None:
    stored = Intent(cells=cpus("0"), vcpu_pins=(), iothread_pins=())
    assert place(Intent(), ON_0, stored).intent == stored
    by_hand = replace(ON_0, vcpu_pins=pins(v0="1"))
    assert place(Intent(), by_hand, stored).placement == ON_0


# (c) Pins of old, when the region moves.


def test_pins_that_are_left_behind_are_dropped() -> None:
    current = Placement(cpus("0-3"), pins(v0="1", v1="2-3"), cpus("3"), pins(v1="0"), strict("0"))
    assert place(Intent(cells=cpus("1")), current).placement == Placement(cpus("4-6"), memory=strict("1"))


def test_pins_that_lie_in_both_regions_stay() -> None:
    current = Placement(cpus("0-3"), pins(v0="1", v1="2-3"), cpus("3"), pins(v1="0"), strict("0"))
    narrower = place(Intent(cpuset=cpus("2-3")), current).placement
    assert narrower == Placement(cpus("2-3"), pins(v1="2-3"), cpus("3"), (), strict("0"))
    wider = place(Intent(cells=cpus("0-1")), current).placement
    assert wider == replace(current, cpuset=cpus("0-6"), memory=strict("0-1"))


def test_a_pin_of_a_vcpu_outside_the_old_region_is_dropped_by_a_move() -> None:
    current = replace(ON_0, vcpu_pins=pins(v0="8", v1="5"))
    assert place(Intent(cells=cpus("1")), current).placement.vcpu_pins == pins(v1="5")


def test_pins_of_an_unrestricted_domain_that_is_placed() -> None:
    current = Placement(None, pins(v0="1", v1="5"), cpus("2"), pins(v1="4"))
    target = place(Intent(cells=cpus("1")), current)
    assert target.placement == Placement(cpus("4-6"), pins(v1="5"), None, pins(v1="4"), strict("1"))


def test_a_move_forgets_pins_that_were_meant_for_the_old_region() -> None:
    stored = Intent(cells=cpus("0"), vcpu_pins=pins(v0="1", v1="2"), emulator=cpus("3"), iothread_pins=pins(v1="0"))
    current = Placement(cpus("0-3"), pins(v0="1", v1="2"), cpus("3"), pins(v1="0"), strict("0"))
    target = place(Intent(cells=cpus("1")), current, stored)
    assert target.placement == Placement(cpus("4-6"), memory=strict("1"))
    assert target.intent == Intent(cells=cpus("1"))
    part = place(Intent(cpuset=cpus("2-5")), current, stored)
    assert part.placement.vcpu_pins == part.intent.vcpu_pins == pins(v1="2")


def test_what_a_document_says_is_what_is_left_when_meant_pins_are_forgotten() -> None:
    """Stored pins on cell 0, a user's document with others, a move to cell 1: every run does the same."""
    stored = Intent(cells=cpus("0"), vcpu_pins=pins(v0="1"), emulator=cpus("2"), iothread_pins=pins(v1="3"))
    document = Placement(None, pins(v1="5"), cpus("6"), pins(v1="4"))
    wish = Intent(cells=cpus("1"))
    first = place(wish, document, stored, settled=cpus("0-3"), given_document=True)
    assert first.placement == Placement(cpus("4-6"), pins(v1="5"), cpus("6"), pins(v1="4"), strict("1"))
    assert first.intent == wish
    again = place(wish, document, first.intent, settled=first.placement.cpuset, given_document=True)
    assert again == first


def test_pins_of_a_users_document_mean_the_same_in_every_run() -> None:
    document = Placement(None, pins(v0="1", v1="5"), cpus("2"), pins(v1="3"))
    wish = Intent(cells=cpus("1"))
    first = place(wish, document, given_document=True)
    assert first.placement == Placement(cpus("4-6"), pins(v1="5"), memory=strict("1"))
    again = place(wish, document, first.intent, settled=first.placement.cpuset, given_document=True)
    assert again == first


# (d) Housekeeping.


@pytest.mark.parametrize("emulator", ["8", "3,8", "3-4"])
def test_an_emulator_that_was_not_inside_the_old_region_survives_a_move(emulator: str) -> None:
    current = replace(ON_0, emulator=cpus(emulator), iothread_pins=pins(v1=emulator))
    moved = place(Intent(cells=cpus("1")), current).placement
    assert (moved.emulator, moved.iothread_pins) == (cpus(emulator), pins(v1=emulator))
    stored = Intent(cells=cpus("0"), emulator=cpus(emulator), iothread_pins=pins(v1=emulator))
    target = place(Intent(cells=cpus("1")), current, stored)
    assert target.placement == moved
    assert target.intent.emulator == cpus(emulator)


def test_what_was_said_belongs_to_the_region_that_was_said_with_it() -> None:
    """The definition was moved by hand to where the emulator is: putting the domain back leaves no pin behind."""
    stored = Intent(cells=cpus("1"), vcpu_pins=pins(v0="2"), emulator=cpus("0"), iothread_pins=pins(v1="1"))
    target = place(Intent(), ON_0, stored)
    assert target.placement == Placement(cpus("4-6"), pins(v0="2"), cpus("0"), pins(v1="1"), strict("1"))
    assert target.intent == stored


# (e) Every vCPU pinned, no region said.


def test_pins_of_every_vcpu_are_a_region() -> None:
    wish = Intent(vcpu_pins=pins(v0="4", v1="6"))
    target = place(wish)
    assert target.placement == Placement(cpus("4,6"), pins(v0="4", v1="6"), memory=strict("1"))
    assert target.intent == wish


@pytest.mark.parametrize(
    ("memory", "mode"),
    [(None, "strict"), (MemoryBinding("interleave", cpus("0")), "interleave"), (AUTO, "strict")],
)
def test_the_mode_that_there_was_stays(memory: MemoryBinding | None, mode: str) -> None:
    target = place(Intent(vcpu_pins=pins(v0="3", v1="4")), Placement(cpus("0-3"), memory=memory))
    assert target.placement.cpuset == cpus("3-4")
    assert target.placement.memory == MemoryBinding(mode, cpus("0-1"))


def test_memory_that_is_asked_for_beside_pins() -> None:
    wish = Intent(vcpu_pins=pins(v0="4", v1="6"), memory=MemoryIntent("preferred"))
    assert place(wish).placement.memory == MemoryBinding("preferred", cpus("1"))
    assert place(replace(wish, memory=MemoryIntent("none"))).placement.memory is None


@pytest.mark.parametrize(
    ("wish", "stored", "current"),
    [
        (Intent(vcpu_pins=pins(v0="1")), None, ON_0),  # not every vCPU
        (Intent(), Intent(vcpu_pins=pins(v0="1", v1="2")), ON_0),  # said before, and there is a CPU set
        (Intent(vcpu_pins=pins(v0="1", v1="2")), Intent(cells=cpus("0")), ON_0),  # a region was said
        (Intent(), None, replace(ON_0, vcpu_pins=pins(v0="1", v1="2"))),  # nobody meant them
    ],
)
def test_pins_are_no_region(wish: Intent, stored: Intent | None, current: Placement) -> None:
    assert place(wish, current, stored).placement.cpuset == cpus("0-3")


def test_pins_said_before_are_a_region_where_nothing_else_is() -> None:
    target = place(Intent(), FREE, Intent(vcpu_pins=pins(v0="1", v1="2", v2="5")))
    # vCPU 2 is gone, and its CPU with it.
    assert target.placement == Placement(cpus("1-2"), pins(v0="1", v1="2"), memory=strict("0"))


# placement='auto'


def test_automatic_placement_stays_until_a_region_is_said() -> None:
    automatic = Placement(automatic=True, memory=AUTO)
    assert place(Intent(), automatic).placement == automatic
    assert place(Intent(emulator=cpus("0")), automatic).placement == replace(automatic, emulator=cpus("0"))
    assert place(Intent(cells=cpus("0")), automatic).placement == ON_0
    pinned = Intent(vcpu_pins=pins(v0="0", v1="3"))
    assert place(pinned, automatic).placement == Placement(cpus("0,3"), pins(v0="0", v1="3"), memory=strict("0"))


def test_numad_chooses_cells_where_it_chooses_cpus() -> None:
    """libvirt puts an automatic numatune into a definition that has none: it is no change to find it there."""
    assert place(Intent(), Placement(automatic=True)).placement == Placement(automatic=True, memory=AUTO)
    bound = Intent(memory=MemoryIntent("strict", cpus("0")))
    assert place(bound, Placement(automatic=True)).placement == Placement(automatic=True, memory=strict("0"))


def test_automatic_memory_is_as_large_as_it_likes() -> None:
    big = replace(SHAPE, memory=1 << 40, binds_early="huge pages")
    automatic = Placement(cpus("0-1"), memory=AUTO)
    assert place(Intent(), automatic, shape=big).placement == automatic


# Drivers


def test_xen_pins_each_vcpu_and_holds_memory_to_what_no_element_there_can_say() -> None:
    target = place(Intent(cells=cpus("1"), vcpu_pins=pins(v1="5")), driver=XEN)
    assert target.placement == Placement(cpus("4-6"), pins(v1="5"), memory=MemoryBinding("strict", cpus("1")))
    assert target.encoded == Placement(cpus("4-6"), pins(v0="4-6", v1="5"))


def test_on_xen_vcpus_without_a_pin_of_their_own_follow_when_the_region_grows() -> None:
    before = place(Intent(cells=cpus("1")), driver=XEN)
    after = place(Intent(cells=cpus("0-1")), before.encoded, before.intent, driver=XEN)
    assert after.encoded == Placement(cpus("0-6"), pins(v0="0-6", v1="0-6"))


def test_on_xen_a_pin_that_repeats_the_cpu_set_is_kept_only_where_it_was_meant() -> None:
    found = place(Intent(cpuset=cpus("5")), Placement(None, pins(v0="5")), driver=XEN)
    assert found.placement.vcpu_pins == ()
    meant = place(Intent(cpuset=cpus("5"), vcpu_pins=pins(v0="5")), driver=XEN)
    assert meant.placement.vcpu_pins == meant.intent.vcpu_pins == pins(v0="5")
    assert found.encoded == meant.encoded == Placement(cpus("5"), pins(v0="5", v1="5"))


def test_a_driver_is_asked_what_it_can_before_anything_else() -> None:
    with pytest.raises(UnsupportedError):
        place(Intent(cells=cpus("99"), emulator=cpus("1")), driver=XEN)
    # What was stored, or written by someone else, is no reason to refuse.
    assert place(Intent(), ON_0, driver=XEN).placement == Placement(cpus("0-3"))


# Refusals


BIG = replace(SHAPE, memory=GIB + 1)
EARLY = replace(SHAPE, binds_early="huge pages")


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Intent(cells=cpus("1,7")), "cells: '1,7': the host has no cell 7; its cells are 0-4"),
        (Intent(cells=cpus("7-8")), "cells: '7-8': the host has no cells 7-8; its cells are 0-4"),
        (Intent(cells=cpus("0,2")), "cells: '0,2': cell 2 has no CPUs; cells with CPUs are 0-1,3"),
        (Intent(cells=cpus("4")), "cells: '4': cell 4 has no CPUs; cells with CPUs are 0-1,3"),
        (Intent(cpuset=cpus("0,16")), "cpuset: '0,16': the host has no CPU 16; its CPUs are 0-6,8-9,11"),
        (Intent(cpuset=cpus("16-17")), "cpuset: '16-17': the host has no CPUs 16-17; its CPUs are 0-6,8-9,11"),
        (Intent(cpuset=cpus("6-7")), "cpuset: '6-7': CPU 7 is offline; online are 0-6,8-9,11"),
        (Intent(cpuset=cpus("7,10")), "cpuset: '7,10': CPUs 7,10 are offline; online are 0-6,8-9,11"),
        (
            Intent(cells=cpus("0"), cpuset=cpus("3-4")),
            "cpuset: '3-4': CPU 4 is not on cell 0; the CPUs there are 0-3",
        ),
        (
            Intent(cells=cpus("0,3"), cpuset=cpus("3-5")),
            "cpuset: '3-5': CPUs 4-5 are not on cells 0,3; the CPUs there are 0-3,8-9",
        ),
        (
            Intent(cells=cpus("0"), cpuset=cpus("7")),
            "cpuset: '7': CPU 7 is offline; online are 0-6,8-9,11",
        ),
        (
            Intent(cells=cpus("0"), memory=MemoryIntent("strict", cpus("9"))),
            "memory.cells: '9': the host has no cell 9; its cells are 0-4",
        ),
        (
            Intent(cells=cpus("0"), memory=MemoryIntent("preferred", cpus("0,3"))),
            "memory.cells: '0,3': cell 3 has no memory; give memory.cells; cells with memory are 0-2,4",
        ),
        (
            Intent(cells=cpus("1,3")),
            "cells: '1,3': cell 3 has no memory; give memory.cells; cells with memory are 0-2,4",
        ),
        (
            Intent(cpuset=cpus("8")),
            "cpuset: '8': cell 3 has no memory; give memory.cells; cells with memory are 0-2,4",
        ),
        (
            Intent(vcpu_pins=pins(v0="8", v1="8")),
            "cpuset of the domain: '8': cell 3 has no memory; give memory.cells; cells with memory are 0-2,4",
        ),
        (Intent(cpuset=cpus("11")), "cpuset: '11': these CPUs are on no cell; give memory.cells or cells"),
        (
            Intent(memory=MemoryIntent("strict")),
            "memory.cells: the domain has no CPU set to take the cells from; give memory.cells, cells or cpuset",
        ),
        (
            Intent(cells=cpus("0"), vcpu_pins=pins(v0="3-4")),
            "vcpu_pins[0]: '3-4': CPU 4 is outside the domain's CPU set 0-3; pin inside it, or widen it first",
        ),
        (
            Intent(cells=cpus("0"), vcpu_pins=pins(v0="4-5")),
            "vcpu_pins[0]: '4-5': CPUs 4-5 are outside the domain's CPU set 0-3; pin inside it, or widen it first",
        ),
        (
            Intent(vcpu_pins=pins(v0="99")),
            "vcpu_pins[0]: '99': the host has no CPU 99; its CPUs are 0-6,8-9,11",
        ),
        (
            Intent(vcpu_pins=pins(v0="0", v1="7")),
            "vcpu_pins[1]: '7': CPU 7 is offline; online are 0-6,8-9,11",
        ),
        (
            Intent(cells=cpus("0"), vcpu_pins=pins(v2="1")),
            "vcpu_pins[2]: '1': the domain has no vCPU 2; its vCPUs are 0-1",
        ),
        (
            Intent(vcpu_pins=pins(v0="0", v1="1", v2="2")),
            "vcpu_pins[2]: '2': the domain has no vCPU 2; its vCPUs are 0-1",
        ),
        (
            Intent(iothread_pins=pins(v2="1")),
            "iothread_pins[2]: '1': the domain has no IO thread 2; its IO threads are 1",
        ),
        (
            Intent(iothread_pins=pins(v1="7")),
            "iothread_pins[1]: '7': CPU 7 is offline; online are 0-6,8-9,11",
        ),
        (
            Intent(emulator=cpus("12")),
            "emulator_cpuset: '12': the host has no CPU 12; its CPUs are 0-6,8-9,11",
        ),
    ],
)
def test_refusals_name_option_value_and_what_is_right(wish: Intent, message: str) -> None:
    with pytest.raises(InputError) as caught:
        place(wish)
    assert caught.value.message == message


NO_ROOM = "; give more cells, or memory.mode=preferred"
NO_CPU = (
    ", which QEMU can only bind on cells where it may run, and its CPU set {} has no CPU on cell 1; "
    "choose among cell 0, or add CPUs of cell 1"
)


@pytest.mark.parametrize(
    ("wish", "shape", "message"),
    [
        (
            Intent(cells=cpus("0")),
            BIG,
            f"cells: '0': the domain needs {GIB + 1} KiB and cell 0 has {GIB} KiB" + NO_ROOM,
        ),
        (
            Intent(cells=cpus("0"), memory=MemoryIntent("restrictive", cpus("0,4"))),
            replace(SHAPE, memory=2 * GIB + 1),
            f"memory.cells: '0,4': the domain needs {2 * GIB + 1} KiB and cells 0,4 have {2 * GIB} KiB" + NO_ROOM,
        ),
        (
            Intent(cells=cpus("0"), memory=MemoryIntent("strict", cpus("0-1"))),
            EARLY,
            "memory.cells: '0-1': the domain has huge pages" + NO_CPU.format("0-3"),
        ),
        (
            Intent(cells=cpus("0-1"), cpuset=cpus("0")),
            replace(SHAPE, binds_early="preallocated memory"),
            "memory.cells: '0-1': the domain has preallocated memory" + NO_CPU.format("0"),
        ),
        (
            Intent(iothread_pins=pins(v1="1")),
            replace(SHAPE, iothreads=()),
            "iothread_pins[1]: '1': the domain has no IO thread 1; it has none",
        ),
    ],
)
def test_refusals_for_what_the_domain_is(wish: Intent, shape: Shape, message: str) -> None:
    with pytest.raises(InputError) as caught:
        place(wish, shape=shape)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("current", "stored", "message"),
    [
        (
            Placement(cpus("6-7")),
            None,
            "cpuset of the definition: '6-7': CPU 7 is offline; online are 0-6,8-9,11",
        ),
        (
            Placement(memory=strict("9")),
            None,
            "numatune of the definition: '9': the host has no cell 9; its cells are 0-4",
        ),
        (
            Placement(memory=strict("0"), memnodes=((0, strict("9")),)),
            None,
            "numatune of the definition: '0,9': the host has no cell 9; its cells are 0-4",
        ),
        (
            Placement(cpus("0"), pins(v0="7")),
            None,
            "vcpu_pins[0] of the definition: '7': CPU 7 is offline; online are 0-6,8-9,11",
        ),
        (
            FREE,
            Intent(vcpu_pins=pins(v0="1", v1="7")),
            "vcpu_pins[1] of the definition: '7': CPU 7 is offline; online are 0-6,8-9,11",
        ),
        (
            Placement(iothread_pins=pins(v1="7")),
            None,
            "iothread_pins[1] of the definition: '7': CPU 7 is offline; online are 0-6,8-9,11",
        ),
        (
            Placement(emulator=cpus("7")),
            None,
            "emulator_cpuset of the definition: '7': CPU 7 is offline; online are 0-6,8-9,11",
        ),
        (
            FREE,
            Intent(emulator=cpus("7")),
            "emulator_cpuset of the definition: '7': CPU 7 is offline; online are 0-6,8-9,11",
        ),
    ],
)
def test_refusals_for_what_the_definition_says(current: Placement, stored: Intent | None, message: str) -> None:
    with pytest.raises(InputError) as caught:
        place(Intent(), current, stored)
    assert caught.value.message == message


def test_automatic_placement_cannot_go_without_memory() -> None:
    with pytest.raises(InputError) as caught:
        place(Intent(memory=MemoryIntent("none")), Placement(automatic=True, memory=AUTO))
    assert caught.value.message == (
        "memory.mode: 'none': numad chooses the CPUs of the domain at each start, "
        "and libvirt then binds its memory too; give cells or cpuset with it, or leave it out"
    )


@pytest.mark.parametrize(
    ("wish", "current", "driver", "shape"),
    [
        # Only modes that bind need room for all of it.
        (Intent(cells=cpus("0"), memory=MemoryIntent("preferred")), FREE, QEMU, BIG),
        (Intent(cells=cpus("0"), memory=MemoryIntent("interleave")), FREE, QEMU, BIG),
        (Intent(cells=cpus("0"), memory=MemoryIntent("none")), FREE, QEMU, BIG),
        (Intent(cells=cpus("0-1")), FREE, QEMU, BIG),
        # Early binding asks for CPUs on the memory's cells, and for no more.
        (Intent(cells=cpus("0-1")), FREE, QEMU, EARLY),
        (Intent(cells=cpus("0"), memory=MemoryIntent("none")), FREE, QEMU, EARLY),
        (Intent(memory=MemoryIntent("strict", cpus("2"))), FREE, QEMU, EARLY),
        (Intent(cells=cpus("0"), memory=MemoryIntent("strict", cpus("1"))), FREE, TEST, EARLY),
        (Intent(cells=cpus("0"), memory=MemoryIntent("strict", cpus("1"))), FREE, QEMU, SHAPE),
        # Pins that are to be dropped need no CPU.
        (Intent(cells=cpus("1")), Placement(cpus("7"), pins(v0="7"), cpus("7"), pins(v1="7")), QEMU, SHAPE),
        # A CPU on no cell will do where the memory is said.
        (Intent(cpuset=cpus("11"), memory=MemoryIntent("strict", cpus("0"))), FREE, QEMU, SHAPE),
    ],
)
def test_no_refusal(wish: Intent, current: Placement, driver: Driver, shape: Shape) -> None:
    place(wish, current, driver=driver, shape=shape)


# Beside the memory of a guest with two vCPUs and an IO thread
OF_QEMU, OF_XEN = (64 << 10) + 3 * (8 << 10), 3 << 10


@pytest.mark.parametrize(("driver", "beside"), [(QEMU, OF_QEMU), (XEN, OF_XEN), (TEST, 0)])
def test_a_hypervisor_takes_memory_too(driver: Driver, beside: int) -> None:
    wish = Intent(cells=cpus("0"))
    place(wish, driver=driver, shape=replace(SHAPE, memory=GIB - beside))
    with pytest.raises(InputError) as error:
        place(wish, driver=driver, shape=replace(SHAPE, memory=GIB - beside + 1))
    also = f", and its hypervisor {beside} KiB beside them," if beside else ""
    said = f"cells: '0': the domain needs {GIB - beside + 1} KiB{also} and cell 0 has {GIB} KiB; give more cells, or "
    assert str(error.value).startswith(said)


def test_a_guest_as_large_as_its_cell_stays_where_it_is() -> None:
    whole = replace(SHAPE, memory=GIB)
    place(Intent(cells=cpus("0")), ON_0, shape=whole)
    # What a policy counts is its own affair.
    place(Intent(cells=cpus("0"), policy='{"policy": "pack"}'), shape=whole)
    with pytest.raises(InputError, match="its hypervisor 90112 KiB beside them"):
        place(Intent(cells=cpus("0")), Placement(cpus("4-6"), memory=strict("1")), shape=whole)


def test_a_cell_is_its_cpus_without_isolated_ones_that_no_pin_names() -> None:
    def where(wish: Intent, isolated: str, stored: Intent | None = None, current: Placement = FREE) -> str:
        host = replace(HOST, kernel=KernelCpus(cpus(isolated), EMPTY, ()))
        return str(place(wish, current, stored, host=host).placement.cpuset)

    on_0 = Intent(cells=cpus("0"))
    assert where(on_0, "2-5") == "0-1"
    assert where(on_0, "4-6") == "0-3"
    # Where there are no others it is all of them.
    assert where(on_0, "0-3,8") == "0-3"
    assert where(Intent(cells=cpus("0-1")), "0-3") == "4-6"
    assert where(replace(on_0, vcpu_pins=pins(v0="2")), "2-3") == "0-2"
    assert where(replace(on_0, cpuset=cpus("2-3")), "2-3") == "2-3"
    # What was said before is meant so too: pins of that time move with the cell.
    before = replace(on_0, vcpu_pins=pins(v0="2"))
    assert where(Intent(), "2-3", before, Placement(cpus("0-3"), pins(v0="2"), memory=strict("0"))) == "0-2"
    assert where(Intent(cells=cpus("1")), "2-3", before, Placement(cpus("0-2"), pins(v0="2"))) == "4-6"


def test_early_binding_looks_at_the_guests_own_cells_too() -> None:
    current = Placement(cpus("0-3"), memory=strict("0"), memnodes=((0, strict("1")),))
    with pytest.raises(InputError, match="has no CPU on cell 1"):
        place(Intent(), current, shape=EARLY)


# Laws

# Wishes that can mostly be met: others are of no use here, and have their own tests.
CELLS = st.sampled_from([cpus(text) for text in ("0", "1", "0-1")])
MEMORY_CELLS = st.sampled_from([cpus(text) for text in ("0", "1", "2", "0-1", "1-2")])
ONLINE = st.sets(st.sampled_from(list(cpus("0-6"))), min_size=1, max_size=4).map(CpuSet)
MEMORY = st.builds(MemoryIntent, st.sampled_from(["strict", "preferred", "restrictive"]), st.none() | MEMORY_CELLS)
VCPU_PINS = st.dictionaries(st.integers(0, 2), ONLINE, max_size=3).map(pins_of)
IO_PINS = st.dictionaries(st.integers(1, 2), ONLINE, max_size=2).map(pins_of)
REGIONS = st.one_of(
    st.just(Intent()),
    st.builds(Intent, cells=CELLS),
    st.builds(Intent, cpuset=ONLINE),
    st.builds(Intent, cells=st.just(cpus("0-1")), cpuset=ONLINE),
)
WISHES = st.builds(
    replace,
    REGIONS,
    memory=st.none() | MEMORY | st.just(MemoryIntent("none")),
    vcpu_pins=st.none() | st.dictionaries(st.integers(0, 1), ONLINE, max_size=2).map(pins_of),
    emulator=st.none() | ONLINE,
    iothread_pins=st.none() | st.dictionaries(st.just(1), ONLINE).map(pins_of),
)
BINDINGS = st.builds(MemoryBinding, st.sampled_from(["strict", "preferred"]), MEMORY_CELLS)
DOCUMENTS = st.builds(
    Placement,
    cpuset=st.none() | ONLINE,
    vcpu_pins=VCPU_PINS,
    emulator=st.none() | ONLINE,
    iothread_pins=IO_PINS,
    memory=st.none() | BINDINGS,
    memnodes=st.just(()) | st.builds(lambda binding: ((0, binding),), BINDINGS),
) | st.builds(Placement, vcpu_pins=VCPU_PINS, emulator=st.none() | ONLINE, automatic=st.just(True))
STORED = st.none() | st.builds(replace, WISHES, vcpu_pins=st.none() | VCPU_PINS, iothread_pins=st.none() | IO_PINS)
ANY_DRIVER = st.sampled_from([QEMU, XEN, TEST])

choosy = settings(suppress_health_check=[HealthCheck.filter_too_much], max_examples=examples(150))


def placed(wish: Intent, current: Placement, stored: Intent | None, settled: CpuSet | None, driver: Driver) -> Target:
    """A target, of examples that have one."""
    try:
        return resolve(wish, stored, current, settled, HOST, driver, SHAPE)
    except NumaVirtError:
        assume(False)
        raise


@choosy
@given(WISHES, DOCUMENTS, STORED, ANY_DRIVER)
def test_a_second_run_changes_nothing(wish: Intent, current: Placement, stored: Intent | None, driver: Driver) -> None:
    first = placed(wish, current, stored, current.cpuset, driver)
    for again in (wish, Intent()):
        assert resolve(again, first.intent, first.encoded, first.encoded.cpuset, HOST, driver, SHAPE) == first


@choosy
@given(WISHES, DOCUMENTS, STORED, st.none() | ONLINE, ANY_DRIVER)
def test_a_second_run_with_the_same_document_changes_nothing(
    wish: Intent, document: Placement, stored: Intent | None, settled: CpuSet | None, driver: Driver
) -> None:
    first = placed(wish, document, stored, settled, driver)
    assert resolve(wish, first.intent, document, first.encoded.cpuset, HOST, driver, SHAPE) == first


@choosy
@given(WISHES, DOCUMENTS, STORED, ANY_DRIVER)
def test_every_cpu_is_online_and_every_cell_exists(
    wish: Intent, current: Placement, stored: Intent | None, driver: Driver
) -> None:
    it = placed(wish, current, stored, current.cpuset, driver).encoded
    sets = [it.cpuset, it.emulator, *(each for _number, each in (*it.vcpu_pins, *it.iothread_pins))]
    assert union(each for each in sets if each is not None) <= HOST.online
    bindings = [it.memory, *(binding for _cell, binding in it.memnodes)]
    assert union(each.nodeset for each in bindings if each is not None) <= HOST.cell_ids


@choosy
@given(WISHES, DOCUMENTS, STORED, ANY_DRIVER)
def test_what_is_said_now_is_what_is_done(
    wish: Intent, current: Placement, stored: Intent | None, driver: Driver
) -> None:
    target = placed(wish, current, stored, current.cpuset, driver)
    it = target.placement
    for said, done in (
        (wish.cpuset, it.cpuset),
        (wish.vcpu_pins, it.vcpu_pins),
        (wish.emulator, it.emulator),
        (wish.iothread_pins, it.iothread_pins),
    ):
        assert said is None or said == done
    if wish.cells is not None:
        assert it.cpuset is not None
        assert it.cpuset <= HOST.cpus_of(wish.cells)
    assert target.intent.over(wish) == target.intent
    assert wish.over(target.intent) == target.intent
    assert {number for number, _cpus in it.vcpu_pins} <= set(range(SHAPE.vcpus))


@choosy
@given(DOCUMENTS, ANY_DRIVER)
def test_without_a_wish_no_vcpu_moves(current: Placement, driver: Driver) -> None:
    it = placed(Intent(), current, None, current.cpuset, driver)
    assert [it.encoded.of_vcpu(vcpu) for vcpu in range(SHAPE.vcpus)] == [
        current.of_vcpu(vcpu) for vcpu in range(SHAPE.vcpus)
    ]
    assert it.intent == Intent()


def test_on_xen_vcpus_that_come_later_keep_memory_from_being_held() -> None:
    later = replace(SHAPE, vcpus=4, current=2)
    with pytest.raises(InputError) as caught:
        place(Intent(cells=cpus("1")), driver=XEN, shape=later)
    assert caught.value.message == (
        "vcpu/@current of the definition: 2: libvirt pins only the vCPUs that the guest starts with, and Xen takes its "
        "memory from the cells of all 4; let it start with 4 and take some away while it runs, or give memory.mode=none"
    )
    assert place(Intent(cells=cpus("1"), memory=MemoryIntent("none")), driver=XEN, shape=later).encoded.vcpu_pins
    assert place(Intent(cells=cpus("1")), shape=later).placement.memory is not None
    assert place(Intent(cells=cpus("1")), driver=XEN, shape=replace(later, current=4)).placement.memory is not None


def test_cpus_of_a_cpupool() -> None:
    pools = (CpuPool("Pool-0", cpus("0-3")), CpuPool("fast", cpus("4-6")))
    host = HOST.with_pools(pools).in_pool("fast")
    check_cpus(cpus("5"), host, "cpuset")
    with pytest.raises(InputError, match="cpuset: '3-4': CPU 3 is not in the guest's cpupool fast; its CPUs are 4-6"):
        check_cpus(cpus("3-4"), host, "cpuset")
