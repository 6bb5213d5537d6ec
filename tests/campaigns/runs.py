# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of modules for campaigns: forked from a warm process, on a private daemon, with something happening at a call.

A run is a process of its own, as Ansible makes one, and ends as one: by itself, by a signal, or with its daemon. What
it did is read back through a connection of the campaign's own.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[2]
sys.path[:0] = [str(REPO / "tests" / "testd"), str(REPO / ".cache" / "tree")]

import libvirt
from ansible.module_utils.testing import patch_module_args

libvirt.registerErrorHandler(lambda *_ignored: None, None)

COLLECTION = "ansible_collections.numa.virt.plugins"
MODULES = {
    name: importlib.import_module(f"{COLLECTION}.modules.{name}")
    for name in (
        *("numa_cell_info", "numa_claim", "numa_domain", "numa_domain_info", "numa_host_state", "numa_map_page"),
        *("numa_placement", "numa_release"),
        "vcpu_pin",
    )
}
_libvirt = importlib.import_module(f"{COLLECTION}.module_utils._libvirt.connection")

#: Where root's runs keep what they need: each campaign has empty ones of its own.
STATE = "/var/lib/numa.virt"
RUN = "/run/numa.virt"
#: Passwords of the guests here start with this, so that it may be looked for in every output.
SECRET = "pw-"

Act = Callable[[str], None]


def in_private_folders() -> None:
    """Run this program again with empty folders of state that nobody else sees; where not root, with XDG ones."""
    if os.environ.get("NUMA_VIRT_CAMPAIGN"):
        return
    os.environ["NUMA_VIRT_CAMPAIGN"] = "1"
    if os.geteuid() != 0:
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="numa-virt-")
        return
    script = 'for f in %s; do mkdir -p $f && mount -t tmpfs -o mode=0755 none $f || exit; done; exec "$@"'
    again = ["sh", "-c", script % f"{STATE} {RUN}", "sh", sys.executable, *sys.argv]
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", *again])


def state_folders() -> list[str]:
    """The folders that runs keep things in."""
    return [STATE, RUN] if os.geteuid() == 0 else [os.environ["XDG_STATE_HOME"]]


def empty(folder: str) -> None:
    """Remove what is in a folder."""
    for path, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(path, name))
        for name in folders:
            os.rmdir(os.path.join(path, name))


def document(name: str, vcpus: int = 2, mib: int = 16, password: bool = True, more: str = "") -> str:
    """A guest for the test driver as a person would write it; its password is ``pw-NAME``."""
    secret = f" passwd='{SECRET}{name}'" if password else ""
    return (
        f"<domain type='test'><name>{name}</name>{more}<memory unit='MiB'>{mib}</memory><vcpu>{vcpus}</vcpu>"
        f"<os><type arch='x86_64'>hvm</type></os><devices>"
        f"<graphics type='vnc' port='-1' autoport='yes'{secret}/></devices></domain>"
    )


class Watch:
    """Counts the calls to libvirt that a run makes, or what it does to files of its state, and acts at one.

    ``files`` counts events of files instead; ``late`` acts when the call has been made. Without ``at`` it only counts.
    """

    _EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.chmod", "open", "os.listdir", "fcntl.flock")

    def __init__(self, at: int | None = None, act: Act | None = None, late: bool = False, files: bool = False) -> None:
        self.at, self.late, self.files, self.seen = at, late, files, 0
        self.act = act or _end_myself

    def install(self) -> None:
        """In the process of the run."""
        if self.files:
            folders = tuple(state_folders())
            sys.addaudithook(lambda event, arguments: self._file(event, arguments, folders))
            return
        real = _libvirt.Connection._call

        def call(connection: Any, action: str, function: Any, *arguments: Any) -> Any:
            if self.late:
                result = real(connection, action, function, *arguments)
                self._hit(action)
                return result
            self._hit(action)
            return real(connection, action, function, *arguments)

        _libvirt.Connection._call = call

    def _file(self, event: str, arguments: tuple[Any, ...], folders: tuple[str, ...]) -> None:
        path = str(arguments[0]) if arguments else ""
        if event in self._EVENTS and (event == "fcntl.flock" or path.startswith(folders)):
            self._hit(event)

    def _hit(self, what: str) -> None:
        self.seen += 1
        if self.seen == self.at:
            self.act(what)


def _end_myself(_what: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Result:
    """How a run ended: ``code`` (-9 after SIGKILL), ``data`` as Ansible reads it, ``text`` of both outputs."""

    def __init__(self, status: int, out: str, err: str, calls: int | None, seconds: float) -> None:
        self.code = os.waitstatus_to_exitcode(status)
        self.err, self.calls, self.seconds, self.text = err, calls, seconds, out + err
        try:
            self.data: dict[str, Any] = json.loads(out.splitlines()[-1])
        except (IndexError, ValueError):
            self.data = {}

    @property
    def message(self) -> str:
        return str(self.data.get("msg", ""))

    @property
    def error(self) -> str | None:
        """The code of its error."""
        return (self.data.get("error") or {}).get("code")

    def ugly(self) -> str:
        """What no user should ever see of a run, in words; empty where there is nothing of it."""
        if self.code < 0:
            return ""
        if self.err.strip():
            return f"stderr: {self.err[-300:]}"
        if not self.data:
            return f"no result: {self.text[-300:]}"
        if self.error == "internal" or "Traceback" in self.text:
            return f"internal: {self.message[:300]}"
        if "\n" in self.message or len(self.message) > 2000:
            return f"long message: {self.message[:300]}"
        if SECRET in self.text:
            return f"secret: {self.text[max(0, self.text.index(SECRET) - 100) :][:200]}"
        return ""


class Run:
    """A run that was started."""

    def __init__(
        self,
        module: str,
        options: Mapping[str, Any],
        watch: Watch | None = None,
        check: bool = False,
        user: tuple[int, int] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.started = time.monotonic()
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed by wait()
        self._counted, counter = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._child(module, options, watch or Watch(), check, user, environment or {}, counter)
        os.close(counter)

    def _child(
        self,
        module: str,
        options: Mapping[str, Any],
        watch: Watch,
        check: bool,
        user: tuple[int, int] | None,
        environment: Mapping[str, str],
        counter: int,
    ) -> None:
        code: int | str | None = 70
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(self._out.fileno(), 1)
            os.dup2(self._err.fileno(), 2)
            sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), write_through=True)
            sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), write_through=True)
            if user is not None:
                os.setgroups([])
                os.setgid(user[1])
                os.setuid(user[0])
            os.environ.update(environment)
            watch.install()
            internal = {
                "_ansible_check_mode": check,
                "_ansible_diff": True,
                "_ansible_remote_tmp": tempfile.gettempdir(),
            }
            with patch_module_args({**options, **internal}):
                MODULES[module].main()
            code = 0
        except SystemExit as end:
            code = end.code
        except BaseException:  # noqa: BLE001 - a traceback is what the campaign looks for
            traceback.print_exc()
        finally:
            os.write(counter, str(watch.seen).encode())
            os._exit(code if isinstance(code, int) else 1)

    def kill(self, number: int = signal.SIGKILL) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def wait(self, limit: float = 120.0) -> Result:
        """Raises TimeoutError, and has ended it."""
        deadline = time.monotonic() + limit
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                self.kill()
                os.waitpid(self.pid, 0)
                raise TimeoutError(f"a run did not end in {limit:.0f} s")
            time.sleep(0.002)
        calls = os.read(self._counted, 16).decode()
        os.close(self._counted)
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
            file.close()
        return Result(status, texts[0], texts[1], int(calls) if calls else None, time.monotonic() - self.started)


def run(module: str, options: Mapping[str, Any], watch: Watch | None = None, **others: Any) -> Result:
    """One run, waited for."""
    return Run(module, options, watch, **others).wait()


SECURE_CONFIG = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE


def definitions(connection: libvirt.virConnect) -> dict[str, str]:
    """Every definition with its secrets, by name."""
    return {each.name(): each.XMLDesc(SECURE_CONFIG) for each in connection.listAllDomains(0)}


def states(connection: libvirt.virConnect) -> dict[str, int]:
    """virDomainState of every domain, by name."""
    return {each.name(): each.state()[0] for each in connection.listAllDomains(0)}


def clear(connection: libvirt.virConnect) -> None:
    """Remove every domain, and what runs have kept."""
    for each in connection.listAllDomains(0):
        if each.isActive():
            each.destroy()
    for each in connection.listAllDomains(0):  # transient ones went when they were destroyed
        each.undefine()
    for folder in state_folders():
        empty(folder)


def passwords(xml: str) -> list[str]:
    """The passwords of a definition."""
    return re.findall(r"passwd='([^']*)'", xml)


def pinned(xml: str) -> set[int]:
    """The CPUs that pins of vCPUs name."""
    cpus: set[int] = set()
    for text in re.findall(r"<vcpupin [^>]*cpuset='([\d,-]+)'", xml):
        for part in text.split(","):
            first, dash, last = part.partition("-")
            cpus |= set(range(int(first), int(last if dash else first) + 1))
    return cpus


def kept_files() -> Iterator[tuple[str, int, str]]:
    """(path, mode, text) of each file that runs have left in their folders."""
    for folder in state_folders():
        for path, _folders, names in os.walk(folder):
            for name in names:
                full = os.path.join(path, name)
                yield full, os.lstat(full).st_mode & 0o777, Path(full).read_text(encoding="utf-8", errors="replace")
