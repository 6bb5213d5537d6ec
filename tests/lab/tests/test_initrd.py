# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The initrd's pure parts."""

from __future__ import annotations

from numalab.initrd import init_script, parse_dependencies


def test_dependencies_keep_their_order_and_skip_what_is_built_in() -> None:
    listing = "builtin virtio\ninsmod /lib/modules/6/a.ko \ninsmod /lib/modules/6/b.ko option=1\n\n"
    assert parse_dependencies(listing) == ["/lib/modules/6/a.ko", "/lib/modules/6/b.ko"]


def test_modules_are_loaded_before_the_other_cpus_the_network_and_the_disk_are_used() -> None:
    lines = init_script(["a.ko", "b.ko"]).splitlines()
    order = ["insmod /lib/modules/a.ko", "insmod /lib/modules/b.ko", "/online", "eth0", "/dev/vda ]", "switch_root"]
    positions = [next(i for i, line in enumerate(lines) if text in line) for text in order]
    assert positions == sorted(positions)
