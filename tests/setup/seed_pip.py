# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives ansible-test the pip it bootstraps its environments with, taken from the package index.

ansible-test looks for ``get_pip_<version>.py`` in its cache before it downloads one from a host of its own, which is
not reachable from everywhere. The script put there installs pip from pip's own wheel, laid beside it. A file that is
there already is left alone, whoever made it.

usage: PYTHON seed_pip.py     with the Python of an environment that has ansible-core
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

CACHE = Path("~/.ansible/test/cache").expanduser()

SCRIPT = """\
# Made by numa.virt's tests/setup/seed_pip.py: a stand-in for get-pip.py that installs from the wheel beside it.
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().with_name("{wheel}")))

from pip._internal.cli.main import main

unknown_to_pip = ("--no-setuptools", "--no-wheel")
wanted = [argument for argument in sys.argv[1:] if argument not in unknown_to_pip]
sys.exit(main(["install", "--upgrade", "--force-reinstall", *wanted]))
"""


def versions() -> list[str]:
    """The versions of pip that the installed ansible-test asks for."""
    found = importlib.util.find_spec("ansible_test")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("seed_pip: no ansible-test beside this Python")
    source = Path(found.submodule_search_locations[0]) / "_internal" / "python_requirements.py"
    return sorted(set(re.findall(r"\bpip=['\"]([0-9.]+)['\"]", source.read_text(encoding="utf-8"))))


def seed(version: str) -> None:
    """Lay the script and the wheel of one version of pip into ansible-test's cache."""
    script = CACHE / f"get_pip_{version.replace('.', '_')}.py"
    if script.exists():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    wheel = f"pip-{version}-py3-none-any.whl"
    # The project's own environment has a pip; those that uv makes have none.
    pip = [str(Path(__file__).resolve().parents[2] / ".venv" / "bin" / "python"), "-m", "pip"]
    subprocess.run(
        [*pip, "download", "-q", "--no-deps", "--only-binary=:all:", f"--dest={CACHE}", f"pip=={version}"], check=True
    )
    partial = script.with_suffix(".partial")
    partial.write_text(SCRIPT.format(wheel=wheel), encoding="utf-8")
    partial.rename(script)
    print(f"seeded {script}")


if __name__ == "__main__":
    for wanted in versions():
        seed(wanted)
