# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How good the places are that a fleet's guests get, and how fast they get them.

    python3 benchmarks/fleet/run.py            every table, some minutes, most of them for the fleet of 10,000 hosts
    python3 benchmarks/fleet/run.py --quick    fewer streams, a fleet of 200 hosts

Needs nothing but Python. No time is judged. It fails where fewer vCPUs are placed than by one of the simple rules on
all streams together, more than the bound, or where a guest is moved that need not be.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import baselines
import fleets
import tree

tree.link()

from ansible_collections.numa.virt.plugins.module_utils._fleet.document import fleet_as_data, fleet_from_data
from ansible_collections.numa.virt.plugins.module_utils._fleet.fleet import Fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.plan import Planned, plan_fleet
from ansible_collections.numa.virt.plugins.module_utils._fleet.request import FleetOptions

HOSTS, QUICK_HOSTS = 10_000, 200
STREAMS, QUICK_STREAMS = 12, 3


def streams(number: int) -> list[str]:
    """Guests that come and go, one at a time, on fleets that are nearly full. Returns what is wrong."""
    wrong: list[str] = []
    sums: dict[str, int] = {}
    asked = 0
    rules = {name: baselines.Simple(key) for name, key in baselines.RULES.items()}
    for seed in range(number):
        stream = fleets.stream(random.Random(seed))
        asked += sum(request.guest.vcpus for request, _name in stream.events if request is not None)
        placed = {"numa.virt": fleets.follow(fleets.Ours(stream.hosts), stream)}
        placed.update((name, fleets.follow(rule.on(stream.hosts), stream)) for name, rule in rules.items())
        for name, vcpus in placed.items():
            sums[name] = sums.get(name, 0) + vcpus
    print(f"one at a time, {number} streams: vCPUs placed of those asked for")
    for name, vcpus in sums.items():
        print(f"  {name:18} {100 * vcpus / asked:6.2f}%")
        if vcpus > sums["numa.virt"]:
            wrong.append(f"streams: {name} places more vCPUs")
    return wrong


def batches(number: int) -> list[str]:
    """Many new guests at once, and a rack that is drained: placed, moves, percent of the bound."""
    wrong: list[str] = []
    rules = {name: baselines.Simple(key) for name, key in baselines.RULES.items()}
    totals: dict[str, list[float]] = {}
    for seed in range(number):
        hosts, requests = fleets.batch(random.Random(seed))
        made = plan_fleet(hosts, requests)
        drained = fleets.drained_guests(hosts)
        results = {"numa.virt": (made.vcpus, len(made.moves))}
        for name, rule in rules.items():
            results[name] = rule.on(hosts).batch(drained, requests)
        if made.vcpus > made.vcpus_at_most:
            wrong.append(f"batch {seed}: more than the bound")
        if len(made.moves) > len(drained):
            wrong.append(f"batch {seed}: {len(made.moves)} moves for {len(drained)} guests")
        for name, (vcpus, moved) in results.items():
            row = totals.setdefault(name, [0.0, 0.0, 0.0])
            row[0] += vcpus
            row[1] += moved
            row[2] += 100 * vcpus / made.vcpus_at_most
    print(f"\nmany at once and a rack drained, {number} fleets: vCPUs placed, moves, percent of the bound")
    for name, (total, moves, share) in totals.items():
        print(f"  {name:18} {total:8.0f} {moves:6.0f} {share / number:7.2f}%")
        if total > totals["numa.virt"][0]:
            wrong.append(f"batches: {name} places more vCPUs")
    return wrong


def speed(hosts: int) -> None:
    """A whole fleet, in a process of its own: its input read, planned, one guest more."""
    with tempfile.TemporaryDirectory(prefix="numa-virt-fleet-") as folder:
        path = Path(folder, "fleet.json")
        document = fleets.large(random.Random(1), hosts)
        path.write_text(json.dumps(fleet_as_data(document)), encoding="utf-8")
        size = path.stat().st_size / 1e6
        print(
            f"\n{hosts} hosts, {fleets.EACH} guests each, {len(document.requests)} new, a rack drained ({size:.0f} MB)"
        )
        del document
        subprocess.run([sys.executable, __file__, "--plan", str(path)], check=True)


def plan_file(path: str) -> None:
    """Seconds of CPU time, and the most memory."""
    start = time.process_time()
    document = fleet_from_data(json.loads(Path(path).read_text(encoding="utf-8")))
    # What was read stays: the collector need not look at it again and again.
    gc.freeze()
    read = time.process_time()
    fleet = Fleet(document.hosts, document.options)
    counted = time.process_time()
    planned = Planned(fleet, document.requests, FleetOptions())
    made = planned.answer()
    end = time.process_time()
    print(f"  read {read - start:.1f} s, counted {counted - read:.1f} s, planned {end - counted:.1f} s")
    share = f"{100 * made.vcpus / made.vcpus_at_most:.2f}% of the bound"
    print(f"  {len(made.placements)} guests, {len(made.moves)} moves, {len(made.rejections)} refused, {share}")
    print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB at most")
    for words, each in fleets.one_more():
        begun = time.process_time()
        place = fleet.arrive(each)
        took = f"{1000 * (time.process_time() - begun):.1f} ms"
        print(f"  one guest more ({words}): {took}{'' if place else ', no room'}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--hosts", type=int)
    parser.add_argument("--plan")
    arguments = parser.parse_args()
    if arguments.plan:
        plan_file(arguments.plan)
        return 0
    number = QUICK_STREAMS if arguments.quick else STREAMS
    wrong = [*streams(number), *batches(number)]
    speed(arguments.hosts or (QUICK_HOSTS if arguments.quick else HOSTS))
    for each in wrong:
        print(each, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
