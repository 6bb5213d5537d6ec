# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A domain's definition, in whatever dialect its hypervisor keeps it.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from ansible_collections.numa.virt.plugins.module_utils._values.kept import Kept
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape

UNREADABLE, RECORD, NEWER = "definition", "record", "newer"


@dataclass(frozen=True)
class Trouble:
    """What of a definition cannot be read; ``problem`` says it in one line.

    ``kind`` is UNREADABLE: the definition itself, of which only parts are known; RECORD: what should be our record, and
    now counts as none; NEWER: a record that a newer release has written.
    """

    kind: str
    problem: str

    @property
    def blocks(self) -> bool:
        """Whether this domain cannot be placed here until somebody has mended that."""
        return self.kind != RECORD


@dataclass(frozen=True)
class Record:
    """What this collection keeps in a definition, where its hypervisor does not look.

    ``source`` is the digest of the document that a user gave, ``stored`` that of what libvirt made of it; both None
    where the domain was only placed, not defined here. ``made_cells`` says that the guest's own cells (<cpu><numa>) are
    of our making.
    """

    intent: Intent
    source: str | None = None
    stored: str | None = None
    made_cells: bool = False


def with_intent(record: Record | None, intent: Intent) -> Record:
    """The record with another intent; what it says of the document stays. A new one where there was none."""
    return replace(record, intent=intent) if record is not None else Record(intent)


class Definition(Protocol):
    """One definition, read; it never changes. ``text`` holds its secrets, the other texts mask them.

    ``suffix`` is that of a file that holds it, ``shown_as`` the key of a result that shows it.
    """

    @property
    def suffix(self) -> str: ...

    @property
    def shown_as(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def masked_text(self) -> str: ...

    @property
    def owned_text(self) -> str:
        """The owned parts alone, for a diff."""

    @property
    def rest_text(self) -> str:
        """All but the owned parts, for a diff."""

    @property
    def written_form(self) -> str | None:
        """In what form the placement is written, where that makes a difference; None where all forms mean the same."""

    @property
    def uuid(self) -> str | None: ...

    @property
    def shape(self) -> Shape: ...

    @property
    def needs(self) -> GuestNeeds:
        """What a policy looks at beside that. Raises InputError where it cannot be read."""

    @property
    def placement(self) -> Placement: ...

    @property
    def kept(self) -> tuple[Kept, ...]:
        """What it names of its host by a number, in elements that stay as they are."""

    @property
    def record(self) -> Record | None: ...

    @property
    def trouble(self) -> Trouble | None:
        """What of it cannot be read. No property but ``needs`` raises for that."""

    def rewritten(self, placement: Placement, record: Record | None) -> Definition:
        """The same with these owned parts; without a record, the one that is there stays. The rest is unchanged."""

    def released(self) -> Definition:
        """The same without owned parts, as if nobody had ever placed it."""
