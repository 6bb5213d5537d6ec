# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One guest has junk in its metadata: the other guests are seen, placed and released, and junk gives way to a record.

Only what libvirt takes counts. Which of it is junk nobody decides here: a guest that has some must be named in a
finding, or be read; no run may end in an internal error, in more than one line, or late.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import libvirt
import runs
from fuzz import BITS
from testd import TestDaemon
from verdict import Verdict, arguments

OURS = "urn:numa.virt:intent:1"
SECONDS = 10.0

ATTRIBUTES = {
    "cells": ("0", "x", "77", "0-1048575", "0-99999999999", "", "1,^1", "^"),
    "cpuset": ("0-3", "100-200", "0-1048575", "x"),
    "emulator": ("0", "77", "x"),
    "made": ("cpu/numa", "everything"),
    "policy": (
        '{"policy": "pack"}', "junk", "[1]", "{}", "[" * 2000, "[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900,
        '{"policy": 5}', '{"policy": [1], "smt": {}}', '{"policy": "quantum", "new": 1}',
        '{"policy": "pack", "x": NaN}',
        '{"policy": "pack", "cpu_ratio": 1e-308}', '{"policy": "pack", "cpu_ratio": NaN}',
        '{"policy": "pack", "cells": "0-1048575"}', '{"policy": "pack", "cells": "77"}',
        '{"policy": "pack", "width": 2}',
        '{"policy": "mirror", "width": 100000000000000000000}', '{"policy": "mirror", "width": -1}',
        '{"policy": "pack", "priority": 1' + "0" * 30 + "}", '{"policy": "dedicated", "emulator": "77"}',
        '{"policy": "pack", "policy": "spread"}', '{"policy": "pack", "together": "\\ud800"}', "9" * 5000,
    ),
}  # fmt: skip
CHILDREN = (
    "<n:memory mode='strict' cells='0'/>", "<n:memory mode='x'/>", "<n:memory mode='none' cells='1'/>",
    "<n:memory cells='0-1048575'/>", "<n:vcpus><n:pin id='0' cpuset='0'/></n:vcpus>",
    "<n:vcpus><n:pin id='x' cpuset='0'/></n:vcpus>", "<n:vcpus><n:pin id='77' cpuset='500'/></n:vcpus>",
    "<n:vcpus>" + "<n:pin id='7' cpuset='0'/>" * 5000 + "</n:vcpus>",
    "<n:iothreads><n:pin id='9' cpuset='0'/></n:iothreads>",
    "<n:cells><n:cell id='0' cpuset='0-1048575'/></n:cells>", "<n:source given='x'/>", "<n:future/>", "<!-- x -->",
    "<q:x xmlns:q='urn:q'/>", "junk", "<n:intent cells='1'/>",
)  # fmt: skip
OTHERS = (
    "<a:x xmlns:a='urn:ü'/>", "<a:x xmlns:a='my app'/>", "<a:x xmlns:a='{x}'/>", "<a:x xmlns:a='urn:x'><b:y/></a:x>",
    "<a:x xmlns:a='urn:x' b:y='1'/>", "<a:x xmlns:a='urn:x'><a:b:c/></a:x>", "<a:x xmlns:a='urn:x' xml:id='1 2'/>",
    "<a:x xmlns:a='y'/>", "<n:intent xmlns:n='urn:numa.virt:intent:2' cells='0'/>", f"<n:other xmlns:n='{OURS}'/>",
    f"<intent xmlns='{OURS}' cells='0'/>", f"<n:intent xmlns:n='{OURS}'>{'junk ' * 50_000}</n:intent>",
)  # fmt: skip


def record(attributes: Mapping[str, str], inner: str = "") -> str:
    """A record of ours, or what stands in its place."""
    escaped = {
        name: text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")
        for name, text in attributes.items()
    }
    said = " ".join(f"{name}='{text}'" for name, text in escaped.items())
    return f"<n:intent xmlns:n='{OURS}' {said}>{inner}</n:intent>"


def junk(chance: random.Random, number: int) -> Iterator[str]:
    """Every case by itself, then mixtures of them, some spoilt."""
    yield from OTHERS
    yield from (record({name: text}) for name, texts in ATTRIBUTES.items() for text in texts)
    yield from (record({"cells": "0"}, inner) for inner in CHILDREN)
    for _each in range(number):
        names = chance.sample(sorted(ATTRIBUTES), chance.randint(0, 3))
        inner = "".join(chance.sample(CHILDREN, chance.randint(0, 3)))
        text = record({name: chance.choice(ATTRIBUTES[name]) for name in names}, inner)
        if chance.random() < 0.4:
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(BITS) + text[at:]
        yield text


class Attack:
    """One host with a good guest and a bad one."""

    def __init__(self, uri: str, verdict: Verdict) -> None:
        self.uri, self.verdict = uri, verdict

    def run(
        self, module: str, case: str, refusals: tuple[str, ...] = (), check: bool = False, **given: Any
    ) -> runs.Result:
        """A run that must be well, or refuse by one of these codes."""
        result = runs.run(module, {"uri": self.uri, **given}, check=check)
        self.verdict.count("runs")
        if result.ugly():
            self.verdict.fault(f"{module}: {result.ugly()[:60]}", case[:300])
        elif result.code and result.error not in refusals:
            self.verdict.fault(f"{module} fails: {result.error}", case[:300], result.message)
        if result.seconds > SECONDS:
            self.verdict.fault(f"{module} is slow", case[:300], result.seconds)
        return result

    def others_go_on(self, case: str) -> None:
        """What is about the host, or about the other guest."""
        found = self.run("numa_domain_info", case).data
        if {each["name"] for each in found.get("domains", ())} != {"bad", "good"}:
            self.verdict.fault("a guest is missing", case[:300])
        bad = [each for each in found.get("domains", ()) if each["name"] == "bad" and each["trouble"]]
        named = [each for each in found.get("findings", ()) if each["code"].endswith("_unreadable")]
        self.verdict.count("guests named in a finding", len(named))
        if bad and not named:
            self.verdict.fault("a trouble without a finding", case[:300])
        self.run("numa_placement", case, check=True, domains=["good"], policy="pack")
        self.run("numa_placement", case, ("does_not_fit",), check=True, select="all", cpu_ratio=8)
        self.run("numa_release", case, check=True, select="all")
        self.run("vcpu_pin", case, check=True, name="good", pins={"0": "0"})

    def gives_way(self, case: str, module: str, given: Mapping[str, Any]) -> None:
        """The bad guest is asked for itself: it is refused, or converges."""
        refusals = ("invalid_input", "does_not_fit", "unsupported")
        if self.run(module, case, refusals, **given).code:
            self.verdict.count("refusals")
        elif self.run(module, case, refusals, **given).data.get("changed"):
            self.verdict.fault(f"{module} does not converge", case[:300])


WAYS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("numa_domain", {"name": "bad", "cells": [1], "vcpu_pins": {}, "restart": "allowed"}),
    ("numa_placement", {"domains": ["bad"], "policy": "pack", "restart": "allowed"}),
    ("numa_release", {"names": ["bad"]}),
    ("vcpu_pin", {"name": "bad", "pins": {"0": "0"}, "outside_cpuset": "allow"}),
)


def main() -> int:
    """The command line."""
    asked = arguments(__doc__)
    verdict = Verdict("metadata")
    with TestDaemon() as daemon:
        connection = libvirt.open(daemon.uri)
        attack = Attack(daemon.uri, verdict)
        for number, case in enumerate(junk(asked.random, 400 if asked.long else 20)):
            if not asked.long and number % 4 != asked.seed % 4:
                continue
            runs.clear(connection)
            connection.defineXML(runs.document("good"))
            try:
                bad = connection.defineXML(runs.document("bad", more=f"<metadata>{case}</metadata>"))
            except (libvirt.libvirtError, UnicodeEncodeError, ValueError):
                verdict.count("refused by libvirt")
                continue
            if asked.random.random() < 0.5:
                bad.create()
            verdict.count("records")
            attack.others_go_on(case)
            attack.gives_way(case, *asked.random.choice(WAYS))
        connection.close()
    return verdict.status()


if __name__ == "__main__":
    runs.in_private_folders()
    sys.exit(main())
