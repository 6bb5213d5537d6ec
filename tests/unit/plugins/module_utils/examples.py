# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many examples a property is tested with.

One Python tries all of them; the others, which are there to show that the code runs on them, try some. They are told so
by a file beside this one, since ansible-test hands no variables on: see units-targets in noxfile.py.
"""

from __future__ import annotations

from pathlib import Path

FEW = (Path(__file__).parent / "few_examples").exists()


def examples(number: int) -> int:
    """All of them, or a tenth."""
    return max(5, number // 10) if FEW else number
