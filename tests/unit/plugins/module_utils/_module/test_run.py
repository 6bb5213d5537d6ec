# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From work to result: no traceback and no secret, whatever happens."""

from __future__ import annotations

import json

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._module import run as module_run
from ansible_collections.numa.virt.plugins.module_utils._module.libraries import MissingLibraryError
from ansible_collections.numa.virt.plugins.module_utils._module.run import run


@pytest.fixture(autouse=True)
def complete(monkeypatch):
    monkeypatch.setattr(module_run, "require_libraries", lambda: None)


def test_a_result_is_passed_on():
    assert run(lambda: {"changed": True}) == {"changed": True}


def test_an_error_becomes_a_line_and_its_parts():
    def work():
        raise InputError("cells", [7], "the host has no cell 7", "its cells are 0-1")

    result = run(work)
    assert result == {
        "msg": "cells: [7]: the host has no cell 7; its cells are 0-1",
        "changed": False,
        "error": {
            "code": "invalid_input",
            "option": "cells",
            "value": [7],
            "problem": "the host has no cell 7",
            "expected": "its cells are 0-1",
        },
    }
    json.dumps(result)


def test_a_defect_of_ours_is_one_line_that_shows_no_secret():
    def work():
        raise KeyError("s3cret")

    result = run(work)
    assert result["msg"].startswith("internal error in numa.virt (KeyError at test_run.py:")
    assert result["msg"].endswith("): please report it")
    assert result["error"]["code"] == "internal"
    assert "s3cret" not in json.dumps(result)
    assert "Traceback" not in json.dumps(result)
    assert "\n" not in result["msg"]


def test_work_that_asks_no_hypervisor_needs_no_library(monkeypatch):
    monkeypatch.setattr(module_run, "require_libraries", lambda: pytest.fail("must not look"))
    assert run(lambda: {"changed": False}, alone=True) == {"changed": False}


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_signals_and_exits_pass(ending):
    def work():
        raise ending

    with pytest.raises(ending):
        run(work)


def test_missing_libraries_are_named_with_their_packages(monkeypatch):
    def missing():
        raise MissingLibraryError("missing", libraries=["libvirt", "lxml"], packages=["python3-libvirt"])

    monkeypatch.setattr(module_run, "require_libraries", missing)
    result = run(lambda: pytest.fail("must not run"))
    assert "libvirt and lxml" in result["msg"]
    for line in (
        "apt install python3-libvirt python3-lxml",
        "dnf install python3-libvirt python3-lxml",
        "zypper install python3-libvirt-python python3-lxml",
        "pacman -S libvirt-python python-lxml",
    ):
        assert line in result["msg"]
    assert "\n" not in result["msg"]
    assert result["error"]["code"] == "missing_library"
    assert result["error"]["libraries"] == ["libvirt", "lxml"]
