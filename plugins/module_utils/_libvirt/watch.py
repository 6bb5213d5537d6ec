# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else defines or undefines domains while a run is under way, by libvirt's own events.

It has a connection of its own, so that the run's stays as it is where the daemon has no events. It is looked at now and
then; nothing runs beside the run.
This file must not import ansible, libvirt or lxml: connection hands its module in.
"""

from __future__ import annotations

import contextlib
from typing import Any


class Watch:
    """Definitions since the last mark(). Whatever the daemon refuses ends the watch, and never the run."""

    def __init__(self, libvirt: Any, uri: str) -> None:
        """Raises libvirt.libvirtError where there are no events."""
        self._libvirt = libvirt
        self._seen: list[tuple[str, int]] = []
        # Before the connection: one that is older knows no events.
        libvirt.virEventRegisterDefaultImpl()
        self._conn = libvirt.open(uri)
        lifecycle = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        try:
            self._callback = self._conn.domainEventRegisterAny(None, lifecycle, self._note, None)
        except libvirt.libvirtError:
            self.close()
            raise
        self._lives = True

    def mark(self) -> None:
        """Forget what was seen so far."""
        self._catch_up()
        self._seen.clear()

    def others(self, uuid: str) -> str | None:
        """What somebody else did to a domain that was defined here once since mark(): "edited" or "undefined"."""
        self._catch_up()
        kinds = [kind for seen, kind in self._seen if seen == uuid]
        if not self._lives:
            return None
        if self._libvirt.VIR_DOMAIN_EVENT_UNDEFINED in kinds:
            return "undefined"
        return "edited" if kinds.count(self._libvirt.VIR_DOMAIN_EVENT_DEFINED) > 1 else None

    def close(self) -> None:
        self._lives = False
        with contextlib.suppress(self._libvirt.libvirtError):
            self._conn.close()

    def _note(self, _conn: Any, domain: Any, event: int, _detail: int, _opaque: Any) -> None:
        self._seen.append((str(domain.UUIDString()), int(event)))

    def _catch_up(self) -> None:
        """Have all events told that the daemon knows of."""
        if not self._lives:
            return
        try:
            # The daemon tells what happened before it answers what was asked later.
            self._conn.getLibVersion()
            for _turn in range(2):
                self._turn()
        except self._libvirt.libvirtError:
            self._lives = False

    def _turn(self) -> None:
        """One turn of libvirt's event loop, which ends at once by a timer of ours."""
        fired: list[int] = []
        timer = self._libvirt.virEventAddTimeout(0, lambda number, _opaque: fired.append(number), None)
        try:
            while not fired:
                self._libvirt.virEventRunDefaultImpl()
        finally:
            self._libvirt.virEventRemoveTimeout(timer)
