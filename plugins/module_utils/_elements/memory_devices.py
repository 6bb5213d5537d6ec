# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""<devices><memory><source><nodemask>: the cells that the memory of a DIMM, or of another memory device, comes from.

One without it takes its memory from the cells of the guest's cell that it is plugged into, or of the guest
(qemuBuildMemoryBackendProps() in libvirt). Devices are counted in the order of the document.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._elements import tree, xml
from ansible_collections.numa.virt.plugins.module_utils._elements.element import (
    HostParts,
    Knob,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.words import (
    keep_sets,
    kept_sets,
    numbered_changes,
    set_in,
    sets_from_option,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.changes import Change
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Misplaced, Observation
from ansible_collections.numa.virt.plugins.module_utils._values.placement import (
    MAX_CELLS,
    Intent,
    Pins,
    Placement,
    Shape,
    pins_as_result,
)
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host


class Nodemask(Knob):
    """Pairs (number of the device, cells), for those devices that say it."""

    name = "nodemask"
    paths = ("devices/memory/source/nodemask",)
    waits = "the memory of a device is bound when it is plugged in"

    def read(self, root: etree._Element) -> Pins | None:
        found = []
        for number, device in enumerate(_devices(root)):
            nodemask = device.find("source/nodemask")
            cells = set_in(xml.text_of(nodemask), "nodemask") if nodemask is not None else None
            if cells:
                found.append((number, cells))
        return tuple(found) or None

    def write(self, root: etree._Element, value: Pins | None) -> None:
        wanted = dict(value or ())
        for number, device in enumerate(_devices(root)):
            source = xml.child(device, "source")
            nodemask = xml.child(source, "nodemask") if source is not None else None
            cells = wanted.get(number)
            if cells is None:
                if source is not None and nodemask is not None:
                    tree.remove(nodemask)
                    tree.remove_if_empty(source)
                continue
            if source is None:
                source = etree.Element("source")
                device.insert(0, source)
            if nodemask is None:
                nodemask = etree.SubElement(source, "nodemask")
            nodemask.text = str(cells)

    def fragment(self, root: etree._Element) -> Iterable[etree._Element]:
        """Each nodemask in its device, without anything else of that."""
        found = []
        for device in _devices(root):
            nodemask = device.find("source/nodemask")
            if nodemask is not None:
                shown = tree.shown(device, ("model",))
                part = etree.SubElement(etree.SubElement(shown, "source"), "nodemask")
                part.text = xml.text_of(nodemask).strip()
                found.append(shown)
        if not found:
            return ()
        devices = etree.Element("devices")
        devices.extend(found)
        return (devices,)

    def changes(self, before: Pins | None, after: Pins | None) -> list[Change]:
        return numbered_changes((self.paths[0] + "[{}]").format, before or (), after or ())

    def plain(self, value: Pins) -> Mapping[str, Any]:
        return pins_as_result(value)

    def host_parts(self, value: Pins | None) -> HostParts:
        return HostParts(cells=union(cells for _number, cells in value or ()))

    def fitting(self, value: Pins | None, shape: Shape, guest_cells: frozenset[int]) -> Pins | None:
        return value and tuple(pair for pair in value if pair[0] < len(shape.memory_devices))

    def argument(self) -> Mapping[str, Any]:
        return {"type": "dict"}

    def wish(self, options: Mapping[str, Any], called: Mapping[str, str]) -> Mapping[str, Any]:
        example = "a set of cells such as '1'"
        name = called.get(self.name, self.name)
        asked = sets_from_option(options.get(self.name), name, "memory device", "cell", example)
        return {} if asked is None else {self.name: asked}

    def asked_in_words(self, intent: Intent) -> Iterable[str]:
        asked = intent.knob(self.name)
        if asked == ():
            yield "no nodemask"
        for number, cells in asked or ():
            yield f"memory device {number} on cells {cells}"

    def keep(self, intent: Intent, record: etree._Element, space: str) -> None:
        keep_sets(intent.knob(self.name), record, space, self.name, "device")

    def kept(self, record: etree._Element, space: str) -> Mapping[str, Any]:
        asked = kept_sets(record, space, self.name, "device")
        if asked is None:
            return {}
        if union(cells for _number, cells in asked).mask >> MAX_CELLS:
            raise InputError("intent", None, f"names a cell above {MAX_CELLS - 1}, and no host has as many")
        return {self.name: asked}

    def asked_parts(self, intent: Intent) -> HostParts:
        return self.host_parts(intent.knob(self.name))

    def refused(self, driver: Driver) -> str | None:
        return None if driver.numatune else "a guest's memory comes from the cells of its CPUs and from nowhere else"

    def settled(self, value: Pins | None, host: Host, shape: Shape, now: bool) -> Pins | None:
        if now:
            for number, cells in value or ():
                option = f"{self.name}[{number}]"
                absent = shape.memory_device_absent(number)
                if absent is not None:
                    raise InputError(option, str(cells), *absent)
                missing = cells - host.cells_with_memory
                if missing:
                    expected = f"cells with memory are {host.cells_with_memory}"
                    raise InputError(option, str(cells), f"the host has no memory on cells {missing}", expected)
        return self.fitting(value, shape, frozenset())

    def following(self, value: Pins | None, placement: Placement, shape: Shape) -> Pins | None:
        """A device that is bound elsewhere than its cell of the guest would leave a part of the memory behind."""
        found = []
        for number, cells in value or ():
            bound = placement.bound_for(shape.memory_devices[number] or 0)
            found.append((number, cells if cells <= bound or not bound else bound))
        return tuple(found) or None

    def misplaced(self, placement: Placement, observation: Observation, bound: CpuSet) -> Iterator[Misplaced]:
        """Its cells count for the guest's memory, of which Numatune tells: one page looks like another."""
        return iter(())


def _devices(root: etree._Element) -> list[etree._Element]:
    return list(xml.below(root, "devices", "memory"))
