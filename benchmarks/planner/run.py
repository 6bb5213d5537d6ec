# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How good the planner's plans are, and how fast they are made.

    python3 benchmarks/planner/run.py            every table, about a minute
    python3 benchmarks/planner/run.py --quick    fewer seeds, smaller sizes: what `make check S=benchmarks` runs

Needs nothing but Python: neither Ansible nor libvirt. Nothing here passes or fails by its time. It fails where the
planner placed fewer vCPUs than a baseline, or more than its own bound: the last line of the quality table names the
workloads. Of guests asked for one at a time it fails where the planner refused one that Nova's fitter would have placed
in its stead, or had placed fewer vCPUs than Nova when the first was refused, or fewer on all streams together. On a
single stream either may have more in the end: who takes in a guest that the other refuses has less room for the next.
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
import nova
import streams
import workloads

from ansible_collections.numa.virt.plugins.module_utils._planner.bound import most_vcpus
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import Capacity, guest_of
from ansible_collections.numa.virt.plugins.module_utils._planner.occupancy import Occupancy
from ansible_collections.numa.virt.plugins.module_utils._planner.plan import plan
from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Placed
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Shape

# Every host, use and bound once, and four times.
QUICK, SEEDS = 90, 360
STREAMS = 240


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


def one_at_a_time(seeds: range) -> list[str]:
    """Guests with CPUs of their own that come and go: vCPUs placed, in percent of those asked for. Returns what is
    wrong."""
    wrong: list[str] = []
    rows: dict[tuple[str, bool], list[list[int]]] = defaultdict(list)
    print(
        "one at a time   streams  planner" + "".join(f" {name:>8}" for name in nova.STRATEGIES) + "   fewer than it on"
    )
    for seed in seeds:
        stream = streams.stream(seed)
        planner = streams.Planner(stream.host)
        asked = sum(request.vcpus for request, _name in stream.events if request is not None)
        results = [asked, *_follow(planner, stream)]
        for strategy in nova.STRATEGIES:
            placed, first = _follow(nova.Nova(stream.host, strategy), stream)
            if first > results[2]:
                wrong.append(f"stream {seed}: fewer vCPUs than Nova ({strategy}) until the first is refused")
            results.append(placed)
        wrong += [f"stream {seed}: {name} refused, and a cell has room" for name in planner.refused_with_room]
        rows[stream.use, stream.leaving].append(results)
    everyone = [row for each in rows.values() for row in each]
    for (use, leaving), values in [*sorted(rows.items()), (("all", False), everyone)]:
        asked, ours, _first, *theirs = (sum(column) for column in zip(*values))
        behind = ", ".join(str(sum(row[3 + at] > row[1] for row in values)) for at in range(len(theirs)))
        shares = "".join(f" {100 * each / asked:7.2f}%" for each in (ours, *theirs))
        print(f"{use:6} {'they leave' if leaving else '':10} {len(values):5} {shares}   {behind}")
    for at, strategy in enumerate(nova.STRATEGIES):
        if sum(row[3 + at] for row in everyone) > sum(row[1] for row in everyone):
            wrong.append(f"all streams: fewer vCPUs than Nova ({strategy})")
    print()
    return wrong


def _follow(actor: streams.Planner | nova.Nova, stream: streams.Stream) -> tuple[int, int]:
    """vCPUs placed, on the whole and until the first guest is refused."""
    placed, first = 0, -1
    for request, name in stream.events:
        if request is None:
            actor.leave(name)
        elif actor.arrive(request):
            placed += request.vcpus
        elif first < 0:
            first = placed
    return placed, placed if first < 0 else first


def out_of_proportion(seeds: range) -> None:
    """Guests one at a time on cells whose CPUs and memory are out of proportion, in percent of the bound for all."""
    print("out of proportion, one at a time: ", end="")
    for policy in ("pack", "spread", "dedicated"):
        quality = []
        for seed in seeds:
            stream = streams.odd_stream(seed, policy)
            capacity = Capacity(stream.host, Rules())
            guests = [guest_of(capacity, request) for request, _name in stream.events if request is not None]
            bound = most_vcpus(Occupancy(capacity).board(), guests)
            quality.append(_follow(streams.Planner(stream.host), stream)[0] / bound)
        print(f"{policy} {100 * sum(quality) / len(quality):.2f}%  ", end="")
    print("\n")


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
    wrong = one_at_a_time(range(STREAMS // 4 if options.quick else STREAMS))
    out_of_proportion(range(20 if options.quick else 100))
    speed((125, 250, 500, 1000) if options.quick else (125, 250, 500, 1000, 2000, 4000), 1 if options.quick else 3)
    if worse:
        sys.exit(f"broken promise: fewer vCPUs than a baseline, or more than the bound, on workloads {worse}")
    if wrong:
        sys.exit("broken promise: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
