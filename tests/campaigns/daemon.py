# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The daemon dies at every call of a run: before the call and after it, and a new one takes its place at once or later.

Whatever the run says is one line without a secret, and it ends. It claims nothing that nobody can know: with its daemon
gone, no guest "was destroyed" and no definition "is back". A run on the next daemon does what was asked; the one after
it changes nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import libvirt
import runs
from testd import TestDaemon
from verdict import Verdict, arguments

#: What may be said only of what was seen.
CLAIMS = ("it was destroyed", "is back", "as before", "was started again")

CASES: list[tuple[str, Mapping[str, Any]]] = [
    ("numa_domain", {"xml": runs.document("new1"), "cells": [1]}),
    ("numa_domain", {"name": "old1", "cells": [0], "memory": {"mode": "preferred"}, "restart": "allowed"}),
    (
        "numa_placement",
        {"domains": [{"xml": runs.document(f"new{n}")} for n in range(4)] + ["old1"], "policy": "pack", "cpu_ratio": 8},
    ),
    ("vcpu_pin", {"name": "old1", "pins": {"0": "9"}}),
    ("numa_release", {"names": ["old1"]}),
    ("numa_domain_info", {}),
    ("numa_cell_info", {}),
]


def prepare(uri: str) -> None:
    """One guest that runs on cell 1."""
    connection = libvirt.open(uri)
    runs.clear(connection)
    connection.defineXML(runs.document("old1")).create()
    connection.close()
    runs.run("numa_domain", {"uri": uri, "name": "old1", "cells": [1]})


def killer(pid: int, number: int) -> runs.Act:
    """Ends the daemon and waits until it is gone, from within the run."""

    def act(_what: str) -> None:
        os.kill(pid, number)
        for _turn in range(500):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                    if file.read().rpartition(")")[2].split()[0] == "Z":
                        return
            except OSError:
                return
            time.sleep(0.01)

    return act


def one(
    daemon: TestDaemon,
    module: str,
    options: Mapping[str, Any],
    watch: runs.Watch,
    where: str,
    at_once: bool,
    verdict: Verdict,
) -> None:
    """One death."""
    under_way = runs.Run(module, {**options, "uri": daemon.uri}, watch)
    if at_once:
        while os.path.exists(f"/proc/{daemon.pid}") and _state(daemon.pid) != "Z" and _state(under_way.pid) != "Z":
            time.sleep(0.002)
        daemon.again()
    try:
        result = under_way.wait(60)
    except TimeoutError:
        verdict.fault("a run hangs", module, where)
        daemon.again()
        return
    verdict.count("deaths")
    verdict.count("runs that failed", int(result.code != 0))
    if result.ugly():
        verdict.fault("what a run says", module, where, result.ugly())
    if not at_once:
        said = [claim for claim in CLAIMS if claim in result.message]
        if said and result.code:
            verdict.fault("a claim that nobody can know", module, where, result.message)
        daemon.again()
    connection = libvirt.open(daemon.uri)
    if "old1" not in runs.definitions(connection):
        connection.defineXML(runs.document("old1")).create()
    connection.close()
    second = runs.run(module, {**options, "uri": daemon.uri})
    third = runs.run(module, {**options, "uri": daemon.uri})
    if second.code or third.code or third.data.get("changed"):
        verdict.fault("later runs", module, where, second.message, third.message, third.data.get("changed"))


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def main() -> int:
    """The command line."""
    asked = arguments(__doc__)
    verdict = Verdict("daemon")
    with TestDaemon() as daemon:
        for module, options in CASES:
            prepare(daemon.uri)
            total = runs.run(module, {**options, "uri": daemon.uri}).calls or 0
            every = [(number, late) for number in range(1, total + 1) for late in (False, True)]
            for number, late in every if asked.long else sorted(asked.random.sample(every, min(len(every), 6))):
                prepare(daemon.uri)
                how = asked.random.choice((signal.SIGKILL, signal.SIGTERM))
                at_once = asked.random.random() < 0.4
                where = f"{how.name} {'after' if late else 'before'} call {number} of {total}"
                where += ", a new one at once" if at_once else ""
                watch = runs.Watch(number, killer(daemon.pid, how), late)
                one(daemon, module, options, watch, where, at_once, verdict)
    return verdict.status()


if __name__ == "__main__":
    runs.in_private_folders()
    sys.exit(main())
