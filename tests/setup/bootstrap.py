# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a bare machine ready for ``make demo`` or ``make test``: packages where we may, and the virtual environment.

usage: bootstrap.py demo|test|lab     prints nothing where there is nothing to do
"""

from __future__ import annotations

import sys

import machine


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in ("demo", "test", "lab"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        machine.ensure_packages(arguments[0])
        if arguments[0] == "lab":
            return 0
        machine.ensure_venv("demo")
        if arguments[0] == "test":
            machine.ensure_venv("nox")
        machine.link_tree()
    except machine.MissingError as missing:
        print(f"cannot set this machine up: {missing}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
