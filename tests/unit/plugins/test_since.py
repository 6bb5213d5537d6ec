# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plugin has learned since a release says since when: fixtures/documented has what that release documented.

What came with its plugin says nothing, as everywhere in Ansible: the plugin does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parents[3]
RELEASES = REPO / "tests" / "unit" / "fixtures" / "documented"
CASES = [
    (release.stem, plugin)
    for release in sorted(RELEASES.glob("*.json"))
    for plugin in json.loads(release.read_text(encoding="utf-8"))
]
FRAGMENTS = "ansible_collections.numa.virt.plugins.doc_fragments"


def part_of(plugin: str, part: str) -> dict[str, Any]:
    text = (REPO / "plugins" / f"{plugin}.py").read_text(encoding="utf-8")
    found = re.search(f'{part} = r"""\n(.*?)"""', text, re.DOTALL)
    assert found is not None
    values: dict[str, Any] = yaml.safe_load(found[1])
    return values


def options_of(plugin: str) -> dict[str, Any]:
    """Those of its doc fragments too."""
    document = part_of(plugin, "DOCUMENTATION")
    options = dict(document.get("options") or {})
    for fragment in document.get("extends_documentation_fragment", ()):
        _numa, _virt, file, *name = fragment.split(".")
        text = getattr(
            import_module(f"{FRAGMENTS}.{file}").ModuleDocFragment, name[0].upper() if name else "DOCUMENTATION"
        )
        for option, value in (yaml.safe_load(text).get("options") or {}).items():
            options[option] = {**value, **options.get(option, {})}
    return options


def paths(values: dict[str, Any], where: str = "", since: str | None = None) -> Iterator[tuple[str, str | None]]:
    """(path, since when) of each value and of what is in it, which has its version."""
    for name, value in values.items():
        version = value.get("version_added", since)
        yield where + name, version
        yield from paths(value.get("suboptions") or value.get("contains") or {}, f"{where}{name}.", version)


@pytest.mark.parametrize(("release", "plugin"), CASES)
def test_what_is_new_says_since_when(release: str, plugin: str) -> None:
    was = json.loads((RELEASES / f"{release}.json").read_text(encoding="utf-8"))[plugin]
    now = {"options": options_of(plugin), "return": part_of(plugin, "RETURN")}
    for kind, values in now.items():
        assert [path for path, since in paths(values) if path not in was[kind] and since is None] == []
        # And what was there then does not say that it came later.
        assert [path for path, since in paths(values) if path in was[kind] and since not in (None, release)] == []
