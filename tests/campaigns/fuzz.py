# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every reader of text and of results is given spoilt input: only errors of ours come out, short and soon.

What is spoilt are the recorded inputs of the unit tests and texts written here; what is read is written and read again.
"""

from __future__ import annotations

import importlib
import json
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from verdict import Verdict, arguments

REPO = Path(__file__).parents[2]
sys.path.insert(0, str(REPO / ".cache" / "tree"))

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_as_result, intent_text
from ansible_collections.numa.virt.plugins.module_utils._engine import map_page
from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._intent import placement_options, policy
from ansible_collections.numa.virt.plugins.module_utils._intent.options import intent_from_options
from ansible_collections.numa.virt.plugins.module_utils._libvirt import capabilities_xml
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._module import arguments as shown
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Record
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement
from ansible_collections.numa.virt.plugins.module_utils._xl import output as xl_output
from ansible_collections.numa.virt.plugins.module_utils._xl.config import XlConfig
from ansible_collections.numa.virt.plugins.module_utils._xl.record import intent_or_trouble, intent_to_json

CELLS = {0: CpuSet(range(4)), 1: CpuSet(range(4, 8))}
EVERYTHING = CpuSet(range(8))
# No single input may take longer, nor all of this program more memory.
SECONDS, BYTES = 2.0, 3 << 30

CPU_SETS = ["0-3,^2,8", "1-4,^3,6", "0", "0-1048575", " 1 , 2 - 4 "]
XL_FILES = [
    'name = "web1"\nvcpus = 2\nmaxvcpus = 4\nmemory = 512\ncpus = "2-3"\n# numa.virt: {"version": 1, "cells": "1"}\n',
    "name='a'\nvcpus=4\ncpus=['0','1-2,^1','all','nodes:1']\ncpus += ['3']\nmemory=10 # x\nvncpasswd='hunter2'\n",
    "name='b'\nvcpus=2\nvfb=['vnc=1,vncpasswd=hunter2']\ndisk=['phy:/dev/a,xvda,w',\n 'file:/x,xvdb,r',]\nextra=''\n",
    'name="v"\ntype="hvm"\nvcpus=2\nmemory=1024\nvnuma=[["pnode=0","size=1024","vcpus=0-1","vdistances=10"]]\n',
]
RECORDS = [
    '{"version": 1, "cells": "1", "memory": {"mode": "strict", "cells": "1"}, "vcpu_pins": {"0": "2"}}',
    '{"version": 1, "emulator_cpuset": "4", "iothread_pins": {"1": "3"}, "policy": {"policy": "pack"}}',
    '{"version": 2, "cells": "0"}',
    '{"policy": "mirror", "width": 2, "cells": "0-1", "priority": 3, "together": "a", "emulator": "isolate"}',
]
METADATA = (
    "<metadata><n:intent xmlns:n='urn:numa.virt:intent:1' cells='1' cpuset='0-3' policy='{&quot;policy&quot;: "
    "&quot;pack&quot;}' made='cpu/numa'><n:memory mode='strict' cells='0'/><n:vcpus><n:pin id='0' cpuset='1'/>"
    "</n:vcpus><n:iothreads/><n:cells><n:cell id='0' cpuset='1'/></n:cells><n:source given='a' stored='b'/></n:intent>"
    "<a:x xmlns:a='urn:a' a:token='hunter2'><b:y xmlns:b='urn:b'>text</b:y></a:x></metadata>"
)
DOCUMENT = (
    f"<domain type='kvm'><name>m</name>{METADATA}<memory unit='GiB'>1</memory><vcpu current='1' cpuset='0-7'>2</vcpu>"
    "<iothreads>2</iothreads><cputune><vcpupin vcpu='0' cpuset='1'/><emulatorpin cpuset='0'/></cputune><numatune>"
    "<memory mode='strict' nodeset='0'/></numatune><cpu><numa><cell id='0' cpus='0-1' memory='1' unit='GiB'/></numa>"
    "</cpu><devices><graphics type='vnc' passwd='hunter2'/><hostdev mode='subsystem' type='pci'><source><address "
    "domain='0' bus='1' slot='0' function='0'/></source></hostdev></devices></domain>"
)
BITS = [
    "\0", "\n", "\r", "'",
    '"', "\\", "<", ">", "&", "&amp;", "<!--", "-->", "<![CDATA[", "]]>", "<?pi?>", "<!DOCTYPE a>",
    "\ufeff", "\u0661", "\u2028", "\ud800", "\U0001f600", "é", "0", "-1", "99999999999999999999", "1e309", "1e-308",
    "NaN",
    "Infinity", "0x", "^", ",", "-", "+", "[", "]", "{", "}", "=", "+=", ";", "#", "all", "nodes:", "null", "true",
    "1.5",
    "\t", " ", "cpuset=''", "xmlns='x'", "xmlns:a='{b}'", "a:", "xml:id='1'", "placement='auto'", "4294967296",
    "1048575",
    "1048576", "-0", "</script>", "<vcpu/>", "<metadata/>",
]  # fmt: skip
VALUES: Sequence[Any] = (
    None, True, 0, -1, 1, 2**63, 10**400, 1.5, float("nan"), float("inf"), 1e-308, "", "x", "0-3", "1,^1", "\0",
    "\u0663", [], {}, [0], ["0", 1], [[0]], [None], {"a": 1}, {"0": "1"}, {"0": None}, [2**70], "9" * 5000,
    "x\ny" * 400, "-x",
    "</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\ud800", "\u202e",
    {"mode": "none", "cells": [0]}, "1000000000000000T", [{"name": 3}], [{"xml": "<x/>", "cells": {"a": 1}}],
    ["a", "a"], 10**12, [10**12], "[" * 3000,
)  # fmt: skip
OPTIONS = (
    "cells", "cpuset", "vcpu_pins", "emulator_cpuset", "iothread_pins", "memory", "domains", "reserved_cpus",
    "shared_cpus", "dedicated_cpus", "reserved_memory", "reserved_cells", "cpu_ratio", "policy", "smt", "cache",
    "emulator", "iothreads", "devices", "together", "priority",
    "width", "own_cpus", "max_moves",
)  # fmt: skip
# What Ansible lets through only as a dictionary, or as a list.
DICTIONARIES, LISTS = ("vcpu_pins", "iothread_pins", "memory", "reserved_memory"), ("domains",)


def recorded(pattern: str) -> list[str]:
    """Inputs of the unit tests."""
    found = sorted((REPO / "tests" / "unit" / "fixtures").glob(pattern))
    return [path.read_text(encoding="utf-8", errors="surrogateescape") for path in found]


def spoilt(chance: random.Random, texts: Sequence[str]) -> str:
    """One of the texts with a few pieces cut out, put in, doubled or taken from another."""
    text = chance.choice(texts)
    for _change in range(chance.choice((1, 1, 2, 4, 8))):
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.choice((0, 1, 3, 20, 100)))
        other = chance.choice(texts)
        taken = chance.randint(0, len(other))
        piece = chance.choice(
            ("", chance.choice(BITS), text[start:end] * 3, other[taken : taken + 30], chr(chance.randrange(0xD7FF)))
        )
        text = text[:start] + piece + text[end:]
    return text


def spoilt_value(chance: random.Random, value: Any) -> Any:
    """A copy of a result where one or two values somewhere are others, or gone."""
    value = json.loads(json.dumps(value))
    top = value
    for _change in range(chance.choice((1, 1, 2))):
        at, holder, key = value, None, None
        while isinstance(at, (dict, list)) and at and (holder is None or chance.random() < 0.85):
            holder, key = at, chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
            at = holder[key]
        if holder is not None and holder is not top and chance.random() < 0.2:
            del holder[key]
        elif holder is not None:
            holder[key] = chance.choice(VALUES)
    return value


def read_cpu_set(text: str) -> None:
    found = CpuSet.parse(text)
    if found and CpuSet.parse(str(found)) != found:
        raise AssertionError("what was written is read as another set")


def read_xl(text: str) -> None:
    config = XlConfig.parse(text, "a.cfg")
    shown = config.masked_text() + config.owned_text + config.rest_text()
    secrets = [each for each in config.secrets() if "hunter2" in each and text.count(each) == 1]
    if any(each in shown for each in secrets):
        raise AssertionError("a secret is shown")
    recorded_there = config.with_record('{"version": 1}')
    if recorded_there.record_text != '{"version": 1}' or recorded_there.with_record(None).record_text is not None:
        raise AssertionError("a record is not kept")
    for cpus in (CpuSet([1]), None):
        placed = config.with_cpus(cpus, {}, CELLS, EVERYTHING)
        if placed.placement(CELLS, EVERYTHING).cpuset != cpus or placed.name != config.name:
            raise AssertionError("it is not where it was put")


def read_record(text: str) -> None:
    intent, trouble = intent_or_trouble(text)
    policy.wish_from_json(text)
    if (intent is None) == (trouble is None):
        raise AssertionError("neither a record nor a trouble")
    if intent is not None:
        if intent_or_trouble(intent_to_json(intent))[0] != intent:
            raise AssertionError("what was written is read as another intent")
        intent_as_result(intent), intent_text(intent)


def read_document(text: str) -> None:
    held = XmlDefinition.read(text, "m")
    if held.trouble is not None and held.trouble.kind == "definition":
        held.shape, held.placement, held.masked_text, held.record  # noqa: B018 - they must not raise
        XmlDefinition.load(text)
        return
    record = Record(Intent(cells=CpuSet([0])))
    wanted = Placement(cpuset=CpuSet([1]), vcpu_pins=((0, CpuSet([1])),))
    new = XmlDefinition.load(held.rewritten(wanted, record).text)
    if new.placement != wanted or not new.same_rest(held) or new.record.intent != record.intent:
        raise AssertionError("another placement, another rest, or no record")
    if "hunter2" in held.masked_text + held.rest_text + held.owned_text and text == DOCUMENT:
        raise AssertionError("a secret is shown")
    held.released(), held.completed(held), held.dropped_elements(new), held.same_secrets(new), held.digest


def read_capabilities(text: str) -> None:
    host = capabilities_xml.parse_host(text)
    host.cells_touched(CpuSet([0, 9])), host.with_cpu_map((True,) * 8)
    capabilities_xml.parse_pci_device(text), capabilities_xml.parse_device_part(text), capabilities_xml.parse_pool(text)


def read_xl_output(text: str) -> None:
    for name in dir(xl_output):
        if name.startswith(("read_", "parse_")):
            try:
                getattr(xl_output, name)(text)
            except NumaVirtError:
                continue


def read_options(given: dict[str, Any]) -> None:
    known = shown.known_spec({name: {} for name in given}, {"domains": placement_options.ENTRY_OPTIONS}, ("xml",))
    works: Iterable[Callable[[], Any]] = (
        lambda: intent_from_options(given),
        lambda: placement_options.entries_of(given["domains"]),
        lambda: shown.shown_arguments(known, given),
        lambda: shown.misplaced(known, given),
        lambda: shown.without_values("got: x", given),
        lambda: placement_options.rules_of(given),
        lambda: policy.wish_of(given, {}, None, "web1"),
        lambda: placement_options.size_in_kib(given["cpu_ratio"], "reserved_memory"),
    )
    for work in works:
        try:
            work()
        except NumaVirtError as error:  # noqa: PERF203 - each is a case of its own
            judge(error)


def read_results(results: dict[str, Any]) -> None:
    """What draws maps, and what plans and counts by findings."""
    host, guests = results["host"], results["guests"]
    # Not before: with the controller's parts a module says its warnings on the spot, and takes longer.
    errors = (NumaVirtError, importlib.import_module("ansible.errors").AnsibleFilterError)
    for name, given in (
        ("numa_map", (host, guests)),
        ("findings_lines", (guests, "host1")),
        ("findings_remedies", (guests,)),
        ("findings_cleared", (guests, guests)),
        ("findings_openmetrics", (guests, "host1")),
    ):
        module = importlib.import_module(f"ansible_collections.numa.virt.plugins.filter.{name}")
        try:
            lines = module.FilterModule().filters()[name](*given)
        except errors as error:
            judge(error)
        else:
            if name in ("numa_map", "findings_lines") and any("\n" in each or "\0" in each for each in lines):
                raise AssertionError("a line that is none")
    with tempfile.TemporaryDirectory() as folder:
        hosts = [{"name": "host1", "cells": host, "guests": guests}]
        map_page.map_pages(map_page.MapRequest(hosts, folder, "title", None, False, False))
        text = "".join(page.read_text(encoding="utf-8") for page in Path(folder).iterdir())
    if "<script>alert" in text or "<img src=x" in text:
        raise AssertionError("markup of somebody else's in a page")


def judge(error: Exception) -> None:
    """An error of ours is one short line, and plain data."""
    message = str(getattr(error, "message", error))
    if "\n" in message or len(message) > 1000:
        raise AssertionError(f"no short line: {message[:200]!r}")
    if isinstance(error, NumaVirtError) and len(json.dumps(error.as_result(), allow_nan=False)) > 100_000:  # type: ignore[attr-defined]
        raise AssertionError("an endless result")


def results() -> dict[str, Any]:
    """What the info modules return for a small host, written by hand."""
    placement = {
        "cpuset": "0-1", "automatic": False, "vcpu_pins": {"0": "0"}, "emulator_cpuset": None, "iothread_pins": {},
        "memory": {"mode": "strict", "cells": [0], "automatic": False}, "memnodes": {},
    }  # fmt: skip
    finding = {
        "code": "memory_remote", "severity": "warning", "domain": "web1", "others": ["db1"], "cells": [1],
        "cpus": "2-3", "numbers": {"kib": 4096}, "message": "its memory lies elsewhere", "fix": "restart",
        "remedy": "restart it",
    }  # fmt: skip
    guest = {
        "name": "web1", "uuid": "0", "state": "running", "persistent": True, "managed": True, "vcpus": 2,
        "memory": 65536, "trouble": None, "intent": {"cells": [0], "policy": {"policy": "pack"}},
        "configured": placement, "live": placement,
        "actual": {"source": "proc", "vcpus": {"0": "0", "1": "0-1"}, "emulator": "0", "memory": {"0": 4096}},
        "cpuset": "0-1", "cells": [0],
    }  # fmt: skip
    cells = [
        {
            "id": cell, "cpus": [2 * cell, 2 * cell + 1], "cores": [[2 * cell, 2 * cell + 1]], "sockets": [0],
            "devices": [], "memory": {"total": 1048576, "free": 524288},
            "distances": {"0": 10 + 10 * cell, "1": 20 - 10 * cell},
            "huge_pages": [{"size": 2048, "total": 8, "free": 4}],
        }
        for cell in (0, 1)
    ]  # fmt: skip
    still = {**guest, "name": "db1", "state": "shut off", "live": None, "actual": None}
    summary = {"error": 0, "warning": 1, "info": 0}
    return {
        "host": {"cells": cells, "notes": [], "driver": "qemu"},
        "guests": {"domains": [guest, still], "findings": [finding], "summary": summary},
    }


def options(chance: random.Random) -> dict[str, Any]:
    """Options as Ansible may let them through."""
    given = {name: chance.choice(VALUES) if chance.random() < 0.3 else None for name in OPTIONS}
    for names, kind in ((DICTIONARIES, dict), (LISTS, list)):
        given.update({name: None for name in names if not isinstance(given[name], kind)})
    return given


def targets(chance: random.Random) -> dict[str, tuple[Callable[[Any], None], Callable[[], Any]]]:
    """What is read -> who reads it, and who makes one."""
    texts = {
        "cpu sets": (read_cpu_set, CPU_SETS),
        "files of xl": (read_xl, XL_FILES),
        "records": (read_record, RECORDS),
        "documents": (read_document, [DOCUMENT, DOCUMENT, *recorded("domains/*.xml")]),
        "capabilities": (read_capabilities, [*recorded("capabilities/*.xml"), *recorded("node-devices/*.xml")]),
        "output of xl": (read_xl_output, recorded("xl/*.txt")),
    }

    def of(seeds: Sequence[str]) -> Callable[[], str]:
        return lambda: spoilt(chance, seeds)

    found: dict[str, Any] = {name: (read, of(seeds)) for name, (read, seeds) in texts.items()}
    found["options"] = (read_options, lambda: options(chance))
    base = results()
    found["results"] = (read_results, lambda: spoilt_value(chance, base))
    return found


def main() -> int:
    """The command line."""
    asked = arguments(__doc__)
    verdict = Verdict("fuzz")
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    for name, (read, make) in targets(asked.random).items():
        for _input in range(20_000 if asked.long else 250):
            value = make()
            verdict.count(name)
            started = time.process_time()
            try:
                read(value)
            except NumaVirtError as error:
                try:
                    judge(error)
                except (AssertionError, ValueError) as worse:
                    verdict.fault(f"{name}: {worse}", value)
            # Anything else that comes out is what is looked for here.
            except Exception as error:  # noqa: BLE001
                frame = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(frame.filename).name}:{frame.lineno}"
                verdict.fault(f"{name}: {type(error).__name__} at {where}", str(error)[:200], value)
            if time.process_time() - started > SECONDS:
                verdict.fault(f"{name}: slow", value)
    return verdict.status()


if __name__ == "__main__":
    sys.exit(main())
