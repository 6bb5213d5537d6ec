# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hypervisors take beside a guest's memory."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._values.overhead import NONE, QEMU, XEN
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Shape

MIB, GIB = 1 << 10, 1 << 20


def guest(threads: int) -> Shape:
    """All but one of its threads are IO threads where there are several."""
    return Shape("web1", None, "kvm", 1, tuple(range(1, threads)), GIB)


@pytest.mark.parametrize(
    ("threads", "small", "kib"),
    [
        (1, 0, 72 * MIB),
        (5, 8 * GIB, (64 + 40 + 32) * MIB),
        (1, 1, 72 * MIB + 1),
    ],
)
def test_qemu(threads: int, small: int, kib: int) -> None:
    assert QEMU.of(guest(threads), small) == kib


def test_xen_as_libxl_counts() -> None:
    for vcpus, memory in ((1, GIB), (4, 3 * GIB), (64, 512 * GIB)):
        assert XEN.of(Shape("web1", None, "xen", vcpus, (), memory), memory) == 4 * (256 * vcpus + 2 * (memory // 1024))


def test_what_runs_nothing_takes_nothing() -> None:
    assert NONE.of(guest(64), GIB) == 0
