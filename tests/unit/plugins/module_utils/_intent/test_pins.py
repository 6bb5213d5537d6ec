# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, NumaVirtError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._intent.pins import (
    PinWish,
    check_wish,
    overlay,
    overlay_intent,
    own_cpus,
    wish_from_options,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    Placement,
    Shape,
    pins_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


QEMU, XEN = driver_named("qemu"), driver_named("xen")
HOST = Host(
    "qemu",
    (Cell(0, cpus("0-3"), 1024), Cell(1, cpus("4-6"), 1024), Cell(2, EMPTY, 1024)),
    present=cpus("0-7"),
    online=cpus("0-6"),
)
SHAPE = Shape("web1", None, "kvm", vcpus=4, iothreads=(1, 2), memory=512)
OWN = Placement(cpus("4-6"))

SETS = st.sets(st.integers(0, 7), min_size=1).map(CpuSet)
PINS = st.dictionaries(st.integers(0, 3), SETS).map(pins_of)
PLACEMENTS = st.builds(Placement, st.none() | SETS, PINS, st.none() | SETS, PINS)
SETTING = st.builds(PinWish, PINS, PINS, st.none() | SETS)
TAKING = st.builds(
    PinWish,
    vcpus_absent=st.sets(st.integers(0, 3)).map(CpuSet),
    iothreads_absent=st.sets(st.integers(0, 3)).map(CpuSet),
    emulator_absent=st.booleans(),
)


@pytest.mark.parametrize(
    ("options", "wish"),
    [
        (
            {"pins": {"0": "4", "1-2": "5-6"}},
            PinWish(vcpus=((0, cpus("4")), (1, cpus("5-6")), (2, cpus("5-6")))),
        ),
        (
            {"emulator_cpuset": 0, "iothread_pins": {1: [3]}, "state": "present"},
            PinWish(iothreads=((1, cpus("3")),), emulator=cpus("0")),
        ),
        ({"state": "absent", "pins": "1-3"}, PinWish(vcpus_absent=cpus("1-3"))),
        ({"state": "absent", "pins": 2}, PinWish(vcpus_absent=cpus("2"))),
        ({"state": "absent", "pins": [0, "2-3"]}, PinWish(vcpus_absent=cpus("0,2-3"))),
        ({"state": "absent", "pins": {"0": "4", "1-2": "5"}}, PinWish(vcpus_absent=cpus("0-2"))),
        ({"state": "absent", "iothread_pins": {"1": None}, "pins": []}, PinWish(iothreads_absent=cpus("1"))),
        ({"state": "absent", "emulator_cpuset": "anything"}, PinWish(emulator_absent=True)),
        ({"state": "absent", "emulator_cpuset": []}, PinWish(emulator_absent=True)),
    ],
)
def test_options(options: dict[str, Any], wish: PinWish) -> None:
    assert wish_from_options(options) == wish


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "pins: there is nothing to pin; give pins, emulator_cpuset or iothread_pins"),
        (
            {"pins": {}, "iothread_pins": [], "state": "absent"},
            "pins: there is nothing to pin; give pins, emulator_cpuset or iothread_pins",
        ),
        ({"pins": "0-3"}, "pins: '0-3': is not a dictionary; write {'0': '4', '1-3': '5-7'}"),
        ({"iothread_pins": [1]}, "iothread_pins: [1]: is not a dictionary; write {'0': '4', '1-3': '5-7'}"),
        ({"pins": {"0": ""}}, "pins[0]: names no CPU; give at least one CPU, or leave the option out"),
        (
            {"emulator_cpuset": []},
            "emulator_cpuset: []: names no CPU; give at least one CPU, or leave the option out",
        ),
        (
            {"pins": "0-", "state": "absent"},
            "pins: '0-': a CPU number is missing at character 3; a CPU set looks like '0-3,^2,8' or [0, 1, 3, 8]",
        ),
        (
            {"pins": "^3", "state": "absent"},
            "pins: '^3': names nothing that could have a pin; give numbers, such as '0-3'",
        ),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        wish_from_options(options)
    assert caught.value.message == message


def test_what_a_wish_is_about() -> None:
    wish = PinWish(((1, cpus("4")),), ((2, cpus("4")),), None, cpus("3"), cpus("1"))
    assert (wish.vcpu_numbers, wish.iothread_numbers) == (cpus("1,3"), cpus("1-2"))
    assert not wish.about_emulator
    assert PinWish(emulator=cpus("1")).about_emulator
    assert PinWish(emulator_absent=True).about_emulator


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        (Placement(cpus("1-2"), memory=MemoryBinding("strict", cpus("1"))), "1-2"),
        (Placement(memory=MemoryBinding("strict", cpus("1"))), "4-6"),
        (Placement(memory=MemoryBinding("restrictive", cpus("0-1"))), "0-6"),
        (Placement(memory=MemoryBinding("preferred", cpus("1"))), None),  # binds nothing
        (Placement(memory=MemoryBinding("strict", cpus("2"))), None),  # there are no CPUs
        (Placement(memory=MemoryBinding("strict", EMPTY, automatic=True)), None),
        (Placement(), None),
    ],
)
def test_own_cpus(placement: Placement, expected: str | None) -> None:
    found = own_cpus(placement, HOST)
    assert (None if found is None else str(found)) == expected


@pytest.mark.parametrize(
    ("wish", "own"),
    [
        (PinWish(((0, cpus("4")), (3, cpus("4-6"))), ((2, cpus("0")),), cpus("0")), OWN),
        (PinWish(((0, cpus("0-6")),)), Placement()),
        (PinWish(vcpus_absent=cpus("0-3"), iothreads_absent=cpus("1-2"), emulator_absent=True), OWN),
    ],
)
def test_wishes_that_can_be_met(wish: PinWish, own: Placement) -> None:
    check_wish(wish, own, HOST, QEMU, SHAPE, allow_outside=False)


@pytest.mark.parametrize(
    ("wish", "own", "message"),
    [
        (
            PinWish(((0, cpus("3-4")),)),
            OWN,
            "pins[0]: '3-4': CPU 3 is outside the domain's CPU set 4-6; pin inside it, or widen it first",
        ),
        (
            PinWish(((0, cpus("0-1")),)),
            Placement(memory=MemoryBinding("strict", cpus("1"))),
            "pins[0]: '0-1': CPUs 0-1 are outside its memory's cells, CPUs 4-6; pin inside it, or widen it first",
        ),
        (
            PinWish(((4, cpus("4")),)),
            OWN,
            "pins[4]: '4': the domain has no vCPU 4; its vCPUs are 0-3",
        ),
        (PinWish(((0, cpus("99")),)), OWN, "pins[0]: '99': the host has no CPU 99; its CPUs are 0-6"),
        (PinWish(((0, cpus("7")),)), OWN, "pins[0]: '7': CPU 7 is offline; online are 0-6"),
        (
            PinWish(iothreads=((3, cpus("4")),)),
            OWN,
            "iothread_pins[3]: '4': the domain has no IO thread 3; its IO threads are 1-2",
        ),
        (PinWish(emulator=cpus("7-8")), OWN, "emulator_cpuset: '7-8': the host has no CPU 8; its CPUs are 0-6"),
        (PinWish(vcpus_absent=cpus("3-4")), OWN, "pins: '4': the domain has no vCPU 4; its vCPUs are 0-3"),
        (
            PinWish(iothreads_absent=cpus("7")),
            OWN,
            "iothread_pins: '7': the domain has no IO thread 7; its IO threads are 1-2",
        ),
    ],
)
def test_wishes_that_cannot_be_met(wish: PinWish, own: Placement, message: str) -> None:
    with pytest.raises(NumaVirtError) as caught:
        check_wish(wish, own, HOST, QEMU, SHAPE, allow_outside=False)
    assert caught.value.message == message


def test_outside_may_be_allowed_but_must_exist() -> None:
    check_wish(PinWish(((0, cpus("0")),)), OWN, HOST, QEMU, SHAPE, allow_outside=True)
    with pytest.raises(InputError, match="CPU 7 is offline"):
        check_wish(PinWish(((0, cpus("7")),)), OWN, HOST, QEMU, SHAPE, allow_outside=True)


def test_xen_has_neither_emulator_nor_io_threads() -> None:
    for wish in (PinWish(emulator=cpus("4")), PinWish(iothreads=((1, cpus("4")),))):
        with pytest.raises(UnsupportedError):
            check_wish(wish, OWN, HOST, XEN, SHAPE, allow_outside=False)


@given(PLACEMENTS, SETTING)
def test_pins_that_are_set_hold_and_others_stay(placement: Placement, wish: PinWish) -> None:
    result = overlay(placement, wish)
    assert dict(result.vcpu_pins) == {**dict(placement.vcpu_pins), **dict(wish.vcpus)}
    assert dict(result.iothread_pins) == {**dict(placement.iothread_pins), **dict(wish.iothreads)}
    assert result.emulator == (wish.emulator or placement.emulator)
    assert (result.cpuset, result.memory) == (placement.cpuset, placement.memory)


@given(PLACEMENTS, TAKING)
def test_pins_that_are_taken_away_give_the_domains_own_set_back(placement: Placement, wish: PinWish) -> None:
    result = overlay(placement, wish)
    for number in range(4):
        gone = number in wish.vcpus_absent
        assert result.of_vcpu(number) == (placement.cpuset if gone else placement.of_vcpu(number))
        gone = number in wish.iothreads_absent
        assert result.of_iothread(number) == (placement.cpuset if gone else placement.of_iothread(number))
    assert result.emulator == (None if wish.emulator_absent else placement.emulator)


@given(PLACEMENTS, st.one_of(SETTING, TAKING))
def test_again_changes_nothing(placement: Placement, wish: PinWish) -> None:
    once = overlay(placement, wish)
    assert overlay(once, wish) == once
    meant = overlay_intent(None, once, wish)
    assert overlay_intent(meant, once, wish) == meant


def test_the_intent_takes_over_what_the_wish_is_about() -> None:
    stored = Intent(cells=cpus("1"), vcpu_pins=((9, cpus("9")),), emulator=cpus("3"), iothread_pins=((1, cpus("1")),))
    after = Placement(cpus("4-6"), ((0, cpus("4")), (1, cpus("5"))), cpus("6"), ((2, cpus("4")),))
    assert overlay_intent(stored, after, PinWish(((1, cpus("5")),))) == Intent(
        cells=cpus("1"),
        vcpu_pins=((0, cpus("4")), (1, cpus("5"))),  # vCPU 0, once pinned by hand, is now meant too
        emulator=cpus("3"),
        iothread_pins=((1, cpus("1")),),
    )
    assert overlay_intent(stored, after, PinWish(emulator_absent=True)).emulator == cpus("6")
    assert overlay_intent(None, after, PinWish(iothreads_absent=cpus("1"))) == Intent(iothread_pins=((2, cpus("4")),))
