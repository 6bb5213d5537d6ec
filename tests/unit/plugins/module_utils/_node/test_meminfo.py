# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node.meminfo import huge_page


@pytest.mark.parametrize(
    ("text", "kib"),
    [
        ("MemTotal:  65 kB\nHugePages_Total:   0\nHugepagesize:       2048 kB\nHugetlb:  0 kB\n", 2048),
        ("Hugepagesize: 1048576 kB\n", 1048576),
        ("MemTotal: 65 kB\n", None),
        ("NoHugepagesize: 2048 kB\nHugepagesize: many kB\n\xff", None),
        ("", None),
    ],
)
def test_what_the_kernel_says(tmp_path: Path, text: str, kib: int | None) -> None:
    path = tmp_path / "meminfo"
    path.write_bytes(text.encode("latin-1"))
    assert huge_page(str(path)) == kib
    assert huge_page(str(tmp_path / "none")) is None
