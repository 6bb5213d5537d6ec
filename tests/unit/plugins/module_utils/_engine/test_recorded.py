# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions that earlier releases have written keep their intent, and nothing is to be done for them.

Recorded with the modules of the release 0.1.0, and of 0.2.0 as it was before elements were classes, on libvirt's test
driver: beside each definition the options, and what the module said of intent and placement. Files of xl, which 0.1.0
did not know, are of 0.2.0 as it was before module_utils had folders, on the stand-in for a Xen host.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements.record import intent_as_result
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import placement_as_result
from ansible_collections.numa.virt.plugins.module_utils._engine.domain import place_domain
from ansible_collections.numa.virt.plugins.module_utils._engine.plan import Request
from ansible_collections.numa.virt.plugins.module_utils._intent.options import intent_from_options
from ansible_collections.numa.virt.plugins.module_utils._libvirt.connection import Connection
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.xen import XenHost

FOLDER = Path(__file__).resolve().parents[3] / "fixtures" / "recorded"
RECORDED = sorted(path.relative_to(FOLDER).with_suffix("") for path in FOLDER.glob("*/*.xml"))
EACH = pytest.mark.parametrize("case", RECORDED, ids=str)
XL = FOLDER / "0.2.0-xl"
EACH_OF_XL = pytest.mark.parametrize("case", sorted(path.stem for path in XL.glob("*.cfg")))


@pytest.fixture(name="connection")
def _connection():
    """The host that they were recorded on."""
    with Connection("test:///default") as connection:
        yield connection
        for domain in connection.domains():
            if domain.name in {case.name for case in RECORDED}:
                domain.undefine()


def _recorded(case):
    path = FOLDER / case
    return path.with_suffix(".xml").read_text(encoding="utf-8"), json.loads(path.with_suffix(".json").read_text())


def test_both_releases_are_there():
    assert {path.parts[0] for path in RECORDED} == {"0.1.0", "0.2.0"} and len(RECORDED) == 23


@EACH
def test_the_intent_and_the_placement_are_read_as_they_were_meant(case):
    text, said = _recorded(case)
    definition = XmlDefinition.read(text, case.name)
    assert definition.trouble is None
    if "intent" in said:
        # Policies came after 0.1.0.
        now = intent_as_result(definition.record.intent) if definition.record is not None else None
        assert {"policy": None, **(said["intent"] or {})} == {"policy": None, **(now or {})}
    else:
        policy = json.loads(definition.record.intent.policy)
        assert policy.items() <= said["options"].items()
    assert placement_as_result(definition.placement) == said["placement"]


@EACH
@pytest.mark.parametrize("again", ["document", "name"])
def test_a_run_changes_nothing(connection, case, again):
    text, said = _recorded(case)
    domain = connection.define(text)
    before = domain.definition()
    by_policy = "policy" in said["options"]
    given = again == "document" and not by_policy
    wish = intent_from_options({} if by_policy else said["options"])
    result = place_domain(
        connection,
        Request(name=case.name, xml=said["document"] if given else None, wish=wish, state="defined", backup=False),
    )
    assert (result["changed"], result["changes"]) == (False, [])
    assert domain.definition() == before


@pytest.fixture(name="xl")
def _xl(tmp_path):
    return XenHost(tmp_path)


def _recorded_of_xl(case, xl):
    text = (XL / f"{case}.cfg").read_text(encoding="utf-8")
    xl.file(case, text)
    return text, json.loads((XL / f"{case}.json").read_text(encoding="utf-8"))


@EACH_OF_XL
def test_a_file_of_xl_is_read_as_it_was_meant(xl, case):
    _text, said = _recorded_of_xl(case, xl)
    (guest,) = xl.info(case)
    assert guest["trouble"] is None
    # A file of xl says nothing of memory: it follows the CPUs.
    assert {**guest["configured"], "memory": None} == {**said["placement"], "memory": None}
    if "intent" in said:
        assert guest["intent"] == said["intent"]
    else:
        assert guest["intent"]["policy"].items() <= said["options"].items()


@EACH_OF_XL
@pytest.mark.parametrize("again", ["as asked for", "by name"])
def test_a_run_changes_nothing_of_a_file_of_xl(xl, case, again):
    text, said = _recorded_of_xl(case, xl)
    options = said["options"] if again == "as asked for" else {}
    if "policy" in said["options"]:
        done = xl.place_all(case, state="defined", **options)
    else:
        done = xl.place(case, state="defined", **options)
    assert not done["changed"]
    assert xl.text(case) == text
