# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the libraries are missing: another interpreter that has both, or their packages' names."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._module import libraries
from ansible_collections.numa.virt.plugins.module_utils._module.libraries import (
    MissingLibraryError,
    package_hint,
    require_libraries,
)


class Machine:
    """Interpreters and the libraries that each has, as Ansible's respawn helpers see them."""

    def __init__(self, interpreters, respawned=False):
        self.interpreters = interpreters
        self.respawned = respawned
        self.chosen = None

    def probe(self, paths, library):
        return next((path for path in paths if library in self.interpreters.get(path, ())), None)

    def respawn(self, path):
        self.chosen = path
        raise SystemExit(0)  # the child has done it all


@pytest.fixture
def machine(monkeypatch):
    def make(missing, interpreters, respawned=False):
        machine = Machine(interpreters, respawned)
        monkeypatch.setattr(libraries, "LIBVIRT_IMPORT_ERROR", "why" if "libvirt" in missing else None)
        monkeypatch.setattr(libraries, "LXML_IMPORT_ERROR", "why" if "lxml" in missing else None)
        monkeypatch.setattr(libraries, "has_respawned", lambda: machine.respawned)
        monkeypatch.setattr(libraries, "probe_interpreters_for_module", machine.probe)
        monkeypatch.setattr(libraries, "respawn_module", machine.respawn)
        return machine

    return make


BOTH = ("libvirt", "lxml")


def test_with_both_here_nobody_looks_elsewhere(machine):
    made = machine((), {"/usr/bin/python3": BOTH})
    require_libraries()
    assert made.chosen is None


@pytest.mark.parametrize("missing", [("libvirt",), ("lxml",), BOTH])
def test_goes_on_under_an_interpreter_that_has_both(machine, missing):
    made = machine(missing, {"/usr/bin/python3": ("libvirt",), "/usr/bin/python3.11": BOTH})
    with pytest.raises(SystemExit):
        require_libraries()
    assert made.chosen == "/usr/bin/python3.11"


@pytest.mark.parametrize(
    "interpreters",
    [{}, {"/usr/bin/python3": ("libvirt",)}, {"/usr/bin/python3": ("lxml",), "/usr/bin/python3.9": ("libvirt",)}],
)
def test_one_that_has_only_one_of_them_is_no_help(machine, interpreters):
    made = machine(("lxml",), interpreters)
    with pytest.raises(MissingLibraryError) as error:
        require_libraries()
    assert made.chosen is None
    assert error.value.fields == {"libraries": ["lxml"], "packages": ["python3-lxml"]}


def test_does_not_go_round_in_circles(machine):
    made = machine(BOTH, {"/usr/bin/python3": BOTH}, respawned=True)
    with pytest.raises(MissingLibraryError, match="Python library missing on the managed node: libvirt and lxml"):
        require_libraries()
    assert made.chosen is None


def test_only_what_is_missing_is_to_be_installed():
    assert package_hint(["lxml"]) == (
        "Debian, Ubuntu: apt install python3-lxml; Fedora, RHEL: dnf install python3-lxml; "
        "SUSE: zypper install python3-lxml; Arch: pacman -S python-lxml"
    )
