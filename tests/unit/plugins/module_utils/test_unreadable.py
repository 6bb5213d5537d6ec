# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot be read is data, not an error: definitions and records that somebody else has spoilt."""

from __future__ import annotations

import json

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements.xml import parse
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, XmlError
from ansible_collections.numa.virt.plugins.module_utils._intent.policy import wish_from_json, wish_of
from ansible_collections.numa.virt.plugins.module_utils._libvirt.capabilities_xml import (
    parse_host,
    parse_pci_device,
    parse_pool,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.plugins.module_utils._map.results import read_guests
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import MAX_CPU, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import NEWER, RECORD, UNREADABLE
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Host
from ansible_collections.numa.virt.plugins.module_utils._xl.config import XlConfig
from ansible_collections.numa.virt.plugins.module_utils._xl.definition import XlDefinition
from ansible_collections.numa.virt.plugins.module_utils._xl.record import intent_or_trouble

CPUS = CpuSet(range(4))
HOST = Host("xl", (Cell(0, CPUS, 4096),), CPUS, CPUS)


def xml(inside, attributes="type='kvm'", name="m"):
    return f"<domain {attributes}><name>{name}</name>{inside}</domain>"


def xl(text):
    return XlDefinition(XlConfig.parse(f'name="a"\nvcpus=2\n{text}', "a.cfg"), HOST)


@pytest.mark.parametrize(
    ("text", "said", "memory", "cpuset"),
    [
        ("no document", "not well-formed", 0, None),
        ("", "not well-formed", 0, None),
        ("<network/>", "the document is a <network>", 0, None),
        (xml("<memory>8</memory><vcpu cpuset='0-3'>x</vcpu>"), "<vcpu> is not a number", 8, None),
        (xml("<memory>x</memory><vcpu cpuset='0-3'>2</vcpu>"), "<memory> is not a number", 0, "0-3"),
        (xml("<memory>8</memory><vcpu cpuset='x'>2</vcpu>"), "unexpected 'x'", 8, None),
        (xml("<memory>8</memory><vcpu>16385</vcpu>"), "<vcpu> is more than 16384", 8, None),
        (xml("<uuid>x</uuid><memory>8</memory>"), "<uuid> is not a UUID", 8, None),
        (xml("<vcpu cpuset='1'>2</vcpu><cputune><vcpupin vcpu='x' cpuset='0'/></cputune>"), "has vcpu='x'", 0, "1"),
        (xml("<memory>8</memory>", name="other"), "its name does not survive", 8, None),
    ],
)
def test_a_definition_that_cannot_be_read_is_known_in_parts(text, said, memory, cpuset):
    found = XmlDefinition.read(text, "m")
    assert found.trouble is not None and found.trouble.kind == UNREADABLE and found.trouble.blocks
    assert said in found.trouble.problem and "\n" not in found.trouble.problem
    assert (found.shape.name, found.shape.memory, found.text) == ("m", memory, text)
    assert found.placement.cpuset == (CpuSet.parse(cpuset) if cpuset else None)
    assert found.record is None and "<name>m</name>" in found.masked_text


def test_a_name_that_xml_cannot_hold():
    assert XmlDefinition.read("", "a\0\ud800b").shape.name == "a\\x00\\ud800b"


def test_what_can_be_read_has_no_trouble():
    text = xml("<memory>8</memory>")
    found = XmlDefinition.read(text, "m")
    assert (found.trouble, found.text, found.shape.memory) == (None, text, 8)


HARMLESS = [
    "<a:x xmlns:a='urn:ü'/>",
    "<a:x xmlns:a='{x}' a:k='1'/>",
    "<a:x xmlns:a='y'/>",
    "<b:y c:k='1'/>",
    "<a:b:c xml:id='1 2'/>",
    "<c:d xmlns:c=''/>",
]


@pytest.mark.parametrize("inner", HARMLESS)
def test_namespaces_that_are_none_are_kept(inner):
    text = xml(f"<metadata>{inner}</metadata><memory>8</memory>")
    found = XmlDefinition.read(text, "m")
    assert found.trouble is None
    new = found.rewritten(Placement(cpuset=CpuSet([1])), None)
    assert new.same_rest(found) and new.digest == found.digest and found.dropped_elements(new) == []
    assert XmlDefinition.load(new.text).same_rest(found)
    other = XmlDefinition.read(text.replace("</meta", "<z/></meta"), "m")
    assert not other.same_rest(found)


def test_a_strict_reader_refuses_them():
    for inner in HARMLESS:
        if inner != "<a:x xmlns:a='y'/>":  # a relative URI, which lxml takes
            with pytest.raises(XmlError, match="not well-formed"):
                parse(f"<domain>{inner}</domain>")


@pytest.mark.parametrize("inner", ["<a:x xmlns:a='u' xmlns:b='u' a:k='1' b:k='2'/>", "<a k='1' k='2'/>", "<a>&x;</a>"])
def test_more_is_not_taken(inner):
    with pytest.raises(XmlError, match="not well-formed"):
        XmlDefinition.load(xml(f"<metadata>{inner}</metadata>"))


@pytest.mark.parametrize(
    "inner",
    [
        "<a:x xmlns:a='{x}' a:password='s3cret'>kept</a:x>",
        "<a:x xmlns:a='urn:a' b:token='s3cret'/>",
        "<a:x xmlns:a='urn:a' " + " ".join(f"k{number}='token s3cret'" for number in range(65)) + "/>",
        "<a:password xmlns:a='urn:a'>s3cret</a:password>",
    ],
)
def test_secrets_in_names_that_lxml_cannot_set_are_masked(inner):
    text = xml(f"<metadata>{inner}tail</metadata><memory>8</memory>")
    found, other = XmlDefinition.read(text, "m"), XmlDefinition.read(text.replace("s3cret", "other"), "m")
    assert "s3cret" not in found.masked_text + found.rest_text and "********" in found.masked_text
    assert found.digest == other.digest
    assert not found.same_secrets(other) and found.same_secrets(found)


OURS = "urn:numa.virt:intent:1"


@pytest.mark.parametrize(
    ("inner", "kind", "said"),
    [
        (f"<n:intent xmlns:n='{OURS}' policy='{'[' * 2000}'/>", RECORD, "is no JSON that numa.virt has written"),
        (
            f"<n:intent xmlns:n='{OURS}' cells='0-1024'/>",
            RECORD,
            "names cell 1024, and no host has more than 1024",
        ),
        (f"<n:intent xmlns:n='{OURS}' cpuset='16384'/>", RECORD, "names CPU 16384"),
        (f"<n:intent xmlns:n='{OURS}'><n:memory cells='5000'/></n:intent>", RECORD, "names cell 5000"),
        (f"<n:intent xmlns:n='{OURS}'><n:memory mode='x'/></n:intent>", RECORD, "an unknown mode"),
        ("<n:intent xmlns:n='urn:numa.virt:intent:2'/>", NEWER, "records of format 2"),
        ("<n:x xmlns:n='urn:numa.virt:intent:12'/>", NEWER, "records of format 12"),
        ("<n:x xmlns:n='urn:numa.virt:other:2'/>", None, ""),
        (f"<n:other xmlns:n='{OURS}'/>", None, ""),
    ],
)
def test_a_record_that_cannot_be_read(inner, kind, said):
    found = XmlDefinition.read(xml(f"<metadata>{inner}</metadata><memory>8</memory>"), "m")
    assert found.record is None
    assert (found.trouble.kind if found.trouble else None) == kind
    assert found.trouble is None or (said in found.trouble.problem and len(found.trouble.problem) < 1000)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[" * 2000, RECORD),
        ("[]", RECORD),
        ('{"version": true, "cells": 1}', RECORD),
        ('{"version": 1, "cells": "0-1048575"}', RECORD),
        ('{"version": 1, "policy": "pack"}', RECORD),
        ('{"version": 1, "vcpu_pins": {"1_0": "1"}}', RECORD),
        ('{"version": 2}', NEWER),
        ('{"version": 1}', None),
    ],
)
def test_a_record_in_a_comment_of_xl(text, kind):
    _intent, trouble = intent_or_trouble(text)
    assert (trouble.kind if trouble else None) == kind
    found = xl(f"# numa.virt: {text}\n" if text[0] == "{" else "# numa.virt: {" + json.dumps(text)[:50] + "}\n")
    assert (found.trouble.kind if found.trouble else None) == (kind if text[0] == "{" else RECORD)
    assert (found.record is None) == (found.trouble is not None)


def test_cpus_of_xl_that_this_host_has_not():
    found = xl('cpus="7"\n# numa.virt: {"version": 1}\n')
    assert found.trouble is not None and found.trouble.kind == UNREADABLE
    assert found.trouble.problem.startswith(
        "a.cfg: line 3: cpus: '7' leaves no CPU of this host; xl takes CPUs such as"
    )
    assert found.placement == Placement() and found.record is not None
    assert xl('cpus="1"\n').trouble is None


def test_more_attributes_than_anybody_needs():
    inner = "<a " + " ".join(f"a{number}=''" for number in range(1001)) + "/>"
    found = XmlDefinition.read(xml(f"<metadata>{inner}</metadata>"), "m")
    assert found.unreadable == "definition: line 1: an element has more than 1000 attributes"


def test_numbers_that_are_none():
    with pytest.raises(XmlError, match="capabilities: a number in them cannot be read"):
        parse_host("<capabilities><host><topology><cells><cell id='x'/></cells></topology></host></capabilities>")
    bus = "<capability type='pci'><domain>0</domain><bus>x</bus><numa node='0'/></capability>"
    assert parse_pci_device(f"<device><name>n</name>{bus}</device>") is None
    assert parse_pool("<network><forward mode='hostdev'><address bus='x'/></forward></network>").devices == ()
    with pytest.raises(ValueError, match="not larger than"):
        CpuSet([MAX_CPU + 1])
    said = {"cpuset": None, "vcpu_pins": {}, "memory": None, "memnodes": {}}
    guest = {
        "name": "a",
        "state": "running",
        "vcpus": 10**12,
        "memory": 1,
        "live": None,
        "configured": said,
        "actual": None,
    }
    with pytest.raises(InputError, match="1000000000000 is no number from 0 to 16384"):
        read_guests([guest])
    with pytest.raises(InputError, match="is too large; give a number up to 1000000000"):
        wish_of({"priority": 10**10}, {}, None, "a")
    assert wish_from_json('{"policy": "mirror", "width": 1025}') is None
