# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin around the plan: what it takes of a task and its variables, and that its options are documented."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import yaml
from ansible.errors import AnsibleActionFail, AnsibleUndefinedVariable
from ansible.parsing.dataloader import DataLoader

from ansible_collections.numa.virt.plugins.action.numa_fleet_plan import ARGUMENTS, ActionModule
from ansible_collections.numa.virt.plugins.module_utils._fleet.told import told_as_text
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._fleet.builders import a_host, guest
from ansible_collections.numa.virt.tests.unit.plugins.modules.returns import FOLDER

NAMES = ("h1", "h2")
NEW = {"name": "n", "vcpus": 2, "memory": "1GiB"}


def hostvars():
    hosts = (a_host("h1", guest("a"), told=1.0), a_host("h2", told=1.0))
    return {each.name: {"told": {"fleet": told_as_text(each), "changed": False}} for each in hosts}


def run(check=False, diff=False, variables=None, folder="/nonexistent", **args):
    loader = DataLoader()
    loader.set_basedir(str(folder))
    task = SimpleNamespace(args={"facts": "told", **args}, check_mode=check, diff=diff, async_val=0)
    said = {
        "ansible_play_hosts_all": NAMES,
        "ansible_play_hosts": NAMES,
        "ansible_play_batch": NAMES,
        "groups": {"all": list(NAMES), "hv": list(NAMES)},
        "hostvars": hostvars(),
        **(variables or {}),
    }
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    plugin = ActionModule(task, connection, SimpleNamespace(check_mode=check, diff=diff), loader, None, None)
    return plugin.run(task_vars=said)


def test_a_plan():
    result = run(domains=[NEW])
    assert [each["name"] for each in result["placements"]] == ["n"]
    assert not result["changed"] and "failed" not in result and "diff" not in result
    assert run(guests=[NEW], hosts="hv", diff=True)["diff"]["before"] == "n: nowhere\n"


def test_files_are_beside_the_playbook(tmp_path):
    args = {"domains": [NEW], "plan_file": "plans/one.json", "folder": tmp_path}
    assert run(check=True, **args)["changed"] and not (tmp_path / "plans").exists()
    made = run(**args)
    assert made["changed"] and made["plan_file"] == str(tmp_path / "plans" / "one.json")
    assert not run(**args)["changed"]
    used = run(apply_from="plans/one.json", folder=tmp_path)
    assert used["placements"] == made["placements"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ansible_limit": "h1"}, "hosts: this run is limited to some hosts (--limit); name the hosts that the plan"),
        ({"ansible_play_batch": ("h1",)}, "hosts: this play takes its hosts in batches (serial); name the hosts"),
        ({"hostvars": {}}, "facts: 'told': none of 2 hosts has told what it is; register numa_domain_info"),
        ({"hostvars": {"h1": {"told": "{"}}}, "hosts[h1]: what it told cannot be read: it is no JSON"),
    ],
)
def test_what_is_refused_is_one_line(variables, said):
    result = run(variables=variables)
    assert result["failed"] and not result["changed"]
    assert result["msg"].startswith(said) and "\n" not in result["msg"]
    assert result["error"]["code"] == "invalid_input"


def test_a_variable_that_cannot_be_had():
    class Undefined(dict):
        def get(self, name):
            raise AnsibleUndefinedVariable("'guests' is undefined")

    result = run(variables={"hostvars": {"h1": Undefined(told=1)}})
    assert result["failed"] and result["msg"].startswith("facts: 'told': h1: 'guests' is undefined")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"documents": []}, "Unsupported parameters"),
        ({"max_moves": "many"}, "max_moves"),
        ({"apply_from": "x", "domains": ["a"]}, "parameters are mutually exclusive: apply_from|domains"),
        ({"apply_from": "x", "plan_file": "y"}, "parameters are mutually exclusive: apply_from|plan_file"),
    ],
)
def test_arguments_are_checked(args, said):
    with pytest.raises(AnsibleActionFail, match=re.escape(said)):
        run(**args)


def test_options_are_those_that_are_documented():
    """ansible-test does not compare them for a plugin that runs on the controller."""
    text = (FOLDER / "numa_fleet_plan.py").read_text(encoding="utf-8")
    found = re.search('DOCUMENTATION = r"""\n(.*?)"""', text, re.DOTALL)
    assert found is not None

    def told(options):
        return {
            name: {
                **{key: said[key] for key in ("type", "elements", "default", "required", "aliases") if key in said},
                **({"options": told(said["suboptions"])} if "suboptions" in said else {}),
            }
            for name, said in options.items()
        }

    assert told(yaml.safe_load(found[1])["options"]) == ARGUMENTS
