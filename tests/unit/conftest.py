# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes ``ansible_collections.numa.virt`` importable where plain pytest runs in a checkout.

Under ansible-test the collection has its real path and is importable already; then nothing is done here.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def _importable() -> bool:
    try:
        importlib.import_module("ansible_collections.numa.virt")
    except ImportError:
        return False
    return True


if not _importable():
    parent = sys.modules.get("ansible_collections")
    for name in ("ansible_collections", "ansible_collections.numa", "ansible_collections.numa.virt"):
        package = types.ModuleType(name)
        package.__path__ = [str(REPO)] if name.endswith(".virt") else []
        sys.modules[name] = package
        if parent is not None:
            setattr(parent, name.rpartition(".")[2], package)
        parent = package
