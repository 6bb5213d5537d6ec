# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Xen without libvirt: guests of this machine by xl and their configuration files, with the interface of _libvirt.

Files are found in FOLDER, or are the one that was given; a guest's name never becomes part of a path or an option.
This file must not import ansible, libvirt or lxml, and decides nothing.
"""

from __future__ import annotations

import glob
import os
import uuid
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import NoReturn

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ConnectionFailedError,
    InputError,
    UnsupportedError,
)
from ansible_collections.numa.virt.plugins.module_utils._node import files as node_files
from ansible_collections.numa.virt.plugins.module_utils._secrets import masked_message
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon
from ansible_collections.numa.virt.plugins.module_utils._xl import output as xl_output
from ansible_collections.numa.virt.plugins.module_utils._xl.command import XlCallError, XlCommand, set_text
from ansible_collections.numa.virt.plugins.module_utils._xl.config import DEFAULT_POOL, MAX_TEXT, XlConfig

URI = "xl"
FOLDER = "/etc/xen"
SHUT_OFF = "shut off"


class Connection:
    """This machine's Xen, for one run."""

    dialect = "xl"
    uri = URI
    daemon = Daemon("xl")
    local = True

    def __init__(self, config: str | None, command: XlCommand | None, folder: str = FOLDER) -> None:
        """``config`` is the path of the one configuration file to look at. Raises ConnectionFailedError, InputError."""
        if command is None:
            raise ConnectionFailedError(
                "uri: xl: this machine has no xl; install Xen's tools on it, or give a libvirt URI", uri=URI
            )
        self.command = command
        self.warnings: list[str] = []
        self._folder = folder
        self._given = _checked_path(config) if config is not None else None
        self._pools: dict[int, str] = {}
        try:
            self._read_host()
        except XlCallError as error:
            reason = error.fields["reason"]
            raise ConnectionFailedError(
                f"uri: xl: xl does not reach Xen: {reason}; does this machine run Xen, and is the user root?",
                uri=URI,
                reason=reason,
            ) from None

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @property
    def calls(self) -> int:
        """How often xl was run."""
        return self.command.calls

    def _read_host(self) -> None:
        """Read the host, and note when: until xl is run again, nothing has changed."""
        self._info = self.command.info()
        self._read_at = self.command.calls

    def capabilities(self) -> str:
        return self._info

    def versions(self) -> tuple[str, str | None]:
        return xl_output.parse_info(self._info).version, None

    def cpu_map(self) -> tuple[bool, ...]:
        raise UnsupportedError("xl", "cpu_map", "Xen's cpupools say which CPUs are online")

    def free_memory(self, cell: int) -> int | None:
        """KiB that are free on a cell now."""
        if self.command.calls != self._read_at:
            self._read_host()
        found = xl_output.parse_info(self._info).host.cell(cell)
        return found.free if found is not None else None

    def free_pages(self, _sizes: list[int], _first: int, _count: int) -> dict[int, dict[int, int]]:
        return {}

    def pci_devices(self) -> list[str]:
        return []

    def device_parts(self, _kind: str) -> list[str]:
        return []

    def network(self, _name: str) -> None:
        return None

    def xen_tools(self) -> XlCommand:
        return self.command

    @property
    def configured_name(self) -> str | None:
        """The name in the configuration file that was given. Raises InputError."""
        return self._read(self._given).name if self._given is not None else None

    def domain(self, name: str) -> Domain | None:
        """The guest of that name that runs or has a file, or None. Raises InputError where several files have it."""
        running = {row.name: row for row in self._running()}
        found, unreadable = self._configs(name)
        if len(found) > 1:
            files = " and ".join(each.source for each in found)
            raise InputError("name", name, f"is the name in {files}", "give config, the path of one of them")
        if not found and name not in running:
            if unreadable:
                raise unreadable[0]
            return None
        return Domain(self, name, running.get(name), found[0] if found else None)

    def domains(self) -> list[Domain]:
        """Every guest that runs or has a file, by name. A file that is none of xl's is passed over."""
        running = {row.name: row for row in self._running()}
        configs: dict[str, XlConfig] = {}
        found, unreadable = self._configs(None)
        for each in found:
            configs.setdefault(each.name, each)
        self.warnings = [f"passed over: {error}" for error in unreadable]
        return [Domain(self, name, running.get(name), configs.get(name)) for name in sorted({*running, *configs})]

    def persistent_uuids(self) -> set[str]:
        return {domain.uuid for domain in self.domains() if domain.uuid is not None and domain.persistent()}

    def states(self) -> dict[str, str]:
        return {row.uuid: row.state for row in self._running()}

    def define(self, _text: str) -> NoReturn:
        raise UnsupportedError("xl", "define", "a guest of xl is a file: write it, and give its path as config", "xml")

    def pool_of(self, domain: int) -> str:
        """The cpupool of a running guest; of all guests in one call."""
        if domain not in self._pools:
            text = self.command("read the cpupools of the domains", "list", "-c")
            self._pools = xl_output.parse_domain_pools(text)
        return self._pools.get(domain, DEFAULT_POOL)

    def _running(self) -> list[xl_output.Row]:
        rows = xl_output.parse_list(self.command("list the domains", "list", "-v"))
        # A guest whose vCPUs all wait for something runs: libvirt says so too.
        return [replace(row, state="running") if row.state == "blocked" else row for row in rows]

    def _configs(self, name: str | None) -> tuple[list[XlConfig], list[InputError]]:
        """Files of that name, or all, and what is wrong with those that may be meant and cannot be read."""
        if self._given is not None:
            config = self._read(self._given)
            return ([config] if name in (None, config.name) else []), []
        found: dict[str, XlConfig] = {}
        unreadable = []
        for path in sorted(glob.glob(os.path.join(glob.escape(self._folder), "*.cfg"))):
            try:
                config = self._read(path)
            except InputError as error:
                if name is None or _may_define(path, name):
                    unreadable.append(error)
                continue
            if name in (None, config.name):
                found.setdefault(os.path.realpath(path), config)
        return list(found.values()), unreadable

    def _read(self, path: str) -> XlConfig:
        return XlConfig.parse(_read_file(path), path)


class Domain:
    """One guest, as it was when it was looked up."""

    def __init__(self, connection: Connection, name: str, row: xl_output.Row | None, config: XlConfig | None) -> None:
        self._connection = connection
        self._command = connection.command
        self.name = name
        self._row = row
        self._config = config

    @property
    def uuid(self) -> str | None:
        return self._row.uuid if self._row is not None else self.config.uuid

    @property
    def key(self) -> str:
        """Made of the file's path where it has one: its UUID may change at every start."""
        path = os.path.realpath(self.config.source) if self._config is not None else self.name
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"xl:{path}"))

    @property
    def id(self) -> int:
        return self._row.id if self._row is not None else -1

    @property
    def active(self) -> bool:
        return self._row is not None

    @property
    def config(self) -> XlConfig:
        if self._config is None:
            raise UnsupportedError("xl", "definition", f"domain {self.name!r} has no configuration file", "name")
        return self._config

    def definition(self) -> str:
        return _read_file(self.config.source)

    @cached_property
    def pool(self) -> str:
        """The cpupool of the running guest."""
        return self._connection.pool_of(self.id)

    @property
    def memory(self) -> int:
        """KiB of the running guest."""
        return self._row.memory if self._row is not None else 0

    @property
    def devices(self) -> tuple[str, ...]:
        """The host's devices that its file gives it, as _values.devices names them."""
        return self._config.devices if self._config is not None else ()

    def state(self) -> str:
        row = self._current()
        return row.state if row is not None else SHUT_OFF

    def paused_by_user(self) -> bool:
        """Xen does not say who paused a guest."""
        return True

    def why_paused(self) -> str:
        """Xen does not say who paused a guest."""
        return "by a user"

    def jobs(self, _disks: Iterable[str]) -> list[str]:
        return []

    def snapshots(self) -> Iterable[str]:
        return ()

    def saved(self) -> bool:
        """What xl saves is a file of its user's, which no start looks for."""
        return False

    def persistent(self) -> bool:
        return self._config is not None

    def vcpu_maps(self) -> dict[int, CpuSet]:
        """vCPU -> CPUs it may use now: its hard affinity, as far as its cpupool goes."""
        pools = self._command.pools()
        own = self.pool
        everything = next((pool.cpus for pool in pools if pool.name == own), pools[0].cpus)
        found = xl_output.parse_vcpu_list(self._command("read the vCPUs", "vcpu-list", str(self.id)))
        vcpus = found[self.id].vcpus if self.id in found else {}
        return {
            vcpu: everything if each.hard is None else each.hard & everything for vcpu, each in vcpus.items()
        }  # fmt: skip

    def pin_vcpu(self, vcpu: int, cpus: CpuSet, _with_flags: bool) -> None:
        # Without a third set its soft affinity stays.
        everything = xl_output.parse_info(self._connection.capabilities()).host.present
        self._command(f"pin vCPU {vcpu}", "vcpu-pin", str(self.id), str(vcpu), set_text(cpus, everything))

    def redefine(self, text: str) -> Domain:
        """Put another text into its file, which keeps its owner and mode."""
        path = self.config.source
        config = XlConfig.parse(text, path)
        try:
            folder, name = os.path.split(os.path.realpath(path))
            with node_files.directory(folder) as handle:
                node_files.remove_leftovers(handle, ours=False)
                node_files.replace_file(handle, name, text)
        except OSError as error:
            raise InputError(
                "config", path, f"cannot be written: {error.strerror}", "run as a user who may, such as root"
            ) from None
        return Domain(self._connection, self.name, self._row, config)

    def start(self, paused: bool) -> None:
        options = ["-p"] if paused else []
        try:
            self._command("start the domain", "create", "-q", *options, os.path.abspath(self.config.source))
        except XlCallError as error:
            # xl may show the line that it stumbled over.
            reason = masked_message(str(error.fields["reason"]), self.config.secrets())
            raise XlCallError("start the domain", reason, error.fields["status"]) from None
        self._row = self._current()

    def resume(self) -> None:
        self._command("resume the domain", "unpause", str(self.id))

    def shutdown(self) -> None:
        self._command("shut the domain down", "shutdown", "-F", str(self.id))

    def destroy(self) -> None:
        row = self._row or self._current()
        if row is not None:
            self._command("destroy the domain", "destroy", str(row.id))

    def live_xml(self) -> NoReturn:
        raise self._unsupported("XML")

    def pin_emulator(self, _cpus: CpuSet) -> NoReturn:
        raise self._unsupported("emulator pins")

    def pin_iothread(self, _iothread: int, _cpus: CpuSet) -> NoReturn:
        raise self._unsupported("IO-thread pins")

    def bind_memory(self, _nodeset: CpuSet) -> NoReturn:
        raise self._unsupported("memory that moves")

    def set_metadata(self, _xml: str, _prefix: str, _namespace: str, live: bool) -> NoReturn:  # noqa: ARG002
        raise self._unsupported("metadata")

    def remove_metadata(self, _namespace: str) -> NoReturn:
        raise self._unsupported("metadata")

    def saved_xml(self) -> NoReturn:
        raise self._unsupported("managed save images")

    def define_saved(self, _xml: str) -> NoReturn:
        raise self._unsupported("managed save images")

    def save(self) -> NoReturn:
        raise self._unsupported("managed save images")

    def undefine(self) -> NoReturn:
        raise self._unsupported("definitions of its own")

    def _unsupported(self, feature: str) -> UnsupportedError:
        return UnsupportedError("xl", feature, f"xl has no {feature}")

    def _current(self) -> xl_output.Row | None:
        return next((row for row in self._connection._running() if row.name == self.name), None)


def _may_define(path: str, name: str) -> bool:
    """Whether a file that cannot be parsed could be that of a guest: by its own name, or by what stands in it."""
    try:
        return os.path.basename(path) == f"{name}.cfg" or (os.path.isfile(path) and name in _read_file(path))
    except InputError:
        return True


def _checked_path(path: str) -> str:
    """Raises InputError for a path that cannot be a configuration file."""
    if not os.path.isabs(path):
        raise InputError("config", path, "is not an absolute path", f"give one such as {FOLDER}/web1.cfg")
    if not os.path.isfile(path):
        raise InputError("config", path, "there is no such file", "give the path of a configuration file of xl")
    return path


def _read_file(path: str) -> str:
    """Its text, of which every byte can be had back; no more of it than is ever read. Raises InputError."""
    try:
        # A character is four bytes at most: what is cut off here is too long in any case.
        return node_files.read_text(path, follow=True, most=4 * (MAX_TEXT + 1))
    except node_files.UnsafeFileError as error:
        raise InputError("config", path, str(error.strerror), "give the path of a configuration file of xl") from None
    except OSError as error:
        raise InputError("config", path, f"cannot be read: {error.strerror}", "run as root") from None
