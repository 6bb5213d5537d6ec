# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where libvirt and lxml are missing: another interpreter that has them, or one line that says what to install.

This file must not know what the libraries are used for.
"""

from __future__ import annotations

from ansible.module_utils.common.respawn import has_respawned, probe_interpreters_for_module, respawn_module

from ansible_collections.numa.virt.plugins.module_utils._elements.xml import LXML_IMPORT_ERROR
from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._libvirt.calls import LIBVIRT_IMPORT_ERROR

# Where distributions put the Python that their own packages are for.
_INTERPRETERS = (
    "/usr/bin/python3",
    "/usr/libexec/platform-python",
    "/usr/bin/python3.13",
    "/usr/bin/python3.12",
    "/usr/bin/python3.11",
    "/usr/bin/python3.9",
    "/usr/local/bin/python3",
)
_PACKAGES = {"libvirt": "python3-libvirt", "lxml": "python3-lxml"}


class MissingLibraryError(NumaVirtError):
    code = "missing_library"


def require_libraries() -> None:
    """Go on under an interpreter that has the libraries; does not return where it finds one.

    Raises MissingLibraryError, whose ``libraries`` name what is missing.
    """
    missing = [
        name for name, error in (("libvirt", LIBVIRT_IMPORT_ERROR), ("lxml", LXML_IMPORT_ERROR)) if error is not None
    ]
    if not missing:
        return
    if not has_respawned():
        for interpreter in _INTERPRETERS:
            if all(probe_interpreters_for_module([interpreter], library) for library in _PACKAGES):
                respawn_module(interpreter)
    raise MissingLibraryError(
        f"Python library missing on the managed node: {' and '.join(missing)}",
        libraries=missing,
        packages=[_PACKAGES[name] for name in missing],
    )


def package_hint(libraries: list[str]) -> str:
    """What to install, for each family of distributions."""
    packages = " ".join(_PACKAGES[name] for name in libraries)
    suse = " ".join(_PACKAGES[name].replace("python3-libvirt", "python3-libvirt-python") for name in libraries)
    arch = " ".join({"libvirt": "libvirt-python", "lxml": "python-lxml"}[name] for name in libraries)
    return (
        f"Debian, Ubuntu: apt install {packages}; Fedora, RHEL: dnf install {packages}; "
        f"SUSE: zypper install {suse}; Arch: pacman -S {arch}"
    )
