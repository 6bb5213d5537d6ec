# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of each element can be changed while a guest runs, and what waits for a restart: data, and no call."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements.element import Running, Scope
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import live_changes
from ansible_collections.numa.virt.plugins.module_utils._elements.scheduler import Schedulers
from ansible_collections.numa.virt.plugins.module_utils._values.changes import LIVE, Change, Restart, Step
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.observation import PROC, Observation, Scheduler
from ansible_collections.numa.virt.plugins.module_utils._values.placement import MemoryBinding, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host

ALL = CpuSet(range(4))
HOST = Host("qemu", (Cell(0, CpuSet([0, 1]), 1 << 20), Cell(1, CpuSet([2, 3]), 1 << 20)), ALL, ALL)
SHAPE = Shape("web1", None, "kvm", 1, (1,), 1024)


def on(mode, *cells):
    return MemoryBinding(mode, CpuSet(cells))


def _changes(now, wanted, driver="qemu", scope=None, seen=ALL):
    return list(
        live_changes(
            Running(
                now=now,
                wanted=wanted,
                shape=SHAPE,
                observation=Observation(PROC, ((0, seen),)),
                host=HOST,
                everything=ALL,
                driver=driver_named(driver),
                cuts=lambda cpus: False,
                scope=scope,
            )
        )
    )


def test_pins_are_steps():
    wanted = Placement(CpuSet([0, 1]), ((0, CpuSet([1])),))
    assert _changes(Placement(), wanted) == [
        Step(Change("cputune/vcpupin[@vcpu='0']", "all CPUs", "1", LIVE), "pin_vcpu", (0, CpuSet([1]), True)),
        Step(Change("cputune/emulatorpin", "all CPUs", "0-1", LIVE), "pin_emulator", (CpuSet([0, 1]),)),
        Step(
            Change("cputune/iothreadpin[@iothread='1']", "all CPUs", "0-1", LIVE), "pin_iothread", (1, CpuSet([0, 1]))
        ),
    ]
    alone = Scope(frozenset(), True, frozenset())
    assert [each.method for each in _changes(Placement(), wanted, scope=alone)] == ["pin_emulator"]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (None, on("strict", 0), "is not bound"),
        (on("strict", 0), None, "stays bound"),
        (on("strict", 0), on("restrictive", 0), "cannot change (restrictive and strict)"),
        (on("strict", 0), on("strict", 1), "only restrictive memory can move"),
        (MemoryBinding("restrictive", CpuSet(), True), on("restrictive", 1), "only restrictive memory can move"),
    ],
)
def test_memory_that_cannot_move(before, after, reason):
    (restart,) = _changes(Placement(memory=before), Placement(memory=after))
    assert restart.element == "numatune/memory" and reason in restart.reason
    assert (
        _changes(Placement(memory=before), Placement(memory=after), scope=Scope(frozenset(), False, frozenset())) == []
    )


def test_memory_that_can_move():
    now, wanted = Placement(memory=on("restrictive", 0)), Placement(memory=on("restrictive", 1))
    (step,) = _changes(now, wanted)
    assert (step.method, step.arguments) == ("bind_memory", (CpuSet([1]),))
    cells = ((0, on("restrictive", 0)),)
    restarts = _changes(Placement(memory=now.memory, memnodes=cells), wanted)
    assert [each.element for each in restarts] == ["numatune/memory", "numatune/memnode"]


def test_schedulers_and_nodemasks_wait_for_a_restart():
    said = Schedulers(vcpus=((0, Scheduler("fifo", 1)),))
    wanted = Placement().with_knob("scheduler", said).with_knob("nodemask", ((0, CpuSet([1])),))
    assert _changes(Placement(), wanted) == [
        Restart("cputune/vcpusched[@vcpus='0']", "libvirt cannot change the scheduler of a running guest's threads"),
        Restart("devices/memory/source/nodemask[0]", "the memory of a device is bound when it is plugged in"),
    ]
    assert _changes(wanted, wanted) == []
    assert _changes(Placement(), wanted, scope=Scope(frozenset(), False, frozenset())) == []
