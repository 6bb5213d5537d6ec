# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is a secret, in words, arguments, messages and options."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._secrets import (
    MASK,
    displayable,
    hidden,
    is_document,
    is_for_qemu,
    masked_message,
    masked_uri,
    may_be_suspect,
    secret_argument,
    suspect,
    suspect_attribute,
    suspect_name,
    takes_arguments,
)

SECRET = "hunter2X"
DOCUMENT = f"<domain type='test'>\n  <name>web1</name>\n  <graphics passwd='{SECRET}'/>\n</domain>\n"


@pytest.mark.parametrize(
    "text",
    [
        "password=x", "PASSWD", "root pw x", "pass: x", "DB_PASS=x", "passphrase x", "pwd=x", "rootpw x", "a token",
        "AWS_ACCESS_KEY", "api-key", "private key", "sshkey", "key=x", '"key": "x"', "data=x", "credential", "cred x",
        "Authorization: x", "autologin=x", "authorized_keys", "ds=nocloud;s=x", "user-data", "/seed-x.iso", "sig=x",
        "https://u:x@h/", "iscsi://u%x@h/", "a?X-Amz-Signature=x", "json:{}", "psk x", "cloud-init", "ignition",
    ],
)  # fmt: skip
def test_what_looks_like_a_secret(text):
    assert suspect(text)


@pytest.mark.parametrize(
    "text",
    [
        "passthrough", "host-passthrough", "bypass", "authors", "the author", "keymap=de", "key", "database",
        "console=ttyS0 quiet", "http://host:80/vmlinuz", "/var/lib/libvirt/images/web1.qcow2", "signal", "seeds?"[:3],
        "spec_store_bypass_disable=on", "lottery", "what? no",
    ],
)  # fmt: skip
def test_what_does_not(text):
    assert not suspect(text)


PIECES = st.sampled_from(
    [
        *("pass", "wd", "pw", "KEY", "key", " ", "=", ":", '"', "'", "\0", "a", "data", "sig", "json", "://", "@"),
        *("ſecret", "\u212aey", "cred", "s", "no-cloud", "seed", "user", "_", "otp", "chap", "auth", "or", "by", "?"),
    ]
)


@given(st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=20), st.text(max_size=5), st.text(max_size=5))
def test_what_is_told_without_looking_closely_is_true_of_every_part(text, before, after):
    if not may_be_suspect(before + text + after):
        assert not suspect(text) and not suspect_name(text) and not may_be_suspect(text)


def test_names_and_attributes():
    assert suspect_name("VNC_PASSWORD") and suspect_name("no_cloud") and not suspect_name("LANG")
    assert suspect_attribute("passwd", "x") and suspect_attribute("value", "token=x")
    assert not suspect_attribute("secret", "token") and not suspect_attribute("name", "token-1")
    assert suspect_attribute("name", "a/token=1")


@pytest.mark.parametrize(
    ("before", "argument", "secret"),
    [
        ("-object", f"secret,id=a,data={SECRET}", True),
        ("--fw_cfg", "name=a,string=b", True),
        ("-append", "b", True),
        ("-smbios", "type=11,value=b", True),
        ("-netdev", "user,id=n", True),
        ("-device", "virtio-rng-pci", False),
        ("-enable-kvm", "-no-hpet", False),
        ("--token", "-b", True),
        ("--password=a", "b", False),
        ("a", "b", False),
        ("", "b", False),
    ],
)
def test_arguments(before, argument, secret):
    assert secret_argument(before, argument) is secret


def test_arguments_of_others_than_qemu():
    assert not secret_argument("-x", "b", others=False) and secret_argument("--password", "b", others=False)
    assert is_for_qemu("device_model_args_hvm") and not is_for_qemu("bootloader_args")
    assert takes_arguments("device_model_args") and takes_arguments("bootloader_args") and not takes_arguments("disk")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Cannot open 'https://u:x1@h/i?a=x2&mode=b'", f"Cannot open 'https://u:{MASK}@h/i?a={MASK}&mode=b'"),
        ("iscsi://u%x1@h/i", f"iscsi://u:{MASK}@h/i"),
        ("qemu+ssh://root@host/system: refused", "qemu+ssh://root@host/system: refused"),
        ("passwd='x 1' is\n wrong", f"passwd={MASK} is wrong"),
        ('"password": "x1"', f'"password": "{MASK}"'),
        ("x1: no such file; y=x1", f"{MASK}: no such file; y={MASK}"),
        ("x12 and longer-secret", f"x12 and {MASK}"),
        ("data=heart failed", f"data={MASK} failed"),
        ("only heart", f"only {MASK}"),
        ("nothing to see", "nothing to see"),
    ],
)
def test_messages(text, shown):
    secrets = ["x1", "longer-secret", "secret,id=a,data=heart", "https://u:inner@h/", "", " "]
    assert masked_message(text, secrets) == shown
    assert masked_message("inner", secrets) == MASK
    assert masked_message(shown, secrets) == shown


def test_uris():
    assert masked_uri("qemu+ssh://u:x@h/system?keyfile=/k&no_verify=1") == (
        f"qemu+ssh://u:{MASK}@h/system?keyfile=/k&no_verify=1"
    )
    assert masked_uri("qemu:///system") == "qemu:///system"
    assert masked_uri("a://h/?token=x&y") == f"a://h/?token={MASK}&y"


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 0.5, "web1", "secret-santa", "/srv/secrets/a", "web 1",
        "0-3,^2,8", "qemu:///system", "web*", "/etc/xen/a b.cfg",
        ["0", 1], (), {"0-3": "4"}, "1," * 400, "4GiB", b"x",
    ],
)  # fmt: skip
def test_what_may_be_shown(value):
    assert displayable(value) == value and type(displayable(value)) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        DOCUMENT, DOCUMENT.encode(), f"ter2'/>{SECRET}", f"vncpasswd={SECRET}", f"the token {SECRET}", SECRET * 30,
        f'{{"a": "{SECRET}"}}', f"a\n{SECRET}", {DOCUMENT: 1}, [DOCUMENT], (DOCUMENT,), {"a": {"b": DOCUMENT}},
        f"qemu://u:{SECRET}@h/",
    ],
)  # fmt: skip
def test_what_may_not_be_shown(value):
    assert SECRET not in str(displayable(value))


def test_what_is_too_deep_is_not_shown():
    deep = "web1"
    for _level in range(2000):
        deep = {"a": deep}
    assert "(not shown: 1 elements)" in str(displayable(deep)) and "web1" not in str(displayable(deep))


def test_what_stands_in_its_place():
    assert displayable("a=b") == "(not shown: 3 characters)"
    assert [hidden(each) for each in ([1, 2], {}, 7)] == [
        "(not shown: 2 elements)",
        "(not shown: 0 elements)",
        "(not shown)",
    ]


@pytest.mark.parametrize(
    "text", [DOCUMENT, "<a/>", "x</a", "<?xml ?>", "<!-- x", "a\nb", '[{"xml": 1', "{'a'", "<a b>"]
)
def test_documents(text):
    assert is_document(text)


@pytest.mark.parametrize("text", ["", "web1\n", "a<b", "a > b", "0-3", "[ab]*", "<3"])
def test_no_documents(text):
    assert not is_document(text)


@given(st.text(alphabet="abc<>=/'\"\n{}[],: ?@%", max_size=60))
def test_any_text_is_displayed_in_one_line(text):
    assert "\n" not in displayable(text)
    assert displayable(displayable(text)) == displayable(text)
