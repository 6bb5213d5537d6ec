# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Four times the input is four times the work: calls of functions are counted, no time is measured."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_as_result, intent_text
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import placement_as_result, placement_changes
from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError, few_lines
from ansible_collections.numa.virt.plugins.module_utils._libvirt.capabilities_xml import parse_host
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._values.changes import merge
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Record
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, pins_of
from ansible_collections.numa.virt.plugins.module_utils._xl.config import XlConfig
from ansible_collections.numa.virt.plugins.module_utils._xl.record import intent_from_json

CELLS = {0: CpuSet(range(4)), 1: CpuSet(range(4, 8))}
EVERYTHING = CpuSet(range(8))
RECORD = Record(Intent(cells=CpuSet([0])), "a" * 64, "b" * 64)


def xl(text):
    """All that is done to a configuration file."""
    config = XlConfig.parse('name="a"\nvcpus=4\nmemory=64\n' + text, "a.cfg")
    assert config.masked_text() and config.rest_text() and config.owned_text is not None
    config.secrets()
    for cpus in (CpuSet([1]), None):
        config.with_cpus(cpus, {}, CELLS, EVERYTHING).with_record('{"version": 1}')


def xml(text):
    """All that is done to a domain document."""
    definition = XmlDefinition.read(f"<domain type='kvm'><name>m</name>{text}</domain>", "m")
    assert definition.unreadable is None
    found = definition.placement
    placed = Placement(cpuset=CpuSet([1]), vcpu_pins=pins_of({number: CpuSet([1]) for number, _x in found.vcpu_pins}))
    new = definition.rewritten(placed, RECORD)
    assert definition.masked_text and definition.owned_text is not None and definition.rest_text and definition.digest
    definition.same_rest(new), definition.same_secrets(new), definition.dropped_elements(new)
    definition.released(), definition.completed(definition)
    found.effective_cpuset(definition.shape.vcpus, EVERYTHING)
    placement_as_result(found)
    changes = placement_changes(found, placed)
    merge(changes, changes)


def metadata(inner):
    return f"<metadata><x:a xmlns:x='urn:y'>{inner}</x:a></metadata><memory>1</memory><vcpu>2</vcpu>"


def intent(text):
    found = intent_from_json(text)
    assert found is not None
    intent_as_result(found), intent_text(found)


def warnings(text):
    few_lines(text.split())
    assert len(NumaVirtError(text).as_result()["msg"]) <= 1000


def of(element, number):
    return "".join(element.format(each) for each in range(number))


CASES = {
    "xl statements": (xl, lambda n: of("a{0}=1\n", n)),
    "xl appended": (xl, lambda n: "vfb=['x']\n" + "vfb+=['vncpasswd=x']\n" * n),
    "xl cpus": (xl, lambda n: "cpus=['1']\n" + "cpus+=['1']\n" * n),
    "xl records": (xl, lambda n: '# numa.virt: {"version": 1}\n' * n),
    "xl comments with passwords": (xl, lambda n: '# vncpasswd="x"\n' * n),
    "xl strings": (xl, lambda n: "device_model_args=[" + "'-object','secret,data=x'," * n + "]\n"),
    "xml metadata": (xml, lambda n: metadata(of("<x:b{0} password='x'/>", n))),
    "xml attributes": (xml, lambda n: metadata("<x:b " + of("a{0}='password' ", n) + "/>")),
    "xml comments": (xml, lambda n: metadata("<!--password-->" * n)),
    "xml records": (
        xml,
        lambda n: "<metadata>" + "<n:intent xmlns:n='urn:numa.virt:intent:1'/>" * n + "</metadata><memory>1</memory>",
    ),
    "xml pins": (
        xml,
        lambda n: (
            f"<memory>1</memory><vcpu>{n}</vcpu><cputune>" + of("<vcpupin vcpu='{0}' cpuset='{0}'/>", n) + "</cputune>"
        ),
    ),
    "xml disks": (
        xml,
        lambda n: (
            "<memory>1</memory><devices>"
            + of("<disk><source/><target dev='v{0}'/></disk><graphics type='vnc' passwd='x'/>", n)
            + "</devices>"
        ),
    ),
    "intent": (
        intent,
        lambda n: '{"version": 1, "vcpu_pins": {' + ",".join(f'"{each}": "{each}"' for each in range(n)) + "}}",
    ),
    "capabilities": (
        parse_host,
        lambda n: (
            "<capabilities><host><cpu><arch>x</arch></cpu><topology><cells><cell id='0'><memory>1</memory><cpus>"
            + of("<cpu id='{0}' socket_id='0' core_id='{0}' siblings='{0}'/>", n)
            + "</cpus></cell></cells></topology></host><guest><os_type>hvm</os_type><arch name='x'>"
            "<domain type='kvm'/></arch></guest></capabilities>"
        ),
    ),
    "cpu set": (lambda text: str(CpuSet.parse(text)), lambda n: ",".join(str(2 * each) for each in range(n))),
    "messages": (warnings, lambda n: of("warning-{0}\n", n)),
}


def work(function, text):
    """How many functions were called, of Python and of C."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function(text)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("case", CASES)
def test_work_grows_with_the_input(case):
    function, make = CASES[case]
    function(make(10))  # what is done once
    small, large = work(function, make(40)), work(function, make(160))
    assert large < 4.5 * small, f"{small} calls become {large}"


def test_what_is_too_much_is_refused_at_once():
    for text, said in (("#" * (1 << 20) + "\n", "longer than"), ("cpus=''\n" * 1001, "1001 statements of cpus")):
        with pytest.raises(NumaVirtError, match=said):
            xl(text)


def test_a_placement_is_read_once():
    pins = pins_of({vcpu: CpuSet([vcpu]) for vcpu in range(1000)})
    placement = Placement(vcpu_pins=pins)
    placement.of_vcpu(0)
    assert work(lambda one: [one.of_vcpu(vcpu) for vcpu in range(1000)], placement) < 5000
