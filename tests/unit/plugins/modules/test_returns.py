# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules document of their results: each thing in one place, to which the others point.

Ansible has no fragments for RETURN. A value that several modules give is told of by one of them, key by key; the others
say ``as RV(numa.virt.MODULE#module:VALUE)`` and show a sample. That results have no other keys is seen by
module_utils/_engine/test_returns.py.
"""

from __future__ import annotations

import re

import pytest
import yaml

from ansible_collections.numa.virt.tests.unit.plugins.modules.returns import MODULES, keys_of, returned, told

#: (module, path) of everything that is told of key by key
PLACES = [(module, path) for module in MODULES for path, _keys in told(returned(module))]


def test_nothing_is_told_of_twice():
    found = {}
    for module in MODULES:
        for path, keys in told(returned(module)):
            texts = {(name, yaml.safe_dump(each.get("description"))) for name, each in keys.items()}
            for other, those in found.items():
                same = sorted(name for name, _text in texts & those)
                assert len(same) < 4, f"{module}: {path} says of {same} what {other} says"
            found[f"{module}: {path}"] = texts


@pytest.mark.parametrize("module", MODULES)
def test_samples_show_what_is_told_of(module):
    """Where a value is a dictionary that is told of, by this module or another one."""

    def look(values, where):
        for name, value in values.items():
            path = f"{where}.{name}" if where else name
            keys = keys_of(value)
            samples = value.get("sample")
            for sample in samples if isinstance(samples, list) else [samples]:
                if keys is not None and isinstance(sample, dict):
                    assert set(sample) <= set(keys), f"{module}: {path}"
            look(value.get("contains", {}), path)

    look(returned(module), "")


@pytest.mark.parametrize("module", MODULES)
def test_each_reference_leads_to_what_is_told_of(module):
    text = yaml.safe_dump(returned(module), width=10000)
    for other, path in re.findall(r"\bas RV\(numa\.virt\.(\w+)#module:([\w.\[\]]+)\)", text, re.IGNORECASE):
        values = returned(other)
        for name in path.replace("[]", "").split("."):
            assert name in values, f"{module}: {other}: {path}"
            values = values[name].get("contains", {})
