# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""<devices><memory><source><nodemask>."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements import registry
from ansible_collections.numa.virt.plugins.module_utils._elements.element import HostParts
from ansible_collections.numa.virt.plugins.module_utils._elements.record import (
    intent_text,
    owned_fragment,
    read_record,
    record_or_trouble,
    strip_owned,
    write_record,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import parse, serialize
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._intent.resolve import resolve
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import RECORD, Record
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import driver_named
from ansible_collections.numa.virt.plugins.module_utils._values.observation import PROC, Memory, Observation
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    Intent,
    MemoryBinding,
    Placement,
    Shape,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host

DOCUMENT = """<domain>
  <devices>
    <memory model="dimm">
      <source>
        <nodemask>1-3</nodemask>
        <pagesize unit="KiB">4</pagesize>
      </source>
      <target><size>1</size></target>
    </memory>
    <memory model="nvdimm"><source><path>/secret</path></source></memory>
    <memory model="dimm"><target><size>1</size></target></memory>
  </devices>
</domain>"""
THERE = ((0, CpuSet([1, 2, 3])),)
SHAPE = Shape("web1", None, "kvm", 4, (), 1024, memory_devices=(0, 0, None))
HOST = Host(
    "qemu",
    (Cell(0, CpuSet([0, 1]), 1 << 20), Cell(1, CpuSet([2, 3]), 1 << 20), Cell(2, CpuSet([4]), 0)),
    CpuSet(range(5)),
    CpuSet(range(5)),
)


def _said(value):
    return Placement().with_knob("nodemask", value)


def _asked(value):
    return Intent(knobs=(("nodemask", value),))


def test_it_is_read_and_written_in_place():
    root = parse(DOCUMENT)
    assert registry.read_placement(root) == _said(THERE)
    wanted = ((0, CpuSet([2])), (2, CpuSet([1])))
    registry.write_placement(root, _said(wanted))
    assert registry.read_placement(root) == _said(wanted)
    assert serialize(root).startswith(DOCUMENT.partition("1-3")[0] + "2</nodemask>")
    registry.write_placement(root, _said(THERE))
    assert serialize(root) == DOCUMENT
    registry.write_placement(root, Placement())
    assert "nodemask" not in serialize(root) and "pagesize" in serialize(root)


def test_a_source_that_says_nothing_else_goes_with_it():
    root = parse("<domain><devices><memory><source><nodemask>1</nodemask></source></memory></devices></domain>")
    registry.write_placement(root, Placement())
    assert serialize(root) == "<domain><devices><memory></memory></devices></domain>"


def test_it_is_no_part_of_the_rest_and_a_diff_shows_nothing_else_of_a_device():
    root = parse(DOCUMENT)
    shown = owned_fragment(root)
    assert "/secret" not in shown and "<nodemask>1-3</nodemask>" in shown and shown.count("<memory") == 1
    strip_owned(root)
    assert "nodemask" not in serialize(root) and "/secret" in serialize(root)
    assert owned_fragment(root) == ""


def test_what_was_asked_for_is_kept_with_the_guest():
    for value in (THERE, ()):
        root = parse("<domain><name>web1</name></domain>")
        write_record(root, Record(_asked(value)))
        assert read_record(root) == Record(_asked(value))


def test_a_cell_that_no_host_can_have_is_junk():
    root = parse("<domain><name>web1</name></domain>")
    write_record(root, Record(_asked(((0, CpuSet([1 << 12])),))))
    record, trouble = record_or_trouble(root)
    assert record is None and trouble.kind == RECORD and "no host has as many" in trouble.problem


def test_changes_words_and_results():
    changes = registry.placement_changes(_said(THERE), _said(((1, CpuSet([0])),)))
    assert [(each.element, each.before, each.after) for each in changes] == [
        ("devices/memory/source/nodemask[0]", "1-3", None),
        ("devices/memory/source/nodemask[1]", None, "0"),
    ]
    assert intent_text(_asked(THERE)) == "memory device 0 on cells 1-3"
    assert intent_text(_asked(())) == "no nodemask"
    assert registry.placement_as_result(_said(THERE))["nodemask"] == {"0": "1-3"}
    assert registry.asked_as_result(_asked(()))["nodemask"] == {}
    assert (
        registry.parts_from_options({"nodemask": {"0-1": "2"}}, {})["knobs"]
        == _asked(((0, CpuSet([2])), (1, CpuSet([2])))).knobs
    )
    with pytest.raises(InputError, match=r"nodemask\[0\].*names no cell"):
        registry.parts_from_options({"nodemask": {"0": ""}}, {})


def _resolved(wish=None, stored=None, current=None, shape=SHAPE, driver="qemu"):
    wish = _asked(wish) if wish is not None else Intent()
    stored = _asked(stored) if stored is not None else None
    target = resolve(wish, stored, _said(current), None, HOST, driver_named(driver), shape)
    return target.encoded.knob("nodemask"), target.intent.knob("nodemask")


def test_it_is_resolved():
    one = ((0, CpuSet([1])),)
    assert _resolved(current=THERE) == (THERE, None)
    assert _resolved(wish=one, current=THERE) == (one, one)
    assert _resolved(stored=one, current=THERE) == (one, one)
    assert _resolved(wish=(), stored=one, current=THERE) == (None, ())
    none = replace(SHAPE, memory_devices=())
    assert _resolved(stored=one, current=None, shape=none) == (None, None)
    with pytest.raises(InputError, match=r"no memory device 0.*it has none"):
        _resolved(wish=one, shape=none)
    with pytest.raises(InputError, match=r"no memory device 3.*its memory devices are 0-2"):
        _resolved(wish=((3, CpuSet([1])),))
    for cells in ([2], [7]):
        with pytest.raises(InputError, match=rf"no memory on cells {cells[0]}.*cells with memory are 0-1"):
            _resolved(wish=((0, CpuSet(cells)),))
    with pytest.raises(UnsupportedError, match="from nowhere else"):
        _resolved(wish=one, driver="xen")


def test_its_cells_count_for_the_memory_of_the_guest():
    placement = replace(_said(((0, CpuSet([1])),)), memory=MemoryBinding("strict", CpuSet([0])))
    seen = Observation(PROC, (), (), Memory(((0, 4), (1, 4)), "bind:0"))
    assert registry.misplaced(placement, seen) == []
    assert len(registry.misplaced(replace(placement, knobs=()), seen)) == 1


def test_the_parts_of_the_host_that_it_names():
    parts = registry.named_parts(_said(THERE))
    assert parts == HostParts(cells=CpuSet([1, 2, 3]))
    assert parts.stale_on(HOST) == HostParts(cells=CpuSet([3]))
    assert registry.asked_parts(_asked(THERE)) == parts
