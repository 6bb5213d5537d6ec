# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Python that has started already and has read what Ansible's modules and ours import; each call is a fork of it.

To start Python and to read libvirt's and lxml's libraries takes an emulated CPU four times as long as all that a
module does. What is sent is told in lab_python.c. A call is a script on standard input or in a file, as Ansible has
them; all others become a Python of their own. Of Ansible and of this collection nothing is read beforehand.
"""

import atexit
import contextlib
import gc
import importlib
import locale
import os
import runpy
import selectors
import socket
import struct
import sys
import threading
import types

SOCKET = "/run/lab-python/socket"
PYTHON = "/usr/bin/python3"
_HEAD = struct.Struct("=II")
#: What modules import; one that is not here is left out.
_READ = (
    "argparse ast atexit base64 binascii bisect bz2 codecs copy ctypes dataclasses datetime decimal difflib dis "
    "encodings.idna errno fcntl fnmatch functools gettext glob grp gzip hashlib hmac html importlib.util inspect "
    "ipaddress json keyword logging lzma math numbers pathlib pkgutil platform pwd queue random re reprlib secrets "
    "select shlex shutil signal stat string stringprep subprocess syslog tempfile textwrap threading tokenize "
    "traceback typing unicodedata urllib.parse uuid warnings weakref xml.etree.ElementTree zipfile zipimport zlib "
    "libvirt lxml.etree"
)


class Call:
    """What one client wants."""

    def __init__(self, files, strings, arguments):
        self.files = files
        self.folder, self.arguments, environment = strings[0], strings[1 : 1 + arguments], strings[1 + arguments :]
        self.environment = dict(each.split(b"=", 1) for each in environment if b"=" in each)

    def become(self):
        """Be what this client called."""
        os.setsid()
        for number, file in enumerate(self.files):
            os.dup2(file, number)
            os.close(file)
        os.environb.clear()
        os.environb.update(self.environment)
        os.chdir(self.folder)
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, "")

    def run(self):
        """Do what Python would do. What it raises is what Python ends with."""
        words = [os.fsdecode(each) for each in self.arguments]
        if words and (words[0].startswith("-") or not words[0].endswith(".py")):
            os.execve(PYTHON, [PYTHON, *self.arguments], self.environment)
        sys.argv[:] = words or [""]
        if words:
            sys.path[0] = os.path.dirname(os.path.realpath(words[0]))
            runpy.run_path(words[0], run_name="__main__")
            return
        sys.path[0] = ""
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        source = sys.stdin.buffer.read()
        exec(compile(source, "<stdin>", "exec"), main.__dict__)


class Server:
    """Takes calls, forks for each, and tells each client how its fork ended."""

    def __init__(self, listener):
        self.listener = listener
        self.waiting = {}
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)

    def serve(self):
        """Return a Call, in the fork that shall run it; the server itself never returns."""
        while True:
            for key, _events in self.selector.select():
                if key.fileobj is not self.listener:
                    self._ended(key.fileobj)
                    continue
                client = self.listener.accept()[0]
                try:
                    call = received(client)
                except (OSError, EOFError, ValueError):
                    client.close()
                    continue
                pid = os.fork()
                if pid == 0:
                    self._forget(client)
                    return call
                for file in call.files:
                    os.close(file)
                ends = os.pidfd_open(pid)
                self.waiting[ends] = (pid, client)
                self.selector.register(ends, selectors.EVENT_READ)

    def _ended(self, ends):
        pid, client = self.waiting.pop(ends)
        self.selector.unregister(ends)
        os.close(ends)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(OSError):
            client.sendall(bytes([code if code >= 0 else 128 - code]))
        client.close()

    def _forget(self, client):
        """In a fork: nothing of the server's stays open."""
        client.close()
        self.selector.close()
        self.listener.close()
        for ends, (_pid, other) in self.waiting.items():
            os.close(ends)
            other.close()


def received(client):
    """One call. Raises OSError, EOFError or ValueError where a client is none."""
    head, files, _flags, _address = socket.recv_fds(client, _HEAD.size, 3)
    if len(head) < _HEAD.size or len(files) != 3:
        raise EOFError
    arguments, left = _HEAD.unpack(head)
    parts = []
    while left:
        part = client.recv(min(left, 1 << 16))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return Call(files, b"".join(parts).split(b"\0")[:-1], arguments)


def listen(path=SOCKET):
    """Whoever calls before all is read waits."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    before = os.umask(0o077)
    listener.bind(path)
    os.umask(before)
    listener.listen(64)
    return listener


def read_beforehand():
    for name in _READ.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def main():
    server = Server(listen(*sys.argv[1:]))
    read_beforehand()
    call = server.serve()
    call.become()
    end(call)


def end(call):
    """Run a call and end as Python does, but for giving back all that was read: that copies each page of it."""
    status = 1
    try:
        call.run()
        status = 0
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            status = (ending.code or 0) & 0xFF
        else:
            print(ending.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - as Python does
        sys.excepthook(*sys.exc_info())
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
