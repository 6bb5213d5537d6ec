# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one definition of every check. ``make test`` runs them all; ``nox -s NAME`` runs one; ``nox -l`` lists them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nox
from nox.command import CommandFailed

sys.path[:0] = [str(Path(__file__).parent / "tests" / name) for name in ("setup", "testd")]
sys.path.append(str(Path(__file__).parent / "tests" / "lab"))
import machine
import testd
from lab_plan import SCENARIOS, SYSTEMS
from numalab import belongings

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

REPO = Path(__file__).parent
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
PACKAGE = "ansible_collections.numa.virt"

#: Whether tests/setup/checks.py runs this, and ends what it started.
WITHIN_CHECKS = "NUMA_VIRT_CHECKS" in os.environ
#: Whether checks run in their long forms.
LONG = "NUMA_VIRT_LONG" in os.environ

if not WITHIN_CHECKS:
    belongings.guard_this_process()
os.environ.update(machine.index_environment())
os.environ["PATH"] = machine.path_with({**machine.target_pythons(), "own": sys.executable})


def install(session: nox.Session, *names: str) -> None:
    """Install pinned requirements: tests/requirements/NAME.txt."""
    for name in names:
        session.install("-r", f"tests/requirements/{name}.txt")


def settings() -> dict[str, Any]:
    """What pyproject.toml says in [tool.numa-virt]."""
    found: dict[str, Any] = nox.project.load_toml("pyproject.toml")["tool"]["numa-virt"]
    return found


@nox.session
def lint(session: nox.Session) -> None:
    """Style and likely mistakes of Python and YAML."""
    install(session, "lint")
    session.run("ruff", "check", *(session.posargs or ["."]))
    session.run("ruff", "format", "--check", *(session.posargs or ["."]))
    session.run("yamllint", "-c", ".config/yamllint.yml", "--strict", ".")


@nox.session(name="format", default=False, tags=["tool"])
def format_(session: nox.Session) -> None:
    """Rewrite Python files in the project's format (no check)."""
    install(session, "lint")
    session.run("ruff", "check", "--fix", "--exit-zero", *(session.posargs or ["."]))
    session.run("ruff", "format", *(session.posargs or ["."]))


@nox.session
def types(session: nox.Session) -> None:
    """Static types: strict of everything below the modules, and that what else uses it calls what is there."""
    install(session, "types")
    machine.link_tree()
    session.run("mypy", "-p", f"{PACKAGE}.plugins.module_utils", *session.posargs)
    session.run("mypy", "tests/testd/testd.py")
    for folders in (
        ("benchmarks", "docs/pictures", "tests/browser", "tests/campaigns"),
        ("benchmarks/planner",),
        ("benchmarks/fleet",),
    ):
        files = sorted(str(path) for folder in folders for path in Path(folder).glob("*.py"))
        session.run("mypy", "--config-file", ".config/mypy-tools.ini", *files)


@nox.session
def units(session: nox.Session) -> None:
    """Unit tests, and the branches that they cover: of next to all of module_utils, and all of the pure layers."""
    install(session, "units")
    (machine.CACHE / "coverage").mkdir(parents=True, exist_ok=True)
    environment = {"PYTHONPATH": str(machine.link_tree())}
    if LONG:
        environment["NUMA_VIRT_FAULTS_STEP"] = "1"
    if session.posargs:
        session.run("coverage", "run", "-m", "pytest", *session.posargs, env=environment)
        session.run("coverage", "combine", silent=True)
        return
    session.run("coverage", "erase")
    # A process for each CPU; the few tests of one file mostly share what they build.
    words = ("-m", "pytest", "--numprocesses", str(len(os.sched_getaffinity(0))), "--dist", "worksteal")
    session.run("coverage", "run", *words, env=environment)
    session.run("coverage", "combine", silent=True)
    session.run("coverage", "report", "--fail-under=98", "--include=plugins/module_utils/*")
    pure = [f"plugins/module_utils/{name}.py" for name in settings()["pure"]]
    session.run("coverage", "report", "--fail-under=100", "--include=" + ",".join(pure))


def ansible_test(session: nox.Session, *arguments: str, mark: str | None = None) -> None:
    """Run ansible-test in a real copy of the collection, as it wants it. Its caches survive, its copy does not.

    ``mark`` is an empty file that is put into the copy.
    """
    session.run("python", str(REPO / "tests" / "setup" / "seed_pip.py"))
    session.chdir(machine.copy_tree(session.name))
    if mark is not None:
        Path(mark).touch()
    session.run("ansible-test", *arguments, "--color", "no", env={"PIP_QUIET": "2"})


def need_python(session: nox.Session, minor: int) -> None:
    """Skip the session where the Python it runs on is older than 3.<minor>."""
    if sys.version_info < (3, minor):
        session.skip(f"needs a Python 3.{minor} or newer to run Ansible with; none is here")


@nox.session(name="sanity-2.21")
def sanity_newest(session: nox.Session) -> None:
    """ansible-test sanity of the newest ansible-core, without exceptions."""
    need_python(session, 12)
    install(session, "core-2.21")
    ansible_test(session, "sanity", "--venv", *session.posargs)


@nox.session(name="sanity-2.19", python=machine.find_python("3.11") or machine.find_python("3.12"))
def sanity_oldest(session: nox.Session) -> None:
    """ansible-test sanity of the oldest ansible-core that is supported, without exceptions."""
    if session.python is None:
        session.skip("needs Python 3.11 or 3.12; none is here")
    install(session, "core-2.19")
    # The newest core compiles and imports all on each Python, and sees to style; this one does in its long form.
    style = [word for name in ("pylint", "pep8", "yamllint", "shellcheck") for word in ("--skip-test", name)]
    words = [] if LONG else ["--python", str(session.python).rpartition("python")[2], *style]
    ansible_test(session, "sanity", "--venv", *(session.posargs or words))


@nox.session(name="units-targets")
def units_targets(session: nox.Session) -> None:
    """The unit tests on the oldest Python of targets, with fewer examples, by ansible-test.

    Others with `-- --python 3.12`, or all with `-- --python default`; the long form is all, with all examples.
    Sanity tests compile and import on each, and the integration targets run modules on the system's.
    """
    if not list((REPO / "tests" / "unit").rglob("test_*.py")):
        session.error("no unit tests yet")
    install(session, "demo")
    mark = "tests/unit/plugins/module_utils/few_examples"
    if session.posargs:
        ansible_test(session, "units", "--venv", *session.posargs, mark=mark)
        return
    if LONG:
        ansible_test(session, "units", "--venv", "--python", "default")
        return
    ansible_test(session, "units", "--venv", "--python", next(iter(machine.target_pythons())), mark=mark)


@nox.session(tags=["second"])
def integration(session: nox.Session) -> None:
    """Integration targets, modules running on the system's Python, against libvirt's test driver."""
    if not list((REPO / "tests" / "integration" / "targets").glob("*")):
        session.error("no integration targets yet")
    install(session, "demo")
    version = session.run("/usr/bin/python3", "-c", VERSION, external=True, silent=True)
    controller = session.run("python", "-c", VERSION, silent=True)
    copy = machine.copy_tree(session.name)
    session.chdir(copy)
    with testd.TestDaemon() as daemon:
        config = copy / "tests" / "integration" / "integration_config.yml"
        config.write_text(f"---\nnuma_virt_test_uri: {daemon.uri}\n", encoding="utf-8")
        session.run(
            *("ansible-test", "integration", "--color", "no"),
            *("--controller", f"origin:python={str(controller).strip()}"),
            *("--target", f"controller:python={str(version).strip()}@/usr/bin/python3"),
            *session.posargs,
        )


@nox.session(name="ansible-lint", tags=["second"])
def ansible_lint(session: nox.Session) -> None:
    """Playbooks, roles and examples, production profile."""
    install(session, "ansible-lint")
    environment = {**machine.ansible_environment(), "NO_COLOR": "1"}
    session.run("ansible-lint", "--profile", "production", "--offline", "--strict", *session.posargs, env=environment)


#: What generated pages refer to in Ansible's own documentation: label, page, title. Else Sphinx would need a network.
ANSIBLE_DOCS = "https://docs.ansible.com/projects/ansible/latest/"
ANSIBLE_LABELS = (
    ("action_plugins", "plugins/action.html", "Action plugins"),
    ("ansible_configuration_settings", "reference_appendices/config.html", "Ansible Configuration Settings"),
    ("common_return_values", "reference_appendices/common_return_values.html", "Return Values"),
)


def write_inventory(path: Path) -> None:
    """Write an inventory of Ansible's documentation for Sphinx, with just the labels that we need."""
    lines = "".join(f"{label} std:label -1 {page} {title}\n" for label, page, title in ANSIBLE_LABELS)
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: latest\n"
    head += "# The remainder of this file is compressed using zlib.\n"
    path.write_bytes(head.encode() + zlib.compress(lines.encode()))


@nox.session(default=False, tags=["tool"])
def pictures(session: nox.Session) -> None:
    """Draw the guide's pictures and write its examples' results again (no check)."""
    install(session, "docs")
    session.run("python", "docs/pictures/draw.py")


@nox.session(tags=["second"])
def docs(session: nox.Session) -> None:
    """Documentation is complete, its examples are true, its references lead somewhere, and the site builds.

    A warning is an error. antsibull-docs takes texts from docs/docsite/rst and no pictures: those are put beside them.
    """
    install(session, "docs")
    session.run("python", "docs/pictures/draw.py", "--check")
    environment = machine.ansible_environment()
    session.run(
        "antsibull-docs",
        "lint-collection-docs",
        "--plugin-docs",
        "--validate-collection-refs=all",
        ".",
        env=environment,
    )
    site = machine.CACHE / "docs"
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(mode=0o700, parents=True)
    session.run(
        "antsibull-docs",
        "sphinx-init",
        "--use-current",
        "--squash-hierarchy",
        "--lenient",
        "--project=numa.virt",
        "--dest-dir",
        str(site),
        "numa.virt",
        env=environment,
    )
    write_inventory(site / "ansible.inv")
    with (site / "conf.py").open("a", encoding="utf-8") as file:
        file.write(f"\nintersphinx_mapping = {{'ansible': ('{ANSIBLE_DOCS}', '../ansible.inv')}}\n")
    session.chdir(site)
    (site / "temp-rst").mkdir(mode=0o700)
    session.run(
        "antsibull-docs",
        "--config-file",
        "antsibull-docs.cfg",
        "collection",
        "--use-current",
        "--squash-hierarchy",
        "--dest-dir",
        "temp-rst",
        "numa.virt",
        env=environment,
    )
    shutil.copytree(site / "temp-rst", site / "rst", dirs_exist_ok=True)
    shutil.copytree(REPO / "docs" / "docsite" / "images", site / "rst" / "images")
    session.run("sphinx-build", "-M", "html", "rst", "build", "-c", ".", "-W", "--keep-going", "-q")
    session.log(f"the site is in {site}/build/html")


@nox.session(name="map", tags=["second"])
def map_pages(session: nox.Session) -> None:
    """The map's pages in a real browser: console, accessibility, width; narrow and wide, light and dark."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        session.skip(f"needs {' and '.join(missing)}; not here")
    version = str(session.run("node", "--version", external=True, silent=True)).strip()
    if int(version.lstrip("v").split(".", maxsplit=1)[0]) < 20:
        session.skip(f"needs Node.js 20 or newer; here is {version}")
    try:
        machine.ensure_packages("browser")
    except machine.MissingError as lacking:
        session.skip(f"needs Chromium: {lacking}")
    folder = machine.CACHE / "browser"
    lock = (REPO / "tests" / "browser" / "package-lock.json").read_bytes()
    stamp = folder / "node_modules" / ".numa-virt-lock"
    shutil.copytree(
        REPO / "tests" / "browser", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules")
    )
    if not stamp.exists() or stamp.read_bytes() != lock:
        session.run("npm", "ci", "--prefix", str(folder), external=True, silent=True)
        stamp.write_bytes(lock)
    pages = folder / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    session.run("python", "tests/browser/samples.py", str(pages), env={"PYTHONPATH": str(machine.link_tree())})
    browser = str(machine.find_browser())
    session.run("node", str(folder / "check.mjs"), str(pages), browser, *session.posargs, external=True)


@nox.session
def changelog(session: nox.Session) -> None:
    """Changelog fragments are valid."""
    install(session, "antsibull-changelog")
    session.run("antsibull-changelog", "lint")


@nox.session
def licences(session: nox.Session) -> None:
    """Every file says its licence, and the texts are here."""
    install(session, "reuse")
    session.run("reuse", "lint", "--lines")


@nox.session(tags=["second"])
def package(session: nox.Session) -> None:
    """The collection builds, holds nothing it should not, installs without network, and Galaxy would take it."""
    install(session, "galaxy-importer")
    folder = machine.CACHE / "package"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    installed = {"ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_HOME": str(folder / "home")}
    environment = {**machine.ansible_environment(), **installed}
    session.run("ansible-galaxy", "collection", "build", "--output-path", str(folder), env=environment)
    (tarball,) = folder.glob("numa-virt-*.tar.gz")
    with tarfile.open(tarball) as archive:
        packed = {member.name for member in archive.getmembers() if not member.isdir()}
    junk = packed - set(machine.tracked_files()) - {"MANIFEST.json", "FILES.json"}
    if junk:
        session.error(f"in the tarball, but not the project's: {' '.join(sorted(junk))}")
    session.log(f"{tarball.name}: {len(packed)} files, {tarball.stat().st_size // 1024} KiB")
    session.run(
        "ansible-galaxy",
        "collection",
        "install",
        "--offline",
        "--collections-path",
        str(folder),
        str(tarball),
        env=environment,
    )
    session.chdir(folder)
    config = folder / "importer.cfg"
    config.write_text("[galaxy-importer]\nRUN_ANSIBLE_TEST = False\nRUN_ANSIBLE_LINT = False\nRUN_FLAKE8 = False\n")
    environment["GALAXY_IMPORTER_CONFIG"] = str(config)
    told = str(session.run("python", "-m", "galaxy_importer.main", str(tarball), env=environment, silent=True))
    session.log(told)
    if "ERROR" in told:  # of which it makes nothing more
        session.error("galaxy-importer found errors")


@nox.session(tags=["second"])
def demo(session: nox.Session) -> None:
    """What `make demo` does."""
    session.run("python", "tests/setup/demo.py")


@nox.session(tags=["second"])
def benchmarks(session: nox.Session) -> None:
    """The benchmarks run and print their ratios. No time is judged; plans that are worse than simple ones are."""
    install(session, "units")
    quick = [] if LONG else ["--quick"]
    session.run("python", "benchmarks/planner/run.py", *quick)
    session.run("python", "benchmarks/fleet/run.py", *quick)
    session.run("python", "benchmarks/run.py", *quick, *session.posargs, env=machine.ansible_environment())


#: Campaigns in tests/campaigns; its other files are what they share.
CAMPAIGNS = ("kill", "daemon", "others", "together", "metadata", "planted", "fuzz", "growth")


@nox.session(tags=["second"])
def campaigns(session: nox.Session) -> None:
    """Attacks on real runs: they are killed, their daemon dies, somebody else acts. Every case of them: `-- --long`."""
    install(session, "units")
    machine.link_tree()
    failed = []
    for name in CAMPAIGNS:
        try:
            words = session.posargs or (["--long"] if LONG else [])
            session.run("python", f"tests/campaigns/{name}.py", *words)
        except CommandFailed:  # noqa: PERF203 - the others run all the same
            failed.append(name)
    if failed:
        session.error(f"not as promised: {' '.join(failed)}")


@nox.session
def labtests(session: nox.Session) -> None:
    """Unit tests of the lab's own code and of what runs checks; they boot nothing."""
    install(session, "lab")
    session.run("pytest", *(session.posargs or ["tests/lab/tests", "tests/setup/tests"]))


def on_lab(session: nox.Session, hosts: Sequence[str], *command: str) -> None:
    """Boot hosts, run a command with their inventory, and end those that were not up. Skips where no lab can run.

    Within ``make test`` hosts stay up for the next check, and those that are not needed now are paused.
    """
    try:
        machine.ensure_packages("lab")
    except machine.MissingError as missing:
        session.log(f"the lab's packages are not all here: {missing}")  # and the doctor will say so
    doctor = subprocess.run(
        [sys.executable, "tests/lab/lab.py", "doctor"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    session.log(doctor.stdout.strip())
    if doctor.returncode == 3:
        session.skip("the labs cannot run here: " + " ".join(doctor.stdout.split()))
    # All scenarios share one environment, the project's own.
    programs = machine.ensure_venv("molecule")
    keep = ["--keep"] if WITHIN_CHECKS else []
    session.run(
        *(str(programs / "python"), "tests/lab/lab.py", "run", *keep, *hosts, "--", str(programs / command[0])),
        *command[1:],
        env={**machine.ansible_environment(), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        external=True,
        terminate_timeout=60,  # for the hosts, which it ends
    )


def scenario(session: nox.Session, name: str, system: str) -> None:
    """Run one scenario on hosts of one system."""
    known = {path.parent.name for path in (REPO / "extensions" / "molecule").glob("*/molecule.yml")}
    if set(SCENARIOS) != known:
        session.error(f"tests/setup/lab_plan.py has {sorted(SCENARIOS)}, and there are {sorted(known)}")
    on_lab(session, SCENARIOS[name].hosts(system), "python", "tests/setup/scenarios.py", name)


def add_scenarios() -> None:
    """A session for each scenario on each system. ``make test`` runs one of each, ``make lab-matrix`` all."""
    for name, entry in SCENARIOS.items():
        for system in SYSTEMS:

            def session_(session: nox.Session, name: str = name, system: str = system) -> None:
                scenario(session, name, system)

            session_.__doc__ = f"The scenario {name}, on real hosts with several cells that run Debian {system}."
            chosen = system == entry.system and not entry.by_hand
            tags = ["lab", entry.lane] if chosen else ["lab", entry.lane, "matrix"]
            # Lists leave out what is no default; checks.py chooses by the tags.
            default = chosen or WITHIN_CHECKS
            nox.session(name=f"lab-{name}-{system}", tags=tags, default=default, python=False)(session_)


add_scenarios()


@nox.session(default=False, tags=["tool"], python=False)
def molecule(session: nox.Session) -> None:
    """Molecule with words of your own, on the hosts that `make lab` has booted and those that are missing."""
    hosts = os.environ.get("HOSTS", "kvm smt xen").split()
    on_lab(session, hosts, "molecule", *(session.posargs or ["test", "--all"]))
