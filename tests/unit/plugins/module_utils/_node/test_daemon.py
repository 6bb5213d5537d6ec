# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is at the other end: what the kernel says of a socket, and what a URI says of a host."""

from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node import daemon as node_daemon
from ansible_collections.numa.virt.plugins.module_utils._node.daemon import daemon_of, open_files, peer
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon

SOCKET = "/run/libvirt/virtqemud-sock"


@pytest.mark.parametrize(
    ("uri", "found", "inside", "rules"),
    [
        ("qemu:///system", Daemon("qemu", "", SOCKET, 0), False, True),
        ("qemu+unix:///system?socket=/x", Daemon("qemu", "", SOCKET, 0), False, True),
        ("xen:///system", Daemon("xen", "", SOCKET, 0), False, True),
        ("test+unix:///default?socket=/x", Daemon("test", "", SOCKET, 0), False, False),
        ("qemu:///session", Daemon("qemu", "", SOCKET, 1000), False, False),
        ("test:///default", Daemon("test"), True, False),
        ("qemu+ssh://root@kvm1.invalid/system", Daemon("qemu", "kvm1.invalid"), False, False),
        ("qemu+ssh://root@localhost/system", Daemon("qemu", "localhost", None, 0, True), False, True),
        ("qemu+ssh://127.0.0.1:2222/system", Daemon("qemu", "127.0.0.1"), False, False),
        ("qemu+tcp://127.0.0.1/session", Daemon("qemu", "127.0.0.1"), False, False),
        ("test+tcp://127.0.0.1/system", Daemon("test", "127.0.0.1", None, 0, True), False, False),
    ],
)
def test_a_daemon(uri, found, inside, rules):
    other = (found.socket, found.uid) if found.socket else None
    assert daemon_of(uri, other) == found
    assert (found.inside, found.rules_host) == (inside, rules)


def test_xen_without_libvirt_rules_its_host():
    assert (Daemon("xl").inside, Daemon("xl").rules_host) == (False, True)


@pytest.mark.parametrize(
    ("daemon", "folders"),
    [
        (Daemon("qemu", "", SOCKET, 0), ("/run/libvirt/qemu", "/run/libvirt/qemu/run", "/run/libvirt/qemu")),
        (Daemon("qemu", "", "/x/libvirt-sock", 1000), ("/x/qemu", "/x/qemu/run")),
        (Daemon("qemu", "kvm1"), ()),
    ],
)
def test_where_a_daemon_keeps_pids(daemon, folders):
    assert daemon.pid_folders == folders


def test_a_name_that_is_found_and_is_another_machines(monkeypatch):
    address = ("192.0.2.1", 0)
    monkeypatch.setattr(node_daemon.socket, "getaddrinfo", lambda *_a, **_k: [(socket.AF_INET, 2, 17, "", address)])
    assert daemon_of("qemu+ssh://kvm1/system", None) == Daemon("qemu", "kvm1")


def test_who_listens(tmp_path):
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as listens, socket.socket(socket.AF_UNIX) as connects:
        listens.bind(path)
        listens.listen()
        pair, file = socket.socketpair(), os.open(path[:-5], os.O_RDONLY)
        before = open_files()
        assert peer(before) is None
        with socket.socket() as inet:
            connects.connect(path)
            assert peer(before - {connects.fileno(), file}) == (path, os.geteuid())
            assert peer(open_files() - {inet.fileno(), pair[0].fileno()}) is None
        os.close(file)
        for each in pair:
            each.close()


def test_a_system_without_proc(monkeypatch):
    def refuse(_path):
        raise FileNotFoundError

    monkeypatch.setattr(os, "listdir", refuse)
    assert open_files() == frozenset()
