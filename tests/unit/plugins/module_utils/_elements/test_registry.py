# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every owned element has to hold, and that nothing but the registry has a list of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.numa.virt.plugins.doc_fragments._knobs import ModuleDocFragment
from ansible_collections.numa.virt.plugins.module_utils._elements import registry
from ansible_collections.numa.virt.plugins.module_utils._elements.element import HostParts, Knob
from ansible_collections.numa.virt.plugins.module_utils._elements.record import owned_fragment, strip_owned
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree, parse, serialize
from ansible_collections.numa.virt.plugins.module_utils._intent.options import intent_from_options
from ansible_collections.numa.virt.plugins.module_utils._intent.resolve import resolve
from ansible_collections.numa.virt.plugins.module_utils._values.changes import Change
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host
from ansible_collections.numa.virt.tests.unit.plugins.modules.returns import returned

PLUGINS = Path(__file__).resolve().parents[5] / "plugins"
EACH = pytest.mark.parametrize("element", registry.ELEMENTS, ids=lambda each: each.name)
HOST = Host("qemu", (Cell(0, CpuSet([0]), 1 << 20),), CpuSet([0]), CpuSet([0]))
SHAPE = Shape("web1", None, "kvm", 1, (), 1024)


@EACH
def test_an_element_that_says_nothing_leaves_everything_alone(element):
    text = "<domain>\n  <name>web1</name>\n  <vcpu>1</vcpu>\n</domain>"
    root = parse(text)
    nothing = element.of(Placement())
    assert element.put(Placement(), element.read(root)) == Placement()
    assert element.put(Placement(CpuSet([1])).with_knob("other", 1), nothing) in (
        Placement(CpuSet([1])).with_knob("other", 1),
        Placement().with_knob("other", 1),
    )
    assert [each for each in element.changes(nothing, nothing) if each.before != each.after] == []
    assert element.host_parts(nothing) == HostParts()
    assert element.asked_parts(Intent()) == HostParts()
    assert list(element.asked_in_words(Intent())) == []
    element.strip(root)
    assert serialize(root) in (text, text.replace("\n  <vcpu>1</vcpu>", ""))


def test_names_and_paths_are_their_own():
    names = [each.name for each in registry.ELEMENTS]
    paths = [path for each in registry.ELEMENTS for path in each.paths]
    assert len(set(names)) == len(names) and len(set(paths)) == len(paths)


def test_each_option_of_a_knob_is_documented():
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert set(documented) == {each.name for each in registry.KNOBS}
    for name, argument in registry.knob_arguments().items():
        assert documented[name]["type"] == argument["type"]
        assert set(documented[name].get("suboptions", {})) == set(argument.get("options", {}))


@pytest.mark.parametrize("value", ["placement", "intent"])
def test_each_knob_is_documented_where_placements_are_told_of(value):
    """Other modules point there."""
    assert {each.name for each in registry.KNOBS} <= set(returned("numa_domain")[value]["contains"])


class Title(Knob):
    """An element made up for this test: the title of a guest."""

    name = "headline"
    paths = ("title",)
    waits = "made up"

    def read(self, root):
        title = root.find("title")
        return title.text if title is not None else None

    def write(self, root, value):
        for each in root.findall("title"):
            root.remove(each)
        if value:
            etree.SubElement(root, "title").text = value

    def fragment(self, root):
        title = root.find("title")
        if title is None:
            return ()
        shown = etree.Element("title")
        shown.text = title.text
        return (shown,)

    def changes(self, before, after):
        return [Change("title", before, after)]

    def plain(self, value):
        return value

    def argument(self):
        return {"type": "str"}

    def wish(self, options, called):
        return {self.name: options.get(self.name)}

    def asked_in_words(self, intent):
        return [f"headline {intent.knob(self.name)}"] if intent.knob(self.name) else []

    def keep(self, intent, record, space):
        if intent.knob(self.name):
            record.set(self.name, intent.knob(self.name))

    def kept(self, record, space):
        return {self.name: record.get(self.name)}

    def refused(self, driver):
        return None

    def settled(self, value, host, shape, now):
        return value

    def misplaced(self, placement, observation, bound):
        return iter(())


def test_an_element_is_one_class_and_one_line(monkeypatch):
    monkeypatch.setattr(registry, "ELEMENTS", (*registry.ELEMENTS, Title()))
    monkeypatch.setattr(registry, "KNOBS", (*registry.KNOBS, registry.ELEMENTS[-1]))
    monkeypatch.setattr(registry, "_SAID", registry.ELEMENTS)
    wish = intent_from_options({"headline": "new"})
    root = parse("<domain><name>web1</name><title>old</title></domain>")
    before = registry.read_placement(root)
    target = resolve(wish, None, before, None, HOST, driver_named("qemu"), SHAPE)
    registry.write_placement(root, target.encoded)
    assert root.findtext("title") == "new"
    assert registry.placement_changes(before, target.encoded) == [Change("title", "old", "new")]
    assert registry.asked_in_words(target.intent) == ["headline new"]
    assert registry.placement_as_result(target.encoded)["headline"] == "new"
    assert "<title>new</title>" in owned_fragment(root)
    record = etree.Element("intent")
    registry.keep_parts(target.intent, record, "")
    assert Intent(**registry.kept_parts(record, "")) == target.intent
    strip_owned(root)
    assert root.find("title") is None
