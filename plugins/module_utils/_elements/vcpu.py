# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""<vcpu cpuset='2,3' placement='static'>: the CPUs of all threads that have no pin of their own.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._elements import tree, xml
from ansible_collections.numa.virt.plugins.module_utils._elements.element import (
    Consequence,
    Element,
    HostParts,
    Running,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.words import set_in, some_set
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._values.changes import Change, Restart
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Misplaced, Observation
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape, as_text


class Region(NamedTuple):
    """``cpus`` None is every CPU; ``automatic``: numad chooses at each start."""

    cpus: CpuSet | None = None
    automatic: bool = False


class Vcpu(Element):
    """The CPU set of the domain, and the cells and CPUs that a user asked for."""

    name = "cpuset"
    paths = ("vcpu/@placement", "vcpu/@cpuset")
    said = 1

    def of(self, placement: Placement) -> Region:
        return Region(placement.cpuset, placement.automatic)

    def put(self, placement: Placement, value: Region | None) -> Placement:
        cpus, automatic = value or Region()
        return replace(placement, cpuset=cpus, automatic=automatic)

    def read(self, root: etree._Element) -> Region:
        vcpu = xml.child(root, "vcpu")
        if vcpu is None:
            return Region()
        if vcpu.get("placement") == "auto":
            return Region(None, True)  # libvirt drops the CPU set
        return Region(set_in(vcpu.get("cpuset"), "vcpu/@cpuset"))

    def write(self, root: etree._Element, value: Region | None) -> None:
        cpus, automatic = value or Region()
        vcpu = xml.child(root, "vcpu")
        if vcpu is None:
            vcpu = tree.child_or_new(root, "vcpu")
            vcpu.text = "1"  # libvirt's default
        if automatic:
            vcpu.set("placement", "auto")
        elif vcpu.get("placement") == "auto":
            tree.drop_attribute(vcpu, "placement")  # libvirt adds "static" itself
        if cpus is None or automatic:
            tree.drop_attribute(vcpu, "cpuset")
        else:
            vcpu.set("cpuset", str(cpus))

    def strip(self, root: etree._Element) -> None:
        for vcpu in list(root.iterchildren("vcpu")):
            tree.drop_attribute(vcpu, "cpuset")
            tree.drop_attribute(vcpu, "placement")
            # One vCPU is what libvirt writes where no <vcpu> says how many.
            tree.remove_if_empty(vcpu, "1")

    def fragment(self, root: etree._Element) -> Iterable[etree._Element]:
        vcpu = xml.child(root, "vcpu")
        if vcpu is None:
            return ()
        part = tree.shown(vcpu, ("placement", "cpuset", "current"))
        part.text = xml.text_of(vcpu).strip()
        return (part,)

    def changes(self, before: Region, after: Region) -> list[Change]:
        return [
            Change("vcpu/@placement", _mode(before), _mode(after)),
            Change("vcpu/@cpuset", as_text(before.cpus), as_text(after.cpus)),
        ]

    def as_result(self, value: Region) -> Mapping[str, Any]:
        return {"cpuset": as_text(value.cpus), "automatic": value.automatic}

    def host_parts(self, value: Region) -> HostParts:
        return HostParts((value.cpus,) if value.cpus is not None else ())

    def wish(self, options: Mapping[str, Any], called: Mapping[str, str]) -> Mapping[str, Any]:
        return {
            "cells": some_set(options.get("cells"), "cells", "cell"),
            "cpuset": some_set(options.get("cpuset"), "cpuset", "CPU"),
        }

    def asked_as_result(self, intent: Intent) -> Mapping[str, Any]:
        return {
            "cells": None if intent.cells is None else list(intent.cells),
            "cpuset": as_text(intent.cpuset),
        }

    def asked_in_words(self, intent: Intent) -> Iterable[str]:
        if intent.cells is not None:
            yield f"cells {intent.cells}"
        if intent.cpuset is not None:
            yield f"cpuset {intent.cpuset}"

    def keep(self, intent: Intent, record: etree._Element, space: str) -> None:
        for name, cpus in (("cells", intent.cells), ("cpuset", intent.cpuset)):
            if cpus is not None:
                record.set(name, str(cpus))

    def kept(self, record: etree._Element, space: str) -> Mapping[str, Any]:
        return {
            "cells": set_in(record.get("cells"), "intent cells"),
            "cpuset": set_in(record.get("cpuset"), "intent cpuset"),
        }

    def asked_parts(self, intent: Intent) -> HostParts:
        return HostParts((intent.cpuset,) if intent.cpuset is not None else (), intent.cells or EMPTY)

    def live(self, guest: Running) -> Iterator[Consequence]:
        """Only numad's choice: libvirt has no call for a CPU set, and the elements that pin threads see to it."""
        if guest.scope is not None or not guest.driver.numatune or guest.wanted.cpuset is not None:
            return
        now, wanted = (_chosen(each, guest.shape) for each in (guest.now, guest.wanted))
        if any(guest.wanted.pin_of(vcpu) is None for vcpu in now ^ wanted):
            yield Restart(self.paths[0], "numad chooses when the guest starts, and what it has chosen stays until then")

    def misplaced(self, placement: Placement, observation: Observation, bound: CpuSet) -> Iterator[Misplaced]:
        """Its threads are told of by the elements that pin them."""
        return iter(())


def _chosen(placement: Placement, shape: Shape) -> frozenset[int]:
    """The vCPUs that numad chooses CPUs for."""
    every = range(shape.vcpus) if placement.automatic else ()
    return frozenset(vcpu for vcpu in every if placement.pin_of(vcpu) is None)


def _mode(region: Region) -> str:
    return "auto" if region.automatic else "static"
