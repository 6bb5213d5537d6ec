# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One guest's file never stops another on a host that has only xl."""

from __future__ import annotations

import os

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, UnreadableError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.xen import XenHost, config

RECORDS = [
    "[" * 2000 + "{",
    '"version": 1, "cells": "0-1048575"',
    '"version": 1, "policy": ' + "[" * 2000,
    '"policy": NaN',
]


@pytest.fixture
def host(tmp_path):
    host = XenHost(tmp_path)
    host.file("good")
    return host


def goes_on(host, codes):
    found = host.findings()
    assert sorted(each["code"] for each in found["findings"] if each["domain"] == "bad") == codes
    assert host.place_all({"name": "good"}, policy="pack", check=True)["changed"]
    assert host.place_all(select="all", policy="pack", check=True)["changed"]
    assert not host.release("good")["changed"]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_that_cannot_be_read(host, record):
    host.file("bad", config("bad", more="# numa.virt: {" + record + "}\n"))
    goes_on(host, ["record_unreadable"])
    placed = host.place("bad", cells=[1])
    assert placed["changed"] and "counts as none" in placed["warnings"][0]
    assert host.text("bad").count("# numa.virt: ") == 1
    assert not host.place("bad", cells=[1])["changed"]


def test_a_record_of_a_newer_release(host):
    host.file("bad", config("bad", more='# numa.virt: {"version": 2}\n'))
    goes_on(host, ["record_unreadable"])
    before = host.text("bad")
    for act in (
        lambda: host.place("bad", cells=[1]),
        lambda: host.release("bad"),
        lambda: host.pin("bad", pins={"0": "0"}),
    ):
        with pytest.raises(UnreadableError, match="a newer release"):
            act()
    assert host.text("bad") == before


def test_cpus_that_the_host_has_not(host):
    host.file("bad", config("bad", cpus="'99'"))
    goes_on(host, ["definition_unreadable"])
    with pytest.raises(UnreadableError, match="leaves no CPU of this host"):
        host.place("bad", cells=[1])


def test_files_that_are_none(host):
    os.mkfifo(os.path.join(host.folder, "fifo.cfg"))
    host.file("large", "#" * (1 << 21) + "\n")
    host.file("blank", config("blank "))
    found = host.findings()
    assert [each["name"] for each in found["domains"]] == ["good"]
    assert [each.partition(": ")[0] for each in found["warnings"]] == ["passed over"] * 3
    with pytest.raises(InputError, match="longer than 1048576 characters"):
        host.place("large", cells=[1])
