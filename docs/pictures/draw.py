# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draw the pictures of the guide "Choosing a policy", and write the results of its examples.

    python docs/pictures/draw.py            pictures into docs/docsite/images, results into the guide
    python docs/pictures/draw.py --check    change nothing, and fail where they are not what the planner says today

Each example stands in the guide as a role's variables and as one task. Both are read from there and must come to the
same; the planner plans it on the host of scenes.py, and the collection's own map draws it. Needs PyYAML:
`.venv/bin/nox -s pictures` runs it where that is, and the `docs` check runs it with --check.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
_TREE = tempfile.TemporaryDirectory(prefix="numa-virt-pictures-")
Path(_TREE.name, "ansible_collections", "numa").mkdir(parents=True)
os.symlink(REPO, Path(_TREE.name, "ansible_collections", "numa", "virt"))
sys.path[:0] = [_TREE.name, str(Path(__file__).resolve().parent)]

import guide
from plans import Played, guests_result, host_result, play
from scenes import SCENES, Scene

from ansible_collections.numa.virt.plugins.module_utils._map.svg import host_svg
from ansible_collections.numa.virt.plugins.module_utils._planner.result import plan_as_result

GUIDE = REPO / "docs" / "docsite" / "rst" / "choosing_a_policy.rst"
IMAGES = REPO / "docs" / "docsite" / "images"
# Of each placement, where there is something to say.
_SHOWN = ("name", "action", "cpuset", "vcpu_pins", "emulator_cpuset", "guest_cells", "reason")
_LICENCE = """<!--
Copyright: Contributors to the numa.virt collection
GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
Drawn by docs/pictures/draw.py: do not edit.
-->
"""


def play_all(text: str) -> list[Played]:
    """Every scene, with what the guide asks for. Raises GuideError."""
    spans = guide.blocks(text)
    unknown = {scene for scene, _kind in spans} - {scene.name for scene in SCENES}
    if unknown:
        raise guide.GuideError(f"there is no scene {sorted(unknown)}")
    played: dict[str, Played] = {}
    for scene in SCENES:
        task = guide.task_of(guide.code(text, spans[scene.name, "task"]), REPO)
        if (scene.name, "inventory") in spans:
            variables = guide.code(text, spans[scene.name, "inventory"])
            meant = guide.task_of_role(scene.role, variables, REPO)
            if meant != task:
                raise guide.GuideError(f"{scene.name}: the role does {meant}, the task {task}")
        played[scene.name] = play(scene, task, played[scene.after] if scene.after is not None else None)
    return list(played.values())


def shown(played: Played) -> str:
    """The part of the result that the guide prints."""
    result = plan_as_result(played.plan)
    result["placements"] = [
        {name: each[name] for name in _SHOWN if each[name] not in (None, {}, [])}
        for each in result["placements"]
        if not played.scene.only or each["name"] in played.scene.only
    ]
    return "# what the plan says\n" + guide.dumped({name: result[name] for name in played.scene.shows})


def picture(played: Played) -> str:
    drawn = host_svg(host_result(played), guests_result(played))
    declaration, line_end, rest = drawn.partition("\n")
    return declaration + line_end + _LICENCE + rest


def wanted() -> dict[Path, str]:
    """All files, with what is to be in them. Raises GuideError."""
    text = GUIDE.read_text(encoding="utf-8")
    played = play_all(text)
    files = {GUIDE: guide.with_results(text, {each.scene.name: shown(each) for each in played})}
    for each in played:
        if each.scene.picture:
            if f"../images/{_file(each.scene)}" not in text:
                raise guide.GuideError(f"the guide does not show {_file(each.scene)}")
            files[IMAGES / _file(each.scene)] = picture(each)
    return files


def _file(scene: Scene) -> str:
    return f"{scene.name}.svg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, fail where something would change")
    options = parser.parse_args()
    try:
        files = wanted()
    except guide.GuideError as error:
        sys.exit(f"{GUIDE.name}: {error}")
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    stray = [path for path in sorted(IMAGES.glob("*.svg")) if path not in files]
    if options.check:
        if stale or stray:
            names = " ".join(str(path.relative_to(REPO)) for path in [*stale, *stray])
            sys.exit(f"not what the planner says today: {names}; `.venv/bin/nox -s pictures` makes them anew")
        return
    IMAGES.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(files[path], encoding="utf-8")
        print(f"wrote {path.relative_to(REPO)}")
    for path in stray:
        path.unlink()
        print(f"removed {path.relative_to(REPO)}")


if __name__ == "__main__":
    main()
