# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet's planner is told: hosts, guests to place, and limits.

Sizes are KiB, times are seconds since any one moment that all of them are counted from.
This file must not import ansible, libvirt or lxml, and must not decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._planner.request import Existing, Request, Rules
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

IN, DRAINING, OUT, UNKNOWN = "in", "draining", "out", "unknown"
#: What a host can be told to be; unknown is what nobody says of himself.
STATES = (IN, DRAINING, OUT)
LIVE, RESTART, NEVER = "live", "restart", "never"
WAYS = (LIVE, RESTART, NEVER)
TOGETHER, APART = "together", "apart"
#: What a group's members share or do not: a host, or hosts with the same value of any other label.
HOST = "host"


@dataclass(frozen=True)
class Claim:
    """A place on a host that somebody has taken for a guest that is not there yet.

    ``by`` says who, for people. It counts until ``ends``; None is for ever.
    """

    guest: Existing
    by: str = ""
    ends: float | None = None


@dataclass(frozen=True)
class FleetHost:
    """A host with all that is on it.

    ``host`` is None where it never said what it is. ``existing`` are all its guests, managed or not. ``labels`` are
    pairs (name, value), as ("rack", "r1"). ``state`` is one of STATES, and ``why`` says the reason for people.
    ``answered`` is false where it did not answer when it was asked last, and ``told`` is when all this was read.
    """

    name: str
    host: Host | None
    existing: tuple[Existing, ...] = ()
    claims: tuple[Claim, ...] = ()
    rules: Rules = Rules()  # noqa: RUF009  # frozen
    labels: tuple[tuple[str, str], ...] = ()
    state: str = IN
    why: str = ""
    answered: bool = True
    told: float | None = None


@dataclass(frozen=True)
class Group:
    """A group of guests that share (``kind`` "together") or never share ("apart") what ``within`` names.

    That is "host", or a label of hosts: those with the same value are one. A host without that label is in none, and
    no member is placed there.
    """

    name: str
    kind: str
    within: str = HOST


@dataclass(frozen=True)
class FleetRequest:
    """One guest to place, or that has a place already.

    ``guest``: what the planner of one host is told; its priority counts for the fleet too. ``hosts`` are names, or
    patterns as a shell has them, of hosts that it may be on; empty for any. ``labels`` are pairs (name, value or
    pattern), which all have to be met. ``at``: its host now; None where that is to be found by its name. ``how`` it may
    be moved is one of WAYS.
    """

    guest: Request
    hosts: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    groups: tuple[Group, ...] = ()
    at: str | None = None
    how: str = LIVE

    @property
    def name(self) -> str:
        return self.guest.name


@dataclass(frozen=True)
class FleetOptions:
    """Limits, each None where there is none.

    ``max_moves`` and ``max_memory_moved`` (KiB) are of the whole plan. ``at_once_host`` and ``at_once_fleet``: moves
    that run at the same time, from or to one host and in all. ``spare_hosts`` 1: any one host may fail, and no guest is
    without a place that would not have been without this plan. Facts that are older than ``max_age`` at ``now`` are not
    planned with.
    """

    max_moves: int | None = None
    max_memory_moved: int | None = None
    at_once_host: int | None = 2
    at_once_fleet: int | None = None
    spare_hosts: int = 0
    now: float | None = None
    max_age: float | None = None
