# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The adapter, on libvirt's own test driver: words, errors, silence and the count of calls."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import libvirt
import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ConnectionFailedError,
    DomainNotFoundError,
    LibvirtCallError,
    NumaVirtError,
    UnsupportedError,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt import connection as libvirt_connection
from ansible_collections.numa.virt.plugins.module_utils._libvirt.connection import Connection
from ansible_collections.numa.virt.plugins.module_utils._libvirt.domain import Domain
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

URI = "test:///default"
XML = "<domain type='test'><name>adapter</name><memory>65536</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>"
NAMESPACE = "urn:numa.virt:intent:1"


@pytest.fixture
def connection():
    with Connection(URI) as opened:
        yield opened
        for domain in opened.domains():
            if domain.name == "adapter":
                if domain.active:
                    domain.destroy()
                if opened.domain("adapter") is not None:
                    domain.undefine()


@pytest.fixture
def domain(connection):
    return connection.define(XML)


@pytest.mark.parametrize(
    "uri",
    [
        "test+unix:///default?socket=/nonexistent/libvirt-sock",
        "nonsense",
        "nonsense:///",
        "esx://localhost/",
        "qemu+unix:///system?socket=/nonexistent/libvirt-sock",
    ],
)
def test_a_host_that_cannot_be_reached(uri, capfd):
    with pytest.raises(ConnectionFailedError) as error:
        Connection(uri)
    assert str(error.value).startswith(f"uri: {uri}: cannot connect: ")
    assert str(error.value).endswith("; is the daemon running there, and may this user reach it?")
    assert "\n" not in str(error.value)
    assert error.value.as_result()["error"]["code"] == "connection_failed"
    assert error.value.__cause__ is None
    assert capfd.readouterr() == ("", "")


def test_without_a_uri_libvirt_chooses(monkeypatch):
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", URI)
    with Connection() as connection:
        assert connection.uri == URI
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "test+unix:///default?socket=/nonexistent/sock")
    with pytest.raises(ConnectionFailedError, match="uri: libvirt's default URI: cannot connect"):
        Connection(None)


def test_stderr_stays_silent():
    """libvirt prints every error unless it is told not to; in a module that would be part of the output."""
    program = """
import ansible_collections.numa.virt.plugins.module_utils._libvirt.connection as adapter
with adapter.Connection("test:///default") as connection:
    assert connection.domain("ghost") is None
    try:
        connection.define("<domain>")
    except adapter.LibvirtCallError as error:
        print(error.code)
"""
    # Where the collection's own code comes from differs between pytest and ansible-test.
    path = os.path.abspath(libvirt_connection.__file__).split(os.sep + "ansible_collections" + os.sep)[0]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.stdout, done.stderr) == ("libvirt\n", "")


def test_a_domain_that_is_not_there_is_none(connection):
    assert connection.domain("ghost") is None
    assert connection.domain("a'b\"c/d$(e)") is None


def test_errors_have_parts_and_no_cause(connection, domain):
    with pytest.raises(LibvirtCallError) as error:
        domain.destroy()
    reason = "Requested operation is not valid: domain is not running"
    assert error.value.as_result() == {
        "msg": f"cannot destroy the domain: {reason}",
        "changed": False,
        "error": {
            "code": "libvirt",
            "action": "destroy the domain",
            "reason": reason,
            "libvirt_code": libvirt.VIR_ERR_OPERATION_INVALID,
        },
    }
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_domain_that_went_away_meanwhile(connection, domain):
    domain.undefine()
    with pytest.raises(DomainNotFoundError) as error:
        domain.definition()
    assert error.value.code == "domain_not_found"


def failure(code, message):
    """An error as libvirt's binding raises it, of any code and text."""
    error = libvirt.libvirtError.__new__(libvirt.libvirtError, "the binding's own words")
    error.err = (code, 0, message, 0, "", None, None, 0, 0)
    return error


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (libvirt.VIR_ERR_NO_DOMAIN, DomainNotFoundError, "name: why"),
        (libvirt.VIR_ERR_NO_SUPPORT, UnsupportedError, "the libvirt driver cannot do this: why"),
        (libvirt.VIR_ERR_INTERNAL_ERROR, LibvirtCallError, "cannot do it: why"),
        (libvirt.VIR_ERR_OPERATION_DENIED, LibvirtCallError, "cannot do it: why"),
    ],
)
def test_translation(connection, code, kind, said):
    def fails():
        raise failure(code, "why")

    before = connection.calls
    with pytest.raises(kind) as error:
        connection._call("do it", fails)
    assert str(error.value) == said
    assert isinstance(error.value, NumaVirtError)
    assert connection.calls == before + 1


def test_an_error_without_a_text(connection):
    def fails():
        raise failure(libvirt.VIR_ERR_INTERNAL_ERROR, None)

    with pytest.raises(LibvirtCallError, match="cannot do it: the binding's own words"):
        connection._call("do it", fails)


def test_what_a_driver_does_not_say_is_none(connection):
    def unsupported(*_arguments):
        raise failure(libvirt.VIR_ERR_NO_SUPPORT, "no")

    native = connection._conn
    connection._conn = types.SimpleNamespace(
        getCellsFreeMemory=unsupported, getFreePages=unsupported, listAllDevices=unsupported
    )
    assert connection.free_memory(0) is None
    assert connection.free_pages([4], 0, 2) == {}
    assert connection.pci_devices() == connection.device_parts("vdpa") == []
    connection._conn = types.SimpleNamespace(
        getCellsFreeMemory=lambda cell, count: [1048576 * (cell + 1)],
        getFreePages=lambda sizes, first, count: {first: dict.fromkeys(sizes, 7)},
        listAllDevices=lambda flags: [types.SimpleNamespace(XMLDesc=lambda flags: "<device/>")],
    )
    assert connection.free_memory(1) == 2048
    assert connection.free_pages([4, 2048], 0, 2) == {0: {4: 7, 2048: 7}}
    assert connection.pci_devices() == ["<device/>"]
    connection._conn = types.SimpleNamespace(getCellsFreeMemory=lambda cell, count: [])
    assert connection.free_memory(1) is None
    connection._conn = native


def test_devices_are_asked_for_by_their_kind(connection):
    asked = []
    native, connection._conn = (
        connection._conn,
        types.SimpleNamespace(listAllDevices=lambda flag: asked.append(flag) or []),
    )
    assert [connection.device_parts(kind) for kind in ("mdev", "vdpa", "nothing of libvirt")] == [[], [], []]
    assert asked == [
        libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_MDEV,
        libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_VDPA,
    ]
    connection._conn = native


def test_a_network(connection):
    assert "<forward mode='nat'/>" in connection.network("default")
    assert connection.network("none") is None

    def fails(_name):
        raise failure(libvirt.VIR_ERR_SYSTEM_ERROR, "Failed to connect socket")

    native, connection._conn = connection._conn, types.SimpleNamespace(networkLookupByName=fails)
    with pytest.raises(LibvirtCallError, match="cannot look up a network: Failed to connect socket"):
        connection.network("default")
    connection._conn = native


def test_calls_are_counted(connection):
    assert connection.calls == 1
    connection.capabilities()
    assert connection.calls == 2
    connection.versions()
    assert connection.calls == 4
    domain = connection.define(XML)
    domain.definition()
    assert connection.calls == 6


def test_versions_are_text(connection):
    for version in connection.versions():
        assert all(part.isdigit() for part in version.split("."))
        assert version.count(".") == 2


def test_a_life(connection, domain):
    assert (domain.name, domain.active, domain.persistent()) == ("adapter", False, True)
    assert domain.state() == "shut off"
    assert domain.live_xml().startswith("<domain type='test'>")
    domain.start(paused=False)
    domain = connection.domain("adapter")
    assert (domain.active, domain.state()) == (True, "running")
    assert connection.states()[domain.uuid] == "running"
    assert domain.uuid in connection.persistent_uuids()
    assert domain.name in [each.name for each in connection.domains()]
    domain._domain.suspend()
    assert (domain.state(), domain.paused_by_user()) == ("paused", True)
    domain.resume()
    domain.pin_vcpu(1, CpuSet.parse("2-3"), with_flags=False)
    domain.pin_emulator(CpuSet.parse("1"))
    assert "<vcpupin vcpu='1' cpuset='2-3'/>" in domain.live_xml()
    assert "<emulatorpin cpuset='1'/>" in domain.live_xml()
    assert domain.vcpu_maps()[1] == CpuSet.parse("2-3")
    domain.set_metadata("<intent cells='0'/>", "numa", NAMESPACE, live=True)
    assert f'<numa:intent xmlns:numa="{NAMESPACE}" cells="0"/>' in domain.live_xml()
    assert "intent" not in domain.definition()
    domain.set_metadata("<intent cells='1'/>", "numa", NAMESPACE, live=False)
    assert 'cells="1"' in domain.definition()
    domain.shutdown()
    assert domain.state() == "shut off"
    domain.start(paused=False)
    domain.destroy()
    domain.undefine()
    assert connection.domain("adapter") is None


def test_the_nodeset_of_a_running_guest(connection):
    xml = XML.replace("<os>", "<numatune><memory mode='restrictive' nodeset='0'/></numatune><os>")
    domain = connection.define(xml)
    domain.start(paused=False)
    domain.bind_memory(CpuSet([1]))
    assert "nodeset='1'" in connection.domain("adapter").live_xml()


class Recorder:
    """A domain of the binding that notes what is asked of it."""

    def __init__(self, refuses=()):
        self.asked = []
        self.refuses = refuses

    def name(self):
        return "x"

    def UUIDString(self):  # noqa: N802
        return "u"

    def __getattr__(self, name):
        def call(*arguments):
            self.asked.append((name, *arguments))
            if (name, *arguments) in self.refuses:
                raise failure(libvirt.VIR_ERR_OPERATION_INVALID, "no")
            return ("nothing", 1)

        return call


def test_calls_that_the_test_driver_has_not(connection):
    native = Recorder()
    domain = Domain(connection, native)
    domain.start(paused=True)
    domain.pin_vcpu(1, CpuSet.parse("0,3"), with_flags=True)
    domain.pin_iothread(2, CpuSet.parse("1"))
    assert native.asked == [
        ("createWithFlags", libvirt.VIR_DOMAIN_START_PAUSED),
        ("pinVcpuFlags", 1, (True, False, False, True), libvirt.VIR_DOMAIN_AFFECT_LIVE),
        ("pinIOThread", 2, (False, True), libvirt.VIR_DOMAIN_AFFECT_LIVE),
    ]


def test_undefine_keeps_firmware_variables_where_there_are_some(connection):
    native = Recorder(refuses=[("undefineFlags", 0)])
    Domain(connection, native).undefine()
    assert native.asked == [("undefineFlags", 0), ("undefineFlags", libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)]


@pytest.mark.parametrize(
    ("reason", "harmless"),
    [
        (libvirt.VIR_DOMAIN_PAUSED_USER, True),
        (libvirt.VIR_DOMAIN_PAUSED_STARTING_UP, True),
        (libvirt.VIR_DOMAIN_PAUSED_IOERROR, False),
        (libvirt.VIR_DOMAIN_PAUSED_MIGRATION, False),
        (libvirt.VIR_DOMAIN_PAUSED_SNAPSHOT, False),
    ],
)
def test_who_paused_it(connection, reason, harmless):
    native = Recorder()
    native.state = lambda: [libvirt.VIR_DOMAIN_PAUSED, reason]
    assert Domain(connection, native).paused_by_user() is harmless


def test_closing_a_lost_connection_is_no_error():
    connection = Connection(URI)

    def gone():
        raise failure(libvirt.VIR_ERR_INTERNAL_ERROR, "connection reset")

    native, connection._conn = connection._conn, types.SimpleNamespace(close=gone)
    connection.close()
    native.close()


@pytest.mark.parametrize(
    ("uri", "local"),
    [
        ("qemu:///system", True),
        ("qemu:///session?socket=/x", True),
        ("qemu+unix:///system", True),
        ("xen:///system", True),
        ("qemu+ssh:///system", False),
        ("qemu+ssh://root@host:22/system", False),
        ("qemu://host/system", False),
        ("qemu+tls://[::1]/system", False),
    ],
)
def test_whether_guests_are_to_be_seen_here(connection, uri, local):
    native, connection._conn = connection._conn, types.SimpleNamespace(getURI=lambda: uri)
    before = connection.calls
    assert connection.local is local
    assert connection.calls == before  # no round trip
    connection._conn = native


def native(domain, **calls):
    """Let some calls of libvirt's be answered as another driver would."""

    class Native:
        def __getattr__(self, name):
            return calls[name] if name in calls else getattr(domain._real, name)

    domain._real = domain._domain
    domain._domain = Native()
    return domain


def fails(code):
    def call(*_arguments):
        raise failure(code, "no")

    return call


def test_why_a_guest_is_paused(domain):
    domain.start(paused=False)
    domain._domain.suspend()
    assert (domain.state(), domain.paused_by_user(), domain.why_paused()) == ("paused", True, "by a user")
    for reason, said in ((5, "for an I/O error"), (99, "for an error or a migration")):
        assert native(domain, state=lambda reason=reason: (3, reason)).why_paused() == said
        assert not domain.paused_by_user()
        domain._domain = domain._real


def test_a_managed_save_image(domain):
    assert not domain.saved()
    domain.start(paused=False)
    domain.save()
    assert (domain.saved(), domain.state()) == (True, "shut off")
    for call in (domain.saved_xml, lambda: domain.define_saved(XML)):
        with pytest.raises(UnsupportedError):
            call()
    written = []
    native(
        domain,
        managedSaveGetXMLDesc=lambda flags: f"<domain flags='{flags}'/>",
        managedSaveDefineXML=lambda xml, flags: written.append((xml, flags)),
        hasManagedSaveImage=fails(libvirt.VIR_ERR_NO_SUPPORT),
    )
    assert domain.saved_xml() == f"<domain flags='{libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE}'/>"
    domain.define_saved("<domain/>")
    assert written == [("<domain/>", 0)]
    assert not domain.saved()  # a driver that has no such thing
    domain._domain = domain._real
    domain._domain.managedSaveRemove(0)


def test_jobs_that_an_end_would_end(domain):
    domain.start(paused=False)
    assert domain.jobs(["vda"]) == []  # the test driver has none
    jobs = {"vda": {"type": libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY}, "vdb": {}, "vdc": {"type": 77}}
    native(
        domain,
        jobInfo=lambda: [libvirt.VIR_DOMAIN_JOB_UNBOUNDED, 0, 0],
        blockJobInfo=lambda disk, flags: jobs[disk] if disk in jobs else fails(libvirt.VIR_ERR_OPERATION_INVALID)(),
    )
    assert domain.jobs(["vda", "vdb", "vdc", "hda"]) == [
        "a job of libvirt (a backup, a dump or a migration)",
        "a block job (copy) on disk vda",
        "a block job (unknown) on disk vdc",
    ]
    native(domain, jobInfo=lambda: [libvirt.VIR_DOMAIN_JOB_NONE, 0, 0])
    assert domain.jobs([]) == []


def test_snapshots_that_are_deleted_meanwhile_or_unknown_to_a_driver(connection):
    def gone(_flags):
        raise failure(libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT, "gone")

    def unsupported(_flags):
        raise failure(libvirt.VIR_ERR_NO_SUPPORT, "no")

    native = Recorder()
    there = [
        types.SimpleNamespace(getXMLDesc=gone),
        types.SimpleNamespace(getXMLDesc=lambda flags: "<domainsnapshot/>"),
    ]
    native.listAllSnapshots = lambda flags: there
    assert list(Domain(connection, native).snapshots()) == ["<domainsnapshot/>"]
    native.listAllSnapshots = unsupported
    assert list(Domain(connection, native).snapshots()) == []
