# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The language of xl's files: what it takes, where each part stands, and what it says of the rest.

xl's own word on 416 texts is in test_config.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import (
    MAX_DEPTH,
    Atom,
    Items,
    XlConfigError,
    atoms,
    merged,
    parse_document,
)


def plain(value):
    return value.text if isinstance(value, Atom) else [plain(each) for each in value.values]


def read(text):
    return {name: plain(each.value) for name, each in merged(parse_document(text, "x.cfg").statements, "x.cfg").items()}


TAKEN = {
    "": {},
    "\n\n ;\t;\n": {},
    "a=1": {"a": "1"},
    "a=1\n": {"a": "1"},
    "  a\t=  'x' ;b=2;;": {"a": "x", "b": "2"},
    "a=0x1f\nb=010\nc=12ab": {"a": "0x1f", "b": "010", "c": "12ab"},
    "a.b_9=1": {"a.b_9": "1"},
    "a='\"'\nb=\"'\"": {"a": '"', "b": "'"},
    "a='#;]' # '": None,  # a comment has to end
    "a='#;]' # '\n": {"a": "#;]"},
    "a=1 #": {"a": "1"},
    "#": {},
    "# x\r\na=1\n": {"a": "1"},
    "a='x\ry'": {"a": "x\ry"},
    "a='é\udcff'": {"a": "é\udcff"},
    "a=[]": {"a": []},
    "a=[1]": {"a": ["1"]},
    "a=[1,]": {"a": ["1"]},
    "a=['x' , # 1\n# 2\n\n 3\n, [ ], [[4],]\n]": {"a": ["x", "3", [], [["4"]]]},
    "a=1\na=2": {"a": "2"},
    "a+=1": {"a": "1"},
    "a=1\na+='x'\nb=[]\na += 2": {"a": "1x2", "b": []},
    "a=[1]\na+=[[2],3]": {"a": ["1", ["2"], "3"]},
    "a=1\na=[2]\na+=[3]": {"a": ["2", "3"]},
    r"""a="\"\'\\\a\b\f\n\r\t\v" """: {"a": "\"'\\\a\b\f\n\r\t\v"},
    # xl drops an octal escape, with the digits that it takes for its own
    r"a='x\101y'": {"a": "xy"},
    r"a='x\0123y'": {"a": "xy"},
    r"a='x\01234y'": {"a": "x4y"},
    r"a='\0 1-'": {"a": "-"},
    r"a='\7 +1'": {"a": ""},
}


@pytest.mark.parametrize("text", [text for text, value in TAKEN.items() if value is not None])
def test_taken(text):
    assert read(text) == TAKEN[text]


REFUSED = {
    "a=1 # x": (1, "the last line is a comment that no line end follows; end the file with a new line"),
    "\r\n": (1, "a carriage return; end lines with a line feed alone"),
    "a=1\r\n": (1, "a carriage return"),
    "\n\na='x\n'": (3, "a string that does not end on its line; close its quotes"),
    'a="x\\\n"': (1, "a string that does not end on its line"),
    "a='\\'": (1, "a string that does not end on its line"),
    "a=1\nb=-1": (2, "a character that is no part of the language; xl reads no Python"),
    "a=1.5": (1, "xl reads no Python"),
    "a=True": (1, "options are written in lower-case letters"),
    "_a=1": (1, "options are written in lower-case letters"),
    "a=$": (1, "a character that is no part of the language; strings stand in quotes"),
    "\ufeffa=1": (1, "a character that is no part of the language"),
    "\x0c": (1, "a character that is no part of the language"),
    "a=1\n# \0\n": (2, "a NUL byte; it is no text file"),
    "a='\0'": (1, "a NUL byte"),
    "a=\0": (1, "a NUL byte"),
    "a": (1, "the end of the file stands there; xl expects '=' or '+='"),
    "a\n=1": (1, "the end of the line stands there; xl expects '=' or '+='"),
    "a=\n1": (1, "the end of the line stands there; xl expects a string in quotes, a number or a list"),
    "a=b": (1, "'b' stands there; xl expects a string in quotes"),
    "a==1": (1, "'=' stands there"),
    "=1": (1, "'=' stands there; xl expects an option's name in lower-case letters"),
    "1=1": (1, "'1' stands there; xl expects an option's name"),
    "a=1 b=2": (1, "'b' stands there; xl expects a new line or ';'"),
    "a=1 'x'": (1, "a string stands there; xl expects a new line or ';'"),
    "a=[1 2]": (1, "'2' stands there; xl expects ',' or ']'"),
    "a=[1,,2]": (1, "',' stands there; xl expects a string in quotes, a number or a list"),
    "a=[\n,]": (2, "',' stands there"),
    "a=[\n1": (2, "the end of the file stands there; xl expects ',' or ']'"),
    "a=]": (1, "']' stands there"),
    "a=1\na+=[2]": (2, "a += mixes a list with a single value; append a list to a list"),
    "a=[1]\n\na+=2": (3, "a += mixes a list with a single value"),
    "a='\\x41'": (1, "a string with an escape that xl does not read; after a backslash stands one of"),
    "a='\\62'": (1, "a string with an escape that xl does not read"),
    "a='\\9'": (1, "a string with an escape that xl does not read"),
    "a='\\é'": (1, "a string with an escape that xl does not read"),
    "a=" + "[" * (MAX_DEPTH + 1): (1, f"lists are nested more than {MAX_DEPTH} deep"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text):
    line, said = REFUSED[text]
    with pytest.raises(XlConfigError) as error:
        read(text)
    assert str(error.value).startswith(f"x.cfg: line {line}: ") and said in str(error.value)
    assert error.value.code == "invalid_xl_config" and error.value.fields["line"] == line
    assert error.value.as_result()["error"]["option"] == "x.cfg"
    assert "\n" not in str(error.value)


def test_an_error_shows_no_string():
    for text in (
        "vncpasswd='hunter2' 'hunter2'",
        "'hunter2'='hunter2'",
        "a=['hunter2' 'hunter2']",
        "vncpasswd='hunter2",
    ):
        with pytest.raises(XlConfigError) as error:
            read(text)
        assert "hunter2" not in str(error.value.as_result())


def test_lists_may_be_as_deep_as_that():
    text = "a=" + "[" * MAX_DEPTH + "]" * MAX_DEPTH
    (statement,) = parse_document(text, "x").statements
    assert list(atoms(statement.value)) == []


def test_places_and_lines():
    text = " name = 'x' # 1\n# 2\n\n a+=[ 'y', # 3\n  # 4\n [5]\n] ; b=1 #"
    document = parse_document(text, "x")

    def cut(part):
        return text[part.start : part.end]

    assert [cut(each) for each in document.statements] == ["name = 'x'", "a+=[ 'y', # 3\n  # 4\n [5]\n]", "b=1"]
    assert [cut(each.value) for each in document.statements] == ["'x'", "[ 'y', # 3\n  # 4\n [5]\n]", "1"]
    assert [(each.name, each.appends, each.line) for each in document.statements] == [
        ("name", False, 1),
        ("a", True, 4),
        ("b", False, 7),
    ]
    inner = document.statements[1].value
    assert isinstance(inner, Items) and [cut(each) for each in inner.values] == ["'y'", "[5]"]
    assert [(each.text, each.line) for each in atoms(inner)] == [("y", 4), ("5", 6)]
    assert [(cut(each), each.alone) for each in document.comments] == [
        ("# 1", False),
        ("# 2", True),
        ("# 3", False),
        ("# 4", False),
        ("#", False),
    ]


def test_a_merged_statement_is_where_its_last_part_is():
    document = parse_document("a='1'\nb=2\na+='3'\n", "x")
    found = merged(document.statements, "x")
    assert (found["a"].line, found["a"].appends, found["a"].value.text) == (3, True, "13")
    assert (found["a"].start, found["a"].end) == (document.statements[2].start, document.statements[2].end)
    assert document.statements[2].value.text == "3"


PIECES = st.sampled_from(
    ["a", "cpus", "=", "+=", '"', "'", '"x"', "1", "[", "]", ",", " ", "\n", "#", "# c\n", ";", "\\", "\\n", "\\101"]
)


@given(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=14).map("".join)))
def test_any_text_is_read_or_refused(text):
    document, said = None, ""
    try:
        document = parse_document(text, "x")
        merged(document.statements, "x")
    except XlConfigError as error:
        said = str(error)
    assert "\n" not in said and len(said) < 300
    end = 0
    for each in document.statements if document is not None else ():
        assert end <= each.start < each.value.start < each.value.end == each.end <= len(text)
        assert text[each.start : each.start + len(each.name)] == each.name
        assert each.line == text.count("\n", 0, each.start) + 1
        end = each.end
