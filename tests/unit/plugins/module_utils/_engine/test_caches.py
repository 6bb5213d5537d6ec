# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with two last-level caches on one cell, and cores of two threads."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import DoesNotFitError, InputError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document

WHERE = "ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor.capabilities"
CORES = ("0,4", "1,5", "2,6", "3,7")
TOPOLOGY = "<cpu><topology sockets='1' cores='{}' threads='2'/></cpu>"


def capabilities(kind, caches=("0-1,4-5", "2-3,6-7")):
    cpus = "".join(
        f"<cpu id='{cpu}' socket_id='0' die_id='0' core_id='{number}' siblings='{core}'/>"
        for number, core in enumerate(CORES)
        for cpu in core.split(",")
    )
    banks = "".join(
        f"<bank id='{number}' level='3' type='both' size='16' unit='MiB' cpus='{cache}'/>"
        for number, cache in enumerate(caches)
    )
    return f"""<capabilities><host><topology><cells num='1'><cell id='0'><memory unit='KiB'>2097152</memory>
    <pages unit='KiB' size='4'>524288</pages><distances><sibling id='0' value='10'/></distances>
    <cpus num='8'>{cpus}</cpus></cell></cells></topology><cache>{banks}</cache></host>
    <guest><os_type>hvm</os_type><arch name='x86_64'><domain type='{kind}'/></arch></guest></capabilities>"""


@pytest.fixture
def host(qemu, monkeypatch):
    monkeypatch.setattr(WHERE, capabilities)
    return qemu


def entry(name, vcpus, **options):
    return {"xml": document(name, "kvm", vcpus=vcpus, memory=1000), **options}


def pins(done, name):
    (placed,) = (each for each in done["plan"]["placements"] if each["name"] == name)
    return " ".join(placed["vcpu_pins"][str(vcpu)] for vcpu in range(len(placed["vcpu_pins"])))


def test_facts(host):
    assert host.cells()["cells"][0]["caches"] == [
        {"id": 0, "level": 3, "size": 16384, "cpuset": "0-1,4-5"},
        {"id": 1, "level": 3, "size": 16384, "cpuset": "2-3,6-7"},
    ]


def test_guests_stay_within_a_cache(host):
    host.place_all(entry("a", 2), policy="dedicated")
    done = host.place_all(entry("b", 4), policy="dedicated")
    assert pins(done, "b") == "2 6 3 7"
    assert "within one L3" in done["domains"][0]["reason"]
    assert host.place_all(entry("c", 2), policy="dedicated")["plan"]["placements"][0]["cpuset"] == "1,5"
    again = host.place_all("a", "b", "c")
    assert not again["changed"] and {each["action"] for each in again["plan"]["placements"]} == {"keep"}


def test_what_was_asked_for_is_kept(host):
    host.place_all(entry("a", 2, cache="require"), policy="dedicated")
    assert host.info("a")[0]["intent"]["policy"] == {"policy": "dedicated", "cache": "require"}
    assert not host.place_all("a")["changed"]
    # A record of an older release says nothing of caches, and means what it meant.
    host.place_all(entry("b", 2), policy="dedicated")
    assert host.info("b")[0]["intent"]["policy"] == {"policy": "dedicated"}


def test_where_no_cache_has_room(host):
    for name, first, second in (("a", "0", "4"), ("b", "2", "6")):
        host.place(xml=document(name, "kvm", memory=1000), vcpu_pins={"0": first, "1": second}, cells=[0])
    guest = entry("c", 4)
    for check in (True, False):
        with pytest.raises(DoesNotFitError) as caught:
            host.place_all(guest, policy="dedicated", cache="require", check=check)
        (rejected,) = caught.value.fields["rejections"]
        assert (rejected["constraint"], rejected["needed"], rejected["available"]) == ("caches", 4, 2)
    assert "across 2 L3 caches" in host.place_all(guest, policy="dedicated")["domains"][0]["reason"]


@pytest.mark.parametrize(("name", "kind"), [("qemu", "kvm"), ("xen", "xen")])
def test_hosts_that_tell_of_no_caches(name, kind, request):
    it = request.getfixturevalue(name)
    assert {len(cell["caches"]) for cell in it.cells()["cells"]} == {0}
    guest = {"xml": document("a", kind, memory=1000)}
    with pytest.raises(InputError, match="the host does not say which CPUs share a cache"):
        it.place_all(guest, policy="dedicated", cache="require")
    assert "cache" not in it.place_all(guest, policy="dedicated")["domains"][0]["reason"]


def test_threads_of_a_guest_are_on_siblings(host):
    """vCPUs 0 and 1 of a core are on two cores: it is told of, and is no place for a guest with CPUs of its own."""
    tune = "<cputune>" + "".join(f"<vcpupin vcpu='{n}' cpuset='{cpu}'/>" for n, cpu in enumerate("0145")) + "</cputune>"
    text = document("win", "kvm", vcpus=4, memory=1000, tune=tune).replace("<os>", TOPOLOGY.format(2) + "<os>")
    host.add(text, running=True)
    (found,) = host.findings()["findings"]
    assert (found["code"], found["severity"], found["cpus"]) == ("guest_threads_apart", "info", "0-1,4-5")
    done = host.place_all("win", policy="dedicated", smt="require")
    assert pins(done, "win") == "0 4 1 5" and not done["warnings"]
    assert "guest_threads_apart" not in [each["code"] for each in host.findings()["findings"]]
    assert not host.place_all("win")["changed"]


def test_threads_of_a_guest_that_no_siblings_are_free_for(host):
    host.place(xml=document("a", "kvm", vcpus=4, memory=1000), vcpu_pins={str(n): str(n) for n in range(4)}, cells=[0])
    guest = document("win", "kvm", vcpus=4, memory=1000).replace("<os>", TOPOLOGY.format(2) + "<os>")
    done = host.place_all({"xml": guest}, policy="dedicated")
    assert pins(done, "win") == "4 5 6 7"
    assert [line for line in done["warnings"] if "several cores of the host" in line]
    assert not host.place_all("win")["changed"]


def test_xen_tells_guests_of_no_threads(xen, monkeypatch):
    monkeypatch.setattr(WHERE, capabilities)
    text = document("win", "xen", vcpus=4, memory=1000).replace("<os>", TOPOLOGY.format(2) + "<os>")
    done = xen.place_all({"xml": text}, policy="dedicated")
    assert done["changed"] and pins(done, "win") == "0 4 1 5"
    assert xen.findings()["findings"] == []
