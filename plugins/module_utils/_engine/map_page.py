# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""numa_map_page: results of the info modules made into pages, and the pages into files.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._map import html
from ansible_collections.numa.virt.plugins.module_utils._map.fleet import fleet_page
from ansible_collections.numa.virt.plugins.module_utils._map.model import HostMap, host_map
from ansible_collections.numa.virt.plugins.module_utils._map.page import host_page
from ansible_collections.numa.virt.plugins.module_utils._node.page_files import PageFile, look, write
from ansible_collections.numa.virt.plugins.module_utils._secrets import masked_message

_FILE_NAME = re.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,249}")


@dataclass(frozen=True)
class MapRequest:
    """What the module was asked for. ``hosts`` are mappings with name, cells and guests, ``files`` texts by name."""

    hosts: Sequence[Mapping[str, Any]]
    dest: str
    title: str
    time: str | None
    check_mode: bool
    diff: bool
    files: Mapping[str, Any] | None = None


def map_pages(request: MapRequest) -> dict[str, Any]:
    """``{"changed": bool, "index": path, "pages": [{"host", "path", "changed"}], "files": [{"path", "changed"}]}``, and
    in diff mode ``"diff": [...]``. Without a host there is no index, without files no ``files``.

    Raises InputError.
    """
    hosts = sorted((_host(number, each) for number, each in enumerate(request.hosts)), key=lambda host: host.name)
    if not hosts and not request.files:
        raise InputError("hosts", None, "there is no host to draw", "give name, cells and guests of one or more")
    for before, after in zip(hosts, hosts[1:]):
        if before.name == after.name:
            raise InputError("hosts", after.name, "there are two hosts of this name", "give each a name of its own")
    texts = {html.INDEX: fleet_page(hosts, request.title, request.time)} if hosts else {}
    texts.update({html.file_name(host.name): host_page(host, request.title, request.time) for host in hosts})
    files = look(request.dest, texts, html.GENERATOR, _beside(request.files or {}))
    pages, beside = files[: len(texts)], files[len(texts) :]
    if not request.check_mode and any(file.changed for file in files):
        write(request.dest, files)
    result: dict[str, Any] = {
        "changed": any(file.changed for file in files),
        "pages": [
            {"host": host.name, "path": file.path, "changed": file.changed} for host, file in zip(hosts, pages[1:])
        ],
    }
    if pages:
        result["index"] = pages[0].path
    if request.files:
        result["files"] = [{"path": file.path, "changed": file.changed} for file in beside]
    if request.diff:
        result["diff"] = [_diff(file, html.readable) for file in pages if file.changed]
        result["diff"] += [_diff(file, str) for file in beside if file.changed]
    return result


def _beside(files: Mapping[str, Any]) -> dict[str, str]:
    """The files to write beside the pages. Raises InputError."""
    for name, text in files.items():
        if not _FILE_NAME.fullmatch(name) or name.endswith(".html"):
            expected = "give letters, digits, dots, hyphens and underscores, not beginning with a dot, and no .html"
            raise InputError("files", name, "is no name of such a file", expected)
        if not isinstance(text, str):
            raise InputError(f"files[{name}]", None, "is no text", "give a string")
    return dict(files)


def _host(number: int, value: Mapping[str, Any]) -> HostMap:
    """One host of the option. Its results may be whole, or just the lists in them."""
    option = f"hosts[{number}]"
    name = str(value["name"])
    if not name.strip():
        raise InputError(f"{option}.name", name, "is no name", "give the name of the host")
    cells = value["cells"]
    host = cells if isinstance(cells, Mapping) else {"cells": cells}
    if "cells" not in host:
        problem = masked_message(str(host.get("msg") or "this is no result of numa_cell_info"))
        raise InputError(f"{option}.cells", None, f"{name}: {problem}", "give the result of numa.virt.numa_cell_info")
    guests = value["guests"]
    if isinstance(guests, Mapping) and "domains" not in guests:
        problem = masked_message(str(guests.get("msg") or "this is no result of numa_domain_info"))
        raise InputError(
            f"{option}.guests", None, f"{name}: {problem}", "give the result of numa.virt.numa_domain_info"
        )
    return host_map(name, host, guests, None, option)


def _diff(file: PageFile, readable: Callable[[str], str]) -> dict[str, str]:
    """What a page says, before and after. Where that is the same only its drawing differs."""
    title = os.path.basename(file.path)
    before = None if file.before is None else readable(file.before)
    after = readable(file.after)
    return {
        "before": before or "",
        "after": f"{after}(drawn anew)\n" if before == after else after,
        "before_header": title if file.before is not None else f"{title} (absent)",
        "after_header": title,
    }
