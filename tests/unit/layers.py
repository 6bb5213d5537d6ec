# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who imports whom in plugins, compared with the table in pyproject.toml ([tool.numa-virt.layers]).

Imports are read, not run. One in a function or for types alone counts as any other: Ansible ships what it finds so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PACKAGE = "ansible_collections.numa.virt.plugins"
_DYNAMIC = ("importlib", "runpy")


def imports(plugins: Path) -> Iterator[tuple[str, str, str]]:
    """(file with line, room, imported room) of every import of ours; what cannot be followed is imported as "?".

    A room is a folder of module_utils, a file that stands there alone, or a kind of plugins.
    """
    for path in sorted(plugins.rglob("*.py")):
        name = path.relative_to(plugins)
        room = _room(name.with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for target in _targets(node):
                yield f"{name}:{node.lineno}", room, target  # type: ignore[attr-defined]


def _room(parts: Sequence[str]) -> str:
    return parts[1] if parts[0] == "module_utils" and len(parts) > 1 else parts[0]


def _targets(node: ast.AST) -> Iterator[str]:
    """The rooms that one statement names."""
    if isinstance(node, ast.Import):
        names = [each.name for each in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module is not None:
        # What is imported may be a module itself.
        names = [f"{node.module}.{each.name}" for each in node.names]
    elif isinstance(node, ast.ImportFrom) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "__import__"
    ):
        yield "?"
        return
    else:
        return
    for name in names:
        if name.partition(".")[0] in _DYNAMIC:
            yield "?"
        elif name.startswith(PACKAGE + "."):
            yield _room(name[len(PACKAGE) + 1 :].split("."))


def violations(plugins: Path, table: Mapping[str, Sequence[str]]) -> list[str]:
    """A line for each import, and each arrow of the table, that is not right. The table goes from the top down."""
    order = list(table)
    found = [
        f"the table lets {room} import {below}, which does not stand below it"
        for at, room in enumerate(order)
        for below in table[room]
        if below not in order[at + 1 :]
    ]
    used = set()
    for where, room, target in imports(plugins):
        if target == "?":
            found.append(f"{where}: only absolute imports are found by Ansible")
        elif room != target:
            used.add((room, target))
            if target not in table.get(room, ()):
                found.append(f"{where}: {room} must not import {target}")
    found += [
        f"the table lets {room} import {below}, and nothing does"
        for room in order
        for below in table[room]
        if (room, below) not in used
    ]
    rooms = {_room(path.relative_to(plugins).with_suffix("").parts) for path in plugins.rglob("*.py")}
    return found + [f"the table does not know {room}" for room in sorted(rooms - set(order))]
