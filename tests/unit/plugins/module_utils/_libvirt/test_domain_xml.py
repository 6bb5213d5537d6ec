# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A domain document as a whole: its shape, its secrets, what may differ, and what a redefinition carries over."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("lxml")

from ansible_collections.numa.virt.plugins.module_utils._elements.record import (
    owned_fragment,
    strip_owned,
    write_record,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import write_placement
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree, serialize
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, XmlError
from ansible_collections.numa.virt.plugins.module_utils._libvirt import domain_xml
from ansible_collections.numa.virt.plugins.module_utils._libvirt import secrets as xml_secrets
from ansible_collections.numa.virt.plugins.module_utils._libvirt.domain_xml import (
    complete,
    dropped_elements,
    load,
    rest_text,
    same_rest,
    shape,
    uuid,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt.secrets import masked, masked_and_secrets
from ansible_collections.numa.virt.plugins.module_utils._secrets import MASK
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Record
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.golden_domains import CASES, SECRET, read

UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"


def digest(root):
    return domain_xml.digest(masked(root))


def same_secrets(one, other):
    return xml_secrets.same_secrets(masked_and_secrets(one)[1], masked_and_secrets(other)[1])


def document(inside="", name="<name>web1</name>", attributes="type='kvm'"):
    return load(f"<domain {attributes}>{name}{inside}</domain>")


# --- load

REFUSED = {
    "<domain>\n<name>x</name": ("line 2", "not well-formed"),
    "<!DOCTYPE domain><domain><name>x</name></domain>": ("", "has a document type declaration"),
    "\n<network><name>x</name></network>": ("line 2", "the document is a <network>; give a libvirt <domain>"),
    "<domain xmlns='u:v'><name>x</name></domain>": ("line 1", "the document is a <domain> in a namespace"),
    "<domain/>": ("", "the domain has no <name>; add one"),
    "<domain>\n<name> \n </name></domain>": ("line 2", "the domain has no <name>"),
    "<domain>\n<name><!-- x --></name></domain>": ("line 2", "the domain has no <name>"),
    "<domain><name>x</name>\n<vcpu>x</vcpu></domain>": ("line 2", "<vcpu> is not a number"),
    "<domain><name>x</name>\n<vcpu/></domain>": ("line 2", "<vcpu> is not a number"),
    "<domain><name>x</name><vcpu>-1</vcpu></domain>": ("line 1", "<vcpu> is not a number"),
    "<domain><name>x</name><vcpu>0</vcpu></domain>": ("line 1", "<vcpu> is 0; a domain has at least one vCPU"),
    "<domain><name>x</name><vcpu/></domain>": ("line 1", "<vcpu> is not a number"),
    "<domain><name>x</name><vcpu>٣</vcpu></domain>": ("line 1", "<vcpu> is not a number"),
    "<domain><name>x</name><vcpu>1234567</vcpu></domain>": ("line 1", "<vcpu> is not a number"),
    "<domain><name>x</name><iothreads>many</iothreads></domain>": ("line 1", "<iothreads> is not a number"),
    "<domain><name>x</name>\n\n<memory>abc</memory></domain>": (
        "line 3",
        "<memory> is not a number; write <memory unit",
    ),
    "<domain><name>x</name><memory/></domain>": ("line 1", "<memory> is not a number"),
    "<domain><name>x</name><memory>1.5</memory></domain>": ("line 1", "<memory> is not a number"),
    "<domain><name>x</name><memory>1_000</memory></domain>": ("line 1", "<memory> is not a number"),
    f"<domain><name>x</name><memory>{'9' * 5000}</memory></domain>": ("line 1", "<memory> is not a number"),
    "<domain><name>x</name><memory unit='pages'>1</memory></domain>": ("line 1", "<memory> unit is unknown"),
    "<domain><name>x</name><memory unit='KB '>1</memory></domain>": ("line 1", "<memory> unit is unknown"),
    **{
        f"<domain>\n<{tag}>1</{tag}>\n<{tag}>1</{tag}></domain>": (
            "line 3",
            f"<{tag}> stands there twice; put them into one",
        )
        for tag in ("name", "uuid", "metadata", "memory", "vcpu", "iothreads", "cputune", "numatune")
    },
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:60])
def test_load_refuses(text):
    line, said = REFUSED[text]
    with pytest.raises(XmlError) as error:
        load(text, "definition")
    assert str(error.value).startswith(f"definition: {line}")
    assert said in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200
    assert error.value.fields["line"] == (int(line.split()[1]) if line else None)


@pytest.mark.parametrize("case", CASES)
def test_load_takes_every_golden_document(case):
    assert load(read(case, "in")).tag == "domain"


# --- shape

DIMMS = (
    "<devices><memory model='dimm'><target><size unit='M'>1</size><node>0</node></target></memory>"
    "<memory model='dimm'><target><size unit='M'>2</size><node>0</node></target></memory></devices>"
)
SHAPES = {
    "": {},
    "<uuid>C7A5FDBDedaf9455926ad65c16db1809</uuid>": {"uuid": UUID},
    f"<uuid> {UUID}\n</uuid>": {"uuid": UUID},
    "<uuid/>": {},
    "<vcpu>16</vcpu>": {"vcpus": 16},
    "<vcpu current='2'>\n 8 </vcpu>": {"vcpus": 8, "current": 2},
    "<vcpu><!-- a -->3<!-- b --></vcpu>": {"vcpus": 3},
    "<memory>4</memory>": {"memory": 4},
    "<memory unit=''>4</memory>": {"memory": 4},
    "<memory unit='b'>1025</memory>": {"memory": 2},
    "<memory unit='byte'>1024</memory>": {"memory": 1},
    "<memory unit='bytes'>0</memory>": {"memory": 0},
    "<memory unit='k'>7</memory>": {"memory": 7},
    "<memory unit='KiB'> 7\n</memory>": {"memory": 7},
    "<memory unit='KB'>1024</memory>": {"memory": 1000},
    "<memory unit='M'>3</memory>": {"memory": 3072},
    "<memory unit='mib'>3</memory>": {"memory": 3072},
    "<memory unit='MB'>1</memory>": {"memory": 977},
    "<memory unit='G'>1</memory>": {"memory": 1 << 20},
    "<memory unit='GB'>1</memory>": {"memory": 976563},
    "<memory unit='TiB'>2</memory>": {"memory": 2 << 30},
    "<memory unit='P'>1</memory>": {"memory": 1 << 40},
    "<memory unit='EiB'>1</memory>": {"memory": 1 << 50},
    "<cpu><numa><cell id='0' cpus='0' memory='3' unit='M'/></numa></cpu>": {"memory": 3072},
    "<maxMemory slots='2' unit='G'>8</maxMemory><cpu><numa><cell id='0' cpus='0' memory='1' unit='G'/></numa></cpu>"
    + DIMMS: {"memory": (1 << 20) + 3 * 1024, "memory_devices": (0, 0)},
    "<vcpu current='2'>3</vcpu><vcpus><vcpu id='0' enabled='yes'/><vcpu id='1' enabled='no'/>"
    "<vcpu id='2' enabled='yes' hotpluggable='yes' order='2'/></vcpus>": {
        "vcpus": 3,
        "current": 2,
        "online": CpuSet([0, 2]),
    },
    "<iothreads>3</iothreads>": {"iothreads": (1, 2, 3)},
    "<iothreads>0</iothreads>": {},
    "<iothreadids><iothread id='4'/><iothread id='2'/></iothreadids>": {"iothreads": (2, 4)},
    "<iothreads>4</iothreads><iothreadids><iothread id='7'/><iothread id='2'/></iothreadids>": {
        "iothreads": (1, 2, 3, 7)
    },
    "<iothreads>1</iothreads><iothreadids><iothread id='7'/><iothread id='2'/></iothreadids>": {"iothreads": (2, 7)},
    "<memoryBacking/>": {},
    "<memoryBacking><hugepages/></memoryBacking>": {"binds_early": "huge pages"},
    "<memoryBacking><hugepages><page size='1' unit='G'/></hugepages><allocation mode='immediate'/></memoryBacking>": {
        "binds_early": "huge pages"
    },
    "<memoryBacking><allocation mode='immediate' threads='8'/></memoryBacking>": {"binds_early": "preallocated memory"},
    "<memoryBacking><allocation mode='ondemand'/></memoryBacking>": {},
    "<memoryBacking><locked/><source type='memfd'/></memoryBacking>": {},
}


@pytest.mark.parametrize("inside", SHAPES)
def test_shape(inside):
    expected = {"name": "web1", "uuid": None, "type": "kvm", "vcpus": 1, "iothreads": (), "memory": 0, **SHAPES[inside]}
    assert shape(document(inside)) == Shape(**expected)


@pytest.mark.parametrize(
    "inside",
    [
        each
        for each in SHAPES
        # It does not parse white space around a number, and refuses no memory at all.
        if "\n" not in each and "0<" not in each and "<!-- b" not in each
    ],
)
def test_shape_is_what_libvirt_makes_of_it(inside):
    libvirt = pytest.importorskip("libvirt")
    libvirt.registerErrorHandler(lambda *_error: None, None)
    connection = libvirt.open("test:///default")
    sized = "<memory>" in inside or "<memory " in inside or "<numa>" in inside
    with_memory = inside if sized else f"<memory>4096</memory>{inside}"
    given = document(with_memory + "<os><type>hvm</type></os>", attributes="type='test'")
    domain = connection.defineXML(serialize(given))
    stored = load(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    domain.undefine()  # the host of this process lives on while another test has a connection to it
    connection.close()
    ours, theirs = shape(given), shape(stored)
    assert (ours.vcpus, ours.iothreads, ours.memory, ours.binds_early) == (
        theirs.vcpus,
        theirs.iothreads,
        theirs.memory,
        theirs.binds_early,
    )
    assert ours.uuid in (None, theirs.uuid)


def test_shape_without_a_type():
    assert shape(document(name="<name>web<!-- - -->1</name>", attributes="")).name == "web1"
    assert shape(document(attributes="")).type == ""


@pytest.mark.parametrize(
    "name", [" web1", "web1 ", " ", "a\tb", "a\u00a0", "\u3000a", "a\u0085", "-x", "..", "$(id)", "é"]
)
def test_blanks_are_part_of_a_name_to_libvirt(name):
    assert shape(document(name=f"<name>{name}</name>")).name == name


@pytest.mark.parametrize(
    ("name", "said"),
    [("a\nb", "a line break"), ("\nweb1\n", "a line break"), ("a&#13;b", "a line break"), ("../x", "a /")],
)
def test_a_name_that_libvirt_refuses_is_refused_first(name, said):
    with pytest.raises(XmlError, match=f"<name> holds {said}; give a name without"):
        document(name=f"<name>{name}</name>")


def test_an_iothread_without_an_id():
    with pytest.raises(XmlError, match=r"line 2: <iothread> has no id"):
        shape(document("<iothreadids>\n<iothread/></iothreadids>"))


@pytest.mark.parametrize("text", ["no-uuid", UUID[:-1], UUID + "0", "g" * 32])
def test_a_uuid_that_is_none(text):
    with pytest.raises(XmlError, match=r"line 2: <uuid> is not a UUID; leave it out") as error:
        uuid(document(f"\n<uuid>{text}</uuid>"))
    assert text not in str(error.value)


# --- complete


def test_complete_fills_the_uuid_in_and_keeps_the_white_space():
    given = load("<domain>\n  <name>x</name>\n  <memory>1</memory>\n</domain>")
    complete(given, document(f"<uuid>{UUID}</uuid>"))
    assert serialize(given) == f"<domain>\n  <name>x</name>\n  <uuid>{UUID}</uuid>\n  <memory>1</memory>\n</domain>"
    one_line = load("<domain><name>x</name></domain>")
    complete(one_line, document(f"<uuid>{UUID}</uuid>"))
    assert serialize(one_line) == f"<domain><name>x</name><uuid>{UUID}</uuid></domain>"


def test_complete_fills_an_empty_uuid():
    given = document("<uuid> </uuid>")
    complete(given, document(f"<uuid>{UUID}</uuid>"))
    assert [each.text for each in given.findall("uuid")] == [UUID]


def test_complete_takes_the_same_uuid_in_any_spelling():
    given = document(f"<uuid>{UUID.upper().replace('-', '')}</uuid>")
    before = serialize(given)
    complete(given, document(f"<uuid>{UUID}</uuid>"))
    assert serialize(given) == before


def test_complete_refuses_another_uuid():
    other = UUID.replace("c7", "d8")
    given, existing = document(f"<uuid>{other}</uuid>"), document(f"<uuid>{UUID}</uuid>")
    with pytest.raises(InputError) as error:
        complete(given, existing)
    assert str(error.value) == (
        f"xml: '{other}': is not the UUID of the existing domain 'web1'; leave <uuid> out or write {UUID}"
    )


def _graphics(*inside):
    return document(f"<uuid>{UUID}</uuid><devices>{''.join(f'<graphics {each}/>' for each in inside)}</devices>")


def test_complete_carries_passwords_over_by_type_and_rank():
    existing = _graphics(
        "type='spice' passwd='s1' connected='keep'",
        "type='vnc' passwd='v1' passwdValidTo='2037-01-01T00:00:00'",
        "type='vnc'",
        "type='vnc' passwd='v3'",
    )
    given = _graphics(
        "type='vnc'",
        "type='vnc' passwd='own'",
        "type='spice' connected='fail'",
        "type='vnc' port='1'",
        "type='vnc' port='2'",
        "type='sdl'",
        "",
    )
    complete(given, existing)
    assert [dict(each.attrib) for each in given.iterfind("devices/graphics")] == [
        {"type": "vnc", "passwd": "v1", "passwdValidTo": "2037-01-01T00:00:00"},
        {"type": "vnc", "passwd": "own"},
        {"type": "spice", "connected": "fail", "passwd": "s1"},
        {"type": "vnc", "port": "1", "passwd": "v3"},
        {"type": "vnc", "port": "2"},
        {"type": "sdl"},
        {},
    ]


def _disk(target, source, inside=""):
    return f"<disk><source protocol='https' name='{source}'>{inside}</source><target dev='{target}'/></disk>"


COOKIES = "<cookies><cookie name='a'>old</cookie></cookies>"


def test_complete_carries_cookies_over_to_the_same_disk_and_image():
    existing = document(
        f"<uuid>{UUID}</uuid><devices>{_disk('sda', 'a.iso', COOKIES)}{_disk('sdb', 'b.iso', COOKIES)}"
        f"{_disk('sdc', 'c.iso')}{_disk('sdd', 'd.iso', COOKIES)}</devices>"
    )
    mine = "<cookies><cookie name='a'>new</cookie></cookies>"
    given = document(
        f"<devices>{_disk('sda', 'a.iso')}{_disk('sdb', 'other.iso')}{_disk('sdc', 'c.iso')}"
        f"{_disk('sdd', 'd.iso', mine)}<disk/><disk><target dev='sda'/></disk></devices>"
    )
    complete(given, existing)
    assert [each.findtext("source/cookies/cookie") for each in given.iterfind("devices/disk")] == [
        "old",
        None,
        None,
        "new",
        None,
        None,
    ]
    assert existing.findtext("devices/disk/source/cookies/cookie") == "old"  # copied, not moved


# --- secrets

# One of each place where a secret may be: inside the document, and how often.
SECRETS = {
    "VNC": f"<devices><graphics type='vnc' passwd='{SECRET}x'/></devices>",
    "SPICE": f"<devices><graphics type='spice' passwd='{SECRET}x'/></devices>",
    "any password": f"<devices><x password='{SECRET}x'/><y xmlns:z='u:v' z:passwd='{SECRET}x'/></devices>",
    "cookie": f"<devices><disk><source><cookies><cookie>{SECRET}x</cookie></cookies></source></disk></devices>",
    "signed URL": f"<devices><disk><source protocol='https' query='{SECRET}x'/></disk></devices>",
    "OEM string": f"<sysinfo type='smbios'><oemStrings><entry>{SECRET}x</entry></oemStrings></sysinfo>",
    "fw_cfg": f"<sysinfo type='fwcfg'><entry name='opt/a'>{SECRET}x</entry></sysinfo>",
    "kernel": f"<os><cmdline>root=/dev/vda rootpassword={SECRET}x</cmdline></os>",
    "container": f"<os><initarg>--token={SECRET}x</initarg><initenv name='API_KEY'>{SECRET}x</initenv></os>",
    "description": f"<title>Password: {SECRET}x</title><description>the passphrase is {SECRET}x</description>",
    "metadata text": f"<metadata><a:b xmlns:a='u:v'><a:root_password>{SECRET}x</a:root_password></a:b></metadata>",
    "metadata value": f"<metadata><a:b xmlns:a='u:v'><a:c name='token' value='{SECRET}x'/></a:b></metadata>",
    "metadata name": f"<metadata><a:b xmlns:a='u:v' a:secret='{SECRET}x'/></metadata>",
    "metadata free": f"<metadata><a:b xmlns:a='u:v'>password={SECRET}x</a:b></metadata>",
    "comment": f"<!-- <graphics passwd='{SECRET}x'/> -->",
    "instruction": f"<?cloud token={SECRET}x?>",
}
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
ARGUMENTS = {
    "secret object": [("-object", 0), (f"secret,id=a,data={SECRET}x", 1)],
    "password": [("-vnc", 0), (f":1,password={SECRET}x", 1)],
    "fw_cfg": [("-fw_cfg", 0), (f"name=opt/a,string={SECRET}x", 1)],
    "own argument": [("--api-token", 1), (f"{SECRET}x", 1), ("-no-hpet", 0)],
    "harmless": [("-device", 0), ("virtio-rng-pci", 0), ("-set", 0), ("device.a.b=c", 0)],
    "only the next": [("--password=", 1), ("plain", 0)],
}


def _commandline(values, space=QEMU, tag="arg"):
    inside = "".join(f"<p:{tag} value='{value}'/><!-- - -->" for value, _masked in values)
    return f"<p:commandline xmlns:p='{space}'>{inside}<p:{tag}/></p:commandline>"


def _texts(root):
    """Everything that a person could ever be shown of a document."""
    intended = copy.deepcopy(root)
    write_placement(intended, Placement(CpuSet([1]), ((0, CpuSet([1])),)))
    write_record(intended, Record(Intent(cells=CpuSet([0]))))
    return "".join(
        text for each in (root, intended) for text in (serialize(masked(each)), rest_text(each), owned_fragment(each))
    )


@pytest.mark.parametrize("kind", SECRETS)
def test_no_secret_is_shown(kind):
    root = document(SECRETS[kind])
    before = serialize(root)
    assert SECRET in before
    assert SECRET not in _texts(root)
    assert MASK in serialize(masked(root))
    assert serialize(root) == before  # what is written stays whole


@pytest.mark.parametrize("kind", ARGUMENTS)
@pytest.mark.parametrize("space", [QEMU, QEMU.replace("qemu", "xen")])
def test_arguments_of_the_hypervisor(kind, space):
    root = document(_commandline(ARGUMENTS[kind], space))
    assert SECRET not in _texts(root)
    shown = [each.get("value") for each in masked(root).iter(f"{{{space}}}arg")]
    assert [value == MASK for value in shown[:-1]] == [bool(hidden) for _value, hidden in ARGUMENTS[kind]]


def test_environment_of_the_hypervisor():
    inside = f"<p:env name='VAULT_TOKEN' value='{SECRET}x'/><p:env name='A' value='secret={SECRET}x'/>"
    root = document(f"<p:commandline xmlns:p='{QEMU}'>{inside}<p:env name='LANG' value='C'/></p:commandline>")
    assert SECRET not in _texts(root)
    assert [each.get("value") for each in masked(root).iter(f"{{{QEMU}}}env")] == [MASK, MASK, "C"]


@pytest.mark.parametrize("which", ["in", "out"])
@pytest.mark.parametrize("case", CASES)
def test_no_secret_of_the_golden_documents_is_shown(case, which):
    assert SECRET not in _texts(load(read(case, which)))


def test_everything_is_about_as_many_secrets_as_it_says():
    text = read("everything", "in")
    # And the option before one, how long one is valid, and what stands beside one in the metadata of another program.
    assert text.count(SECRET) == serialize(masked(load(text))).count(MASK) - 3
    assert "s3cret" not in rest_text(load(text))


def test_what_is_no_secret_stays_readable():
    text = (
        "<domain type='kvm'><name>passwords</name><title>Web</title>"
        "<metadata><a:b xmlns:a='u:v' c='d'>e</a:b><numa:intent xmlns:numa='urn:numa.virt:intent:1' cells='0'>"
        "<numa:token>x</numa:token></numa:intent></metadata>"
        "<os><cmdline>quiet</cmdline></os>"
        "<sysinfo type='smbios'><system><entry name='serial'>4711</entry></system><oemStrings><entry/></oemStrings>"
        "</sysinfo><devices><disk><source file='/a'><auth><secret type='ceph' uuid='v'/></auth></source>"
        "</disk><tpm><encryption secret='w'/></tpm></devices><!-- comment --><?pi?></domain>"
    )
    assert serialize(masked(load(text))) == serialize(load(text))
    assert masked(load("<domain><name>x</name><entry>y</entry></domain>")).findtext("entry") == "y"
    assert masked(etree.fromstring("<entry>y</entry>")).text == "y"


# --- what may differ


def test_a_digest_holds_no_secret_and_no_placement():
    root = load(read("everything", "in"))
    other = load(read("everything", "out").replace(SECRET, "another-"))
    assert digest(root) == digest(other)
    assert len(digest(root)) == 64
    other.find("on_reboot").text = "destroy"
    assert digest(root) != digest(other)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_digest_cannot_be_used_to_guess_a_secret(kind, monkeypatch):
    seen = []
    real = domain_xml.hashlib.sha256
    monkeypatch.setattr(domain_xml.hashlib, "sha256", lambda data: seen.append(data) or real(data))
    digest(document(SECRETS[kind]))
    assert seen and SECRET.encode() not in seen[0]


def test_the_digest_of_one_document_however_it_is_written():
    assert digest(
        load("<domain id='3'>\n <name>x</name>\n <uuid>" + UUID + "</uuid><vcpu cpuset='1'>1</vcpu></domain>")
    ) == (digest(load("<domain><name>x</name></domain>")))


def test_same_rest():
    root = load(read("everything", "in"))
    for change in (
        lambda other: other.set("id", "7"),
        lambda other: write_placement(other, Placement(CpuSet([3]))),
        strip_owned,
        lambda other: etree.indent(other, "\t"),
        lambda other: setattr(other.find("uuid"), "text", UUID.upper()),
    ):
        other = copy.deepcopy(root)
        change(other)
        assert same_rest(root, other)
    for change in (
        lambda other: other.set("type", "qemu"),
        lambda other: other.append(etree.Comment("x")),
        lambda other: other.find("cputune/shares").set("x", "y"),
        lambda other: other.find("vcpu").set("current", "1"),
        lambda other: setattr(other.find("vcpu"), "text", "9"),
        lambda other: other.find("devices/graphics").set("passwd", "another"),
        lambda other: other.find("devices").remove(other.find("devices/disk")),
    ):
        other = copy.deepcopy(root)
        change(other)
        assert not same_rest(root, other)


def test_blank_text_that_means_something_is_kept():
    assert not same_rest(document("<title> </title>"), document("<title/>"))
    assert same_rest(document("<os> <type/> </os>"), document("<os><type/></os>"))


def test_same_secrets():
    root = load(read("everything", "in"))
    assert same_secrets(root, load(read("everything", "out")))
    assert same_secrets(root, load(read("everything", "in").replace("<shares>2048", "<shares>1")))
    for old in {word.split("<")[0].split('"')[0].split("'")[0] for word in read("everything", "in").split(SECRET)[1:]}:
        assert not same_secrets(root, load(read("everything", "in").replace(SECRET + old, SECRET + "changed")))


def test_sections_may_come_in_any_order_and_devices_may_not():
    """libvirt writes sections in its own order, so a user's order of them must not look like a change."""
    system, devices = SECRETS["OEM string"], "<devices><graphics passwd='a'/><graphics passwd='b'/></devices>"
    assert same_secrets(document(system + devices), document(devices + system))
    assert not same_secrets(
        document(devices), document("<devices><graphics passwd='b'/><graphics passwd='a'/></devices>")
    )


def test_the_rest_as_text():
    assert rest_text(load(read("one-line", "out"))) == (
        '<domain type="qemu">\n  <!-- without the placement -->\n  <name>one-line</name>\n'
        "  <memory>262144</memory>\n  <vcpu>4</vcpu>\n"
        "  <iothreads>2</iothreads>\n  <os>\n    <type>hvm</type>\n  </os>\n</domain>\n"
    )
    # Ansible masks whatever contains the whole text of xml: the neatest document must not be found again here.
    neat = '<domain type="qemu">\n  <name>x</name>\n</domain>'
    assert neat not in rest_text(load(neat))
    assert rest_text(load(read("tabs", "in"))) == rest_text(load(read("tabs", "out")))


def test_dropped_elements():
    given = document(
        "<devices><disk><target/><wrong><deeper/></wrong></disk><disk><wrong/></disk></devices>"
        "<q:commandline xmlns:q='u:v'><q:arg/></q:commandline><!-- x --><?y?>"
    )
    stored = document("<uuid/><devices><disk><target/></disk></devices>")
    assert dropped_elements(given, stored) == ["domain/devices/disk/wrong", "domain/commandline"]
    assert dropped_elements(given, given) == []
    assert dropped_elements(given, etree.Element("other")) == ["domain"]
