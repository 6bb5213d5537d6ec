# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Four times the input takes four times the work: function calls are counted, and in the long form time as well.

Every reader and writer gets one kind of thing again and again; a refusal counts, if it comes as soon.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fuzz import CELLS, EVERYTHING, results
from verdict import Verdict, arguments

REPO = Path(__file__).parents[2]
sys.path.insert(0, str(REPO / ".cache" / "tree"))

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_as_result, intent_text
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import placement_as_result, placement_changes
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, NumaVirtError, few_lines
from ansible_collections.numa.virt.plugins.module_utils._findings import remedies as finding_remedies
from ansible_collections.numa.virt.plugins.module_utils._findings.openmetrics import findings_openmetrics
from ansible_collections.numa.virt.plugins.module_utils._libvirt.capabilities_xml import parse_host
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._map import text as map_text
from ansible_collections.numa.virt.plugins.module_utils._map.model import host_map
from ansible_collections.numa.virt.plugins.module_utils._map.page import host_page
from ansible_collections.numa.virt.plugins.module_utils._values.changes import merge
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Record
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, pins_of
from ansible_collections.numa.virt.plugins.module_utils._xl.config import XlConfig
from ansible_collections.numa.virt.plugins.module_utils._xl.record import intent_or_trouble

# What four times the input may take: calls, and seconds, which are less exact.
CALLS, TIME = 5.0, 9.0
# Shorter than this no time says anything.
SECONDS = 0.1

Case = tuple[Callable[[Any], object], Callable[[int], Any], int]


def xl(text: str) -> None:
    """All that is done to a configuration file."""
    config = XlConfig.parse('name="a"\nvcpus=4\nmemory=64\n' + text, "a.cfg")
    config.masked_text(), config.rest_text(), config.owned_text, config.secrets()
    for cpus in (CpuSet([1]), None):
        config.with_cpus(cpus, {}, CELLS, EVERYTHING).with_record('{"version": 1}')


def xml(text: str) -> None:
    """All that is done to a domain document."""
    held = XmlDefinition.read(f"<domain type='kvm'><name>m</name>{text}</domain>", "m")
    pins = pins_of({number: CpuSet([1]) for number, _cpus in held.placement.vcpu_pins})
    wanted = Placement(cpuset=CpuSet([1]), vcpu_pins=pins)
    new = held.rewritten(wanted, Record(Intent(cells=CpuSet([0])), "a", "b"))
    held.masked_text, held.owned_text, held.rest_text, held.digest  # noqa: B018 - what is measured
    new.same_rest(held), new.same_secrets(held), new.dropped_elements(held), held.released()
    held.placement.effective_cpuset(held.shape.vcpus, EVERYTHING)
    found = placement_changes(held.placement, wanted)
    merge(found, found), placement_as_result(held.placement)


def inside(text: str) -> str:
    return f"<metadata><x:a xmlns:x='urn:y'>{text}</x:a></metadata><memory>1</memory><vcpu>2</vcpu>"


def each(text: str) -> Callable[[int], str]:
    """A text for each number, which stands for {0}."""
    return lambda count: "".join(text.format(number) for number in range(count))


def wrapped(before: str, text: str, after: str) -> Callable[[int], str]:
    return lambda count: before + each(text)(count) + after


def many_guests(count: int) -> Mapping[str, Any]:
    """Results for a host with so many guests, each in a finding."""
    base = results()
    guest, finding = base["guests"]["domains"][0], base["guests"]["findings"][0]
    names = [f"guest{number}" for number in range(count)]
    domains = [{**guest, "name": name} for name in names]
    findings = [{**finding, "domain": name, "others": []} for name in names]
    return {"host": base["host"], "guests": {**base["guests"], "domains": domains, "findings": findings}}


def many_cells(count: int) -> Mapping[str, Any]:
    base = results()
    cell = base["host"]["cells"][0]
    cells = [
        {**cell, "id": number, "cpus": [number], "cores": [[number]], "distances": {str(number): 10}}
        for number in range(count)
    ]
    return {**base, "host": {**base["host"], "cells": cells}}


def text_map(given: Mapping[str, Any]) -> None:
    domains, findings = given["guests"]["domains"], given["guests"]["findings"]
    map_text.text_map(given["host"], domains, 78, findings)


def page(given: Mapping[str, Any]) -> None:
    host = host_map("host1", given["host"], given["guests"])
    host_page(host, "title", None)


def remedies(given: Mapping[str, Any]) -> None:
    guests = given["guests"]
    (finding_remedies.remedies(guests["findings"], guests["domains"]),)
    finding_remedies.finding_lines(guests["findings"], "h")
    finding_remedies.cleared(guests["findings"], guests["findings"])
    findings_openmetrics("h", guests["findings"], guests["summary"])


def record(text: str) -> None:
    intent, _trouble = intent_or_trouble(text)
    if intent is not None:
        intent_as_result(intent), intent_text(intent)


def message(text: str) -> None:
    few_lines(text.split()), NumaVirtError(text, value=text).as_result()
    InputError("option", text.split(), text).as_result()


def capabilities(text: str) -> None:
    topology = f"<topology><cells><cell id='0'><memory>1</memory><cpus>{text}</cpus></cell></cells></topology>"
    parse_host(f"<capabilities><host>{topology}</host></capabilities>")


CASES: Mapping[str, Case] = {
    "CPU set, ascending": (CpuSet.parse, each("{0},{0}-{0},"), 2000),
    "CPU set, exclusions": (CpuSet.parse, wrapped("0-1048575", ",^{0}", ""), 2000),
    "CPU set, blanks": (CpuSet.parse, lambda n: "0" + " " * n + "x", 20_000),
    "CPU set, digits": (CpuSet.parse, lambda n: "9" * n, 20_000),
    "xl, statements": (xl, each("a{0}=1\n"), 100),
    "xl, appended lists": (xl, wrapped("vfb=['x']\n", "vfb+=['vncpasswd=x']\n", ""), 100),
    "xl, appended cpus": (xl, wrapped("cpus=['1']\n", "cpus+=['1']\n", ""), 60),
    "xl, cpus in one line": (xl, wrapped("cpus='1'", ";cpus='1'", "\n"), 60),
    "xl, records": (xl, each('# numa.virt: {{"version": 1}}\n'), 60),
    "xl, comments": (xl, each('# vncpasswd="x"\n'), 100),
    "xl, one comment": (xl, lambda n: "# " + "passw=" * n + "\n", 1000),
    "xl, blanks": (xl, lambda n: " " * n + "x=1\n", 10_000),
    "xl, a list": (xl, wrapped("disk=[", "'a',", "]\n"), 200),
    "xl, arguments": (xl, wrapped("device_model_args=[", "'-object','secret,data=x',", "]\n"), 100),
    "xl, backslashes": (xl, lambda n: "extra='" + "\\\\" * n + "'\n", 1000),
    "xl, a string that does not end": (xl, lambda n: "extra='" + "a" * n, 10_000),
    "xml, elements in metadata": (xml, lambda n: inside(each("<x:b{0} password='x'/>")(n)), 100),
    "xml, attributes": (xml, lambda n: inside("<x:b " + each("a{0}='password' ")(n) + "/>"), 100),
    "xml, namespaces": (xml, lambda n: inside("<x:b " + each("xmlns:n{0}='urn:{0}' ")(n) + "/>"), 100),
    "xml, undeclared prefixes": (xml, lambda n: inside(each("<b{0}:c/>")(n)), 100),
    "xml, comments": (xml, lambda n: inside("<!--password-->" * n), 100),
    "xml, records": (xml, wrapped("<metadata>", "<n:intent xmlns:n='urn:numa.virt:intent:1'/>", "</metadata>"), 60),
    "xml, pins": (xml, wrapped("<vcpu>4000</vcpu><cputune>", "<vcpupin vcpu='{0}' cpuset='{0}'/>", "</cputune>"), 100),
    "xml, disks": (xml, wrapped("<devices>", "<disk><source/><target dev='v{0}'/></disk>", "</devices>"), 100),
    "xml, graphics": (xml, wrapped("<devices>", "<graphics type='vnc' passwd='x'/>", "</devices>"), 100),
    "record, pins": (record, wrapped('{"version": 1, "vcpu_pins": {"0": "0"', ', "{0}0": "1"', "}}"), 200),
    "record, brackets": (record, lambda n: "[" * n, 10_000),
    "capabilities, CPUs": (capabilities, each("<cpu id='{0}' socket_id='0' core_id='{0}' siblings='{0}'/>"), 200),
    "messages": (message, each("warning-{0}\n"), 1000),
    "text map, guests": (text_map, many_guests, 40),
    "text map, cells": (text_map, many_cells, 20),
    "page, guests": (page, many_guests, 40),
    "findings mended": (remedies, many_guests, 200),
}


def calls(work: Callable[[Any], object], given: Any) -> int:
    """How many functions were called, of Python and of C."""
    found = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        tried(work, given)
    finally:
        sys.setprofile(None)
    return found


def tried(work: Callable[[Any], object], given: Any) -> float:
    """Seconds of processor time, also where it is refused."""
    started = time.process_time()
    try:
        work(given)
    except NumaVirtError:
        pass
    return time.process_time() - started


def main() -> int:
    """The command line."""
    asked = arguments(__doc__)
    verdict = Verdict("growth")
    for name, (work, make, size) in CASES.items():
        tried(work, make(10))  # what is done once
        few, many = calls(work, make(size)), calls(work, make(4 * size))
        verdict.count("kinds of input")
        if many > CALLS * max(few, 100):
            verdict.fault(f"{name}: {few} calls become {many}")
        if asked.long:
            # The least of three is what it takes on a machine that does something else too.
            given = make(10 * size), make(40 * size)
            short, long = (min(tried(work, each_size) for _try in range(3)) for each_size in given)
            if long > SECONDS and long > TIME * short:
                verdict.fault(f"{name}: {short:.3f} s become {long:.3f} s")
    return verdict.status()


if __name__ == "__main__":
    sys.exit(main())
