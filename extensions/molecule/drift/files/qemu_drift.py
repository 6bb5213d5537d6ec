# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make by hand all that goes wrong on a QEMU host, and say what.

Guests: `hand1` was placed by hand, `db1` and `db2` have CPUs of their own, `web1` shares, `wide1` is only defined.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess


def virsh(*arguments: str, text: str | None = None) -> str:
    argv = ["/usr/bin/virsh", "-q", "-c", "qemu:///system", *arguments]
    return subprocess.run(argv, check=True, capture_output=True, encoding="utf-8", input=text).stdout


def definition(name: str) -> str:
    return virsh("dumpxml", name, "--inactive", "--security-info")


def defined_elsewhere(name: str, cpus: str, cells: str) -> None:
    """As an editor does it: other numbers in the same document, metadata included."""
    xml = re.sub(r"(<vcpu [^>]*cpuset=)'[^']*'", rf"\1'{cpus}'", definition(name))
    xml = re.sub(r"nodeset='[^']*'", f"nodeset='{cells}'", xml)
    virsh("define", "/dev/stdin", text=xml)
    print(f"{name} is defined on CPUs {cpus}")


def main() -> None:
    taken = re.search(r"<vcpupin vcpu='0' cpuset='(\d+)'", definition("db1"))[1]
    virsh("vcpupin", "db2", "0", taken, "--live", "--config")
    print(f"db2 is pinned to CPU {taken}, which is db1's")

    virsh("setvcpus", "db1", "2", "--live")
    print("db1 has a second vCPU")

    virsh("emulatorpin", "web1", taken, "--live", "--config")
    print(f"the emulator of web1 is pinned to CPU {taken}")
    with open("/run/libvirt/qemu/web1.pid", encoding="utf-8") as file:
        pid = file.read()
    for folder in glob.glob(f"/proc/{pid}/task/*"):
        with open(f"{folder}/comm", encoding="utf-8") as file:
            if file.read().startswith("CPU 1/"):
                thread = int(os.path.basename(folder))
                first = min(os.sched_getaffinity(thread))
                os.sched_setaffinity(thread, {first})
                print(f"vCPU 1 of web1 is on CPU {first} alone")

    [group] = glob.glob("/sys/fs/cgroup/**/*hand1.scope/libvirt/vcpu0/cpuset.cpus", recursive=True)
    with open(group, "w", encoding="utf-8") as file:
        file.write("5")
    print("vCPU 0 of hand1 is held to CPU 5 by its cgroup")
    defined_elsewhere("hand1", "0-1", "0")

    defined_elsewhere("wide1", "4-7", "2-3")
    virsh("start", "wide1")


main()
