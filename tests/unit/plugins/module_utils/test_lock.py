# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time for each domain."""

from __future__ import annotations

import os
import stat
import threading
import time

import pytest

from ansible_collections.numa.virt.plugins.module_utils._lock import (
    BusyError,
    host_at_a_time,
    lock_directory,
    one_at_a_time,
)


def test_the_second_waits_for_the_first(tmp_path):
    folder, order = str(tmp_path / "state" / "lock"), []
    inside = threading.Event()

    def first():
        with one_at_a_time(folder, "web1"):
            inside.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with one_at_a_time(folder, "web1"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_patience_ends(tmp_path):
    folder = str(tmp_path)
    with one_at_a_time(folder, "web1"), pytest.raises(BusyError) as error, one_at_a_time(folder, "web1", seconds=0):
        pass
    assert str(error.value) == "another run has been changing domain 'web1' for 0 s; run again when it has ended"
    # What held it has let it go.
    with one_at_a_time(folder, "web1", seconds=0):
        pass


def test_a_plan_for_the_host_waits_for_domains_and_they_for_it(tmp_path):
    folder = str(tmp_path)
    with one_at_a_time(folder, "web1"), one_at_a_time(folder, "web2", seconds=0):
        with pytest.raises(BusyError) as error, host_at_a_time(folder, 0):
            pass
        assert (
            str(error.value) == "another run has been changing guests of this host for 0 s; run again when it has ended"
        )
        with host_at_a_time(folder, 0, "elsewhere"):
            pass
    with host_at_a_time(folder, 0):
        said = "another run has been changing the placement of guests on this host"
        with pytest.raises(BusyError, match=said), one_at_a_time(folder, "web1", seconds=0):
            pass
        with pytest.raises(BusyError), host_at_a_time(folder, 0):
            pass
        with one_at_a_time(folder, "web1", seconds=0, where="elsewhere"):
            pass


def test_an_error_lets_it_go(tmp_path):
    folder = str(tmp_path)
    with pytest.raises(KeyError), one_at_a_time(folder, "web1"):
        raise KeyError
    with one_at_a_time(folder, "web1", seconds=0):
        pass


@pytest.mark.parametrize("name", ["web1", "../../etc/passwd", "a b;$(c)", "\udc80", ""])
def test_a_name_is_no_path(tmp_path, name):
    folder = tmp_path / "lock"
    with one_at_a_time(str(folder), name):
        files = os.listdir(folder)  # the domain's, and the host's
        assert [len(file) for file in files] == [16, 16]
        assert {stat.S_IMODE(os.stat(folder / file).st_mode) for file in files} == {0o600}
    assert os.listdir(tmp_path) == ["lock"]


def test_nothing_is_locked_where_nothing_can_be(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for directory in (None, str(file)):
        with one_at_a_time(directory, "web1"), one_at_a_time(directory, "web1", seconds=0):
            pass
    assert file.read_text() == ""


def test_where(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert lock_directory() == "/var/lib/numa.virt/lock"
