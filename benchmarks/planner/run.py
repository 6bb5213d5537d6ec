# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How good the planner's plans are, and how fast they are made.

    python3 benchmarks/planner/run.py            every table, some minutes
    python3 benchmarks/planner/run.py --quick    fewer seeds, smaller sizes: what `make check S=benchmarks` runs

Needs nothing but Python: neither Ansible nor libvirt. Nothing here passes or fails by its time. It fails where the
planner placed fewer vCPUs than a baseline, or more than its own bound: the last line of the quality table names the
workloads. Of guests asked for one at a time it fails where the planner refused one that the host had room for, on one
cell or on several; where it refused one that Nova's fitter placed, while both had placed the same guests before; and
where it placed fewer vCPUs than Nova on all streams together.

On a single stream Nova may have more vCPUs in the end, and no choice of cells can mend that. Who splits a guest rather
than refuse it places all that the host as a whole has room for, wherever it puts them ("host": as if it had no cells).
Nova gets ahead where it refuses a guest for which there is room, one with much memory for few vCPUs, say, and has that
room for others later. "never split" are guests that may not be split, as Nova's: there the choice of cells decides.
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
# Streams that nothing was ever tuned on start here.
FRESH = 100_000


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


def one_at_a_time(title: str, seeds: range, one_cell: bool = False) -> list[str]:
    """Guests with CPUs of their own that come and go: vCPUs placed, in percent of those asked for. Returns what is
    wrong. ``one_cell``: guests that are not to be split over cells, which may be refused although the host has room."""
    wrong: list[str] = []
    rows: dict[tuple[str, bool], list[list[int]]] = defaultdict(list)
    names = ("host", *nova.STRATEGIES)
    print(f"{title:18} streams  planner" + "".join(f" {name:>8}" for name in names) + "   fewer than each on")
    first: dict[str, int] = dict.fromkeys(names, 0)
    for seed in seeds:
        stream = streams.stream(seed, one_cell)
        planner = streams.Planner(stream.host)
        ours = _follow(planner, stream)
        others = [_follow(streams.WholeHost(stream.host), stream)]
        others += [_follow(nova.Nova(stream.host, strategy), stream) for strategy in nova.STRATEGIES]
        for name, theirs in zip(names, others):
            differ = next((at for at, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]), None)
            first[name] += differ is not None and not ours[differ]
        vcpus = [request.vcpus for request, _name in stream.events if request is not None]
        placed = [sum(each for each, taken in zip(vcpus, row) if taken) for row in (ours, *others)]
        rows[stream.use, stream.leaving].append([sum(vcpus), *placed])
        if not one_cell and ours != others[0]:
            wrong.append(f"stream {seed}: other guests than the host has room for")
        wrong += [f"stream {seed}: {name} refused, and a cell has room" for name in planner.refused_with_room]
    everyone = [row for each in rows.values() for row in each]
    for (use, leaving), values in [*sorted(rows.items()), (("all", False), everyone)]:
        asked, *totals = (sum(column) for column in zip(*values))
        behind = ", ".join(str(sum(row[2 + at] > row[1] for row in values)) for at in range(len(names)))
        shares = "".join(f" {100 * each / asked:7.2f}%" for each in totals)
        print(f"{use:6} {'they leave' if leaving else '':12} {len(values):6} {shares}   {behind}")
    said = ", ".join(f"{name} {number}" for name, number in first.items())
    print(f"the first guest that one of two refuses is refused by the planner: {said} of {len(everyone)}\n")
    for at, name in enumerate(names[1:], 3):
        if sum(row[at] for row in everyone) > sum(row[1] for row in everyone) and not one_cell:
            wrong.append(f"all streams: fewer vCPUs than Nova ({name})")
        if first[name] and not one_cell:
            wrong.append(
                f"on {first[name]} streams the first guest that is refused by one alone is placed by Nova ({name})"
            )
    return wrong


def _follow(actor: streams.Planner | streams.WholeHost | nova.Nova, stream: streams.Stream) -> list[bool]:
    """Who of those that came was placed."""
    taken = []
    for request, name in stream.events:
        if request is None:
            actor.leave(name)
        else:
            taken.append(actor.arrive(request))
    return taken


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
            taken = _follow(streams.Planner(stream.host), stream)
            quality.append(sum(guest.vcpus for guest, placed in zip(guests, taken) if placed) / bound)
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
    known, fresh = (STREAMS // 4, STREAMS // 8) if options.quick else (STREAMS, 4 * STREAMS)
    wrong = one_at_a_time("one at a time", range(known))
    wrong += one_at_a_time("on fresh streams", range(FRESH, FRESH + fresh))
    wrong += one_at_a_time("never split", range(known), one_cell=True)
    out_of_proportion(range(20 if options.quick else 100))
    speed((125, 250, 500, 1000) if options.quick else (125, 250, 500, 1000, 2000, 4000), 1 if options.quick else 3)
    if worse:
        sys.exit(f"broken promise: fewer vCPUs than a baseline, or more than the bound, on workloads {worse}")
    if wrong:
        sys.exit("broken promise: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
