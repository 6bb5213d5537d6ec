# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make by hand all that goes wrong on a Xen host, and say what.

Guests: `hand1` was placed by hand, `web1` by a policy.
"""

from __future__ import annotations

import subprocess


def xl(*arguments: str) -> None:
    subprocess.run(["/usr/sbin/xl", *arguments], check=True)
    print(*arguments)


def main() -> None:
    xl("vcpu-pin", "hand1", "all", "0-7")
    xl("vcpu-pin", "web1", "0", "0")


main()
