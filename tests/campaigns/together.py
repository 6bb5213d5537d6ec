# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two to six runs at once, some of them killed; and two users at once, with state directories and umasks of their own.

No CPU of a guest with CPUs of its own is given to another, or claimed for one, nobody is lost, nothing waits for ever,
and no lock outlives the run that held it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import libvirt
import runs
from testd import TestDaemon
from verdict import Verdict, arguments

#: A user who may reach the daemon, and is not root.
NOBODY = (65534, 65534)
#: What a run may say when it got no lock, or no room.
REFUSALS = {"busy", "does_not_fit", "no_lock"}


def claim(number: int, cpus: str) -> dict[str, Any]:
    """Options that claim CPUs for a guest that never comes."""
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    return {"name": f"c{number}", "uuid": uuid, "cpuset": cpus, "owned": True, "lock_timeout": 60}


def twice(connection: libvirt.virConnect, uri: str) -> list[tuple[int, str, str]]:
    """CPUs that two guests with CPUs of their own have, those that are to come included."""
    owner: dict[int, str] = {}
    found = []
    for each in runs.run("numa_cell_info", {"uri": uri}).data["claims"]:
        for cpu in (int(one) for part in each["cpuset"].split(",") for one in _range(part)):
            if cpu in owner:
                found.append((cpu, owner[cpu], each["name"]))
            owner[cpu] = each["name"]
    for name, xml in sorted(runs.definitions(connection).items()):
        for cpu in runs.pinned(xml) if "dedicated" in xml else ():
            if cpu in owner:
                found.append((cpu, owner[cpu], name))
            owner[cpu] = name
    return found


def _range(part: str) -> range:
    first, _dash, last = part.partition("-")
    return range(int(first), int(last or first) + 1)


def dedicated(prefix: str, many: int, vcpus: int = 2) -> dict[str, Any]:
    """Options that place new guests on CPUs of their own."""
    guests = [{"xml": runs.document(f"{prefix}{number}", vcpus=vcpus)} for number in range(many)]
    return {"domains": guests, "policy": "dedicated", "partial": True, "lock_timeout": 60}


def prepare(connection: libvirt.virConnect, uri: str) -> None:
    runs.clear(connection)
    for each in runs.run("numa_cell_info", {"uri": uri}).data["claims"]:
        runs.run("numa_claim", {"uri": uri, "uuid": each["uuid"], "state": "absent"})
    connection.defineXML(runs.document("shared")).create()
    connection.defineXML(runs.document("other"))


def crowd(connection: libvirt.virConnect, uri: str, asked: Any, verdict: Verdict) -> None:
    """Some runs at once, of different modules, one of them perhaps killed."""
    prepare(connection, uri)
    choose = asked.random
    kinds: list[tuple[str, Mapping[str, Any]]] = [
        choose.choice(
            [
                ("numa_placement", dedicated(f"d{number}", choose.randint(1, 2), choose.randint(1, 3))),
                ("numa_placement", dedicated(f"d{number}", 1)),
                ("numa_claim", claim(number, choose.choice(("0-3", "2-5", "8-9", "0-15")))),
                ("numa_domain", {"name": "shared", "cells": [choose.randint(0, 1)], "restart": "allowed"}),
                ("vcpu_pin", {"name": "shared", "pins": {"0": "0-7"}, "outside_cpuset": "allow", "apply": "config"}),
                ("numa_release", {"names": ["other"]}),
                ("numa_domain_info", {}),
            ]
        )
        for number in range(choose.randint(2, 6))
    ]
    under_way = [(module, runs.Run(module, {**options, "uri": uri})) for module, options in kinds]
    if choose.random() < 0.3:
        runs.time.sleep(choose.uniform(0, 0.2))
        choose.choice(under_way)[1].kill()
    for module, each in under_way:
        finish(each, module, verdict)
    check(connection, uri, "a crowd", verdict)


def finish(under_way: runs.Run, called: str, verdict: Verdict) -> runs.Result | None:
    try:
        result = under_way.wait(90)
    except TimeoutError:
        verdict.fault("a run waits for ever", called)
        return None
    verdict.count("runs")
    if result.ugly():
        verdict.fault("what a run says", called, result.ugly())
    return result


def check(connection: libvirt.virConnect, uri: str, called: str, verdict: Verdict) -> None:
    """After all have ended."""
    given = twice(connection, uri)
    if given:
        verdict.fault("a CPU was given twice", called, given)
    have = runs.definitions(connection)
    for name in ("shared", "other"):
        if runs.passwords(have.get(name, "")) != [runs.SECRET + name]:
            verdict.fault("a guest was lost", called, name)
    free = runs.run("numa_placement", {"uri": uri, "select": "nobody*", "lock_timeout": 1})
    if free.code:
        verdict.fault("a lock is held by nobody", called, free.message)


def two_users(
    connection: libvirt.virConnect,
    uri: str,
    title: str,
    one: Mapping[str, Any],
    two: Mapping[str, Any],
    verdict: Verdict,
) -> None:
    """A pair of runs that want the same CPUs: each is given its own, or refused."""
    prepare(connection, uri)
    # Somebody else's claim, which neither may take.
    runs.run("numa_claim", {**claim(9, "2-3"), "uri": uri})
    pair = [
        runs.Run("numa_placement", {**dedicated(prefix, 3), "uri": uri, "backup": False}, **how)
        for prefix, how in (("a", one), ("b", two))
    ]
    results = [finish(each, title, verdict) for each in pair]
    verdict.count("pairs of users")
    for result in results:
        if result is not None and result.code and result.error not in REFUSALS:
            verdict.fault("a refusal that is none of those expected", title, result.error, result.message)
    check(connection, uri, title, verdict)


def main() -> int:
    """The command line."""
    asked = arguments(__doc__)
    verdict = Verdict("together")
    with TestDaemon() as daemon, tempfile.TemporaryDirectory(prefix="numa-virt-") as home:
        os.chmod(home, 0o777)
        connection = libvirt.open(daemon.uri)
        for _round in range(80 if asked.long else 10):
            crowd(connection, daemon.uri, asked, verdict)
        if os.geteuid() == 0:
            nobody = {"user": NOBODY, "environment": {"HOME": home, "XDG_STATE_HOME": "", "XDG_RUNTIME_DIR": ""}}
            elsewhere = {
                "user": NOBODY,
                "environment": {"HOME": home, "XDG_STATE_HOME": f"{home}/other", "XDG_RUNTIME_DIR": ""},
            }
            nowhere = {
                "user": NOBODY,
                "environment": {"HOME": "/proc/none", "XDG_STATE_HOME": "", "XDG_RUNTIME_DIR": ""},
            }
            for _round in range(8 if asked.long else 2):
                two_users(connection, daemon.uri, "root and another user", {}, nobody, verdict)
                two_users(connection, daemon.uri, "one user twice", nobody, nobody, verdict)
                two_users(connection, daemon.uri, "two state directories", nobody, elsewhere, verdict)
                two_users(connection, daemon.uri, "no state directory", nowhere, nowhere, verdict)
        else:
            print("SKIPPED: two users at once need root", flush=True)
        connection.close()
    return verdict.status()


if __name__ == "__main__":
    runs.in_private_folders()
    sys.exit(main())
