# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written into tests/unit/fixtures/domains/<case>-in.xml, for <case>-out.xml to come out.

``NUMA_VIRT_REGENERATE=1`` makes _elements/test_documents.py write the -out files anew; read the difference
before you commit it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.numa.virt.plugins.module_utils._elements.scheduler import Schedulers
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Record
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Scheduler
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    MemoryIntent,
    Pins,
    Placement,
)

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "domains"
REGENERATE = os.environ.get("NUMA_VIRT_REGENERATE") == "1"

#: Every text in the fixtures that nobody may see begins like this.
SECRET = "s3cret-"


@dataclass(frozen=True)
class Golden:
    """``record`` None removes what is there; ``same`` says that nothing may change."""

    placement: Placement
    record: Record | None = None
    same: bool = False


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def pins(**each: str) -> Pins:
    """pins(_0="1-2") is vCPU 0 on CPUs 1-2."""
    return tuple(sorted((int(number[1:]), cpus(text)) for number, text in each.items()))


def on(mode: str, nodeset: str) -> MemoryBinding:
    return MemoryBinding(mode, cpus(nodeset))


NUMAD = MemoryBinding("strict", CpuSet(), automatic=True)
FULL_INTENT = Intent(
    cells=cpus("0-1"),
    cpuset=cpus("0-3,8"),
    memory=MemoryIntent("restrictive", cpus("1")),
    vcpu_pins=pins(_0="0", _1="1-2"),
    emulator=cpus("3"),
    iothread_pins=(),
)

# What a document says that nobody asked to change.
SCHEDULERS = Schedulers(
    vcpus=tuple((vcpu, Scheduler("fifo", 1)) for vcpu in range(4)), iothreads=((2, Scheduler("batch")),)
)

CASES = {
    "minimal": Golden(Placement(cpus("0-3"), memory=on("strict", "0")), Record(Intent(cells=cpus("0")))),
    "no-vcpu": Golden(Placement(cpus("2,4"))),
    "no-vcpu-pins-only": Golden(Placement(vcpu_pins=pins(_0="1"), emulator=cpus("0"))),
    "one-line": Golden(
        Placement(cpus("8-15"), pins(_0="8", _3="9"), cpus("10-11"), pins(_1="12", _2="13"), on("preferred", "1")),
        Record(FULL_INTENT),
    ),
    "tabs": Golden(Placement(cpus("0-7"), pins(_0="0"), memory=on("interleave", "0-1")), Record(Intent())),
    "automatic-becomes-static": Golden(Placement(cpus("8-15"), memory=on("strict", "1"))),
    "static-becomes-automatic": Golden(Placement(automatic=True, memory=NUMAD)),
    "pins-removed": Golden(Placement(cpus("0-7"))),
    "pins-removed-rest-stays": Golden(Placement(cpus("0-3"))),
    "numatune-removed": Golden(Placement(cpus("8-15"))),
    "memory-moved": Golden(Placement(cpus("8-15"), memory=on("restrictive", "1"))),
    "guest-cells": Golden(
        Placement(
            cpus("0-1,8-9"),
            pins(_0="0", _1="1", _2="8", _3="9"),
            memory=on("strict", "0-1"),
            memnodes=((0, on("strict", "0")), (1, on("preferred", "1"))),
        ),
        Record(Intent(cells=cpus("0-1"))),
    ),
    "said-already": Golden(
        Placement(cpus("0-3"), pins(_1="2", _3="1-3"), cpus("0-1"), pins(_2="1"), on("strict", "0-1")),
        same=True,
    ),
    "metadata-foreign": Golden(Placement(cpus("0-7")), Record(Intent(cells=cpus("0")), "d" * 64, "e" * 64)),
    "metadata-replaced": Golden(Placement(cpus("0-7")), Record(FULL_INTENT)),
    "metadata-removed": Golden(Placement(cpus("0-7"))),
    "metadata-empty": Golden(Placement(cpus("0-7")), Record(Intent(cpuset=cpus("0-7")))),
    "iothreads": Golden(Placement(iothread_pins=pins(_1="1", _2="2", _7="7"))),
    "cdata-and-entities": Golden(Placement(cpus("0"), memory=on("strict", "0")), Record(Intent(cells=cpus("0")))),
    # The encoding of the xen driver: a pin for every vCPU, and no <numatune> that would be a lie.
    "xen-pv": Golden(Placement(cpus("6-7"), pins(_0="6-7", _1="6-7", _2="6-7")), Record(Intent(cells=cpus("3")))),
    "everything": Golden(
        Placement(
            cpus("0-7"),
            pins(_0="0", _1="1", _2="2", _3="3", _7="7"),
            cpus("4-5"),
            pins(_2="6", _5="6-7"),
            on("strict", "0"),
            ((0, on("strict", "0")), (1, on("strict", "0"))),
            knobs=(("scheduler", SCHEDULERS),),
        ),
        Record(replace(FULL_INTENT, memory=MemoryIntent()), "0" * 64, "1" * 64),
    ),
}


def read(case: str, which: str) -> str:
    return (FOLDER / f"{case}-{which}.xml").read_bytes().decode("utf-8")
