# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of a document is logged, returned or printed by any module, whatever option it is given for."""

from __future__ import annotations

import importlib
import json
import os

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.numa.virt.plugins.module_utils._module import quiet
from ansible_collections.numa.virt.tests.unit.plugins.modules.least import MODULES, NOWHERE, options_of

SECRET = "hunter2X"
DOCUMENT = (
    "<domain type='test'>\n  <name>web1</name>\n  <memory unit='MiB'>16</memory>\n  <vcpu>1</vcpu>\n"
    f"  <devices><graphics type='vnc' passwd='{SECRET}'/></devices>\n</domain>\n"
)
FORMS = {
    "text": DOCUMENT,
    "one line": " ".join(DOCUMENT.split()),
    "list": [DOCUMENT],
    "nested list": [[DOCUMENT]],
    "dictionary": {"xml": DOCUMENT},
    "misspelt": [{"xlm": DOCUMENT, "vncpasswd": SECRET}],
    "as a name": [{"name": DOCUMENT}],
    "as a key": {DOCUMENT: 1},
    "json": json.dumps([{"name": "web1", "xml": DOCUMENT}]),
    "xl": f'name = "web1"\nvcpus = 1\nvncpasswd = "{SECRET}"\n',
    "line of xl": f'vncpasswd="{SECRET}"',
}


def module(name):
    return importlib.import_module(f"ansible_collections.numa.virt.plugins.modules.{name}")


OPTIONS = [(name, *where) for name in MODULES for where in (*options_of(module(name).main), ("documant",))]


@pytest.fixture
def seen(monkeypatch, capsys, tmp_path):
    """Run a module; its result, and all that it logged and printed."""
    logged = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.syslog, "syslog", lambda _level, text: logged.append(text))
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(name, arguments, check=False):
        internal = {
            "_ansible_check_mode": check,
            "_ansible_inject_invocation": True,
            "_ansible_remote_tmp": str(tmp_path),
        }
        # As it comes from a play: plain data, and no more.
        with patch_module_args(json.loads(json.dumps({**arguments, **internal}))), pytest.raises(SystemExit):
            module(name).main()
        printed = capsys.readouterr()
        return json.loads(printed.out), "\n".join((printed.out, printed.err, *logged))

    return run


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", OPTIONS, ids=".".join)
def test_nothing_of_a_document_is_said(seen, where, form):
    name, option, *inside = where
    value = FORMS[form]
    if inside:
        given = {**(MODULES[name].get(option) or [{}])[0], inside[0]: value}
        value = [given] if option == "hosts" else given
    result, said = seen(name, {**MODULES[name], option: value})
    assert result["failed"] and result["msg"]
    assert SECRET not in said
    assert "graphics" not in said and len(result["msg"]) < 500
    assert result["invocation"]["module_args"].keys() >= MODULES[name].keys()


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("check", [False, True])
def test_what_holds_no_secret_is_logged(seen, name, check):
    result, said = seen(name, MODULES[name], check)
    assert "Invoked with " in said
    for option, value in MODULES[name].items():
        if option != "hosts":
            assert f"{option}={value}" in said
            assert result["invocation"]["module_args"][option] == value


def test_of_the_domains_all_is_logged_but_the_definition(seen):
    domains = ["web2", {"xml": DOCUMENT, "cells": [1], "policy": "pack"}]
    result, said = seen("numa_placement", {"uri": NOWHERE, "domains": domains})
    hidden = f"(not shown: {len(DOCUMENT)} characters)"
    assert f"domains=['web2', {{'xml': '{hidden}', 'cells': [1], 'policy': 'pack'}}]" in said
    assert result["invocation"]["module_args"]["domains"][1]["xml"] == hidden
    assert SECRET not in said


def test_a_long_argument_is_cut(seen):
    _result, said = seen("numa_release", {"uri": NOWHERE, "names": [f"web{number}" for number in range(1000)]})
    assert "web99'" in said and "web999" not in said.split("Invoked with")[1].split("\n")[0]


def test_ansible_may_fail_before_it_has_read_the_arguments(monkeypatch, capsys):
    def fail(self):
        self.fail_json(msg="no locale")

    monkeypatch.setattr(quiet.QuietModule, "_check_locale", fail)
    # What an earlier test of this process may have left there; Ansible 2.21 reads it as a dictionary.
    monkeypatch.setattr(basic, "_PARSED_MODULE_ARGS", {}, raising=False)
    with patch_module_args({"name": "x"}), pytest.raises(SystemExit):
        quiet.QuietModule({"name": {"type": "str"}})
    assert json.loads(capsys.readouterr().out)["msg"] == "no locale"


def test_every_module_is_here():
    folder = os.path.dirname(module("numa_domain").__file__)
    names = {os.path.splitext(each)[0] for each in os.listdir(folder) if each.endswith(".py")}
    # One that runs on the controller is documentation here.
    assert {name for name in names if hasattr(module(name), "main")} == set(MODULES)
