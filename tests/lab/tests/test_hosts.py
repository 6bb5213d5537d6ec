# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of hosts and QEMU's command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from numalab.errors import LabError
from numalab.hosts import HOSTS, RunPaths, find_host, qemu_command
from numalab.machine import check_name
from numalab.recipes import SYSTEMS


def command(host: str, folder: str = "/run dir/a,b", name: str = "box", port: int = 4022) -> list[str]:
    """Return the command line of a host, in a run directory whose path is a trap."""
    return qemu_command(HOSTS[host], name, Path("/cache/image"), RunPaths(Path(folder)), port)


@pytest.mark.parametrize("host", sorted(HOSTS))
def test_every_host_has_a_command_line(host: str) -> None:
    arguments = command(host)
    assert arguments[0] == "qemu-system-x86_64"
    assert arguments[arguments.index("-accel") + 1] == "tcg,thread=multi"
    assert arguments[arguments.index("-pidfile") + 1] == "/run dir/a,b/qemu.pid"
    assert arguments[-1] == "-daemonize"


def test_every_kind_is_there_on_every_system_and_looks_the_same() -> None:
    kinds = {host.kind for host in HOSTS.values()}
    assert {(host.kind, host.system) for host in HOSTS.values()} == {(kind, s) for kind in kinds for s in SYSTEMS}
    for host in HOSTS.values():
        first = HOSTS[host.kind]
        assert (host.name == host.kind) == (host.system == SYSTEMS[0])
        assert (host.topology, host.boot, host.driver) == (first.topology, first.boot, first.driver)
        assert host.recipe.suite == host.system.suite


def test_only_the_ssh_port_is_reachable_and_only_from_here() -> None:
    assert "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:4022-:22" in command("kvm")


def test_commas_in_paths_are_doubled_where_qemu_splits_at_them() -> None:
    arguments = command("kvm")
    assert "file,id=serial0,path=/run dir/a,,b/serial.log" in arguments
    assert "socket,id=monitor0,path=/run dir/a,,b/qmp.sock,server=on,wait=off" in arguments


def test_the_boot_method_brings_cpu_kernel_and_options() -> None:
    arguments = command("smt")
    assert arguments[arguments.index("-cpu") + 1] == "max,-erms,-fsrm,-smap,-smep,-umip,-pku,-la57,vendor=GenuineIntel"
    assert arguments[arguments.index("-kernel") + 1] == "/cache/image/vmlinuz"
    assert arguments[arguments.index("-initrd") + 1] == "/cache/image/initrd"
    assert arguments[arguments.index("-append") + 1].endswith(" systemd.hostname=box")


def test_xen_boots_before_dom0_and_both_get_their_options() -> None:
    arguments = command("xen")
    assert arguments[arguments.index("-kernel") + 1] == "/cache/image/xen"
    xen = arguments[arguments.index("-append") + 1].split(" ")
    assert {"console=com1", "dom0_mem=640M,max:640M", "dom0_max_vcpus=1", "dom0_nodes=0"} <= set(xen)
    kernel, initrd = arguments[arguments.index("-initrd") + 1].split(",")
    assert kernel.startswith("/cache/image/vmlinux rw quiet ")
    assert kernel.endswith(" systemd.hostname=box")
    assert " console=hvc0 " in kernel
    assert initrd == "/cache/image/initrd"


def test_commas_in_the_path_of_an_image_part_no_modules() -> None:
    arguments = HOSTS["xen"].boot.qemu_arguments(Path("/a,b"), "box")
    assert arguments[-1].startswith("/a,,b/vmlinux ")
    assert arguments[-1].endswith(",/a,,b/initrd")


def test_xen_cannot_boot_from_a_path_with_a_blank() -> None:
    with pytest.raises(LabError, match="set NUMA_VIRT_LAB_CACHE"):
        HOSTS["xen"].boot.qemu_arguments(Path("/a b"), "box")


def test_machines_of_one_host_have_different_uuids() -> None:
    uuids = {arguments[arguments.index("-uuid") + 1] for arguments in (command("kvm"), command("kvm", name="other"))}
    assert len(uuids) == 2


def test_an_unknown_host_is_refused_by_name() -> None:
    with pytest.raises(LabError, match="no host is called 'vax'; there are: kvm, smt"):
        find_host("vax")


@pytest.mark.parametrize("name", ["", "Kvm", "../kvm", "a--b", "-a", "a b", "9a", "a" * 33])
def test_a_name_that_cannot_be_a_host_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is no name for a machine"):
        check_name(name, tmp_path)


def test_a_run_directory_too_deep_for_sockets_is_refused() -> None:
    with pytest.raises(LabError, match="NUMA_VIRT_LAB_RUN"):
        check_name("kvm", Path("/" + "d" * 90))
