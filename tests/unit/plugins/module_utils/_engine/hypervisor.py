# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two hypervisors to run the engine on, with the same words for both.

``TestDriver`` is libvirt's own embedded one. ``Hypervisor`` is a small stand-in for qemu and xen, with the interface
of _libvirt/connection.py: it keeps documents, decides where threads run as the real driver would, writes a /proc for
them, logs every write, and fails where it is told to.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from dataclasses import dataclass, field

import libvirt
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._engine.cells import cells_info
from ansible_collections.numa.virt.plugins.module_utils._engine.claim import ClaimRequest, claim_place
from ansible_collections.numa.virt.plugins.module_utils._engine.domain import place_domain
from ansible_collections.numa.virt.plugins.module_utils._engine.fleet_host import fleet_host_info
from ansible_collections.numa.virt.plugins.module_utils._engine.host_state import StateRequest, set_host_state
from ansible_collections.numa.virt.plugins.module_utils._engine.info import InfoRequest, domains_info
from ansible_collections.numa.virt.plugins.module_utils._engine.pin import PinRequest, pin_domain
from ansible_collections.numa.virt.plugins.module_utils._engine.placement import place_domains
from ansible_collections.numa.virt.plugins.module_utils._engine.placement_guests import PlacementRequest
from ansible_collections.numa.virt.plugins.module_utils._engine.plan import Request
from ansible_collections.numa.virt.plugins.module_utils._engine.release import ReleaseRequest, release_domains
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    LibvirtCallError,
    UnsupportedError,
)
from ansible_collections.numa.virt.plugins.module_utils._intent.options import intent_from_options
from ansible_collections.numa.virt.plugins.module_utils._intent.pins import wish_from_options
from ansible_collections.numa.virt.plugins.module_utils._intent.placement_options import (
    FOR_ALL,
    entries_of,
    options_of,
    rules_of,
    rules_with_ratio,
)
from ansible_collections.numa.virt.plugins.module_utils._libvirt.capabilities_xml import parse_host
from ansible_collections.numa.virt.plugins.module_utils._libvirt.connection import Connection
from ansible_collections.numa.virt.plugins.module_utils._node import processes
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon

NAMESPACE = "urn:numa.virt:intent:1"
URI = "test:///default"


def document(name="web1", kind="test", vcpus=2, memory=65536, more="", **parts):
    """A domain document as a person would write it. ``parts`` are texts of placement, after <memory>."""
    return f"""<domain type='{kind}'>
  <name>{name}</name>{parts.get("uuid", "")}
  <memory unit='KiB'>{memory}</memory>
  <vcpu{parts.get("vcpu", "")}>{vcpus}</vcpu>
  {parts.get("tune", "")}
  <os><type>hvm</type></os>
  <devices>
    <graphics type='vnc'{parts.get("vnc", " passwd='s3cret'")}/>{more}
  </devices>
</domain>
"""


class Host:
    """What both have: one task, on one connection of its own, as the modules run them."""

    backups = ""
    calls = 0  # of the last task

    def connect(self):
        raise NotImplementedError

    def place(self, name=None, xml=None, check=False, **options):
        about_run = {key: options.pop(key) for key in ("state", "restart", "verify", "backup") if key in options}
        about_run["shutdown_timeout"] = options.pop("shutdown_timeout", 0)
        request = Request(
            name=name,
            xml=xml,
            wish=intent_from_options(options),
            backup_dir=self.backups,
            check_mode=check,
            **about_run,
        )
        return self._task(lambda connection: place_domain(connection, request))

    def pin(self, name="web1", check=False, apply=None, outside=False, backup=True, **options):
        request = PinRequest(
            name=name,
            wish=wish_from_options(options),
            apply=apply,
            allow_outside=outside,
            backup=backup,
            backup_dir=self.backups,
            check_mode=check,
        )
        return self._task(lambda connection: pin_domain(connection, request))

    def place_all(self, *domains, select=None, check=False, **options):
        about_run = {
            key: options.pop(key)
            for key in (
                "state",
                "restart",
                "verify",
                "partial",
                "backup",
                "lock_dir",
                "lock_timeout",
                "ignores_state",
            )
            if key in options
        }
        about_run["shutdown_timeout"] = options.pop("shutdown_timeout", 0)
        request = PlacementRequest(
            entries=entries_of(None if select is not None else list(domains)),
            select=select,
            task={name: options.get(name) for name in FOR_ALL},
            rules=rules_of(options),
            options=options_of(options),
            backup_dir=self.backups,
            check_mode=check,
            **about_run,
        )
        return self._task(lambda connection: place_domains(connection, request))

    def release(self, *names, select=None, check=False, backup=True, lock_dir=None):
        request = ReleaseRequest(
            names=None if select is not None else list(names),
            select=select,
            backup=backup,
            backup_dir=self.backups,
            check_mode=check,
            lock_dir=lock_dir,
        )
        return self._task(lambda connection: release_domains(connection, request))

    def claim(self, present=True, **options):
        for name in ("cells", "cpus"):
            if options.get(name) is not None:
                options[name] = CpuSet.coerce(options[name])
        about = {"name": None, "uuid": None, "made_by": "ops@deploy1", "lock_dir": self.backups + ".lock", **options}
        return self._task(lambda connection: claim_place(connection, ClaimRequest(present=present, **about)))

    def say(self, state, who="ops@deploy1", **options):
        about = {"lock_dir": self.backups + ".lock", **options}
        return self._task(lambda connection: set_host_state(connection, StateRequest(state, who, **about)))

    def info(self, *names, findings=False):
        request = InfoRequest(names or None, findings)
        return self._task(lambda connection: domains_info(connection, request))["domains"]

    def findings(self, *names, **options):
        """What numa_domain_info finds: its result."""
        request = InfoRequest(names or None, True, rules_with_ratio(options))
        return self._task(lambda connection: domains_info(connection, request))

    def fleet(self, *names, now=time.time, **options):
        """What it tells of itself for a fleet: the result of numa_domain_info."""
        request = InfoRequest(names or None, True, rules_with_ratio(options))
        return self._task(lambda connection: fleet_host_info(connection, request, now))

    def cells(self, devices=True):
        return self._task(lambda connection: cells_info(connection, devices))

    def _task(self, work):
        with self.connect() as connection:
            try:
                return work(connection)
            finally:
                self.calls = connection.calls

    def backup_files(self):
        return sorted(os.listdir(self.backups)) if os.path.isdir(self.backups) else []


class TestDriver(Host):
    """libvirt's embedded test driver: 2 cells x 8 CPUs. One connection is kept open, which keeps its state."""

    __test__ = False

    def __init__(self, backups):
        self.backups = backups
        self.native = libvirt.open(URI)
        self.empty()  # of the domain that the driver comes with

    def end(self):
        """Something may still hold a connection to the host of this process, and other tests come after this one."""
        self.empty()
        self.native.close()

    def empty(self):
        for domain in self.native.listAllDomains():
            lasts = domain.isPersistent()
            if domain.isActive():
                domain.destroy()
            if lasts:
                domain.undefine()

    def connect(self):
        return Connection(URI)

    def domain(self, name="web1"):
        return self.native.lookupByName(name)

    def definition(self, name="web1"):
        return self.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE)

    def live(self, name="web1"):
        return self.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)

    def everything(self):
        """All that a task could have changed, byte by byte."""
        return [
            (each.name(), each.state(), each.isPersistent(), self.definition(each.name()), self.live(each.name()))
            for each in sorted(self.native.listAllDomains(), key=lambda domain: domain.name())
        ]


@dataclass
class Guest:
    """A domain of the stand-in. ``where`` is the truth about its vCPUs while it runs."""

    name: str
    uuid: str
    config: str | None = None
    live: str | None = None
    state: str = "shut off"
    by_user: bool = True
    why: str = "for an error or a migration"
    jobs: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()  # their documents
    image: str | None = None  # the document of a managed save image, where there is one
    where: dict[int, CpuSet] = field(default_factory=dict)


class Hypervisor(Host):
    """A stand-in for the qemu or xen driver on a host of 4 cells x 2 CPUs.

    ``failures``: name of a call -> a function that is called instead of it, once; it may raise, or call the real one.
    ``strays``: vCPU -> CPUs that it gets at the next starts whatever the definition says. ``local``: whether the
    processes of its guests are to be seen in /proc.
    """

    def __init__(self, folder, kind="qemu", local=True):
        self.kind = kind
        self.backups = str(folder / "backups")
        self.proc = str(folder / "proc")
        os.mkdir(self.proc)
        # Where its daemon listens, and keeps a file for each guest.
        self.pids = str(folder / "run" / "libvirt" / "qemu")
        os.makedirs(self.pids, mode=0o755)
        self.daemon = Daemon(kind, "", str(folder / "run" / "libvirt" / "libvirt-sock"), os.geteuid())
        self.local = local and kind == "qemu"
        self.guests = {}
        self.log = []
        self.watched = []
        self.failures = {}
        self.strays = {}
        self.obeys_shutdown = True
        self.offline = CpuSet()
        self.images_can_be_edited = kind == "qemu"
        self.tools = None  # Xen's own tool, where a test has one
        self.devices = ()  # documents of PCI devices
        self.parts = {}  # kind of devices -> documents
        self.networks = {}  # name of a virtual network -> its document
        self.libvirt = "9.0.0"  # the daemon's version
        self.capabilities = None  # a document, where the host is another one

    @property
    def everything_there(self):
        """Its CPUs, with those that are offline."""
        return parse_host(self.capabilities).present if self.capabilities is not None else CpuSet(range(8))

    @property
    def nodes(self):
        """Its cells, with memory and without, as the kernel lists them."""
        return str(parse_host(self.capabilities).cell_ids) if self.capabilities is not None else "0-3"

    def connect(self):
        return FakeConnection(self)

    def see_processes(self, monkeypatch):
        """Let the engine read our /proc instead of the machine's."""
        monkeypatch.setattr(processes, "ROOT", self.proc)

    def add(self, xml, running=False, persistent=True):
        guest = self.store(xml)
        if running:
            self.run(guest, paused=False)
        if not persistent:
            guest.config = None
        self.log.clear()
        return guest

    def definition(self, name="web1"):
        return self.guests[name].config

    def everything(self):
        return [
            (each.name, each.state, each.config, each.live, {vcpu: str(cpus) for vcpu, cpus in each.where.items()})
            for each in self.guests.values()
        ]

    def store(self, xml):
        root = etree.fromstring(xml)
        name = root.findtext("name")
        guest = self.guests.get(name) or Guest(name, root.findtext("uuid") or str(uuid.uuid4()))
        if root.find("uuid") is None:
            element = etree.Element("uuid")
            element.text = guest.uuid
            root.find("name").addnext(element)
        self.guests[name] = guest
        guest.config = etree.tostring(root, encoding="unicode")
        return guest

    def run(self, guest, paused, image=None):
        guest.live, guest.state = image or guest.config, "paused" if paused else "running"
        root = etree.fromstring(guest.live)
        everything = self.everything_there - self.offline
        cpuset = root.find("vcpu").get("cpuset") if self.kind == "qemu" else None  # libxl ignores it
        pins = {int(each.get("vcpu")): each.get("cpuset") for each in root.iterfind("cputune/vcpupin")}
        there = {int(each.get("id")) for each in root.iterfind("vcpus/vcpu[@enabled='yes']")}
        said = root.find("vcpu")
        for vcpu in sorted(there) or range(int(said.get("current") or said.text)):
            text = pins.get(vcpu, cpuset)
            guest.where[vcpu] = self.strays.get(vcpu, CpuSet.parse(text) if text else everything)
        if self.local:
            self._write_process(guest, root, everything)

    def _write_process(self, guest, root, everything):
        cpuset = root.find("vcpu").get("cpuset") or str(everything)
        emulator = root.find("cputune/emulatorpin")
        memory = root.find("numatune/memory")
        nodeset = memory.get("nodeset") if memory is not None else self.nodes
        binds = memory is not None and memory.get("mode") == "strict"
        names = {guest.pid: ("qemu-system-x86", emulator.get("cpuset") if emulator is not None else cpuset)}
        names.update({guest.pid + 1 + vcpu: (f"CPU {vcpu}/KVM", str(cpus)) for vcpu, cpus in guest.where.items()})
        for tid, (name, cpus) in names.items():
            folder = os.path.join(self.proc, str(guest.pid), "task", str(tid))
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, "status"), "w", encoding="utf-8") as file:
                file.write(f"Name:\t{name}\nCpus_allowed_list:\t{cpus}\nMems_allowed_list:\t{nodeset}\n")
        with open(os.path.join(self.proc, str(guest.pid), "cmdline"), "wb") as file:
            file.write(b"\0".join((b"qemu-system-x86_64", b"-uuid", guest.uuid.encode(), b"")))
        with open(os.path.join(self.proc, str(guest.pid), "cgroup"), "w", encoding="utf-8") as file:
            file.write(f"0::/machine.slice/machine-qemu\\x2d1\\x2d{guest.name}.scope/libvirt/emulator\n")
        with open(self._pid_file(guest), "w", encoding="utf-8") as file:
            file.write(str(guest.pid))
        first = CpuSet.parse(nodeset).ranges()[0][0]
        with open(os.path.join(self.proc, str(guest.pid), "numa_maps"), "w", encoding="utf-8") as file:
            policy = f"bind:{nodeset}" if binds else "default"
            file.write(f"7f0000000000 {policy} anon=8192 dirty=8192 N{first}=8192 kernelpagesize_kB=4\n")

    def save(self, guest):
        """As somebody does: its memory is kept, and the next start goes on from there."""
        guest.image = guest.live
        self.end(guest)

    def _pid_file(self, guest):
        return os.path.join(self.pids, f"{guest.name}.pid")

    def end(self, guest):
        if os.path.exists(self._pid_file(guest)):
            os.unlink(self._pid_file(guest))
        guest.live, guest.state, guest.where = None, "shut off", {}
        if guest.config is None:
            self.guests.pop(guest.name, None)
        shutil.rmtree(os.path.join(self.proc, str(guest.pid)), ignore_errors=True)


Guest.pid = property(lambda guest: 1000 + int(guest.uuid[:4], 16) * 100)


class FakeConnection:
    """The interface of _libvirt.connection.Connection."""

    dialect = "xml"
    configured_name = None
    warnings = ()

    def __init__(self, hypervisor):
        self.daemon = hypervisor.daemon
        self.local = hypervisor.local
        self.hypervisor = hypervisor
        self.calls = 1  # connecting is one
        self.uri = f"{hypervisor.kind}:///system"

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def capabilities(self):
        self.calls += 1
        if self.hypervisor.capabilities is not None:
            return self.hypervisor.capabilities
        return capabilities("xen" if self.hypervisor.kind == "xen" else "kvm")

    def cpu_map(self):
        self.calls += 1
        there = self.hypervisor.everything_there
        return tuple(cpu in there - self.hypervisor.offline for cpu in range(there.mask.bit_length()))

    def versions(self):
        return "7.2.0", self.hypervisor.libvirt

    def free_memory(self, cell):
        self.calls += 1
        return 400000 + cell

    def free_pages(self, sizes, first, count):
        self.calls += 1
        return {cell: dict.fromkeys(sizes, 0) for cell in range(first, first + count)}

    def xen_tools(self):
        return self.hypervisor.tools if self.hypervisor.kind == "xen" else None

    def pci_devices(self):
        self.calls += 1
        return list(self.hypervisor.devices)

    def device_parts(self, kind):
        self.calls += 1
        return list(self.hypervisor.parts.get(kind, ()))

    def network(self, name):
        self.calls += 1
        return self.hypervisor.networks.get(name)

    def domain(self, name):
        self.calls += 1
        guest = self.hypervisor.guests.get(name)
        return FakeDomain(self, guest) if guest is not None else None

    def domains(self):
        self.calls += 1
        return [FakeDomain(self, guest) for _name, guest in sorted(self.hypervisor.guests.items())]

    def persistent_uuids(self):
        self.calls += 1
        return {guest.uuid for guest in self.hypervisor.guests.values() if guest.config is not None}

    def states(self):
        self.calls += 1
        return {guest.uuid: guest.state for guest in self.hypervisor.guests.values()}

    def watch(self):
        return FakeWatch(self.hypervisor)

    def define(self, xml):
        def real():
            self.hypervisor.watched.append("define")
            guest = self.hypervisor.store(xml)
            self.hypervisor.log.append("define")
            return FakeDomain(self, guest)

        return self.call("define", real)

    def call(self, name, real):
        """One write: counted, and replaced once by what a test has planned for it."""
        self.calls += 1
        planned = self.hypervisor.failures.pop(name, None)
        return planned(real) if planned is not None else real()


class FakeWatch:
    """The interface of _libvirt.watch.Watch. A test that plays somebody else puts a word into ``watched``."""

    def __init__(self, hypervisor):
        self.hypervisor = hypervisor

    def mark(self):
        self.hypervisor.watched.clear()

    def others(self, _uuid):
        return next((each for each in self.hypervisor.watched if each != "define"), None)


class FakeDomain:
    """The interface of _libvirt.domain.Domain."""

    def __init__(self, connection, guest):
        self.connection, self.guest = connection, guest
        self.hypervisor = connection.hypervisor
        self.name, self.uuid = guest.name, guest.uuid
        self.key, self.id = guest.uuid, guest.pid
        self.active = guest.live is not None

    def redefine(self, xml):
        return self.connection.define(xml)

    def _read(self, value):
        self.connection.calls += 1
        self._check()
        return value

    def _check(self):
        if self.hypervisor.guests.get(self.name) is not self.guest:
            raise DomainNotFoundError("name", None, "Domain not found")

    def definition(self):
        return self._read(self.guest.config if self.guest.config is not None else self.guest.live)

    def live_xml(self):
        return self.connection.call("live_xml", lambda: self._checked(self.guest.live or self.guest.config))

    def state(self):
        return self._read(self.guest.state)

    def paused_by_user(self):
        return self._read(self.guest.by_user)

    def _checked(self, value):
        self._check()
        return value

    def why_paused(self):
        return self._read(self.guest.why)

    def jobs(self, disks):
        return self._read([*self.guest.jobs])

    def snapshots(self):
        yield from self._read(self.guest.snapshots)

    def saved(self):
        return self._read(self.guest.image is not None)

    def saved_xml(self):
        def real():
            if not self.hypervisor.images_can_be_edited:
                raise UnsupportedError("libvirt", "it", "this function is not supported by the connection driver")
            self._check_image()
            return self._checked(self.guest.image)

        return self.connection.call("saved_xml", real)

    def _check_image(self):
        if self.guest.image is None:
            raise LibvirtCallError("read the image", "domain does not have managed save image", 55)

    def define_saved(self, xml):
        def change():
            self._check_image()
            self.guest.image = xml

        self._write("define_saved", change)

    def save(self):
        def change():
            if self.guest.live is None:
                raise LibvirtCallError("save the domain", "domain is not running", 55)
            self.guest.image = self.guest.live
            self.hypervisor.end(self.guest)

        self._write("save", change)

    def persistent(self):
        return self._read(self.guest.config is not None)

    def vcpu_maps(self):
        if self.guest.live is None:
            raise LibvirtCallError("read the vCPUs", "domain is not running", 55)
        return self._read(dict(self.guest.where))

    def _write(self, words, change):
        def real():
            self._check()
            self.hypervisor.log.append(words)
            change()

        return self.connection.call(words.split()[0], real)

    def pin_vcpu(self, vcpu, cpus, with_flags):
        assert with_flags

        def change():
            self._must_run("pin a vCPU")
            self.guest.where[vcpu] = cpus
            self._edit_live("cputune", f"vcpupin[@vcpu='{vcpu}']", f"<vcpupin vcpu='{vcpu}' cpuset='{cpus}'/>")

        self._write(f"pin_vcpu {vcpu} {cpus}", change)

    def pin_emulator(self, cpus):
        self._write(
            f"pin_emulator {cpus}",
            lambda: self._edit_live("cputune", "emulatorpin", f"<emulatorpin cpuset='{cpus}'/>"),
        )

    def pin_iothread(self, iothread, cpus):
        element = f"<iothreadpin iothread='{iothread}' cpuset='{cpus}'/>"
        self._write(
            f"pin_iothread {iothread} {cpus}",
            lambda: self._edit_live("cputune", f"iothreadpin[@iothread='{iothread}']", element),
        )

    def bind_memory(self, nodeset):
        self._write(
            f"bind_memory {nodeset}",
            lambda: self._edit_live("numatune", "memory", f"<memory mode='restrictive' nodeset='{nodeset}'/>"),
        )

    def set_metadata(self, xml, prefix, namespace, live):
        element = etree.fromstring(xml)
        # As libvirt does: the namespace is put on the root, and what is below inherits it.
        for each in element.iter():
            each.tag = f"{{{namespace}}}{each.tag}"

        def change():
            if live:
                self._must_run("store the intent")
            text = self.guest.live if live else self.guest.config
            if text is None:
                raise LibvirtCallError("store the intent", "transient domains have no persistent config", 55)
            root = etree.fromstring(text)
            metadata = root.find("metadata")
            if metadata is None:
                metadata = etree.Element("metadata")
                root.find("uuid").addnext(metadata)
            for old in metadata.findall(f"{{{namespace}}}intent"):
                metadata.remove(old)
            metadata.append(element)
            text = etree.tostring(root, encoding="unicode")
            if live:
                self.guest.live = text
            else:
                self.guest.config = text

        self._write(f"set_metadata {'live' if live else 'config'}", change)

    def remove_metadata(self, namespace):
        def change():
            self._must_run("remove the intent")
            root = etree.fromstring(self.guest.live)
            metadata = root.find("metadata")
            for old in metadata.findall(f"{{{namespace}}}intent"):
                metadata.remove(old)
            if not len(metadata):
                root.remove(metadata)
            self.guest.live = etree.tostring(root, encoding="unicode")

        self._write("remove_metadata", change)

    def _edit_live(self, parent_tag, path, element):
        self._must_run("change the guest")
        root = etree.fromstring(self.guest.live)
        parent = root.find(parent_tag)
        if parent is None:
            parent = etree.SubElement(root, parent_tag)
        for old in parent.findall(path):
            parent.remove(old)
        parent.append(etree.fromstring(element))
        self.guest.live = etree.tostring(root, encoding="unicode")
        if self.hypervisor.local:
            self.hypervisor._write_process(self.guest, root, self.hypervisor.everything_there)

    def start(self, paused):
        def change():
            if self.guest.live is not None:
                raise LibvirtCallError("start the domain", "domain is already running", 55)
            # As qemu does: a guest with an image goes on as that says, and the image is gone.
            self.hypervisor.run(self.guest, paused, self.guest.image)
            self.guest.image = None

        self._write("start paused" if paused else "start", change)

    def resume(self):
        def change():
            self._must_run("resume the domain")
            self.guest.state = "running"

        self._write("resume", change)

    def _must_run(self, action):
        if self.guest.live is None:
            raise LibvirtCallError(action, "domain is not running", 55)

    def shutdown(self):
        def change():
            self._must_run("shut the domain down")
            if self.hypervisor.obeys_shutdown and self.guest.state == "running":
                self.hypervisor.end(self.guest)

        self._write("shutdown", change)

    def destroy(self):
        def change():
            self._must_run("destroy the domain")
            self.hypervisor.end(self.guest)

        self._write("destroy", change)

    def undefine(self):
        def change():
            if self.guest.image is not None:
                raise LibvirtCallError("undefine the domain", "it has a managed save image", 55)
            self.guest.config = None
            if self.guest.live is None:
                del self.hypervisor.guests[self.guest.name]

        self._write("undefine", change)


def refuse(reason, action="do it"):
    """A planned failure: libvirt refuses the call."""

    def planned(_real):
        raise LibvirtCallError(action, reason, 1)

    return planned


def unsupported(_real):
    """A planned failure: the driver has no such call."""
    raise UnsupportedError("libvirt", "it", "this function is not supported by the connection driver")


def capabilities(kind):
    """4 cells x 2 CPUs, 512 MiB each, as in the lab."""
    cells = "".join(
        f"""<cell id='{cell}'><memory unit='KiB'>524288</memory><pages unit='KiB' size='4'>131072</pages>
        <distances>{"".join(f"<sibling id='{other}' value='{10 if other == cell else 21}'/>" for other in range(4))}
        </distances><cpus num='2'>{
            "".join(
                f"<cpu id='{cpu}' socket_id='{cell}' die_id='0' core_id='{cpu % 2}' siblings='{cpu}'/>"
                for cpu in (2 * cell, 2 * cell + 1)
            )
        }</cpus></cell>"""
        for cell in range(4)
    )
    return f"""<capabilities><host><topology><cells num='4'>{cells}</cells></topology></host>
    <guest><os_type>hvm</os_type><arch name='x86_64'><domain type='{kind}'/></arch></guest></capabilities>"""
