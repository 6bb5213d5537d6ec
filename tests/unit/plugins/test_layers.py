# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports point down, and only where the table in pyproject.toml lets them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ansible_collections.numa.virt.tests.unit.layers import PACKAGE, violations

REPO = Path(__file__).resolve().parents[3]
UTILS = f"{PACKAGE}.module_utils"
TABLE = {"modules": ["_top"], "_top": ["_values", "_errors"], "_values": ["_errors"], "_errors": []}
TREE = {
    "modules/it.py": f"from {UTILS}._top.run import run",
    "module_utils/_top/__init__.py": "",
    "module_utils/_top/run.py": f"import os\nfrom {UTILS}._values import cpuset\nfrom {UTILS}._top import run as me",
    "module_utils/_top/other.py": f"def late():\n    from {UTILS} import _errors",
    "module_utils/_values/cpuset.py": f"import {UTILS}._errors",
    "module_utils/_errors.py": "",
}


def violations_of(folder, table=None, **changes):
    """Of the made-up tree, where some files are others; a file's name has ``__`` where there is a slash."""
    for name, text in {**TREE, **{key.replace("__", "/") + ".py": text for key, text in changes.items()}}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return violations(folder, TABLE if table is None else table)


def test_the_collection_keeps_to_its_table():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    table = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["numa-virt"]["layers"]
    assert violations(REPO / "plugins", table) == []


def test_folders_import_nothing_themselves():
    """Else whoever ships one of their files ships all of them."""
    texts = {path: path.read_text(encoding="utf-8") for path in (REPO / "plugins").rglob("__init__.py")}
    nodes = [(path, node) for path, text in texts.items() for node in ast.walk(ast.parse(text))]
    assert [str(path) for path, node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))] == []


def test_a_tree_that_keeps_to_its_table(tmp_path):
    assert violations_of(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("module_utils___values__b", f"from {UTILS}._top.run import run", "b.py:1: _values must not import _top"),
        ("module_utils___values__b", f"\nfrom {UTILS} import _top", "b.py:2: _values must not import _top"),
        ("module_utils___values__b", f"import {UTILS}._top.run as run", "b.py:1: _values must not import _top"),
        ("modules__b", f"def f():\n    from {UTILS} import _errors", "b.py:2: modules must not import _errors"),
        (
            "modules__b",
            f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {UTILS}._values.cpuset import CpuSet",
            "b.py:3: modules must not import _values",
        ),
        (
            "module_utils___errors",
            f"from {UTILS}._values.cpuset import A",
            "_errors.py:1: _errors must not import",
        ),
        ("module_utils___top__b", f"from {PACKAGE}.modules import it", "b.py:1: _top must not import modules"),
        ("module_utils___top__b", "from . import run", "b.py:1: only absolute imports are found by Ansible"),
        ("module_utils___top__b", "import importlib", "b.py:1: only absolute imports are found by Ansible"),
        ("module_utils___top__b", "from importlib import util", "b.py:1: only absolute imports are found by Ansible"),
        ("module_utils___top__b", "__import__('x')", "b.py:1: only absolute imports are found by Ansible"),
        ("module_utils___new__b", "", "the table does not know _new"),
    ],
)
def test_what_is_not_in_the_table(tmp_path, file, text, said):
    (found,) = violations_of(tmp_path, **{file: text})
    assert said in found


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"_errors": ["_values"]}, "the table lets _errors import _values, which does not stand below it"),
        ({"_values": ["_values", "_errors"]}, "the table lets _values import _values, which does not stand below it"),
        ({"_top": ["_values", "_nowhere"]}, "the table lets _top import _nowhere, which does not stand below it"),
        ({"modules": ["_top", "_values"]}, "the table lets modules import _values, and nothing does"),
    ],
)
def test_a_table_that_is_not_right(tmp_path, table, said):
    assert said in violations_of(tmp_path, {**TABLE, **table})
