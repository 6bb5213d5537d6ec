# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CpuSet.parse() against libvirt: each text is put into a definition on the test driver and read back.

Differences that are meant, and stated in _values/cpuset.py: libvirt stops at 16,384 CPUs, refuses a set that ends up
empty, and takes <vcpu cpuset='0-16383'> for no CPU set at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

libvirt = pytest.importorskip("libvirt", reason="needs libvirt to compare with")
etree = pytest.importorskip("lxml.etree", reason="needs lxml to write definitions")

from hypothesis import HealthCheck, example, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ansible_collections.numa.virt.plugins.module_utils._errors import CpuSetSyntaxError  # noqa: E402
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet  # noqa: E402
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples  # noqa: E402

LIBVIRT_CPUS = 16384  # VIR_DOMAIN_CPUMASK_LEN
EVERYTHING = f"0-{LIBVIRT_CPUS - 1}"
DOMAIN = """<domain type='test'><name>set</name><memory>1024</memory><vcpu>2</vcpu><iothreads>1</iothreads>
<cputune><vcpupin vcpu='0' cpuset='0'/><emulatorpin cpuset='0'/><iothreadpin iothread='1' cpuset='0'/></cputune>
<numatune><memory mode='strict' nodeset='0'/></numatune><os><type>hvm</type></os></domain>"""
#: Everywhere that a set stands in a definition.
PLACES = {
    "vcpu": "cpuset",
    "cputune/vcpupin": "cpuset",
    "cputune/emulatorpin": "cpuset",
    "cputune/iothreadpin": "cpuset",
    "numatune/memory": "nodeset",
}

AWKWARD = [
    *("1-4,^3,6", "^3,1-4", "1-4,^3,3", "1-4,^9", "1-4,^2 ", "1-4,^2 3", "1-4,^2-", "1-4,^2-3", "1-4 , ^ 2", "1,^+2"),
    *("^3", "1,^1", "1,^1,", "^", "^1,", "^1,^2", "1,^", "1,^^1", "^ 3", "1 ^2", "1-2^3"),
    *("", " ", "1,", ",1", ",", "1,,2", "1,  ", "1 ,", "1;2", "1 2", "1.5", "a", "all"),
    *("-", "-1", "1-", "1--2", "0--0", "1--0", "0--01", "1-2-3", "1 - 4", "1 -4", "1- 4", "4-2", "3-3"),
    *("+1", "1-+5", "1- +5", "1-+ 5", "1-+", "1-++5", "1-+05", "1-\n+3"),
    *("007", "1-005", "0" * 30 + "1", "0x3", "1e1", "1_0"),
    *("\u0661", "1\u0662", "1,2\u00b2", "1\u00a0", "1,\u20032", "1\u0085", "\ufeff1"),
    *("\t1\n", "1\t,\r2", "1\n-\n2", " 1 , 2 "),
    *("16383", "1-16383", "1,^16383", "2147483647", "2147483648", "4294967297", "99999999999", "1-99999999999"),
    *("18446744073709551616", "18446744073709551617", "1,^4294967297"),
]
#: Made of pieces that are likely to be right, and of single characters that are not.
PIECES = st.sampled_from(
    ["0", "1", "2", "3", "12", "007", "16383", "-", "-", ",", ",", ",", "^", "+", " ", "\t", "\n", "1-4", "^2", "x"]
)
TEXTS = st.lists(PIECES, max_size=9).map("".join)


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    connection = libvirt.open("test:///default")
    yield connection
    connection.close()


def stored(connection: Any, text: str, place: str = "vcpu") -> str | None:
    """What libvirt makes of the text, or None where it refuses it."""
    root = etree.fromstring(DOMAIN)
    root.find(place).set(PLACES[place], text)
    try:
        domain = connection.defineXML(etree.tostring(root, encoding="unicode"))
    except libvirt.libvirtError:
        return None
    document = domain.XMLDesc()
    domain.undefine()
    value = etree.fromstring(document).find(place).get(PLACES[place])
    return EVERYTHING if value is None else str(value)


def parsed(text: str) -> str | None:
    """The same, of ours. libvirt has no empty set."""
    try:
        return str(CpuSet.parse(text)) or None
    except CpuSetSyntaxError:
        return None


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
def test_awkward_texts(connection: Any, text: str) -> None:
    assert parsed(text) == stored(connection, text)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", ["1-4,^3,6", "^3,1-4", "^3", "", "1,", ",1", "1-+5", " 1 - 4\t, 7", "4-2", "1--2"])
def test_every_place_has_the_same_grammar(connection: Any, place: str, text: str) -> None:
    assert parsed(text) == stored(connection, text, place)


@settings(max_examples=examples(600), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("1,\n^1 ,2")
@given(TEXTS)
def test_generated_texts(connection: Any, text: str) -> None:
    if any(int(number) >= LIBVIRT_CPUS for number in re.findall("[0-9]+", text)):
        assert stored(connection, text) is None
        return
    assert parsed(text) == stored(connection, text)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, LIBVIRT_CPUS - 2), min_size=1, max_size=40))
def test_canonical_text_is_libvirts_own(connection: Any, numbers: set[int]) -> None:
    text = str(CpuSet(numbers))
    assert stored(connection, text) == text


# Where they differ.


@pytest.mark.parametrize("text", ["16384", "1-16384", "1,^16384", "0-1048575"])
def test_libvirt_stops_earlier(connection: Any, text: str) -> None:
    assert stored(connection, text) is None
    assert re.search(r"\d", parsed(text) or "")


@pytest.mark.parametrize("text", ["^3", "1,^1"])
def test_libvirt_has_no_empty_set(connection: Any, text: str) -> None:
    assert stored(connection, text) is None
    assert CpuSet.parse(text) == CpuSet()


def test_libvirt_drops_the_cpuset_that_names_every_cpu_it_can_count(connection: Any) -> None:
    root = etree.fromstring(DOMAIN)
    root.find("vcpu").set("cpuset", EVERYTHING)
    domain = connection.defineXML(etree.tostring(root, encoding="unicode"))
    vcpu = etree.fromstring(domain.XMLDesc()).find("vcpu")
    domain.undefine()
    assert vcpu.get("cpuset") is None
    assert parsed(EVERYTHING) == stored(connection, EVERYTHING, "cputune/vcpupin") == EVERYTHING
