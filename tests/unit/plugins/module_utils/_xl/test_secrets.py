# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a configuration file is secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._secrets import MASK
from ansible_collections.numa.virt.plugins.module_utils._xl.secrets import find_secrets
from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import parse_document


def masked(text):
    document = parse_document(text, "x")
    for each in reversed(find_secrets(text, document)):
        text = text[: each.start] + "*" + text[each.end :]
    return text


def secrets(text):
    return [each.text for each in find_secrets(text, parse_document(text, "x"))]


# text -> (what may be shown, the secrets)
CASES = {
    "vncpasswd='abc'": ("vncpasswd='*'", ["abc"]),
    'vncpasswd = "a\\"b" # x\n': ('vncpasswd = "*" # x\n', ['a"b']),
    "vncpasswd=123": ("vncpasswd=*", ["123"]),
    "vncpasswd=''": ("vncpasswd='*'", [""]),
    "vncpasswd='a'\nvncpasswd+='b'": ("vncpasswd='*'\nvncpasswd+='*'", ["a", "b"]),
    "spicepasswd='abc'; spice=1": ("spicepasswd='*'; spice=1", ["abc"]),
    "vtpm_secret=['a',['b']]": ("vtpm_secret=['*',['*']]", ["a", "b"]),
    "vfb=['type=vnc,vncpasswd=abc,vnclisten=0.0.0.0']": ("vfb=['type=vnc,vncpasswd=*,vnclisten=0.0.0.0']", ["abc"]),
    "vfb=['vncpasswd=a b','vncpasswd=','vncunused=1']": ("vfb=['vncpasswd=*','vncpasswd=','vncunused=1']", ["a b"]),
    "vfb=[['vncpasswd=a']]": ("vfb=[['vncpasswd=*']]", ["a"]),
    "vfb=['vncpasswd=a=b,vncpasswd=c']": ("vfb=['vncpasswd=*,vncpasswd=*']", ["a=b", "c"]),
    # Where it cannot be told what belongs to what, all of it.
    "vfb=['vncpasswd=a\\'b,x=1']": ("vfb=['*']", ["vncpasswd=a'b,x=1"]),
    "vfb=['vncpasswd a,x=1']": ("vfb=['*']", ["vncpasswd a,x=1"]),
    "vfb=['x=1,y=password,vncpasswd=b']": ("vfb=['*']", ["x=1,y=password,vncpasswd=b"]),
    "disk=['target=rbd:a/b:id=x:key=AQ==']": ("disk=['*']", ["target=rbd:a/b:id=x:key=AQ=="]),
    "disk=['phy:/dev/vg/token,xvda,w','file:/x,xvdb']": ("disk=['*','file:/x,xvdb']", ["phy:/dev/vg/token,xvda,w"]),
    "kernel='http://user:pw@host/vmlinuz'": ("kernel='*'", ["http://user:pw@host/vmlinuz"]),
    "kernel='http://host:80/vmlinuz'": ("kernel='http://host:80/vmlinuz'", []),
    "extra='quiet root_password=x y'": ("extra='*'", ["quiet root_password=x y"]),
    "cmdline='quiet'": ("cmdline='quiet'", []),
    "device_model_args=['-object','secret,id=a,data=b']": ("device_model_args=['-object','*']", ["secret,id=a,data=b"]),
    "device_model_args_hvm=['-fw_cfg','name=a,string=b','-x']": (
        "device_model_args_hvm=['-fw_cfg','*','-x']",
        ["name=a,string=b"],
    ),
    "device_model_args_pv=['--token','b','c']": ("device_model_args_pv=['*','*','c']", ["--token", "b"]),
    "device_model_args=['--token=b','c']": ("device_model_args=['*','c']", ["--token=b"]),
    "bootloader_args=['-fw_cfg','b']": ("bootloader_args=['-fw_cfg','b']", []),
    "a=1\n#vncpasswd='abc'\n": ("a=1\n#*\n", ["abc"]),
    "a=1 # the password is abc\n": ("a=1 #*\n", [""]),
    "a=[ # token=abc\n1]": ("a=[ #*\n1]", ["abc"]),
    '# numa.virt: {"token": 1}\n': ('# numa.virt: {"token": 1}\n', []),
    'a=1 # numa.virt: {"token": 1}\n': ("a=1 #*\n", [""]),
    "name='web1'\nmemory=64\ncpus='2-3' # x\nvif=['mac=00:16:3e:00:00:01,bridge=br0']": (
        "name='web1'\nmemory=64\ncpus='2-3' # x\nvif=['mac=00:16:3e:00:00:01,bridge=br0']",
        [],
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_cases(text):
    assert (masked(text), secrets(text)) == CASES[text]


def test_the_mask_is_longer_than_most_secrets():
    assert MASK == "********"


PASSWORD = st.text(alphabet=st.characters(blacklist_characters="'\\\n\0,\r#", blacklist_categories=["Cs"]), min_size=1)


@given(PASSWORD, st.sampled_from(["vncpasswd='{}'", "vfb=['type=vnc,vncpasswd={},vnc=1']", "spicepasswd='{}'"]))
def test_no_password_is_shown(password, form):
    text = "# x\nname='n'; " + form.format(password) + "\nmemory=1\n"
    assert secrets(text) in ([password], ["type=vnc,vncpasswd=" + password + ",vnc=1"])
    assert masked(text).startswith("# x\nname='n'; ") and masked(text).endswith(
        "'\nmemory=1\n" if "vfb" not in form else "']\nmemory=1\n"
    )
    assert "passwd=" + password not in masked(text) or password == "*"
