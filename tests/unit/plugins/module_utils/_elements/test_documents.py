# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owned elements change, and nothing else: golden pairs, what libvirt makes of them, and generated documents."""

from __future__ import annotations

import copy
import re

import pytest

pytest.importorskip("lxml")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._elements.guest_cells import remove_guest_cells
from ansible_collections.numa.virt.plugins.module_utils._elements.record import (
    NAMESPACE,
    owned_fragment,
    read_record,
    record_element,
    remove_record,
    strip_owned,
    write_record,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.registry import read_placement, write_placement
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree, parse, serialize
from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError, XmlError
from ansible_collections.numa.virt.plugins.module_utils._libvirt.domain_xml import load, same_rest
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Record
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    MEMORY_MODES,
    Intent,
    MemoryBinding,
    MemoryIntent,
    Placement,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.golden_domains import (
    CASES,
    FOLDER,
    NUMAD,
    REGENERATE,
    SECRET,
    cpus,
    on,
    pins,
    read,
)

# --- golden pairs


def _written(case):
    root = load(read(case, "in"))
    write_placement(root, CASES[case].placement)
    if CASES[case].record is None:
        remove_record(root)
    else:
        write_record(root, CASES[case].record)
    return root


def test_the_table_and_the_files_are_about_the_same_cases():
    assert {path.name[: -len("-in.xml")] for path in FOLDER.glob("*-in.xml")} == set(CASES)
    assert REGENERATE or {path.name[: -len("-out.xml")] for path in FOLDER.glob("*-out.xml")} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    root = _written(case)
    text = serialize(root) + "\n"
    if REGENERATE:
        (FOLDER / f"{case}-out.xml").write_bytes(text.encode("utf-8"))
    assert text == read(case, "out")
    assert read_placement(root) == CASES[case].placement
    assert read_record(root) == CASES[case].record
    # By another route than the code that wrote it: what is read from the text again is the same.
    again = load(text)
    assert (read_placement(again), read_record(again)) == (CASES[case].placement, CASES[case].record)


@pytest.mark.parametrize("case", CASES)
def test_golden_changes_owned_elements_only(case):
    before, after = load(read(case, "in")), load(read(case, "out"))
    assert same_rest(before, after)
    if CASES[case].same:
        assert serialize(before) == serialize(after)


@pytest.mark.parametrize("case", CASES)
def test_golden_twice_is_once(case):
    root = load(read(case, "out"))
    text = serialize(root)
    write_placement(root, CASES[case].placement)
    if CASES[case].record is not None:
        write_record(root, CASES[case].record)
    assert serialize(root) == text


@pytest.fixture(scope="module")
def connection():
    libvirt = pytest.importorskip("libvirt")
    libvirt.registerErrorHandler(lambda *_error: None, None)
    connection = libvirt.open("test:///default")
    yield connection
    connection.close()


def _defined(connection, root):
    """Define a copy of a document on the test driver; what libvirt then says it is.

    Nothing but the type has to change for it: it parses like every other driver, and runs nothing.
    """
    root = copy.deepcopy(root)
    root.set("type", "test")
    domain = connection.defineXML(serialize(root))
    try:
        return load(domain.XMLDesc(2 | 1))  # INACTIVE, SECURE
    finally:
        domain.undefine()


@pytest.mark.parametrize("case", CASES)
def test_golden_is_what_libvirt_understands(case, connection):
    stored = _defined(connection, load(read(case, "out")))
    assert read_placement(stored) == CASES[case].placement
    assert read_record(stored) == CASES[case].record


@pytest.mark.parametrize(
    "path",
    [
        "vcpu[@cpuset]",
        "vcpu[@placement='static']",
        "vcpu[@placement='auto']",
        "cputune/vcpupin",
        "cputune/emulatorpin",
        "cputune/iothreadpin",
        "numatune/memory[@nodeset]",
        "numatune/memory[@placement='auto']",
        *(f"numatune/memory[@mode='{mode}']" for mode in MEMORY_MODES),
        "numatune/memnode",
        f"metadata/{{{NAMESPACE}}}intent",
        *(f"metadata/{{{NAMESPACE}}}intent[@{name}]" for name in ("cells", "cpuset", "emulator")),
        *(f"metadata/{{{NAMESPACE}}}intent/{{{NAMESPACE}}}{tag}" for tag in ("memory", "vcpus", "iothreads", "source")),
    ],
)
def test_tripwire_each_owned_thing_is_written_in_some_case(path):
    """Add a golden case with each new element or attribute that is owned."""
    assert any(load(read(case, "out")).find(path) is not None and not CASES[case].same for case in CASES)


# --- libvirt's rules

AUTOMATIC = "<numatune><memory mode='strict' placement='auto'/></numatune>"
MEANINGS = {
    "": Placement(),
    "<vcpu>2</vcpu>": Placement(),
    "<vcpu cpuset='1-4,^3'>2</vcpu>": Placement(cpus("1-2,4")),
    "<vcpu placement='auto'>2</vcpu>": Placement(automatic=True, memory=NUMAD),
    "<vcpu placement='auto' cpuset='1'>2</vcpu>": Placement(automatic=True, memory=NUMAD),
    "<vcpu placement='auto'>2</vcpu><numatune/>": Placement(automatic=True, memory=NUMAD),
    "<vcpu placement='auto'>2</vcpu><numatune><memory mode='preferred'/></numatune>": Placement(
        automatic=True, memory=MemoryBinding("preferred", CpuSet(), automatic=True)
    ),
    "<vcpu placement='auto'>2</vcpu><numatune><memory mode='preferred' nodeset='0'/></numatune>": Placement(
        automatic=True, memory=on("preferred", "0")
    ),
    "<vcpu placement='auto'>2</vcpu><cputune><vcpupin vcpu='0' cpuset='1'/></cputune>": Placement(
        automatic=True, memory=NUMAD, vcpu_pins=pins(_0="1")
    ),
    f"<vcpu>2</vcpu>{AUTOMATIC}": Placement(automatic=True, memory=NUMAD),
    f"<vcpu placement='static'>2</vcpu>{AUTOMATIC}": Placement(automatic=True, memory=NUMAD),
    AUTOMATIC: Placement(automatic=True, memory=NUMAD),
    f"<vcpu cpuset='1'>2</vcpu>{AUTOMATIC}": Placement(cpus("1"), memory=NUMAD),
    f"<vcpu>2</vcpu><cputune><vcpupin vcpu='0' cpuset='1'/></cputune>{AUTOMATIC}": Placement(
        vcpu_pins=pins(_0="1"), memory=NUMAD
    ),
    f"<vcpu>2</vcpu><cputune><emulatorpin cpuset='1'/></cputune>{AUTOMATIC}": Placement(
        emulator=cpus("1"), memory=NUMAD
    ),
    f"<vcpu>2</vcpu><iothreads>1</iothreads><cputune><iothreadpin iothread='1' cpuset='1'/></cputune>{AUTOMATIC}": (
        Placement(iothread_pins=pins(_1="1"), memory=NUMAD)
    ),
    "<vcpu>2</vcpu><numatune><memory mode='strict' placement='auto' nodeset='1'/></numatune>": Placement(
        automatic=True, memory=NUMAD
    ),
    "<vcpu>2</vcpu><numatune><memory nodeset='0,1'/></numatune>": Placement(memory=on("strict", "0-1")),
    "<vcpu>2</vcpu><cputune><vcpupin vcpu='1' cpuset='3'/><vcpupin vcpu='0' cpuset='2,1'/></cputune>": Placement(
        vcpu_pins=pins(_0="1-2", _1="3")
    ),
}


def _document(inside):
    return load(
        f"<domain type='test'><name>rules</name><memory>65536</memory>{inside}<os><type>hvm</type></os></domain>"
    )


@pytest.mark.parametrize("inside", MEANINGS)
def test_a_document_means_what_it_means_to_libvirt(inside, connection):
    assert read_placement(_document(inside)) == MEANINGS[inside]
    assert read_placement(_defined(connection, _document(inside))) == MEANINGS[inside]


@pytest.mark.parametrize("inside", MEANINGS)
@pytest.mark.parametrize("wanted", [Placement(), Placement(cpus("1")), Placement(automatic=True, memory=NUMAD)])
def test_from_every_meaning_to_another(inside, wanted):
    root = _document(inside)
    write_placement(root, wanted)
    assert read_placement(root) == wanted


def test_a_set_that_was_cut_off_counts_as_absent():
    """libvirt's test driver writes cpuset='' for a pin beyond its map of 8 CPUs."""
    root = _document("<vcpu cpuset=''>2</vcpu><cputune><vcpupin vcpu='0' cpuset=' '/><emulatorpin/></cputune>")
    assert read_placement(root) == Placement()
    strip_owned(root)
    assert serialize(root) == serialize(_document("<vcpu>2</vcpu>"))


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<cputune><vcpupin vcpu='x' cpuset='1'/></cputune>", "line 1: <vcpupin> has vcpu='x'; vcpu is a whole number"),
        ("<cputune>\n<vcpupin cpuset='1'/></cputune>", "line 2: <vcpupin> has no vcpu"),
        ("<cputune><vcpupin vcpu='-1' cpuset='1'/></cputune>", "vcpu='-1'"),
        ("<cputune><vcpupin vcpu='٣' cpuset='1'/></cputune>", "vcpu='٣'"),
        (f"<cputune><vcpupin vcpu='{'9' * 500}' cpuset='1'/></cputune>", f"vcpu='{'9' * 37}...'"),
        ("<cputune><iothreadpin iothread='' cpuset='1'/></cputune>", "line 1: <iothreadpin> has iothread=''"),
        ("<numatune>\n\n<memnode mode='strict' nodeset='0'/></numatune>", "line 3: <memnode> has no cellid"),
        ("<numatune><memnode cellid='one' nodeset='0'/></numatune>", "line 1: <memnode> has cellid='one'"),
    ],
)
def test_numbers_that_are_none(inside, said):
    with pytest.raises(XmlError) as error:
        read_placement(_document(inside))
    assert said in str(error.value)
    assert error.value.fields["line"] == 1 + inside[: inside.index("pin") if "pin" in inside else -1].count("\n")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("inside", "option"),
    [
        ("<vcpu cpuset='1-'>2</vcpu>", "vcpu/@cpuset"),
        ("<cputune><vcpupin vcpu='0' cpuset='b'/></cputune>", "vcpupin"),
        ("<cputune><emulatorpin cpuset='3-1'/></cputune>", "emulatorpin"),
        ("<cputune><iothreadpin iothread='1' cpuset=','/></cputune>", "iothreadpin"),
        ("<numatune><memory nodeset='x'/></numatune>", "nodeset"),
        ("<numatune><memnode cellid='0' nodeset='x'/></numatune>", "nodeset"),
    ],
)
def test_sets_that_are_none_name_their_place(inside, option):
    with pytest.raises(CpuSetSyntaxError) as error:
        read_placement(_document(inside))
    assert error.value.fields["option"] == option


# --- white space


def test_a_missing_vcpu_is_made_and_means_what_libvirt_would_add():
    root = parse("<domain><name>x</name></domain>")
    write_placement(root, Placement(cpus("1")))
    assert root.findtext("vcpu") == "1"
    write_placement(root, Placement())
    assert serialize(root.find("vcpu")) == "<vcpu>1</vcpu>"
    strip_owned(root)
    assert serialize(root).replace("\n", "").replace(" ", "") == "<domain><name>x</name></domain>"


def test_an_anchor_is_not_needed():
    root = parse("<domain>\n\t<os/>\n</domain>")
    before = serialize(root)
    write_placement(root, Placement(emulator=cpus("1")))
    assert [each.tag for each in root] == ["cputune", "os"]
    assert serialize(root).startswith("<domain>\n\t<cputune>")
    write_placement(root, Placement())
    assert serialize(root) == before
    empty = parse("<domain/>")
    write_placement(empty, Placement(emulator=cpus("1")))
    write_placement(empty, Placement())
    assert len(empty) == 0


def test_text_between_elements_is_kept():
    """libvirt ignores it and a person wrote it."""
    text = (
        "<domain>a<name>x</name>b<metadata>c</metadata>d<vcpu>2</vcpu>e"
        "<cputune>f<shares>1</shares>g</cputune>h<numatune>i</numatune>j</domain>"
    )
    root = parse(text)
    placement = Placement(cpus("1"), pins(_0="1"), cpus("2"), (), on("strict", "0"))
    write_placement(root, placement)
    write_record(root, Record(Intent(cells=cpus("0"))))
    for each in "abcdefghj":
        assert each in "".join(root.itertext())
    remove_record(root)
    assert "c" in root.findtext("metadata")
    assert read_placement(root) == placement
    strip_owned(root)
    assert "".join("".join(root.itertext()).split()) == "axbcd2efg1hj".replace("fg1", "f1g")


def test_a_metadata_of_somebody_with_an_attribute_stays():
    root = parse("<domain><name>x</name><metadata by='hand'/></domain>")
    write_record(root, Record(Intent()))
    remove_record(root)
    assert root.find("metadata").get("by") == "hand"


def test_owned_elements_are_found_among_several():
    root = parse(
        "<domain><vcpu cpuset='1'>1</vcpu><vcpu cpuset='2'>2</vcpu><cputune><vcpupin/></cputune>"
        "<cputune><emulatorpin/><!-- x --></cputune><numatune/><numatune/></domain>"
    )
    strip_owned(root)
    assert serialize(root) == "<domain><vcpu>2</vcpu><cputune><!-- x --></cputune></domain>"


def test_memory_alone_and_guest_cells_alone():
    root = _document("<vcpu>2</vcpu>")
    placement = Placement(memnodes=((1, on("strict", "1")), (2, NUMAD)))
    write_placement(root, placement)
    assert read_placement(root) == placement
    assert [(each.tag, dict(each.attrib)) for each in root.find("numatune")] == [
        ("memnode", {"cellid": "1", "mode": "strict", "nodeset": "1"}),
        ("memnode", {"mode": "strict", "placement": "auto", "cellid": "2"}),
    ]
    write_placement(root, Placement(memory=on("strict", "1")))
    assert [each.tag for each in root.find("numatune")] == ["memory"]
    write_placement(root, Placement())
    assert root.find("numatune") is None


# --- the record


@pytest.mark.parametrize(
    "inside",
    [
        "cells='x'",
        "emulator='1-'",
        "><numa:memory mode='nonsense'/",
        "><numa:vcpus><numa:pin cpuset='1'/></numa:vcpus",
        "><numa:iothreads><numa:pin id='x' cpuset='1'/></numa:iothreads",
    ],
)
def test_a_record_that_we_cannot_have_written_counts_as_absent_and_is_replaced(inside):
    end = "></numa:intent>" if inside.startswith(">") else "/>"
    root = _document(f"<metadata><numa:intent xmlns:numa='{NAMESPACE}' {inside}{end}</metadata>")
    assert root.find(f"metadata/{{{NAMESPACE}}}intent") is not None
    assert read_record(root) is None
    write_record(root, Record(Intent(cells=cpus("1"))))
    assert read_record(root) == Record(Intent(cells=cpus("1")))
    assert len(root.find("metadata")) == 1


def test_every_trace_of_the_namespace_is_removed():
    space = f"xmlns:n='{NAMESPACE}'"
    root = _document(f"<metadata><n:intent {space}/><a:b xmlns:a='x:y'/><n:intent {space}/><n:old {space}/></metadata>")
    remove_record(root)
    assert NAMESPACE not in serialize(root)
    assert [each.tag for each in root.find("metadata")] == ["{x:y}b"]
    remove_record(root)
    assert len(root.find("metadata")) == 1


def test_the_form_for_set_metadata_has_no_namespace():
    element = record_element(Record(Intent(cells=cpus("1"), memory=MemoryIntent())), namespaced=False)
    assert serialize(element) == '<intent cells="1"><memory mode="strict"/></intent>'


def test_half_a_source_is_not_written():
    root = _document("")
    write_record(root, Record(Intent(), source="a" * 64))
    assert read_record(root) == Record(Intent())


# --- what a diff shows


def test_the_fragment_shows_owned_elements_and_nothing_else():
    root = parse(read("everything", "out"))
    text = owned_fragment(root)
    assert text == (
        '<vcpu placement="static" cpuset="0-7" current="6">8</vcpu>\n'
        "<cputune>\n"
        '  <vcpupin vcpu="0" cpuset="0"/>\n'
        '  <vcpupin vcpu="1" cpuset="1"/>\n'
        '  <vcpupin vcpu="2" cpuset="2"/>\n'
        '  <vcpupin vcpu="3" cpuset="3"/>\n'
        '  <vcpupin vcpu="7" cpuset="7"/>\n'
        '  <emulatorpin cpuset="4-5"/>\n'
        '  <iothreadpin iothread="2" cpuset="6"/>\n'
        '  <iothreadpin iothread="5" cpuset="6-7"/>\n'
        '  <vcpusched vcpus="0-3" scheduler="fifo" priority="1"/>\n'
        '  <iothreadsched iothreads="2" scheduler="batch"/>\n'
        "</cputune>\n"
        "<numatune>\n"
        '  <memory mode="strict" nodeset="0"/>\n'
        '  <memnode cellid="0" mode="strict" nodeset="0"/>\n'
        '  <memnode cellid="1" mode="strict" nodeset="0"/>\n'
        "</numatune>\n"
        f'<numa:intent xmlns:numa="{NAMESPACE}" cells="0-1" cpuset="0-3,8" emulator="3">\n'
        '  <numa:memory mode="strict"/>\n'
        "  <numa:vcpus>\n"
        '    <numa:pin id="0" cpuset="0"/>\n'
        '    <numa:pin id="1" cpuset="1-2"/>\n'
        "  </numa:vcpus>\n"
        "  <numa:iothreads/>\n"
        "</numa:intent>\n"
    )


def test_the_fragment_of_nothing_is_empty():
    assert owned_fragment(parse("<domain><cputune><shares>1</shares></cputune></domain>")) == ""


def test_the_fragment_shows_nothing_that_others_put_inside():
    root = parse(
        f"<domain><vcpu cpuset='1' by='{SECRET}a'><!-- {SECRET}b -->2</vcpu>"
        f"<cputune><vcpupin vcpu='0' cpuset='1' by='{SECRET}c'>{SECRET}d</vcpupin>{SECRET}e</cputune>"
        f"<numatune><!-- {SECRET}f --><memory nodeset='0'/>{SECRET}g<x>{SECRET}h</x></numatune></domain>"
    )
    text = owned_fragment(root)
    assert SECRET not in text
    assert text == (
        '<vcpu cpuset="1">2</vcpu>\n<cputune>\n  <vcpupin vcpu="0" cpuset="1"/>\n</cputune>\n'
        '<numatune>\n  <memory nodeset="0"/>\n</numatune>\n'
    )


# --- generated documents and placements

NUMBERS = st.integers(0, 40)
SETS = st.sets(NUMBERS, min_size=1, max_size=6).map(CpuSet)
MAYBE_SET = st.none() | SETS
PINS = st.dictionaries(st.integers(0, 12), SETS, max_size=4).map(lambda found: tuple(sorted(found.items())))
BINDINGS = st.builds(MemoryBinding, st.sampled_from(MEMORY_MODES), SETS)


def _consistent(placement):
    """libvirt has no automatic CPUs with a CPU set, nor automatic CPUs without a binding (see MEANINGS)."""
    if placement.automatic:
        return Placement(
            None, placement.vcpu_pins, placement.emulator, placement.iothread_pins, placement.memory or NUMAD, (), True
        )
    return placement


PLACEMENTS = st.builds(
    Placement,
    cpuset=MAYBE_SET,
    vcpu_pins=PINS,
    emulator=MAYBE_SET,
    iothread_pins=PINS,
    memory=st.none() | BINDINGS,
    memnodes=st.dictionaries(st.integers(0, 3), BINDINGS, max_size=3).map(lambda found: tuple(sorted(found.items()))),
    automatic=st.booleans(),
).map(_consistent)
DIGESTS = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda one: (one, one[::-1]))
INTENTS = st.builds(
    Intent,
    cells=MAYBE_SET,
    cpuset=MAYBE_SET,
    memory=st.none() | st.builds(MemoryIntent, st.sampled_from((*MEMORY_MODES, "none")), MAYBE_SET),
    vcpu_pins=st.none() | PINS,
    emulator=MAYBE_SET,
    iothread_pins=st.none() | PINS,
)
RECORDS = st.builds(
    lambda intent, digests, made: Record(intent, *(digests or (None, None)), made), INTENTS, DIGESTS, st.booleans()
)

NAMES = st.text("abcdefghij", min_size=1, max_size=6)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=8)
SPACES = st.sampled_from(["", "\n", "\n  ", "\n\t", "   ", "\n\n    "])


@st.composite
def _fragments(draw, depth=0):
    """Text of an element, comment or instruction of somebody else."""
    kind = draw(st.sampled_from(["element", "element", "comment", "cdata", "instruction", "foreign"]))
    text = draw(TEXTS)
    if kind == "comment":
        return f"<!--{text.replace('-', '')}-->"
    if kind == "instruction":
        return f"<?keep {text.replace('?', '').replace('>', '')}?>"
    name, space = "x" + draw(NAMES), ""
    if kind == "foreign":
        name, space = f"f:{name}", f" xmlns:f='urn:other:{draw(NAMES)}'"
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "").replace("'", "&apos;")
    if kind == "cdata":
        return f"<{name}><![CDATA[{text.replace(']', '')}]]></{name}>"
    inner = "".join(draw(st.lists(_fragments(depth=depth + 1), max_size=2))) if depth < 2 else ""
    return f"<{name}{space} a='{escaped}'>{escaped}{inner}</{name}>"


@st.composite
def documents(draw, owned=True, vcpu=True):
    """Text of a domain. ``owned`` False: without any owned element; ``vcpu``: always with <vcpu>."""
    some = st.lists(_fragments(), max_size=2)
    parts = ["<name>generated</name>"]
    for tag in ("title", "metadata", "memory"):
        if draw(st.booleans()):
            inside = draw(some)
            parts.append(f"<{tag}>{draw(SPACES)}{''.join(inside)}{draw(SPACES)}</{tag}>" if inside else f"<x{tag}/>")
    if vcpu or draw(st.booleans()):
        attribute = draw(st.sampled_from(["", " current='1'"]))
        attribute += draw(st.sampled_from(["", " placement='static'", " cpuset='0-3'"])) if owned else ""
        parts.append(f"<vcpu{attribute}>{draw(st.integers(1, 16))}</vcpu>")
    if draw(st.booleans()):
        parts.append("<iothreads>2</iothreads>")
    if draw(st.booleans()):
        inside = ["<shares>3</shares>", *draw(some)]
        if owned:
            inside += draw(
                st.lists(
                    st.sampled_from(
                        [
                            "<vcpupin vcpu='0' cpuset='1'/>",
                            "<vcpupin vcpu='7' cpuset='1-3,^2'/>",
                            "<emulatorpin cpuset='4'/>",
                            "<iothreadpin iothread='1' cpuset='0,1'/>",
                        ]
                    ),
                    unique=True,
                )
            )
            inside = draw(st.permutations(inside))
        gap = draw(SPACES)
        parts.append(f"<cputune>{gap}{gap.join(inside)}{draw(SPACES)}</cputune>")
    if owned and draw(st.booleans()):
        parts.append("<numatune><memory mode='strict' nodeset='0'/><memnode cellid='1' nodeset='1'/></numatune>")
    parts += draw(some)
    if draw(st.booleans()):
        parts = draw(st.permutations(parts))
    gap = draw(SPACES)
    space = draw(st.sampled_from(["", " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"]))
    return f"<domain type='kvm'{space}>{gap}{gap.join(parts)}{draw(SPACES)}</domain>"


def _c14n(root):
    root = copy.deepcopy(root)
    strip_owned(root)
    return etree.tostring(root, method="c14n", with_comments=True)


def _without_space(root):
    return re.sub(rb"\s+", b"", _c14n(root))


many = settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(documents(vcpu=False), PLACEMENTS, RECORDS)
def test_property_only_owned_elements_change(text, placement, record):
    root, original = parse(text), parse(text)
    write_placement(root, placement)
    write_record(root, record)
    assert _without_space(root) == _without_space(original)
    assert same_rest(root, original)


@many
@given(documents(vcpu=False), PLACEMENTS, RECORDS)
def test_property_what_is_read_is_what_was_written(text, placement, record):
    root = parse(text)
    write_placement(root, placement)
    write_record(root, record)
    assert (read_placement(root), read_record(root)) == (placement, record)
    written = serialize(root)
    again = parse(written)
    assert (read_placement(again), read_record(again)) == (placement, record)
    for each in (root, again):
        write_placement(each, placement)
        write_record(each, record)
        assert serialize(each) == written


@many
@given(documents(), PLACEMENTS)
def test_property_from_any_placement_to_any_other(text, placement):
    """However a document came to its placement, nothing of the old one is left, and nothing else has moved."""
    root, original = parse(text), parse(text)
    first = read_placement(original)
    write_placement(root, placement)
    write_placement(root, first)
    assert read_placement(root) == first
    assert _without_space(root) == _without_space(original)


@many
@given(documents(owned=False), PLACEMENTS, RECORDS)
def test_property_writing_and_taking_back_restores_every_byte(text, placement, record):
    """White space included, where no owned element and a <vcpu> was there before."""
    root = parse(text)
    original = serialize(root)
    write_placement(root, placement)
    write_record(root, record)
    remove_record(root)
    write_placement(root, Placement())
    assert serialize(root) == original


@many
@given(documents(), RECORDS)
def test_property_a_record_leaves_no_trace(text, record):
    root = parse(text)
    original = serialize(root)
    write_record(root, record)
    assert NAMESPACE in serialize(root)
    remove_record(root)
    assert serialize(root) == original


def test_cells_of_the_guest_that_are_taken_out():
    numa = "<numa><cell id='0' cpus='0' memory='1'/></numa>"
    for before, after in (
        ("", ""),
        ("<cpu/>", "<cpu/>"),
        (f"<cpu>{numa}</cpu>", ""),
        (f"<cpu mode='host-model'>{numa}</cpu>", "<cpu mode='host-model'/>"),
    ):
        root = parse(f"<domain><name>a</name>{before}</domain>", "xml")
        remove_guest_cells(root)
        expected = etree.fromstring(f"<domain><name>a</name>{after}</domain>")
        assert etree.tostring(root, method="c14n") == etree.tostring(expected, method="c14n")
