# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Direct calls of libvirt's C library, compared with its Python binding on libvirt's own test driver."""

from __future__ import annotations

import libvirt
import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import LibvirtCallError, UnsupportedError
from ansible_collections.numa.virt.plugins.module_utils._libvirt import abi
from ansible_collections.numa.virt.plugins.module_utils._libvirt.connection import Connection
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

XML = "<domain type='test'><name>abi</name><memory>65536</memory><vcpu>3</vcpu><os><type>hvm</type></os></domain>"


@pytest.fixture
def native():
    connection = libvirt.open("test:///default")
    domain = connection.createXML(XML)
    yield domain
    domain.destroy()
    connection.close()


def sets(found):
    return {vcpu: CpuSet.from_mask(int.from_bytes(flags, "little")) for vcpu, flags in found}


def test_maps_are_those_that_the_binding_reads(native):
    native.pinVcpu(1, (False, True, False, True, False, False, False, False))
    infos, maps = native.vcpus()
    by_binding = {info[0]: CpuSet.from_map(flags) for info, flags in zip(infos, maps)}
    # The test driver has the binding cut every map to 8 of its 16 CPUs: the direct call is not deceived.
    found = sets(abi.get_vcpus(native, 3))
    assert {vcpu: cpus & CpuSet(range(8)) for vcpu, cpus in found.items()} == by_binding
    assert found == {0: CpuSet(range(16)), 1: CpuSet.parse("1,3"), 2: CpuSet(range(16))}


def test_no_more_vcpus_than_there_are(native):
    # The test driver says 3, as it should; the libxl driver would say 16 and leave the rest zero.
    assert len(abi.get_vcpus(native, 16)) == 3


def test_a_pin_is_one_that_the_binding_reads(native):
    # The test driver takes no flags, and libvirt then says so.
    assert abi.pin_vcpu(native, 2, b"\x06", 0) is True
    assert CpuSet.from_map(native.vcpus()[1][2]) == CpuSet.parse("1-2")


def test_failures_leave_libvirts_error(native):
    assert abi.pin_vcpu(native, 9, b"\x06", 0) is False
    assert "vcpu" in libvirt.libvirtError("").get_error_message()
    native.suspend()
    native.resume()


class WithoutCpuMap:
    """A domain of the binding on a driver that has no virNodeGetCPUMap(), as libxl."""

    def __init__(self, native):
        self._native = native
        self._o = native._o

    def __getattr__(self, name):
        return getattr(self._native, name)

    def vcpus(self):
        raise unsupported()

    def pinVcpuFlags(self, *_arguments):  # noqa: N802
        raise unsupported()


def unsupported():
    error = libvirt.libvirtError("")
    error.err = (libvirt.VIR_ERR_NO_SUPPORT, 0, "this function is not supported by the connection driver", 2)
    return error


@pytest.fixture
def domain(native):
    with Connection("test:///default") as connection:
        domain = connection.domain("abi")
        domain._domain = WithoutCpuMap(native)
        yield domain


def test_the_adapter_reads_maps_where_the_binding_cannot(domain, native):
    native.pinVcpu(0, (True, False, False, False, False, False, False, False))
    assert domain.vcpu_maps() == {0: CpuSet([0]), 1: CpuSet(range(16)), 2: CpuSet(range(16))}


def test_the_adapter_pins_where_the_binding_cannot(domain):
    # This driver refuses LIVE, which is libvirt's own answer to the direct call.
    with pytest.raises((LibvirtCallError, UnsupportedError), match=r"pin vCPU 1|unsupported flags|cannot do this"):
        domain.pin_vcpu(1, CpuSet([3]), with_flags=True)
