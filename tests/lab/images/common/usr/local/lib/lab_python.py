# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Python that has started already and has read what Ansible's modules and ours import; each call is a fork of it.

To start Python, and to read what a module imports, takes an emulated CPU four times as long as all that the module
does. What is sent is told in lab_python.c. A call is a script on standard input or in a file, as Ansible has them; all
others become a Python of their own.

A module of Ansible brings all of its sources in a zip file. Its first call leaves a fork behind that has imported them,
and each later call with the same ones is a fork of that. They are the same where all names, sizes and checksums are.
"""

import atexit
import base64
import contextlib
import gc
import hashlib
import importlib
import io
import locale
import os
import re
import runpy
import selectors
import socket
import struct
import sys
import threading
import types
import zipfile

SOCKET = "/run/lab-python/socket"
PYTHON = "/usr/bin/python3"
_HEAD = struct.Struct("=II")
#: What modules import; one that is not here is left out.
_READ = (
    "argparse ast binascii bisect bz2 codecs copy ctypes dataclasses datetime decimal difflib dis encodings.idna errno "
    "fcntl fnmatch functools gettext glob grp gzip hmac html importlib.util inspect ipaddress json keyword logging "
    "lzma math numbers pathlib pkgutil platform pwd queue random reprlib secrets select shlex shutil signal stat "
    "string stringprep subprocess syslog tempfile textwrap tokenize traceback typing unicodedata urllib.parse uuid "
    "warnings weakref xml.etree.ElementTree zipimport zlib libvirt lxml.etree"
)
#: In what Ansible sends (_ansiballz_main() in ansible.executor.module_common).
_ZIP = re.compile(rb"^zip_data='([A-Za-z0-9+/=]+)',$", re.MULTILINE)
_NAME = re.compile(rb"^module_fqn='([A-Za-z0-9_.]+)',$", re.MULTILINE)
_IMPORTED_FIRST = "ansible.module_utils._internal._ansiballz._loader"


class Call:
    """What one client wants: three open files, where, with which words, and in which environment."""

    def __init__(self, files, strings, arguments):
        self.files, self.strings, self.arguments = files, strings, strings[1 : 1 + arguments]
        environment = strings[1 + arguments :]
        self.environment = dict(each.split(b"=", 1) for each in environment if b"=" in each)

    @property
    def is_script(self):
        return not self.arguments or (self.arguments[0].endswith(b".py") and not self.arguments[0].startswith(b"-"))

    def send(self, to):
        """Hand it on, as the client does."""
        whole = b"".join(each + b"\0" for each in self.strings)
        socket.send_fds(to, [_HEAD.pack(len(self.arguments), len(whole))], self.files)
        to.sendall(whole)

    def take_source(self):
        """The script. What was on standard input can be read again."""
        if self.arguments:
            with open(os.path.join(self.strings[0], self.arguments[0]), "rb") as file:
                return file.read()
        with open(self.files[0], "rb") as file:
            source = file.read()
        self.files[0] = os.memfd_create("script")
        with open(self.files[0], "wb", closefd=False) as file:
            file.write(source)
        os.lseek(self.files[0], 0, os.SEEK_SET)
        return source

    def become(self):
        """Be what this client called."""
        os.setsid()
        for number, file in enumerate(self.files):
            os.dup2(file, number)
            os.close(file)
        os.environb.clear()
        os.environb.update(self.environment)
        os.chdir(self.strings[0])
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, "")

    def run(self):
        """Do what Python would do. What it raises is what Python ends with."""
        if not self.is_script:
            os.execve(PYTHON, [PYTHON, *self.arguments], self.environment)
        words = [os.fsdecode(each) for each in self.arguments]
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


def listen(path):
    """Whoever calls before all is read waits. Raises OSError where somebody else listens."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o077)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


def payload(source):
    """(digest, name of the module, its zip file) of a script that Ansible has made; None of any other."""
    data, name = _ZIP.search(source), _NAME.search(source)
    if data is None or name is None:
        return None
    packed = base64.b64decode(data[1])
    digest = hashlib.sha256(name[1])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for each in archive.infolist():
            digest.update(f"{each.filename}\0{each.file_size}\0{each.CRC}\0".encode())
    return digest.hexdigest()[:32], name[1].decode(), packed


def imported(call, folder):
    """Have a fork run it that has imported its sources already, and end as that one does.

    Comes back only with a call that this process shall run: this one, of which there is none, or where this process has
    become the one that has imported all, and then a fork of it, a later one.
    """
    found = payload(call.take_source())
    if found is None:
        return call
    digest, name, packed = found
    path = os.path.join(folder, digest)
    listener = None
    with contextlib.suppress(OSError):  # another one listens there
        listener = listen(path)
    if listener is not None:
        if os.fork() == 0:
            for file in call.files:
                os.close(file)
            return serve_imported(listener, f"{path}.zip", name, packed)
        listener.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            server.connect(path)
            call.send(server)
            status = server.recv(1)
        except OSError:
            return call
    # Where it ended without an answer nobody knows how far it came: it is not run again.
    os._exit(status[0] if status else 125)


def serve_imported(listener, path, name, packed):
    """Import all, and come back as a fork, with the call that it shall run."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)
    os.setsid()
    with open(path, "wb") as file:
        file.write(packed)
    sys.path.insert(0, path)
    for each in (_IMPORTED_FIRST, name):
        with contextlib.suppress(Exception):
            importlib.import_module(each)
    sys.path.remove(path)
    sys.modules.pop(name, None)  # it is run, under another name
    gc.collect()
    gc.freeze()
    return Server(listener).serve()


def read_beforehand():
    for name in _READ.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


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


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else SOCKET
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server = Server(listen(path))
    read_beforehand()
    call = server.serve()
    if call.is_script:
        call = imported(call, os.path.dirname(path))
    call.become()
    end(call)


if __name__ == "__main__":
    main()
