# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a definition can hold a secret: a document, or a file of xl, for each row of the one table of secrets.

The rows are read from the table itself (_secrets.py), so that one that is added is planted or missed: unplanted().
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[2]
sys.path.insert(0, str(REPO / ".cache" / "tree"))

from ansible_collections.numa.virt.plugins.module_utils import _secrets

TOKEN = "PLANTED7x"

_QEMU = "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'"
GRAPHICS = f"<devices><graphics type='vnc' port='-1' autoport='yes' passwd='{TOKEN}'/></devices>"

# What stands beside secrets: one word at least for each alternative of the table.
WORDS = (
    "password", "passwd", "passphrase", "passcode", "passkey", "pass", "pwd", "pw", "rootpw", "userpw", "client_secret",
    "token", "credential", "creds", "bearer", "cookie", "signature", "authorization", "auth", "autologin", "keytab",
    "api_key", "access-key", "private_key", "sshkey", "master-key", "host_key", "shared-key", "encryption_key",
    "product-key", "license_key", "psk", "otp", "chap", "nocloud", "no-cloud", "cidata", "cloud-init", "cloud_config",
    "ignition", "user-data", "seed",
)  # fmt: skip
# These mean a secret only before a sign.
SIGNED = ("sig", "key", "data")
# {0}: the word
_NAMED = {
    "element of metadata": "<metadata><a:x xmlns:a='urn:a'><a:{0}>%s</a:{0}></a:x></metadata>",
    "attribute of metadata": "<metadata><a:x xmlns:a='urn:a' {0}='%s'/></metadata>",
    "beside it in metadata": "<metadata><a:x xmlns:a='urn:a'><a:k>{0}</a:k><a:v>%s</a:v></a:x></metadata>",
    "below it in metadata": "<metadata><a:x xmlns:a='urn:a'><a:{0}><a:v>%s</a:v></a:{0}></a:x></metadata>",
    "environment of init": "<os><initenv name='{0}'>%s</initenv></os>",
    "environment of QEMU": "<q:commandline><q:env name='{0}' value='%s'/></q:commandline>",
    "property of QEMU": (
        "<q:override><q:device alias='a'><q:frontend><q:property name='{0}' type='string' value='%s'/></q:frontend>"
        "</q:device></q:override>"
    ),
    "parameter": (
        "<devices><interface type='network'><source network='n'/><filterref filter='f'>"
        "<parameter name='{0}' value='%s'/></filterref></interface></devices>"
    ),
}
_SAID = {
    "description": "<description>root {0}=%s</description>",
    "title": "<title>{0}: %s</title>",
    "kernel's command line": "<os><cmdline>quiet {0}=%s</cmdline></os>",
    "comment": "<!-- {0}='%s' -->",
    "serial number": "<sysinfo type='smbios'><system><entry name='serial'>{0}=%s</entry></system></sysinfo>",
    "name of a channel": (
        "<devices><channel type='pty'><target type='virtio' name='org.a {0}=%s'/></channel></devices>"
    ),
    "argument of QEMU": "<q:commandline><q:arg value='-x'/><q:arg value='id=a,{0}=%s'/></q:commandline>",
}
_DISK = "<devices><disk type='network' device='disk'>%s<target dev='vda'/></disk></devices>"
_HTTPS = _DISK % "<source protocol='https' name='{0}'><host name='h'/></source>"
_PLACES = {
    ("source", "query"): _DISK % "<source protocol='https' name='x' query='a=%s'><host name='h'/></source>",
    ("auth", "username"): _DISK
    % (
        "<source protocol='iscsi' name='iqn/1'><host name='h'/><auth username='%s'><secret type='iscsi' usage='u'/>"
        "</auth></source>"
    ),
    ("identity", "username"): _DISK
    % "<source protocol='ssh' name='x'><host name='h'/><identity username='%s' keyfile='/k'/></source>",
}
_ELEMENTS = {
    "cookie": _DISK
    % ("<source protocol='https' name='x'><host name='h'/><cookies><cookie name='a'>%s</cookie></cookies></source>"),
    "oemStrings/entry": "<sysinfo type='smbios'><oemStrings><entry>%s</entry></oemStrings></sysinfo>",
    "fwcfg/entry": "<sysinfo type='fwcfg'><entry name='opt/x'>%s</entry></sysinfo>",
}
_LAUNCHES = (
    "<launchSecurity type='sev'><cbitpos>47</cbitpos><reducedPhysBits>1</reducedPhysBits><policy>1</policy>"
    "<{0}>%s</{0}></launchSecurity>"
)
_OTHERS = {
    "twice escaped": "<devices><graphics type='vnc' passwd='&amp;&lt;&quot;%s&amp;amp;'/></devices>",
    "character references": "<devices><graphics type='vnc' passwd='&#80;LANTED7x%s'/></devices>",
    "several lines": "<description>the password is\n\t%s\n</description>",
    "raw text": "<description><![CDATA[token <%s>]]></description>",
    "instruction": "<?app password='%s'?>",
    "signed address": _HTTPS.format("x?X-Amz-Signature=%s"),
    "user in an address": _HTTPS.format("http://u:%s@h/x"),
    "pseudo file": (
        "<devices><disk type='file'><source file='json:{&quot;a&quot;:&quot;%s&quot;}'/><target dev='vda'/></disk>"
        "</devices>"
    ),
    "path of a seed": (
        "<devices><disk type='file' device='cdrom'><source file='/seed-%s.iso'/><target dev='sda'/></disk></devices>"
    ),
    "behind an element": "<metadata><a:x xmlns:a='urn:a'><a:password/>%s</a:x></metadata>",
    "argument of init": "<os><initarg>--password</initarg><initarg>%s</initarg></os>",
    "unknown element": "<devices><x><token>%s</token></x></devices>",
    "between elements": "<devices>%s<x/></devices>",
}
# Option -> its argument
_ARGUMENTS = {
    "-object": "secret,id=a,data=%s",
    "--object": "{&quot;qom-type&quot;:&quot;secret&quot;,&quot;data&quot;:&quot;%s&quot;}",
    "-fw_cfg": "name=opt/x,string=%s",
    "--fw_cfg": "name=opt/x,string=%s",
    "-smbios": "type=11,value=io.systemd.credential:p=%s",
    "-append": "%s",
    "-drive": "file=rbd:p/i:id=a:key=%s",
    "-blockdev": "https://u:%s@h/x",
    "-device": "x,password=%s",
    "-chardev": "iscsi://u%%%s@h/iqn/1",
}
_XL = {
    "password": "vncpasswd='%s'",
    "password of SPICE": "spicepasswd = '%s' # x",
    "escaped": 'vncpasswd="%s\\"x"',
    "appended": "vncpasswd='a'\nvncpasswd+='%s'",
    "frame buffer": "vfb=['vnc=1, vncpasswd = %s , keymap=de']",
    "comment": "# password is %s",
    "commented out": "#vncpasswd='%s'",
    "kernel's command line": "extra='quiet password=%s'",
    "address": "cmdline='ks=http://u:%s@h/'",
    "key of a disk": "disk=['vdev=xvda,target=rbd:p/i:id=a:key=%s']",
    "address of a disk": "disk=['vdev=xvda,target=https://u:%s@h/x']",
    "argument of a boot loader": "bootloader_args=['--password','%s']",
    "RAM disk": "ramdisk='/x?token=%s'",
    "list": "vtpm_secret=['a',['%s']]",
}


@dataclass(frozen=True)
class Place:
    """``text``: what is in the domain element, or the lines of a file of xl."""

    title: str
    text: str

    def document(self, kind: str) -> str:
        """A guest of a driver's type that is called "s"."""
        return (
            f"<domain type='{kind}' {_QEMU}>\n  <name>s</name>\n  <memory unit='MiB'>16</memory>\n  <vcpu>1</vcpu>\n"
            f"  <os><type arch='x86_64'>hvm</type></os>\n  {self.text}\n</domain>\n"
        )

    def with_other(self, other: Place) -> Place:
        """Both in one: libvirt takes one element of metadata, and one of each namespace in it."""
        inside = re.compile("<metadata>(.*)</metadata>", re.DOTALL)
        texts = (self.text, other.text.replace("'urn:a'", f"'urn:a:{len(self.text)}'"))
        metadata = "".join(found[1] for text in texts for found in [inside.search(text)] if found)
        whole = "\n  ".join(inside.sub("", text) for text in texts)
        return Place(self.title, f"{whole}\n  <metadata>{metadata}</metadata>" if metadata else whole)

    def file(self) -> str:
        """A guest of xl that is called "s"."""
        return "\n".join(["name='s'", "vcpus=1", "memory=16", *(line.strip() for line in self.text.splitlines()), ""])


def described(xml: str) -> str:
    """Another definition of the same guest."""
    return xml.replace("'MiB'>16<", "'MiB'>17<", 1)


def renamed(xml: str) -> str:
    """The same of another guest."""
    return xml.replace("<name>s<", "<name>s2<", 1)


def wide(xml: str) -> str:
    """The same with more vCPUs than a host has CPUs."""
    return xml.replace("<vcpu>1<", "<vcpu>99<", 1)


def documents() -> list[Place]:
    """One for each row of the table, and words by turns in all that has words."""
    found = {f"attribute {name}": f"<devices><graphics type='vnc' {name}='%s'/></devices>" for name in _ATTRIBUTES}
    found.update({"/".join(key): text for key, text in _PLACES.items()})
    found.update(_ELEMENTS)
    found.update({f"launch: {name}": _LAUNCHES.format(name) for name in ("dhCert", "session", "idAuth", "hostData")})
    found.update(_OTHERS)
    for option, value in _ARGUMENTS.items():
        text = f"<q:commandline><!-- x --><q:arg value='{option}'/><!-- y --><q:arg value='{value}'/></q:commandline>"
        found[f"QEMU's {option}"] = text
    spoken = {**_NAMED, **_SAID}
    for slot, text in spoken.items():
        found[f"{slot}: password"] = text.format("password")
    for number, word in enumerate((*WORDS, *SIGNED)):
        slots = list(_SAID.items() if word in SIGNED else spoken.items())
        slot, text = slots[number % len(slots)]
        found[f"{slot}: {word}"] = text.format(word)
    return [Place(title, text % TOKEN) for title, text in found.items()]


def xl_files() -> list[Place]:
    """The same for files of xl."""
    found = dict(_XL)
    for name in sorted(_secrets.XL_SECRET_LISTS):
        found[name] = f"{name}=['oem_strings=%s']"
    for name in ("device_model_args", "device_model_args_pv", "device_model_args_hvm"):
        for option, value in _ARGUMENTS.items():
            argument = value.replace("&quot;", '"')
            found[f"{name} {option}"] = f"{name}=['{option}','{argument}']"
    for number, word in enumerate(WORDS):
        name = re.sub(r"\W", "_", word)
        found[f"option {word}"] = f"{name}='%s'" if number % 2 else f"extra='{word}=%s'"
    return [Place(title, text % TOKEN) for title, text in found.items()]


_ATTRIBUTES = tuple(sorted(_secrets.SECRET_ATTRIBUTES))


def unplanted() -> Iterator[str]:
    """Rows of the table for which nothing is planted here."""
    yield from ("/".join(each) for each in sorted(_secrets.SECRET_PLACES - _PLACES.keys()))
    yield from sorted(_secrets.SECRET_ELEMENTS - _ELEMENTS.keys())
    for pattern in _alternatives(_secrets._NAMES):
        if not any(re.search(pattern, text) for word in (*WORDS, *SIGNED) for text in (word, f"{word}=")):
            yield pattern


def _alternatives(pattern: str) -> list[str]:
    """A regular expression at its outermost bars."""
    found, depth = [""], 0
    for sign in pattern:
        depth += (sign in "([") - (sign in ")]")
        if sign == "|" and not depth:
            found.append("")
        else:
            found[-1] += sign
    return found
