# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules document of their results, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[4] / "plugins" / "modules"
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
_ELSEWHERE = re.compile(r"\b[Aa]s RV\(numa\.virt\.(\w+)#module:([\w.\[\]]+)\)")
_HERE = re.compile(r"\b[Aa]s RV\(([\w.\[\]]+)\)")

Values = dict[str, Any]


@cache
def returned(module: str) -> Values:
    """name -> what is said of the value."""
    text = (FOLDER / f"{module}.py").read_text(encoding="utf-8")
    found = re.search('RETURN = r"""\n(.*?)"""', text, re.DOTALL)
    assert found is not None
    values: Values = yaml.safe_load(found[1])
    return values


def told(values: Values, where: str = "") -> Iterator[tuple[str, Values]]:
    """(path, keys) of each value whose keys are told of one by one."""
    for name, value in values.items():
        path = f"{where}.{name}" if where else name
        keys = value.get("contains")
        if keys:
            yield path, keys
            yield from told(keys, path)


def keys_of(value: Values, module: str | None = None) -> Values | None:
    """The keys of a value, where it is told of or where its description points to; None where nobody tells of them.

    ``module`` is whose value it is, which a reference without a module is to.
    """
    if "contains" in value:
        keys: Values = value["contains"]
        return keys
    said = value["description"]
    text = " ".join(said) if isinstance(said, list) else said
    elsewhere, here = _ELSEWHERE.search(text), _HERE.search(text)
    if elsewhere is not None:
        return _at(elsewhere[1], elsewhere[2])
    return _at(module, here[1]) if here is not None and module is not None else None


def _at(module: str, path: str) -> Values | None:
    values, value = returned(module), {}
    for name in path.replace("[]", "").split("."):
        value = values[name]
        values = value.get("contains", {})
    return keys_of(value, module)
