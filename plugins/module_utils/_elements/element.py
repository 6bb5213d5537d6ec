# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each owned element of a domain document answers, and what it is told of a running guest.

A new one is a class in a file of its own and a line in _elements.registry; CONTRIBUTING says how.
This file must not import ansible or libvirt, and must not call a hypervisor: what is to be done is data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Union

from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._values.changes import Change, Restart, Step
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import EMPTY, CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Misplaced, Observation
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

# What a change means for a running guest: it can be made, or it waits for a restart.
Consequence = Union[Step, Restart]


@dataclass(frozen=True)
class HostParts:
    """The parts of a host that something names: single sets of CPUs, and cells."""

    cpus: tuple[CpuSet, ...] = ()
    cells: CpuSet = EMPTY

    def stale_on(self, host: Host) -> HostParts:
        """Those of them that another host does not have."""
        missing = (cpus - host.present for cpus in self.cpus)
        return HostParts(tuple(each for each in missing if each), self.cells - host.cell_ids)


@dataclass(frozen=True)
class Scope:
    """The threads whose pins a run is about; all else stays as it is."""

    vcpus: frozenset[int]
    emulator: bool
    iothreads: frozenset[int]


@dataclass(frozen=True)
class Running:
    """A running guest as far as it matters for what can be changed now.

    ``now`` is what its live definition says, ``wanted`` what shall hold, ``everything`` the CPUs online for it.
    ``cuts`` tells whether a call would cut a CPU set off. Without a ``scope`` the run is about everything. ``bound``
    are all cells that memory shall be bound to.
    """

    now: Placement
    wanted: Placement
    shape: Shape
    observation: Observation
    host: Host
    everything: CpuSet
    driver: Driver
    cuts: Callable[[CpuSet], bool]
    scope: Scope | None = None
    bound: CpuSet = EMPTY


class Element(ABC):
    """One owned element. Its *value* is what a Placement says of it; None, or something false, where it says nothing.

    ``name`` is the key of that value in a Placement, and of the option for it, where no method says otherwise.
    ``paths`` are those of the changes that it tells of, without numbers. ``said`` orders what a user asked for in one
    line; ``observes`` names what has to be read of a thread besides its CPUs and cells, to verify it; ``stands_alone``:
    whether the others can be verified where it does not hold.
    """

    name: ClassVar[str]
    paths: ClassVar[tuple[str, ...]]
    said: ClassVar[int] = 9
    observes: ClassVar[frozenset[str]] = frozenset()
    stands_alone: ClassVar[bool] = True

    # In a placement

    def of(self, placement: Placement) -> Any:
        return placement.knob(self.name)

    def put(self, placement: Placement, value: Any) -> Placement:
        return placement.with_knob(self.name, value)

    # In a document

    @abstractmethod
    def read(self, root: etree._Element) -> Any:
        """Its value, under libvirt's rules. Raises InputError for what libvirt would not take."""

    @abstractmethod
    def write(self, root: etree._Element, value: Any) -> None:
        """Make a document say this value, which it does not yet."""

    def strip(self, root: etree._Element) -> None:
        """Take it out, whatever it says: what is left is the rest, which no placement may change."""
        self.write(root, None)

    @abstractmethod
    def fragment(self, root: etree._Element) -> Iterable[etree._Element]:
        """Copies of what a diff shows; elements of one name and depth are merged. Only what is known is shown."""

    # In words and data

    @abstractmethod
    def changes(self, before: Any, after: Any) -> list[Change]:
        """What two values say differently, in the order of the document; some may change nothing."""

    def differences(self, before: Any, after: Any) -> list[Change]:
        """The changes that change something."""
        return [change for change in self.changes(before, after) if change.before != change.after]

    @abstractmethod
    def as_result(self, value: Any) -> Mapping[str, Any]:
        """The keys of RV(placement) that are its own, as plain data."""

    def host_parts(self, value: Any) -> HostParts:
        """The parts of the host that it names: on another host they may be others, or missing."""
        return HostParts()

    def fitting(self, value: Any, shape: Shape, guest_cells: frozenset[int]) -> Any:
        """What of it is about things that a guest has."""
        return value

    # Asked for by a user

    @abstractmethod
    def wish(self, options: Mapping[str, Any], called: Mapping[str, str]) -> Mapping[str, Any]:
        """The parts of an Intent that options say. ``called`` has the name that a module gives an option.

        Raises InputError.
        """

    @abstractmethod
    def asked_as_result(self, intent: Intent) -> Mapping[str, Any]:
        """The keys of RV(intent) that are its own, as plain data."""

    @abstractmethod
    def asked_in_words(self, intent: Intent) -> Iterable[str]:
        """What of an intent is its own, for a line."""

    @abstractmethod
    def keep(self, intent: Intent, record: etree._Element, space: str) -> None:
        """Put what is its own into our record in the metadata; ``space`` goes before each name."""

    @abstractmethod
    def kept(self, record: etree._Element, space: str) -> Mapping[str, Any]:
        """The parts of an Intent that are there. Raises InputError for what nobody of ours has written."""

    def asked_parts(self, intent: Intent) -> HostParts:
        """The parts of the host that a user named for it."""
        return HostParts()

    # In a running guest

    @abstractmethod
    def live(self, guest: Running) -> Iterator[Consequence]:
        """What would make a running guest follow, in order; what only a restart would do, and why."""

    @abstractmethod
    def misplaced(self, placement: Placement, observation: Observation, bound: CpuSet) -> Iterator[Misplaced]:
        """What is elsewhere, or otherwise, than it shall be. ``bound`` are all cells that memory is bound to."""


class Knob(Element):
    """An element that says nothing of where a guest belongs, so that no planning depends on it.

    What nobody asked for stays as the document has it. Its value in an Intent is that in a Placement; {} asks for none.
    ``waits`` says why a running guest follows only after a restart.
    """

    waits: ClassVar[str]

    @abstractmethod
    def plain(self, value: Any) -> Any:
        """A value as plain data, be it one that says nothing."""

    def as_result(self, value: Any) -> Mapping[str, Any]:
        return {self.name: self.plain(value)} if value else {}

    def asked_as_result(self, intent: Intent) -> Mapping[str, Any]:
        asked = intent.knob(self.name)
        return {} if asked is None else {self.name: self.plain(asked)}

    def live(self, guest: Running) -> Iterator[Consequence]:
        if guest.scope is None:
            for change in self.differences(self.of(guest.now), self.of(guest.wanted)):
                yield Restart(change.element, self.waits)

    @abstractmethod
    def argument(self) -> Mapping[str, Any]:
        """The option in an argument spec; its documentation is in the doc fragment of the same name."""

    @abstractmethod
    def refused(self, driver: Driver) -> str | None:
        """Why this driver has no such thing, or None."""

    def following(self, value: Any, placement: Placement, shape: Shape) -> Any:
        """What becomes of a value that nobody asked for where the guest is placed like this."""
        return value

    @abstractmethod
    def settled(self, value: Any, host: Host, shape: Shape, now: bool) -> Any:
        """What holds of a value on this host and guest. Said ``now`` all of it has to, else InputError is raised; what
        an earlier run or the document says of things that are gone is dropped."""
