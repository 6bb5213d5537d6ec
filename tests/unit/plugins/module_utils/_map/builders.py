# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts and guests as the two info modules return them, for tests of the map and for its pages in a browser."""

from __future__ import annotations

import random

GIB = 1 << 20
MIB = 1 << 10
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def cell(
    number, cpus, cores=None, sockets=(0,), total=64 * GIB, free=None, distances=None, pools=(), devices=0, caches=()
):
    cpus = list(cpus)
    return {
        "id": number,
        "cpus": cpus,
        "cores": [[cpu] for cpu in cpus] if cores is None else cores,
        "sockets": list(sockets),
        "memory": {"total": total, "free": free},
        "huge_pages": [{"size": size, "total": whole, "free": left} for size, whole, left in pools],
        "distances": {str(to): distance for to, distance in enumerate(distances or [])},
        "devices": [{"name": f"pci_{at}"} for at in range(devices)],
        "caches": [
            {"id": at, "level": level, "size": size, "cpuset": cpuset}
            for at, (level, size, cpuset) in enumerate(caches)
        ],
    }


def said(cpuset=None, pins=None, cells=None, mode="strict", automatic=False, memnodes=None):
    memory = None if cells is None and not automatic else {"mode": mode, "cells": cells or [], "automatic": automatic}
    return {
        "cpuset": cpuset,
        "automatic": automatic,
        "vcpu_pins": pins or {},
        "memory": memory,
        "memnodes": memnodes or {},
    }


def guest(
    name, cpuset=None, vcpus=2, kib=8 * GIB, state="running", lies=None, pins=None, cells=None, policy=None, **more
):
    """A guest; with ``lies`` its memory has been seen, in KiB by cell, and its vCPUs where they are pinned."""
    definition = said(cpuset, pins, cells, **more)
    actual = None
    if lies is not None:
        own = cpuset or "0-1048575"
        actual = {"vcpus": {str(at): (pins or {}).get(str(at), own) for at in range(vcpus)}}
        actual["memory"] = {str(at): size for at, size in lies.items()}
    return {
        "name": name,
        "state": state,
        "vcpus": vcpus,
        "memory": kib,
        "intent": {"policy": {"policy": policy}} if policy else None,
        "configured": definition,
        "live": definition if state == "running" else None,
        "actual": actual,
    }


def finding(code, severity, domain=None, others=(), cells=(), cpus=None, message="", remedy="", fix="live"):
    return {
        "code": code,
        "severity": severity,
        "domain": domain,
        "others": list(others),
        "cells": list(cells),
        "cpus": cpus,
        "numbers": {},
        "message": message or f"{code} is wrong",
        "fix": fix,
        "remedy": remedy,
    }


def result(guests, findings=None):
    """What numa_domain_info returns."""
    return {"domains": guests} if findings is None else {"domains": guests, "findings": findings}


def small():
    """Two cells of four cores with two threads each; four guests, three findings."""
    pairs = [[at, at + 1] for at in range(0, 16, 2)]
    host = {
        "cells": [
            cell(0, range(8), pairs[:4], (0,), 64 * GIB, 37 * GIB, (10, 21), [(2048, 4096, 1024)]),
            cell(1, range(8, 16), pairs[4:], (1,), 64 * GIB, 50 * GIB, (21, 10), [(2048, 4096, 4096)], 2),
        ],
        "notes": [],
    }
    pins = {str(at): str(at) for at in range(4)}
    guests = [
        guest("db1", "0-3", 4, 16 * GIB, pins=pins, cells=[0], lies={0: 16 * GIB}, policy="dedicated"),
        guest("web1", "4-7", 2, cells=[0], lies={0: 6 * GIB, 1: 2 * GIB}),
        guest("web2", "8-15", 4, cells=[1], lies={1: 8 * GIB}),
        guest("build", "3,10-13", 4, cells=[1], state="shut off"),
    ]
    findings = [
        finding(
            *("cpu_dedicated_twice", "error", "build", ["db1"], [0], "3"),
            "CPU 3 is db1's alone, and build may use it too",
            "numa_domain with cpuset 10-13 for build",
            "redefine",
        ),
        finding(
            *("memory_remote", "warning", "web1", [], [1], None),
            "2 GiB of web1 lie on cell 1, where none of its vCPUs may run",
            "restart web1 (role place, place_restart: allowed): only memory that is born there lies there",
            "restart",
        ),
        finding(
            *("huge_pages_missing", "info", "build", [], [1], None),
            "build asks for 1 GiB pages and cell 1 has none",
            "role host, host_hugepages",
            "host",
        ),
    ]
    return host, result(guests, findings)


def two_sockets():
    """Two sockets of 16 cores with two threads, siblings numbered apart; guests of every kind."""
    cores = [[at, at + 32] for at in range(32)]
    distances = ((10, 32), (32, 10))
    pools = [(2048, 32768, 12000), (1048576, 16, 16)]
    host = {
        "cells": [
            cell(
                *(at, [*range(at * 16, at * 16 + 16), *range(at * 16 + 32, at * 16 + 48)]),
                *(cores[at * 16 : at * 16 + 16], (at,), 256 * GIB, (90 - 40 * at) * GIB, distances[at], pools, 3),
            )
            for at in (0, 1)
        ],
        "notes": ["the host does not say how far its cells are apart, 10 and 32 are assumed"],
    }
    pins = {str(at): f"{at // 2 + 32 * (at % 2)}" for at in range(16)}
    guests = [
        guest("oracle-production-1", "0-7,32-39", 16, 96 * GIB, pins=pins, lies={0: 96 * GIB}, policy="dedicated"),
        *(guest(f"app-{at}", "8-15,40-47", 4, 12 * GIB, lies={0: 12 * GIB}) for at in range(1, 5)),
        *(guest(f"worker-{at}", "16-31,48-63", 8, 24 * GIB, lies={1: 24 * GIB}) for at in range(1, 6)),
        guest("batch", "24-31,56-63", 8, 32 * GIB, cells=[1], state="shut off"),
        guest("monitoring.with.a.rather.long.name.example", None, 2, 4 * GIB, lies={0: 3 * GIB, 1: 1 * GIB}),
        guest("legacy", None, 1, 2 * GIB, lies={1: 2 * GIB}),
    ]
    findings = [
        finding(
            *("unrestricted_beside_dedicated", "warning", "legacy", ["oracle-production-1"], [0], "0-7,32-39"),
            "legacy may use 16 CPUs that oracle-production-1 has for itself",
            "numa_placement with policy spread for legacy",
        ),
        finding(
            *("cell_overcommitted", "warning", None, [], [1], None),
            "cell 1 has 48 vCPUs on 32 CPUs, 1.5 for each, and its ratio is 1.0",
            "numa_placement, cpu_ratio 1.5, or fewer guests",
            "host",
        ),
    ]
    return host, result(guests, findings)


def large(cells=8, cpus=128, guests=500, seed=7):
    """Eight cells on two sockets with 1,024 CPUs, 500 guests, and findings."""
    dice = random.Random(seed)
    near = cells // 2

    def distances(at):
        return [10 if to == at else 12 if to // near == at // near else 32 for to in range(cells)]

    def cores(at):
        return [[at * cpus // 2 + core, (cells + at) * cpus // 2 + core] for core in range(cpus // 2)]

    host = {"cells": [], "notes": []}
    for at in range(cells):
        numbers = sorted(number for core in cores(at) for number in core)
        pools = [(2048, 65536, 1024 * at), (1048576, 64, 8)]
        host["cells"].append(
            cell(at, numbers, cores(at), (at // near,), 512 * GIB, (30 + 9 * at) * GIB, distances(at), pools, 4)
        )
    domains = []
    for number in range(guests):
        at = number % cells if number % 10 else number // 10 % cells
        name = f"{dice.choice(['web', 'app', 'db', 'cache', 'ci'])}-{''.join(dice.choices(LETTERS, k=5))}-{number:03}"
        if number % 10 == 0:
            first = number // 10 // cells * 2
            chosen = cores(at)[first : first + 2]
            numbers = [cpu for core in chosen for cpu in core]
            pins = {str(vcpu): str(cpu) for vcpu, cpu in enumerate(numbers)}
            text = ",".join(map(str, sorted(numbers)))
            domains.append(guest(name, text, 4, 16 * GIB, pins=pins, lies={at: 16 * GIB}, policy="dedicated"))
        elif number % 97 == 1:
            domains.append(guest(name, None, 2, 4 * GIB, lies={at: 2 * GIB, (at + 1) % cells: 2 * GIB}))
        else:
            rest = ",".join(map(str, sorted(cpu for core in cores(at)[32:] for cpu in core)))
            size = dice.choice([2, 4, 8]) * GIB
            domains.append(guest(name, rest, dice.choice([2, 4]), size, lies={at: size}))
    findings = [
        finding(
            *(
                "memory_remote",
                ("error", "warning", "info")[number % 3],
                domains[number * 11]["name"],
                [],
                [number % cells],
            ),
            None,
            f"{number + 1} GiB lie on cell {number % cells}, where none of its vCPUs may run",
            "restart it",
            "restart",
        )
        for number in range(24)
    ]
    findings.append(
        finding("cpu_offline", "error", None, (), (2,), "128-131", "CPUs 128-131 are offline", "chcpu", "host")
    )
    return host, result(domains, findings)


def four_cells():
    """Four small cells on two sockets, without anything measured."""
    distances = [[10 if to == at else 21 if to // 2 == at // 2 else 31 for to in range(4)] for at in range(4)]
    cells = [
        cell(at, range(4 * at, 4 * at + 4), None, (at // 2,), 32 * GIB, (20 - at) * GIB, distances[at])
        for at in range(4)
    ]
    guests = [
        guest("db", "0-3", 4, 12 * GIB, pins={str(at): str(at) for at in range(4)}, cells=[0]),
        guest("app", "4-7", 2, 8 * GIB, cells=[1]),
        guest("cache", "8-11", 2, 4 * GIB, cells=[2]),
        guest("wide", "8-15", 6, 16 * GIB, cells=[2, 3]),
        guest("test"),
    ]
    return {"cells": cells, "notes": []}, result(guests)


def memory_only():
    """A cell of CPUs and a cell of memory alone; no guest."""
    cells = [
        cell(0, range(4), None, (0,), 16 * GIB, 9 * GIB, (10, 17)),
        cell(1, [], [], (), 128 * GIB, 128 * GIB, (17, 10)),
    ]
    return {"cells": cells, "notes": []}, result([])


def fleet():
    """Names and what belongs to them."""
    return {
        "kvm1.example": small(),
        "kvm2.example": two_sockets(),
        "kvm3.example": four_cells(),
        "kvm4.example": memory_only(),
        "kvm5.example": large(),
    }


#: Names that would like to be markup, to break a line, to turn it around, or to fill it.
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "]]></style><svg onload=alert(1)>",
    "a\nb\tc\rd\x00e\x1b[31m",
    "\u202egnp.exe\u2066 \u2069\ud800",
    "\u05e9\u05dc\u05d5\u05dd-\u0645\u0631\u062d\u0628\u0627",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 g\u0308\u0301\u0302",
    "x" * 300,
    "&amp;&lt;&#0;&notin;",
    "'; drop table guests; --",
)


def hostile(names=HOSTILE):
    """A small host whose guests have such names, and findings that repeat them."""
    host, _guests = small()
    guests = [
        guest(name, f"{at % 8}-{at % 8 + 4}", 2, 2 * GIB, lies={at % 2: GIB}, state=("running", "paused")[at % 2])
        for at, name in enumerate(names)
    ]
    findings = [finding(name, "warning", name, list(names[:2]), [0], "1", name, name, "live") for name in names]
    return host, result(guests, findings)
