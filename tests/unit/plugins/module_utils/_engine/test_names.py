# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and UUIDs: what libvirt takes converges, what it refuses is refused before anything is touched."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, XmlError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document

UUID = "<uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>"
NAMES = [
    " a",
    "a ",
    " ",
    "a b",
    "a\tb",
    "é",
    "x" * 300,
    "<a&b>",
    "-x",
    "--help",
    "..",
    "a\u2028b",
    "a\u00a0",
    "{a}",
    "*",
]


def named(name, **parts):
    return document(escape(name, {"\t": "&#9;"}), **parts)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_libvirt_takes_converges(testdriver, name):
    assert testdriver.place(name, named(name), cells=[0], check=True)["changed"]
    made = testdriver.place(name, named(name), cells=[0])
    assert made["changed"] and made["name"] == name and testdriver.domain(name).isActive()
    assert not testdriver.place(name, named(name), cells=[0])["changed"]
    assert testdriver.pin(name, pins={"0": "0"})["changed"]
    assert not testdriver.pin(name, pins={"0": "0"})["changed"]
    assert testdriver.place_all({"name": name, "policy": "pack"})["changed"]
    assert not testdriver.place_all({"name": name, "policy": "pack"})["changed"]
    assert [each["name"] for each in testdriver.info(name)] == [name]
    assert testdriver.release(name)["changed"]
    assert not testdriver.release(name)["changed"]


@pytest.mark.parametrize("name", ["a\nb", "\na", "a/b", "../x"])
@pytest.mark.parametrize("check", [True, False])
def test_a_name_that_libvirt_refuses_is_refused_first(testdriver, name, check):
    for act in (
        lambda: testdriver.place(None, named(name), cells=[0], check=check),
        lambda: testdriver.place_all({"xml": named(name)}, policy="pack", check=check),
    ):
        with pytest.raises(XmlError, match="<name> holds a") as error:
            act()
        assert "\n" not in error.value.message
    assert testdriver.everything() == []


@pytest.mark.parametrize("check", [True, False])
def test_a_uuid_that_another_domain_has(testdriver, check):
    testdriver.native.defineXML(document("other", uuid=UUID))
    before = testdriver.everything()
    for act in (
        lambda: testdriver.place(None, document("web1", uuid=UUID.upper().replace("UUID", "uuid")), check=check),
        lambda: testdriver.place_all({"xml": document("web1", uuid=UUID)}, policy="pack", check=check),
    ):
        with pytest.raises(InputError, match="is the UUID of domain 'other' too; leave <uuid> out"):
            act()
    assert testdriver.everything() == before
    assert testdriver.place(None, document("other", uuid=UUID), cells=[0], check=check)["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_a_uuid_that_is_given_twice(testdriver, check):
    entries = [{"xml": document(name, uuid=UUID)} for name in ("a", "b")]
    with pytest.raises(InputError, match=r"domains\[1\]\.xml: '.*': is the UUID of domain 'a' too"):
        testdriver.place_all(*entries, policy="pack", check=check)
    assert testdriver.everything() == []
    assert testdriver.place_all(entries[0], {"xml": document("b")}, policy="pack", check=check)["changed"]
