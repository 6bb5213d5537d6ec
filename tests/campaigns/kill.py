# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs are killed: at every call to libvirt, before and after it, at every touch of a file, and at random moments.

After each, nothing is lost (definitions, passwords, UUIDs, autostart, backups), what ran still runs, files are 0600 and
whole, the next run does the rest, and the one after it changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import libvirt
import runs
from testd import TestDaemon
from verdict import Verdict, arguments

RUNNING = libvirt.VIR_DOMAIN_RUNNING
OLD, NEW = "old", "new"


@dataclass(frozen=True)
class Case:
    """A module with its options on the guests that prepare() makes; ``may_stop`` are guests that it may restart."""

    title: str
    module: str
    options: Mapping[str, Any]
    before: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    may_stop: frozenset[str] = frozenset()
    runs_after: tuple[str, ...] = ()


def cases() -> list[Case]:
    """Every way that the engine writes on libvirt's test driver."""
    again = runs.document("old0", password=False, more="<description>second</description>")
    batch = [
        {"xml": runs.document("old1", password=False, more="<description>second</description>")},
        {"name": "old2"},
        {"xml": runs.document("new1")},
        {"xml": runs.document("new2", vcpus=3)},
    ]
    placed = (("numa_domain", {"name": "old0", "cells": [0], "memory": {"mode": "strict"}}),)
    return [
        Case("new guest", "numa_domain", {"xml": runs.document("new1"), "cells": [1]}, runs_after=("new1",)),
        Case("redefined, runs", "numa_domain", {"xml": again, "cells": [1]}, runs_after=("old0",)),
        Case("redefined, started", "numa_domain", {"name": "old1", "cells": [1]}, runs_after=("old1",)),
        Case(
            "restarted",
            "numa_domain",
            {"name": "old0", "cells": [1], "memory": {"mode": "preferred"}, "restart": "allowed"},
            placed,
            frozenset({"old0"}),
            ("old0",),
        ),
        Case("pinned", "vcpu_pin", {"name": "old0", "pins": {"0": "0", "1": "1-2"}}, placed, runs_after=("old0",)),
        Case("released", "numa_release", {"names": ["old0"]}, placed, runs_after=("old0",)),
        Case(
            "batch",
            "numa_placement",
            {"domains": batch, "policy": "pack", "cpu_ratio": 4, "lock_timeout": 5},
            runs_after=("old1", "old2", "new1", "new2"),
        ),
    ]


def prepare(connection: libvirt.virConnect, case: Case, uri: str) -> None:
    """Three guests, one of which runs and one that starts with the host; then what goes before the case."""
    runs.clear(connection)
    for number in range(3):
        domain = connection.defineXML(runs.document(f"{OLD}{number}", more=f"<uuid>{uuid(number)}</uuid>"))
        if number == 0:
            domain.create()
        if number == 1:
            domain.setAutostart(1)
    for module, options in case.before:
        runs.run(module, {**options, "uri": uri})


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def judge(connection: libvirt.virConnect, case: Case, uri: str, where: str, verdict: Verdict) -> None:
    """Right after a kill; then after a second run and a third one."""
    have, states = runs.definitions(connection), runs.states(connection)
    for number in range(3):
        name = f"{OLD}{number}"
        if name not in have or f"<uuid>{uuid(number)}</uuid>" not in have[name]:
            verdict.fault("a definition was lost", case.title, where, name)
        elif runs.passwords(have[name]) != [runs.SECRET + name]:
            verdict.fault("a password was lost", case.title, where, name)
    if states.get("old0") != RUNNING and "old0" not in case.may_stop:
        verdict.fault("a guest stopped", case.title, where, states.get("old0"))
    for path, mode, text in runs.kept_files():
        if mode & 0o077 and runs.SECRET in text:
            verdict.fault("a file is open to others", case.title, where, path, oct(mode))
        if path.endswith(".xml") and not text.rstrip().endswith("</domain>"):
            verdict.fault("a backup is torn", case.title, where, path)
    second = runs.run(case.module, {**case.options, "uri": uri})
    if second.code or second.ugly():
        verdict.fault("the second run fails", case.title, where, second.message, second.ugly())
    have, states = runs.definitions(connection), runs.states(connection)
    for name in case.runs_after:
        if states.get(name) != RUNNING:
            verdict.fault("not running after the second run", case.title, where, name, states.get(name))
        elif runs.passwords(have[name]) != [runs.SECRET + name]:
            verdict.fault("a password was lost by the second run", case.title, where, name)
    if not connection.lookupByName("old1").autostart():
        verdict.fault("autostart was lost", case.title, where)
    third = runs.run(case.module, {**case.options, "uri": uri})
    if third.code or third.data.get("changed") is not False:
        verdict.fault("the third run changes something", case.title, where, third.message or third.data.get("changes"))
    leftovers = [path for path, _mode, _text in runs.kept_files() if path.endswith(".tmp")]
    if leftovers:
        verdict.fault("a temporary file stays", case.title, where, leftovers)


def moments(
    case: Case, uri: str, prepared: Callable[[], None], verdict: Verdict, asked: Any
) -> Iterator[tuple[str, runs.Watch | None, float]]:
    """When to kill: (words, what watches, seconds until the kill where nothing does)."""
    for words, kind in (
        ("before call", {}),
        ("after call", {"late": True}),
        ("at file event", {"files": True}),
    ):
        prepared()
        watch = runs.Watch(**kind)
        whole = runs.run(case.module, {**case.options, "uri": uri}, watch)
        if whole.code:
            verdict.fault("fails undisturbed", case.title, whole.message, whole.err[-300:])
            return
        total = whole.calls or 0
        every = list(range(1, total + 1))
        for number in every if asked.long else sorted(asked.random.sample(every, min(total, 5))):
            yield f"{words} {number} of {total}", runs.Watch(number, **kind), 0.0
    for _trial in range(40 if asked.long else 3):
        yield "at a moment", None, asked.random.uniform(0, whole.seconds)


def main() -> int:
    """The command line."""
    asked = arguments(__doc__)
    verdict = Verdict("kill")
    with TestDaemon() as daemon:
        connection = libvirt.open(daemon.uri)
        for case in cases():
            for where, watch, seconds in moments(
                case, daemon.uri, lambda case=case: prepare(connection, case, daemon.uri), verdict, asked
            ):
                prepare(connection, case, daemon.uri)
                if watch is not None:
                    killed = runs.run(case.module, {**case.options, "uri": daemon.uri}, watch)
                else:
                    under_way = runs.Run(case.module, {**case.options, "uri": daemon.uri})
                    runs.time.sleep(seconds)
                    under_way.kill()
                    killed = under_way.wait()
                verdict.count("runs to be killed")
                verdict.count("killed", int(killed.code == -9))
                judge(connection, case, daemon.uri, where, verdict)
        connection.close()
    return verdict.status()


if __name__ == "__main__":
    runs.in_private_folders()
    sys.exit(main())
