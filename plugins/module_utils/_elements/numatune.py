# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""<numatune>: the cells that a guest's memory comes from, as a whole and for single cells of its own.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ansible_collections.numa.virt.plugins.module_utils._elements import tree, xml
from ansible_collections.numa.virt.plugins.module_utils._elements.element import (
    Consequence,
    Element,
    HostParts,
    Running,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.words import (
    keep_sets,
    kept_sets,
    numbered_changes,
    set_in,
    some_set,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, XmlError
from ansible_collections.numa.virt.plugins.module_utils._values.changes import LIVE, Change, Restart, Step
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.observation import (
    MEMORY,
    Misplaced,
    Observation,
    own_memory,
    policy_cells,
)
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    BINDING_MODES,
    MEMORY_MODES,
    Intent,
    Memnodes,
    MemoryBinding,
    MemoryIntent,
    Placement,
    Shape,
    as_text,
)

_TAGS = ("memory", "memnode")
_SHOWN = ("mode", "placement", "nodeset")


class Binding(NamedTuple):
    """Of all memory, and pairs (cell of the guest, binding), ascending."""

    memory: MemoryBinding | None = None
    memnodes: Memnodes = ()

    @property
    def cells(self) -> CpuSet:
        """The cells that it names."""
        bindings = [self.memory, *(each for _cell, each in self.memnodes)]
        return union(each.nodeset for each in bindings if each is not None)


class Numatune(Element):
    name = "memory"
    paths = ("numatune/memory", "numatune/memnode")
    said = 2

    def of(self, placement: Placement) -> Binding:
        return Binding(placement.memory, placement.memnodes)

    def put(self, placement: Placement, value: Binding | None) -> Placement:
        memory, memnodes = value or Binding()
        return replace(placement, memory=memory, memnodes=memnodes)

    def read(self, root: etree._Element) -> Binding:
        numatune = xml.child(root, "numatune")
        if numatune is None:
            return Binding()
        memory = xml.child(numatune, "memory")
        memnodes = [(xml.number(each, "cellid"), _read(each)) for each in numatune.iterchildren("memnode")]
        return Binding(_read(memory) if memory is not None else None, tuple(sorted(memnodes, key=lambda pair: pair[0])))

    def write(self, root: etree._Element, value: Binding | None) -> None:
        memory, memnodes = value or Binding()
        if memory is None and not memnodes:
            self.strip(root)
            return
        elements = [_element("memory", memory)] if memory is not None else []
        elements += [_element("memnode", binding, cellid=str(cell)) for cell, binding in memnodes]
        tree.replace_children(root, "numatune", _TAGS, elements)

    def strip(self, root: etree._Element) -> None:
        """All of it: nothing else is in there."""
        for numatune in list(root.iterchildren("numatune")):
            tree.remove(numatune)

    def fragment(self, root: etree._Element) -> Iterable[etree._Element]:
        numatune = xml.child(root, "numatune")
        if numatune is None:
            return ()
        part = etree.Element("numatune")
        for each in numatune.iterchildren(*_TAGS):
            part.append(tree.shown(each, _SHOWN if each.tag == "memory" else ("cellid", *_SHOWN)))
        return (part,)

    def changes(self, before: Binding, after: Binding) -> list[Change]:
        memory = Change("numatune/memory", as_text(before.memory), as_text(after.memory))
        return [memory, *numbered_changes("numatune/memnode[@cellid='{}']".format, before.memnodes, after.memnodes)]

    def as_result(self, value: Binding) -> Mapping[str, Any]:
        return {
            "memory": _as_result(value.memory),
            "memnodes": {str(cell): _as_result(binding) for cell, binding in value.memnodes},
        }

    def host_parts(self, value: Binding) -> HostParts:
        return HostParts(cells=value.cells)

    def fitting(self, value: Binding, shape: Shape, guest_cells: frozenset[int]) -> Binding:
        return Binding(value.memory, tuple(pair for pair in value.memnodes if pair[0] in guest_cells))

    def wish(self, options: Mapping[str, Any], called: Mapping[str, str]) -> Mapping[str, Any]:
        option = options.get("memory")
        if option is None:
            return {}
        mode = option.get("mode") or "strict"
        if mode not in (*MEMORY_MODES, "none"):
            expected = f"choose one of {', '.join(MEMORY_MODES)}, none"
            raise InputError("memory.mode", mode, "is not a memory mode", expected)
        cells = some_set(option.get("cells"), "memory.cells", "cell")
        if mode == "none" and cells is not None:
            raise InputError(
                "memory.cells", option.get("cells"), "contradicts memory.mode=none", "leave one of them out"
            )
        return {"memory": MemoryIntent(mode, cells)}

    def asked_as_result(self, intent: Intent) -> Mapping[str, Any]:
        memory = intent.memory
        if memory is None:
            return {"memory": None}
        return {"memory": {"mode": memory.mode, "cells": None if memory.cells is None else list(memory.cells)}}

    def asked_in_words(self, intent: Intent) -> Iterable[str]:
        memory = intent.memory
        if memory is not None:
            yield f"memory {memory.mode}" + (f" on {memory.cells}" if memory.cells else "")

    def keep(self, intent: Intent, record: etree._Element, space: str) -> None:
        if intent.memory is not None:
            memory = etree.Element(f"{space}memory", mode=intent.memory.mode)
            if intent.memory.cells is not None:
                memory.set("cells", str(intent.memory.cells))
            record.insert(0, memory)  # where the releases put it that wrote no other elements
        keep_sets(intent.memnodes, record, space, "cells", "cell")

    def kept(self, record: etree._Element, space: str) -> Mapping[str, Any]:
        memory = xml.child(record, f"{space}memory")
        mode = memory.get("mode", "strict") if memory is not None else "none"
        if mode not in (*MEMORY_MODES, "none"):
            raise XmlError("definition", "an intent with an unknown mode")
        asked = MemoryIntent(mode, set_in(memory.get("cells"), "intent memory")) if memory is not None else None
        return {"memory": asked, "memnodes": kept_sets(record, space, "cells", "cell")}

    def asked_parts(self, intent: Intent) -> HostParts:
        memory = intent.memory.cells if intent.memory is not None else None
        return HostParts(cells=union([memory or EMPTY, *(cells for _cell, cells in intent.memnodes or ())]))

    def live(self, guest: Running) -> Iterator[Consequence]:
        if guest.scope is not None:
            return
        if not guest.driver.numatune:
            yield from _left_behind(guest)
            return
        before, after = self.of(guest.now), self.of(guest.wanted)
        if before.memory != after.memory:
            whole = not before.memnodes and not after.memnodes
            if whole and before.memory and after.memory and _moves_alone(before.memory, after.memory, guest.driver):
                change = Change("numatune/memory", str(before.memory), str(after.memory), LIVE)
                yield Step(change, "bind_memory", (after.memory.nodeset,))
            else:
                yield Restart("numatune/memory", _why(before.memory, after.memory, guest.driver))
        else:
            yield from _lies_elsewhere(guest, after.memory)
        if before.memnodes != after.memnodes:
            yield Restart("numatune/memnode", "the cells of a guest are bound when it starts")

    def misplaced(self, placement: Placement, observation: Observation, bound: CpuSet) -> Iterator[Misplaced]:
        binding = placement.memory
        if binding is None or binding.automatic or binding.mode not in BINDING_MODES:
            return
        held = observation.memory is not None and policy_cells(observation.memory.policy) is not None
        # Without cgroups (an unprivileged daemon) a policy of the process alone binds its memory.
        for thread in observation.others if not held else ():
            if thread.mems and not thread.mems <= bound:
                yield Misplaced(
                    f"thread {thread.name!r} ({thread.tid})",
                    f"memory of cells {bound}",
                    f"memory of cells {thread.mems}",
                )
        if observation.memory is None:
            return
        cells = policy_cells(observation.memory.policy)
        if cells is not None and not cells <= bound:
            yield Misplaced(MEMORY, f"cells {bound}", f"cells {cells}")
        for cell, kib in observation.memory.kib:
            if cell not in bound and kib:
                yield Misplaced(MEMORY, f"cells {bound}", f"cell {cell} ({kib} KiB)")


def _moves_alone(before: MemoryBinding, after: MemoryBinding, driver: Driver) -> bool:
    """Whether the cells of a running guest's memory can change from one binding to the other."""
    modes = {before.mode, after.mode}
    return not (before.automatic or after.automatic) and len(modes) == 1 and modes <= driver.live_nodeset


def _why(before: MemoryBinding | None, after: MemoryBinding | None, driver: Driver) -> str:
    if before is None:
        return "the running guest's memory is not bound, and can only be bound when it starts"
    if after is None:
        return "the running guest's memory stays bound until it starts again"
    if before.mode != after.mode:
        modes = " and ".join(sorted((before.mode, after.mode)))
        return f"the mode of a running guest's memory cannot change ({modes})"
    movable = " or ".join(sorted(driver.live_nodeset)) or "no"
    return f"memory in {after.mode} mode is bound when the guest starts; only {movable} memory can move while it runs"


def _lies_elsewhere(guest: Running, binding: MemoryBinding | None) -> Iterator[Consequence]:
    """Memory that is bound where it shall be, and was taken elsewhere before it was."""
    seen = guest.observation.memory
    if seen is None or binding is None or binding.automatic or binding.mode not in BINDING_MODES:
        return
    away = {cell: kib for cell, kib in seen.kib if kib and cell not in binding.nodeset | guest.bound}
    if sum(away.values()) > own_memory(guest.observation, CpuSet(away), guest.shape.memory):
        where = ", ".join(f"{kib} KiB of the running guest's memory lie on cell {cell}" for cell, kib in away.items())
        yield Restart("numatune/memory", f"{where}; what was taken there stays there while it runs")


def _left_behind(guest: Running) -> Iterator[Consequence]:
    """Xen: what of the guest's memory lies, or where that cannot be seen may lie, elsewhere than it shall."""
    wanted = guest.wanted.memory
    if wanted is None or wanted.automatic or wanted.mode not in BINDING_MODES:
        return
    if guest.observation.memory is not None:
        away = [(cell, kib) for cell, kib in guest.observation.memory.kib if kib and cell not in wanted.nodeset]
        where = ", ".join(f"{kib} KiB of the running guest's memory lie on cell {cell}" for cell, kib in away)
    else:
        used = union(cpus for _vcpu, cpus in guest.observation.vcpus)
        cells = guest.host.cells_touched(used) - wanted.nodeset
        where = f"the running guest's vCPUs may use cell {cells}, and its memory may lie there" if cells else ""
    if where:
        yield Restart("numatune/memory", f"{where}; Xen does not move a guest's memory while it runs")


def _read(element: etree._Element) -> MemoryBinding:
    automatic = element.get("placement") == "auto"
    nodeset = None if automatic else set_in(element.get("nodeset"), "nodeset")  # libvirt drops it
    return MemoryBinding(element.get("mode", "strict"), nodeset or EMPTY, automatic)


def _element(tag: str, binding: MemoryBinding, **attributes: str) -> etree._Element:
    element = etree.Element(tag, {**attributes, "mode": binding.mode})
    if binding.automatic:
        element.set("placement", "auto")
    else:
        element.set("nodeset", str(binding.nodeset))
    return element


def _as_result(binding: MemoryBinding | None) -> dict[str, Any] | None:
    if binding is None:
        return None
    return {"mode": binding.mode, "cells": list(binding.nodeset), "automatic": binding.automatic}
