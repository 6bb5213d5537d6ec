# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""/proc as it was recorded on a real host, and as it can be in between.

fixtures/proc is of a host with 4 cells x 2 CPUs (libvirt 9.0, QEMU 7.2, Linux 6.1): process 656 is a KVM guest that was
placed on cell 0, 700 a TCG guest on cell 1, both with two vCPUs, one IO thread and 32 MiB of memory in mode strict.
"""

from __future__ import annotations

import builtins
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node import processes as node_processes
from ansible_collections.numa.virt.plugins.module_utils._node.processes import (
    Processes,
    find_process,
    memory,
    scheduler_of,
    thread,
    threads,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon
from ansible_collections.numa.virt.plugins.module_utils._values.observation import SCHEDULER, Memory, Scheduler, Thread

RECORDED = str(Path(__file__).resolve().parents[3] / "fixtures" / "proc")
SCOPE = "0::/machine.slice/machine-qemu\\x2d1\\x2dweb1.scope/libvirt/emulator\n"
KVM, TCG = "8e3ddba4-e5b7-4a6a-92ab-55b72c978b3f", "bc5a328a-d54e-4d14-97d2-0a9e982beb6a"


def cpus(text):
    return CpuSet.parse(text)


# --- which process


def test_guests_are_found_by_uuid():
    other = "00000000-0000-4000-8000-000000000000"
    assert find_process([TCG, other, KVM], RECORDED) == {KVM: 656, TCG: 700}
    assert find_process([other], RECORDED) == {}
    assert find_process([], RECORDED) == {}


@pytest.mark.parametrize(
    ("cmdline", "found"),
    [
        (b"/usr/bin/qemu\0-uuid\0%s\0-S\0", True),
        (b"/usr/bin/qemu\0-uuid\0%s", True),
        (b"", False),  # a thread of the kernel, or a process that is ending
        (b"/usr/bin/qemu\0-uuid", False),
        (b"/usr/bin/qemu\0-uuid\0", False),
        (b"/usr/bin/qemu\0-name\0%s\0", False),
        (b"vi %s\0", False),
        (b"\xff\xfe\0-uuid\0%s\0", True),
    ],
)
def test_command_lines(tmp_path, cmdline, found):
    (tmp_path / "12").mkdir()
    (tmp_path / "12" / "cmdline").write_bytes(cmdline.replace(b"%s", KVM.encode()))
    (tmp_path / "12" / "cgroup").write_text(SCOPE)
    (tmp_path / "13").mkdir()  # ended in between
    (tmp_path / "self").mkdir()
    assert find_process([KVM], str(tmp_path)) == ({KVM: 12} if found else {})


def test_of_a_tracer_and_its_guest_the_guest_is_taken(tmp_path):
    for pid in ("9", "10"):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes(b"qemu\0-uuid\0" + KVM.encode() + b"\0")
        (tmp_path / pid / "cgroup").write_text(SCOPE)
    assert find_process([KVM], str(tmp_path)) == {KVM: 10}


# --- which process is believed


class Machine:
    """A /run and a /proc of a daemon of this user, whom its tests take for root or for another."""

    def __init__(self, folder, monkeypatch, uid=None):
        self.uid = os.geteuid() if uid is None else uid
        self.proc, self.pids = folder / "proc", folder / "libvirt" / "qemu"
        self.proc.mkdir()
        self.pids.mkdir(parents=True)
        self.scans = 0
        monkeypatch.setattr(node_processes, "ROOT", str(self.proc))
        real = node_processes.find_process

        def counted(*arguments):
            self.scans += 1
            return real(*arguments)

        monkeypatch.setattr(node_processes, "find_process", counted)

    def process(self, pid=12, uuid=KVM, cgroup=SCOPE, started=None):
        folder = self.proc / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "cmdline").write_bytes(b"qemu\0-uuid\0" + uuid.encode() + b"\0")
        if cgroup is not None:
            (folder / "cgroup").write_text(cgroup)
        if started is not None:
            (self.proc / "stat").write_text("cpu 1 2\nbtime 1000\nprocesses 5\n")
            ticks = int((started - 1000) * os.sysconf("SC_CLK_TCK"))
            (folder / "stat").write_text(f"{pid} (a) b) S {' '.join(['0'] * 18)} {ticks} 0 0\n")

    def write(self, text="12", name="web1", mode=0o644):
        path = self.pids / f"{name}.pid"
        path.write_text(text)
        path.chmod(mode)
        os.utime(path, (5000, 5000))

    def pid_of(self, name="web1", uuid=KVM):
        return self.processes.pid_of(name, uuid)

    @property
    def processes(self):
        return Processes(Daemon("qemu", "", str(self.pids.parent / "libvirt-sock"), self.uid))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Root's daemon; where the tests are another user's, its files are still theirs."""
    machine = Machine(tmp_path, monkeypatch, 0)
    real = os.fstat
    if os.geteuid() != 0:
        monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result([*real(handle)[:4], 0, *real(handle)[5:]]))
    return machine


def test_the_daemons_own_file_says_it_and_nothing_else_is_looked_at(root):
    root.process()
    root.process(13)  # calls itself the same
    root.write("12\n")
    assert (root.pid_of(), root.scans) == (12, 0)


@pytest.mark.parametrize("started", [900, 5000, 5050])
def test_a_process_that_began_before_its_file_was_written(root, started):
    root.process(started=started)
    root.write()
    assert (root.pid_of(), root.scans) == (12, 0)


def test_a_pid_that_was_used_again_is_not_believed(root):
    root.process(started=5100, cgroup="0::/system.slice/libvirtd.service\n")
    root.write()
    assert (root.pid_of(), root.scans) == (0, 1)


@pytest.mark.parametrize(
    "cgroup",
    [
        "0::/system.slice/libvirtd.service\n",  # cgroup_controllers = [] in qemu.conf
        "12:cpuset:/machine/qemu-1-web1.libvirt-qemu/emulator\n0::/x\n",
        None,
    ],
)
def test_by_its_file_a_guest_needs_no_group_of_its_own(root, cgroup):
    root.process(cgroup=cgroup)
    root.write()
    assert root.pid_of() == 12


@pytest.mark.parametrize(
    "cgroup",
    [
        "0::/user.slice/user-1000.slice/user@1000.service/machine-qemu\\x2d1\\x2dweb1.scope\n",
        "0::/user.slice/user-1000.slice/session-1.scope\n",
    ],
)
def test_what_a_user_who_has_logged_in_runs_is_no_guest_of_roots(root, cgroup):
    root.process(cgroup=cgroup)
    root.write()
    assert (root.pid_of(), root.scans) == (0, 1)


@pytest.mark.parametrize("cgroup", ["0::/system.slice/cron.service\n", "", "x\n", None])
def test_without_a_file_only_what_is_in_a_guests_group_is_believed(root, cgroup):
    root.process(cgroup=cgroup)
    assert root.pid_of() == 0
    root.process(13)
    assert root.pid_of() == 13


def test_all_processes_are_looked_at_once(root):
    root.process()
    processes = root.processes
    assert [processes.pid_of("web1", KVM), processes.pid_of("web2", TCG), processes.pid_of("web1", KVM)] == [12, 0, 12]
    assert root.scans == 1


@pytest.mark.parametrize("text", ["", "x", "-12", "12 13", "99999999999", "12\0", "\u0661"])
def test_a_file_that_holds_no_pid(root, text):
    root.process(12, cgroup=None)
    root.write(text)
    assert root.pid_of() == 0


@pytest.mark.parametrize("name", ["", "../qemu/web1", "a/b", "a\0b", "x" * 300, "\udc80"])
def test_a_name_is_no_path(root, name):
    root.process(cgroup=None)
    root.write()
    assert root.pid_of(name) == 0


@pytest.mark.parametrize("trap", ["link", "fifo", "open file", "open folder", "link to a folder", "another guest's"])
def test_what_others_could_have_put_there_is_not_believed(root, tmp_path, trap):
    root.process(cgroup="0::/system.slice/x.service\n")
    root.write()
    path = root.pids / "web1.pid"
    if trap == "link":
        path.rename(tmp_path / "mine")
        path.symlink_to(tmp_path / "mine")
    elif trap == "fifo":
        path.unlink()
        os.mkfifo(path)
    elif trap == "open file":
        path.chmod(0o666)
    elif trap == "open folder":
        root.pids.chmod(0o777)
    elif trap == "link to a folder":
        root.pids.rename(tmp_path / "elsewhere")
        root.pids.symlink_to(tmp_path / "elsewhere")
    else:
        root.process(uuid=TCG, cgroup="0::/system.slice/x.service\n")
    assert root.pid_of() == 0


def test_files_of_another_user_are_not_believed(root, monkeypatch):
    root.process(cgroup=None)
    root.write()
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result([*real(handle)[:4], 54321, *real(handle)[5:]]))
    assert root.pid_of() == 0


def test_of_a_daemon_of_a_user_its_owner_is_believed(tmp_path, monkeypatch):
    """A session has no groups of its own; its files are in another folder."""
    machine = Machine(tmp_path, monkeypatch, 54321)
    real_stat, real_fstat = os.stat, os.fstat
    owner = [54321]

    def owned(there):
        return os.stat_result([*there[:4], owner[0], *there[5:]])

    monkeypatch.setattr(os, "stat", lambda path: owned(real_stat(path)))
    monkeypatch.setattr(os, "fstat", lambda handle: owned(real_fstat(handle)))
    machine.process(cgroup="0::/user.slice/user-54321.slice/session-1.scope\n")
    machine.pids = machine.pids / "run"
    machine.pids.mkdir()
    machine.write()
    daemon = Daemon("qemu", "", str(tmp_path / "libvirt" / "libvirt-sock"), 54321)
    assert (Processes(daemon).pid_of("web1", KVM), machine.scans) == (12, 0)
    (machine.pids / "web1.pid").unlink()
    assert (Processes(daemon).pid_of("web1", KVM), machine.scans) == (12, 1)
    owner[0] = 1000
    assert Processes(daemon).pid_of("web1", KVM) == 0
    owner[0] = 54321
    machine.write("99")
    assert Processes(daemon).pid_of("web1", TCG) == 0
    assert not node_processes._lives_with(99, 54321, True), "it has ended"


def test_a_daemon_without_a_socket_has_no_files(root):
    assert Processes(Daemon("qemu")).pid_of("web1", KVM) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_a_process_of_another_user_does_not_pass_for_a_guest():
    """With the kernel's own files: the arguments and the names of threads are right, and whose it is is not."""
    program = "import ctypes,sys; ctypes.CDLL(None).prctl(15, b'CPU 0/KVM'); print(flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        ["/usr/bin/python3", "-c", program, "-uuid", KVM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        user=65534,
        cwd="/",
    )
    try:
        child.stdout.readline()
        assert [thread.vcpu for thread in threads(child.pid)] == [0]
        assert find_process([KVM]) == {}
        assert Processes(Daemon("qemu", "", "/nowhere/libvirt-sock", 0)).pid_of("web1", KVM) == 0
        assert find_process([KVM], owner=65534) == {KVM: child.pid}
    finally:
        child.communicate()


def test_a_system_without_proc(tmp_path):
    assert find_process([KVM], str(tmp_path / "none")) == {}


# --- threads


def test_threads_of_a_kvm_guest():
    assert [(each.tid, each.name, each.vcpu, each.iothread) for each in threads(656, RECORDED)] == [
        (656, "qemu-system-x86", None, None),
        (659, "qemu-system-x86", None, None),
        (661, "IO iothread1", None, 1),
        (664, "IO mon_iothread", None, None),
        (665, "CPU 0/KVM", 0, None),
        (666, "CPU 1/KVM", 1, None),
    ]
    assert {(each.cpus, each.mems) for each in threads(656, RECORDED)} == {(cpus("0-1"), cpus("0"))}


def test_threads_of_a_tcg_guest():
    assert [each.vcpu for each in threads(700, RECORDED)] == [None, None, None, None, 0, 1]
    assert {(each.cpus, each.mems) for each in threads(700, RECORDED)} == {(cpus("2-3"), cpus("1"))}


@pytest.mark.parametrize(
    ("name", "vcpu", "iothread"),
    [
        ("CPU 0/KVM", 0, None),
        ("CPU 123/KVM", 123, None),
        ("CPU 7/TCG", 7, None),
        ("CPU 1000000/KV", 1000000, None),  # the kernel keeps 15 characters
        ("CPU", None, None),
        ("vCPU 1/KVM", None, None),
        ("IO iothread12", None, 12),
        ("IO mon_iothread", None, None),
        ("vhost-656", None, None),
        ("", None, None),
    ],
)
def test_what_a_name_says(name, vcpu, iothread):
    found = thread(1, name, cpus("0"), cpus("0"))
    assert (found.vcpu, found.iothread) == (vcpu, iothread)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"1 1", Scheduler("fifo", 1)),
        (b"99 2", Scheduler("rr", 99)),
        (b"0 0", Scheduler("other")),
        (b"0 3", Scheduler("batch")),
        (b"0 5", Scheduler("idle")),
        (b"0 6", None),  # deadline
    ],
)
def test_how_a_thread_is_scheduled(fields, expected):
    stat = b"7 (CPU 0) S 1/KVM) S " + b" ".join([b"9"] * 36) + b" " + fields + b" 0 0\n"
    assert scheduler_of(stat) == expected


def test_a_thread_that_is_gone_has_no_scheduler():
    assert scheduler_of(b"") is None
    assert scheduler_of(b"7 (x) S 1 2") is None


def test_the_kernel_says_how_this_process_is_scheduled():
    (this, *_others) = threads(os.getpid(), more={SCHEDULER})
    assert this.scheduler is not None and this.scheduler.policy in ("other", "batch", "idle")
    assert threads(os.getpid())[0].scheduler is None


STATUS = "Name:\t{name}\nUmask:\t0022\nState:\tS (sleeping)\nCpus_allowed:\t3\nCpus_allowed_list:\t{cpus}\n{more}"


def _process(root, statuses):
    for tid, status in statuses.items():
        folder = root / "5" / "task" / str(tid)
        folder.mkdir(parents=True)
        if status is not None:
            (folder / "status").write_bytes(status if isinstance(status, bytes) else status.encode())
    return threads(5, str(root))


def test_threads_in_the_order_of_their_ids_without_those_that_end_meanwhile(tmp_path):
    mems = "Mems_allowed_list:\t0-3\n"
    found = _process(
        tmp_path,
        {
            10: STATUS.format(name="ten", cpus="0-1,4", more=mems),
            9: STATUS.format(name="nine", cpus="2", more=mems),
            11: None,
            12: "",
        },
    )
    assert found == (Thread(9, "nine", cpus("2"), cpus("0-3")), Thread(10, "ten", cpus("0-1,4"), cpus("0-3")))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        # A kernel without cpusets, or without NUMA, says no cells.
        (STATUS.format(name="a", cpus="1", more=""), [("a", "1", "")]),
        (STATUS.format(name="a", cpus="1", more="Mems_allowed_list:\t\n"), [("a", "1", "")]),
        (STATUS.format(name="a", cpus="1", more="Mems_allowed_list:\tx\n"), [("a", "1", "")]),
        # Malformed, or cut short while the thread ended: nothing is known of it.
        (STATUS.format(name="a", cpus="", more=""), []),
        (STATUS.format(name="a", cpus="0-", more=""), []),
        ("Name:\ta\nCpus_allo", []),
        ("Cpus_allowed_list 1\n", []),
        ("Cpus_allowed_list:\t1", [("", "1", "")]),
        (b"Name:\t\xff\xfe\nCpus_allowed_list:\t1\n", [("\ufffd\ufffd", "1", "")]),
        # Everybody names his threads as he likes; the kernel escapes line feeds only.
        (STATUS.format(name="a:\tb\u2028\x0bCpus_allowed_list:\t7", cpus="1", more=""), None),
    ],
)
def test_malformed_lines(tmp_path, status, expected):
    found = _process(tmp_path, {5: status})
    if expected is None:
        assert found[0].cpus == cpus("1")
    else:
        assert [(each.name, str(each.cpus), str(each.mems)) for each in found] == expected


def test_a_process_that_is_gone(tmp_path):
    assert threads(4, str(tmp_path)) == ()
    assert memory(4, str(tmp_path)) is None


def test_a_thread_that_ends_while_it_is_read(monkeypatch):
    """The kernel says ESRCH where the file could still be opened."""
    real = builtins.open

    class Ending:
        def __enter__(self):
            return self

        def __exit__(self, *_error):
            return None

        def read(self):
            raise ProcessLookupError(errno.ESRCH, "No such process")

    monkeypatch.setattr(
        builtins, "open", lambda path, *rest: Ending() if "/task/666/" in str(path) else real(path, *rest)
    )
    assert [each.tid for each in threads(656, RECORDED)] == [656, 659, 661, 664, 665]


# --- memory


def test_memory_of_a_kvm_guest():
    found = memory(656, RECORDED)
    assert found.policy == "bind:0"
    assert [cell for cell, _kib in found.kib] == [0]
    assert _by_awk(656) == dict(found.kib)


def test_memory_of_a_tcg_guest():
    found = memory(700, RECORDED)
    assert found.policy == "bind:1"
    assert [cell for cell, _kib in found.kib] == [1]
    assert _by_awk(700) == dict(found.kib)


def _by_awk(pid):
    """The same sum by another route."""
    program = r"""!/ stack/ && (!/file=/ || /memfd:/) { for (i = 3; i <= NF; i++) if ($i ~ /^N[0-9]+=/) {
        split(substr($i, 2), part, "="); sum[part[1]] += part[2] * 4 } }
        END { for (cell in sum) print cell, sum[cell] }"""
    path = os.path.join(RECORDED, str(pid), "numa_maps")
    said = subprocess.run(["awk", program, path], stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    return {int(cell): int(kib) for cell, kib in (line.split() for line in said.splitlines())}


def _memory(tmp_path, *lines):
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "numa_maps").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return memory(5, str(tmp_path))


MAPS = {
    "huge pages": (
        ["7f00 bind:1 file=/dev/hugepages/libvirt/qemu/1-web/mem.a\\040(deleted) huge N1=16 kernelpagesize_kB=2048"],
        Memory(((1, 32768),), "bind:1", ((1, 2048, 32768),)),
    ),
    "huge pages of 1 GiB": (
        ["7f00 bind:0 file=/anon_hugepage\\040(deleted) huge anon=2 dirty=2 N0=1 N3=1 kernelpagesize_kB=1048576"],
        Memory(((0, 1048576), (3, 1048576)), "bind:0", ((0, 1048576, 1048576), (3, 1048576, 1048576))),
    ),
    "shared memory": (
        ["7f00 interleave:0-1 file=/memfd:memory-backend-memfd\\040(deleted) dirty=8 N0=4 N1=4 kernelpagesize_kB=4",
         "7f01 default file=/dev/shm/ram N0=1 kernelpagesize_kB=4"],
        Memory(((0, 20), (1, 16)), "interleave:0-1"),
    ),
    "code and libraries are everybody's": (
        ["5600 default file=/usr/bin/qemu-system-x86_64 mapped=500 N0=500 kernelpagesize_kB=4",
         "7f00 bind:2 anon=3 dirty=3 N2=3 kernelpagesize_kB=4"],
        Memory(((2, 12),), "bind:2"),
    ),
    "the stack was there before the policy": (
        ["7ffc default stack anon=40 N3=40 kernelpagesize_kB=4", "7f00 bind:2 anon=1 N2=1 kernelpagesize_kB=4"],
        Memory(((2, 4),), "bind:2"),
    ),
    "the policy of the largest mapping that has one": (
        ["7f00 bind:0 anon=2 N0=2 kernelpagesize_kB=4", "7f01 bind:1 anon=3 N1=3 kernelpagesize_kB=4",
         "7f02 bind:2 anon=3 N2=3 kernelpagesize_kB=4", "5600 default heap anon=99 N0=99 kernelpagesize_kB=4"],
        Memory(((0, 404), (1, 12), (2, 12)), "bind:1"),
    ),
    "nothing is touched yet": (["7f00 bind:3"], Memory((), "bind:3")),
    "the policy that the process has not": (
        [
            "7f00 prefer (many):3 anon=9 N3=9 kernelpagesize_kB=4",
            "7f01 prefer (many):3 file=/usr/lib/x mapped=1 N0=1 kernelpagesize_kB=4",
            "7f02 prefer:3 anon=1 N3=1 kernelpagesize_kB=4",
        ],
        Memory(((3, 40),), "prefer:3"),
    ),
    "one policy for all": (
        [
            "7f00 interleave:0-1 anon=9 N0=5 N1=4 kernelpagesize_kB=4",
            "7f02 interleave:0-1 anon=1 N1=1 kernelpagesize_kB=4",
        ],
        Memory(((0, 20), (1, 20)), "interleave:0-1"),
    ),
    "no policy": (["7f00 default anon=1 N0=1 kernelpagesize_kB=4"], Memory(((0, 4),), "default")),
    "an old kernel names no page size": (["7f00 default anon=2 N1=2"], Memory(((1, 8),), "default")),
    "static": (["7f00 bind=static:0-1 anon=1 N0=1"], Memory(((0, 4),), "bind=static:0-1")),
    "preferred": (["7f00 prefer:2 anon=1 N2=1"], Memory(((2, 4),), "prefer:2")),
    "several preferred": (["7f00 prefer (many):0-1 anon=1 N0=1"], Memory(((0, 4),), "prefer (many):0-1")),
    "weighted": (["7f00 weighted interleave:0-1 anon=1 N0=1"], Memory(((0, 4),), "weighted interleave:0-1")),
    "local": (["7f00 local anon=1 N0=1"], Memory(((0, 4),), "local")),
    "cut short": (["7f00", "", "7f01 bind:1 anon=1 N1=1 kernelpage"], Memory(((1, 4),), "bind:1")),
    "malformed": (["x", "7f00 bind:1 N=3 N1= Nx=1 N1=y N2=2"], Memory(((2, 8),), "bind:1")),
}  # fmt: skip


@pytest.mark.parametrize("kind", MAPS)
def test_memory(tmp_path, kind):
    lines, expected = MAPS[kind]
    assert _memory(tmp_path, *lines) == expected


def test_memory_that_this_user_may_not_see(tmp_path):
    """The kernel lets everybody open the file of another user's process, and then says that it is empty."""
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "numa_maps").write_bytes(b"")
    assert memory(5, str(tmp_path)) is None


def test_memory_where_opening_is_refused(monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(builtins, "open", refuse)
    assert memory(656, RECORDED) is None
    assert threads(656, RECORDED) == ()


# --- the machine that this runs on


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's own files are Linux's")
def _user_of(pid):
    return os.stat(f"/proc/{pid}").st_uid


def test_of_this_very_process():
    command = [sys.executable, "-c", "print(flush=True); input()", "-uuid", KVM]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()  # the kernel shows a command line only some time after exec()
        assert find_process([KVM], owner=_user_of(child.pid)).get(KVM) == (child.pid if os.geteuid() else None)
        assert find_process([KVM]) == {}, "anybody may call a process so"
        (thread,) = threads(child.pid)
        assert thread.cpus == CpuSet(os.sched_getaffinity(child.pid))
        found = node_processes.memory(child.pid)
        assert found is None or sum(kib for _cell, kib in found.kib) > 0
    finally:
        child.communicate()
