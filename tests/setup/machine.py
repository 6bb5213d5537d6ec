# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine has, and what a check or the demo needs of it.

Standard library only, and old Pythons welcome: this runs before anything is installed. It must not decide what is
checked (that is ``noxfile.py``), nor install anything that is there already (a warm start costs no package manager).
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
CACHE = REPO / ".cache"
VENV = REPO / ".venv"
REQUIREMENTS = REPO / "tests" / "requirements"
SYSTEM_PYTHON = "/usr/bin/python3"

#: Controllers, best first. ansible-core 2.21 runs on 3.12 to 3.14, 2.19 on 3.11 to 3.13.
CONTROLLERS = ("3.13", "3.12", "3.14", "3.11")

#: Everything that ansible-test may run modules and units on.
TARGETS = ("3.9", "3.10", "3.11", "3.12", "3.13")


class MissingError(Exception):
    """Something that this machine lacks and that we may not install; the message is one line for a person."""


# --- Pythons ---------------------------------------------------------------------------------------------------------


def _python_folders() -> list[str]:
    """Folders that may hold a ``pythonX.Y``, in order of preference. Version managers' shims are left out."""
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    folders += ["/usr/local/bin", "/usr/bin"]
    home = os.path.expanduser("~")
    pyenv = os.environ.get("PYENV_ROOT", os.path.join(home, ".pyenv"))
    for pattern in (
        os.path.join(pyenv, "versions", "*", "bin"),
        os.path.join(home, ".asdf", "installs", "python", "*", "bin"),
        os.path.join(home, ".local", "share", "mise", "installs", "python", "*", "bin"),
        os.path.join(home, ".local", "share", "uv", "python", "*", "bin"),
    ):
        folders += sorted(glob.glob(pattern), reverse=True)
    seen: list[str] = []
    for folder in folders:
        if os.path.basename(folder) != "shims" and folder not in seen:
            seen.append(folder)
    return seen


def _is_real(python: str, version: str) -> bool:
    """Whether the file runs, is the version it says, and is no virtual environment's."""
    probe = "import sys; print('%d.%d' % sys.version_info[:2], sys.prefix == sys.base_prefix)"
    try:
        done = subprocess.run(
            [python, "-I", "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.decode().split() == [version, "True"]


def has_headers(python: str) -> bool:
    """Whether extensions can be compiled for this real interpreter (its Python.h is there)."""
    real = os.path.realpath(python)
    prefix = os.path.dirname(os.path.dirname(real))
    return os.path.exists(os.path.join(prefix, "include", os.path.basename(real), "Python.h"))


def find_python(version: str) -> str | None:
    """Absolute path of a real interpreter of this version, such as ``3.13``; None where there is none.

    One that extensions can be compiled for goes first: libvirt's bindings on the package index are source only.
    """
    candidates = [os.path.join(folder, "python" + version) for folder in _python_folders()]
    candidates = [python for python in candidates if os.access(python, os.X_OK)]
    for python in sorted(candidates, key=has_headers, reverse=True):
        if _is_real(python, version):
            return python
    return None


def find_controller() -> tuple[str, str] | None:
    """(version, path) of the best Python to run Ansible with; None where there is none."""
    for version in CONTROLLERS:
        python = find_python(version)
        if python is not None:
            return version, python
    return None


def target_pythons() -> dict[str, str]:
    """Version to path of every Python here that the collection supports on targets."""
    found = {version: find_python(version) for version in TARGETS}
    return {version: python for version, python in found.items() if python is not None}


def path_with(pythons: dict[str, str]) -> str:
    """A PATH on which these very interpreters are found first: no shims, nothing shadowed."""
    folders = list(dict.fromkeys(os.path.dirname(python) for python in pythons.values()))
    rest = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if os.path.basename(folder) != "shims"]
    return os.pathsep.join(folders + [folder for folder in rest if folder not in folders])


# --- packages of the operating system --------------------------------------------------------------------------------


def which(program: str) -> str | None:
    """Like shutil.which, and looks where daemons live too."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/libexec")


def _runs(*argv: str) -> bool:
    try:
        done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _missing_packages(purpose: str, dnf: bool) -> list[str]:
    """Names of the packages to install for ``demo``, ``test``, ``lab`` or ``browser``, in apt's or dnf's words; empty
    when ready."""
    if purpose == "browser":
        fonts = "dejavu-sans-fonts" if dnf else "fonts-dejavu-core"
        return [] if find_browser() else ["chromium", fonts]
    if purpose == "lab":
        # The lab builds Debian images with Debian's tools, and knows itself which; elsewhere its doctor says no.
        sys.path.insert(0, str(REPO / "tests" / "lab"))
        from numalab.packages import missing_packages

        return [] if dnf else missing_packages()
    missing = []
    if not _runs(SYSTEM_PYTHON, "-c", "import libvirt"):
        missing.append("python3-libvirt")
    if not _runs(SYSTEM_PYTHON, "-c", "import lxml.etree"):
        missing.append("python3-lxml")
    if which("libvirtd") is None:
        missing.append("libvirt-daemon")
    if which("virsh") is None:
        missing.append("libvirt-client" if dnf else "libvirt-clients")
    controller = find_controller()
    if controller is None:
        missing.append("python3.12" if dnf else "python3")
    if controller is None or not _runs(controller[1], "-c", "import ensurepip, venv"):
        missing += [] if dnf else ["python3-venv"]
    if purpose == "test":
        if which("gcc") is None:
            missing.append("gcc")
        if which("git") is None:
            missing.append("git")
        if not _runs("pkg-config", "--exists", "libvirt"):
            missing += ["libvirt-devel", "pkgconf-pkg-config"] if dnf else ["libvirt-dev", "pkg-config"]
        if controller is None or not all(map(has_headers, [controller[1], *target_pythons().values()])):
            missing.append("python3-devel" if dnf else "python3-dev")
    return missing


def find_browser() -> str | None:
    """The path of a Chromium, which the pages of the map are looked at with; None where there is none."""
    return which("chromium") or which("chromium-browser")


def ensure_packages(purpose: str) -> None:
    """Install what is missing where we may; otherwise say in one line what to install. Checks that run at once wait.

    :raises MissingError: when something is missing and cannot be installed from here
    """
    dnf = which("apt-get") is None and which("dnf") is not None
    if not _missing_packages(purpose, dnf):
        return
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = _missing_packages(purpose, dnf)
        if missing:
            _install_packages(missing, dnf)
            missing = _missing_packages(purpose, dnf)
    if missing:
        raise MissingError(f"these were installed and yet do not work: {' '.join(missing)}")


def _install_packages(missing: list[str], dnf: bool) -> None:
    names = " ".join(missing)
    if dnf:
        commands = [["dnf", "install", "-y", "--setopt=install_weak_deps=False", *missing]]
    elif which("apt-get") is not None:
        apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=600"]
        commands = [[*apt, "update"], [*apt, "install", "--no-install-recommends", *missing]]
    else:
        raise MissingError(f"install these first (neither apt-get nor dnf is here to do it): {names}")
    sudo: list[str] = []
    if os.geteuid() != 0:
        if not _runs("sudo", "-n", "true"):
            raise MissingError(f"run this first, as root: {'dnf' if dnf else 'apt-get'} install {names}")
        sudo = ["sudo", "-n"]
    print(f"installing: {names}", flush=True)
    for command in commands:
        done = subprocess.run(sudo + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            sys.stdout.write(done.stdout.decode(errors="replace"))
            raise MissingError(f"`{' '.join(command)}` failed (its output is above); needed: {names}")


# --- virtual environment ---------------------------------------------------------------------------------------------


def ensure_venv(requirements: str) -> Path:
    """Make or complete ``.venv`` with ``tests/requirements/<requirements>.txt``; its folder of programs is returned.

    A stamp holds a digest of the file and of the interpreter, so that nothing at all runs when nothing changed.

    :raises MissingError: when there is no Python to run Ansible with
    """
    controller = find_controller()
    if controller is None:
        raise MissingError(f"install a Python to run Ansible with first (one of {', '.join(CONTROLLERS)})")
    version, python = controller
    wanted = REQUIREMENTS / (requirements + ".txt")
    digest = hashlib.sha256(b"\0".join([python.encode(), wanted.read_bytes()])).hexdigest()
    stamp = VENV / f".{requirements}.stamp"
    programs = VENV / "bin"
    ours = programs / ("python" + version)
    if ours.exists() and stamp.exists() and stamp.read_text() == digest:
        return programs
    if not (ours.exists() and _runs(str(ours), "-m", "pip", "--version")):
        print(f"making {VENV} with Python {version}", flush=True)
        subprocess.run([python, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [str(ours), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(wanted)]
    done = subprocess.run(pip, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr.decode(errors="replace"))
        raise MissingError(f"`pip install -r {wanted.relative_to(REPO)}` failed (its output is above)")
    stamp.write_text(digest)
    return programs


def index_environment() -> dict[str, str]:
    """Tell uv, which does not read pip's settings, where this machine's pip takes packages from."""
    told = {
        "UV_DEFAULT_INDEX": os.environ.get("PIP_INDEX_URL", ""),
        "UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", ""),
        "SSL_CERT_FILE": os.environ.get("PIP_CERT", ""),
        "UV_HTTP_TIMEOUT": os.environ.get("PIP_DEFAULT_TIMEOUT", ""),
    }
    if not told["UV_DEFAULT_INDEX"] and (VENV / "bin" / "pip").exists():
        asked = subprocess.run(
            [str(VENV / "bin" / "python"), "-m", "pip", "config", "get", "global.index-url"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        told["UV_DEFAULT_INDEX"] = asked.stdout.decode().strip()
    told["UV_PYTHON_DOWNLOADS"] = "never"
    told["UV_NO_PROGRESS"] = "1"
    told["UV_SYSTEM_CERTS"] = "1"
    return {name: value for name, value in told.items() if value and name not in os.environ}


# --- the collection, where Ansible looks for it ----------------------------------------------------------------------


def link_tree() -> Path:
    """A folder for ``ANSIBLE_COLLECTIONS_PATH`` and ``PYTHONPATH`` in which numa.virt is this very checkout."""
    tree = CACHE / "tree"
    link = tree / "ansible_collections" / "numa" / "virt"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not (link.is_symlink() and link.resolve() == REPO):
        if link.is_symlink():
            link.unlink()
        link.symlink_to(os.path.relpath(REPO, link.parent), target_is_directory=True)
    return tree


def tracked_files() -> list[str]:
    """What git tracks or would track, relative to the repo; files that are deleted but still tracked are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        stdout=subprocess.PIPE,
        check=True,
    )
    names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return [name for name in names if os.path.lexists(REPO / name)]


def copy_tree(name: str) -> Path:
    """A real copy of the collection, as ansible-test needs it: the path of ``…/ansible_collections/numa/virt``.

    It is a git repository of its own, or ansible-test would find ours above it and see nothing but ignored files.
    What ansible-test keeps there (in tests/output: its environments) survives, everything else is laid anew.
    """
    target = CACHE / "copies" / name / "ansible_collections" / "numa" / "virt"
    for folder, folders, files in os.walk(target):
        if folder == str(target / "tests"):
            folders[:] = [entry for entry in folders if entry != "output"]
        for entry in files + [entry for entry in folders if os.path.islink(os.path.join(folder, entry))]:
            os.unlink(os.path.join(folder, entry))
    for relative in tracked_files():
        copy = target / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPO / relative, copy, follow_symlinks=False)
    subprocess.run(["git", "init", "-q", str(target)], check=True)
    return target


def ansible_environment() -> dict[str, str]:
    """Settings with which Ansible finds this checkout, and nothing of the person's own configuration."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(link_tree()),
        "ANSIBLE_CONFIG": str(REPO / "tests" / "setup" / "ansible.cfg"),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
    }
