# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one definition of every check. ``make test`` runs them all; ``nox -s NAME`` runs one; ``nox -l`` lists them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent / "tests" / "setup"))
import machine

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

REPO = Path(__file__).parent
PACKAGE = "ansible_collections.numa.virt"

os.environ.update(machine.index_environment())
os.environ["PATH"] = machine.path_with({**machine.target_pythons(), "own": sys.executable})


def install(session: nox.Session, *names: str) -> None:
    """Install pinned requirements: tests/requirements/NAME.txt."""
    for name in names:
        session.install("-r", f"tests/requirements/{name}.txt")


def settings() -> dict[str, list[str]]:
    """What pyproject.toml says in [tool.numa-virt]."""
    found: dict[str, list[str]] = nox.project.load_toml("pyproject.toml")["tool"]["numa-virt"]
    return found


@nox.session
def lint(session: nox.Session) -> None:
    """Style and likely mistakes of Python and YAML."""
    install(session, "lint")
    session.run("ruff", "check", *(session.posargs or ["."]))
    session.run("ruff", "format", "--check", *(session.posargs or ["."]))
    session.run("yamllint", "-c", ".config/yamllint.yml", "--strict", ".")


@nox.session(name="format", default=False)
def format_(session: nox.Session) -> None:
    """Rewrite Python files in the project's format (no check)."""
    install(session, "lint")
    session.run("ruff", "check", "--fix", "--exit-zero", *(session.posargs or ["."]))
    session.run("ruff", "format", *(session.posargs or ["."]))


@nox.session
def types(session: nox.Session) -> None:
    """Static types, strict, of everything below the modules."""
    install(session, "types")
    machine.link_tree()
    session.run("mypy", "-p", f"{PACKAGE}.plugins.module_utils", *session.posargs)
    session.run("mypy", "tests/testd/testd.py")


@nox.session
def units(session: nox.Session) -> None:
    """Unit tests, and every branch of the pure layers covered by them."""
    install(session, "units")
    (machine.CACHE / "coverage").mkdir(parents=True, exist_ok=True)
    environment = {"PYTHONPATH": str(machine.link_tree())}
    session.run("coverage", "run", "-m", "pytest", *session.posargs, env=environment)
    if session.posargs:
        return
    session.run("coverage", "report")
    pure = [f"plugins/module_utils/{name}.py" for name in settings()["pure"]]
    session.run("coverage", "report", "--fail-under=100", "--include=" + ",".join(pure))
