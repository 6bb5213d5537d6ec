# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the secrets of a domain document are. What libvirt and others keep in it is in test_domain_xml, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("lxml")

from ansible_collections.numa.virt.plugins.module_utils._elements.record import strip_owned
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import parse, path_of, serialize
from ansible_collections.numa.virt.plugins.module_utils._libvirt import secrets as xml_secrets
from ansible_collections.numa.virt.plugins.module_utils._libvirt.domain_xml import plain_digest
from ansible_collections.numa.virt.plugins.module_utils._libvirt.secrets import (
    masked,
    masked_and_secrets,
    secrets_of,
)
from ansible_collections.numa.virt.plugins.module_utils._secrets import MASK

SECRET = "hunter2X"
QEMU = "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'"


def same_secrets(one, other):
    return xml_secrets.same_secrets(masked_and_secrets(one)[1], masked_and_secrets(other)[1])


def document(inside):
    return f"<domain type='kvm'><name>web1</name>{inside}</domain>"


def disk(inside):
    return f"<devices><disk><source protocol='https' {inside}</disk></devices>"


def app(inside):
    return f"<metadata><a:x xmlns:a='u:v'>{inside}</a:x></metadata>"


PLACES = {
    "firmware": f"<sysinfo type='fwcfg'><entry name='opt/a'>{SECRET}</entry></sysinfo>",
    "validity of a password": f"<devices><graphics passwdValidTo='{SECRET}'/></devices>",
    "signed name": disk(f"name='x?X-Amz-Signature={SECRET}'/>"),
    "json": disk(f"file='json:{{&quot;p&quot;:&quot;{SECRET}&quot;}}'/>"),
    "user in an address": disk(f"name='http://u:{SECRET}@h/x'/>"),
    "user of a disk": disk(f"name='x'><auth username='{SECRET}'/></source>"),
    "user of ssh": disk(f"name='x'><identity username='{SECRET}'/></source>"),
    "serial number": f"<sysinfo><system><entry name='serial'>ds=nocloud;t={SECRET}</entry></system></sysinfo>",
    "certificate": f"<launchSecurity type='sev'><policy>1</policy><dhCert>{SECRET}</dhCert></launchSecurity>",
    "host data": f"<launchSecurity type='sev-snp'><hostData>{SECRET}</hostData></launchSecurity>",
    "address in cmdline": f"<os><cmdline>ks=http://u:{SECRET}@h/</cmdline></os>",
    "initarg": f"<os><initarg>--password</initarg><!-- --><initarg>{SECRET}</initarg></os>",
    "initenv": f"<os><initenv name='AWS_ACCESS_KEY'>{SECRET}</initenv></os>",
    "description": f"<description>root pw <!-- --> {SECRET}</description>",
    "parameter": f"<devices><interface><parameter name='PASSWORD' value='{SECRET}'/></interface></devices>",
    "unknown element": f"<devices><x><token>{SECRET}</token></x></devices>",
    "between elements": f"<devices><disk/>{SECRET}</devices>",
    "before elements": f"<devices>{SECRET}<disk/></devices>",
    "metadata beside": app(f"<a:k>token</a:k><a:v>{SECRET}</a:v>"),
    "metadata below": app(f"<a:credentials><a:v b='{SECRET}'/></a:credentials>"),
    "metadata behind": app(f"<a:password/>{SECRET}"),
    "metadata comment": app(f"<a:password/><!-- {SECRET} -->"),
    "arguments": f"<q:commandline {QEMU}><q:arg value='--fw_cfg'/><!-- --><q:arg value='{SECRET}'/></q:commandline>",
    "append": f"<q:commandline {QEMU}><q:arg value='-append'/><q:arg value='{SECRET}'/></q:commandline>",
    "property": f"<q:override {QEMU}><q:property name='password' value='{SECRET}'/></q:override>",
    "name of an argument": f"<q:commandline {QEMU}><q:env name='a token={SECRET}'/></q:commandline>",
    "text of an argument": f"<q:commandline {QEMU}><q:arg>token={SECRET}</q:arg></q:commandline>",
}


def sure(text):
    return plain_digest(parse(text, lenient=True)) is not None


def masks(text):
    """Whether a look at each place finds something to mask in what is no owned element."""
    root = parse(text, lenient=True)
    strip_owned(root)
    shown, secrets = masked_and_secrets(root)
    return bool(secrets) or serialize(shown) != serialize(root)


@pytest.mark.parametrize("kind", PLACES)
def test_no_secret_is_passed_over(kind):
    assert not sure(document(PLACES[kind]))


FOLDER = Path(__file__).resolve().parents[3] / "fixtures" / "domains"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.xml")), ids=lambda path: path.stem)
def test_recorded_documents_that_hold_none(path):
    text = path.read_text(encoding="utf-8")
    assert not sure(text) or not masks(text)


def test_what_every_guest_has_is_no_reason_to_look_closely():
    text = document(
        "<metadata><libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>"
        "<libosinfo:os id='http://debian.org/debian/12'/></libosinfo:libosinfo></metadata>"
        "<cpu mode='host-passthrough'/><devices><input type='keyboard' bus='ps2'/><graphics keymap='de'/></devices>"
    )
    assert sure(text) and sure(text.replace("12'", "ü'"))


@pytest.mark.parametrize(
    "inside",
    [
        '<d>{"key": 1}</d>', '<d>a="key" = 1</d>', '<d>://u="x"@h</d>', "<d k='{&quot;key&quot;:1}'/>",
        "<d>x &lt;pw></d>",
    ],
)  # fmt: skip
def test_quotes_and_entities_hide_nothing(inside):
    assert masks(document(inside)) and not sure(document(inside))


NAMES = st.sampled_from(
    ["source", "query", "auth", "username", "identity", "name", "value", "type", "entry", "cookie", "initarg", "secret",
     "usage", "launchSecurity", "oemStrings", "key", "data", "p:data", "p:x", "q:arg", "q:env", "file", "passwd", "sig"]
)  # fmt: skip
VALUES = st.sampled_from(
    [
        "",
        "fwcfg",
        "x",
        "PASSWORD",
        "host-passthrough",
        "http://h/x",
        "http://u@h/x",
        "a?b=c",
        "token",
        "key",
        "key=",
        " ",
    ]
)
LEAF = st.tuples(NAMES, st.dictionaries(NAMES, VALUES, max_size=3), VALUES, VALUES)


def written(tree):
    (name, attributes, text, tail), children = tree if isinstance(tree[0], tuple) else (tree, [])
    said = "".join(f" {key}='{value}'" for key, value in attributes.items())
    return f"<{name}{said}>{text}{''.join(map(written, children))}</{name}>{tail if tail == ' ' else ''}"


@given(st.recursive(LEAF, lambda inner: st.tuples(LEAF, st.lists(inner, max_size=3)), max_leaves=6), st.booleans())
def test_documents_that_hold_none(tree, of_an_app):
    inside = f"xmlns:p='u:v' {QEMU}>{written(tree)}"
    text = document(f"<metadata><p:x {inside}</p:x></metadata>" if of_an_app else f"<x {inside}</x>")
    assert not sure(text) or not masks(text)


@pytest.mark.parametrize("kind", PLACES)
def test_no_secret_is_shown(kind):
    text = document(PLACES[kind])
    shown = serialize(masked(parse(text)))
    assert SECRET not in shown and MASK in shown
    assert "<name>web1</name>" in shown
    if kind != "metadata comment":
        assert any(SECRET in each for each in secrets_of(text))


def test_comments_and_names_that_only_libvirt_takes():
    text = document(f"<!-- the token {SECRET} -->" + app(f"<a:y b:c:passwd='{SECRET}'/>x"))
    root = parse(text, lenient=True)
    shown = serialize(masked(root))
    assert SECRET not in shown and shown.count(MASK) >= 2
    assert SECRET in secrets_of(text)


def test_the_record_is_no_secret():
    record = document("<metadata><n:intent xmlns:n='urn:numa.virt:intent:1'>{'token': 1}</n:intent></metadata>")
    assert serialize(masked(parse(record))) == serialize(parse(record))


def test_what_is_no_secret_stays():
    text = document(
        "<launchSecurity type='sev'><policy>0x1</policy><cbitpos>47</cbitpos></launchSecurity>"
        "<os><initarg>-v</initarg><initarg>x</initarg><loader secure='yes'>/usr/share/OVMF.fd</loader></os>"
        "<devices>\n<disk/> <!-- - --> </devices>"
        f"<q:commandline {QEMU}><q:arg value='-device'/><q:arg value='virtio-rng-pci'/><q:arg/></q:commandline>"
        "<metadata><a:x xmlns:a='u:v'>1<a:y b='2'/></a:x></metadata>"
    )
    assert serialize(masked(parse(text))) == serialize(parse(text))
    assert secrets_of("<domain") == []
    assert path_of(parse("<a><b xmlns='c:d'/></a>")[0]) == "a/b"


def test_what_libvirt_drops_or_adds_is_no_other_secret():
    def graphics(*passwords):
        return parse(
            document("<devices>" + "".join(f"<graphics passwd='{each}'/>" for each in passwords) + "</devices>")
        )

    assert same_secrets(graphics("a", "b"), graphics("b"))
    assert same_secrets(graphics("b"), graphics("a", "b"))
    assert not same_secrets(graphics("a", "c"), graphics("b"))
    assert not same_secrets(graphics("a", "b"), graphics("b", "a"))
    blank = parse(document("<description>the token\n  is x</description>"))
    assert same_secrets(blank, parse(document("<description>the token is x</description>")))
    assert same_secrets(blank, graphics("a"))
