# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes one way to place guests better than another.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.numa.virt.plugins.module_utils._planner.board import Spot
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import Guest

Score = tuple[int, ...]


def by_class(guests: Sequence[Guest]) -> list[list[Guest]]:
    """The guests by priority, from the highest on."""
    classes: dict[int, list[Guest]] = {}
    for guest in guests:
        classes.setdefault(guest.request.priority, []).append(guest)
    return [members for _priority, members in sorted(classes.items(), reverse=True)]


def score(classes: Sequence[Sequence[Guest]], placed: Mapping[Guest, Spot]) -> Score:
    """The larger the better: vCPUs by class, then fewer guests that leave their cells, fewer cells, less distance."""
    vcpus = [sum(guest.vcpus for guest in members if guest in placed) for members in classes]
    away = sum(1 for guest, spot in placed.items() if guest.home and spot.cells != guest.home)
    cells = sum(spot.width for spot in placed.values())
    return (*vcpus, -away, -cells, -sum(spot.distance for spot in placed.values()))
