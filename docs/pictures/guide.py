# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in the guide's text: which block belongs to which scene, what it says, and the same with new results.

A block is marked by a comment, which readers do not see::

    .. scene: pack task

    .. code-block:: yaml

        - name: Place the web servers
          ...

``inventory`` are variables of the scene's role, ``task`` is one task with numa_placement, and ``result`` is written.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_MARK = re.compile(r"\.\. scene: (?P<scene>\S+) (?P<kind>inventory|task|result)")
_INDENT = "    "
_MODULE = "numa.virt.numa_placement"


class GuideError(Exception):
    """The guide says something that does not hold."""


class _Dumper(yaml.SafeDumper):
    """Lists and mappings of plain values in one line, but for those that have a name; and lists indented."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def represent_list(self, data: list[Any]) -> yaml.Node:
        plain = not any(isinstance(each, (dict, list)) for each in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=plain)

    def represent_dict(self, data: dict[str, Any]) -> yaml.Node:
        short = "name" not in data and all(isinstance(each, (str, int, float, type(None))) for each in data.values())
        return self.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=short)


_Dumper.add_representer(list, _Dumper.represent_list)
_Dumper.add_representer(dict, _Dumper.represent_dict)


def dumped(result: Mapping[str, Any]) -> str:
    """A result as the guide shows it; long texts are folded as YAML folds them."""
    return yaml.dump(dict(result), Dumper=_Dumper, sort_keys=False, width=88, allow_unicode=True)


def blocks(text: str) -> dict[tuple[str, str], tuple[int, int]]:
    """(scene, kind) -> first line of its code, and the one after its last."""
    lines = text.splitlines()
    found = {}
    for number, line in enumerate(lines):
        match = _MARK.fullmatch(line)
        if match is None:
            continue
        start = number + 2
        if not lines[start].startswith(".. code-block:: "):
            raise GuideError(f"line {number + 1}: no code-block follows {line!r}")
        start += 2
        end = start
        while end < len(lines) and (not lines[end] or lines[end].startswith(_INDENT)):
            end += 1
        while end > start and not lines[end - 1]:
            end -= 1
        key = (match["scene"], match["kind"])
        if key in found:
            raise GuideError(f"line {number + 1}: {' '.join(key)} is there twice")
        found[key] = (start, end)
    return found


def code(text: str, span: tuple[int, int]) -> Any:
    """What a block of YAML says."""
    return yaml.safe_load("\n".join(line[len(_INDENT) :] for line in text.splitlines()[slice(*span)]))


def with_results(text: str, results: Mapping[str, str]) -> str:
    """The text with these results; every block for one gets one. Raises GuideError."""
    lines = text.splitlines()
    spans = {scene: span for (scene, kind), span in blocks(text).items() if kind == "result"}
    if set(spans) != set(results):
        raise GuideError(f"results without a block, or blocks without one: {sorted(set(spans) ^ set(results))}")
    for scene, (start, end) in sorted(spans.items(), key=lambda each: -each[1][0]):
        lines[start:end] = [f"{_INDENT}{line}" if line else "" for line in results[scene].splitlines()]
    return "\n".join(lines) + "\n"


def task_of(tasks: Any, repo: Path) -> dict[str, Any]:
    """The options of the one task in a block. Raises GuideError where the module has no such option."""
    if not isinstance(tasks, list) or len(tasks) != 1 or _MODULE not in tasks[0]:
        raise GuideError(f"a block is to be one task with {_MODULE}")
    options: dict[str, Any] = tasks[0][_MODULE]
    unknown = set(options) - _module_options(repo) - {"uri"}
    if unknown:
        raise GuideError(f"{_MODULE} has no option {sorted(unknown)}")
    return options


def task_of_role(role: str, variables: Mapping[str, Any], repo: Path) -> dict[str, Any]:
    """What a role makes of its variables: options of numa_placement. Raises GuideError where it does not know one."""
    specs = yaml.safe_load((repo / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    known = specs["argument_specs"]["main"]["options"]
    options: dict[str, Any] = {} if role == "rebalance" else {"policy": role}
    for variable, value in variables.items():
        name = variable.removeprefix("numa_virt_").removeprefix(f"{role}_")
        if f"{role}_{name}" not in known:
            raise GuideError(f"the role {role} does not read {variable}")
        options[name] = value
    return {**options, "rebalance": True} if role == "rebalance" else options


def _module_options(repo: Path) -> set[str]:
    source = (repo / "plugins" / "modules" / "numa_placement.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "DOCUMENTATION":
            return set(yaml.safe_load(ast.literal_eval(node.value))["options"])
    raise GuideError(f"{_MODULE} has no documentation")
