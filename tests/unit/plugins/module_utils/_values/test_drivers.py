# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver, check_modes, driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    MemoryIntent,
    Placement,
    pins_of,
)

DRIVERS = [driver_named(name) for name in ("qemu", "xen", "test")]
QEMU, XEN, TEST = DRIVERS
VCPUS = 3

SETS = st.sets(st.integers(0, 7), min_size=1).map(CpuSet)
BINDINGS = st.builds(MemoryBinding, st.sampled_from(["strict", "preferred"]), SETS)
PLACEMENTS = st.builds(
    Placement,
    cpuset=st.none() | SETS,
    vcpu_pins=st.dictionaries(st.integers(0, VCPUS - 1), SETS).map(pins_of),
    emulator=st.none() | SETS,
    memory=st.none() | BINDINGS,
)


NO_NUMATUNE = (
    "memory: the xen driver cannot do this: "
    "a guest's memory comes from the cells of its CPUs and from nowhere else: leave memory out"
)


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


@given(st.sampled_from(DRIVERS), PLACEMENTS)
def test_encoding_again_changes_nothing(driver: Driver, placement: Placement) -> None:
    once = driver.encode(placement, VCPUS)
    assert driver.encode(once, VCPUS) == once


@given(st.sampled_from(DRIVERS), PLACEMENTS)
def test_encoding_moves_no_vcpu(driver: Driver, placement: Placement) -> None:
    encoded = driver.encode(placement, VCPUS)
    assert [encoded.of_vcpu(vcpu) for vcpu in range(VCPUS)] == [placement.of_vcpu(vcpu) for vcpu in range(VCPUS)]
    assert (encoded.cpuset, encoded.emulator) == (placement.cpuset, placement.emulator)


@given(st.sampled_from(DRIVERS), PLACEMENTS)
def test_decoding_is_the_way_back(driver: Driver, placement: Placement) -> None:
    decoded = driver.decode(driver.encode(placement, VCPUS))
    assert driver.encode(decoded, VCPUS) == driver.encode(placement, VCPUS)
    assert driver.decode(decoded) == decoded


@given(PLACEMENTS)
def test_qemu_and_test_write_what_is_meant(placement: Placement) -> None:
    for driver in (QEMU, TEST):
        assert driver.encode(placement, VCPUS) == driver.decode(placement) == placement


def test_xen_pins_every_vcpu_and_binds_no_memory() -> None:
    strict = MemoryBinding("strict", cpus("1"))
    meant = Placement(cpus("4-7"), ((1, cpus("5")),), memory=strict, memnodes=((0, strict),))
    encoded = XEN.encode(meant, VCPUS)
    assert encoded == Placement(cpus("4-7"), ((0, cpus("4-7")), (1, cpus("5")), (2, cpus("4-7"))))
    # Pins that only repeat the CPU set come from the encoding; so they follow when it grows.
    assert XEN.decode(encoded) == Placement(cpus("4-7"), ((1, cpus("5")),))


def test_xen_leaves_a_vcpu_unpinned_where_nothing_restricts_it() -> None:
    meant = Placement(None, ((1, cpus("5")), (9, cpus("6"))))
    assert XEN.encode(meant, VCPUS) == Placement(None, ((1, cpus("5")),))
    assert XEN.decode(meant) == meant


@pytest.mark.parametrize(
    ("intent", "message"),
    [
        (
            Intent(emulator=cpus("1")),
            "emulator_cpuset: the xen driver cannot do this: it has no emulator threads to pin",
        ),
        (
            Intent(iothread_pins=((1, cpus("1")),)),
            "iothread_pins: the xen driver cannot do this: it has no IO threads to pin",
        ),
        *(
            (
                intent,
                NO_NUMATUNE,
            )
            for intent in (
                Intent(cells=cpus("1"), memory=MemoryIntent("preferred")),
                Intent(cells=cpus("1"), memory=MemoryIntent("strict", cpus("0"))),
                Intent(memory=MemoryIntent("strict", cpus("0"))),
            )
        ),
    ],
)
def test_xen_says_what_it_lacks(intent: Intent, message: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        XEN.check(intent)
    assert caught.value.message == message
    assert caught.value.fields["driver"] == "xen"
    QEMU.check(intent)
    TEST.check(intent)


@pytest.mark.parametrize(
    "intent",
    [
        Intent(),
        Intent(cells=cpus("1"), vcpu_pins=((0, cpus("1")),), iothread_pins=()),
        Intent(cells=cpus("1"), memory=MemoryIntent("strict")),
        Intent(cells=cpus("1"), memory=MemoryIntent("strict", cpus("1"))),
        Intent(cells=cpus("1"), memory=MemoryIntent("none")),
    ],
)
def test_xen_takes_what_it_does_anyway(intent: Intent) -> None:
    XEN.check(intent)


def test_a_driver_nobody_knows() -> None:
    with pytest.raises(UnsupportedError) as caught:
        driver_named("lxc")
    assert caught.value.message == "uri: the lxc driver cannot do this: numa.virt knows qemu, xen, xl, test"


def test_features() -> None:
    assert QEMU.live_nodeset == {"restrictive"}
    assert (QEMU.early_binding, XEN.early_binding, TEST.early_binding) == (True, False, False)
    assert (QEMU.start_paused, XEN.start_paused, TEST.start_paused) == (True, True, False)
    # The test driver's word on CPUs is invented, and its pin calls take no flags.
    assert not (TEST.cpu_map or TEST.full_maps or TEST.pin_flags or TEST.free_memory)


def memory(mode: str) -> MemoryBinding:
    return MemoryBinding(mode, cpus("0"))


def halves(whole: str | None, *cells: str) -> Placement:
    """Memory in these modes: all of it, and each cell of the guest."""
    memnodes = tuple((number, memory(mode)) for number, mode in enumerate(cells))
    return Placement(memory=memory(whole) if whole is not None else None, memnodes=memnodes)


MIXED = [
    (halves("strict", "strict", "restrictive"), "memory strict, memnode 0 strict, memnode 1 restrictive"),
    (halves("restrictive", "strict"), "memory restrictive, memnode 0 strict"),
    (halves(None, "restrictive"), "no memory, memnode 0 restrictive"),
]


@pytest.mark.parametrize("libvirt", ["9.4.0", "9.10.0", "11.3.0"])
@pytest.mark.parametrize(("placement", "value"), MIXED)
def test_restrictive_memory_beside_another_mode_is_refused_where_libvirt_does(
    placement: Placement, value: str, libvirt: str
) -> None:
    with pytest.raises(InputError) as error:
        check_modes(placement, libvirt)
    assert str(error.value) == (
        f"numatune of the definition: {value!r}: libvirt {libvirt} takes restrictive memory in all of these or in "
        "none; give memory.mode with cells or cpuset, or change the definition"
    )


@pytest.mark.parametrize("libvirt", ["9.0.0", "9.3.0", None])
@pytest.mark.parametrize("placement", [placement for placement, _value in MIXED])
def test_an_older_libvirt_says_itself_what_it_refuses(placement: Placement, libvirt: str | None) -> None:
    check_modes(placement, libvirt)


@pytest.mark.parametrize(
    "placement",
    [
        halves(None),
        halves("restrictive"),
        halves("restrictive", "restrictive", "restrictive"),
        halves("preferred", "strict", "interleave"),
        halves(None, "strict"),
    ],
)
def test_restrictive_memory_everywhere_or_nowhere_is_taken(placement: Placement) -> None:
    assert not placement.mixes_restrictive
    check_modes(placement, "11.3.0")
