# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents that are not what they should be: refused in one line that quotes nothing; nothing else is read."""

from __future__ import annotations

import builtins
import ctypes
import importlib
import os
import socket
import sys
import time

import pytest

pytest.importorskip("lxml")

from ansible_collections.numa.virt.plugins.module_utils._elements import xml
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import (
    child,
    line_of,
    number,
    parse,
    serialize,
    text_of,
)
from ansible_collections.numa.virt.plugins.module_utils._errors import XmlError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.golden_domains import SECRET

IN_OPEN = 0x20


class Witness:
    """The kernel's word on whether a file was opened (inotify), and whether anybody called (a listening socket)."""

    def __init__(self, folder):
        self.file = folder / "secret.dtd"
        self.file.write_text(f"<!ENTITY x '{SECRET}file'>", encoding="utf-8")
        libc = ctypes.CDLL(None, use_errno=True)
        self.events = libc.inotify_init1(os.O_NONBLOCK)
        assert self.events >= 0 and libc.inotify_add_watch(self.events, os.fsencode(self.file), IN_OPEN) > 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.port = self.server.getsockname()[1]

    @property
    def opened(self):
        try:
            return bool(os.read(self.events, 4096))
        except BlockingIOError:
            return False

    @property
    def called(self):
        try:
            self.server.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self):
        os.close(self.events)
        self.server.close()


@pytest.fixture
def witness(tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("inotify is Linux's")
    witness = Witness(tmp_path)
    yield witness
    witness.close()


def test_the_witness_sees(witness):
    assert not witness.opened and not witness.called
    witness.file.read_text(encoding="utf-8")
    socket.create_connection(("127.0.0.1", witness.port)).close()
    assert witness.opened and witness.called


BOMB = "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 10))
HOSTILE = {
    "billion laughs": f"<!DOCTYPE d [<!ENTITY a0 '{SECRET}x'>{BOMB}]><d>&a9;</d>",
    "billion laughs in an attribute": f"<!DOCTYPE d [<!ENTITY a0 '{SECRET}x'>{BOMB}]><d a='&a9;'/>",
    "quadratic": f"<!DOCTYPE d [<!ENTITY a '{'x' * 50000}'>]><d>{'&a;' * 5000}</d>",
    "entity that refers to itself": "<!DOCTYPE d [<!ENTITY a '&b;'><!ENTITY b '&a;'>]><d>&a;</d>",
    "harmless entity": f"<!DOCTYPE d [<!ENTITY a '{SECRET}x'>]><d>&a;</d>",
    "external entity": "<!DOCTYPE d [<!ENTITY a SYSTEM 'file://{file}'>]><d>&a;</d>",
    "external entity of the system": "<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><d>&a;</d>",
    "external entity, network": "<!DOCTYPE d [<!ENTITY a SYSTEM 'http://127.0.0.1:{port}/'>]><d>&a;</d>",
    "external entity in an attribute": "<!DOCTYPE d [<!ENTITY a SYSTEM 'file://{file}'>]><d b='&a;'/>",
    "external DTD": "<!DOCTYPE d SYSTEM 'file://{file}'><d>&x;</d>",
    "external DTD, unused": "<!DOCTYPE d SYSTEM '{file}'><d/>",
    "external DTD, network": "<!DOCTYPE d SYSTEM 'http://127.0.0.1:{port}/'><d/>",
    "public DTD, network": "<!DOCTYPE d PUBLIC '-//x' 'http://127.0.0.1:{port}/'><d/>",
    "parameter entity": "<!DOCTYPE d [<!ENTITY % p SYSTEM 'file://{file}'>%p;]><d>&x;</d>",
    "parameter entity, network": "<!DOCTYPE d [<!ENTITY % p SYSTEM 'http://127.0.0.1:{port}/'>%p;]><d/>",
    "attribute by default": f"<!DOCTYPE d [<!ATTLIST d passwd CDATA '{SECRET}x'>]><d/>",
    "bare document type": "<!DOCTYPE d><d/>",
    "document type that does not end": f"<!DOCTYPE d [ <!ENTITY a '{SECRET}x'",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_document_types_are_refused_and_nothing_is_read(kind, witness):
    text = HOSTILE[kind].replace("{file}", str(witness.file)).replace("{port}", str(witness.port))
    start = time.monotonic()
    with pytest.raises(XmlError) as error:
        parse(text)
    _assert_discreet(error.value)
    assert str(witness.file) not in str(error.value)
    assert not witness.opened and not witness.called
    assert time.monotonic() - start < 30


def test_an_inclusion_is_an_element_like_any_other(witness):
    """XInclude is never carried out: not by us, and not by libvirt, which drops what it does not know."""
    text = (
        '<domain xmlns:xi="http://www.w3.org/2001/XInclude">'
        f'<xi:include href="{witness.file}" parse="text"/><xi:include href="http://127.0.0.1:{witness.port}/"/></domain>'
    )
    assert serialize(parse(text)) == text
    assert not witness.opened and not witness.called


def test_a_style_sheet_is_an_instruction_like_any_other(witness):
    assert parse(f"<?xml-stylesheet href='{witness.file}'?><d/>").tag == "d"
    assert not witness.opened


MALFORMED = {
    "": (1, 1, "it is empty"),
    "  \n ": (2, 2, "it is empty"),
    f"{SECRET}x": (1, 1, "does not begin with an element"),
    f"<d>\n <{SECRET}a>\n</{SECRET}b></d>": (
        3,
        None,
        "the end of another element than the one that is open since line 2",
    ),
    f"<d a='it's {SECRET}x'/>": (1, None, "a quote is missing"),
    f"<d {SECRET}a='1' {SECRET}a='2'/>": (1, None, "an attribute twice"),
    f"<d {SECRET}a>": (1, None, "an attribute without a value"),
    f"<d a={SECRET}x>": (1, None, "not in quotes"),
    f"<d a='<{SECRET}x'/>": (1, None, "a < inside"),
    f"<d>&{SECRET}x;</d>": (1, None, "an entity that XML does not have"),
    f"<d>&{SECRET}x</d>": (1, None, "an & without"),
    f"<d><![CDATA[{SECRET}x": (1, None, "a CDATA section that does not end"),
    f"<!-- {SECRET}x -- --><d/>": (1, None, "two hyphens"),
    f"<!-- {SECRET}x": (1, None, "not end"),
    f"<{SECRET}p:d/>": (1, None, "a name whose prefix has no namespace"),
    f"<d/>{SECRET}x": (1, None, "behind the end"),
    f"<d><{SECRET}x": (1, None, "a tag that does not end"),
    f"<d><e>{SECRET}x": (1, None, "it ends too early"),
    f"<d>{SECRET}x\0</d>": (1, None, "a character that XML does not allow"),
    f"<d>{SECRET}x\x1b</d>": (1, None, "a character that XML does not allow"),
    "<\0d\0/\0>\0": (1, None, "not well-formed"),  # UTF-16, taken for text
    f"<d>{SECRET}x\ud800</d>": (1, None, "a character that XML does not allow"),
    f"<d a='{SECRET}x\udcff'/>": (1, None, "a character that XML does not allow"),
    f"<d>{SECRET}x\ufffe</d>": (1, None, "a character that XML does not allow"),
    "<a>" * 3000 + "</a>" * 3000: (1, None, "nested too deep"),
    "<a>" * 200000: (1, None, "nested too deep"),
    f"<d a='{'x' * 11_000_000}'/>": (1, None, "too large"),
    f"<d>\n<?xml version='1.0' encoding='{SECRET}x'?></d>": (2, None, "an XML declaration that is not at the start"),
    "<?xml version='1.0'?><?xml version='1.0'?><d/>": (1, 27, "an XML declaration that is not at the start"),
    "<?xml version='1.0'?>\n<d>\n<e></d>": (3, 8, "since line 3"),
    "<?xml version='1.0'?><d></e>": (1, 29, "the end of another element"),
    f"<?xml version='1.0' encoding='{SECRET}x'": (1, None, "not well-formed"),
    f"<d>{SECRET}x&#0;</d>": (1, None, "a character that XML does not allow"),
    f"<d>{SECRET}x&#xzz;</d>": (1, None, "a character that XML does not allow"),
    f"<d a='{SECRET}x": (1, None, "the value of an attribute does not end"),
    f"<d>]]>{SECRET}x</d>": (1, None, "libxml2 error 62"),
    f"<d></d {SECRET}x>": (1, None, "a tag that does not end"),
    f"<d a='1'{SECRET}b='2'/>": (1, None, "white space is missing"),
    "<1/>": (1, None, "not well-formed"),
}


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: repr(text[:40]))
def test_malformed(text):
    line, column, said = MALFORMED[text]
    with pytest.raises(XmlError) as error:
        parse(text, "definition")
    _assert_discreet(error.value)
    assert error.value.fields["line"] == line
    assert isinstance(error.value.fields["column"], int)
    assert column is None or error.value.fields["column"] == column
    assert str(error.value).startswith(
        f"definition: line {line}, column {error.value.fields['column']}: not well-formed"
    )
    assert said in str(error.value)


def _assert_discreet(error):
    assert "\n" not in str(error)
    assert SECRET not in str(error) + repr(error.as_result())
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    assert error.fields["value"] is None


@pytest.mark.parametrize("encoding", ["UTF-16", "ISO-8859-1", "US-ASCII", "EBCDIC-CP-US", "no-such-encoding"])
def test_the_encoding_that_a_document_declares_was_that_of_its_file(encoding):
    """What we get is text, however it was stored: the declaration is not true any more, and not looked at."""
    root = parse(f"<?xml version='1.0' encoding='{encoding}' standalone='yes'?>\n<d>größer 語</d>")
    assert root.text == "größer 語"
    assert line_of(root) == 2


@pytest.mark.parametrize(
    "before", ["", "\ufeff", "\n  ", "<!-- a -->", "<?xml version='1.1'?>", "\r\n<?xml version='1.0'?>\r\n"]
)
def test_what_may_stand_before_an_element(before):
    assert serialize(parse(before + "<d/>")) == "<d/>"


def test_cdata_comments_and_instructions_are_kept():
    text = "<d><![CDATA[<&>]]><!-- c --><?p i?>&lt;&amp;&#13;</d>"
    assert serialize(parse(text)) == text


def test_serialize_leaves_out_what_follows():
    assert serialize(parse("<d><e/> tail</d>")[0]) == "<e/>"


def test_child():
    root = parse("<d><!-- e --><?e e?><x:e xmlns:x='u:v'/><e n='1'/><e n='2'/></d>")
    assert child(root, "e").get("n") == "1"
    assert child(root, "{u:v}e") is not None
    assert child(root, "f") is None


def test_text_of():
    assert text_of(parse("<d/>")) == ""
    assert text_of(parse("<d>2</d>")) == "2"
    assert text_of(parse("<d><!-- a -->2<?b c?><![CDATA[3]]></d>")) == "23"


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("007", 7), ("999999999", 999999999)])
def test_number(text, value):
    assert number(parse(f"<d n='{text}'/>"), "n") == value


@pytest.mark.parametrize("text", ["", " 1", "-1", "+1", "1.0", "0x1", "1_0", "٣", "1234567890", "9" * 5000])
def test_number_refuses(text):
    with pytest.raises(XmlError) as error:
        number(parse(f"<c>\n<x:d xmlns:x='u:v' n='{text}'/></c>")[0], "n", "definition")
    assert str(error.value).startswith("definition: line 2: <d> has n='")
    assert str(error.value).endswith("; n is a whole number")
    assert len(str(error.value)) < 120


def test_number_is_missing():
    with pytest.raises(XmlError, match=r"^xml: line 1: <d> has no n; n is a whole number$"):
        number(parse("<d/>"), "n")


def test_line_of_nothing():
    assert line_of(None) is None


def test_without_lxml_the_import_succeeds_and_says_why(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **more):
        if name.split(".")[0] == "lxml":
            raise ImportError("there is no lxml here")
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    spec = importlib.util.spec_from_file_location(xml.__name__ + "_alone", xml.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.etree is None
    assert "there is no lxml here" in module.LXML_IMPORT_ERROR
    assert xml.LXML_IMPORT_ERROR is None
