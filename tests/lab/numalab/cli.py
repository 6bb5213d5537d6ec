# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the lab."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Callable

from numalab import belongings, ssh
from numalab.bring_up import boot, ensure_disk
from numalab.doctor import examine
from numalab.errors import LabError, UnavailableError
from numalab.hosts import HOSTS, Host, find_host
from numalab.images import cache_folder, image_of, is_built, outdated, remove_image
from numalab.inventory import inventory, inventory_name, to_text
from numalab.machine import Machine, check_name, load_machines, pause, run_folder, take_down, wake
from numalab.packages import HOST_PACKAGES
from numalab.recipes import Recipe

#: What marks all that this command starts.
_RUN = belongings.new_name()

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 3

#: The name under which ``run`` tells its command where the inventory is.
INVENTORY_VARIABLE = "NUMA_VIRT_LAB_INVENTORY"

#: The file, in the run folder, that always lists the machines that are up.
_INVENTORY_FILE = "inventory.yml"


def say(message: str) -> None:
    """Tell the user how it goes, apart from the output proper."""
    print(message, file=sys.stderr, flush=True)


def _recipes(hosts: Sequence[Host]) -> list[Recipe]:
    """Return the recipes of these hosts, each once."""
    return list(dict.fromkeys(host.recipe for host in hosts))


def _running(names: Sequence[str] = ()) -> list[Machine]:
    """Return the machines that are up: these, or all."""
    machines = [machine for machine in load_machines(run_folder()) if machine.is_ready]
    missing = sorted(set(names) - {machine.name for machine in machines})
    if missing:
        raise LabError(f"not up: {', '.join(missing)}")
    return [machine for machine in machines if not names or machine.name in names]


def _write_inventory(path: Path, machines: Sequence[Machine]) -> None:
    descriptor, draft = tempfile.mkstemp(prefix=".inventory-", dir=path.parent)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(to_text(inventory(machines)))
    os.replace(draft, path)


def _refresh_inventory() -> Path:
    path = run_folder() / _INVENTORY_FILE
    if path.parent.is_dir():
        _write_inventory(path, _running())
    return path


def cmd_doctor(_options: argparse.Namespace) -> int:
    """Say whether the lab can run here."""
    examine(_recipes(list(HOSTS.values())), cache_folder(), run_folder())
    print("the lab can run here")
    return 0


def cmd_packages(_options: argparse.Namespace) -> int:
    """Print the Debian packages that this machine needs."""
    print("\n".join(sorted(HOST_PACKAGES)))
    return 0


def cmd_build(options: argparse.Namespace) -> int:
    """Build what is not in the cache."""
    hosts = [find_host(options.host)] if options.host else list(HOSTS.values())
    examine(_recipes(hosts), cache_folder(), run_folder())
    for host in hosts:
        print(ensure_disk(host, cache_folder(), say)[1])
    return 0


def cmd_prune(_options: argparse.Namespace) -> int:
    """Delete the images that no recipe of this checkout makes and no machine of it runs on."""
    in_use = {machine.image.directory for machine in load_machines(run_folder()) if machine.pid is not None}
    for directory in outdated(_recipes(list(HOSTS.values())), cache_folder()):
        if directory in in_use:
            print(f"kept {directory}: a machine runs on it")
        else:
            remove_image(directory)
            print(f"deleted {directory}")
    return 0


def cmd_up(options: argparse.Namespace) -> int:
    """Boot one machine and say how to reach it."""
    host = find_host(options.host)
    examine([host.recipe], cache_folder(), run_folder())
    machine, _fresh = boot(host, options.name or host.name, run_folder(), say)
    path = _refresh_inventory()
    target = inventory_name(machine.name)
    print(f"{machine.name} is up ({host.summary}); it booted in {machine.boot_seconds} s")
    print(f"  shell      {shlex.join(ssh.command(machine.paths, machine.name))}")
    print(f"  libvirt    {shlex.join(['virsh', '-c', machine.remote_uri, 'list'])}")
    print(f"  ansible    {shlex.join(['ansible', '-i', str(path), target, '-m', 'ansible.builtin.ping'])}")
    print(f"  playbook   {shlex.join(['ansible-playbook', '-i', str(path), '-l', target, 'PLAYBOOK.yml'])}")
    print(f"  end it     {shlex.join(['python3', sys.argv[0], 'down', machine.name])}")
    return 0


def cmd_down(options: argparse.Namespace) -> int:
    """End machines."""
    folder = run_folder()
    known = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if options.all:
        names = known
    elif options.name:
        names = [options.name]
    elif len(_running()) == 1:
        names = [_running()[0].name]
    else:
        raise LabError("say which machine, or --all")
    for name in names:
        check_name(name, folder)
        if take_down(name, folder):
            print(f"{name} is down")
        elif not options.all:
            print(f"{name} was not up")
    _refresh_inventory()
    return 0


def cmd_status(_options: argparse.Namespace) -> int:
    """List the hosts, their images and the machines that were booted."""
    for host in HOSTS.values():
        image = image_of(host.recipe, cache_folder())
        built = "built" if is_built(image) else "not built"
        print(f"host {host.name}: {host.summary}; image {image.directory.name} {built}")
    for machine in load_machines(run_folder()):
        state = f"up, pid {machine.pid}" if machine.is_ready else "booting" if machine.pid else "dead"
        print(f"machine {machine.name}: {machine.host.name}, {state}, port {machine.port}, {machine.paths.directory}")
    return 0


def cmd_inventory(options: argparse.Namespace) -> int:
    """Print an Ansible inventory of the machines that are up."""
    print(to_text(inventory(_running(options.name))), end="")
    return 0


def cmd_ssh(options: argparse.Namespace) -> int:
    """Become ssh."""
    machine = _running([options.name])[0]
    words = ssh.command(machine.paths, machine.name, options.command)
    os.execvp(words[0], words)


def cmd_run(options: argparse.Namespace) -> int:
    """Boot what is not up, run a command with its inventory, and end what was booted here."""
    if not options.command:
        raise LabError("say what to run, after --")
    hosts = [find_host(name) for name in dict.fromkeys(options.host)]
    examine(_recipes(hosts), cache_folder(), run_folder())
    folder = run_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"inventory-{os.getpid()}.yml"
    already_up = {machine.name for machine in _running()}
    with nullcontext() if options.keep else belongings.guarded(_RUN):
        pool = ThreadPoolExecutor(len(hosts))
        kept = False
        try:
            if options.keep:
                _pause_all_but({host.name for host in hosts})
            booted = list(pool.map(lambda host: boot(host, host.name, folder, say, warm=not options.keep), hosts))
            _write_inventory(path, [machine for machine, _fresh in booted])
            environment = {**os.environ, INVENTORY_VARIABLE: str(path)}
            status = subprocess.run(options.command, env=environment, check=False).returncode
            # After a failure nobody knows what is left on them.
            kept = options.keep and status == 0
            return status
        except belongings.StoppedError:
            belongings.end(_RUN)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if not kept:
                for host in hosts:
                    if options.keep or host.name not in already_up:
                        take_down(host.name, folder)
            path.unlink(missing_ok=True)
            _refresh_inventory()


def _pause_all_but(names: set[str]) -> None:
    """Have machines that nobody needs now take no processor time, and the others run."""
    for machine in _running():
        if machine.name in names:
            wake(machine)
        else:
            say(f"{machine.name} is paused")
            pause(machine)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab.py", description="Real libvirt hosts with several NUMA cells.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        command.set_defaults(function=function)
        return command

    add("doctor", cmd_doctor)
    add("packages", cmd_packages)
    add("build", cmd_build).add_argument("host", nargs="?", help=f"one of: {', '.join(HOSTS)}; all when left out")
    add("prune", cmd_prune)
    up = add("up", cmd_up)
    up.add_argument("host", help=f"one of: {', '.join(HOSTS)}")
    up.add_argument("--name", help="what to call the machine; the host's name when left out")
    down = add("down", cmd_down)
    which = down.add_mutually_exclusive_group()
    which.add_argument("name", nargs="?", help="the machine; the only one when left out")
    which.add_argument("--all", action="store_true", help="all machines of this checkout")
    add("status", cmd_status)
    add("inventory", cmd_inventory).add_argument("name", nargs="*", help="machines; all that are up when left out")
    remote = add("ssh", cmd_ssh)
    remote.add_argument("name")
    remote.add_argument("command", nargs=argparse.REMAINDER)
    run = add("run", cmd_run)
    run.add_argument("host", nargs="+")
    run.add_argument(
        "--keep",
        action="store_true",
        help="leave the hosts up when the command succeeds, make no warm disks, pause all others that are up",
    )
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; all that stands after the first ``--`` is the command of ``run``."""
    words = list(arguments)
    command: list[str] | None = None
    if words[:1] == ["run"] and "--" in words:
        position = words.index("--")
        words, command = words[:position], words[position + 1 :]
    options = _parser().parse_args(words)
    if words[:1] == ["run"]:
        options.command = command
    return options


def main(arguments: Sequence[str]) -> int:
    """Run one command of the lab and return its exit status."""
    options = parse(arguments)
    os.environ[_RUN] = "1"
    try:
        with belongings.stopped_by_signals():
            status: int = options.function(options)
            return status
    except UnavailableError as reason:
        say(f"the lab cannot run here: {reason}")
        return EXIT_UNAVAILABLE
    except LabError as error:
        say(f"error: {error}")
        return EXIT_FAILED
    except belongings.StoppedError as stopped:
        say("interrupted")
        belongings.end(_RUN)
        sys.stdout.flush()
        # Threads that still boot a machine, or wait for another lab's image, hold nobody up.
        os._exit(128 + stopped.number)
