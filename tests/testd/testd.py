# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A private libvirt daemon with nothing but libvirt's test driver, for as long as one command runs.

The embedded test driver (2 cells x 8 CPUs, no hypervisor) keeps its state in the process that opened it. Tasks of a
playbook are processes of their own, so a daemon has to own that state, and because it forgets it with the last
connection, something has to hold one open. Both are done here, unprivileged, in a temporary folder, and nothing is
left afterwards: not a process, not a file.

    python3 tests/testd/testd.py run -- ansible-playbook …      the URI is in $NUMA_VIRT_TEST_URI
    with TestDaemon() as daemon: libvirt.open(daemon.uri)       in pytest and benchmarks

It must not touch the system's own libvirt, read the person's configuration, or signal a process it did not start.
Standard library only. Needs ``libvirtd``, and a Python that has libvirt's bindings: the system's or the one running.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from types import FrameType, TracebackType

#: The test driver behind a daemon: two cells, eight CPUs each, one running domain called ``test``.
URI = "test+unix:///default?socket={}"

#: Whom the daemon runs as when we are root.
UNPRIVILEGED = "nobody"

#: A socket's path has to fit into sockaddr_un.sun_path, with its closing zero.
LONGEST_SOCKET = 107

_CONFIGURATION = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0777"
log_outputs = "3:stderr"
"""

#: Holds a connection open until its standard input ends.
_HOLDER = """\
import sys
import libvirt
connection = libvirt.open(sys.argv[1])
print("connected", flush=True)
sys.stdin.read()
"""

_PR_SET_PDEATHSIG = 1


class TestDaemonError(Exception):
    """The daemon cannot be started here, and why."""

    __test__ = False


class TestDaemon:
    """A running private daemon; a context manager.

    :param timeout: seconds that the daemon gets to answer, and then to go away
    :raises TestDaemonError: on entry, when it does not come up; everything is cleaned up by then
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    def __init__(self, timeout: float = 20.0) -> None:
        self.timeout = timeout
        self.folder = ""
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def socket(self) -> str:
        """Path of the daemon's socket."""
        return os.path.join(self.folder, "run", "libvirt", "libvirt-sock")

    @property
    def uri(self) -> str:
        """What to open; good for root and for whoever started this."""
        return URI.format(self.socket)

    def environment(self) -> dict[str, str]:
        """What the command gets beside its own environment."""
        return {"NUMA_VIRT_TEST_URI": self.uri}

    def __enter__(self) -> TestDaemon:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self.folder = _short_folder(len(os.path.join("run", "libvirt", "libvirt-sock")) + 1)
        for name in ("run", "config", "cache", "drivers"):
            os.mkdir(os.path.join(self.folder, name), 0o700)
        configuration = os.path.join(self.folder, "libvirtd.conf")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(_CONFIGURATION)
        user = _unprivileged_user()
        if user is not None:
            for folder, _folders, files in os.walk(self.folder):
                for path in [folder, *(os.path.join(folder, name) for name in files)]:
                    os.chown(path, user.pw_uid, user.pw_gid)
        self._boot()

    def _boot(self) -> None:
        """The daemon, and the connection that keeps its state."""
        libvirtd, python = _program("libvirtd"), _python_with_libvirt()
        configuration, user = os.path.join(self.folder, "libvirtd.conf"), _unprivileged_user()
        with open(os.path.join(self.folder, "log"), "wb") as log:
            daemon = self._spawn([libvirtd, "--config", configuration], subprocess.DEVNULL, log, user)
        self._wait_for_socket(daemon)
        holder = self._spawn([python, "-c", _HOLDER, self.uri], subprocess.PIPE, subprocess.PIPE, user)
        assert holder.stdout is not None
        ready = select.select([holder.stdout], [], [], self.timeout)[0]
        answer = os.read(holder.stdout.fileno(), 4096) if ready else b"no answer"
        if answer != b"connected\n":
            raise TestDaemonError(f"cannot connect: {answer.decode(errors='replace').strip()}\n{self._log()}".strip())

    def _spawn(
        self, argv: list[str], stdin: int, output: int | object, user: pwd.struct_passwd | None
    ) -> subprocess.Popen[bytes]:
        """Start a child of ours: in a session of its own (Ctrl-C is for us to handle) and ended when we die."""
        environment = {
            "HOME": self.folder,
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
            "XDG_CACHE_HOME": os.path.join(self.folder, "cache"),
            "XDG_CONFIG_HOME": os.path.join(self.folder, "config"),
            "XDG_RUNTIME_DIR": os.path.join(self.folder, "run"),
            # An empty folder: no driver beside the built-in ones, so no probing of hypervisors and no network.
            "LIBVIRT_DRIVER_DIR": os.path.join(self.folder, "drivers"),
        }
        child = subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=output,  # type: ignore[arg-type]
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            start_new_session=True,
            preexec_fn=_end_with_parent,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
            umask=0o077,
        )
        self._children.append(child)
        return child

    def _wait_for_socket(self, daemon: subprocess.Popen[bytes]) -> None:
        limit = time.monotonic() + self.timeout
        while True:
            with socket.socket(socket.AF_UNIX) as attempt:
                try:
                    attempt.connect(self.socket)
                    return
                except OSError as error:
                    reason = error
            if daemon.poll() is not None:
                raise TestDaemonError(f"libvirtd ended with {daemon.returncode}:\n{self._log()}")
            if time.monotonic() > limit:
                raise TestDaemonError(f"libvirtd did not answer in {self.timeout:.0f} s ({reason}):\n{self._log()}")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The daemon's process."""
        return self._children[0].pid

    def again(self) -> None:
        """End the daemon, if it has not ended yet, and start another at the same socket; its domains are gone.

        :raises TestDaemonError: when it does not come up
        """
        self._end_children()
        for name in ("libvirt-sock", "libvirt-sock-ro", "libvirt-admin-sock"):
            path = os.path.join(os.path.dirname(self.socket), name)
            if os.path.lexists(path):
                os.unlink(path)
        self._boot()

    def _log(self) -> str:
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-20:]).strip()

    def stop(self) -> None:
        """End what was started, last first, and remove the folder. May be called again."""
        self._end_children()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = ""

    def _end_children(self) -> None:
        while self._children:
            child = self._children.pop()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass
            if child.poll() is None:
                child.terminate()
            try:
                child.wait(self.timeout)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if found is None:
        raise TestDaemonError(f"{name} is not installed (package libvirt-daemon)")
    return found


def _python_with_libvirt() -> str:
    for python in ("/usr/bin/python3", sys.executable):
        try:
            done = subprocess.run([python, "-c", "import libvirt"], stderr=subprocess.DEVNULL, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return python
    raise TestDaemonError("no Python with libvirt's bindings is here (package python3-libvirt)")


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom to become; None when we are nobody special already."""
    return pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None


def _short_folder(rest: int) -> str:
    """A new temporary folder whose sockets' paths fit: where TMPDIR says, else in /tmp."""
    for parent in (tempfile.gettempdir(), "/tmp"):
        folder = tempfile.mkdtemp(prefix="numa-virt-", dir=parent)
        if len(os.fsencode(folder)) + 1 + rest <= LONGEST_SOCKET and _passable(parent):
            return folder
        os.rmdir(folder)
    raise TestDaemonError("no temporary folder with a path short enough for a socket")


def _passable(folder: str) -> bool:
    """Whether any user can get into the folder, as the unprivileged daemon must when we are root."""
    while os.geteuid() == 0:
        if not os.stat(folder).st_mode & 0o001:
            return False
        if folder == os.path.dirname(folder):
            break
        folder = os.path.dirname(folder)
    return True


_LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """In the child: get SIGTERM when the parent goes, even if it was killed. The user was changed before this."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _raise_exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def run(command: list[str]) -> int:
    """Run a command beside a private daemon; its exit status, in a shell's convention."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_exit)
    try:
        with TestDaemon() as daemon:
            print(f"NUMA_VIRT_TEST_URI={daemon.uri}", file=sys.stderr, flush=True)
            child = subprocess.Popen(command, env={**os.environ, **daemon.environment()})
            try:
                status = child.wait()
            except BaseException:
                # Ctrl-C reaches the command as well; it may take its time to clean up, but not for ever.
                child.terminate()
                try:
                    child.wait(daemon.timeout)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
                raise
    except TestDaemonError as error:
        print(f"testd: {error}", file=sys.stderr)
        return 125
    except FileNotFoundError as error:
        print(f"testd: {error}", file=sys.stderr)
        return 127
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status if status >= 0 else 128 - status


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="testd.py", description=__doc__.splitlines()[0] if __doc__ else None)
    verbs = parser.add_subparsers(dest="verb", required=True)
    runner = verbs.add_parser("run", help="run a command beside a private daemon, and exit with its status")
    runner.add_argument("command", nargs=argparse.REMAINDER, help="the command after --; your shell when left out")
    command = parser.parse_args(arguments).command
    if command[:1] == ["--"]:
        command = command[1:]
    return run(command or [os.environ.get("SHELL", "/bin/sh")])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
