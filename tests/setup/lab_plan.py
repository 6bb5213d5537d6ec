# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one table of scenarios: which hosts each needs, on which systems, and where it stands in ``make test``.

A lane runs its scenarios one after the other on hosts of its own, which stay up from one to the next and are paused
where one does not need them. So those that share hosts stand together, and one system comes after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The systems that hosts run, the oldest first: Debian's versions, and what follows a kind's name in a host's.
SYSTEMS = {"12": "", "13": "13"}

#: Lanes run side by side: more than two would only wait for each other on two CPUs.
LANES = ("lab-1", "lab-2")


@dataclass(frozen=True)
class Scenario:
    """A scenario of extensions/molecule: the kinds of its hosts, and the system and the lane of ``make test``.

    ``by_hand``: ``make test`` leaves it out; ``make test-long`` and ``make lab-matrix`` run each on each system.
    """

    kinds: tuple[str, ...]
    system: str
    lane: str
    by_hand: bool = False

    def hosts(self, system: str) -> tuple[str, ...]:
        """The names of its hosts, as the lab knows them."""
        return tuple(kind + SYSTEMS[system] for kind in self.kinds)


#: In the order in which a lane runs them. Not every kind of host is there on each system here: an image is 90 s of
#: processor time, and a boot of Debian 13, or the start of a guest there, twice that of Debian 12. With those that are
#: left to hands it would be an hour and more: `both`, `drift`, `roles` and `xl` take up to a quarter of an hour each,
#: and `demo` is a check of its own on libvirt's test driver. A scenario whose play asks for NUMA_VIRT_LONG does less
#: without.
SCENARIOS = {
    "born": Scenario(("kvm",), "12", "lab-1"),
    "promises": Scenario(("kvm",), "12", "lab-1"),
    "moves": Scenario(("kvm",), "12", "lab-1"),
    "survives": Scenario(("kvm",), "13", "lab-1"),
    "saved": Scenario(("kvm",), "13", "lab-1"),
    "fails": Scenario(("kvm",), "13", "lab-1"),
    "demo": Scenario(("kvm",), "13", "lab-1", by_hand=True),
    "both": Scenario(("kvm", "xen"), "12", "lab-2", by_hand=True),
    "xen": Scenario(("xen",), "12", "lab-2"),
    "xl": Scenario(("xen",), "12", "lab-2", by_hand=True),
    "smt": Scenario(("smt",), "12", "lab-2"),
    "drift": Scenario(("kvm", "xen"), "12", "lab-2", by_hand=True),
    "roles": Scenario(("kvm", "smt", "xen"), "12", "lab-2", by_hand=True),
}
