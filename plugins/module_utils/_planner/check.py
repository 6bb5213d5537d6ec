# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What no plan could mend: options that name what the host has not, or that contradict each other.

Everything here is an InputError, raised before anything is planned; what merely does not fit is a rejection. What this
host could never hold is the one or the other, as the caller wants (Options.partial).
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._planner.board import Board
from ansible_collections.numa.virt.plugins.module_utils._planner.capacity import (
    REQUIRE,
    Capacity,
    Guest,
    bits,
    count,
    guest_of,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.choose import best
from ansible_collections.numa.virt.plugins.module_utils._planner.explain import (
    beside_the_host,
    for_the_hypervisor,
    of_isolation,
    offer,
    reject,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.helpers import asked_for
from ansible_collections.numa.virt.plugins.module_utils._planner.policies.registry import POLICIES
from ansible_collections.numa.virt.plugins.module_utils._planner.request import (
    CACHE_RULES,
    DEVICE_RULES,
    EMULATOR,
    SMT,
    Existing,
    Options,
    Request,
    Rules,
    check_ratio,
)
from ansible_collections.numa.virt.plugins.module_utils._planner.result import Rejection
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

_MIRRORING = ", ".join(policy.name for policy in POLICIES.values() if policy.mirrors)


def check_rules(host: Host, rules: Rules, options: Options) -> None:
    """Raises InputError."""
    named = {
        "reserved_cpus": rules.reserved_cpus,
        "shared_cpus": rules.shared_cpus,
        "dedicated_cpus": rules.dedicated_cpus,
    }
    for option, cpus in named.items():
        if cpus is not None and cpus - host.present:
            raise InputError(option, str(cpus), f"the host has no CPU {cpus - host.present}", _having(host))
    pairs = (("dedicated_cpus", "shared_cpus"), ("shared_cpus", "reserved_cpus"), ("dedicated_cpus", "reserved_cpus"))
    for one, other in pairs:
        both = (named[one] or CpuSet()) & (named[other] or CpuSet())
        if both:
            raise InputError(one, str(named[one]), f"CPU {both} is in {other} too", "name each CPU in one of them")
    check_ratio(rules.cpu_ratio, "cpu_ratio")
    _check_reserved(host, rules)
    _check_reserved_cells(host, rules.reserved_cells)
    if options.max_moves is not None and options.max_moves < 0:
        raise InputError("max_moves", options.max_moves, "is not a number of moves", "give 0 or more")


def _check_reserved_cells(host: Host, cells: CpuSet) -> None:
    option, expected = "reserved_cells", f"its cells are {host.cell_ids}"
    if cells - host.cell_ids:
        raise InputError(option, str(cells), f"the host has no cell {cells - host.cell_ids}", expected)
    if host.cells_with_cpus and host.cells_with_cpus <= cells:
        expected = f"leave out one of {host.cells_with_cpus}"
        raise InputError(option, str(cells), "no cell with CPUs is left for guests that name none", expected)


def _check_reserved(host: Host, rules: Rules) -> None:
    for option, pairs in (
        ("reserved_memory", rules.reserved_memory),
        ("reserved_pages", [(cell, number) for cell, _size, number in rules.reserved_pages]),
    ):
        for cell_id, amount in pairs:
            if host.cell(cell_id) is None:
                raise InputError(option, cell_id, f"the host has no cell {cell_id}", f"its cells are {host.cell_ids}")
            if amount < 0:
                raise InputError(option, amount, f"is less than nothing on cell {cell_id}", "give 0 or more")
    for cell_id, kib in rules.reserved_memory:
        cell = host.cell(cell_id)
        if cell is not None and kib > cell.memory and not host.implied_cell:
            raise InputError(
                "reserved_memory", kib, f"cell {cell_id} has {cell.memory} KiB", f"give {cell.memory} or less"
            )
    for cell_id, size, number in rules.reserved_pages:
        cell = host.cell(cell_id)
        total = sum(pool.total for pool in cell.huge_pools if pool.size == size) if cell is not None else 0
        if number > total:
            problem = f"cell {cell_id} has {total} pages of {size} KiB"
            raise InputError("reserved_pages", number, problem, f"give {total} or less")


def check_names(requests: Sequence[Request], existing: Sequence[Existing]) -> None:
    """Raises InputError."""
    for option, names in (
        ("domains", [each.name for each in requests]),
        ("existing domains", [each.name for each in existing]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise InputError(option, twice[0], "is named twice", "name each domain once")


def check_request(host: Host, request: Request) -> None:
    """Whether a request can be met on a host that it has alone, but for its size. Raises InputError."""
    check_words(host, request)
    check_host(host, request)


def check_words(host: Host, request: Request) -> None:
    """Whether all that a request names is known, and is there. Raises InputError."""
    _check_words(request)
    option = f"domains[{request.name}]"
    if request.cells is not None:
        unknown = request.cells - host.cell_ids
        if unknown or not request.cells:
            problem = f"the host has no cell {unknown}" if unknown else "names no cell"
            raise InputError(f"{option}.cells", str(request.cells), problem, f"its cells are {host.cell_ids}")
    for name, cpus in asked_for(request):
        bad = cpus - host.online
        if cpus and not bad:
            continue
        wrong = f"CPU {bad} is offline or does not exist" if bad else "names no CPU"
        raise InputError(f"{option}.{name}", str(cpus), wrong, _having(host))


def check_host(host: Host, request: Request) -> None:
    """Whether the host has what such a guest needs at all. Raises InputError."""
    option = f"domains[{request.name}]"
    if request.cells is not None and not host.cpus_of(request.cells):
        problem = "none of these cells has CPUs"
        expected = f"cells with CPUs are {host.cells_with_cpus}"
        raise InputError(f"{option}.cells", str(request.cells), problem, expected)
    request.placed_by.check(host, request)
    for size in request.by_page:
        if size is not None:
            _check_page_size(host, size, option)
    _check_devices(host, request)
    if (
        request.owns_cpus
        and request.smt == "require"
        and all(len(c.cpus) < 2 for cell in host.cells for c in cell.cores)
    ):
        expected = "give smt=prefer or smt=isolate"
        raise InputError(f"{option}.smt", "require", "no core of this host has two threads", expected)
    if request.owns_cpus and request.cache == "require" and not host.last_level_caches:
        problem = "the host does not say which CPUs share a cache"
        raise InputError(f"{option}.cache", "require", problem, "give cache=prefer, or leave it out")


def _check_page_size(host: Host, size: int, option: str) -> None:
    sizes = sorted({pool.size for cell in host.cells for pool in cell.huge_pools if pool.total})
    if size not in sizes:
        known = f"sizes with pages are {', '.join(map(str, sizes))}" if sizes else "the host has none at all"
        raise InputError(option, None, f"its huge pages of {size} KiB are not there", known)


def _check_words(request: Request) -> None:
    option = f"domains[{request.name}]"
    words = (
        ("policy", request.policy, POLICIES),
        ("smt", request.smt, SMT),
        ("cache", request.cache, CACHE_RULES),
        ("devices", request.device_rule, DEVICE_RULES),
    )
    for name, value, allowed in words:
        if value not in allowed:
            raise InputError(f"{option}.{name}", value, "is not known", f"choose among {', '.join(allowed)}")
    if isinstance(request.emulator, str) and request.emulator not in EMULATOR:
        expected = "give share, isolate or a CPU set"
        raise InputError(f"{option}.emulator", request.emulator, "is not known", expected)
    memory = [("memory", kib) for kib in request.by_page.values()]
    for name, number in (("vcpus", request.vcpus), *memory, ("width", request.width)):
        if number is not None and number < 1:
            raise InputError(f"{option}.{name}", number, "is less than 1", "give 1 or more")
    if request.cpu_ratio is not None:
        check_ratio(request.cpu_ratio, f"{option}.cpu_ratio")
    if not request.owns_cpus:
        problem = f"a guest with policy {request.policy} has no CPUs of its own"
        expected = "give policy=dedicated, or leave it out"
        if request.smt != "prefer":
            raise InputError(f"{option}.smt", request.smt, problem, expected)
        if request.emulator == "isolate":
            raise InputError(f"{option}.emulator", "isolate", problem, expected)
        if request.cache == "require":
            raise InputError(f"{option}.cache", "require", problem, expected)
    if not request.placed_by.mirrors and (request.guest_cells or request.width is not None or request.own_cpus):
        name = "guest_cells" if request.guest_cells else "width" if request.width is not None else "own_cpus"
        raise InputError(f"{option}.{name}", None, f"is not for policy {request.policy}", f"give policy={_MIRRORING}")


def _check_devices(host: Host, request: Request) -> None:
    option = f"domains[{request.name}]"
    if request.device_rule == "ignore":
        return
    where = host.device_cells
    for device in request.devices:
        if device not in where and request.device_rule == "require":
            expected = "give devices=prefer or ignore, or another device"
            raise InputError(f"{option}.devices", device, host.why_no_cell(device), expected)
    needed = CpuSet(where[device] for device in request.devices if device in where)
    if request.device_rule == "require" and request.cells is not None and needed - request.cells:
        problem = f"its device is on cell {needed - request.cells}, and cells is {request.cells}"
        raise InputError(f"{option}.devices", "require", problem, f"add cell {needed - request.cells}, or prefer")
    bare = CpuSet(cell for cell in needed if not host.cpus_of([cell]))
    if request.device_rule == "require" and bare:
        problem = f"its device is on cell {bare}, which has no CPUs"
        raise InputError(f"{option}.devices", "require", problem, "give devices=prefer")
    if request.device_rule == "require" and len(needed) > 1 and request.together is not None:
        problem = f"its devices are on cells {needed}, and its group {request.together} shares one cell"
        raise InputError(f"{option}.devices", "require", problem, "give devices=prefer, or leave the group out")


def _check_kept_out(capacity: Capacity, request: Request) -> None:
    """Whether what a request must have is on cells that it may use. Raises InputError."""
    option = f"domains[{request.name}]"
    away = guest_of(capacity, request).must & ~capacity.open
    if request.cells is None and away:
        cells = capacity.cell_ids(away)
        problem = f"its device is on cell {cells}, which reserved_cells keeps guests off"
        raise InputError(f"{option}.devices", "require", problem, f"name cell {cells} in cells, or prefer")
    for name, cpus in asked_for(request):
        held = cpus.mask & capacity.held
        if held:
            problem = f"CPU {CpuSet.from_mask(held)} belongs to another control group of the host"
            raise InputError(f"{option}.{name}", str(cpus), problem, "give other CPUs")


def never(board: Board, request: Request) -> tuple[InputError, Rejection] | None:
    """Why a host, whose board is empty, could not hold the guest: an error and a rejection; None where it could."""
    capacity = board.capacity
    try:
        check_host(capacity.host, request)
        _check_kept_out(capacity, request)
    except InputError as error:
        return error, impossible(request, error)
    guest = guest_of(capacity, request)
    problem = _size_problem(board, guest)
    if problem is None:
        return None
    found = reject(board, guest)
    return problem, replace(found, message=f"{found.message}; this host could never hold it")


def impossible(request: Request, error: InputError) -> Rejection:
    """A guest that asks for what is not to be had, whatever else is there."""
    option = f"domains[{request.name}]"
    text = error.message.replace(f"{option}: ", "", 1).replace(f"{option}.", "", 1)
    nearest = {"cell": None, "vcpus": 0, "memory": 0}
    return Rejection(request.name, "host", None, 1, 0, "cells", nearest, f"{request.name}: {text}")


def _size_problem(board: Board, guest: Guest) -> InputError | None:
    """What is too large of a guest that has the host alone, with what would fit."""
    capacity = board.capacity
    request = guest.request
    one = guest.must or guest.allowed
    if not (guest.mirrored or count(guest.must) > 1) and any(board.holds(guest, cell) for cell in bits(one)):
        return None
    if best(board, guest, steps=0) is not None:
        return None
    option = f"domains[{request.name}]"
    open_cells = list(bits(guest.allowed))
    cpu = sum(max(0, board.room(cell, guest.kind)) for cell in open_cells)
    near = offer(board, guest)
    if guest.confined and best(board, replace(guest, confined=False), steps=0) is not None:
        most = max(board.room_for(guest, cell) for cell in open_cells)
        problem = f"the last-level caches of {capacity.named(guest.allowed)} hold at most {most} of its CPUs each"
        return InputError(f"{option}.cache", "require", problem, "give cache=prefer, or fewer vCPUs")
    if cpu < guest.need:
        what = {REQUIRE: "CPUs in whole cores"}.get(guest.kind, "CPUs")
        where = f"{capacity.named(guest.allowed)} can give{of_isolation(capacity, guest)}"
        problem = f"{what} for {near.vcpus_at_most} are all that {where}"
        return InputError(f"{option}.vcpus", request.vcpus, problem, near.text)
    pool = board.lacking(guest, open_cells)
    if pool is not None:
        size = capacity.page_size(pool)
        kib = capacity.kib(pool, sum(capacity.memory[pool][cell] for cell in open_cells))
        pages = f" in pages of {size} KiB" if request.other_pages and size else ""
        kept = beside_the_host(capacity, pool, guest.allowed)
        where = f"{capacity.named(guest.allowed)}{',' if kept else ''}{kept}"
        needs = for_the_hypervisor(guest, pool)
        needs = f"needs {request.taken[size]} KiB{needs}, and " if needs else ""
        problem = f"{needs}{kib} KiB{pages} are all that guests can have on {where}"
        return InputError(f"{option}.memory", request.by_page.get(size, request.memory), problem, near.text)
    return InputError(option, None, "no set of cells of this host holds it, even without other guests", near.text)


def _having(host: Host) -> str:
    return f"its CPUs are {host.online}"
