# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what the scenario works on: configuration files as people write them, modules that cannot be imported, and an
xl that keeps what it was called with in FOLDER/calls."""

from __future__ import annotations

import os
import shutil
import stat

FOLDER = "/root/numa-virt"
GUESTS = "/usr/local/share/lab-guests"

FILES = {
    f"{FOLDER}/stubs/libvirt.py": 'raise ImportError("not here")\n',
    f"{FOLDER}/stubs/lxml.py": 'raise ImportError("not here")\n',
    f"{FOLDER}/bin/xl": f'#!/bin/sh\necho "$*" >>{FOLDER}/calls\nexec /usr/sbin/xl "$@"\n',
    # Everything that may be lost: blanks, tabs, comments, order, two statements on a line, a password. Its cpus names
    # the right CPUs, but as one string libxl would put the memory elsewhere.
    "/etc/xen/promised.cfg": f"""\
# The web server.   Keep  these  blanks, and\tthis tab.
vncpasswd = 's3cret'; name = "promised"

kernel="{GUESTS}/pvobey"
memory   =   32
vcpus\t= 2   # not more
# cpus = "6-7" was tried before
  cpus="nodes:1"  # the cell next to dom0
vif = [
    # none yet
]
extra = 'a="1" # no comment'
on_crash="destroy"
# the end
""",
    # Right as it is, and in a folder of its own.
    f"{FOLDER}/second guest": f"""\
type = "pvh"
name = "second"
kernel = "{GUESTS}/pvhidle"
memory = 32
vcpus = 2
cpus = [ "node:2",
         "4,5" ]
""",
    f"{FOLDER}/plain.cfg": f"""\
name = "plain"
kernel = "{GUESTS}/pvidle"
memory = 32
vcpus = 2
cpus = "0-1"
""",
    f"{FOLDER}/large.cfg": f"""\
name = "large"
kernel = "{GUESTS}/pvidle"
memory = 500
vcpus = 2
cpus = ["2-3", "2-3"]
vncpasswd = "s3cret"
""",
    f"{FOLDER}/wrong.cfg": """\
name = "wrong"
memory = 32
vcpus = two
""",
    "/etc/xen/pooled.cfg": f"""\
name = "pooled"
type = "hvm"
serial = "none"
boot = "d"
disk = ["format=raw, vdev=hdc, devtype=cdrom, access=ro, backendtype=qdisk, target={GUESTS}/hvmidle.img"]
memory = 32
vcpus = 2
pool = "lab"
""",
}


def main() -> None:
    for path, text in FILES.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    os.chmod(f"{FOLDER}/bin/xl", stat.S_IRWXU)
    os.chmod("/etc/xen/promised.cfg", stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP)
    shutil.chown("/etc/xen/promised.cfg", "daemon", "adm")
    # For comparison
    for path in FILES:
        target = f"{FOLDER}/before{path}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(path, target)


main()
