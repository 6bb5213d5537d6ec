# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes ``ansible_collections.numa.virt`` importable from a checkout: importing this is enough."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent

_TREE = tempfile.mkdtemp(prefix="numa-virt-fleet-")
atexit.register(shutil.rmtree, _TREE, ignore_errors=True)
Path(_TREE, "ansible_collections", "numa").mkdir(parents=True)
os.symlink(REPO, Path(_TREE, "ansible_collections", "numa", "virt"))
sys.path.insert(0, _TREE)
