# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody else acts before every call of a run: edits, undefines, destroys, suspends, starts one of its guests.

What they wrote is never overwritten unseen: it is in the definition, or the run says ``overwritten``. A guest that goes
away fails nobody else. The next run converges.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import libvirt
import runs
from testd import TestDaemon
from verdict import Verdict, arguments

#: What an edit leaves in a definition, to look for it afterwards.
MARK = "edited by somebody else"
VICTIM = "old1"


def edit(domain: libvirt.virDomain) -> None:
    text = domain.XMLDesc(runs.SECURE_CONFIG).replace("<title>first</title>", f"<title>{MARK}</title>")
    domain.connect().defineXML(text)


def undefine(domain: libvirt.virDomain) -> None:
    domain.undefine()


def destroy(domain: libvirt.virDomain) -> None:
    domain.destroy()


def suspend(domain: libvirt.virDomain) -> None:
    domain.suspend()


def remove(domain: libvirt.virDomain) -> None:
    domain.undefine()
    domain.destroy()


def start(domain: libvirt.virDomain) -> None:
    domain.create()


CASES: list[tuple[str, Mapping[str, Any], bool]] = [
    ("numa_domain", {"name": VICTIM, "cells": [1]}, False),
    ("numa_domain", {"name": VICTIM, "cells": [1]}, True),
    ("numa_domain", {"name": VICTIM, "cells": [0], "memory": {"mode": "preferred"}, "restart": "allowed"}, True),
    ("vcpu_pin", {"name": VICTIM, "pins": {"0": "1"}}, True),
    ("numa_release", {"names": [VICTIM]}, True),
    ("numa_placement", {"domains": ["old0", VICTIM, "old2"], "policy": "pack", "cpu_ratio": 8}, False),
    (
        "numa_placement",
        {"domains": ["old0", VICTIM, "old2"], "policy": "pack", "cpu_ratio": 8, "state": "running"},
        True,
    ),
    ("numa_domain_info", {}, True),
]
ACTS: tuple[Callable[[libvirt.virDomain], None], ...] = (edit, undefine, destroy, suspend, remove, start)


def prepare(connection: libvirt.virConnect, running: bool) -> None:
    """Three guests, placed once so that there is something to release and to re-pin."""
    runs.clear(connection)
    for number in range(3):
        domain = connection.defineXML(runs.document(f"old{number}", more="<title>first</title>"))
        if running:
            domain.create()
    runs.run("numa_domain", {"uri": connection.getURI(), "name": VICTIM, "cells": [0], "state": "defined"})


def acting(uri: str, act: Callable[[libvirt.virDomain], None], done: Path) -> runs.Act:
    """The act on a connection of its own, from within the run; ``done`` is a file that says that it could be done."""

    def now(_what: str) -> None:
        connection = libvirt.open(uri)
        try:
            act(connection.lookupByName(VICTIM))
            done.touch()
        except libvirt.libvirtError:
            pass  # it cannot be done to a guest in this state
        finally:
            connection.close()

    return now


def judge(
    connection: libvirt.virConnect,
    case: tuple[str, Mapping[str, Any], bool],
    act: Callable[[libvirt.virDomain], None],
    where: str,
    result: runs.Result,
    verdict: Verdict,
) -> None:
    """What holds after the run, and after two more."""
    module, options, _running = case
    called = (module, options.get("restart", ""), act.__name__, where)
    if result.ugly():
        verdict.fault("what a run says", *called, result.ugly())
    have = runs.definitions(connection)
    for name in ("old0", "old2"):
        if runs.passwords(have.get(name, "")) != [runs.SECRET + name]:
            verdict.fault("another guest was lost", *called, name)
    # What nobody has read before it was overwritten is in no file.
    said = '"overwritten": {' in json.dumps(result.data)
    if act is edit and MARK not in have.get(VICTIM, "") and not said:
        verdict.fault("an edit was overwritten unseen", *called, result.message)
    if module == "numa_domain_info" and result.code:
        verdict.fault("one guest fails all", *called, result.message)
    if VICTIM not in have:
        connection.defineXML(runs.document(VICTIM, more="<title>first</title>"))
    domain = connection.lookupByName(VICTIM)
    if module == "vcpu_pin" and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()
    second = runs.run(module, {**options, "uri": connection.getURI()})
    third = runs.run(module, {**options, "uri": connection.getURI()})
    if second.code or third.code or third.data.get("changed"):
        verdict.fault("later runs", *called, second.message, third.message, third.data.get("changes"))


def main() -> int:
    """The command line."""
    asked = arguments(__doc__)
    verdict = Verdict("others")
    with TestDaemon() as daemon:
        connection = libvirt.open(daemon.uri)
        done = Path(runs.state_folders()[0]) / "acted"
        for case in CASES:
            module, options, running = case
            prepare(connection, running)
            total = runs.run(module, {**options, "uri": daemon.uri}).calls or 0
            every = [(number, act) for number in range(1, total + 1) for act in ACTS]
            picked = every if asked.long else asked.random.sample(every, min(len(every), 14))
            for number, act in sorted(picked, key=every.index):
                prepare(connection, running)
                watch = runs.Watch(number, acting(daemon.uri, act, done))
                result = runs.run(module, {**options, "uri": daemon.uri}, watch)
                verdict.count("runs")
                if done.exists():
                    done.unlink()
                    verdict.count("with somebody else in them")
                    judge(connection, case, act, f"before call {number} of {total}", result, verdict)
        connection.close()
    return verdict.status()


if __name__ == "__main__":
    runs.in_private_folders()
    sys.exit(main())
