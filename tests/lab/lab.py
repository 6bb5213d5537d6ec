# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real libvirt hosts with several NUMA cells, on a machine that has one: ``python3 tests/lab/lab.py --help``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from numalab.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
