# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A policy is one file and one line: whatever is in the registry is known everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.policies import registry
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.policy import Policy
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.registry import POLICIES
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Options, Request
from ansible_collections.numa.virt.plugins.modules import numa_placement
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host, there

SHARED_BY_ALL = {"__init__", "policy", "registry"}


def test_each_file_is_a_policy_and_each_is_told_of() -> None:
    files = {each.stem for each in Path(registry.__file__).parent.glob("*.py")} - SHARED_BY_ALL
    assert files == set(POLICIES)
    options = yaml.safe_load(numa_placement.DOCUMENTATION)["options"]
    assert set(options["policy"]["choices"]) == set(POLICIES)
    assert all(each.why for each in POLICIES.values())


class Last(Policy):
    """An order that no other has: a cell in use, and of those the emptier."""

    name = "last"
    why = "in use, and the emptier"
    levels = True

    def order(self, load: int, misfit: int, in_use: bool) -> tuple[int, ...]:
        return (0 if in_use else 1, load)

    def check(self, host: object, request: Request) -> None:
        if request.vcpus == 3:
            raise InputError(f"domains[{request.name}].vcpus", 3, "is odd", "give 2 or 4")


@pytest.fixture(name="last")
def _last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POLICIES, "last", Last())


@pytest.mark.usefixtures("last")
def test_a_new_one_is_asked_by_the_planner() -> None:
    found = plan(host(3), [Request("a", 4, GIB), Request("b", 2, GIB, "last"), Request("c", 2, GIB, "last")])
    assert {str(each.cells) for each in found.placements} == {"0"}
    assert "in use, and the emptier" in found.placements[1].reason
    with pytest.raises(InputError, match="is odd"):
        plan(host(), [Request("a", 3, GIB, "last")])


@pytest.mark.usefixtures("last")
def test_what_it_may_move_is_its_own() -> None:
    """Levelled like guests of spread, though it was packed."""
    requests = [Request(f"g{number}", 4, GIB, "last") for number in range(4)]
    first = plan(host(), requests[:2])
    assert {str(each.cells) for each in first.placements} == {"0"}
    existing = [there(request, placed) for request, placed in zip(requests[:2], first.placements)]
    moved = plan(host(), requests[:2], existing, options=Options(rebalance=True))
    assert {str(each.cells) for each in moved.placements} == {"0", "1"}
