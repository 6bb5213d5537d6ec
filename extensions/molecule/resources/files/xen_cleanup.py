# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take away all that scenarios leave on a Xen host, and say what it was: guests, files, cpupools, offline CPUs.

Domain-0 stays, and so does Pool-0, which gets all CPUs back.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess

FILES = "/root/numa-virt"


def run(*arguments: str) -> list[str]:
    done = subprocess.run(arguments, check=True, capture_output=True, encoding="utf-8")
    return done.stdout.splitlines()


def main() -> None:
    virsh = ("/usr/bin/virsh", "-q", "-c", "xen:///system")
    # xl sees the guests of libvirt too. The other way round it does not.
    for line in run("/usr/sbin/xl", "list")[1:]:
        name, number = line.split()[:2]
        if number != "0":
            run("/usr/sbin/xl", "destroy", number)
            print(f"ended {name}")
    for name in run(*virsh, "list", "--all", "--name"):
        if name.strip() not in ("", "Domain-0"):
            run(*virsh, "undefine", name.strip())
            print(f"forgot {name.strip()}")
    for line in run("/usr/sbin/xl", "cpupool-list")[1:]:
        pool = line.split()[0]
        if pool != "Pool-0":
            run("/usr/sbin/xl", "cpupool-destroy", pool)
            print(f"destroyed {pool}")
    everything = sum(bool(re.match(r" *\d+: +\d+ +\d+ +\d+ *$", line)) for line in run("/usr/sbin/xl", "info", "-n"))
    [pool] = run("/usr/sbin/xl", "cpupool-list", "-c")[1:]
    for cpu in sorted(set(range(everything)) - {int(each) for each in pool.split()[1].split(",")}):
        # One that is offline joins Pool-0 by itself when it is back, one that no pool has must be put there.
        subprocess.run(("/usr/sbin/xen-hptool", "cpu-online", str(cpu)), check=False, capture_output=True)
        subprocess.run(("/usr/sbin/xl", "cpupool-cpu-add", "Pool-0", str(cpu)), check=False, capture_output=True)
        print(f"brought CPU {cpu} back")
    for path in [*glob.glob("/etc/xen/*.cfg"), FILES, "/var/lib/numa.virt"]:
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.remove(path)
        else:
            continue
        print(f"removed {path}")


main()
