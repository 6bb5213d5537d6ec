# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell as JSON where a Xen guest really is, without the code under test: by xl vcpu-list and Xen's own log.

usage: xen_truth.py NAME

Shape: ``{"paused": bool, "hard": {"0": [int]}, "soft": {"0": [int] | "all"}, "pages": {"2": int}}``; ``hard`` and
``soft`` are CPUs by vCPU, ``pages`` counts pages of 4 KiB by cell, empty cells left out.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys


def xl(*arguments: str) -> list[str]:
    return subprocess.run(["/usr/sbin/xl", *arguments], check=True, capture_output=True, text=True).stdout.splitlines()


def numbers(text: str) -> list[int] | str:
    """``2-3,6`` -> [2, 3, 6]; ``all`` stays."""
    found: list[int] = []
    for part in text.split(",") if text != "all" else []:
        first, _dash, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found if text != "all" else text


def pages(domain: str) -> dict[str, int]:
    """Of the last dump in the log: its section of this domain."""
    xl("debug-keys", "u")
    found: dict[str, int] = {}
    inside = False
    for line in xl("dmesg"):
        head = re.search(r"Domain (\d+) \(total: \d+\)", line)
        if head or "dumping numa info" in line:
            inside = head is not None and head[1] == domain
            found = {} if inside or head is None else found
            continue
        node = re.search(r"Node (\d+): (\d+)", line)
        if inside and node and int(node[2]):
            found[node[1]] = int(node[2])
    return found


def main() -> None:
    name = sys.argv[1]
    rows = [line.split() for line in xl("vcpu-list", name)[1:]]
    domain = rows[0][1]
    print(
        json.dumps(
            {
                "paused": "p" in xl("list", name)[1].split()[4],
                "hard": {row[2]: numbers(row[6]) for row in rows},
                "soft": {row[2]: numbers(row[8]) for row in rows},
                "pages": pages(domain),
            }
        )
    )


main()
