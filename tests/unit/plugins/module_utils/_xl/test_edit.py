# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edits of a configuration file: golden texts, and that nothing else changes."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._xl import edit as xl_edit
from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import parse_document

RECORD = '{"v": 1}'
LINE = f"# numa.virt: {RECORD}\n"


def edit(function, text, *arguments):
    return function(text, parse_document(text, "x"), *arguments)


# text -> the same with cpus of two vCPUs
WRITTEN = {
    "a=1\n": 'a=1\ncpus = ["2", "3"]\n',
    "a=1": 'a=1\ncpus = ["2", "3"]',
    "a=1  ": 'a=1  \ncpus = ["2", "3"]',
    "a=1 #": 'a=1 #\ncpus = ["2", "3"]',
    "a=1;\n": 'a=1;\ncpus = ["2", "3"]\n',
    "a=1 # x\n\n# y\n": 'a=1 # x\ncpus = ["2", "3"]\n\n# y\n',
    "a=[1,\n2]; b=1 # x\r\n": 'a=[1,\n2]; b=1 # x\r\ncpus = ["2", "3"]\n',
    "cpus='4' # x\na=1": 'cpus=["2", "3"] # x\na=1',
    "a=1;  cpus  =  4  ;b=1": 'a=1;  cpus  =  ["2", "3"]  ;b=1',
    "cpus=['4']\n": 'cpus=["2", "3"]\n',
    "cpus=['4', # x\n 5, # y\n]\n": 'cpus=["2", # x\n "3", # y\n]\n',
    "cpus=['4', # x\n [5], # y\n]\n": 'cpus=["2", "3"]\n',
    "cpus_soft='1'\n": 'cpus_soft=\'1\'\ncpus = ["2", "3"]\n',
    # The last one counts.
    "cpus='4'\ncpus='5'\na=1\n": 'cpus=\'4\'\ncpus=["2", "3"]\na=1\n',
    "cpus='4'\na=1\ncpus+=',5' # x\ncpus += ',6'\nb=1\n": 'cpus=["2", "3"]\na=1\n# x\nb=1\n',
    "cpus='4'; cpus+=',5'; cpus='6'; cpus+=',7'; b=1": "cpus='4'; cpus+=',5'; cpus=[\"2\", \"3\"]; b=1",
    "cpus+='4'\ncpus+=',5'\n": 'cpus+=["2", "3"]\n',
    # The record is before it.
    f"a=1\n{LINE}": f'a=1\n{LINE}cpus = ["2", "3"]\n',
    f"{LINE}a=1": f'a=1\n{LINE}cpus = ["2", "3"]',
    f"{LINE}a=1\n# y\n{LINE}": f'a=1\n{LINE}cpus = ["2", "3"]\n# y\n',
    f"{LINE}a=1\ncpus='4'\n": f'{LINE}a=1\ncpus=["2", "3"]\n',
}


@pytest.mark.parametrize("text", WRITTEN)
def test_with_cpus(text):
    once = edit(xl_edit.with_cpus, text, ["2", "3"])
    assert once == WRITTEN[text]
    assert edit(xl_edit.with_cpus, once, ["2", "3"]) == once


def test_equal_words_are_a_list_too():
    assert edit(xl_edit.with_cpus, "cpus='2-3'", ["2-3", "2-3"]) == 'cpus=["2-3", "2-3"]'
    assert edit(xl_edit.with_cpus, "a=1", ["2-3"]) == 'a=1\ncpus = ["2-3"]'


# text -> the same without cpus
REMOVED = {
    "a=1\n": "a=1\n",
    "cpus=1\na=1": "a=1",
    "  cpus=1  \na=1\n": "a=1\n",
    "a=1\ncpus=[1,\n2]\n": "a=1\n",
    "a=1\n  cpus=1": "a=1",
    "a=1\n# x\ncpus=1": "a=1\n# x\n",
    "a=1 #\ncpus=1": "a=1 #",
    "a=1\n\ncpus=1": "a=1\n",
    "cpus=1": "",
    "cpus=1; a=1\n": "a=1\n",
    "  cpus=1 ;  a=1\n": "  a=1\n",
    "cpus=1;\na=1": "\na=1",
    "a=1; cpus=1\n": "a=1\n",
    "a=1; cpus=1": "a=1",
    "a=1 ; cpus=1 ; b=1": "a=1 ; b=1",
    "a=1; cpus=1 # x\n": "a=1 # x\n",
    "cpus=1 # x\n": "# x\n",
    "  cpus=1 # x\n": "  # x\n",
    "cpus=1; # x\n": "# x\n",
    "cpus=1 #": "#",
    "a=1\ncpus='1'\nb=1\ncpus+=',2'\n": "a=1\nb=1\n",
    "cpus=1;cpus=2": "",
    "a=1\ncpus=1\ncpus=2": "a=1",
    f"{LINE}cpus=1\na=1": f"{LINE}a=1",
    f"a=1\n{LINE}cpus=1": f"{LINE}a=1",
    f"a=1\n{LINE}cpus=1\nb=1\n": f"a=1\nb=1\n{LINE}",
    # A comment that only now has a line for itself is no record.
    f"cpus=1 {LINE}a=1\n": f"; {LINE}a=1\n",
    f"cpus=1 ; {LINE}a=1\n": f"; {LINE}a=1\n",
    f"a=1; cpus=1 {LINE}": f"a=1 {LINE}",
}


@pytest.mark.parametrize("text", REMOVED)
def test_without_cpus(text):
    result = edit(xl_edit.without_cpus, text)
    assert result == REMOVED[text]
    parse_document(result, "x")
    assert edit(xl_edit.records, result) == edit(xl_edit.records, text)


# text -> the same with a record
RECORDED = {
    "a=1\n": f"a=1\n{LINE}",
    "a=1\n# x\n\n": f"a=1\n# x\n\n{LINE}",
    "a=1": f"{LINE}a=1",
    "a=1;b=[\n1]": f"{LINE}a=1;b=[\n1]",
    "a=1\nb=1 #": f"a=1\n{LINE}b=1 #",
    "a=1\ncpus='1'\nb=1": f"a=1\n{LINE}cpus='1'\nb=1",
    "a=[\n1 ]; cpus='1'\n": f"{LINE}a=[\n1 ]; cpus='1'\n",
    "b=[\n]; a=[\n1 ]; cpus='1'\n": f"{LINE}b=[\n]; a=[\n1 ]; cpus='1'\n",
    "cpus='1'\ncpus='2'\ncpus+=',3'\n": f"cpus='1'\n{LINE}cpus='2'\ncpus+=',3'\n",
    '# numa.virt: {"old": 2}\na=1\ncpus=1\n': f"{LINE}a=1\ncpus=1\n",
    '  # numa.virt: {"old": 2} \t\na=1\n': f"  {LINE}a=1\n",
    '# numa.virt: {}\na=1\n# numa.virt: {"b": 2}\n# x\n': f"a=1\n{LINE}# x\n",
    # What is none
    'a=[\n# numa.virt: {"old": 2}\n]\n': f'a=[\n# numa.virt: {{"old": 2}}\n]\n{LINE}',
    'a=1 # numa.virt: {"old": 2}\n': f'a=1 # numa.virt: {{"old": 2}}\n{LINE}',
    "a='# numa.virt: {}'\n": f"a='# numa.virt: {{}}'\n{LINE}",
    "# numa.virt: see the wiki\na=1\n": f"# numa.virt: see the wiki\na=1\n{LINE}",
    "# numa.virt: {}\r\na=1\n": f"# numa.virt: {{}}\r\na=1\n{LINE}",
    "#numa.virt: {}\n## numa.virt: {}\na=1\n": f"#numa.virt: {{}}\n## numa.virt: {{}}\na=1\n{LINE}",
}


@pytest.mark.parametrize("text", RECORDED)
def test_with_record(text):
    once = edit(xl_edit.with_record, text, RECORD)
    assert once == RECORDED[text]
    assert edit(xl_edit.records, once) == [RECORD]
    assert edit(xl_edit.with_record, once, RECORD) == once
    without = edit(xl_edit.with_record, once, None)
    assert edit(xl_edit.records, without) == []
    if not edit(xl_edit.records, text):
        assert without == text


def test_several_records():
    text = '# numa.virt: {"a": 1}\nx=1\n  # numa.virt: {"b": 2}  \n'
    assert edit(xl_edit.records, text) == ['{"a": 1}', '{"b": 2}']
    assert edit(xl_edit.with_record, text, None) == "x=1\n"
    assert edit(xl_edit.without_owned, text + "cpus='1'\n") == "x=1\n"


@pytest.mark.parametrize("record", ["", "x", "{", "{}\n", "\n{}", "{\r}", "[]", "{\0}"])
def test_what_is_no_record(record):
    assert not xl_edit.is_record(record)
