# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What QEMU and Xen take beside a guest's memory, from a task to the plan's account, and as large a guest as a cell."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import DoesNotFitError, InputError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.test_placement import quartet, refused
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.test_placement_plans import entry

MIB = 1024
CELL = 524288
VALUES = "ansible_collections.numa.virt.plugins.module_utils._values"


def used(result):
    """KiB of ordinary memory of each cell after the plan."""
    return {cell["cell"]: cell["memory"]["used"] for cell in result["plan"]["after"]}


def test_a_plan_counts_it_and_the_next_one_too(qemu):
    done = quartet(qemu, lambda **mode: qemu.place_all(entry("web", memory=65536), policy="pack", **mode))
    assert used(done) == {0: 65536 + (64 + 16) * MIB + 256, 1: 0, 2: 0, 3: 0}
    assert done["domains"][0]["placement"]["memory"]["cells"] == [0]
    assert used(qemu.place_all(select="nobody", check=True)) == used(done)


def test_what_is_said_of_a_guest_stays_with_it(qemu):
    asked = entry("web", memory=65536, memory_overhead="1MiB")
    done = quartet(qemu, lambda **mode: qemu.place_all(asked, policy="pack", **mode))
    assert used(done)[0] == 65536 + MIB
    assert used(qemu.place_all("web", check=True)) == used(qemu.place_all(select="nobody", check=True)) == used(done)
    assert "&quot;memory_overhead&quot;: 1024" in qemu.definition("web")


def test_a_guest_as_large_as_its_cell_takes_two_words(qemu):
    whole = entry("db", memory=CELL, cells=[0])
    line = refused(qemu, InputError, whole, policy="pack")
    assert "for its hypervisor (memory_overhead may say less)" in line
    line = refused(qemu, InputError, {**whole, "memory_overhead": 0}, policy="pack", reserved_memory=None)
    assert "that the host keeps (reserved_memory may say less)" in line
    rules = {"policy": "pack", "reserved_memory": {"0-3": 0}}
    done = quartet(qemu, lambda **mode: qemu.place_all({**whole, "memory_overhead": 0}, **rules, **mode))
    assert done["domains"][0]["cells"] == [0] and used(done)[0] == CELL


def test_who_is_there_already_stays_on_a_cell_that_is_too_full(qemu, monkeypatch):
    full = [entry(name, memory=CELL // 2, cells=[0], vcpus=1) for name in ("a", "b")]
    with monkeypatch.context() as before:  # a release that counted neither
        before.setattr(f"{VALUES}.drivers.Overhead.of", lambda *_: 0)
        qemu.place_all(*full, policy="pack", reserved_memory={"0-3": 0})
    names = [{"name": name, "cells": [0]} for name in ("a", "b")]
    again = qemu.place_all(*names, policy="pack")
    assert not again["changed"] and used(again)[0] > CELL
    assert [each["cells"] for each in again["domains"]] == [[0], [0]]
    new = [entry(name, memory=250000, cells=[1], vcpus=1) for name in "cd"]
    assert "for its hypervisor" in refused(qemu, DoesNotFitError, *new, policy="pack")


@pytest.mark.parametrize("said", ["much", "-1", "1.5"])
def test_what_is_no_size(qemu, said):
    before = qemu.everything()
    with pytest.raises(InputError, match=r"memory_overhead: '.*': is no size; write 4GiB, 512MiB, or a number of KiB"):
        qemu.place_all(entry("web", memory_overhead=said), policy="pack")
    assert qemu.everything() == before
