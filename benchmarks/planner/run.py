# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How good the planner's plans are, and how fast they are made.

    python3 benchmarks/planner/run.py            every table, about a minute
    python3 benchmarks/planner/run.py --quick    fewer seeds, smaller sizes: what `make check S=benchmarks` runs

Needs nothing but Python: neither Ansible nor libvirt. Nothing here passes or fails by its time. It fails where the
planner placed fewer vCPUs than a baseline, or more than its own bound: the last line of the quality table names the
workloads.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
_TREE = tempfile.mkdtemp(prefix="numa-virt-planner-")
Path(_TREE, "ansible_collections", "numa").mkdir(parents=True)
os.symlink(REPO, Path(_TREE, "ansible_collections", "numa", "virt"))
sys.path[:0] = [_TREE, str(Path(__file__).resolve().parent)]

import baselines
import workloads

from ansible_collections.numa.virt.plugins.module_utils._placement import Shape
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed

# Every host, use and bound once, and four times.
QUICK, SEEDS = 90, 360


def quality(seeds: int) -> list[int]:
    """vCPUs placed, by kind of workload, in percent of the bound. Returns the workloads that break the promise."""
    rows: dict[tuple[str, str], list[tuple[float, float, float, float]]] = defaultdict(list)
    worse: list[int] = []
    worst = (2.0, -1)
    print("guests     bound by  loads  planner   worst  best fit   libxl  split")
    for seed in range(seeds):
        load = workloads.workload(seed)
        found = plan(load.host, load.requests, rules=load.rules)
        fit = baselines.one_by_one(load.host, load.requests, baselines.best_fit)
        xen = baselines.one_by_one(load.host, load.requests, baselines.libxl)
        if not max(fit, xen) <= found.vcpus <= found.bound.vcpus:
            worse.append(seed)
        bound = found.bound.vcpus
        worst = min(worst, (found.quality, seed))
        split = sum(len(each.cells) > 1 for each in found.placements) / max(1, len(found.placements))
        rows[load.use, load.bound].append((found.quality, fit / bound, xen / bound, split))
    for (use, kind), values in [*sorted(rows.items()), (("all", ""), [each for row in rows.values() for each in row])]:
        mean = [100 * sum(column) / len(values) for column in zip(*values)]
        least = 100 * min(value[0] for value in values)
        line = f"{use:10} {kind:9} {len(values):5} {mean[0]:7.2f}% {least:6.1f}% {mean[1]:8.2f}% {mean[2]:6.2f}%"
        print(line + f" {mean[3]:5.1f}%")
    broken = f"on {len(worse)} of {seeds} workloads{f' {worse}' if worse else ''}"
    print(f"fewer vCPUs than a baseline, or more than the bound, {broken}; worst seed {worst[1]}\n")
    return worse


def speed(sizes: tuple[int, ...], rounds: int) -> None:
    """Seconds for batches on 8 cells of 64 CPUs: that fit, of which a third does not, the same in groups of four that
    share a cell or keep apart by turns, and those that are placed already."""
    print(f"{'guests':>7} {'fits':>9} {'too many':>9} {'in groups':>9} {'stays':>9}   seconds; 8 cells x 64 CPUs")
    host = workloads.host_of(8, 64, memory=16 * workloads.GIB)
    before: list[float] | None = None
    for size in sizes:
        roomy, tight = _batch(size, 0.9), _batch(size, 1.5)
        first = plan(host, roomy)
        placed = {each.name: each for each in first.placements}
        stays = [each for each in roomy if each.name in placed]
        there = [existing_of(each, placed[each.name]) for each in stays]
        calls = (
            *(partial(plan, host, roomy), partial(plan, host, tight), partial(plan, host, _in_groups(tight))),
            partial(plan, host, stays, there),
        )
        times = [_seconds(call, rounds) for call in calls]
        growth = "" if before is None else "   x " + ", ".join(f"{b / a:.1f}" for a, b in zip(before, times))
        print(f"{size:7} " + " ".join(f"{seconds:9.3f}" for seconds in times) + growth)
        before = times
    print()
    wide = workloads.host_of(16, 16)
    for text, request in (
        ("mirrored, 8 cells", Request("wide", 96, 64 * workloads.GIB, "mirror", own_cpus=True, width=8)),
        ("dedicated, 8 cells", Request("wide", 128, 64 * workloads.GIB, "dedicated")),
    ):
        taken = _seconds(partial(plan, wide, [request]), rounds)
        print(f"{text} on 16 cells: {1000 * taken:.1f} ms")


def existing_of(request: Request, placed: Placed) -> Existing:
    """The guest as it is read once the plan has been applied."""
    shape = Shape(request.name, None, "kvm", request.vcpus, (), request.memory)
    return Existing.of(shape, placed.placement(), request.page_size, request)


def _batch(number: int, fill: float) -> list[Request]:
    """Guests that use about ``fill`` of 512 CPUs: half of them by overcommitting."""
    requests = []
    ratio = max(1.0, number * 3.5 / 512 / fill)
    for at in range(number):
        vcpus = (1, 2, 4, 8, 2, 4)[at % 6]
        requests.append(
            Request(f"g{at:05d}", vcpus, (at % 7 + 1) << 18, "pack" if at % 2 else "spread", cpu_ratio=ratio)
        )
    return requests


def _in_groups(requests: list[Request]) -> list[Request]:
    """Groups of four, by turns together and apart."""
    kinds = ("together", "apart")
    return [replace(each, **{kinds[at // 4 % 2]: f"group-{at // 4}"}) for at, each in enumerate(requests)]


def _seconds(work: Callable[[], object], rounds: int) -> float:
    """Of the processor, so that a busy machine does not matter."""
    best = 1e9
    for _round in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    worse = quality(QUICK if options.quick else SEEDS)
    speed((125, 250, 500, 1000) if options.quick else (125, 250, 500, 1000, 2000, 4000), 1 if options.quick else 3)
    if worse:
        sys.exit(f"broken promise: fewer vCPUs than a baseline, or more than the bound, on workloads {worse}")


if __name__ == "__main__":
    main()
