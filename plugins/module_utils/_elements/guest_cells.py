# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""<cpu><numa>: the guest's own cells, an element that is ours only where a policy has made it.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from ansible_collections.numa.virt.plugins.module_utils._elements import tree, xml
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree


def place_for_guest_cells(root: etree._Element) -> etree._Element:
    """The <cpu> that holds the guest's own cells, without any; a new one where there is none."""
    cpu = tree.child_or_new(root, "cpu")
    numa = xml.child(cpu, "numa")
    if numa is not None:
        tree.remove(numa)
    return cpu


def remove_guest_cells(root: etree._Element) -> None:
    """Take the guest's own cells out, and <cpu> with them where that leaves it empty."""
    cpu = xml.child(root, "cpu")
    numa = xml.child(cpu, "numa") if cpu is not None else None
    if cpu is None or numa is None:
        return
    tree.remove(numa)
    tree.remove_if_empty(cpu)
