# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host tells of itself for a fleet: the same that numa_placement plans it by."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import plan_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetOptions, FleetRequest
from ansible_collections.numa.virt.plugins.module_utils._fleet.told import Told, digest_of
from ansible_collections.numa.virt.plugins.module_utils._node import claims
from ansible_collections.numa.virt.plugins.module_utils._node.claims import NoClaimsError
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.test_placement import DEVICE, HOSTDEV

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"


def told(host, name="h1", **options):
    return Told().host(name, host.fleet(**options))


def test_guests_and_rules_of_a_host(qemu):
    qemu.place_all({"xml": document("a")}, policy="dedicated", reserved_cpus="0")
    qemu.place(xml=document("b"), cells=[2])
    before = qemu.everything()
    one = told(qemu, now=lambda: 5.0, reserved_cpus="0", cpu_ratio=2.0, reserved_memory={"1": "1MiB"})
    assert qemu.everything() == before
    assert (one.name, one.told, one.answered, one.state) == ("h1", 5.0, True, "in")
    assert one.rules.reserved_cpus == CpuSet([0]) and one.rules.cpu_ratio == 2.0 and one.rules.reserves
    a, b = one.existing
    assert (a.name, a.wish.policy, a.wish.vcpus) == ("a", "dedicated", 2)
    assert (b.name, b.wish, b.nodeset) == ("b", None, CpuSet([2]))
    assert one.host.driver == "qemu" and [cell.id for cell in one.host.cells] == [0, 1, 2, 3]


def test_what_is_claimed_is_full(qemu):
    qemu.claim(name="db1", cpus="0-7", memory=[(0, 4096)], made_by="ops@a", uuid=UUID)
    one = told(qemu)
    (claim,) = one.claims
    assert (claim.guest.name, claim.guest.wish.vcpus, claim.by) == ("db1", 8, "ops@a")
    assert claim.guest.memory_on == ((CpuSet([0]), None, 4096),)
    request = FleetRequest(Request("web1", 1, 4096, policy="dedicated"))
    (refused,) = plan_fleet([one], [request]).rejections
    assert refused.name == "web1"
    later = FleetOptions(now=claim.ends + 1)
    assert plan_fleet([one], [request], later).placements


def test_a_claim_counts_beside_another_guest_of_that_name(qemu):
    qemu.claim(name="db1", cpus="6-7", memory=[(3, 4096)], uuid=UUID)
    qemu.place(xml=document("db1"), cells=[1])
    one = told(qemu)
    assert [each.name for each in one.existing] == ["db1"]
    assert [each.guest.name for each in one.claims] == ["the claim for db1"]
    full = plan_fleet([one], [FleetRequest(Request("w", 7, 4096, policy="dedicated", cells=CpuSet([1, 3])))])
    assert full.rejections


def test_a_claim_whose_guest_is_there_is_the_guest(qemu):
    qemu.place(xml=document("db1", uuid=f"<uuid>{UUID}</uuid>"), cells=[1])
    qemu.claim(name="db1", cpus="2-3", memory=[(1, 4096)], uuid=UUID)
    assert told(qemu).claims == ()


def test_the_state_of_a_host(qemu):
    qemu.say("draining", why="a fan")
    one = told(qemu)
    assert one.state == "draining" and one.why.startswith("says ops@deploy1 since ") and one.why.endswith(": a fan")
    assert plan_fleet([one], [FleetRequest(Request("web1", 1, 4096))]).rejections
    qemu.say("in")
    assert told(qemu).state == "in"


def test_claims_that_may_not_be_read(qemu, monkeypatch):
    def fail(_daemon):
        raise NoClaimsError("nobody may read them")

    monkeypatch.setattr(claims, "read_claims", fail)
    with pytest.raises(NoClaimsError):
        qemu.fleet()


def test_what_is_placed_stays(qemu):
    qemu.place_all({"xml": document("a")}, {"xml": document("b")}, policy="dedicated")
    one = told(qemu)
    plan = plan_fleet([one], [FleetRequest(each.wish) for each in one.existing])
    assert [each.action for each in plan.placements] == ["keep", "keep"]
    assert plan_fleet([one], [FleetRequest(Request("c", 9, 4096))]).rejections


def test_a_second_look_is_the_same(qemu):
    qemu.place_all({"xml": document("a")}, policy="spread")
    assert digest_of(told(qemu)) == digest_of(told(qemu))
    was = digest_of(told(qemu))
    qemu.place(xml=document("b"), cells=[1])
    assert digest_of(told(qemu)) != was


@pytest.mark.parametrize("kind", ["testdriver", "xen", "far_qemu"])
def test_on_every_driver(kind, request):
    host = request.getfixturevalue(kind)
    host.place_all({"xml": document("a")}, policy="pack")
    one = told(host)
    assert [each.name for each in one.existing] == ["a"]
    assert plan_fleet([one], [FleetRequest(one.existing[0].wish)]).placements[0].action == "keep"


def test_options_that_it_cannot_have(qemu):
    with pytest.raises(InputError, match="names: a fleet is planned with all domains of its hosts; leave names out"):
        qemu.fleet("a")
    with pytest.raises(InputError, match="reserved_cpus"):
        qemu.fleet(reserved_cpus="99")


def test_no_secret_is_told(qemu):
    qemu.place(xml=document("a", devices="<graphics type='vnc' port='-1' passwd='s3cret'/>"), cells=[1])
    assert "s3cret" not in str(qemu.fleet())


def test_where_the_devices_of_its_guests_are(qemu):
    qemu.devices = (DEVICE.format(cell=3),)
    qemu.place_all({"xml": document("a", "kvm", more=HOSTDEV)}, policy="pack", devices="require")
    one = told(qemu)
    (guest,) = one.existing
    assert guest.wish.devices and one.host.device_cells[guest.wish.devices[0]] == 3
    (placed,) = plan_fleet([one], [FleetRequest(guest.wish)]).placements
    assert (placed.action, placed.cells) == ("keep", CpuSet([3]))
