# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What campaigns say: figures as they come, what was wrong with one sample each, and an exit status."""

from __future__ import annotations

import argparse
import collections
import random
import time
from typing import Any


class Verdict:
    """Counts what was tried and what was wrong."""

    def __init__(self, title: str) -> None:
        self.title, self.started = title, time.monotonic()
        self.figures: collections.Counter[str] = collections.Counter()
        self.faults: collections.Counter[str] = collections.Counter()
        self._samples: dict[str, Any] = {}

    def count(self, what: str, number: int = 1) -> None:
        self.figures[what] += number

    def fault(self, kind: str, *sample: Any) -> None:
        """Something is not as it was promised; the first of a kind is shown."""
        self.faults[kind] += 1
        self._samples.setdefault(kind, sample)

    def status(self) -> int:
        """Print it all; 0 where nothing was wrong and something was tried."""
        figures = ", ".join(f"{number} {what}" for what, number in self.figures.items())
        print(
            f"{self.title}: {figures}; {sum(self.faults.values())} faults; {time.monotonic() - self.started:.0f} s",
            flush=True,
        )
        for kind, number in self.faults.items():
            print(f"  {number} x {kind}: {str(self._samples[kind])[:1500]}", flush=True)
        return 1 if self.faults or not self.figures else 0


def arguments(description: str | None) -> argparse.Namespace:
    """What every campaign takes: ``long`` (bool) and ``seed``, with ``random``, a generator made from it."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--long", action="store_true", help="every case; minutes instead of seconds")
    parser.add_argument("--seed", type=int, default=1, help="what random choices come from")
    found = parser.parse_args()
    found.random = random.Random(found.seed)
    return found
