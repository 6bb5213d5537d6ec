# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rules are told: the host and its guests, on each layer. Frozen, and nothing decided.

CPUs and cells are those of the host unless a name says vCPU or guest cell; sizes are KiB.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Rules
from ansible_collections.numa.virt.plugins.module_utils._values.claim import Claim
from ansible_collections.numa.virt.plugins.module_utils._values.definition import Trouble
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.kept import Kept
from ansible_collections.numa.virt.plugins.module_utils._values.needs import GuestNeeds
from ansible_collections.numa.virt.plugins.module_utils._values.observation import Observation
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

_NO_NEEDS = GuestNeeds()
_NO_RULES = Rules()


@dataclass(frozen=True)
class Said:
    """What one document says: the definition, or that of the running guest."""

    shape: Shape
    placement: Placement
    needs: GuestNeeds = _NO_NEEDS
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True)
class GuestFacts:
    """One guest. ``config`` is None for a transient one, ``live`` and ``observation`` while it does not run.

    ``trouble`` is what cannot be read of it. Of a definition that cannot be read ``config`` has what can be; it is None
    where the guest runs.
    """

    name: str
    config: Said | None
    live: Said | None = None
    observation: Observation | None = None
    intent: Intent | None = None
    trouble: Trouble | None = None

    @property
    def running(self) -> bool:
        return self.live is not None


@dataclass(frozen=True)
class Facts:
    """A host with its devices, and its free memory where some guest asks for it (find.wants_free()); all its guests.

    ``claims``: pairs (claim, the name of its guest where that is on the host, else None).
    """

    host: Host
    driver: Driver
    guests: tuple[GuestFacts, ...]
    rules: Rules = _NO_RULES
    claims: tuple[tuple[Claim, str | None], ...] = ()
