# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A policy: all that differs between guests by what they were placed for. The planner asks it, and no other file.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
    from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


class Policy:
    """One for each file beside this one. A new one is such a file, and a line in registry.py.

    ``why`` says in words why a guest is on the one cell that it is on. ``mirrors``: each cell of a guest is one cell of
    the host. ``levels``: a guest may be moved off the fullest cell. ``empties``: it may be moved so that a cell of the
    host is left empty.
    """

    name = ""
    why = ""
    mirrors = False
    levels = False
    empties = False

    def owns_cpus(self, asked: bool) -> bool:
        """Whether no other guest may use its CPUs. ``asked``: whether ``own_cpus`` was asked for."""
        return False

    def order(self, load: int, misfit: int, in_use: bool) -> tuple[int, ...]:
        """Where a guest that shares CPUs would rather be: of two cells, on the one with the smaller answer.

        ``load``: how full the cell would be. ``misfit``: how far out of proportion its CPUs and memory would be left.
        """
        return (misfit, 0 if in_use else 1, -load)

    def check(self, host: Host, request: Request) -> None:
        """Whether the host can have such a guest at all. Raises InputError."""
