# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests on CPUs that are claimed for another. The host: cells 0 and 1 with CPUs 0-7 and 8-15."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._findings.facts import Facts, GuestFacts
from ansible_collections.numa.virt.plugins.module_utils._findings.find import find
from ansible_collections.numa.virt.plugins.module_utils._findings.finding import Finding
from ansible_collections.numa.virt.plugins.module_utils._values.claim import Claim
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._findings.builders import cpus, guest, host, policy

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"


def claim(where: str, owned: bool = True, made_by: str = "ops@deploy1") -> Claim:
    return Claim(UUID, "db1", cpus("0"), cpus(where), owned, 2, (), made_by, 0, 3600, "b1", 3600)


def found(one: Claim, *guests: GuestFacts, owner: str | None = None) -> list[Finding]:
    facts = Facts(host(), driver_named("qemu"), guests, claims=((one, owner),))
    return [each for each in find(facts) if each.code == "claimed_used"]


def test_a_guest_that_shares_what_is_claimed_for_one_alone() -> None:
    (one,) = found(claim("2-3"), guest("a", cpuset="0-2"), guest("b", cpuset="4-7"))
    assert (one.domain, one.cpus, one.cells, one.severity, one.fix) == ("a", cpus("2"), cpus("0"), "warning", "live")
    assert one.message == (
        "CPU 2 is claimed for db1, by ops@deploy1 until 1970-01-01T01:00:00Z, and this guest may run there"
    )
    (one,) = found(claim("2-3", made_by=""), guest("a", cpuset="0-3", running=False))
    assert (one.severity, one.fix) == ("info", "redefine")
    assert "CPUs 2-3 are claimed for db1, by somebody until" in one.message


@pytest.mark.parametrize(("owned", "number"), [(True, 1), (False, 1)])
def test_a_guest_whose_own_cpus_are_claimed(owned: bool, number: int) -> None:
    dedicated = guest("a", vcpus=2, pins=("2", "3"), intent=policy("dedicated"))
    assert len(found(claim("2-3", owned), dedicated)) == number


def test_what_is_in_nobody_s_way() -> None:
    assert not found(claim("2-3", owned=False), guest("a", cpuset="0-3"))
    assert not found(claim("2-3"), guest("a"))
    assert not found(claim("2-3"), guest("a", cpuset="2-3"), owner="a")
