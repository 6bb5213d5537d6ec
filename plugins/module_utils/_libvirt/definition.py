# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A libvirt domain document as a Definition.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.numa.virt.plugins.module_utils._elements import record as record_xml
from ansible_collections.numa.virt.plugins.module_utils._elements import registry, xml
from ansible_collections.numa.virt.plugins.module_utils._elements.guest_cells import remove_guest_cells
from ansible_collections.numa.virt.plugins.module_utils._elements.kept import read_kept
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree, serialize
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, XmlError
from ansible_collections.numa.virt.plugins.module_utils._libvirt import domain_xml, guest_needs
from ansible_collections.numa.virt.plugins.module_utils._libvirt import secrets as xml_secrets
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.definition import UNREADABLE, Record, Trouble
from ansible_collections.numa.virt.plugins.module_utils._values.kept import Kept
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement, Shape

# What libvirt is to keep our record by, where that alone is stored.
NAMESPACE, PREFIX = record_xml.NAMESPACE, record_xml.PREFIX
# What is read once of a document, and no owned element has a part in.
_OF_THE_REST = frozenset({"shape", "needs", "kept"})


@dataclass(frozen=True, eq=False)
class XmlDefinition:
    """``root`` must not be changed. ``given`` is the text that it was read from, where there is one.

    ``unreadable`` says what of that text cannot be read; ``root`` is then what could be.
    """

    root: etree._Element
    given: str | None = None
    suffix: str = "xml"
    shown_as: str = "xml"
    written_form: str | None = None
    unreadable: str | None = None

    @classmethod
    def load(cls, text: str, option: str = "definition") -> XmlDefinition:
        """Raises XmlError, which names ``option``."""
        return cls(domain_xml.load(text, option), text)

    @classmethod
    def load_given(cls, text: str, option: str) -> XmlDefinition:
        """A document of a user's, which must say how much memory, and not pin what its guest does not have.

        Raises XmlError.
        """
        found = cls.load(text, option)
        if not found.shape.memory:
            expected = "write <memory unit='KiB'>1048576</memory>, or give its cells sizes in <cpu><numa>"
            raise XmlError(option, "the domain has no memory", expected)
        lost = registry.for_nothing(found.placement, found.shape, found.guest_cells)
        if lost:
            more = f" (and {len(lost) - 1} more of the kind)" if len(lost) > 1 else ""
            raise XmlError(
                option,
                f"{lost[0].element}{more} is for something that the guest does not have ({found._having})",
                "take it out, or give the guest what it is for, with <vcpu>, <iothreads> or <cpu><numa>",
            )
        return found

    @classmethod
    def read(cls, text: str, name: str) -> XmlDefinition:
        """What a hypervisor says of the domain of that name. Never raises: see ``trouble``."""
        root = None
        try:
            root = xml.parse(text, "definition", lenient=True)
            found = cls(domain_xml.checked(root, "definition"), text)
            found._look(name)
        except InputError as error:
            return cls(_readable_parts(root, name), text, unreadable=error.message)
        return found

    def _look(self, name: str) -> None:
        """Raises InputError where a part cannot be read."""
        self.check()
        if self.shape.name != name:
            # libvirt writes a carriage return as it is, and XML takes it for a line feed.
            raise XmlError("definition", "its name does not survive being written and read again")

    def check(self) -> None:
        """Read what a placement depends on, once and for all. Raises InputError where that cannot be read."""
        self.shape  # noqa: B018 - it is kept
        self.placement  # noqa: B018

    @property
    def text(self) -> str:
        return self.given if self.given is not None else serialize(self.root)

    @property
    def masked_text(self) -> str:
        return serialize(self._masked[0])

    @cached_property
    def _masked(self) -> tuple[etree._Element, xml_secrets.Secrets]:
        return xml_secrets.masked_and_secrets(self.root)

    @property
    def owned_text(self) -> str:
        return record_xml.owned_fragment(self.root)

    @property
    def rest_text(self) -> str:
        return domain_xml.rest_text(self.root)

    @property
    def uuid(self) -> str | None:
        return domain_xml.uuid(self.root)

    @cached_property
    def shape(self) -> Shape:
        return domain_xml.shape(self.root)

    @cached_property
    def needs(self) -> GuestNeeds:
        return guest_needs.needs_of(self.root)

    @cached_property
    def placement(self) -> Placement:
        return registry.read_placement(self.root)

    @cached_property
    def kept(self) -> tuple[Kept, ...]:
        return read_kept(self.root)

    @property
    def record(self) -> Record | None:
        return self._record[0]

    @property
    def trouble(self) -> Trouble | None:
        return Trouble(UNREADABLE, self.unreadable) if self.unreadable is not None else self._record[1]

    @cached_property
    def _record(self) -> tuple[Record | None, Trouble | None]:
        return record_xml.record_or_trouble(self.root)

    def rewritten(self, placement: Placement, record: Record | None) -> XmlDefinition:
        if self.placement == placement and (record is None or record == self.record):
            return self
        root = copy.deepcopy(self.root)
        registry.write_placement(root, placement)
        if record is not None:
            record_xml.write_record(root, record)
        return self._with_the_same_rest(root)

    def _with_the_same_rest(self, root: etree._Element) -> XmlDefinition:
        """A document in which only what is owned may differ: what of the rest is known already stays so."""
        new = XmlDefinition(root)
        new.__dict__.update({name: self.__dict__[name] for name in _OF_THE_REST & self.__dict__.keys()})
        return new

    def released(self) -> XmlDefinition:
        return self.without_made_cells().unplaced()

    def without_made_cells(self) -> XmlDefinition:
        """The same without cells of the guest that we have made; itself where there are none."""
        if self.record is None or not self.record.made_cells:
            return self
        root = copy.deepcopy(self.root)
        remove_guest_cells(root)
        return XmlDefinition(root)

    def unplaced(self) -> XmlDefinition:
        """The same without a placement and a record of ours; cells of the guest stay, for a guest that has them."""
        root = copy.deepcopy(self.root)
        intent = self.record.intent if self.record is not None else None
        registry.write_placement(root, registry.placement_released(self.placement, intent))
        record_xml.remove_record(root)
        return XmlDefinition(root)

    @property
    def guest_cells(self) -> frozenset[int]:
        """The ids of the guest's own cells."""
        return frozenset(range(len(self.root.findall("cpu/numa/cell"))))

    @property
    def _having(self) -> str:
        threads, cells = CpuSet(self.shape.iothreads), CpuSet(self.guest_cells)
        return (
            f"its vCPUs are {CpuSet(range(self.shape.vcpus))}, its IO threads {threads or 'none'}, its own cells "
            f"{cells or 'none'}"
        )

    @property
    def disks(self) -> tuple[str, ...]:
        """The targets of its disks."""
        return tuple(each.get("dev", "") for each in self.root.iterfind("devices/disk/target"))

    @cached_property
    def digest(self) -> str:
        """Of the rest, without secrets."""
        plain = self._plain_digest
        return plain if plain is not None else domain_xml.digest(self._masked[0])

    @cached_property
    def _plain_digest(self) -> str | None:
        return domain_xml.plain_digest(self.root)

    def completed(self, existing: XmlDefinition) -> XmlDefinition:
        """This document of a user as a redefinition of a domain: its UUID, and secrets that a dump leaves out.

        Raises InputError where it has another UUID.
        """
        root = copy.deepcopy(self.root)
        domain_xml.complete(root, existing.root)
        return XmlDefinition(root)

    def made_into(self, existing: XmlDefinition, record: Record | None) -> bool:
        """Whether a domain is just what libvirt once made of this very document of its user, by the domain's record.

        Raises InputError where this document has another UUID.
        """
        domain_xml.check_uuid(self.root, existing.root)
        if record is None or (record.source, record.stored) != (self.digest, existing.digest):
            return False
        if self._plain_digest is not None and existing._plain_digest is not None:
            return True  # where none are there is nothing more to compare
        return self.completed(existing).same_secrets(existing)

    def same_rest(self, other: XmlDefinition) -> bool:
        return domain_xml.same_rest(self.root, other.root)

    def same_secrets(self, other: XmlDefinition) -> bool:
        return xml_secrets.same_secrets(self._masked[1], other._masked[1])

    def dropped_elements(self, stored: XmlDefinition) -> list[str]:
        """Paths of elements that this document has and that libvirt did not keep."""
        return domain_xml.dropped_elements(self.root, stored.root)


def record_text(record: Record) -> str:
    """A record alone, as libvirt takes it: it adds the namespace itself."""
    return serialize(record_xml.record_element(record, namespaced=False))


def _readable_parts(root: etree._Element | None, name: str) -> etree._Element:
    """A domain of what a placement depends on, as far as it can be read: it counts for others by that."""
    kept = etree.Element("domain", type=root.get("type", "") if root is not None else "")
    etree.SubElement(kept, "name").text = name if name.isprintable() else name.encode("unicode_escape").decode("ascii")
    for tag in ("uuid", "memory", "vcpu", "cputune", "numatune"):
        part = xml.child(root, tag) if root is not None else None
        if part is None:
            continue
        kept.append(copy.deepcopy(part))
        try:
            XmlDefinition(domain_xml.checked(kept, "definition")).check()
        except InputError:
            kept.remove(kept[-1])
    return kept
