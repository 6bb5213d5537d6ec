# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of numa_fleet_plan as a fleet's planner takes them, and what is wrong with them in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import (
    FleetHost,
    FleetOptions,
    FleetRequest,
    Group,
)
from ansible_collections.numa.virt.plugins.module_utils._fleet.wishes import Wishes, fleet_options, labels_of
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestCell
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Shape
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import a_host, guest
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host

QEMU, XEN = (replace(host(), driver=name) for name in ("qemu", "xen"))
DOCUMENT = "<domain type='kvm'><graphics passwd='s3cret'/></domain>"


def read(*entries, hosts=None):
    return Wishes([a_host("h1", it=QEMU)] if hosts is None else hosts).requests(entries)


def usual_overhead(driver, memory):
    """Of a guest with four vCPUs and nothing else."""
    return driver_named(driver).overhead.of(Shape("a", None, "", 4, (), memory), memory)


def refusal(*entries, **more):
    with pytest.raises(InputError) as told:
        read(*entries, **more)
    assert "s3cret" not in str(told.value) and "\n" not in str(told.value)
    return str(told.value)


def test_a_new_guest():
    (one,) = read({"name": "a", "vcpus": 4, "memory": "2GiB"})
    usual = usual_overhead("qemu", 2 * GIB)
    assert one == FleetRequest(Request("a", 4, 2 * GIB, overhead=usual))


def test_all_that_may_be_said():
    (one,) = read(
        {
            "name": "a",
            "vcpus": "4",
            "memory": 4 * GIB,
            "page_size": "2MiB",
            "threads": 2,
            "policy": "dedicated",
            "cells": [0, 1],
            "smt": "require",
            "cache": "require",
            "emulator": "isolate",
            "iothreads": "1",
            "cpu_ratio": 2,
            "together": "t",
            "apart": "p",
            "priority": 3,
            "memory_overhead": 0,
            "hosts": ["h*"],
            "labels": {"rack": "r1", "row": 7},
            "at": "h1",
            "how": "restart",
            "groups": [{"name": "g", "kind": "apart"}, {"name": "r", "kind": "together", "within": "rack"}],
        }
    )
    asked = Request(
        *("a", 4, 4 * GIB, "dedicated"), cells=CpuSet([0, 1]), page_size=2048, together="t", apart="p", cpu_ratio=2.0,
        priority=3, smt="require", emulator="isolate", iothreads=CpuSet([1]), cache="require", threads=2,
    )  # fmt: skip
    assert one == FleetRequest(
        asked,
        hosts=("h*",),
        labels=(("rack", "r1"), ("row", "7")),
        groups=(Group("g", "apart"), Group("r", "together", "rack")),
        at="h1",
        how="restart",
    )
    assert read({"name": "a", "vcpus": 1, "memory": 5, "hosts": "h1"})[0].hosts == ("h1",)


def test_cells_of_its_own():
    cells = [{"vcpus": "0-1", "memory": "1GiB", "page_size": "2MiB"}, {"vcpus": [2, 3], "memory": "2GiB"}]
    (one,) = read({"name": "a", "vcpus": 4, "memory": "3GiB", "policy": "mirror", "guest_cells": cells})
    assert one.guest.guest_cells == (
        GuestCell(CpuSet([0, 1]), GIB, 2048),
        GuestCell(CpuSet([2, 3]), 2 * GIB),
    )
    assert (one.guest.memory, one.guest.page_size, one.guest.other_pages) == (2 * GIB, None, ((2048, GIB),))
    only_memory = [{"vcpus": "0", "memory": "1GiB"}, {"vcpus": "", "memory": "1GiB"}]
    (one,) = read({"name": "a", "vcpus": 1, "memory": "2GiB", "policy": "mirror", "guest_cells": only_memory})
    assert one.guest.guest_cells[1].vcpus == CpuSet()


def test_a_guest_fits_on_each_driver_of_the_fleet():
    hosts = [FleetHost("h0", None), a_host("h1", it=XEN), a_host("h2", it=QEMU), a_host("h3", it=QEMU)]
    (one,) = read({"name": "a", "vcpus": 4, "memory": "8GiB"}, hosts=hosts)
    usual = [usual_overhead(name, 8 * GIB) for name in ("qemu", "xen")]
    assert (one.guest.overhead, one.guest.binds_early) == (max(usual), True)


def test_xen_binds_no_cells_of_guests():
    with pytest.raises(UnsupportedError, match=r"domains\[a\].policy: the xen driver cannot do this"):
        read({"name": "a", "vcpus": 4, "memory": "8GiB", "policy": "mirror"}, hosts=[a_host("h1", it=XEN)])


# Guests that are there

THERE = guest("a", 4, 2, policy="dedicated", priority=2, overhead=5)
STRANGER = Existing("b", (CpuSet([0]),) * 3, 3 * GIB, page_size=2048, overhead=9)


def there():
    two = a_host("h2", guest("a", 1, 1), it=QEMU)
    one = a_host("h1", THERE, it=QEMU)
    return [replace(one, existing=(*one.existing, STRANGER)), two]


def test_a_guest_by_its_name_asks_for_what_it_was_placed_for():
    one, two = read("a", "b", hosts=there())
    assert one == FleetRequest(THERE.guest)
    assert two.guest == Request("b", 3, 3 * GIB, page_size=2048, overhead=9)
    (other,) = read({"name": "a", "at": "h2", "how": "never"}, hosts=there())
    assert (other.guest.vcpus, other.how) == (1, "never")


def test_a_guest_that_is_there_gets_another_policy():
    one, two = read({"name": "a", "policy": "spread", "cells": "0"}, {"name": "b", "emulator": "1"}, hosts=there())
    assert one.guest == Request("a", 4, 2 * GIB, "spread", cells=CpuSet([0]), overhead=5)
    assert (two.guest.emulator, two.guest.page_size) == (CpuSet([1]), 2048)
    (one,) = read({"name": "a", "iothreads": "3", "memory_overhead": "1MiB"}, hosts=there())
    assert (one.guest.iothreads, one.guest.overhead) == (CpuSet([3]), 1024)


def test_where_threads_cannot_be_pinned_they_are_not():
    placed = a_host("h1", guest("a", emulator=None), it=XEN)
    (one,) = read({"name": "a", "iothreads": "3", "emulator": "isolate"}, hosts=[placed])
    assert (one.guest.emulator, one.guest.iothreads) == (None, None)


def test_a_guest_that_is_there_may_be_asked_for_anew():
    (one,) = read({"name": "a", "vcpus": 2, "memory": "1GiB"}, hosts=there())
    assert (one.guest.vcpus, one.guest.policy) == (2, "pack")
    said = "domains[a].memory: is not said; give vcpus and memory of a guest that no host has told of"
    assert refusal({"name": "a", "vcpus": 2}, hosts=there()) == said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (5, "domains[0]: is no dictionary; write {name: web1, vcpus: 4, memory: 8GiB}"),
        ({}, "domains[0]: has no name; give one"),
        ("", "domains[0]: has no name; give one"),
        ({"name": 5}, "domains[0].name: is no text; put it in quotes"),
        (DOCUMENT, "domains[0].name: is no name; give the name of a guest, not its definition"),
        ({"name": "a", "xml": DOCUMENT}, "domains[0].xml: is no option; choose among name, vcpus, memory,"),
        ({"name": "a", DOCUMENT: 1}, "is no option"),
        ("ghost", "domains[ghost].vcpus: is not said; give vcpus and memory of a guest that no host has told of"),
        ({"vcpus": 0}, "domains[a].vcpus: 0: is no such number; give one from 1 to 16384"),
        ({"vcpus": "9" * 30}, "is no such number"),
        ({"vcpus": True}, "domains[a].vcpus: True: is no whole number; give a number of 1 or more"),
        ({"vcpus": "x"}, "domains[a].vcpus: 'x': is no whole number"),
        ({"vcpus": [1]}, "domains[a].vcpus: [1]: is no whole number"),
        ({"threads": 1.5}, "domains[a].threads: 1.5: is no whole number"),
        ({"memory": "much"}, "domains[a].memory: 'much': is no size"),
        ({"memory": 0}, "domains[a].memory: 0: is nothing"),
        ({"page_size": 0}, "domains[a].page_size: 0: is nothing"),
        ({"policy": "best"}, "domains[a].policy: 'best': is not known; choose among pack,"),
        ({"at": 5}, "domains[a].at: is no text"),
        ({"hosts": 5}, "domains[a].hosts: is no list; write [a, b]"),
        ({"hosts": [5]}, "domains[a].hosts: is no text"),
        ({"labels": "rack"}, "domains[a].labels: is no dictionary; write {rack: r1}"),
        ({"labels": {"rack": True}}, "domains[a].labels.rack: is no text; put it in quotes"),
        ({"groups": "g"}, "domains[a].groups: is no list"),
        ({"groups": ["g"]}, "domains[a].groups: is no dictionary; write {name: db, kind: apart, within: rack}"),
        ({"groups": [{"of": "g"}]}, "domains[a].groups.of: is no option; choose among name, kind, within"),
        ({"groups": [{"name": "g"}]}, "domains[a].groups.kind: is no text"),
        ({"guest_cells": [5]}, "domains[a].guest_cells[0]: is no dictionary; write {vcpus: 0-3, memory: 8GiB}"),
        ({"guest_cells": [{"cpus": 5}]}, "domains[a].guest_cells[0].cpus: is no option"),
        ({"guest_cells": [{"vcpus": "x"}]}, "domains[a].guest_cells[0].vcpus: 'x':"),
        ({"guest_cells": [{"vcpus": "0"}]}, "domains[a].guest_cells[0].memory: is no size"),
        ({"guest_cells": [{"vcpus": "0", "memory": 5}]}, "domains[a].guest_cells: do not have the memory of the guest"),
        (
            {"vcpus": 2, "guest_cells": [{"vcpus": "0-2", "memory": 5}]},
            "domains[a].guest_cells: do not have each vCPU once; share out vCPUs 0 to 1",
        ),
    ],
)
def test_what_is_wrong_is_one_line(entry, said):
    if isinstance(entry, dict) and entry and not entry.keys() & {"name"}:
        entry = {"name": "a", "vcpus": 1, "memory": "1GiB", **entry}
    assert said in refusal(entry)


def test_shapes_are_guests_without_a_name_anywhere():
    (one,) = Wishes(there()).shapes([{"name": "a", "vcpus": 2, "memory": 8}])
    assert (one.name, one.vcpus, one.memory) == ("a", 2, 8)
    for entry, said in (("a", r"capacity\[0\]: is no dictionary"), ({"name": "a"}, r"capacity\[a\].vcpus: is not said"),
                        ({"name": "a", "at": "h1"}, r"capacity\[0\].at: is no option")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            Wishes(there()).shapes([entry])


def test_limits():
    assert fleet_options({}, 5.0) == FleetOptions(at_once_host=None, now=5.0)
    said = {"max_moves": 3, "max_memory_moved": "2GiB", "at_once_host": 2, "at_once_fleet": 9, "max_age": 60.0}
    assert fleet_options({**said, "spare": {"hosts": 1}}, 5.0) == FleetOptions(3, 2 * GIB, 2, 9, 1, 5.0, 60.0)
    with pytest.raises(InputError, match="max_memory_moved: 'much': is no size"):
        fleet_options({"max_memory_moved": "much"}, 5.0)


def test_labels_are_text():
    assert labels_of({"rack": 5}, "labels[h1]") == [("rack", "5")]
