# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests whose cells, and memory devices, have pages of different sizes, from their documents to the plan's account."""

from __future__ import annotations

import os
import re

import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._errors import DoesNotFitError, InputError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import capabilities, document
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.test_placement import quartet, refused

MIB = 1024


@pytest.fixture(autouse=True)
def _guests_alone(monkeypatch):
    """What QEMU takes beside its guests is told of in test_overhead.py."""
    monkeypatch.setattr("ansible_collections.numa.virt.plugins.module_utils._values.drivers.Overhead.of", lambda *_: 0)


TWO, GIANT = 2048, 1048576
#: As the format's own example has it: pages of 2 MiB for cell 0, of 1 GiB for cell 1
TWO_SIZES = (
    "<memoryBacking><hugepages><page size='2' unit='M' nodeset='0'/><page size='1' unit='G' nodeset='1'/></hugepages>"
    "</memoryBacking>"
)
ONE_CELL = "<memoryBacking><hugepages><page size='1' unit='G' nodeset='1'/></hugepages></memoryBacking>"
CELLS = "<cpu><numa><cell id='0' cpus='0' memory='65536'/><cell id='1' cpus='1' memory='1048576'/></numa></cpu>"


def pools(qemu, by_cell):
    """Let each cell have 4 GiB, and these numbers of pages by their size."""

    def with_pages(match):
        more = "".join(f"<pages unit='KiB' size='{n}'>{pages}</pages>" for n, pages in by_cell[int(match[1])].items())
        return f"<cell id='{match[1]}'><memory unit='KiB'>4194304</memory><pages unit='KiB' size='4'>9</pages>{more}"

    cell = r"<cell id='(\d)'><memory unit='KiB'>\d+</memory><pages unit='KiB' size='4'>\d+</pages>"
    qemu.capabilities, count = re.subn(cell, with_pages, capabilities("kvm"))
    assert count == 4


def used(result):
    """KiB of each cell by the size of pages, after the plan; without cells that nobody uses."""
    found = {}
    for cell in result["plan"]["after"]:
        sizes = {pool["size"]: pool["used"] * pool["size"] for pool in cell["huge_pages"]}
        found[cell["cell"]] = {size: kib for size, kib in {None: cell["memory"]["used"], **sizes}.items() if kib}
    return {cell: sizes for cell, sizes in found.items() if sizes}


def unasked(qemu):
    """The plan where nobody asks for anything."""
    return qemu.place_all(select="nobody", check=True)


EACH = {TWO: 64, GIANT: 1}


def test_each_cell_of_a_mirrored_guest_gets_its_pages(qemu):
    pools(qemu, [{TWO: 64}, {TWO: 8, GIANT: 1}, {TWO: 8}, {GIANT: 2}])
    guest = {"xml": document("nfv", "kvm", tune=TWO_SIZES + CELLS), "cells": [0, 1]}
    done = quartet(qemu, lambda **mode: qemu.place_all(guest, policy="mirror", state="defined", **mode))
    root = etree.fromstring(qemu.definition("nfv"))
    assert {each.get("cellid"): each.get("nodeset") for each in root.iterfind("numatune/memnode")} == {
        "0": "0",
        "1": "1",
    }
    assert used(done) == {0: {TWO: 65536}, 1: {GIANT: GIANT}}
    assert done["warnings"] == []
    # Whoever comes later finds these taken.
    other = {"xml": document("late", "kvm", tune=TWO_SIZES + CELLS), "cells": [0, 1]}
    line = refused(qemu, DoesNotFitError, other, policy="mirror", state="defined", cpu_ratio=2)
    assert "needs 1 pages of 1048576 KiB, and cells 0-1 have 0" in line


def test_a_guest_on_one_cell_takes_of_its_pools(qemu):
    pools(qemu, [{}, {}, EACH, {}])
    guest = {"xml": document("nfv", "kvm", tune=TWO_SIZES + CELLS)}
    done = quartet(qemu, lambda **mode: qemu.place_all(guest, policy="pack", state="defined", **mode))
    assert used(done) == {2: {TWO: 65536, GIANT: GIANT}}
    plain = {"xml": document("one", "kvm", tune=ONE_CELL + CELLS)}
    line = refused(qemu, DoesNotFitError, plain, policy="pack", state="defined", cpu_ratio=2)
    assert "pages of 1048576 KiB" in line


def test_cells_without_pages_of_their_own_have_ordinary_memory(qemu):
    pools(qemu, [{}, EACH, {}, {}])
    guest = {"xml": document("one", "kvm", tune=ONE_CELL + CELLS)}
    done = quartet(qemu, lambda **mode: qemu.place_all(guest, policy="pack", state="defined", **mode))
    assert used(done) == {1: {None: 65536, GIANT: GIANT}}


def test_a_memory_device_has_pages_of_its_own(qemu):
    pools(qemu, [{}, {}, {}, EACH])
    dimm = (
        "<memory model='dimm'><source><pagesize unit='KiB'>2048</pagesize></source>"
        "<target><size unit='KiB'>65536</size><node>1</node></target></memory>"
    )
    slots = "<maxMemory slots='2' unit='GiB'>8</maxMemory>"
    guest = {"xml": document("nfv", "kvm", tune=slots + ONE_CELL + CELLS, more=dimm), "cells": [2, 3]}
    done = quartet(qemu, lambda **mode: qemu.place_all(guest, policy="mirror", state="defined", **mode))
    assert used(done) == {2: {None: 65536}, 3: {TWO: 65536, GIANT: GIANT}}


def test_a_size_that_the_host_has_not_is_named(qemu):
    pools(qemu, [{TWO: 64}] * 4)
    line = refused(qemu, InputError, {"xml": document("nfv", "kvm", tune=TWO_SIZES + CELLS)}, policy="pack")
    assert line == "domains[nfv]: its huge pages of 1048576 KiB are not there; sizes with pages are 2048"


BOUND = (
    "<numatune><memory mode='strict' nodeset='2-3'/><memnode cellid='0' mode='strict' nodeset='2'/>"
    "<memnode cellid='1' mode='strict' nodeset='3'/></numatune>"
)


@pytest.mark.parametrize("running", [False, True])
def test_guests_of_others_count_in_every_pool(qemu, running):
    """Bound by their cells they take the pages of each where it is bound."""
    pools(qemu, [{}, {}, EACH, {TWO: 64, GIANT: 2}])
    qemu.add(document("nova", "kvm", vcpu=" cpuset='4-7'", tune=BOUND + TWO_SIZES + CELLS), running=running)
    assert used(unasked(qemu)) == {2: {TWO: 65536}, 3: {GIANT: GIANT}}
    # Bound as a whole they lie anywhere there.
    whole = re.sub("<memnode[^>]*/>", "", BOUND)
    qemu.add(document("whole", "kvm", vcpu=" cpuset='4-7'", tune=whole + TWO_SIZES + CELLS))
    cells = used(unasked(qemu)).values()
    assert [sum(sizes.get(size, 0) for sizes in cells) for size in (TWO, GIANT)] == [2 * 65536, 2 * GIANT]


def test_what_a_running_guest_was_seen_to_have_counts_in_its_pages(qemu):
    pools(qemu, [EACH] * 4)
    free = document("free", "kvm", vcpu=" cpuset='0-3'", tune=TWO_SIZES + CELLS)
    qemu.add(free, running=True)
    path = os.path.join(qemu.proc, str(qemu.guests["free"].pid), "numa_maps")
    with open(path, "w", encoding="utf-8") as file:
        file.write("7f00 default anon=9 N0=256 kernelpagesize_kB=4\n7f01 default anon=9 N0=32 kernelpagesize_kB=2048\n")
        file.write("7f02 default anon=9 N1=1 kernelpagesize_kB=1048576\n")
    assert used(unasked(qemu)) == {0: {None: 1024, TWO: 65536}, 1: {GIANT: GIANT}}


def test_what_is_held_by_cells_is_held_where_each_is_bound(qemu):
    pools(qemu, [EACH, EACH, EACH, EACH])
    guest = {"xml": document("nfv", "kvm", tune=TWO_SIZES + CELLS), "cells": [0, 1]}
    qemu.place_all(guest, policy="mirror")
    moved = qemu.place_all({"name": "nfv", "cells": [2, 3]}, policy="mirror")
    old, new = {0: {TWO: 65536}, 1: {GIANT: GIANT}}, {2: {TWO: 65536}, 3: {GIANT: GIANT}}
    assert moved["restart_required"] and used(moved) == {**old, **new}
    assert used(qemu.place_all({"name": "nfv", "cells": [2, 3]}, policy="mirror", restart=True)) == new
