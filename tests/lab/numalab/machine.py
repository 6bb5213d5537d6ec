# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One machine: start it, wait until its libvirt works, find it again, end it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numalab import ssh
from numalab.build import Image, Say
from numalab.errors import LabError
from numalab.hosts import Host, RunPaths, find_host, qemu_command
from numalab.monitor import Monitor, MonitorError
from numalab.process import PATIENCE, OwnedProcess, processor_seconds, running_pid

#: When to give a boot up, in seconds. No boot is expected to take so long: it only bounds a failure.
BOOT_LIMIT = 1800.0

#: The processor time that a boot takes at most until sshd answers, in seconds, unless the machine hangs. 40 are usual;
#: where others want the same processors it can be five times as much, for what they take away counts as ours.
BOOT_WORK = 900.0

#: The processor time that a boot takes at most from one read or write of its disk to the next: what spins for longer
#: will never come up. (Xen's dom0 does so now and then: both its CPUs leave idle and come back to it, for ever.)
IDLE_WORK = 150.0

#: What systemd and the kernel write to the serial port when they will do nothing more. Where a machine is far too busy,
#: systemd's own limits pass before it is up.
_GIVEN_UP = ("Freezing execution", "Kernel panic")

#: QEMU's word for a port that somebody else took between our choice and its start.
_PORT_TAKEN = "Could not set up host forwarding rule"

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def run_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of all run directories: ``NUMA_VIRT_LAB_RUN``, or ``.lab`` at the root of the checkout."""
    environment = os.environ if environment is None else environment
    if environment.get("NUMA_VIRT_LAB_RUN"):
        return Path(environment["NUMA_VIRT_LAB_RUN"]).absolute()
    return Path(__file__).resolve().parents[3] / ".lab"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class HungError(LabError):
    """A machine that will never be up: emulation loses a rewrite of code now and then."""


@dataclass(frozen=True)
class Machine:
    """A machine that was booted, as its state file tells."""

    name: str
    host: Host
    port: int
    image: Image
    paths: RunPaths
    #: What the boot took, in seconds; 0.0 until it is done.
    boot_seconds: float = 0.0

    @property
    def pid(self) -> int | None:
        """The pid of its QEMU, or None when that no longer runs."""
        return running_pid(self.paths.pid)

    @property
    def is_ready(self) -> bool:
        """Whether it runs and has once been seen to work."""
        return self.boot_seconds > 0 and self.pid is not None

    @property
    def remote_uri(self) -> str:
        """The URI of its libvirt, as seen from this machine."""
        transport = self.host.uri.replace("://", f"+ssh://root@127.0.0.1:{self.port}", 1)
        return f"{transport}?keyfile={self.image.key}&no_verify=1"

    def save(self) -> None:
        """Write the state file, whole or not at all."""
        fields = {
            "name": self.name,
            "host": self.host.name,
            "port": self.port,
            "image": str(self.image.directory),
            "boot_seconds": self.boot_seconds,
        }
        draft = self.paths.state.with_suffix(".new")
        draft.write_text(json.dumps(fields, indent=2) + "\n")
        draft.replace(self.paths.state)


def load_machine(name: str, folder: Path) -> Machine | None:
    """Return the machine of this name, running or not, or None when none was booted."""
    paths = RunPaths(folder / name)
    try:
        fields: dict[str, Any] = json.loads(paths.state.read_text())
    except FileNotFoundError:
        return None
    return Machine(
        name=name,
        host=find_host(fields["host"]),
        port=fields["port"],
        image=Image(Path(fields["image"])),
        paths=paths,
        boot_seconds=fields["boot_seconds"],
    )


def load_machines(folder: Path) -> list[Machine]:
    """Return all machines that were booted and not taken down, by name."""
    names = sorted(path.parent.name for path in folder.glob(f"*/{RunPaths(folder).state.name}"))
    return [machine for machine in (load_machine(name, folder) for name in names) if machine is not None]


def check_name(name: str, folder: Path) -> None:
    """Raise :class:`LabError` for a name that cannot be a host name, or whose run directory's path is too long."""
    if not _NAME.fullmatch(name) or len(name) > 32:
        raise LabError(f"{name!r} is no name for a machine: use lower-case letters, digits and single dashes")
    directory = folder / name
    if len(os.fsencode(directory)) > ssh.LONGEST_DIRECTORY:
        raise LabError(
            f"the path {directory} is longer than {ssh.LONGEST_DIRECTORY} bytes, too long for a socket in it: "
            "set NUMA_VIRT_LAB_RUN to a shorter folder"
        )


def take_down(name: str, folder: Path) -> bool:
    """End a machine and delete its disk; return whether it was running. Its serial log stays."""
    paths = RunPaths(folder / name)
    ssh.disconnect(paths, name)
    with OwnedProcess(paths.pid) as process:
        if process.found:
            try:
                # The disk is thrown away, so there is nothing that a shutdown from within would save.
                with Monitor(paths.monitor) as monitor:
                    monitor.execute("quit")
                process.ended(PATIENCE)
            except MonitorError:
                pass
            process.end()
        for path in (paths.state, paths.pid, paths.monitor, paths.disk, paths.ssh_socket):
            path.unlink(missing_ok=True)
        return process.found


def pause(machine: Machine) -> None:
    """Have a machine stand still: it takes no processor time. Its clock stands still too."""
    ssh.disconnect(machine.paths, machine.name)
    with Monitor(machine.paths.monitor) as monitor:
        monitor.execute("stop")


def wake(machine: Machine) -> None:
    """Have a machine go on that stood still; one that runs is left alone."""
    with Monitor(machine.paths.monitor) as monitor:
        if not monitor.execute("query-status")["running"]:
            monitor.execute("cont")


def create_overlay(base: Path, overlay: Path) -> None:
    """Make a qcow2 file that takes the writes to another image, whose name ends in its format."""
    base_format = base.suffix.lstrip(".")
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", base_format, "-b", str(base), str(overlay)],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def start(host: Host, name: str, image: Image, base: Path, paths: RunPaths) -> Machine:
    """Start QEMU in a fresh run directory, on a port that is free, with a disk that covers ``base``."""
    if paths.directory.exists():
        shutil.rmtree(paths.directory)
    paths.directory.mkdir(parents=True, mode=0o700)
    create_overlay(base, paths.disk)
    for attempt in range(5):
        machine = Machine(name, host, free_port(), image, paths)
        paths.known_hosts.write_text(ssh.known_hosts(machine.port, image.host_public_key))
        paths.ssh_config.write_text(ssh.configuration(name, machine.port, image.key, paths))
        machine.save()
        started = subprocess.run(
            qemu_command(host, name, image.directory, paths, machine.port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if started.returncode == 0:
            return machine
        if _PORT_TAKEN not in started.stdout or attempt == 4:
            raise LabError(f"QEMU did not start {name}:\n{started.stdout.strip()}")
    raise AssertionError("unreachable")


def _readiness_check(host: Host) -> str:
    """Return the remote command that succeeds when libvirt lists domains and knows what its hypervisor can do."""
    words = f"list ; domcapabilities --virttype {host.domain_type}"
    return shlex.join(["virsh", "--quiet", "--connect", host.uri, words])


def wait_until_ready(machine: Machine, started: float, say: Say) -> None:
    """Wait until ssh lets us in and libvirt answers; ``started`` is when it was started, by the monotonic clock."""
    check = ssh.command(machine.paths, machine.name, [_readiness_check(machine.host)])
    answer = "sshd does not answer yet"
    answered = False
    disk = _DiskWatch(machine)
    while time.monotonic() < started + BOOT_LIMIT:
        pid = machine.pid
        if pid is None:
            raise LabError(f"{machine.name} died while it booted; the end of its serial log:\n{serial_tail(machine)}")
        if not answered:
            answered, work = _sshd_answers(machine.port), processor_seconds(pid)
            if answered:
                say(f"  {time.monotonic() - started:5.1f} s  sshd of {machine.name} answers")
            elif work > BOOT_WORK:
                raise HungError(f"{machine.name} hangs: no sshd after {work:.0f} s of processor time")
            elif disk.idle_for(work) > IDLE_WORK:
                raise HungError(f"{machine.name} hangs: its disk is idle for {IDLE_WORK:.0f} s of processor time")
            elif any(word in serial_tail(machine) for word in _GIVEN_UP):
                raise HungError(f"{machine.name} has given up; the end of its serial log:\n{serial_tail(machine)}")
            else:
                time.sleep(0.3)
            continue
        try:
            remaining = max(1.0, started + BOOT_LIMIT - time.monotonic())
            done = subprocess.run(
                check, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=remaining, check=False
            )
        except subprocess.TimeoutExpired:
            break
        if done.returncode == 0:
            say(f"  {time.monotonic() - started:5.1f} s  libvirt of {machine.name} answers")
            return
        answer = done.stderr.strip()
        time.sleep(0.3)
    raise LabError(
        f"{machine.name} was not ready after {BOOT_LIMIT:.0f} s ({answer}); the end of its serial log:\n"
        f"{serial_tail(machine)}"
    )


class _DiskWatch:
    """How long a machine has neither read nor written, measured in its processor time."""

    def __init__(self, machine: Machine) -> None:
        self._monitor = machine.paths.monitor
        self._operations = -1
        self._since = 0.0

    def idle_for(self, work: float) -> float:
        """Return the processor time since the last operation; ``work`` is what the machine has taken up to now."""
        try:
            with Monitor(self._monitor) as monitor:
                stats = [each["stats"] for each in monitor.execute("query-blockstats")]
        except (MonitorError, OSError):
            return 0.0  # it is ending, which others see
        operations = sum(each["rd_operations"] + each["wr_operations"] for each in stats)
        if operations != self._operations:
            self._operations, self._since = operations, work
        return work - self._since


def _sshd_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
            return connection.recv(len(ssh.BANNER)) == ssh.BANNER
    except OSError:
        return False


def serial_tail(machine: Machine, lines: int = 20) -> str:
    """Return the last lines that the machine wrote to its serial port."""
    try:
        return "\n".join(machine.paths.serial.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(none)"
