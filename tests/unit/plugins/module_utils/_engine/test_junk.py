# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in one guest's metadata never stops another: it is named, and the rest of the host goes on."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import UnreadableError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document

OURS = "urn:numa.virt:intent:1"
# What libvirt keeps in <metadata>, and needs no finding.
FOREIGN = {
    "no URI": "<a:x xmlns:a='urn:ü'/>",
    "a blank": "<a:x xmlns:a='my app'><a:password>s3cret</a:password></a:x>",
    "braces": "<a:x xmlns:a='{x}' a:password='s3cret'><a:y k='1'/></a:x>",
    "undeclared prefix": "<a:x xmlns:a='urn:x'><b:y/></a:x>",
    "undeclared prefix of an attribute": "<a:x xmlns:a='urn:x' b:password='s3cret'/>",
    "two colons": "<a:x xmlns:a='urn:x'><a:b:c/></a:x>",
    "empty namespace": "<a:x xmlns:a='urn:x'><c:d xmlns:c=''/></a:x>",
    "xml:id": "<a:x xmlns:a='urn:x' xml:id='1 2'/>",
    "relative": "<a:x xmlns:a='y'/>",
}
JUNK = {
    "brackets": "policy='" + "[" * 2000 + "'",
    "deep": "policy='" + "[" * 900 + "]" * 900 + "'",
    "not an object": "policy='[1]'",
    "NaN": """policy='{"policy": "pack", "cpu_ratio": NaN}'""",
    "huge": """policy='{"policy": "pack", "priority": 1000000000000000000000000000000}'""",
    "twice": """policy='{"policy": "pack", "policy": "spread"}'""",
    "cells": "cells='0-1048575'",
    "cells beyond all": "cells='0-99999999999'",
    "cpuset": "cpuset='0-1048575'",
    "no cells": "cells='x'",
}
POLICIES = {
    "unknown": """policy='{"policy": "quantum"}'""",
    "newer option": """policy='{"policy": "pack", "qubits": 3}'""",
    "tiny ratio": """policy='{"policy": "pack", "cpu_ratio": 1e-308}'""",
    "types": """policy='{"policy": 5}'""",
    "wide": """policy='{"policy": "mirror", "width": 99999999999}'""",
}
NEWER = "<n:intent xmlns:n='urn:numa.virt:intent:2' cells='0'/>"


def record(attributes):
    return f"<n:intent xmlns:n='{OURS}' {attributes}/>"


@pytest.fixture
def host(testdriver):
    """Two guests; ``bad`` gets a metadata of the test's."""
    testdriver.native.defineXML(document("good"))

    def make(metadata):
        text = document("bad").replace("<memory ", f"<metadata>{metadata}</metadata><memory ", 1)
        testdriver.native.defineXML(text)
        return testdriver

    return make


def goes_on(it, codes):
    """All that concerns the host, and the other guest, works; the findings about ``bad`` are of these codes."""
    found = it.findings()
    assert {each["name"] for each in found["domains"]} == {"bad", "good"}
    assert sorted(each["code"] for each in found["findings"] if each["domain"] == "bad") == codes
    assert all(len(each["message"]) < 1000 for each in found["findings"])
    assert it.place_all({"name": "good"}, policy="pack", check=True)["changed"]
    assert it.place_all(select="all", policy="pack", cpu_ratio=8, check=True)["changed"]
    assert not it.release(select="good")["changed"]


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_metadata_is_nobodys_business(host, case):
    it = host(FOREIGN[case])
    goes_on(it, [])
    before = it.definition("bad")
    result = it.place("bad", cells=[1])
    assert result["changed"] and "s3cret" not in str({**result, "backup_file": ""})
    assert not it.place("bad", cells=[1])["changed"]
    assert it.release("bad")["changed"]
    assert it.definition("bad") == before


@pytest.mark.parametrize("case", JUNK)
def test_a_record_that_cannot_be_read_is_named_and_counts_as_none(host, case):
    it = host(record(JUNK[case]))
    goes_on(it, ["record_unreadable"])
    assert it.info("bad")[0]["trouble"]
    assert not it.place("bad", state="defined")["changed"]
    placed = it.place("bad", cells=[1])
    assert placed["changed"] and "cannot be read, and counts as none" in placed["warnings"][0]
    assert "metadata/intent" in [each["element"] for each in placed["changes"]]
    again = it.place("bad", cells=[1])
    assert not again["changed"] and "warnings" not in again
    assert it.findings()["findings"] == []


@pytest.mark.parametrize("case", JUNK)
def test_a_record_that_cannot_be_read_is_released(host, case):
    it = host(record(JUNK[case]))
    result = it.release(select="all")
    assert [each["name"] for each in result["domains"]] == ["bad"]
    assert result["changed"] and OURS not in it.definition("bad")
    assert not it.release("bad")["changed"]


@pytest.mark.parametrize("case", JUNK)
def test_a_record_that_cannot_be_read_is_replaced_by_pins(host, case):
    it = host(record(JUNK[case]))
    pinned = it.pin("bad", pins={"0": "0"})
    assert pinned["changed"] and "counts as none" in pinned["warnings"][0]
    assert not it.pin("bad", pins={"0": "0"})["changed"]


@pytest.mark.parametrize("case", JUNK)
def test_a_record_that_cannot_be_read_is_replaced_by_a_plan(host, case):
    it = host(record(JUNK[case]))
    placed = it.place_all({"name": "bad"}, policy="pack")
    assert placed["changed"] and any("counts as none" in each for each in placed["warnings"])
    assert not it.place_all({"name": "bad"}, policy="pack")["changed"]


@pytest.mark.parametrize("case", POLICIES)
def test_a_policy_that_cannot_be_read_is_named(host, case):
    it = host(record(POLICIES[case] + " cells='0'"))
    goes_on(it, ["intent_differs", "record_unreadable"])


def test_what_a_newer_release_has_placed_is_left_alone(host):
    it = host(NEWER)
    goes_on(it, ["record_unreadable"])
    before = it.definition("bad")
    plan = it.place_all(select="all", policy="pack")
    assert [each["name"] for each in plan["domains"]] == ["good"]
    assert any("'bad'" in each or "bad" in each for each in plan["warnings"])
    released = it.release(select="all")
    assert [each["name"] for each in released["domains"]] == ["good"] and "newer release" in released["warnings"][0]
    for act in (
        lambda: it.place("bad", cells=[1]),
        lambda: it.pin("bad", pins={"0": "0"}),
        lambda: it.place_all({"name": "bad"}, policy="pack"),
        lambda: it.release("bad"),
    ):
        with pytest.raises(UnreadableError, match=r"a newer release of numa\.virt has placed it"):
            act()
    assert it.definition("bad") == before


def test_a_definition_that_cannot_be_read_counts_as_far_as_it_can_be(testdriver):
    testdriver.native.defineXML(document("good"))
    testdriver.native.defineXML(document("bad", vcpus=1000000, vcpu=" cpuset='0-3'"))
    goes_on(testdriver, ["definition_unreadable"])
    found = testdriver.info("bad")[0]
    assert (found["memory"], found["configured"]) == (65536, None)
    for act in (
        lambda: testdriver.place("bad", cells=[1]),
        lambda: testdriver.pin("bad", pins={"0": "0"}),
        lambda: testdriver.place_all({"name": "bad"}, policy="pack"),
        lambda: testdriver.release("bad"),
    ):
        with pytest.raises(UnreadableError, match="<vcpu> is not a number; mend it"):
            act()


def test_a_definition_that_cannot_be_read_while_it_runs(testdriver):
    testdriver.native.defineXML(document("good"))
    testdriver.native.defineXML(document("a&#13;b")).create()
    found = testdriver.findings()
    assert [each["code"] for each in found["findings"]] == ["definition_unreadable"]
    assert testdriver.place_all(select="all", policy="pack")["changed"]
    assert [each["name"] for each in testdriver.release(select="all")["domains"]] == ["good"]
