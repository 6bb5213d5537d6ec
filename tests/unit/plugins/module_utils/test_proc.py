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

from ansible_collections.numa.virt.plugins.module_utils import _proc
from ansible_collections.numa.virt.plugins.module_utils._cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._proc import Memory, Thread, find_process, memory, threads

RECORDED = str(Path(__file__).resolve().parents[2] / "fixtures" / "proc")
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
    (tmp_path / "13").mkdir()  # ended in between
    (tmp_path / "self").mkdir()
    assert find_process([KVM], str(tmp_path)) == ({KVM: 12} if found else {})


def test_of_a_tracer_and_its_guest_the_guest_is_taken(tmp_path):
    for pid in ("9", "10"):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes(b"qemu\0-uuid\0" + KVM.encode() + b"\0")
    assert find_process([KVM], str(tmp_path)) == {KVM: 10}


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
    thread = Thread(1, name, cpus("0"), cpus("0"))
    assert (thread.vcpu, thread.iothread) == (vcpu, iothread)


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
        Memory(((1, 32768),), "bind:1"),
    ),
    "huge pages of 1 GiB": (
        ["7f00 bind:0 file=/anon_hugepage\\040(deleted) huge anon=2 dirty=2 N0=1 N3=1 kernelpagesize_kB=1048576"],
        Memory(((0, 1048576), (3, 1048576)), "bind:0"),
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
def test_of_this_very_process():
    command = [sys.executable, "-c", "print(flush=True); input()", "-uuid", KVM]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()  # the kernel shows a command line only some time after exec()
        assert find_process([KVM]).get(KVM) == child.pid
        (thread,) = threads(child.pid)
        assert thread.cpus == CpuSet(os.sched_getaffinity(child.pid))
        found = _proc.memory(child.pid)
        assert found is None or sum(kib for _cell, kib in found.kib) > 0
    finally:
        child.communicate()
