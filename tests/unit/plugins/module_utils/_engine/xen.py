# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for a Xen host that is driven by xl: 4 cells x 2 CPUs, answering argument vectors as Xen 4.17 does.

It keeps guests in memory, puts their vCPUs where their file says, and their memory where libxl would: on the cells of
a list in ``cpus``, and on the last cell for anything else. It logs every write, and fails where it is told to.
"""

from __future__ import annotations

import os
import pathlib
import uuid
from dataclasses import dataclass, field

from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._xl.command import XlCommand
from ansible_collections.numa.virt.plugins.module_utils._xl.config import XlConfig
from ansible_collections.numa.virt.plugins.module_utils._xl.connection import Connection
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import Host

EVERYTHING = CpuSet(range(8))
CELLS = {cell: CpuSet([2 * cell, 2 * cell + 1]) for cell in range(4)}
TABLE = "Name                                        ID   Mem VCPUs\tState\tTime(s)"


@dataclass
class Running:
    """A guest that runs. ``hard`` and ``soft`` are CPUs by vCPU, None for all; ``pages`` counts pages by cell."""

    name: str
    id: int
    memory: int  # MiB
    hard: dict
    soft: dict
    pages: dict
    pool: str = "Pool-0"
    paused: bool = True
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    down: tuple = ()  # vCPUs that the guest has not brought up


class XenHost(Host):
    """``failures``: command of xl -> what it writes to stderr, once. ``room``: MiB that are free on each cell."""

    def __init__(self, folder):
        self.folder = str(folder / "xen")
        self.backups = str(folder / "backups")
        os.mkdir(self.folder)
        self.guests = {}
        self.log = []
        self.failures = {}
        self.pools = {"Pool-0": EVERYTHING}
        self.room = dict.fromkeys(CELLS, 900)
        self.obeys_shutdown = True
        self.readable_log = True
        self.next_id = 1
        self.config = None  # the option of the next tasks
        self.device_cells = {}  # address -> cell, as Xen knows it
        self.assignable = {}  # name -> address
        self.after = lambda command: None  # a hook behind every command

    def connect(self):
        return Connection(self.config, XlCommand("/usr/sbin/xl", self.run), self.folder)

    def file(self, name="web1", text=None, **parts):
        """Write a configuration file; returns its path."""
        path = os.path.join(self.folder, f"{name}.cfg")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(config(name, **parts) if text is None else text)
        return path

    def text(self, name="web1"):
        with open(os.path.join(self.folder, f"{name}.cfg"), encoding="utf-8", newline="") as file:
            return file.read()

    def everything(self):
        files = {path.name: path.read_bytes() for path in pathlib.Path(self.folder).iterdir()}
        return files, {name: vars(guest).copy() for name, guest in self.guests.items()}

    def run(self, arguments):
        program, command, *rest = arguments
        assert program == "/usr/sbin/xl"
        if command in self.failures:
            return 1, "", self.failures.pop(command)
        try:
            answer = getattr(self, "_" + command.replace("-", "_"))(*rest)
        except StopIteration:
            return 1, "", f"xl: error: {rest[-1]} is an invalid domain identifier"
        self.after(command)
        return answer if isinstance(answer, tuple) else (0, answer, "")

    def add(self, text, paused=False):
        """Start a guest as a person would."""
        path = os.path.join(self.folder, "by-hand")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self._create("-q", path)
        os.unlink(path)
        self.log.clear()

    def _info(self, _n):
        cpus = "\n".join(f"{cpu:3}: {cpu % 2:8} {cpu // 2:8} {cpu // 2:8}" for cpu in EVERYTHING)
        nodes = "\n".join(
            f"{cell:4}: {1024:9} {free:10}      {','.join('10' if cell == each else '21' for each in CELLS)}"
            for cell, free in self.room.items()
        )
        devices = "\n".join(f"{address}      {cell}" for address, cell in self.device_cells.items())
        return f"""host                   : xen
nr_cpus                : 8
max_cpu_id             : 7
nr_nodes               : 4
cpu_topology           :
cpu:    core    socket     node
{cpus}
device topology        :
device           node
{devices or "No device topology data available"}
numa_info              :
node:    memsize    memfree    distances
{nodes}
xen_major              : 4
xen_version            : 4.17.7
"""

    def _pci_assignable_list(self, option):
        assert option == "-n"
        return "0000:00:1f.0 \n" + "".join(f"{address} {name}\n" for name, address in self.assignable.items())

    def _list(self, option):
        rows = [TABLE]
        for guest in self.guests.values():
            state = "--p---" if guest.paused else "-b----"
            row = f"{guest.name:40}{guest.id:6}{guest.memory:6}{len(guest.hard):6}     {state}{1.5:8}"
            rows.append(row + (f" {guest.uuid}        -                -" if option == "-v" else f"  {guest.pool:>14}"))
        return "\n".join(rows) + "\n"

    def _vcpu_list(self, *domids):
        rows = ["Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)"]
        for guest in map(self._guest, domids or [str(each.id) for each in self.guests.values()]):
            for vcpu in sorted(guest.hard):
                hard, soft = (str(each) if each is not None else "all" for each in (guest.hard[vcpu], guest.soft[vcpu]))
                cpu = "-" if vcpu in guest.down else "0"
                rows.append(f"{guest.name:32}{guest.id:6}{vcpu:6}{cpu:>5}   -b-       0.0  {hard} / {soft}")
        return "\n".join(rows) + "\n"

    def _cpupool_list(self, _c):
        rows = ["Name               CPU list"]
        rows += [f"{name:19}{','.join(str(cpu) for cpu in cpus)}" for name, cpus in self.pools.items()]
        return "\n".join(rows) + "\n"

    def _debug_keys(self, key):
        assert key == "u"
        return "" if self.readable_log else (1, "", "cannot send debug keys: Permission denied")

    def _dmesg(self):
        lines = ["'u' pressed -> dumping numa info (now = 1)"]
        lines += [f"NODE{cell} start->0 size->262144 free->1" for cell in CELLS]
        lines.append("Memory location of each domain:")
        for guest in self.guests.values():
            lines.append(f"Domain {guest.id} (total: {sum(guest.pages.values())}):")
            lines += [f"    Node {cell}: {guest.pages.get(cell, 0)}" for cell in CELLS]
        return "".join(f"(XEN) {line}\n" for line in lines)

    def _create(self, *arguments):
        *options, path = arguments
        assert os.path.isabs(path)
        assert set(options) <= {"-q", "-p"}
        with open(path, encoding="utf-8") as file:
            parsed = XlConfig.parse(file.read(), path)
        sets = parsed.affinity(CELLS, EVERYTHING)
        pool = self.pools[parsed.pool]
        if any(each is not None and not each & pool for each in sets):
            return 3, "", "libxl: error: libxl_dom.c:190:numa_place_domain: Hard affinity completely outside of pool!\n"
        # Where it is not told so by a list, libxl chooses; and Xen goes elsewhere where there is no room.
        cells = [cell for cell, cpus in CELLS.items() if cpus & union(each or EVERYTHING for each in sets)]
        cell = 3 if parsed.places_itself else cells[0]
        mib = (parsed.memory or 0) // 1024
        kept = min(mib, self.room[cell])
        pages = {cell: kept * 256, (cell + 1) % 4: (mib - kept) * 256}
        guest = Running(
            parsed.name, self.next_id, mib, dict(enumerate(sets)), dict.fromkeys(range(len(sets))), pages, parsed.pool,
            "-p" in options,
        )  # fmt: skip
        self.next_id += 1
        self.guests[parsed.name] = guest
        self.log.append("create paused" if guest.paused else "create")
        return ""

    def _unpause(self, domid):
        self.log.append("unpause")
        self._guest(domid).paused = False
        return ""

    def _destroy(self, domid):
        self.log.append("destroy")
        del self.guests[self._guest(domid).name]
        return ""

    def _shutdown(self, option, domid):
        assert option == "-F"
        self.log.append("shutdown")
        if self.obeys_shutdown:
            del self.guests[self._guest(domid).name]
        return ""

    def _vcpu_pin(self, domid, vcpu, cpus):
        self.log.append(f"vcpu-pin {vcpu} {cpus}")
        self._guest(domid).hard[int(vcpu)] = None if cpus == "all" else CpuSet.parse(cpus)
        return ""

    def _guest(self, domid):
        return next(each for each in self.guests.values() if str(each.id) == domid)


def config(name="web1", cpus=None, vcpus=2, memory=64, more=""):
    """A file as a person would write it."""
    own = "" if cpus is None else f"cpus   = {cpus} # where\n"
    return f"# {name}, by hand\nname='{name}'\n\nvcpus = {vcpus}; memory = {memory}\n{own}{more}vncpasswd = 's3cret'\n"
