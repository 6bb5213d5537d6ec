# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single options of a configuration file. xl's own word on them is in test_config.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._xl.options import MAX_VCPUS, Reader, VirtualCell
from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import XlConfigError, merged, parse_document


def reader(text):
    return Reader(merged(parse_document(text, "x.cfg").statements, "x.cfg"), "x.cfg")


def test_what_is_not_there():
    read = reader("")
    assert (read.string("pool"), read.number("memory"), read.size("memory"), read.count("vcpus")) == (
        None,
        None,
        None,
        0,
    )
    assert (read.uuid(), read.kind(), read.virtual_cells()) == (None, "pv", ())


NUMBERS = {
    "8": 8,
    "'8'": 8,
    "0x10": 16,
    "010": 8,
    "0": 0,
    "'0X1F'": 31,
    "' 7'": 7,
    "'\\t\\v+7'": 7,
    "0" * 40 + "7": 7,
    str((1 << 63) - 1): (1 << 63) - 1,
}


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers(value):
    assert reader(f"memory={value}").number("memory") == NUMBERS[value]


@pytest.mark.parametrize(
    "value", ["''", "'x'", "'8 '", "'8M'", "'-1'", "12ab", "'0x'", "08", str(1 << 63), "9" * 5000, "'1.5'", "'٣'"]
)
def test_what_is_no_number(value):
    with pytest.raises(XlConfigError) as error:
        reader(f"\nmemory={value}").number("memory")
    assert str(error.value) == ("x.cfg: line 2: memory is not a number that xl takes; write a whole number, and no +=")


def test_a_number_cannot_be_appended_to():
    with pytest.raises(XlConfigError, match="line 2: memory is not a number that xl takes"):
        reader("memory=1\nmemory+=2").number("memory")
    assert reader("memory+=2\nmemory=1").number("memory") == 1


def test_mib_become_kib():
    assert reader("memory=64").size("memory") == 65536


def test_a_number_of_vcpus():
    assert reader(f"vcpus={MAX_VCPUS}").count("vcpus") == MAX_VCPUS
    with pytest.raises(XlConfigError, match=f"line 1: vcpus is more than Xen can do; a guest has {MAX_VCPUS} vCPUs"):
        reader(f"vcpus={MAX_VCPUS + 1}").count("vcpus")


def test_a_list_is_no_single_value():
    with pytest.raises(XlConfigError, match=r"x\.cfg: line 1: pool is a list; give a single value"):
        reader("pool=['x']").string("pool")


def test_name():
    assert reader("name='a b'").name() == "a b"
    assert reader("name=7").name() == "7"
    with pytest.raises(XlConfigError, match=r"x\.cfg: the guest has no name; add name = "):
        reader("").name()
    with pytest.raises(XlConfigError, match=r"x\.cfg: line 1: the guest has no name"):
        reader("name=''").name()


def test_uuid():
    text = "C7A5FDBD-edaf-9455-926a-d65c16db1809"
    assert reader(f"uuid='{text}'").uuid() == text.lower()
    for wrong in ("", "x", text.replace("-", ""), text[:-1], text + "0"):
        with pytest.raises(XlConfigError, match="line 1: uuid is not a UUID; leave it out"):
            reader(f"uuid='{wrong}'").uuid()


KINDS = {
    "": "pv",
    "type='pv'": "pv",
    "type='pvh'": "pvh",
    "type='hvm'": "hvm",
    "type='p'": "pv",  # xl takes the beginning of a word for it
    "type=''": "hvm",
    "builder='hvm'": "hvm",
    "builder='generic'": "pv",
    "builder='hvm'; type='hvm'": "hvm",
    "builder='generic'; type='pv'": "pv",
}


@pytest.mark.parametrize("text", KINDS)
def test_kind(text):
    assert reader(text).kind() == KINDS[text]


def test_kinds_that_there_are_not():
    with pytest.raises(
        XlConfigError, match="line 1: type is a kind of guest that xl does not know; it knows hvm, pv, pvh"
    ):
        reader("type='PV'").kind()
    with pytest.raises(XlConfigError, match=r"line 1: builder is a kind of guest .*; it knows hvm, generic"):
        reader("builder='linux'").kind()
    with pytest.raises(XlConfigError, match="line 2: builder and type contradict each other; leave builder out"):
        reader("type='pv'\nbuilder='hvm'").kind()
    with pytest.raises(XlConfigError, match="line 2: builder and type contradict each other"):
        reader("type='pvh'\nbuilder='generic'").kind()


CELLS = {
    "'x'": (),
    "[]": (),
    "[[]]": (VirtualCell(0, 0, 0, False),),
    "[['pnode=1','size=32','vcpus=0-2','vdistances=10,20'],['pnode=3','size=16','vcpus=3']]": (
        VirtualCell(1, 3, 32768, True),
        VirtualCell(3, 1, 16384, True),
    ),
    "[['size=32','vcpus=0,2,4-5']]": (VirtualCell(0, 4, 32768, False),),
    "[[' pnode = +2 ', ['x'], 'size=32M', 'vcpus=0- 1', 'vcpus=2', 'foo=1']]": (VirtualCell(2, 3, 32768, True),),
    "[['pnode=1', 'pnode=2', 'size=1', 'size=2']]": (VirtualCell(2, 0, 2048, True),),
}


@pytest.mark.parametrize("value", CELLS)
def test_virtual_cells(value):
    assert reader(f"vnuma={value}").virtual_cells() == CELLS[value]


WRONG_CELLS = {
    "['pnode=1']": "vnuma: a cell is not a list",
    "[['pnode']]": "vnuma: no option=value in a cell",
    "[['pnode=']]": "vnuma: no option=value in a cell",
    "[['=1']]": "vnuma: no option=value in a cell",
    "[['pnode=x']]": "vnuma: a number is missing",
    "[['size=9999999999']]": "vnuma: a number is missing",
    "[['vcpus=x']]": "vnuma: vcpus are no range",
    "[['vcpus=2-1']]": "vnuma: vcpus are no range",
    "[['vcpus=0,']]": "vnuma: vcpus are no range",
}


@pytest.mark.parametrize("value", WRONG_CELLS)
def test_virtual_cells_that_are_none(value):
    with pytest.raises(XlConfigError) as error:
        reader(f"\nvnuma=[['size=1'],\n{value[1:]}").virtual_cells()
    assert str(error.value).startswith(f"x.cfg: line 3: {WRONG_CELLS[value]}")


@given(st.text(max_size=12).filter(lambda text: not set(text) & set("'\\\n\0")))
def test_any_value_is_read_or_refused(text):
    read = reader(f"name='{text}';uuid='{text}';type='{text}';memory='{text}';vnuma=[['{text}','vcpus={text}']]")
    for each in (read.name, read.uuid, read.kind, lambda: read.number("memory"), read.virtual_cells):
        assert "\n" not in refusal_of(each)


def refusal_of(work):
    try:
        work()
    except XlConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["a ", " ", "a b  "])
def test_a_name_that_xl_cannot_show(name):
    with pytest.raises(XlConfigError, match="the guest's name ends with a blank; take it out"):
        reader(f"name='{name}'").name()
    assert reader("name=' a b'").name() == " a b"


# By xlu_pci_parse_spec_string() of libxlu_pci.c.
DEVICES = {
    "81:02.3": "0000:81:02.3",
    "0000:81:02.3": "0000:81:02.3",
    "0:81:2.3": "0000:81:02.3",
    "0000:81:02.3@7": "0000:81:02.3",
    "81:02.3@1F,permissive=1": "0000:81:02.3",
    "81:02.3,permissive=1,seize=1,rdm_policy=relaxed": "0000:81:02.3",
    "81:02.3,": "0000:81:02.3",
    "bdf=81:02.3,vslot=7": "0000:81:02.3",
    "permissive=1,bdf=0000:81:02.3": "0000:81:02.3",
    "AB:1f.7": "0000:ab:1f.7",
    "ffff:81:02.3": "ffff:81:02.3",
    "81:02.*": "0000:81:02.*",
    "0000:81:02.*@7,msitranslate=1": "0000:81:02.*",
    "bdf=81:02.*": "0000:81:02.*",
    "name=my nic": "pci my nic",
    "seize=1,name=nic,permissive=1": "pci nic",
}


@pytest.mark.parametrize("spec", DEVICES)
def test_devices(spec):
    assert reader(f'pci=["{spec}"]').devices() == (DEVICES[spec],)


@pytest.mark.parametrize(
    "spec",
    [
        "", "81:02", "0x81:02.3", "81:02.8", "81:20.0", "100:02.0", "10000:81:02.3", "81:02.3@", "81:02.3;seize=1",
        "seize", "81:02.3,seize", "bdf=x", "bdf=81:02.3,name=nic", "81:02.3,name=nic", "seize=1", "81:02.g",
    ],
)  # fmt: skip
def test_what_is_no_device_that_can_be_told(spec):
    assert reader(f'pci=["81:02.3", "{spec}"]').devices() == ("0000:81:02.3", "entry 1 of pci")


def test_lists_of_devices():
    assert reader("").devices() == ()
    assert reader("pci='81:02.3'").devices() == ()  # xl takes a list only
    assert reader("pci=[]").devices() == ()
    assert reader("pci=['1:0.0', '01:00.0']\npci += ['2:0.0']").devices() == ("0000:01:00.0", "0000:02:00.0")
    assert reader("pci=['1:0.0', ['2:0.0'], '3:0.0']").devices() == ("0000:01:00.0",)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFF), st.integers(0, 0x1F), st.integers(0, 7))
def test_an_address_is_the_same_in_every_form(domain, bus, slot, function):
    name = f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
    forms = [name, name.upper(), f"{domain:x}:{bus:x}:{slot:x}.{function}", f"bdf={name}", f"{name}@3,seize=1"]
    forms += [name[5:]] if not domain else []
    assert reader(f"pci={forms}").devices() == (name,)
