# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The largest guest that still fits: which cell, and what counts as free."""

from __future__ import annotations

from ansible_collections.numa.virt.plugins.module_utils._map.largest_fit import Fit, dedicated_cpus, largest_guest
from ansible_collections.numa.virt.plugins.module_utils._map.model import host_map
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map.builders import (
    GIB,
    cell,
    guest,
    memory_only,
    small,
)


def fit(guests, *cells):
    return largest_guest(host_map("h", {"cells": list(cells)}, guests))


def test_a_small_host():
    host = host_map("h", *small())
    assert str(dedicated_cpus(host)) == "0-3"
    assert largest_guest(host) == Fit(cell=1, vcpus=8, kib=42 * GIB, most_vcpus=8, most_kib=64 * GIB)
    assert round(largest_guest(host).share, 3) == 0.656


def test_shared_cpus_are_free_and_dedicated_ones_are_not():
    shared = guest("a", "0-3", lies={0: 4 * GIB})
    dedicated = guest("b", "0-2", lies={0: 4 * GIB}, policy="dedicated")
    assert fit([shared], cell(0, range(4), total=16 * GIB)) == Fit(0, 4, 12 * GIB, 4, 16 * GIB)
    assert fit([shared, dedicated], cell(0, range(4), total=16 * GIB)) == Fit(0, 1, 8 * GIB, 4, 16 * GIB)


def test_the_scarcer_of_cpus_and_memory_decides():
    roomy, large = cell(0, range(8), total=64 * GIB, free=2 * GIB), cell(1, range(8, 12), total=64 * GIB, free=60 * GIB)
    assert fit([], roomy, large) == Fit(1, 4, 60 * GIB, 8, 64 * GIB)


def test_ties_go_to_more_cpus_then_memory_then_the_smaller_id():
    twins = [cell(at, range(4 * at, 4 * at + 4), total=8 * GIB, free=4 * GIB) for at in (0, 1)]
    assert fit([], *twins).cell == 0
    assert fit([], twins[0], cell(1, range(4, 12), total=8 * GIB, free=4 * GIB)).cell == 1


def test_cells_without_cpus_or_memory():
    assert largest_guest(host_map("h", *memory_only())) == Fit(0, 4, 9 * GIB, 4, 16 * GIB)
    assert fit([], cell(0, [])) is None
    found = fit([], cell(0, [0], total=0))
    assert found == Fit(0, 1, 0, 1, 0) and found.share == 1.0
