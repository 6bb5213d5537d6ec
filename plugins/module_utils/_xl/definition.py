# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xl knows of a guest as a Definition: its configuration file, and the guest while it runs.

This file must not import ansible, libvirt or lxml, and must not open a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.definition import UNREADABLE, Record, Trouble
from ansible_collections.numa.virt.plugins.module_utils._values.kept import Kept
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement, Shape, pins_of
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host
from ansible_collections.numa.virt.plugins.module_utils._xl.config import XlConfig
from ansible_collections.numa.virt.plugins.module_utils._xl.record import intent_or_trouble, intent_to_json


@dataclass(frozen=True, eq=False)
class XlDefinition:
    """A configuration file on a host, whose cells give ``node:`` its meaning."""

    config: XlConfig
    host: Host
    suffix: str = "cfg"
    shown_as: str = "config"

    @property
    def text(self) -> str:
        return self.config.text

    @property
    def masked_text(self) -> str:
        return self.config.masked_text()

    @property
    def owned_text(self) -> str:
        return self.config.owned_text

    @property
    def rest_text(self) -> str:
        return self.config.masked_text()

    @property
    def written_form(self) -> str | None:
        if not self.config.has_affinity:
            return None
        return "one set for all vCPUs" if self.config.places_itself else "a set for each vCPU"

    @property
    def uuid(self) -> str | None:
        return self.config.uuid

    @property
    def shape(self) -> Shape:
        return replace(self.config.shape, pool=self.config.pool, memory_cells=self.config.vnuma_cells)

    @property
    def needs(self) -> GuestNeeds:
        return GuestNeeds(devices=self.config.devices)

    @property
    def placement(self) -> Placement:
        return self._placement[0]

    @property
    def kept(self) -> tuple[Kept, ...]:
        return ()

    @property
    def record(self) -> Record | None:
        return self._record[0]

    @property
    def trouble(self) -> Trouble | None:
        return self._placement[1] or self._record[1]

    @cached_property
    def _placement(self) -> tuple[Placement, Trouble | None]:
        try:
            return self.config.placement(self._cells, self.host.present), None
        except InputError as error:
            # xl would not start it: it holds no CPU, and may have any.
            return Placement(), Trouble(UNREADABLE, error.message)

    @cached_property
    def _record(self) -> tuple[Record | None, Trouble | None]:
        text = self.config.record_text
        intent, trouble = intent_or_trouble(text) if text is not None else (None, None)
        return Record(intent) if intent is not None else None, trouble

    def rewritten(self, placement: Placement, record: Record | None) -> XlDefinition:
        config = self.config.with_cpus(
            placement.cpuset, dict(placement.vcpu_pins), self._cells, self.host.present
        )  # fmt: skip
        if record is not None:
            config = config.with_record(intent_to_json(record.intent))
        return replace(self, config=config)

    def released(self) -> XlDefinition:
        return replace(self, config=self.rewritten(Placement(), None).config.with_record(None))

    @property
    def _cells(self) -> Mapping[int, CpuSet]:
        return {cell.id: cell.cpus for cell in self.host.cells}


@dataclass(frozen=True, eq=False)
class XlRunning:
    """A running guest: what the hypervisor says of it. It has no definition of its own that could be written.

    ``devices`` are those of its file.
    """

    shape: Shape
    maps: Mapping[int, CpuSet]
    everything: CpuSet
    record: Record | None = None
    trouble: Trouble | None = None
    suffix: str = "txt"
    shown_as: str = "config"
    written_form: str | None = None
    kept: tuple[Kept, ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def needs(self) -> GuestNeeds:
        return GuestNeeds(devices=self.devices)

    @property
    def text(self) -> str:
        return self.owned_text

    @property
    def masked_text(self) -> str:
        return self.owned_text

    @property
    def owned_text(self) -> str:
        return "".join(f"vCPU {vcpu}: {cpus}\n" for vcpu, cpus in sorted(self.maps.items()))

    @property
    def rest_text(self) -> str:
        return ""

    @property
    def uuid(self) -> str | None:
        return self.shape.uuid

    @property
    def placement(self) -> Placement:
        whole = union(self.maps.values())
        pins = pins_of({vcpu: cpus for vcpu, cpus in self.maps.items() if cpus != whole})
        return Placement(cpuset=None if self.everything <= whole else whole, vcpu_pins=pins)

    def rewritten(self, _placement: Placement, _record: Record | None) -> XlRunning:
        return self

    def released(self) -> XlRunning:
        return self
