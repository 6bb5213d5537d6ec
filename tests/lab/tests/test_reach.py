# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports, ssh, the monitor, and the inventory."""

from __future__ import annotations

import json
import shlex
import socket
import threading
from pathlib import Path

import pytest
from numalab import ssh
from numalab.build import Image
from numalab.hosts import HOSTS, RunPaths
from numalab.inventory import inventory, to_text
from numalab.machine import Machine, free_port, load_machine, load_machines, run_folder
from numalab.monitor import Monitor, MonitorError


def machine(folder: Path, name: str = "kvm", host: str = "kvm", port: int = 4022) -> Machine:
    """Return a machine that was never booted."""
    return Machine(name, HOSTS[host], port, Image(Path("/cache/kvm-1")), RunPaths(folder / name), 12.5)


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))


def test_a_port_in_use_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        assert listener.getsockname()[1] not in {free_port() for _attempt in range(20)}


def test_run_directories_are_in_the_checkout_unless_told_otherwise() -> None:
    assert run_folder({}) == Path(__file__).resolve().parents[3] / ".lab"
    assert run_folder({"NUMA_VIRT_LAB_RUN": "/short"}) == Path("/short")


def test_a_machine_is_found_again(tmp_path: Path) -> None:
    saved = machine(tmp_path, "box", "smt")
    saved.paths.directory.mkdir()
    saved.save()
    (tmp_path / "other").mkdir()
    assert load_machine("box", tmp_path) == saved
    assert load_machines(tmp_path) == [saved]
    assert load_machine("other", tmp_path) is None
    assert not saved.is_ready


def test_the_uri_from_outside_names_port_and_key(tmp_path: Path) -> None:
    expected = "qemu+ssh://root@127.0.0.1:4022/system?keyfile=/cache/kvm-1/id_ed25519&no_verify=1"
    assert machine(tmp_path).remote_uri == expected


def test_the_uri_of_xen_from_outside_names_its_driver(tmp_path: Path) -> None:
    assert machine(tmp_path, host="xen").remote_uri.startswith("xen+ssh://root@127.0.0.1:4022/system?")


def test_ssh_is_told_everything_in_one_file() -> None:
    text = ssh.configuration("box", 4022, Path("/c d/key"), RunPaths(Path("/r%n")))
    lines = [line.strip() for line in text.splitlines()]
    assert "Port 4022" in lines
    assert 'IdentityFile "/c d/key"' in lines
    assert 'ControlPath "/r%%n/ssh.sock"' in lines
    assert "StrictHostKeyChecking yes" in lines
    assert ssh.known_hosts(4022, "ssh-ed25519 AAAA") == "[127.0.0.1]:4022 ssh-ed25519 AAAA\n"
    assert ssh.command(RunPaths(Path("/r")), "box", ["ls", "-l"]) == ["ssh", "-F", "/r/ssh_config", "box", "ls", "-l"]


def test_the_inventory_groups_machines_by_kind_and_system(tmp_path: Path) -> None:
    document = inventory([machine(tmp_path), machine(tmp_path, "two", "smt"), machine(tmp_path, "three", "smt")])
    groups = document["all"]["children"]["lab"]["children"]  # type: ignore[index, call-overload]
    assert {group: list(members["hosts"]) for group, members in groups.items()} == {  # type: ignore[union-attr]
        "kvm": ["lab-kvm"],
        "smt": ["lab-two", "lab-three"],
        "debian12": ["lab-kvm", "lab-two", "lab-three"],
    }


def test_machines_of_one_kind_are_in_one_group_whatever_their_system(tmp_path: Path) -> None:
    document = inventory([machine(tmp_path), machine(tmp_path, "kvm13", "kvm13"), machine(tmp_path, "xen13", "xen13")])
    groups = document["all"]["children"]["lab"]["children"]  # type: ignore[index, call-overload]
    assert {group: list(members["hosts"]) for group, members in groups.items()} == {  # type: ignore[union-attr]
        "kvm": ["lab-kvm", "lab-kvm13"],
        "xen": ["lab-xen13"],
        "debian12": ["lab-kvm"],
        "debian13": ["lab-kvm13", "lab-xen13"],
    }
    variables = groups["kvm"]["hosts"]  # type: ignore[index, call-overload]
    assert [variables[name]["lab_system"] for name in ("lab-kvm", "lab-kvm13")] == ["debian12", "debian13"]


def test_the_inventory_says_how_to_reach_a_machine_and_what_it_looks_like(tmp_path: Path) -> None:
    document = inventory([machine(tmp_path)])
    variables = document["all"]["children"]["lab"]["children"]["kvm"]["hosts"]["lab-kvm"]  # type: ignore
    assert variables["ansible_host"] == "127.0.0.1"
    assert variables["ansible_port"] == 4022
    assert variables["ansible_pipelining"] is True
    assert variables["ansible_python_interpreter"] == "/usr/local/bin/lab-python"
    assert shlex.split(variables["ansible_ssh_args"])[:2] == ["-F", str(tmp_path / "kvm" / "ssh_config")]
    assert variables["lab_cells"][1] == {"id": 1, "cpus": "2-3", "memory_mib": 512}
    assert variables["lab_distances"][0] == [10, 12, 21, 31]


def test_the_inventory_says_which_driver_a_machine_has(tmp_path: Path) -> None:
    document = inventory([machine(tmp_path, "box", "xen")])
    variables = document["all"]["children"]["lab"]["children"]["xen"]["hosts"]["lab-box"]  # type: ignore
    assert (variables["lab_uri"], variables["lab_driver"], variables["lab_domain_type"]) == (
        "xen:///system",
        "xen",
        "xen",
    )
    assert variables["lab_cells"][3] == {"id": 3, "cpus": "6-7", "memory_mib": 1024}
    assert variables["lab_threads"] == 1


def test_the_inventory_is_yaml(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    document = inventory([machine(tmp_path), machine(tmp_path, "two", "smt")])
    assert yaml.safe_load(to_text(document)) == json.loads(json.dumps(document))


def test_no_machines_make_an_empty_inventory() -> None:
    assert json.loads(to_text(inventory([]))) == {"all": {"children": {"lab": {"children": {}}}}}


class FakeMonitor(threading.Thread):
    """A QMP server for one client: it greets, and then gives these answers, one a command."""

    def __init__(self, path: Path, *answers: object) -> None:
        super().__init__(daemon=True)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._answers = answers
        self.commands: list[str] = []
        self.start()

    def run(self) -> None:
        connection, _address = self._server.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b'{"QMP": {}}\n')
            stream.flush()
            for answer in self._answers:
                self.commands.append(json.loads(stream.readline())["execute"])
                stream.write(b'{"event": "RESUME"}\n' + json.dumps(answer).encode() + b"\n")
                stream.flush()
        self._server.close()


def test_the_monitor_runs_commands_past_events(tmp_path: Path) -> None:
    server = FakeMonitor(tmp_path / "m", {"return": {}}, {"return": {"running": True}})
    with Monitor(tmp_path / "m") as monitor:
        assert monitor.execute("query-status") == {"running": True}
    server.join()
    assert server.commands == ["qmp_capabilities", "query-status"]


def test_a_monitor_that_refuses_or_leaves_is_an_error(tmp_path: Path) -> None:
    FakeMonitor(tmp_path / "m", {"return": {}}, {"error": {"desc": "no such command"}})
    with Monitor(tmp_path / "m") as monitor:
        with pytest.raises(MonitorError, match="no such command"):
            monitor.execute("sing")
        with pytest.raises(MonitorError, match="sing"):
            monitor.execute("sing")


def test_no_monitor_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MonitorError):
        Monitor(tmp_path / "none")
