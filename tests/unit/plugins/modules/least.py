# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of each module, and the least that it wants, of a daemon that nobody can reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils import basic

NOWHERE = "test+unix:///default?socket=/nonexistent/libvirt-sock"
MODULES: Mapping[str, Mapping[str, Any]] = {
    "numa_cell_info": {"uri": NOWHERE},
    "numa_claim": {"uri": NOWHERE, "name": "web1", "cpuset": "0-3"},
    "numa_domain": {"uri": NOWHERE, "name": "web1"},
    "numa_domain_info": {"uri": NOWHERE},
    "numa_host_state": {"uri": NOWHERE, "state": "draining"},
    "numa_map_page": {"dest": "/nonexistent/map", "hosts": [{"name": "h", "cells": [], "guests": []}]},
    "numa_placement": {"uri": NOWHERE, "domains": ["web1"]},
    "numa_release": {"uri": NOWHERE, "names": ["web1"]},
    "vcpu_pin": {"uri": NOWHERE, "name": "web1", "pins": {"0": "1"}},
}


class SpecificationError(Exception):
    """An argument specification, on its way out of a module."""


def options_of(main: Callable[[], None]) -> list[tuple[str, ...]]:
    """Every option of a module with its aliases, and pairs (option, suboption)."""

    def tell(_self: Any, argument_spec: Any, **_options: Any) -> None:
        raise SpecificationError(argument_spec)

    spec: Mapping[str, Mapping[str, Any]] = {}
    real, basic.AnsibleModule.__init__ = basic.AnsibleModule.__init__, tell
    try:
        main()
    except SpecificationError as told:
        (spec,) = told.args
    finally:
        basic.AnsibleModule.__init__ = real
    names = [(each,) for option, said in spec.items() for each in (option, *said.get("aliases", ()))]
    return [*names, *((option, key) for option, said in spec.items() for key in said.get("options", ()))]
