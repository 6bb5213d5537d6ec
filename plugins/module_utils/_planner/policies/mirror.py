# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""mirror: each cell of the guest is one cell of the host."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.policy import Policy
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._planner.request import Request
    from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


class Mirror(Policy):
    name = "mirror"
    why = "one cell holds it"
    mirrors = True

    def owns_cpus(self, asked: bool) -> bool:
        return asked

    def check(self, host: Host, request: Request) -> None:
        _check_cells(request)
        _check_width(host, request)


def _check_cells(request: Request) -> None:
    """The guest's own cells, where it has any. Raises InputError."""
    option = f"domains[{request.name}]"
    if request.guest_cells:
        listed = [vcpu for cell in request.guest_cells for vcpu in cell.vcpus]
        if sorted(listed) != list(range(request.vcpus)):
            problem = f"its cells have the vCPUs {CpuSet(listed)}"
            raise InputError(
                f"{option}.guest_cells", None, problem, f"give each of {CpuSet(range(request.vcpus))} once"
            )
        bare = CpuSet(number for number, cell in enumerate(request.guest_cells) if not cell.vcpus)
        if bare:
            expected = "give each cell a vCPU at least, or another policy"
            raise InputError(f"{option}.guest_cells", None, f"its cell {bare} has no vCPU", expected)
        total: Counter[int | None] = Counter()
        for cell in request.guest_cells:
            total.update(cell.by_page)
        for size in {**request.by_page, **total}:
            has, kib = request.by_page.get(size, 0), total[size]
            if kib != has:
                pages = f" in pages of {size} KiB" if size else ""
                problem = f"its cells have {kib} KiB{pages} and the guest {has}"
                raise InputError(f"{option}.guest_cells", None, problem, "give all of its memory to its cells")
        if request.width not in (None, len(request.guest_cells)):
            problem = f"the guest has {len(request.guest_cells)} cells"
            raise InputError(f"{option}.width", request.width, problem, "leave it out")


def _check_width(host: Host, request: Request) -> None:
    """The number of its cells, whichever option says it. Raises InputError."""
    value: object
    name, value, width = "width", request.width, request.width or 1
    if request.guest_cells:
        name, value, width = "guest_cells", None, len(request.guest_cells)
    elif request.width is None and request.cells is not None:
        name, value, width = "cells", str(request.cells), len(request.cells)
    having = host.cells_with_cpus if request.cells is None else request.cells & host.cells_with_cpus
    page = request.page_size or 1
    pages = sum(-(-kib // (size or 1)) for size, kib in request.by_page.items())
    problems = (
        (
            width > 1 and request.together is not None,
            f"its group {request.together} shares one cell",
            "leave the group out",
        ),
        (width > request.vcpus, f"the guest has {request.vcpus} vCPUs", "a cell needs one vCPU at least"),
        (
            width > pages,
            f"the guest has {request.memory} KiB",
            f"a cell needs {page} KiB at least",
        ),
        (
            request.cells is not None and width > len(request.cells),
            f"its cells need a host cell each, and it may use {len(request.cells or ())}",
            "give more cells",
        ),
        (
            width > len(having),
            f"its cells need a host cell with CPUs each, and those it may use are {having}",
            "ask for fewer cells",
        ),
    )
    for wrong, problem, expected in problems:
        if wrong:
            raise InputError(f"domains[{request.name}].{name}", value, problem, expected)
