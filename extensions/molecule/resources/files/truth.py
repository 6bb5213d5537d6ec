# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell as JSON where a QEMU guest really is, without the code under test: by its pid file, /proc and its cgroups.

usage: truth.py NAME

Shape: ``{"threads": [{"name", "cpus": [int], "mems": [int], "group"}], "vcpus": {"0": [int]}, "emulator": [int],
"iothreads": {"1": [int]}, "cgroups": {"vcpu0": {"cpus", "mems"}}, "ram": {"policy", "kib": {"2": int}},
"pages": {"2": int}}``; ``emulator`` is of the threads in the emulator's cgroup (from Linux 6.12 on a vCPU makes one in
its own, for KVM), ``pages`` what the kernel charges to the guest's cgroup, in KiB by cell, file cache left out.
"""

from __future__ import annotations

import json
import os
import re
import sys


def numbers(text: str) -> list[int]:
    """``2-3,6`` -> [2, 3, 6]."""
    found: list[int] = []
    for part in text.strip().split(","):
        first, _dash, last = part.partition("-")
        if first:
            found += range(int(first), int(last or first) + 1)
    return found


def lines(path: str) -> list[str]:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def threads(pid: int) -> list[dict]:
    found = []
    for task in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        status = dict(line.split(":\t", 1) for line in lines(f"/proc/{pid}/task/{task}/status") if ":\t" in line)
        found.append(
            {
                "name": status["Name"],
                "cpus": numbers(status["Cpus_allowed_list"]),
                "mems": numbers(status["Mems_allowed_list"]),
                "group": lines(f"/proc/{pid}/task/{task}/cgroup")[0].rpartition("/")[2],
            }
        )
    return found


def numbered(seen: list[dict], pattern: str) -> dict:
    """CPUs of the threads whose name has a number, by that number."""
    found = [(re.match(pattern, each["name"]), each["cpus"]) for each in seen]
    return {match[1]: cpus for match, cpus in found if match}


def ram(pid: int, kib: int) -> dict:
    """The mapping of the guest's memory: the one of just that size, or the largest with a policy."""
    sizes = {line.split()[0].split("-")[0]: line for line in lines(f"/proc/{pid}/maps")}
    for line in lines(f"/proc/{pid}/numa_maps"):
        start = line.split()[0]
        if start not in sizes:
            continue
        first, last = (int(part, 16) for part in sizes[start].split()[0].split("-"))
        if (last - first) // 1024 == kib:
            page = int(re.search(r"kernelpagesize_kB=(\d+)", line)[1]) if "kernelpagesize" in line else 4
            pages = {cell: int(count) * page for cell, count in re.findall(r" N(\d+)=(\d+)", line)}
            # Since QEMU 7.1, where the kernel can: "prefer (many):2".
            policy = re.match(r"\S+ (prefer \(many\)\S*|\S+)", line)[1]
            return {"policy": policy, "kib": pages}
    return {"policy": None, "kib": {}}


def main() -> None:
    name = sys.argv[1]
    pid = int(lines(f"/run/libvirt/qemu/{name}.pid")[0])
    status = " ".join(lines(f"/run/libvirt/qemu/{name}.xml"))
    kib = int(re.search(r"<memory unit='KiB'>(\d+)</memory>", status)[1])
    own = lines(f"/proc/{pid}/cgroup")[0].split("::")[1]
    top = "/sys/fs/cgroup" + own.split("/libvirt")[0]
    groups = {}
    for folder in os.listdir(f"{top}/libvirt"):
        path = f"{top}/libvirt/{folder}"
        if os.path.isdir(path):
            groups[folder] = {
                "cpus": numbers(lines(f"{path}/cpuset.cpus")[0]),
                "mems": numbers(lines(f"{path}/cpuset.mems")[0]),
            }
    pages: dict[str, int] = {}
    for line in lines(f"{top}/memory.numa_stat"):
        kind, *cells = line.split()
        if kind in ("anon", "shmem"):
            for cell in cells:
                number, size = cell[1:].split("=")
                pages[number] = pages.get(number, 0) + int(size) // 1024
    seen = threads(pid)
    rest = [each for each in seen if each["group"] == "emulator" and not re.match("CPU |IO iothread", each["name"])]
    print(
        json.dumps(
            {
                "threads": seen,
                "vcpus": numbered(seen, r"CPU (\d+)/"),
                "iothreads": numbered(seen, r"IO iothread(\d+)"),
                "emulator": sorted({cpu for each in rest for cpu in each["cpus"]}),
                "cgroups": groups,
                "ram": ram(pid, kib),
                "pages": {cell: size for cell, size in pages.items() if size},
            }
        )
    )


main()
