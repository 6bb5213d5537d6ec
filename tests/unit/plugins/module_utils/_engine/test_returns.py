# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results have the keys that their modules document, and no others."""

from __future__ import annotations

import os

import pytest

from ansible_collections.numa.virt.plugins.module_utils._engine.fleet_plan import FleetTask, fleet_plan
from ansible_collections.numa.virt.plugins.module_utils._fleet.names import Play
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document
from ansible_collections.numa.virt.tests.unit.plugins.modules.returns import keys_of, returned

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
#: What Ansible itself knows of any result.
COMMON = {"changed", "diff", "warnings"}


def compare(result, documented, module, where=""):
    """Every key of a result is told of, however deep."""
    assert set(result) <= set(documented), where
    for name, value in result.items():
        keys = keys_of(documented[name], module)
        for each in value if isinstance(value, list) else [value]:
            if keys is not None and isinstance(each, dict):
                compare(each, keys, module, f"{where}.{name}")


def place(host):
    return host.place(
        xml=document(tune="<iothreads>1</iothreads>"),
        vcpu_pins={"0": "2"},
        cells=[1],
        emulator_cpuset="3",
        iothread_pins={"1": "3"},
        scheduler={"vcpus": {"0": {"policy": "batch"}}},
        state="running",
    )


def of_placed(task):
    def work(host):
        place(host)
        return task(host)

    return work


def planned(host):
    """A plan with all that there may be in one."""
    place(host)
    told = {"h1": host.fleet(), "h2": host.fleet(reserved_cells=[1])}
    options = {
        "facts": "told",
        "domains": [{"name": "new", "vcpus": 2, "memory": 16}, {"name": "wide", "vcpus": 99, "memory": 16}],
        "drain": ["h1"],
        "capacity": [{"name": "small", "vcpus": 1, "memory": 16}],
        "losses": ["h2"],
        "plan_file": os.path.join(host.backups, "plan.json"),
    }
    names = ("h1", "h2", "h3")
    task = FleetTask(options, Play(names, names, names, None, {"all": names}), told.get, 0.0, diff=True)
    result = fleet_plan(task)
    assert result["placements"] and result["rejections"] and result["unknown"] and result["batches"]
    return result


RUNS = {
    "numa_domain": place,
    "vcpu_pin": of_placed(lambda host: host.pin(pins={"1": "3"})),
    "numa_domain_info": of_placed(lambda host: host.findings()),
    "numa_placement": of_placed(lambda host: host.place_all("web1", policy="spread")),
    "numa_release": of_placed(lambda host: host.release("web1")),
    "numa_cell_info": lambda host: host.cells(),
    "numa_claim": lambda host: host.claim(name="db1", uuid=UUID, cpus="0", memory=[(0, 1024)]),
    "numa_host_state": lambda host: host.say("draining", why="a fan"),
    "numa_fleet_plan": planned,
}


def test_what_a_host_tells_a_fleet(qemu):
    assert set(qemu.fleet()) - COMMON <= set(returned("numa_domain_info"))


@pytest.mark.parametrize("module", RUNS)
def test_every_key_is_documented(qemu, module):
    qemu.claim(name="db9", uuid=UUID.replace("6", "7"), cpus="7", memory=[(3, 1024)])
    qemu.say("out")
    qemu.say("in", why="mended")
    result = RUNS[module](qemu)
    assert len(result) > 2
    compare({name: value for name, value in result.items() if name not in COMMON}, returned(module), module)
