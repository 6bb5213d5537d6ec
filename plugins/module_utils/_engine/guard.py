# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody else acts while a run is under way: guests that end while they are read, and guests that are no longer what
a plan was made for.

This file must not import ansible or libvirt, and must not change anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, read
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ChangedMeanwhileError,
    DomainNotFoundError,
    LibvirtCallError,
    NumaVirtError,
)
from ansible_collections.numa.virt.plugins.module_utils._xl.command import XlCallError
from ansible_collections.numa.virt.plugins.module_utils._xl.output import XlOutputError

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Domain, Watch

# What a call says of a guest that has ended or gone.
GONE = (DomainNotFoundError, LibvirtCallError, XlCallError, XlOutputError)

# States of a guest whose vCPUs run; Xen says by turns one or another of them.
RUNS = ("running", "blocked", "no state")


def read_present(session: Session, domain: Domain, persistent: bool | None = None) -> Known | None:
    """read() of a domain that may end or go meanwhile: then as it is afterwards. None where it is gone.

    Raises what a call raises that fails again and again.
    """
    try:
        return read(session, domain, persistent)
    except GONE:
        return read_anew(session, domain.name)


def read_anew(session: Session, name: str) -> Known | None:
    """Look a domain up and read it, though it may end or go at any call. Raises as read_present()."""
    for attempt in (1, 2, 3):
        again = session.connection.domain(name)
        if again is None:
            return None
        try:
            return read(session, again)
        except GONE:
            if attempt == 3:
                raise
    return None


def changed_meanwhile(name: str, what: str) -> ChangedMeanwhileError:
    return ChangedMeanwhileError(
        f"domain {name!r} {what} by somebody else while this run was under way; nothing of it was touched, run again",
        domain=name,
        what=what,
    )


def look_again(session: Session, name: str, known: Known | None, state: str | None, live: bool) -> None:
    """Right before the first write: is the domain still what was read? Raises ChangedMeanwhileError.

    ``known`` None: there was none of that name. ``state`` None asks for none. ``live``: whether the running guest will
    be changed.
    """
    watch = session.watch
    if watch is not None:
        watch.mark()
    now = session.connection.domain(name)
    if known is None:
        if now is not None:
            raise changed_meanwhile(name, "was defined")
        return
    what = _difference(session, state, known, now, live)
    if what is not None:
        raise changed_meanwhile(name, what)


def overwritten(
    session: Session, known: Known | None, domain: Domain, backup_file: str | None
) -> dict[str, Any] | None:
    """What somebody else wrote between our look and our definition, which is lost. None where nobody did.

    libvirt has no call that replaces a definition only if it is still the one that was read; but it tells of every
    definition, so that one more than our own is seen. Shape: {"what", "backup_file"}, the file that holds the
    definition before both.
    """
    watch: Watch | None = session.watch
    uuid = known.domain.uuid if known is not None else domain.uuid
    what = watch.others(uuid) if watch is not None and uuid is not None else None
    return {"what": what, "backup_file": backup_file} if what is not None else None


def overwritten_warning(name: str, found: dict[str, Any]) -> str:
    where = f"; what it was before is in {found['backup_file']}" if found["backup_file"] else ""
    return (
        f"domain {name!r} was {found['what']} by somebody else in the moment before it was defined here, and that is "
        f"overwritten{where}: ask who did it"
    )


def touched(session: Session, name: str, known: Known | None) -> bool | None:
    """After a failure: whether the domain differs from what was read. None where that cannot be seen."""
    try:
        now = session.connection.domain(name)
        if known is None:
            return now is not None
        return _difference(session, None, known, now, True) is not None
    except NumaVirtError:
        return None


def _difference(session: Session, state: str | None, known: Known, now: Domain | None, live: bool) -> str | None:
    """What is no longer as it was read, in words; None where all is. ``state`` None asks for none."""
    if now is None:
        return "was undefined" if known.persistent else "was ended"
    if known.live is None and now.active:
        return "was started"
    if known.live is not None and not now.active:
        return "was ended"
    if known.live is not None and now.id != known.domain.id:
        return "was started anew"
    if known.live is not None and known.domain.uuid != now.uuid:
        return "was replaced"
    if known.live is not None and now.persistent() != known.persistent:
        return "was undefined" if known.persistent else "was defined"
    if known.persistent and session.definition(now).text != known.config.text:
        return "was edited"
    if known.live is None:
        return None
    if live:
        running = session.live(now)
        if (running.placement, running.record) != (known.live.placement, known.live.record):
            return "was pinned"
    return _other_state(state, now.state()) if state is not None else None


def _other_state(before: str, now: str) -> str | None:
    if before == now or (before in RUNS and now in RUNS):
        return None
    return "was resumed" if now in RUNS else f"was brought to another state ({now})"
