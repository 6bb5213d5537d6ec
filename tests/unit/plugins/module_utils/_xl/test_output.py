# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl prints, read. Files in fixtures/xl are recordings from Xen 4.17.7 on a host with four cells of two CPUs.

The offline CPU is as recorded, too; the last row of list-v.txt and the last two of vcpu-list.txt are from other runs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Cell, Core, Device
from ansible_collections.numa.virt.plugins.module_utils._xl.output import (
    Row,
    Vcpu,
    VcpuList,
    XlOutputError,
    parse_assignable,
    parse_domain_pools,
    parse_info,
    parse_list,
    parse_numa_dump,
    parse_pools,
    parse_vcpu_list,
)

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "xl"
MIB = 1024


def recorded(name):
    return (FIXTURES / f"{name}.txt").read_text(encoding="utf-8")


# --- xl info -n


def test_info():
    info = parse_info(recorded("info-4-cells"))
    host = info.host
    assert info.version == "4.17.7"
    assert (host.driver, host.present, host.online) == ("xl", CpuSet(range(8)), CpuSet(range(8)))
    assert not host.implied_cell and host.distances_reported
    assert host.cells[1] == Cell(
        id=1,
        cpus=CpuSet([2, 3]),
        memory=1024 * MIB,
        free=924 * MIB,
        cores=(Core(1, 0, 0, CpuSet([2])), Core(1, 0, 1, CpuSet([3]))),
        distances=((0, 20), (1, 10), (2, 20), (3, 20)),
    )
    assert [(cell.id, str(cell.cpus)) for cell in host.cells] == [(0, "0-1"), (1, "2-3"), (2, "4-5"), (3, "6-7")]


def test_an_offline_cpu_has_no_row():
    host = parse_info(recorded("info-offline-cpu")).host
    assert (host.present, host.online) == (CpuSet(range(8)), CpuSet(range(7)))
    assert (host.cells[3].cpus, host.cells[3].cores) == (CpuSet([6]), (Core(3, 0, 0, CpuSet([6])),))


def info(cpus, nodes="", more="max_cpu_id             : 3\n"):
    """As output_topologyinfo() and output_numainfo() write it."""
    rows = "".join(f"{cpu:3d}:    {core:4d}     {socket:4d}     {node:4d}\n" for cpu, core, socket, node in cpus)
    return (
        f"host                   : a\n{more}total_memory           : 4095\ncpu_topology           :\n"
        f"cpu:    core    socket     node\n{rows}device topology        :\ndevice           node\n0000:00:00.0      0\n"
        f"numa_info              :\nnode:    memsize    memfree    distances\n{nodes}"
        "xen_version            : 4.18-rc\nxen_commandline        : a: b\n"
    )


TWO = "   0:     67584      60672      10,21\n   1:     65536      60958      21,10\n"


def test_siblings_are_the_cpus_of_one_core():
    host = parse_info(info([(0, 0, 0, 0), (1, 0, 1, 1), (2, 0, 0, 0), (3, 0, 1, 1)], TWO)).host
    assert host.cells[0].cores == (Core(0, 0, 0, CpuSet([0, 2])),)
    assert host.cells[1].cores == (Core(1, 0, 0, CpuSet([1, 3])),)
    assert host.cells[1].distances == ((0, 21), (1, 10)) and host.cells[0].memory == 67584 * MIB


def test_cells_without_cpus_and_without_memory():
    nodes = "   0:      1024         10      10,21,30\n   2:      2048         20      30,21,10\n"
    host = parse_info(info([(0, 0, 0, 0), (1, 1, 0, 1)], nodes)).host
    assert [(cell.id, cell.cpus, cell.memory, cell.free) for cell in host.cells] == [
        (0, CpuSet([0]), 1024 * MIB, 10 * MIB),
        (1, CpuSet([1]), 0, 0),
        (2, EMPTY, 2048 * MIB, 20 * MIB),
    ]
    # Nobody says how far cell 1 is.
    assert not host.distances_reported and host.cells[2].distances == ((0, 20), (1, 20), (2, 10))


def test_numbers_of_cells_may_have_gaps():
    nodes = "   0:      1024         10      10,255,30\n   2:      2048         20      30,255,10\n"
    host = parse_info(info([(0, 0, 0, 0), (1, 1, 0, 2)], nodes)).host
    assert host.distances_reported and host.cells[1].distances == ((0, 30), (2, 10))


@pytest.mark.parametrize("distances", ["10,-1", "10,255", "10", "10,0", "10,4294967295"])
def test_distances_that_are_none(distances):
    host = parse_info(info([(0, 0, 0, 0), (1, 1, 0, 1)], f"   0: 1024 10 {distances}\n   1: 1024 10 21,10\n")).host
    assert not host.distances_reported and host.cells[0].distances == ((0, 10), (1, 20))


def test_a_host_that_reports_no_cells():
    host = parse_info(info([(0, 0, 0, 0), (1, 1, 0, 7)])).host
    assert host.implied_cell and not host.distances_reported
    assert [(cell.id, cell.cpus, cell.memory, cell.free) for cell in host.cells] == [
        (0, CpuSet([0, 1]), 4095 * MIB, None)
    ]
    without = parse_info(info([(0, 0, 0, 0)]).replace("total_memory", "other"))
    assert without.host.cells[0].memory == 0


def test_without_the_largest_number():
    assert parse_info(info([(0, 0, 0, 0), (5, 0, 0, 0)], TWO, "")).host.present == CpuSet([0, 5])
    assert parse_info(info([(5, 0, 0, 0)], TWO)).host.present == CpuSet([0, 1, 2, 3, 5])


def test_a_cpu_of_no_cell_and_other_lines_are_passed_over():
    text = info([(0, 0, 0, 0), (1, 0, 0, -1)], TWO + "rubbish\n")
    assert parse_info(text).host.online == CpuSet([0])


def test_info_that_is_none():
    with pytest.raises(XlOutputError, match="cannot read the host that xl prints: there is no xen_version"):
        parse_info("")
    with pytest.raises(XlOutputError, match="cannot read the host that xl prints: there are no CPUs in cpu_topology"):
        parse_info("xen_version : 4.17\n")


# --- xl list, xl vcpu-list

LIST_HEAD = "Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID\n"
UUID = "7a1f40e6-f636-411d-ae08-dff9462dd363"


def test_list():
    rows = parse_list(recorded("list-v"))
    assert rows[0] == Row("Domain-0", 0, 1048576, 2, "running", "00000000-0000-0000-0000-000000000000")
    assert rows[1] == Row("h2p", 25, 65536, 1, "paused", UUID)
    assert [(row.id, row.name, row.state) for row in rows[2:]] == [
        (27, "h2r", "paused"),
        (28, "h2\nt", "paused"),
        (29, " h2u", "paused"),
        (1, "h2crash", "crashed"),
    ]


FLAGS = {
    "r-----": "running",
    "------": "running",  # ready, and waiting for a CPU
    "-b----": "blocked",
    "--p---": "paused",
    "-bp---": "paused",
    "---s--": "shutting down",
    "---sr-": "shutting down",
    "---sS-": "shutting down",
    "---s?-": "shutting down",
    "---ss-": "suspended",
    "---sc-": "crashed",
    "--psw-": "crashed",
    "-----d": "shutting down",
    "--psrd": "shutting down",
}


@pytest.mark.parametrize("flags", FLAGS)
def test_states(flags):
    text = f"{LIST_HEAD}{'a':40} {1:5} {32:5} {1:5}     {flags}  {0.0:8.1f} {UUID}        -                -\n"
    assert [row.state for row in parse_list(text)] == [FLAGS[flags]]


NAMES = [
    "a",
    "",
    " ",
    "a b",
    "1 2 3",
    "a" * 90,
    "a\nb",
    "\n",
    "5 1024 2 r----- 1.0",
    "a\r\x0b\x85b",
    "-",
    "(null)",
    "é",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name(name):
    row = f"{name:40} {21:5} {32:5} {2:5}     r-----  {12345.6:8.1f}"
    other = f"{'other':40} {22:5} {32:5} {2:5}     r-----  {0.1:8.1f}"
    text = LIST_HEAD + "".join(f"{each} {UUID}        -                -\n" for each in (row, other))
    assert [(each.name, each.id) for each in parse_list(text)] == [(name.rstrip(" "), 21), ("other", 22)]
    assert parse_domain_pools(f"{LIST_HEAD}{row}          Pool-0\n{other}the longest of pools\n") == {
        21: "Pool-0",
        22: "the longest of pools",
    }
    vcpus = f"{name:32} {21:5} {0:5}     3   r--     171.9  all / all\n"
    assert parse_vcpu_list(f"Name ID\n{vcpus}") == {21: VcpuList(name.rstrip(" "), {0: Vcpu(3, None, None)})}


def test_domain_pools():
    assert parse_domain_pools(recorded("list-c")) == {
        0: "Pool-0",
        25: "h2 pool",
        27: "h2-pool-with-a-long-name-1",  # without a blank before it
        28: "Pool-0",
        29: "Pool-0",
    }


def test_vcpu_list():
    found = parse_vcpu_list(recorded("vcpu-list"))
    assert found[0] == VcpuList("Domain-0", {0: Vcpu(1, None, None), 1: Vcpu(2, None, None)})
    assert found[2] == VcpuList(
        "h2 (x) 1 2 3",
        {0: Vcpu(6, CpuSet.parse("0-1,4-7"), CpuSet([4, 6])), 1: Vcpu(None, None, CpuSet([4, 6]))},
    )
    assert found[28] == VcpuList("h2\nt", {0: Vcpu(5, None, CpuSet([4, 5]))})
    assert set(found) == {0, 2, 25, 27, 28, 29}


def test_no_cpu_at_all():
    text = "Name ID\na 1 0 3 r-- 1.0 none / none\n"
    assert parse_vcpu_list(text) == {1: VcpuList("a", {0: Vcpu(3, EMPTY, EMPTY)})}


def test_tables_of_nothing():
    head = "Name                ID\n"
    assert (parse_list(head), parse_domain_pools(head), parse_vcpu_list(head), parse_pools(head)) == ([], {}, {}, {})


TABLES = {
    parse_list: "the domains",
    parse_domain_pools: "the domains",
    parse_vcpu_list: "the vCPUs",
    parse_pools: "the cpupools",
}


@pytest.mark.parametrize("parse", TABLES)
def test_tables_that_are_none(parse):
    for text in ("", "\n", "rubbish", "Nome ID\n"):
        with pytest.raises(XlOutputError) as error:
            parse(text)
        assert str(error.value) == f"cannot read {TABLES[parse]} that xl prints: the table has no head"
        assert error.value.code == "xl_output" and error.value.fields["what"] == TABLES[parse]


@pytest.mark.parametrize("parse", [parse_list, parse_domain_pools, parse_vcpu_list])
def test_a_row_of_another_form(parse):
    with pytest.raises(XlOutputError, match="the row behind number 0 has another form"):
        parse("Name ID\nrubbish\n")


def test_a_name_of_a_few_lines_only():
    row = f"{'a':40} {1:5} {32:5} {1:5}     r-----  {0.0:8.1f}  Pool-0\n"
    assert parse_domain_pools("Name ID\n" + "b\n" * 20 + row) == {1: "Pool-0"}
    with pytest.raises(XlOutputError, match="the row behind number 1 has another form"):
        parse_domain_pools("Name ID\n" + row + "b\n" * 21 + row)


def test_a_row_without_the_column_that_was_asked_for():
    plain = "Name ID\n" + f"{'a':40} {1:5} {32:5} {1:5}     r-----  {0.0:8.1f}\n"
    for parse in (parse_list, parse_domain_pools):
        with pytest.raises(XlOutputError, match="the row behind number 0 has another form"):
            parse(plain)


# --- xl cpupool-list -c


def test_pools():
    assert parse_pools(recorded("cpupool-list")) == {"Pool-0": CpuSet(range(6)), "h2 pool": CpuSet([6])}
    assert list(parse_pools(recorded("cpupool-list"))) == ["Pool-0", "h2 pool"]


def test_an_empty_pool():
    assert parse_pools(f"Name               CPU list\n{'a':19}\n{'b' * 18:19}3,5-6\n") == {
        "a": EMPTY,
        "b" * 18: CpuSet([3, 5, 6]),
    }


def test_a_pool_whose_name_runs_into_its_cpus():
    with pytest.raises(XlOutputError) as error:
        parse_pools(recorded("cpupool-list-long-name"))
    assert str(error.value) == (
        "cannot read the cpupools that xl prints: no blank parts the name 'h2-pool-with-a-long' from its CPUs; "
        "give it less than 19 characters"
    )
    with pytest.raises(XlOutputError, match="no blank parts the name"):
        parse_pools(f"Name               CPU list\n{'a' * 18} b0,1\n")


# --- xl dmesg


def test_numa_dump():
    assert parse_numa_dump(recorded("dmesg")) == {
        0: {0: 331844, 1: 31600, 2: 5816, 3: 679316},
        25: {0: 0, 1: 0, 2: 0, 3: 65536},
        27: {0: 0, 1: 0, 2: 0, 3: 65536},
        28: {0: 0, 1: 0, 2: 65536, 3: 0},
        29: {0: 0, 1: 65536, 2: 0, 3: 0},
    }


def dump(domains, prefix="(XEN) ", word="Domain "):
    """As dump_numa() writes it."""
    lines = [
        "'u' pressed -> dumping numa info (now = 210796523471)",
        "NODE0 start->0 size->262144 free->178162",
        "NODE1 start->262144 size->262144 free->253145",
        "CPU0...1 -> NODE0",
        "CPU2 -> NODE1",
        "Memory location of each domain:",
    ]
    for domain, pages in domains.items():
        lines.append(f"{word}{domain} (total: {sum(pages.values())}):")
        lines += [f"    Node {node}: {count}" for node, count in pages.items()]
    return "".join(f"{prefix}{line}\n" for line in lines)


ONE = {0: {0: 1, 1: 2}}
KIB = {0: {0: 4, 1: 8}}


def test_the_last_dump_counts():
    assert parse_numa_dump(dump({0: {0: 9, 1: 9}, 5: {0: 9, 1: 9}}) + "(XEN) other\n" + dump(ONE)) == KIB


@pytest.mark.parametrize(
    "prefix", ["(XEN) ", "(XEN) [2026-11-23 10:57:24] ", "(XEN) [   12.345678] ", "(XEN) [0000f1b3c8a5d6] "]
)
@pytest.mark.parametrize("word", ["Domain ", "d"])
def test_time_stamps_and_newer_names_of_domains(prefix, word):
    assert parse_numa_dump(dump(ONE, prefix, word)) == KIB


def test_guests_with_cells_of_their_own():
    text = (
        dump({0: {0: 1, 1: 2}, 3: {0: 5, 1: 6}})
        + "(XEN)      2 vnodes, 4 vcpus, guest physical layout:\n"
        + "(XEN)          0: pnode   0, vcpus 0-1 \n"
        + "(XEN)            0000000000000000 - 0000000010000000\n"
        + "(XEN)          1: pnode ???, vcpus 2-3\n"
        + "(XEN)            0000000010000000 - 0000000020000000\n"
        + "(XEN) Domain 4 (total: 1):\n(XEN)     Node 0: 1\n(XEN)     Node 1: 0\n"
    )
    assert parse_numa_dump(text) == {**KIB, 3: {0: 20, 1: 24}, 4: {0: 4, 1: 0}}


def test_what_others_write_in_between():
    text = dump(ONE).replace(
        "(XEN)     Node 1", "(d7) (XEN)     Node 1: 99\n(XEN) d1v0 did something\n(XEN)     Node 1"
    )
    assert parse_numa_dump(text) == KIB
    # A guest cannot write as Xen does.
    assert parse_numa_dump(dump(ONE) + "(d7) (XEN) Domain 0 (total: 1):\nDomain 0 (total: 1):\n") == KIB


def test_a_dump_that_is_not_whole():
    whole = dump({0: {0: 1, 1: 2}, 5: {0: 3, 1: 4}})
    lines = whole.splitlines(keepends=True)
    for text in (
        "",
        "rubbish",
        "".join(lines[1:]),  # its start has left the buffer
        "".join(lines[:6]),  # no domain yet
        "".join(lines[:8]),  # half a domain
        "".join(lines[:9]).replace("Node 1", "Node 7"),
        whole.replace("(XEN)     Node 1: 4\n", ""),
        whole.replace("(XEN) NODE", "(XEN) node"),
        whole.replace("Memory location", "memory location"),
        # What an older dump says may be true no more.
        whole + "".join(lines[:8]),
    ):
        assert parse_numa_dump(text) is None


# --- all of them

PIECES = ["Name ", "\n", " ", "a", "1", "r-----", "0.0", UUID, "-", "all / all", "--p", ",", "cpu_topology :", "cpu:"]
PIECES += ["node:", "xen_version : 4", "  0:  0  0  0", "   0:  1024  695  10", "max_cpu_id : 7", "NODE0 start->"]
PIECES += ["(XEN) ", "'u' pressed -> dumping numa info", "Memory location of each domain:", "Domain 0 (total: 1):"]
PIECES += ["    Node 0: 1"]
PIECE = st.sampled_from(PIECES)


@given(st.one_of(st.text(), st.lists(PIECE, max_size=30).map("".join), st.text().map("Name ".__add__)))
def test_garbage_is_refused_in_one_line(text):
    for parse in (parse_info, parse_list, parse_domain_pools, parse_vcpu_list, parse_pools, parse_numa_dump):
        said = refusal_of(parse, text)
        assert "\n" not in said and len(said) < 200


def refusal_of(parse, text):
    try:
        parse(text)
    except XlOutputError as error:
        return str(error)
    return ""


def test_devices_have_cells():
    text = info([(0, 0, 0, 0)])
    more = text.replace(
        "0000:00:00.0      0\n", "0000:00:00.0      0\nabcd:81:02.3      1\n0000:82:00.0      -1\nx 1\n"
    )
    assert text != more
    found = parse_info(more)
    assert found.devices == (
        (0, Device("pci_0000_00_00_0", "0000:00:00.0", "")),
        (1, Device("pci_abcd_81_02_3", "abcd:81:02.3", "")),
    )
    assert found.host == parse_info(text).host
    assert parse_info(recorded("info-4-cells")).devices == ()


def test_assignable_devices_and_their_names():
    text = "0000:01:00.0 \n0000:81:02.3 my nic\nabcd:00:1f.7 0000:01:00.0\nrubbish\n"
    assert parse_assignable(text) == {"my nic": "0000:81:02.3", "0000:01:00.0": "abcd:00:1f.7"}
    assert parse_assignable("") == {}
