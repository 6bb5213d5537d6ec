# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets are planted at every place of the one table of secrets, and looked for in all that a run lets out.

In definitions that are given, that are there and that are refused; in documents where a name belongs, for every option
of every module; on libvirt's test driver and on the stand-ins for qemu, Xen and xl. It is looked in results, diffs,
warnings, the invocation, stderr, the node's log, the arguments of programs, and files that others may read. What
libvirt keeps of a secret must still be there behind the run.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import libvirt
import places
import runs
from ansible.module_utils import basic
from places import TOKEN, Place
from testd import TestDaemon
from verdict import Verdict, arguments

from ansible_collections.numa.virt.plugins.module_utils._node import devices, kernel_cpus, meminfo, processes
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import Hypervisor
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.xen import XenHost
from ansible_collections.numa.virt.tests.unit.plugins.modules.least import MODULES as LEAST
from ansible_collections.numa.virt.tests.unit.plugins.modules.least import options_of

#: A refusal says more where Ansible shows all that it can.
SHOW_ALL = {"_ansible_inject_invocation": True, "_ansible_verbosity": 3}
# Documents that stand where none belongs, in the short form.
SHORT = 30
# Ways for each place by itself, in the long form.
ALONE = 4


class Tap(runs.Watch):
    """Writes down what a run logs and which programs it calls, and puts a stand-in in the hypervisor's place.

    ``refuses``: libvirt takes no definition, and repeats all of it.
    """

    def __init__(self, log: str, host: Any = None, refuses: bool = False) -> None:
        super().__init__()
        self.log, self.host, self.refuses = log, host, refuses

    def install(self) -> None:
        super().install()
        basic.has_journal = False
        basic.syslog.syslog = lambda _level, text: self.write(text)
        if self.refuses:
            libvirt.virConnect.defineXMLFlags = self._refuse
            libvirt.virConnect.defineXML = self._refuse
        if self.host is not None:
            self._stand_in()

    def write(self, text: object) -> None:
        with open(self.log, "a", encoding="utf-8", errors="replace") as file:
            file.write(f"{text}\n")

    @staticmethod
    def _refuse(_connection: Any, xml: str, *_flags: Any) -> None:
        said = "unsupported configuration: " + " ".join(xml.split())
        error = libvirt.libvirtError(said)  # which takes the words of the last error, if there was one
        error.args = (said,)
        error.err = (libvirt.VIR_ERR_CONFIG_UNSUPPORTED, libvirt.VIR_FROM_DOMAIN, said, 2, said, "", "", -1, -1)
        raise error

    def _stand_in(self) -> None:
        host = self.host
        folder = str(host.folder if isinstance(host, XenHost) else host.backups)
        processes.ROOT = getattr(host, "proc", folder)
        devices.ROOT = meminfo.PATH = kernel_cpus.CPUS = kernel_cpus.GROUPS = f"{folder}/nothing"
        if isinstance(host, XenHost):
            real = host.run

            def heard(words: Sequence[str]) -> Any:
                self.write(words)
                return real(words)

            vars(host)["run"] = heard

        def connect(_uri: str | None, config: str | None, _run_command: Any) -> Any:
            host.config = config
            return host.connect()

        for module in runs.MODULES.values():
            if hasattr(module, "connect"):
                vars(module)["connect"] = connect


@dataclass(frozen=True)
class Way:
    """A module with the options that are made of a document, or of the path of a file.

    ``there``: the guest is defined before. ``refuses``: libvirt takes no definition. ``strays``: the guest does not
    start where it should. These two are for libvirt, and for stand-ins. ``first``: what is run before.
    """

    title: str
    module: str
    options: Callable[[str], Mapping[str, Any]]
    there: bool = False
    refuses: bool = False
    strays: bool = False
    first: tuple[str, Mapping[str, Any]] | None = None

    @property
    def modes(self) -> int:
        """1 where check mode never comes to what it is about."""
        return 1 if self.refuses or self.strays else 2


_PLACED = ("numa_domain", {"name": "s", "cells": [1], "restart": "allowed"})
#: In check mode, or not.
Case = tuple[Place, Way, bool]

WAYS = (
    Way("new", "numa_domain", lambda xml: {"xml": xml, "cells": [1]}),
    Way("redefined", "numa_domain", lambda xml: {"xml": places.described(xml), "cells": [1]}, there=True),
    Way(
        "another secret", "numa_domain", lambda xml: {"xml": xml.replace(TOKEN, f"{TOKEN}y"), "cells": [0]}, there=True
    ),
    Way("moved", "numa_domain", lambda _xml: {"name": "s", "cells": [1], "restart": "allowed"}, there=True),
    Way("placed", "numa_placement", lambda xml: {"domains": [{"xml": xml}, {"xml": places.renamed(xml)}]}),
    Way("placed by name", "numa_placement", lambda _xml: {"domains": ["s"], "policy": "dedicated"}, there=True),
    Way("pinned", "vcpu_pin", lambda _xml: {"name": "s", "pins": {"0": "0"}, "outside_cpuset": "allow"}, there=True),
    Way("released", "numa_release", lambda _xml: {"names": ["s"]}, there=True, first=_PLACED),
    Way("seen", "numa_domain_info", lambda _xml: {}, there=True),
    Way("cut off", "numa_domain", lambda xml: {"xml": xml[:-4]}),
    Way("cut off in a list", "numa_placement", lambda xml: {"domains": ["s", {"xml": xml[:-4]}]}, there=True),
    Way("of another driver", "numa_domain", lambda xml: {"xml": re.sub(" type='[a-z]*'", " type='hvf'", xml, count=1)}),
    Way("another name", "numa_domain", lambda xml: {"name": "t", "xml": xml}),
    Way("does not fit", "numa_placement", lambda xml: {"domains": [{"xml": places.wide(xml)}], "policy": "dedicated"}),
    Way("refused by libvirt", "numa_domain", lambda xml: {"xml": xml, "cells": [1]}, refuses=True),
    Way("refused in a list", "numa_placement", lambda xml: {"domains": [{"xml": xml}]}, refuses=True),
    Way("rolled back", "numa_domain", lambda xml: {"xml": xml, "cells": [1]}, strays=True),
    Way("rolled back in a list", "numa_placement", lambda xml: {"domains": [{"xml": xml}]}, strays=True),
)
XL_WAYS = (
    Way("moved", "numa_domain", lambda path: {"config": path, "cells": [1], "restart": "allowed"}),
    Way("placed", "numa_placement", lambda _path: {"domains": ["s"], "policy": "dedicated"}),
    Way("pinned", "vcpu_pin", lambda path: {"config": path, "pins": {"0": "0"}, "outside_cpuset": "allow"}),
    Way("released", "numa_release", lambda _path: {"select": "all"}),
    Way("seen", "numa_domain_info", lambda path: {"config": path}),
)


class Attack:
    """Runs, and where a secret came out."""

    def __init__(self, verdict: Verdict, folder: str) -> None:
        self.verdict, self.folder, self._numbers = verdict, pathlib.Path(folder), itertools.count()

    def run(
        self, case: str, module: str, given: Mapping[str, Any], check: bool, misplaced: bool = False, **about: Any
    ) -> runs.Result:
        """One run, and a look at all that came of it. ``misplaced``: its arguments may be refused."""
        log = self.folder / "log"
        log.write_text("", encoding="utf-8")
        result = runs.run(module, {**given, **SHOW_ALL}, Tap(str(log), **about), check=check)
        logged = log.read_text(encoding="utf-8")
        self.verdict.count("runs")
        self.verdict.count("of them refused", int(result.code == 1))
        if result.code not in (0, 1) or not result.data or result.error == "internal":
            self.verdict.fault(f"{module}: no result", case, result.text[-600:])
        # Otherwise the search would prove nothing. Arguments that are refused are not logged.
        if not misplaced and "Invoked with" not in logged:
            self.verdict.fault(f"{module}: nothing is logged", case, result.text[-300:])
        if "module_args" not in result.data.get("invocation", {}):
            self.verdict.fault(f"{module}: no invocation", case)
        self.look(case, module, result, logged)
        return result

    def look(self, case: str, module: str, result: runs.Result, logged: str) -> None:
        """For the secret, where nobody may find it."""
        for key, value in result.data.items():
            self._shown(f"{module}: in {key}", case, json.dumps(value, ensure_ascii=False))
        if TOKEN in result.text and not any(TOKEN in json.dumps(each) for each in result.data.values()):
            self._shown(f"{module}: printed", case, result.text)
        self._shown(f"{module}: on stderr", case, result.err)
        self._shown(f"{module}: in the log", case, logged)
        for path, mode, text in runs.kept_files():
            if TOKEN in text and (mode & 0o077 or "/backup" not in path):
                self.verdict.fault(f"{module}: in a file", case, path, oct(mode))

    def _shown(self, where: str, case: str, text: str) -> None:
        self.verdict.count("texts searched")
        if TOKEN in text:
            at = text.index(TOKEN)
            self.verdict.fault(where, case, text[max(0, at - 150) : at + 50])

    def empty_folder(self) -> pathlib.Path:
        """One that no stand-in has had."""
        found = self.folder / str(next(self._numbers))
        found.mkdir()
        return found


def on_test_driver(attack: Attack, daemon: TestDaemon, found: Sequence[Place], asked: Any) -> None:
    """On the real libvirt: what it keeps of a secret has to be there behind the run."""
    connection = libvirt.open(daemon.uri)

    def takes(place: Place) -> bool:
        try:
            connection.defineXML(place.document("test")).undefine()
        except libvirt.libvirtError:
            return False
        return True

    ways = [way for way in WAYS if not way.strays]
    for place, way, check in cases(found, crowds(found, takes), ways, asked):
        runs.clear(connection)
        xml = place.document("test")
        try:
            kept = connection.defineXML(xml).XMLDesc(runs.SECURE_CONFIG).count(TOKEN)
        except libvirt.libvirtError:
            kept = 0
        if not way.there:
            runs.clear(connection)
        title = f"{place.title}, {way.title}{', check' if check else ''}"
        if way.first is not None:
            attack.run(f"{title}: before", way.first[0], {**way.first[1], "uri": daemon.uri}, False)
        attack.run(title, way.module, {**way.options(xml), "uri": daemon.uri}, check, refuses=way.refuses)
        there = runs.definitions(connection).get("s")
        if there is not None and kept:
            attack.verdict.count("secrets still there")
            if there.count(TOKEN) < kept:
                attack.verdict.fault("a secret is lost", title, kept, there)
    runs.clear(connection)
    connection.close()


def on_stand_in(attack: Attack, kind: str, found: Sequence[Place], asked: Any) -> None:
    """Where the document is kept as it stands, with all that libvirt's test driver would drop."""
    ways = [way for way in WAYS if not way.refuses]
    for place, way, check in cases(found, crowds(found, lambda _place: True), ways, asked):
        host = Hypervisor(attack.empty_folder(), kind)
        xml = place.document("kvm" if kind == "qemu" else "xen")
        if way.there:
            host.add(xml, running=way.module != "numa_placement")
        host.strays = {0: CpuSet([7])} if way.strays else {}
        attack.run(f"{kind}: {place.title}, {way.title}", way.module, way.options(xml), check, host=host)


def on_xl(attack: Attack, found: Sequence[Place], asked: Any) -> None:
    """Files of xl."""
    for place, way, check in cases(found, crowds(found, lambda _place: True), XL_WAYS, asked):
        host = XenHost(attack.empty_folder())
        path = host.file("s", place.file())
        given = {"uri": "xl", **way.options(path)}
        attack.run(f"xl: {place.title}, {way.title}", way.module, given, check, host=host)
        if TOKEN not in host.text("s"):
            attack.verdict.fault("a secret is lost", place.title, way.title, host.text("s"))


def wrong_arguments() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(what it is, module, options): a document for every option, in every form that somebody may give it."""
    document = Place("vnc", places.GRAPHICS).document("test")
    forms = {
        "text": document,
        "one line": " ".join(document.split()),
        "end": document[len(document) // 2 :],
        "list": [document],
        "nested list": [[document]],
        "dictionary": {"xml": document},
        "misspelt": [{"xlm": document, "vncpasswd": TOKEN}],
        "as a name": [{"name": document}],
        "as a group": [{"name": "web1", "together": document}],
        "as a key": {document: 1},
        "json": json.dumps([{"name": "web1", "xml": document}]),
        "xl": f'name = "web1"\nvcpus = 1\nvncpasswd = "{TOKEN}"\n',
        "a line of xl": f'vncpasswd="{TOKEN}"',
        "an address": f"qemu+tcp://admin:{TOKEN}@host/system",
    }
    for module, least in LEAST.items():
        for option, *inside in (*options_of(runs.MODULES[module].main), ("xlm",), ("documant",)):
            for form, value in forms.items():
                given: Any = value
                if inside:
                    given = {**(least.get(option) or [{}])[0], inside[0]: value}
                    given = [given] if option == "hosts" else given
                if form == "an address" and (option in ("dest", "title") or module == "numa_map_page"):
                    continue  # a path or a text like any other
                yield f"{'.'.join((option, *inside))}: {form}", module, {**least, option: given}


def crowds(found: Sequence[Place], takes: Callable[[Place], bool]) -> list[Place]:
    """As few definitions as may be that have all of these places together, each of which somebody takes."""
    made: list[Place] = []
    for place in filter(takes, found):
        for number, crowd in enumerate(made):
            both = crowd.with_other(place)
            if takes(both):
                made[number] = both
                break
        else:
            made.append(Place(f"crowd {len(made)}", place.text))
    return made


def cases(found: Sequence[Place], together: Sequence[Place], ways: Sequence[Way], asked: Any) -> list[Case]:
    """All places together by every way, and each, or some, by themselves by some ways."""
    chance = asked.random
    if asked.long:
        turns = [(place, way) for place in together for way in ways]
        turns += [(place, way) for place in found for way in chance.sample(ways, ALONE)]
        return [(place, way, check) for place, way in turns for check in (False, True)[: way.modes]]
    some = zip(chance.sample(found, len(ways) // 2), chance.sample(ways, len(ways)))
    turns = [*zip(itertools.cycle(together), ways), *some]
    return [(place, way, number % way.modes == 1) for number, (place, way) in enumerate(turns)]


def main() -> int:
    """The command line."""
    asked = arguments(__doc__)
    verdict = Verdict("planted")
    for row in places.unplanted():
        verdict.fault("a place of the table is not planted", row)
    documents, files = places.documents(), places.xl_files()
    verdict.count("places", len(documents) + len(files))
    with TestDaemon() as daemon, tempfile.TemporaryDirectory() as folder:
        attack = Attack(verdict, folder)
        on_test_driver(attack, daemon, documents, asked)
        for kind in ("qemu", "xen"):
            on_stand_in(attack, kind, documents, asked)
        on_xl(attack, files, asked)
        wrong = list(wrong_arguments())
        for title, module, given in wrong if asked.long else asked.random.sample(wrong, SHORT):
            result = attack.run(title, module, given, check=False, misplaced=True)
            if not result.code and module != "numa_map_page":
                verdict.fault(f"{module} takes a document", title)
    return verdict.status()


if __name__ == "__main__":
    runs.in_private_folders()
    sys.exit(main())
