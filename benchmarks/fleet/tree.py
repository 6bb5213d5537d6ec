# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes ``ansible_collections.numa.virt`` importable from a checkout."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent


@cache
def link() -> None:
    """Makes the collection importable, until this process ends."""
    folder = tempfile.mkdtemp(prefix="numa-virt-fleet-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Path(folder, "ansible_collections", "numa").mkdir(parents=True)
    os.symlink(REPO, Path(folder, "ansible_collections", "numa", "virt"))
    sys.path.insert(0, folder)
