# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the pages that the check `map` opens in a browser: a fleet of five hosts, from small to 1,024 CPUs.

usage: samples.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from ansible_collections.numa.virt.plugins.module_utils._engine.map_page import MapRequest, map_pages
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._map import builders

LARGEST = 2_000_000


def main(folder: str) -> int:
    """The command line."""
    hosts = [{"name": name, "cells": host, "guests": guests} for name, (host, guests) in builders.fleet().items()]
    hosts.append({"name": "<b>\u202e'\"&\n" + "long" * 80, **dict(zip(("cells", "guests"), builders.hostile()))})
    made = map_pages(MapRequest(hosts, folder, "Virtual hosts", "2026-01-02 03:04", check_mode=False, diff=False))
    sizes = {page["host"]: Path(page["path"]).stat().st_size for page in made["pages"]}
    print(f"{len(sizes)} hosts, the largest page has {max(sizes.values()) // 1000} kB")
    return 0 if max(sizes.values()) < LARGEST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
