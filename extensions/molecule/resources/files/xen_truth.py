# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell as JSON where a host's Xen guests really are, without the code under test: by xl vcpu-list and Xen's own log.

Shape: ``{"NAME": {"id": int, "paused": bool, "hard": {"0": [int] | "all"}, "soft": {"0": [int] | "all"}, "kib":
{"2": int}}}``; ``hard`` and ``soft`` are CPUs by vCPU, ``kib`` is memory by cell, empty cells left out. Domain-0 is
left out.
"""

from __future__ import annotations

import json
import re
import subprocess


def xl(*arguments: str) -> list[str]:
    done = subprocess.run(["/usr/sbin/xl", *arguments], check=True, capture_output=True, encoding="utf-8")
    return done.stdout.splitlines()


def numbers(text: str) -> list[int] | str:
    """``2-3,6`` -> [2, 3, 6]; ``all`` stays."""
    if text == "all":
        return text
    found: list[int] = []
    for part in text.split(","):
        first, _dash, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def affinities() -> dict[str, dict[str, dict[str, list[int] | str]]]:
    """Domain id -> "hard" and "soft" -> vCPU -> CPUs."""
    found: dict[str, dict] = {}
    for line in xl("vcpu-list")[1:]:
        # name, id, vCPU, CPU, state, seconds, hard affinity, soft affinity
        match = re.match(r".+? +(\d+) +(\d+) +\S+ +\S+ +\S+ +(\S+) / (\S+) *$", line)
        if match:
            domain = found.setdefault(match[1], {"hard": {}, "soft": {}})
            domain["hard"][match[2]], domain["soft"][match[2]] = numbers(match[3]), numbers(match[4])
    return found


def memory() -> dict[str, dict[str, int]]:
    """Domain id -> cell -> KiB, of the last dump in Xen's log."""
    xl("debug-keys", "u")
    log = xl("dmesg")
    start = max(number for number, line in enumerate(log) if "dumping numa info" in line)
    found: dict[str, dict[str, int]] = {}
    domain = ""
    for line in log[start:]:
        head = re.search(r"Domain (\d+) \(total: \d+\)", line)
        cell = re.search(r"Node (\d+): (\d+)", line)
        if head:
            domain = head[1]
            found[domain] = {}
        elif cell and domain and int(cell[2]):
            found[domain][cell[1]] = int(cell[2]) * 4
    return found


def main() -> None:
    sets, kib = affinities(), memory()
    found = {}
    for line in xl("list")[1:]:
        name, number, _memory, _vcpus, state, _seconds = line.split()
        if number != "0":
            found[name] = {"id": int(number), "paused": "p" in state, "kib": kib.get(number, {}), **sets[number]}
    print(json.dumps(found))


main()
