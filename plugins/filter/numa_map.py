# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: numa_map
short_description: A map of a host's cells and guests, for a terminal
version_added: 0.1.0
author:
  - Contributors to the numa.virt collection (@numa-virt)
description:
  - Draws a block of lines for each cell with its CPUs, its memory and its distances, and in it a row for each guest
    that may run or has memory there, CPU by CPU. On cells with many CPUs, neighbours that no guest tells apart
    share a column.
  - A guest that runs is drawn where it really is, by RV(numa.virt.numa_domain_info#module:domains[].actual);
    another one where its definition puts it.
  - Guests that may run on every CPU are listed below the cells.
  - CPUs that are isolated, without a tick or another slice's are named in their cell, where there are any, and so is
    that guests are kept out of a cell.
  - Where the result of M(numa.virt.numa_domain_info) has findings, they are listed at the end, the gravest first, and
    each is marked in the cells that it names.
  - The lines hold nothing that YAML would quote, unless a guest's name does, and so read well with
    C(callback_result_format=yaml).
positional: guests
options:
  _input:
    description:
      - The result of M(numa.virt.numa_cell_info).
    type: dict
    required: true
  guests:
    description:
      - The result of M(numa.virt.numa_domain_info), or the list RV(numa.virt.numa_domain_info#module:domains) of it.
    type: raw
    required: true
  width:
    description:
      - How many characters a line may have. At least V(60). YAML breaks lines that are longer than the default.
    type: int
    default: 78
seealso:
  - module: numa.virt.numa_cell_info
  - module: numa.virt.numa_domain_info
  - module: numa.virt.numa_map_page
"""

EXAMPLES = r"""
- name: Look at the cells
  numa.virt.numa_cell_info:
  register: host

- name: Look at the guests
  numa.virt.numa_domain_info:
  register: guests

- name: Show where everything is
  ansible.builtin.debug:
    msg: "{{ host | numa.virt.numa_map(guests) }}"
"""

RETURN = r"""
_value:
  description: The lines of the map.
  type: list
  elements: str
  sample:
    - ┌─ cell 0 ── CPUs 0-7 ── 2 GiB ── distance 20 to cell 1
    - │  CPU   0 1 2 3 4 5 6 7
    - │  db1   0 1 . . . . . .  2 vCPUs, 32 MiB strict
    - └  web1  * * * * * * * *  2 vCPUs, 32 MiB strict
    - ┌─ cell 1 ── CPUs 8-15 ── 4 GiB ── distance 20 to cell 0
    - └  no guest
    - key  * any vCPU of the guest   a number - that vCPU only   . none
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.numa.virt.plugins.module_utils._map.text import WIDTH, text_map
from ansible_collections.numa.virt.plugins.plugin_utils._cpusets import as_filter_error


def numa_map(host: Any, guests: Any, width: int = WIDTH) -> list[str]:
    """The lines of the map."""
    domains = guests.get("domains") if isinstance(guests, Mapping) else guests
    if not isinstance(host, Mapping) or "cells" not in host:
        raise AnsibleFilterError("numa_map: the input is not a result of numa.virt.numa_cell_info")
    if not isinstance(domains, (list, tuple)):
        raise AnsibleFilterError("numa_map: guests is not a result of numa.virt.numa_domain_info")
    findings = guests.get("findings") or () if isinstance(guests, Mapping) else ()
    reserved = guests.get("reserved_cells") or () if isinstance(guests, Mapping) else ()
    return as_filter_error(lambda: text_map(host, domains, width, findings, reserved))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"numa_map": numa_map}
