# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_fleet_plan without Ansible: what hosts have told in, a plan and its file out, and what is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._engine.fleet_plan import FleetTask, fleet_plan
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.names import Play
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import OUT
from ansible_collections.numa.virt.plugins.module_utils._fleet.told import told_as_text
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import a_host, guest
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._planner.builders import GIB, host

QEMU = replace(host(), driver="qemu")
NEW = {"name": "n", "vcpus": 2, "memory": GIB, "memory_overhead": 0}


def fleet():
    return {
        "h1": a_host("h1", guest("a", 2), it=QEMU, told=100.0),
        "h2": a_host("h2", it=QEMU, told=100.0),
        "h3": a_host("h3", guest("c"), it=QEMU, told=100.0),
    }


def task(there=None, check=False, diff=False, now=101.0, **options):
    there = fleet() if there is None else there
    names = tuple(there)
    told = {name: {"fleet": told_as_text(each)} if each is not None else None for name, each in there.items()}
    play = Play(names, names, names, None, {"all": names, "rack1": ["h1", "h2"]})
    return FleetTask({"facts": "told", **options}, play, told.get, now, check, diff)


def planned(*args, **options):
    return fleet_plan(task(*args, **options))


def refusal(*args, **options):
    with pytest.raises(InputError) as told:
        planned(*args, **options)
    return str(told.value)


def test_a_new_guest():
    result = planned(domains=[NEW])
    (one,) = result["placements"]
    assert (one["name"], one["action"], one["at"]) == ("n", "place", None)
    assert (result["changed"], result["hosts"]) == (False, ["h1", "h2", "h3"])
    assert "plan_file" not in result and "diff" not in result
    json.dumps(result)


def test_nothing_asked_is_nothing_planned():
    result = planned()
    assert (result["placements"], result["batches"], result["capacity"], result["losses"]) == ([], [], [], [])


def test_a_host_is_emptied():
    result = planned(drain=["h1"], diff=True)
    (one,) = result["placements"]
    assert (one["name"], one["action"], one["at"]) == ("a", "move", "h1")
    assert "drained" in one["reason"] or "empt" in one["reason"]
    assert result["diff"]["before"] == "a: h1\n"
    assert result["diff"]["after"] == f"a: {one['host']}, cell {one['cells'][0]}\n"


def test_what_a_host_says_of_its_state_stays():
    hosts = fleet()
    hosts["h1"] = replace(hosts["h1"], state=OUT, why="broken")
    assert planned(hosts, drain=["h1"])["unknown"] == planned(hosts)["unknown"] != []


def test_labels_by_host_group_and_pattern():
    labels = {"all": {"rack": "r9", "row": "1"}, "rack1": {"rack": "r1"}, "h?": {"kind": 5}}
    result = planned(labels=labels, domains=[{**NEW, "labels": {"rack": "r9", "row": "1", "kind": "5"}}])
    assert [each["host"] for each in result["placements"]] == ["h3"]


def test_limits_go_to_the_planner():
    assert planned(drain=["h1"], max_moves=0)["rejections"][0]["constraint"] == "limit"
    assert refusal(max_moves=-1) == "max_moves: -1: is less than 0; give 0 or more"


def test_facts_that_are_too_old():
    hosts = fleet()
    hosts["h2"] = replace(hosts["h2"], told=10.0)
    (one,) = planned(hosts, max_age=60.0)["unknown"]
    assert one == {"host": "h2", "why": "its facts are 91 s old, and 60 s are allowed"}


def test_a_host_that_told_nothing_is_unknown():
    result = planned({**fleet(), "h4": None}, domains=[NEW])
    assert result["unknown"] == [{"host": "h4", "why": "it has never said what it is"}]
    assert result["hosts"] == ["h1", "h2", "h3", "h4"]
    assert refusal({"h1": None, "h2": None}) == (
        "facts: 'told': none of 2 hosts has told what it is; register numa_domain_info with fleet=true on each of them,"
        " and give the name of that variable"
    )


def test_capacity_and_losses():
    result = planned(capacity=[{"name": "s", "vcpus": 1, "memory": GIB}], losses=["rack1"])
    assert result["capacity"][0]["fits"] > 0
    assert [(each["host"], each["placed"]) for each in result["losses"]] == [("h1", 1), ("h2", 0)]
    assert [each["name"] for each in result["losses"][0]["capacity"]] == ["s"]


@pytest.mark.parametrize("option", ["drain", "losses"])
def test_hosts_that_it_is_not_for(option):
    said = f"{option}: 'h9': is none of the hosts that this plan is for; give names, groups, or patterns such as kvm*"
    assert refusal(**{option: ["h9"]}) == said
    assert refusal(**{option: ["h3"], "hosts": ["h1"]}).startswith(f"{option}: 'h3'")


def test_labels_of_hosts_that_it_is_not_for():
    assert refusal(labels={"h9": {"rack": "r1"}}).startswith("labels: 'h9': is none of the hosts")
    assert refusal(labels={"h1": "r1"}) == "labels[h1]: is no dictionary; write {rack: r1}"


# The file


def test_check_run_again_check(tmp_path):
    path = tmp_path / "plans" / "one.json"
    wanted = {"domains": [NEW], "plan_file": str(path)}
    checked = planned(check=True, **wanted)
    assert checked["changed"] and not path.parent.exists()
    assert planned(**wanted) == {**checked, "plan_file": str(path)}
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["one.json"]
    was = path.read_text(encoding="utf-8")
    # Whenever it is made anew.
    assert not planned(now=200.0, **wanted)["changed"]
    assert not planned(check=True, **wanted)["changed"]
    assert path.read_text(encoding="utf-8") == was
    assert planned(**{**wanted, "domains": [{**NEW, "name": "m"}]})["changed"]
    assert path.read_text(encoding="utf-8") != was


def test_a_plan_is_used_later(tmp_path):
    path = str(tmp_path / "one.json")
    made = planned(drain=["h1"], labels={"h1": {"rack": "r1"}}, plan_file=path)
    later = {name: replace(each, told=300.0) for name, each in fleet().items()}
    used = planned(later, now=301.0, apply_from=path, max_age=60.0, diff=True)
    for name in ("placements", "batches", "rejections", "moves", "hosts", "vcpus", "plan_file"):
        assert used[name] == made[name]
    assert not used["changed"] and used["diff"]["before"] == "a: h1\n"


def test_a_plan_is_refused_where_a_host_has_changed(tmp_path):
    path = str(tmp_path / "one.json")
    (one,) = planned(drain=["h1"], plan_file=path)["placements"]
    there = {"h1", one["host"]}
    for name in fleet():
        changed = {**fleet(), name: a_host(name, guest("other"), it=QEMU)}
        if name in there:
            said = refusal(changed, apply_from=path)
            assert said == f"apply_from: {path!r}: {name} is not as when it was made; plan again"
        else:
            assert planned(changed, apply_from=path)["moves"] == 1
    assert " are not as when it was made" in refusal(apply_from=path, max_age=60.0, now=999.0)
    assert "h1 is not as" in refusal({**fleet(), "h1": None}, apply_from=path)


def test_files_that_are_not_ours(tmp_path):
    path = tmp_path / "mine"
    path.write_text("mine", encoding="utf-8")
    for option in ("plan_file", "apply_from"):
        said = f"{option}: {str(path)!r}: is no plan of this module; give a file that plan_file has written"
        assert refusal(**{option: str(path)}) == said
    assert path.read_text(encoding="utf-8") == "mine"
    link = tmp_path / "link"
    link.symlink_to(path)
    assert refusal(plan_file=str(link)).endswith("cannot be read: is not a regular file")
    missing = str(tmp_path / "none")
    said = f"apply_from: {missing!r}: there is no such file; give a file that plan_file has written"
    assert refusal(apply_from=missing) == said


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    path = tmp_path / "file" / "plan.json"
    path.parent.write_text("", encoding="utf-8")
    assert refusal(plan_file=str(path)).startswith(f"plan_file: {str(path)!r}: cannot be read: ")
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    assert refusal(plan_file=str(folder / "plan.json")).startswith("plan_file: ")
    assert os.listdir(folder) == []

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ansible_collections.numa.virt.plugins.module_utils._node.files.write_file", full)
    said = refusal(plan_file=str(tmp_path / "plan.json"))
    assert said == f"plan_file: {str(tmp_path / 'plan.json')!r}: cannot be written: No space left on device"
