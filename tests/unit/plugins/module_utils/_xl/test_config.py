# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A configuration file as a whole: as xl reads it, and rewritten.

fixtures/xl/dry_run.jsonl is what ``xl create -n`` of Xen 4.17.7 made of 416 texts on a host with four cells of two
CPUs.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._xl.config import DEFAULT_MEMORY, XlConfig
from ansible_collections.numa.virt.plugins.module_utils._xl.options import VirtualCell
from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import XlConfigError

DRY_RUN = Path(__file__).resolve().parents[3] / "fixtures" / "xl" / "dry_run.jsonl"
SAID = {each["text"]: each for each in map(json.loads, DRY_RUN.read_text(encoding="ascii").splitlines())}

EVERYTHING = CpuSet(range(8))
CELLS = {cell: CpuSet([2 * cell, 2 * cell + 1]) for cell in range(4)}
HEAD = 'name="h2x"\nkernel="/root/pvidle"\nmemory=32\nvcpus=3\n'

# What xl takes and we refuse, with the reason.
STRICTER = {
    HEAD + 'cpus="4294967298"\n': "no CPU has such a number",
    HEAD + 'name=""\n': "the guest has no name",
    HEAD + 'name="\\101"\n': "the guest has no name",
    HEAD + "a=1\n#c\0d\n": "a NUL byte",
    HEAD + 'cpus="2"$': "a character that is no part of the language",
    HEAD + 'vnuma=[["pnode=1","size=32","vcpus=2-0"]]\n': "vcpus are no range",
}
# What xl refuses for a reason that a placement has nothing to do with.
LAXER = ("Neither kernel nor bootloader specified", "xl: invalid pnode number: 7")


def parse(text):
    return XlConfig.parse(text, "web1.cfg")


def place(config, cpuset, pins=None):
    return config.with_cpus(None if cpuset is None else CpuSet.parse(cpuset), pins or {}, CELLS, EVERYTHING)


def sets(config):
    return config.affinity(CELLS, EVERYTHING)


# --- as xl reads it


def test_there_is_much_to_compare_with():
    assert len(SAID) > 400 and 150 < sum("refused" in each for each in SAID.values()) < 250


@pytest.mark.parametrize("text", SAID, ids=range(len(SAID)))
def test_as_xl(text):
    said = SAID[text]
    config, refusal = None, ""
    try:
        config = parse(text)
        affinity = sets(config)
    except XlConfigError as error:
        refusal = str(error)
    if config is None or refusal:
        assert "refused" in said or "warned" in said or STRICTER[text] in refusal
        return
    if "refused" in said:
        assert said["refused"] in LAXER
        return
    assert text not in STRICTER and "warned" not in said
    assert (config.name, config.kind) == (said["name"], said["kind"])
    assert config.pool == said.get("pool", "Pool-0") or not said.get("pool", "x")
    if "uuid" in said:
        assert config.uuid == said["uuid"]
    assert (config.vcpus, config.maxvcpus) == (said.get("vcpus", 1), said.get("maxvcpus", 1))
    assert config.counted == ("maxvcpus" in said)
    assert config.places_itself == said.get("places", False)
    assert [[each.pnode, each.memory] for each in config.virtual_cells] == said.get("vnuma", [])
    if config.memory and config.maxmem:
        assert (config.memory, config.maxmem) == (
            said.get("memory", DEFAULT_MEMORY), said.get("maxmem", DEFAULT_MEMORY)
        )  # fmt: skip
    listed = [CpuSet(each) for each in said.get("cpus", [])]
    assert len(affinity) == config.maxvcpus
    assert [EVERYTHING if each is None else each for each in affinity] == (listed + [EVERYTHING] * config.maxvcpus)[
        : config.maxvcpus
    ]


@pytest.mark.parametrize("text", SAID, ids=range(len(SAID)))
def test_every_text_that_is_taken_can_be_rewritten_and_back(text):
    try:
        config = parse(text)
    except XlConfigError:
        return
    wanted = {vcpu: CpuSet([vcpu % 8, 7]) for vcpu in range(config.maxvcpus)}
    bare = place(config, None)
    assert bare.text == config.text or config.has_affinity
    if not config.counted:
        with pytest.raises(XlConfigError, match=r"there is no number of vCPUs, .*; add vcpus = 1"):
            place(config, None, wanted)
        return
    placed = place(config, None, wanted)
    assert sets(placed) == tuple(wanted.values())
    assert place(placed, None, wanted) is placed
    back = place(placed, None)
    assert sets(back) == (None,) * config.maxvcpus
    if not config.has_affinity:
        assert back.text == config.text


# --- what it is


def test_values():
    config = parse(
        'name="web1"; uuid="C7A5FDBD-EDAF-9455-926A-D65C16DB1809"\ntype="pvh"\nvcpus=2\nmaxvcpus=4\nmemory=64\n'
        'maxmem=128\npool="batch"\ncpus_soft="1"\n'
    )
    assert (config.name, config.uuid) == ("web1", "c7a5fdbd-edaf-9455-926a-d65c16db1809")
    assert (config.kind, config.vcpus, config.maxvcpus, config.counted) == ("pvh", 2, 4, True)
    assert (config.memory, config.maxmem, config.pool) == (65536, 131072, "batch")
    assert (config.has_affinity, config.has_soft_affinity, config.places_itself) == (False, True, False)
    assert config.shape == Shape("web1", config.uuid, "pvh", 4, (), 131072)
    assert config.source == "web1.cfg"


def test_defaults():
    config = parse("name='a'")
    assert (config.uuid, config.kind, config.vcpus, config.maxvcpus, config.counted) == (None, "pv", 1, 1, False)
    assert (config.memory, config.maxmem, config.pool) == (32768, 32768, "Pool-0")
    assert (config.has_affinity, config.has_soft_affinity, config.places_itself) == (False, False, True)
    assert config.virtual_cells == () and not config.vnuma_cells
    assert (parse("name='a'\nmaxmem=64").memory, parse("name='a'\nmemory=64").maxmem) == (65536, 65536)
    assert parse("name='a'\nmaxvcpus=2").vcpus == 1


def test_guest_cells():
    config = parse(
        "name='a'\nmemory=16\nvcpus=1\nvnuma=[['pnode=1','size=16','vcpus=0-1'],['pnode=3','size=32','vcpus=2']]"
    )
    assert config.vnuma_cells == CpuSet([1, 3])
    assert config.virtual_cells == (VirtualCell(1, 2, 16384, True), VirtualCell(3, 1, 32768, True))
    assert (config.vcpus, config.maxvcpus, config.memory, config.maxmem) == (1, 3, 16384, 49152)
    assert not config.places_itself
    assert parse("name='a'\nvnuma=[['size=16','vcpus=0']]").places_itself


WRONG = {
    "": "web1.cfg: the guest has no name",
    "name='a'\nvcpus=3\nmaxvcpus=2": "web1.cfg: line 2: vcpus is 3, more than maxvcpus, which is 2",
    "name='a'\nmaxvcpus=2\nvnuma=[['vcpus=0']]": "web1.cfg: line 2: maxvcpus is 2, and vnuma has 1 vCPUs",
    "name='a'\nmaxmem=2\nvnuma=[['size=1','vcpus=0']]": "web1.cfg: line 2: maxmem is 2, and vnuma has 1 MiB",
    "name='a'\nvcpus=2\nvnuma=[['vcpus=0']]": "web1.cfg: line 2: vcpus is 2, more than maxvcpus, which is 1",
    "name='a'\nmemory='64M'": "web1.cfg: line 2: memory is not a number that xl takes",
    "name='a'\npool=[]": "web1.cfg: line 2: pool is a list",
    "name='a'\nx=1\nx+=[2]": "web1.cfg: line 3: x += mixes a list with a single value",
    "name='a'\n\nx=": "web1.cfg: line 3: the end of the file stands there",
}


@pytest.mark.parametrize("text", WRONG)
def test_parse_refuses(text):
    with pytest.raises(XlConfigError) as error:
        parse(text)
    assert str(error.value).startswith(WRONG[text]) and "\n" not in str(error.value)


def test_a_value():
    config = parse("name='a'; vncpasswd='hunter2'")
    assert config == parse(config.text) and hash(config) == hash(parse(config.text))
    assert config != parse("name='a'") and config != XlConfig.parse(config.text, "other.cfg")
    assert "hunter2" not in repr(config)
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(AttributeError):
        config.name = "b"  # type: ignore[misc]


# --- where it may run


def test_placement():
    assert parse("name='a'\nvcpus=2").placement(CELLS, EVERYTHING) == Placement()
    both = parse("name='a'\nvcpus=2\ncpus='node:1'").placement(CELLS, EVERYTHING)
    assert both == Placement(cpuset=CpuSet([2, 3]))
    different = parse("name='a'\nvcpus=3\ncpus=['2','3','2-3']").placement(CELLS, EVERYTHING)
    assert different == Placement(cpuset=CpuSet([2, 3]), vcpu_pins=((0, CpuSet([2])), (1, CpuSet([3]))))
    some = parse("name='a'\nvcpus=2\ncpus=['2']").placement(CELLS, EVERYTHING)
    assert some == Placement(vcpu_pins=((0, CpuSet([2])),))


def test_without_a_number_of_vcpus_cpus_count_for_nothing():
    config = parse("name='a'\ncpus='2'")
    assert config.has_affinity and sets(config) == (None,)
    assert config.placement(CELLS, EVERYTHING) == Placement()
    assert place(config, None) is config
    with pytest.raises(XlConfigError, match=r"web1\.cfg: there is no number of vCPUs, and without one xl passes over"):
        place(config, "2")


def test_cpus_that_xl_refuses():
    config = parse("name='a'\nvcpus=1\ncpus='9'")
    with pytest.raises(XlConfigError, match="line 3: cpus: '9' leaves no CPU of this host"):
        config.placement(CELLS, EVERYTHING)
    assert place(config, "2").text == "name='a'\nvcpus=1\ncpus=[\"2\"]"
    assert place(config, None).text == "name='a'\nvcpus=1"


# --- rewritten


def test_what_says_the_same_is_left_alone():
    for cpus in ("['2-3','2-3']", "['node:1', 'nodes:1']", "[ # x\n'2,3', '0-3,^nodes:0,99',\n]", "['node:1']*"):
        config = parse(f"name='a'\nvcpus={1 if cpus.endswith('*') else 2}\ncpus={cpus.rstrip('*')}\n")
        assert place(config, "2-3") is config


def test_a_single_string_becomes_a_list():
    # libxl would hold the vCPUs to it, and take the memory from elsewhere.
    config = parse("name='a'\nvcpus=2\ncpus='node:1' # x\n")
    assert place(config, "2-3").text == 'name=\'a\'\nvcpus=2\ncpus=["2-3", "2-3"] # x\n'
    # Not where something else keeps libxl from choosing cells.
    for text in (
        "cpus_soft='2'",
        "vnuma=[['pnode=1','size=16','vcpus=0-1']]",
    ):
        config = parse(f"name='a'\nvcpus=2\ncpus='node:1' # x\n{text}")
        assert place(config, "2-3") is config
        assert place(config, "2").text == f'name=\'a\'\nvcpus=2\ncpus=["2", "2"] # x\n{text}'


def test_words_for_every_cpu():
    config = parse("name='a'\nvcpus=2\n")
    assert place(config, None, {1: CpuSet([2])}).text == config.text + 'cpus = ["all", "2"]\n'
    assert place(config, "0-7").text == config.text + 'cpus = ["0-7", "0-7"]\n'
    for free in ("cpus='all'", "cpus=[]", "cpus=['all']"):
        config = parse(f"name='a'\nvcpus=2\n{free}\n")
        assert place(config, None) is config
        # Every CPU by number is another wish than none at all.
        assert place(config, "0-7").text == 'name=\'a\'\nvcpus=2\ncpus=["0-7", "0-7"]\n'


def test_pins_of_vcpus_that_there_are_not_are_left_out():
    config = parse("name='a'\nvcpus=1\n")
    assert place(config, "2", {0: CpuSet([3]), 5: CpuSet([4])}).text.endswith('cpus = ["3"]\n')


def test_maxvcpus_decides():
    assert place(parse("name='a'\nvcpus=1\nmaxvcpus=3"), "2").text.endswith('\ncpus = ["2", "2", "2"]')


def test_a_vcpu_needs_a_cpu():
    with pytest.raises(ValueError, match="a vCPU needs a CPU"):
        place(parse("name='a'\nvcpus=1\n"), None, {0: CpuSet()})


def test_record():
    config = parse("name='a'\nvcpus=1\n")
    assert config.record_text is None and config.with_record(None) is config
    kept = config.with_record('{"a": 1}')
    assert kept.text == config.text + '# numa.virt: {"a": 1}\n' and kept.record_text == '{"a": 1}'
    assert kept.with_record('{"a": 1}') is kept
    assert kept.with_record('{"b": 1}').record_text == '{"b": 1}'
    assert kept.with_record(None).text == config.text
    twice = parse('# numa.virt: {"a": 1}\n' + kept.text)
    assert twice.with_record('{"a": 1}').text == kept.text
    for wrong in ("", "x", "{}\n"):
        with pytest.raises(ValueError, match="a record is a JSON object in one line"):
            config.with_record(wrong)


def test_owned_and_rest():
    config = parse(
        "name='a'\nvcpus=1\ncpus='2' # x\nvncpasswd='hunter2'\n# numa.virt: {}\n"
        "cpus+=',3'; cpus=[ # token=hunter3\n '4']\n"
    )
    assert config.owned_text == "# numa.virt: {}\ncpus='2'\ncpus+=',3'\ncpus=[ #********\n '4']\n"
    assert config.rest_text() == "name='a'\nvcpus=1\n# x\nvncpasswd='********'\n"
    assert parse("name='a'").owned_text == ""


def test_masks():
    config = parse("name='a'\nvncpasswd='x'\n#vncpasswd='y'\nvfb=['vncpasswd=x,vnc=1','vncpasswd=']\n# the password\n")
    assert config.masked_text() == (
        "name='a'\nvncpasswd='********'\n#********\nvfb=['vncpasswd=********,vnc=1','vncpasswd=']\n#********\n"
    )
    assert config.secrets() == ["x", "y"]


# --- properties

BLANK = st.sampled_from(["", " ", "\t", "  "])
END = st.sampled_from(["\n", "\n\n", " # x\n", ";", " ; ", ";\n", "\n# y\n", '\n# numa.virt: {"old": 1}\n'])
STRING = st.sampled_from(["'x'", '"y # z"', "'é\udcff'", "'# numa.virt: {}'"])
CPUS = st.sampled_from(["'2-3'", "'all'", "2", "['2', # a\n'node:1']", "[]", "'9'", "[\n# numa.virt: {}\n'0']"])
STATEMENT = st.one_of(
    st.tuples(st.sampled_from(["a = ", "extra=", "b+="]), STRING),
    st.tuples(st.sampled_from(["c=", "c+="]), st.sampled_from(["[]", "[1,\n 2]", "[ # x\n'y',]"])),
    st.tuples(st.sampled_from(["cpus=", "cpus = ", "cpus_soft="]), CPUS),
    st.tuples(st.just("cpus+="), st.sampled_from(["',4'", "''"])),
).map("".join)


@st.composite
def configs(draw):
    """Files that are nearly always taken: name and vcpus anywhere among other statements."""
    statements = draw(st.permutations([*draw(st.lists(STATEMENT, max_size=6)), "name='n'", "vcpus=3"]))
    text = draw(st.sampled_from(["", "# head\n", "\n"]))
    for each in statements:
        text += draw(BLANK) + each + draw(BLANK) + draw(END)
    if draw(st.booleans()):
        text = text.rstrip("\n; \t")
    try:
        return parse(text)
    except XlConfigError:
        return parse("name='n'; vcpus=3")


WANTED = st.lists(st.one_of(st.none(), st.sets(st.integers(0, 7), min_size=1).map(CpuSet)), min_size=3, max_size=3).map(
    tuple
)


def wish(config, wanted):
    return place(config, None, {vcpu: cpus for vcpu, cpus in enumerate(wanted) if cpus is not None})


def statements_without_cpus(config):
    return [
        (each.name, config.text[each.start : each.end]) for each in config._document.statements if each.name != "cpus"
    ]


def comments_without_records(config):
    texts = [config.text[each.start : each.end] for each in config._document.comments]
    return [each for each in texts if not each.startswith("# numa.virt: ")]


@given(configs(), WANTED)
def test_what_is_written_is_read(config, wanted):
    written = wish(config, wanted)
    assert sets(written) == wanted
    assert wish(written, wanted) is written
    assert written.record_text == config.record_text
    assert not written.places_itself or wanted == (None,) * 3


@given(configs(), WANTED, st.sampled_from([None, '{"new": 1}']))
def test_nothing_else_changes(config, wanted, record):
    written = wish(config, wanted).with_record(record)
    assert written.record_text == record
    assert statements_without_cpus(written) == statements_without_cpus(config)
    # Those inside a list that is replaced go with it.
    kept = comments_without_records(written)
    assert [each for each in comments_without_records(config) if each != "# a"] == [
        each for each in kept if each != "# a"
    ]


@given(configs(), WANTED, st.permutations(["cpus", "record"]), st.permutations(["cpus", "record"]))
def test_what_is_put_in_is_taken_out_without_a_trace(config, wanted, first, second):
    bare = place(config, None).with_record(None)
    if bare.has_affinity:
        bare = parse("name='n'; vcpus=3")
    changed = bare
    for each in first:
        changed = wish(changed, wanted) if each == "cpus" else changed.with_record('{"new": 1}')
    for each in second:
        changed = place(changed, None) if each == "cpus" else changed.with_record(None)
    assert changed.text == bare.text


@given(st.text(max_size=60))
def test_garbage_is_refused(text):
    said = ""
    try:
        parse(text)
    except XlConfigError as error:
        said = str(error)
    assert "\n" not in said and len(said) < 300


@given(configs())
def test_masking_shows_the_rest(config):
    assert config.masked_text() == config.text and config.secrets() == []
