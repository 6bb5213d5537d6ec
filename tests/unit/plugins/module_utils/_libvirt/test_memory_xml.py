# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError
from ansible_collections.numa.virt.plugins.module_utils._libvirt.memory_xml import memory

CELLS = "<cpu><numa><cell id='0' cpus='0' memory='3' unit='G'/><cell id='1' cpus='1' memory='3' unit='G'/></numa></cpu>"
DIMM = "<devices><memory model='dimm'><target><size unit='G'>2</size><node>0</node></target></memory></devices>"
GIB = 1 << 20


@pytest.mark.parametrize(
    ("kind", "inside", "kib"),
    [
        ("kvm", "", 0),
        ("kvm", "<memory unit='G'>1</memory>", GIB),
        ("kvm", CELLS, 6 * GIB),
        ("test", CELLS, 6 * GIB),
        ("kvm", f"<memory unit='G'>1</memory>{CELLS}", 6 * GIB),  # QEMU's driver takes the sum of the cells
        ("xen", f"<memory unit='G'>1</memory>{CELLS}", GIB),
        ("test", f"<memory unit='G'>1</memory>{CELLS}", GIB),
        ("qemu", CELLS + DIMM, 8 * GIB),
        ("qemu", f"<memory unit='G'>9</memory>{CELLS}{DIMM}", 8 * GIB),
        ("kvm", f"<memory unit='G'>3</memory>{DIMM}", 3 * GIB),  # of which the DIMM is a part
    ],
)
def test_memory_is_that_of_the_cells_and_devices_where_they_say_it(kind: str, inside: str, kib: int) -> None:
    assert memory(etree.fromstring(f"<domain type='{kind}'>{inside}</domain>"), "xml") == kib


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<cpu><numa><cell id='0' cpus='0'/></numa></cpu>", "<cell> is not a number"),
        ("<memory unit='lots'>1</memory>", "<memory> unit is unknown"),
        (CELLS + DIMM.replace(">2<", ">two<"), "<size> is not a number"),
    ],
)
def test_a_size_that_is_none_is_named(inside: str, said: str) -> None:
    with pytest.raises(XmlError, match=said):
        memory(etree.fromstring(f"<domain type='kvm'>{inside}</domain>"), "xml")
