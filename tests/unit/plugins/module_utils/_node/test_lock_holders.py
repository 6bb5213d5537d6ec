# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds a lock, by what the kernel shows."""

from __future__ import annotations

import os

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node.lock_holders import (
    Holder,
    booted_at,
    holders,
    in_words,
    started_at,
)


@pytest.fixture
def lock(tmp_path):
    with open(tmp_path / "lock", "w", encoding="utf-8") as file:
        yield file.fileno()


def locks(folder, handle, *entries):
    there = os.fstat(handle)
    place = f"{os.major(there.st_dev):02x}:{os.minor(there.st_dev):02x}:{there.st_ino}"
    lines = [f"{number}: {entry.replace('@', place)}\n" for number, entry in enumerate(entries, 1)]
    (folder / "locks").write_text("".join(lines))


def process(folder, pid, **files):
    (folder / str(pid) / "fdinfo").mkdir(parents=True)
    for name, text in files.items():
        (folder / str(pid) / name).write_text(text)


def test_holders_by_what_the_kernel_says(tmp_path, lock):
    locks(
        tmp_path,
        lock,
        "FLOCK  ADVISORY  WRITE 12 @ 0 EOF",
        "-> FLOCK  ADVISORY  WRITE 13 @ 0 EOF",  # waits
        f"FLOCK  ADVISORY  READ {os.getpid()} @ 0 EOF",
        "FLOCK  ADVISORY  WRITE 15 00:00:1 0 EOF",
        "POSIX  ADVISORY  WRITE 16 @ 0 EOF",
        "nonsense",
    )
    ticks = 500 * os.sysconf("SC_CLK_TCK")
    process(
        tmp_path, 12, comm="python3\n", cmdline="python3\0/x/AnsiballZ_numa_placement.py\0",
        stat=f"12 (a) b) S {'0 ' * 18}{ticks} 0\n",
    )  # fmt: skip
    (tmp_path / "stat").write_text("cpu 1\nbtime 1000000000\n")
    (found,) = holders(lock, str(tmp_path))
    assert (found.pid, found.what, found.since) == (12, "numa_placement", "2001-09-09 01:55:00 UTC")
    assert in_words([found]) == f"; held by pid 12 of {found.user} (numa_placement) since 2001-09-09 01:55:00 UTC"
    assert found.as_result() == {"pid": 12, "user": found.user, "what": found.what, "since": found.since}


def test_a_lock_of_an_open_file_is_his_who_has_it_open(tmp_path, lock):
    locks(tmp_path, lock, "OFDLCK ADVISORY  WRITE -1 @ 7 7")
    inode = os.fstat(lock).st_ino
    process(tmp_path, 12, comm="a\x1b[31mb\n")
    (tmp_path / "12" / "fdinfo" / "3").write_text(f"pos:\t0\nlock:\t1: OFDLCK ADVISORY  WRITE -1 00:1a:{inode} 7 7\n")
    process(tmp_path, 13)
    (tmp_path / "13" / "fdinfo" / "3").write_text("pos:\t0\n")
    (found,) = holders(lock, str(tmp_path))
    assert (found.pid, found.what, found.since) == (12, "a?[31mb".replace("[", "?"), None)


def test_nobody_is_known(tmp_path, lock):
    assert holders(lock, str(tmp_path)) == []
    assert booted_at(str(tmp_path)) is None
    assert in_words([]) == ""


def test_one_that_has_ended(tmp_path, lock):
    locks(tmp_path, lock, "FLOCK  ADVISORY  WRITE 12 @ 0 EOF")
    assert holders(lock, str(tmp_path)) == [Holder(12)]
    assert str(Holder(12)) == "pid 12"


def test_a_user_without_a_name(tmp_path, lock, monkeypatch):
    locks(tmp_path, lock, "FLOCK  ADVISORY  WRITE 12 @ 0 EOF")
    process(tmp_path, 12)
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result([*real(path)[:4], 987654, *real(path)[5:]]))
    assert holders(lock, str(tmp_path)) == [Holder(12, "uid 987654")]


@pytest.mark.parametrize("text", ["", "12 (a) S 1", f"12 (a) S {'0 ' * 18}x 0"])
def test_a_start_that_is_not_told(tmp_path, text):
    (tmp_path / "stat").write_text("btime 1\n")
    process(tmp_path, 12, stat=text)
    assert started_at(booted_at(str(tmp_path)), str(tmp_path / "12")) is None
